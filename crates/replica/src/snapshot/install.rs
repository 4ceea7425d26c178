//! A snapshot of the leader that takes the place of this member's state.
//!
//! Its pieces are gathered in a file that nothing is ever started from. When all are here the file
//! is loaded, and written again as a snapshot of this member, by a [`SnapshotJob`] away from the
//! loop: that takes seconds where there are millions of keys, in which this member goes on to hear
//! its leader and to answer its clients. Only then raft is told, and what is left to do is short.
//!
//! The sender is told that a snapshot arrived only when raft was, and that all of it but the last
//! byte is here meanwhile, whenever it asks: it would take a longer silence for a failure.
//!
//! [`SnapshotJob`]: crate::SnapshotJob

use crate::clock::MonoTime;
use crate::snapshot::job::Prepared;
use crate::snapshot::transfer::{Received, Receiving};
use crate::types::{LogIndex, MemberId};
use crate::wire::envelope::{Envelope, Piece};
use raft::eraftpb::{Message, SnapshotMetadata};
use wal::Disk;

/// After a failure no piece is taken for this long: 1 s. The sender waits as well.
const REST_NS: u64 = 1_000_000_000;

/// What the sender of a snapshot is to be told: up to where its bytes are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Acknowledgement {
    pub(crate) to: MemberId,
    index: u64,
    offset: u64,
}

impl Acknowledgement {
    pub(crate) fn encode(self) -> Vec<u8> {
        Envelope::PieceWanted { index: self.index, offset: self.offset }.encode()
    }
}

/// A snapshot all of whose pieces are here.
pub(crate) struct ReceivedSnapshot {
    pub(crate) from: MemberId,
    index: u64,
    total: u64,
    /// What raft is told when it is prepared.
    pub(crate) message: Box<Message>,
}

impl ReceivedSnapshot {
    /// What the sender is told while the snapshot is looked through.
    fn ack_all_but_last_byte(&self) -> Acknowledgement {
        assert!(self.total > 0, "a snapshot has a header");
        Acknowledgement { to: self.from, index: self.index, offset: self.total - 1 }
    }

    /// What the sender is told when raft wants the snapshot.
    pub(crate) fn ack_all(&self) -> Acknowledgement {
        Acknowledgement { to: self.from, index: self.index, offset: self.total }
    }

    /// The last entry that is part of it.
    pub(crate) fn index(&self) -> LogIndex {
        LogIndex(self.index)
    }
}

/// How far the snapshot that comes in is.
enum Stage<D: Disk> {
    /// None comes in.
    Idle,
    Gathering(Receiving<D>),
    /// All is here, and nobody works on it yet.
    Received(ReceivedSnapshot),
    /// A job loads it and writes it again.
    Preparing(ReceivedSnapshot),
    /// It is to be installed; raft is told in the next turn.
    Prepared(ReceivedSnapshot, Box<Prepared<D>>),
    /// raft has been told and says in this turn what to do with it.
    Offered(Box<Prepared<D>>),
}

/// The snapshot that comes in, if there is one.
pub(crate) struct Incoming<D: Disk> {
    stage: Stage<D>,
    /// Nothing is taken before this reading of the monotonic clock.
    rests_until: MonoTime,
}

impl<D: Disk> Default for Incoming<D> {
    fn default() -> Self {
        Self { stage: Stage::Idle, rests_until: MonoTime::default() }
    }
}

impl<D: Disk> Incoming<D> {
    fn take_stage(&mut self) -> Stage<D> {
        std::mem::replace(&mut self.stage, Stage::Idle)
    }

