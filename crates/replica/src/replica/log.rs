//! The tail of the log in memory, as raft wants to see it.
//!
//! Entries stay here until they are applied, and after that as long as members that lag may need
//! them, bounded by bytes. A member that needs older ones gets a snapshot. What is durable is the
//! business of the `wal` crate; this view is filled before the bytes are synced, as raft's
//! asynchronous append demands.

use crate::types::{LogIndex, LogPosition};
use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::storage::{GetEntriesContext, RaftState, Storage};
use raft::{Error, StorageError};
use std::cell::Cell;
use std::collections::VecDeque;

/// How many bytes are kept at most for a member that is being brought up; when it takes in less
/// than is written meanwhile, it needs another snapshot.
const KEPT_BYTES_MAX: usize = 256 << 20;

/// Bookkeeping of one entry beside its payload, in bytes.
const ENTRY_OVERHEAD: usize = 64;

#[derive(Debug)]
pub(crate) struct LogView {
    hard_state: HardState,
    conf_state: ConfState,
    /// The entry before the first one kept.
    before: LogPosition,
    entries: VecDeque<Entry>,
    entries_bytes: usize,
    /// The last entry in the newest snapshot file, and the configuration there.
    snapshot: Option<(LogPosition, ConfState)>,
    /// Whether a member needs a newer snapshot than there is. raft asks through a shared reference.
    wants_snapshot: Cell<bool>,
    /// Entries above this index are kept, for a member that is being brought up with a snapshot.
    kept_above: Option<u64>,
}

/// The latest of the entries that a start finds applied, in a row.
#[derive(Debug)]
pub(crate) struct Tail {
    entries: VecDeque<Entry>,
    bytes: usize,
    bytes_max: usize,
}

impl Tail {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, bytes_max }
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    /// Adds an entry. Those at its index or above were never committed; when those right below it
    /// are missing the ones before are of no use.
    pub(crate) fn push(&mut self, entry: Entry) {
        while let Some(last) = self.entries.pop_back_if(|last| last.index >= entry.index) {
            self.bytes -= weight(&last);
        }
        if self.entries.back().is_some_and(|last| last.index + 1 != entry.index) {
            self.clear();
        }
        self.bytes += weight(&entry);
        self.entries.push_back(entry);
        while self.bytes > self.bytes_max
            && let Some(first) = self.entries.pop_front()
        {
            self.bytes -= weight(&first);
        }
    }
}

fn weight(entry: &Entry) -> usize {
    entry.data.len() + ENTRY_OVERHEAD
}

impl LogView {
    pub(crate) fn new(before: LogPosition, hard_state: HardState, conf_state: ConfState) -> Self {
        Self {
            hard_state,
            conf_state,
            before,
            entries: VecDeque::new(),
            entries_bytes: 0,
            snapshot: None,
            wants_snapshot: Cell::new(false),
            kept_above: None,
        }
    }

    /// Begins with what a start found, up to the entry `applied`. Of the first
    /// entry only index and term are kept: raft wants to know those of the one before.
    pub(crate) fn behind(
        mut tail: Tail,
        applied: LogPosition,
        hard_state: HardState,
        conf_state: ConfState,
    ) -> Self {
        let ends = tail.entries.back().map(LogPosition::of);
        let before = match tail.entries.pop_front() {
            Some(first) if ends == Some(applied) => LogPosition::of(&first),
            _ => {
                tail.clear();
                applied
            }
        };
        let mut log = Self::new(before, hard_state, conf_state);
        log.append(tail.entries.make_contiguous());
        log
    }

    /// Whether raft has asked for a newer snapshot than there is, since the last call.
    pub(crate) fn take_snapshot_wish(&mut self) -> bool {
        self.wants_snapshot.take()
    }

    /// Keeps the entries above `index` while a member is brought up to it; nothing lets them go.
    pub(crate) fn keep_above(&mut self, index: Option<u64>) {
        self.kept_above = index;
    }

    /// Begins anew behind a snapshot of the leader.
    pub(crate) fn restore(&mut self, position: LogPosition, conf_state: ConfState) {
        assert!(
            position.index >= self.before.index,
            "a snapshot is not older than what is applied"
        );
        self.entries.clear();
        self.entries_bytes = 0;
        self.before = position;
        self.snapshot = Some((position, conf_state.clone()));
        self.conf_state = conf_state;
    }

    pub(crate) fn last_index(&self) -> u64 {
        self.before.index.0 + self.entries.len() as u64
    }

    /// The index before the first entry kept.
    pub(crate) fn before_first(&self) -> u64 {
        self.before.index.0
    }

