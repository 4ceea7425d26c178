//! What a disk in memory can do wrong, or not at all.

use super::{MemDisk, State};
use std::io;

/// What becomes of [`crate::DiskFile::reserve`]. It is a property of the disk: a restart finds it
/// as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reserving {
    /// Room is set aside, as `fallocate` does.
    #[default]
    Works,
    /// There is no such call: zeros are written behind the present end of the file.
    Missing,
    /// As missing, and zeros are written over what is there as well. No disk should, and the log
    /// must not depend on it.
    Overwrites,
    /// The call is refused.
    Refused(io::ErrorKind),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    pub(super) fail_syncs: bool,
    /// Only the next sync fails, as on Linux, which reports a failed write-back once.
    fail_next_sync: bool,
    pub(super) fail_reads: bool,
    refuse_writes: bool,
    /// Writes find the disk full once there were this many.
    refuse_writes_after: Option<u64>,
    refuse_dir_syncs: bool,
    fail_after: Option<u64>,
    /// Which call fails, by its number, and how.
    refused: Option<(u64, io::ErrorKind)>,
    /// Which read from now on finds the bytes of another place, and how far away that is.
    misdirected: Option<(u64, u64)>,
}

impl State {
    /// Counts a call of any kind; gives the error that it is to have.
    pub(super) fn call(&mut self) -> io::Result<()> {
        self.calls += 1;
        match self.faults.refused {
            Some((number, kind)) if self.calls == number => Err(kind.into()),
            _ => Ok(()),
        }
    }

    /// Counts a call that changes something.
    pub(super) fn operate(&mut self) -> io::Result<()> {
        let result = self.call();
        self.operations += 1;
        match self.faults.fail_after {
            Some(limit) if self.operations > limit => Err(io::Error::other("injected failure")),
            _ => result,
        }
    }

    /// Counts a sync.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.operate()?;
        self.syncs += 1;
        if self.faults.fail_syncs || std::mem::take(&mut self.faults.fail_next_sync) {
            return Err(io::Error::other("injected sync failure"));
        }
        Ok(())
    }

    /// Counts a sync of the names.
    pub(super) fn sync_names(&mut self) -> io::Result<()> {
        self.operate()?;
        if self.faults.refuse_dir_syncs {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if self.faults.fail_syncs {
            return Err(io::Error::other("injected sync failure"));
        }
        Ok(())
    }

    /// Whether a write is to find the disk full, by its number.
    pub(super) fn refuses_write(&self) -> bool {
        let is_late = |writes| self.writes > writes;
        self.faults.refuse_writes || self.faults.refuse_writes_after.is_some_and(is_late)
    }

    /// Where a read that is meant for `offset` goes.
    pub(super) fn direct_read(&mut self, offset: u64) -> u64 {
        match &mut self.faults.misdirected {
            Some((0, shift)) => {
                let shift = *shift;
                self.faults.misdirected = None;
                offset.saturating_add(shift)
            }
            Some((reads, _)) => {
                *reads -= 1;
                offset
            }
            None => offset,
        }
    }
}

impl MemDisk {
    /// Makes every sync fail from now on, or work again.
    pub fn set_fail_syncs(&self, fail: bool) {
        self.state().faults.fail_syncs = fail;
    }

    /// Makes every read fail from now on, or work again.
    pub fn set_fail_reads(&self, fail: bool) {
        self.state().faults.fail_reads = fail;
    }

    /// Makes every write find the disk full from now on, even where room was reserved, as file
    /// systems that copy on write do; or work again.
    pub fn set_refuse_writes(&self, refuse: bool) {
        self.state().faults.refuse_writes = refuse;
    }

    /// Lets `operations` more writes, syncs and changes of names work, and then none. A write that
    /// fails leaves half of its bytes.
    pub fn fail_after(&self, operations: Option<u64>) {
        let mut state = self.state();
        state.faults.fail_after = operations.map(|count| state.operations + count);
    }

    /// Lets `reads` reads work, and then one find what is `shift` bytes further on in its file.
    pub fn misdirect_read(&self, reads: u64, shift: u64) {
        self.state().faults.misdirected = Some((reads, shift));
    }

    /// Says what becomes of reserving room from now on.
    pub fn set_reserving(&self, reserving: Reserving) {
        self.state().reserving = reserving;
    }

    /// Makes the next sync of a file fail, and only that one.
    pub fn fail_next_sync(&self) {
        self.state().faults.fail_next_sync = true;
    }

    /// As [`MemDisk::set_refuse_writes`], but lets `writes` more writes work first; nothing lets
    /// all work again.
    pub fn refuse_writes_after(&self, writes: Option<u64>) {
        let mut state = self.state();
        state.faults.refuse_writes_after = writes.map(|writes| state.writes + writes);
    }

    /// Makes every sync of the names be refused from now on, as some file systems do, or work
    /// again.
    pub fn set_refuse_dir_syncs(&self, refuse: bool) {
        self.state().faults.refuse_dir_syncs = refuse;
    }

    /// Lets the call with this number, counted from one since the disk was made, fail in this way;
    /// nothing for none. See [`MemDisk::calls`].
    pub fn refuse_call(&self, call: Option<(u64, io::ErrorKind)>) {
        self.state().faults.refused = call;
    }

    /// How many calls of any kind there were.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }
}
