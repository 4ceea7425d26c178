//! The connections of a server: accepted, bounded, answered. What is done with their bytes is in
//! `serve.rs`; what requests mean is known to neither.

use super::audited as audit;
use super::backlog::Backlog;
use super::bounds::Bounds;
use super::budget::{Budget, Memory};
use super::connection::{Connection, HeldBytes, Phase};
use super::handshake::Handshakes;
use super::listener::Listener;
use super::reply::{Body, Reply, Response};
use super::slab::{Key, Slab};
use super::tls::Keyring;
use super::{Caller, Count, Pending};
use crate::audit::{Audit, GONE};
use crate::config::{LiveLimits, Port};
use crate::http::browser::Hosts;
use crate::http::cors::Cors;
use crate::http::response::{Length, ResponseHead, put_piece};
use crate::http::time::http_date;
use crate::proof::{Gate, Proven, ProvenReply};
use crate::sys::clock::Now;
use bytes::Bytes;
use mio::{Poll, Token};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

/// Tokens below this are listeners and the like; connections follow.
pub(crate) const TOKEN_BASE: usize = 16;

/// Bytes read from a socket at a time.
pub(super) const READ_BYTES: usize = 64 << 10;

/// While so many bytes of its answers wait to be sent, a connection takes no next request.
pub(super) const OUTBOX_SHARE: usize = 64 << 10;

/// A body from this length on is handed over rather than copied.
const SHARE_BYTES_MIN: usize = 128 << 10;

/// How long the head of a long poll may be held back for its event to come along: 20 ms.
const HEAD_DELAY_NS: u64 = 20_000_000;

/// All connections. `T` is what a request waits for that is not answered at once.
pub(crate) struct Front<T> {
    pub(crate) poll: Poll,
    /// What is shown where TLS is spoken.
    pub(crate) keyring: Keyring,
    pub(super) listeners: Vec<Listener>,
    /// Ports whose callers must wait until there is room.
    pub(super) backlog: Backlog,
    pub(super) connections: Slab<Connection<T>>,
    /// How many of them came in at the peer port.
    pub(super) peers: usize,
    pub(super) cors: Cors,
    pub(super) hosts: Hosts,
    pub(super) gate: Arc<Gate>,
    pub(super) counters: Rc<dyn Count>,
    /// Whether the names in clients' certificates are users.
    pub(crate) names_users: bool,
    pub(super) audit: Option<Rc<Audit>>,
    /// How a client is refused when a limit is reached, with the reason.
    pub(super) refusal: fn(&'static str) -> Response,
    pub(super) bounds: Bounds,
    pub(super) date: String,
    pub(crate) now: Now,
    pub(super) scratch: Vec<u8>,
    /// Connections with something to send.
    pub(super) dirty: Vec<Key>,
    /// Connections that can go on without an event.
    pub(super) resume: VecDeque<Key>,
    /// Connections whose long answer goes on as soon as there is time.
    pub(super) unfinished: VecDeque<Key>,
    /// Connections that wait until the answers of others have left.
    pub(super) starved: Vec<Key>,
    pub(super) handshakes: Handshakes,
    /// Long polls whose head has not been sent, and when it is to be.
    held_heads: VecDeque<(Key, u64)>,
    pub(super) budget: Budget,
    pub(super) memory: Memory,
    pub(super) moved: Moved,
    /// Whether the server is about to end, so that each answer is a connection's last.
    pub(crate) is_stopping: bool,
}

/// Bytes that went to clients and came from them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moved {
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

/// How much there is of what is bounded, and how much has passed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    pub(crate) held: HeldBytes,
    pub(crate) moved: Moved,
}

/// What [`Front::new`] puts together.
pub(crate) struct FrontParts {
    pub(crate) live: LiveLimits,
    pub(crate) cors: Cors,
    pub(crate) hosts: Hosts,
    pub(crate) poll: Poll,
    pub(crate) keyring: Keyring,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) counters: Rc<dyn Count>,
    pub(crate) names_users: bool,
    pub(crate) audit: Option<Rc<Audit>>,
    pub(crate) refusal: fn(&'static str) -> Response,
    pub(crate) now: Now,
}

