//! What comes in from other members.

use crate::clock::{Clock, Now};
use crate::driver::Driver;
use crate::driver::network::Network;
use crate::error::Fatal;
use crate::limits::{APPENDED_BYTES_MAX, RECORD_OVERHEAD};
use crate::types::MemberId;
use crate::waiting::proposal::Output;
use crate::wire::envelope::{self, Envelope};
use crate::wire::raft_message;
use raft::eraftpb::{Message, MessageType};
use wal::Disk;

impl<D: Disk, N: Network, C: Clock> Driver<D, N, C> {
    /// Takes a message from another member. One that cannot be is dropped. A turn should follow.
    ///
    /// # Errors
    /// [`Fatal`]: the process must stop.
    pub fn receive(&mut self, from: MemberId, bytes: &[u8], out: &mut Output) -> Result<(), Fatal> {
        let Some(envelope) = envelope::decode(bytes, from, self.replica.id()) else {
            return Ok(());
        };
        let now = self.clock.now();
        self.now = now;
        if !self.listens_to(from) {
            return Ok(());
        }
        self.replica.note_heard(from, now.mono());
        match envelope {
            Envelope::Raft(message) => self.step(*message, bytes.len(), now)?,
            Envelope::Forward { term, id, floor, items } => {
                self.replica.take_request(from, term, (id, floor), items);
            }
            Envelope::Change { term, id, change } => {
                self.replica.take_change(from, term, id, change, now.mono());
            }
            Envelope::ForwardAccepted { id, position, offset } => {
                self.replica.change_accepted(from, id, position, offset, out);
            }
            Envelope::Refused { id, error } => self.replica.refused(from, id, error, out),
            Envelope::Piece(piece) => self.take_piece(from, &piece),
            Envelope::PieceWanted { index, offset } => self.piece_wanted(from, index, offset, now),
            Envelope::Members(members) => self.note_vouched(from, members),
            Envelope::Report { nonce, report } => self.note_report(from, nonce, report),
            Envelope::Doubled { address } => out.doubled = Some(address.to_owned()),
            Envelope::Beacon { index, hash, uptime, wall, version } => {
                let clock_offset_ns = now.wall.wrapping_sub(wall).cast_signed();
                let told = (uptime, clock_offset_ns);
                self.replica.note_beacon(from, (index, hash), told, version, now.mono());
            }
            Envelope::Announce { text } => self.replica.take_announcement(from, text),
            Envelope::Vitals(vitals) => self.replica.note_vitals(from, *vitals, now),
            Envelope::Disk { is_stuck } => self.replica.note_disk(from, is_stuck, now.mono()),
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
            kind @ (MessageType::MsgAppendResponse | MessageType::MsgHeartbeatResponse) => {
                self.replica.note_answered(MemberId(message.from), now.mono());
                if kind == MessageType::MsgHeartbeatResponse {
                    self.replica.note_beat_answered(MemberId(message.from), now.mono());
                }
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
        self.replica.step(message);
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
        self.replica.note_unreachable(to);
    }

    /// The connection over which a member spoke to this one was closed: it is most likely dead.
    /// What it was asked and has not answered may or may not happen.
    pub fn peer_lost(&mut self, from: MemberId, out: &mut Output) {
        self.replica.lost(from, out);
        self.claims.note_lost(from, self.registered(from));
        if self.replica.other_leader() == Some(from) {
            self.replica.hint_leader_lost();
        }
    }
}
