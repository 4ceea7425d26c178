//! Carries out what the replica wants done, in the order that safety demands.
//!
//! One turn takes in everything that has arrived, proposes it as one log entry, writes one record
//! and syncs once. Messages that promise something (votes, acknowledgements) leave only after the
//! sync; a leader's own entries go out to others before it, so that they sync at the same time.
//! Nothing is applied, and so nobody is answered, before the entry is durable here.
//!
//! The driver is generic over [`wal::Disk`], [`Network`] and [`Clock`]: the server and a simulator
//! run the same code.

use crate::batch::Control;
use crate::clock::{Clock, Now};
use crate::error::{EngineError, Fatal};
use crate::limits::{LOG_TAIL_BYTES, LOG_TAIL_BYTES_ALONE, TICK_NS};
use crate::membership::{ClusterConfig, Membership};
use crate::message;
use crate::open::Options;
use crate::proposal::Output;
use crate::record;
use crate::replica::Replica;
use crate::snapshot_job::{SnapshotDone, SnapshotJob};
use crate::types::{ClusterId, LogIndex, MemberId, Role, Term, Ticket};
use raft::eraftpb::{HardState, Message, MessageType};
use raft::{Ready, SnapshotStatus};
use std::collections::VecDeque;
use store::{Command, Store};
use wal::{Disk, Seq, SyncTarget, Wal};

/// Room asked of the log for a record beyond the commands in it.
const RECORD_OVERHEAD: usize = 4096;

/// Where messages to other members go. Delivery is not promised.
pub trait Network {
    /// Takes one encoded message for a member.
    fn send(&mut self, to: MemberId, message: Vec<u8>);
}

/// How the sync of a turn is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncMode {
    /// In the turn itself: the quickest way when nobody else wants to be served meanwhile.
    InPlace,
    /// By somebody else, who reports with [`Driver::synced`]: reads are served meanwhile.
    Deferred,
}

/// Writes that are not durable yet, and what waits for them.
#[derive(Debug, Default)]
struct Unsynced {
    /// The newest ready that was written, if it is not synced yet.
    written: Option<u64>,
    /// What a deferred sync covers that has not been reported.
    in_flight: Option<u64>,
    /// The newest ready of all.
    newest: u64,
    /// Messages that must not leave before the ready with this number is durable.
    messages: VecDeque<(u64, Vec<Message>)>,
}

/// One member with its disk, network and clock.
pub struct Driver<D: Disk, N: Network, C: Clock> {
    pub(crate) replica: Replica,
    pub(crate) wal: Wal<D>,
    pub(crate) disk: D,
    pub(crate) network: N,
    pub(crate) clock: C,
    pub(crate) options: Options,
    pub(crate) cluster: ClusterId,
    unsynced: Unsynced,
    record: Vec<u8>,
    last_tick: u64,
    /// Nanoseconds of each sync in place that was not asked for yet.
    sync_times: Vec<u64>,
    log_bytes: u64,
    snapshot_running: bool,
    pub(crate) snapshot_bytes: u64,
}

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
    /// Whether the log refuses writes for want of room.
    pub is_disk_full: bool,
}

impl<D: Disk, N: Network, C: Clock> Driver<D, N, C> {
    pub(crate) fn assemble(
        replica: Replica,
        wal: Wal<D>,
        disk: D,
        network: N,
        clock: C,
        options: Options,
        cluster: ClusterId,
    ) -> Self {
        let last_tick = clock.now().monotonic;
        Self {
            replica,
            wal,
            disk,
            network,
            clock,
            options,
            cluster,
            unsynced: Unsynced::default(),
            record: Vec::new(),
            last_tick,
            sync_times: Vec::new(),
            log_bytes: 0,
            snapshot_running: false,
            snapshot_bytes: 0,
        }
    }

    /// Takes a client's mutation into this turn's batch.
    ///
    /// # Errors
    /// [`EngineError`] when it is certain that nothing was done with it.
    pub fn propose(&mut self, ticket: Ticket, command: &Command<'_>) -> Result<(), EngineError> {
        self.replica.propose(ticket, command)
    }

    /// Takes a new cluster configuration into this turn's batch.
    ///
    /// # Errors
    /// As [`Driver::propose`].
    pub fn propose_config(
        &mut self,
        ticket: Ticket,
        config: ClusterConfig,
    ) -> Result<(), EngineError> {
        self.replica.propose_control(Some(ticket), &Control::Configure(config))
    }

    /// Takes a quorum read into this turn's round.
    ///
    /// # Errors
    /// [`EngineError`] when this member cannot serve it.
    pub fn read(&mut self, ticket: Ticket) -> Result<(), EngineError> {
        self.replica.read(ticket)
    }

