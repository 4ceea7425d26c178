//! Certificates that a server makes itself (`-auto-tls`, `-peer-auto-tls`). They encrypt and do not
//! tell who is there: nobody can verify them but those who were given a copy.
//!
//! Certificate and key are one file in the data directory, so that they are replaced together.

use super::expiry::not_after;
use super::pem;
use crate::config::{Config, TlsFiles};
use crate::error::StartError;
use crate::notice::notice;
use crate::sys::disk::DataDir;
use rcgen::{CertificateParams, DnType, KeyPair};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// The first line of the file: what is outside of the blocks is passed over by every reader.
const VERSION: &str = "stead auto-tls 1";

/// How many years a certificate is valid.
const YEARS: i64 = 10;

/// A start renews what ends within this time: 1 year.
const RENEWED_SECS: u64 = 365 * 86_400;

/// Makes the certificates that are to be made, unless they are there.
///
/// # Errors
/// [`StartError::Tls`] with the file that cannot be written.
pub(crate) fn prepare(config: &Config, data_dir: &DataDir) -> Result<(), StartError> {
    for files in [&config.client_tls, &config.peer_tls].into_iter().flatten() {
        let Some(hosts) = &files.auto else { continue };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if is_good(&files.cert, hosts, now) {
            continue;
        }
        let failed = |why: String| StartError::Tls(format!("{}: {why}", files.cert.display()));
        let text = make(hosts, &config.name, now).map_err(|error| failed(error.to_string()))?;
        let name = files.cert.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        data_dir.keep(name, &text).map_err(|error| failed(error.to_string()))?;
        notice!(CertificateMade, "", "{}, for {}", files.cert.display(), hosts.join(", "));
    }
    Ok(())
}

/// Whether the file has a usable pair for these hosts, which is still valid for a while.
fn is_good(path: &Path, hosts: &[String], now: u64) -> bool {
    let Ok(text) = std::fs::read_to_string(path) else { return false };
    let is_for_hosts = text.lines().next() == Some(head(hosts).as_str());
    let ends = pem::certificates(path).ok().and_then(|chain| not_after(chain.first()?));
    let (cert, key) = (path.to_owned(), path.to_owned());
    let files = TlsFiles { cert, key, ..TlsFiles::default() };
    is_for_hosts
        && ends.is_some_and(|ends| ends > now.saturating_add(RENEWED_SECS))
        && super::acceptor::load(&files).is_ok()
}

fn head(hosts: &[String]) -> String {
    format!("{VERSION} {}", hosts.join(","))
}

/// Certificate and key for these hosts.
fn make(hosts: &[String], name: &str, now: u64) -> Result<String, rcgen::Error> {
    let mut params = CertificateParams::new(hosts.to_vec())?;
    params.distinguished_name.push(DnType::OrganizationName, "Stead");
    params.distinguished_name.push(DnType::CommonName, name);
    let year = crate::http::time::compact(now).get(..4).and_then(|year| year.parse().ok());
    let year: i64 = year.unwrap_or(1970);
    let at = |year: i64| rcgen::date_time_ymd(i32::try_from(year).unwrap_or(9999), 1, 1);
    // Clocks of machines may differ by more than a day when they have just been made.
    (params.not_before, params.not_after) = (at(year - 1), at(year + YEARS + 1));
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok(format!("{}\n{}{}", head(hosts), certificate.pem(), key.serialize_pem()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    const NOW: u64 = 1_796_056_113;

    #[test]
    fn a_certificate_is_kept_until_it_ends_or_is_for_other_hosts() {
        let dir = std::env::temp_dir().join(format!("stead-auto-{}", std::process::id()));
        let data_dir = DataDir::open(&dir).expect("a place for files");
        let path = dir.join("auto-tls-client.pem");
        let hosts = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        assert!(!is_good(&path, &hosts, NOW), "there is none");
        let text = make(&hosts, "m0", NOW).expect("it can be made");
        data_dir.keep("auto-tls-client.pem", &text).expect("the disk works");
        assert_eq!(std::fs::metadata(&path).expect("there").mode() & 0o777, 0o600);
        assert!(is_good(&path, &hosts, NOW));
        assert!(!is_good(&path, &hosts[..1], NOW), "for others");
        assert!(is_good(&path, &hosts, NOW + 9 * RENEWED_SECS));
        assert!(!is_good(&path, &hosts, NOW + 10 * RENEWED_SECS + 86_400), "soon to end");
        // Half of another one, or nothing that can be read.
        let other = make(&hosts, "m0", NOW).expect("it can be made");
        let at = |text: &str| text.find("-----BEGIN PRIVATE").expect("a key");
        let mixed = format!("{}{}", &text[..at(&text)], &other[at(&other)..]);
        for text in [&mixed, &text[..text.len() / 2], ""] {
            data_dir.keep("auto-tls-client.pem", text).expect("the disk works");
            assert!(!is_good(&path, &hosts, NOW), "{text:.30}");
        }
        std::fs::remove_dir_all(&dir).expect("it is ours");
    }
}
