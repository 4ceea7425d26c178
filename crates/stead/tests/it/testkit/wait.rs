//! Waiting for a condition with a deadline, in place of a sleep that hopes.

use std::time::{Duration, Instant};

/// How long to rest between two looks at a condition.
const POLL: Duration = Duration::from_millis(5);

/// Looks at `condition` until it holds or `limit` is over; says whether it held.
pub(crate) fn holds_within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(POLL);
    }
}

/// Waits for `condition`, and fails the test with `what` where it does not come true.
pub(crate) fn wait_until(what: &str, limit: Duration, condition: impl FnMut() -> bool) {
    assert!(holds_within(limit, condition), "not within {limit:?}: {what}");
}
