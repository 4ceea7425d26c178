//! Certificates and keys in files, for connections over TLS.

use crate::options::Options;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

/// Where systems keep all authorities in one file: Debian and Arch, Fedora, SUSE, Alpine.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// A file of a flag, or else of a variable of etcdctl.
fn file(flag: Option<&PathBuf>, variable: &str) -> Option<PathBuf> {
    let set = || std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    flag.cloned().or_else(set)
}

/// What is believed and shown over TLS.
///
/// # Errors
/// The file that cannot be used, in a sentence.
pub(crate) fn config(options: &Options) -> Result<TlsConfig, String> {
    let ca = file(options.ca_file.as_ref(), "ETCDCTL_CA_FILE");
    let cert = file(options.cert_file.as_ref(), "ETCDCTL_CERT_FILE");
    let key = file(options.key_file.as_ref(), "ETCDCTL_KEY_FILE");
    let authorities = match ca {
        Some(ca) => certificates(&ca)?,
        None => system_certificates()?,
    };
    let shown = match (cert, key) {
        (None, None) => None,
        (Some(cert), Some(key)) => {
            let chain = certificates(&cert)?;
            Some(ClientCert::new_with_certs(&chain, private_key(&key)?))
        }
        _ => return Err("--cert and --key belong together".to_owned()),
    };
    Ok(TlsConfig::builder()
        .client_cert(shown)
        .root_certs(RootCerts::new_with_certs(&authorities))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build())
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, String> {
    let bytes = read(path)?;
    let mut found = Vec::new();
    for item in parse_pem(&bytes) {
        match item {
            Ok(PemItem::Certificate(certificate)) => found.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(format!("{}: not a PEM file: {error}", path.display())),
        }
    }
    match found.is_empty() {
        true => Err(format!("{}: no PEM certificate found", path.display())),
        false => Ok(found),
    }
}

fn private_key(path: &Path) -> Result<PrivateKey<'static>, String> {
    PrivateKey::from_pem(&read(path)?)
        .map_err(|error| format!("{}: no PEM private key found: {error}", path.display()))
}

fn system_certificates() -> Result<Vec<Certificate<'static>>, String> {
    let found = BUNDLES.iter().find_map(|path| certificates(Path::new(path)).ok());
    found.ok_or_else(|| {
        "cannot find the system's certificate authorities: give --cacert FILE".to_owned()
    })
}
