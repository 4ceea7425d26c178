//! What the log was last told of the cluster, so that a change is told once. `observe.rs` fills and
//! reads it.

pub(in crate::member) mod leading;
pub(in crate::member) mod reach;
pub(in crate::member) mod table;

use leading::Leading;
use reach::Reach;
use replica::Now;
use table::Table;

/// A step of the wall clock that is told: 1 s.
const JUMP_NS: i128 = 1_000_000_000;

/// What was told.
#[derive(Debug)]
pub(crate) struct Incidents {
    pub(super) leading: Leading,
    pub(super) reach: Reach,
    pub(super) table: Table,
    /// Whether changes of the table are news: before that, they are those of the past.
    pub(super) is_settled: bool,
    /// When everything was last looked at, by the monotonic clock.
    pub(super) looked_at: u64,
    /// Since when the disk is full.
    pub(super) full_since: Option<u64>,
    /// Whether it was told that a sync takes long which is still under way.
    pub(super) has_told_sync: bool,
    /// Whether a slow sync was told in this round.
    pub(super) is_round_told: bool,
    /// The distance of the wall clock from the monotonic one.
    pub(super) clock_offset: i128,
    /// Whether it was told that this member serves.
    pub(super) has_told_ready: bool,
    /// Whether this machine stops, so that it hands its leadership over.
    pub(super) is_stopping: bool,
}

impl Incidents {
    pub(super) fn new(now: Now) -> Self {
        Self {
            leading: Leading::new(now.monotonic),
            reach: Reach::default(),
            table: Table::default(),
            is_settled: false,
            looked_at: 0,
            full_since: None,
            has_told_sync: false,
            is_round_told: false,
            clock_offset: offset(now),
            has_told_ready: false,
            is_stopping: false,
        }
    }

    /// By how many nanoseconds the wall clock was set since this was last asked, if it was.
    pub(super) fn clock_step(&mut self, now: Now) -> Option<i128> {
        let offset = offset(now);
        let step = offset - std::mem::replace(&mut self.clock_offset, offset);
        (step.abs() >= JUMP_NS).then_some(step)
    }
}

/// How far the wall clock is from the monotonic one.
fn offset(now: Now) -> i128 {
    i128::from(now.wall) - i128::from(now.monotonic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_told_once_and_one_that_drifts_is_not() {
        const SECOND: u64 = 1_000_000_000;
        let at = |monotonic: u64, wall: u64| Now { boot: 1, monotonic, wall };
        let mut incidents = Incidents::new(at(5 * SECOND, 1000 * SECOND));
        let mut step = |monotonic, wall| incidents.clock_step(at(monotonic, wall));
        assert_eq!(step(6 * SECOND, 1001 * SECOND + SECOND / 2), None, "it drifts");
        assert_eq!(step(7 * SECOND, 1003 * SECOND), None);
        assert_eq!(step(8 * SECOND, 4604 * SECOND), Some(3_600_000_000_000));
        assert_eq!(step(9 * SECOND, 4605 * SECOND), None, "it was told");
        assert_eq!(step(10 * SECOND, 4600 * SECOND), Some(-6_000_000_000));
    }
}
