//! How long rounds of the loop take. While one runs, no other client is served and no heartbeat is
//! sent.

use super::context::Context;
use replica::Clock;
use std::time::Duration;

/// A longer round is logged: members consider a silent leader dead after two of these.
const LONG_NS: u64 = 100_000_000;

/// The minimum interval between two such log lines: 10 s.
const PAUSE_NS: u64 = 10_000_000_000;

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
    last: u64,
    parts: Vec<(RoundPart, u64)>,
    told_at: Option<u64>,
}

impl RoundTimes {
    pub(super) fn begin(&mut self, now: u64) {
        self.last = now;
        self.parts.clear();
    }

    fn end_part_at(&mut self, part: RoundPart, now: u64) {
        self.parts.push((part, now.saturating_sub(self.last)));
        self.last = now;
    }

    /// A part is over.
    pub(super) fn end_part(&mut self, cx: &Context, part: RoundPart) {
        self.end_part_at(part, cx.clock.now().monotonic);
    }

    /// The round is over.
    pub(super) fn end(&mut self, cx: &Context) {
        self.end_part(cx, RoundPart::Rest);
        let nanos: u64 = self.parts.iter().map(|(_, nanos)| nanos).sum();
        cx.meters.rounds.add(Duration::from_nanos(nanos));
        if let Some(part) = self.told(nanos) {
            let ms = nanos / 1_000_000;
            tracing::warn!(
                ms,
                "a round of the event loop took too long, most of it in {}: no client was served \
                 meanwhile",
                match part {
                    RoundPart::Events => "requests and messages that had arrived",
                    RoundPart::Turn => "writing and syncing the log (is the disk slow?)",
                    RoundPart::Rest => "pipelined requests and long answers",
                }
            );
        }
    }

    /// The part that took most of a round, if the round is to be logged.
    fn told(&mut self, nanos: u64) -> Option<RoundPart> {
        let is_new = self.told_at.is_none_or(|at| self.last.saturating_sub(at) >= PAUSE_NS);
        if nanos <= LONG_NS || !is_new {
            return None;
        }
        self.told_at = Some(self.last);
        self.parts.iter().max_by_key(|(_, nanos)| *nanos).map(|(part, _)| *part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_round_is_told_of_with_what_took_it_and_not_too_often() {
        let mut rounds = RoundTimes::default();
        let mut round = |began: u64, ms: [u64; 3]| {
            rounds.begin(began);
            let mut now = began;
            for (part, ms) in
                [RoundPart::Events, RoundPart::Turn, RoundPart::Rest].into_iter().zip(ms)
            {
                now += ms * 1_000_000;
                rounds.end_part_at(part, now);
            }
            rounds.told(now - began)
        };
        assert_eq!(round(0, [30, 60, 10]), None, "just short enough");
        assert_eq!(round(1_000, [30, 160, 10]), Some(RoundPart::Turn));
        assert_eq!(round(2_000, [300, 60, 10]), None, "it was told a moment ago");
        assert_eq!(round(PAUSE_NS * 2, [300, 60, 10]), Some(RoundPart::Events));
    }
}
