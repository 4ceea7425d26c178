//! Carries out what the replica wants done, in the order that safety demands.
//!
//! One turn takes in everything that has arrived, proposes it as one log entry, writes one record
//! and syncs once. Messages that promise something (votes, acknowledgements) leave only after the
//! sync; a leader's own entries go out to others before it, so that they sync at the same time.
//! Nothing is applied, and so nobody is answered, before the entry is durable here.
//!
//! The driver is generic over [`wal::Disk`], [`Network`] and [`Clock`]: the server and a simulator
//! run the same code.

mod admission;
pub(crate) mod birth;
mod inbound;
pub(crate) mod network;
pub(crate) mod open;
pub(crate) mod options;
mod periodic;
mod requests;
pub(crate) mod salvage;
mod snapshots;
mod unsynced;
mod unwritten;
pub(crate) mod view;
mod write;

use crate::clock::{Clock, MonoTime, Now};
use crate::driver::network::{Network, SyncMode};
use crate::driver::options::Options;
use crate::driver::unsynced::Unsynced;
use crate::driver::unwritten::Unwritten;
use crate::error::{EngineError, Fatal};
use crate::identity::claims::Claims;
use crate::limits::{BATCH_BYTES_MAX, MEMBERSHIP_CHECK_NS, RECORD_BYTES_MAX, RECORD_OVERHEAD};
use crate::membership::configuration::voters;
use crate::replica::Replica;
use crate::snapshot::install::Incoming;
use crate::snapshot::transfer::Outgoing;
use crate::traffic::Traffic;
use crate::types::{ClusterId, LogIndex, MemberId};
use crate::waiting::proposal::Output;
use crate::wire::raft_message;
use raft::Ready;
use raft::eraftpb::{Entry, Message, MessageType};
use wal::{Disk, Seq, SyncTarget, Wal};

/// How often it is looked whether a disk that was full has room again: 1 s.
const ROOM_CHECK_NS: u64 = 1_000_000_000;

/// One member with its disk, network and clock.
pub struct Driver<D: Disk, N: Network, C: Clock> {
    replica: Replica,
    wal: Wal<D>,
    disk: D,
    network: N,
    clock: C,
    options: Options,
    cluster: ClusterId,
    unsynced: Unsynced,
    unwritten: Unwritten,
    /// Bytes of the appends that were taken in and are not in a record yet.
    appended: usize,
    last_flush: MonoTime,
    record: Vec<u8>,
    now: Now,
    started: MonoTime,
    last_tick: MonoTime,
    /// Until then no request is given up: this process stood still, and not those who know.
    patient_until: MonoTime,
    last_membership_check: MonoTime,
    last_announcement: Option<MonoTime>,
    /// Whether the last announcement was one that every version takes.
    announced_plainly: bool,
    /// The state of the membership in which the registry was last seen to show this member as it
    /// is.
    shown_at: Option<u64>,
    /// When that was last asked for, and in which state of the membership.
    last_showing: Option<(MonoTime, u64)>,
    /// Whether the cluster knew this member as it is once since it started.
    was_announced: bool,
    last_beacon: MonoTime,
    /// When it was last looked for room on a disk that was full.
    last_room_check: MonoTime,
    /// Whether the others were told last that this member's disk takes no writes.
    told_stuck: bool,
    /// How far leaders have said that the log is committed since this process started.
    told_commit: LogIndex,
    /// Nanoseconds of each sync in place that was not asked for yet.
    sync_times: Vec<u64>,
    /// How much the log had taken when the last snapshot was begun.
    log_start: u64,
    snapshot_running: bool,
    snapshot_bytes: u64,
    outgoing: Outgoing<D>,
    incoming: Incoming<D>,
    /// The length of the append that could not be taken in for want of room; zero if the last one
    /// could.
    append_refused: usize,
    sent: Traffic,
    received: Traffic,
    claims: Claims,
    /// What the log behind each snapshot of this directory is marked with.
    log_id: u64,
    /// Whether this member has seen, since it started, all that was answered before.
    is_warm: bool,
    /// Whether the member is about to stop in order: nothing is put off any more.
    is_stopping: bool,
    last_start_announcement: Option<MonoTime>,
}

