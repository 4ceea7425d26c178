//! What a port shows to its clients: certificate, key, and whose certificates it takes.

use crate::config::TlsFiles;
use crate::error::StartError;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// The certificates of a port. New connections use new ones as soon as the files change.
#[derive(Debug)]
pub(crate) struct Acceptor {
    files: TlsFiles,
    config: Arc<ServerConfig>,
    /// When the files were last written, as far as that can be told.
    written: Vec<Option<SystemTime>>,
}

impl Acceptor {
    /// # Errors
    /// [`StartError::Tls`] with the file that cannot be used.
    pub(crate) fn open(files: TlsFiles) -> Result<Self, StartError> {
        let written = written(&files);
        let config = load(&files).map_err(StartError::Tls)?;
        Ok(Self { files, config, written })
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }

    /// Takes the files anew if they have changed; files that cannot be used change nothing.
    pub(crate) fn refresh(&mut self) {
        let written = written(&self.files);
        if written == self.written {
            return;
        }
        self.written = written;
        match load(&self.files) {
            Ok(config) => {
                self.config = config;
                let file = self.files.cert.display();
                tracing::info!(%file, "the certificate was read again");
            }
            Err(error) => tracing::error!(error, "the certificate in use is kept"),
        }
    }
}

fn written(files: &TlsFiles) -> Vec<Option<SystemTime>> {
    let stamp = |path: &Path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
    [Some(&files.cert), Some(&files.key), files.ca.as_ref()]
        .into_iter()
        .map(|path| path.and_then(|path| stamp(path)))
        .collect()
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    match found {
        Ok(found) if found.is_empty() => {
            Err(format!("{}: there is no PEM certificate in it", path.display()))
        }
        Ok(found) => Ok(found),
        Err(error) => Err(format!("{}: not a PEM file: {error}", path.display())),
    }
}

fn load(files: &TlsFiles) -> Result<Arc<ServerConfig>, String> {
    let chain = certificates(&files.cert)?;
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?)
        .map_err(|error| format!("{}: no private key in PEM: {error}", files.key.display()))?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match &files.ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let bad = |error: String| format!("{}: {error}", path.display());
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| bad(error.to_string()))?;
            }
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| bad(error.to_string()))?)
        }
    };
    let (cert, key_file) = (files.cert.display(), files.key.display());
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| format!("{cert} and {key_file} do not make a pair: {error}"))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
