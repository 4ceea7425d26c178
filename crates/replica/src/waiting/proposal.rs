//! Who waits for what: proposals until their entry is applied, quorum reads until they are
//! confirmed.

use crate::clock::MonoTime;
use crate::error::{EngineError, Failure};
use crate::types::{LogIndex, LogPosition, Ticket};
use std::collections::BTreeMap;
use store::{Applied, Store, Wake};

/// What became of a proposal.
#[derive(Debug)]
pub struct Answer {
    /// Who asked.
    pub ticket: Ticket,
    /// What came of it.
    pub outcome: Result<Applied, Failure>,
}

/// A quorum read may be answered from the store now, or not at all.
#[derive(Clone, Copy, Debug)]
pub struct ReadAnswer {
    /// Who asked.
    pub ticket: Ticket,
    /// Whether the store is fresh enough.
    pub outcome: Result<(), EngineError>,
}

/// What a turn produced, in the order in which it happened. The caller empties it.
#[derive(Debug, Default)]
pub struct Output {
    /// Outcomes of proposals.
    pub answers: Vec<Answer>,
    /// Quorum reads that are settled.
    pub reads: Vec<ReadAnswer>,
    /// Watchers to be told of events, in index order.
    pub wakes: Vec<Wake>,
    /// The store that a snapshot of the leader took the place of. Its watchers are gone with it:
    /// they must watch the new one, from where they were.
    pub replaced: Option<Box<Store>>,
    /// Another process has this member's identity and was refused by another member, which says
    /// where that process is.
    pub doubled: Option<String>,
}

impl Output {
    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
            && self.reads.is_empty()
            && self.wakes.is_empty()
            && self.replaced.is_none()
            && self.doubled.is_none()
    }
}

/// Who waits for an item of a log entry, by the item's offset in it.
pub(crate) type Waiters = Vec<(usize, Ticket)>;

/// The waiters of an entry for which one waits at most.
pub(crate) fn waiter(offset: usize, ticket: Option<Ticket>) -> Waiters {
    ticket.into_iter().map(|ticket| (offset, ticket)).collect()
}

/// Those who wait for items of one log entry.
#[derive(Debug)]
struct WaitingBatch {
    since: MonoTime,
    waiters: Waiters,
}

/// All proposals that have a position in the log and wait to be applied there.
///
/// A member learns the positions of what it forwarded from leader after leader, and a later leader
/// may give out lower indexes than an earlier one. So an entry is known by its index and its term.
#[derive(Debug, Default)]
pub(crate) struct Proposals {
    batches: BTreeMap<LogPosition, WaitingBatch>,
    count: usize,
}

impl Proposals {
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn register(&mut self, position: LogPosition, since: MonoTime, waiters: Waiters) {
        assert!(position.index.0 > 0, "the log begins at 1");
        if waiters.is_empty() {
            return;
        }
        self.count += waiters.len();
        let batch = self.batches.entry(position);
        let batch = batch.or_insert(WaitingBatch { since, waiters: Vec::new() });
        batch.since = batch.since.min(since);
        batch.waiters.extend(waiters);
    }

    /// Who waits for the entry that is applied now, in the order of its items; nobody if nothing of
    /// it came from here. What waited for another entry at this index will never happen.
    pub(crate) fn take(&mut self, position: LogPosition, answers: &mut Vec<Answer>) -> Waiters {
        let mut found = Vec::new();
        while let Some(first) = self.batches.first_entry() {
            if first.key().index > position.index {
                break;
            }
            let (key, batch) = first.remove_entry();
            self.count -= batch.waiters.len();
            if key == position {
                found = batch.waiters;
            } else {
                fail(batch.waiters, EngineError::Superseded, answers);
            }
        }
        found.sort_unstable_by_key(|(offset, _)| *offset);
        let is_settled = self.batches.first_key_value().is_none_or(|(next, _)| *next > position);
        assert!(is_settled, "nobody is left waiting for what is applied");
        found
    }

    /// A snapshot took the place of all entries up to `index`: nobody knows any more what became of
    /// them.
    pub(crate) fn pass(&mut self, index: LogIndex, answers: &mut Vec<Answer>) {
        while let Some(first) = self.batches.first_entry() {
            if first.key().index > index {
                break;
            }
            let batch = first.remove();
            self.count -= batch.waiters.len();
            fail(batch.waiters, EngineError::Unknown, answers);
        }
    }