impl<D: Disk, N: Network, C: Clock> Driver<D, N, C> {
    fn assemble(
        replica: Replica,
        wal: Wal<D>,
        disk: D,
        network: N,
        clock: C,
        options: Options,
        cluster: ClusterId,
    ) -> Self {
        let now = clock.now();
        Self {
            replica,
            wal,
            disk,
            network,
            clock,
            options,
            cluster,
            unsynced: Unsynced::default(),
            unwritten: Unwritten::default(),
            appended: 0,
            last_flush: MonoTime::default(),
            record: Vec::new(),
            now,
            started: now.mono(),
            last_tick: now.mono(),
            patient_until: MonoTime::default(),
            last_membership_check: now.mono(),
            last_announcement: None,
            announced_plainly: true,
            shown_at: None,
            last_showing: None,
            was_announced: false,
            last_beacon: MonoTime::default(),
            last_room_check: now.mono(),
            told_stuck: false,
            told_commit: LogIndex(0),
            sync_times: Vec::new(),
            log_start: 0,
            snapshot_running: false,
            snapshot_bytes: 0,
            outgoing: Outgoing::default(),
            incoming: Incoming::default(),
            append_refused: 0,
            sent: Traffic::default(),
            received: Traffic::default(),
            claims: Claims::default(),
            log_id: cluster.0,
            is_warm: false,
            is_stopping: false,
            last_start_announcement: None,
        }
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
        self.now = now;
        self.tick(now, out);
        if self.claims.must_write() && !self.unwritten.has_records() {
            self.claims.take_must_write();
            self.write_identity(self.claims.identity())?;
        }
        self.write_waiting(now)?;
        self.seek_room(now)?;
        self.replica.expire_due(now);
        self.replica.count_due(now.mono(), self.is_stopping);
        // A member that has just started may hear its leader before it can speak to it. What it
        // would pass on then is lost without a sign, so it waits.
        if let Some(leader) = self.replica.other_leader()
            && !self.network.can_send(leader)
        {
            self.replica.note_gone(leader);
        }
        if self.has_requests_without_room()? {
            self.replica.refuse_gathered(EngineError::DiskFull, now, out);
        }
        if self.may_flush(now) {
            self.last_flush = now.mono();
            self.replica.flush(now, out);
        }
        self.offer_incoming(now)?;
        loop {
            self.drain(now, out)?;
            self.network.flush();
            if !self.unsynced.wants_sync() {
                return Ok(None);
            }
            match mode {
                SyncMode::InPlace => {
                    let start = self.clock.now().mono();
                    self.wal.sync()?;
                    self.sync_times.push(self.clock.now().mono().since(start));
                    let number = self.unsynced.take_written();
                    self.note_synced(number.expect("it was looked for above"));
                }
                SyncMode::Deferred => {
                    self.unsynced.hand_out(now.mono());
                    return Ok(Some(self.wal.sync_target()));
                }
            }
        }
    }

    /// The room that commands of so many bytes take up in the log. What a follower passes on comes
    /// back to it, behind what it could not take in for want of room: where that does not fit, no
    /// outcome could be told.
    fn room_needed(&self, bytes: usize) -> usize {
        let records = 2 + bytes / RECORD_BYTES_MAX;
        let refused = if self.replica.is_leader() { 0 } else { self.append_refused };
        bytes + refused + records * RECORD_OVERHEAD
    }

    /// A deferred sync is done. Run a turn next: there is news.
    ///
    /// # Errors
    /// [`Fatal`] when it failed: a failed sync is never tried again.
    pub fn synced(&mut self, seq: Seq, result: std::io::Result<()>) -> Result<(), Fatal> {
        self.wal.synced(seq, result)?;
        if let Some(number) = self.unsynced.take_in_flight() {
            self.note_synced(number);
        }
        Ok(())
    }

    /// The member is about to stop in order: what its turns would put off is done in the next one.
    pub fn begin_stop(&mut self) {
        self.is_stopping = true;
    }

    /// Closes the log of a member that stops in order, so that damage to its last record is told
    /// from one that was never finished. Nothing is to be done with the member afterwards. While a
    /// deferred sync hangs the log is left as it is: that costs nothing but this. So is one of
    /// which it is not known whether it is whole.
    ///
    /// # Errors
    /// [`Fatal`] when the disk gave an error: what was written last may not be durable.
    pub fn close(&mut self) -> Result<(), Fatal> {
        if self.is_syncing() || self.claims.is_live_copy() {
            return Ok(());
        }
        Ok(self.wal.close()?)
    }

    /// Looks now and then whether a disk that was full has room again. Without that only a write
    /// would find out, and nobody sends one where it is said that none would work.
    fn seek_room(&mut self, now: Now) -> Result<(), Fatal> {
        let rests = now.mono().since(self.last_room_check) < ROOM_CHECK_NS;
        if self.wal.is_full() && !self.is_held_up() && !rests {
            self.last_room_check = now.mono();
            self.wal.make_room(BATCH_BYTES_MAX + RECORD_OVERHEAD)?;
        }
        Ok(())
    }

    /// Whether requests have come for which there is no room in the log.
    fn has_requests_without_room(&mut self) -> Result<bool, Fatal> {
        if self.is_held_up() {
            return Ok(self.replica.has_requests());
        }
        let Some(bytes) = self.replica.bytes_to_write() else { return Ok(false) };
        Ok(!self.wal.make_room(self.room_needed(bytes))?)
    }

    /// Whether raft may be given work. While something finds no room each piece of it leaves a
    /// trace in raft until there is some.
    fn may_flush(&self, now: Now) -> bool {
        let rests = now.mono().since(self.last_flush) < MEMBERSHIP_CHECK_NS;
        !self.is_held_up() || (!self.is_silenced() && !rests)
    }

    /// How many nanoseconds each sync in place took since this was last asked. Who does a deferred
    /// sync knows how long it took.
    pub fn take_sync_times(&mut self) -> impl Iterator<Item = u64> {
        self.sync_times.drain(..)
    }

