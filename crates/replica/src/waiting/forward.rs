//! Requests of this member that wait for their outcome.
//!
//! Each batch of clients' requests has an id that goes into the log with it. It is sent to the
//! leader, or proposed where this member leads itself, and its clients are answered when an entry
//! with its id is applied here: so no outcome travels, and a client that asks the same member again
//! sees its own write. When the leader changes, or a connection to it was made anew, all that waits
//! is sent again, the oldest first. A batch may so come into the log twice; every member applies it
//! once (`session.rs`).
//!
//! Changes of the membership have no id in the log. They are sent once: the leader says their
//! place, and if it goes away before, the outcome is unknown.

use crate::clock::MonoTime;
use crate::error::EngineError;
use crate::membership::change::Change;
use crate::session::ForwardId;
use crate::session::{Mark, WINDOW};
use crate::types::{MemberId, Ticket};
use crate::waiting::gather::Batch;
use crate::waiting::proposal::{Answer, Waiters, fail, waiter};
use crate::wire::batch::{Items, MARK_LEN};
use std::collections::{BTreeMap, BTreeSet};

/// A batch that waits for its outcome.
#[derive(Debug)]
struct Request {
    batch: Batch,
    /// To whom it was sent last, and when; nothing if that one refused it.
    sent: Option<(MemberId, MonoTime)>,
    /// Whether a copy that was sent earlier may still be carried out.
    is_uncertain: bool,
}

impl Request {
    /// Whether it is certain that nothing was done and nothing will be.
    fn is_untouched(&self) -> bool {
        self.sent.is_none() && !self.is_uncertain
    }
}

/// A change of the membership that was passed on and has no place in the log yet.
#[derive(Debug)]
pub(crate) struct WaitingChange {
    pub(crate) change: Change,
    pub(crate) ticket: Option<Ticket>,
    pub(crate) since: MonoTime,
    to: MemberId,
}

/// All of this member's requests that have an id.
#[derive(Debug)]
pub(crate) struct Forwards {
    own: MemberId,
    start: u64,
    next_seq: u64,
    requests: BTreeMap<u64, Request>,
    /// Those that are to be sent to `aim`.
    unsent: BTreeSet<u64>,
    /// The leader and its term.
    aim: Option<(MemberId, u64)>,
    changes: BTreeMap<u64, WaitingChange>,
    tickets: usize,
    bytes: usize,
}

impl Forwards {
    pub(crate) fn new(own: MemberId, start: u64) -> Self {
        Self {
            own,
            start,
            next_seq: 1,
            requests: BTreeMap::new(),
            unsent: BTreeSet::new(),
            aim: None,
            changes: BTreeMap::new(),
            tickets: 0,
            bytes: 0,
        }
    }

    /// How many clients wait, and for changes.
    pub(crate) fn len(&self) -> usize {
        self.tickets + self.changes.len()
    }

    /// The bytes of all batches.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Everything up to this number is settled.
    fn floor(&self) -> u64 {
        self.requests.first_key_value().map_or(self.next_seq, |(first, _)| *first) - 1
    }

    /// Whether another batch may be sent: what the state remembers of this member is bounded.
    pub(crate) fn has_window(&self) -> bool {
        self.next_seq - self.floor() <= WINDOW
    }

    /// Gives a batch its id; it is to be sent.
    pub(crate) fn add(&mut self, batch: Batch) {
        let seq = self.next_seq;
        self.next_seq += 1;
        self.tickets += batch.waiters.len();
        self.bytes += batch.items.bytes.len();
        self.unsent.insert(seq);
        self.requests.insert(seq, Request { batch, sent: None, is_uncertain: false });
    }

    fn remove(&mut self, seq: u64) -> Option<Request> {
        let request = self.requests.remove(&seq)?;
        self.unsent.remove(&seq);
        self.tickets -= request.batch.waiters.len();
        self.bytes -= request.batch.items.bytes.len();
        Some(request)
    }

    /// From now on everything goes to this leader of this term. What was sent to another is sent
    /// again.
    pub(crate) fn aim(&mut self, leader: MemberId, term: u64) {
        if self.aim != Some((leader, term)) {
            self.aim = Some((leader, term));
            self.unsent = self.requests.keys().copied().collect();
        }
    }

    /// Whether all that waits would be sent anew if `leader` led now.
    pub(crate) fn is_aimed_elsewhere(&self, leader: MemberId) -> bool {
        !self.requests.is_empty() && self.aim.is_none_or(|(aim, _)| aim != leader)
    }

