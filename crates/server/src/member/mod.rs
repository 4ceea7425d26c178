//! A member: one thread that owns the replica and everything around it.
//!
//! A round takes what has arrived on all connections, answers reads at once, gathers writes, runs
//! one turn of the replica (one log record, one sync), and sends the results. No locks, no queues
//! between threads on the way of a request; what would hold the loop up is in `worker.rs`.
//!
//! The connections are in the [`Front`], what handlers work on is the [`Context`]; the loop is what
//! brings them together.

mod asking;
mod background;
pub(crate) mod backups;
pub(crate) mod context;
mod deliver;
pub(crate) mod greeting;
mod handover;
mod hints;
pub(crate) mod inbound;
mod incidents;
mod inquiry;
pub(crate) mod moved;
mod observe;
mod peers;
pub(crate) mod probe;
mod rounds;
mod seen;
mod shutdown;
pub(crate) mod vitals;
pub(crate) mod waiter;
pub(crate) mod worker;

use crate::api::admit::Remote;
use crate::api::keys::watch;
use crate::api::lock::queueing;
use crate::api::lock::waiters::LockWaiters;
use crate::api::pending::Waiting;
use crate::api::{self, backup, health, keys};
use crate::audit::{Audit, Entry};
use crate::auth::Authenticator;
use crate::config::{Config, Dialect};
use crate::error::StartError;
use crate::http::browser::Hosts;
use crate::http::cors::Cors;
use crate::http::request::{Method, Refusal, Request};
use crate::metrics::Meters;
use crate::net::tls::Keyring;
use crate::net::{
    self, BusyPoll, Caller, Front, FrontParts, Key, Listener, Reply, Response, Service,
};
use crate::notice;
use crate::peer;
use crate::proof::Gate;
use crate::sys::clock::SystemClock;
use crate::sys::pulse::Pulse;
use context::{Context, Effect, Engine};
use mio::event::Event;
use mio::net::UnixStream;
use mio::{Events, Interest, Poll, Token};
use replica::{Clock, Output, Removal, SyncMode};
use rounds::{RoundPart, RoundTimes};
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use store::Principal;
use worker::Workers;

pub(crate) const TOKEN_WAKER: Token = Token(14);
const TOKEN_SIGNAL: Token = Token(15);

/// Turns in a round for requests that were sent ahead.
const AHEAD_TURNS_MAX: usize = 16;

/// How long after a read syncs are left to their own thread, so that the next read need not wait:
/// 20 ms.
const READS_RECENT_NS: u64 = 20_000_000;

/// The interval of periodic work that has no event of its own: 1 s.
const HOUSEKEEPING_NS: u64 = 1_000_000_000;

/// Why the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemberEnd {
    /// A signal asked for it.
    Stopped,
    /// This machine is no longer a member.
    Removed(Removal),
}

/// The loop of a member.
pub(crate) struct EventLoop {
    pub(crate) front: Front<Waiting>,
    pub(crate) cx: Context,
    /// Kept open: its other end is written to when a signal comes.
    _signals: UnixStream,
    busy_poll: BusyPoll,
    rounds: RoundTimes,
    last_housekeeping: u64,
}

/// What [`EventLoop::new`] puts together.
pub(crate) struct MemberParts {
    pub(crate) config: Config,
    pub(crate) keyring: Keyring,
    pub(crate) poll: Poll,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) signals: UnixStream,
    pub(crate) driver: Engine,
    pub(crate) workers: Workers,
    pub(crate) clock: SystemClock,
    pub(crate) audit: Option<Rc<Audit>>,
    pub(crate) pulse: Pulse,
}

