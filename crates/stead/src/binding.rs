//! Where to listen: at the advertised address, and nowhere else unless asked.

use crate::reach;
use crate::setting::Flag;
use crate::source::{Usage, Values};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};

/// What Debian's installer gives to a machine's own name: no address at which others reach it.
const PLACEHOLDER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 1, 1));

/// HOST:PORT, with brackets around the host if it is an IPv6 address.
pub(crate) struct HostPort<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: Option<&'a str>,
}

pub(crate) fn split(address: &str) -> HostPort<'_> {
    if let Some(rest) = address.strip_prefix('[')
        && let Some((host, after)) = rest.split_once(']')
    {
        return HostPort { host, port: after.strip_prefix(':') };
    }
    match address.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => HostPort { host, port: Some(port) },
        _ => HostPort { host: address, port: None },
    }
}

/// HOST:PORT of a URL.
pub(crate) fn in_url(flag: Flag, url: &str) -> Result<String, Usage> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let Some(rest) = rest.map(|rest| rest.trim_end_matches('/')) else {
        return Err(Usage(format!("-{flag}: {url}: expected a URL, as in http://HOST:PORT")));
    };
    if split(rest).port.is_none() || rest.contains('/') {
        return Err(Usage(format!(
            "-{flag}: {url}: expected a URL with a port and without a path"
        )));
    }
    Ok(rest.to_owned())
}

pub(crate) fn parse_port(flag: Flag, address: &str, port: &str) -> Result<u16, Usage> {
    port.parse().map_err(|_| Usage(format!("-{flag}: address {address}: invalid port {port:?}")))
}

/// Checks an address that is advertised to others.
///
/// # Errors
/// [`Usage`] when it is malformed or cannot be reached.
pub(crate) fn advertised(values: &Values, flag: Flag) -> Result<(String, u16), Usage> {
    let (address, _) = values.get(flag);
    if address.contains("://") {
        return Err(Usage(format!(
            "-{flag}: address {address}: expected HOST:PORT, without a scheme"
        )));
    }
    let parts = split(address);
    let Some(port) = parts.port else {
        let is_bare = address.parse::<Ipv6Addr>().is_ok()
            || address.rsplit_once(':').is_some_and(|(host, _)| host.contains(':'));
        let hint =
            if is_bare { "; write an IPv6 address in brackets, as in [::1]:4001" } else { "" };
        return Err(Usage(format!("-{flag}: address {address}: missing port in address{hint}")));
    };
    if parts.host.is_empty() {
        return Err(Usage(format!("-{flag}: address {address}: missing host in address")));
    }
    let port = parse_port(flag, address, port)?;
    reach::check(flag, address, parts.host, port)?;
    Ok((address.to_owned(), port))
}

pub(crate) fn resolve(flag: Flag, host: &str, port: u16) -> Result<SocketAddr, Usage> {
    let unknown = |detail: String| Usage(format!("-{flag}: cannot resolve {host}: {detail}"));
    let mut found = (host, port).to_socket_addrs().map_err(|error| unknown(error.to_string()))?;
    found.next().ok_or_else(|| unknown("it has no address".to_owned()))
}

/// All addresses of this machine that a name has, or an address stands for. If none of them is
/// this machine's the first one is given, so that opening it says so.
///
/// # Errors
/// [`Usage`] when it has none.
pub(crate) fn resolve_all(flag: Flag, host: &str, port: u16) -> Result<Vec<SocketAddr>, Usage> {
    let first = resolve(flag, host, port)?;
    let found = (host, port).to_socket_addrs().map(Iterator::collect).unwrap_or_default();
    let own = own_of(found, &is_own);
    Ok(if own.is_empty() { vec![first] } else { own })
}

/// Where to listen for what is reached at `host`: there, or everywhere, with a note, if that is not
/// an address of this machine.
pub(crate) fn bind_where_reached(
    values: &mut Values,
    flag: Flag,
    host: &str,
    port: u16,
) -> Vec<SocketAddr> {
    let found = (host, port).to_socket_addrs().map(Iterator::collect);
    let (binds, why) = choose(host, port, found, &is_own);
    if let Some(why) = why.filter(|_| !reach::is_unspecified(host)) {
        values
            .notes
            .push(format!("-{flag} {host}: {why}, so this machine listens on all its addresses"));
    }
    binds
}

/// The flags of a port: where it is reached, and where to listen for it.
#[derive(Clone, Copy)]
pub(crate) struct Flags {
    pub(crate) reached: Flag,
    pub(crate) listens: Flag,
}

