//! A machine without a place: it has no store and takes no part in consensus, sends clients to the
//! leader, and asks for a place when there is room (seed, "Standby"; spec cluster.md section 7).
//!
//! Its health, version and own statistics are answered here. What it knows of the cluster comes
//! from `scout.rs`, a thread that asks the members now and then.

mod scout;

use crate::api::cors::Cors;
use crate::api::error::{ApiError, STANDBY_INTERNAL};
use crate::api::route::{Port, Route, route};
use crate::api::stats::{self, SelfStats};
use crate::api::time::http_date;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::connection::{Connection, Manner};
use crate::error::StartError;
use crate::handshake;
use crate::http::reader::{self, Method, Progress, Request};
use crate::http::response::{Envelope, JSON, TEXT};
use crate::http::url;
use crate::join::View;
use crate::owner::time_limit;
use crate::resource::{listing_of_urls, version_body};
use crate::slab::{Key, Slab};
use crate::tls::{Keyring, Stream};
use mio::event::Event;
use mio::net::{TcpListener, UnixStream};
use mio::{Events, Interest, Poll, Token, Waker};
use replica::{Birth, Clock, Member, Now};
use scout::{Report, Scout};
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

const TOKEN_BASE: usize = 16;
const TOKEN_WAKER: Token = Token(14);
const TOKEN_SIGNAL: Token = Token(15);

const READ_BYTES: usize = 16 << 10;

/// How often slow clients are looked after: 1 s.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// How standing by ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// A signal asked for it.
    Stopped,
    /// There is a place for this machine.
    Promoted(Box<Birth>),
}

/// What a standby is made of.
pub(crate) struct Parts<'a> {
    pub(crate) config: &'a Config,
    pub(crate) clock: SystemClock,
    pub(crate) own: Member,
    /// Peer URLs at which members may be asked.
    pub(crate) peers: Vec<String>,
    pub(crate) listeners: Vec<(TcpListener, Port)>,
    pub(crate) signals: UnixStream,
    pub(crate) keyring: &'a mut Keyring,
}

struct Standby<'a> {
    config: &'a Config,
    own: Member,
    poll: Poll,
    listeners: Vec<(TcpListener, Port)>,
    _signals: UnixStream,
    connections: Slab<Connection>,
    keyring: &'a mut Keyring,
    cors: Cors,
    limits: reader::Limits,
    clock: SystemClock,
    started: Now,
    now: Now,
    date: String,
    view: Option<View>,
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
    let Parts { config, clock, own, peers, mut listeners, mut signals, keyring } = parts;
    for (at, (socket, _)) in listeners.iter_mut().enumerate() {
        poll.registry().register(socket, Token(at), Interest::READABLE)?;
    }
    poll.registry().register(&mut signals, TOKEN_SIGNAL, Interest::READABLE)?;
    let scout = Scout::start(config, own.clone(), peers, waker)?;
    let now = clock.now();
    let limits = reader::Limits {
        request_line_bytes: config.limits.request_line_bytes,
        head_bytes: config.limits.head_bytes,
        body_bytes: config.limits.body_bytes,
    };
    let mut standby = Standby {
        cors: Cors::new(&config.cors),
        config,
        own,
        poll,
        listeners,
        _signals: signals,
        connections: Slab::new(),
        keyring,
        limits,
        clock,
        started: now,
        now,
        date: http_date(now.wall),
        view: None,
    };
    tracing::info!("{} is standing by", config.name);
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
            match self.poll.poll(&mut events, Some(HOUSEKEEPING)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            }
            self.now = self.clock.now();
            self.date = http_date(self.now.wall);
            while let Some(report) = scout.next() {
                match report {
                    Report::Seen(view) => {
                        let urls: Vec<String> =
                            view.members.iter().map(|member| member.peer_url.clone()).collect();
                        remember(&urls);
                        self.view = Some(view);
                    }
                    Report::Lost(detail) => {
                        tracing::warn!("no member of the cluster can be reached: {detail}");
                        if let Some(view) = &mut self.view {
                            view.leader = None;
                        }
                    }
                    Report::Promoted(birth) => return Ok(Ended::Promoted(birth)),
                }
            }
            for event in &events {
                if event.token() == TOKEN_SIGNAL {
                    tracing::info!("stopping");
                    return Ok(Ended::Stopped);
                }
                self.take(event);
            }
            self.housekeep();
        }
    }

    fn take(&mut self, event: &Event) {
        match event.token() {
            TOKEN_WAKER => {}
            Token(at) if at < TOKEN_BASE => self.accept(at),
            Token(at) => {
                let slot = u32::try_from(at - TOKEN_BASE).unwrap_or(u32::MAX);
                let Some(key) = self.connections.key_at(slot) else { return };
                if event.is_error() || self.exchange(key).is_err() {
                    self.connections.remove(key);
                }
            }
        }
    }

    fn accept(&mut self, at: usize) {
        loop {
            let Some((listener, port)) = self.listeners.get(at) else { return };
            let port = *port;
            let Ok((socket, _)) = listener.accept() else { return };
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
                origin: self.cors.number(request.origin),
                method: request.method,
            },
        );
        let path = url::decode(request.path, false).unwrap_or_default();
        if request.method == Method::Options {
            return self.answer(key, 200, None, "", b"");
        }
        let is_read = matches!(request.method, Method::Get | Method::Head);
        match route(port, &path) {
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
            _ => self.send_on(key, request),
        }
    }

    fn leader(&self) -> Option<&Member> {
        let view = self.view.as_ref()?;
        let leader = view.leader?;
        view.members.iter().find(|member| member.id == leader && !member.client_url.is_empty())
    }

    /// Sends a client to the leader with the same path and query.
    fn send_on(&mut self, key: Key, request: &Request<'_>) {
        let Some(leader) = self.leader() else {
            let error = ApiError::refused(STANDBY_INTERNAL, "no leader is known", 0, 503);
            return self.answer(key, 503, Some(JSON), "", &error.body());
        };
        let mark = if request.query.is_empty() { "" } else { "?" };
        // Path and query were parsed by httparse, so they hold no line end.
        let location = format!("{}{}{mark}{}", leader.client_url, request.path, request.query);
        let extra = format!("Location: {location}\r\n");
        let body = format!("<a href=\"{}\">Temporary Redirect</a>.\n\n", escape(&location));
        let is_read = matches!(request.method, Method::Get | Method::Head);
        let body = if is_read { body.as_str() } else { "" };
        let kind = is_read.then_some("text/html; charset=utf-8");
        self.answer(key, 307, kind, &extra, body.as_bytes());
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
        let limit = time_limit(self.config.http_read_timeout_secs);
        for key in self.connections.keys() {
            let Some(connection) = self.connections.get_mut(key) else { continue };
            let since = self.now.monotonic.saturating_sub(connection.busy_since);
            let since = u128::from(since);
            if since > limit || handshake::is_late(&connection.socket, since) {
                self.connections.remove(key);
            }
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&#34;")
}
