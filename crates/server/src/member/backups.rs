//! Backups that a member makes by itself.
//!
//! They hold what this member has when they are begun, which at a follower may be a moment behind
//! the leader. They are written on a thread, one at a time.

use crate::config::BackupPlan;
use crate::sys::backup_file::BackupDir;
use crate::sys::clock::Now;
use crate::text::span;

/// What the backups say that they were made by.
pub(crate) const PROGRAM: &str = concat!("stead ", env!("CARGO_PKG_VERSION"));

/// How long after a failure the next one is tried at most: 1 min.
const RETRY_NS: u64 = 60_000_000_000;

/// A backup this many intervals old is too old.
const LATE_INTERVALS: u64 = 3;

/// When the next backup is due, and what became of the last one.
#[derive(Debug)]
pub(crate) struct Backups {
    plan: Option<(BackupDir, u64)>,
    /// When the last one was written, in nanoseconds since 1970; zero for never.
    pub(crate) last: u64,
    pub(crate) failed: u64,
    /// By the monotonic clock.
    due: u64,
    is_running: bool,
    /// When this began to look, by the wall clock.
    since: u64,
}

impl Backups {
    /// What is in the directory already counts: a restart makes no backup before its time.
    pub(crate) fn new(plan: Option<&BackupPlan>, name: &str, now: Now) -> Self {
        let plan = plan.map(|plan| {
            let dir = BackupDir { path: plan.dir.clone(), name: name.to_owned(), keep: plan.keep };
            (dir, u64::try_from(plan.interval.as_nanos()).unwrap_or(u64::MAX))
        });
        let last = plan.as_ref().and_then(|(dir, _)| dir.latest()).unwrap_or(0);
        let interval = plan.as_ref().map_or(0, |(_, interval)| *interval);
        let left = last.saturating_add(interval).saturating_sub(now.wall).min(interval);
        let due = now.monotonic.saturating_add(left);
        Self { plan, last, failed: 0, due, is_running: false, since: now.wall }
    }

    /// The interval in seconds; nothing if none are made.
    pub(crate) fn interval(&self) -> Option<f64> {
        self.plan.as_ref().map(|(_, interval)| *interval as f64 / 1e9)
    }

    /// The backup that is due now goes into this directory; nothing if none is due. The next one is
    /// due an interval later.
    pub(super) fn take_due(&mut self, monotonic: u64) -> Option<BackupDir> {
        let (dir, interval) = self.plan.as_ref().filter(|_| !self.is_running)?;
        if monotonic < self.due {
            return None;
        }
        self.due = monotonic.saturating_add(*interval);
        self.is_running = true;
        Some(dir.clone())
    }

    /// The backup that was due has been written; `wall` is when it was made.
    pub(super) fn note_kept(&mut self, wall: u64) {
        (self.is_running, self.last) = (false, wall);
    }

    /// It could not be written. Gives the directory.
    pub(super) fn note_failed(&mut self, monotonic: u64) -> String {
        self.is_running = false;
        self.failed += 1;
        self.due = self.due.min(monotonic.saturating_add(RETRY_NS));
        let (dir, _) = self.plan.as_ref().expect("what failed was planned");
        dir.path.display().to_string()
    }

    /// Why the latest backup is too old; nothing if it is not, or none are made.
    pub(crate) fn why_late(&self, wall: u64) -> Option<String> {
        let (dir, interval) = self.plan.as_ref()?;
        let age = wall.saturating_sub(self.last.max(self.since));
        let is_late = age > interval.saturating_mul(LATE_INTERVALS);
        let dir = dir.path.display();
        is_late.then(|| format!("no backup was written to {dir} for {}", span(age)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use std::time::Duration;

    #[test]
    fn the_age_counts_from_the_start_where_there_is_none() {
        let second = 1_000_000_000;
        let plan = BackupPlan {
            dir: PathBuf::from("/nowhere/at/all"),
            interval: Duration::from_secs(10),
            keep: 1,
        };
        let now = Now { boot: 1, monotonic: 5, wall: 100 * second };
        let mut backups = Backups::new(Some(&plan), "m", now);
        assert!(backups.take_due(5).is_some(), "at once");
        assert!(backups.take_due(u64::MAX).is_none(), "one at a time");
        assert_eq!(backups.note_failed(5), "/nowhere/at/all");
        assert!(backups.take_due(5).is_none() && backups.take_due(11 * second).is_some());
        assert_eq!(backups.why_late(129 * second), None);
        assert!(backups.why_late(131 * second).is_some());
        backups.last = 125 * second;
        assert_eq!(backups.why_late(131 * second), None);
        assert_eq!(Backups::new(None, "m", now).why_late(u64::MAX), None);
    }
}
