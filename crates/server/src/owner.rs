//! The loop: one thread that owns everything.
//!
//! A round takes what has arrived on all connections, answers reads at once, gathers writes, runs
//! one turn of the replica (one log record, one sync), and sends what came of it. No locks, no
//! queues between threads on the way of a request; what would hold the loop up is in `worker.rs`.
//!
//! How requests are answered is in `serve.rs`, how events reach watchers in `deliver.rs`.

use crate::api::browser::Hosts;
use crate::api::cluster_stats::Standbys;
use crate::api::cors::Cors;
use crate::api::route::Port;
use crate::api::time::http_date;
use crate::backlog::Backlog;
use crate::claim::Claims;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::connection::{Connection, Task};
use crate::dialback::DialBacks;
use crate::disk::DataDir;
use crate::error::StartError;
use crate::frames::Frames;
use crate::greeting::{Complaints, PROOF_NS, Speaker};
use crate::handshake::{Handshakes, is_late as is_handshake_late};
use crate::http::reader;
use crate::inquiry::Inquiry;
use crate::meters::Meters;
use crate::moved::Asking;
use crate::pace::Pace;
use crate::peer::{self, Peers};
use crate::proof::Gate;
use crate::slab::{Key, Slab};
use crate::tls::{Keyring, Stream};
use crate::worker::Workers;
use mio::event::Event;
use mio::net::{TcpListener, UnixStream};
use mio::{Events, Interest, Poll, Token};
use replica::{Clock, Driver, Fatal, MemberId, Now, Output, Removal, SyncMode};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, Read, Write};
use std::time::Duration;

/// Tokens below this are listeners and the like; connections follow.
const TOKEN_BASE: usize = 16;
const TOKEN_WAKER: Token = Token(14);
const TOKEN_SIGNAL: Token = Token(15);

/// Bytes read from a socket at a time.
const READ_BYTES: usize = 64 << 10;

/// Reads of one connection in a round, so that a fast sender does not starve the others.
const READS_MAX: usize = 8;

/// Bytes that a client may send ahead while its last request is in hand.
const AHEAD_BYTES_MAX: usize = 256 << 10;

/// Pieces of long answers in a round, so that one client does not hold up the others.
const PASSES_MAX: usize = 8;

/// Turns in a round for requests that were sent ahead.
const AHEAD_TURNS_MAX: usize = 16;

/// How long after a read syncs are left to their own thread, so that the next read need not wait:
/// 20 ms.
const READS_RECENT_NS: u64 = 20_000_000;

/// How long the head of a long poll may be held back for its event to come along: 20 ms.
const HEAD_DELAY_NS: u64 = 20_000_000;

/// How often the loop looks after what has no event of its own: 1 s.
const HOUSEKEEPING_NS: u64 = 1_000_000_000;

pub(crate) type Member = Driver<DataDir, Peers, SystemClock>;

/// How long a client may go on sending after its last answer, whatever it may otherwise.
const DRAIN_NS_MAX: u128 = 300_000_000_000;

/// Why the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// A signal asked for it.
    Stopped,
    /// This machine is no member any more.
    Removed(Removal),
}

/// A port that is listened on.
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) port: Port,
}

