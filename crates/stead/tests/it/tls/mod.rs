//! TLS seen from outside: who is let in, and that HTTP is the same inside. Here the client port;
//! `peers.rs` and `trust.rs` are about machines, `crowd.rs` about many handshakes and large answers.

mod auto;
pub(crate) mod client;
mod crowd;
mod peers;
mod trust;

use crate::testkit::server::template;
use crate::testkit::{Site, wait_until};
use client::{Authority, Client};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

fn flags(site: &Site, with_ca: bool) -> String {
    let path = |name: &str| site.folder().join(name).display().to_string();
    let ca = if with_ca { format!("-ca-file={}", path("ca.pem")) } else { String::new() };
    format!("-cert-file={} -key-file={} {ca}", path("cert.pem"), path("key.pem"))
}

/// A site whose certificate `authority` signed.
fn site(label: &str, authority: &Authority, with_ca: bool) -> Site {
    let site = Site::new(label);
    authority.write_files(site.folder());
    let flags = flags(&site, with_ca);
    site.flags(&flags)
}

/// Another server's command line knows nothing of certificates.
pub(crate) fn is_other() -> bool {
    template().is_some()
}

/// Says something to a port and reads until it hangs up.
fn talk(addr: SocketAddr, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(addr).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    // A reset is an end as good as another.
    let _ = socket.read_to_end(&mut answer).inspect_err(|error| {
        assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "still open");
    });
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_client_reads_writes_and_watches() {
    if is_other() {
        return;
    }
    let authority = Authority::new();
    let site = site("tls-plain", &authority, false);
    let _server = site.spawn();
    let mut client = Client::ready(site.addr(), &authority);
    let body = format!("value={}", "x".repeat(1 << 20));
    assert_eq!(client.ask("PUT", "/v2/keys/big", &body).0, 201);
    let (status, answer) = client.ask("GET", "/v2/keys/big", "");
    assert_eq!(status, 200);
    assert!(answer.contains(&"x".repeat(1 << 20)));
    assert!(client.ask("GET", "/v2/machines", "").1.contains("https://127.0.0.1"));
    let mut watcher = Client::open(site.addr(), authority.client(false));
    watcher.send("GET", "/v2/keys/w?wait=true&waitIndex=1", "");
    assert_eq!(client.ask("PUT", "/v2/keys/w", "value=1").0, 201);
    assert!(watcher.receive().1.contains("\"value\":\"1\""));
    // Requests sent ahead are answered in their order.
    for n in 0..50 {
        client.send("PUT", &format!("/v2/keys/n{n}"), &format!("value={n}"));
    }
    for n in 0..50 {
        assert!(client.receive().1.contains(&format!("\"key\":\"/n{n}\"")));
    }
}

#[test]
fn only_a_certificate_of_the_authority_opens_a_guarded_port() {
    if is_other() {
        return;
    }
    let authority = Authority::new();
    let site = site("tls-guarded", &authority, true);
    let _server = site.spawn();
    let mut client = Client::ready_with(site.addr(), || authority.client(true));
    assert_eq!(client.ask("GET", "/v2/keys/", "").0, 200);
    for config in [authority.client(false), authority.client_of(&Authority::new())] {
        let mut stranger = Client::open(site.addr(), config);
        assert!(stranger.try_ask("GET", "/v2/keys/", "").is_err());
    }
}

/// Two authorities of one name: only the signature tells them apart.
#[test]
fn a_certificate_that_only_names_the_authority_is_called_a_bad_one() {
    if is_other() {
        return;
    }
    let (authority, namesake) = (Authority::named("one name"), Authority::named("one name"));
    let site = site("tls-namesake", &authority, true);
    let _server = site.spawn();
    Client::ready_with(site.addr(), || authority.client(true));
    let mut stranger = Client::open(site.addr(), authority.client_of(&namesake));
    let error = stranger.try_ask("GET", "/v2/keys/", "").unwrap_err();
    assert!(error.to_string().contains("BadCertificate"), "{error}");
}

#[test]
fn plain_http_is_told_and_garbage_is_cut_off() {
    if is_other() {
        return;
    }
    let authority = Authority::new();
    let site = site("tls-wrong", &authority, false);
    let _server = site.spawn();
    let mut client = Client::ready(site.addr(), &authority);
    let answer = talk(site.addr(), b"GET /v2/keys/ HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.0 400 Bad Request\r\n"), "{answer}");
    assert!(answer.ends_with("Client sent an HTTP request to an HTTPS server.\n"), "{answer}");
    assert_eq!(talk(site.addr(), &[0; 100]), "");
    talk(site.addr(), &[22, 3, 1, 0, 4, 9, 9, 9, 9]);
    assert_eq!(client.ask("GET", "/v2/keys/", "").0, 200);
}

#[test]
fn new_files_are_used_and_bad_ones_are_not() {
    if is_other() {
        return;
    }
    let (old, new) = (Authority::new(), Authority::new());
    let site = site("tls-reload", &old, false);
    let server = site.spawn();
    Client::ready(site.addr(), &old);
    std::fs::write(site.folder().join("cert.pem"), "nothing").unwrap();
    wait_until("the bad file is noticed", Duration::from_secs(20), || {
        server.log_text().contains("keeping the one in use")
    });
    assert_eq!(Client::open(site.addr(), old.client(false)).ask("GET", "/v2/keys/", "").0, 200);
    new.write_files(site.folder());
    Client::ready(site.addr(), &new);
}

#[test]
fn files_that_cannot_be_used_are_named() {
    if is_other() {
        return;
    }
    let authority = Authority::new();
    for (file, content) in [("cert.pem", ""), ("key.pem", "nothing"), ("ca.pem", "")] {
        let site = site("tls-bad", &authority, true);
        std::fs::write(site.folder().join(file), content).unwrap();
        let (status, text) = site.run_to_end();
        assert_eq!(status.code(), Some(1), "{text}");
        assert!(text.contains(file), "{file}: {text}");
    }
}
