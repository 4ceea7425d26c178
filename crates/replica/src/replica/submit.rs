//! The way of a request into the log: gathered from clients, given an id, proposed here or sent to
//! the leader, and taken from other members where this one leads.
//!
//! A member that decides alone needs no ids: nobody else can propose, and what it proposed is
//! applied. Its entries are settled by their place.

use crate::clock::{MonoTime, Now};
use crate::error::EngineError;
use crate::limits::{
    BATCH_BYTES_MAX, ENTRY_BYTES_MAX, EXPIRE_BATCH_MAX, PROPOSALS_MAX, REQUEST_BYTES_MAX,
    TAKEN_BYTES_MAX, TURN_BYTES_MAX, WAITING_BYTES_MAX,
};
use crate::membership::change::Change;
use crate::replica::registry::push_value;
use crate::replica::{Origin, PendingChange, Replica};
use crate::session::ForwardId;
use crate::session::{Fate, Mark};
use crate::types::{LogPosition, MemberId, Ticket};
use crate::waiting::inbox::ForwardedBatch;
use crate::waiting::proposal::{Output, Waiters, fail, waiter};
use crate::wire::batch::{self, Control, EntryWriter, Items};
use crate::wire::envelope::Envelope;
use raft::Changer;
use raft::eraftpb::ConfChangeV2;
use store::{Author, Command};

/// An entry that is put together, and what is in it.
#[derive(Debug, Default)]
struct Draft {
    writer: EntryWriter,
    /// Who waits for which of the items that belong to no request, and since when.
    waiters: Waiters,
    since: MonoTime,
    /// How many items belong to no request.
    len: usize,
    /// Whether it counts what failed at a look.
    counts: bool,
    /// This member's requests.
    own: Vec<u64>,
    /// Those of others.
    taken: Vec<Mark>,
    has_expiry: bool,
}