impl<T: Pending> Front<T> {
    /// Nothing is accepted before [`Front::open`].
    pub(crate) fn new(parts: FrontParts) -> Self {
        let FrontParts { live, cors, hosts, poll, keyring, listeners, .. } = parts;
        let FrontParts { gate, counters, names_users, audit, refusal, now, .. } = parts;
        Self {
            poll,
            keyring,
            listeners,
            backlog: Backlog::default(),
            connections: Slab::new(),
            peers: 0,
            cors,
            hosts,
            gate,
            counters,
            names_users,
            audit,
            bounds: Bounds::new(live),
            date: http_date(now.wall),
            now,
            scratch: vec![0; READ_BYTES],
            dirty: Vec::new(),
            resume: VecDeque::new(),
            unfinished: VecDeque::new(),
            starved: Vec::new(),
            refusal,
            handshakes: Handshakes::default(),
            held_heads: VecDeque::new(),
            budget: Budget::default(),
            memory: Memory::new(&live.limits),
            moved: Moved::default(),
            is_stopping: false,
        }
    }

    /// Starts to accept connections at some of the ports.
    ///
    /// # Errors
    /// What the system gave.
    pub(crate) fn open(&mut self, wants: impl Fn(Port) -> bool) -> io::Result<()> {
        for (at, listener) in self.listeners.iter_mut().enumerate() {
            if wants(listener.port) {
                listener.socket.register(self.poll.registry(), Token(at))?;
            }
        }
        Ok(())
    }

    /// Takes what changes while the server runs: certificates, and limits, which this gives if they
    /// are others.
    pub(crate) fn refresh(&mut self) -> Option<LiveLimits> {
        self.keyring.refresh(self.now.wall);
        self.bounds.refresh(self.keyring.reloads())
    }

    /// A round begins at this moment.
    pub(crate) fn set_now(&mut self, now: Now) {
        let before = self.now.wall / 1_000_000_000;
        self.now = now;
        if now.wall / 1_000_000_000 != before {
            self.date = http_date(now.wall);
        }
    }

