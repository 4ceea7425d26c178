//! Answering requests: from the bytes of a connection to its outbox, or to the replica.

use crate::api::error::{ApiError, INVALID_FIELD, INVALID_FORM};
use crate::api::keys::{self, Get, KeysRequest, Watch, Write};
use crate::api::listing::{Listing, Style};
use crate::api::members::error_body;
use crate::api::redirect::Redirect;
use crate::api::route::{Port, Route, route};
use crate::config::{Dashboard, Dialect};
use crate::connection::{Manner, Task, WatchTask};
use crate::http::reader::{self, Method, Progress, Refusal, Request, State};
use crate::http::response::{
    Envelope, JSON, Length, Numbers, TEXT, print_piece, put_end, put_piece,
};
use crate::http::url;
use crate::owner::Owner;
use crate::slab::Key;
use bytes::Bytes;
use replica::{EngineError, Role, Ticket};
use std::io::Write as _;
use store::{KeyPath, Node, PathError, StoreIndex, WatchFilter};

/// How much of a listing is printed at a time; a longer one comes in pieces. A piece stays in the
/// processor's nearer caches from its printing until it is sent.
const PIECE_BYTES: usize = 256 << 10;

/// A listing up to this length is whole, with its length in front, for a client that does not know
/// pieces: it would lose its connection otherwise.
const WHOLE_BYTES_MAX: usize = 4 << 20;

/// A body from this length on is handed over rather than copied.
const SHARE_BYTES_MIN: usize = 128 << 10;

/// Tells a client that there are too many, as well as one write can.
pub(crate) fn refuse_connection(mut socket: mio::net::TcpStream, date: &str) {
    let error = ApiError::overloaded("too many connections; try again later", 0);
    let envelope = Envelope { date, cors: "", is_http11: true, keep_alive: false, is_head: false };
    let mut out = Vec::new();
    envelope.answer(&mut out, error.status(), Some(JSON), None, "", &error.body());
    // The client is refused either way.
    let _ = socket.write(&out);
}

/// A plain answer.
pub(crate) struct Plain<'a> {
    pub(crate) status: u16,
    pub(crate) content_type: Option<&'a str>,
    pub(crate) extra: &'a str,
    pub(crate) body: &'a [u8],
}

impl Owner {
    /// Takes requests from the front of `bytes` until one has to wait. Gives how many bytes were
    /// used.
    pub(crate) fn serve(&mut self, key: Key, bytes: &[u8]) -> usize {
        let mut used = 0;
        loop {
            let Some(connection) = self.connections.get_mut(key) else { return bytes.len() };
            let rest = bytes.get(used..).unwrap_or_default();
            if !connection.is_idle() || connection.closes || rest.is_empty() {
                return used;
            }
            let mut state = std::mem::take(&mut connection.state);
            let taken = match reader::parse(rest, &mut state, &self.limits) {
                Progress::NeedMore { send_continue } => {
                    if send_continue {
                        let leave = b"HTTP/1.1 100 Continue\r\n\r\n";
                        connection.outbox.append(|out| out.extend_from_slice(leave));
                        self.mark_dirty(key);
                    }
                    self.keep_state(key, state);
                    return used;
                }
                Progress::Refused(refusal, is_keys) => {
                    self.refuse(key, Method::of(rest), refusal, is_keys);
                    return used;
                }
                Progress::Request(request, len) => {
                    self.request(key, &request);
                    len
                }
            };
            used += taken;
        }
    }

