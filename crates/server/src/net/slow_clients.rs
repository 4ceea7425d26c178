//! Clients that are too slow: looked for periodically, and when memory is short.

use super::connection::Phase;
use super::handshake::is_late as is_handshake_late;
use super::slab::Key;
use super::{Front, Pending, Service};
use crate::http::reader::PartialRequest;
use crate::http::response::ReplyMode;

/// How long a client may keep sending after its last answer, in any case.
const DRAIN_NS_MAX: u128 = 300_000_000_000;

/// How long a request may arrive at any rate: 30 s.
const GRACE_NS: u128 = 30_000_000_000;

/// The rate at which it has to arrive after that: bytes in a second.
const RATE_MIN: u128 = 1 << 10;

/// A connection that holds less is not worth ending for it.
const SHED_BYTES_MIN: usize = 4 << 10;

/// How long a client may read nothing while answers use more memory than their share: 5 s.
const STALLED_NS: u128 = 5_000_000_000;

/// Ends the connections of clients that neither send nor read in time.
pub(crate) fn close_slow<S: Service>(service: &mut S) {
    for key in service.front().connections.keys() {
        if service.front().is_late(key) {
            service.close(key);
        }
    }
    while let Some(key) = service.front().largest_stalled() {
        service.close(key);
    }
}

/// Requests take too much memory together: the largest that is unfinished is refused. Where none is
/// large it is what was sent ahead of answers, and the connection with most of it is closed:
/// a client whose last request is still pending cannot get a message.
pub(super) fn shed_input<S: Service>(service: &mut S) {
    let front = service.front();
    let largest = |front: &mut Front<S::Pending>, is_unfinished: bool| {
        let keys = front.connections.keys().into_iter();
        let held = keys.filter_map(|key| {
            let connection = front.connections.get_mut(key)?;
            let held = connection.input.capacity();
            let counts = connection.is_idle() == is_unfinished && held >= SHED_BYTES_MIN;
            counts.then_some((held, key))
        });
        held.max_by_key(|(held, _)| *held).map(|(_, key)| key)
    };
    let Some(key) = largest(front, true) else {
        if let Some(key) = largest(front, false) {
            service.close(key);
        }
        return;
    };
    let Some(connection) = front.connections.get_mut(key) else { return };
    connection.mode = ReplyMode { keep_alive: false, ..ReplyMode::default() };
    connection.partial = PartialRequest::default();
    // What follows cannot be told apart from the rest of this request.
    connection.input = vec![0];
    front.count(key);
    let why = "too many requests have arrived in part; try again later";
    let (front, printed) = service.parts();
    front.answer(key, (front.refusal)(why), printed);
}

impl<T: Pending> Front<T> {
    fn is_late(&mut self, key: Key) -> bool {
        let (now, bounds) = (self.now.monotonic, self.bounds);
        let Some(connection) = self.connections.get_mut(key) else { return false };
        let since = u128::from(now.saturating_sub(connection.busy_since));
        match &connection.phase {
            Phase::Waiting(pending) if pending.is_relayed() => false,
            _ if !connection.outbox.is_empty() => since > bounds.write_limit,
            Phase::Waiting(pending) => pending.silence_max().is_some_and(|max| since > max),
            Phase::Idle => {
                let is_slow = !connection.input.is_empty()
                    && since > GRACE_NS
                    && is_slower(connection.input.len(), since);
                is_slow || since > bounds.read_limit || is_handshake_late(&connection.socket, since)
            }
            Phase::Draining { .. } => {
                since > bounds.read_limit.min(DRAIN_NS_MAX)
                    || is_handshake_late(&connection.socket, since)
            }
        }
    }

    /// While answers take more than their share: the one whose client holds most and takes nothing.
    fn largest_stalled(&mut self) -> Option<Key> {
        if !self.memory.is_output_over() {
            return None;
        }
        let now = self.now.monotonic;
        let keys = self.connections.keys().into_iter();
        let stalled = keys.filter_map(|key| {
            let connection = self.connections.get_mut(key)?;
            let since = u128::from(now.saturating_sub(connection.busy_since));
            let held = connection.outbox.len();
            (since > STALLED_NS && held > 0).then_some((held, key))
        });
        stalled.max_by_key(|(held, _)| *held).map(|(_, key)| key)
    }
}

/// Whether so many bytes in so many nanoseconds are fewer than the least rate.
fn is_slower(bytes: usize, nanos: u128) -> bool {
    (bytes as u128).saturating_mul(1_000_000_000) < nanos.saturating_mul(RATE_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_bytes_in_a_second() {
        let second = 1_000_000_000;
        assert!(is_slower(1023, second));
        assert!(!is_slower(1024, second));
        assert!(is_slower(100_000, 100 * second));
        assert!(!is_slower(0, 0));
    }
}
