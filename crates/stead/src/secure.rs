//! Which files make a port speak TLS, and whether the URLs agree with them.
//!
//! Half of a configuration would leave a port open that was meant to be closed, so it is refused.
//! The names of 2.x part what those of 0.4 say in one word: a file of authorities there asks nobody
//! for a certificate yet (spec cli.md sections 5 and 7).

use crate::resolve::{is_set, list};
use crate::source::{Source, Usage, Values};
use server::config::TlsFiles;
use std::path::PathBuf;

/// The flags of a port.
struct Names {
    cert: &'static str,
    key: &'static str,
    ca: &'static str,
    trusted_ca: &'static str,
    asks: &'static str,
}

const CLIENT: Names = Names {
    cert: "cert-file",
    key: "key-file",
    ca: "ca-file",
    trusted_ca: "trusted-ca-file",
    asks: "client-cert-auth",
};

const PEER: Names = Names {
    cert: "peer-cert-file",
    key: "peer-key-file",
    ca: "peer-ca-file",
    trusted_ca: "peer-trusted-ca-file",
    asks: "peer-client-cert-auth",
};

/// The files for TLS on the ports for clients.
///
/// # Errors
/// [`Usage`] when something is missing, or there twice.
pub(crate) fn client_files(values: &mut Values) -> Result<Option<TlsFiles>, Usage> {
    let found = files(values, &CLIENT)?;
    if let Some(TlsFiles { ca: Some(_), asks_callers: false, .. }) = found {
        let note = "clients need no certificate: -client-cert-auth is not given";
        values.notes.push(note.to_owned());
    }
    Ok(found)
}

/// The files for TLS between machines.
///
/// # Errors
/// As [`client_files`].
pub(crate) fn peer_files(values: &mut Values) -> Result<Option<TlsFiles>, Usage> {
    let found = files(values, &PEER)?;
    let token = values.get("peer-token").0;
    if found.as_ref().is_some_and(|files| !files.asks_callers) && token.is_empty() {
        let note = "whoever reaches the peer port may join and administer the cluster: neither a \
                    certificate nor -peer-token is asked for";
        values.notes.push(note.to_owned());
    }
    Ok(found)
}

fn files(values: &Values, names: &Names) -> Result<Option<TlsFiles>, Usage> {
    let Names { cert, key, ca, trusted_ca, asks } = names;
    let path =
        |flag: &str| Some(values.get(flag).0).filter(|path| !path.is_empty()).map(PathBuf::from);
    let needs = |flag: &str, missing: String| Err(Usage(format!("-{flag} needs {missing} too")));
    let (authorities, named) = match (path(ca), path(trusted_ca)) {
        (Some(one), Some(other)) if one != other => {
            return Err(Usage(format!("-{ca} and -{trusted_ca} mean the same: give one of them")));
        }
        (Some(one), _) => (Some(one), ca),
        (None, other) => (other, trusted_ca),
    };
    let is_default = values.get(asks).1 == Source::Default;
    let asks_callers = if is_default { path(ca).is_some() } else { is_set(values, asks) };
    if asks_callers && authorities.is_none() {
        return needs(asks, format!("-{trusted_ca}"));
    }
    match (path(cert), path(key)) {
        (Some(cert), Some(key)) => Ok(Some(TlsFiles { cert, key, ca: authorities, asks_callers })),
        (Some(_), None) => needs(cert, format!("-{key}")),
        (None, Some(_)) => needs(key, format!("-{cert}")),
        (None, None) if authorities.is_some() => needs(named, format!("-{cert} and -{key}")),
        (None, None) => Ok(None),
    }
}