    /// The oldest batch that is to be sent, as it stands in the log.
    pub(crate) fn next_unsent(&self) -> Option<(Mark, &Items)> {
        self.next_unsent_after(0)
    }

    /// As [`Forwards::next_unsent`], behind one with a certain number.
    pub(crate) fn next_unsent_after(&self, seq: u64) -> Option<(Mark, &Items)> {
        let seq = *self.unsent.range(seq.saturating_add(1)..).next()?;
        let items = &self.requests.get(&seq)?.batch.items;
        let id = ForwardId { start: self.start, seq };
        let mark = Mark { member: self.own, id, floor: self.floor(), count: items.len };
        Some((mark, items))
    }

    /// Whether there is a batch to be sent.
    pub(crate) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// How many bytes of the log what is to be sent will take up.
    pub(crate) fn unsent_bytes(&self) -> usize {
        let requests = self.unsent.iter().filter_map(|seq| self.requests.get(seq));
        requests.map(|request| request.batch.items.bytes.len() + MARK_LEN).sum()
    }

    /// A batch was sent, or proposed here.
    pub(crate) fn sent(&mut self, seq: u64, to: MemberId, now: MonoTime) {
        self.unsent.remove(&seq);
        if let Some(request) = self.requests.get_mut(&seq) {
            request.is_uncertain |= request.sent.is_some();
            request.sent = Some((to, now));
        }
    }

    /// What was sent to a member may not have arrived: it is sent again.
    pub(crate) fn unsend(&mut self, to: MemberId) {
        self.unsend_if(|(receiver, _)| receiver == to);
    }

    /// Sends again what was passed on before `before` and has not been heard of.
    pub(crate) fn resend(&mut self, before: MonoTime) {
        let own = self.own;
        self.unsend_if(|(to, at)| to != own && at <= before);
    }

    fn unsend_if(&mut self, is_lost: impl Fn((MemberId, MonoTime)) -> bool) {
        let lost = self.requests.iter().filter(|(_, request)| request.sent.is_some_and(&is_lost));
        self.unsent.extend(lost.map(|(seq, _)| *seq));
    }

    /// A request of this member is carried out: who waits for which of its items.
    pub(crate) fn take(&mut self, id: ForwardId) -> Option<Waiters> {
        (id.start == self.start).then(|| self.remove(id.seq))?.map(|request| request.batch.waiters)
    }

    /// The ids of all batches that wait, the oldest first.
    pub(crate) fn ids(&self) -> Vec<ForwardId> {
        self.requests.keys().map(|seq| ForwardId { start: self.start, seq: *seq }).collect()
    }

    /// A leader did not propose a batch; says whether it is one of these. It is sent again when it
    /// only found no leader, or when an earlier copy of it may still be carried out: nobody can say
    /// then that nothing was done.
    pub(crate) fn refused(
        &mut self,
        from: MemberId,
        id: ForwardId,
        error: EngineError,
        answers: &mut Vec<Answer>,
    ) -> bool {
        let request = self.requests.get_mut(&id.seq).filter(|_| id.start == self.start);
        let Some(request) = request else { return false };
        if request.sent.is_none_or(|(to, _)| to != from) {
            return true;
        }
        request.sent = None;
        if error == EngineError::NotLeader || request.is_uncertain {
            self.unsent.insert(id.seq);
        } else if let Some(request) = self.remove(id.seq) {
            fail(request.batch.waiters, error, answers);
        }
        true
    }

    /// Refuses what nobody has taken.
    pub(crate) fn refuse_untouched(&mut self, error: EngineError, answers: &mut Vec<Answer>) {
        let seqs: Vec<u64> = self.unsent.iter().copied().collect();
        for seq in seqs {
            if self.requests.get(&seq).is_some_and(Request::is_untouched)
                && let Some(request) = self.remove(seq)
            {
                fail(request.batch.waiters, error, answers);
            }
        }
    }

