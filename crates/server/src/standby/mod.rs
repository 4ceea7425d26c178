//! A machine without a place: it has no store and takes no part in consensus, sends clients to the
//! leader, and asks for a place when there is room (seed, "Standby"; spec cluster.md section 7).
//! Where it is told to it passes their connections on instead (`tunnel.rs`).
//!
//! A machine that starts and has to ask first what it is to become is served by the same loop: it
//! answers that it lives, and why it does not serve yet (`waiting.rs`).
//!
//! Its health, version and own statistics are answered here. What it knows of the cluster comes
//! from `scout.rs`, a thread that asks the members now and then.

mod scout;
mod tunnel;
mod waiting;

use crate::api::browser::Hosts;
use crate::api::cors::Cors;
use crate::api::error::{ApiError, STANDBY_INTERNAL};
use crate::api::members::error_body;
use crate::api::redirect::Redirect;
use crate::api::route::{Port, Route, route};
use crate::api::stats::{self, SelfStats};
use crate::api::time::http_date;
use crate::backlog::Backlog;
use crate::calls::{location_in, target};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::connection::{Connection, Manner};
use crate::error::StartError;
use crate::greeting::refusal;
use crate::handshake;
use crate::http::reader::{self, Method, Progress, Request};
use crate::http::response::{Envelope, JSON, TEXT};
use crate::http::url;
use crate::join::seek::Facts;
use crate::join::{JoinError, Start, View};
use crate::owner::time_limit;
use crate::proof::{Answered, Asked, Gate};
use crate::resource::{listing_of_urls, version_body};
use crate::slab::{Key, Slab};
use crate::tls::{Dialer, Keyring, Stream};
use mio::event::Event;
use mio::net::{TcpListener, UnixStream};
use mio::{Events, Interest, Poll, Token, Waker};
use replica::{Birth, Clock, Member, Now, Removal};
use scout::{Report, Scout, Wish, interval_of};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;
use tunnel::{CONNECT_NS, Moved, Tunnel, Upstream};

const TOKEN_BASE: usize = 16;
const TOKEN_WAKER: Token = Token(14);
const TOKEN_SIGNAL: Token = Token(15);

/// Tokens of tunnels: that of the client's connection and this.
const TUNNEL_BASE: usize = 1 << 40;

const READ_BYTES: usize = 16 << 10;

/// How long a machine that starts leaves clients to whom it is about to become: 500 ms. What it
/// accepts now it has to close then.
const MOMENT: Duration = Duration::from_millis(500);
const MOMENT_NS: u64 = 500_000_000;

/// How often slow clients are looked after: 1 s.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// What a machine says of itself that was removed through `/v2/members`.
const STAYS_OUT: &str = "this machine was removed from the cluster through /v2/members, and asks \
                         for no place until it is started again";

/// How standing by ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// A signal asked for it.
    Stopped,
    /// There is a place for this machine.
    Promoted(Box<Birth>),
    /// A machine that asked what it is to become was told, or is not to start.
    Decided(Result<Start, JoinError>),
}

/// What the machine waits for.
#[derive(Debug)]
pub(crate) enum Errand {
    /// A place; members may be asked at these peer URLs.
    Place(Vec<String>),
    /// What it is to become.
    Part(Facts),
    /// A place later, or nothing: it was removed just now.
    Aftermath(Box<Aftermath>),
}

/// What a machine knows when it has just been removed.
#[derive(Debug)]
pub(crate) struct Aftermath {
    pub(crate) removal: Removal,
    /// The others as it knew them.
    pub(crate) view: View,
}

impl Aftermath {
    /// Where the others may be asked.
    pub(crate) fn peers(&self) -> Vec<String> {
        self.view.members.iter().map(|member| member.peer_url.clone()).collect()
    }

    fn wish(&self) -> Wish {
        match self.removal {
            Removal::Plain => Wish::PlaceIn(interval_of(&self.view)),
            Removal::Final => Wish::Nothing,
        }
    }
}

