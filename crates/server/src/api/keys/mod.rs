//! The key space: reads, writes and watches, from a request to its answer.
//!
//! [`request`] reads what is wanted, in the listener's dialect: a write becomes a command to
//! propose, a read a [`listing`] of the node or a [`page`] of it, a watch a filter to register
//! ([`watch`]). Answers that take long are made beside the loop ([`making`]).
//! [`event_bytes`] prints an event once for all that watch it.

pub(crate) mod aside;
mod etag;
pub(crate) mod event_bytes;
mod filter;
pub(crate) mod listing;
pub(crate) mod making;
mod page;
pub(crate) mod progress;
pub(crate) mod request;
mod v1;
pub(crate) mod watch;
pub(crate) mod watching;

use super::answers::{Shape, engine_error, error, not_found, unauthorized};
use super::error::{ApiError, INVALID_FIELD};
use super::json::print_event;
use super::pending::Waiting;
use super::redirect;
use crate::config::{Dialect, Port};
use crate::http::request::Request;
use crate::http::response::{JSON, TEXT, print_piece, put_end};
use crate::member::context::Context;
use crate::metrics::ServedRead;
use crate::net::{Body, Caller, Front, Key, Phase, Reply, Response};
use listing::{Listing, PIECE_BYTES, PIECE_VISITS, Portion, Print, Style};
use page::Page;
use replica::{EngineError, Failure, Role, Ticket};
use request::{Form, Get, KeysRequest, Write};
use std::time::Duration;
use store::{Access, Action, Applied, Author, ErrorCode, KeyPath, Node, PathError, Right};

/// A listing up to this length is whole, with its length in front, for a client that does not know
/// pieces: it would lose its connection otherwise.
const WHOLE_BYTES_MAX: usize = 4 << 20;
const WHOLE_VISITS_MAX: usize = 1 << 16;

/// A body from this length on is handed over rather than copied.
const SHARE_BYTES_MIN: usize = 128 << 10;

/// Serves a request for a node of the key space.
pub(crate) fn serve(
    cx: &mut Context,
    caller: Caller,
    request: &Request<'_>,
    node: &str,
) -> Reply<Waiting> {
    let Port::Client(dialect) = caller.port else { return not_found().into() };
    let index = cx.index();
    let mut wanted = request::parse(request, dialect, index);
    if let Ok(KeysRequest::Get(get)) = &mut wanted {
        get.takes_gzip = request.terms.accepts_gzip();
        get.has = request.terms.if_none_match.map(Into::into);
    }
    carry_out(cx, caller, request, node, wanted)
}

/// What a path of the API before v2 names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum V1 {
    Key,
    Watch,
}

/// Serves a request of the API before v2.
pub(crate) fn serve_v1(
    cx: &mut Context,
    caller: Caller,
    request: &Request<'_>,
    (what, node): (V1, &str),
) -> Reply<Waiting> {
    let index = cx.index();
    let wanted = match what {
        V1::Key => request::v1::parse_key(request, index),
        V1::Watch => request::v1::parse_watch(request, index),
    };
    carry_out(cx, caller, request, node, wanted)
}

fn carry_out(
    cx: &mut Context,
    caller: Caller,
    request: &Request<'_>,
    node: &str,
    wanted: Result<KeysRequest<'_>, ApiError>,
) -> Reply<Waiting> {
    let dialect = caller.port.dialect();
    let wanted = match wanted {
        Ok(wanted) => wanted,
        Err(refused) => return error(cx, &refused).into(),
    };
    let path = match KeyPath::parse(node) {
        Ok(path) => path,
        Err(wrong @ (PathError::TooDeep | PathError::NotClean)) => {
            return error(cx, &ApiError::new(INVALID_FIELD, wrong.to_string(), cx.index())).into();
        }
    };
    let users = cx.driver.store().auth();
    let has_slash = request.path.ends_with('/');
    let access = wanted.access(path).map(|access| Access { has_slash, ..access });
    if access.is_some_and(|access| !users.allows(cx.who, access)) {
        return unauthorized(cx, caller, Shape::Error).into();
    }
    if wanted.needs_leader()
        && sends_on(cx, dialect)
        && let Some(leader) = cx.leader()
    {
        let url = dialect.url_of(leader, caller.is_tls);
        return redirect::to_leader(url, request).into();
    }
    match wanted {
        KeysRequest::Write(write) => propose(cx, caller, &write, (path, has_slash)),
        KeysRequest::Get(get) if get.quorum => quorum_read(cx, caller, path, get),
        KeysRequest::Get(get) => plain_read(cx, caller, path, get),
        KeysRequest::Watch(wanted) => watch::begin(cx, caller, path, wanted),
    }
}