    /// Gives up on what has waited since `since` or before.
    pub(crate) fn expire(&mut self, since: MonoTime, answers: &mut Vec<Answer>) {
        let is_old = |request: &Request| request.batch.since <= since;
        let old: Vec<u64> = self
            .requests
            .iter()
            .filter(|(_, request)| is_old(request))
            .map(|(seq, _)| *seq)
            .collect();
        for request in old.into_iter().filter_map(|seq| self.remove(seq)) {
            let nothing_done = request.is_untouched();
            let error = if nothing_done { EngineError::NoLeader } else { EngineError::Timeout };
            fail(request.batch.waiters, error, answers);
        }
        self.fail_changes(|change| change.since <= since, EngineError::Timeout, answers);
    }

    /// Takes note of a change that is sent to `to` now.
    pub(crate) fn add_change(
        &mut self,
        to: MemberId,
        since: MonoTime,
        change: Change,
        ticket: Option<Ticket>,
    ) -> ForwardId {
        let seq = self.next_seq;
        self.next_seq += 1;
        self.changes.insert(seq, WaitingChange { change, ticket, since, to });
        ForwardId { start: self.start, seq }
    }

    /// The leader said something of a change.
    pub(crate) fn settle_change(&mut self, from: MemberId, id: ForwardId) -> Option<WaitingChange> {
        let is_own = id.start == self.start
            && self.changes.get(&id.seq).is_some_and(|waiting| waiting.to == from);
        if is_own { self.changes.remove(&id.seq) } else { None }
    }

    /// A member went away: the changes that it was asked for may or may not happen.
    pub(crate) fn lose_changes(&mut self, to: MemberId, answers: &mut Vec<Answer>) {
        self.fail_changes(|change| change.to == to, EngineError::Unknown, answers);
    }

