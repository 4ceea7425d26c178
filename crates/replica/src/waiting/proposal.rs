//! Who waits for what: proposals until their entry is applied, quorum reads until they are
//! confirmed.

use crate::error::{EngineError, Failure};
use crate::types::Ticket;
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

/// Who waits for an item of a log entry, by the item's position in it.
pub(crate) type Places = Vec<(usize, Ticket)>;

/// The places of an entry at which one waits at most.
pub(crate) fn place(position: usize, ticket: Option<Ticket>) -> Places {
    ticket.into_iter().map(|ticket| (position, ticket)).collect()
}

/// Those who wait for items of one log entry.
#[derive(Debug)]
struct WaitingBatch {
    since: u64,
    places: Places,
}

/// All proposals that have a place in the log and wait to be applied there.
///
/// A member learns the places of what it forwarded from leader after leader, and a later leader may
/// give out lower indexes than an earlier one. So an entry is known by its index and its term.
#[derive(Debug, Default)]
pub(crate) struct Proposals {
    batches: BTreeMap<(u64, u64), WaitingBatch>,
    count: usize,
}

impl Proposals {
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn register(&mut self, term: u64, index: u64, since: u64, places: Places) {
        if places.is_empty() {
            return;
        }
        self.count += places.len();
        let batch = self.batches.entry((index, term));
        let batch = batch.or_insert(WaitingBatch { since, places: Vec::new() });
        batch.since = batch.since.min(since);
        batch.places.extend(places);
    }

    /// Who waits for the entry that is applied now, in the order of its items; nobody if nothing of
    /// it came from here. What waited for another entry at this index will never happen.
    pub(crate) fn take(&mut self, term: u64, index: u64, answers: &mut Vec<Answer>) -> Places {
        let mut found = Vec::new();
        while let Some(first) = self.batches.first_entry() {
            if first.key().0 > index {
                break;
            }
            let (key, batch) = first.remove_entry();
            self.count -= batch.places.len();
            if key == (index, term) {
                found = batch.places;
            } else {
                fail(batch.places, EngineError::Superseded, answers);
            }
        }
        found.sort_unstable_by_key(|(position, _)| *position);
        found
    }

    /// A snapshot took the place of all entries up to `index`: nobody knows any more what became of
    /// them.
    pub(crate) fn pass(&mut self, index: u64, answers: &mut Vec<Answer>) {
        while let Some(first) = self.batches.first_entry() {
            if first.key().0 > index {
                break;
            }
            let batch = first.remove();
            self.count -= batch.places.len();
            fail(batch.places, EngineError::Unknown, answers);
        }
    }

    /// Gives up on everything that has waited since before `since`. The entries may still be
    /// applied; nobody waits for them then.
    pub(crate) fn expire(&mut self, since: u64, error: EngineError, answers: &mut Vec<Answer>) {
        let count = &mut self.count;
        self.batches.retain(|_, batch| {
            if batch.since > since {
                return true;
            }
            *count -= batch.places.len();
            fail(std::mem::take(&mut batch.places), error, answers);
            false
        });
    }
}

pub(crate) fn fail(places: Places, error: EngineError, answers: &mut Vec<Answer>) {
    for (_, ticket) in places {
        answers.push(Answer { ticket, outcome: Err(Failure::Engine(error)) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(from: u64, to: u64) -> Places {
        (from..to).enumerate().map(|(position, n)| (position, Ticket(n))).collect()
    }

    #[test]
    fn another_terms_entry_means_that_nothing_was_done() {
        let mut proposals = Proposals::default();
        let mut answers = Vec::new();
        proposals.register(1, 5, 0, places(0, 2));
        proposals.register(1, 6, 0, places(2, 3));
        assert!(proposals.take(2, 5, &mut answers).is_empty());
        assert_eq!(answers.len(), 2);
        assert!(
            answers.iter().all(|answer| matches!(
                answer.outcome,
                Err(Failure::Engine(EngineError::Superseded))
            ))
        );
        assert_eq!(proposals.take(1, 6, &mut answers).len(), 1);
        assert_eq!(proposals.len(), 0);
    }

    #[test]
    fn a_time_out_answers_once_and_only_what_is_old() {
        let mut proposals = Proposals::default();
        let mut answers = Vec::new();
        proposals.register(1, 5, 10, places(0, 1));
        proposals.register(1, 6, 20, places(1, 2));
        proposals.expire(10, EngineError::Timeout, &mut answers);
        proposals.expire(10, EngineError::Timeout, &mut answers);
        assert_eq!(answers.len(), 1);
        assert_eq!(proposals.take(1, 5, &mut answers), []);
        assert_eq!(proposals.take(1, 6, &mut answers), [(0, Ticket(1))]);
        assert_eq!(proposals.len(), 0);
    }

    #[test]
    fn a_later_leader_may_give_out_lower_places() {
        let mut proposals = Proposals::default();
        let mut answers = Vec::new();
        proposals.register(1, 10, 0, places(0, 1));
        proposals.register(2, 8, 0, places(1, 2));
        assert_eq!(proposals.take(2, 8, &mut answers), [(0, Ticket(1))]);
        assert!(answers.is_empty(), "the first may still happen");
        assert_eq!(proposals.take(1, 10, &mut answers), [(0, Ticket(0))]);
    }

    #[test]
    fn two_pieces_of_one_entry_come_back_in_order() {
        let mut proposals = Proposals::default();
        let mut answers = Vec::new();
        proposals.register(1, 3, 0, vec![(7, Ticket(70))]);
        proposals.register(1, 3, 0, vec![(2, Ticket(20))]);
        assert_eq!(proposals.take(1, 3, &mut answers), [(2, Ticket(20)), (7, Ticket(70))]);
    }

    #[test]
    fn a_snapshot_leaves_the_outcome_unknown() {
        let mut proposals = Proposals::default();
        let mut answers = Vec::new();
        proposals.register(1, 3, 0, places(0, 1));
        proposals.register(1, 9, 0, places(1, 2));
        proposals.pass(5, &mut answers);
        assert_eq!(answers.len(), 1);
        assert!(matches!(answers[0].outcome, Err(Failure::Engine(EngineError::Unknown))));
        assert_eq!(proposals.len(), 1);
    }
}