/// What a standby is made of.
pub(crate) struct Parts<'a> {
    pub(crate) config: &'a Config,
    pub(crate) clock: SystemClock,
    pub(crate) own: Member,
    pub(crate) errand: Errand,
    pub(crate) listeners: Vec<(TcpListener, Port)>,
    pub(crate) signals: UnixStream,
    pub(crate) keyring: &'a mut Keyring,
}

struct Standby<'a> {
    config: &'a Config,
    removal: Option<Removal>,
    own: Member,
    poll: Poll,
    listeners: Vec<(TcpListener, Port)>,
    _signals: UnixStream,
    /// Ports whose callers must wait until there is room.
    backlog: Backlog,
    connections: Slab<Connection>,
    /// Connections that are passed on, by their places in the slab.
    tunnels: BTreeMap<u32, Tunnel>,
    /// Tunnels that had their share of a round, of which no event may tell.
    unfinished: Vec<Key>,
    /// Whether the request in hand is to be passed on.
    wants_tunnel: bool,
    /// Where they lead.
    upstream: Option<Upstream>,
    /// What is shown there, and who is believed: the same as at the own port for clients.
    dialer: Option<Dialer>,
    keyring: &'a mut Keyring,
    cors: Cors,
    hosts: Hosts,
    gate: Gate,
    limits: reader::Limits,
    clock: SystemClock,
    started: Now,
    now: Now,
    date: String,
    view: Option<View>,
    /// Why a machine that starts does not serve yet; nothing for a standby.
    waits_for: Option<String>,
    /// Whether connections of clients are accepted.
    is_open: bool,
}

/// Stands by until a signal comes, or a place. `remember` is given the peer URLs of the members
/// whenever they change, so that a restart finds them.
///
/// # Errors
/// [`StartError`] with what broke.
pub(crate) fn run(
    parts: Parts<'_>,
    remember: &mut dyn FnMut(&[String]),
) -> Result<Ended, StartError> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), TOKEN_WAKER)?);
    let Parts { config, clock, own, errand, listeners, mut signals, keyring } = parts;
    poll.registry().register(&mut signals, TOKEN_SIGNAL, Interest::READABLE)?;
    let waits_for =
        matches!(errand, Errand::Part(_)).then(|| "asking others how to start".to_owned());
    let (mut removal, mut view) = (None, None);
    let scout = match errand {
        Errand::Place(peers) => Scout::start(config, own.clone(), peers, Wish::Place, waker)?,
        Errand::Part(facts) => Scout::seek(config, own.clone(), facts, waker)?,
        Errand::Aftermath(after) => {
            let (peers, wish) = (after.peers(), after.wish());
            (removal, view) = (Some(after.removal), Some(after.view));
            Scout::start(config, own.clone(), peers, wish, waker)?
        }
    };
    let now = clock.now();
    let limits = reader::Limits {
        request_line_bytes: config.limits.request_line_bytes,
        head_bytes: config.limits.head_bytes,
        body_bytes: config.limits.body_bytes,
    };
    let client_tls = config.client_tls.clone().filter(|_| config.proxies_standby);
    let mut standby = Standby {
        tunnels: BTreeMap::new(),
        unfinished: Vec::new(),
        wants_tunnel: false,
        upstream: None,
        dialer: client_tls.map(Dialer::open).transpose()?,
        cors: Cors::new(&config.cors),
        hosts: Hosts::of(config),
        gate: Gate::new(&config.finding.token)?,
        config,
        removal,
        own,
        poll,
        listeners,
        _signals: signals,
        backlog: Backlog::default(),
        connections: Slab::new(),
        keyring,
        limits,
        clock,
        started: now,
        now,
        date: http_date(now.wall),
        view,
        waits_for,
        is_open: false,
    };
    if standby.waits_for.is_none() {
        tracing::info!("{} is standing by", config.name);
        standby.open()?;
    }
    // Others that start ask as well, and are not to wait for one another.
    standby.listen(|port| port == Port::Peer)?;
    standby.serve(&scout, remember)
}

