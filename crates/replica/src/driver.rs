//! Carries out what the replica wants done, in the order that safety demands.
//!
//! One turn takes in everything that has arrived, proposes it as one log entry, writes one record
//! and syncs once. Messages that promise something (votes, acknowledgements) leave only after the
//! sync; a leader's own entries go out to others before it, so that they sync at the same time.
//! Nothing is applied, and so nobody is answered, before the entry is durable here.
//!
//! The driver is generic over [`wal::Disk`], [`Network`] and [`Clock`]: the server and a simulator
//! run the same code.

use crate::batch::{self, Control};
use crate::change::Change;
use crate::claims::Claims;
use crate::clock::{Clock, Now};
use crate::envelope::Envelope;
use crate::error::{EngineError, Fatal};
use crate::inbound::Transfers;
use crate::limits::{LOG_TAIL_BYTES_ALONE, RECORD_BYTES_MAX, RESEND_NS, TICK_NS};
use crate::membership::{ClusterConfig, Member, Membership};
use crate::message;
use crate::open::Options;
use crate::progress::Peer;
use crate::proposal::Output;
use crate::record;
use crate::removal::{About, Outlook};
use crate::replica::Replica;
use crate::snapshot_job::{Outcome, SnapshotDone, SnapshotJob};
use crate::traffic::Traffic;
use crate::types::{ClusterId, LogIndex, MemberId, Role, Term, Ticket};
use crate::unwritten::Unwritten;
use raft::Ready;
use raft::eraftpb::{Entry, HardState, Message, MessageType};
use std::collections::VecDeque;
use store::{Command, Store, StoreError};
use wal::{Disk, Seq, SyncTarget, Wal};

/// How often the leader looks after the membership: 100 ms.
const TEND_NS: u64 = 100_000_000;

/// How often members tell one another how far they are: 1 s.
const BEACON_NS: u64 = 1_000_000_000;

/// How long a member waits before it announces itself again: 2 s.
const ANNOUNCE_NS: u64 = 2_000_000_000;

/// A turn that comes so much later than the one before shows that this process stood still: 500 ms.
const PAUSE_NS: u64 = 500_000_000;

/// For how long no request is given up after that: 2 s.
const PATIENCE_NS: u64 = 2_000_000_000;

/// Room asked of the log for a record beyond the commands in it.
pub(crate) const RECORD_OVERHEAD: usize = 4096;

/// Bytes of an entry in a record beside its payload, about.
const ENTRY_OVERHEAD: usize = 64;

/// A buffer for records that grew beyond this is given back.
const RECORD_BYTES_KEPT: usize = 2 << 20;

/// Where messages to other members go. Delivery is not promised; what is delivered comes in order,
/// at most once, and never from before a restart of either end.
pub trait Network {
    /// Takes one encoded message for a member.
    fn send(&mut self, to: MemberId, message: Vec<u8>);

    /// Whether a message to a member would be on its way; if not, it is lost.
    fn can_send(&self, _to: MemberId) -> bool {
        true
    }

