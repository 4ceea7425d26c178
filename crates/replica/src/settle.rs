//! Who waits for the items of an entry, and what they are told: when it is applied, and when a
//! snapshot takes its place.

use crate::apply::State;
use crate::error::{EngineError, Failure};
use crate::forward::Forwards;
use crate::inbox::Inbox;
use crate::proposal::{Answer, Output, Places, fail};
use crate::replica::Replica;
use crate::session::{Fate, Mark, Outcome};
use crate::types::MemberId;
use std::iter::Peekable;
use store::{Applied, StoreError};

/// Who waits here for what an entry holds. Nobody does while a log is replayed.
#[derive(Debug, Default)]
pub(crate) struct Waiters<'a> {
    /// For the items that belong to no request, by their position among them.
    pub(crate) places: Places,
    /// This member, its requests, and those of others that it has proposed.
    pub(crate) requests: Option<(MemberId, &'a mut Forwards, &'a mut Inbox)>,
}

impl Waiters<'_> {
    fn take(&mut self, mark: &Mark) -> Option<Places> {
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
    waiting: Peekable<std::vec::IntoIter<(usize, crate::types::Ticket)>>,
}

impl State {
    /// A request comes in an entry.
    pub(crate) fn open_group(
        &mut self,
        mark: Mark,
        index: u64,
        waiters: &mut Waiters<'_>,
        out: &mut Output,
    ) -> Group {
        // One of a member that was removed may have been carried out already: nothing is
        // remembered of it.
        let is_new = !self.membership.was_removed(mark.member) && self.sessions.begin(&mark, index);
        let mut places = waiters.take(&mark).unwrap_or_default();
        if !is_new {
            self.answer_from_memory(&mark, std::mem::take(&mut places), out);
        }
        let outcomes = Vec::with_capacity(if is_new { mark.count.min(4096) } else { 0 });
        let waiting = places.into_iter().peekable();
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
    fn answer_from_memory(&self, mark: &Mark, places: Places, out: &mut Output) {
        let kept = match self.sessions.fate(mark.member, mark.id) {
            Fate::Done(Some(kept)) => kept,
            _ => return fail(places, EngineError::Unknown, &mut out.answers),
        };
        for (at, ticket) in places {
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
            let places = self.forwards.take(id).unwrap_or_default();
            let mark = Mark { member: self.id, id, floor: 0, count: places.len() };
            self.state.answer_from_memory(&mark, places, out);
        }
    }
}
