//! Unix sockets for clients.

use crate::testkit::server::template;
use crate::testkit::{Request, Site, ask};
use crate::tls::client::Authority;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A machine that listens at its address, and at a socket in its folder.
fn site(label: &str, scheme: &str, flags: &str) -> Site {
    let site = Site::new(label).unaddressed();
    let (addr, peer) = (site.addr(), site.peer_addr());
    let path = site.folder().join("s");
    let flags = format!(
        "-name m0 -listen-client-urls {scheme}://{},http://{addr} -listen-peer-urls http://{peer} \
         -initial-advertise-peer-urls http://{peer} {flags}",
        path.display()
    );
    site.flags(&flags)
}

fn open(path: &Path) -> BufReader<UnixStream> {
    let socket = UnixStream::connect(path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    BufReader::new(socket)
}

/// Sends a request and reads head and body of the answer, whose length is said.
fn exchange(stream: &mut (impl BufRead + Socket), request: &str) -> (String, String) {
    stream.send(request);
    let (mut head, mut len) = (String::new(), 0);
    loop {
        let mut line = String::new();
        assert_ne!(stream.read_line(&mut line).unwrap(), 0, "closed after {head}");
        if let Some(value) = line.strip_prefix("Content-Length: ") {
            len = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; len];
    stream.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

trait Socket {
    fn send(&mut self, request: &str);
}

impl Socket for BufReader<UnixStream> {
    fn send(&mut self, request: &str) {
        self.get_mut().write_all(request.as_bytes()).unwrap();
    }
}

impl Socket for BufReader<StreamOwned<ClientConnection, UnixStream>> {
    fn send(&mut self, request: &str) {
        self.get_mut().write_all(request.as_bytes()).unwrap();
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

#[test]
fn a_socket_serves_as_a_port_does_and_goes_with_its_server() {
    if template().is_some() {
        return;
    }
    let site = site("ports-unix", "unix", "");
    let path = site.folder().join("s");
    let server = site.start();
    let found = std::fs::metadata(&path).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o660);
    let mut client = open(&path);
    let put = "PUT /v2/keys/a?value=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    assert!(exchange(&mut client, put).0.starts_with("HTTP/1.1 201"));
    let (_, body) = exchange(&mut client, &get("/v2/keys/a"));
    assert!(body.contains("\"value\":\"1\"") && body.ends_with('\n'), "2.x, kept alive: {body}");
    let told = exchange(&mut client, &get("/v2/machines")).1;
    assert_eq!(told, format!("http://{}", site.addr()), "a socket is no address for others");
    // A watch.
    let mut watcher = open(&path);
    watcher.send(&get("/v2/keys/w?wait=true"));
    let mut line = String::new();
    watcher.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 200"), "{line}");
    assert_eq!(ask(site.addr(), &Request::put("/v2/keys/w", "value=2")).status(), 201);
    let mut rest = [0; 4096];
    let mut seen = String::new();
    while !seen.contains("\"value\":\"2\"") {
        let read = watcher.read(&mut rest).unwrap();
        assert_ne!(read, 0, "{seen}");
        seen.push_str(&String::from_utf8_lossy(&rest[..read]));
    }
    // A large answer goes out in pieces.
    let big = "x".repeat(4_000_000);
    assert_eq!(
        ask(site.addr(), &Request::put("/v2/keys/big", &format!("value={big}"))).status(),
        201
    );
    assert!(exchange(&mut client, &get("/v2/keys/big")).1.len() > 4_000_000);
    server.log_with(&format!("address=unix://{}", path.display()));
    drop((client, watcher));
    assert!(server.terminate().success());
    assert!(!path.exists(), "it is removed at a clean stop");
    // One that a killed server left is in nobody's way.
    site.start().kill();
    assert!(path.exists());
    let server = site.start();
    exchange(&mut open(&path), &get("/health"));
    assert!(server.terminate().success());
}

#[test]
fn a_socket_of_somebody_else_is_left_alone() {
    if template().is_some() {
        return;
    }
    let site = site("ports-taken", "unix", "");
    let path = site.folder().join("s");
    let taken = UnixListener::bind(&path).unwrap();
    let (status, said) = site.run_to_end();
    assert!(!status.success() && said.contains("another process listens there"), "{said}");
    assert!(path.exists());
    drop(taken);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "mine").unwrap();
    let (status, said) = site.run_to_end();
    assert!(!status.success() && said.contains("no socket is there"), "{said}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}

#[test]
fn tls_is_spoken_over_a_socket() {
    if template().is_some() {
        return;
    }
    let authority = Authority::new();
    let site = site("ports-unixs", "unixs", "");
    authority.write_files(site.folder());
    let path = |name: &str| site.folder().join(name).display().to_string();
    let flags = format!("-cert-file={} -key-file={}", path("cert.pem"), path("key.pem"));
    let site = site.flags(&flags);
    let server = site.start();
    let socket = UnixStream::connect(site.folder().join("s")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let session = ClientConnection::new(Arc::new(authority.client(false)), name).unwrap();
    let mut client = BufReader::new(StreamOwned::new(session, socket));
    for _ in 0..3 {
        assert!(exchange(&mut client, &get("/v2/machines")).0.starts_with("HTTP/1.1 200"));
    }
    let mut plain = open(&site.folder().join("s"));
    plain.send(&get("/v2/machines"));
    let mut answer = String::new();
    let _ = plain.read_to_string(&mut answer);
    assert!(answer.contains("HTTP request to an HTTPS server"), "{answer}");
    drop(server);
}
