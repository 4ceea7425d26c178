//! A client's connection that is passed on to the leader (`-standby-mode=proxy`).
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

/// The same for clients of each dialect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Upstreams {
    v04: Option<Upstream>,
    v2: Option<Upstream>,
}

impl Upstreams {
    /// Looks the leader's URLs up, those with TLS if there is a choice and `is_tls`. This may wait
    /// for a name server.
    pub(super) fn find(leader: &Member, is_tls: bool) -> Self {
        let find = |dialect: Dialect| Upstream::find(dialect.url_of(leader, is_tls));
        Self { v04: find(Dialect::V04), v2: find(Dialect::V2) }
    }

    pub(super) fn of(&self, dialect: Dialect) -> Option<&Upstream> {
        match dialect {
            Dialect::V04 => self.v04.as_ref(),
            Dialect::V2 => self.v2.as_ref(),
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
    pub(super) socket: Stream,
    /// What is on its way to the leader.
    outbox: Outbox,
    /// Whether there is a connection, with TLS agreed on where it is spoken.
    pub(super) is_open: bool,
    has_ended: bool,
    has_ended_writing: bool,
    /// When it was dialled, by the monotonic clock.
    pub(super) since: u64,
}

impl Tunnel {
    /// Dials.
    ///
    /// # Errors
    /// What the system gave, or that the leader's TLS cannot be spoken.
    pub(super) fn dial(
        upstream: &Upstream,
        tls: Option<Arc<ClientConfig>>,
        since: u64,
    ) -> io::Result<Self> {
        let socket = TcpStream::connect(upstream.address)?;
        let socket = match (&upstream.tls_host, tls) {
            (None, _) => Stream::Plain(socket),
            (Some(host), Some(config)) => Stream::connect(socket, config, host)?,
            (Some(_), None) => {
                return Err(io::Error::other("it uses TLS, and this machine has no -cert-file"));
            }
        };
        let outbox = Outbox::default();
        let (is_open, has_ended, has_ended_writing) = (false, false, false);
        Ok(Self { socket, outbox, is_open, has_ended, has_ended_writing, since })
    }

    /// Moves bytes both ways as far as the sockets allow.
    ///
    /// # Errors
    /// What broke; while the tunnel is not open the client can still get an error.
    pub(super) fn carry<T>(&mut self, client: &mut Connection<T>) -> io::Result<Moved> {
        // What was read of it before it was known that it is passed on.
        let first = std::mem::take(&mut client.input);
        self.outbox.append(|out| out.extend_from_slice(&first));
        if !self.is_open && !self.open()? {
            return Ok(Moved::Everything);
        }
        for _ in 0..ROUNDS_MAX {
            let is_sent = send(&mut client.outbox, &mut client.socket)?;
            let has_passed = send(&mut self.outbox, &mut self.socket)?;
            if self.has_ended && is_sent {
                return Ok(Moved::Finished);
            }
            if client.ended && has_passed && !self.has_ended_writing {
                self.has_ended_writing = true;
                self.socket.end_writing()?;
            }
            let mut has_moved = false;
            if !self.has_ended && client.outbox.len() < WAITING_BYTES_MAX {
                has_moved |= read(&mut self.socket, &mut client.outbox, &mut self.has_ended)?;
            }
            if !client.ended && self.outbox.len() < WAITING_BYTES_MAX {
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
        let socket = self.socket.socket();
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
        self.is_open = self.socket.shake_hands()?;
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