/// Whether clients of this machine are sent to the leader rather than served with its help. Only
/// 0.4 did that: a client of the 2.x series is served here. Without a leader requests wait for one.
fn sends_on(cx: &Context, dialect: Dialect) -> bool {
    cx.config.redirects_to_leader
        && dialect == Dialect::V04
        && cx.driver.status().role != Role::Leader
}

fn propose(
    cx: &mut Context,
    caller: Caller,
    write: &Write<'_>,
    (path, has_slash): (KeyPath<'_>, bool),
) -> Reply<Waiting> {
    let dialect = caller.port.dialect();
    let command = write.command(path, dialect);
    // The log has the slash only where it matters.
    let has_slash = has_slash && cx.driver.store().auth().is_enabled();
    let author = Author { who: cx.who, has_slash };
    // It is asked again where the write is applied. Who may not write is told nothing of the key.
    if !cx.driver.store().may(author, &command) {
        return unauthorized(cx, caller, Shape::Error).into();
    }
    if let Some(refused) = cx.driver.refuse(&command) {
        let hides_root = dialect == Dialect::V2;
        return error(cx, &ApiError::from_store(&refused, hides_root)).into();
    }
    match cx.driver.propose_as(Ticket(caller.key.to_u64()), author, &command) {
        Ok(()) => Reply::Wait(Waiting::Write { form: write.form, since: cx.now.monotonic }),
        Err(failed) => engine_error(cx, failed).into(),
    }
}

/// A read of what this member has. Until it has seen once what was answered before it started, it
/// asks the leader first: what it has may be older than what this client has read here.
fn plain_read(cx: &mut Context, caller: Caller, path: KeyPath<'_>, get: Get) -> Reply<Waiting> {
    if cx.driver.is_warm() {
        cx.note_read();
        return read(cx, caller, path, get, None);
    }
    if !cx.driver.has_store() && !cx.driver.status().is_voter {
        return without_store(cx).into();
    }
    if cx.driver.unfit().is_err() {
        return read(cx, caller, path, get, None);
    }
    quorum_read(cx, caller, path, get)
}

/// This machine has never had the key space, and does not know what is in it.
fn without_store(cx: &mut Context) -> Response {
    let cause = "this machine has joined but has not caught up with the leader yet: it does not \
                 have the keys";
    error(cx, &ApiError::overloaded(cause, 0))
}

fn quorum_read(cx: &mut Context, caller: Caller, path: KeyPath<'_>, get: Get) -> Reply<Waiting> {
    cx.note_read();
    match cx.driver.read(Ticket(caller.key.to_u64())) {
        Ok(()) => {
            let (path, who, since) = (path.as_str().into(), cx.who, cx.now.monotonic);
            Reply::Wait(Waiting::Read { path, get, who, since })
        }
        Err(failed) => {
            cx.meters.read_indexes_failed.add_one();
            engine_error(cx, failed).into()
        }
    }
}

/// The read index of a quorum read was reached, or cannot be.
pub(crate) fn read_ready(
    cx: &mut Context,
    caller: Caller,
    path: &str,
    (get, since): (Get, u64),
    outcome: Result<(), EngineError>,
) -> Reply<Waiting> {
    let path = KeyPath::parse(path).expect("the path was parsed before it was kept");
    if outcome.is_err() {
        cx.meters.read_indexes_failed.add_one();
    }
    let waited = Some(cx.waited(since));
    match outcome {
        Ok(()) => {
            cx.driver.warm_up();
            read(cx, caller, path, get, waited)
        }
        Err(failed) if get.quorum => engine_error(cx, failed).into(),
        Err(_) if !cx.driver.has_store() => without_store(cx).into(),
        // A plain read that waited for a leader has waited long enough: this member says what it
        // has, and does not let others wait again.
        Err(_) => {
            cx.driver.warm_up();
            read(cx, caller, path, get, waited)
        }
    }
}

/// Answers a read from the store as it is now. `waited` is for how long it had to wait, if it had.
fn read(
    cx: &mut Context,
    caller: Caller,
    path: KeyPath<'_>,
    get: Get,
    waited: Option<Duration>,
) -> Reply<Waiting> {
    // Whoever waited may have lost its right meanwhile.
    let access =
        Access { recursive: get.recursive, has_slash: true, ..Access::new(path, Right::Read) };
    if waited.is_some() && !cx.driver.store().auth().allows(cx.who, access) {
        return unauthorized(cx, caller, Shape::Error).into();
    }
    let Get { recursive: is_recursive, quorum: is_quorum, .. } = get;
    if caller.mode.is_poll {
        cx.meters.reads_polled.add_one();
    }
    match cx.driver.store().get(path) {
        Ok(node) => {
            let method = caller.mode.method;
            cx.meters.read(ServedRead { method, is_quorum, is_recursive, waited });
            answer_node(cx, caller, path, node, get)
        }
        Err(refused) => {
            cx.meters.reads_failed.add(is_recursive);
            error(cx, &ApiError::from_store(&refused, false)).into()
        }
    }
}

fn answer_node(
    cx: &mut Context,
    caller: Caller,
    path: KeyPath<'_>,
    node: Node,
    get: Get,
) -> Reply<Waiting> {
    let index = cx.driver.store().index();
    let now = cx.driver.stamp_now();
    cx.body.clear();
    if get.form == Form::V1 {
        if !node.is_dir() {
            v1::put_file(&mut cx.body, path, &node, now, index);
            return Response::new(200, TEXT, Body::Printed).into();
        }
        let array = v1::Array::start(&mut cx.body, path, node, index);
        let head = Response::new(200, TEXT, Body::Empty);
        return answer_listing(cx, caller, array, head, false);
    }
    let mut head = Response::json(200, Body::Empty).at(cx.numbers(index));
    if let Some(tag) = etag::tag(cx, path, &node, &get) {
        let lines = etag::lines(&tag);
        if get.has.is_some_and(|has| etag::is_known(&tag, &has)) {
            return Response::empty(304).at(cx.numbers(index)).with(lines).into();
        }
        head = head.with(lines);
    }
    let Get { recursive, hidden, view, takes_gzip, .. } = get;
    let style = Style { recursive, hidden, dialect: caller.port.dialect(), now };
    let Some(view) = view else {
        let listing = Listing::start(&mut cx.body, path, node, style);
        return answer_listing(cx, caller, listing, head, takes_gzip);
    };
    let shows_below = view.count && etag::may_read_below(cx, path);
    let page = Page::start(&mut cx.body, path, node, (style, view), shows_below);
    if !page.is_heavy() {
        return answer_listing(cx, caller, page, head, takes_gzip);
    }
    if caller.mode.is_head {
        return Reply::Stream { head, pending: Waiting::List(Box::new(page)), is_held: false };
    }
    if !making::has_room(cx) {
        let cause = "too many large directories are being put in order; try again later";
        return error(cx, &ApiError::overloaded(cause, index.0)).into();
    }
    answer_aside(cx, caller, page, head, takes_gzip)
}

/// Answers with a listing, at once as far as it is short.
fn answer_listing(
    cx: &mut Context,
    caller: Caller,
    mut listing: impl Print + Send + 'static,
    head: Response,
    takes_gzip: bool,
) -> Reply<Waiting> {
    let portion = match caller.mode.is_http11 {
        true => Portion { bytes: PIECE_BYTES, visits: PIECE_VISITS },
        false => Portion { bytes: WHOLE_BYTES_MAX, visits: WHOLE_VISITS_MAX },
    };
    listing.fill(&mut cx.body, portion);
    let is_long = !listing.is_done() || cx.body.len() >= making::GZIP_BYTES_MIN;
    if takes_gzip && is_long && !caller.mode.is_head && making::has_room(cx) {
        return answer_aside(cx, caller, listing, head, true);
    }
    let is_large = cx.body.len() >= SHARE_BYTES_MIN;
    let body = match listing.is_done() && is_large {
        true => Body::Owned(std::mem::take(&mut cx.body)),
        false => Body::Printed,
    };
    let head = Response { body, ..head };
    match listing.is_done() {
        true => Reply::Now(head),
        false => Reply::Stream { head, pending: Waiting::List(Box::new(listing)), is_held: false },
    }
}

/// Answers with a listing that is gone on with beside the loop.
fn answer_aside(
    cx: &mut Context,
    caller: Caller,
    listing: impl Print + Send + 'static,
    mut head: Response,
    is_compressed: bool,
) -> Reply<Waiting> {
    if is_compressed {
        let lines = making::lines_of_gzip(&head.extra);
        head = head.with(lines);
    }
    let first = std::mem::take(&mut cx.body);
    let to = (caller.key, caller.mode.is_http11);
    let pending = making::begin(cx, to, listing, first, is_compressed);
    Reply::Stream { head, pending, is_held: false }
}

/// Prints the next piece of a long listing.
pub(crate) fn list_on(front: &mut Front<Waiting>, key: Key) {
    let Some(connection) = front.get_mut(key) else { return };
    let is_chunked = connection.mode.is_http11;
    let Phase::Waiting(Waiting::List(listing)) = &mut connection.phase else { return };
    let before = connection.outbox.len();
    let is_done = connection.outbox.append(|out| {
        // With room for the child that goes over the mark.
        out.reserve(PIECE_BYTES + PIECE_BYTES / 64);
        print_piece(out, is_chunked, |out| {
            let portion = Portion { bytes: out.len() + PIECE_BYTES, visits: PIECE_VISITS };
            listing.fill(out, portion);
        });
        if listing.is_done() {
            put_end(out, is_chunked);
        }
        listing.is_done()
    });
    let printed = connection.outbox.len() - before;
    connection.closes |= is_done && !is_chunked;
    // Children that are not shown cost time as well.
    front.note_work(printed.max(PIECE_BYTES / 4));
    if is_done {
        front.end_answer(key);
    }
    front.mark_dirty(key);
}

/// The outcome of a write is there.
pub(crate) fn written(
    cx: &mut Context,
    caller: Caller,
    (form, since): (Form, u64),
    outcome: &Result<Applied, Failure>,
) -> Response {
    let took = cx.waited(since);
    if !matches!(outcome, Err(Failure::Engine(_))) {
        cx.meters.proposals.add(took);
    }
    match outcome {
        Ok(Applied::Event(event)) => {
            cx.meters.wrote(event.action, caller.mode.method, took);
            if form == Form::V1 {
                return v1::event(event, event.index);
            }
            let is_new = event.action == Action::Create
                || (event.action == Action::Set && event.prev.is_none());
            print_event(&mut cx.body, caller.port.dialect(), event, form == Form::ActionOnly);
            let numbers = cx.numbers(event.index);
            Response::new(if is_new { 201 } else { 200 }, JSON, Body::Printed).at(numbers)
        }
        Ok(
            Applied::Internal
            | Applied::Raised
            | Applied::Counted
            | Applied::Expired(_)
            | Applied::Lock(_)
            | Applied::Auth { .. },
        ) => {
            unreachable!("a write of a client ends in an event")
        }
        Err(Failure::Store(refused)) if refused.code == ErrorCode::Unauthorized => {
            unauthorized(cx, caller, Shape::Error)
        }
        Err(Failure::Store(refused)) => {
            let hides_root = caller.port.dialect() == Dialect::V2;
            error(cx, &ApiError::from_store(refused, hides_root))
        }
        Err(Failure::Engine(failed)) => engine_error(cx, *failed),
    }
}
