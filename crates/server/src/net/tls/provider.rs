//! The cryptography of connections, and the suites that are offered.

use crate::config::TlsFiles;
use rustls::CipherSuite;
use rustls::crypto::{CryptoProvider, ring};
use std::sync::Arc;

/// What the connections of a port use. TLS 1.3 has no suites to choose from, as in Go.
pub(super) fn of(files: &TlsFiles) -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    if let Some(wanted) = &files.suites {
        provider.cipher_suites.retain(|suite| {
            let name = name_of(suite.suite());
            suite.tls13().is_some() || wanted.contains(&name)
        });
    }
    Arc::new(provider)
}

/// The names of the suites of TLS 1.2 that can be chosen.
pub fn suites() -> Vec<String> {
    let all = ring::default_provider().cipher_suites;
    let old = all.iter().filter(|suite| suite.tls13().is_none());
    old.map(|suite| name_of(suite.suite())).collect()
}

/// The registry's name of a suite.
fn name_of(suite: CipherSuite) -> String {
    suite.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_of_tls_1_2_are_chosen_by_the_names_of_the_registry() {
        let name = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256".to_owned();
        assert!(suites().contains(&name) && suites().len() > 3, "{:?}", suites());
        let files = TlsFiles { suites: Some(vec![name.clone()]), ..TlsFiles::default() };
        let chosen = of(&files).cipher_suites.clone();
        let old: Vec<_> = chosen.iter().filter(|suite| suite.tls13().is_none()).collect();
        assert_eq!(old.len(), 1);
        assert_eq!(name_of(old[0].suite()), name);
        assert!(chosen.len() > 1, "those of TLS 1.3 stay");
    }
}
