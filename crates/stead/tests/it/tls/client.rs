//! A client that speaks HTTP over TLS, and the authority that it trusts.

use crate::testkit::wait_until;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

/// How long a server may take to answer.
const READY: Duration = Duration::from_secs(30);

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// An authority of a test's own.
pub(crate) struct Authority {
    certificate: CertificateDer<'static>,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        // Authorities of one name would be taken for one that has changed its key.
        Self::named(&format!("authority {}", COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    pub(crate) fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let pem = certificate.pem();
        Self { certificate: certificate.der().clone(), pem, issuer: Issuer::new(params, key) }
    }

    fn sign(&self) -> (rcgen::Certificate, KeyPair) {
        self.sign_for(365)
    }

    /// Signs a certificate that ends in so many days.
    fn sign_for(&self, days: i32) -> (rcgen::Certificate, KeyPair) {
        const DAY: Duration = Duration::from_secs(86_400);
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let (now, span) = (SystemTime::now(), DAY * days.unsigned_abs());
        params.not_after = if days < 0 { (now - span).into() } else { (now + span).into() };
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// Writes the files that a server needs.
    pub(crate) fn write_files(&self, folder: &Path) {
        self.write_pair(folder);
        Self::write_trust(folder, &[self]);
    }

    /// Writes certificate and key, each at once.
    pub(crate) fn write_pair(&self, folder: &Path) {
        self.write_pair_for(folder, 365);
    }

    /// The same with a certificate that ends in so many days.
    pub(crate) fn write_pair_for(&self, folder: &Path, days: i32) {
        let (certificate, key) = self.sign_for(days);
        put(&folder.join("key.pem"), &key.serialize_pem());
        put(&folder.join("cert.pem"), &certificate.pem());
    }

    /// Writes the file of those that are trusted.
    pub(crate) fn write_trust(folder: &Path, authorities: &[&Authority]) {
        let all: Vec<&str> = authorities.iter().map(|one| one.pem.as_str()).collect();
        put(&folder.join("ca.pem"), &all.concat());
    }

    /// A client that trusts this authority and may have a certificate of it.
    pub(crate) fn client(&self, with_certificate: bool) -> ClientConfig {
        self.build(with_certificate.then_some(self))
    }

    /// A client that trusts this authority and has a certificate of it with a name in it.
    pub(crate) fn client_named(&self, name: &str) -> ClientConfig {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        self.with_pair(Some((certificate, key)))
    }

    /// A client that trusts this authority and has a certificate of another.
    pub(crate) fn client_of(&self, other: &Authority) -> ClientConfig {
        self.build(Some(other))
    }

    fn build(&self, signer: Option<&Authority>) -> ClientConfig {
        self.with_pair(signer.map(Authority::sign))
    }

    fn with_pair(&self, pair: Option<(rcgen::Certificate, KeyPair)>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let Some((certificate, key)) = pair else { return builder.with_no_client_auth() };
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        builder.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap()
    }
}

/// Puts a file in the place of another, as an operator should.
fn put(path: &Path, content: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, content).unwrap();
    std::fs::rename(new, path).unwrap();
}

/// The first bytes of a client that trusts anybody.
pub(crate) fn first_bytes() -> Vec<u8> {
    let config = Authority::new().client(false);
    let name = ServerName::try_from("localhost").unwrap();
    let mut session = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    session.write_tls(&mut bytes).unwrap();
    bytes
}

/// A connection that is kept open.
pub(crate) struct Client(BufReader<StreamOwned<ClientConnection, TcpStream>>);

impl Client {
    pub(crate) fn open(addr: SocketAddr, config: ClientConfig) -> Self {
        Self::try_open(addr, config).unwrap()
    }

    pub(crate) fn try_open(addr: SocketAddr, config: ClientConfig) -> io::Result<Self> {
        let socket = TcpStream::connect(addr)?;
        socket.set_read_timeout(Some(Duration::from_secs(20)))?;
        let name = ServerName::IpAddress(addr.ip().into());
        let session = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        Ok(Self(BufReader::new(StreamOwned::new(session, socket))))
    }

    /// Waits until the server answers a client that trusts `authority`.
    pub(crate) fn ready(addr: SocketAddr, authority: &Authority) -> Self {
        Self::ready_with(addr, || authority.client(false))
    }

    pub(crate) fn ready_with(addr: SocketAddr, config: impl Fn() -> ClientConfig) -> Self {
        let mut found = None;
        wait_until("an answer over TLS", READY, || {
            found = Self::try_open(addr, config()).ok();
            found.as_mut().is_some_and(|client| client.try_ask("GET", "/v2/keys/", "").is_ok())
        });
        found.unwrap()
    }

    pub(crate) fn ask(&mut self, method: &str, path: &str, body: &str) -> (u16, String) {
        self.try_ask(method, path, body).unwrap()
    }

    pub(crate) fn try_ask(
        &mut self,
        method: &str,
        path: &str,
        body: &str,
    ) -> io::Result<(u16, String)> {
        self.try_send(method, path, body)?;
        self.try_receive()
    }

    pub(crate) fn send(&mut self, method: &str, path: &str, body: &str) {
        self.try_send(method, path, body).unwrap();
    }

    fn try_send(&mut self, method: &str, path: &str, body: &str) -> io::Result<()> {
        let form = "Content-Type: application/x-www-form-urlencoded";
        let len = body.len();
        write!(
            self.0.get_mut(),
            "{method} {path} HTTP/1.1\r\nHost: h\r\n{form}\r\nContent-Length: {len}\r\n\r\n{body}"
        )
    }

    pub(crate) fn receive(&mut self) -> (u16, String) {
        self.try_receive().unwrap()
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }

    fn piece(&mut self, len: usize, body: &mut Vec<u8>) -> io::Result<()> {
        let mut bytes = vec![0; len];
        self.0.read_exact(&mut bytes)?;
        body.extend_from_slice(&bytes);
        Ok(())
    }

    fn try_receive(&mut self) -> io::Result<(u16, String)> {
        let status = self.line()?.split(' ').nth(1).unwrap_or_default().parse().unwrap();
        let (mut len, mut body) = (None, Vec::new());
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                len = Some(value.parse().unwrap());
            }
        }
        if let Some(len) = len {
            self.piece(len, &mut body)?;
        } else {
            loop {
                let len = usize::from_str_radix(&self.line()?, 16).unwrap();
                self.piece(len, &mut body)?;
                self.line()?;
                if len == 0 {
                    break;
                }
            }
        }
        Ok((status, String::from_utf8(body).unwrap()))
    }
}
