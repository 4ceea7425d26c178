//! Marks at the end of a segment: the log goes on in the next one.
//!
//! A segment that is lost with its name leaves no gap behind it when it was the newest one, and the
//! log before it looks as if it had ended there. So each segment that is left says so, as soon as
//! the first record of the next one is durable under its name: then a log that ends with such a
//! mark has lost what follows. The mark costs no sync of its own; it is durable with the next one.

use crate::disk::{Disk, DiskFile};
use crate::error::{Context, Error, is_full};
use crate::files::Unsynced;
use crate::log::Wal;
use crate::scan::Scanned;
use crate::segment;
use std::io;

impl<D: Disk> Wal<D> {
    /// Marks the segments of a log that was just opened, and is durable as it was found: the
    /// process before may have died between the sync of a segment's first record and the mark that
    /// it allows. Older versions wrote no marks at all.
    pub(crate) fn mark_found(&self, segments: &[Scanned]) -> Result<(), Error> {
        for (one, next) in segments.iter().zip(segments.iter().skip(1)) {
            if one.leads_on || next.records == 0 {
                continue;
            }
            let seed = segment::seed(self.log_id, one.first_seq);
            let file = self.disk.open(&one.name).context("open", &one.name)?;
            match write_mark(&file, one.end, seed, next.first_seq).and_then(|()| file.sync_data()) {
                Ok(()) => {}
                Err(error) if is_full(&error) => {}
                Err(error) => return Err(error).context("mark the end of", &one.name),
            }
        }
        Ok(())
    }

    /// Marks the segments whose successors are durable.
    pub(crate) fn mark_left(&mut self) -> Result<(), Error> {
        while self.left.front().is_some_and(|left| left.next <= self.synced_seq) {
            let Some(left) = self.left.pop_front() else { break };
            // One that was let go of has another name by now, and may be in use under it.
            if !self.closed.iter().any(|closed| closed.first_seq == left.first_seq) {
                continue;
            }
            match write_mark(&left.file, left.at, left.seed, left.next) {
                Ok(()) => {}
                // Without it the loss of what follows is found by others only.
                Err(error) if is_full(&error) => continue,
                Err(error) => {
                    let error = Err(error).context("mark the end of", &left.name);
                    return error.or_else(|error| self.fail(error));
                }
            }
            let (file, first_seq) = (left.file, left.first_seq);
            let last_seq = self.next_seq;
            self.unsynced.push_back(Unsynced { file, first_seq, last_seq });
        }
        Ok(())
    }
}

fn write_mark<F: DiskFile>(file: &F, at: u64, seed: u32, next: u64) -> io::Result<()> {
    let mut mark = Vec::new();
    segment::encode_lead_on(&mut mark, seed, next);
    file.write_at(&mark, at)
}
