//! Whether a write would work, asked of the cluster: a read index, which takes all that a write
//! needs but the disk. A majority has to follow the leader, and this member has to reach it.
//!
//! What was confirmed counts for half a heartbeat, and whoever asks later shares one question. It
//! counts as unanswered after a heartbeat and the round trip as it was measured. So `true` is never
//! older than that, `false` comes within two heartbeats of the truth on a network that is fast, and
//! any number of callers cost no more than two questions for each heartbeat.

use super::waiter::NUMBER_MAX;
use crate::net::Key;
use std::collections::VecDeque;

/// The shortest heartbeat that is counted with: 50 ms. A busy machine is late by some milliseconds
/// now and then.
const HEARTBEAT_MIN_NS: u64 = 50_000_000;

/// Questions that are remembered until they are answered.
const QUESTIONS_MAX: usize = 16;

/// What a client wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// `/health`: whether a write would work, which it does however old the last backup is.
    Health,
    /// `/readyz`.
    Ready { is_verbose: bool },
}

/// How long questions take: a mean and a deviation, both smoothed (RFC 6298).
#[derive(Clone, Copy, Debug)]
struct Trip {
    mean: u64,
    deviation: u64,
}

impl Trip {
    fn add(trip: Option<Self>, took: u64) -> Self {
        let Some(Self { mean, deviation }) = trip else {
            return Self { mean: took, deviation: took / 2 };
        };
        Self { mean: (7 * mean + took) / 8, deviation: (3 * deviation + mean.abs_diff(took)) / 4 }
    }

    /// What a question takes that is not lost.
    fn bound(self) -> u64 {
        self.mean + 4 * self.deviation
    }
}

/// What was asked, and who waits for it. All times are nanoseconds of the monotonic clock.
#[derive(Debug)]
pub(crate) struct Probe {
    heartbeat_ns: u64,
    next_number: u32,
    /// What was asked and not answered, and when; the last is what the callers wait for.
    asked: VecDeque<(u32, u64)>,
    waiting: Vec<(Key, Asked)>,
    /// When the last question was asked that was answered.
    confirmed_at: Option<u64>,
    trip: Option<Trip>,
    /// How many questions were asked.
    pub(crate) count: u64,
}

impl Probe {
    pub(crate) fn new(heartbeat_ms: u64) -> Self {
        Self {
            heartbeat_ns: heartbeat_ms.saturating_mul(1_000_000).max(HEARTBEAT_MIN_NS),
            next_number: 0,
            asked: VecDeque::new(),
            waiting: Vec::new(),
            confirmed_at: None,
            trip: None,
            count: 0,
        }
    }

    /// Whether a confirmation is so recent that nothing has to be asked.
    pub(crate) fn is_confirmed(&self, now: u64) -> bool {
        self.confirmed_at.is_some_and(|at| now.saturating_sub(at) <= self.heartbeat_ns / 2)
    }

    /// How long a question may take. Until it is known what it takes, and where that is a lot, it
    /// is as long as reads are not started again.
    pub(crate) fn patience_ns(&self) -> u64 {
        let longest = 2 * self.heartbeat_ns;
        self.heartbeat_ns + self.trip.map_or(longest, Trip::bound).min(longest)
    }

    /// The number of the next question, if none is under way whose answer would do.
    pub(crate) fn next_question(&mut self, now: u64) -> Option<u32> {
        if !self.waiting.is_empty() {
            return None;
        }
        let number = self.next_number;
        self.next_number = number.wrapping_add(1) & NUMBER_MAX;
        if self.asked.len() == QUESTIONS_MAX {
            self.asked.pop_front();
        }
        self.asked.push_back((number, now));
        self.count += 1;
        Some(number)
    }

    /// A caller waits for the question that was asked last.
    pub(crate) fn wait(&mut self, key: Key, asked: Asked) {
        self.waiting.push((key, asked));
    }

    /// A question was answered. Gives those who can be told.
    pub(crate) fn answered(&mut self, number: u32, now: u64) -> Vec<(Key, Asked)> {
        let Some(place) = self.asked.iter().position(|(one, _)| *one == number) else {
            return Vec::new();
        };
        let is_latest = place + 1 == self.asked.len();
        let (_, at) = self.asked.remove(place).expect("it was just found");
        let took = now.saturating_sub(at);
        // What took longer was lost and asked again by the replica: it says nothing of the way.
        if took <= 3 * self.heartbeat_ns {
            self.trip = Some(Trip::add(self.trip, took));
        }
        if !is_latest || took > self.patience_ns() {
            return Vec::new();
        }
        self.confirmed_at = Some(at);
        std::mem::take(&mut self.waiting)
    }