    fn fail_changes(
        &mut self,
        is_lost: impl Fn(&WaitingChange) -> bool,
        error: EngineError,
        answers: &mut Vec<Answer>,
    ) {
        self.changes.retain(|_, change| {
            let is_lost = is_lost(change);
            if is_lost {
                fail(waiter(0, change.ticket), error, answers);
            }
            !is_lost
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Failure;
    use crate::wire::batch::Items;

    const OWN: MemberId = MemberId(1);
    const LEADER: MemberId = MemberId(2);
    const NEXT: MemberId = MemberId(3);

    fn batch(tickets: &[u64], since: u64) -> Batch {
        let waiters: Waiters =
            tickets.iter().enumerate().map(|(at, ticket)| (at, Ticket(*ticket))).collect();
        Batch {
            items: Items { bytes: vec![0; 10], len: waiters.len(), is_recent: false },
            waiters,
            since: MonoTime(since),
        }
    }

    fn errors(answers: &[Answer]) -> Vec<EngineError> {
        let errors = answers.iter().map(|answer| match &answer.outcome {
            Err(Failure::Engine(error)) => *error,
            other => panic!("{other:?}"),
        });
        errors.collect()
    }

    fn id(seq: u64) -> ForwardId {
        ForwardId { start: 9, seq }
    }

    /// Two batches, sent to the leader of term 4 at 100.
    fn two_sent() -> Forwards {
        let mut forwards = Forwards::new(OWN, 9);
        forwards.aim(LEADER, 4);
        forwards.add(batch(&[1, 2], 5));
        forwards.add(batch(&[3], 6));
        assert_eq!(send(&mut forwards, LEADER), [1, 2]);
        forwards
    }

    /// Sends what is to be sent; gives the numbers.
    fn send(forwards: &mut Forwards, to: MemberId) -> Vec<u64> {
        let mut seqs = Vec::new();
        while let Some((mark, _)) = forwards.next_unsent() {
            assert!(mark.floor < mark.id.seq && mark.member == OWN && mark.id.start == 9);
            seqs.push(mark.id.seq);
            forwards.sent(mark.id.seq, to, MonoTime(100));
        }
        seqs
    }

    #[test]
    fn what_waits_goes_to_the_next_leader_in_order() {
        let mut forwards = two_sent();
        forwards.aim(LEADER, 4);
        assert!(!forwards.has_unsent());
        forwards.aim(NEXT, 5);
        assert_eq!(forwards.unsent_bytes(), 20 + 2 * MARK_LEN);
        assert_eq!(send(&mut forwards, NEXT), [1, 2]);
        forwards.unsend(LEADER);
        assert!(!forwards.has_unsent(), "nothing waits there any more");
        forwards.unsend(NEXT);
        assert_eq!(send(&mut forwards, NEXT), [1, 2]);
        forwards.resend(MonoTime(99));
        assert!(!forwards.has_unsent(), "too early");
        forwards.resend(MonoTime(100));
        assert_eq!(send(&mut forwards, NEXT), [1, 2]);
        assert_eq!(forwards.take(id(1)), Some(vec![(0, Ticket(1)), (1, Ticket(2))]));
        assert_eq!(forwards.take(id(1)), None, "once");
        assert_eq!(forwards.take(ForwardId { start: 8, seq: 2 }), None, "another start");
        assert_eq!(forwards.floor(), 1);
        assert!(forwards.take(id(2)).is_some());
        assert_eq!((forwards.floor(), forwards.len(), forwards.bytes()), (2, 0, 0));
    }

    #[test]
    fn a_refusal_counts_only_if_no_other_copy_may_be_carried_out() {
        let mut forwards = two_sent();
        let mut answers = Vec::new();
        forwards.refused(NEXT, id(1), EngineError::Overloaded, &mut answers);
        assert!(answers.is_empty(), "it was not asked");
        forwards.refused(LEADER, id(1), EngineError::Overloaded, &mut answers);
        assert_eq!(errors(&answers), [EngineError::Overloaded; 2]);
        forwards.aim(NEXT, 5);
        assert_eq!(send(&mut forwards, NEXT), [2]);
        forwards.refused(NEXT, id(2), EngineError::DiskFull, &mut answers);
        assert_eq!(answers.len(), 2, "the first leader may have done it");
        assert_eq!(send(&mut forwards, NEXT), [2]);
        forwards.expire(MonoTime(6), &mut answers);
        assert_eq!(errors(&answers).last(), Some(&EngineError::Timeout));
        assert!(!forwards.refused(NEXT, id(2), EngineError::NotLeader, &mut answers));
    }

    #[test]
    fn what_found_no_leader_waits_for_one_and_was_not_done() {
        let mut forwards = two_sent();
        let mut answers = Vec::new();
        assert!(forwards.refused(LEADER, id(1), EngineError::NotLeader, &mut answers));
        assert!(answers.is_empty() && forwards.has_unsent());
        forwards.expire(MonoTime(5), &mut answers);
        assert_eq!(errors(&answers), [EngineError::NoLeader; 2], "nobody took it");
        forwards.expire(MonoTime(6), &mut answers);
        assert_eq!(errors(&answers).last(), Some(&EngineError::Timeout), "somebody has it");
    }

    #[test]
    fn a_full_disk_refuses_what_nobody_has() {
        let mut forwards = two_sent();
        let mut answers = Vec::new();
        forwards.add(batch(&[4], 7));
        forwards.aim(NEXT, 5);
        forwards.refuse_untouched(EngineError::DiskFull, &mut answers);
        assert_eq!(errors(&answers), [EngineError::DiskFull]);
        assert_eq!(forwards.len(), 3);
    }

    #[test]
    fn no_more_is_sent_than_the_state_remembers() {
        let mut forwards = Forwards::new(OWN, 9);
        forwards.aim(LEADER, 4);
        while forwards.has_window() {
            forwards.add(batch(&[1], 5));
        }
        assert_eq!(forwards.len() as u64, WINDOW);
        send(&mut forwards, LEADER);
        forwards.take(id(2));
        assert!(!forwards.has_window(), "the first one is still open");
        forwards.take(id(1));
        assert!(forwards.has_window());
    }

    #[test]
    fn a_change_is_sent_once() {
        let mut forwards = Forwards::new(OWN, 9);
        let mut answers = Vec::new();
        let change = Change::Remove(MemberId(4));
        let sent = forwards.add_change(LEADER, MonoTime(5), change.clone(), Some(Ticket(1)));
        assert!(forwards.settle_change(NEXT, sent).is_none(), "somebody else");
        assert!(forwards.settle_change(LEADER, sent).is_some());
        assert!(forwards.settle_change(LEADER, sent).is_none(), "twice");
        forwards.add_change(LEADER, MonoTime(5), change.clone(), Some(Ticket(2)));
        forwards.add_change(NEXT, MonoTime(6), change, Some(Ticket(3)));
        forwards.lose_changes(LEADER, &mut answers);
        assert_eq!(errors(&answers), [EngineError::Unknown]);
        forwards.expire(MonoTime(5), &mut answers);
        assert_eq!(forwards.len(), 1, "too young");
        forwards.expire(MonoTime(6), &mut answers);
        assert_eq!(errors(&answers).last(), Some(&EngineError::Timeout));
    }
}
