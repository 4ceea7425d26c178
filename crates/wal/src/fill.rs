//! Filling a segment with zeros ahead of its use.

use crate::disk::{Disk, DiskFile};
use crate::segment;
use std::io;

/// Bytes written in one step.
const STEP_BYTES: u64 = 256 << 10;

/// A segment that is being prepared. The file has a temporary name until it is done.
#[derive(Debug)]
pub struct FillTask<D: Disk> {
    disk: D,
    number: u64,
    len: u64,
    at: u64,
    file: Option<D::File>,
}

impl<D: Disk> FillTask<D> {
    pub(crate) fn new(disk: D, number: u64, len: u64) -> Self {
        Self { disk, number, len, at: 0, file: None }
    }

    fn temporary_name(&self) -> String {
        format!("spare-{}.tmp", self.number)
    }

    /// Writes the next piece; after the last one the file is synced and gets its name. Says whether
    /// it is done.
    ///
    /// # Errors
    /// What the disk gave; the file is removed then.
    pub fn step(&mut self) -> io::Result<bool> {
        let result = self.try_step();
        if result.is_err() {
            self.file = None;
            // What cannot be removed now is removed at the next start.
            let _ = self.disk.remove(&self.temporary_name());
        }
        result
    }

    fn try_step(&mut self) -> io::Result<bool> {
        let file = match &self.file {
            Some(file) => file.clone(),
            None => {
                let file = self.disk.create(&self.temporary_name())?;
                self.file = Some(file.clone());
                file
            }
        };
        let step = STEP_BYTES.min(self.len - self.at);
        file.write_at(&vec![0; usize::try_from(step).map_err(io::Error::other)?], self.at)?;
        self.at += step;
        if self.at < self.len {
            return Ok(false);
        }
        file.sync_all()?;
        self.disk.rename(&self.temporary_name(), &segment::spare_name(self.number))?;
        Ok(true)
    }

    pub(crate) fn into_spare(self) -> (String, u64) {
        (segment::spare_name(self.number), self.len)
    }
}
