//! Making records durable: by the owner of the log, or by another thread.

use crate::disk::Disk;
use crate::error::{Context, Error};
use crate::gate::SyncTarget;
use crate::log::Wal;
use crate::seq::Seq;
use std::io;

impl<D: Disk> Wal<D> {
    /// Makes everything that was appended durable.
    ///
    /// # Errors
    /// [`Error::Io`]; the log then refuses everything, and a sync is never tried again.
    pub fn sync(&mut self) -> Result<(), Error> {
        self.refuse_after_failure()?;
        let target = self.sync_target();
        let result = target.sync();
        self.synced(target.seq, result)
    }

    /// What another thread has to sync, as of now. Report the result with [`Wal::synced`].
    pub fn sync_target(&self) -> SyncTarget<D> {
        let files = self.unsynced.iter().map(|unsynced| unsynced.file.clone()).collect();
        let has_new_names = self.names_synced_with > self.synced_seq;
        let dir = has_new_names.then(|| self.disk.clone());
        SyncTarget { files, dir, seq: Seq(self.next_seq - 1), gate: self.gate.clone() }
    }

    /// Takes note of a sync's result.
    ///
    /// # Errors
    /// [`Error::Io`] when it failed; the log then refuses everything.
    pub fn synced(&mut self, seq: Seq, result: io::Result<()>) -> Result<(), Error> {
        self.refuse_after_failure()?;
        assert!(seq.0 < self.next_seq, "a sync covers records that were appended");
        if let Err(error) = result.context("sync", "the log") {
            return self.fail(error);
        }
        self.synced_seq = self.synced_seq.max(seq.0);
        while self.unsynced.front().is_some_and(|file| file.last_seq <= self.synced_seq) {
            self.unsynced.pop_front();
        }
        self.mark_left()
    }

    /// Ends a log whose owner stops in order: everything is durable, and a last record says so.
    /// Without it nothing says of the last record that it was durable, and damage to it would be
    /// taken for a write that was never finished. Where there is no room for it, it is left out.
    ///
    /// # Errors
    /// As [`Wal::sync`].
    pub fn close(&mut self) -> Result<(), Error> {
        self.sync()?;
        if self.is_closed {
            return Ok(());
        }
        match self.append(0, &[]) {
            Ok(_) => self.sync(),
            Err(error) if error.is_full() => Ok(()),
            Err(error) => Err(error),
        }
    }
}
