//! Whether a caller's certificate is accepted, and what the caller is told if it is not.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use std::sync::Arc;

/// The rules of another verifier, with the alert `bad_certificate` where the signature of an
/// accepted authority does not verify: so RFC 8446 (section 6.2) names it, and so it reaches
/// clients of the original. The library's own is `decrypt_error`, which is about the handshake.
#[derive(Debug)]
pub(super) struct CallerVerifier(pub(super) Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for CallerVerifier {
    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.0.verify_client_cert(end_entity, intermediates, now);
        verified.map_err(|error| match error {
            Error::InvalidCertificate(CertificateError::BadSignature) => {
                tracing::debug!("a caller's certificate is not signed by the authority it names");
                Error::InvalidCertificate(CertificateError::BadEncoding)
            }
            error => error,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// An error of a handshake in words for a log. What [`CallerVerifier`] says is translated back.
pub(crate) fn explain(error: &std::io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        Some(Error::InvalidCertificate(CertificateError::BadEncoding)) => {
            "invalid peer certificate: it cannot be read, or is not signed by the authority that \
             it names"
                .to_owned()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn the_log_does_not_take_a_wrong_signature_for_bad_encoding_alone() {
        let wrapped = |error| io::Error::new(io::ErrorKind::InvalidData, Error::from(error));
        let text = explain(&wrapped(CertificateError::BadEncoding));
        assert!(text.contains("not signed by the authority"), "{text}");
        let other = wrapped(CertificateError::Expired);
        assert_eq!(explain(&other), other.to_string());
        let plain = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(explain(&plain), plain.to_string());
    }
}
