//! What whoever drives a member sees of it.

use crate::clock::Clock;
use crate::driver::Driver;
use crate::driver::network::Network;
use crate::membership::removal::{About, Outlook};
use crate::membership::{Member, Membership};
use crate::replica::moments::Moments;
use crate::replica::progress::Peer;
use crate::snapshot::backup::Backup;
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
        self.replica.store()
    }

    /// The key space, for watchers.
    pub fn store_mut(&mut self) -> &mut Store {
        self.replica.store_mut()
    }

    /// The whole key space as it is now, as a backup; `program` is what made it. It costs nothing
    /// until it is written, which another thread may do.
    pub fn backup(&self, program: &str) -> Backup {
        let maker = (self.options.name.clone(), program.to_owned());
        self.replica.backup(self.cluster, maker, self.clock.now())
    }

    /// The members and their configuration.
    pub fn membership(&self) -> &Membership {
        self.replica.membership()
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
        self.replica.membership_version()
    }

    /// The log, for its statistics.
    pub fn wal(&self) -> &Wal<D> {
        &self.wal
    }

    /// The log, for its background work.
    pub fn wal_mut(&mut self) -> &mut Wal<D> {
        &mut self.wal
    }

    /// Lets the log try again to prepare a segment, if that failed a while ago: call this now and
    /// then.
    pub fn retry_fill(&mut self) {
        self.wal.retry_fill(self.clock.now().monotonic);
    }

    /// When the indexes of the key space were made, as far as this process saw it.
    pub fn moments(&self) -> &Moments {
        self.replica.moments()
    }

    /// The cluster's time now, from which `ttl` is counted.
    pub fn stamp_now(&self) -> store::Stamp {
        self.replica.stamp(self.clock.now())
    }

    /// The cluster.
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// What operators want to know.
    pub fn status(&self) -> Status {
        Status {
            id: self.replica.id(),
            role: self.replica.role(),
            leader: self.replica.leader(),
            term: self.replica.term(),
            commit: self.replica.commit(),
            applied: self.replica.applied(),
            applied_hash: self.replica.applied_hash(),
            is_disk_full: self.wal.is_full() || self.is_held_up(),
            is_voter: self.replica.is_voter(self.replica.id()),
            is_removed: self.replica.is_removed(),
        }
    }

    /// Committed entries that could not be applied and were skipped, since this process started.
    pub fn entries_skipped(&self) -> u64 {
        self.replica.entries_skipped()
    }

    /// The members as they would be if everything in the log were committed. A member that starts
    /// does not know what of its last entries is, and may have no other way to learn where those
    /// are reached who could tell: this is only about who may be asked.
    pub fn announced(&self) -> Vec<Member> {
        self.replica.membership_ahead().members().cloned().collect()
    }

    /// This member as it announces itself.
    pub fn own(&self) -> Member {
        self.own_member()
    }

    /// Whether a member takes part in decisions.
    pub fn is_voter(&self, id: MemberId) -> bool {
        self.replica.is_voter(id)
    }

    /// Who takes part in decisions.
    pub fn voters(&self) -> impl Iterator<Item = MemberId> + '_ {
        self.replica.conf_state().voters.iter().copied().map(MemberId)
    }

    /// What is known of another member from its messages.
    pub fn peer(&self, id: MemberId) -> Option<&Peer> {
        self.replica.peer(id)
    }

    /// Whether another member was heard of lately: within two election time-outs.
    pub fn is_reachable(&self, id: MemberId) -> bool {
        self.was_heard(id, self.options.election_timeout_ms.saturating_mul(2_000_000))
    }

    /// Whether another member was heard of within the last `ns` nanoseconds.
    pub fn was_heard(&self, id: MemberId, ns: u64) -> bool {
        let heard_at = self.replica.peer(id).and_then(Peer::heard);
        heard_at.is_some_and(|at| self.now.mono().since(at) <= ns)
    }

    /// The last log entry that the leader knows a member to have; nothing elsewhere.
    pub fn matched(&self, id: MemberId) -> Option<LogIndex> {
        self.replica.matched(id)
    }

    /// The appends and heartbeats that this member sent.
    pub fn appends_sent(&self) -> &Traffic {
        &self.sent
    }

    /// The appends and heartbeats that this member received.
    pub fn appends_received(&self) -> &Traffic {
        &self.received
    }

    /// For how many nanoseconds a sync has been under way that was handed out; nothing if none is.
    pub fn syncing_ns(&self) -> Option<u64> {
        self.unsynced.syncs_since().map(|at| self.now.mono().since(at))
    }

    /// Whether the disk takes no writes now: it is full, or a sync has been under way for longer
    /// than an election time-out.
    pub fn is_stuck(&self) -> bool {
        let patience_ns = self.options.election_timeout_ms.saturating_mul(1_000_000);
        let is_full = self.wal.is_full() || self.is_held_up();
        is_full || self.syncing_ns().is_some_and(|ns| ns > patience_ns)
    }

    /// Whether another member said within the last `ns` nanoseconds that its disk takes no writes.
    pub fn is_peer_stuck(&self, id: MemberId, ns: u64) -> bool {
        let said_at = self.replica.peer(id).and_then(|peer| peer.stuck_at);
        said_at.is_some_and(|at| self.now.monotonic.saturating_sub(at) <= ns)
    }

    /// Where the member's files are.
    pub fn disk(&self) -> &D {
        &self.disk
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
