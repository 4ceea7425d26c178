//! How locks change the key space: [`LockAction`]s applied to the files of a lock's directory.
//!
//! What makes it a lock is in three rules. A new entry has a larger number than all before it, so
//! the order of the queue never changes. An entry goes only when it is released, left or expired,
//! each of which is one place in the log, so there is always exactly one first. Whether an entry is
//! the first is asked and answered by the same command that prolongs it.
//!
//! Clients cannot write below `/_etcd/mod`, so what is in a queue was put there by these commands;
//! a directory in it belongs to a lock with a longer name.

use crate::error::{ErrorCode, StoreError};
use crate::event::Action;
use crate::lock::{LOCK_ANONYMOUS, LockAction, LockEntry, LockOutcome, LockState};
use crate::node::{File, Node};
use crate::path::KeyPath;
use crate::stats::Counter;
use crate::store::{Located, Store};
use crate::time::Lease;
use crate::watch::Wake;
use std::sync::Arc;

type Outcome = Result<LockOutcome, StoreError>;

/// How an entry changes.
struct Touch<'a> {
    lease: Lease,
    value: Option<&'a str>,
    /// Whether it is only kept alive, which wakes no watcher.
    is_quiet: bool,
}

impl Store {
    pub(crate) fn apply_lock(
        &mut self,
        dir: KeyPath<'_>,
        action: LockAction<'_>,
        wakes: &mut Vec<Wake>,
    ) -> Outcome {
        let outcome = match action {
            LockAction::Acquire { value, ttl, waits } => {
                self.lock_acquire(dir, value, ttl, waits, wakes)
            }
            LockAction::Refresh { index, ttl } => self.lock_refresh(dir, index, ttl, wakes),
            LockAction::Renew { entry, value, ttl } => {
                self.lock_renew(dir, entry, value, ttl, wakes)
            }
            LockAction::Release { entry } => self
                .lock_find(dir, entry, "Release")
                .and_then(|(index, node)| self.lock_remove(dir, index, &node, wakes)),
            LockAction::Leave { index, touched, keep } => {
                self.lock_leave(dir, index, touched, keep, wakes)
            }
        };
        self.count_lock(action, &outcome);
        outcome
    }

    /// Each action counts as the write of a key that it comes down to.
    fn count_lock(&mut self, action: LockAction<'_>, outcome: &Outcome) {
        let stats = &mut self.stats;
        let counter: &mut Counter = match (action, outcome) {
            (LockAction::Acquire { .. }, Ok(outcome)) if outcome.before > 0 => &mut stats.updates,
            (LockAction::Acquire { .. }, _) => &mut stats.creates,
            (LockAction::Refresh { .. } | LockAction::Renew { .. }, _) => &mut stats.updates,
            (LockAction::Release { .. } | LockAction::Leave { .. }, _) => &mut stats.deletes,
        };
        match outcome {
            Ok(_) => counter.success += 1,
            Err(_) => counter.fail += 1,
        }
    }

    /// An unknown lock, or an unknown number in it.
    fn no_such_entry(&self) -> StoreError {
        self.error(ErrorCode::KeyNotFound, "")
    }

    /// The directory of a lock.
    fn lock_dir(&self, dir: KeyPath<'_>) -> Result<&Node, StoreError> {
        match self.locate(dir) {
            Located::Found(node @ Node::Dir(_)) => Ok(node),
            // An entry of a lock with a shorter name.
            Located::Found(Node::File(_)) => {
                Err(self.error(ErrorCode::NotADirectory, dir.as_str()))
            }
            Located::Missing(_) | Located::Root => Err(self.no_such_entry()),
            located @ Located::FileInWay(_) => Err(self.path_error(dir, &located)),
        }
    }

    /// An entry with its number. An unknown value names `operation` as the cause
    /// (docs/spec/modules.md sections 1.2 and 1.3), an unknown number names none.
    fn lock_find(
        &self,
        dir: KeyPath<'_>,
        entry: LockEntry<'_>,
        operation: &str,
    ) -> Result<(u64, Node), StoreError> {
        let lock = self.lock_dir(dir)?;
        match entry {
            LockEntry::Index(index) => match self.locate(KeyPath::join_checked(&key(dir, index))) {
                Located::Found(node @ Node::File(_)) => Ok((index, node.clone())),
                _ => Err(self.no_such_entry()),
            },
            LockEntry::Value(value) => find_value(lock, value)
                .map(|(index, node)| (index, node.clone()))
                .ok_or_else(|| self.error(ErrorCode::KeyNotFound, operation)),
        }
    }

    /// Whether an entry that is there is the first.
    fn is_first(&self, dir: KeyPath<'_>, index: u64) -> bool {
        // One before it is found soon: the names of most queues sort as their numbers do.
        self.lock_dir(dir).is_ok_and(|lock| !lock.lock_entries().any(|(other, _)| other < index))
    }

    fn lock_acquire(
        &mut self,
        dir: KeyPath<'_>,
        value: &str,
        ttl: i64,
        waits: bool,
        wakes: &mut Vec<Wake>,
    ) -> Outcome {
        let lock = match self.lock_dir(dir) {
            Err(error) if error.code != ErrorCode::KeyNotFound => return Err(error),
            lock => lock.ok(),
        };
        let busy = || self.error(ErrorCode::CompareFailed, "");
        if let Some((index, node)) = lock.and_then(|lock| find_value(lock, value)) {
            let node = node.clone();
            let is_held = self.is_first(dir, index);
            if !is_held && !waits {
                return Err(busy());
            }
            // Only the holder decides again how long it wants the lock.
            let wanted = self.stamp.lease(ttl);
            let lease = if is_held { wanted } else { longer(&node, wanted) };
            let touch = Touch { lease, value: None, is_quiet: !is_held };
            return Ok(self.lock_touch(dir, index, &node, is_held, &touch, wakes));
        }
        let is_held = lock.is_none_or(|lock| lock.lock_entries().next().is_none());
        if !is_held && !waits {
            return Err(busy());
        }
        let value = if value.is_empty() { LOCK_ANONYMOUS } else { value };
        Ok(self.lock_enter(dir, value, ttl, is_held, wakes))
    }