    /// Gives up on everything that has waited since before `since`. The entries may still be
    /// applied; nobody waits for them then.
    pub(crate) fn expire(
        &mut self,
        since: MonoTime,
        error: EngineError,
        answers: &mut Vec<Answer>,
    ) {
        let count = &mut self.count;
        self.batches.retain(|_, batch| {
            if batch.since > since {
                return true;
            }
            *count -= batch.waiters.len();
            fail(std::mem::take(&mut batch.waiters), error, answers);
            false
        });
    }
}

pub(crate) fn fail(waiters: Waiters, error: EngineError, answers: &mut Vec<Answer>) {
    for (_, ticket) in waiters {
        answers.push(Answer { ticket, outcome: Err(Failure::Engine(error)) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiters(from: u64, to: u64) -> Waiters {
        (from..to).enumerate().map(|(position, n)| (position, Ticket(n))).collect()
    }

    #[test]
    fn another_terms_entry_means_that_nothing_was_done() {
        let mut proposals = Proposals::default();
        let mut answers = Vec::new();
        proposals.register(LogPosition::new(5, 1), MonoTime(0), waiters(0, 2));
        proposals.register(LogPosition::new(6, 1), MonoTime(0), waiters(2, 3));
        assert!(proposals.take(LogPosition::new(5, 2), &mut answers).is_empty());
        assert_eq!(answers.len(), 2);
        assert!(
            answers.iter().all(|answer| matches!(
                answer.outcome,
                Err(Failure::Engine(EngineError::Superseded))
            ))
        );
        assert_eq!(proposals.take(LogPosition::new(6, 1), &mut answers).len(), 1);
        assert_eq!(proposals.len(), 0);
    }

    #[test]
    fn a_time_out_answers_once_and_only_what_is_old() {
        let mut proposals = Proposals::default();
        let mut answers = Vec::new();
        proposals.register(LogPosition::new(5, 1), MonoTime(10), waiters(0, 1));
        proposals.register(LogPosition::new(6, 1), MonoTime(20), waiters(1, 2));
        proposals.expire(MonoTime(10), EngineError::Timeout, &mut answers);
        proposals.expire(MonoTime(10), EngineError::Timeout, &mut answers);
        assert_eq!(answers.len(), 1);
        assert_eq!(proposals.take(LogPosition::new(5, 1), &mut answers), []);
        assert_eq!(proposals.take(LogPosition::new(6, 1), &mut answers), [(0, Ticket(1))]);
        assert_eq!(proposals.len(), 0);
    }

    #[test]
    fn a_later_leader_may_give_out_lower_waiters() {
        let mut proposals = Proposals::default();
        let mut answers = Vec::new();
        proposals.register(LogPosition::new(10, 1), MonoTime(0), waiters(0, 1));
        proposals.register(LogPosition::new(8, 2), MonoTime(0), waiters(1, 2));
        assert_eq!(proposals.take(LogPosition::new(8, 2), &mut answers), [(0, Ticket(1))]);
        assert!(answers.is_empty(), "the first may still happen");
        assert_eq!(proposals.take(LogPosition::new(10, 1), &mut answers), [(0, Ticket(0))]);
    }

    #[test]
    fn two_pieces_of_one_entry_come_back_in_order() {
        let mut proposals = Proposals::default();
        let mut answers = Vec::new();
        proposals.register(LogPosition::new(3, 1), MonoTime(0), vec![(7, Ticket(70))]);
        proposals.register(LogPosition::new(3, 1), MonoTime(0), vec![(2, Ticket(20))]);
        assert_eq!(
            proposals.take(LogPosition::new(3, 1), &mut answers),
            [(2, Ticket(20)), (7, Ticket(70))]
        );
    }

    #[test]
    fn a_snapshot_leaves_the_outcome_unknown() {
        let mut proposals = Proposals::default();
        let mut answers = Vec::new();
        proposals.register(LogPosition::new(3, 1), MonoTime(0), waiters(0, 1));
        proposals.register(LogPosition::new(9, 1), MonoTime(0), waiters(1, 2));
        proposals.pass(LogIndex(5), &mut answers);
        assert_eq!(answers.len(), 1);
        assert!(matches!(answers[0].outcome, Err(Failure::Engine(EngineError::Unknown))));
        assert_eq!(proposals.len(), 1);
    }
}
