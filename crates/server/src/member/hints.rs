//! Hints that this machine was removed: which are followed, and how often.

use replica::{About, MemberId};

/// How long a hint waits before it is followed: 250 ms. Members apply a removal one after the
/// other, and a leader that goes on to speak answers the question as well.
const SETTLE_NS: u64 = 250_000_000;

/// How long a hint counts: 5 s. One that still holds comes again.
pub(super) const HINT_NS: u64 = 5_000_000_000;

/// The shortest and the longest time between two rounds of questions: 5 s and 5 min.
const PAUSE_MIN_NS: u64 = 5_000_000_000;
const PAUSE_MAX_NS: u64 = 300_000_000_000;

/// What one member knows about this one, with a sentence for the log.
pub(crate) struct HintAnswer {
    pub(super) from: MemberId,
    pub(super) about: Option<About>,
    pub(super) said: String,
}

/// Members that claimed that this machine was removed, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hint {
    pub(super) from: MemberId,
    pub(super) first: u64,
    pub(super) last: u64,
}

/// The state of the question.
pub(crate) struct Inquiry {
    pub(super) hint: Option<Hint>,
    /// No round is begun, and no hint talked of, before this reading of the monotonic clock.
    pub(super) rests_until: u64,
    pub(super) pause_ns: u64,
    pub(super) is_asking: bool,
}

impl Default for Inquiry {
    fn default() -> Self {
        Self { hint: None, rests_until: 0, pause_ns: PAUSE_MIN_NS, is_asking: false }
    }
}

impl Inquiry {
    /// A member claimed that this one was removed.
    pub(crate) fn hint(&mut self, from: MemberId, now: u64) {
        let first = self.hint.map_or(now, |hint| hint.first);
        self.hint = Some(Hint { from, first, last: now });
    }

    /// Exponential backoff, reset after a pause without hints.
    pub(super) fn rest(&mut self, now: u64) {
        self.rests_until = now.saturating_add(self.pause_ns);
        self.pause_ns = self.pause_ns.saturating_mul(2).min(PAUSE_MAX_NS);
        self.hint = None;
    }

    /// The hint to follow up now, if any.
    pub(super) fn due(&mut self, now: u64) -> Option<Hint> {
        let is_over = |hint: &Hint| now.saturating_sub(hint.last) > HINT_NS;
        self.hint = self.hint.filter(|hint| !is_over(hint));
        let quiet_since = self.rests_until.saturating_add(self.pause_ns);
        if self.hint.is_none() && now > quiet_since {
            self.pause_ns = PAUSE_MIN_NS;
        }
        let is_free = !self.is_asking && now >= self.rests_until;
        self.hint.filter(|hint| is_free && now.saturating_sub(hint.first) >= SETTLE_NS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn hints_are_followed_rarely_however_many_come() {
        let mut inquiry = Inquiry::default();
        let mut rounds = Vec::new();
        // A hint every 10 ms for half an hour.
        for now in (0..1800 * SECOND).step_by(10_000_000) {
            inquiry.hint(MemberId(2), now);
            if inquiry.due(now).is_some() {
                rounds.push(now / SECOND);
                inquiry.rest(now);
            }
        }
        let gaps: Vec<u64> = rounds.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|gap| *gap >= 5), "{gaps:?}");
        assert!(gaps.windows(2).all(|pair| pair[0] <= pair[1] + 1), "{gaps:?}");
        assert!((8..=14).contains(&rounds.len()), "{rounds:?}");
    }

    #[test]
    fn a_hint_settles_first_is_asked_about_once_and_grows_old() {
        let mut inquiry = Inquiry::default();
        assert!(inquiry.due(SECOND).is_none(), "nobody said anything");
        inquiry.hint(MemberId(2), SECOND);
        assert!(inquiry.due(SECOND).is_none(), "at once");
        assert!(inquiry.due(SECOND + SETTLE_NS).is_some());
        inquiry.is_asking = true;
        assert!(inquiry.due(2 * SECOND).is_none(), "while a round is under way");
        inquiry.is_asking = false;
        assert!(inquiry.due(2 * SECOND + HINT_NS).is_none(), "old");
    }

    #[test]
    fn a_long_silence_makes_the_next_hint_count_as_the_first() {
        let mut inquiry = Inquiry::default();
        for _ in 0..10 {
            inquiry.rest(0);
        }
        assert_eq!(inquiry.pause_ns, PAUSE_MAX_NS);
        assert!(inquiry.due(601 * SECOND).is_none());
        assert_eq!(inquiry.pause_ns, PAUSE_MIN_NS);
    }
}
