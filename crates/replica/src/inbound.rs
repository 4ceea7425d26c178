//! What comes in from other members, and snapshots on their way in both directions.

use crate::clock::{Clock, Now};
use crate::driver::{Driver, Network, RECORD_OVERHEAD};
use crate::envelope::{self, Envelope, Piece};
use crate::error::Fatal;
use crate::message;
use crate::proposal::Output;
use crate::record;
use crate::replica::Forwarded;
use crate::snapshot::{self, Header};
use crate::snapshot_job::SnapshotJob;
use crate::transfer::{Progress, Received, Receiving, Sending};
use crate::types::{LogIndex, MemberId, Term};
use raft::eraftpb::{Message, MessageType};
use raft::{Ready, SnapshotStatus};
use std::io;
use store::Store;
use wal::{Disk, DiskFile, SnapshotReader};

/// How long entries are kept for a member for which a snapshot is being written: 10 s.
const KEEP_NS: u64 = 10_000_000_000;

/// What a member's own snapshot may be longer than the one it came from, in bytes.
const ROOM_BYTES: u64 = 64 << 10;

/// Snapshots on their way.
pub(crate) struct Transfers<D: Disk> {
    sending: Vec<Sending<D>>,
    receiving: Option<Receiving<D>>,
    /// Came in whole; raft has been told and will say what to do with it.
    received: Option<Box<(Header, Store)>>,
    /// Entries above this index are kept until then, for a member that needs a snapshot.
    kept: Option<(u64, u64)>,
}

impl<D: Disk> Default for Transfers<D> {
    fn default() -> Self {
        Self { sending: Vec::new(), receiving: None, received: None, kept: None }
    }
}

impl<D: Disk, N: Network, C: Clock> Driver<D, N, C> {
    /// Takes a message from another member. One that cannot be is dropped. A turn should follow.
    ///
    /// # Errors
    /// [`Fatal`]: the process must stop.
    pub fn receive(&mut self, from: MemberId, bytes: &[u8], out: &mut Output) -> Result<(), Fatal> {
        let Some(envelope) = envelope::decode(bytes, from, self.replica.id) else { return Ok(()) };
        let now = self.clock.now();
        self.now = now;
        self.replica.note_heard(from, now.monotonic);
        match envelope {
            Envelope::Raft(message) => self.step(*message, bytes.len(), now)?,
            Envelope::Forward { term, id, batch } => {
                let what = Forwarded::Batch(batch);
                self.replica.take_forwarded(from, term, id, what, now.monotonic);
            }
            Envelope::Change { term, id, change } => {
                let what = Forwarded::Change(change);
                self.replica.take_forwarded(from, term, id, what, now.monotonic);
            }
            Envelope::Placed { id, term, index, position } => {
                self.replica.placed(from, id, (term, index), position, out);
            }
            Envelope::Refused { id, error } => self.replica.refused(from, id, error, out),
            Envelope::Piece(piece) => self.take_piece(from, &piece)?,
            Envelope::PieceWanted { index, offset } => self.piece_wanted(from, index, offset, now),
            Envelope::Beacon { index, hash, uptime, version } => {
                let differs = self.replica.marks.differs(index, hash);
                let peer = self.replica.peers.entry(from);
                peer.applied = index;
                peer.uptime = uptime;
                peer.diverged |= differs == Some(true);
                if peer.version != version {
                    version.clone_into(&mut peer.version);
                }
            }
        }
        Ok(())
    }

    fn step(&mut self, mut message: Message, len: usize, now: Now) -> Result<(), Fatal> {
        if matches!(message.get_msg_type(), MessageType::MsgAppend | MessageType::MsgHeartbeat) {
            self.received.note(now.monotonic, len);
        }
        match message.get_msg_type() {
            MessageType::MsgAppend if !self.wal.make_room(len + RECORD_OVERHEAD)? => {
                // Not acknowledged, so the leader sends it again when there is room.
                return Ok(());
            }
            MessageType::MsgAppendResponse | MessageType::MsgHeartbeatResponse => {
                self.replica.peers.answered(MemberId(message.from), now.monotonic);
            }
            MessageType::MsgReadIndex => {
                // Stepping raft with it wants it without a term.
                let term = std::mem::take(&mut message.term);
                if let Some(answer) = self.replica.answer_read(&message, term) {
                    self.network.send(MemberId(answer.to), message::encode(&answer));
                    return Ok(());
                }
            }
            _ => {}
        }
        // raft's own refusals (an unknown sender, a stale term) need no answer.
        let _ = self.replica.raw.step(message);
        Ok(())
    }

