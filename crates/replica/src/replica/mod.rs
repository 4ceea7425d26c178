//! One member's state machine: raft, the key space, and who waits for what. Does no I/O.
//!
//! Inputs change the state and never wait; what has to be written, sent or answered comes out of
//! raft's ready state and of [`Replica::outgoing`], and the driver carries it out in the order that
//! safety demands.
//!
//! Any member takes proposals and quorum reads. A follower passes proposals on (`submit.rs`), and
//! raft passes its quorum reads on; while nobody leads both wait, within the request time-out.

mod admission;
pub(crate) mod ahead;
pub(crate) mod apply;
mod count;
pub(crate) mod handover;
pub(crate) mod log;
pub(crate) mod moments;
pub(crate) mod progress;
mod query;
pub(crate) mod ready;
pub(crate) mod registry;
pub(crate) mod settle;
pub(crate) mod state;
mod submit;

use crate::clock::{ClusterClock, MonoTime, Now};
use crate::error::EngineError;
use crate::limits::{COUNT_NS, READS_MAX, TICK_NS};
use crate::membership::change::{Change, Standing, Standings};
use crate::membership::configuration::holds;
use crate::replica::log::LogView;
use crate::replica::progress::{Marks, Peer, Peers};
use crate::replica::state::{Announcement, State};
use crate::session::ForwardId;
use crate::types::{MemberId, Role, Ticket};
use crate::waiting::forward::Forwards;
use crate::waiting::gather::Gathering;
use crate::waiting::inbox::{DedupWindow, Inbox};
use crate::waiting::proposal::{Output, Proposals, fail, waiter};
use crate::waiting::read::Reads;
use raft::eraftpb::Message;
use raft::{RawNode, StateRole};
use std::collections::{BTreeMap, VecDeque};

/// A change of the membership that waits to be proposed.
#[derive(Debug)]
pub(crate) struct PendingChange {
    pub(crate) change: Change,
    pub(crate) since: MonoTime,
    pub(crate) origin: Origin,
}

/// Who wants to know what came of a change.
#[derive(Debug)]
pub(crate) enum Origin {
    Own(Option<Ticket>),
    Member(MemberId, ForwardId),
}

/// One member, without its disk and its network.
pub(crate) struct Replica {
    id: MemberId,
    raw: RawNode<LogView>,
    state: State,
    clock: ClusterClock,
    reads: Reads,
    proposals: Proposals,
    peers: Peers,
    marks: Marks,
    /// Commands applied since the last snapshot was begun.
    commands_since_snapshot: u64,
    expire_in_flight: bool,
    /// Whether the next entry is to remove what has expired.
    expire_wanted: bool,
    /// Since when operations that failed at a look are not counted in the log.
    uncounted_since: Option<MonoTime>,
    /// Whether they are to be with the next entry, also if there is nothing else to write.
    count_wanted: bool,
    /// No expiry is proposed before this reading of the monotonic clock.
    expiry_rests_until: MonoTime,
    /// Whether raft's configuration has ever held this member.
    was_member: bool,
    /// Messages to other members beside raft's own. They leave before raft's.
    outgoing: Vec<(MemberId, Vec<u8>)>,
    gathering: Gathering,
    forwards: Forwards,
    /// Whether a request has just been refused: the leader is asked again at the next tick.
    requests_rest: bool,
    seen: DedupWindow,
    inbox: Inbox,
    changes: VecDeque<PendingChange>,
    /// Members whose keys in the registry the next entry is to write.
    announcements: BTreeMap<MemberId, Announcement>,
    /// The leader, if its connection broke and nothing was heard from it since: what waits is kept
    /// for the next one.
    gone: Option<MemberId>,
    leading: bool,
    /// Seeds the election time-outs, so that a simulated run can be repeated.
    seed: u64,
    election_ticks: u64,
    timeout_drawn_for: (u64, StateRole),
}

impl Replica {
    pub(crate) fn new(
        id: MemberId,
        raw: RawNode<LogView>,
        state: State,
        clock: ClusterClock,
        seed: u64,
        commands_since_snapshot: u64,
    ) -> Self {
        let election_ticks = raw.raft.election_timeout() as u64;
        let mut replica = Self {
            id,
            raw,
            state,
            clock,
            reads: Reads::new(id, seed),
            proposals: Proposals::default(),
            peers: Peers::default(),
            marks: Marks::default(),
            commands_since_snapshot,
            expire_in_flight: false,
            expire_wanted: false,
            uncounted_since: None,
            count_wanted: false,
            expiry_rests_until: MonoTime::default(),
            was_member: false,
            outgoing: Vec::new(),
            gathering: Gathering::default(),
            forwards: Forwards::new(id, seed),
            requests_rest: false,
            seen: DedupWindow::default(),
            inbox: Inbox::default(),
            changes: VecDeque::new(),
            announcements: BTreeMap::new(),
            gone: None,
            leading: false,
            seed,
            election_ticks,
            timeout_drawn_for: (u64::MAX, StateRole::Follower),
        };
        replica.was_member = replica.is_member();
        replica
    }

