//! Requests that a member passes on to the leader, and those that a leader takes from others.
//!
//! A follower sends what its clients want and is told the place in the log; it answers its clients
//! when it applies that place itself. So an outcome never travels, and a client that asks the same
//! member again sees its own write. A request is sent once: when the leader goes away before it has
//! said the place, the outcome is unknown, and nothing is ever sent a second time unless the leader
//! said that it had not taken it.

use crate::change::Change;
use crate::envelope::ForwardId;
use crate::error::EngineError;
use crate::proposal::{Answer, Places, fail};
use crate::types::{MemberId, Ticket};
use std::collections::{BTreeMap, VecDeque};

/// What was passed on.
#[derive(Debug)]
pub(crate) enum Content {
    /// The bytes are kept: they are proposed anew when the leader says that it did not take them.
    Batch {
        bytes: Vec<u8>,
        len: usize,
        places: Places,
    },
    Change {
        change: Change,
        ticket: Option<Ticket>,
    },
}

impl Content {
    fn places(self) -> Places {
        match self {
            Content::Batch { places, .. } => places,
            Content::Change { ticket, .. } => {
                ticket.into_iter().map(|ticket| (0, ticket)).collect()
            }
        }
    }
}

#[derive(Debug)]
struct Waiting {
    to: MemberId,
    since: u64,
    content: Content,
}

/// What was passed on and has no place in the log yet.
#[derive(Debug)]
pub(crate) struct Forwards {
    start: u64,
    next_seq: u64,
    waiting: BTreeMap<u64, Waiting>,
    count: usize,
}

impl Forwards {
    pub(crate) fn new(start: u64) -> Self {
        Self { start, next_seq: 1, waiting: BTreeMap::new(), count: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Takes note of what is sent to `to` now.
    pub(crate) fn add(&mut self, to: MemberId, since: u64, content: Content) -> ForwardId {
        let seq = self.next_seq;
        self.next_seq += 1;
        self.count += match &content {
            Content::Batch { places, .. } => places.len(),
            Content::Change { .. } => 1,
        };
        self.waiting.insert(seq, Waiting { to, since, content });
        ForwardId { start: self.start, seq }
    }

    fn remove(&mut self, seq: u64) -> Option<Waiting> {
        let waiting = self.waiting.remove(&seq)?;
        self.count -= match &waiting.content {
            Content::Batch { places, .. } => places.len(),
            Content::Change { .. } => 1,
        };
        Some(waiting)
    }

    /// The leader said something of a request. Gives who waits since when, if somebody does.
    pub(crate) fn settle(&mut self, from: MemberId, id: ForwardId) -> Option<(u64, Content)> {
        let is_own = id.start == self.start
            && self.waiting.get(&id.seq).is_some_and(|waiting| waiting.to == from);
        if !is_own {
            return None;
        }
        self.remove(id.seq).map(|waiting| (waiting.since, waiting.content))
    }

    /// A member went away: what it was asked may or may not happen.
    pub(crate) fn lose(&mut self, to: MemberId, answers: &mut Vec<Answer>) {
        let lost: Vec<u64> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| waiting.to == to)
            .map(|(seq, _)| *seq)
            .collect();
        self.give_up(&lost, EngineError::Unknown, answers);
    }

    /// Gives up on what has waited since before `since`.
    pub(crate) fn expire(&mut self, since: u64, answers: &mut Vec<Answer>) {
        let old: Vec<u64> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| waiting.since <= since)
            .map(|(seq, _)| *seq)
            .collect();
        self.give_up(&old, EngineError::Timeout, answers);
    }

    fn give_up(&mut self, seqs: &[u64], error: EngineError, answers: &mut Vec<Answer>) {
        for seq in seqs {
            if let Some(waiting) = self.remove(*seq) {
                fail(waiting.content.places(), error, answers);
            }
        }
    }
}

/// A request of another member that this leader has taken and will propose in this turn.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) from: MemberId,
    pub(crate) id: ForwardId,
    pub(crate) batch: Vec<u8>,
    pub(crate) len: usize,
}

/// How many starts of other members are kept in mind.
const STARTS_MAX: usize = 256;

/// Which requests of others have been seen, so that one that arrives twice is answered once. They
/// are remembered beyond the term: a second copy that comes when this member leads no more must not
/// be refused, since the first may have been carried out and the answer to it been lost.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    latest: BTreeMap<(MemberId, u64), u64>,
    /// The members and starts in the order in which they were first heard of.
    order: VecDeque<(MemberId, u64)>,
}

impl Seen {
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

    fn batch(tickets: &[u64]) -> Content {
        let places: Places =
            tickets.iter().enumerate().map(|(at, ticket)| (at, Ticket(*ticket))).collect();
        Content::Batch { bytes: Vec::new(), len: places.len(), places }
    }

    #[test]
    fn only_the_one_who_was_asked_settles_a_request() {
        let mut forwards = Forwards::new(9);
        let id = forwards.add(MemberId(2), 5, batch(&[1, 2]));
        assert!(forwards.settle(MemberId(3), id).is_none(), "somebody else");
        let other = ForwardId { start: 8, ..id };
        assert!(forwards.settle(MemberId(2), other).is_none(), "another start of this member");
        assert_eq!(forwards.len(), 2);
        assert!(forwards.settle(MemberId(2), id).is_some());
        assert!(forwards.settle(MemberId(2), id).is_none(), "twice");
        assert_eq!(forwards.len(), 0);
    }

    #[test]
    fn a_leader_that_goes_away_leaves_the_outcome_unknown() {
        let mut forwards = Forwards::new(9);
        let mut answers = Vec::new();
        forwards.add(MemberId(2), 5, batch(&[1, 2]));
        forwards.add(MemberId(3), 6, batch(&[3]));
        forwards.lose(MemberId(2), &mut answers);
        assert_eq!(answers.len(), 2);
        assert_eq!(forwards.len(), 1);
        forwards.expire(5, &mut answers);
        assert_eq!(forwards.len(), 1, "too young");
        forwards.expire(6, &mut answers);
        assert_eq!(answers.len(), 3);
    }

    #[test]
    fn what_arrives_twice_or_late_is_not_taken() {
        let mut seen = Seen::default();
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
