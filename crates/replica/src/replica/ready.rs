//! What raft wants done, and what it is told of it: the driver's side of raft.
//!
//! The driver carries out what a ready asks for, in the order that safety demands, and says here
//! when something is durable, sent or lost. It never touches raft itself.

use crate::clock::{MonoTime, Now};
use crate::error::Fatal;
use crate::limits::LOG_TAIL_BYTES_ALONE;
use crate::replica::Replica;
use crate::snapshot::format::{Header, SnapshotOwner};
use crate::types::{LogIndex, LogPosition, MemberId};
use crate::waiting::proposal::Output;
use crate::wire::vitals::Vitals;
use raft::eraftpb::{ConfState, Entry, HardState, Message, MessageType};
use raft::{Ready, SnapshotStatus};
use store::StoreSnapshot;

impl Replica {
    /// What raft wants done next; nothing if it wants nothing.
    pub(crate) fn next_ready(&mut self) -> Option<Ready> {
        self.raw.has_ready().then(|| self.raw.ready())
    }

    /// Takes in what a ready says of reads and of the hard state.
    pub(crate) fn take_in(&mut self, ready: &mut Ready) {
        for state in ready.take_read_states() {
            self.reads.confirm(&state.request_ctx, state.index);
        }
        if let Some(hard_state) = ready.hs() {
            self.raw.mut_store().set_hard_state(hard_state.clone());
        }
    }

    /// A ready was carried out as far as it can be before it is durable.
    pub(crate) fn advance(&mut self, ready: Ready) {
        self.raw.advance_append_async(ready);
    }

    /// All readies up to this number are durable.
    pub(crate) fn note_persisted(&mut self, number: u64) {
        self.raw.on_persist_ready(number);
    }

    /// Tells raft what is applied, and lets go of entries that nobody needs any more.
    pub(crate) fn note_applied(&mut self, log_tail_bytes: usize) {
        let applied = self.state.applied;
        self.raw.advance_apply_to(applied.0);
        let mut tail = log_tail_bytes;
        if self.is_alone() {
            tail = tail.min(LOG_TAIL_BYTES_ALONE);
        }
        if self.raw.store().is_longer_than(tail) {
            let needed = self.slowest_live();
            self.raw.mut_store().compact(applied, tail, needed);
        }
    }

    /// Answers the quorum reads that may be answered now.
    pub(crate) fn settle_reads(&mut self, out: &mut Output) {
        self.reads.settle(self.state.applied.0, &mut out.reads);
    }

