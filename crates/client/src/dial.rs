//! Connections: TCP with keep-alive, or a Unix socket, and whether a request has begun to leave.
//!
//! Whether a write may be sent to another endpoint depends on one fact: has any byte of it been
//! handed to the connection? [`Sent`] records that.

use crate::endpoint::socket_number;
use rustix::net::sockopt;
use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Error, Timeout};

/// A peer that is gone without a word is noticed after some half a minute.
const KEEP_ALIVE_IDLE: Duration = Duration::from_secs(15);
const KEEP_ALIVE_PAUSE: Duration = Duration::from_secs(5);
const KEEP_ALIVE_COUNT: u32 = 3;

/// Whether a byte of the latest request was handed to a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent(Arc<AtomicBool>);

impl Sent {
    pub(crate) fn reset(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Addresses of hosts: literal ones as they are, sockets of this machine as none.
#[derive(Debug, Default)]
pub(crate) struct Names(DefaultResolver);

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().unwrap_or_default();
        let port =
            uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let literal = bare.parse().map(|ip| SocketAddr::new(ip, port)).ok();
        let socket = socket_number(host).map(|_| SocketAddr::from(([0, 0, 0, 0], 0)));
        let Some(addr) = literal.or(socket) else {
            return self.0.resolve(uri, config, timeout);
        };
        let mut found = self.empty();
        found.push(addr);
        Ok(found)
    }
}

/// Opens connections. The number of a socket is its place among the endpoints.
#[derive(Debug)]
pub(crate) struct Dialer {
    pub(crate) sockets: Vec<Option<PathBuf>>,
}

impl Connector for Dialer {
    type Out = Wire;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Wire>, Error> {
        let patience = details.timeout.not_zero().map(|time| *time);
        let number = details.uri.host().and_then(socket_number);
        let socket = match number.and_then(|number| self.sockets.get(number)?.as_ref()) {
            Some(path) => Socket::Unix(UnixStream::connect(path)?),
            None => Socket::Tcp(tcp(&details.addrs, patience)?),
        };
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(Wire { socket, buffers, write_patience: None, read_patience: None }))
    }
}

/// Connects to the first address that answers; each has its share of the time.
fn tcp(addrs: &[SocketAddr], patience: Option<Duration>) -> Result<TcpStream, Error> {
    let shares = u32::try_from(addrs.len()).unwrap_or(u32::MAX).max(1);
    let mut last = Error::HostNotFound;
    for addr in addrs {
        let opened = match patience {
            Some(patience) => TcpStream::connect_timeout(addr, patience / shares),
            None => TcpStream::connect(addr),
        };
        match opened {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                keep_alive(&stream)?;
                return Ok(stream);
            }
            Err(error) if is_timeout(&error) => last = Error::Timeout(Timeout::Connect),
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEP_ALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEP_ALIVE_PAUSE)?;
    sockopt::set_tcp_keepcnt(stream, KEEP_ALIVE_COUNT)?;
    Ok(())
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    fn set_read_patience(&self, patience: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(patience),
            Self::Unix(stream) => stream.set_read_timeout(patience),
        }
    }

    fn set_write_patience(&self, patience: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_write_timeout(patience),
            Self::Unix(stream) => stream.set_write_timeout(patience),
        }
    }

    fn set_nonblocking(&self, is_nonblocking: bool) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_nonblocking(is_nonblocking),
            Self::Unix(stream) => stream.set_nonblocking(is_nonblocking),
        }
    }

    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&*stream).read(buf),
            Self::Unix(stream) => (&*stream).read(buf),
        }
    }

    fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => (&*stream).write_all(bytes),
            Self::Unix(stream) => (&*stream).write_all(bytes),
        }
    }
}

/// A connection without TLS.
#[derive(Debug)]
pub(crate) struct Wire {
    socket: Socket,
    buffers: LazyBuffers,
    write_patience: Option<Duration>,
    read_patience: Option<Duration>,
}

impl Wire {
    fn failed(error: io::Error, timeout: NextTimeout) -> Error {
        if is_timeout(&error) { Error::Timeout(timeout.reason) } else { error.into() }
    }
}

impl Transport for Wire {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let timeout = timeout.for_write();
        let patience = timeout.not_zero().map(|time| *time);
        if patience != self.write_patience {
            self.socket.set_write_patience(patience)?;
            self.write_patience = patience;
        }
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        self.socket.write_all(output).map_err(|error| Self::failed(error, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let timeout = timeout.for_read();
        let patience = timeout.not_zero().map(|time| *time);
        if patience != self.read_patience {
            self.socket.set_read_patience(patience)?;
            self.read_patience = patience;
        }
        let input = self.buffers.input_append_buf();
        let read = loop {
            match self.socket.read(input) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read.map_err(|error| Self::failed(error, timeout))?,
            }
        };
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    fn is_open(&mut self) -> bool {
        // A connection that waits for its next request has nothing to say.
        let is_quiet = self.socket.set_nonblocking(true).is_ok()
            && matches!(self.socket.read(&mut [0]), Err(error) if is_timeout(&error));
        is_quiet && self.socket.set_nonblocking(false).is_ok()
    }
}

/// Notes when a request begins to leave. It stands behind TLS, whose handshake is no request.
#[derive(Debug)]
pub(crate) struct Marker(pub(crate) Sent);

impl<In: Transport> Connector<In> for Marker {
    type Out = Marked<In>;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Marked<In>>, Error> {
        Ok(chained.map(|inner| Marked { inner, sent: self.0.clone() }))
    }
}

/// A connection that notes when a request begins to leave.
#[derive(Debug)]
pub(crate) struct Marked<In> {
    inner: In,
    sent: Sent,
}

impl<In: Transport> Transport for Marked<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.sent.0.store(true, Ordering::Relaxed);
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}
