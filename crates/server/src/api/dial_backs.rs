//! How often strangers make the leader dial.

/// How many addresses are dialled at the same time, and begun within a second.
const AT_ONCE_MAX: usize = 4;
const A_SECOND_MAX: usize = 8;

/// What is being dialled.
#[derive(Debug, Default)]
pub(crate) struct DialBacks {
    running: usize,
    /// The second by the monotonic clock, and how many were begun in it.
    second: u64,
    begun: usize,
}

impl DialBacks {
    /// Whether one more may be begun now; it is counted then.
    pub(super) fn begin(&mut self, now: u64) -> bool {
        let second = now / 1_000_000_000;
        if second != self.second {
            (self.second, self.begun) = (second, 0);
        }
        let has_room = self.running < AT_ONCE_MAX && self.begun < A_SECOND_MAX;
        if has_room {
            self.running += 1;
            self.begun += 1;
        }
        has_room
    }

    pub(crate) fn end(&mut self) {
        self.running = self.running.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_make_few_calls_at_a_time_and_few_in_a_second() {
        let mut dials = DialBacks::default();
        let second = 1_000_000_000;
        assert!((0..AT_ONCE_MAX).all(|_| dials.begin(second)));
        assert!(!dials.begin(second), "too many at a time");
        (0..AT_ONCE_MAX).for_each(|_| dials.end());
        assert!((0..A_SECOND_MAX - AT_ONCE_MAX).all(|_| dials.begin(second + 1)));
        assert!(!dials.begin(second + 2), "too many in this second");
        (0..AT_ONCE_MAX).for_each(|_| dials.end());
        assert!(dials.begin(2 * second));
    }
}