impl Standby<'_> {
    fn serve(
        &mut self,
        scout: &Scout,
        remember: &mut dyn FnMut(&[String]),
    ) -> Result<Ended, StartError> {
        let mut events = Events::with_capacity(256);
        loop {
            let patience = match self.is_open {
                _ if !self.unfinished.is_empty() => Duration::ZERO,
                true => HOUSEKEEPING,
                false => MOMENT,
            };
            match self.poll.poll(&mut events, Some(patience)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            }
            self.now = self.clock.now();
            self.date = http_date(self.now.wall);
            while let Some(report) = scout.next() {
                match report {
                    Report::Seen(view, upstream) => {
                        let urls: Vec<String> =
                            view.members.iter().map(|member| member.peer_url.clone()).collect();
                        remember(&urls);
                        self.view = Some(view);
                        self.upstream = upstream;
                    }
                    Report::Lost(detail) => {
                        tracing::warn!("no member of the cluster can be reached: {detail}");
                        if let Some(view) = &mut self.view {
                            view.leader = None;
                        }
                    }
                    Report::Promoted(birth) => return Ok(Ended::Promoted(birth)),
                    Report::Waits(why) => {
                        self.waits_for = Some(why);
                        self.open()?;
                    }
                    Report::Decided(decided) => return Ok(Ended::Decided(decided)),
                }
            }
            for event in &events {
                if event.token() == TOKEN_SIGNAL {
                    tracing::info!("stopping");
                    return Ok(Ended::Stopped);
                }
                self.take(event);
            }
            for key in std::mem::take(&mut self.unfinished) {
                self.carry(key);
            }
            if self.now.monotonic.saturating_sub(self.started.monotonic) >= MOMENT_NS {
                self.open()?;
            }
            self.housekeep();
            for at in self.backlog.take_due(self.now.monotonic) {
                self.accept(at);
            }
        }
    }

    fn take(&mut self, event: &Event) {
        match event.token() {
            TOKEN_WAKER => {}
            Token(at) if at < TOKEN_BASE => self.accept(at),
            Token(at) => {
                let is_upstream = at >= TUNNEL_BASE;
                let at = if is_upstream { at - TUNNEL_BASE } else { at };
                let slot = u32::try_from(at - TOKEN_BASE).unwrap_or(u32::MAX);
                let Some(key) = self.connections.key_at(slot) else { return };
                if event.is_error() && !is_upstream {
                    self.close(key);
                } else if self.tunnels.contains_key(&slot) {
                    self.carry(key);
                } else if self.exchange(key).is_err() {
                    self.close(key);
                }
            }
        }
    }

    fn close(&mut self, key: Key) {
        self.backlog.make_room();
        self.tunnels.remove(&key.slot);
        self.connections.remove(key);
    }

    fn accept(&mut self, at: usize) {
        loop {
            let Some((listener, port)) = self.listeners.get(at) else { return };
            let port = *port;
            let now = self.now.monotonic;
            let Some(socket) = self.backlog.accept(at, listener, now) else { return };
            if self.connections.len() >= self.config.limits.connections {
                continue;
            }
            // Without it answers still arrive, only later.
            let _ = socket.set_nodelay(true);
            let stream = match self.keyring.acceptor(port) {
                Some(acceptor) => Stream::accept(socket, acceptor.config()),
                None => Ok(Stream::Plain(socket)),
            };
            let Ok(stream) = stream else { continue };
            let key = self.connections.insert(Connection::new(stream, port, self.now.monotonic));
            let Some(connection) = self.connections.get_mut(key) else { return };
            let token = Token(key.slot as usize + TOKEN_BASE);
            let interest = Interest::READABLE | Interest::WRITABLE;
            let registry = self.poll.registry();
            if registry.register(connection.socket.socket(), token, interest).is_err() {
                self.connections.remove(key);
            }
        }
    }

    /// Reads requests and sends answers, until the socket has no more of either.
    fn exchange(&mut self, key: Key) -> io::Result<()> {
        let mut bytes = [0; READ_BYTES];
        loop {
            let Some(connection) = self.connections.get_mut(key) else { return Ok(()) };
            let is_sent = connection.outbox.flush(&mut connection.socket)?;
            match connection.socket.flush() {
                Ok(()) if is_sent => {}
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
            if connection.closes {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            match connection.socket.read(&mut bytes) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) => {
                    connection.busy_since = self.now.monotonic;
                    connection.input.extend_from_slice(bytes.get(..len).unwrap_or_default());
                    self.take_requests(key);
                    if self.tunnels.contains_key(&key.slot) {
                        self.carry(key);
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn take_requests(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let mut input = std::mem::take(&mut connection.input);
        let mut state = std::mem::take(&mut connection.state);
        let mut used = 0;
        while let Some(rest) = input.get(used..).filter(|rest| !rest.is_empty()) {
            match reader::parse(rest, &mut state, &self.limits) {
                Progress::NeedMore { send_continue } => {
                    if send_continue && let Some(connection) = self.connections.get_mut(key) {
                        let leave = b"HTTP/1.1 100 Continue\r\n\r\n";
                        connection.outbox.append(|out| out.extend_from_slice(leave));
                    }
                    break;
                }
                Progress::Refused(refusal, _) => {
                    let body = format!("{{\"message\":\"{refusal}\"}}\n");
                    self.set_manner(key, Manner { keep_alive: false, ..Manner::default() });
                    self.answer(key, refusal.status(), Some(JSON), "", body.as_bytes());
                    used = input.len();
                    break;
                }
                Progress::Request(request, len) => {
                    self.request(key, &request);
                    if self.wants_tunnel {
                        self.begin_tunnel(key, rest);
                        used = input.len();
                        break;
                    }
                    used += len;
                    state = reader::State::default();
                }
            }
            if self.connections.get_mut(key).is_none_or(|connection| connection.closes) {
                break;
            }
        }
        input.drain(..used);
        if let Some(connection) = self.connections.get_mut(key) {
            (connection.input, connection.state) = (input, state);
        }
    }

    fn set_manner(&mut self, key: Key, manner: Manner) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.manner = manner;
        }
    }

    fn request(&mut self, key: Key, request: &Request<'_>) {
        let Some(port) = self.connections.get_mut(key).map(|connection| connection.port) else {
            return;
        };
        self.set_manner(
            key,
            Manner {
                is_http11: request.is_http11,
                keep_alive: request.keep_alive,
                is_head: request.method == Method::Head,
                origin: self.cors.number(request.sender.origin),
                method: request.method,
            },
        );
        let path = url::decode(request.path, false).unwrap_or_default();
        if request.method == Method::Options {
            return self.answer(key, 200, None, "", b"");
        }
        let is_read = matches!(request.method, Method::Get | Method::Head);
        let is_change = !is_read || request.upgrade.is_some();
        if let Err(why) = self.hosts.judge(&self.cors, request.sender, is_change) {
            return self.answer(key, 403, Some(JSON), "", &error_body(why));
        }
        self.take_call(key, request);
        let route = route(port, &path);
        match route {
            Route::PeerChallenge if is_read => return self.challenge(key),
            Route::PeerIdentity if is_read => return self.identity(key),
            Route::PeerStream if is_read => {
                let (status, body, proof) =
                    refusal(&self.gate, request, 503, "this machine has no place in the cluster");
                return self.answer(key, status, Some(JSON), &proof, &body);
            }
            _ => {}
        }
        if self.waits_for.is_some() {
            return self.answer_while_waiting(key, request, route);
        }
        match route {
            Route::Version if is_read => {
                let (kind, body) = version_body(request.accepts_text);
                self.answer(key, 200, Some(kind), "", body.as_bytes());
            }
            Route::Health if is_read && self.leader().is_some() => {
                self.answer(key, 200, Some(JSON), "", b"{\"health\": \"true\"}");
            }
            Route::Health if is_read => {
                self.answer(key, 503, Some(JSON), "", b"{\"health\": \"false\"}\n");
            }
            Route::Readyz if is_read && self.removal == Some(Removal::Final) => {
                let body = format!("{STAYS_OUT}\n");
                self.answer(key, 503, Some(TEXT), "", body.as_bytes());
            }
            Route::Livez if is_read => self.answer(key, 200, Some(TEXT), "", b"ok\n"),
            Route::Readyz if is_read && self.leader().is_some() => {
                self.answer(key, 200, Some(TEXT), "", b"ok: standing by\n");
            }
            Route::Readyz if is_read => {
                self.answer(key, 503, Some(TEXT), "", b"no leader is known\n");
            }
            Route::StatsSelf if is_read => self.stats_self(key),
            Route::Machines | Route::Peers if is_read && self.view.is_some() => {
                let view = self.view.as_ref();
                let body = view.map(|view| listing_of_urls(&view.members, view.leader));
                let body = body.unwrap_or_default();
                self.answer(key, 200, Some(TEXT), "", body.as_bytes());
            }
            _ if port == Port::Peer => {
                self.answer(key, 404, Some(TEXT), "", b"this machine is standing by\n");
            }
            _ if self.config.proxies_standby => self.wants_tunnel = true,
            _ => self.send_on(key, request),
        }
    }

    /// What a machine that is about to call needs for its proof.
    fn challenge(&mut self, key: Key) {
        match self.gate.challenge(self.now.monotonic) {
            Ok(challenge) => {
                let body = format!("{{\"challenge\":\"{challenge}\"}}\n");
                self.answer(key, 200, Some(JSON), "", body.as_bytes());
            }
            Err(error) => self.refuse(key, &error.to_string()),
        }
    }

    /// Looks at the proof of a call, so that its answer is proven too. Nothing here needs one.
    fn take_call(&mut self, key: Key, request: &Request<'_>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let (method, target) = (request.method.as_str(), target(request));
        let asked = Asked { method, target: &target, body: request.body };
        let proven = self.gate.check(request.proof, asked, self.now.monotonic);
        connection.proven = proven.ok().flatten().map(Box::new);
    }

    fn leader(&self) -> Option<&Member> {
        let view = self.view.as_ref()?;
        let leader = view.leader?;
        view.members.iter().find(|member| member.id == leader && !member.client_url.is_empty())
    }

    /// Sends a client to the leader with the same path and query.
    fn send_on(&mut self, key: Key, request: &Request<'_>) {
        let Some(leader) = self.leader() else { return self.refuse_without_leader(key) };
        let Redirect { lines, content_type, body } = Redirect::new(&leader.client_url, request);
        self.answer(key, 307, content_type, &lines, body.as_bytes());
    }

    fn refuse_without_leader(&mut self, key: Key) {
        match self.removal {
            Some(Removal::Final) => {
                self.refuse(key, &format!("no leader is known; {STAYS_OUT}"));
            }
            _ => self.refuse(key, "no leader is known"),
        }
    }

    fn refuse(&mut self, key: Key, cause: &str) {
        let error = ApiError::refused(STANDBY_INTERNAL, cause, 0, 503);
        self.answer(key, 503, Some(JSON), "", &error.body());
    }

    /// Passes a connection on to the leader: `bytes`, and what follows.
    fn begin_tunnel(&mut self, key: Key, bytes: &[u8]) {
        self.wants_tunnel = false;
        let dialled = match self.upstream.as_ref().filter(|_| self.leader().is_some()) {
            None => Err("no leader is known".to_owned()),
            Some(upstream) => {
                let tls = self.dialer.as_ref().map(Dialer::config);
                Tunnel::dial(upstream, tls, bytes, self.now.monotonic)
                    .and_then(|mut tunnel| {
                        let token = Token(key.slot as usize + TOKEN_BASE + TUNNEL_BASE);
                        let interest = Interest::READABLE | Interest::WRITABLE;
                        self.poll.registry().register(tunnel.socket.socket(), token, interest)?;
                        Ok(tunnel)
                    })
                    .map_err(|error| {
                        format!("the leader at {} cannot be reached: {error}", upstream.address)
                    })
            }
        };
        match dialled {
            Ok(tunnel) => drop(self.tunnels.insert(key.slot, tunnel)),
            Err(cause) => self.end_with(key, &cause),
        }
    }

    /// Refuses what was to be passed on. What follows it was not looked at, so this is the end.
    fn end_with(&mut self, key: Key, cause: &str) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.manner.keep_alive = false;
        self.refuse(key, cause);
    }

    /// Moves what can be moved between a client and the leader.
    fn carry(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Some(tunnel) = self.tunnels.get_mut(&key.slot) else { return };
        match tunnel.carry(connection) {
            Ok(Moved::Everything) => {}
            Ok(Moved::Share) => self.unfinished.push(key),
            Ok(Moved::Finished) => {
                connection.socket.say_end();
                self.close(key);
            }
            Err(error) if !tunnel.is_open => self.give_up(key, &error.to_string()),
            Err(_) => self.close(key),
        }
    }

    /// Tells a client that its request never left.
    fn give_up(&mut self, key: Key, why: &str) {
        self.tunnels.remove(&key.slot);
        self.end_with(key, &format!("the leader cannot be reached: {why}; nothing was done"));
        if self.exchange(key).is_err() {
            self.close(key);
        }
    }

    fn stats_self(&mut self, key: Key) {
        let leader = self.leader().map(|leader| leader.name.clone()).unwrap_or_default();
        let body = stats::self_body(&SelfStats {
            name: &self.own.name,
            id: None,
            state: "standby",
            started: self.started.wall,
            leader: &leader,
            leader_since: self.started.wall,
            leader_uptime: self.now.monotonic.saturating_sub(self.started.monotonic),
            received: stats::Appends::default(),
            sent: stats::Appends::default(),
        });
        self.answer(key, 200, Some(JSON), "", &body);
    }

    fn answer(&mut self, key: Key, status: u16, kind: Option<&str>, extra: &str, body: &[u8]) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let manner = connection.manner;
        let proven = connection.proven.take();
        let answered = Answered { status, location: location_in(extra), body };
        let proof = proven.and_then(|proven| self.gate.sign(&proven, answered));
        let seal = proof.map(|proof| format!("{extra}Stead-Proof: {proof}\r\n"));
        let extra = seal.as_deref().unwrap_or(extra);
        let envelope = Envelope {
            date: &self.date,
            cors: self.cors.lines(manner.origin),
            is_http11: manner.is_http11,
            keep_alive: manner.keep_alive,
            is_head: manner.is_head,
        };
        connection.outbox.append(|out| envelope.answer(out, status, kind, None, extra, body));
        connection.closes |= !manner.keep_alive;
    }

    /// Ends the connections of clients that neither send nor read.
    fn housekeep(&mut self) {
        self.keyring.refresh();
        if let Some(dialer) = &mut self.dialer {
            dialer.refresh(false);
        }
        let limit = time_limit(self.config.http_read_timeout_secs);
        for key in self.connections.keys() {
            if let Some(tunnel) = self.tunnels.get(&key.slot) {
                let since = self.now.monotonic.saturating_sub(tunnel.since);
                if !tunnel.is_open && since > CONNECT_NS {
                    self.give_up(key, "it does not answer");
                }
                continue;
            }
            let Some(connection) = self.connections.get_mut(key) else { continue };
            let since = self.now.monotonic.saturating_sub(connection.busy_since);
            let since = u128::from(since);
            if since > limit || handshake::is_late(&connection.socket, since) {
                self.close(key);
            }
        }
    }
}
