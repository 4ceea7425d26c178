//! Carries out what the replica wants done, in the order that safety demands.
//!
//! One turn takes in everything that has arrived, proposes it as one log entry, writes one record
//! and syncs once. Messages that promise something (votes, acknowledgements) leave only after the
//! sync; a leader's own entries go out to others before it, so that they sync at the same time.
//! Nothing is applied, and so nobody is answered, before the entry is durable here.
//!
//! The driver is generic over [`wal::Disk`], [`Network`] and [`Clock`]: the server and a simulator
//! run the same code.

pub(crate) mod inbound;
pub(crate) mod open;
pub(crate) mod periodic;
pub(crate) mod requests;
pub(crate) mod snapshots;
pub(crate) mod unwritten;
pub(crate) mod view;

use crate::clock::{Clock, Now};
use crate::driver::inbound::Transfers;
use crate::driver::open::Options;
use crate::driver::unwritten::Unwritten;
use crate::error::{EngineError, Fatal};
use crate::identity::claims::Claims;
use crate::limits::{LOG_TAIL_BYTES_ALONE, RECORD_BYTES_MAX};
use crate::replica::Replica;
use crate::traffic::Traffic;
use crate::types::{ClusterId, MemberId};
use crate::waiting::proposal::Output;
use crate::wire::batch;
use crate::wire::raft_message;
use crate::wire::record;
use raft::Ready;
use raft::eraftpb::{Entry, HardState, Message, MessageType};
use std::collections::VecDeque;
use wal::{Disk, Seq, SyncTarget, Wal};

/// How often the leader looks after the membership: 100 ms.
pub(crate) const TEND_NS: u64 = 100_000_000;

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
pub(crate) struct Unsynced {
    /// The newest ready that was written, if it is not synced yet.
    pub(crate) written: Option<u64>,
    /// What a deferred sync covers that has not been reported.
    pub(crate) in_flight: Option<u64>,
    /// When that sync was handed out, by the monotonic clock.
    pub(crate) handed_out_at: u64,
    /// The newest ready of all.
    pub(crate) newest: u64,
    /// Messages that must not leave before the ready with this number is durable.
    pub(crate) messages: VecDeque<(u64, Vec<Message>)>,
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
    pub(crate) unsynced: Unsynced,
    pub(crate) unwritten: Unwritten,
    /// Bytes of the appends that were taken in and are not in a record yet.
    pub(crate) appended: usize,
    pub(crate) last_flush: u64,
    pub(crate) record: Vec<u8>,
    pub(crate) now: Now,
    pub(crate) started: u64,
    pub(crate) last_tick: u64,
    /// Until then no request is given up: this process stood still, and not those who know.
    pub(crate) patient_until: u64,
    pub(crate) last_tending: u64,
    pub(crate) last_announcement: Option<u64>,
    /// Whether the cluster knew this member as it is once since it started.
    pub(crate) was_announced: bool,
    pub(crate) last_beacon: u64,
    /// Nanoseconds of each sync in place that was not asked for yet.
    pub(crate) sync_times: Vec<u64>,
    pub(crate) log_bytes: u64,
    pub(crate) snapshot_running: bool,
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
    pub(crate) is_warm: bool,
    pub(crate) last_start_announcement: Option<u64>,
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
    /// deferred sync hangs the log is left as it is: that costs nothing but this. So is one of
    /// which it is not known whether it is whole.
    ///
    /// # Errors
    /// [`Fatal`] when the disk gave an error: what was written last may not be durable.
    pub fn close(&mut self) -> Result<(), Fatal> {
        if self.is_syncing() || self.claims.origin.is_live {
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
        self.persisted(if self.is_all_durable() { self.unsynced.newest } else { number });
    }

    /// Whether everything is durable that raft wanted to have written.
    fn is_all_durable(&self) -> bool {
        let unsynced = &self.unsynced;
        let is_synced = unsynced.written.is_none() && unsynced.in_flight.is_none();
        is_synced && !self.unwritten.has_records()
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
        if self.is_all_durable() {
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
        self.write_apart(0)
    }

    /// Writes the record that belongs to no ready, and makes it durable. Says whether there was
    /// room for it.
    pub(crate) fn write_apart(&mut self, mark: u64) -> Result<bool, Fatal> {
        match self.wal.append(mark, &[&self.record]) {
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
                    let bytes = raft_message::encode(&message);
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
