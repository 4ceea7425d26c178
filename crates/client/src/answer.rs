//! Answers as bytes, and what went wrong with those that did not come, in words.

use crate::failure::Fault;
use rustls::AlertDescription;
use std::io::{self, Read};
use ureq::Body;
use ureq::http::HeaderMap;

/// `X-Etcd-Index`; 0 where there is none.
pub(crate) fn index_of(headers: &HeaderMap) -> u64 {
    let text = headers.get("x-etcd-index").and_then(|value| value.to_str().ok());
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Why a body is not there.
pub(crate) enum Unread {
    TooLong,
    Broken(String),
}

/// Reads a body of at most `max` bytes.
///
/// # Errors
/// [`Unread`].
pub(crate) fn read_body(body: Body, max: u64) -> Result<Vec<u8>, Unread> {
    let mut bytes = Vec::new();
    let mut reader = body.into_reader().take(max + 1);
    reader.read_to_end(&mut bytes).map_err(|error| Unread::Broken(broken(&error)))?;
    let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if len > max { Err(Unread::TooLong) } else { Ok(bytes) }
}

/// Why a body ended too early, in words.
pub(crate) fn broken(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>()) {
        Some(inner) => explain(inner),
        None => without_number(error),
    }
}

/// What went wrong with a call, in words.
pub(crate) fn explain(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
            io::ErrorKind::UnexpectedEof => "the connection was closed".to_owned(),
            io::ErrorKind::ConnectionReset => "the connection was reset".to_owned(),
            _ => without_number(error),
        },
        ureq::Error::HostNotFound => "no such host".to_owned(),
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
            "no connection in time".to_owned()
        }
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        other => other.to_string(),
    }
}

/// The same for others than people.
pub(crate) fn fault(error: &ureq::Error) -> Fault {
    match error {
        ureq::Error::HostNotFound
        | ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
            Fault::NoConnection
        }
        ureq::Error::Timeout(_) => Fault::NoAnswer,
        ureq::Error::Io(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => {
                Fault::NoConnection
            }
            _ => Fault::Other,
        },
        _ => Fault::Other,
    }
}

/// Whether a server refused the certificate of this side, or that there is none. With TLS 1.3 that
/// comes behind the first request, which it has not read.
pub(crate) fn is_refused_certificate(error: &ureq::Error) -> bool {
    let inner = match error {
        ureq::Error::Rustls(inner) => Some(inner),
        ureq::Error::Io(error) => error.get_ref().and_then(|inner| inner.downcast_ref()),
        _ => None,
    };
    let Some(rustls::Error::AlertReceived(alert)) = inner else { return false };
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::HandshakeFailure
    )
}

/// The message of an error of the system, without its number.
fn without_number(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
