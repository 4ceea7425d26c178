//! Snapshots on their way between members.
//!
//! raft only says that a member needs a snapshot; its bytes travel beside raft, in pieces, over the
//! same connection as everything else. The sender keeps a bounded number of bytes on the way, so
//! that heartbeats and entries do not queue behind a snapshot. The receiver gathers the pieces in a
//! file that nothing is ever started from; when it is whole and sound, raft is told.

use crate::clock::MonoTime;
use crate::types::{LogIndex, MemberId};
use crate::wire::envelope::{Envelope, Piece};
use raft::eraftpb::{ConfState, Message, MessageType};
use std::io;
use wal::{Disk, DiskFile};

/// Pieces on the way at a time.
const WINDOW_PIECES: u64 = 8;

/// After this long without a word from the receiver the last window is sent again: 500 ms.
const RESEND_NS: u64 = 500_000_000;

/// After this long without a word from the receiver the transfer has failed: 10 s.
const PATIENCE_NS: u64 = 10_000_000_000;

/// How long entries are kept for a member for which a snapshot is being written: 10 s.
const KEEP_NS: u64 = 10_000_000_000;

/// Transfers that ended and were not asked for yet.
const ENDED_MAX: usize = 16;

/// How the transfer of a snapshot to another member ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotSent {
    /// Who was to have it.
    pub to: MemberId,
    /// The log index of the snapshot.
    pub index: LogIndex,
    /// Its size.
    pub bytes: u64,
    /// How long the transfer took, in nanoseconds.
    pub took_ns: u64,
    /// Whether the receiver has all of it; if not, it did not answer or this member leads no more.
    pub is_whole: bool,
}

/// A snapshot that is being sent to one member.
struct Sending<D: Disk> {
    to: MemberId,
    index: u64,
    term: u64,
    sender_term: u64,
    conf_state: ConfState,
    file: D::File,
    total: u64,
    piece_bytes: usize,
    sent: u64,
    acknowledged: u64,
    heard_at: MonoTime,
    sent_at: MonoTime,
    started_at: MonoTime,
}

/// What became of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Going,
    Done,
    Failed,
}

impl<D: Disk> Sending<D> {
    /// Opens the file of the snapshot that raft's message names.
    fn open(disk: &D, message: &Message, piece_bytes: usize, now: MonoTime) -> io::Result<Self> {
        let metadata = message.get_snapshot().get_metadata();
        let file = disk.open(&wal::snapshot_name(metadata.index))?;
        let total = file.len()?;
        Ok(Self {
            to: MemberId(message.to),
            index: metadata.index,
            term: metadata.term,
            sender_term: message.term,
            conf_state: metadata.get_conf_state().clone(),
            file,
            total,
            piece_bytes,
            sent: 0,
            acknowledged: 0,
            heard_at: now,
            sent_at: now,
            started_at: now,
        })
    }

    /// The receiver has everything below `offset`. If that is nothing it may have lost what it
    /// had, with its process or for want of room, and gets everything again.
    fn acknowledge(&mut self, offset: u64, now: MonoTime) -> Progress {
        self.heard_at = now;
        if offset <= self.total && offset >= self.acknowledged {
            self.acknowledged = offset;
            self.sent = self.sent.max(offset);
        } else if offset == 0 {
            (self.acknowledged, self.sent) = (0, 0);
        }
        if self.acknowledged == self.total { Progress::Done } else { Progress::Going }
    }

    fn ended(&self, is_whole: bool, now: MonoTime) -> SnapshotSent {
        SnapshotSent {
            to: self.to,
            index: LogIndex(self.index),
            bytes: self.total,
            took_ns: now.since(self.started_at),
            is_whole,
        }
    }

    /// The next pieces, as far as the window allows.
    fn pump(&mut self, now: MonoTime, send: &mut dyn FnMut(Vec<u8>)) -> Progress {
        if now.since(self.heard_at) > PATIENCE_NS {
            return Progress::Failed;
        }
        if now.since(self.sent_at.max(self.heard_at)) > RESEND_NS {
            self.sent = self.acknowledged;
        }
        let window = WINDOW_PIECES * self.piece_bytes as u64;
        assert!(self.acknowledged <= self.sent, "what was acknowledged was sent");
        let mut bytes = vec![0; self.piece_bytes];
        while self.sent < self.total && self.sent < self.acknowledged + window {
            let len = match self.file.read_at(&mut bytes, self.sent) {
                Ok(0) | Err(_) => return Progress::Failed,
                Ok(len) => len,
            };
            let piece = Piece {
                sender_term: self.sender_term,
                index: self.index,
                term: self.term,
                offset: self.sent,
                total: self.total,
                conf_state: self.conf_state.clone(),
                bytes: bytes.get(..len).expect("a read gives no more than there is room for"),
            };
            send(Envelope::Piece(Box::new(piece)).encode());
            self.sent += len as u64;
            self.sent_at = now;
        }
        assert!(self.sent <= self.total, "a snapshot does not grow while it is sent");
        Progress::Going
    }
}

/// All snapshots that are being sent, and the log that is kept for those who get them.
pub(crate) struct Outgoing<D: Disk> {
    sending: Vec<Sending<D>>,
    ended: Vec<SnapshotSent>,
    /// Entries above this index are kept until then, for a member for which a snapshot is written.
    kept: Option<(LogIndex, MonoTime)>,
}

impl<D: Disk> Default for Outgoing<D> {
    fn default() -> Self {
        Self { sending: Vec::new(), ended: Vec::new(), kept: None }
    }
}

