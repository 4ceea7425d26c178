//! Tells a disk in memory what to do wrong.

use super::MemDisk;
use super::fault::Reserving;
use std::io;

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
