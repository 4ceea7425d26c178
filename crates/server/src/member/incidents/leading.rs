//! Who leads, as one member sees it, and what of it is news. No clocks and no log here.

use replica::{MemberId, Term};

/// How long there is no leader until that is told: 2 s, several elections.
const SILENT_NS: u64 = 2_000_000_000;

/// The same after the start: 10 s, since others may start as well.
const START_SILENT_NS: u64 = 10_000_000_000;

/// What a member knows of the leader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::member) struct Leader {
    pub(in crate::member) is_self: bool,
    pub(in crate::member) id: Option<MemberId>,
    pub(in crate::member) term: Term,
}

/// What is news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::member) enum News {
    /// This member does not lead any more as it did in this term.
    Lost { term: Term },
    /// There is a leader again, after so many nanoseconds without one; `before` led until then.
    Found { without_ns: u64, before: Option<(MemberId, Term)> },
    /// There has been none for so long.
    Missing { without_ns: u64, before: Option<(MemberId, Term)> },
}

/// What was told.
#[derive(Debug)]
pub(in crate::member) struct Leading {
    seen: Leader,
    /// Who led last, and in which term.
    last: Option<(MemberId, Term)>,
    /// Since when there is no leader.
    missing_since: Option<u64>,
    has_told_missing: bool,
}

impl Leading {
    /// A member begins to look, and knows no leader.
    pub(in crate::member) fn new(now: u64) -> Self {
        Self {
            seen: Leader::default(),
            last: None,
            missing_since: Some(now),
            has_told_missing: false,
        }
    }

    /// Whether [`Leading::look`] has anything to do before time passes.
    pub(in crate::member) fn is_same(&self, leader: Leader) -> bool {
        self.seen == leader
    }

    /// Looks at what the member knows now.
    pub(in crate::member) fn look(&mut self, leader: Leader, now: u64) -> [Option<News>; 2] {
        let before = std::mem::replace(&mut self.seen, leader);
        let has_lost = before.is_self && !leader.is_self;
        let lost = has_lost.then_some(News::Lost { term: before.term });
        let Some(id) = leader.id else {
            let since = *self.missing_since.get_or_insert(now);
            return [lost, self.missing(now.saturating_sub(since))];
        };
        let without_ns = self.missing_since.take().map_or(0, |since| now.saturating_sub(since));
        let has_told = std::mem::replace(&mut self.has_told_missing, false);
        let last = self.last.replace((id, leader.term));
        // A follower that lost sight of its leader for a moment has nothing to tell.
        let is_news = last != Some((id, leader.term)) || has_told;
        [lost, is_news.then_some(News::Found { without_ns, before: last })]
    }

    fn missing(&mut self, without_ns: u64) -> Option<News> {
        let patience = if self.last.is_some() { SILENT_NS } else { START_SILENT_NS };
        if self.has_told_missing || without_ns < patience {
            return None;
        }
        self.has_told_missing = true;
        Some(News::Missing { without_ns, before: self.last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn leader(id: u64, term: u64) -> Leader {
        Leader { is_self: id == 1, id: (id > 0).then_some(MemberId(id)), term: Term(term) }
    }

    #[test]
    fn elections_are_told_once_with_the_time_without_a_leader() {
        let mut leading = Leading::new(0);
        let first = News::Found { without_ns: 300 * MS, before: None };
        assert_eq!(leading.look(leader(2, 5), 300 * MS), [None, Some(first)]);
        assert!(leading.is_same(leader(2, 5)));
        assert_eq!(leading.look(leader(0, 5), 400 * MS), [None, None]);
        assert_eq!(leading.look(leader(0, 6), 500 * MS), [None, None]);
        let before = Some((MemberId(2), Term(5)));
        let next = News::Found { without_ns: 200 * MS, before };
        assert_eq!(leading.look(leader(1, 6), 600 * MS), [None, Some(next)]);
        let lost = Some(News::Lost { term: Term(6) });
        let before = Some((MemberId(1), Term(6)));
        let other = News::Found { without_ns: 0, before };
        assert_eq!(leading.look(leader(3, 7), 700 * MS), [lost, Some(other)]);
    }

    #[test]
    fn a_leader_that_is_out_of_sight_for_a_moment_is_no_news() {
        let mut leading = Leading::new(0);
        leading.look(leader(2, 5), 0);
        assert_eq!(leading.look(leader(0, 5), 100 * MS), [None, None]);
        assert_eq!(leading.look(leader(2, 5), 200 * MS), [None, None]);
    }

    #[test]
    fn that_there_is_none_is_told_once_and_its_return_too() {
        let mut leading = Leading::new(0);
        leading.look(leader(2, 5), 0);
        leading.look(leader(0, 5), 100 * MS);
        assert_eq!(leading.look(leader(0, 5), 2000 * MS), [None, None]);
        let before = Some((MemberId(2), Term(5)));
        let missing = News::Missing { without_ns: SILENT_NS, before };
        assert_eq!(leading.look(leader(0, 6), 2100 * MS), [None, Some(missing)]);
        assert_eq!(leading.look(leader(0, 7), 9000 * MS), [None, None]);
        let found = News::Found { without_ns: 9900 * MS, before };
        assert_eq!(leading.look(leader(2, 5), 10_000 * MS), [None, Some(found)]);
    }
}
