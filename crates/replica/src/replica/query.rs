//! What a replica tells of itself, to whoever drives it and to other members that ask.

use crate::clock::Now;
use crate::membership::configuration::voters;
use crate::membership::removal::{About, Outlook};
use crate::membership::{ClusterConfig, Member, Membership, Removal};
use crate::replica::Replica;
use crate::replica::ahead;
use crate::replica::moments::Moments;
use crate::replica::progress::Peer;
use crate::snapshot::backup::{Backup, BackupInfo};
use crate::types::{ClusterId, LogIndex, LogPosition, MemberId, Term};
use crate::wire::batch::Control;
use raft::eraftpb::{ConfState, Entry, Message, MessageType};
use store::{Stamp, Store};

impl Replica {
    pub(crate) fn id(&self) -> MemberId {
        self.id
    }

    pub(crate) fn term(&self) -> Term {
        Term(self.raw.raft.term)
    }

    /// The leader that this member knows; it may be itself.
    pub(crate) fn leader(&self) -> Option<MemberId> {
        let leader = self.raw.raft.leader_id;
        (leader != 0).then_some(MemberId(leader))
    }

    /// The highest entry known to be committed.
    pub(crate) fn commit(&self) -> LogIndex {
        LogIndex(self.raw.raft.raft_log.committed)
    }

    /// The last entry of the log, durable or not.
    pub(crate) fn last_index(&self) -> LogIndex {
        LogIndex(self.raw.raft.raft_log.last_index())
    }

    /// The last entry of the log of this leader: the one that was proposed last.
    pub(super) fn last_position(&self) -> LogPosition {
        assert!(self.is_leader(), "only a leader's last entry is in its own term");
        LogPosition { index: self.last_index(), term: self.term() }
    }

    /// The last entry that is durable.
    pub(crate) fn last_persisted(&self) -> LogPosition {
        let log = &self.raw.raft.raft_log;
        let last_index = log.persisted.max(self.state.applied.0);
        let term = log.term(last_index).expect("the log holds the term of what is applied last");
        LogPosition::new(last_index, term)
    }

    pub(crate) fn applied(&self) -> LogIndex {
        self.state.applied
    }

    /// The running hash of everything applied.
    pub(crate) fn applied_hash(&self) -> u64 {
        self.state.hash
    }

    /// When the indexes of the store were made, as far as this process saw it.
    pub(crate) fn moments(&self) -> &Moments {
        &self.state.moments
    }

    pub(crate) fn entries_skipped(&self) -> u64 {
        self.state.entries_skipped
    }

    /// Commands applied since the last snapshot was begun.
    pub(crate) fn commands_since_snapshot(&self) -> u64 {
        self.commands_since_snapshot
    }

    pub(crate) fn store(&self) -> &Store {
        &self.state.store
    }

    pub(crate) fn store_mut(&mut self) -> &mut Store {
        &mut self.state.store
    }

    pub(crate) fn membership(&self) -> &Membership {
        &self.state.membership
    }

    pub(crate) fn membership_version(&self) -> u64 {
        self.state.membership_version
    }

    /// The membership as the log has it, with what is not applied yet. What a member has just been
    /// started with may be committed already, and it does not know.
    pub(crate) fn membership_ahead(&self) -> Membership {
        let mut membership = self.state.membership.clone();
        let unapplied = self.raw.store().behind_index(self.state.applied.0);
        unapplied.for_each(|entry| ahead::note(entry, &mut membership));
        membership
    }

    /// All that vote now, or will when everything in the log is applied.
    pub(crate) fn voters_ahead(&self) -> Vec<MemberId> {
        let unapplied = self.raw.store().behind_index(self.state.applied.0);
        let added = unapplied.flat_map(ahead::new_voters);
        voters(self.conf_state()).chain(added).collect()
    }

    /// How far a leader may say that its log is committed, while a change of the members is on its
    /// way: a member that is removed leaves as soon as it hears that this is committed, so it must
    /// not hear it before that is durable here. A leader that forgets it in a power loss would need
    /// the vote of the one that has left. The change is applied when it is durable
    /// ([`crate::Driver`]).
    pub(crate) fn commit_limit(&self) -> Option<LogIndex> {
        let change = self.raw.raft.pending_conf_index;
        let is_pending = self.is_leader() && change > self.state.applied.0;
        is_pending.then(|| LogIndex(change - 1))
    }