    fn keep_state(&mut self, key: Key, state: State) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.state = state;
        }
    }

    /// Answers what is no request, and ends the connection.
    fn refuse(&mut self, key: Key, method: Method, refusal: Refusal, is_keys: bool) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.manner = Manner { method, keep_alive: false, ..Manner::default() };
        // What follows cannot be told apart from the rest of this request.
        connection.input = vec![0];
        if is_keys && refusal == Refusal::BodyTooLarge {
            let index = self.driver.store().index().0;
            return self
                .answer_error(key, &ApiError::new(INVALID_FORM, "http: POST too large", index));
        }
        let body = format!("{{\"message\":\"{refusal}\"}}\n");
        let status = refusal.status();
        let body = body.as_bytes();
        self.answer(key, &Plain { status, content_type: Some(JSON), extra: "", body });
    }

    fn request(&mut self, key: Key, request: &Request<'_>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.manner = Manner {
            method: request.method,
            is_http11: request.is_http11,
            keep_alive: request.keep_alive && !self.is_stopping,
            is_head: request.method == Method::Head,
            origin: self.cors.number(request.sender.origin),
        };
        connection.proven = None;
        let port = connection.port;
        self.meters.receive(request.method);
        if request.method == Method::Options {
            let plain = Plain { status: 200, content_type: None, extra: "", body: b"" };
            return self.answer(key, &plain);
        }
        let is_read = matches!(request.method, Method::Get | Method::Head);
        let is_change = !is_read || request.upgrade.is_some();
        if let Err(why) = self.hosts.judge(&self.cors, request.sender, is_change) {
            return self.answer_resource(key, 403, JSON, &error_body(why));
        }
        let path = match url::decode(request.path, false) {
            Ok(path) => path,
            Err(_) => return self.answer_text(key, 400, "", "400 Bad Request\n"),
        };
        if let Some(clean) = url::clean(&path) {
            return self.redirect(key, &clean, request.query);
        }
        let found = match route(port, &path) {
            Route::Module(..) if !self.config.modules => Route::NotFound,
            Route::Dashboard(_) if self.config.dashboard == Dashboard::Off => Route::NotFound,
            found => found,
        };
        if found == Route::NotFound {
            let extra = "X-Content-Type-Options: nosniff\r\n";
            return self.answer_text(key, 404, extra, "404 page not found\n");
        }
        if !found.allows(request.method) {
            let extra = format!("Allow: {}\r\n", found.allowed());
            return self.answer_text(key, 405, &extra, "Method Not Allowed\n");
        }
        match found {
            Route::Keys(node) => self.keys(key, request, node, port),
            Route::Module(module, name) => self.lock(key, request, module, name),
            _ => self.resource(key, request, found),
        }
    }

    fn redirect(&mut self, key: Key, clean: &str, query: &str) {
        let mark = if query.is_empty() { "" } else { "?" };
        // The query was parsed by httparse, so it holds no line end.
        let extra = format!("Location: {}{mark}{query}\r\n", url::encode_path(clean));
        let plain = Plain { status: 301, content_type: None, extra: &extra, body: b"" };
        self.answer(key, &plain);
    }

    /// Sends a client elsewhere.
    pub(crate) fn redirect_to(&mut self, key: Key, status: u16, location: &str) {
        let extra = format!("Location: {location}\r\n");
        self.answer(key, &Plain { status, content_type: None, extra: &extra, body: b"" });
    }

    fn keys(&mut self, key: Key, request: &Request<'_>, node: &str, port: Port) {
        let Port::Client(dialect) = port else { return };
        let index = self.driver.store().index().0;
        let wanted = match keys::parse(request, dialect, index) {
            Ok(wanted) => wanted,
            Err(error) => return self.answer_error(key, &error),
        };
        let path = match KeyPath::parse(node) {
            Ok(path) => path,
            Err(error @ (PathError::TooDeep | PathError::NotClean)) => {
                let error = ApiError::new(INVALID_FIELD, error.to_string(), index);
                return self.answer_error(key, &error);
            }
        };
        if wanted.needs_leader() && self.sends_on(dialect) {
            let leader = self.leader().map(|leader| Redirect::new(&leader.client_url, request));
            if let Some(Redirect { lines: extra, content_type, body }) = leader {
                let body = body.as_bytes();
                let plain = Plain { status: 307, content_type, extra: &extra, body };
                return self.answer(key, &plain);
            }
        }
        match wanted {
            KeysRequest::Write(write) => self.write(key, &write, path),
            KeysRequest::Get(get) if get.quorum => self.quorum_read(key, path, get),
            KeysRequest::Get(get) => self.plain_read(key, path, get),
            KeysRequest::Watch(watch) => self.watch(key, path, watch),
        }
    }

    /// Whether clients of this machine are sent to the leader rather than served with its help.
    /// Only 0.4 did that, and a leader publishes its first port alone, so a client of the 2.x
    /// series is served here in any case. Without a leader requests wait for one.
    fn sends_on(&self, dialect: Dialect) -> bool {
        self.config.redirects_to_leader
            && dialect == Dialect::V04
            && self.driver.status().role != Role::Leader
    }

    fn write(&mut self, key: Key, write: &Write<'_>, path: KeyPath<'_>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let dialect = connection.dialect();
        let command = write.command(path, dialect);
        if let Some(error) = self.driver.refuse(&command) {
            let hides_root = dialect == Dialect::V2;
            return self.answer_error(key, &ApiError::from_store(&error, hides_root));
        }
        match self.driver.propose(Ticket(key.to_u64()), &command) {
            Ok(()) => {
                let since = self.now.monotonic;
                connection.task = Task::Write { no_value: write.no_value, since };
            }
            Err(error) => self.answer_engine_error(key, error),
        }
    }

    /// A read of what this member has. Until it has seen once what was answered before it started,
    /// it asks the leader first: what it has may be older than what this client has read here.
    fn plain_read(&mut self, key: Key, path: KeyPath<'_>, get: Get) {
        if self.driver.is_warm() {
            self.note_read();
            return self.answer_get(key, path, get);
        }
        if !self.driver.has_store() && !self.driver.status().is_voter {
            return self.refuse_without_store(key);
        }
        if self.driver.unfit().is_err() {
            return self.answer_get(key, path, get);
        }
        self.quorum_read(key, path, get);
    }

    /// This machine has never had the key space, and does not know what is in it.
    fn refuse_without_store(&mut self, key: Key) {
        let cause = "this machine has joined and was not brought up yet: it does not know the keys";
        self.answer_error(key, &ApiError::overloaded(cause, 0));
    }

    /// A plain read that waited for a leader has waited long enough: this member says what it has,
    /// and does not let others wait again.
    pub(crate) fn give_up_waiting(&mut self, key: Key, path: KeyPath<'_>, get: Get) {
        if !self.driver.has_store() {
            return self.refuse_without_store(key);
        }
        self.driver.warm_up();
        self.answer_get(key, path, get);
    }

    fn quorum_read(&mut self, key: Key, path: KeyPath<'_>, get: Get) {
        self.note_read();
        match self.driver.read(Ticket(key.to_u64())) {
            Ok(()) => {
                let path = path.as_str().into();
                let Some(connection) = self.connections.get_mut(key) else { return };
                connection.task = Task::Read { path, get };
            }
            Err(error) => self.answer_engine_error(key, error),
        }
    }

    /// Answers a read from the store as it is now.
    pub(crate) fn answer_get(&mut self, key: Key, path: KeyPath<'_>, get: Get) {
        self.meters.read();
        match self.driver.store().get(path) {
            Ok(node) => self.answer_node(key, path, node, get),
            Err(error) => self.answer_error(key, &ApiError::from_store(&error, false)),
        }
    }

    fn answer_node(&mut self, key: Key, path: KeyPath<'_>, node: Node, get: Get) {
        let numbers = self.numbers(self.driver.store().index());
        let now = self.driver.stamp_now();
        let mut body = std::mem::take(&mut self.body);
        body.clear();
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Get { recursive, hidden, .. } = get;
        let style = Style { recursive, hidden, dialect: connection.dialect(), now };
        let mut listing = Listing::start(&mut body, path, node, style);
        let manner = connection.manner;
        listing.fill(&mut body, if manner.is_http11 { PIECE_BYTES } else { WHOLE_BYTES_MAX });
        let cors = self.cors.lines(manner.origin);
        let envelope = envelope(&self.date, cors, manner);
        let length = if listing.is_done() { Length::Known(body.len()) } else { Length::Stream };
        connection
            .outbox
            .append(|out| envelope.head(out, 200, Some(JSON), Some(&numbers), "", length));
        if manner.is_head {
            // The head says it all.
        } else if !listing.is_done() {
            connection.outbox.append(|out| put_piece(out, &body, manner.is_http11));
            connection.task = Task::List(Box::new(listing));
        } else if body.len() >= SHARE_BYTES_MIN {
            connection.outbox.append_shared(&Bytes::from(std::mem::take(&mut body)));
        } else {
            connection.outbox.append(|out| out.extend_from_slice(&body));
        }
        self.body = body;
        self.finish(key);
    }

    /// Prints the next piece of a long listing.
    pub(crate) fn list_on(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Task::List(listing) = &mut connection.task else { return };
        let is_chunked = connection.manner.is_http11;
        let is_done = connection.outbox.append(|out| {
            // With room for the child that goes over the mark.
            out.reserve(PIECE_BYTES + PIECE_BYTES / 64);
            print_piece(out, is_chunked, |out| listing.fill(out, out.len() + PIECE_BYTES));
            if listing.is_done() {
                put_end(out, is_chunked);
            }
            listing.is_done()
        });
        if is_done {
            connection.task = Task::Idle;
            connection.closes |= !is_chunked;
            self.finish(key);
        }
        self.mark_dirty(key);
    }

    fn watch(&mut self, key: Key, path: KeyPath<'_>, watch: Watch) {
        self.meters.watch();
        let index = self.driver.store().index();
        let filter = WatchFilter { path: path.as_str().into(), recursive: watch.recursive };
        let from = StoreIndex(watch.wait_index);
        if watch.wait_index > 0 {
            match self.driver.store().next_event(&filter, from) {
                Ok(Some(event)) if !watch.stream => return self.answer_event(key, &event),
                Ok(_) => {}
                Err(error) => {
                    return self.answer_error(key, &ApiError::from_store(&error, false));
                }
            }
        }
        let next = StoreIndex(index.0 + 1);
        let live = from.max(next);
        let owner = key.to_u64();
        let registered = self.driver.store_mut().watch(&filter, live, watch.stream, owner);
        let Some(watcher) = registered else {
            let error = ApiError::overloaded("too many watchers; try again later", index.0);
            return self.answer_error(key, &error);
        };
        let lags = watch.stream && watch.wait_index > 0 && from <= index;
        let next = if watch.wait_index > 0 { from } else { next };
        let stream = watch.stream;
        let task = WatchTask { filter, watcher, stream, next, lags, pending: None };
        self.begin_watch(key, task);
    }

    /// Sends the head of a watch soon, so that the client knows that it waits. The head of a long
    /// poll is held back for a moment: with busy keys the event comes meanwhile, and both are one
    /// write.
    fn begin_watch(&mut self, key: Key, task: WatchTask) {
        let numbers = self.numbers(self.driver.store().index());
        let Some(connection) = self.connections.get_mut(key) else { return };
        let (lags, is_stream) = (task.lags, task.stream);
        connection.task = Task::Watch(Box::new(task));
        let manner = connection.manner;
        // A head alone is all that HEAD gets, and it gets it when the event comes.
        if !manner.is_head {
            let cors = self.cors.lines(manner.origin);
            let envelope = envelope(&self.date, cors, manner);
            connection.outbox.append(|out| {
                envelope.head(out, 200, Some(JSON), Some(&numbers), "", Length::Stream);
            });
            if is_stream {
                self.mark_dirty(key);
            } else {
                self.hold_head(key);
            }
        }
        if lags {
            self.catch_up(key);
        }
    }

    /// The numbers for an answer about the key space as it was at `index`.
    pub(crate) fn numbers(&self, index: StoreIndex) -> Numbers {
        let status = self.driver.status();
        Numbers {
            cluster: self.driver.cluster().0,
            store_index: index.0,
            raft: Some((status.commit.0, status.term.0)),
        }
    }

    /// Appends an answer with the key space's numbers and the body in `self.body`.
    pub(crate) fn answer_body(&mut self, key: Key, status: u16, numbers: &Numbers) {
        let body = std::mem::take(&mut self.body);
        let extra = self.sealed(key, status, "", &body);
        self.body = body;
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.task = Task::Idle;
        let manner = connection.manner;
        let envelope = envelope(&self.date, self.cors.lines(manner.origin), manner);
        connection.outbox.append(|out| {
            envelope.answer(out, status, Some(JSON), Some(numbers), &extra, &self.body);
        });
        self.finish(key);
    }

    pub(crate) fn answer_engine_error(&mut self, key: Key, error: EngineError) {
        self.meters.proposal_failed();
        let index = self.driver.store().index().0;
        let mut answer = ApiError::from_engine(error, index);
        if matches!(error, EngineError::NoLeader | EngineError::Timeout | EngineError::Unknown) {
            answer.cause.push_str(&self.who_is_unreachable());
        }
        self.answer_error(key, &answer);
    }

    pub(crate) fn answer_error(&mut self, key: Key, error: &ApiError) {
        let numbers = error.numbers(self.driver.cluster().0);
        self.body.clear();
        self.body.extend_from_slice(&error.body());
        if let Some(connection) = self.connections.get_mut(key) {
            self.meters.fail(error.status(), connection.manner.method);
        }
        self.answer_body(key, error.status(), &numbers);
    }

    fn answer_text(&mut self, key: Key, status: u16, extra: &str, body: &str) {
        let body = body.as_bytes();
        self.answer(key, &Plain { status, content_type: Some(TEXT), extra, body });
    }

    pub(crate) fn answer(&mut self, key: Key, plain: &Plain<'_>) {
        let Plain { status, content_type, extra, body } = *plain;
        let extra = self.sealed(key, status, extra, body);
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.task = Task::Idle;
        let manner = connection.manner;
        let envelope = envelope(&self.date, self.cors.lines(manner.origin), manner);
        if status >= 400 {
            self.meters.fail(status, manner.method);
        }
        connection
            .outbox
            .append(|out| envelope.answer(out, status, content_type, None, &extra, body));
        self.finish(key);
    }

    pub(crate) fn answer_resource(
        &mut self,
        key: Key,
        status: u16,
        content_type: &str,
        body: &[u8],
    ) {
        self.answer(key, &Plain { status, content_type: Some(content_type), extra: "", body });
    }

    /// Answers what 2.x answers about members: with the cluster's id, and JSON unless it is empty.
    pub(crate) fn answer_about_members(&mut self, key: Key, status: u16, body: &[u8]) {
        let extra = format!("X-Etcd-Cluster-Id: {}\r\n", self.driver.cluster());
        let content_type = (!body.is_empty()).then_some(JSON);
        self.answer(key, &Plain { status, content_type, extra: &extra, body });
    }

    /// The answer to the request in hand is in the outbox, or on its way there.
    pub(crate) fn finish(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.closes |= !connection.manner.keep_alive;
        if connection.is_idle() && (!connection.input.is_empty() || connection.readable) {
            self.mark_resume(key);
        }
        self.mark_dirty(key);
    }

    /// The part that this member plays, in the words of the statistics.
    pub(crate) fn role_name(&self) -> &'static str {
        match self.driver.status().role {
            Role::Leader => "leader",
            Role::Follower => "follower",
            Role::Candidate => "candidate",
        }
    }
}

pub(crate) fn envelope<'a>(date: &'a str, cors: &'a str, manner: Manner) -> Envelope<'a> {
    Envelope {
        date,
        cors,
        is_http11: manner.is_http11,
        keep_alive: manner.keep_alive,
        is_head: manner.is_head,
    }
}
