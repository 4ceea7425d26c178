//! A client's connection that is passed on to the leader (`-standby-mode=proxy`, `-proxy`).
//!
//! From its first request for the leader on a connection is passed on as a whole: what the client
//! sends goes to the leader as it came, and what the leader answers goes back, long polls and
//! streams included. So nothing here has to know where an answer ends. What one side does not take
//! waits here up to a bound; then the other side is not read.

use crate::config::Dialect;
use crate::net::tls::Stream;
use crate::net::{ClientEnd, Connection, Outbox, Pending};
use mio::net::TcpStream;
use replica::Member;
use rustls::ClientConfig;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

/// Bytes that may wait for either side before the other is no longer read.
const WAITING_BYTES_MAX: usize = 256 << 10;

const READ_BYTES: usize = 16 << 10;

/// How often bytes are moved before others have their turn.
const ROUNDS_MAX: usize = 32;

/// How long connecting to the leader may take: 3 s.
pub(super) const CONNECT_NS: u64 = 3_000_000_000;

/// Where clients reach the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    /// What its certificate must be for, if it speaks TLS.
    pub(super) tls_host: Option<String>,
}

/// The same for clients of each dialect, in the order in which they are tried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Upstreams {
    v04: Vec<Upstream>,
    v2: Vec<Upstream>,
}

impl Upstreams {
    /// Looks members' URLs up, those with TLS if there is a choice and `is_tls`. This may wait for
    /// a name server.
    pub(super) fn find(members: &[&Member], is_tls: bool) -> Self {
        let find = |dialect: Dialect| {
            let urls = members.iter().map(|member| dialect.url_of(member, is_tls));
            urls.filter_map(Upstream::find).collect()
        };
        Self { v04: find(Dialect::V04), v2: find(Dialect::V2) }
    }

    pub(super) fn of(&self, dialect: Dialect) -> &[Upstream] {
        match dialect {
            Dialect::V04 => &self.v04,
            Dialect::V2 => &self.v2,
        }
    }
}

impl Upstream {
    fn find(client_url: &str) -> Option<Self> {
        let (scheme, place) = client_url.split_once("://")?;
        let place = place.trim_end_matches('/');
        let host = place.rsplit_once(':').map_or(place, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let tls_host = (scheme == "https").then(|| host.to_owned());
        let address = place.to_socket_addrs().ok()?.next()?;
        Some(Self { address, tls_host })
    }
}

/// How far moving bytes came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// All there was.
    Everything,
    /// A round's share; there may be more, of which no event will tell.
    Share,
    /// The leader's last byte has reached the client.
    Finished,
}

/// The way from one client's connection to the leader.
#[derive(Debug)]
pub(super) struct Tunnel {
    /// Nothing before it is dialled.
    pub(super) socket: Option<Stream>,
    /// What is on its way to the leader.
    outbox: Outbox,
    /// Whether only the first request is passed on.
    is_single: bool,
    /// Whether what was read of it before it was known that it is passed on has been taken.
    has_begun: bool,
    /// Whether there is a connection, with TLS agreed on where it is spoken.
    pub(super) is_open: bool,
    has_ended: bool,
    has_ended_writing: bool,
    /// How many were dialled.
    pub(super) dialled: usize,
    /// When the last of them was dialled, by the monotonic clock.
    pub(super) since: u64,
}

impl Tunnel {
    pub(super) fn new(is_single: bool) -> Self {
        Self {
            socket: None,
            outbox: Outbox::default(),
            is_single,
            has_begun: false,
            is_open: false,
            has_ended: false,
            has_ended_writing: false,
            dialled: 0,
            since: 0,
        }
    }

    /// Dials; the one that was dialled before is given up.
    ///
    /// # Errors
    /// What the system gave, or that the leader's TLS cannot be spoken.
    pub(super) fn dial(
        &mut self,
        upstream: &Upstream,
        tls: Option<Arc<ClientConfig>>,
        since: u64,
    ) -> io::Result<()> {
        self.socket = None;
        self.dialled += 1;
        self.since = since;
        let socket = TcpStream::connect(upstream.address)?;
        self.socket = Some(match (&upstream.tls_host, tls) {
            (None, _) => Stream::Plain(socket),
            (Some(host), Some(config)) => Stream::connect(socket, config, host)?,
            (Some(_), None) => {
                return Err(io::Error::other("it uses TLS, and this machine has no -cert-file"));
            }
        });
        Ok(())
    }