    /// Whether a turn should run before more proposals are taken in.
    pub fn is_batch_full(&self) -> bool {
        self.replica.is_batch_full()
    }

    /// Takes a message from another member. One that cannot be is dropped.
    pub fn receive(&mut self, bytes: &[u8]) {
        let Some(message) = message::decode(bytes, self.replica.id) else { return };
        if message.get_msg_type() == MessageType::MsgAppend
            && !self.wal.make_room(bytes.len() + RECORD_OVERHEAD).unwrap_or(false)
        {
            // Not acknowledged, so the leader sends it again when there is room.
            return;
        }
        // raft's own refusals (an unknown sender, a stale term) need no answer.
        let _ = self.replica.raw.step(message);
    }

    /// Runs one turn. A target that comes back must be synced, elsewhere, and reported with
    /// [`Driver::synced`]; until then turns go on, without syncs of their own.
    ///
    /// # Errors
    /// [`Fatal`]: the process must stop.
    pub fn turn(
        &mut self,
        mode: SyncMode,
        out: &mut Output,
    ) -> Result<Option<SyncTarget<D>>, Fatal> {
        let now = self.clock.now();
        self.tick(now, out);
        self.replica.expire_due(now);
        if self.replica.has_batch() {
            let bytes = self.replica.batch_bytes() + RECORD_OVERHEAD;
            if !self.wal.make_room(bytes)? {
                self.replica.refuse_batch(EngineError::DiskFull, out);
            }
        }
        self.replica.flush(now, out);
        loop {
            self.drain(now, out)?;
            if self.unsynced.written.is_none() || self.unsynced.in_flight.is_some() {
                return Ok(None);
            }
            match mode {
                SyncMode::InPlace => {
                    let start = self.clock.now().monotonic;
                    self.wal.sync()?;
                    self.sync_times.push(self.clock.now().monotonic.saturating_sub(start));
                    let written = self.unsynced.written.take();
                    self.persisted(written.unwrap_or_default());
                }
                SyncMode::Deferred => {
                    self.unsynced.in_flight = self.unsynced.written.take();
                    return Ok(Some(self.wal.sync_target()));
                }
            }
        }
    }

    /// A deferred sync is done. Run a turn next: there is news.
    ///
    /// # Errors
    /// [`Fatal`] when it failed: a failed sync is never tried again.
    pub fn synced(&mut self, seq: Seq, result: std::io::Result<()>) -> Result<(), Fatal> {
        self.wal.synced(seq, result)?;
        if let Some(number) = self.unsynced.in_flight.take() {
            self.persisted(number);
        }
        Ok(())
    }

    /// How many nanoseconds each sync in place took since this was last asked. Who does a deferred
    /// sync knows how long it took.
    pub fn take_sync_times(&mut self) -> impl Iterator<Item = u64> {
        self.sync_times.drain(..)
    }

    /// Whether a sync was handed out and not reported.
    pub fn is_syncing(&self) -> bool {
        self.unsynced.in_flight.is_some()
    }

    fn persisted(&mut self, number: u64) {
        self.replica.raw.on_persist_ready(number);
        while self.unsynced.messages.front().is_some_and(|(at, _)| *at <= number) {
            if let Some((_, messages)) = self.unsynced.messages.pop_front() {
                self.send(messages);
            }
        }
    }

    fn drain(&mut self, now: Now, out: &mut Output) -> Result<(), Fatal> {
        self.replica.fix_election_timeout();
        while self.replica.raw.has_ready() {
            let ready = self.replica.raw.ready();
            self.carry_out(ready, now, out)?;
            self.replica.observe_role(out);
        }
        self.replica.reads.settle(self.replica.state.applied.0, &mut out.reads);
        Ok(())
    }

    fn carry_out(&mut self, mut ready: Ready, now: Now, out: &mut Output) -> Result<(), Fatal> {
        if !ready.snapshot().is_empty() {
            return Err(Fatal::Raft("a snapshot came through a message".to_owned()));
        }
        let number = ready.number();
        let messages = ready.take_messages();
        self.send(messages);
        for state in ready.take_read_states() {
            self.replica.reads.confirm(&state.request_ctx, state.index);
        }
        let committed = ready.take_committed_entries();
        self.replica.apply(&committed, now, out)?;
        if let Some(hard_state) = ready.hs() {
            self.replica.raw.mut_store().set_hard_state(hard_state.clone());
        }
        let must_write = ready.must_sync();
        if must_write {
            self.write(&ready, now)?;
            self.unsynced.written = Some(number);
        }
        let promises = ready.take_persisted_messages();
        if !promises.is_empty() {
            self.unsynced.messages.push_back((number, promises));
        }
        self.unsynced.newest = number;
        self.replica.raw.advance_append_async(ready);
        if let Some(last) = committed.last() {
            self.replica.raw.advance_apply_to(last.index);
            let tail = if self.replica.is_alone() { LOG_TAIL_BYTES_ALONE } else { LOG_TAIL_BYTES };
            let applied = self.replica.state.applied;
            self.replica.raw.mut_store().compact(applied, tail);
        }
        if self.unsynced.written.is_none() && self.unsynced.in_flight.is_none() {
            self.persisted(number);
        }
        Ok(())
    }

