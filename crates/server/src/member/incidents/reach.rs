//! Which members can be reached, whether they are a majority, and what of it is news. No clocks and
//! no log here.

use replica::MemberId;

/// How long a member is unreachable until that is told: 1 s, more than a restart of its process.
const DOWN_NS: u64 = 1_000_000_000;

/// The same for one that was never reached: 10 s, since it may still start.
const NEVER_NS: u64 = 10_000_000_000;

/// After so long without a majority somebody has to decide what to do: 60 s.
const GONE_NS: u64 = 60_000_000_000;

/// Another member.
#[derive(Debug)]
struct Other {
    id: MemberId,
    is_up: bool,
    was_up: bool,
    /// Since when it is as it is.
    since: u64,
    /// Since when it is unreachable, if the log says so.
    told_down: Option<u64>,
}

/// What is news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::member) enum News {
    Down {
        id: MemberId,
        ns: u64,
    },
    Up {
        id: MemberId,
        ns: u64,
    },
    MajorityLost,
    /// It is still lost after a minute.
    MajorityGone,
    MajorityBack {
        ns: u64,
    },
}

/// What was told of the other members.
#[derive(Debug, Default)]
pub(in crate::member) struct Reach {
    others: Vec<Other>,
    /// Since when there is no majority, and whether the log says so.
    alone_since: Option<u64>,
    has_told: bool,
    has_told_gone: bool,
    had_majority: bool,
}

/// What a look sees of one member.
#[derive(Clone, Copy, Debug)]
pub(in crate::member) struct Seen {
    pub(in crate::member) id: MemberId,
    pub(in crate::member) is_up: bool,
    pub(in crate::member) is_voter: bool,
}

impl Reach {
    /// Looks at the other members. `votes` says whether this one is a voter.
    pub(in crate::member) fn look(
        &mut self,
        seen: impl Iterator<Item = Seen>,
        votes: bool,
        now: u64,
        tell: &mut dyn FnMut(News),
    ) {
        let (mut voters, mut up) = (usize::from(votes), usize::from(votes));
        for one in seen {
            voters += usize::from(one.is_voter);
            up += usize::from(one.is_voter && one.is_up);
            self.look_at(one, now, tell);
        }
        self.judge(up > voters / 2, now, tell);
    }

    /// For how many nanoseconds no majority has been reachable, if that is a minute or more.
    pub(in crate::member) fn gone_for(&self, now: u64) -> Option<u64> {
        let ns = now.saturating_sub(self.alone_since?);
        (ns >= GONE_NS).then_some(ns)
    }

    /// Forgets those who are no members any more.
    pub(in crate::member) fn retain(&mut self, is_member: impl Fn(MemberId) -> bool) {
        self.others.retain(|other| is_member(other.id));
    }

    fn look_at(&mut self, seen: Seen, now: u64, tell: &mut dyn FnMut(News)) {
        let Seen { id, is_up, .. } = seen;
        let Some(other) = self.others.iter_mut().find(|other| other.id == id) else {
            self.others.push(Other { id, is_up, was_up: is_up, since: now, told_down: None });
            return;
        };
        if other.is_up != is_up {
            (other.is_up, other.since) = (is_up, now);
        }
        other.was_up |= is_up;
        let patience = if other.was_up { DOWN_NS } else { NEVER_NS };
        let ns = now.saturating_sub(other.since);
        if is_up {
            if let Some(since) = other.told_down.take() {
                tell(News::Up { id, ns: now.saturating_sub(since) });
            }
        } else if other.told_down.is_none() && ns >= patience {
            other.told_down = Some(other.since);
            tell(News::Down { id, ns });
        }
    }