/// Everything that the loop owns.
pub(crate) struct Owner {
    pub(crate) config: Config,
    pub(crate) poll: Poll,
    /// What is shown where TLS is spoken.
    pub(crate) keyring: Keyring,
    pub(crate) listeners: Vec<Listener>,
    /// Kept open: its other end is written to when a signal comes.
    _signals: UnixStream,
    /// Ports whose callers must wait until there is room.
    backlog: Backlog,
    pub(crate) connections: Slab<Connection>,
    /// Clients that wait for locks.
    pub(crate) claims: Claims,
    pub(crate) driver: Member,
    pub(crate) workers: Workers,
    pub(crate) meters: Meters,
    pub(crate) cors: Cors,
    pub(crate) hosts: Hosts,
    pub(crate) limits: reader::Limits,
    pub(crate) frames: Frames,
    /// A body that is being printed; kept for its memory.
    pub(crate) body: Vec<u8>,
    pub(crate) date: String,
    pub(crate) now: Now,
    pub(crate) started: Now,
    /// When this process first saw its leader, by both clocks.
    pub(crate) leader_since: Now,
    /// The leader that it saw last.
    pub(crate) last_leader: Option<MemberId>,
    /// How often that was another one than before.
    pub(crate) leader_changes: u64,
    /// Members whose state was found to differ, as far as the log says so.
    pub(crate) diverged: BTreeSet<MemberId>,
    /// Entries that were skipped, as far as the log says so.
    pub(crate) entries_skipped: u64,
    /// Whether the log says that this member lost what it had acknowledged.
    pub(crate) has_told_loss: bool,
    /// Whether the log says that this directory was copied.
    pub(crate) has_told_copy: bool,
    /// Whether the log says that it may be the copy of a running machine's.
    pub(crate) has_told_live_copy: bool,
    /// The connections over which other members speak to this one.
    pub(crate) speakers: BTreeMap<MemberId, Speaker>,
    /// How members that are called prove themselves, and what they are asked for.
    pub(crate) gate: Gate,
    pub(crate) complaints: Complaints,
    /// What members said of processes with this member's identity: strangers do not use it up.
    pub(crate) doubles: Complaints,
    /// The version of the membership that connections are held for.
    pub(crate) known_membership: u64,
    /// Members that are looked for.
    pub(crate) asking: Asking,
    /// Machines that ask for a place and are being dialled.
    pub(crate) dial_backs: DialBacks,
    /// The standbys that asked this member how things are.
    pub(crate) standbys: Standbys,
    /// How this machine was removed, if it was.
    pub(crate) removal: Option<Removal>,
    /// What others say about that.
    pub(crate) inquiry: Inquiry,
    /// Whether the server is about to end, so that every answer is a connection's last.
    pub(crate) is_stopping: bool,
    /// What broke while messages of members were taken; the next turn says so.
    pub(crate) fatal: Option<Fatal>,
    last_read_at: u64,
    pub(crate) out: Output,
    scratch: Vec<u8>,
    /// Connections with something to send.
    dirty: Vec<Key>,
    /// Connections that can go on without an event.
    resume: Vec<Key>,
    pub(crate) handshakes: Handshakes,
    pace: Pace,
    /// Long polls whose head has not been sent, and when it is to be.
    held_heads: VecDeque<(Key, u64)>,
    last_housekeeping: u64,
    pub(crate) clock: SystemClock,
}

/// What [`Owner::new`] puts together.
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) keyring: Keyring,
    pub(crate) poll: Poll,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) signals: UnixStream,
    pub(crate) driver: Member,
    pub(crate) workers: Workers,
    pub(crate) clock: SystemClock,
}

impl Owner {
    pub(crate) fn new(parts: Parts) -> Result<Self, StartError> {
        let mut parts = parts;
        for (at, listener) in parts.listeners.iter_mut().enumerate() {
            let registry = parts.poll.registry();
            registry.register(&mut listener.socket, Token(at), Interest::READABLE)?;
        }
        parts.poll.registry().register(&mut parts.signals, TOKEN_SIGNAL, Interest::READABLE)?;
        let now = parts.clock.now();
        let limits = reader::Limits {
            request_line_bytes: parts.config.limits.request_line_bytes,
            head_bytes: parts.config.limits.head_bytes,
            body_bytes: parts.config.limits.body_bytes,
        };
        let pace = Pace::new(Duration::from_micros(parts.config.busy_poll_us));
        let gate = Gate::new(&parts.config.finding.token)?;
        Ok(Self {
            cors: Cors::new(&parts.config.cors),
            hosts: Hosts::of(&parts.config),
            config: parts.config,
            poll: parts.poll,
            keyring: parts.keyring,
            listeners: parts.listeners,
            _signals: parts.signals,
            backlog: Backlog::default(),
            connections: Slab::new(),
            claims: Claims::new(),
            driver: parts.driver,
            workers: parts.workers,
            meters: Meters::new(now),
            limits,
            frames: Frames::default(),
            body: Vec::new(),
            date: http_date(now.wall),
            now,
            started: now,
            leader_since: now,
            last_leader: None,
            leader_changes: 0,
            diverged: BTreeSet::new(),
            entries_skipped: 0,
            has_told_loss: false,
            has_told_copy: false,
            has_told_live_copy: false,
            speakers: BTreeMap::new(),
            gate,
            complaints: Complaints::default(),
            doubles: Complaints::default(),
            known_membership: u64::MAX,
            asking: Asking::default(),
            dial_backs: DialBacks::default(),
            standbys: Standbys::default(),
            removal: None,
            inquiry: Inquiry::default(),
            is_stopping: false,
            fatal: None,
            last_read_at: 0,
            out: Output::default(),
            scratch: vec![0; READ_BYTES],
            dirty: Vec::new(),
            resume: Vec::new(),
            handshakes: Handshakes::default(),
            pace,
            held_heads: VecDeque::new(),
            last_housekeeping: now.monotonic,
            clock: parts.clock,
        })
    }

