//! Who waits for the items of an entry, and what they are told: when it is applied, and when a
//! snapshot takes its place.

use crate::error::{EngineError, Failure};
use crate::replica::Replica;
use crate::replica::state::State;
use crate::session::{Fate, Mark, Outcome};
use crate::types::{MemberId, Ticket};
use crate::waiting::forward::Forwards;
use crate::waiting::inbox::Inbox;
use crate::waiting::proposal::{Answer, Output, Waiters, fail};
use std::iter::Peekable;
use store::{Applied, StoreError};

/// Who waits here for what an entry holds. Nobody does while a log is replayed.
#[derive(Debug, Default)]
pub(crate) struct LocalWaiters<'a> {
    /// For the items that belong to no request, by their offset among them.
    pub(crate) waiters: Waiters,
    /// This member, its requests, and those of others that it has proposed.
    pub(crate) requests: Option<(MemberId, &'a mut Forwards, &'a mut Inbox)>,
}

impl LocalWaiters<'_> {
    fn take(&mut self, mark: &Mark) -> Option<Waiters> {
        let (own, forwards, inbox) = self.requests.as_mut()?;
        inbox.forget(mark);
        if mark.member == *own { forwards.take(mark.id) } else { None }
    }
}

/// The request whose items are applied now.
#[derive(Debug)]
pub(crate) struct Group {
    mark: Mark,
    /// Whether its items are to be carried out.
    pub(crate) is_new: bool,
    /// How many of them are still to come.
    pub(crate) left: usize,
    outcomes: Vec<Outcome>,
    waiting: Peekable<std::vec::IntoIter<(usize, Ticket)>>,
}

impl Group {
    /// Nothing more of it comes. Whoever waits for what nobody could read is told so.
    pub(crate) fn give_up(self, answers: &mut Vec<Answer>) {
        fail(self.waiting.collect(), EngineError::Unknown, answers);
    }
}

impl State {
    /// A request comes in an entry.
    pub(crate) fn open_group(
        &mut self,
        mark: Mark,
        index: u64,
        local: &mut LocalWaiters<'_>,
        out: &mut Output,
    ) -> Group {
        // One of a member that was removed may have been carried out already: nothing is
        // remembered of it.
        let is_new = !self.membership.was_removed(mark.member) && self.sessions.begin(&mark, index);
        let mut waiters = local.take(&mark).unwrap_or_default();
        if !is_new {
            self.answer_from_memory(&mark, std::mem::take(&mut waiters), out);
        }
        let outcomes = Vec::with_capacity(if is_new { mark.count.min(4096) } else { 0 });
        let waiting = waiters.into_iter().peekable();
        Group { mark, is_new, left: mark.count, outcomes, waiting }
    }

    /// An item of a request was carried out.
    pub(crate) fn note_outcome(
        &mut self,
        group: &mut Group,
        outcome: Result<Applied, StoreError>,
        out: &mut Output,
    ) {
        let position = group.mark.count - group.left;
        group.left -= 1;
        group.outcomes.push(Outcome::of(&outcome));
        if let Some((_, ticket)) = group.waiting.next_if(|(at, _)| *at == position) {
            out.answers.push(Answer { ticket, outcome: outcome.map_err(Failure::Store) });
        }
        if group.left == 0 {
            self.sessions.keep(&group.mark, std::mem::take(&mut group.outcomes));
        }
    }

    /// Answers those who wait for a request that was carried out where they could not see it.
    fn answer_from_memory(&self, mark: &Mark, waiters: Waiters, out: &mut Output) {
        let kept = match self.sessions.fate(mark.member, mark.id) {
            Fate::Done(Some(kept)) => kept,
            _ => return fail(waiters, EngineError::Unknown, &mut out.answers),
        };
        for (at, ticket) in waiters {
            let outcome = kept
                .get(at)
                .map_or(Err(EngineError::Unknown.into()), |outcome| self.recall(outcome));
            out.answers.push(Answer { ticket, outcome });
        }
    }

    /// An outcome as it was.
    fn recall(&self, outcome: &Outcome) -> Result<Applied, Failure> {
        let unknown = Err(EngineError::Unknown.into());
        match outcome {
            Outcome::Lost => unknown,
            Outcome::Event(index) => {
                self.store.event(*index).map(Applied::Event).map_or(unknown, Ok)
            }
            Outcome::Internal => Ok(Applied::Internal),
            Outcome::Lock(lock) => Ok(Applied::Lock(*lock)),
            Outcome::Failed(error) => Err(Failure::Store(error.clone())),
        }
    }
}