    /// The connection to a member broke or cannot be made.
    pub fn unreachable(&mut self, to: MemberId) {
        self.replica.raw.report_unreachable(to.0);
        self.replica.note_gone(to);
        if self.replica.is_leader() {
            self.replica.peers.failed(to);
        }
    }

    /// The connection over which a member spoke to this one was closed: it is most likely dead.
    /// What it was asked and has not answered may or may not happen.
    pub fn peer_lost(&mut self, from: MemberId, out: &mut Output) {
        self.replica.lost(from, out);
        if self.replica.other_leader() == Some(from) {
            self.replica.hint_leader_lost();
        }
    }

    /// Begins to send the snapshot that raft wants a member to have.
    pub(crate) fn start_transfer(&mut self, message: &Message) {
        let index = message.get_snapshot().get_metadata().index;
        let to = MemberId(message.to);
        if self.transfers.sending.iter().any(|one| one.to == to && one.index == index) {
            return;
        }
        self.transfers.sending.retain(|one| one.to != to);
        match Sending::open(&self.disk, message, self.now.monotonic) {
            Ok(sending) => self.transfers.sending.push(sending),
            Err(_) => self.replica.raw.report_snapshot(to.0, SnapshotStatus::Failure),
        }
        self.pump_transfers(self.now);
    }

    fn piece_wanted(&mut self, from: MemberId, index: u64, offset: u64, now: Now) {
        let sending = &mut self.transfers.sending;
        let Some(at) = sending.iter().position(|one| one.to == from && one.index == index) else {
            return;
        };
        let progress = sending.get_mut(at).map(|one| one.acknowledge(offset, now.monotonic));
        if progress == Some(Progress::Done) {
            sending.swap_remove(at);
            self.replica.raw.report_snapshot(from.0, SnapshotStatus::Finish);
        }
        self.pump_transfers(now);
    }

    /// Sends what the windows of all transfers allow, and lets go of the log that nobody needs.
    pub(crate) fn pump_transfers(&mut self, now: Now) {
        let mut failed = Vec::new();
        for sending in &mut self.transfers.sending {
            let (to, network) = (sending.to, &mut self.network);
            let progress = sending.pump(now.monotonic, &mut |bytes| network.send(to, bytes));
            if progress == Progress::Failed || !self.replica.is_leader() {
                failed.push(to);
            }
        }
        for to in failed {
            self.transfers.sending.retain(|one| one.to != to);
            self.replica.raw.report_snapshot(to.0, SnapshotStatus::Failure);
        }
        let kept = self.transfers.kept.filter(|(_, until)| *until > now.monotonic);
        self.transfers.kept = kept;
        let sending = self.transfers.sending.iter().map(|one| one.index).min();
        let kept = kept.map(|(index, _)| index);
        let lowest = sending.into_iter().chain(kept).min();
        self.replica.raw.mut_store().keep_above(lowest);
    }

    /// Keeps what follows `index` in memory for a while.
    pub(crate) fn keep_for_laggard(&mut self, index: LogIndex) {
        self.transfers.kept = Some((index.0, self.now.monotonic.saturating_add(KEEP_NS)));
        self.replica.raw.mut_store().keep_above(Some(index.0));
    }

