//! Where the cluster is: the endpoints that were named, in their order.

use crate::failure::Failure;
use std::path::PathBuf;

/// Endpoints that are taken.
const ENDPOINTS_MAX: usize = 64;

/// The variables that name endpoints; the first that is set counts.
const VARIABLES: [&str; 3] = ["STEAD_ENDPOINTS", "ETCDCTL_ENDPOINTS", "ETCDCTL_PEERS"];

/// Where servers are by default: the port of 0.4, and that of 2.x.
const DEFAULT: &str = "http://127.0.0.1:4001,http://127.0.0.1:2379";

/// The host that stands for the socket of a number in URLs. No name ends so.
const SOCKET_SUFFIX: &str = ".socket.invalid";

/// A server, or what stands before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// What requests are sent to: scheme, host and port.
    pub(crate) base: String,
    /// What the user reads.
    pub(crate) shown: String,
    /// The file of a Unix socket.
    pub(crate) socket: Option<PathBuf>,
}

impl Endpoint {
    /// A server at scheme, host and port.
    pub(crate) fn of_base(base: String) -> Self {
        Self { shown: base.clone(), base, socket: None }
    }

    /// Whether it is on this machine.
    pub(crate) fn is_local(&self) -> bool {
        let authority = self.base.split_once("://").map_or("", |(_, authority)| authority);
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        };
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        self.socket.is_some()
            || host == "localhost"
            || address.is_ok_and(|address| address.is_loopback())
    }
}

/// The endpoints of the flag, of the environment, or by default.
///
/// # Errors
/// [`Failure::Usage`] with the endpoint that is none, and where it is from.
pub(crate) fn endpoints(
    flag: Option<&str>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Vec<Endpoint>, Failure> {
    if let Some(list) = flag {
        return parse(list, "--endpoints");
    }
    match named(variable) {
        Some((list, name)) => parse(&list, name),
        None => parse(DEFAULT, "the default"),
    }
}

/// The endpoints that the environment names, and by which variable.
pub(crate) fn named(variable: impl Fn(&str) -> Option<String>) -> Option<(String, &'static str)> {
    VARIABLES.into_iter().find_map(|name| {
        let list = variable(name).filter(|list| !list.trim().is_empty())?;
        Some((list, name))
    })
}

fn parse(list: &str, source: &str) -> Result<Vec<Endpoint>, Failure> {
    let mut found: Vec<Endpoint> = Vec::new();
    for word in list.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let one = one(word, found.len()).ok_or_else(|| {
            Failure::Usage(format!(
                "{source}: {word:?} is no endpoint: give it as in http://10.0.0.1:4001, \
                 10.0.0.1:4001 or unix:///run/stead.sock"
            ))
        })?;
        if found.iter().all(|known| known.shown != one.shown) {
            found.push(one);
        }
    }
    match found.len() {
        0 => Err(Failure::Usage(format!("{source} names no endpoint"))),
        1..=ENDPOINTS_MAX => Ok(found),
        _ => Err(Failure::Usage(format!("{source} names more than {ENDPOINTS_MAX} endpoints"))),
    }
}

fn one(word: &str, number: usize) -> Option<Endpoint> {
    if let Some(path) = word.strip_prefix("unix://") {
        let base = format!("http://s{number}{SOCKET_SUFFIX}");
        let socket = Some(PathBuf::from(path)).filter(|_| path.starts_with('/'))?;
        return Some(Endpoint { base, shown: word.to_owned(), socket: Some(socket) });
    }
    base(word).map(Endpoint::of_base)
}

/// Scheme, host and port of a URL without a path, or of an address.
pub(crate) fn base(word: &str) -> Option<String> {
    let url = if word.contains("://") { word.to_owned() } else { format!("http://{word}") };
    let uri: ureq::http::Uri = url.parse().ok()?;
    let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"))?;
    let authority = uri.authority()?.as_str();
    let is_bare = uri.path_and_query().is_none_or(|path| path.as_str() == "/");
    // A password in a URL would end up in messages and logs.
    let is_plain = !authority.contains('@') && !authority.ends_with(SOCKET_SUFFIX);
    (is_bare && is_plain).then(|| format!("{scheme}://{authority}"))
}

/// The number of the socket that a host stands for.
pub(crate) fn socket_number(host: &str) -> Option<usize> {
    host.strip_suffix(SOCKET_SUFFIX)?.strip_prefix('s')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(list: &str) -> Vec<String> {
        let found = parse(list, "--endpoints").expect("they are valid");
        found.into_iter().map(|one| one.shown).collect()
    }

    #[test]
    fn endpoints_are_urls_addresses_or_sockets() {
        assert_eq!(
            shown("10.0.0.1:4001, https://b:1/,http://10.0.0.1:4001,[::1]:4001,unix:///run/s"),
            ["http://10.0.0.1:4001", "https://b:1", "http://[::1]:4001", "unix:///run/s"]
        );
        let found = parse("a:1,unix:///run/s", "x").expect("valid");
        assert_eq!(socket_number(found[1].base.strip_prefix("http://").expect("it is")), Some(1));
        for wrong in
            ["", ",", "ftp://a", "http://a/x", "http://", "a b", "http://u:p@h", "unix://x", "a?b"]
        {
            assert!(parse(wrong, "x").is_err(), "{wrong}");
        }
        let many: Vec<String> = (0..65).map(|at| format!("h:{at}")).collect();
        assert!(parse(&many.join(","), "x").is_err() && parse(&many[1..].join(","), "x").is_ok());
    }

    #[test]
    fn an_endpoint_of_this_machine_is_known_as_one() {
        let is_local = |word: &str| one(word, 0).expect("valid").is_local();
        for local in
            ["127.0.0.1:1", "http://localhost:1", "[::1]:1", "https://127.9.9.9", "unix:///s"]
        {
            assert!(is_local(local), "{local}");
        }
        for other in ["10.0.0.1:1", "http://localhost.example:1", "[2001:db8::1]:1", "127:1"] {
            assert!(!is_local(other), "{other}");
        }
    }

    #[test]
    fn the_flag_counts_before_the_environment_and_that_before_the_default() {
        let of = |flag: Option<&str>, set: &'static [(&str, &str)]| {
            let variable = |name: &str| {
                let found = set.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            endpoints(flag, variable).expect("valid")[0].shown.clone()
        };
        let all = &[("ETCDCTL_PEERS", "p:1"), ("ETCDCTL_ENDPOINTS", "e:1")];
        assert_eq!(of(Some("f:1"), all), "http://f:1");
        assert_eq!(of(None, all), "http://e:1");
        assert_eq!(of(None, &[("STEAD_ENDPOINTS", " "), ("ETCDCTL_PEERS", "p:1")]), "http://p:1");
        assert_eq!(of(None, &[]), "http://127.0.0.1:4001");
        let wrong = endpoints(None, |_| Some("x y".to_owned())).expect_err("it is no endpoint");
        assert!(wrong.to_string().starts_with("STEAD_ENDPOINTS: "), "{wrong}");
    }
}
