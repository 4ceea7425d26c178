//! When a snapshot is due, and what its end lets go of.

use crate::clock::Clock;
use crate::driver::{Driver, Network};
use crate::error::Fatal;
use crate::snapshot::job::{Outcome, SnapshotDone, SnapshotJob};
use wal::Disk;

impl<D: Disk, N: Network, C: Clock> Driver<D, N, C> {
    /// A snapshot to be written, if one is due. It may run on another thread; its end must be
    /// reported with [`Driver::snapshot_finished`].
    pub fn snapshot_job(&mut self) -> Option<SnapshotJob<D>> {
        if self.snapshot_running {
            return None;
        }
        if let Some(job) = self.incoming_job() {
            self.snapshot_running = true;
            return Some(job);
        }
        if self.replica.raw.mut_store().take_snapshot_wish() {
            // A member is so far behind that it needs one; what follows it is kept for it.
            self.keep_for_laggard(self.replica.state.applied);
            return Some(self.begin_snapshot());
        }
        let count = self.options.snapshot_count?;
        let bytes_min = count.saturating_mul(self.options.snapshot_log_bytes_per_command);
        let is_due = self.replica.commands_since_snapshot >= count
            && self.log_bytes >= bytes_min.max(self.snapshot_bytes / 2);
        is_due.then(|| self.begin_snapshot())
    }

    /// A snapshot of the present state, whether one is due or not.
    pub fn begin_snapshot(&mut self) -> SnapshotJob<D> {
        self.snapshot_running = true;
        self.replica.commands_since_snapshot = 0;
        self.log_bytes = 0;
        SnapshotJob::new(self)
    }

    /// Takes note of the end of a snapshot, and lets go of the log that it replaces.
    ///
    /// # Errors
    /// [`Fatal`] when the log cannot be trimmed. A snapshot that failed is no error: the log stays,
    /// and another is tried later.
    pub fn snapshot_finished(&mut self, done: Option<SnapshotDone<D>>) -> Result<(), Fatal> {
        self.snapshot_running = false;
        let (index, term, conf_state, bytes) = match done.map(|done| done.0) {
            Some(Outcome::Written { index, term, conf_state, bytes }) => {
                (index, term, conf_state, bytes)
            }
            Some(Outcome::Prepared(prepared)) => {
                self.incoming_finished(Some(prepared));
                return Ok(());
            }
            None => {
                self.incoming_finished(None);
                return Ok(());
            }
        };
        self.snapshot_bytes = bytes;
        let log = self.replica.raw.mut_store();
        // A snapshot of the leader may have come in between.
        if log.snapshot_index().is_none_or(|newest| newest <= index.0) {
            log.set_snapshot(index.0, term.0, conf_state);
            // What is in memory for members that lag stays on disk, for after a restart.
            let kept_above = log.before_first();
            self.wal.release(index.0.min(kept_above))?;
        }
        Ok(())
    }
}
