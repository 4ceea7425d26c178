//! Sending the outboxes of connections, and what follows when one is empty.

use super::connection::Phase;
use super::front::OUTBOX_SHARE;
use super::slab::Key;
use super::{Front, Pending, Service};
use crate::config::Port;
use std::io::{self, Write};

/// Rounds of sending in a row, for answers that are longer than one piece.
const PASSES_MAX: usize = 8;

/// Bytes of one connection that are sent before others have their turn.
const SEND_BYTES_MAX: usize = 1 << 20;

/// Sends the outboxes.
pub(crate) fn flush_dirty<S: Service>(service: &mut S) {
    // A long answer goes on when its last piece is sent, and so needs another pass.
    for pass in 0..PASSES_MAX {
        if pass > 0 && !service.front().has_time() {
            return;
        }
        let mut dirty = std::mem::take(&mut service.front().dirty);
        for key in dirty.drain(..) {
            flush(service, key);
        }
        let front = service.front();
        if front.dirty.is_empty() {
            front.dirty = dirty;
            return;
        }
    }
}

fn flush<S: Service>(service: &mut S, key: Key) {
    let front = service.front();
    let now = front.now.monotonic;
    let Some(connection) = front.connections.get_mut(key) else { return };
    connection.is_dirty = false;
    let before = connection.outbox.len();
    let sent = connection.outbox.send(&mut connection.socket, SEND_BYTES_MAX);
    // An answer has left when its ciphertext has.
    let takes_more = sent.and_then(|takes_more| match connection.socket.flush() {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        result => result.map(|()| takes_more),
    });
    let left = connection.outbox.len();
    if connection.port != Port::Peer {
        front.moved.sent += (before - left) as u64;
    }
    connection.is_blocked = !matches!(takes_more, Ok(true));
    if left < before || (before > 0 && left == 0) {
        connection.busy_since = now;
    }
    front.budget.note(before - left);
    front.count(key);
    front.feed_starved();
    match takes_more {
        Err(_) => service.close(key),
        Ok(true) if left == 0 => drained(service, key),
        takes_more => {
            // It had its share: no event tells that the socket takes more.
            if matches!(takes_more, Ok(true)) {
                front.mark_dirty(key);
            }
            if left <= OUTBOX_SHARE {
                go_on_ahead(front, key);
            }
        }
    }
}

/// There is room again for the answers to what a connection has sent ahead.
fn go_on_ahead<T: Pending>(front: &mut Front<T>, key: Key) {
    let Some(connection) = front.connections.get_mut(key) else { return };
    let has_more = !connection.input.is_empty() || connection.readable;
    if connection.is_idle() && has_more && !connection.closes {
        front.mark_resume(key);
    }
}

/// Everything is sent: goes on with a long answer, or ends.
fn drained<S: Service>(service: &mut S, key: Key) {
    let front = service.front();
    let has_time = front.has_time();
    let Some(connection) = front.connections.get_mut(key) else { return };
    match &connection.phase {
        Phase::Waiting(pending) if pending.has_more() && has_time => service.print_more(key),
        Phase::Waiting(pending) if pending.has_more() => front.unfinished.push_back(key),
        Phase::Waiting(_) => connection.outbox.shrink(),
        Phase::Idle if connection.closes || (connection.ended && connection.input.is_empty()) => {
            hang_up(service, key);
        }
        Phase::Idle => go_on_ahead(front, key),
        Phase::Draining { .. } => {}
    }
}

/// Ends a connection after its last answer. A client that is still sending would lose the answer if
/// the socket were simply closed, so what it sends is read for a while.
fn hang_up<S: Service>(service: &mut S, key: Key) {
    let front = service.front();
    let left = front.bounds.reader.body_bytes.saturating_mul(2);
    let Some(connection) = front.connections.get_mut(key) else { return };
    let is_sending = !connection.input.is_empty() && !connection.ended;
    if is_sending && connection.socket.end_writing().is_ok() {
        connection.input = Vec::new();
        connection.phase = Phase::Draining { left };
        connection.readable = true;
        front.mark_resume(key);
    } else {
        service.close(key);
    }
}
