//! The server side of TLS at a port: certificate, key, and the authorities of accepted client
//! certificates.

use super::verifier::CallerVerifier;
use super::{Expiry, Kept, pem, provider};
use crate::config::TlsFiles;
use crate::error::StartError;
use crate::notice::notice;
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use std::sync::Arc;

/// The certificates of a port. New connections use new ones as soon as the files change.
pub(crate) type Acceptor = Kept<ServerConfig>;

impl Acceptor {
    /// # Errors
    /// [`StartError::Tls`] with the file that cannot be used.
    pub(crate) fn open(files: TlsFiles) -> Result<Self, StartError> {
        Self::of(files, load)
    }

    /// Reloads the files if they have changed, or in any case if `is_wanted`; files that cannot be
    /// used change nothing. Says whether there are new ones.
    pub(crate) fn refresh(&mut self, is_wanted: bool) -> bool {
        let renewed = self.renew(is_wanted);
        let is_new = matches!(renewed, Some(Ok(())));
        match renewed {
            None => {}
            Some(Ok(())) => {
                let file = self.files().cert.display();
                notice!(CertificateLoaded, "", "{file}");
            }
            Some(Err(error)) => {
                notice!(CertificateUnusable, &error, "{error}; keeping the one in use");
            }
        }
        is_new
    }

    /// When the certificate in the file ends, as far as that can be told.
    pub(super) fn expiry(&self) -> Option<Expiry> {
        let file = &self.files().cert;
        Expiry::of(file, &pem::certificates(file).ok()?)
    }
}

pub(super) fn load(files: &TlsFiles) -> Result<Arc<ServerConfig>, String> {
    let chain = pem::certificates(&files.cert)?;
    let key = pem::key(&files.key)?;
    let provider = provider::of(files);
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    // A file of authorities that is not used for verification is read all the same: a mistake in it
    // is better known before it matters.
    let roots = match &files.ca {
        Some(path) => Some((path, pem::store(path, pem::certificates(path)?)?)),
        None => None,
    };
    let builder = match roots.filter(|_| files.asks_callers) {
        None => builder.with_no_client_auth(),
        Some((path, roots)) => {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            let verifier = verifier.map_err(|error| format!("{}: {error}", path.display()))?;
            builder.with_client_cert_verifier(Arc::new(CallerVerifier(verifier)))
        }
    };
    let (cert, key_file) = (files.cert.display(), files.key.display());
    let mut config = builder.with_single_cert(chain, key).map_err(|error| {
        format!(
            "the key in {key_file} does not match the certificate in {cert}: \
                                  {error}"
        )
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
