//! Requests of other members that a leader takes.

use crate::session::ForwardId;
use crate::session::Mark;
use crate::types::MemberId;
use crate::wire::batch::{Items, MARK_LEN};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A request of another member that this leader has taken and will propose.
#[derive(Debug)]
pub(crate) struct ForwardedBatch {
    pub(crate) mark: Mark,
    pub(crate) items: Items,
}

/// What a leader has taken from other members.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    taken: VecDeque<ForwardedBatch>,
    bytes: usize,
    /// What was taken or proposed in this term and is not applied: it will be, or somebody else
    /// leads and is asked again.
    pending: BTreeSet<(MemberId, ForwardId)>,
    term: u64,
}

impl Inbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }

    /// How much of the log it will take up.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a copy of this request is on its way into the log already.
    pub(crate) fn holds(&mut self, term: u64, mark: &Mark) -> bool {
        if self.term != term {
            self.term = term;
            self.pending = self.taken.iter().map(|one| (one.mark.member, one.mark.id)).collect();
        }
        self.pending.contains(&(mark.member, mark.id))
    }

    pub(crate) fn push(&mut self, taken: ForwardedBatch) {
        self.bytes += taken.items.bytes.len() + MARK_LEN;
        self.pending.insert((taken.mark.member, taken.mark.id));
        self.taken.push_back(taken);
    }

    /// The oldest one, which is proposed now.
    pub(crate) fn pop(&mut self) -> Option<ForwardedBatch> {
        let taken = self.taken.pop_front()?;
        self.bytes -= taken.items.bytes.len() + MARK_LEN;
        assert!(!self.taken.is_empty() || self.bytes == 0, "each byte is counted once");
        Some(taken)
    }

    /// A request was not proposed.
    pub(crate) fn forget(&mut self, mark: &Mark) {
        self.pending.remove(&(mark.member, mark.id));
    }
}

/// How many starts of other members are kept in mind.
const STARTS_MAX: usize = 256;

/// Which changes of others have been seen, so that one that arrives twice is answered once. They
/// are remembered beyond the term: a second copy that comes when this member leads no more must not
/// be refused, since the first may have been carried out and the answer to it been lost.
#[derive(Debug, Default)]
pub(crate) struct DedupWindow {
    latest: BTreeMap<(MemberId, u64), u64>,
    /// The members and starts in the order in which they were first heard of.
    order: VecDeque<(MemberId, u64)>,
}

impl DedupWindow {
    /// Whether a request comes for the first time and in order.
    pub(crate) fn is_new(&mut self, from: MemberId, id: ForwardId) -> bool {
        let start = (from, id.start);
        if !self.latest.contains_key(&start) {
            self.order.push_back(start);
            if self.order.len() > STARTS_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.latest.remove(&oldest);
            }
        }
        let latest = self.latest.entry(start).or_default();
        let is_new = id.seq > *latest;
        *latest = id.seq.max(*latest);
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(len: usize) -> Items {
        Items { bytes: vec![0; len], len, is_recent: false }
    }

    fn id(seq: u64) -> ForwardId {
        ForwardId { start: 9, seq }
    }

    #[test]
    fn a_copy_of_what_is_on_its_way_is_known_within_the_term() {
        let mut inbox = Inbox::default();
        let mark = |seq| Mark { member: MemberId(2), id: id(seq), floor: 0, count: 1 };
        assert!(!inbox.holds(4, &mark(1)));
        inbox.push(ForwardedBatch { mark: mark(1), items: items(2) });
        inbox.push(ForwardedBatch { mark: mark(2), items: items(1) });
        assert!(inbox.holds(4, &mark(1)) && inbox.bytes() == 3 + 2 * MARK_LEN);
        assert_eq!(inbox.pop().map(|taken| taken.mark), Some(mark(1)));
        assert!(inbox.holds(4, &mark(1)), "it is proposed");
        assert!(!inbox.holds(5, &mark(1)), "another term's entry may never be applied");
        assert!(inbox.holds(5, &mark(2)));
        inbox.forget(&mark(2));
        assert!(!inbox.holds(5, &mark(2)));
    }

    #[test]
    fn what_arrives_twice_or_late_is_not_taken() {
        let mut seen = DedupWindow::default();
        let id = |seq| ForwardId { start: 1, seq };
        assert!(seen.is_new(MemberId(2), id(1)));
        assert!(!seen.is_new(MemberId(2), id(1)));
        assert!(seen.is_new(MemberId(2), id(3)));
        assert!(!seen.is_new(MemberId(2), id(2)), "out of order");
        assert!(seen.is_new(MemberId(3), id(1)));
        let restarted = ForwardId { start: 2, seq: 1 };
        assert!(seen.is_new(MemberId(2), restarted));
        assert!(!seen.is_new(MemberId(2), id(3)), "from before the restart");
        for start in 10..2000 {
            assert!(seen.is_new(MemberId(5), ForwardId { start, seq: 1 }));
        }
        assert!(seen.latest.len() <= STARTS_MAX && seen.order.len() <= STARTS_MAX);
    }
}
