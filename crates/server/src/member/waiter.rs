//! Who waits for an outcome of the replica, or for an event of the store.

use crate::net::Key;
use replica::Ticket;

/// Tells tickets and watchers of the lock module from those of connections: keys leave it free.
const LOCK_BIT: u64 = 1 << 63;

/// No connection has this slot: with the bit of locks it tells questions of the cluster's health,
/// whose number takes the place of the generation.
const PROBE_SLOT: u64 = u32::MAX as u64;

/// The highest number of such a question.
pub(super) const NUMBER_MAX: u32 = (1 << 31) - 1;

/// Who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiter {
    /// A connection.
    Connection(Key),
    /// A client that waits for a lock.
    Lock(Key),
    /// All who ask whether a write would work: the number of their question.
    Probe(u32),
}

impl Waiter {
    /// What the watchers of locks are registered with: whose turn it is shows by the event.
    pub(crate) const ANY_LOCK: u64 = LOCK_BIT;

    pub(crate) fn of(packed: u64) -> Self {
        let (rest, slot) = (packed & !LOCK_BIT, packed & PROBE_SLOT);
        match packed & LOCK_BIT {
            0 => Waiter::Connection(Key::from_u64(packed)),
            _ if slot == PROBE_SLOT => {
                Waiter::Probe(u32::try_from(rest >> 32).expect("31 bits are left"))
            }
            _ => Waiter::Lock(Key::from_u64(rest)),
        }
    }

    /// What the replica gives back with the outcome.
    pub(crate) fn ticket(self) -> Ticket {
        match self {
            Waiter::Connection(key) => Ticket(key.to_u64()),
            Waiter::Lock(key) => Ticket(key.to_u64() | LOCK_BIT),
            Waiter::Probe(number) => Ticket(LOCK_BIT | u64::from(number) << 32 | PROBE_SLOT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Slab;

    #[test]
    fn a_ticket_tells_who_waits() {
        let mut slab = Slab::new();
        let key = slab.insert(());
        let probes = [0, 7, NUMBER_MAX].map(Waiter::Probe);
        for waiter in [Waiter::Connection(key), Waiter::Lock(key)].into_iter().chain(probes) {
            assert_eq!(Waiter::of(waiter.ticket().0), waiter);
        }
        assert!(matches!(Waiter::of(Waiter::ANY_LOCK), Waiter::Lock(_)));
    }
}
