//! Records that found no room, and what waits for them.
//!
//! The log is asked for room before anything is proposed or taken in. On file systems that copy on
//! write that is no promise: a record can find the disk full all the same, when raft has taken its
//! entries in already. It is kept here then, in its order, and tried again. Until it is written
//! nothing that depends on it leaves or is applied; what would make more of it is refused, so that
//! the queue is bounded by one turn's records and one hard state; and reads go on.
//!
//! A member that is held up like this and does not lead keeps silent: it cannot promise anything,
//! so that it neither campaigns nor hears its leader. One that leads hands over when it lasts.

use crate::clock::MonoTime;
use crate::limits::TICK_NS;
use crate::replica::ahead;
use crate::types::{LogIndex, MemberId};
use raft::eraftpb::{Entry, EntryType};
use std::collections::VecDeque;

/// A record that is to be written.
pub(super) struct Waiting {
    /// The ready that is written with it; none if more of the ready is in the next record.
    pub(super) number: Option<u64>,
    pub(super) mark: u64,
    pub(super) has_entries: bool,
    pub(super) bytes: Vec<u8>,
}

/// Committed entries that are held back.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeldEntries {
    /// Whether the membership changes among them.
    pub(super) has_changes: bool,
}

/// What waits for room on the disk.
#[derive(Default)]
pub(super) struct Unwritten {
    records: VecDeque<Waiting>,
    /// Committed entries among which the membership changes. They are applied when the commit index
    /// is durable.
    held: Vec<Entry>,
    /// Whether entries are held back only because this member must not leave yet.
    is_leaving: bool,
    /// Since when something waits, and when it was last tried, by the monotonic clock.
    since: Option<MonoTime>,
    tried_at: MonoTime,
}

impl Unwritten {
    /// Whether records wait. Without them everything that raft gave out so far was written.
    pub(super) fn has_records(&self) -> bool {
        !self.records.is_empty()
    }

    /// Whether anything waits.
    pub(super) fn is_any(&self) -> bool {
        !self.records.is_empty() || !self.held.is_empty()
    }

    /// Whether something waits for room.
    pub(super) fn lacks_room(&self) -> bool {
        !self.records.is_empty() || (!self.held.is_empty() && !self.is_leaving)
    }

    pub(super) fn set_leaving(&mut self, is_leaving: bool) {
        self.is_leaving = is_leaving;
    }

    /// Where a member is removed by what is held back.
    pub(super) fn removal_of(&self, id: MemberId) -> Option<LogIndex> {
        let mut held = self.held.iter();
        let removal = held.find(|entry| ahead::removed_voters(entry).any(|removed| removed == id));
        removal.map(|entry| LogIndex(entry.index))
    }

    /// Since when something waits, by the monotonic clock.
    pub(super) fn since(&self) -> Option<MonoTime> {
        self.since
    }

    /// A snapshot of the leader has taken the place of what was to be applied.
    pub(super) fn forget_held(&mut self) {
        self.held.clear();
    }

    /// Keeps a record behind those that wait.
    pub(super) fn push(&mut self, record: Waiting, now: MonoTime) {
        // A hard state takes the place of the one before, so that terms that come and go do not
        // gather.
        if !record.has_entries && self.records.back().is_some_and(|last| !last.has_entries) {
            self.records.pop_back();
        }
        self.records.push_back(record);
        self.note(now);
    }

    /// Whether it is time to try again; from now on it is not for a tick.
    pub(super) fn take_turn(&mut self, now: MonoTime) -> bool {
        let is_due = self.is_any() && now.since(self.tried_at) >= TICK_NS;
        if is_due {
            self.tried_at = now;
        }
        is_due
    }

    /// The record to be written next.
    pub(super) fn front(&self) -> Option<&Waiting> {
        self.records.front()
    }

    /// The record to be written next was written.
    pub(super) fn pop(&mut self) -> Option<Waiting> {
        self.records.pop_front()
    }

    /// Holds committed entries back, behind those that are held already.
    pub(super) fn hold(&mut self, committed: Vec<Entry>) {
        self.held.extend(committed);
    }

    /// Whether entries are held back, and whether the membership changes among them.
    pub(super) fn holds(&self) -> Option<HeldEntries> {
        let changes = |entry: &Entry| entry.get_entry_type() != EntryType::EntryNormal;
        let has_changes = self.held.iter().any(changes);
        (!self.held.is_empty()).then_some(HeldEntries { has_changes })
    }

    /// The entries that are held back, to be applied now.
    pub(super) fn take_held(&mut self, now: MonoTime) -> Vec<Entry> {
        let held = std::mem::take(&mut self.held);
        self.note(now);
        held
    }

    /// Notes since when something waits.
    pub(super) fn note(&mut self, now: MonoTime) {
        self.since = if self.is_any() { self.since.or(Some(now)) } else { None };
    }
}
