//! TLS handshakes among all else that the loop does.
//!
//! The one thread that serves clients and sends heartbeats shakes hands as well, and a handshake
//! may cost as much as a hundred requests. So only some go on in each round, first come first
//! served, however many callers there are. None may take for ever either.

use super::slab::Key;
use super::tls::Stream;

/// Handshakes that go on in a round. Each read of one costs up to half a millisecond, so that a
/// round of them takes less than a tenth of an election time-out.
const ROUND_MAX: usize = 16;

/// The time limit of one, even if clients have a longer one: 10 s.
const NS_MAX: u128 = 10_000_000_000;

/// Handshakes that wait for a round with room for them.
#[derive(Debug, Default)]
pub(crate) struct Handshakes {
    waiting: Vec<Key>,
    /// How many have gone on in this round.
    begun: usize,
}

impl Handshakes {
    pub(super) fn are_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// A round begins. Gives those that had to wait for it.
    pub(super) fn begin_round(&mut self) -> Vec<Key> {
        self.begun = 0;
        std::mem::take(&mut self.waiting)
    }

    /// Whether the handshake of a connection may go on in this round; if not it waits.
    pub(super) fn may_go_on(&mut self, key: Key) -> bool {
        self.begun += 1;
        let may = self.begun <= ROUND_MAX;
        if !may {
            self.waiting.push(key);
        }
        may
    }
}

/// Whether a connection that began so many nanoseconds ago should have shaken hands by now.
pub(super) fn is_late(socket: &Stream, since: u128) -> bool {
    since > NS_MAX && socket.is_shaking_hands()
}
