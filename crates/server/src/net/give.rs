//! How a reply is carried out, and how a connection ends.

use super::slab::Key;
use super::{Pending, Reply, Response, Service};

/// While so many bytes of its answers wait to be sent, a connection takes no next request.
pub(super) const OUTBOX_SHARE: usize = 64 << 10;

/// Puts a reply on its way.
pub(crate) fn give<S: Service>(service: &mut S, key: Key, reply: Reply<S::Pending>) {
    let (front, printed) = service.parts();
    match reply {
        Reply::Now(response) => front.answer(key, response, printed),
        Reply::Last(response) => front.answer_last(key, response, printed),
        Reply::Wait(pending) | Reply::Relay(pending) => front.set_pending(key, pending),
        Reply::Upgrade { head, pending } => {
            front.set_pending(key, pending);
            if let Some(connection) = front.connections.get_mut(key) {
                connection.busy_since = front.now.monotonic;
                super::set_patience(connection.socket.socket());
            }
            front.append(key, head.as_bytes());
        }
        // The head says it all.
        Reply::Stream { head, .. } if front.is_head(key) => {
            front.begin_stream(key, &head, printed);
            front.end_answer(key);
        }
        Reply::Stream { head, pending, is_held } => {
            front.begin_stream(key, &head, printed);
            let has_more = pending.has_more();
            front.set_pending(key, pending);
            if is_held && !has_more {
                front.hold_head(key);
            } else {
                front.mark_dirty(key);
            }
        }
    }
}

pub(super) fn reply_now<S: Service>(service: &mut S, key: Key, response: Response) {
    let (front, printed) = service.parts();
    front.answer(key, response, printed);
}

/// Ends a connection and what its request waited for.
pub(crate) fn close<S: Service>(service: &mut S, key: Key) {
    if let Some(pending) = service.front().remove(key) {
        service.client_gone(key, pending);
    }
}
