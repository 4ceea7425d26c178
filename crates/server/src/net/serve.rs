//! What is done with the bytes of connections: read, made requests of, answered and sent, within a
//! slice of each round in which all connections take turns.

use super::connection::{HeldBytes, Phase};
use super::front::{OUTBOX_SHARE, READ_BYTES};
use super::reply::Taken;
use super::send::flush_dirty;
use super::slab::Key;
use super::slow_clients::shed_input;
use super::{ClientEnd, Front, Pending, Reply, Response, Service, TOKEN_BASE, tls};
use crate::config::Port;
use crate::http::reader::{self, Progress};
use crate::http::request::{Method, Refusal, Request};
use crate::http::response::{ReplyMode, message_body};
use crate::notice::notice;
use mio::Token;
use mio::event::Event;
use std::io::{self, Read};

/// Reads of one connection in a round, so that a fast sender does not starve the others.
const READS_MAX: usize = 8;

/// Bytes that a client may send ahead while its last request is in hand.
const AHEAD_BYTES_MAX: usize = 16 << 10;

/// Requests of one connection that are served before others have their turn.
const REQUESTS_SHARE: usize = 64;

/// Bytes that a caller may have sent before it learns that its handshake failed.
const REFUSED_BYTES_MAX: usize = 256 << 10;

impl<T: Pending> Front<T> {
    /// Brings the totals up to date with what a connection holds.
    pub(super) fn count(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let (input, output) = (connection.input.capacity(), connection.outbox.len());
        let held = HeldBytes { input, output };
        if held != connection.counted {
            self.memory.change(connection.counted, held);
            connection.counted = held;
        }
    }

    /// Whether a connection may be read in this round; if not it is read in another.
    fn may_read(&mut self, key: Key) -> bool {
        let Some(connection) = self.connections.get_mut(key) else { return false };
        !connection.socket.is_shaking_hands() || self.handshakes.may_go_on(key)
    }

    /// How much of a connection may be read now.
    fn room_to_read(&mut self, key: Key) -> usize {
        let Some(connection) = self.connections.get_mut(key) else { return 0 };
        let takes_request = connection.is_idle() && connection.outbox.len() <= OUTBOX_SHARE;
        let is_foreign = match &connection.phase {
            Phase::Waiting(pending) => !pending.is_http(),
            Phase::Draining { .. } => true,
            Phase::Idle => false,
        };
        if takes_request || is_foreign {
            return READ_BYTES;
        }
        if self.memory.is_input_over() {
            return 0;
        }
        AHEAD_BYTES_MAX.saturating_sub(connection.input.len())
    }