    /// Moves bytes both ways as far as the sockets allow.
    ///
    /// # Errors
    /// What broke; while the tunnel is not open the client can still get an error.
    pub(super) fn carry<T>(&mut self, client: &mut Connection<T>) -> io::Result<Moved> {
        let first = std::mem::take(&mut client.input);
        if !std::mem::replace(&mut self.has_begun, true) {
            let first = if self.is_single { single(&first) } else { first };
            self.outbox.append(|out| out.extend_from_slice(&first));
        }
        if !self.is_open && !self.open()? {
            return Ok(Moved::Everything);
        }
        let Some(socket) = &mut self.socket else { return Ok(Moved::Everything) };
        for _ in 0..ROUNDS_MAX {
            let is_sent = send(&mut client.outbox, &mut client.socket)?;
            let has_passed = send(&mut self.outbox, socket)?;
            if self.has_ended && is_sent {
                return Ok(Moved::Finished);
            }
            if client.ended && has_passed && !self.has_ended_writing {
                self.has_ended_writing = true;
                socket.end_writing()?;
            }
            let mut has_moved = false;
            if !self.has_ended && client.outbox.len() < WAITING_BYTES_MAX {
                has_moved |= read(socket, &mut client.outbox, &mut self.has_ended)?;
            }
            if !client.ended && self.is_single {
                has_moved |= pass_over(&mut client.socket, &mut client.ended)?;
            } else if !client.ended && self.outbox.len() < WAITING_BYTES_MAX {
                has_moved |= read(&mut client.socket, &mut self.outbox, &mut client.ended)?;
            }
            if !has_moved {
                return Ok(Moved::Everything);
            }
        }
        Ok(Moved::Share)
    }

    /// Goes on connecting. Says whether it is done.
    fn open(&mut self) -> io::Result<bool> {
        let Some(stream) = &mut self.socket else { return Ok(false) };
        let socket = stream.socket();
        if let Some(error) = socket.take_error()? {
            return Err(error);
        }
        match socket.peer_addr() {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(false),
            Err(error) => return Err(error),
        }
        // Without them bytes still arrive, only later, and a machine that is gone is missed later.
        let _ = socket.set_nodelay(true);
        keep_alive(socket);
        self.is_open = stream.shake_hands()?;
        Ok(self.is_open)
    }
}

impl Pending for Box<Tunnel> {
    fn on_client_end(&self) -> ClientEnd {
        ClientEnd::Answer
    }

    fn is_http(&self) -> bool {
        false
    }

    fn is_relayed(&self) -> bool {
        true
    }
}

/// The first request of some bytes, which has no body that matters, as the only one of a
/// connection. What is said of the connection and of the body is left out, so that no reader takes
/// anything for a second request.
fn single(bytes: &[u8]) -> Vec<u8> {
    const LEFT_OUT: [&[u8]; 9] = [
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"upgrade",
        b"te",
        b"trailer",
        b"expect",
        b"content-length",
        b"transfer-encoding",
    ];
    let end = memchr::memmem::find(bytes, b"\r\n\r\n").unwrap_or(bytes.len());
    let head = bytes.get(..end).unwrap_or(bytes);
    let mut out = Vec::with_capacity(head.len() + 32);
    for (at, line) in head.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii();
        let is_left_out = LEFT_OUT.iter().any(|one| one.eq_ignore_ascii_case(name));
        // Before the request line there may be empty ones.
        if (at > 0 && is_left_out) || line.is_empty() {
            continue;
        }
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"Connection: close\r\n\r\n");
    out
}

/// Reads once what nobody wants. Says whether anything came, the end included.
fn pass_over(from: &mut Stream, has_ended: &mut bool) -> io::Result<bool> {
    let mut bytes = [0; READ_BYTES];
    match from.read(&mut bytes) {
        Ok(0) => *has_ended = true,
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
        Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
        _ => {}
    }
    Ok(true)
}

/// Sends what waits. Says whether all of it has left.
fn send(outbox: &mut Outbox, socket: &mut Stream) -> io::Result<bool> {
    let is_sent = outbox.flush(socket)?;
    match socket.flush() {
        Ok(()) => Ok(is_sent),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads once into what waits for the other side. Says whether anything came, the end included.
fn read(from: &mut Stream, to: &mut Outbox, has_ended: &mut bool) -> io::Result<bool> {
    let mut bytes = [0; READ_BYTES];
    match from.read(&mut bytes) {
        Ok(0) => *has_ended = true,
        Ok(len) => to.append(|out| out.extend_from_slice(bytes.get(..len).unwrap_or_default())),
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
        Err(error) if error.kind() == ErrorKind::Interrupted => {}
        Err(error) => return Err(error),
    }
    Ok(true)
}

/// A leader that is gone without a word is noticed while a long poll waits.
fn keep_alive(socket: &TcpStream) {
    let patience = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(10))
        .with_interval(Duration::from_secs(2))
        .with_retries(3);
    // Without it the client waits on; its own patience ends that.
    let _ = socket2::SockRef::from(socket).set_tcp_keepalive(&patience);
}

#[cfg(test)]
mod tests {
    use super::single;

    #[test]
    fn a_single_request_says_nothing_that_could_hide_another() {
        let sent =
            b"\r\nGET /v2/keys/a?wait=true HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\
            Content-Length: 5\r\nTRANSFER-ENCODING: chunked\r\nAuthorization: Basic eA==\r\n\r\n\
            valuePUT /v2/keys/b HTTP/1.1\r\n\r\n";
        let want = b"GET /v2/keys/a?wait=true HTTP/1.1\r\nHost: h\r\n\
            Authorization: Basic eA==\r\nConnection: close\r\n\r\n";
        assert_eq!(single(sent), want);
    }
}
