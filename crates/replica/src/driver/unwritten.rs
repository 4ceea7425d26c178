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

use crate::clock::{Clock, Now};
use crate::driver::{Driver, Network};
use crate::error::Fatal;
use crate::limits::TICK_NS;
use crate::waiting::proposal::Output;
use raft::eraftpb::{Entry, EntryType};
use std::collections::VecDeque;
use wal::Disk;

/// A record that is to be written.
struct Waiting {
    /// The ready that is written with it; none if more of the ready is in the next record.
    number: Option<u64>,
    mark: u64,
    has_entries: bool,
    bytes: Vec<u8>,
}

/// What waits for room on the disk.
#[derive(Default)]
pub(crate) struct Unwritten {
    records: VecDeque<Waiting>,
    /// Committed entries among which the membership changes. They are applied when the commit index
    /// is durable.
    held: Vec<Entry>,
    /// Since when something waits, and when it was last tried, by the monotonic clock.
    since: Option<u64>,
    tried_at: u64,
}

impl Unwritten {
    /// Whether records wait. Without them everything that raft gave out so far was written.
    pub(crate) fn has_records(&self) -> bool {
        !self.records.is_empty()
    }

    /// Whether anything waits.
    pub(crate) fn is_any(&self) -> bool {
        !self.records.is_empty() || !self.held.is_empty()
    }

    /// Since when something waits, by the monotonic clock.
    pub(crate) fn since(&self) -> Option<u64> {
        self.since
    }

    /// A snapshot of the leader has taken the place of what was to be applied.
    pub(crate) fn forget_held(&mut self) {
        self.held.clear();
    }

    fn push(&mut self, record: Waiting) {
        // A hard state takes the place of the one before, so that terms that come and go do not
        // gather.
        if !record.has_entries && self.records.back().is_some_and(|last| !last.has_entries) {
            self.records.pop_back();
        }
        self.records.push_back(record);
    }

    fn note(&mut self, now: u64) {
        self.since = if self.is_any() { self.since.or(Some(now)) } else { None };
    }
}

impl<D: Disk, N: Network, C: Clock> Driver<D, N, C> {
    /// Whether something that must be written finds no room.
    pub(crate) fn is_held_up(&self) -> bool {
        self.unwritten.is_any()
    }

    /// Whether this member has to keep silent, since nothing that it says could be a promise.
    pub(crate) fn is_silenced(&self) -> bool {
        self.is_held_up() && !self.replica.is_leader()
    }

    /// Appends a record to the log, behind those that wait for room. `number` is that of the ready
    /// whose last record it is.
    pub(crate) fn write_record(
        &mut self,
        number: Option<u64>,
        mark: u64,
        has_entries: bool,
    ) -> Result<(), Fatal> {
        if !self.unwritten.has_records() {
            match self.wal.append(mark, &[&self.record]) {
                Ok(_) => {
                    self.note_written(number, self.record.len());
                    return Ok(());
                }
                Err(error) if error.is_full() => {}
                Err(error) => return Err(error.into()),
            }
        }
        let bytes = self.record.clone();
        self.unwritten.push(Waiting { number, mark, has_entries, bytes });
        self.unwritten.note(self.now.monotonic);
        Ok(())
    }

    /// Tries again what found no room.
    pub(crate) fn write_waiting(&mut self, now: Now) -> Result<(), Fatal> {
        let rests = now.monotonic.saturating_sub(self.unwritten.tried_at) < TICK_NS;
        if !self.is_held_up() || rests {
            return Ok(());
        }
        self.unwritten.tried_at = now.monotonic;
        while let Some(record) = self.unwritten.records.front() {
            match self.wal.append(record.mark, &[&record.bytes]) {
                Ok(_) => {}
                Err(error) if error.is_full() => return Ok(()),
                Err(error) => return Err(error.into()),
            }
            let (number, len) = (record.number, record.bytes.len());
            self.unwritten.records.pop_front();
            self.note_written(number, len);
        }
        self.unwritten.note(now.monotonic);
        Ok(())
    }

    /// Applies what was committed, behind what is held back already. Says whether anything was
    /// applied.
    pub(crate) fn apply_committed(
        &mut self,
        committed: Vec<Entry>,
        now: Now,
        out: &mut Output,
    ) -> Result<bool, Fatal> {
        self.unwritten.held.extend(committed);
        let held = &self.unwritten.held;
        if held.is_empty() {
            return Ok(false);
        }
        let has_changes = held.iter().any(|entry| entry.get_entry_type() != EntryType::EntryNormal);
        if has_changes && (self.unwritten.has_records() || !self.keep_commit_index(now)?) {
            self.unwritten.note(now.monotonic);
            return Ok(false);
        }
        let entries = std::mem::take(&mut self.unwritten.held);
        self.unwritten.note(now.monotonic);
        self.replica.apply(&entries, now, out)?;
        Ok(true)
    }
}
