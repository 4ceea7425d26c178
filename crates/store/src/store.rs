//! The state machine: applies commands, answers reads, keeps the history and the watchers.

use crate::{
    Command, Event, KeyPath, Node, Stamp, StoreError, StoreIndex, StoreStats, Timestamp, Wake,
    WatchFilter, WatcherId,
};
use std::sync::Arc;

/// Bounds of the state machine's memory.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many bytes of past events to keep, about; never fewer than `history_events_min` events.
    pub history_bytes_max: usize,
    /// How many events are kept whatever their size (the protocol promises 1000).
    pub history_events_min: usize,
    /// How many watchers may be registered at once.
    pub watchers_max: usize,
}

/// What applying a command gave, when it was no error.
#[derive(Clone, Debug)]
pub enum Applied {
    /// A client's mutation: the event to answer with.
    Event(Arc<Event>),
    /// [`Command::Expire`]: how many nodes went.
    Expired(u32),
    /// [`Command::Internal`].
    Internal,
}

/// The key space of one member.
#[derive(Debug)]
pub struct Store {}

/// The whole store at one moment, taken in constant time; may be sent to another thread.
#[derive(Clone, Debug)]
pub struct StoreSnapshot {}

impl Store {
    /// An empty store at index 0.
    pub fn new(limits: Limits) -> Self {
        let _ = limits;
        todo!()
    }

    /// Applies one command. A function of (state, stamp, command) alone. Watchers to be told are
    /// appended to `wakes` in index order; a one-shot watcher that is woken is no longer registered.
    ///
    /// # Errors
    /// [`StoreError`] when the command cannot be; the key space and its index are then unchanged.
    pub fn apply(
        &mut self,
        command: &Command<'_>,
        stamp: Stamp,
        wakes: &mut Vec<Wake>,
    ) -> Result<Applied, StoreError> {
        let _ = (command, stamp, wakes);
        todo!()
    }

    /// The index of the last change.
    pub fn index(&self) -> StoreIndex {
        todo!()
    }

    /// The stamp of the last command applied.
    pub fn stamp(&self) -> Stamp {
        todo!()
    }

    /// The node at a path, and a count of the read in the statistics.
    ///
    /// # Errors
    /// 100 with the first missing component, 104 with the file in the way.
    pub fn get(&self, path: KeyPath<'_>) -> Result<Node, StoreError> {
        let _ = path;
        todo!()
    }

    /// As [`Store::get`], without counting: for the server's own reads.
    pub fn peek(&self, path: KeyPath<'_>) -> Option<Node> {
        let _ = path;
        todo!()
    }

    /// When the next node expires.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        todo!()
    }

    /// The first kept event with an index of `from` or above that the filter lets through; refreshes
    /// are passed over.
    ///
    /// # Errors
    /// 401 when events from `from` on are no longer all there.
    pub fn next_event(
        &self,
        filter: &WatchFilter,
        from: StoreIndex,
    ) -> Result<Option<Arc<Event>>, StoreError> {
        let _ = (filter, from);
        todo!()
    }

    /// Registers a watcher for events to come with an index of `from` or above. `owner` comes back
    /// in each [`Wake`]. With `stream` it stays until [`Store::unwatch`]. Gives nothing when there
    /// are too many watchers.
    pub fn watch(
        &mut self,
        filter: WatchFilter,
        from: StoreIndex,
        stream: bool,
        owner: u64,
    ) -> Option<WatcherId> {
        let _ = (filter, from, stream, owner);
        todo!()
    }

    /// Forgets a watcher; one that is not registered is no error.
    pub fn unwatch(&mut self, watcher: WatcherId) {
        let _ = watcher;
        todo!()
    }

    /// Forgets all watchers and gives their owners: for when a snapshot replaces the store.
    pub fn unwatch_all(&mut self) -> Vec<u64> {
        todo!()
    }

    /// The counters.
    pub fn stats(&self) -> StoreStats {
        todo!()
    }

    /// The index of the oldest event kept; nothing if there is none.
    pub fn oldest_event(&self) -> Option<StoreIndex> {
        todo!()
    }

    /// Removed subtrees whose memory has not been given back: drop them where a pause does no harm.
    pub fn take_garbage(&mut self) -> Vec<Node> {
        todo!()
    }

    /// The whole store as it is now, in constant time.
    pub fn snapshot(&self) -> StoreSnapshot {
        todo!()
    }

    /// Rebuilds a store from what [`StoreSnapshot::write`] wrote.
    ///
    /// # Errors
    /// `InvalidData` with what is wrong and where, or what `input` gave.
    pub fn load(input: &mut dyn std::io::Read, limits: Limits) -> std::io::Result<Self> {
        let _ = (input, limits);
        todo!()
    }
}

impl StoreSnapshot {
    /// Writes the snapshot, in pieces of some 64 KiB.
    ///
    /// # Errors
    /// What `out` gave.
    pub fn write(&self, out: &mut dyn std::io::Write) -> std::io::Result<()> {
        let _ = out;
        todo!()
    }

    /// The store index at which it was taken.
    pub fn index(&self) -> StoreIndex {
        todo!()
    }
}
