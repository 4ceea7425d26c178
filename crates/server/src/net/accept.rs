//! Accepting connections, and refusing those that are too many.

use super::connection::Connection;
use super::front::bytes_of;
use super::tls::Stream;
use super::{Front, Pending, TOKEN_BASE};
use crate::config::Port;
use crate::http::response::ResponseHead;
use crate::notice::notice;
use mio::net::TcpStream;
use mio::{Interest, Token};
use std::io::Write as _;

impl<T: Pending> Front<T> {
    /// The ports at which clients may wait that could not be accepted.
    pub(crate) fn accept_due(&mut self) {
        for at in self.backlog.take_due(self.now.monotonic) {
            self.accept(at);
        }
    }

    /// Accepts those that wait at a port, as far as there is room.
    pub(crate) fn accept(&mut self, at: usize) {
        loop {
            let Some(listener) = self.listeners.get(at) else { return };
            let (port, is_tls) = (listener.port, listener.is_tls);
            let now = self.now.monotonic;
            let Some(socket) = self.backlog.accept(at, &listener.socket, now) else { return };
            let is_full = match port {
                Port::Client(_) => self.connections.len() - self.peers >= self.bounds.clients,
                Port::Peer => self.peers >= self.bounds.peers,
            };
            if is_full {
                self.counters.refused();
                if !is_tls {
                    self.refuse_connection(socket);
                }
                continue;
            }
            self.adopt(socket, port, is_tls);
        }
    }

    /// Tells a client that there are too many, as well as one write can.
    fn refuse_connection(&self, mut socket: TcpStream) {
        let envelope = ResponseHead {
            date: &self.date,
            cors: "",
            is_http11: true,
            keep_alive: false,
            is_head: false,
        };
        let mut out = Vec::new();
        let refusal = (self.refusal)("too many connections; try again later");
        let body = bytes_of(&refusal.body, &[]);
        envelope.answer(&mut out, refusal.status, refusal.content_type, None, "", body);
        // The client is refused either way.
        let _ = socket.write(&out);
    }

    fn adopt(&mut self, socket: TcpStream, port: Port, is_tls: bool) {
        let stream = match self.keyring.acceptor(port).filter(|_| is_tls) {
            None => Ok(Stream::Plain(socket)),
            Some(acceptor) => Stream::accept(socket, acceptor.config()),
        };
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => return notice!(TlsFailed, "", "{error}"),
        };
        let key = self.connections.insert(Connection::new(stream, port, self.now.monotonic));
        self.peers += usize::from(port == Port::Peer);
        let token = Token(key.slot as usize + TOKEN_BASE);
        let Some(connection) = self.connections.get_mut(key) else { return };
        let interest = Interest::READABLE | Interest::WRITABLE;
        if self.poll.registry().register(connection.socket.socket(), token, interest).is_err() {
            self.remove(key);
        }
    }

    /// Refuses new connections from now on: a client that tries another machine next should not
    /// wait for this one to be gone. Those that wait already are taken.
    pub(crate) fn stop_listening(&mut self) {
        (0..self.listeners.len()).for_each(|at| self.accept(at));
        for listener in self.listeners.drain(..) {
            // The port is held open elsewhere for the next part that the machine plays, so that
            // closing it here would not be enough.
            if !listener.is_inherited {
                listener.socket.shut_down();
            }
        }
    }
}
