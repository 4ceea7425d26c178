//! Waiting for the next event: asleep, or awake for a moment first.
//!
//! A thread that sleeps takes tens of microseconds to wake up, most of all on a virtual processor
//! that has gone to sleep with it. A client that sends one request after the other meets that
//! delay every time. So when the last waits were short the loop looks for the next event a while
//! before it sleeps; when they were long it sleeps at once, and an idle machine costs nothing.
//!
//! That is for reads. Whoever waits for a sync sleeps meanwhile, and wakes up soonest on the
//! processor that this loop leaves; and members on one machine would take it from one another.

use mio::{Events, Poll};
use std::io;
use std::time::{Duration, Instant};

/// What one wait counts for at most: a long one shows at once, and is soon forgotten.
const WAIT_NS_MAX: u64 = 1_000_000;

/// Predicts how long the loop will wait from how long it waited.
#[derive(Debug)]
pub(crate) struct BusyPoll {
    /// How long the loop may look for events before it sleeps; zero to sleep at once.
    awake_ns: u64,
    /// The waits so far, the newer ones counting more.
    mean_ns: u64,
    /// Whether the next event may come at once.
    expects_more: bool,
}

impl BusyPoll {
    /// `awake` is how long to look for events before sleeping. On a single processor the process
    /// that would send them could not run meanwhile, so nothing is looked for there.
    pub(crate) fn new(awake: Duration) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let awake = if processors > 1 { awake } else { Duration::ZERO };
        Self { awake_ns: nanos(awake), mean_ns: WAIT_NS_MAX, expects_more: false }
    }

    /// A read was answered in this round: its client may ask for the next thing at once.
    pub(crate) fn after_read(&mut self) {
        self.expects_more = true;
    }

    /// Waits for events, `patience` at most.
    ///
    /// # Errors
    /// As [`Poll::poll`].
    pub(crate) fn wait(
        &mut self,
        poll: &mut Poll,
        events: &mut Events,
        patience: Duration,
    ) -> io::Result<()> {
        if patience.is_zero() || self.awake_ns == 0 {
            return poll.poll(events, Some(patience));
        }
        events.clear();
        let start = Instant::now();
        if self.stays_awake() {
            let limit = patience.min(Duration::from_nanos(self.awake_ns));
            while events.is_empty() && start.elapsed() < limit {
                poll.poll(events, Some(Duration::ZERO))?;
            }
        }
        if events.is_empty() {
            poll.poll(events, Some(patience.saturating_sub(start.elapsed())))?;
        }
        self.note(nanos(start.elapsed()));
        Ok(())
    }

    fn stays_awake(&mut self) -> bool {
        std::mem::take(&mut self.expects_more) && self.mean_ns <= self.awake_ns
    }

    fn note(&mut self, waited_ns: u64) {
        self.mean_ns = (self.mean_ns * 3 + waited_ns.min(WAIT_NS_MAX)) / 4;
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace() -> BusyPoll {
        BusyPoll { awake_ns: 50_000, mean_ns: WAIT_NS_MAX, expects_more: false }
    }

    fn stays_awake_after_a_read(pace: &mut BusyPoll) -> bool {
        pace.after_read();
        pace.stays_awake()
    }

    #[test]
    fn short_waits_keep_it_awake_and_a_long_one_ends_that() {
        let mut pace = pace();
        assert!(!stays_awake_after_a_read(&mut pace), "nothing is known yet");
        for _ in 0..20 {
            pace.note(10_000);
        }
        assert!(stays_awake_after_a_read(&mut pace));
        pace.note(u64::MAX);
        assert!(!stays_awake_after_a_read(&mut pace));
        for _ in 0..20 {
            pace.note(10_000);
        }
        assert!(stays_awake_after_a_read(&mut pace), "a long wait is forgotten");
    }

    #[test]
    fn it_sleeps_where_nothing_was_read() {
        let mut pace = BusyPoll { mean_ns: 0, ..pace() };
        assert!(!pace.stays_awake());
        assert!(stays_awake_after_a_read(&mut pace));
        assert!(!pace.stays_awake(), "once for each read");
    }

    #[test]
    fn it_waits_no_longer_than_it_may_and_sees_what_comes() {
        for mean_ns in [0, WAIT_NS_MAX] {
            let mut pace = BusyPoll { mean_ns, expects_more: true, ..pace() };
            let mut poll = Poll::new().expect("a poll");
            let mut events = Events::with_capacity(4);
            pace.wait(&mut poll, &mut events, Duration::from_micros(20)).expect("nothing fails");
            assert!(events.is_empty());
            let waker = mio::Waker::new(poll.registry(), mio::Token(3)).expect("a waker");
            waker.wake().expect("nothing fails");
            pace.wait(&mut poll, &mut events, Duration::from_secs(600)).expect("nothing fails");
            assert_eq!(events.iter().next().map(|event| event.token()), Some(mio::Token(3)));
        }
    }
}
