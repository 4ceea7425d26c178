//! One connection, encrypted or not, with the ways of a non-blocking socket.
//!
//! A read fills the buffer as far as the socket allows, so that a short read means what it means
//! for a socket: the next bytes are an event of their own. A write takes nothing while ciphertext
//! of an earlier one waits, which bounds what is held. The handshake goes on inside `read`.

use mio::net::TcpStream;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

/// Bytes of plaintext that one write may turn into ciphertext.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// The first byte of every TLS handshake record (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;

const PLAIN_ANSWER: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\
    Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n\
    Client sent an HTTP request to an HTTPS server.\n";

/// A connection, accepted or dialled.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<Tls>),
}

#[derive(Debug)]
pub(crate) struct Tls {
    socket: TcpStream,
    session: Connection,
    /// Whether this is known to be TLS: a caller's first byte has to be that of a handshake.
    is_tls: bool,
    has_ended: bool,
    /// Whether all that still comes is thrown away.
    has_given_up: bool,
}

impl Stream {
    /// The encrypted side of a server, before its handshake.
    ///
    /// # Errors
    /// When the session cannot be made of `config`.
    pub(crate) fn accept(socket: TcpStream, config: Arc<ServerConfig>) -> io::Result<Self> {
        let session = ServerConnection::new(config).map_err(io::Error::other)?;
        Ok(Self::encrypted(socket, session.into(), false))
    }

    /// The encrypted side of a caller, before its handshake. `host` is what the other side's
    /// certificate must be for: a name or an address.
    ///
    /// # Errors
    /// When no certificate could be for `host`, or the session cannot be made of `config`.
    pub(crate) fn connect(
        socket: TcpStream,
        config: Arc<ClientConfig>,
        host: &str,
    ) -> io::Result<Self> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let session = ClientConnection::new(config, name).map_err(io::Error::other)?;
        Ok(Self::encrypted(socket, session.into(), true))
    }

    fn encrypted(socket: TcpStream, mut session: Connection, is_tls: bool) -> Self {
        session.set_buffer_limit(Some(WRITE_BYTES_MAX));
        Stream::Tls(Box::new(Tls {
            socket,
            session,
            is_tls,
            has_ended: false,
            has_given_up: false,
        }))
    }

    /// Goes on with the handshake of a caller. Says whether it is done.
    ///
    /// # Errors
    /// What the socket gave, or why the other side is not believed.
    pub(crate) fn shake_hands(&mut self) -> io::Result<bool> {
        let Stream::Tls(tls) = self else { return Ok(true) };
        loop {
            tls.push()?;
            if !tls.session.is_handshaking() {
                return Ok(true);
            }
            if tls.has_ended {
                return Err(io::Error::other("the connection was closed during the handshake"));
            }
            if !tls.pull()? {
                return Ok(false);
            }
        }
    }

    /// After a failed handshake: from here on reads give what comes as it comes, so that somebody
    /// can throw it away. Says whether there was a handshake, and this is the first time.
    pub(crate) fn give_up(&mut self) -> bool {
        let Stream::Tls(tls) = self else { return false };
        let is_new = tls.is_tls && !tls.has_given_up;
        tls.has_given_up = true;
        // If it cannot be sent the next read fails.
        let _ = tls.socket.shutdown(Shutdown::Write);
        is_new
    }

    /// Whether the two sides have not agreed on a key yet.
    pub(crate) fn is_shaking_hands(&self) -> bool {
        matches!(self, Stream::Tls(tls) if tls.session.is_handshaking())
    }

    /// The certificate that the other side has shown, if it has: DER.
    pub(crate) fn certificate(&self) -> Option<&[u8]> {
        let Stream::Tls(tls) = self else { return None };
        tls.session.peer_certificates()?.first().map(|certificate| certificate.as_ref())
    }

    /// The socket, to be watched for events.
    pub(crate) fn socket(&mut self) -> &mut TcpStream {
        match self {
            Stream::Plain(socket) => socket,
            Stream::Tls(tls) => &mut tls.socket,
        }
    }

    /// Whether the end was seen, which no event will tell of again.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self, Stream::Tls(tls) if tls.has_ended)
    }

    /// Whether all that was written has left.
    pub(crate) fn is_flushed(&self) -> bool {
        !matches!(self, Stream::Tls(tls) if tls.session.wants_write())
    }

    /// Says that nothing more will be written.
    ///
    /// # Errors
    /// What the socket gave.
    pub(crate) fn end_writing(&mut self) -> io::Result<()> {
        self.say_end();
        self.socket().shutdown(Shutdown::Write)
    }

    /// Tells a client that the end is meant, as far as the socket takes it at once.
    pub(crate) fn say_end(&mut self) {
        if let Stream::Tls(tls) = self
            && tls.is_tls
        {
            tls.session.send_close_notify();
            // The descriptor is closed next in any case.
            let _ = tls.push();
        }
    }
}