    /// Reads once. Gives how much there was, and whether there may be more.
    fn read_once(&mut self, key: Key, scratch: &mut [u8]) -> io::Result<(usize, bool)> {
        let room = self.room_to_read(key).min(scratch.len());
        let Some(connection) = self.connections.get_mut(key) else { return Ok((0, false)) };
        let Some(into) = scratch.get_mut(..room).filter(|into| !into.is_empty()) else {
            connection.readable = true;
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let read = connection.socket.read(into)?;
        if connection.port != Port::Peer {
            self.moved.received += read as u64;
        }
        // A short read emptied the socket; the next bytes are an event of their own.
        let has_more = read == room || connection.socket.has_ended();
        connection.readable = read == room;
        Ok((read, has_more))
    }
}

/// A round begins: those go on that had to wait.
pub(crate) fn begin_round<S: Service>(service: &mut S) {
    let front = service.front();
    front.budget.begin();
    for key in front.handshakes.begin_round() {
        // mio is edge-triggered: an event that was passed over, the end included, is not repeated.
        read(service, key, true);
    }
    if service.front().can_go_on() {
        go_on(service);
    }
    service.front().budget.go_on();
}

/// Takes an event of a listener or of a connection.
pub(crate) fn take<S: Service>(service: &mut S, event: &Event) {
    let Token(at) = event.token();
    if at < TOKEN_BASE {
        return service.front().accept(at);
    }
    let front = service.front();
    let Some(key) = front.key_of(event.token()) else { return };
    if event.is_error() {
        return service.close(key);
    }
    let Some(connection) = front.connections.get_mut(key) else { return };
    let pending = connection.pending();
    if pending.is_some_and(Pending::is_relayed) {
        return service.relay(key);
    }
    let is_member = pending.is_some_and(|pending| !pending.is_http());
    // A socket that was never full is reported with everything that arrives.
    let was_full = connection.is_blocked || !connection.socket.is_flushed();
    if event.is_writable() && was_full {
        front.mark_dirty(key);
    }
    let has_ended = event.is_read_closed();
    if !event.is_readable() && !has_ended {
        return;
    }
    // What other members say is heard in any case.
    if is_member || front.has_time() {
        return read(service, key, has_ended);
    }
    if let Some(connection) = front.connections.get_mut(key) {
        connection.readable = true;
        front.mark_resume(key);
    }
}

/// Reads what a connection has sent and takes the requests in it.
fn read<S: Service>(service: &mut S, key: Key, has_ended: bool) {
    if !service.front().may_read(key) {
        return;
    }
    let mut scratch = std::mem::take(&mut service.front().scratch);
    for _ in 0..READS_MAX {
        match service.front().read_once(key, &mut scratch) {
            Ok((0, _)) => {
                client_ended(service, key);
                break;
            }
            Ok((read, has_more)) => {
                take_bytes(service, key, scratch.get(..read).expect("a read is within its buffer"));
                if !has_more && !has_ended {
                    break;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if has_ended {
                    end_unread(service, key);
                }
                break;
            }
            Err(error) => {
                turn_away(service, key, &error);
                break;
            }
        }
    }
    let front = service.front();
    front.scratch = scratch;
    front.count(key);
    // More may be there than a round's share.
    if front.room_to_read(key) > 0
        && front.connections.get_mut(key).is_some_and(|connection| connection.readable)
    {
        front.mark_resume(key);
    }
    if service.front().memory.is_input_over() {
        shed_input(service);
    }
}

/// A client has ended its side that has sent more ahead than is read: a request that ends with the
/// client need not wait for the rest.
fn end_unread<S: Service>(service: &mut S, key: Key) {
    let Some(pending) = service.front().pending_mut(key) else { return };
    if pending.on_client_end() == ClientEnd::Forget && service.front().room_to_read(key) == 0 {
        client_ended(service, key);
    }
}

fn take_bytes<S: Service>(service: &mut S, key: Key, bytes: &[u8]) {
    let front = service.front();
    front.budget.note(bytes.len());
    let now = front.now.monotonic;
    let Some(connection) = front.connections.get_mut(key) else { return };
    let is_foreign = match &mut connection.phase {
        Phase::Draining { left } => {
            *left = left.saturating_sub(bytes.len());
            if *left == 0 {
                service.close(key);
            }
            return;
        }
        Phase::Waiting(pending) => !pending.is_http(),
        Phase::Idle => false,
    };
    if is_foreign {
        return take_foreign(service, key, bytes);
    }
    if !connection.input.is_empty() || !connection.is_idle() {
        connection.input.extend_from_slice(bytes);
        return take_input(service, key);
    }
    let (used, _) = serve(service, key, bytes);
    let front = service.front();
    let Some(rest) = bytes.get(used..).filter(|rest| !rest.is_empty()) else { return };
    if let Some(connection) = front.connections.get_mut(key) {
        connection.input.extend_from_slice(rest);
        connection.busy_since = now;
    }
}

/// Hands bytes to the service, behind those that it could not use yet.
fn take_foreign<S: Service>(service: &mut S, key: Key, bytes: &[u8]) {
    let Some(connection) = service.front().connections.get_mut(key) else { return };
    let mut input = std::mem::take(&mut connection.input);
    let is_direct = input.is_empty();
    if !is_direct {
        input.extend_from_slice(bytes);
    }
    let all = if is_direct { bytes } else { input.as_slice() };
    let Some(used) = service.take_bytes(key, all) else { return service.close(key) };
    if is_direct {
        input.extend_from_slice(bytes.get(used..).expect(
            "never more bytes are used than were \
                                                          read",
        ));
    } else {
        input.drain(..used);
    }
    if let Some(connection) = service.front().connections.get_mut(key) {
        connection.input = input;
    }
}

/// Takes the requests in what has been kept of earlier reads.
fn take_input<S: Service>(service: &mut S, key: Key) {
    let front = service.front();
    let now = front.now.monotonic;
    let Some(connection) = front.connections.get_mut(key) else { return };
    if !connection.is_idle() || connection.input.is_empty() {
        return;
    }
    let mut input = std::mem::take(&mut connection.input);
    let (used, is_unfinished) = serve(service, key, &input);
    let front = service.front();
    let Some(connection) = front.connections.get_mut(key) else { return };
    if !connection.input.is_empty() {
        // What follows was refused together with its request, or is relayed.
        return;
    }
    if used == input.len() {
        // The memory is given back: most requests come whole and need none.
        return;
    }
    input.drain(..used);
    // A large body that is gone must not leave its buffer to what follows it.
    input.shrink_to(2 * input.len());
    connection.input = input;
    if used > 0 {
        connection.busy_since = now;
    }
    if connection.ended && is_unfinished {
        // What is left will never be a whole request.
        connection.closes = true;
        front.mark_dirty(key);
        refuse_cut_off(service, key);
    }
}

impl<T: Pending> Front<T> {
    /// Whether a connection may have its next request served. If not it is, as soon as there is
    /// what it waits for: time, room for answers, or that its own were sent.
    fn may_serve(&mut self, key: Key, served: usize) -> bool {
        let has_time = served == 0 || (served < REQUESTS_SHARE && self.has_time());
        let is_over = self.memory.is_output_over();
        let Some(connection) = self.connections.get_mut(key) else { return false };
        if !connection.is_idle() || connection.closes || connection.outbox.len() > OUTBOX_SHARE {
            return false;
        }
        if !has_time {
            self.mark_resume(key);
        } else if is_over && !connection.is_resumed {
            connection.is_resumed = true;
            self.starved.push(key);
        }
        has_time && !is_over
    }
}

/// Takes requests from the front of `bytes` until one has to wait, or others are to have their
/// turn. Gives how many bytes were used, and whether the rest is the beginning of a request.
fn serve<S: Service>(service: &mut S, key: Key, bytes: &[u8]) -> (usize, bool) {
    let mut used = 0;
    for served in 0.. {
        let rest = bytes.get(used..).expect("never more bytes are used than were read");
        let front = service.front();
        if rest.is_empty() || !front.may_serve(key, served) {
            return (used, false);
        }
        let Some(connection) = front.connections.get_mut(key) else { return (used, false) };
        let mut partial = std::mem::take(&mut connection.partial);
        match reader::parse(rest, &mut partial, &front.bounds.reader) {
            Progress::NeedMore { send_continue } => {
                connection.partial = partial;
                if send_continue {
                    front.append(key, b"HTTP/1.1 100 Continue\r\n\r\n");
                }
                return (used, true);
            }
            Progress::Refused(refusal, is_keys) => {
                refuse(service, key, Method::of(rest), (refusal, is_keys));
                return (used, false);
            }
            Progress::Request(request, len) => {
                match request_in(service, key, &request) {
                    Taken::Served => used += len,
                    Taken::Held => return (used, false),
                    Taken::Relayed => {
                        // All that follows is relayed as well.
                        if let Some(connection) = service.front().connections.get_mut(key) {
                            connection.input = rest.to_vec();
                        }
                        service.relay(key);
                        return (bytes.len(), false);
                    }
                }
            }
        }
        service.front().budget.note_request();
    }
    unreachable!("requests are served until one of the reasons to stop is there")
}

/// Answers what is no request, or not a whole one. The flag tells that it named a path of the key
/// space.
fn refuse<S: Service>(service: &mut S, key: Key, method: Method, (why, is_keys): (Refusal, bool)) {
    let Some(connection) = service.front().connections.get_mut(key) else { return };
    let keys_in = is_keys.then(|| connection.dialect());
    connection.mode = ReplyMode { method, keep_alive: false, ..ReplyMode::default() };
    // What follows cannot be told apart from the rest of this request.
    connection.input = vec![0];
    let response = service.refuse(why, keys_in);
    let (front, printed) = service.parts();
    front.answer(key, response, printed);
}

/// Answers a request whose client has ended its side in the middle of the body: it may still read.
/// Says whether there was one.
fn refuse_cut_off<S: Service>(service: &mut S, key: Key) -> bool {
    let Some(connection) = service.front().connections.get_mut(key) else { return false };
    let Some(is_keys) = std::mem::take(&mut connection.partial).awaits_body() else { return false };
    let method = Method::of(&connection.input);
    refuse(service, key, method, (Refusal::CutOff, is_keys));
    true
}

/// Has a request answered.
fn request_in<S: Service>(service: &mut S, key: Key, request: &Request<'_>) -> Taken {
    let front = service.front();
    let origin = front.cors.number(request.sender.origin);
    let is_stopping = front.is_stopping;
    let Some(connection) = front.connections.get_mut(key) else { return Taken::Served };
    connection.mode = ReplyMode {
        method: request.method,
        is_http11: request.is_http11,
        keep_alive: request.keep_alive && !is_stopping,
        is_head: request.method == Method::Head,
        is_poll: request.terms.is_poll(),
        origin,
    };
    connection.proven = None;
    let caller = connection.caller(key);
    let is_read = matches!(request.method, Method::Get | Method::Head);
    let is_change = !is_read || request.upgrade.is_some();
    let reply = if request.method == Method::Options {
        Reply::Now(Response::empty(200))
    } else if let Err(why) = front.hosts.judge(&front.cors, request.sender, is_change) {
        Reply::Now(Response::json(403, message_body(why)))
    } else {
        service.request(caller, request)
    };
    let taken = reply.taken();
    let front = service.front();
    if !matches!(taken, Taken::Held) {
        front.counters.received(request.method);
    }
    if front.audit.is_some() && matches!(taken, Taken::Served) {
        let entry = service.audited(key, request);
        if let Some(connection) = service.front().connections.get_mut(key) {
            connection.audited = entry;
        }
    }
    let (front, printed) = service.parts();
    front.give(key, reply, printed);
    taken
}

/// The client has sent its last byte. A watch ends with it; other answers are still sent.
fn client_ended<S: Service>(service: &mut S, key: Key) {
    let Some(connection) = service.front().connections.get_mut(key) else { return };
    connection.ended = true;
    connection.readable = false;
    let is_answered = match &connection.phase {
        Phase::Waiting(pending) => pending.on_client_end() == ClientEnd::Answer,
        // Answers are on their way, or what it sent before had no turn yet.
        Phase::Idle => !connection.outbox.is_empty() || connection.is_resumed,
        Phase::Draining { .. } => false,
    };
    if is_answered {
        // What it sent ahead is answered first.
        connection.closes |= connection.input.is_empty();
    } else if !refuse_cut_off(service, key) {
        service.close(key);
    }
}

/// A connection cannot be read. If it is because its handshake failed, the caller is to learn why:
/// what it has sent ahead is read for a while, since closing at once would make the system throw
/// the alert away.
fn turn_away<S: Service>(service: &mut S, key: Key, error: &io::Error) {
    let front = service.front();
    let Some(connection) = front.connections.get_mut(key) else { return };
    if !connection.socket.is_shaking_hands() || !connection.socket.give_up() {
        return service.close(key);
    }
    let (port, error) = (connection.port, tls::explain(error));
    tracing::debug!(?port, "a TLS handshake failed: {error}");
    if port == Port::Peer {
        let origin = front.origin_of(key);
        let host = origin.rsplit_once(':').map_or(origin.as_str(), |(host, _)| host);
        notice!(TlsRefused, &format!("{host} {error}"), "it calls from {origin}: {error}");
    }
    let Some(connection) = front.connections.get_mut(key) else { return };
    connection.phase = Phase::Draining { left: REFUSED_BYTES_MAX };
    connection.readable = true;
    front.mark_resume(key);
}

impl<T: Pending> Front<T> {
    /// Whether connections can go on without an event.
    pub(crate) fn can_go_on(&self) -> bool {
        !self.resume.is_empty() || !self.unfinished.is_empty()
    }
}

/// Lets connections go on: long answers, and requests that were sent ahead or had no turn, by
/// turns. Stops where the slice of this round ends, or where the service has enough for a turn.
pub(crate) fn go_on<S: Service>(service: &mut S) {
    let front = service.front();
    let (mut long, mut ahead) = (front.unfinished.len(), front.resume.len());
    while long + ahead > 0 && service.front().has_time() && !service.is_sated() {
        if long > 0 {
            long -= 1;
            print_on(service);
        }
        if ahead > 0 {
            ahead -= 1;
            resume(service);
        }
    }
    flush_dirty(service);
}

/// The next long answer goes on.
fn print_on<S: Service>(service: &mut S) {
    let front = service.front();
    let Some(key) = front.unfinished.pop_front() else { return };
    if front.pending_mut(key).is_some_and(|pending| pending.has_more()) {
        service.print_more(key);
    }
}

/// The next connection continues with its pipelined requests.
fn resume<S: Service>(service: &mut S) {
    let front = service.front();
    let Some(key) = front.resume.pop_front() else { return };
    let Some(connection) = front.connections.get_mut(key) else { return };
    connection.is_resumed = false;
    take_input(service, key);
    let Some(connection) = service.front().connections.get_mut(key) else { return };
    if std::mem::take(&mut connection.readable) {
        read(service, key, true);
    }
}
