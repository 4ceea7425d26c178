//! TLS handshakes among all else that the loop does.
//!
//! The one thread that serves clients and sends heartbeats shakes hands as well, and a handshake
//! may cost as much as a hundred requests. So only some go on in each round, first come first
//! served, however many callers there are. None may take for ever either.

use crate::connection::Task;
use crate::owner::Owner;
use crate::slab::Key;
use crate::tls::Stream;
use std::io;

/// Handshakes that go on in a round. Each read of one costs up to half a millisecond, so that a
/// round of them takes less than a tenth of an election time-out.
const ROUND_MAX: usize = 16;

/// How long one may take, whatever clients may otherwise: 10 s.
const NS_MAX: u128 = 10_000_000_000;

/// Bytes that a caller may have sent before it learns that it is refused.
const REFUSED_BYTES_MAX: usize = 256 << 10;

/// Handshakes that wait for a round with room for them.
#[derive(Debug, Default)]
pub(crate) struct Handshakes {
    waiting: Vec<Key>,
    /// How many have gone on in this round.
    begun: usize,
}

impl Handshakes {
    pub(crate) fn are_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

/// Whether a connection that began so many nanoseconds ago should have shaken hands by now.
pub(crate) fn is_late(socket: &Stream, since: u128) -> bool {
    since > NS_MAX && socket.is_shaking_hands()
}

impl Owner {
    /// Reads the clock, and goes on with the handshakes that had to wait.
    pub(crate) fn begin_round(&mut self) {
        self.read_clock();
        self.handshakes.begun = 0;
        for key in std::mem::take(&mut self.handshakes.waiting) {
            // What its events told is not told again, the end least of all.
            self.read(key, true);
        }
    }

    /// Whether a connection may be read in this round; if not it is read in another.
    pub(crate) fn may_read(&mut self, key: Key) -> bool {
        let Some(connection) = self.connections.get_mut(key) else { return false };
        if !connection.socket.is_shaking_hands() {
            return true;
        }
        self.handshakes.begun += 1;
        let may = self.handshakes.begun <= ROUND_MAX;
        if !may {
            self.handshakes.waiting.push(key);
        }
        may
    }

    /// A connection cannot be read. If it is because its handshake failed, the caller is to learn
    /// why: what it has sent ahead is read for a while, since closing at once would make the system
    /// throw the alert away.
    pub(crate) fn turn_away(&mut self, key: Key, error: &io::Error) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if !connection.socket.is_shaking_hands() || !connection.socket.give_up() {
            return self.close(key);
        }
        let port = connection.port;
        tracing::debug!(?port, "a TLS handshake failed: {error}");
        connection.task = Task::Drain { left: REFUSED_BYTES_MAX };
        connection.readable = true;
        self.mark_resume(key);
    }
}