    pub(crate) fn role(&self) -> Role {
        match self.raw.raft.state {
            StateRole::Leader => Role::Leader,
            StateRole::Follower => Role::Follower,
            StateRole::Candidate | StateRole::PreCandidate => Role::Candidate,
        }
    }

    pub(crate) fn proposals_waiting(&self) -> usize {
        self.proposals.len() + self.forwards.len() + self.gathering.tickets()
    }

    pub(crate) fn is_leader(&self) -> bool {
        self.raw.raft.state == StateRole::Leader
    }

    /// Whether this member may decide now. A new leader first applies what others decided, so that
    /// its clock has seen all their stamps; one that hands over takes nothing any more.
    pub(crate) fn can_decide(&self) -> bool {
        self.is_leader()
            && self.raw.raft.apply_to_current_term()
            && self.raw.raft.lead_transferee.is_none()
    }

    /// The leader, if it is another member.
    pub(crate) fn other_leader(&self) -> Option<MemberId> {
        self.leader().filter(|leader| *leader != self.id)
    }

    /// Whether this member decides alone, so that no tick is needed while it leads.
    pub(crate) fn is_alone(&self) -> bool {
        let conf = self.raw.store().conf_state();
        conf.voters == [self.id.0] && conf.voters_outgoing.is_empty() && conf.learners.is_empty()
    }

    /// Whether everything that was ever answered is applied here, and nobody else can answer.
    pub(crate) fn decides_alone(&self) -> bool {
        self.is_alone() && self.can_decide()
    }

    /// Whether raft's configuration holds this member.
    pub(crate) fn is_member(&self) -> bool {
        holds(self.conf_state(), self.id)
    }

    /// Whether raft, told of a snapshot of its leader, will want it to be installed: by the same
    /// conditions, in the same order.
    pub(crate) fn wants_snapshot(&self, message: &Message) -> bool {
        let raft = &self.raw.raft;
        let metadata = message.get_snapshot().get_metadata();
        raft.state == StateRole::Follower
            && metadata.index >= raft.raft_log.committed
            && holds(metadata.get_conf_state(), self.id)
            && !raft.raft_log.match_term(metadata.index, metadata.term)
    }

    /// Whether this member's own log says that it is none any more.
    pub(crate) fn is_removed(&self) -> bool {
        !self.is_member() && (self.was_member || self.state.membership.was_removed(self.id))
    }

    /// The last entry of the member that has the fewest, of those that are heard of; nothing where
    /// this one does not lead.
    fn slowest_live(&self) -> Option<u64> {
        let others = self.raw.raft.prs().iter().filter(|(id, _)| **id != self.id.0);
        let live = others.filter(|(_, progress)| progress.recent_active);
        live.map(|(_, progress)| progress.matched).min().filter(|_| self.is_leader())
    }

    /// Takes a change of the membership.
    pub(crate) fn propose_change(&mut self, ticket: Option<Ticket>, change: Change, now: MonoTime) {
        self.changes.push_back(PendingChange { change, since: now, origin: Origin::Own(ticket) });
    }

    /// Takes a quorum read for the next round.
    ///
    /// # Errors
    /// [`EngineError`] when too many wait.
    pub(crate) fn read(&mut self, ticket: Ticket, now: MonoTime) -> Result<(), EngineError> {
        if self.reads.len() >= READS_MAX {
            return Err(EngineError::Overloaded);
        }
        self.reads.gather(ticket, now);
        Ok(())
    }

    /// Nanoseconds until the next expiry can be proposed; nothing if none is to come.
    pub(crate) fn until_expiry(&self, now: Now) -> Option<u64> {
        if self.expire_in_flight || !self.can_decide() {
            return None;
        }
        let rest = self.expiry_rests_until.since(now.mono());
        self.state.store.next_deadline().map(|due| self.clock.until(due, now).max(rest))
    }

    /// Nanoseconds until what failed at a look is due to be counted; nothing if there is nothing.
    pub(crate) fn until_count(&self, now: MonoTime) -> Option<u64> {
        self.uncounted_since.map(|since| since.after(COUNT_NS).since(now))
    }

    /// There is no room for an expiry: it is tried again at the next tick and not in every turn,
    /// of which there would be no end.
    pub(crate) fn rest_expiry(&mut self, now: Now) {
        self.expiry_rests_until = now.mono().after(TICK_NS);
    }

    /// A member's connection broke.
    pub(crate) fn lost(&mut self, id: MemberId, out: &mut Output) {
        self.forwards.lose_changes(id, &mut out.answers);
        self.note_gone(id);
    }

    /// Nothing can be sent to a member now, and what was on its way is lost.
    pub(crate) fn note_gone(&mut self, id: MemberId) {
        self.forwards.unsend(id);
        if self.other_leader() == Some(id) {
            self.gone = Some(id);
        }
    }

    /// A member was heard of.
    pub(crate) fn note_heard(&mut self, id: MemberId, now: MonoTime) {
        self.peers.heard(id, now);
        if self.gone == Some(id) {
            self.gone = None;
        }
    }

