//! The clients that wait for locks at this member.
//!
//! Everything that another member would have to know is in the store: who is in a queue, in which
//! order, until when. Here is only what belongs to a connection: which entry it waits for, since
//! when, and when its entry is kept alive next. If this member dies its entries are no longer
//! refreshed and they expire.
//!
//! One watcher for each lock with a waiting client reports removed entries. It only decides when to
//! ask: whether a turn has come is what the store answers (see `store::LockAction`).

use crate::net::{Key, Slab};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::{LockOutcome, Principal, WatcherId};

/// How far a waiter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Its entry is on its way into the queue.
    Entering,
    /// It waits for its turn.
    Waiting,
    /// The store is asked whether its turn has come.
    Asking,
    /// Its entry is on its way out of the queue.
    Leaving,
    /// As before, but the last attempt failed and another follows.
    LeavingAgain,
}

/// One request for a lock.
#[derive(Debug)]
pub(crate) struct LockWaiter {
    /// The connection that waits for the answer; none once it is closed.
    pub(crate) connection: Option<Key>,
    /// Who waits.
    pub(crate) who: Principal,
    /// The lock's directory.
    pub(crate) dir: Arc<str>,
    /// Whether other requests may share its entry.
    pub(crate) is_named: bool,
    pub(crate) ttl: i64,
    /// How many seconds it waits, if not for ever.
    pub(crate) timeout: Option<u64>,
    /// When that is over, by the monotonic clock.
    pub(crate) deadline: u64,
    /// Its entry, once it has one.
    pub(crate) index: u64,
    pub(crate) stage: Stage,
    /// What was last touched when it began to leave.
    pub(crate) touched: Option<u64>,
    /// When its entry has expired, so that leaving need not be retried.
    pub(crate) gone_at: u64,
    due: Option<u64>,
}

impl LockWaiter {
    pub(crate) fn new(connection: Key, dir: &str, is_named: bool, ttl: i64) -> Self {
        Self {
            connection: Some(connection),
            who: Principal::Guest,
            dir: dir.into(),
            is_named,
            ttl,
            timeout: None,
            deadline: u64::MAX,
            index: 0,
            stage: Stage::Entering,
            touched: None,
            gone_at: u64::MAX,
            due: None,
        }
    }

    /// Nanoseconds between two refreshes of the entry: half of what it lives (docs/spec/modules.md
    /// section 1.1).
    pub(crate) fn refresh_ns(&self) -> u64 {
        u64::try_from(self.ttl).unwrap_or(1).saturating_mul(500_000_000)
    }
}

/// The requests that wait here for one entry.
#[derive(Debug, Default)]
pub(crate) struct SharedEntry {
    pub(crate) waiters: Vec<Key>,
    /// The last change of the entry that came from here.
    pub(crate) touched: u64,
    /// Whether others have changed it too: a request of the same client may wait elsewhere.
    pub(crate) is_shared: bool,
    /// Whether one of the requests was answered that it holds the lock.
    pub(crate) is_held: bool,
}

impl SharedEntry {
    pub(crate) fn note(&mut self, outcome: &LockOutcome) {
        self.is_shared |= outcome.before != self.touched;
        self.touched = outcome.touched;
    }
}

/// A lock with a waiting client at this member.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) watcher: WatcherId,
    /// The first entry of all, wherever its client is.
    pub(crate) holder: Option<u64>,
    pub(crate) entries: BTreeMap<u64, SharedEntry>,
}

/// All waiters of this member.
#[derive(Debug)]
pub(crate) struct LockWaiters {
    pub(crate) queues: BTreeMap<Arc<str>, Queue>,
    /// Whether something was proposed that the next turn should not wait for.
    pub(crate) has_pending_proposal: bool,
    waiters: Slab<LockWaiter>,
    due: BTreeSet<(u64, u64)>,
}

