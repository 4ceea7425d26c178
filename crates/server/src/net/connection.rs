//! One connection and everything it waits for. An idle one holds no buffers.

use super::Caller;
use super::outbox::Outbox;
use super::slab::Key;
use super::tls::{Stream, common_name};
use crate::audit::Entry;
use crate::config::{Dialect, Port};
use crate::http::reader::PartialRequest;
use crate::http::response::ReplyMode;
use crate::proof::Proven;
use std::net::SocketAddr;

/// How far a connection is.
#[derive(Debug)]
pub(crate) enum Phase<T> {
    /// It may send its next request.
    Idle,
    /// A request is in hand; its answer is not complete yet.
    Waiting(T),
    /// Its last answer is on its way. What the client still sends is discarded, up to so many
    /// bytes.
    Draining { left: usize },
}

/// A connection that was accepted. `T` is what a request waits for that is not answered at once.
#[derive(Debug)]
pub(crate) struct Connection<T> {
    pub(crate) socket: Stream,
    pub(crate) port: Port,
    /// What has arrived and is not used up.
    pub(crate) input: Vec<u8>,
    pub(crate) partial: PartialRequest,
    pub(crate) outbox: Outbox,
    pub(crate) phase: Phase<T>,
    pub(crate) mode: ReplyMode,
    /// The exchange that proves the answer to the current request.
    pub(crate) proven: Option<Box<Proven>>,
    /// What the audit log is told of the current request when it is answered.
    pub(super) audited: Option<Box<Entry>>,
    /// Whether the connection ends when everything is sent.
    pub(crate) closes: bool,
    /// Whether the client has sent its last byte.
    pub(crate) ended: bool,
    /// Whether the socket may hold bytes that were not read.
    pub(crate) readable: bool,
    /// Whether the socket took less than there was to send, or a TLS session is not set up yet.
    pub(crate) is_blocked: bool,
    /// Whether it is in the list of those with something to send.
    pub(crate) is_dirty: bool,
    /// Whether it is in the list of those that can go on without an event.
    pub(crate) is_resumed: bool,
    /// Since when it has been in the middle of a request or of an answer, by the monotonic clock.
    pub(crate) busy_since: u64,
    /// Bytes of its input and its outbox that are in the totals of the front.
    pub(super) counted: HeldBytes,
}

/// Bytes that are held for clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeldBytes {
    /// Requests that have not arrived completely, and what was sent ahead.
    pub(crate) input: usize,
    /// Answers that were not sent completely.
    pub(crate) output: usize,
}

impl<T> Connection<T> {
    pub(super) fn new(socket: Stream, port: Port, now: u64) -> Self {
        Self {
            is_blocked: matches!(socket, Stream::Tls(_)),
            socket,
            port,
            input: Vec::new(),
            partial: PartialRequest::default(),
            outbox: Outbox::default(),
            phase: Phase::Idle,
            mode: ReplyMode::default(),
            proven: None,
            audited: None,
            closes: false,
            ended: false,
            readable: false,
            is_dirty: false,
            is_resumed: false,
            busy_since: now,
            counted: HeldBytes::default(),
        }
    }

    /// The dialect spoken here; the peer port has only answers that are the same in both.
    pub(crate) fn dialect(&self) -> Dialect {
        self.port.dialect()
    }

    /// The address of the other side.
    pub(crate) fn address(&mut self) -> Option<SocketAddr> {
        self.socket.socket().peer_addr().ok()
    }

    /// The name in the certificate that a client has shown.
    pub(crate) fn certificate_name(&self) -> Option<String> {
        let is_client = self.port != Port::Peer;
        self.socket.certificate().filter(|_| is_client).and_then(common_name)
    }

    /// Who sent the request in hand. `key` is the connection's.
    pub(super) fn caller(&self, key: Key) -> Caller {
        let is_tls = matches!(self.socket, Stream::Tls(_));
        Caller { key, port: self.port, mode: self.mode, is_tls }
    }

    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    /// What the request in hand waits for.
    pub(crate) fn pending(&self) -> Option<&T> {
        match &self.phase {
            Phase::Waiting(pending) => Some(pending),
            _ => None,
        }
    }

    /// As [`Connection::pending`], to be changed.
    pub(crate) fn pending_mut(&mut self) -> Option<&mut T> {
        match &mut self.phase {
            Phase::Waiting(pending) => Some(pending),
            _ => None,
        }
    }

    /// Takes what the request in hand waits for: it is about to be answered.
    pub(crate) fn take_pending(&mut self) -> Option<T> {
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Waiting(pending) => Some(pending),
            other => {
                self.phase = other;
                None
            }
        }
    }
}
