//! Making records durable: by the owner of the log, or by another thread.

use crate::disk::{Disk, DiskFile};
use crate::error::{Context, Error};
use crate::log::{Seq, Wal};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// A file that was written since it was last synced.
#[derive(Debug)]
pub(crate) struct Unsynced<F> {
    pub(crate) file: F,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
}

/// Lets one thread at a time sync the files of a log, and shows everybody the first error.
///
/// The system reports a write that failed behind its back to one sync, and the next one of the same
/// file succeeds. Without the gate a sync could say that all is well while another thread holds
/// the error and has not reported it yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate(Arc<Mutex<Option<Failure>>>);

/// An error that can be shown more than once.
#[derive(Debug)]
struct Failure {
    kind: io::ErrorKind,
    text: String,
}

impl Gate {
    fn pass(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        // A thread that panicked in a sync never said that it went well.
        let mut failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Failure { kind, text }) = &*failed {
            return Err(io::Error::new(*kind, text.clone()));
        }
        let result = sync();
        if let Err(error) = &result {
            *failed = Some(Failure { kind: error.kind(), text: error.to_string() });
        }
        result
    }
}

/// What has to be synced for records up to [`SyncTarget::seq`] to be durable. Any thread may do it;
/// the result goes to [`Wal::synced`]. Targets must be synced and reported in the order in which
/// they were made.
#[derive(Debug)]
#[must_use = "nothing is durable before it is synced"]
pub struct SyncTarget<D: Disk> {
    files: Vec<D::File>,
    dir: Option<D>,
    seq: Seq,
    gate: Gate,
}

impl<D: Disk> SyncTarget<D> {
    /// The last record that is durable after a successful sync.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// Syncs, after any sync of the same log that another thread is at.
    ///
    /// # Errors
    /// What the disk gave, now or in an earlier sync of the same log. It must not be tried again.
    pub fn sync(&self) -> io::Result<()> {
        self.gate.pass(|| self.sync_now())
    }

    fn sync_now(&self) -> io::Result<()> {
        self.files.iter().try_for_each(DiskFile::sync_data)?;
        self.dir.iter().try_for_each(Disk::sync_dir)
    }
}

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