impl EventLoop {
    /// # Errors
    /// What the system gave.
    pub(crate) fn new(parts: MemberParts) -> Result<Self, StartError> {
        let MemberParts { config, keyring, poll, listeners, mut signals, .. } = parts;
        let MemberParts { driver, workers, clock, audit, pulse, .. } = parts;
        poll.registry().register(&mut signals, TOKEN_SIGNAL, Interest::READABLE)?;
        let now = clock.now();
        let gate = Arc::new(Gate::new(&config.finding.token)?);
        let meters = Rc::new(Meters::new(now));
        let mut front = Front::new(FrontParts {
            live: config.live_limits(),
            cors: Cors::new(&config.cors),
            hosts: Hosts::of(&config),
            poll,
            keyring,
            listeners,
            gate: Arc::clone(&gate),
            counters: Rc::clone(&meters) as Rc<dyn net::Count>,
            names_users: config.certificates_name_users,
            audit,
            refusal: api::answers::overloaded,
            now,
        });
        front.open(|_| true)?;
        let backups = backups::Backups::new(config.backups.as_ref(), &config.name, now);
        let probe = probe::Probe::new(config.heartbeat_interval_ms);
        let seen = seen::Seen::new(driver.disk().seen(driver.cluster(), driver.status().id));
        let busy_poll = BusyPoll::new(Duration::from_micros(config.busy_poll_us));
        let cx = Context {
            trend: vitals::begin(&driver, now),
            config,
            driver,
            workers,
            meters,
            gate,
            auth: Authenticator::new()?,
            who: Principal::Guest,
            is_let_in: false,
            locks: LockWaiters::new(),
            progressing: Vec::new(),
            events: keys::event_bytes::EventBytes::default(),
            body: Vec::new(),
            clock,
            now,
            outcomes_at: now.monotonic,
            started: now,
            leader_since: now,
            leader_changes: 0,
            inbound: inbound::Inbound::default(),
            asking: asking::Asking::default(),
            dial_backs: api::dial_backs::DialBacks::default(),
            standbys: api::standbys::Standbys::default(),
            sending_backups: Arc::default(),
            asides: Arc::default(),
            backups,
            incidents: incidents::Incidents::new(now),
            pulse,
            probe,
            hand_over: handover::HandOver::default(),
            seen,
            certificate: None,
            removal: None,
            inquiry: hints::Inquiry::default(),
            fatal: None,
            out: Output::default(),
            effects: Vec::new(),
            proven: None,
            load: net::Load::default(),
            last_read_at: 0,
            has_read: false,
        };
        let (last_housekeeping, rounds) = (now.monotonic, RoundTimes::default());
        Ok(Self { front, cx, _signals: signals, busy_poll, rounds, last_housekeeping })
    }