    /// Takes a piece for the member `own`, which has applied everything up to `applied`; gives what
    /// its sender is to be told.
    pub(crate) fn take_piece(
        &mut self,
        disk: &D,
        (own, applied): (MemberId, LogIndex),
        from: MemberId,
        piece: &Piece<'_>,
        now: MonoTime,
    ) -> Option<Acknowledgement> {
        if piece.index <= applied.0 {
            // It is not needed any more; the sender should know.
            return Some(Acknowledgement { to: from, index: piece.index, offset: piece.total });
        }
        match &self.stage {
            Stage::Idle | Stage::Gathering(_) => {}
            Stage::Received(received)
            | Stage::Preparing(received)
            | Stage::Prepared(received, _) => {
                let is_same = received.from == from && received.index == piece.index;
                return is_same.then(|| received.ack_all_but_last_byte());
            }
            Stage::Offered(_) => return None,
        }
        if now < self.rests_until {
            return None;
        }
        let mut slot = match self.take_stage() {
            Stage::Gathering(receiving) => Some(receiving),
            _ => None,
        };
        match Receiving::take(&mut slot, disk, from, own, piece) {
            Ok(Received::Wanted { index, offset }) => {
                self.stage = slot.map_or(Stage::Idle, Stage::Gathering);
                Some(Acknowledgement { to: from, index, offset })
            }
            Ok(Received::Whole { index, total, message }) => {
                let received = ReceivedSnapshot { from, index, total, message };
                let acknowledgement = received.ack_all_but_last_byte();
                self.stage = Stage::Received(received);
                Some(acknowledgement)
            }
            // A full disk, most likely. The sender hears nothing and sends again.
            Err(_) => {
                self.discard(disk, now);
                None
            }
        }
    }

    /// Lets go of what came in, and of the room that it takes. It is begun anew in a while.
    pub(crate) fn discard(&mut self, disk: &D, now: MonoTime) {
        self.stage = Stage::Idle;
        self.rests_until = now.after(REST_NS);
        // What cannot be removed now is removed with the next first piece, or at the next start.
        let _ = disk.remove(wal::INCOMING_NAME);
    }

    /// What raft is told of a snapshot that came in, if there is one that nobody works on: a job is
    /// made of it now.
    pub(crate) fn begin_job(&mut self) -> Option<SnapshotMetadata> {
        match self.take_stage() {
            Stage::Received(received) => {
                let metadata = received.message.get_snapshot().get_metadata().clone();
                self.stage = Stage::Preparing(received);
                Some(metadata)
            }
            stage => {
                self.stage = stage;
                None
            }
        }
    }

    /// The work on a snapshot that came in has ended; nothing if it failed. While none is prepared
    /// another work has ended, which changes nothing here.
    pub(crate) fn job_finished(
        &mut self,
        prepared: Option<Box<Prepared<D>>>,
        disk: &D,
        now: MonoTime,
    ) {
        match (self.take_stage(), prepared) {
            (Stage::Preparing(received), Some(prepared)) => {
                assert_eq!(prepared.header.index, received.index(), "it is the one that came in");
                self.stage = Stage::Prepared(received, prepared);
            }
            (Stage::Preparing(_), None) => self.discard(disk, now),
            (stage, _) => self.stage = stage,
        }
    }

    /// Whether a snapshot waits for raft to be told of it.
    pub(crate) fn is_prepared(&self) -> bool {
        matches!(self.stage, Stage::Prepared(..))
    }

    /// The snapshot of which raft is to be told.
    pub(crate) fn take_prepared(&mut self) -> Option<(ReceivedSnapshot, Box<Prepared<D>>)> {
        match self.take_stage() {
            Stage::Prepared(received, prepared) => Some((received, prepared)),
            stage => {
                self.stage = stage;
                None
            }
        }
    }

    /// raft could not be told yet.
    pub(crate) fn put_back(&mut self, received: ReceivedSnapshot, prepared: Box<Prepared<D>>) {
        assert!(matches!(self.stage, Stage::Idle), "nothing came in between");
        self.stage = Stage::Prepared(received, prepared);
    }

    /// raft wants the snapshot: its next ready has it.
    pub(crate) fn note_offered(&mut self, prepared: Box<Prepared<D>>) {
        assert!(matches!(self.stage, Stage::Idle), "nothing came in between");
        self.stage = Stage::Offered(prepared);
    }

    /// The snapshot that raft says is to be installed.
    pub(crate) fn take_offered(&mut self) -> Option<Box<Prepared<D>>> {
        match self.take_stage() {
            Stage::Offered(prepared) => Some(prepared),
            stage => {
                self.stage = stage;
                None
            }
        }
    }
}
