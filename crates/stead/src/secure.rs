//! Which files make a port speak TLS, and whether the URLs agree with them.
//!
//! Half of a configuration would leave a port open that was meant to be closed, so it is refused.
//! The flags of 2.x separate what those of 0.4 combine: a file of authorities there asks no client
//! for a certificate yet (docs/spec/cli.md sections 5 and 7).

use crate::setting::Flag;
use crate::source::{Source, Usage, Values};
use server::config::{Secret, TlsFiles};
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The flags of a port.
struct Names {
    cert: Flag,
    key: Flag,
    ca: Flag,
    trusted_ca: Flag,
    asks: Flag,
    auto: Flag,
    /// Where a certificate that the server makes is kept.
    auto_file: &'static str,
}

const CLIENT: Names = Names {
    cert: Flag::CertFile,
    key: Flag::KeyFile,
    ca: Flag::CaFile,
    trusted_ca: Flag::TrustedCaFile,
    asks: Flag::ClientCertAuth,
    auto: Flag::AutoTls,
    auto_file: "auto-tls-client.pem",
};

const PEER: Names = Names {
    cert: Flag::PeerCertFile,
    key: Flag::PeerKeyFile,
    ca: Flag::PeerCaFile,
    trusted_ca: Flag::PeerTrustedCaFile,
    asks: Flag::PeerClientCertAuth,
    auto: Flag::PeerAutoTls,
    auto_file: "auto-tls-peer.pem",
};

/// Where a certificate that the server makes is kept, and what a port is called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) data_dir: &'a Path,
    /// Names and addresses.
    pub(crate) hosts: &'a [String],
}

/// The files for TLS on the ports for clients.
///
/// # Errors
/// [`Usage`] when something is missing, or there twice.
pub(crate) fn client_files(values: &mut Values, at: &Place<'_>) -> Result<Option<TlsFiles>, Usage> {
    let found = files_or_auto(values, &CLIENT, at)?;
    if let Some(TlsFiles { ca: Some(_), asks_callers: false, .. }) = found {
        let note = "clients need no certificate: -client-cert-auth is not set";
        values.notes.push(note.to_owned());
    }
    Ok(found)
}

/// The files for TLS between machines.
///
/// # Errors
/// As [`client_files`].
pub(crate) fn peer_files(
    values: &mut Values,
    token: &Secret,
    at: &Place<'_>,
) -> Result<Option<TlsFiles>, Usage> {
    let found = files_or_auto(values, &PEER, at)?;
    if found.as_ref().is_some_and(|files| !files.asks_callers) && token.is_none() {
        let note = "anyone who reaches the peer port may join and administer the cluster: neither \
                    a certificate nor -peer-token is required";
        values.notes.push(note.to_owned());
    }
    Ok(found)
}

/// Longest file with a secret, in bytes.
const TOKEN_FILE_MAX: u64 = 4096;

/// A secret that is shorter can be found by trying, by anyone who hears two machines meet.
const TOKEN_BYTES_MIN: usize = 16;

/// The secret that machines share.
///
/// # Errors
/// [`Usage`] when it cannot be read, or cannot be one.
pub(crate) fn token(values: &mut Values) -> Result<Secret, Usage> {
    let (word, source) = values.get(Flag::PeerToken);
    let path = values.get(Flag::PeerTokenFile).0.to_owned();
    let mut word = word.to_owned();
    if !path.is_empty() {
        if !word.is_empty() {
            let why = "-peer-token and -peer-token-file mean the same: give one of them";
            return Err(Usage(why.to_owned()));
        }
        let (found, is_open) = read_token(&path)
            .map_err(|error| Usage(format!("-peer-token-file: cannot read {path}: {error}")))?;
        if is_open {
            values.notes.push(format!(
                "other users can read {path}: protect the secret with `chmod 600 \
                               {path}`"
            ));
        }
        word = found;
    } else if !word.is_empty() && source == Source::Flag {
        let note = "-peer-token on the command line is visible in the list of processes: use \
                    -peer-token-file, or STEAD_PEER_TOKEN in the environment";
        values.notes.push(note.to_owned());
    }
    if word.chars().any(char::is_control) || word.trim() != word {
        return Err(Usage(
            "the secret of -peer-token must be one line, without blanks around it".to_owned(),
        ));
    }
    if !word.is_empty() && word.len() < TOKEN_BYTES_MIN {
        values.notes.push(format!(
            "the secret of -peer-token is shorter than {TOKEN_BYTES_MIN} characters: anyone who \
             records a handshake can find it by brute force; `openssl rand -hex 32` makes a good \
             one"
        ));
    }
    Ok(Secret::new(word))
}