    /// Nothing more comes for a while: what was taken should leave now.
    fn flush(&mut self) {}
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
    /// When that sync was handed out, by the monotonic clock.
    handed_out_at: u64,
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
    pub(crate) unwritten: Unwritten,
    /// Bytes of the appends that were taken in and are not in a record yet.
    pub(crate) appended: usize,
    last_flush: u64,
    pub(crate) record: Vec<u8>,
    pub(crate) now: Now,
    started: u64,
    last_tick: u64,
    /// Until then no request is given up: this process stood still, and not those who know.
    patient_until: u64,
    last_tending: u64,
    pub(crate) last_announcement: Option<u64>,
    /// Whether the cluster knew this member as it is once since it started.
    was_announced: bool,
    pub(crate) last_beacon: u64,
    /// Nanoseconds of each sync in place that was not asked for yet.
    sync_times: Vec<u64>,
    pub(crate) log_bytes: u64,
    snapshot_running: bool,
    pub(crate) snapshot_bytes: u64,
    pub(crate) transfers: Transfers<D>,
    /// The length of the append that could not be taken in for want of room; zero if the last one
    /// could.
    pub(crate) append_refused: usize,
    pub(crate) sent: Traffic,
    pub(crate) received: Traffic,
    pub(crate) claims: Claims,
    /// Whether it is to be written down that this member lost what it promised.
    pub(crate) keep_identity: bool,
    /// What the log behind each snapshot of this directory is marked with.
    pub(crate) log_id: u64,
    /// Whether this member has seen, since it started, all that was answered before.
    is_warm: bool,
    last_start_announcement: Option<u64>,
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
    pub(crate) fn assemble(
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
            last_flush: 0,
            record: Vec::new(),
            now,
            started: now.monotonic,
            last_tick: now.monotonic,
            patient_until: 0,
            last_tending: now.monotonic,
            last_announcement: None,
            was_announced: false,
            last_beacon: 0,
            sync_times: Vec::new(),
            log_bytes: 0,
            snapshot_running: false,
            snapshot_bytes: 0,
            transfers: Transfers::default(),
            append_refused: 0,
            sent: Traffic::default(),
            received: Traffic::default(),
            claims: Claims::default(),
            keep_identity: false,
            log_id: cluster.0,
            is_warm: false,
            last_start_announcement: None,
        }
    }

    /// Takes a client's mutation into this turn's batch.
    ///
    /// # Errors
    /// [`EngineError`] when it is certain that nothing was done with it.
    pub fn propose(&mut self, ticket: Ticket, command: &Command<'_>) -> Result<(), EngineError> {
        self.unfit()?;
        let now = self.arrival();
        self.replica.propose(ticket, command, now)
    }

    /// Refuses a command that is sure to fail, without a place in the log; gives the error, if so.
    /// Only a member that decides alone can: it has applied everything that was ever answered, so
    /// that the failure is true between the coming of the request and its answer. In a cluster
    /// another member may have been told of a change that this one has not applied.
    pub fn refuse(&mut self, command: &Command<'_>) -> Option<StoreError> {
        if !self.replica.decides_alone() {
            return None;
        }
        self.replica.state.store.refuse(command)
    }

    /// When a request came, by the monotonic clock. Those of one turn share a reading.
    fn arrival(&mut self) -> u64 {
        if !self.replica.has_gathered() {
            self.now = self.clock.now();
        }
        self.now.monotonic
    }

    /// Takes a new cluster configuration into this turn's batch.
    pub fn propose_config(&mut self, ticket: Ticket, config: ClusterConfig) {
        let now = self.arrival();
        self.replica.propose_control(Some(ticket), &Control::Configure(config), now);
    }

    /// Asks for a machine to become a member: it learns first, and votes when it has caught up.
    pub fn propose_join(&mut self, ticket: Ticket, member: Member) {
        let now = self.arrival();
        self.replica.propose_change(Some(ticket), Change::Join(member), now);
    }

    /// Asks for a member to leave for good. Its machine may ask for a place again, under another
    /// id.
    pub fn propose_removal(&mut self, ticket: Ticket, id: MemberId) {
        let now = self.arrival();
        self.replica.propose_change(Some(ticket), Change::Remove(id), now);
    }

    /// The same, and its machine is to stay out until its operator starts it again.
    pub fn propose_expulsion(&mut self, ticket: Ticket, id: MemberId) {
        let now = self.arrival();
        self.replica.propose_change(Some(ticket), Change::Expel(id), now);
    }

    /// Puts a member as it is to be into this turn's batch. One without a name is only expected: a
    /// place for a machine that is still to come, which takes part in nothing.
    pub fn propose_member(&mut self, ticket: Ticket, member: Member) {
        let now = self.arrival();
        let control = Control::Register { member, config: None };
        self.replica.propose_control(Some(ticket), &control, now);
    }

    /// Asks for a machine not to be expected any more.
    pub fn propose_forgetting(&mut self, ticket: Ticket, id: MemberId) {
        let now = self.arrival();
        self.replica.propose_control(Some(ticket), &Control::Forget(id), now);
    }

    /// Hands leadership to another member, if there is one to take it.
    pub fn hand_over(&mut self) {
        self.replica.hand_over();
    }

    /// Takes a quorum read into this turn's round.
    ///
    /// # Errors
    /// [`EngineError`] when this member cannot serve it.
    pub fn read(&mut self, ticket: Ticket) -> Result<(), EngineError> {
        self.unfit()?;
        let now = self.arrival();
        self.replica.read(ticket, now)
    }

    /// Whether a turn should run before more proposals are taken in.
    pub fn is_batch_full(&self) -> bool {
        self.replica.is_batch_full()
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
        if self.keep_identity && !self.unwritten.has_records() {
            self.keep_identity = false;
            self.write_identity(self.claims.identity)?;
        }
        self.write_waiting(now)?;
        self.replica.expire_due(now);
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
            self.last_flush = now.monotonic;
            self.replica.flush(now, out);
        }
        self.offer_incoming(now)?;
        loop {
            self.drain(now, out)?;
            self.network.flush();
            if self.unsynced.written.is_none() || self.unsynced.in_flight.is_some() {
                return Ok(None);
            }
            match mode {
                SyncMode::InPlace => {
                    let start = self.clock.now().monotonic;
                    self.wal.sync()?;
                    self.sync_times.push(self.clock.now().monotonic.saturating_sub(start));
                    let written = self.unsynced.written.take();
                    self.note_synced(written.unwrap_or_default());
                }
                SyncMode::Deferred => {
                    self.unsynced.handed_out_at = now.monotonic;
                    self.unsynced.in_flight = self.unsynced.written.take();
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
        if let Some(number) = self.unsynced.in_flight.take() {
            self.note_synced(number);
        }
        Ok(())
    }

    /// Closes the log of a member that stops in order, so that damage to its last record is told
    /// from one that was never finished. Nothing is to be done with the member afterwards. While a
    /// deferred sync hangs the log is left as it is: that costs nothing but this.
    ///
    /// # Errors
    /// [`Fatal`] when the disk gave an error: what was written last may not be durable.
    pub fn close(&mut self) -> Result<(), Fatal> {
        if self.is_syncing() {
            return Ok(());
        }
        Ok(self.wal.close()?)
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
        let rests = now.monotonic.saturating_sub(self.last_flush) < TEND_NS;
        !self.is_held_up() || (!self.is_silenced() && !rests)
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

    /// A record is in the log: the last one of a ready, if that has a number.
    pub(crate) fn note_written(&mut self, number: Option<u64>, len: usize) {
        self.unsynced.written = number.or(self.unsynced.written);
        self.log_bytes += len as u64;
    }

    /// The readies up to this number are durable. Those behind it that had nothing to write are as
    /// well, if nothing else is on its way.
    fn note_synced(&mut self, number: u64) {
        let is_all = self.unsynced.written.is_none()
            && self.unsynced.in_flight.is_none()
            && !self.unwritten.has_records();
        self.persisted(if is_all { self.unsynced.newest } else { number });
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
        self.send_outgoing();
        if self.apply_committed(Vec::new(), now, out)? {
            self.note_applied();
        }
        while self.replica.raw.has_ready() {
            let ready = self.replica.raw.ready();
            self.carry_out(ready, now, out)?;
            self.replica.observe_role(now.monotonic);
        }
        self.appended = 0;
        self.send_outgoing();
        self.replica.reads.settle(self.replica.state.applied.0, &mut out.reads);
        Ok(())
    }

    fn carry_out(&mut self, mut ready: Ready, now: Now, out: &mut Output) -> Result<(), Fatal> {
        let installed = !ready.snapshot().is_empty();
        if installed {
            self.install(&ready, now, out)?;
        }
        let number = ready.number();
        let messages = ready.take_messages();
        self.send(messages);
        for state in ready.take_read_states() {
            self.replica.reads.confirm(&state.request_ctx, state.index);
        }
        if let Some(hard_state) = ready.hs() {
            self.replica.raw.mut_store().set_hard_state(hard_state.clone());
        }
        let committed = ready.take_committed_entries();
        let has_applied = self.apply_committed(committed, now, out)?;
        // The log says already what comes with a snapshot of the leader.
        if ready.must_sync() && !(installed && ready.entries().is_empty()) {
            self.write(&ready, now)?;
        }
        let promises = ready.take_persisted_messages();
        if !promises.is_empty() {
            self.unsynced.messages.push_back((number, promises));
        }
        self.unsynced.newest = number;
        self.replica.raw.advance_append_async(ready);
        if installed {
            // raft takes the snapshot for applied only when all of it is durable.
            self.wal.sync()?;
            self.unsynced.written = None;
            self.persisted(number);
        }
        if has_applied || installed {
            self.note_applied();
        }
        if self.unsynced.written.is_none()
            && self.unsynced.in_flight.is_none()
            && !self.unwritten.has_records()
        {
            self.persisted(number);
        }
        Ok(())
    }

    /// Tells raft what is applied, and lets go of entries that nobody needs any more.
    fn note_applied(&mut self) {
        let applied = self.replica.state.applied;
        self.replica.raw.advance_apply_to(applied.0);
        let mut tail = self.options.log_tail_bytes;
        if self.replica.is_alone() {
            tail = tail.min(LOG_TAIL_BYTES_ALONE);
        }
        if self.replica.raw.store().is_longer_than(tail) {
            let needed = self.replica.slowest_live();
            self.replica.raw.mut_store().compact(applied, tail, needed);
        }
    }

    /// Makes the commit index durable. It usually need not be; but who left the cluster by a change
    /// is switched off when that is answered, and must not be needed again after a power loss. Says
    /// whether there was room for it.
    pub(crate) fn keep_commit_index(&mut self, now: Now) -> Result<bool, Fatal> {
        let log = self.replica.raw.store();
        let hard_state = durable_hard_state(log.hard_state(), log.last_index());
        let stamp = self.replica.clock.reading(now);
        record::encode(&mut self.record, &hard_state, stamp, now, record::NO_CUT, &[]);
        match self.wal.append(0, &[&self.record]) {
            Ok(_) => {}
            Err(error) if error.is_full() => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        self.wal.sync()?;
        Ok(true)
    }

    fn write(&mut self, ready: &Ready, now: Now) -> Result<(), Fatal> {
        let entries = ready.entries();
        if entries.is_empty() {
            // A term or a vote takes of the room that is kept for it; more is put in its place.
            self.wal.make_room(0)?;
        }
        let log = self.replica.raw.mut_store();
        log.append(entries);
        let (hard_state, last) = (log.hard_state().clone(), log.last_index());
        let stamp = self.replica.clock.reading(now);
        let mut rest = entries.as_slice();
        loop {
            let (part, more) = rest.split_at(fits_one_record(rest));
            let mark = part.last().map_or(0, |entry| entry.index);
            let hard_state = durable_hard_state(&hard_state, if mark == 0 { last } else { mark });
            // What the leader stamped is not applied yet, and this member's own clock may have run
            // ahead of it; a restart must not go on from there.
            let newest = part.iter().rev().find_map(batch::stamp_of);
            let stamp = newest.filter(|newest| newest.time < stamp.time).unwrap_or(stamp);
            record::encode(&mut self.record, &hard_state, stamp, now, record::NO_CUT, part);
            let is_last = more.is_empty();
            self.write_record(is_last.then_some(ready.number()), mark, !part.is_empty())?;
            if is_last {
                break;
            }
            rest = more;
        }
        if self.record.capacity() > RECORD_BYTES_KEPT {
            self.record = Vec::new();
        }
        Ok(())
    }

    fn send(&mut self, messages: Vec<Message>) {
        for mut message in messages {
            let to = MemberId(message.to);
            match message.get_msg_type() {
                MessageType::MsgSnapshot => self.start_transfer(&message),
                kind => {
                    if kind == MessageType::MsgReadIndex {
                        // raft leaves it out; see `Replica::answer_read`.
                        message.term = self.replica.raw.raft.term;
                    }
                    let bytes = message::encode(&message);
                    if matches!(kind, MessageType::MsgAppend | MessageType::MsgHeartbeat) {
                        self.replica.peers.asked(to, self.now.monotonic);
                        self.sent.note(self.now.monotonic, bytes.len());
                    }
                    self.network.send(to, bytes);
                }
            }
        }
    }

    fn send_outgoing(&mut self) {
        for (to, message) in self.replica.outgoing.drain(..) {
            self.network.send(to, message);
        }
    }

    fn tick(&mut self, now: Now, out: &mut Output) {
        if now.monotonic.saturating_sub(self.last_tick) < TICK_NS {
            return;
        }
        let was_stopped =
            now.monotonic.saturating_sub(self.last_tick) > PAUSE_NS && !self.replica.is_alone();
        if was_stopped {
            self.patient_until = now.monotonic.saturating_add(PATIENCE_NS);
        }
        // After a pause raft gets one tick, not the missed ones: a member that was stopped must not
        // campaign the moment it wakes up.
        self.last_tick = now.monotonic;
        let alone = self.replica.is_alone();
        let may_campaign = self.replica.is_leader() || !self.abstains();
        if may_campaign && !(self.is_silenced() || alone && self.replica.is_leader()) {
            self.replica.raw.tick();
        }
        let mut since = now.monotonic.saturating_sub(self.options.request_timeout_ns);
        if now.monotonic < self.patient_until {
            // What became of the requests is known in a moment.
            since = 0;
        }
        let retry_ns = self.options.heartbeat_ms.saturating_mul(3_000_000);
        let retry_before = now.monotonic.saturating_sub(retry_ns);
        self.replica.expire_waiting(since, retry_before, out);
        self.replica.resend(now.monotonic.saturating_sub(RESEND_NS));
        self.announce(now);
        if !alone {
            self.announce_start(now);
            self.tend(now);
        }
    }

    /// Tells the cluster this member's name and addresses, if it does not know them. What was said
    /// once is not said again: an operator may have put another address in its place since, for
    /// the next start (spec cluster.md section 8.1).
    fn announce(&mut self, now: Now) {
        let last = self.last_announcement;
        if self.was_announced
            || last.is_some_and(|last| now.monotonic.saturating_sub(last) < ANNOUNCE_NS)
            || self.replica.raw.raft.leader_id == 0
            || !self.replica.is_member()
        {
            return;
        }
        let config = self.replica.is_leader().then_some(self.options.cluster_config);
        if let Some(control) = self.replica.state.registration(&self.own_member(), config) {
            self.last_announcement = Some(now.monotonic);
            self.replica.propose_control(None, &control, now.monotonic);
        } else {
            self.was_announced = self.has_caught_up();
        }
    }

    /// Tells the cluster which directory speaks for this member, so that an older copy of it is
    /// told apart by everybody, after a restart of everybody too.
    fn announce_start(&mut self, now: Now) {
        let (id, identity) = (self.replica.id, self.claims.identity);
        let membership = &self.replica.state.membership;
        let last = self.last_start_announcement;
        if identity.start == 0
            || membership.member(id).is_none()
            || membership.identity(id) == Some(identity)
            || last.is_some_and(|last| now.monotonic.saturating_sub(last) < ANNOUNCE_NS)
            || self.replica.raw.raft.leader_id == 0
            || self.unfit().is_err()
        {
            return;
        }
        self.last_start_announcement = Some(now.monotonic);
        let control = Control::Started(id, identity);
        self.replica.propose_control(None, &control, now.monotonic);
    }

    /// Whether this member has seen, since it started, all that was answered before: a plain read
    /// before that would go back in time for whoever read here before.
    pub fn is_warm(&self) -> bool {
        self.is_warm || self.replica.decides_alone()
    }

    /// A proven read was answered here, or nobody can be waited for any longer.
    pub fn warm_up(&mut self) {
        self.is_warm = true;
    }

    /// Whether this member ever had the store of its cluster. One that has just joined has not, and
    /// must not say what is in it.
    pub fn has_store(&self) -> bool {
        self.replica.state.applied.0 > 0 && self.replica.was_member
    }

    /// Whether everything is applied here that was in the log when this process started. Before
    /// that the table may be an old one.
    fn has_caught_up(&self) -> bool {
        let state = &self.replica.state;
        let raft = &self.replica.raw.raft;
        if self.replica.is_leader() {
            return state.applied_term.0 == raft.term;
        }
        let leader = self.replica.peers.get(MemberId(raft.leader_id));
        leader.is_some_and(|leader| leader.applied > 0 && state.applied.0 >= leader.applied)
    }

    pub(crate) fn own_member(&self) -> Member {
        Member {
            id: self.replica.id,
            name: self.options.name.clone(),
            client_url: self.options.client_url.clone(),
            peer_url: self.options.peer_url.clone(),
        }
    }

    /// Does what has to be done now and then in a cluster.
    fn tend(&mut self, now: Now) {
        self.pump_transfers(now);
        if now.monotonic.saturating_sub(self.last_tending) >= TEND_NS {
            self.last_tending = now.monotonic;
            self.replica.tend_membership(now);
            if self.has_diverged() {
                self.replica.hand_over();
            }
            let syncs_since = self.unsynced.in_flight.map(|_| self.unsynced.handed_out_at);
            let patience_ns = self.options.election_timeout_ms.saturating_mul(1_000_000);
            if syncs_since.is_some_and(|at| now.monotonic.saturating_sub(at) > patience_ns) {
                // Nothing is applied here before it is durable here: with a disk that hangs this
                // member would hold up everybody.
                self.replica.hand_over();
            }
            let waits_since = self.unwritten.since();
            if waits_since.is_some_and(|at| now.monotonic.saturating_sub(at) > patience_ns) {
                self.replica.hand_over();
            }
        }
        if now.monotonic.saturating_sub(self.last_beacon) >= BEACON_NS {
            self.last_beacon = now.monotonic;
            self.send_beacons();
        }
    }

    fn send_beacons(&mut self) {
        let state = &self.replica.state;
        let (index, hash) = (state.applied.0, state.hash);
        let uptime = self.now.monotonic.saturating_sub(self.started) / 1_000_000_000;
        let version = &self.options.version;
        let beacon = Envelope::Beacon { index, hash, uptime, version }.encode();
        let own = self.replica.id;
        let conf = self.replica.conf_state();
        let ids: Vec<u64> = conf.voters.iter().chain(&conf.learners).copied().collect();
        let members = Envelope::Members(ids.iter().copied().map(MemberId).collect()).encode();
        for id in ids.into_iter().map(MemberId).filter(|id| *id != own) {
            self.network.send(id, beacon.clone());
            self.network.send(id, members.clone());
        }
        self.replica.forget_strangers();
    }

    /// Nanoseconds until the next turn is due even if nothing arrives; nothing if it can wait for
    /// ever.
    pub fn until_due(&self) -> Option<u64> {
        if self.replica.has_more_to_propose() {
            return Some(0);
        }
        let now = self.clock.now();
        let expiry = self.replica.until_expiry(now);
        let alone = self.replica.is_alone() && self.replica.is_leader();
        let must_tick = !alone || self.unsynced.in_flight.is_some() || self.is_held_up();
        let tick = must_tick.then(|| (self.last_tick + TICK_NS).saturating_sub(now.monotonic));
        match (expiry, tick) {
            (Some(expiry), Some(tick)) => Some(expiry.min(tick)),
            (one, other) => one.or(other),
        }
    }

    /// A snapshot to be written, if one is due. It may run on another thread; its end must be
    /// reported with [`Driver::snapshot_finished`].
    pub fn snapshot_job(&mut self) -> Option<SnapshotJob<D>> {
        if self.snapshot_running {
            return None;
        }
        if let Some(job) = self.incoming_job() {
            self.snapshot_running = true;
            return Some(job);
        }
        if self.replica.raw.mut_store().take_snapshot_wish() {
            // A member is so far behind that it needs one; what follows it is kept for it.
            self.keep_for_laggard(self.replica.state.applied);
            return Some(self.begin_snapshot());
        }
        let count = self.options.snapshot_count?;
        let bytes_min = count.saturating_mul(self.options.snapshot_log_bytes_per_command);
        let is_due = self.replica.commands_since_snapshot >= count
            && self.log_bytes >= bytes_min.max(self.snapshot_bytes / 2);
        is_due.then(|| self.begin_snapshot())
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
    pub fn snapshot_finished(&mut self, done: Option<SnapshotDone<D>>) -> Result<(), Fatal> {
        self.snapshot_running = false;
        let (index, term, conf_state, bytes) = match done.map(|done| done.0) {
            Some(Outcome::Written { index, term, conf_state, bytes }) => {
                (index, term, conf_state, bytes)
            }
            Some(Outcome::Prepared(prepared)) => {
                self.incoming_finished(Some(prepared));
                return Ok(());
            }
            None => {
                self.incoming_finished(None);
                return Ok(());
            }
        };
        self.snapshot_bytes = bytes;
        let log = self.replica.raw.mut_store();
        // A snapshot of the leader may have come in between.
        if log.snapshot_index().is_none_or(|newest| newest <= index.0) {
            log.set_snapshot(index.0, term.0, conf_state);
            // What is in memory for members that lag stays on disk, for after a restart.
            let kept_above = log.before_first();
            self.wal.release(index.0.min(kept_above))?;
        }
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

/// How many of these entries go into one record: as many as are not too long together, and one at
/// least.
fn fits_one_record(entries: &[Entry]) -> usize {
    let mut bytes = 0;
    let fits = |entry: &&Entry| {
        bytes += entry.data.len() + ENTRY_OVERHEAD;
        bytes <= RECORD_BYTES_MAX
    };
    entries.iter().take_while(fits).count().max(1).min(entries.len())
}

/// The commit index is not worth a sync, so what is written may not claim more than the log holds.
pub(crate) fn durable_hard_state(hard_state: &HardState, last_index: u64) -> HardState {
    let mut hard_state = hard_state.clone();
    hard_state.commit = hard_state.commit.min(last_index);
    hard_state
}