    /// Whether a sync was handed out and not reported.
    pub fn is_syncing(&self) -> bool {
        self.unsynced.is_syncing()
    }

    /// The readies up to this number are durable. Those behind it that had nothing to write are as
    /// well, if nothing else is on its way.
    fn note_synced(&mut self, number: u64) {
        self.persisted(if self.is_all_durable() { self.unsynced.newest() } else { number });
    }

    /// Whether everything is durable that raft wanted to have written.
    fn is_all_durable(&self) -> bool {
        self.unsynced.is_synced() && !self.unwritten.has_records()
    }

    fn persisted(&mut self, number: u64) {
        self.replica.note_persisted(number);
        while let Some(messages) = self.unsynced.next_released(number) {
            self.send(messages);
        }
    }

    fn drain(&mut self, now: Now, out: &mut Output) -> Result<(), Fatal> {
        self.replica.fix_election_timeout();
        self.send_outgoing();
        if self.apply_committed(Vec::new(), now, out)? {
            self.replica.note_applied(self.options.log_tail_bytes);
        }
        while let Some(ready) = self.replica.next_ready() {
            self.carry_out(ready, now, out)?;
            self.replica.observe_role(now.mono());
        }
        self.appended = 0;
        self.send_outgoing();
        self.replica.settle_reads(out);
        Ok(())
    }

    fn carry_out(&mut self, mut ready: Ready, now: Now, out: &mut Output) -> Result<(), Fatal> {
        let installed = !ready.snapshot().is_empty();
        if installed {
            self.install(&ready, now, out)?;
        }
        let number = ready.number();
        let messages = ready.take_messages();
        self.replica.take_in(&mut ready);
        let committed = ready.take_committed_entries();
        // Others hear of a change of the members only when it is applied here.
        let has_applied = if self.replica.commit_limit().is_some() {
            let has_applied = self.apply_committed(committed, now, out)?;
            self.send(messages);
            has_applied
        } else {
            self.send(messages);
            self.apply_committed(committed, now, out)?
        };
        // The log says already what comes with a snapshot of the leader.
        if ready.must_sync() && !(installed && ready.entries().is_empty()) {
            self.write(&ready, now)?;
        }
        self.unsynced.add(number, ready.take_persisted_messages());
        self.replica.advance(ready);
        if installed {
            // raft takes the snapshot for applied only when all of it is durable.
            self.wal.sync()?;
            self.unsynced.take_written();
            self.persisted(number);
        }
        if has_applied || installed {
            self.replica.note_applied(self.options.log_tail_bytes);
        }
        if self.is_all_durable() {
            self.persisted(number);
        }
        Ok(())
    }

    /// Applies what was committed, behind what is held back already. Says whether anything was
    /// applied.
    fn apply_committed(
        &mut self,
        committed: Vec<Entry>,
        now: Now,
        out: &mut Output,
    ) -> Result<bool, Fatal> {
        self.unwritten.hold(committed);
        let Some(held) = self.unwritten.holds() else { return Ok(false) };
        let must_keep = held.has_changes;
        if must_keep
            && (self.must_stay() || self.unwritten.has_records() || !self.keep_commit_index(now)?)
        {
            self.unwritten.note(now.mono());
            return Ok(false);
        }
        let entries = self.unwritten.take_held(now.mono());
        let farewells = if must_keep { self.replica.farewells(&entries) } else { Vec::new() };
        self.replica.apply(&entries, now, out)?;
        self.send(farewells);
        Ok(true)
    }

    /// Whether this member must not leave yet: nobody else may know that its removal is committed,
    /// and the others may need its vote to find out. A leader hands its part over for that; the one
    /// that follows tells it when it knows for good.
    fn must_stay(&mut self) -> bool {
        let own = self.replica.id();
        let removal = self.unwritten.removal_of(own);
        let has_others = voters(self.replica.conf_state()).any(|id| id != own);
        let must_stay = has_others && removal.is_some_and(|index| index > self.told_commit);
        self.unwritten.set_leaving(must_stay);
        if must_stay {
            self.replica.transfer_leadership();
        }
        must_stay
    }

    fn send(&mut self, messages: Vec<Message>) {
        for mut message in messages {
            let kind = message.get_msg_type();
            if kind == MessageType::MsgSnapshot {
                self.start_transfer(&message);
                continue;
            }
            self.replica.note_sending(&mut message, self.now.mono());
            let is_of_leader = matches!(kind, MessageType::MsgAppend | MessageType::MsgHeartbeat);
            if is_of_leader && let Some(limit) = self.replica.commit_limit() {
                message.commit = message.commit.min(limit.0);
            }
            let bytes = raft_message::encode(&message);
            if is_of_leader {
                self.sent.note(self.now.monotonic, bytes.len());
            }
            self.network.send(MemberId(message.to), bytes);
        }
    }

    fn send_outgoing(&mut self) {
        for (to, message) in self.replica.take_outgoing() {
            self.network.send(to, message);
        }
    }
}
