//! What the clock of the source shows, and when its keys expire by the clock of this machine.

use legacy::WallTime;

const SECOND: i128 = 1_000_000_000;

/// When a request was sent and its answer had come, by the clock of this machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) sent: WallTime,
    pub(super) came: WallTime,
}

/// How far the source's clock is ahead of this machine's: bounds in nanoseconds. A TTL is printed
/// in whole seconds, rounded up, beside the exact time of the expiration: each such pair tells what
/// time it was to a second, and many of them to much less.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    least: i128,
    most: i128,
}

impl Default for Clock {
    /// Nothing is known.
    fn default() -> Self {
        Self { least: i128::MIN, most: i128::MAX }
    }
}

/// What a node shows of its time to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) expiration: Option<WallTime>,
    pub(super) ttl: Option<i64>,
}

impl Shown {
    /// Whether the node expires at all.
    pub(super) fn expires(self) -> bool {
        self.expiration.is_some() || self.ttl.is_some()
    }
}

impl Clock {
    /// Takes in a node that came within a window.
    pub(super) fn learn(&mut self, shown: Shown, window: Window) {
        // A TTL of nothing says only that the time is over.
        let (Some(expiration), Some(ttl @ 1..)) = (shown.expiration, shown.ttl) else { return };
        let source = i128::from(expiration.0) - i128::from(ttl) * SECOND;
        self.least = self.least.max(source - i128::from(window.came.0));
        self.most = self.most.min(source + SECOND - i128::from(window.sent.0));
    }

    /// How far the source is ahead, if that is known without contradiction. Clocks that may agree
    /// do.
    fn ahead(self) -> Option<i128> {
        let is_known = self.least != i128::MIN && self.most != i128::MAX;
        if !is_known || self.least > self.most {
            return None;
        }
        let agree = (self.least..=self.most).contains(&0);
        Some(if agree { 0 } else { self.least + (self.most - self.least) / 2 })
    }

    /// When a node that came within a window expires by the clock of this machine. What is printed
    /// as its TTL bounds it, so that one node which lies is wrong alone.
    pub(super) fn deadline(self, shown: Shown, window: Window) -> Option<WallTime> {
        if !shown.expires() {
            return None;
        }
        let (sent, came) = (i128::from(window.sent.0), i128::from(window.came.0));
        let ttl = i128::from(shown.ttl.unwrap_or_default()) * SECOND;
        let exact = shown.expiration.zip(self.ahead());
        let exact = exact.map(|(expiration, ahead)| i128::from(expiration.0) - ahead);
        let deadline = exact.unwrap_or(came + ttl).clamp(sent + ttl - SECOND, came + ttl);
        Some(WallTime(u64::try_from(deadline.max(0)).unwrap_or(u64::MAX)))
    }

    /// The same for a node of a past event, whose TTL is what it had then.
    pub(super) fn past_deadline(self, shown: Shown, now: WallTime) -> Option<WallTime> {
        if !shown.expires() {
            return None;
        }
        let ttl = i128::from(shown.ttl.unwrap_or_default().max(0)) * SECOND;
        let latest = i128::from(now.0) + ttl;
        let exact = shown.expiration.zip(self.ahead());
        let exact = exact.map(|(expiration, ahead)| i128::from(expiration.0) - ahead);
        let deadline = exact.unwrap_or(latest).min(latest);
        Some(WallTime(u64::try_from(deadline.max(0)).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window =
        Window { sent: WallTime(100_000_000_000), came: WallTime(100_100_000_000) };

    fn shown(expiration: u64, ttl: i64) -> Shown {
        Shown { expiration: Some(WallTime(expiration)), ttl: Some(ttl) }
    }

    #[test]
    fn clocks_that_agree_give_the_exact_time() {
        let mut clock = Clock::default();
        let node = shown(149_250_000_000, 50);
        clock.learn(node, WINDOW);
        assert_eq!(clock.deadline(node, WINDOW), Some(WallTime(149_250_000_000)));
    }

    #[test]
    fn a_clock_that_is_an_hour_ahead_is_noticed() {
        let mut clock = Clock::default();
        let nodes = [(149_250, 50), (109_900, 10), (130_060, 31)];
        let nodes = nodes.map(|(at, ttl)| shown((at + 3_600_000) * 1_000_000, ttl));
        nodes.iter().for_each(|node| clock.learn(*node, WINDOW));
        let deadline = clock.deadline(nodes[0], WINDOW).expect("it expires").0;
        assert!(deadline.abs_diff(149_250_000_000) < 200_000_000, "{deadline}");
    }

    #[test]
    fn a_node_that_lies_is_wrong_alone() {
        let mut clock = Clock::default();
        let honest = shown(149_250_000_000, 50);
        clock.learn(honest, WINDOW);
        clock.learn(shown(5_000_000_000_000, 1), WINDOW);
        let deadline = clock.deadline(honest, WINDOW).expect("it expires").0;
        assert!(deadline.abs_diff(149_250_000_000) < 1_000_000_000, "{deadline}");
    }

    #[test]
    fn what_is_overdue_is_over_and_what_has_no_time_never_is() {
        let clock = Clock::default();
        let overdue = Shown { expiration: Some(WallTime(99_000_000_000)), ttl: None };
        assert!(clock.deadline(overdue, WINDOW).expect("it expires") <= WINDOW.came);
        let never = Shown { expiration: None, ttl: None };
        assert_eq!(clock.deadline(never, WINDOW), None);
    }

    #[test]
    fn a_past_event_never_lives_longer_than_it_did_then() {
        let now = WallTime(200_000_000_000);
        let deadline = Clock::default().past_deadline(shown(149_000_000_000, 50), now);
        assert_eq!(deadline, Some(WallTime(250_000_000_000)));
        let mut clock = Clock::default();
        clock.learn(shown(149_250_000_000, 50), WINDOW);
        let deadline = clock.past_deadline(shown(230_000_000_000, 50), now);
        assert_eq!(deadline, Some(WallTime(230_000_000_000)));
    }
}