/// Holds the schemes of URLs against the certificates that there are.
///
/// # Errors
/// [`Usage`] with a URL that says something else.
pub(crate) fn check_urls(values: &Values, client: bool, peer: bool) -> Result<(), Usage> {
    for (flag, is_secure, names) in [
        ("listen-client-urls", client, &CLIENT),
        ("advertise-client-urls", client, &CLIENT),
        ("listen-peer-urls", peer, &PEER),
        ("initial-advertise-peer-urls", peer, &PEER),
        ("initial-cluster", peer, &PEER),
    ] {
        for item in list(values, flag) {
            // NAME=URL where machines are listed.
            let url = item.rsplit('=').next().unwrap_or_default();
            let (cert, key) = (names.cert, names.key);
            match (url.starts_with("https://"), is_secure) {
                (true, false) => {
                    return Err(Usage(format!("-{flag}: {item}: https needs -{cert} and -{key}")));
                }
                (false, true) => {
                    return Err(Usage(format!(
                        "-{flag}: {item}: https is wanted, since -{cert} is given"
                    )));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::World;

    fn values(args: &[&str]) -> Values {
        let all: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let read_file = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
        let world = World { args: &all, env: &[], read_file: &read_file };
        Values::gather(&world).expect("known flags").0
    }

    const PAIR: [&str; 4] =
        ["-cert-file=c", "-key-file=k", "-peer-cert-file=pc", "-peer-key-file=pk"];

    #[test]
    fn half_of_a_configuration_is_refused() {
        for (args, want) in [
            (&["-cert-file=c"][..], "-cert-file needs -key-file too"),
            (&["-key-file=k"], "-key-file needs -cert-file too"),
            (&["-ca-file=a"], "-ca-file needs -cert-file and -key-file too"),
            (&["-trusted-ca-file=a"], "-trusted-ca-file needs -cert-file and -key-file too"),
            (&["-client-cert-auth"], "-client-cert-auth needs -trusted-ca-file too"),
            (
                &["-cert-file=c", "-key-file=k", "-client-cert-auth"],
                "-client-cert-auth needs -trusted-ca-file too",
            ),
            (
                &["-cert-file=c", "-key-file=k", "-ca-file=a", "-trusted-ca-file=b"],
                "give one of them",
            ),
        ] {
            let error = client_files(&mut values(args)).expect_err("a half").0;
            assert!(error.contains(want), "{args:?}: {error}");
            let peer: Vec<String> = args.iter().map(|arg| arg.replacen('-', "-peer-", 1)).collect();
            let peer: Vec<&str> = peer.iter().map(String::as_str).collect();
            assert!(peer_files(&mut values(&peer)).is_err(), "{peer:?}");
            assert_eq!(client_files(&mut values(&peer)), Ok(None), "{peer:?}");
        }
    }

    #[test]
    fn who_is_asked_for_a_certificate() {
        for (args, want) in [
            (&[][..], (false, false)),
            (&["-ca-file=a", "-peer-ca-file=a"], (true, true)),
            (&["-ca-file=a", "-trusted-ca-file=a"], (true, false)),
            (&["-trusted-ca-file=a", "-peer-trusted-ca-file=a"], (false, false)),
            (&["-trusted-ca-file=a", "-client-cert-auth"], (true, false)),
            (&["-peer-trusted-ca-file=a", "-peer-client-cert-auth=true"], (false, true)),
            (&["-ca-file=a", "-client-cert-auth=false"], (false, false)),
        ] {
            let all: Vec<&str> = PAIR.iter().chain(args).copied().collect();
            let mut values = values(&all);
            let client = client_files(&mut values).expect("whole").expect("there");
            let peer = peer_files(&mut values).expect("whole").expect("there");
            assert_eq!((client.asks_callers, peer.asks_callers), want, "{args:?}");
        }
    }

    #[test]
    fn urls_and_certificates_agree() {
        for (args, client, peer, want) in [
            (&["-listen-client-urls=https://h:1"][..], true, false, ""),
            (&["-listen-client-urls=http://h:1,https://h:2"], false, false, "-cert-file"),
            (&["-advertise-client-urls=http://h:1"], true, false, "https is wanted"),
            (&["-initial-cluster=a=https://h:1,b=https://h:2"], false, true, ""),
            (&["-initial-cluster=a=https://h:1,b=http://h:2"], false, true, "b=http://h:2"),
            (&["-initial-cluster=a=https://h:1"], true, false, "-peer-cert-file"),
            (&["-listen-peer-urls=https://h:1"], true, false, "-peer-key-file"),
            (&["-initial-advertise-peer-urls=http://h:1"], true, true, "https is wanted"),
        ] {
            let result = check_urls(&values(args), client, peer).map_err(|usage| usage.0);
            match result {
                Ok(()) => assert_eq!(want, "", "{args:?}"),
                Err(error) => {
                    assert!(!want.is_empty() && error.contains(want), "{args:?}: {error}")
                }
            }
        }
    }
}
