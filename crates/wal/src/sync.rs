//! One thread at a time syncs, and an error that one sync met is the answer to all later ones.

use crate::disk::{Disk, DiskFile};
use crate::seq::Seq;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

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
/// the result goes to [`crate::Wal::synced`]. Targets must be synced and reported in the order in
/// which they were made.
#[derive(Debug)]
#[must_use = "nothing is durable before it is synced"]
pub struct SyncTarget<D: Disk> {
    pub(crate) files: Vec<D::File>,
    pub(crate) dir: Option<D>,
    pub(crate) seq: Seq,
    pub(crate) gate: Gate,
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