    /// Serves until a signal asks it to stop, or the machine is no longer a member.
    ///
    /// # Errors
    /// [`StartError`] with what broke; nothing is served any more then.
    pub(crate) fn run(&mut self) -> Result<MemberEnd, StartError> {
        let mut events = Events::with_capacity(1024);
        // What the start has left to do waits for no event: who is alone begins to lead.
        let mut patience = Duration::ZERO;
        loop {
            if std::mem::take(&mut self.cx.has_read) {
                self.busy_poll.after_read();
            }
            match self.busy_poll.wait(&mut self.front.poll, &mut events, patience) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            }
            self.begin_round();
            self.rounds.begin(self.cx.now.monotonic, patience);
            for event in &events {
                self.take(event);
                if self.cx.driver.is_batch_full() {
                    self.turn()?;
                }
            }
            // What arrived together with the signal is not reported again, so it was taken first.
            if events.iter().any(|event| event.token() == TOKEN_SIGNAL) {
                self.stop()?;
                return Ok(MemberEnd::Stopped);
            }
            self.rounds.end_part(&self.cx, RoundPart::Events);
            self.take_results()?;
            self.maintain_peers();
            self.front.send_held_heads();
            queueing::advance(&mut self.cx);
            self.carry_out();
            self.turn()?;
            health::answer_late(&mut self.cx);
            api::leader::look(&mut self.cx);
            self.carry_out();
            if let Some(removal) = self.cx.removal {
                self.finish_up()?;
                self.cx.workers.finish();
                return Ok(MemberEnd::Removed(removal));
            }
            self.rounds.end_part(&self.cx, RoundPart::Turn);
            self.go_on()?;
            self.housekeep();
            self.front.accept_due();
            observe::look(&mut self.cx);
            self.rounds.end(&mut self.cx);
            patience = self.patience();
        }
    }

    /// Lets connections go on with what they sent ahead; its writes need a turn of their own.
    fn go_on(&mut self) -> Result<(), StartError> {
        for _ in 0..AHEAD_TURNS_MAX {
            if !self.front.can_go_on() || !self.front.has_time() {
                break;
            }
            net::go_on(self);
            self.turn()?;
        }
        Ok(())
    }

    /// A round begins: the clock is read, and handshakes go on that had to wait.
    fn begin_round(&mut self) {
        self.cx.now = self.cx.clock.now();
        self.cx.pulse.beat();
        self.front.set_now(self.cx.now);
        net::begin_round(self);
    }

    /// How long to wait for the next event.
    fn patience(&self) -> Duration {
        if self.cx.locks.has_pending_proposal {
            return Duration::ZERO;
        }
        let due = self.cx.driver.until_due().unwrap_or(u64::MAX).min(HOUSEKEEPING_NS);
        let lock_due = self.cx.locks.next_due().unwrap_or(u64::MAX);
        let lock_due = lock_due.saturating_sub(self.cx.now.monotonic);
        let probe_due = self.cx.probe.until_due(self.cx.now.monotonic).unwrap_or(u64::MAX);
        let due = due.min(self.front.until_due()).min(lock_due).min(probe_due);
        let due = due.min(self.cx.trend.until_due(self.cx.now.monotonic));
        Duration::from_nanos(due).min(self.cx.pulse.rest())
    }

    fn take(&mut self, event: &Event) {
        match event.token() {
            TOKEN_WAKER | TOKEN_SIGNAL => {}
            token @ Token(peer::TOKEN_BASE..) => {
                let (now, claim) = (self.cx.now.monotonic, self.cx.driver.own_claim());
                self.cx.driver.network_mut().ready(token, claim, now);
            }
            _ => net::take(self, event),
        }
    }

    fn maintain_peers(&mut self) {
        peers::maintain(&mut self.cx);
        self.carry_out();
    }

    /// Carries out the effects that handlers requested on other connections.
    fn carry_out(&mut self) {
        // What a connection waited for may have more to be done when it is closed.
        while !self.cx.effects.is_empty() {
            for effect in std::mem::take(&mut self.cx.effects) {
                match effect {
                    Effect::Answer(key, response) => self.front.answer(key, response, &[]),
                    Effect::AnswerLast(key, response) => {
                        self.front.answer_last(key, response, &[]);
                    }
                    Effect::Close(key) => self.close(key),
                }
            }
        }
    }

    /// One turn of the replica, and the delivery of its results.
    fn turn(&mut self) -> Result<(), StartError> {
        if let Some(fatal) = self.cx.fatal.take() {
            return Err(fatal.into());
        }
        self.cx.locks.has_pending_proposal = false;
        // Answers to reads leave before a sync holds them up.
        net::flush_dirty(self);
        let since_read = self.cx.now.monotonic.saturating_sub(self.cx.last_read_at);
        let are_reads_recent = since_read < READS_RECENT_NS;
        let mode = if are_reads_recent { SyncMode::Deferred } else { SyncMode::InPlace };
        let mut out = std::mem::take(&mut self.cx.out);
        let target = self.cx.driver.turn(mode, &mut out)?;
        peers::note_leader(&mut self.cx);
        let mut longest = Duration::ZERO;
        for took in self.cx.driver.take_sync_times().map(Duration::from_nanos) {
            self.cx.meters.syncs.add(took);
            longest = longest.max(took);
            self.cx.has_read = false;
        }
        observe::note_sync(&mut self.cx, longest);
        if !out.is_empty() {
            self.cx.outcomes_at = self.cx.clock.now().monotonic;
            self.cx.meters.turns.add_one();
            self.deliver(&mut out);
        }
        self.cx.out = out;
        if let Some(target) = target {
            self.cx.workers.sync(target)?;
        }
        background::hand_out(&mut self.cx)?;
        net::flush_dirty(self);
        Ok(())
    }

    /// Periodic work without an event of its own: slow clients, failed fills.
    fn housekeep(&mut self) {
        if self.cx.now.monotonic.saturating_sub(self.last_housekeeping) < HOUSEKEEPING_NS {
            return;
        }
        self.last_housekeeping = self.cx.now.monotonic;
        self.cx.driver.retry_fill();
        if let Err(fatal) = self.cx.driver.check_directory() {
            self.cx.fatal.get_or_insert(fatal);
        }
        self.cx.load = self.front.load();
        vitals::tell(&mut self.cx);
        peers::report(&mut self.cx);
        moved::look_for_moved(&mut self.cx);
        background::make_backup(&mut self.cx);
        background::note_seen(&mut self.cx);
        keys::progress::tell(&mut self.cx, &mut self.front);
        notice::tell_waiting();
        if let Some(live) = self.front.refresh() {
            self.cx.config.limits.stream_buffer_bytes = live.limits.stream_buffer_bytes;
        }
        self.cx.certificate = self.front.keyring.ends_first().cloned();
        self.cx.driver.network_mut().set_tls(self.front.keyring.dialer());
        net::close_slow(self);
        self.carry_out();
    }
}

