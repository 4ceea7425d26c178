//! Filling a segment with zeros ahead of its use.

use crate::disk::{Disk, DiskFile};
use crate::log::Spare;
use crate::segment;
use std::io;

/// Bytes written in one step.
const STEP_BYTES: usize = 256 << 10;

/// After this much the file is synced, so that its end is not one long sync behind which the log
/// waits.
const SYNC_BYTES: u64 = 1 << 20;

static ZEROS: [u8; STEP_BYTES] = [0; STEP_BYTES];

/// A segment that is being prepared. The file has a temporary name until it is done.
#[derive(Debug)]
pub struct FillTask<D: Disk> {
    disk: D,
    number: u64,
    len: u64,
    at: u64,
    file: Option<D::File>,
    is_done: bool,
}

impl<D: Disk> FillTask<D> {
    pub(crate) fn new(disk: D, number: u64, len: u64) -> Self {
        Self { disk, number, len, at: 0, file: None, is_done: false }
    }

    /// Writes the next piece; after the last one the file is synced and gets its name. Says whether
    /// it is done.
    ///
    /// # Errors
    /// What the disk gave; the file is removed then.
    pub fn step(&mut self) -> io::Result<bool> {
        if self.is_done {
            return Ok(true);
        }
        let result = self.try_step();
        if result.is_err() && self.file.take().is_some() {
            self.at = 0;
            // What cannot be removed now is removed at the next start.
            let _ = self.disk.remove(&segment::spare_temporary_name(self.number));
        }
        result
    }

    fn try_step(&mut self) -> io::Result<bool> {
        let temporary = segment::spare_temporary_name(self.number);
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(self.disk.create(&temporary)?),
        };
        let left = usize::try_from(self.len - self.at).unwrap_or(usize::MAX);
        let piece = ZEROS.get(..left).unwrap_or(&ZEROS);
        file.write_at(piece, self.at)?;
        self.at += piece.len() as u64;
        if self.at < self.len {
            if self.at.is_multiple_of(SYNC_BYTES) {
                file.sync_data()?;
            }
            return Ok(false);
        }
        file.sync_all()?;
        self.disk.rename(&temporary, &segment::spare_name(self.number))?;
        self.is_done = true;
        Ok(true)
    }

    /// The finished segment; nothing if it is not finished.
    pub(crate) fn into_spare(self) -> Option<Spare<D::File>> {
        let name = segment::spare_name(self.number);
        let file = self.file.filter(|_| self.is_done)?;
        Some(Spare { name, file, len: self.len, is_filled: true, usable_from: 0 })
    }
}
