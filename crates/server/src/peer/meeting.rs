//! How many addresses that callers name are dialled in a while.

/// Addresses that may be dialled at once: as many members as may move together, and more.
const BURST: u64 = 16;

/// How long one more takes: 1 s.
const EACH_NS: u64 = 1_000_000_000;

/// A bucket that fills by one a second.
#[derive(Debug, Default)]
pub(super) struct Meetings {
    /// When the bucket will be full again, by the monotonic clock.
    full_at: u64,
}

impl Meetings {
    /// Whether one more address may be dialled, which is counted.
    pub(super) fn may_dial(&mut self, now: u64) -> bool {
        let full_at = self.full_at.max(now).saturating_add(EACH_NS);
        let may = full_at - now <= BURST * EACH_NS;
        if may {
            self.full_at = full_at;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_is_bounded_and_time_makes_room() {
        let mut meetings = Meetings::default();
        let dialled =
            |meetings: &mut Meetings, now| (0..100_000).filter(|_| meetings.may_dial(now)).count();
        assert_eq!(dialled(&mut meetings, 5), 16);
        assert_eq!(dialled(&mut meetings, 5 + EACH_NS), 1);
        assert_eq!(dialled(&mut meetings, 5 + 4 * EACH_NS), 3);
        assert_eq!(dialled(&mut meetings, 5 + 1000 * EACH_NS), 16);
    }
}
