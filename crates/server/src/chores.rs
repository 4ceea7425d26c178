//! What the loop gives to the threads beside it, and what it does with their results.

use crate::disk::DataDir;
use crate::error::StartError;
use crate::owner::Owner;
use crate::worker::Done;
use replica::Fatal;
use std::io;
use std::time::Duration;

impl Owner {
    pub(crate) fn hand_out_work(&mut self) -> Result<(), StartError> {
        if let Some(task) = self.driver.wal_mut().next_fill() {
            self.workers.fill(task)?;
        }
        if let Some(job) = self.driver.snapshot_job() {
            self.workers.snapshot(job)?;
        }
        let garbage = self.driver.store_mut().take_garbage();
        if !garbage.is_empty() {
            self.workers.drop_garbage(garbage)?;
        }
        Ok(())
    }

    pub(crate) fn take_results(&mut self) -> Result<(), StartError> {
        while let Some(done) = self.workers.next_done() {
            match done {
                Done::Synced(seq, result, took) => {
                    self.meters.synced(took);
                    self.driver.synced(seq, result)?;
                }
                Done::Filled(task, result) => {
                    // Said once, and once more when it works again: on a full disk it is tried
                    // for as long as that lasts.
                    let failures = self.driver.wal_mut().fill_failures();
                    match &result {
                        Err(error) if failures == 0 => {
                            tracing::warn!(%error, "a log segment could not be prepared");
                        }
                        Ok(()) if failures > 0 => {
                            tracing::info!(failures, "log segments are prepared again");
                        }
                        _ => {}
                    }
                    self.driver.wal_mut().filled(task, &result);
                }
                Done::Snapshot(result, took) => self.snapshot_done(result, took)?,
                Done::Reached(key, verdict) => self.reached(key, verdict),
                Done::Asked(answers) => self.asked(&answers),
            }
        }
        Ok(())
    }

    fn snapshot_done(
        &mut self,
        result: io::Result<replica::SnapshotDone<DataDir>>,
        took: Duration,
    ) -> Result<(), Fatal> {
        match result {
            Ok(done) => {
                let (index, bytes, ms) = (done.index().0, done.bytes(), took.as_millis());
                if done.is_incoming() {
                    tracing::info!(index, bytes, ms, "the leader's snapshot is loaded");
                } else {
                    self.meters.snapshot_done(took);
                    tracing::info!(index, bytes, ms, "snapshot written");
                }
                self.driver.snapshot_finished(Some(done))
            }
            Err(error) => {
                self.meters.snapshot_failed();
                tracing::error!(%error, "a snapshot could not be written");
                self.driver.snapshot_finished(None)
            }
        }
    }
}