    fn take_piece(&mut self, from: MemberId, piece: &Piece<'_>) -> Result<(), Fatal> {
        if piece.index <= self.replica.state.applied.0 {
            // It is not needed any more; the sender should know.
            self.send_wanted(from, piece.index, piece.total);
            return Ok(());
        }
        let own = self.replica.id;
        let slot = &mut self.transfers.receiving;
        let received = match Receiving::take(slot, &self.disk, from, own, piece) {
            Ok(received) => received,
            // A full disk, most likely: without an answer the sender gives up and tries later.
            Err(_) => {
                self.transfers.receiving = None;
                return Ok(());
            }
        };
        match received {
            None => {}
            Some(Received::Wanted { index, offset }) => self.send_wanted(from, index, offset),
            Some(Received::Whole { index, total, message }) => {
                let Ok(loaded) = self.load_incoming(index) else { return Ok(()) };
                // What raft is told cannot be taken back, and it needs as much room again.
                if self.ask_for_room(total).is_err() {
                    return Ok(());
                }
                self.transfers.received = Some(Box::new(loaded));
                self.send_wanted(from, index, total);
                let _ = self.replica.raw.step(*message);
            }
        }
        Ok(())
    }

    fn send_wanted(&mut self, to: MemberId, index: u64, offset: u64) {
        self.network.send(to, Envelope::PieceWanted { index, offset }.encode());
    }

    /// Finds out whether a file of this length would find room.
    fn ask_for_room(&self, len: u64) -> io::Result<()> {
        let file = self.disk.create(wal::ROOM_NAME)?;
        let result = file.reserve(0, len + ROOM_BYTES);
        drop(file);
        self.disk.remove(wal::ROOM_NAME)?;
        result
    }

    fn load_incoming(&self, index: u64) -> io::Result<(Header, Store)> {
        let mut reader = SnapshotReader::open(&self.disk, wal::INCOMING_NAME)?;
        let loaded = snapshot::read(&mut reader, self.options.store_limits)?;
        if loaded.0.cluster != self.cluster || loaded.0.index.0 != index {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(loaded)
    }

    /// Puts a snapshot of the leader in the place of this member's state, its log and its own
    /// snapshots.
    ///
    /// The order makes every moment a good one to lose power: first the log says that its entries
    /// above the snapshot are void (raft knows that they were never committed), then the snapshot
    /// gets its name, then the log it replaces is let go.
    pub(crate) fn install(
        &mut self,
        ready: &Ready,
        now: Now,
        out: &mut Output,
    ) -> Result<(), Fatal> {
        let metadata = ready.snapshot().get_metadata();
        let received = self.transfers.received.take();
        let Some(received) = received.filter(|one| one.0.index.0 == metadata.index) else {
            return Err(Fatal::Raft("a snapshot is to be installed that never came".to_owned()));
        };
        let (mut header, store) = *received;
        let log = self.replica.raw.mut_store();
        let mut hard_state = log.hard_state().clone();
        if let Some(newer) = ready.hs() {
            // The commit index is that of the snapshot, which is not here before it has its name.
            (hard_state.term, hard_state.vote) = (newer.term, newer.vote);
        }
        // This member's own clock may have run ahead of the leader's while it heard nothing.
        let stamp = header.stamp;
        record::encode(&mut self.record, &hard_state, stamp, now, metadata.index, &[]);
        self.wal.append(metadata.index, &[&self.record])?;
        self.wal.sync()?;

        (header.member, header.name) = (self.replica.id, self.options.name.clone());
        header.seen = now;
        header.conf_state = metadata.get_conf_state().clone();
        (header.index, header.term) = (LogIndex(metadata.index), Term(metadata.term));
        let job = SnapshotJob::first(self.disk.clone(), header.clone(), store.snapshot());
        let done = job.run(&mut |_| {}).map_err(|error| Fatal::Wal(error.into()))?;
        self.snapshot_bytes = done.bytes;
        self.log_bytes = 0;
        let log = self.replica.raw.mut_store();
        log.restore(metadata.index, metadata.term, header.conf_state.clone());
        self.replica.install(header, store, now, out);
        self.wal.release(metadata.index)?;
        match self.disk.remove(wal::INCOMING_NAME) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Fatal::Wal(error.into())),
            _ => Ok(()),
        }
    }
}