    fn write(&mut self, ready: &Ready, now: Now) -> Result<(), Fatal> {
        let entries = ready.entries();
        let mark = entries.last().map_or(0, |entry| entry.index);
        let log = self.replica.raw.mut_store();
        log.append(entries);
        let hard_state = durable_hard_state(log.hard_state(), log.last_index());
        let stamp = self.replica.clock.reading(now);
        record::encode(&mut self.record, &hard_state, stamp, now, entries);
        self.wal.append(mark, &[&self.record])?;
        self.log_bytes += self.record.len() as u64;
        Ok(())
    }

    fn send(&mut self, messages: Vec<Message>) {
        for message in messages {
            let to = message.to;
            if message.get_msg_type() == MessageType::MsgSnapshot {
                self.replica.raw.report_snapshot(to, SnapshotStatus::Failure);
                continue;
            }
            self.network.send(MemberId(to), message::encode(&message));
        }
    }

    fn tick(&mut self, now: Now, out: &mut Output) {
        if now.monotonic.saturating_sub(self.last_tick) < TICK_NS {
            return;
        }
        // After a pause raft gets one tick, not the missed ones: a member that was stopped must not
        // campaign the moment it wakes up.
        self.last_tick = now.monotonic;
        if !(self.replica.is_alone() && self.replica.is_leader()) {
            self.replica.raw.tick();
        }
        let since = now.monotonic.saturating_sub(self.options.request_timeout_ns);
        self.replica.expire_waiting(since, out);
    }

    /// Nanoseconds until the next turn is due even if nothing arrives; nothing if it can wait for
    /// ever.
    pub fn until_due(&self) -> Option<u64> {
        let now = self.clock.now();
        let expiry = self.replica.until_expiry(now);
        let alone = self.replica.is_alone() && self.replica.is_leader();
        let tick = (!alone || self.unsynced.in_flight.is_some())
            .then(|| (self.last_tick + TICK_NS).saturating_sub(now.monotonic));
        match (expiry, tick) {
            (Some(expiry), Some(tick)) => Some(expiry.min(tick)),
            (one, other) => one.or(other),
        }
    }

    /// A snapshot to be written, if one is due. It may run on another thread; its end must be
    /// reported with [`Driver::snapshot_finished`].
    pub fn snapshot_job(&mut self) -> Option<SnapshotJob<D>> {
        let count = self.options.snapshot_count?;
        let bytes_min = count.saturating_mul(self.options.snapshot_log_bytes_per_command);
        let is_due = self.replica.commands_since_snapshot >= count
            && self.log_bytes >= bytes_min.max(self.snapshot_bytes / 2);
        if self.snapshot_running || !is_due {
            return None;
        }
        Some(self.begin_snapshot())
    }

    /// A snapshot of the present state, whether one is due or not.
    pub fn begin_snapshot(&mut self) -> SnapshotJob<D> {
        self.snapshot_running = true;
        self.replica.commands_since_snapshot = 0;
        self.log_bytes = 0;
        SnapshotJob::new(self)
    }

    /// Takes note of the end of a snapshot, and lets go of the log that it replaces.
    ///
    /// # Errors
    /// [`Fatal`] when the log cannot be trimmed. A snapshot that failed is no error: the log stays,
    /// and another is tried later.
    pub fn snapshot_finished(&mut self, done: Option<SnapshotDone>) -> Result<(), Fatal> {
        self.snapshot_running = false;
        let Some(done) = done else { return Ok(()) };
        self.snapshot_bytes = done.bytes;
        let log = self.replica.raw.mut_store();
        log.set_snapshot(done.index.0, done.term.0, done.conf_state);
        self.wal.release(done.index.0)?;
        Ok(())
    }

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

    /// The log, for its background work and its statistics.
    pub fn wal_mut(&mut self) -> &mut Wal<D> {
        &mut self.wal
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
            is_disk_full: self.wal.is_full(),
        }
    }
}

/// The commit index is not worth a sync, so what is written may not claim more than the log holds.
fn durable_hard_state(hard_state: &HardState, last_index: u64) -> HardState {
    let mut hard_state = hard_state.clone();
    hard_state.commit = hard_state.commit.min(last_index);
    hard_state
}