    /// The last that a leader says to those that these entries remove, which it speaks to no more
    /// when it has applied them: that they are committed.
    pub(crate) fn farewells(&self, entries: &[Entry]) -> Vec<Message> {
        let raft = &self.raw.raft;
        if !self.is_leader() {
            return Vec::new();
        }
        let removed = entries
            .iter()
            .flat_map(|entry| ahead::removed_voters(entry).map(move |id| (id, entry.index)));
        let has_it = removed.filter(|(id, index)| self.matched(*id) >= Some(LogIndex(*index)));
        let farewell = |(id, commit): (MemberId, u64)| {
            let mut message = Message::default();
            message.set_msg_type(MessageType::MsgHeartbeat);
            (message.to, message.from, message.term) = (id.0, raft.id, raft.term);
            message.commit = commit;
            message
        };
        has_it.map(farewell).collect()
    }

    pub(crate) fn conf_state(&self) -> &ConfState {
        self.raw.store().conf_state()
    }

    pub(crate) fn is_voter(&self, id: MemberId) -> bool {
        voters(self.conf_state()).any(|voter| voter == id)
    }

    /// Whether raft's configuration has ever held this member, as far as it knows.
    pub(crate) fn was_member(&self) -> bool {
        self.was_member
    }

    /// What is known of another member from its messages.
    pub(crate) fn peer(&self, id: MemberId) -> Option<&Peer> {
        self.peers.get(id)
    }

    /// The last entry that this leader knows a member to have; nothing elsewhere.
    pub(crate) fn matched(&self, id: MemberId) -> Option<LogIndex> {
        let progress = self.raw.raft.prs().get(id.0).filter(|_| self.is_leader())?;
        Some(LogIndex(progress.matched))
    }

    /// The cluster's time, for a proposal that is made now.
    pub(crate) fn stamp(&self, now: Now) -> Stamp {
        self.clock.stamp(now)
    }

    /// The cluster's time, as it is written down beside a reading of this machine's clocks.
    pub(crate) fn reading(&self, now: Now) -> Stamp {
        self.clock.reading(now)
    }

    /// Whether everything is applied here that was in the log when this process started. Before
    /// that the table may be an old one.
    pub(crate) fn has_caught_up(&self) -> bool {
        let state = &self.state;
        if self.is_leader() {
            return state.applied_term == self.term();
        }
        let leader = self.leader().and_then(|leader| self.peers.get(leader));
        leader.is_some_and(|leader| leader.applied > 0 && state.applied.0 >= leader.applied)
    }

    /// What this member must tell the cluster about itself, if anything has changed; `first` is the
    /// configuration that the very first member brings along.
    pub(crate) fn registration(
        &self,
        member: &Member,
        first: Option<ClusterConfig>,
    ) -> Option<Control> {
        self.state.registration(member, first)
    }

    /// The present state as a backup: `made_by` is this member's name, `program` what it runs.
    pub(crate) fn backup(
        &self,
        cluster: ClusterId,
        (made_by, program): (String, String),
        made: Now,
    ) -> Backup {
        let state = &self.state;
        let info = BackupInfo {
            cluster,
            log_index: state.applied,
            term: state.applied_term,
            hash: state.hash,
            stamp: self.clock.reading(made),
            made,
            made_by,
            program,
            membership: state.membership.clone(),
        };
        Backup::new(info, state.store.snapshot())
    }

    /// Answers the read index that another member asks for, without a round, where its request is
    /// proof enough; `term` is the sender's when it sent the request.
    ///
    /// A sender in this leader's term had voted for nobody later, and neither has this leader. If
    /// the two are a majority, as in a cluster of three, nobody can have led in a later term before
    /// the request was sent, so that nothing was answered by then which this leader does not know.
    /// That is so for the sender's reads, which came before it sent the request, and for no other
    /// read that waits here: the request may have been on its way for long.
    pub(crate) fn answer_read(&self, request: &Message, term: u64) -> Option<Message> {
        let raft = &self.raw.raft;
        let is_proof = self.is_leader()
            && raft.term == term
            && raft.commit_to_current_term()
            && raft.prs().has_quorum(&[raft.id, request.from].into_iter().collect());
        is_proof.then(|| {
            let mut answer = Message::default();
            answer.set_msg_type(MessageType::MsgReadIndexResp);
            (answer.to, answer.from, answer.term) = (request.from, raft.id, term);
            answer.index = raft.raft_log.committed;
            answer.entries.clone_from(&request.entries);
            answer
        })
    }

    pub(crate) fn outlook(&self, hears_leader: bool) -> Outlook {
        Outlook::new(self.id, self.role(), hears_leader, voters(self.conf_state()))
    }

    pub(crate) fn about(&self, id: MemberId) -> About {
        let membership = &self.state.membership;
        let is_expected = || membership.expected().any(|machine| machine.id == id);
        match membership.removal(id) {
            _ if self.is_in_configuration(id) || is_expected() => About::Member,
            Some(Removal::Plain) => About::Removed,
            Some(Removal::Final) => About::RemovedFinally,
            None => About::Unknown,
        }
    }
}
