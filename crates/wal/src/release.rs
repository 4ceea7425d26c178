//! Letting go of segments that a snapshot has taken the place of.

use crate::disk::Disk;
use crate::error::{Context, Error};
use crate::files::Spare;
use crate::log::Wal;
use crate::segment;

impl<D: Disk> Wal<D> {
    /// Lets go of segments whose records all have marks of `mark` or below. They become spares, or
    /// are removed when there are enough. The segment of the last durable record always stays, and
    /// all behind it: the caller's newest state is in that record.
    ///
    /// A spare made here is used only when its new name is durable. Were it lost, and records
    /// written in the file by then, a segment would be found with another's content.
    ///
    /// # Errors
    /// [`Error::Io`]; the segments that were not let go of are still there.
    pub fn release(&mut self, mark: u64) -> Result<(), Error> {
        self.refuse_after_failure()?;
        while let Some(closed) = self.closed.front() {
            let next = self.closed.get(1).map(|next| next.first_seq);
            let next = next.or(self.active.as_ref().map(|active| active.first_seq));
            if closed.mark_max > mark || next.is_none_or(|next| next > self.synced_seq) {
                break;
            }
            let recyclable = closed.is_filled
                && closed.len >= self.options.segment_bytes
                && closed.len < self.options.segment_bytes.saturating_mul(2)
                && self.spares.len() < self.options.spares_max;
            let file = if recyclable { self.disk.open(&closed.name).ok() } else { None };
            let name = segment::spare_name(self.next_spare);
            let gone = match &file {
                Some(_) => self.disk.rename(&closed.name, &name).context("rename", &closed.name),
                None => self.disk.remove(&closed.name).context("remove", &closed.name),
            };
            match gone {
                Ok(()) => {}
                // Names take room as well where they are copied on write. What is not let go of
                // now is with the next snapshot.
                Err(error) if error.is_full() => {
                    self.is_full = true;
                    break;
                }
                Err(error) => return Err(error),
            }
            if let Some(file) = file {
                self.next_spare += 1;
                let (len, usable_from) = (closed.len, self.next_seq);
                self.spares.push_back(Spare { name, file, len, is_filled: true, usable_from });
            }
            self.names_synced_with = self.next_seq;
            self.closed.pop_front();
        }
        let has_newest = self.active.is_some() || self.closed.is_empty();
        assert!(has_newest, "the segment of the last record is never let go of");
        Ok(())
    }
}