    /// Appends entries; those that are there at the same index or above make way.
    pub(crate) fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        assert!(first.index > self.before.index.0, "entry {} is compacted", first.index);
        assert!(first.index <= self.last_index() + 1, "entry {} leaves a gap", first.index);
        while self.last_index() >= first.index {
            if let Some(entry) = self.entries.pop_back() {
                self.entries_bytes -= weight(&entry);
            }
        }
        for entry in entries {
            assert!(entry.index == self.last_index() + 1, "entry {} leaves a gap", entry.index);
            self.entries_bytes += weight(entry);
            self.entries.push_back(entry.clone());
        }
    }

    /// Whether [`LogView::compact`] has something to do.
    pub(crate) fn is_longer_than(&self, bytes_max: usize) -> bool {
        self.entries_bytes > bytes_max
    }

    /// Drops applied entries from the front until the rest fits into `bytes_max`. Those above
    /// `needed`, which a slow member has not got, may take up as much again.
    pub(crate) fn compact(&mut self, applied: LogIndex, bytes_max: usize, needed: Option<u64>) {
        while self.entries_bytes > bytes_max {
            let is_kept = |index: u64| {
                let is_above = |bound: Option<u64>| bound.is_some_and(|bound| index > bound);
                is_above(self.kept_above) && self.entries_bytes < KEPT_BYTES_MAX
                    || is_above(needed) && self.entries_bytes < bytes_max.saturating_mul(2)
            };
            match self.entries.front() {
                Some(entry) if entry.index <= applied.0 && !is_kept(entry.index) => {
                    self.before = LogPosition::of(entry);
                    self.entries_bytes -= weight(entry);
                    self.entries.pop_front();
                }
                _ => return,
            }
        }
    }

    pub(crate) fn set_hard_state(&mut self, hard_state: HardState) {
        self.hard_state = hard_state;
    }

    pub(crate) fn hard_state(&self) -> &HardState {
        &self.hard_state
    }

    pub(crate) fn set_conf_state(&mut self, conf_state: ConfState) {
        self.conf_state = conf_state;
    }

    pub(crate) fn conf_state(&self) -> &ConfState {
        &self.conf_state
    }

    pub(crate) fn set_snapshot(&mut self, position: LogPosition, conf_state: ConfState) {
        assert!(position.index.0 <= self.last_index(), "a snapshot holds only what was in the log");
        self.snapshot = Some((position, conf_state));
    }

    pub(crate) fn snapshot_index(&self) -> Option<u64> {
        self.snapshot.as_ref().map(|(position, _)| position.index.0)
    }

    /// The entries behind `index` that are in memory.
    pub(crate) fn behind_index(&self, index: u64) -> impl Iterator<Item = &Entry> {
        let from = self.position(index.max(self.before.index.0) + 1);
        let from = from.expect("it is behind the entry before the first");
        self.entries.iter().skip(from)
    }

    fn position(&self, index: u64) -> Option<usize> {
        usize::try_from(index.checked_sub(self.before.index.0 + 1)?).ok()
    }
}