    /// Messages to other members beside raft's owner. They leave before raft's.
    pub(crate) fn take_outgoing(&mut self) -> impl Iterator<Item = (MemberId, Vec<u8>)> + '_ {
        self.outgoing.drain(..)
    }

    /// Takes entries into the log in memory; gives the hard state that goes with them, and the last
    /// index.
    pub(crate) fn append(&mut self, entries: &[Entry]) -> (HardState, LogIndex) {
        let log = self.raw.mut_store();
        log.append(entries);
        (log.hard_state().clone(), LogIndex(log.last_index()))
    }

    /// The hard state that may be written beside what the log in memory holds.
    pub(crate) fn durable_hard_state(&self) -> HardState {
        let log = self.raw.store();
        durable_hard_state(log.hard_state(), log.last_index())
    }

    /// A message of raft is to be sent.
    pub(crate) fn note_sending(&mut self, message: &mut Message, now: MonoTime) {
        match message.get_msg_type() {
            // raft leaves it out; see `Replica::answer_read`.
            MessageType::MsgReadIndex => message.term = self.raw.raft.term,
            MessageType::MsgAppend => self.peers.asked(MemberId(message.to), now),
            MessageType::MsgHeartbeat => {
                self.peers.asked(MemberId(message.to), now);
                self.peers.beat(MemberId(message.to), now);
            }
            _ => {}
        }
    }

    /// Hands a message of another member to raft.
    pub(crate) fn step(&mut self, message: Message) {
        // raft's own refusals (an unknown sender, a stale term) need no answer.
        let _ = self.raw.step(message);
    }

    /// A member answered an append or a heartbeat.
    pub(crate) fn note_answered(&mut self, from: MemberId, now: MonoTime) {
        self.peers.answered(from, now);
    }

    /// What it answered was a heartbeat.
    pub(crate) fn note_beat_answered(&mut self, from: MemberId, now: MonoTime) {
        self.peers.beat_answered(from, now);
    }

    /// A tick of raft's clock.
    pub(crate) fn tick(&mut self) {
        self.raw.tick();
    }

    /// Stands for election at once.
    pub(crate) fn campaign(&mut self) -> Result<(), Fatal> {
        Ok(self.raw.campaign()?)
    }

    /// A message to a member could not be delivered.
    pub(crate) fn note_unreachable(&mut self, id: MemberId) {
        self.raw.report_unreachable(id.0);
        self.note_gone(id);
        if self.is_leader() {
            self.peers.failed(id);
        }
    }

    /// A member says how far it has applied, and with which result.
    pub(crate) fn note_beacon(
        &mut self,
        from: MemberId,
        (index, hash): (u64, u64),
        (uptime, clock_offset_ns): (u64, i64),
        version: &str,
        now: MonoTime,
    ) {
        let differs = self.marks.differs(index, hash);
        let peer = self.peers.entry(from);
        (peer.applied, peer.told_at) = (index, Some(now.0));
        peer.uptime = uptime;
        peer.clock_offset_ns = clock_offset_ns;
        peer.diverged |= differs == Some(true);
        peer.agrees =
            if peer.diverged { Some(false) } else { differs.map(|_| true).or(peer.agrees) };
        if peer.version != version {
            version.clone_into(&mut peer.version);
        }
    }

    /// Another member says how it is.
    pub(crate) fn note_vitals(&mut self, from: MemberId, vitals: Vitals, now: Now) {
        self.peers.entry(from).note_vitals(vitals, now);
    }

    /// Another member says whether its disk takes writes.
    pub(crate) fn note_disk(&mut self, from: MemberId, is_stuck: bool, now: MonoTime) {
        self.peers.entry(from).stuck_at = is_stuck.then_some(now.0);
    }

    /// The sending of a snapshot has ended.
    pub(crate) fn note_snapshot_sent(&mut self, to: MemberId, status: SnapshotStatus) {
        self.raw.report_snapshot(to.0, status);
    }

    /// Whether raft has asked for a newer snapshot than there is, since the last call.
    pub(crate) fn take_snapshot_wish(&mut self) -> bool {
        self.raw.mut_store().take_snapshot_wish()
    }

    /// Keeps the entries above `index` in memory while a member is brought up to it.
    pub(crate) fn keep_log_above(&mut self, index: Option<LogIndex>) {
        self.raw.mut_store().keep_above(index.map(|index| index.0));
    }

    /// A snapshot of the present state is begun: its header, and the store as it is; `owner` says
    /// whose it is.
    pub(crate) fn begin_snapshot(
        &mut self,
        owner: SnapshotOwner,
        now: Now,
    ) -> (Header, StoreSnapshot) {
        self.commands_since_snapshot = 0;
        let state = &self.state;
        let header = Header {
            cluster: owner.cluster,
            member: self.id,
            name: owner.name,
            index: state.applied,
            term: state.applied_term,
            hash: state.hash,
            stamp: self.clock.reading(now),
            seen: now,
            conf_state: self.conf_state().clone(),
            membership: state.membership.clone(),
            identity: owner.identity,
            log_id: owner.log_id,
            origin: owner.origin,
            sessions: state.sessions.clone(),
        };
        (header, state.store.snapshot())
    }

    /// A snapshot of this member is on disk under its name. Gives the index up to which the log on
    /// disk may be let go; nothing if a newer snapshot of the leader came in between.
    pub(crate) fn note_snapshot_written(
        &mut self,
        position: LogPosition,
        conf_state: ConfState,
    ) -> Option<LogIndex> {
        let log = self.raw.mut_store();
        if log.snapshot_index().is_some_and(|newest| newest > position.index.0) {
            return None;
        }
        log.set_snapshot(position, conf_state);
        // What is in memory for members that lag stays on disk, for after a restart.
        let kept_above = log.before_first();
        Some(LogIndex(position.index.0.min(kept_above)))
    }

    /// Offers raft a snapshot that is durable as one of this member, as if the present leader had
    /// sent it. Says whether raft wants it installed, which it does in its next ready.
    ///
    /// What a leader had applied is committed for good, so its snapshot is as good when another
    /// one leads meanwhile.
    pub(crate) fn offer_snapshot(&mut self, message: Message) -> bool {
        self.step(message);
        self.raw.raft.raft_log.unstable_snapshot().is_some()
    }

    /// The hard state to be written when the entries above a snapshot are made void. The commit
    /// index is not yet that of the snapshot, which has no name yet.
    pub(crate) fn hard_state_before_install(&self) -> HardState {
        durable_hard_state(&self.raw.raft.hard_state(), self.raw.store().last_index())
    }
}

/// The commit index is not worth a sync, so what is written may not claim more than the log holds.
pub(crate) fn durable_hard_state(hard_state: &HardState, last_index: u64) -> HardState {
    let mut hard_state = hard_state.clone();
    hard_state.commit = hard_state.commit.min(last_index);
    hard_state
}