impl Replica {
    /// The state has just been replaced by a snapshot of the leader: what it says of this member's
    /// requests is told to those who wait. What it does not hold goes on to wait.
    pub(crate) fn settle_from_snapshot(&mut self, out: &mut Output) {
        for id in self.forwards.ids() {
            if self.state.sessions.fate(self.id, id) == Fate::Open {
                continue;
            }
            let waiters = self.forwards.take(id).expect("it was just listed");
            let mark = Mark { member: self.id, id, floor: 0, count: waiters.len() };
            self.state.answer_from_memory(&mark, waiters, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::MonoTime;
    use crate::membership::Membership;
    use crate::replica::moments::Moments;
    use crate::session::Sessions;
    use crate::types::{LogIndex, Term};
    use crate::waiting::gather::Batch;
    use crate::wire::batch::{EntryWriter, Items};
    use store::{Author, Command, KeyPath, Limits, Stamp, Store, StoreIndex};

    const OWN: MemberId = MemberId(1);

    fn state() -> State {
        State {
            store: Store::new(Limits::default()),
            membership: Membership::default(),
            sessions: Sessions::default(),
            applied: LogIndex(0),
            applied_term: Term(0),
            hash: 0,
            membership_version: 0,
            entries_skipped: 0,
            moments: Moments::new(StoreIndex(0)),
        }
    }

    /// A request of two writes, with what waits for it.
    fn waiting() -> (Forwards, Items) {
        let mut items = Items::default();
        for key in ["/a", "/b"] {
            let path = KeyPath::parse(key).expect("clean");
            items.push(
                Author::default(),
                &Command::Set { path, value: "v", dir: false, ttl: None, refresh: false },
            );
        }
        let copy = items.clone();
        let mut forwards = Forwards::new(OWN, 9);
        forwards.aim(OWN, 1);
        forwards.add(Batch {
            items,
            waiters: vec![(0, Ticket(1)), (1, Ticket(2))],
            since: MonoTime(0),
        });
        (forwards, copy)
    }

    fn apply(state: &mut State, forwards: &mut Forwards, index: u64, entry: &[u8]) -> Vec<Answer> {
        let mut out = Output::default();
        let mut inbox = Inbox::default();
        let requests = Some((OWN, forwards, &mut inbox));
        let mut waiters = LocalWaiters { waiters: Vec::new(), requests };
        state.apply_items(index, entry, &mut waiters, &mut out).expect("no member ends");
        out.answers
    }

    #[test]
    fn a_request_is_answered_where_it_is_applied_and_a_copy_changes_nothing() {
        let (mut state, (mut forwards, items)) = (state(), waiting());
        let (mark, _) = forwards.next_unsent().expect("it is to be sent");
        let mut entry = EntryWriter::default();
        entry.push_request(&mark, &items);
        let entry = entry.finish(Stamp::default());
        let answers = apply(&mut state, &mut forwards, 5, &entry);
        assert_eq!(answers.iter().map(|answer| answer.ticket.0).collect::<Vec<_>>(), [1, 2]);
        assert!(answers.iter().all(|answer| answer.outcome.is_ok()));
        let index = state.store.index();
        assert!(apply(&mut state, &mut forwards, 6, &entry).is_empty());
        assert_eq!(state.store.index(), index);
    }

    #[test]
    fn who_waits_for_what_nobody_can_read_is_told_so() {
        let (mut state, (mut forwards, items)) = (state(), waiting());
        let (mark, _) = forwards.next_unsent().expect("it is to be sent");
        let mut entry = EntryWriter::default();
        let mut torn = items.clone();
        torn.bytes.pop();
        entry.push_request(&mark, &torn);
        let answers = apply(&mut state, &mut forwards, 5, &entry.finish(Stamp::default()));
        assert_eq!(answers.len(), 2, "{answers:?}");
        assert!(answers[0].outcome.is_ok());
        let is_unknown = matches!(answers[1].outcome, Err(Failure::Engine(EngineError::Unknown)));
        assert!(is_unknown, "{answers:?}");
    }

    #[test]
    fn a_removed_members_request_is_passed_over() {
        let (mut state, (mut forwards, items)) = (state(), waiting());
        let (mark, _) = forwards.next_unsent().expect("it is to be sent");
        state.membership.remove(OWN, true);
        let mut entry = EntryWriter::default();
        entry.push_request(&mark, &items);
        let answers = apply(&mut state, &mut forwards, 5, &entry.finish(Stamp::default()));
        assert!(answers.iter().all(|answer| answer.outcome.is_err()) && answers.len() == 2);
        assert_eq!(state.store.index().0, 0);
    }
}
