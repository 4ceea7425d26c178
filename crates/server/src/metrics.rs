//! What is counted as it happens.
//!
//! These are bare numbers. What `/metrics` calls them, and all that is only looked up when somebody
//! asks, is in the table of `api/metrics`. One thread counts and shows, so that counting costs an
//! addition.

use crate::http::request::Method;
use crate::net::Count;
use replica::Now;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;
use store::Action;

const METHODS: [Method; 7] = [
    Method::Get,
    Method::Head,
    Method::Put,
    Method::Post,
    Method::Delete,
    Method::Options,
    Method::Other,
];

/// The bounds of a histogram in seconds, each twice the one before: from 10 us, where an answer
/// from memory is, to 5 s, where requests time out.
const BOUNDS: [f64; 20] = {
    let mut bounds = [1e-5; 20];
    let mut at = 1;
    while at < bounds.len() {
        bounds[at] = bounds[at - 1] * 2.0;
        at += 1;
    }
    bounds
};

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Tally(Cell<u64>);

impl Tally {
    pub(crate) fn add_one(&self) {
        self.0.set(self.0.get() + 1);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.get()
    }
}

/// How long something took each time.
#[derive(Debug, Default)]
pub(crate) struct Times {
    /// How many times are within each bound and beyond the one before.
    within: [Tally; BOUNDS.len()],
    count: Tally,
    seconds: Cell<f64>,
}

impl Times {
    pub(crate) fn add(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let mut tallies = BOUNDS.iter().zip(&self.within);
        if let Some((_, tally)) = tallies.find(|(bound, _)| seconds <= **bound) {
            tally.add_one();
        }
        self.count.add_one();
        self.seconds.set(self.seconds.get() + seconds);
    }

    /// Each bound, and how many times are within it.
    pub(crate) fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let mut sum = 0;
        BOUNDS.iter().zip(&self.within).map(move |(bound, tally)| {
            sum += tally.get();
            (*bound, sum)
        })
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.get()
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.seconds.get()
    }
}

/// What a server counted since it started.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    /// When it started, in seconds of the wall clock.
    pub(crate) started: u64,
    received: [Tally; METHODS.len()],
    failed: RefCell<BTreeMap<(u16, &'static str), u64>>,
    pub(crate) refused: Tally,
    pub(crate) reads: Tally,
    writes: [Tally; Action::ALL.len()],
    /// From the arrival of a write to its answer.
    pub(crate) writing: Times,
    pub(crate) watches: Tally,
    pub(crate) watchers_cleared: Tally,
    pub(crate) rounds: Times,
    /// Turns with outcomes: the proposals in them took about as long.
    pub(crate) proposals: Times,
    pub(crate) proposals_failed: Tally,
    /// Syncs of the log, wherever they were done.
    pub(crate) syncs: Times,
    pub(crate) snapshots: Times,
    pub(crate) snapshots_failed: Tally,
}

impl Count for Meters {
    fn received(&self, method: Method) {
        let tallies = METHODS.iter().zip(&self.received);
        if let Some((_, tally)) = tallies.into_iter().find(|(held, _)| **held == method) {
            tally.add_one();
        }
    }

    fn failed(&self, status: u16, method: Method) {
        *self.failed.borrow_mut().entry((status, method.as_str())).or_default() += 1;
    }

    fn refused(&self) {
        self.refused.add_one();
    }
}

impl Meters {
    pub(crate) fn new(now: Now) -> Self {
        Self { started: now.wall / 1_000_000_000, ..Self::default() }
    }

    pub(crate) fn wrote(&self, action: Action, took: Duration) {
        let tallies = Action::ALL.iter().zip(&self.writes);
        if let Some((_, tally)) = tallies.into_iter().find(|(held, _)| **held == action) {
            tally.add_one();
        }
        self.writing.add(took);
    }

    pub(crate) fn received_by_method(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let tallies = METHODS.iter().zip(&self.received);
        tallies.map(|(method, tally)| (method.as_str(), tally.get()))
    }

    pub(crate) fn writes_by_action(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let tallies = Action::ALL.iter().zip(&self.writes);
        tallies.map(|(action, tally)| (action.as_str(), tally.get()))
    }

    /// Answers of 400 and above by their status and the method of the request.
    pub(crate) fn failures(&self) -> Vec<((u16, &'static str), u64)> {
        self.failed.borrow().iter().map(|(labels, count)| (*labels, *count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_within_their_bounds() {
        let times = Times::default();
        for micros in [0, 10, 11, 5_242_880, 5_242_881, 60_000_000] {
            times.add(Duration::from_micros(micros));
        }
        let within: Vec<(f64, u64)> = times.cumulative().collect();
        assert_eq!(within.len(), BOUNDS.len());
        assert_eq!(within.first(), Some(&(1e-5, 2)));
        assert_eq!(within.get(1), Some(&(2e-5, 3)));
        assert_eq!(within.last(), Some(&(5.24288, 4)));
        assert_eq!(times.count(), 6);
        assert!((times.seconds() - 70.485_782).abs() < 1e-9);
    }
}