    fn judge(&mut self, has_majority: bool, now: u64, tell: &mut dyn FnMut(News)) {
        if has_majority {
            self.had_majority = true;
            self.has_told_gone = false;
            let since = self.alone_since.take();
            if std::mem::replace(&mut self.has_told, false) {
                let ns = now.saturating_sub(since.unwrap_or(now));
                tell(News::MajorityBack { ns });
            }
            return;
        }
        let since = *self.alone_since.get_or_insert(now);
        let patience = if self.had_majority { DOWN_NS } else { NEVER_NS };
        if !self.has_told && now.saturating_sub(since) >= patience {
            self.has_told = true;
            tell(News::MajorityLost);
        }
        if !self.has_told_gone && self.gone_for(now).is_some() {
            self.has_told_gone = true;
            tell(News::MajorityGone);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn look(reach: &mut Reach, up: [bool; 2], now: u64) -> Vec<News> {
        let mut news = Vec::new();
        let seen = [2, 3].into_iter().zip(up);
        let seen = seen.map(|(id, is_up)| Seen { id: MemberId(id), is_up, is_voter: true });
        reach.look(seen, true, now, &mut |one| news.push(one));
        news
    }

    #[test]
    fn who_is_gone_is_told_after_a_moment_and_the_loss_of_the_majority_too() {
        let (m2, m3) = (MemberId(2), MemberId(3));
        let mut reach = Reach::default();
        assert_eq!(look(&mut reach, [true, true], 0), []);
        assert_eq!(look(&mut reach, [false, true], SECOND), []);
        assert_eq!(look(&mut reach, [true, true], SECOND + 1), [], "a restart");
        assert_eq!(look(&mut reach, [false, true], 2 * SECOND), []);
        let down = News::Down { id: m2, ns: SECOND };
        assert_eq!(look(&mut reach, [false, true], 3 * SECOND), [down]);
        assert_eq!(look(&mut reach, [false, false], 4 * SECOND), []);
        let down = News::Down { id: m3, ns: SECOND };
        assert_eq!(look(&mut reach, [false, false], 5 * SECOND), [down, News::MajorityLost]);
        assert_eq!(look(&mut reach, [false, false], 50 * SECOND), []);
        let up = News::Up { id: m3, ns: 50 * SECOND };
        let back = News::MajorityBack { ns: 50 * SECOND };
        assert_eq!(look(&mut reach, [false, true], 54 * SECOND), [up, back]);
    }

    #[test]
    fn a_majority_that_is_gone_for_a_minute_is_told_once_more_and_known() {
        let mut reach = Reach::default();
        look(&mut reach, [true, true], 0);
        look(&mut reach, [false, false], SECOND);
        look(&mut reach, [false, false], 2 * SECOND);
        assert_eq!(look(&mut reach, [false, false], 61 * SECOND - 1), []);
        assert_eq!(reach.gone_for(61 * SECOND - 1), None);
        assert_eq!(look(&mut reach, [false, false], 61 * SECOND), [News::MajorityGone]);
        assert_eq!(look(&mut reach, [false, false], 90 * SECOND), []);
        assert_eq!(reach.gone_for(91 * SECOND), Some(90 * SECOND));
        assert_eq!(look(&mut reach, [true, true], 92 * SECOND).len(), 3, "all are back");
        assert_eq!(reach.gone_for(500 * SECOND), None);
        look(&mut reach, [false, false], 500 * SECOND);
        let again = look(&mut reach, [false, false], 560 * SECOND);
        assert!(again.contains(&News::MajorityGone), "{again:?}");
    }

    #[test]
    fn those_that_have_not_started_yet_are_waited_for() {
        let mut reach = Reach::default();
        assert_eq!(look(&mut reach, [false, false], 0), []);
        assert_eq!(look(&mut reach, [false, false], 9 * SECOND), []);
        assert_eq!(look(&mut reach, [false, false], 10 * SECOND).len(), 3);
    }

    #[test]
    fn a_member_that_left_is_not_missed() {
        let mut reach = Reach::default();
        look(&mut reach, [true, true], 0);
        reach.retain(|id| id == MemberId(2));
        let mut news = Vec::new();
        let left = Seen { id: MemberId(2), is_up: true, is_voter: true };
        reach.look([left].into_iter(), true, 60 * SECOND, &mut |one| news.push(one));
        assert_eq!((news, reach.others.len()), (Vec::new(), 1));
    }
}
