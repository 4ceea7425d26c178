//! How long rounds of the loop take. While one runs, no other client is served and no heartbeat is
//! sent.

use super::context::Context;
use crate::notice::notice;
use crate::text::{span, span_of};
use replica::Clock;
use std::time::Duration;

/// A longer round is logged: members consider a silent leader dead after two of these.
const LONG_NS: u64 = 100_000_000;

/// A loop that waited so much longer than it wanted was stopped, or starved: 500 ms.
const STALL: Duration = Duration::from_millis(500);

/// What a round consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RoundPart {
    /// What had arrived was taken: requests, and messages of members.
    Events,
    /// The replica's turn, with its sync if it was done in place, and the delivery of its results.
    Turn,
    /// Requests that were sent ahead, long answers, and what is done once a second.
    Rest,
}

/// The round that runs.
#[derive(Debug, Default)]
pub(super) struct RoundTimes {
    began: u64,
    /// When the last part ended; zero before the first round.
    last: u64,
    parts: Vec<(RoundPart, u64)>,
}

impl RoundTimes {
    /// A round begins; `patience` is how long the loop wanted to wait for it at most.
    pub(super) fn begin(&mut self, now: u64, patience: Duration) {
        if let Some(stood) = self.stood_still(now, patience) {
            let time = span_of(stood);
            notice!(
                StoodStill,
                "",
                "for {time}: it was stopped or suspended, or got no processor time. Other members \
                 may have elected another leader meanwhile"
            );
        }
        (self.began, self.last) = (now, now);
        self.parts.clear();
    }

    /// How much longer than it wanted the loop has waited, if that was long.
    fn stood_still(&self, now: u64, patience: Duration) -> Option<Duration> {
        let waited = Duration::from_nanos(now.saturating_sub(self.last));
        let excess = waited.saturating_sub(patience);
        (self.last > 0 && excess >= STALL).then_some(excess)
    }

    fn end_part_at(&mut self, part: RoundPart, now: u64) {
        self.parts.push((part, now.saturating_sub(self.last)));
        self.last = now;
    }

    /// A part is over.
    pub(super) fn end_part(&mut self, cx: &Context, part: RoundPart) {
        let now = cx.clock.now().monotonic;
        self.end_part_at(part, now);
        cx.meters.settle(Duration::from_nanos(now.saturating_sub(self.began)));
    }

    /// The round is over.
    pub(super) fn end(&mut self, cx: &mut Context) {
        self.end_part(cx, RoundPart::Rest);
        let nanos: u64 = self.parts.iter().map(|(_, nanos)| nanos).sum();
        cx.meters.rounds.add(Duration::from_nanos(nanos));
        cx.meters.longest_round.add(nanos, self.last);
        let is_told = std::mem::take(&mut cx.incidents.is_round_told);
        if let Some(part) = self.slowest(nanos).filter(|_| !is_told) {
            let ms = nanos / 1_000_000;
            notice!(
                RoundSlow,
                "",
                [ms,],
                "{}, most of it in {}: no client was served meanwhile",
                span(nanos),
                match part {
                    RoundPart::Events => "requests and messages that had arrived",
                    RoundPart::Turn => "writing and syncing the log (is the disk slow?)",
                    RoundPart::Rest => "pipelined requests and long answers",
                }
            );
        }
    }

    /// The part that took most of a round, if the round was long.
    fn slowest(&self, nanos: u64) -> Option<RoundPart> {
        if nanos <= LONG_NS {
            return None;
        }
        self.parts.iter().max_by_key(|(_, nanos)| *nanos).map(|(part, _)| *part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_round_is_told_of_with_what_took_it() {
        let mut rounds = RoundTimes::default();
        let mut round = |began: u64, ms: [u64; 3]| {
            rounds.begin(began, Duration::MAX);
            let mut now = began;
            for (part, ms) in
                [RoundPart::Events, RoundPart::Turn, RoundPart::Rest].into_iter().zip(ms)
            {
                now += ms * 1_000_000;
                rounds.end_part_at(part, now);
            }
            rounds.slowest(now - began)
        };
        assert_eq!(round(0, [30, 60, 10]), None, "just short enough");
        assert_eq!(round(1_000, [30, 160, 10]), Some(RoundPart::Turn));
        assert_eq!(round(2_000, [300, 60, 10]), Some(RoundPart::Events));
    }

    #[test]
    fn a_loop_that_waits_as_long_as_it_wants_does_not_stand_still() {
        let second = Duration::from_secs(1);
        let mut rounds = RoundTimes::default();
        assert_eq!(rounds.stood_still(9_000_000_000, second), None, "the first round");
        rounds.begin(1_000_000_000, second);
        assert_eq!(rounds.stood_still(2_400_000_000, second), None);
        assert_eq!(rounds.stood_still(5_000_000_000, second), Some(3 * second));
    }
}
