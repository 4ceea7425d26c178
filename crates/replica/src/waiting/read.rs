//! Quorum reads: all that wait share one round of raft's read index.
//!
//! A read is confirmed in two steps: raft says up to which log index it must see, and the store
//! must have applied that index. raft drops a read without a word when leadership changes, so
//! rounds that are not confirmed soon are started again, and every read has a time limit.

use crate::clock::MonoTime;
use crate::error::EngineError;
use crate::types::{MemberId, Ticket};
use crate::waiting::proposal::ReadAnswer;
use std::collections::VecDeque;

/// Who waits, and since when by the monotonic clock.
type Waiting = (Ticket, MonoTime);

#[derive(Debug)]
struct Round {
    number: u64,
    started: MonoTime,
    /// The log index to be applied first, once raft has said it.
    index: Option<u64>,
    waiting: Vec<Waiting>,
}

/// All quorum reads that wait.
#[derive(Debug)]
pub(crate) struct Reads {
    /// Tells this process' rounds from those of any other member and of any earlier start.
    member: MemberId,
    start: u64,
    next_number: u64,
    /// No round is under way for these.
    gathered: Vec<Waiting>,
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

    pub(crate) fn gather(&mut self, ticket: Ticket, now: MonoTime) {
        self.count += 1;
        self.gathered.push((ticket, now));
    }

    /// Starts one round for all that gathered, and gives the context to pass to raft.
    pub(crate) fn start_round(&mut self, now: MonoTime) -> Vec<u8> {
        let number = self.next_number;
        self.next_number += 1;
        let waiting = std::mem::take(&mut self.gathered);
        self.rounds.push_back(Round { number, started: now, index: None, waiting });
        let mut context = Vec::with_capacity(24);
        for part in [self.member.0, self.start, number] {
            context.extend_from_slice(&part.to_le_bytes());
        }
        context
    }

    /// Gathers again what waits in rounds that were started before `before` and not confirmed: a
    /// later round is as good, and raft drops rounds without a word when leadership changes.
    pub(crate) fn regather(&mut self, before: MonoTime) {
        let gathered = &mut self.gathered;
        self.rounds.retain_mut(|round| {
            let is_lost = round.index.is_none() && round.started < before;
            if is_lost {
                gathered.append(&mut round.waiting);
            }
            !is_lost
        });
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
        let is_settled = |round: &mut Round| round.index.is_some_and(|index| index <= applied);
        while let Some(round) = self.rounds.pop_front_if(is_settled) {
            assert!(round.waiting.len() <= self.count, "each reader is counted once");
            self.count -= round.waiting.len();
            let settled = round.waiting.into_iter();
            answers.extend(settled.map(|(ticket, _)| ReadAnswer { ticket, outcome: Ok(()) }));
        }
    }

    /// Gives up on the reads that have waited since `since` or before.
    pub(crate) fn expire(
        &mut self,
        since: MonoTime,
        error: EngineError,
        answers: &mut Vec<ReadAnswer>,
    ) {
        if self.count == 0 {
            return;
        }
        let mut fail = |waiting: &mut Vec<Waiting>| {
            waiting.retain(|(ticket, came)| {
                if *came <= since {
                    answers.push(ReadAnswer { ticket: *ticket, outcome: Err(error) });
                }
                *came > since
            });
        };
        self.rounds.iter_mut().for_each(|round| fail(&mut round.waiting));
        fail(&mut self.gathered);
        self.rounds.retain(|round| !round.waiting.is_empty());
        let waiting = self.rounds.iter().map(|round| round.waiting.len()).sum::<usize>();
        self.count = waiting + self.gathered.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_waits_for_confirmation_and_for_the_index() {
        let mut reads = Reads::new(MemberId(1), 9);
        let mut answers = Vec::new();
        reads.gather(Ticket(1), MonoTime(0));
        reads.gather(Ticket(2), MonoTime(0));
        let context = reads.start_round(MonoTime(0));
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
        reads.gather(Ticket(1), MonoTime(0));
        reads.start_round(MonoTime(0));
        reads.confirm(&earlier.start_round(MonoTime(0)), 1);
        reads.confirm(b"short", 1);
        reads.settle(100, &mut answers);
        assert!(answers.is_empty());
        reads.expire(MonoTime(0), EngineError::Timeout, &mut answers);
        assert_eq!(answers.len(), 1);
        assert_eq!(reads.len(), 0);
    }

    #[test]
    fn a_round_that_was_lost_is_started_again_and_keeps_its_time() {
        let mut reads = Reads::new(MemberId(1), 9);
        let mut answers = Vec::new();
        reads.gather(Ticket(1), MonoTime(3));
        let lost = reads.start_round(MonoTime(5));
        reads.regather(MonoTime(5));
        assert!(!reads.has_gathered(), "not old enough");
        reads.regather(MonoTime(6));
        assert!(reads.has_gathered());
        reads.gather(Ticket(2), MonoTime(8));
        let again = reads.start_round(MonoTime(9));
        reads.confirm(&lost, 1);
        reads.settle(100, &mut answers);
        assert!(answers.is_empty(), "the round that is asked about now was not confirmed");
        reads.expire(MonoTime(3), EngineError::Timeout, &mut answers);
        assert_eq!(answers.len(), 1);
        reads.confirm(&again, 1);
        reads.settle(100, &mut answers);
        assert_eq!(answers.len(), 2);
    }
}
