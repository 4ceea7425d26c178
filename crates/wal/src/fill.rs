//! Filling a segment with zeros ahead of its use.

use crate::disk::{Disk, DiskFile};
use crate::error::Named;
use crate::log::{Spare, Wal};
use crate::segment;
use std::io;

/// Bytes written in one step.
const STEP_BYTES: usize = 256 << 10;

/// After this much the file is synced, so that its end is not one long sync behind which the log
/// waits.
const SYNC_BYTES: u64 = 1 << 20;

/// How long a fill that failed is not tried again: 1 s, and twice as long after each further one.
const REST_NS: u64 = 1_000_000_000;

/// The longest rest: 5 min.
const REST_NS_MAX: u64 = 300_000_000_000;

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
        result.named("prepare", &segment::spare_temporary_name(self.number))
    }

    /// Does all that is left.
    ///
    /// # Errors
    /// As [`FillTask::step`].
    pub fn run(&mut self) -> io::Result<()> {
        while !self.step()? {}
        Ok(())
    }

    fn try_step(&mut self) -> io::Result<bool> {
        let temporary = segment::spare_temporary_name(self.number);
        let file = match &self.file {
            Some(file) => file,
            None => {
                self.refuse_without_room()?;
                let file = self.file.insert(self.disk.create(&temporary)?);
                // All or nothing: what is short is not used up by zeros that lead nowhere.
                file.reserve(0, self.len)?;
                file
            }
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

    /// A segment that can wait leaves as much room again for what cannot.
    fn refuse_without_room(&self) -> io::Result<()> {
        let wanted = self.len.saturating_mul(2);
        match self.disk.room()? {
            Some(room) if room < wanted => Err(io::Error::new(
                io::ErrorKind::StorageFull,
                format!("{room} bytes are free, and a segment is prepared while {wanted} are"),
            )),
            _ => Ok(()),
        }
    }

    /// The finished segment; nothing if it is not finished.
    pub(crate) fn into_spare(self) -> Option<Spare<D::File>> {
        let name = segment::spare_name(self.number);
        let file = self.file.filter(|_| self.is_done)?;
        Some(Spare { name, file, len: self.len, is_filled: true, usable_from: 0 })
    }
}

/// Whether segments are being prepared, and how well that goes.
#[derive(Debug, Default)]
pub(crate) struct Filling {
    is_running: bool,
    /// How many fills failed since the last one that did not.
    failures: u32,
    /// Whether the next one must rest, and until when, once that is known.
    rests: bool,
    rests_until: Option<u64>,
}

impl<D: Disk> Wal<D> {
    /// Work for another thread, if the log wants a segment filled with zeros. Report its end with
    /// [`Wal::filled`].
    pub fn next_fill(&mut self) -> Option<FillTask<D>> {
        let has_filled = self.spares.iter().any(|spare| spare.is_filled);
        if self.filling.is_running || self.filling.rests || self.has_failed || has_filled {
            return None;
        }
        self.filling.is_running = true;
        let number = self.next_spare;
        self.next_spare += 1;
        Some(FillTask::new(self.disk.clone(), number, self.options.segment_bytes))
    }

    /// Takes note of the end of a [`FillTask`]. One that failed is not tried again before
    /// [`Wal::retry_fill`] says so.
    pub fn filled(&mut self, task: FillTask<D>, result: &io::Result<()>) {
        self.filling.is_running = false;
        match task.into_spare().filter(|_| result.is_ok()) {
            Some(spare) => {
                self.spares.push_back(spare);
                self.filling.failures = 0;
            }
            None => {
                self.filling.failures = self.filling.failures.saturating_add(1);
                (self.filling.rests, self.filling.rests_until) = (true, None);
            }
        }
    }

    /// Allows another try after a fill that failed, a second later and after ever longer rests, of
    /// five minutes at most: call this now and then. `now` is in nanoseconds and never goes back.
    pub fn retry_fill(&mut self, now: u64) {
        if !self.filling.rests {
            return;
        }
        let doublings = self.filling.failures.saturating_sub(1).min(16);
        let rest = REST_NS.saturating_mul(1 << doublings).min(REST_NS_MAX);
        let until = *self.filling.rests_until.get_or_insert(now.saturating_add(rest));
        self.filling.rests = now < until;
    }

    /// How many fills failed since the last one that did not.
    pub fn fill_failures(&self) -> u32 {
        self.filling.failures
    }
}