impl Storage for LogView {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(RaftState { hard_state: self.hard_state.clone(), conf_state: self.conf_state.clone() })
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low <= self.before.index.0 {
            return Err(Error::Store(StorageError::Compacted));
        }
        if high > self.last_index() + 1 {
            return Err(Error::Store(StorageError::Unavailable));
        }
        let (Some(from), Some(to)) = (self.position(low), self.position(high)) else {
            return Err(Error::Store(StorageError::Compacted));
        };
        let max_size = max_size.into().unwrap_or(u64::MAX);
        let mut size = 0_u64;
        let mut out = Vec::with_capacity((to - from).min(64));
        for entry in self.entries.range(from..to) {
            size = size.saturating_add(weight(entry) as u64);
            if size > max_size && !out.is_empty() {
                break;
            }
            out.push(entry.clone());
        }
        Ok(out)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index == self.before.index.0 {
            return Ok(self.before.term.0);
        }
        match self.position(index) {
            None => Err(Error::Store(StorageError::Compacted)),
            Some(position) => match self.entries.get(position) {
                Some(entry) => Ok(entry.term),
                None => Err(Error::Store(StorageError::Unavailable)),
            },
        }
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.before.index.0 + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(LogView::last_index(self))
    }

    /// Names the newest snapshot file; its bytes travel beside raft. A member that is not in its
    /// configuration would refuse it.
    fn snapshot(&self, request_index: u64, to: u64) -> raft::Result<Snapshot> {
        let is_in = |conf: &ConfState| {
            [&conf.voters, &conf.learners, &conf.voters_outgoing]
                .iter()
                .any(|ids| ids.contains(&to))
        };
        match &self.snapshot {
            Some((position, conf_state))
                if position.index.0 >= request_index.max(self.before.index.0).max(1)
                    && is_in(conf_state) =>
            {
                let mut snapshot = Snapshot::default();
                let metadata = snapshot.mut_metadata();
                metadata.index = position.index.0;
                metadata.term = position.term.0;
                metadata.set_conf_state(conf_state.clone());
                Ok(snapshot)
            }
            _ => {
                self.wants_snapshot.set(true);
                Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(index: u64, term: u64) -> Entry {
        let mut entry = Entry::default();
        (entry.index, entry.term) = (index, term);
        entry.data = vec![0; 36].into();
        entry
    }

    fn view(from: u64, to: u64) -> LogView {
        let mut log =
            LogView::new(LogPosition::new(from - 1, 1), HardState::default(), ConfState::default());
        log.append(&(from..=to).map(|index| entry(index, 1)).collect::<Vec<_>>());
        log
    }

    fn indexes(log: &LogView, low: u64, high: u64, max: u64) -> Vec<u64> {
        let context = GetEntriesContext::empty(false);
        log.entries(low, high, max, context).expect("in range").iter().map(|e| e.index).collect()
    }

    #[test]
    fn out_of_range_is_compacted_or_unavailable_exactly() {
        let log = view(5, 9);
        let entries = |low, high| log.entries(low, high, None, GetEntriesContext::empty(false));
        assert!(matches!(entries(4, 6), Err(Error::Store(StorageError::Compacted))));
        assert!(matches!(entries(5, 11), Err(Error::Store(StorageError::Unavailable))));
        assert!(matches!(log.term(3), Err(Error::Store(StorageError::Compacted))));
        assert!(matches!(log.term(10), Err(Error::Store(StorageError::Unavailable))));
        assert_eq!(log.term(4).expect("the entry before the first"), 1);
    }

    #[test]
    fn a_size_limit_still_gives_one_entry() {
        let log = view(1, 4);
        assert_eq!(indexes(&log, 1, 5, 0), [1]);
        assert_eq!(indexes(&log, 1, 5, 200), [1, 2]);
        assert_eq!(indexes(&log, 2, 2, 200), [0_u64; 0]);
    }

    #[test]
    fn a_new_term_overwrites_the_tail() {
        let mut log = view(1, 6);
        log.append(&[entry(4, 2)]);
        assert_eq!(log.last_index(), 4);
        assert_eq!(log.term(4).expect("there"), 2);
    }

    #[test]
    fn compaction_stops_at_what_is_not_applied() {
        let mut log = view(1, 6);
        log.compact(LogIndex(3), 0, None);
        assert_eq!(log.first_index().expect("always"), 4);
        assert_eq!(log.term(3).expect("the boundary"), 1);
        assert_eq!(indexes(&log, 4, 7, u64::MAX), [4, 5, 6]);
    }

    #[test]
    fn what_a_slow_member_needs_may_take_up_as_much_again() {
        // Each entry weighs 100.
        let mut log = view(1, 10);
        log.compact(LogIndex(10), 500, Some(3));
        assert_eq!(log.before_first(), 3);
        log.append(&(11..=20).map(|index| entry(index, 1)).collect::<Vec<_>>());
        log.compact(LogIndex(20), 500, Some(3));
        assert_eq!(log.before_first(), 11, "twice the bound");
        log.compact(LogIndex(20), 500, None);
        assert_eq!(log.before_first(), 15);
    }

    fn tail(indexes: &[(u64, u64)], bytes_max: usize) -> Tail {
        let mut tail = Tail::new(bytes_max);
        indexes.iter().for_each(|(index, term)| tail.push(entry(*index, *term)));
        tail
    }

    fn behind(tail: Tail, (index, term): (u64, u64)) -> (u64, u64) {
        let applied = LogPosition::new(index, term);
        let log = LogView::behind(tail, applied, HardState::default(), ConfState::default());
        (log.before_first(), log.last_index())
    }

    #[test]
    fn a_start_keeps_what_leads_up_to_what_is_applied() {
        let found = [(3, 1), (4, 1), (5, 1), (6, 2)];
        assert_eq!(behind(tail(&found, 1000), (6, 2)), (3, 6));
        assert_eq!(behind(tail(&found, 300), (6, 2)), (4, 6), "as much as is kept");
        assert_eq!(behind(tail(&found, 1000), (7, 2)), (7, 7), "one is missing");
        assert_eq!(behind(tail(&found, 1000), (6, 3)), (6, 6), "it was another one");
        assert_eq!(behind(tail(&[(3, 1), (5, 1), (6, 2)], 1000), (6, 2)), (5, 6), "a gap");
        let overwritten = [(3, 1), (4, 1), (5, 1), (4, 2), (5, 2)];
        assert_eq!(behind(tail(&overwritten, 1000), (5, 2)), (3, 5));
        assert_eq!(behind(tail(&[], 1000), (5, 2)), (5, 5));
        assert_eq!(behind(tail(&found, 0), (6, 2)), (6, 6));
    }
}
