//! Time, as the log knows it.
//!
//! Deadlines are measured on the cluster's own clock: it starts at wall time, is stamped into each
//! entry by the leader, never runs backwards and advances with a monotonic clock only. Nobody's
//! wall clock can make a key expire early. What a client is shown as `expiration` is that clock
//! plus an offset, which the leader corrects when the wall clock has been set.

use crate::limits::WALL_DRIFT_MAX_NS;
use store::{Stamp, Timestamp, WallOffset};

/// One reading of this machine's clocks, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Names the boot of the machine during which `monotonic` counts.
    pub boot: u64,
    /// Time since boot; counts on while the machine sleeps.
    pub monotonic: u64,
    /// Time since 1970, as somebody may set it.
    pub wall: u64,
}

impl Now {
    /// The reading of the monotonic clock, by which all waiting is measured.
    pub(crate) fn mono(&self) -> MonoTime {
        MonoTime(self.monotonic)
    }
}

/// A reading of this machine's monotonic clock, in nanoseconds since its boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MonoTime(pub(crate) u64);

impl MonoTime {
    /// Later than every reading.
    pub(crate) const MAX: Self = Self(u64::MAX);

    /// The nanoseconds since an earlier reading; none if it is a later one.
    pub(crate) fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// What the clock shows `ns` nanoseconds later.
    pub(crate) fn after(self, ns: u64) -> Self {
        Self(self.0.saturating_add(ns))
    }

    /// What the clock showed `ns` nanoseconds earlier.
    pub(crate) fn before(self, ns: u64) -> Self {
        Self(self.0.saturating_sub(ns))
    }
}

/// Where readings come from: the machine, or a simulator.
pub trait Clock {
    /// Reads the clocks.
    fn now(&self) -> Now;
}

/// What this member knows of the cluster's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClusterClock {
    /// The last stamp seen, and the reading of this machine's clocks when it was.
    stamp: Stamp,
    seen: Now,
}

impl ClusterClock {
    /// A clock that has never ticked: it shows wall time.
    pub(crate) fn start(now: Now) -> Self {
        let stamp = Stamp { time: Timestamp(now.wall), wall_offset: WallOffset(0) };
        Self { stamp, seen: now }
    }

    /// Goes on after a restart from what was written beside a stamp.
    ///
    /// Within one boot the monotonic clock says exactly how long the process was away. Over a
    /// reboot only the wall clock can; a wall clock that went backwards counts as no time at all.
    pub(crate) fn resume(stamp: Stamp, seen: Now, now: Now) -> Self {
        let away = if seen.boot == now.boot {
            now.monotonic.saturating_sub(seen.monotonic)
        } else {
            now.wall.saturating_sub(seen.wall)
        };
        let time = Timestamp(stamp.time.0.saturating_add(away));
        Self { stamp: Stamp { time, ..stamp }, seen: now }
    }

    /// The cluster's time at a reading.
    pub(crate) fn time(&self, now: Now) -> Timestamp {
        let passed = now.monotonic.saturating_sub(self.seen.monotonic);
        Timestamp(self.stamp.time.0.saturating_add(passed))
    }

    /// What to write down beside a reading, so that a restart can go on from both.
    pub(crate) fn reading(&self, now: Now) -> Stamp {
        Stamp { time: self.time(now), ..self.stamp }
    }

    /// The stamp for a batch that is proposed now.
    pub(crate) fn stamp(&self, now: Now) -> Stamp {
        let time = self.time(now);
        let shown = time.0.saturating_add_signed(self.stamp.wall_offset.0);
        let wall_offset = if shown.abs_diff(now.wall) > WALL_DRIFT_MAX_NS {
            WallOffset(now.wall.wrapping_sub(time.0).cast_signed())
        } else {
            self.stamp.wall_offset
        };
        Stamp { time, wall_offset }
    }

    /// Takes over a stamp from the log. A leader made it a moment ago and its clock goes on;
    /// anybody else sets its clock by it, so that it is never ahead of the leader's and expires
    /// nothing early when it leads one day. Stamps in the log never run backwards, since a leader
    /// applies all that there is before it stamps.
    pub(crate) fn observe(&mut self, stamp: Stamp, now: Now, leads: bool) {
        let time = if leads { self.time(now).max(stamp.time) } else { stamp.time };
        *self = Self { stamp: Stamp { time, wall_offset: stamp.wall_offset }, seen: now };
    }

    /// How long until the cluster's time reaches a deadline, in nanoseconds.
    pub(crate) fn until(&self, deadline: Timestamp, now: Now) -> u64 {
        deadline.0.saturating_sub(self.time(now).0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(boot: u64, monotonic: u64, wall: u64) -> Now {
        Now { boot, monotonic, wall }
    }

    #[test]
    fn a_wall_clock_that_jumps_moves_only_what_is_shown() {
        let second = 1_000_000_000;
        let clock = ClusterClock::start(at(1, 0, 100 * second));
        let stamp = clock.stamp(at(1, second, 9000 * second));
        assert_eq!(stamp.time, Timestamp(101 * second));
        assert_eq!(stamp.time.0.saturating_add_signed(stamp.wall_offset.0), 9000 * second);
        let back = clock.stamp(at(1, second, second));
        assert_eq!(back.time, Timestamp(101 * second));
        assert_eq!(back.time.0.saturating_add_signed(back.wall_offset.0), second);
    }

    #[test]
    fn a_restart_within_one_boot_counts_monotonic_time() {
        let stamp = Stamp { time: Timestamp(1000), wall_offset: WallOffset(0) };
        let clock = ClusterClock::resume(stamp, at(1, 50, 1000), at(1, 80, 999_999));
        assert_eq!(clock.time(at(1, 80, 999_999)), Timestamp(1030));
    }

    #[test]
    fn a_restart_over_a_reboot_counts_wall_time_and_never_backwards() {
        let stamp = Stamp { time: Timestamp(1000), wall_offset: WallOffset(0) };
        let clock = ClusterClock::resume(stamp, at(1, 50, 1000), at(2, 3, 1700));
        assert_eq!(clock.time(at(2, 3, 1700)), Timestamp(1700));
        let clock = ClusterClock::resume(stamp, at(1, 50, 1000), at(2, 3, 400));
        assert_eq!(clock.time(at(2, 3, 400)), Timestamp(1000));
    }

    #[test]
    fn a_leaders_clock_goes_on_and_a_followers_is_set() {
        let stamp = |time| Stamp { time: Timestamp(time), wall_offset: WallOffset(7) };
        let mut clock = ClusterClock::start(at(1, 0, 500));
        clock.observe(stamp(100), at(1, 10, 510), true);
        assert_eq!(clock.time(at(1, 10, 510)), Timestamp(510), "its own stamp is a little old");
        clock.observe(stamp(300), at(1, 20, 520), false);
        assert_eq!(clock.time(at(1, 25, 525)), Timestamp(305), "the wall clock was ahead");
    }
}
