//! What this machine shows to members that it calls, and which of them it believes.
//!
//! The loop's own connections take a [`Dialer`]; the threads that join and stand by call through
//! `ureq`, which is given the same by [`calls`].

use super::{Kept, pem, provider};
use crate::config::TlsFiles;
use crate::error::StartError;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::path::Path;
use std::sync::Arc;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig, TlsConfigBuilder};

/// The certificates of outgoing connections.
pub(crate) type Dialer = Kept<ClientConfig>;

impl Dialer {
    /// # Errors
    /// [`StartError::Tls`] with the file that cannot be used.
    pub(crate) fn open(files: TlsFiles) -> Result<Self, StartError> {
        Self::of(files, load)
    }

    /// As [`super::Acceptor::refresh`]. Invalid files are reported there, since the files are the
    /// same.
    pub(crate) fn refresh(&mut self, is_wanted: bool) {
        if let Some(Err(error)) = self.renew(is_wanted) {
            tracing::debug!(
                error,
                "cannot reload the certificates for peers: keeping those in \
                                    use"
            );
        }
    }
}

fn load(files: &TlsFiles) -> Result<Arc<ClientConfig>, String> {
    let provider = provider::of(files);
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = if files.trusts_anyone() {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider)))
    } else {
        builder.with_root_certificates(roots(files)?)
    };
    let (cert, key) = (files.cert.display(), files.key.display());
    let mut config = builder
        .with_client_auth_cert(pem::certificates(&files.cert)?, pem::key(&files.key)?)
        .map_err(|error| {
            format!("the key in {key} does not match the certificate in {cert}: {error}")
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Who is believed.
fn roots(files: &TlsFiles) -> Result<RootCertStore, String> {
    let authorities = pem::authorities(files)?;
    match &files.ca {
        Some(path) => pem::store(path, authorities),
        None => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(authorities);
            Ok(roots)
        }
    }
}

/// Takes every certificate: of those that machines make themselves none can be verified. That the
/// other side has its key is verified all the same.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// The same for calls of a thread to members; without files for calls to other servers, which are
/// verified against the system's authorities and is shown nothing.
///
/// # Errors
/// The file that cannot be used, in a sentence.
pub(crate) fn calls(files: Option<&TlsFiles>) -> Result<TlsConfig, String> {
    let Some(files) = files else { return Ok(config_of(&pem::system_certificates()?, None)) };
    // The pair is checked here: `ureq` would find out in the middle of a call.
    load(files)?;
    let shown = Some(pair(&files.cert, &files.key)?);
    if files.trusts_anyone() {
        return Ok(builder(shown).disable_verification(true).build());
    }
    Ok(config_of(&pem::authorities(files)?, shown))
}

/// The same for a client: `ca` has the authorities to be believed, where that are not the system's,
/// and `shown` the certificate and the key to be shown, if any.
///
/// # Errors
/// The file that cannot be used, in a sentence.
pub(crate) fn for_client(
    ca: Option<&Path>,
    shown: Option<(&Path, &Path)>,
) -> Result<TlsConfig, String> {
    let authorities = ca.map_or_else(pem::system_certificates, pem::certificates)?;
    let shown = shown.map(|(cert, key)| pair(cert, key)).transpose()?;
    Ok(config_of(&authorities, shown))
}

fn pair(cert: &Path, key: &Path) -> Result<ClientCert, String> {
    let chain = pem::certificates(cert)?;
    let chain: Vec<_> = chain.iter().map(|one| Certificate::from_der(one).to_owned()).collect();
    let named = |error: &dyn std::fmt::Display| format!("cannot use {}: {error}", key.display());
    let bytes = std::fs::read(key).map_err(|error| named(&error))?;
    let key = PrivateKey::from_pem(&bytes).map_err(|error| named(&error))?;
    Ok(ClientCert::new_with_certs(&chain, key))
}

fn config_of(authorities: &[CertificateDer<'_>], shown: Option<ClientCert>) -> TlsConfig {
    let roots: Vec<_> =
        authorities.iter().map(|one| Certificate::from_der(one).to_owned()).collect();
    builder(shown).root_certs(RootCerts::new_with_certs(&roots)).build()
}

fn builder(shown: Option<ClientCert>) -> TlsConfigBuilder {
    TlsConfig::builder()
        .client_cert(shown)
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
}
