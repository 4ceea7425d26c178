//! Marks at the end of a segment: the log goes on in the next one.
//!
//! A segment that is lost with its name leaves no gap behind it when it was the newest one, and the
//! log before it looks as if it had ended there. So each segment that is left says so, as soon as
//! the first record of the next one is durable under its name: then a log that ends with such a
//! mark has lost what follows. The mark costs no sync of its own; it is durable with the next one.

use crate::disk::{Disk, DiskFile};
use crate::error::{Context, Error};
use crate::log::Wal;
use crate::segment;
use crate::sync::Unsynced;

/// A segment that was left, and that does not say yet where the log goes on.
#[derive(Debug)]
pub(crate) struct Left<F> {
    pub(crate) name: String,
    pub(crate) file: F,
    pub(crate) first_seq: u64,
    pub(crate) seed: u32,
    /// Where its records end.
    pub(crate) at: u64,
    /// The first record of the next segment.
    pub(crate) next: u64,
}

impl<D: Disk> Wal<D> {
    /// Marks the segments whose successors are durable.
    pub(crate) fn mark_left(&mut self) -> Result<(), Error> {
        while self.left.front().is_some_and(|left| left.next <= self.synced_seq) {
            let Some(left) = self.left.pop_front() else { break };
            // One that was let go of has another name by now, and may be in use under it.
            if !self.closed.iter().any(|closed| closed.first_seq == left.first_seq) {
                continue;
            }
            let mut mark = Vec::new();
            segment::encode_lead_on(&mut mark, left.seed, left.next);
            match left.file.write_at(&mark, left.at).context("mark the end of", &left.name) {
                Ok(()) => {}
                // Without it the loss of what follows is found by others only.
                Err(error) if error.is_full() => continue,
                Err(error) => return self.fail(error),
            }
            let (file, first_seq) = (left.file, left.first_seq);
            let last_seq = self.next_seq;
            self.unsynced.push_back(Unsynced { file, first_seq, last_seq });
        }
        Ok(())
    }
}