/// The connection of the request in hand.
struct ConnectionRemote<'a> {
    front: &'a mut Front<Waiting>,
    key: Key,
}

impl Remote for ConnectionRemote<'_> {
    fn origin(&mut self) -> String {
        self.front.origin_of(self.key)
    }

    fn address(&mut self) -> Option<IpAddr> {
        Some(self.front.get_mut(self.key)?.address()?.ip())
    }

    fn certificate_user(&mut self) -> Option<String> {
        let names_users = self.front.names_users;
        self.front.get_mut(self.key)?.certificate_name().filter(|_| names_users)
    }
}

impl Service for EventLoop {
    type Pending = Waiting;

    fn parts(&mut self) -> (&mut Front<Waiting>, &mut Vec<u8>) {
        (&mut self.front, &mut self.cx.body)
    }

    fn request(&mut self, caller: Caller, request: &Request<'_>) -> Reply<Waiting> {
        self.cx.load = self.front.load();
        let (front, cx) = (&mut self.front, &mut self.cx);
        let remote = &mut ConnectionRemote { front, key: caller.key };
        let reply = api::respond(cx, caller, request, remote);
        if let Some(proven) = cx.proven.take() {
            front.prove(caller.key, proven);
        }
        self.carry_out();
        reply
    }

    fn audited(&mut self, key: Key, request: &Request<'_>) -> Option<Box<Entry>> {
        if request.path.starts_with("/v2/peer/") {
            return None;
        }
        let user = self.cx.driver.store().auth().proven(self.cx.who);
        let user = user.map(|user| user.name.to_string());
        let certificate = self.front.get_mut(key)?.certificate_name();
        Some(Box::new(Entry {
            method: request.method.as_str(),
            path: request.path.to_owned(),
            address: self.front.origin_of(key),
            user,
            certificate,
            wall: self.cx.now.wall,
            is_read: matches!(request.method, Method::Get | Method::Head | Method::Options),
        }))
    }

    fn refuse(&mut self, refusal: Refusal, keys_in: Option<Dialect>) -> Response {
        api::answers::refuse(&self.cx, refusal, keys_in)
    }

    fn take_bytes(&mut self, key: Key, bytes: &[u8]) -> Option<usize> {
        let (front, cx) = (&mut self.front, &mut self.cx);
        let used = match front.pending_mut(key) {
            Some(Waiting::Peer(from)) => {
                let from = *from;
                peers::take_frames(cx, key, from, bytes)
            }
            Some(Waiting::Guest(_)) => greeting::take_proof(cx, front, key, bytes),
            _ => None,
        };
        self.carry_out();
        used
    }

    fn relay(&mut self, _: Key) {
        unreachable!("a member serves its clients itself")
    }

    fn print_more(&mut self, key: Key) {
        let (front, cx) = (&mut self.front, &mut self.cx);
        match front.pending_mut(key) {
            Some(Waiting::List(_)) => keys::list_on(front, key),
            Some(Waiting::Aside(_)) => keys::making::go_on(cx, front, key),
            Some(Waiting::Watch(_)) => watch::catch_up(cx, front, key),
            Some(Waiting::Backup(_)) => backup::send_on(front, key),
            _ => {}
        }
    }

    fn client_gone(&mut self, key: Key, pending: Waiting) {
        match pending {
            Waiting::Watch(watching) => self.cx.driver.store_mut().unwatch(watching.watcher),
            Waiting::Peer(from) => peers::peer_left(&mut self.cx, key, from),
            Waiting::Lock(waiter) => queueing::orphan(&mut self.cx, waiter),
            Waiting::Credentials => self.cx.auth.forget(key),
            // Their outcomes are dropped.
            Waiting::Write { .. }
            | Waiting::Read { .. }
            | Waiting::AuthRead(_)
            | Waiting::Hash(_)
            | Waiting::AuthWrite(_)
            | Waiting::List(_)
            | Waiting::Aside(_)
            | Waiting::BackupRead(_)
            | Waiting::Backup(_)
            | Waiting::LockWrite
            | Waiting::LockRead { .. }
            | Waiting::Configure
            | Waiting::RaiseIndex
            | Waiting::Join(_)
            | Waiting::Remove(_)
            | Waiting::Member(_)
            | Waiting::Health
            | Waiting::HandOver
            | Waiting::Guest(_) => {}
        }
    }

    fn is_sated(&self) -> bool {
        self.cx.driver.is_batch_full()
    }
}
