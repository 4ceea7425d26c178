//! Records of the log: how they are put together, and written in their order.

use crate::clock::{Clock, Now};
use crate::driver::Driver;
use crate::driver::network::Network;
use crate::driver::unwritten::Waiting;
use crate::error::Fatal;
use crate::limits::RECORD_BYTES_MAX;
use crate::replica::ready::durable_hard_state;
use crate::wire::{batch, record};
use raft::Ready;
use raft::eraftpb::Entry;
use wal::Disk;

/// Bytes of an entry in a record beside its payload, about.
const ENTRY_OVERHEAD: usize = 64;

/// A buffer for records that grew beyond this is given back.
const RECORD_BYTES_KEPT: usize = 2 << 20;

impl<D: Disk, N: Network, C: Clock> Driver<D, N, C> {
    /// Whether something that must be written finds no room.
    pub(super) fn is_held_up(&self) -> bool {
        self.unwritten.lacks_room()
    }

    /// Whether this member has to keep silent, since nothing that it says could be a promise.
    pub(super) fn is_silenced(&self) -> bool {
        self.is_held_up() && !self.replica.is_leader()
    }

    /// Appends a record to the log, behind those that wait for room. `number` is that of the ready
    /// whose last record it is.
    pub(super) fn write_record(
        &mut self,
        number: Option<u64>,
        mark: u64,
        has_entries: bool,
    ) -> Result<(), Fatal> {
        if !self.unwritten.has_records() {
            match self.wal.append(mark, &[&self.record]) {
                Ok(_) => {
                    self.unsynced.note_written(number);
                    return Ok(());
                }
                Err(error) if error.is_full() => {}
                Err(error) => return Err(error.into()),
            }
        }
        let bytes = self.record.clone();
        let record = Waiting { number, mark, has_entries, bytes };
        self.unwritten.push(record, self.now.mono());
        Ok(())
    }

    /// Tries again what found no room.
    pub(super) fn write_waiting(&mut self, now: Now) -> Result<(), Fatal> {
        if !self.unwritten.take_turn(now.mono()) {
            return Ok(());
        }
        while let Some(record) = self.unwritten.front() {
            match self.wal.append(record.mark, &[&record.bytes]) {
                Ok(_) => {}
                Err(error) if error.is_full() => return Ok(()),
                Err(error) => return Err(error.into()),
            }
            let number = record.number;
            self.unwritten.pop();
            self.unsynced.note_written(number);
        }
        self.unwritten.note(now.mono());
        Ok(())
    }

    /// Makes the commit index durable. It usually need not be; but who left the cluster by a change
    /// is switched off when that is answered, and must not be needed again after a power loss. Says
    /// whether there was room for it.
    pub(super) fn keep_commit_index(&mut self, now: Now) -> Result<bool, Fatal> {
        let hard_state = self.replica.durable_hard_state();
        let stamp = self.replica.reading(now);
        record::encode(&mut self.record, &hard_state, stamp, now, record::NO_CUT, &[]);
        self.write_apart(0)
    }

    /// Writes the record that belongs to no ready, and makes it durable. Says whether there was
    /// room for it.
    pub(super) fn write_apart(&mut self, mark: u64) -> Result<bool, Fatal> {
        match self.wal.append(mark, &[&self.record]) {
            Ok(_) => {}
            Err(error) if error.is_full() => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        self.wal.sync()?;
        Ok(true)
    }

    pub(super) fn write(&mut self, ready: &Ready, now: Now) -> Result<(), Fatal> {
        let entries = ready.entries();
        if entries.is_empty() {
            // A term or a vote takes of the room that is kept for it; more is put in its place.
            self.wal.make_room(0)?;
        }
        let (hard_state, last) = self.replica.append(entries);
        let stamp = self.replica.reading(now);
        let mut rest = entries.as_slice();
        loop {
            let (part, more) = rest.split_at(fits_one_record(rest));
            let mark = part.last().map_or(0, |entry| entry.index);
            let hard_state = durable_hard_state(&hard_state, if mark == 0 { last.0 } else { mark });
            // What the leader stamped is not applied yet, and this member's own clock may have run
            // ahead of it; a restart must not go on from there.
            let newest = part.iter().rev().find_map(batch::stamp_of);
            let stamp = newest.filter(|newest| newest.time < stamp.time).unwrap_or(stamp);
            record::encode(&mut self.record, &hard_state, stamp, now, record::NO_CUT, part);
            let is_last = more.is_empty();
            self.write_record(is_last.then_some(ready.number()), mark, !part.is_empty())?;
            if is_last {
                break;
            }
            rest = more;
        }
        if self.record.capacity() > RECORD_BYTES_KEPT {
            self.record = Vec::new();
        }
        Ok(())
    }
}

/// How many of these entries go into one record: as many as are not too long together, and one at
/// least.
fn fits_one_record(entries: &[Entry]) -> usize {
    let mut bytes = 0;
    let fits = |entry: &&Entry| {
        bytes += entry.data.len() + ENTRY_OVERHEAD;
        bytes <= RECORD_BYTES_MAX
    };
    entries.iter().take_while(fits).count().max(1).min(entries.len())
}
