//! Certificates that servers make themselves.

use super::client::Client;
use super::{is_other, talk};
use crate::cluster::kit::{Cluster, PATIENCE, sites};
use crate::testkit::{Request, Site, ask, wait_until};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A client that was given a copy of the certificate.
fn client(file: &Path) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let bytes = std::fs::read(file).unwrap();
    roots.add(CertificateDer::from_pem_slice(&bytes).unwrap()).unwrap();
    assert!(PrivateKeyDer::from_pem_slice(&bytes).is_ok());
    ClientConfig::builder_with_provider(std::sync::Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_root_certificates(roots)
    .with_no_client_auth()
}

#[test]
fn clients_are_served_with_a_certificate_that_is_kept() {
    if is_other() {
        return;
    }
    let site = Site::new("tls-auto").flags("-auto-tls");
    let file = site.data_dir().join("auto-tls-client.pem");
    let mut kept = String::new();
    for start in 0..3 {
        let server = site.spawn();
        wait_until("it listens", PATIENCE, || {
            file.exists() && std::net::TcpStream::connect(site.addr()).is_ok()
        });
        let mut client = Client::ready_with(site.addr(), || client(&file));
        let status = client.ask("PUT", "/v2/keys/a", "value=1").0;
        assert!(status == 200 || status == 201, "{status}");
        assert!(client.ask("GET", "/v2/machines", "").1.contains("https://127.0.0.1"));
        let told = talk(site.addr(), b"GET /v2/keys/a HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(told.ends_with("Client sent an HTTP request to an HTTPS server.\n"), "{told}");
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(&file).unwrap();
        // The third start finds nothing that it can use, and makes another one.
        assert_eq!(kept == text, start == 1, "start {start}");
        server.log_with("-auto-tls encrypts without saying who is there");
        kept = text;
        assert_eq!(server.terminate().code(), Some(0));
        if start == 1 {
            std::fs::write(&file, "-----BEGIN CERTIFICATE-----\n").unwrap();
        }
    }
    assert!(site.run_check().contains("sound"), "a check passes the file over");
}

impl Site {
    fn run_check(&self) -> String {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_stead"));
        let output = command.arg("check").arg("-data-dir").arg(self.data_dir()).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

#[test]
fn machines_take_one_another_s_certificates_and_the_secret_still_counts() {
    if is_other() {
        return;
    }
    let flags = "-peer-auto-tls -peer-token 0123456789abcdef0123456789abcdef";
    let mut all = sites("tls-auto-peer", 3, flags);
    let founder = all[0].peer_addr();
    for site in all.iter_mut().skip(1) {
        site.set_flags(&format!("{flags} -peers {founder}"));
    }
    let cluster = Cluster::of(all, &[0, 1, 2]);
    for machine in &cluster.machines {
        let put = Request::put(&format!("/v2/keys/{}", machine.site.name()), "value=1");
        assert_eq!(ask(machine.addr(), &put).status(), 201);
        let leader = ask(machine.addr(), &Request::get("/v2/leader")).text();
        assert!(leader.starts_with("https://127.0.0.1:"), "{leader}");
        assert!(machine.site.data_dir().join("auto-tls-peer.pem").exists());
        let peer = machine.site.peer_addr();
        let told = talk(peer, b"GET /v2/peer/stream?version=1 HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(told.ends_with("Client sent an HTTP request to an HTTPS server.\n"), "{told}");
    }
    cluster.wait_equal();
    let stranger = Site::new("tls-auto-stranger").named("m3").flags(&format!(
        "-peer-auto-tls -peer-token fedcba9876543210fedcba9876543210 -peers {founder} \
         -max-retry-attempts 1 -retry-interval 0.3"
    ));
    let (status, text) = stranger.run_to_end();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.contains("secret"), "{text}");
}
