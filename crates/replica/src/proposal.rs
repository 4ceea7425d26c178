//! Who waits for what: proposals until their entry is applied, quorum reads until they are
//! confirmed.

use crate::error::{EngineError, Failure};
use crate::types::Ticket;
use std::collections::VecDeque;
use store::{Applied, Wake};

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
}

impl Output {
    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty() && self.reads.is_empty() && self.wakes.is_empty()
    }
}

/// The commands of one log entry that wait to be applied. Items of the server's own have no ticket.
#[derive(Debug)]
struct WaitingBatch {
    term: u64,
    index: u64,
    since: u64,
    tickets: Vec<Option<Ticket>>,
}

/// All proposals that wait, in the order of their log indexes.
#[derive(Debug, Default)]
pub(crate) struct Proposals {
    batches: VecDeque<WaitingBatch>,
    count: usize,
}

impl Proposals {
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn register(
        &mut self,
        term: u64,
        index: u64,
        since: u64,
        tickets: Vec<Option<Ticket>>,
    ) {
        self.count += tickets.len();
        self.batches.push_back(WaitingBatch { term, index, since, tickets });
    }

    /// The tickets of the entry that is applied now; none if it was not proposed here. What waited
    /// for another entry at this index will never happen.
    pub(crate) fn take(
        &mut self,
        term: u64,
        index: u64,
        answers: &mut Vec<Answer>,
    ) -> Vec<Option<Ticket>> {
        while let Some(front) = self.batches.front() {
            if front.index > index {
                break;
            }
            let Some(batch) = self.batches.pop_front() else { break };
            self.count -= batch.tickets.len();
            if batch.index == index && batch.term == term {
                return batch.tickets;
            }
            fail(batch.tickets, EngineError::Superseded, answers);
        }
        Vec::new()
    }

    /// Gives up on everything that has waited since before `since`. The entries may still be
    /// applied; nobody waits for them then.
    pub(crate) fn expire(&mut self, since: u64, error: EngineError, answers: &mut Vec<Answer>) {
        for batch in self.batches.iter_mut().take_while(|batch| batch.since <= since) {
            for ticket in batch.tickets.iter_mut().filter_map(Option::take) {
                answers.push(Answer { ticket, outcome: Err(Failure::Engine(error)) });
            }
        }
    }
}

pub(crate) fn fail(tickets: Vec<Option<Ticket>>, error: EngineError, answers: &mut Vec<Answer>) {
    for ticket in tickets.into_iter().flatten() {
        answers.push(Answer { ticket, outcome: Err(Failure::Engine(error)) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tickets(from: u64, to: u64) -> Vec<Option<Ticket>> {
        (from..to).map(|n| Some(Ticket(n))).collect()
    }

    #[test]
    fn another_terms_entry_means_that_nothing_was_done() {
        let mut proposals = Proposals::default();
        let mut answers = Vec::new();
        proposals.register(1, 5, 0, tickets(0, 2));
        proposals.register(1, 6, 0, tickets(2, 3));
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
    fn a_time_out_answers_once_and_keeps_the_place_in_the_queue() {
        let mut proposals = Proposals::default();
        let mut answers = Vec::new();
        proposals.register(1, 5, 10, tickets(0, 1));
        proposals.register(1, 6, 20, tickets(1, 2));
        proposals.expire(10, EngineError::Timeout, &mut answers);
        proposals.expire(10, EngineError::Timeout, &mut answers);
        assert_eq!(answers.len(), 1);
        assert_eq!(proposals.take(1, 5, &mut answers), vec![None]);
        assert_eq!(proposals.take(1, 6, &mut answers), vec![Some(Ticket(1))]);
    }
}