impl Replica {
    /// Takes a command for the next batch.
    ///
    /// # Errors
    /// [`EngineError`] when it is certain that nothing was done with it.
    pub(crate) fn propose(
        &mut self,
        ticket: Ticket,
        (author, command): (Author, &Command<'_>),
        now: MonoTime,
    ) -> Result<(), EngineError> {
        let bytes = self.gathering.bytes() + self.forwards.bytes();
        if self.proposals_waiting() >= PROPOSALS_MAX || bytes >= WAITING_BYTES_MAX {
            return Err(EngineError::Overloaded);
        }
        self.gathering.push(Some(ticket), now, |items| items.push(author, command))
    }

    pub(crate) fn propose_control(
        &mut self,
        ticket: Option<Ticket>,
        control: &Control,
        now: MonoTime,
    ) {
        let pushed = self.gathering.push(ticket, now, |items| items.push_control(control));
        pushed.expect("a name and two addresses are short");
    }

    /// Whether requests have come since the last turn, or wait since earlier.
    pub(crate) fn has_gathered(&self) -> bool {
        !self.gathering.is_empty() || self.reads.has_gathered() || !self.changes.is_empty()
    }

    /// Whether anything waits here that would be proposed or passed on.
    pub(crate) fn has_requests(&self) -> bool {
        let has_gathered = !self.gathering.is_empty() || !self.inbox.is_empty();
        let has_own = self.expire_wanted || self.count_wanted || !self.announcements.is_empty();
        has_gathered || has_own || self.has_unsent()
    }

    /// Whether so much has gathered that it should go out before more is taken in. What cannot go
    /// out yet, without a leader or with as much under way as may be, holds up nobody: how much
    /// waits has a bound of its own.
    pub(crate) fn is_batch_full(&self) -> bool {
        let goes_out = self.can_decide() || self.reachable_leader().is_some();
        let has_place = self.is_alone() || self.forwards.has_window();
        let bytes = self.gathering.bytes() + self.inbox.bytes();
        goes_out && has_place && bytes >= BATCH_BYTES_MAX
    }

    /// The leader, if it is another member and messages reach it.
    pub(crate) fn reachable_leader(&self) -> Option<MemberId> {
        self.other_leader().filter(|leader| self.gone != Some(*leader))
    }

    /// Whether there is something that can be proposed now, by a member that may decide.
    fn has_more(&self) -> bool {
        let has_gathered =
            !self.gathering.is_empty() && (self.is_alone() || self.forwards.has_window());
        let is_shown = self.announcements.is_empty() || self.raw.raft.has_pending_conf();
        has_gathered || !is_shown || !self.inbox.is_empty() || self.has_unsent()
    }

    fn has_unsent(&self) -> bool {
        let is_elsewhere = self.forwards.has_unsent() || self.forwards.is_aimed_elsewhere(self.id);
        is_elsewhere && !self.requests_rest
    }

    /// Whether a turn should follow at once: not all fits into one.
    pub(crate) fn has_more_to_propose(&self) -> bool {
        self.can_decide() && self.has_more()
    }

    /// How many bytes this turn will want to have in the log, or in that of the leader, from which
    /// they come back; nothing if it has none.
    pub(crate) fn bytes_to_write(&mut self) -> Option<usize> {
        let bytes = if self.can_decide() {
            self.forwards.aim(self.id, self.raw.raft.term);
            (self.expire_wanted || self.count_wanted || self.has_more())
                .then(|| self.gathering.bytes() + self.inbox.bytes() + self.forwards.unsent_bytes())
        } else {
            let is_sent = self.reachable_leader().is_some() && !self.requests_rest;
            (is_sent && !self.gathering.is_empty()).then(|| self.gathering.bytes())
        };
        bytes.map(|bytes| bytes.min(TURN_BYTES_MAX + ENTRY_BYTES_MAX))
    }

    /// There is no room in the log: refuses what nobody has taken.
    pub(crate) fn refuse_gathered(&mut self, error: EngineError, now: Now, out: &mut Output) {
        if self.expire_wanted {
            (self.expire_wanted, self.expire_in_flight) = (false, false);
            self.rest_expiry(now);
        }
        (self.count_wanted, self.uncounted_since) = (false, None);
        // Who wants to be shown asks again.
        self.announcements.clear();
        self.gathering.refuse(error, &mut out.answers);
        self.forwards.refuse_untouched(error, &mut out.answers);
        self.requests_rest = true;
        self.refuse_taken(error);
    }

    pub(crate) fn refuse_taken(&mut self, error: EngineError) {
        while let Some(taken) = self.inbox.pop() {
            self.inbox.forget(&taken.mark);
            self.refuse(taken.mark.member, taken.mark.id, error);
        }
    }

    pub(crate) fn refuse(&mut self, to: MemberId, id: ForwardId, error: EngineError) {
        self.outgoing.push((to, Envelope::Refused { id, error }.encode()));
    }

    /// Wants an expiry command when something is due. Only a leader decides that time has passed.
    pub(crate) fn expire_due(&mut self, now: Now) {
        if !self.can_decide() {
            self.expire_wanted = false;
            return;
        }
        if self.expire_in_flight || now.mono() < self.expiry_rests_until {
            return;
        }
        if self.state.store.next_deadline().is_some_and(|due| due <= self.clock.time(now)) {
            (self.expire_in_flight, self.expire_wanted) = (true, true);
        }
    }

    /// Proposes what has gathered as one entry, or passes it on, and starts one round for the reads
    /// that gathered.
    pub(crate) fn flush(&mut self, now: Now, out: &mut Output) {
        if self.can_decide() {
            self.propose_gathered(now, out);
            self.flush_change(now, out);
        } else {
            if !self.is_leader() || self.raw.raft.lead_transferee.is_some() {
                self.refuse_taken(EngineError::NotLeader);
            }
            if !self.is_leader() {
                self.announcements.clear();
            }
            if let Some(leader) = self.reachable_leader() {
                self.forward(leader, now.mono());
            }
        }
        // raft drops a read that comes before the leader has committed in its own term.
        let can_ask = if self.is_leader() {
            self.raw.raft.commit_to_current_term()
        } else {
            self.raw.raft.leader_id != 0
        };
        if self.reads.has_gathered() && can_ask {
            let context = self.reads.start_round(now.mono());
            self.raw.read_index(context);
        }
    }

    /// Gives ids to what has gathered, as much as may be under way.
    fn name_gathered(&mut self) {
        while self.forwards.has_window()
            && let Some(batch) = self.gathering.take()
        {
            self.forwards.add(batch);
        }
    }

    /// Proposes what waits here, in entries of about 1 MiB: as many as a turn should.
    pub(crate) fn propose_gathered(&mut self, now: Now, out: &mut Output) {
        self.forwards.aim(self.id, self.raw.raft.term);
        let mut draft = Draft::default();
        if self.expire_wanted {
            let mut items = Items::default();
            items.push(Author::default(), &Command::Expire { limit: EXPIRE_BATCH_MAX });
            draft.push_items(&items);
            draft.has_expiry = true;
        }
        let is_alone = self.is_alone();
        if !is_alone {
            self.name_gathered();
        } else if (self.count_wanted || draft.has_expiry || self.has_more())
            && let Some(command) = self.state.store.count_refused()
        {
            let mut items = Items::default();
            items.push(Author::default(), &command);
            draft.push_items(&items);
            draft.counts = true;
        }
        let mut proposed = 0;
        while proposed < TURN_BYTES_MAX {
            let has_more = self.add_to(&mut draft, is_alone);
            if !has_more {
                let items = self.take_announcements();
                if items.len > 0 {
                    draft.push_items(&items);
                }
            }
            if draft.writer.is_empty() {
                return;
            }
            if !has_more || draft.writer.bytes_len() >= BATCH_BYTES_MAX {
                proposed += draft.writer.bytes_len();
                if !self.propose_draft(std::mem::take(&mut draft), now, out) {
                    return;
                }
            }
        }
    }

    /// Adds the next of what waits to an entry; says whether there was something.
    fn add_to(&mut self, draft: &mut Draft, is_alone: bool) -> bool {
        if is_alone && let Some(batch) = self.gathering.take() {
            let shift = draft.len;
            draft.since = if draft.waiters.is_empty() { batch.since } else { draft.since };
            draft.waiters.extend(batch.waiters.into_iter().map(|(at, who)| (at + shift, who)));
            draft.push_items(&batch.items);
            return true;
        }
        let before = draft.own.last().copied().unwrap_or(0);
        let unsent = self.forwards.next_unsent_after(before).filter(|_| !self.requests_rest);
        if let Some((mark, items)) = unsent {
            draft.writer.push_request(&mark, items);
            draft.own.push(mark.id.seq);
            return true;
        }
        let Some(taken) = self.inbox.pop() else { return false };
        draft.writer.push_request(&taken.mark, &taken.items);
        draft.taken.push(taken.mark);
        true
    }

    /// Proposes an entry; says whether raft took it. What it did not is tried again at the next
    /// tick if it has an id, and refused otherwise: nothing was done.
    fn propose_draft(&mut self, mut draft: Draft, now: Now, out: &mut Output) -> bool {
        let data = draft.writer.finish(self.clock.stamp(now));
        if self.raw.propose(Vec::new(), data).is_err() {
            // There is too much that is not committed.
            if draft.has_expiry {
                (self.expire_in_flight, self.expire_wanted) = (false, false);
            }
            if draft.counts {
                self.state.store.count_refused_again();
            }
            (self.count_wanted, self.uncounted_since) = (false, None);
            self.requests_rest = true;
            fail(draft.waiters, EngineError::Overloaded, &mut out.answers);
            for mark in draft.taken {
                self.inbox.forget(&mark);
                self.refuse(mark.member, mark.id, EngineError::Overloaded);
            }
            self.refuse_taken(EngineError::Overloaded);
            return false;
        }
        self.expire_wanted &= !draft.has_expiry;
        if draft.counts {
            (self.count_wanted, self.uncounted_since) = (false, None);
        }
        let position = self.last_position();
        self.proposals.register(position, draft.since, draft.waiters);
        for seq in draft.own {
            self.forwards.sent(seq, self.id, now.mono());
        }
        true
    }

    /// Proposes the next change of the membership, if the last one is applied.
    fn flush_change(&mut self, now: Now, out: &mut Output) {
        if self.raw.raft.has_pending_conf() {
            return;
        }
        let Some(pending) = self.changes.pop_front() else { return };
        if pending.change.leaver() == Some(self.id) && !self.is_alone() {
            // Another leader carries it out; this one hands over first.
            self.changes.push_front(pending);
            return self.transfer_leadership();
        }
        let standings = self.standings(now);
        let mut checked = standings.check(&pending.change, &self.state.membership);
        if checked.is_ok() {
            let change = pending.change.to_raft(self.change_context(&pending.change, now));
            checked = self.simulate(&change);
            checked = checked.and_then(|()| {
                let proposed = self.raw.propose_conf_change(Vec::new(), change);
                proposed.map_err(|_| EngineError::Overloaded)
            });
        }
        let position = self.last_position();
        match (checked, pending.origin) {
            (Ok(()), Origin::Own(ticket)) => {
                self.proposals.register(position, pending.since, waiter(0, ticket));
            }
            (Ok(()), Origin::Member(from, id)) => {
                let accepted = Envelope::ForwardAccepted { id, position, offset: 0 };
                self.outgoing.push((from, accepted.encode()));
            }
            (Err(error), Origin::Own(ticket)) => fail(waiter(0, ticket), error, &mut out.answers),
            (Err(error), Origin::Member(from, id)) => self.refuse(from, id, error),
        }
    }

    /// Makes a change on a copy of the configuration: what raft would refuse when it is applied, or
    /// would leave nobody to decide, is never put into the log.
    fn simulate(&self, change: &ConfChangeV2) -> Result<(), EngineError> {
        let mut changer = Changer::new(self.raw.raft.prs());
        changer.simple(&change.changes).map(|_| ()).map_err(|_| EngineError::QuorumAtRisk)
    }

    /// What is written into the store together with a change of the membership.
    fn change_context(&self, change: &Change, now: Now) -> Vec<u8> {
        let mut items = Items::default();
        match change {
            Change::Join(member) => {
                items.push_control(&Control::Register { member: member.clone(), config: None });
                if !member.urls.is_empty() {
                    push_value(&mut items, member);
                }
            }
            Change::Remove(id) => items.push_control(&Control::Remove(*id)),
            Change::Expel(id) => items.push_control(&Control::Expel(*id)),
            Change::Promote(_) => return Vec::new(),
        }
        let mut entry = EntryWriter::default();
        entry.push_items(&items);
        entry.finish(self.clock.stamp(now))
    }

    /// Passes everything that waits here on to the leader.
    pub(crate) fn forward(&mut self, to: MemberId, now: MonoTime) {
        let term = self.raw.raft.term;
        self.forwards.aim(to, term);
        if !self.requests_rest {
            self.name_gathered();
            while let Some((mark, items)) = self.forwards.next_unsent() {
                let Mark { id, floor, .. } = mark;
                let envelope = Envelope::Forward { term, id, floor, items: &items.bytes };
                self.outgoing.push((to, envelope.encode()));
                self.forwards.sent(id.seq, to, now);
            }
        }
        for pending in std::mem::take(&mut self.changes) {
            match pending.origin {
                Origin::Own(ticket) => {
                    let change = pending.change.clone();
                    let id = self.forwards.add_change(to, pending.since, change, ticket);
                    let envelope = Envelope::Change { term, id, change: pending.change };
                    self.outgoing.push((to, envelope.encode()));
                }
                Origin::Member(from, id) => self.refuse(from, id, EngineError::NotLeader),
            }
        }
    }

    fn leads_in(&self, term: u64) -> bool {
        self.is_leader() && self.raw.raft.term == term && self.raw.raft.lead_transferee.is_none()
    }

    /// Another member wants commands to be proposed. A copy of what is in the log, or on its way
    /// there, needs no answer: its sender sees it applied.
    pub(crate) fn take_request(
        &mut self,
        from: MemberId,
        term: u64,
        (id, floor): (ForwardId, u64),
        items: &[u8],
    ) {
        if !self.leads_in(term) {
            return self.refuse(from, id, EngineError::NotLeader);
        }
        let is_short = items.len() <= REQUEST_BYTES_MAX;
        let items = batch::check_forwarded(items).filter(|_| is_short && floor < id.seq);
        let Some(items) = items.filter(|_| self.raw.raft.prs().get(from.0).is_some()) else {
            return self.refuse(from, id, EngineError::Superseded);
        };
        let mark = Mark { member: from, id, floor, count: items.len };
        if self.inbox.holds(term, &mark) || self.state.sessions.fate(from, id) != Fate::Open {
            return;
        }
        if self.inbox.bytes() + items.bytes.len() > TAKEN_BYTES_MAX {
            return self.refuse(from, id, EngineError::Overloaded);
        }
        self.inbox.push(ForwardedBatch { mark, items });
    }

    /// Another member wants a change of the membership to be proposed.
    pub(crate) fn take_change(
        &mut self,
        from: MemberId,
        term: u64,
        id: ForwardId,
        change: Change,
        now: MonoTime,
    ) {
        if !self.seen.is_new(from, id) {
            return;
        }
        if !self.leads_in(term) {
            return self.refuse(from, id, EngineError::NotLeader);
        }
        let origin = Origin::Member(from, id);
        self.changes.push_back(PendingChange { change, since: now, origin });
    }

    /// The leader said where a change was proposed.
    pub(crate) fn change_accepted(
        &mut self,
        from: MemberId,
        id: ForwardId,
        position: LogPosition,
        offset: usize,
        out: &mut Output,
    ) {
        let Some(waiting) = self.forwards.settle_change(from, id) else { return };
        let waiters = waiter(offset, waiting.ticket);
        if position.index <= self.state.applied {
            return fail(waiters, EngineError::Unknown, &mut out.answers);
        }
        self.proposals.register(position, waiting.since, waiters);
    }

    /// What was sent to a leader was not proposed. What only found no leader is kept for the next
    /// one.
    pub(crate) fn refused(
        &mut self,
        from: MemberId,
        id: ForwardId,
        error: EngineError,
        out: &mut Output,
    ) {
        if self.forwards.refused(from, id, error, &mut out.answers) {
            self.requests_rest |= self.forwards.has_unsent();
            return;
        }
        let Some(waiting) = self.forwards.settle_change(from, id) else { return };
        if error == EngineError::NotLeader {
            let origin = Origin::Own(waiting.ticket);
            let (change, since) = (waiting.change, waiting.since);
            self.changes.push_back(PendingChange { change, since, origin });
        } else {
            fail(waiter(0, waiting.ticket), error, &mut out.answers);
        }
    }

    /// Tries again what was refused, or may be lost on its way.
    pub(crate) fn resend(&mut self, before: MonoTime) {
        self.requests_rest = false;
        self.forwards.resend(before);
    }
}

impl Draft {
    fn push_items(&mut self, items: &Items) {
        self.writer.push_items(items);
        self.len += items.len;
    }
}