    pub(crate) fn keys(&self) -> Vec<Key> {
        self.connections.keys()
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Connection<T>> {
        self.connections.get_mut(key)
    }

    /// The connection whose socket has a token.
    pub(crate) fn key_of(&self, token: Token) -> Option<Key> {
        let slot = u32::try_from(token.0.checked_sub(TOKEN_BASE)?).ok()?;
        self.connections.key_at(slot)
    }

    /// What the request in hand of a connection waits for, if there is one.
    pub(crate) fn pending_mut(&mut self, key: Key) -> Option<&mut T> {
        self.connections.get_mut(key)?.pending_mut()
    }

    /// Takes what the request in hand waits for: it is about to be answered.
    pub(crate) fn take_pending(&mut self, key: Key) -> Option<T> {
        self.connections.get_mut(key)?.take_pending()
    }

    /// Lets the request in hand wait for something else than before.
    pub(crate) fn set_pending(&mut self, key: Key, pending: T) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.phase = Phase::Waiting(pending);
        }
    }

    /// Where a connection comes from.
    pub(crate) fn origin_of(&mut self, key: Key) -> String {
        let connection = self.connections.get_mut(key);
        let unknown = || "an unknown address".to_owned();
        connection.map_or_else(unknown, |one| super::listener::origin_of(one.socket.socket()))
    }

    /// Takes a connection out. Gives what its request waited for.
    pub(super) fn remove(&mut self, key: Key) -> Option<T> {
        let mut connection = self.connections.remove(key)?;
        self.peers -= usize::from(connection.port == Port::Peer);
        audit::tell(self.audit.as_deref(), &mut connection, GONE, None);
        self.memory.forget(connection.counted);
        self.feed_starved();
        self.backlog.make_room();
        connection.socket.say_end();
        // The descriptor is closed next, which says the same.
        let _ = self.poll.registry().deregister(connection.socket.socket());
        connection.take_pending()
    }

    /// Lets those go on that waited until the answers of others had left.
    pub(super) fn feed_starved(&mut self) {
        if !self.starved.is_empty() && !self.memory.is_output_over() {
            self.resume.extend(std::mem::take(&mut self.starved));
        }
    }

    /// Puts a connection on the list of those with something to send.
    pub(crate) fn mark_dirty(&mut self, key: Key) {
        if let Some(connection) = self.connections.get_mut(key)
            && !connection.is_dirty
        {
            connection.is_dirty = true;
            self.dirty.push(key);
        }
    }

    /// Continues with the pipelined requests of a connection.
    pub(crate) fn mark_resume(&mut self, key: Key) {
        if let Some(connection) = self.connections.get_mut(key)
            && !connection.is_resumed
        {
            connection.is_resumed = true;
            self.resume.push_back(key);
        }
    }

    /// Holds the head of a long poll back for a moment.
    pub(super) fn hold_head(&mut self, key: Key) {
        self.held_heads.push_back((key, self.now.monotonic + HEAD_DELAY_NS));
    }

    /// Sends the heads that were held back long enough, unless their event took them along.
    pub(crate) fn send_held_heads(&mut self) {
        while let Some((key, due)) = self.held_heads.front().copied() {
            if due > self.now.monotonic {
                return;
            }
            self.held_heads.pop_front();
            if let Some(connection) = self.connections.get_mut(key)
                && !connection.outbox.is_empty()
            {
                self.mark_dirty(key);
            }
        }
    }

    /// Nanoseconds until there is something to do without an event.
    pub(crate) fn until_due(&self) -> u64 {
        let is_busy = !self.resume.is_empty()
            || !self.dirty.is_empty()
            || !self.unfinished.is_empty()
            || self.handshakes.are_waiting();
        match self.held_heads.front() {
            _ if is_busy => 0,
            Some((_, due)) => due.saturating_sub(self.now.monotonic),
            None => u64::MAX,
        }
    }

    /// Whether this round has time left for clients.
    pub(crate) fn has_time(&self) -> bool {
        !self.budget.is_spent()
    }

    /// How many connections there are, and what they hold together.
    pub(crate) fn load(&self) -> Load {
        let (connections, held) = (self.connections.len(), self.memory.held());
        Load { connections, held, moved: self.moved }
    }

    /// Carries out the reply to the request in hand. `printed` is what its handler printed.
    pub(crate) fn give(&mut self, key: Key, reply: Reply<T>, printed: &[u8]) {
        match reply {
            Reply::Now(response) => self.answer(key, response, printed),
            Reply::Last(response) => self.answer_last(key, response, printed),
            Reply::Wait(pending) | Reply::Hold(pending) | Reply::Relay(pending) => {
                self.set_pending(key, pending);
            }
            Reply::Upgrade { head, pending } => {
                self.set_pending(key, pending);
                if let Some(connection) = self.connections.get_mut(key) {
                    connection.busy_since = self.now.monotonic;
                    super::set_patience(connection.socket.socket());
                }
                self.append(key, head.as_bytes());
            }
            Reply::Stream { head, pending, is_held } => {
                self.begin_stream(key, &head, printed);
                let Some(connection) = self.connections.get_mut(key) else { return };
                if connection.mode.is_head {
                    // The head says it all.
                    return self.end_answer(key);
                }
                let has_more = pending.has_more();
                connection.phase = Phase::Waiting(pending);
                if is_held && !has_more {
                    self.hold_head(key);
                } else {
                    self.mark_dirty(key);
                }
            }
        }
    }

    /// What the request in hand of a connection waited for before it could be served is there.
    pub(crate) fn serve_again(&mut self, key: Key) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.phase = Phase::Idle;
            connection.busy_since = self.now.monotonic;
            self.mark_resume(key);
        }
    }

    /// Appends an answer. `printed` is what its handler printed.
    pub(crate) fn answer(&mut self, key: Key, response: Response, printed: &[u8]) {
        let Response { status, content_type, numbers, extra, body } = response;
        let bytes = bytes_of(&body, printed);
        let Some(connection) = self.connections.get_mut(key) else { return };
        let extra = match connection.proven.take() {
            None => extra,
            Some(proven) => {
                let answered = ProvenReply { status, location: location_in(&extra), body: bytes };
                let proof = self.gate.sign(&proven, answered);
                let seal = proof.map(|proof| format!("Stead-Proof: {proof}\r\n"));
                Cow::Owned(format!("{extra}{}", seal.unwrap_or_default()))
            }
        };
        audit::tell(self.audit.as_deref(), connection, status, numbers.as_ref());
        let mode = connection.mode;
        if status >= 400 {
            self.counters.failed(status, mode.method);
        }
        self.budget.note(bytes.len());
        let envelope = ResponseHead::of(&self.date, self.cors.lines(mode.origin), mode);
        let (outbox, length) = (&mut connection.outbox, Length::Known(bytes.len()));
        connection.phase = Phase::Idle;
        outbox.append(|out| {
            envelope.head(out, status, content_type, numbers.as_ref(), &extra, length);
        });
        match body {
            _ if mode.is_head => {}
            // A large body is handed over rather than copied.
            Body::Owned(bytes) if bytes.len() >= SHARE_BYTES_MIN => {
                outbox.append_shared(&Bytes::from(bytes));
            }
            body => outbox.append(|out| out.extend_from_slice(bytes_of(&body, printed))),
        }
        self.finish(key);
    }

    /// As [`Front::answer`], and the connection ends with it.
    pub(crate) fn answer_last(&mut self, key: Key, response: Response, printed: &[u8]) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.mode.keep_alive = false;
        }
        self.answer(key, response, printed);
    }

    /// The answer to the request in hand is proven with this.
    pub(crate) fn prove(&mut self, key: Key, proven: Box<Proven>) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.proven = Some(proven);
        }
    }

    /// Who sent the request in hand of a connection.
    pub(crate) fn caller(&mut self, key: Key) -> Option<Caller> {
        let connection = self.connections.get_mut(key)?;
        Some(connection.caller(key))
    }

    /// Work of about so many printed bytes was done.
    pub(crate) fn note_work(&mut self, bytes: usize) {
        self.budget.note(bytes);
    }

    /// All of an answer is in the outbox.
    pub(crate) fn end_answer(&mut self, key: Key) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.phase = Phase::Idle;
        }
        self.finish(key);
    }

    /// Appends the head of an answer whose body comes in pieces, and the first piece.
    pub(super) fn begin_stream(&mut self, key: Key, head: &Response, printed: &[u8]) {
        let first = bytes_of(&head.body, printed);
        let Some(connection) = self.connections.get_mut(key) else { return };
        audit::tell(self.audit.as_deref(), connection, head.status, head.numbers.as_ref());
        let mode = connection.mode;
        let envelope = ResponseHead::of(&self.date, self.cors.lines(mode.origin), mode);
        let (kind, numbers) = (head.content_type, head.numbers.as_ref());
        connection.outbox.append(|out| {
            envelope.head(out, head.status, kind, numbers, &head.extra, Length::Stream);
            if !mode.is_head {
                put_piece(out, first, mode.is_http11);
            }
        });
        self.budget.note(first.len());
    }

    /// Appends bytes as they are.
    pub(crate) fn append(&mut self, key: Key, bytes: &[u8]) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.outbox.append(|out| out.extend_from_slice(bytes));
            self.mark_dirty(key);
        }
    }

    /// The answer to the request in hand is in the outbox.
    pub(crate) fn finish(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.closes |= !connection.mode.keep_alive;
        if connection.is_idle() && (!connection.input.is_empty() || connection.readable) {
            self.mark_resume(key);
        }
        self.mark_dirty(key);
    }

    /// Whether everything was sent and nothing is waited for but by other members.
    pub(crate) fn is_quiet(&mut self, may_idle: bool) -> bool {
        // Those that are to be served again have a request that nobody has answered.
        let is_served = self.resume.is_empty();
        is_served
            && self.connections.keys().into_iter().all(|key| {
                let Some(connection) = self.connections.get_mut(key) else { return true };
                let has_sent = connection.outbox.is_empty() && connection.socket.is_flushed();
                let is_foreign = connection.pending().is_some_and(|pending| !pending.is_http());
                has_sent && (is_foreign || (connection.is_idle() && may_idle))
            })
    }
}

/// The bytes of a body.
pub(super) fn bytes_of<'a>(body: &'a Body, printed: &'a [u8]) -> &'a [u8] {
    match body {
        Body::Empty => &[],
        Body::Static(bytes) => bytes,
        Body::Owned(bytes) => bytes,
        Body::Printed => printed,
    }
}

/// Where header lines send a client on to; empty if nowhere.
fn location_in(lines: &str) -> &str {
    let found = lines.lines().find_map(|line| line.strip_prefix("Location: "));
    found.unwrap_or_default()
}
