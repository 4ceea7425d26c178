//! What is counted as it happens.
//!
//! These are bare numbers. What `/metrics` calls them, and all that is only looked up when somebody
//! asks, is in the tables of `api/metrics`. One thread counts and shows, so that counting costs an
//! addition, and no clock is read for it but where the loop reads one anyway.

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

/// The places of [`Meters::served`]: one for each method, and one for quorum reads.
const SERVED: usize = METHODS.len() + 1;

/// What etcd calls the method of a quorum read.
const QUORUM_READ: &str = "QGET";

/// The bounds of a histogram in seconds, each twice the one before: from 8 us, where an answer from
/// memory is, to 8 s, where requests time out. They hold those that etcd has for syncs (from 1 ms
/// on) and for requests (from 0.5 ms on), so that both kinds of servers can be added up.
const BOUNDS: [f64; 21] = {
    let mut bounds = [1e-3 / 128.0; 21];
    let mut at = 1;
    while at < bounds.len() {
        bounds[at] = bounds[at - 1] * 2.0;
        at += 1;
    }
    bounds
};

const MINUTE_NS: u64 = 60_000_000_000;

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Tally(Cell<u64>);

impl Tally {
    pub(crate) fn add_one(&self) {
        self.add(1);
    }

    fn add(&self, count: u64) {
        self.0.set(self.0.get() + count);
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
        self.add_many(took, 1);
    }

    /// Something took as long `count` times.
    fn add_many(&self, took: Duration, count: u64) {
        let seconds = took.as_secs_f64();
        let mut tallies = BOUNDS.iter().zip(&self.within);
        if let Some((_, tally)) = tallies.find(|(bound, _)| seconds <= **bound) {
            tally.add(count);
        }
        self.count.add(count);
        self.seconds.set(self.seconds.get() + seconds * count as f64);
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

    /// The numbers as they are now.
    pub(crate) fn counts(&self) -> Counts {
        Counts { within: std::array::from_fn(|at| self.within[at].get()), count: self.count() }
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.seconds.get()
    }
}

/// How many [`Times`] there were within each bound and beyond the one before, at some moment or
/// between two.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    within: [u64; BOUNDS.len()],
    /// Those beyond the last bound as well.
    count: u64,
}

impl Counts {
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// What has come since an earlier moment.
    pub(crate) fn since(&self, earlier: &Counts) -> Counts {
        let within = std::array::from_fn(|at| self.within[at].saturating_sub(earlier.within[at]));
        Counts { within, count: self.count.saturating_sub(earlier.count) }
    }

    /// The seconds within which a part of them was done, as if they were spread evenly between two
    /// bounds. What took longer than the last bound counts as that. Nothing if there is none.
    pub(crate) fn quantile(&self, part: f64) -> Option<f64> {
        let (mut left, mut lower) = (part * self.count as f64, 0.0);
        for (bound, within) in BOUNDS.iter().zip(self.within) {
            if within > 0 && left <= within as f64 {
                return Some(lower + (bound - lower) * left / within as f64);
            }
            (left, lower) = (left - within as f64, *bound);
        }
        (self.count > 0).then_some(lower)
    }
}

/// The longest time of the last minute that has ended and of the present one.
#[derive(Debug, Default)]
pub(crate) struct Longest {
    /// Which minute the present one is.
    minute: Cell<u64>,
    present: Cell<u64>,
    before: Cell<u64>,
}

impl Longest {
    /// Something took so many nanoseconds until `now` of the monotonic clock.
    pub(crate) fn add(&self, ns: u64, now: u64) {
        self.go_on(now);
        self.present.set(self.present.get().max(ns));
    }

    /// In seconds.
    pub(crate) fn seconds(&self, now: u64) -> f64 {
        self.go_on(now);
        self.present.get().max(self.before.get()) as f64 / 1e9
    }

    fn go_on(&self, now: u64) {
        let minute = now / MINUTE_NS;
        if minute != self.minute.get() {
            let is_next = minute == self.minute.get() + 1;
            self.before.set(if is_next { self.present.get() } else { 0 });
            self.present.set(0);
            self.minute.set(minute);
        }
    }
}

