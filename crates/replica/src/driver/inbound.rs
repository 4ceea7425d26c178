//! What comes in from other members, and snapshots on their way to them.

use crate::clock::{Clock, Now};
use crate::driver::{Driver, Network, RECORD_OVERHEAD};
use crate::error::Fatal;
use crate::limits::APPENDED_BYTES_MAX;
use crate::snapshot::install::Incoming;
use crate::snapshot::transfer::{Progress, Sending};
use crate::types::{LogIndex, MemberId};
use crate::waiting::proposal::Output;
use crate::wire::envelope::{self, Envelope};
use crate::wire::raft_message;
use raft::SnapshotStatus;
use raft::eraftpb::{Message, MessageType};
use wal::Disk;

/// How long entries are kept for a member for which a snapshot is being written: 10 s.
const KEEP_NS: u64 = 10_000_000_000;

/// Snapshots on their way.
pub(crate) struct Transfers<D: Disk> {
    sending: Vec<Sending<D>>,
    pub(crate) incoming: Incoming<D>,
    /// Entries above this index are kept until then, for a member that needs a snapshot.
    kept: Option<(u64, u64)>,
}

impl<D: Disk> Default for Transfers<D> {
    fn default() -> Self {
        Self { sending: Vec::new(), incoming: Incoming::default(), kept: None }
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
        if !self.listens_to(from) {
            return Ok(());
        }
        self.replica.note_heard(from, now.monotonic);
        match envelope {
            Envelope::Raft(message) => self.step(*message, bytes.len(), now)?,
            Envelope::Forward { term, id, floor, items } => {
                self.replica.take_request(from, term, (id, floor), items);
            }
            Envelope::Change { term, id, change } => {
                self.replica.take_change(from, term, id, change, now.monotonic);
            }
            Envelope::Placed { id, term, index, position } => {
                self.replica.placed(from, id, (term, index), position, out);
            }
            Envelope::Refused { id, error } => self.replica.refused(from, id, error, out),
            Envelope::Piece(piece) => self.take_piece(from, &piece),
            Envelope::PieceWanted { index, offset } => self.piece_wanted(from, index, offset, now),
            Envelope::Members(members) => self.note_vouched(from, members),
            Envelope::Doubled { address } => out.doubled = Some(address.to_owned()),
            Envelope::Beacon { index, hash, uptime, version } => {
                let differs = self.replica.marks.differs(index, hash);
                let peer = self.replica.peers.entry(from);
                peer.applied = index;
                peer.uptime = uptime;
                peer.diverged |= differs == Some(true);
                peer.agrees =
                    if peer.diverged { Some(false) } else { differs.map(|_| true).or(peer.agrees) };
                if peer.version != version {
                    version.clone_into(&mut peer.version);
                }
            }
        }
        Ok(())
    }

    fn step(&mut self, mut message: Message, len: usize, now: Now) -> Result<(), Fatal> {
        if !self.admit(&mut message) {
            return Ok(());
        }
        if matches!(message.get_msg_type(), MessageType::MsgAppend | MessageType::MsgHeartbeat) {
            self.received.note(now.monotonic, len);
        }
        match message.get_msg_type() {
            // Neither could be answered before there is room on the disk.
            _ if self.is_silenced() => return Ok(()),
            MessageType::MsgAppend if !self.has_room_for_append(len)? => {
                // Not acknowledged, so the leader sends it again when there is room.
                self.append_refused = len;
                return Ok(());
            }
            MessageType::MsgAppend => self.append_refused = 0,
            MessageType::MsgAppendResponse | MessageType::MsgHeartbeatResponse => {
                self.replica.peers.answered(MemberId(message.from), now.monotonic);
            }
            MessageType::MsgReadIndex => {
                // Stepping raft with it wants it without a term.
                let term = std::mem::take(&mut message.term);
                if let Some(answer) = self.replica.answer_read(&message, term) {
                    self.network.send(MemberId(answer.to), raft_message::encode(&answer));
                    return Ok(());
                }
            }
            _ => {}
        }
        // raft's own refusals (an unknown sender, a stale term) need no answer.
        let _ = self.replica.raw.step(message);
        Ok(())
    }

    /// Whether an append finds room together with those that came before it in this turn: all of
    /// them can end up in one record.
    fn has_room_for_append(&mut self, len: usize) -> Result<bool, Fatal> {
        let bytes = self.appended.saturating_add(len);
        let is_too_much = self.appended > 0 && bytes > APPENDED_BYTES_MAX;
        if self.is_held_up() || is_too_much || !self.wal.make_room(bytes + RECORD_OVERHEAD)? {
            return Ok(false);
        }
        self.appended = bytes;
        Ok(true)
    }

    /// Tells a member that another process has its identity, and was refused; `address` says where
    /// that one is.
    pub fn tell_doubled(&mut self, to: MemberId, address: &str) {
        self.network.send(to, Envelope::Doubled { address }.encode());
        self.network.flush();
    }

    /// The connection to a member broke or cannot be made.
    pub fn unreachable(&mut self, to: MemberId) {
        self.replica.raw.report_unreachable(to.0);
        self.replica.note_gone(to);
        self.claims.origin.note_gone(to);
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
        match Sending::open(
            &self.disk,
            message,
            self.options.snapshot_piece_bytes,
            self.now.monotonic,
        ) {
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
}