    /// Nanoseconds until the question under way has taken too long; nothing if nobody waits.
    pub(crate) fn until_due(&self, now: u64) -> Option<u64> {
        let (_, at) = self.asked.back().filter(|_| !self.waiting.is_empty())?;
        Some((at + self.patience_ns()).saturating_sub(now))
    }

    /// Gives those whose question has taken too long.
    pub(crate) fn take_late(&mut self, now: u64) -> Vec<(Key, Asked)> {
        match self.until_due(now) {
            Some(0) => std::mem::take(&mut self.waiting),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Slab;

    const MS: u64 = 1_000_000;

    fn key() -> Key {
        Slab::new().insert(())
    }

    /// A probe with a heartbeat of 100 ms that has seen answers after 2 ms.
    fn used() -> Probe {
        let mut probe = Probe::new(100);
        for round in 0..40 {
            let number = probe.next_question(round * 1000 * MS).expect("nothing is under way");
            probe.wait(key(), Asked::Health);
            assert_eq!(probe.answered(number, (round * 1000 + 2) * MS).len(), 1);
        }
        probe
    }

    #[test]
    fn an_answer_counts_for_half_a_heartbeat_from_when_it_was_asked_for() {
        let probe = used();
        assert!(probe.is_confirmed(39_000 * MS + 50 * MS));
        assert!(!probe.is_confirmed(39_000 * MS + 51 * MS));
        assert!(!Probe::new(100).is_confirmed(0), "nothing was ever confirmed");
    }

    #[test]
    fn callers_share_a_question_and_wait_a_heartbeat_and_a_round_trip() {
        let mut probe = used();
        let patience = probe.patience_ns();
        assert!((102 * MS..103 * MS).contains(&patience), "{patience}");
        let start = 50_000 * MS;
        assert!(probe.next_question(start).is_some());
        (0..1000).for_each(|_| probe.wait(key(), Asked::Health));
        assert_eq!(probe.next_question(start + 99 * MS), None, "one is under way");
        assert_eq!(probe.until_due(start + patience - 5), Some(5));
        assert!(probe.take_late(start + patience - 1).is_empty());
        assert_eq!(probe.take_late(start + patience).len(), 1000);
        assert_eq!(probe.until_due(start + patience), None, "nobody waits");
        assert!(probe.next_question(start + patience).is_some(), "the next one asks again");
        assert_eq!(probe.count, 42);
    }

    #[test]
    fn a_late_answer_confirms_nothing_and_says_how_far_it_is() {
        let mut probe = used();
        let at = |ms| 50_000 * MS + ms * MS;
        let first = probe.next_question(at(0)).unwrap();
        probe.wait(key(), Asked::Health);
        assert_eq!(probe.take_late(at(110)).len(), 1);
        let second = probe.next_question(at(120)).unwrap();
        probe.wait(key(), Asked::Health);
        assert!(probe.answered(first, at(150)).is_empty());
        assert!(!probe.is_confirmed(at(150)));
        assert!(probe.patience_ns() > 150 * MS, "what takes 150 ms is waited for");
        assert_eq!(probe.answered(second, at(270)).len(), 1);
        assert!(probe.is_confirmed(at(170)) && !probe.is_confirmed(at(171)));
        assert!(probe.answered(second, at(271)).is_empty(), "said twice");
    }

    #[test]
    fn what_was_lost_for_long_changes_no_patience_and_nothing_grows() {
        let mut probe = used();
        let patience = probe.patience_ns();
        for round in 0..1000 {
            probe.next_question(round * 200 * MS).unwrap();
            probe.wait(key(), Asked::Health);
            probe.take_late((round * 200 + 190) * MS);
        }
        assert_eq!(probe.asked.len(), QUESTIONS_MAX);
        for number in 0..1040 {
            probe.answered(number, 300_000 * MS);
        }
        assert_eq!(probe.patience_ns(), patience);
        assert!(probe.asked.is_empty());
    }
}