/// A read that was answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServedRead {
    pub(crate) method: Method,
    pub(crate) is_quorum: bool,
    pub(crate) is_recursive: bool,
    /// How long it waited for a read index. What was answered as it came has no time of its own
    /// yet: [`Meters::settle`].
    pub(crate) waited: Option<Duration>,
}

/// Reads by what they found: one node, or all below it as well.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    plain: Tally,
    recursive: Tally,
}

impl Reads {
    pub(crate) fn add(&self, is_recursive: bool) {
        if is_recursive { &self.recursive } else { &self.plain }.add_one();
    }

    fn count(&self) -> u64 {
        self.plain.get() + self.recursive.get()
    }

    pub(crate) fn by_action(&self) -> [(&'static str, u64); 2] {
        [("get", self.plain.get()), ("getRecursive", self.recursive.get())]
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
    pub(crate) reads: Reads,
    pub(crate) reads_failed: Reads,
    /// Those of both that only a page sent that keeps itself up to date.
    pub(crate) reads_polled: Tally,
    writes: [Tally; Action::ALL.len()],
    /// From the arrival of a request for a key to its answer.
    served: [Times; SERVED],
    /// Reads that were answered since a clock was last read.
    fresh: [Tally; METHODS.len()],
    has_fresh: Cell<bool>,
    pub(crate) watches: Tally,
    pub(crate) watchers_cleared: Tally,
    pub(crate) rounds: Times,
    pub(crate) longest_round: Longest,
    /// Turns that had outcomes or events.
    pub(crate) turns: Tally,
    /// From the arrival of a write to its outcome, good or bad.
    pub(crate) proposals: Times,
    pub(crate) proposals_failed: Tally,
    pub(crate) read_indexes_failed: Tally,
    pub(crate) healthy: Tally,
    pub(crate) unhealthy: Tally,
    /// Syncs of the log, wherever they were done.
    pub(crate) syncs: Times,
    pub(crate) snapshots: Times,
    /// Bytes of the last one that was written here; zero before the first.
    pub(crate) snapshot_bytes: Cell<u64>,
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

    /// A write was carried out.
    pub(crate) fn wrote(&self, action: Action, method: Method, took: Duration) {
        let tallies = Action::ALL.iter().zip(&self.writes);
        if let Some((_, tally)) = tallies.into_iter().find(|(held, _)| **held == action) {
            tally.add_one();
        }
        if let Some(times) = self.served_by(method, false) {
            times.add(took);
        }
    }

    /// A read was answered.
    pub(crate) fn read(&self, read: ServedRead) {
        self.reads.add(read.is_recursive);
        if let Some(took) = read.waited {
            if let Some(times) = self.served_by(read.method, read.is_quorum) {
                times.add(took);
            }
            return;
        }
        let tallies = METHODS.iter().zip(&self.fresh);
        if let Some((_, tally)) = tallies.into_iter().find(|(held, _)| **held == read.method) {
            tally.add_one();
            self.has_fresh.set(true);
        }
    }

    /// A clock was read: so long ago the round began, and what was answered since then is on its
    /// way.
    pub(crate) fn settle(&self, since_begin: Duration) {
        if !self.has_fresh.take() {
            return;
        }
        for (method, fresh) in METHODS.iter().zip(&self.fresh) {
            let count = fresh.0.take();
            if let Some(times) = self.served_by(*method, false).filter(|_| count > 0) {
                times.add_many(since_begin, count);
            }
        }
    }

    fn served_by(&self, method: Method, is_quorum: bool) -> Option<&Times> {
        let at = METHODS.iter().position(|held| *held == method);
        self.served.get(if is_quorum { METHODS.len() } else { at? })
    }

    /// How long requests took, by method; those that there were none of are left out.
    pub(crate) fn served(&self) -> impl Iterator<Item = (&'static str, &Times)> {
        let names = METHODS.iter().map(|method| method.as_str()).chain([QUORUM_READ]);
        names.zip(&self.served).filter(|(_, times)| times.count() > 0)
    }

    /// `/health` was asked.
    pub(crate) fn told_health(&self, is_healthy: bool) {
        if is_healthy { &self.healthy } else { &self.unhealthy }.add_one();
    }

    /// Reads that clients sent, whether or not the key was there; without those of a page that
    /// keeps itself up to date.
    pub(crate) fn reads_of_clients(&self) -> u64 {
        let all = self.reads.count() + self.reads_failed.count();
        all.saturating_sub(self.reads_polled.get())
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
        for micros in [0, 7, 8, 8_192_000, 8_192_001, 60_000_000] {
            times.add(Duration::from_micros(micros));
        }
        let within: Vec<(f64, u64)> = times.cumulative().collect();
        assert_eq!(within.len(), BOUNDS.len());
        assert_eq!(within.first(), Some(&(7.8125e-6, 2)));
        assert_eq!(within.get(1), Some(&(1.5625e-5, 3)));
        assert_eq!(within.last(), Some(&(8.192, 4)));
        assert_eq!(times.count(), 6);
        assert!((times.seconds() - 76.384_016).abs() < 1e-9);
        // Those of etcd.
        for bound in [0.0005, 0.001, 0.016, 2.048, 8.192] {
            assert!(BOUNDS.contains(&bound), "{bound}");
        }
    }

    #[test]
    fn a_part_of_the_times_is_within_some_seconds() {
        let times = Times::default();
        assert_eq!(times.counts().quantile(0.5), None);
        (0..100).for_each(|_| times.add(Duration::from_micros(1500)));
        let before = times.counts();
        // From 1 to 2 ms.
        let close = |one: Option<f64>, other: f64| (one.unwrap_or(-1.0) - other).abs() < 1e-9;
        assert!(close(before.quantile(0.5), 0.0015), "{before:?}");
        assert!(close(before.quantile(1.0), 0.002), "{before:?}");
        times.add(Duration::from_secs(60));
        let counts = times.counts();
        assert!(close(counts.quantile(0.999), 8.192), "{counts:?}");
        let late = counts.since(&before);
        assert_eq!(late.count(), 1);
        assert!(close(late.quantile(0.01), 8.192), "{late:?}");
    }

    #[test]
    fn a_read_takes_until_the_next_look_at_a_clock() {
        let meters = Meters::default();
        let read = |waited: Option<u64>, is_quorum| {
            let waited = waited.map(Duration::from_millis);
            meters.read(ServedRead { method: Method::Get, is_quorum, is_recursive: false, waited });
        };
        let served = || {
            let all = meters.served();
            all.map(|(name, times)| (name, times.count(), times.seconds())).collect::<Vec<_>>()
        };
        read(None, false);
        read(None, false);
        assert_eq!(served(), []);
        meters.settle(Duration::from_millis(250));
        meters.settle(Duration::from_secs(9));
        assert_eq!(served(), [("GET", 2, 0.5)]);
        read(Some(500), true);
        read(Some(1000), false);
        meters.wrote(Action::Set, Method::Put, Duration::from_secs(2));
        assert_eq!(served(), [("GET", 3, 1.5), ("PUT", 1, 2.0), ("QGET", 1, 0.5)]);
    }

    #[test]
    fn the_longest_time_is_forgotten_after_a_minute_or_two() {
        let (longest, second) = (Longest::default(), 1_000_000_000);
        longest.add(3 * second, 59 * second);
        longest.add(second, 61 * second);
        assert!((longest.seconds(119 * second) - 3.0).abs() < 1e-9);
        assert!((longest.seconds(121 * second) - 1.0).abs() < 1e-9);
        assert!(longest.seconds(600 * second).abs() < 1e-9);
        longest.add(2 * second, 601 * second);
        assert!((longest.seconds(900 * second)).abs() < 1e-9, "minutes without a round");
    }
}
