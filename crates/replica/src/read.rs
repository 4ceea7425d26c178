//! Quorum reads: all that wait share one round of raft's read index.
//!
//! A read is confirmed in two steps: raft says up to which log index it must see, and the store
//! must have applied that index. raft drops a read without a word when leadership changes, so reads
//! that wait are failed then, and all of them have a time limit.

use crate::error::EngineError;
use crate::proposal::ReadAnswer;
use crate::types::{MemberId, Ticket};
use std::collections::VecDeque;

#[derive(Debug)]
struct Round {
    number: u64,
    since: u64,
    /// The log index to be applied first, once raft has said it.
    index: Option<u64>,
    tickets: Vec<Ticket>,
}

/// All quorum reads that wait.
#[derive(Debug)]
pub(crate) struct Reads {
    /// Tells this process' rounds from those of any other member and of any earlier start.
    member: MemberId,
    start: u64,
    next_number: u64,
    /// Came in this turn; no round has been started for them.
    gathered: Vec<Ticket>,
    rounds: VecDeque<Round>,
    count: usize,
}

impl Reads {
    pub(crate) fn new(member: MemberId, start: u64) -> Self {
        Self {
            member,
            start,
            next_number: 0,
            gathered: Vec::new(),
            rounds: VecDeque::new(),
            count: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn has_gathered(&self) -> bool {
        !self.gathered.is_empty()
    }

    pub(crate) fn gather(&mut self, ticket: Ticket) {
        self.count += 1;
        self.gathered.push(ticket);
    }

    /// Starts one round for all that gathered, and gives the context to pass to raft.
    pub(crate) fn start_round(&mut self, since: u64) -> Vec<u8> {
        let number = self.next_number;
        self.next_number += 1;
        let tickets = std::mem::take(&mut self.gathered);
        self.rounds.push_back(Round { number, since, index: None, tickets });
        let mut context = Vec::with_capacity(24);
        for part in [self.member.0, self.start, number] {
            context.extend_from_slice(&part.to_le_bytes());
        }
        context
    }

    /// raft confirmed a round. A later round confirms the earlier ones too, as in raft itself.
    pub(crate) fn confirm(&mut self, context: &[u8], index: u64) {
        let mut parts = context.chunks_exact(8).map(|part| {
            u64::from_le_bytes(part.try_into().expect("chunks_exact gives eight bytes"))
        });
        let own = parts.next() == Some(self.member.0) && parts.next() == Some(self.start);
        let Some(number) = parts.next().filter(|_| own) else { return };
        for round in self.rounds.iter_mut().take_while(|round| round.number <= number) {
            round.index.get_or_insert(index);
        }
    }

    /// Answers the confirmed rounds whose index is applied.
    pub(crate) fn settle(&mut self, applied: u64, answers: &mut Vec<ReadAnswer>) {
        while let Some(round) = self.rounds.front() {
            if round.index.is_none_or(|index| index > applied) {
                return;
            }
            self.pop(Ok(()), answers);
        }
    }

    /// Gives up on the rounds that were started at `since` or before.
    pub(crate) fn expire(&mut self, since: u64, error: EngineError, answers: &mut Vec<ReadAnswer>) {
        while self.rounds.front().is_some_and(|round| round.since <= since) {
            self.pop(Err(error), answers);
        }
    }

    /// Fails everything that waits, started or not.
    pub(crate) fn fail_all(&mut self, error: EngineError, answers: &mut Vec<ReadAnswer>) {
        self.expire(u64::MAX, error, answers);
        for ticket in self.gathered.drain(..) {
            answers.push(ReadAnswer { ticket, outcome: Err(error) });
        }
        self.count = 0;
    }

    fn pop(&mut self, outcome: Result<(), EngineError>, answers: &mut Vec<ReadAnswer>) {
        if let Some(round) = self.rounds.pop_front() {
            self.count -= round.tickets.len();
            let settled = round.tickets.into_iter();
            answers.extend(settled.map(|ticket| ReadAnswer { ticket, outcome }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_waits_for_confirmation_and_for_the_index() {
        let mut reads = Reads::new(MemberId(1), 9);
        let mut answers = Vec::new();
        reads.gather(Ticket(1));
        reads.gather(Ticket(2));
        let context = reads.start_round(0);
        reads.settle(100, &mut answers);
        assert!(answers.is_empty(), "not confirmed");
        reads.confirm(&context, 50);
        reads.settle(49, &mut answers);
        assert!(answers.is_empty(), "not applied");
        reads.settle(50, &mut answers);
        assert_eq!(answers.len(), 2);
        assert_eq!(reads.len(), 0);
    }

    #[test]
    fn a_context_of_another_start_confirms_nothing() {
        let mut earlier = Reads::new(MemberId(1), 8);
        let mut reads = Reads::new(MemberId(1), 9);
        let mut answers = Vec::new();
        reads.gather(Ticket(1));
        reads.start_round(0);
        reads.confirm(&earlier.start_round(0), 1);
        reads.confirm(b"short", 1);
        reads.settle(100, &mut answers);
        assert!(answers.is_empty());
        reads.fail_all(EngineError::NotLeader, &mut answers);
        assert_eq!(answers.len(), 1);
    }
}