impl<D: Disk> Outgoing<D> {
    /// Begins to send the snapshot that raft's message names. Says whether it was not under way
    /// already.
    pub(crate) fn start(
        &mut self,
        disk: &D,
        message: &Message,
        piece_bytes: usize,
        now: MonoTime,
    ) -> io::Result<bool> {
        let index = message.get_snapshot().get_metadata().index;
        let to = MemberId(message.to);
        if self.sending.iter().any(|one| one.to == to && one.index == index) {
            return Ok(false);
        }
        self.sending.retain(|one| one.to != to);
        self.sending.push(Sending::open(disk, message, piece_bytes, now)?);
        Ok(true)
    }

    /// A receiver has everything below `offset`; gives what became of its transfer, if there is
    /// one.
    pub(crate) fn acknowledge(
        &mut self,
        from: MemberId,
        index: u64,
        offset: u64,
        now: MonoTime,
    ) -> Option<Progress> {
        let at = self.sending.iter().position(|one| one.to == from && one.index == index)?;
        let progress = self.sending.get_mut(at)?.acknowledge(offset, now);
        if progress == Progress::Done {
            let done = self.sending.swap_remove(at);
            self.ended.push(done.ended(true, now));
            self.ended.truncate(ENDED_MAX);
        }
        Some(progress)
    }

    /// Sends what the windows of all transfers allow; gives those that have failed, of a member
    /// that does not lead all.
    pub(crate) fn pump(
        &mut self,
        now: MonoTime,
        leads: bool,
        send: &mut dyn FnMut(MemberId, Vec<u8>),
    ) -> Vec<MemberId> {
        let mut failed = Vec::new();
        self.sending.retain_mut(|sending| {
            let to = sending.to;
            let progress = sending.pump(now, &mut |bytes| send(to, bytes));
            let has_failed = progress == Progress::Failed || !leads;
            if has_failed {
                failed.push(to);
                self.ended.push(sending.ended(false, now));
            }
            !has_failed
        });
        self.ended.truncate(ENDED_MAX);
        failed
    }

    /// The transfers that ended since this was last asked.
    pub(crate) fn take_ended(&mut self) -> Vec<SnapshotSent> {
        std::mem::take(&mut self.ended)
    }

    /// Above which index the log is still needed, by those that get a snapshot of it or will.
    pub(crate) fn needs_above(&mut self, now: MonoTime) -> Option<LogIndex> {
        self.kept = self.kept.filter(|(_, until)| *until > now);
        let sending = self.sending.iter().map(|one| LogIndex(one.index)).min();
        let kept = self.kept.map(|(index, _)| index);
        sending.into_iter().chain(kept).min()
    }

    /// A snapshot is written for a member that lags: what follows `index` is kept for a while.
    pub(crate) fn keep_above(&mut self, index: LogIndex, now: MonoTime) {
        self.kept = Some((index, now.after(KEEP_NS)));
    }
}

/// A snapshot that is being received.
pub(crate) struct Receiving<D: Disk> {
    from: MemberId,
    index: u64,
    total: u64,
    file: D::File,
    have: u64,
}

/// What a piece leads to.
pub(crate) enum Received {
    /// The sender is told up to where the bytes are here.
    Wanted { index: u64, offset: u64 },
    /// All bytes are here: raft is told with this message when they are looked through.
    Whole { index: u64, total: u64, message: Box<Message> },
}

impl<D: Disk> Receiving<D> {
    /// Takes a piece. A transfer that is under way is given up for a newer one.
    pub(crate) fn take(
        slot: &mut Option<Self>,
        disk: &D,
        from: MemberId,
        own: MemberId,
        piece: &Piece<'_>,
    ) -> io::Result<Received> {
        let is_current = slot.as_ref().is_some_and(|now| {
            now.from == from && now.index == piece.index && now.total == piece.total
        });
        if !is_current {
            if piece.offset != 0 {
                return Ok(Received::Wanted { index: piece.index, offset: 0 });
            }
            *slot = None;
        }
        let receiving = match slot {
            Some(receiving) => receiving,
            None => slot.insert(Self::start(disk, from, piece)?),
        };
        if piece.offset == receiving.have {
            receiving.file.write_at(piece.bytes, piece.offset)?;
            receiving.have += piece.bytes.len() as u64;
        }
        assert!(receiving.have <= receiving.total, "a piece ends within its snapshot");
        if receiving.have < receiving.total {
            return Ok(Received::Wanted { index: piece.index, offset: receiving.have });
        }
        *slot = None;
        let message = Box::new(raft_message(from, own, piece));
        Ok(Received::Whole { index: piece.index, total: piece.total, message })
    }

    fn start(disk: &D, from: MemberId, piece: &Piece<'_>) -> io::Result<Self> {
        match disk.remove(wal::INCOMING_NAME) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = disk.create(wal::INCOMING_NAME)?;
        Ok(Self { from, index: piece.index, total: piece.total, file, have: 0 })
    }
}

fn raft_message(from: MemberId, own: MemberId, piece: &Piece<'_>) -> Message {
    let mut message = Message::default();
    message.set_msg_type(MessageType::MsgSnapshot);
    (message.from, message.to, message.term) = (from.0, own.0, piece.sender_term);
    let metadata = message.mut_snapshot().mut_metadata();
    (metadata.index, metadata.term) = (piece.index, piece.term);
    metadata.set_conf_state(piece.conf_state.clone());
    message
}
