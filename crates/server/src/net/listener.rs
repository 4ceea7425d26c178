//! What is listened on: ports of TCP, and Unix sockets.
//!
//! Behind its accept a connection is a descriptor of which only what both kinds know is asked:
//! reading, writing, looking ahead, ending one side. So one of a Unix socket goes the same way as
//! any other, in the same type, and costs the others nothing. What only TCP knows (delays, signs of
//! life, addresses) fails on it, and nothing depends on that.

use crate::config::Port;
use mio::event::Source;
use mio::net::{TcpListener, TcpStream, UnixListener};
use mio::{Interest, Registry, Token};
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A port that is listened on.
pub(crate) struct Listener {
    pub(crate) socket: ListenerSocket,
    pub(crate) port: Port,
    /// Whether TLS is spoken there.
    pub(crate) is_tls: bool,
    /// Whether somebody else keeps it open, for whoever serves next.
    pub(crate) is_inherited: bool,
}

/// Its socket, which never blocks.
#[derive(Debug)]
pub(crate) enum ListenerSocket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl ListenerSocket {
    /// Accepts a connection that waits.
    ///
    /// # Errors
    /// What the system gave; `WouldBlock` if nobody waits.
    pub(super) fn accept(&self) -> io::Result<TcpStream> {
        match self {
            ListenerSocket::Tcp(socket) => {
                let (socket, _) = socket.accept()?;
                // Without it answers still arrive, only later.
                let _ = socket.set_nodelay(true);
                super::keep_alive(&socket);
                Ok(socket)
            }
            ListenerSocket::Unix(socket) => {
                let (socket, _) = socket.accept()?;
                Ok(TcpStream::from(OwnedFd::from(socket)))
            }
        }
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match self {
            ListenerSocket::Tcp(socket) => socket.register(registry, token, Interest::READABLE),
            ListenerSocket::Unix(socket) => socket.register(registry, token, Interest::READABLE),
        }
    }

    /// Ends it for all that hold it.
    pub(super) fn shut_down(&self) {
        let _ = socket2::SockRef::from(self).shutdown(Shutdown::Both);
    }
}

impl AsFd for ListenerSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            ListenerSocket::Tcp(socket) => socket.as_fd(),
            ListenerSocket::Unix(socket) => socket.as_fd(),
        }
    }
}

/// Where a connection comes from, for the log.
pub(super) fn origin_of(socket: &TcpStream) -> String {
    let is_unix = || {
        let domain = socket2::SockRef::from(socket).domain();
        domain.is_ok_and(|domain| domain == socket2::Domain::UNIX)
    };
    match socket.peer_addr() {
        Ok(address) => address.to_string(),
        Err(_) if is_unix() => "a Unix socket".to_owned(),
        Err(_) => "an unknown address".to_owned(),
    }
}