/// Where to listen: at the given address, or at the advertised one. A name may have several.
///
/// # Errors
/// [`Usage`] when the given address is malformed.
pub(crate) fn bind(
    values: &mut Values,
    flags: Flags,
    advertised: &str,
    port: u16,
) -> Result<Vec<SocketAddr>, Usage> {
    let flag = flags.listens;
    let (address, _) = values.get(flag);
    if !address.is_empty() {
        let parts = split(address);
        if parts.host.is_empty() {
            return Err(Usage(format!("-{flag}: {address}: IP required, can't use a port only")));
        }
        let port = parts.port.map_or(Ok(port), |port| parse_port(flag, address, port))?;
        return Ok(vec![resolve(flag, parts.host, port)?]);
    }
    let host = split(advertised).host;
    let found = (host, port).to_socket_addrs().map(Iterator::collect);
    let (binds, why) = choose(host, port, found, &is_own);
    if let Some(why) = why {
        values.notes.push(format!(
            "-{} {advertised}: {why}, so this machine listens on all its addresses; to listen on \
             one only, set -{flag}",
            flags.reached
        ));
    }
    Ok(binds)
}

/// Whether this machine has an address.
fn is_own(address: &SocketAddr) -> bool {
    let mut any_port = *address;
    any_port.set_port(0);
    match TcpListener::bind(any_port) {
        Ok(_) => true,
        // Any other reason is reported when the port itself is opened.
        Err(error) => {
            !matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
        }
    }
}

/// Where to listen for what is reached at `host`, and why everywhere, if so. `found` are its
/// addresses as this machine knows them.
fn choose(
    host: &str,
    port: u16,
    found: io::Result<Vec<SocketAddr>>,
    is_own: &dyn Fn(&SocketAddr) -> bool,
) -> (Vec<SocketAddr>, Option<String>) {
    let everywhere = |is_v6: bool, why: String| {
        let v4 = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        // The server takes IPv4 there too.
        let all = if is_v6 { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { v4 };
        (vec![SocketAddr::new(all, port)], Some(why))
    };
    let found = match found {
        Ok(found) => found,
        Err(error) => return everywhere(false, format!("cannot resolve the name ({error})")),
    };
    let is_v6 = !found.is_empty() && found.iter().all(SocketAddr::is_ipv6);
    if host.parse::<IpAddr>().is_err() && found.iter().any(|one| one.ip() == PLACEHOLDER) {
        return everywhere(
            is_v6,
            format!("the name resolves to {PLACEHOLDER} here, which only this machine can reach"),
        );
    }
    let own = own_of(found, is_own);
    if own.is_empty() {
        return everywhere(is_v6, "it is not an address of this machine".to_owned());
    }
    (own, None)
}

/// Those of some addresses that this machine has, each once.
fn own_of(found: Vec<SocketAddr>, is_own: &dyn Fn(&SocketAddr) -> bool) -> Vec<SocketAddr> {
    let mut own: Vec<SocketAddr> = Vec::new();
    for address in found {
        if !own.contains(&address) && is_own(&address) {
            own.push(address);
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_listens_at_its_own_addresses_alone() {
        let own = ["10.0.0.1", "127.0.0.1", "::1", "2001:db8::7"];
        let is_own = |address: &SocketAddr| own.contains(&address.ip().to_string().as_str());
        for (host, found, binds, why) in [
            ("10.0.0.1", &["10.0.0.1"][..], &["10.0.0.1:5"][..], ""),
            ("2001:db8::7", &["2001:db8::7"], &["[2001:db8::7]:5"], ""),
            ("0.0.0.0", &["0.0.0.0"], &["0.0.0.0:5"], "not an address of this machine"),
            ("localhost", &["::1", "127.0.0.1"], &["[::1]:5", "127.0.0.1:5"], ""),
            ("name", &["10.0.0.1", "10.0.0.1", "10.9.9.9"], &["10.0.0.1:5"], ""),
            ("name", &["127.0.0.1"], &["127.0.0.1:5"], ""),
            ("name", &["127.0.1.1"], &["0.0.0.0:5"], "only this machine can reach"),
            ("name", &["203.0.113.9"], &["0.0.0.0:5"], "not an address of this machine"),
            ("203.0.113.9", &["203.0.113.9"], &["0.0.0.0:5"], "not an address of this machine"),
            ("2001:db8::9", &["2001:db8::9"], &["[::]:5"], "not an address of this machine"),
            ("name", &[], &["0.0.0.0:5"], "not an address of this machine"),
        ] {
            let address = |ip: &&str| SocketAddr::new(ip.parse().expect("an address"), 5);
            let (chosen, said) = choose(host, 5, Ok(found.iter().map(address).collect()), &is_own);
            let chosen: Vec<String> = chosen.iter().map(SocketAddr::to_string).collect();
            assert_eq!(chosen, binds, "{host} {found:?}");
            assert_eq!(said.is_some(), !why.is_empty(), "{host} {found:?}: {said:?}");
            assert!(said.unwrap_or_default().contains(why), "{host} {found:?}");
        }
        let (chosen, said) = choose("name", 5, Err(io::ErrorKind::NotFound.into()), &is_own);
        assert_eq!(chosen, [SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 5)]);
        assert!(said.expect("a reason").contains("cannot resolve the name"));
    }

    #[test]
    fn addresses_of_this_machine_are_told_from_others() {
        let is_own = |text: &str| is_own(&text.parse().expect("an address"));
        assert!(is_own("127.0.0.1:1"), "the port does not matter");
        assert!(!is_own("203.0.113.9:1"), "an address of documents");
    }
}