impl LockWaiters {
    pub(crate) fn new() -> Self {
        Self {
            queues: BTreeMap::new(),
            has_pending_proposal: false,
            waiters: Slab::new(),
            due: BTreeSet::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiters.len() == 0
    }

    pub(crate) fn keys(&self) -> Vec<Key> {
        self.waiters.keys()
    }

    pub(crate) fn insert(&mut self, waiter: LockWaiter) -> Key {
        self.waiters.insert(waiter)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut LockWaiter> {
        self.waiters.get_mut(key)
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<LockWaiter> {
        self.schedule(key, None);
        self.waiters.remove(key)
    }

    /// The entry that a waiter belongs to, if it waits.
    pub(crate) fn entry(&mut self, key: Key) -> Option<&mut SharedEntry> {
        let waiter = self.waiters.get_mut(key)?;
        self.queues.get_mut(&waiter.dir)?.entries.get_mut(&waiter.index)
    }

    /// Sets when a waiter is looked after next.
    pub(crate) fn schedule(&mut self, key: Key, due: Option<u64>) {
        let Some(waiter) = self.waiters.get_mut(key) else { return };
        if let Some(old) = std::mem::replace(&mut waiter.due, due) {
            self.due.remove(&(old, key.to_u64()));
        }
        if let Some(due) = due {
            self.due.insert((due, key.to_u64()));
        }
    }

    pub(crate) fn next_due(&self) -> Option<u64> {
        self.due.first().map(|(due, _)| *due)
    }

    /// A waiter that is due now.
    pub(crate) fn take_due(&mut self, now: u64) -> Option<Key> {
        let (due, key) = *self.due.first()?;
        let key = Key::from_u64(key);
        if due > now {
            return None;
        }
        self.schedule(key, None);
        Some(key)
    }

    /// Takes a waiter out of its entry. Gives the entry if that leaves it empty, and the watcher if
    /// no client waits for the lock any more.
    pub(crate) fn leave_entry(&mut self, key: Key) -> (Option<SharedEntry>, Option<WatcherId>) {
        let Some(waiter) = self.waiters.get_mut(key) else { return (None, None) };
        let (dir, index) = (Arc::clone(&waiter.dir), waiter.index);
        let Some(queue) = self.queues.get_mut(&dir) else { return (None, None) };
        let Some(entry) = queue.entries.get_mut(&index) else { return (None, None) };
        entry.waiters.retain(|other| *other != key);
        if !entry.waiters.is_empty() {
            return (None, None);
        }
        let entry = queue.entries.remove(&index);
        if !queue.entries.is_empty() {
            return (entry, None);
        }
        (entry, self.queues.remove(&dir).map(|queue| queue.watcher))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(waiters: &mut LockWaiters, index: u64) -> Key {
        let mut connections = Slab::new();
        let mut waiter = LockWaiter::new(connections.insert(()), "/_etcd/mod/lock/a", true, 10);
        waiter.index = index;
        let dir = Arc::clone(&waiter.dir);
        let key = waiters.insert(waiter);
        let watcher = WatcherId(7);
        let queue = waiters.queues.entry(dir);
        let queue =
            queue.or_insert_with(|| Queue { watcher, holder: None, entries: BTreeMap::new() });
        queue.entries.entry(index).or_default().waiters.push(key);
        key
    }

    #[test]
    fn the_last_to_leave_takes_the_group_and_the_watcher_along() {
        let mut waiters = LockWaiters::new();
        let (one, same, other) =
            (waiting(&mut waiters, 3), waiting(&mut waiters, 3), waiting(&mut waiters, 5));
        assert!(matches!(waiters.leave_entry(one), (None, None)));
        assert!(matches!(waiters.leave_entry(same), (Some(_), None)));
        assert!(matches!(waiters.leave_entry(other), (Some(_), Some(WatcherId(7)))));
        assert!(waiters.queues.is_empty());
        assert!(matches!(waiters.leave_entry(other), (None, None)), "it is no member any more");
    }

    #[test]
    fn claims_come_due_in_the_order_of_time_and_once() {
        let mut waiters = LockWaiters::new();
        let (late, early) = (waiting(&mut waiters, 1), waiting(&mut waiters, 2));
        waiters.schedule(late, Some(20));
        waiters.schedule(early, Some(90));
        waiters.schedule(early, Some(10));
        assert_eq!(waiters.next_due(), Some(10));
        assert_eq!(waiters.take_due(9), None);
        assert_eq!(waiters.take_due(30), Some(early));
        waiters.remove(late);
        assert_eq!((waiters.take_due(30), waiters.next_due()), (None, None));
    }

    #[test]
    fn a_change_from_elsewhere_is_remembered() {
        let outcome = |before, touched| LockOutcome {
            index: 3,
            state: store::LockState::Waiting,
            before,
            touched,
        };
        let mut entry = SharedEntry { touched: 3, ..SharedEntry::default() };
        entry.note(&outcome(3, 8));
        assert!(!entry.is_shared);
        entry.note(&outcome(9, 10));
        entry.note(&outcome(10, 12));
        assert!(entry.is_shared && entry.touched == 12);
    }
}