    /// Gives up on what has waited since before `since`, and tries again what may have been lost.
    pub(crate) fn expire_waiting(
        &mut self,
        since: MonoTime,
        retry_before: MonoTime,
        out: &mut Output,
    ) {
        self.proposals.expire(since, EngineError::Timeout, &mut out.answers);
        self.forwards.expire(since, &mut out.answers);
        self.reads.regather(retry_before);
        let waits_for_leader = self.raw.raft.leader_id == 0;
        let error = if waits_for_leader { EngineError::NoLeader } else { EngineError::Timeout };
        self.reads.expire(since, error, &mut out.reads);
        self.gathering.expire(since, EngineError::NoLeader, &mut out.answers);
        while let Some(old) = self.changes.pop_front_if(|pending| pending.since <= since) {
            match old.origin {
                Origin::Own(ticket) => {
                    fail(waiter(0, ticket), EngineError::NoLeader, &mut out.answers);
                }
                Origin::Member(from, id) => self.refuse(from, id, EngineError::Superseded),
            }
        }
    }

    /// Draws the election time-out from (seed, member, term, role) whenever one of them changes;
    /// raft's own draw would come from the thread's generator.
    pub(crate) fn fix_election_timeout(&mut self) {
        let key = (self.raw.raft.term, self.raw.raft.state);
        if self.timeout_drawn_for == key {
            return;
        }
        self.timeout_drawn_for = key;
        let mut mixed = self.seed ^ self.id.0.rotate_left(17) ^ key.0.rotate_left(34);
        mixed ^= (key.1 as u64).rotate_left(51);
        mixed = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^= mixed >> 29;
        let ticks = self.election_ticks + mixed % self.election_ticks;
        let ticks = usize::try_from(ticks).expect("election time-outs are small numbers of ticks");
        self.raw.raft.set_randomized_election_timeout(ticks);
    }

    /// The leader's connection broke: it is most likely dead. This member campaigns after a few
    /// ticks, in an order that its id decides; the others grant a vote only if they miss the leader
    /// too.
    pub(crate) fn hint_leader_lost(&mut self) {
        let raft = &mut self.raw.raft;
        raft.election_elapsed = raft.election_elapsed.max(raft.election_timeout());
        let spread = usize::try_from(self.id.0 % 4).expect("a number below four");
        let soon = (raft.election_timeout() + 1 + spread)
            .min(raft.election_timeout().saturating_mul(2).saturating_sub(1));
        raft.set_randomized_election_timeout(soon);
    }

    /// Notices that leadership came or went.
    pub(crate) fn observe_role(&mut self, now: MonoTime) {
        self.fix_election_timeout();
        let leading = self.is_leader();
        if leading != self.leading {
            self.leading = leading;
            self.expire_in_flight = false;
            self.reads.regather(MonoTime::MAX);
            if leading {
                self.peers.start_leading(now);
            }
        }
    }

    /// What this leader knows of all members.
    pub(crate) fn standings(&self, now: Now) -> Standings {
        let active_ns =
            self.election_ticks.saturating_mul(crate::limits::TICK_NS).saturating_mul(2);
        let conf = self.raw.store().conf_state();
        let ids = conf.voters.iter().chain(&conf.learners);
        let standing = |id: &u64| {
            let progress = self.raw.raft.prs().get(*id);
            let is_own = *id == self.id.0;
            let peer = self.peers.get(MemberId(*id));
            let heard_at = peer.and_then(Peer::heard);
            let since = |at: MonoTime| now.mono().since(at);
            // A member that was never heard of has all its time from when it was first missed.
            let missed_at = heard_at.or(peer.and_then(|peer| peer.missed_at));
            let silent_ns = missed_at.filter(|_| !is_own).map_or(0, since);
            Standing {
                id: MemberId(*id),
                is_voter: conf.voters.contains(id),
                is_active: is_own || heard_at.is_some_and(|at| since(at) <= active_ns),
                silent_ns,
                matched: progress.map_or(0, |progress| progress.matched),
            }
        };
        Standings {
            own: self.id,
            last_index: self.raw.raft.raft_log.last_index(),
            members: ids.map(standing).collect(),
        }
    }

    /// Proposes what the leader does by itself: promotions and removals.
    pub(crate) fn propose_membership_changes(&mut self, now: Now) {
        let is_busy = self.raw.raft.has_pending_conf() || !self.changes.is_empty();
        if !self.can_decide() || is_busy {
            return;
        }
        let conf = self.raw.store().conf_state();
        for id in conf.voters.iter().chain(&conf.learners).filter(|id| **id != self.id.0) {
            self.peers.miss(MemberId(*id), now.mono());
        }
        if let Some(change) = self.standings(now).due(&self.state.membership) {
            self.propose_change(None, change, now.mono());
        }
    }

    /// Forgets what was noticed of those that left.
    pub(crate) fn forget_strangers(&mut self) {
        let conf = self.raw.store().conf_state();
        self.peers.retain(|id| conf.voters.contains(&id.0) || conf.learners.contains(&id.0));
    }
}