/// What is in the file, and whether others than its owner can read it.
fn read_token(path: &str) -> io::Result<(String, bool)> {
    let file = std::fs::File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = String::new();
    file.take(TOKEN_FILE_MAX + 1).read_to_string(&mut text)?;
    let word = text.strip_suffix('\n').unwrap_or(&text);
    let word = word.strip_suffix('\r').unwrap_or(word);
    if word.is_empty() {
        return Err(io::Error::other("it is empty"));
    }
    if text.len() as u64 > TOKEN_FILE_MAX {
        return Err(io::Error::other(format!("it is longer than {TOKEN_FILE_MAX} bytes")));
    }
    Ok((word.to_owned(), metadata.permissions().mode() & 0o077 != 0))
}

/// The secret in a file that a command names.
///
/// # Errors
/// Why it cannot be had, in a sentence.
pub(crate) fn read_secret(path: &str) -> Result<String, String> {
    let read = read_token(path).map_err(|error| format!("cannot read {path}: {error}"));
    read.map(|(secret, _)| secret)
}

/// The warning at every start: whether anyone who reaches the peer port can join the cluster and
/// change everything in it.
///
/// # Errors
/// [`Usage`] when that was not to be.
pub(crate) fn exposure(
    values: &mut Values,
    binds: &[SocketAddr],
    tls: Option<&TlsFiles>,
    token: &Secret,
) -> Result<Vec<String>, Usage> {
    let is_guarded = tls.is_some_and(|files| files.asks_callers) || !token.is_none();
    let open: Vec<String> = binds
        .iter()
        .filter(|bind| !bind.ip().to_canonical().is_loopback())
        .map(SocketAddr::to_string)
        .collect();
    if is_guarded || open.is_empty() {
        return Ok(Vec::new());
    }
    let at = open.join(" and ");
    let remedy = "give all machines the same -peer-token-file, or set -peer-cert-file, \
                  -peer-key-file and -peer-ca-file, or a -peer-addr on loopback (docs/security.md)";
    if values.is_set(Flag::RequireSecure) {
        return Err(Usage(format!(
            "-require-secure: anyone who reaches {at} could join the cluster and change \
             everything in it: {remedy}"
        )));
    }
    let warning = format!(
        "WARNING: ANYBODY WHO REACHES {at} CAN JOIN THIS CLUSTER, REMOVE ITS MACHINES AND CHANGE \
         EVERY KEY: {remedy}"
    );
    values.notes.push(warning.clone());
    Ok(vec![warning])
}

/// The files that are named, or that of a certificate that the server is to make.
fn files_or_auto(
    values: &mut Values,
    names: &Names,
    at: &Place<'_>,
) -> Result<Option<TlsFiles>, Usage> {
    let Names { cert, key, auto, .. } = *names;
    let is_given = |flag: Flag| !values.get(flag).0.is_empty();
    if !values.is_set(auto) {
        return files(values, names);
    }
    if is_given(cert) || is_given(key) {
        let found = files(values, names);
        values.notes.push(format!("-{auto} is passed over: -{cert} is set"));
        return found;
    }
    let ca = [names.ca, names.trusted_ca].into_iter().find(|flag| is_given(*flag));
    if let (Flag::PeerAutoTls, Some(ca)) = (auto, ca) {
        return Err(Usage(format!(
            "-{auto} and -{ca}: a certificate that a machine makes itself is signed by no \
             authority: give -{cert} and -{key} as well, or leave -{ca} out"
        )));
    }
    let asks_default = values.get(names.asks).1 == Source::Default;
    let asks_callers = if asks_default { is_given(names.ca) } else { values.is_set(names.asks) };
    if asks_callers && ca.is_none() {
        return Err(Usage(format!("-{} requires -{} as well", names.asks, names.trusted_ca)));
    }
    let ca = ca.map(|flag| PathBuf::from(values.get(flag).0));
    let file = at.data_dir.join(names.auto_file);
    let (auto, suites) = (Some(at.hosts.to_vec()), suites(values)?);
    let note = format!(
        "-{} encrypts without saying who is there: nobody can verify the certificate, so that who \
         is in the way can read and change everything (docs/security.md)",
        names.auto
    );
    values.notes.push(note);
    Ok(Some(TlsFiles { cert: file.clone(), key: file, ca, asks_callers, auto, suites }))
}