    /// Puts a new entry at the end of the queue.
    fn lock_enter(
        &mut self,
        dir: KeyPath<'_>,
        value: &str,
        ttl: i64,
        is_held: bool,
        wakes: &mut Vec<Wake>,
    ) -> LockOutcome {
        let mut path = key(dir, self.index + 1);
        // A lock named after a number may have its directory there. The number is passed over.
        while matches!(self.locate(KeyPath::join_checked(&path)), Located::Found(_)) {
            self.index += 1;
            path = key(dir, self.index + 1);
        }
        let index = self.index + 1;
        let file = File::new(index, index, Some(self.stamp.lease(ttl)), value);
        self.lock_put(KeyPath::join_checked(&path), file, Action::Create, None, false, wakes);
        let state = if is_held { LockState::Held } else { LockState::Waiting };
        LockOutcome { index, state, before: 0, touched: index }
    }

    fn lock_refresh(
        &mut self,
        dir: KeyPath<'_>,
        index: u64,
        ttl: i64,
        wakes: &mut Vec<Wake>,
    ) -> Outcome {
        let (index, node) = self.lock_find(dir, LockEntry::Index(index), "")?;
        let lease = longer(&node, self.stamp.lease(ttl));
        let is_held = self.is_first(dir, index);
        let touch = Touch { lease, value: None, is_quiet: !is_held };
        Ok(self.lock_touch(dir, index, &node, is_held, &touch, wakes))
    }

    fn lock_renew(
        &mut self,
        dir: KeyPath<'_>,
        entry: LockEntry<'_>,
        value: Option<&str>,
        ttl: i64,
        wakes: &mut Vec<Wake>,
    ) -> Outcome {
        let (index, node) = self.lock_find(dir, entry, "Renew")?;
        let is_held = self.is_first(dir, index);
        let touch = Touch { lease: self.stamp.lease(ttl), value, is_quiet: false };
        Ok(self.lock_touch(dir, index, &node, is_held, &touch, wakes))
    }

    fn lock_leave(
        &mut self,
        dir: KeyPath<'_>,
        index: u64,
        touched: Option<u64>,
        keep: Option<i64>,
        wakes: &mut Vec<Wake>,
    ) -> Outcome {
        let (index, node) = self.lock_find(dir, LockEntry::Index(index), "")?;
        let is_held = self.is_first(dir, index);
        if is_held && let Some(ttl) = keep {
            let lease = longer(&node, self.stamp.lease(ttl));
            let touch = Touch { lease, value: None, is_quiet: false };
            return Ok(self.lock_touch(dir, index, &node, is_held, &touch, wakes));
        }
        let modified = node.modified().0;
        if touched.is_some_and(|touched| touched != modified) {
            let state = if is_held { LockState::Held } else { LockState::Waiting };
            return Ok(LockOutcome { index, state, before: modified, touched: modified });
        }
        self.lock_remove(dir, index, &node, wakes)
    }

    fn lock_remove(
        &mut self,
        dir: KeyPath<'_>,
        index: u64,
        node: &Node,
        wakes: &mut Vec<Wake>,
    ) -> Outcome {
        self.remove(KeyPath::join_checked(&key(dir, index)), Action::Delete, wakes)?;
        let before = node.modified().0;
        Ok(LockOutcome { index, state: LockState::Gone, before, touched: self.index })
    }

    /// Changes an entry that is there.
    fn lock_touch(
        &mut self,
        dir: KeyPath<'_>,
        index: u64,
        node: &Node,
        is_held: bool,
        touch: &Touch<'_>,
        wakes: &mut Vec<Wake>,
    ) -> LockOutcome {
        let value = touch.value.or(node.value()).unwrap_or_default();
        let touched = self.index + 1;
        let file = File::new(node.created().0, touched, Some(touch.lease), value);
        let (path, prev) = (key(dir, index), Some(node.clone()));
        let path = KeyPath::join_checked(&path);
        self.lock_put(path, file, Action::Update, prev, touch.is_quiet, wakes);
        let state = if is_held { LockState::Held } else { LockState::Waiting };
        LockOutcome { index, state, before: node.modified().0, touched }
    }

    fn lock_put(
        &mut self,
        path: KeyPath<'_>,
        file: File,
        action: Action,
        prev: Option<Node>,
        is_quiet: bool,
        wakes: &mut Vec<Wake>,
    ) {
        let put = self.put(path, Node::File(Arc::new(file)), action, prev, is_quiet, wakes);
        debug_assert!(put.is_ok(), "a place that was looked at takes a file");
    }
}

fn key(dir: KeyPath<'_>, index: u64) -> String {
    format!("{}/{index}", dir.as_str())
}

/// The first entry with a value that names somebody.
fn find_value<'a>(lock: &'a Node, value: &str) -> Option<(u64, &'a Node)> {
    if value.is_empty() || value == LOCK_ANONYMOUS {
        return None;
    }
    let same = lock.lock_entries().filter(|(_, node)| node.value() == Some(value));
    same.min_by_key(|(index, _)| *index)
}

/// The one that ends later: that which the entry has, or another.
fn longer(node: &Node, wanted: Lease) -> Lease {
    node.lease().filter(|lease| lease.deadline > wanted.deadline).unwrap_or(wanted)
}