impl Tls {
    /// Sends ciphertext until none is left or the socket takes no more.
    fn push(&mut self) -> io::Result<bool> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.socket) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Checks the first byte. A client that sends plain HTTP gets an error.
    fn look(&mut self) -> io::Result<()> {
        let mut bytes = [0; 4096];
        let seen = self.socket.peek(&mut bytes)?;
        let first = bytes.first().copied().unwrap_or_default();
        self.is_tls = seen > 0 && first == HANDSHAKE;
        if self.is_tls || seen == 0 {
            return Ok(());
        }
        if first.is_ascii_uppercase() {
            // Unread bytes would make the system throw the answer away.
            while self.socket.read(&mut bytes).is_ok_and(|read| read == bytes.len()) {}
            let _ = self.socket.write(PLAIN_ANSWER);
            let _ = self.socket.shutdown(Shutdown::Write);
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "no TLS handshake"))
    }

    /// Takes ciphertext from the socket. Says whether there was any.
    fn pull(&mut self) -> io::Result<bool> {
        match self.session.read_tls(&mut self.socket) {
            Ok(0) => self.has_ended = true,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            Err(error) => return Err(error),
        }
        let result = self.session.process_new_packets();
        // The handshake's answers, or the alert that says what was wrong.
        self.push()?;
        let state = result.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        self.has_ended |= state.peer_has_closed();
        Ok(true)
    }

    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.has_given_up {
            return self.socket.read(buf);
        }
        if !self.is_tls {
            self.look()?;
        }
        let mut filled = 0;
        loop {
            let room = buf.get_mut(filled..).unwrap_or_default();
            if room.is_empty() {
                return Ok(filled);
            }
            match self.session.reader().read(room) {
                Ok(0) => return Ok(filled),
                Ok(read) => {
                    filled += read;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // The end without a close_notify: HTTP frames its own messages.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(filled),
                Err(error) => return Err(error),
            }
            if self.has_ended {
                return Ok(filled);
            }
            if !self.pull()? {
                let blocked = io::ErrorKind::WouldBlock;
                return if filled > 0 { Ok(filled) } else { Err(blocked.into()) };
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.push()? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        match self.session.writer().write(bytes)? {
            0 if !bytes.is_empty() => Err(io::ErrorKind::WouldBlock.into()),
            taken => self.push().map(|_| taken),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.read(buf),
            Stream::Tls(tls) => tls.read(buf),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.write(bytes),
            Stream::Tls(tls) => tls.write(bytes),
        }
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.write_vectored(slices),
            Stream::Tls(tls) => {
                let first = slices.iter().find(|slice| !slice.is_empty());
                tls.write(first.map_or(&[], |slice| slice))
            }
        }
    }

    /// Gives `WouldBlock` while ciphertext waits.
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(_) => Ok(()),
            Stream::Tls(tls) => match tls.push()? {
                true => Ok(()),
                false => Err(io::ErrorKind::WouldBlock.into()),
            },
        }
    }
}
