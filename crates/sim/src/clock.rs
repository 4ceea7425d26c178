//! A machine's clocks: they count at a rate of their own, start anew with each boot, and the wall
//! clock may be set by somebody.

use crate::Nanos;
use replica::{Clock, Now};
use std::cell::Cell;
use std::rc::Rc;

/// How far a clock's rate may be off, in parts per thousand, either way. The fault model grants
/// rates that differ by 10 percent.
pub(crate) const DRIFT_PERMILLE_MAX: u64 = 45;

/// What the monotonic clock shows right after a boot.
const BOOT_MONOTONIC: Nanos = 5_000_000_000;

/// What all wall clocks show at the beginning.
const WALL_START: Nanos = 1_700_000_000_000_000_000;

#[derive(Clone, Copy, Debug)]
struct State {
    boot: u64,
    booted_at: Nanos,
    wall_at_boot: Nanos,
    /// Parts per thousand by which it is fast.
    rate: i64,
}

/// One machine's clocks. Clones are the same clocks.
#[derive(Clone, Debug)]
pub(crate) struct SimClock {
    truth: Rc<Cell<Nanos>>,
    state: Rc<Cell<State>>,
}

impl SimClock {
    /// `truth` is the time of the simulated world, which no machine can see.
    pub(crate) fn new(truth: Rc<Cell<Nanos>>, rate_permille: i64, boot: u64) -> Self {
        let booted_at = truth.get();
        let state =
            State { boot, booted_at, wall_at_boot: WALL_START + booted_at, rate: rate_permille };
        Self { truth, state: Rc::new(Cell::new(state)) }
    }

    fn since_boot(&self) -> Nanos {
        let state = self.state.get();
        let passed = self.truth.get() - state.booted_at;
        let extra = (passed / 1000).cast_signed() * state.rate;
        passed.saturating_add_signed(extra)
    }

    /// How long in the world's time until this clock has counted `own` more.
    pub(crate) fn until(&self, own: Nanos) -> Nanos {
        let rate = 1000_i64.saturating_add(self.state.get().rate).max(1).unsigned_abs();
        // One more, so that rounding never ends the wait too early.
        (own / rate).saturating_mul(1000) + (own % rate) * 1000 / rate + 1000
    }

    /// The machine has lost power and starts again. Its battery keeps the wall clock.
    pub(crate) fn reboot(&self) {
        let wall = self.now().wall;
        let mut state = self.state.get();
        state.boot += 1;
        state.booted_at = self.truth.get();
        state.wall_at_boot = wall;
        self.state.set(state);
    }

    /// Somebody sets the wall clock.
    pub(crate) fn set_wall(&self, by: i64) {
        let mut state = self.state.get();
        state.wall_at_boot = state.wall_at_boot.saturating_add_signed(by);
        self.state.set(state);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Now {
        let state = self.state.get();
        let passed = self.since_boot();
        Now {
            boot: state.boot,
            monotonic: BOOT_MONOTONIC + passed,
            wall: state.wall_at_boot + passed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_drifts_jumps_and_starts_anew_at_a_boot() {
        let truth = Rc::new(Cell::new(0));
        let clock = SimClock::new(Rc::clone(&truth), 10, 1);
        let before = clock.now();
        truth.set(1_000_000_000);
        let after = clock.now();
        assert_eq!(after.monotonic - before.monotonic, 1_010_000_000);
        clock.set_wall(-500);
        assert_eq!(clock.now().wall, after.wall - 500);
        assert_eq!(clock.now().monotonic, after.monotonic);
        clock.reboot();
        assert_eq!((clock.now().boot, clock.now().monotonic), (2, BOOT_MONOTONIC));
        assert_eq!(clock.now().wall, after.wall - 500);
    }

    #[test]
    fn a_wait_is_never_too_short() {
        for rate in [-45, -1, 0, 7, 45] {
            let truth = Rc::new(Cell::new(0));
            let clock = SimClock::new(Rc::clone(&truth), rate, 1);
            for own in [1, 999, 10_000_000, 123_456_789] {
                let before = clock.now().monotonic;
                truth.set(truth.get() + clock.until(own));
                assert!(clock.now().monotonic - before >= own, "{rate} {own}");
            }
        }
    }
}