    /// Serves until a signal asks it to stop, or the machine is no member any more.
    ///
    /// # Errors
    /// [`StartError`] with what broke; nothing is served any more then.
    pub(crate) fn run(&mut self) -> Result<Ended, StartError> {
        let mut events = Events::with_capacity(1024);
        loop {
            let patience = self.patience();
            match self.pace.wait(&mut self.poll, &mut events, patience) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            }
            self.begin_round();
            for event in &events {
                self.take(event);
                if self.driver.is_batch_full() {
                    self.turn()?;
                }
            }
            // What arrived together with the signal is not reported again, so it was taken first.
            if events.iter().any(|event| event.token() == TOKEN_SIGNAL) {
                self.stop()?;
                return Ok(Ended::Stopped);
            }
            self.take_results()?;
            self.tend_peers();
            self.send_held_heads();
            self.tend_claims();
            self.turn()?;
            if let Some(removal) = self.removal {
                self.finish_up()?;
                self.workers.finish();
                return Ok(Ended::Removed(removal));
            }
            // What was sent ahead is taken now; its writes need a turn of their own.
            for _ in 0..AHEAD_TURNS_MAX {
                if self.resume.is_empty() {
                    break;
                }
                self.go_on()?;
                self.turn()?;
            }
            self.housekeep();
            for at in self.backlog.take_due(self.now.monotonic) {
                self.accept(at);
            }
        }
    }

    pub(crate) fn read_clock(&mut self) {
        let before = self.now.wall / 1_000_000_000;
        self.now = self.clock.now();
        if self.now.wall / 1_000_000_000 != before {
            self.date = http_date(self.now.wall);
        }
    }

    /// How long to wait for the next event.
    fn patience(&self) -> Duration {
        let has_more = !self.resume.is_empty() || self.handshakes.are_waiting();
        if has_more || !self.dirty.is_empty() || self.claims.is_hurried {
            return Duration::ZERO;
        }
        let head = self.held_heads.front().map_or(u64::MAX, |(_, due)| *due);
        let head = head.saturating_sub(self.now.monotonic);
        let due = self.driver.until_due().unwrap_or(u64::MAX).min(HOUSEKEEPING_NS).min(head);
        let claim_due = self.claims.next_due().unwrap_or(u64::MAX);
        let due = due.min(claim_due.saturating_sub(self.now.monotonic));
        Duration::from_nanos(due)
    }

    pub(crate) fn take(&mut self, event: &Event) {
        match event.token() {
            TOKEN_WAKER | TOKEN_SIGNAL => {}
            Token(at) if at < TOKEN_BASE => self.accept(at),
            token @ Token(peer::TOKEN_BASE..) => {
                let (now, claim) = (self.now.monotonic, self.driver.own_claim());
                self.driver.network_mut().ready(token, claim, now);
            }
            Token(at) => {
                let slot = u32::try_from(at - TOKEN_BASE).unwrap_or(u32::MAX);
                let Some(key) = self.connections.key_at(slot) else { return };
                if event.is_error() {
                    return self.close(key);
                }
                // A socket that was never full is reported with everything that arrives.
                let was_full = |connection: &mut Connection| {
                    connection.is_blocked || !connection.socket.is_flushed()
                };
                if event.is_writable() && self.connections.get_mut(key).is_some_and(was_full) {
                    self.mark_dirty(key);
                }
                if event.is_readable() || event.is_read_closed() {
                    self.read(key, event.is_read_closed());
                }
            }
        }
    }

    pub(crate) fn accept(&mut self, at: usize) {
        loop {
            let Some(listener) = self.listeners.get(at) else { return };
            let port = listener.port;
            let now = self.now.monotonic;
            let Some(socket) = self.backlog.accept(at, &listener.socket, now) else { return };
            let is_full = self.connections.len() >= self.config.limits.connections;
            if is_full {
                self.meters.refuse_connection();
                if self.keyring.acceptor(port).is_none() {
                    crate::serve::refuse_connection(socket, &self.date);
                }
                continue;
            }
            self.adopt(socket, port);
        }
    }

    fn adopt(&mut self, socket: mio::net::TcpStream, port: Port) {
        // Without it answers still arrive, only later.
        let _ = socket.set_nodelay(true);
        let stream = match self.keyring.acceptor(port) {
            None => Ok(Stream::Plain(socket)),
            Some(acceptor) => Stream::accept(socket, acceptor.config()),
        };
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => return tracing::warn!(%error, "a TLS session could not be made"),
        };
        let key = self.connections.insert(Connection::new(stream, port, self.now.monotonic));
        let token = Token(key.slot as usize + TOKEN_BASE);
        let Some(connection) = self.connections.get_mut(key) else { return };
        let interest = Interest::READABLE | Interest::WRITABLE;
        if self.poll.registry().register(connection.socket.socket(), token, interest).is_err() {
            self.connections.remove(key);
        }
    }

    /// Reads what a connection has sent and takes the requests in it.
    pub(crate) fn read(&mut self, key: Key, has_ended: bool) {
        if !self.may_read(key) {
            return;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        for _ in 0..READS_MAX {
            let Some(connection) = self.connections.get_mut(key) else { break };
            if !connection.is_idle()
                && !matches!(connection.task, Task::Peer(_))
                && connection.input.len() >= AHEAD_BYTES_MAX
            {
                connection.readable = true;
                break;
            }
            match connection.socket.read(&mut scratch) {
                Ok(0) => {
                    self.client_ended(key);
                    break;
                }
                Ok(read) => {
                    let has_ended = has_ended || connection.socket.has_ended();
                    self.take_bytes(key, scratch.get(..read).unwrap_or_default());
                    // A short read emptied the socket; the next bytes are an event of their own.
                    if read < READ_BYTES && !has_ended {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    self.turn_away(key, &error);
                    break;
                }
            }
        }
        self.scratch = scratch;
        // More may be there than a round's share.
        if let Some(connection) = self.connections.get_mut(key)
            && connection.readable
            && (connection.is_idle() || matches!(connection.task, Task::Peer(_)))
        {
            self.resume.push(key);
        }
    }

    fn take_bytes(&mut self, key: Key, bytes: &[u8]) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.readable = bytes.len() == READ_BYTES;
        if let Task::Drain { left } = &mut connection.task {
            *left = left.saturating_sub(bytes.len());
            if *left == 0 {
                self.close(key);
            }
            return;
        }
        if let Task::Peer(from) = connection.task {
            return self.take_frames(key, from, bytes);
        }
        if let Task::Guest(_) = connection.task {
            return self.take_proof(key, bytes);
        }
        if !connection.input.is_empty() || !connection.is_idle() {
            connection.input.extend_from_slice(bytes);
            return self.take_input(key);
        }
        let used = self.serve(key, bytes);
        if let Some(connection) = self.connections.get_mut(key)
            && let Some(rest) = bytes.get(used..).filter(|rest| !rest.is_empty())
        {
            connection.input.extend_from_slice(rest);
            connection.busy_since = self.now.monotonic;
        }
    }

    /// Takes the requests in what has been kept of earlier reads.
    fn take_input(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if !connection.is_idle() || connection.input.is_empty() {
            return;
        }
        let mut input = std::mem::take(&mut connection.input);
        let used = self.serve(key, &input);
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.ended && connection.is_idle() {
            // What is left will never be a whole request.
            connection.closes = true;
            return self.mark_dirty(key);
        }
        if used == input.len() {
            // The memory is given back: most requests come whole and need none.
            return;
        }
        input.drain(..used);
        connection.input = input;
        if used > 0 {
            connection.busy_since = self.now.monotonic;
        }
    }

    /// The client has sent its last byte. A watch ends with it; other answers are still sent.
    fn client_ended(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.ended = true;
        connection.readable = false;
        let waits = matches!(connection.task, Task::Write { .. } | Task::Read { .. })
            || matches!(connection.task, Task::Configure | Task::List(_))
            || matches!(connection.task, Task::LockWrite | Task::LockRead { .. })
            || matches!(connection.task, Task::Join(_) | Task::Remove(_) | Task::Member(_));
        if waits {
            // What it sent ahead is answered first.
            connection.closes |= connection.input.is_empty();
        } else if !connection.outbox.is_empty() {
            connection.closes = true;
        } else {
            self.close(key);
        }
    }

    pub(crate) fn close(&mut self, key: Key) {
        let Some(mut connection) = self.connections.remove(key) else { return };
        self.backlog.make_room();
        match &connection.task {
            Task::Watch(watch) => self.driver.store_mut().unwatch(watch.watcher),
            Task::Peer(from) => self.speaker_left(key, *from),
            Task::Claim(claim) => self.orphan(*claim),
            _ => {}
        }
        connection.socket.say_end();
        // The descriptor is closed next, which says the same.
        let _ = self.poll.registry().deregister(connection.socket.socket());
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

    /// Holds the head of a long poll back for a moment.
    pub(crate) fn hold_head(&mut self, key: Key) {
        self.held_heads.push_back((key, self.now.monotonic + HEAD_DELAY_NS));
    }

    /// Sends the heads that were held back long enough, unless their event took them along.
    fn send_held_heads(&mut self) {
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

    /// Lets a connection go on with what it has sent ahead.
    pub(crate) fn mark_resume(&mut self, key: Key) {
        self.resume.push(key);
    }

    pub(crate) fn note_read(&mut self) {
        self.last_read_at = self.now.monotonic;
        self.pace.expect_more();
    }

    pub(crate) fn flush_dirty(&mut self) {
        // A long answer goes on when its last piece is sent, and so needs another pass.
        for _ in 0..PASSES_MAX {
            let mut dirty = std::mem::take(&mut self.dirty);
            for key in dirty.drain(..) {
                self.flush(key);
            }
            if self.dirty.is_empty() {
                self.dirty = dirty;
                return;
            }
        }
    }

    fn flush(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.is_dirty = false;
        let before = connection.outbox.len();
        let flushed = connection.outbox.flush(&mut connection.socket);
        // An answer has left when its ciphertext has.
        let sent = flushed.and_then(|sent| match connection.socket.flush() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            result => result.map(|()| sent),
        });
        connection.is_blocked = !matches!(sent, Ok(true));
        match sent {
            Err(_) => self.close(key),
            Ok(false) => {
                if connection.outbox.len() < before {
                    connection.busy_since = self.now.monotonic;
                }
            }
            Ok(true) => {
                if before > 0 {
                    connection.busy_since = self.now.monotonic;
                }
                self.drained(key);
            }
        }
    }

    /// Everything is sent: goes on with a long answer, or ends.
    fn drained(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        match &connection.task {
            Task::List(_) => self.list_on(key),
            Task::Watch(watch) if watch.lags => self.catch_up(key),
            Task::Watch(_) => connection.outbox.shrink(),
            Task::Idle
                if connection.closes || (connection.ended && connection.input.is_empty()) =>
            {
                self.hang_up(key);
            }
            _ => {}
        }
    }

    /// Ends a connection after its last answer. A client that is still sending would lose the
    /// answer if the socket were simply closed, so what it sends is read for a while.
    fn hang_up(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let is_sending = !connection.input.is_empty() && !connection.ended;
        if is_sending && connection.socket.end_writing().is_ok() {
            connection.input = Vec::new();
            connection.task = Task::Drain { left: self.config.limits.body_bytes * 2 };
            connection.readable = true;
            self.resume.push(key);
        } else {
            self.close(key);
        }
    }

    /// One turn of the replica, and what comes of it.
    pub(crate) fn turn(&mut self) -> Result<(), StartError> {
        self.take_fatal()?;
        self.claims.is_hurried = false;
        // Answers to reads leave before a sync holds them up.
        self.flush_dirty();
        let are_reads_recent =
            self.now.monotonic.saturating_sub(self.last_read_at) < READS_RECENT_NS;
        let mode = if are_reads_recent { SyncMode::Deferred } else { SyncMode::InPlace };
        let mut out = std::mem::take(&mut self.out);
        let target = self.driver.turn(mode, &mut out)?;
        self.note_leader();
        for nanos in self.driver.take_sync_times() {
            self.meters.synced(Duration::from_nanos(nanos));
            self.pace.rest();
        }
        if !out.is_empty() {
            self.meters.observe_turn(self.now, self.clock.now());
            self.deliver(&mut out);
        }
        self.out = out;
        if let Some(target) = target {
            self.workers.sync(target)?;
        }
        self.hand_out_work()?;
        self.flush_dirty();
        Ok(())
    }

    /// Lets connections go on whose last request is answered.
    pub(crate) fn go_on(&mut self) -> Result<(), StartError> {
        if self.resume.is_empty() {
            return Ok(());
        }
        let mut resume = std::mem::take(&mut self.resume);
        for key in resume.drain(..) {
            self.take_input(key);
            let Some(connection) = self.connections.get_mut(key) else { continue };
            if connection.readable {
                connection.readable = false;
                self.read(key, true);
            }
            if self.driver.is_batch_full() {
                self.turn()?;
            }
        }
        self.flush_dirty();
        Ok(())
    }

    /// Looks after what has no event of its own: slow clients, failed fills.
    fn housekeep(&mut self) {
        if self.now.monotonic.saturating_sub(self.last_housekeeping) < HOUSEKEEPING_NS {
            return;
        }
        self.last_housekeeping = self.now.monotonic;
        self.driver.retry_fill();
        if let Err(fatal) = self.driver.check_directory() {
            self.fatal.get_or_insert(fatal);
        }
        self.report_divergence();
        self.look_for_moved();
        self.keyring.refresh();
        self.driver.network_mut().set_tls(self.keyring.dialer());
        let read_limit = time_limit(self.config.http_read_timeout_secs);
        let write_limit = time_limit(self.config.http_write_timeout_secs);
        for key in self.connections.keys() {
            let Some(connection) = self.connections.get_mut(key) else { continue };
            let since = u128::from(self.now.monotonic.saturating_sub(connection.busy_since));
            let is_late = match &connection.task {
                _ if !connection.outbox.is_empty() => since > write_limit,
                Task::Guest(_) => since > PROOF_NS,
                Task::Idle => since > read_limit || is_handshake_late(&connection.socket, since),
                Task::Drain { .. } if is_handshake_late(&connection.socket, since) => true,
                Task::Drain { .. } => since > read_limit.min(DRAIN_NS_MAX),
                _ => false,
            };
            if is_late {
                self.close(key);
            }
        }
    }
}

/// Nanoseconds that something may take; as in the original no limit is written as zero.
pub(crate) fn time_limit(seconds: f64) -> u128 {
    if seconds == 0.0 {
        return u128::MAX;
    }
    Duration::from_secs_f64(seconds.clamp(0.001, 1e9)).as_nanos()
}

pub(crate) const fn waker_token() -> Token {
    TOKEN_WAKER
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_limit_of_zero_is_none() {
        assert_eq!(time_limit(0.0), u128::MAX);
        assert_eq!(time_limit(-0.0), u128::MAX);
        assert_eq!(time_limit(0.5), 500_000_000);
        assert_eq!(time_limit(f64::MAX), 1_000_000_000_000_000_000);
    }
}
