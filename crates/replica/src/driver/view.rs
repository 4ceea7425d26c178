//! What whoever drives a member sees of it.

use crate::clock::Clock;
use crate::driver::{Driver, Network};
use crate::membership::removal::{About, Outlook};
use crate::membership::{Member, Membership};
use crate::replica::progress::Peer;
use crate::traffic::Traffic;
use crate::types::{ClusterId, LogIndex, MemberId, Role, Term};
use store::Store;
use wal::{Disk, Wal};

/// What operators want to know of a member; see the docs of `/metrics`.
#[derive(Clone, Copy, Debug)]
pub struct Status {
    /// This member.
    pub id: MemberId,
    /// Its part at the moment.
    pub role: Role,
    /// The leader that it knows, if any.
    pub leader: Option<MemberId>,
    /// raft's term.
    pub term: Term,
    /// The highest entry known to be committed: `X-Raft-Index`.
    pub commit: LogIndex,
    /// The highest entry applied to the store.
    pub applied: LogIndex,
    /// The running hash of everything applied up to there, the same on every member.
    pub applied_hash: u64,
    /// Whether the log refuses writes for want of room.
    pub is_disk_full: bool,
    /// Whether it takes part in decisions; a member that joins learns first.
    pub is_voter: bool,
    /// Whether it was a member and is none any more.
    pub is_removed: bool,
}

impl<D: Disk, N: Network, C: Clock> Driver<D, N, C> {
    /// How many proposals wait for their outcome.
    pub fn proposals_waiting(&self) -> usize {
        self.replica.proposals_waiting()
    }

    /// The key space.
    pub fn store(&self) -> &Store {
        &self.replica.state.store
    }

    /// The key space, for watchers.
    pub fn store_mut(&mut self) -> &mut Store {
        &mut self.replica.state.store
    }

    /// The members and their configuration.
    pub fn membership(&self) -> &Membership {
        &self.replica.state.membership
    }

    /// From where this member sees a claim that it was removed.
    pub fn outlook(&self) -> Outlook {
        let leader = self.replica.other_leader();
        self.replica.outlook(leader.is_some_and(|id| self.is_reachable(id)))
    }

    /// What this member knows of an id: the answer to another one that asks about itself.
    pub fn about(&self, id: MemberId) -> About {
        self.replica.about(id)
    }

    /// Changes whenever [`Driver::membership`] does.
    pub fn membership_version(&self) -> u64 {
        self.replica.state.membership_version
    }

    /// The log, for its background work and its statistics.
    pub fn wal_mut(&mut self) -> &mut Wal<D> {
        &mut self.wal
    }

    /// Lets the log try again to prepare a segment, if that failed a while ago: call this now and
    /// then.
    pub fn retry_fill(&mut self) {
        self.wal.retry_fill(self.clock.now().monotonic);
    }

    /// The cluster's time now, from which `ttl` is counted.
    pub fn stamp_now(&self) -> store::Stamp {
        self.replica.clock.stamp(self.clock.now())
    }

    /// The cluster.
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// What operators want to know.
    pub fn status(&self) -> Status {
        let raft = &self.replica.raw.raft;
        Status {
            id: self.replica.id,
            role: self.replica.role(),
            leader: (raft.leader_id != 0).then_some(MemberId(raft.leader_id)),
            term: Term(raft.term),
            commit: LogIndex(raft.raft_log.committed),
            applied: self.replica.state.applied,
            applied_hash: self.replica.state.hash,
            is_disk_full: self.wal.is_full() || self.is_held_up(),
            is_voter: self.replica.is_voter(self.replica.id),
            is_removed: self.replica.is_removed(),
        }
    }

    /// This member as it announces itself.
    pub fn own(&self) -> Member {
        self.own_member()
    }

    /// Whether a member takes part in decisions.
    pub fn is_voter(&self, id: MemberId) -> bool {
        self.replica.is_voter(id)
    }

    /// What is known of another member from its messages.
    pub fn peer(&self, id: MemberId) -> Option<&Peer> {
        self.replica.peers.get(id)
    }

    /// Whether another member was heard of lately: within two election time-outs.
    pub fn is_reachable(&self, id: MemberId) -> bool {
        self.was_heard(id, self.options.election_timeout_ms.saturating_mul(2_000_000))
    }

    /// Whether another member was heard of within the last `ns` nanoseconds.
    pub fn was_heard(&self, id: MemberId, ns: u64) -> bool {
        let heard_at = self.replica.peers.get(id).and_then(|peer| peer.heard_at);
        heard_at.is_some_and(|at| self.now.monotonic.saturating_sub(at) <= ns)
    }

    /// The last log entry that the leader knows a member to have; nothing elsewhere.
    pub fn matched(&self, id: MemberId) -> Option<LogIndex> {
        let raft = &self.replica.raw.raft;
        let progress = raft.prs().get(id.0).filter(|_| self.replica.is_leader())?;
        Some(LogIndex(progress.matched))
    }

    /// The appends and heartbeats that this member sent.
    pub fn appends_sent(&self) -> &Traffic {
        &self.sent
    }

    /// The appends and heartbeats that this member received.
    pub fn appends_received(&self) -> &Traffic {
        &self.received
    }

    /// The way to the other members.
    pub fn network_mut(&mut self) -> &mut N {
        &mut self.network
    }

    /// The way to the other members.
    pub fn network(&self) -> &N {
        &self.network
    }
}
