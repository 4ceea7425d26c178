//! Filling a segment with zeros ahead of its use.

use crate::disk::{Disk, DiskFile};
use crate::error::Named;
use crate::files::Spare;
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
                // All or nothing: what is short is not used up by zeros that lead nowhere. Where a
                // disk cannot reserve, this writes the zeros and the steps write them again: mostly
                // to pages that are still in memory. It does not say which of the two it did, and
                // reserved blocks that were never written cost a commit of metadata with each sync.
                file.reserve(0, self.len)?;
                file
            }
        };
        let left = usize::try_from(self.len - self.at).expect("a segment is at most 1 GiB");
        let (piece, _) = ZEROS.split_at(left.min(STEP_BYTES));
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

impl Filling {
    /// Whether another fill may begin.
    pub(crate) fn is_idle(&self) -> bool {
        !self.is_running && !self.rests
    }

    pub(crate) fn start(&mut self) {
        assert!(self.is_idle(), "one segment is prepared at a time");
        self.is_running = true;
    }

    /// Takes note of the end of a fill.
    pub(crate) fn end(&mut self, is_done: bool) {
        self.is_running = false;
        if is_done {
            self.failures = 0;
        } else {
            self.failures = self.failures.saturating_add(1);
            (self.rests, self.rests_until) = (true, None);
        }
    }

    /// Ends the rest after a failure when its time is over.
    pub(crate) fn retry(&mut self, now: u64) {
        if !self.rests {
            return;
        }
        let doublings = self.failures.saturating_sub(1).min(16);
        let rest = REST_NS.saturating_mul(1 << doublings).min(REST_NS_MAX);
        let until = *self.rests_until.get_or_insert(now.saturating_add(rest));
        self.rests = now < until;
    }

    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }
}
