//! Who waits for an outcome of the replica, or for an event of the store.

use crate::net::Key;
use replica::Ticket;

/// Tells tickets and watchers of the lock module from those of connections: keys leave it free.
const LOCK_BIT: u64 = 1 << 63;

/// Who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiter {
    /// A connection.
    Connection(Key),
    /// A client that waits for a lock.
    Lock(Key),
}

impl Waiter {
    /// What the watchers of locks are registered with: whose turn it is shows by the event.
    pub(crate) const ANY_LOCK: u64 = LOCK_BIT;

    pub(crate) fn of(packed: u64) -> Self {
        match packed & LOCK_BIT {
            0 => Waiter::Connection(Key::from_u64(packed)),
            _ => Waiter::Lock(Key::from_u64(packed & !LOCK_BIT)),
        }
    }

    /// What the replica gives back with the outcome.
    pub(crate) fn ticket(self) -> Ticket {
        match self {
            Waiter::Connection(key) => Ticket(key.to_u64()),
            Waiter::Lock(key) => Ticket(key.to_u64() | LOCK_BIT),
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
        for waiter in [Waiter::Connection(key), Waiter::Lock(key)] {
            assert_eq!(Waiter::of(waiter.ticket().0), waiter);
        }
        assert!(matches!(Waiter::of(Waiter::ANY_LOCK), Waiter::Lock(_)));
    }
}
