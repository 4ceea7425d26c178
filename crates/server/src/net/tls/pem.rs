//! Certificates and keys in files.

use crate::config::TlsFiles;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Where systems keep all authorities in one file: Debian and Arch, Fedora, SUSE, Alpine.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Where they keep each of them in a file of its own.
const FOLDER: &str = "/etc/ssl/certs";

/// When the files were last written, as far as that can be told.
pub(super) fn written(files: &TlsFiles) -> Vec<Option<SystemTime>> {
    let stamp = |path: &Path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
    [Some(&files.cert), Some(&files.key), files.ca.as_ref()]
        .into_iter()
        .map(|path| path.and_then(|path| stamp(path)))
        .collect()
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    match found {
        Ok(found) if found.is_empty() => {
            Err(format!("{}: no PEM certificate found", path.display()))
        }
        Ok(found) => Ok(found),
        Err(error) => Err(format!("{}: not a PEM file: {error}", path.display())),
    }
}

pub(super) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(&read(path)?)
        .map_err(|error| format!("{}: no PEM private key found: {error}", path.display()))
}

/// Certificates as something to hold others against.
pub(super) fn store(
    path: &Path,
    certificates: Vec<CertificateDer<'static>>,
) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(roots)
}

/// The authorities that the system trusts. What cannot be read among them is left out.
pub(super) fn system_certificates() -> Result<Vec<CertificateDer<'static>>, String> {
    if let Some(found) = BUNDLES.iter().find_map(|path| certificates(Path::new(path)).ok()) {
        return Ok(found);
    }
    let folder = std::fs::read_dir(FOLDER).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = folder.map(|entry| entry.path()).collect();
    paths.sort();
    let mut found: Vec<_> =
        paths.iter().filter_map(|path| certificates(path).ok()).flatten().collect();
    found.dedup();
    match found.is_empty() {
        true => Err(format!("cannot read the system's certificate authorities from {FOLDER}")),
        false => Ok(found),
    }
}

/// Whom this machine believes when it calls: the authorities of `files`, or those of the system.
pub(super) fn authorities(files: &TlsFiles) -> Result<Vec<CertificateDer<'static>>, String> {
    match &files.ca {
        Some(path) => certificates(path),
        None => system_certificates()
            .map_err(|error| format!("{error}: set -peer-ca-file to the authorities of the peers")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_or_key_is_refused_with_its_name() {
        let folder = std::env::temp_dir().join(format!("stead-pem-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("made");
        let path = folder.join("some.pem");
        let begun = "-----BEGIN CERTIFICATE-----\nMIIB\n";
        let closed = "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n";
        for content in ["", "nothing", begun, closed, &"-".repeat(1 << 16), "\0\u{1}\n"] {
            std::fs::write(&path, content).expect("written");
            for error in [certificates(&path).err(), key(&path).err()] {
                assert!(error.expect("no PEM").contains("some.pem"), "{content:.40}");
            }
        }
        // Well-formed PEM around an invalid certificate.
        std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
            .expect("written");
        let found = certificates(&path).expect("PEM");
        assert!(store(&path, found).expect_err("no certificate").contains("some.pem"));
        let gone = folder.join("gone.pem");
        assert!(key(&gone).expect_err("missing").contains("cannot read"));
        std::fs::remove_dir_all(&folder).expect("removed");
    }
}