/// The suites of TLS 1.2 that are to be offered.
fn suites(values: &Values) -> Result<Option<Vec<String>>, Usage> {
    let wanted = values.list(Flag::CipherSuites);
    if wanted.is_empty() {
        return Ok(None);
    }
    let known = server::suites();
    // Those of TLS 1.3 are offered anyway.
    let is_new = |name: &str| name.starts_with("TLS_AES_") || name.starts_with("TLS_CHACHA20_");
    match wanted.iter().find(|name| !known.contains(name) && !is_new(name)) {
        Some(name) => Err(Usage(format!(
            "-cipher-suites: {name} is not supported: choose from {}",
            known.join(", ")
        ))),
        None => Ok(Some(wanted)),
    }
}

fn files(values: &Values, names: &Names) -> Result<Option<TlsFiles>, Usage> {
    let Names { cert, key, ca, trusted_ca, asks, .. } = *names;
    let path =
        |flag: Flag| Some(values.get(flag).0).filter(|path| !path.is_empty()).map(PathBuf::from);
    let needs = |flag: Flag, missing: String| {
        Err(Usage(format!(
            "-{flag} requires {missing} as \
                                                                 well"
        )))
    };
    let (authorities, named) = match (path(ca), path(trusted_ca)) {
        (Some(one), Some(other)) if one != other => {
            return Err(Usage(format!("-{ca} and -{trusted_ca} mean the same: give one of them")));
        }
        (Some(one), _) => (Some(one), ca),
        (None, other) => (other, trusted_ca),
    };
    let is_default = values.get(asks).1 == Source::Default;
    let asks_callers = if is_default { path(ca).is_some() } else { values.is_set(asks) };
    if asks_callers && authorities.is_none() {
        return needs(asks, format!("-{trusted_ca}"));
    }
    match (path(cert), path(key)) {
        (Some(cert), Some(key)) => Ok(Some(TlsFiles {
            cert,
            key,
            ca: authorities,
            asks_callers,
            auto: None,
            suites: suites(values)?,
        })),
        (Some(_), None) => needs(cert, format!("-{key}")),
        (None, Some(_)) => needs(key, format!("-{cert}")),
        (None, None) if authorities.is_some() => needs(named, format!("-{cert} and -{key}")),
        (None, None) => Ok(None),
    }
}

/// Holds the schemes of URLs of machines against the certificates that there are. Those of ports
/// for clients are checked with the ports.
///
/// # Errors
/// [`Usage`] with a URL that says something else.
pub(crate) fn check_urls(values: &Values, is_secure: bool) -> Result<(), Usage> {
    for flag in [Flag::ListenPeerUrls, Flag::InitialAdvertisePeerUrls, Flag::InitialCluster] {
        for item in values.list(flag) {
            // NAME=URL where machines are listed.
            let url = item.rsplit('=').next().unwrap_or_default();
            let (cert, key) = (PEER.cert, PEER.key);
            match (url.starts_with("https://"), is_secure) {
                (true, false) => {
                    return Err(Usage(format!(
                        "-{flag}: {item}: https requires -{cert} and \
                                              -{key}"
                    )));
                }
                (false, true) => {
                    return Err(Usage(format!(
                        "-{flag}: {item}: expected https, since -{cert} is set"
                    )));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
