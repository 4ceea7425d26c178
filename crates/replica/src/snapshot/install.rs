//! A snapshot of the leader that takes the place of this member's state.
//!
//! Its pieces are gathered in a file that nothing is ever started from. When all are here the file
//! is loaded, and written again as a snapshot of this member, by a [`SnapshotJob`] away from the
//! loop: that takes seconds where there are millions of keys, in which this member goes on to hear
//! its leader and to answer its clients. Only then raft is told, and what is left to do is short.
//!
//! The sender is told that a snapshot arrived only when raft was, and that all of it but the last
//! byte is here meanwhile, whenever it asks: it would take a longer silence for a failure.

use crate::clock::{Clock, Now};
use crate::driver::{Driver, Network, RECORD_OVERHEAD, durable_hard_state};
use crate::error::Fatal;
use crate::snapshot::job::{IncomingJob, Prepared, SnapshotJob};
use crate::snapshot::transfer::{Received, Receiving};
use crate::types::MemberId;
use crate::waiting::proposal::Output;
use crate::wire::envelope::{Envelope, Piece};
use crate::wire::record;
use raft::Ready;
use raft::eraftpb::Message;
use std::io;
use store::Stamp;
use wal::Disk;

/// After a failure no piece is taken for this long: 1 s. The sender waits as well.
const REST_NS: u64 = 1_000_000_000;

/// A snapshot all of whose pieces are here.
struct Whole {
    from: MemberId,
    index: u64,
    total: u64,
    /// What raft is told when it is prepared.
    message: Box<Message>,
}

impl Whole {
    /// Up to where the sender is told that it is here while it is looked through.
    fn nearly(&self) -> u64 {
        self.total.saturating_sub(1)
    }
}

/// How far the snapshot that comes in is.
enum Stage<D: Disk> {
    /// None comes in.
    Idle,
    Gathering(Receiving<D>),
    /// All is here, and nobody works on it yet.
    Whole(Whole),
    /// A job loads it and writes it again.
    Preparing(Whole),
    /// It is to be installed; raft is told in the next turn.
    Prepared(Whole, Box<Prepared<D>>),
    /// raft has been told and says in this turn what to do with it.
    Offered(Box<Prepared<D>>),
}

/// The snapshot that comes in, if there is one.
pub(crate) struct Incoming<D: Disk> {
    stage: Stage<D>,
    /// Nothing is taken before this reading of the monotonic clock.
    rests_until: u64,
}

impl<D: Disk> Default for Incoming<D> {
    fn default() -> Self {
        Self { stage: Stage::Idle, rests_until: 0 }
    }
}

impl<D: Disk> Incoming<D> {
    fn take_stage(&mut self) -> Stage<D> {
        std::mem::replace(&mut self.stage, Stage::Idle)
    }
}

impl<D: Disk, N: Network, C: Clock> Driver<D, N, C> {
    pub(crate) fn take_piece(&mut self, from: MemberId, piece: &Piece<'_>) {
        if piece.index <= self.replica.state.applied.0 {
            // It is not needed any more; the sender should know.
            return self.send_wanted(from, piece.index, piece.total);
        }
        let incoming = &mut self.transfers.incoming;
        match &incoming.stage {
            Stage::Idle | Stage::Gathering(_) => {}
            Stage::Whole(whole) | Stage::Preparing(whole) | Stage::Prepared(whole, _) => {
                if whole.from == from && whole.index == piece.index {
                    let nearly = whole.nearly();
                    self.send_wanted(from, piece.index, nearly);
                }
                return;
            }
            Stage::Offered(_) => return,
        }
        if self.now.monotonic < incoming.rests_until {
            return;
        }
        let mut slot = match incoming.take_stage() {
            Stage::Gathering(receiving) => Some(receiving),
            _ => None,
        };
        match Receiving::take(&mut slot, &self.disk, from, self.replica.id, piece) {
            Ok(Received::Wanted { index, offset }) => {
                incoming.stage = slot.map_or(Stage::Idle, Stage::Gathering);
                self.send_wanted(from, index, offset);
            }
            Ok(Received::Whole { index, total, message }) => {
                let whole = Whole { from, index, total, message };
                let nearly = whole.nearly();
                incoming.stage = Stage::Whole(whole);
                self.send_wanted(from, index, nearly);
            }
            // A full disk, most likely. The sender hears nothing and sends again.
            Err(_) => self.drop_incoming(),
        }
    }

    /// Lets go of what came in, and of the room that it takes. It is begun anew in a while.
    fn drop_incoming(&mut self) {
        let incoming = &mut self.transfers.incoming;
        incoming.stage = Stage::Idle;
        incoming.rests_until = self.now.monotonic.saturating_add(REST_NS);
        // What cannot be removed now is removed with the next first piece, or at the next start.
        let _ = self.disk.remove(wal::INCOMING_NAME);
    }

    fn send_wanted(&mut self, to: MemberId, index: u64, offset: u64) {
        self.network.send(to, Envelope::PieceWanted { index, offset }.encode());
    }

    /// The work on a snapshot that came in, if there is one that nobody works on.
    pub(crate) fn incoming_job(&mut self) -> Option<SnapshotJob<D>> {
        let incoming = &mut self.transfers.incoming;
        if !matches!(incoming.stage, Stage::Whole(_)) {
            return None;
        }
        let Stage::Whole(whole) = incoming.take_stage() else { return None };
        let metadata = whole.message.get_snapshot().get_metadata();
        let job = IncomingJob {
            disk: self.disk.clone(),
            limits: self.options.store_limits,
            cluster: self.cluster,
            member: self.replica.id,
            name: self.options.name.clone(),
            seen: self.clock.now(),
            metadata: metadata.clone(),
            identity: self.claims.identity,
            log_id: self.log_id,
            origin: self.claims.origin.for_snapshot(),
            log_seq: self.wal.synced_seq(),
        };
        incoming.stage = Stage::Preparing(whole);
        Some(SnapshotJob::incoming(job))
    }

    /// The work on a snapshot that came in has ended; nothing if it failed. While none is prepared
    /// another work has ended, which changes nothing here.
    pub(crate) fn incoming_finished(&mut self, prepared: Option<Box<Prepared<D>>>) {
        match (self.transfers.incoming.take_stage(), prepared) {
            (Stage::Preparing(whole), Some(prepared)) => {
                self.transfers.incoming.stage = Stage::Prepared(whole, prepared);
            }
            (Stage::Preparing(_), None) => self.drop_incoming(),
            (stage, _) => self.transfers.incoming.stage = stage,
        }
    }

    /// Tells raft of a snapshot that is prepared. raft wants it installed in this very turn, or
    /// does not want it.
    ///
    /// What a leader had applied is committed for good, so its snapshot is as good when another
    /// one leads meanwhile: raft is told that it comes from that one.
    ///
    /// The order makes every moment a good one to lose power: first the log says that its entries
    /// above the snapshot are void (they contradict it, so that they were never committed), then
    /// the snapshot gets its name, then the log it replaces is let go. The first is done here,
    /// before raft is told: afterwards a disk that is full could not be waited for.
    pub(crate) fn offer_incoming(&mut self, now: Now) -> Result<(), Fatal> {
        let is_held_up = self.is_held_up();
        let incoming = &mut self.transfers.incoming;
        let leader = self.replica.other_leader();
        if !matches!(incoming.stage, Stage::Prepared(..))
            || leader.is_none()
            || is_held_up
            || !self.wal.make_room(RECORD_OVERHEAD)?
        {
            return Ok(());
        }
        let Stage::Prepared(mut whole, prepared) = incoming.take_stage() else { return Ok(()) };
        whole.message.term = self.replica.raw.raft.term;
        whole.message.from = leader.map_or(whole.from.0, |leader| leader.0);
        let will_be_wanted = self.replica.wants_snapshot(&whole.message);
        if will_be_wanted && !self.void_log(whole.index, prepared.header.stamp, now)? {
            self.transfers.incoming.stage = Stage::Prepared(whole, prepared);
            return Ok(());
        }
        let _ = self.replica.raw.step(*whole.message);
        let is_wanted = self.replica.raw.raft.raft_log.unstable_snapshot().is_some();
        if is_wanted != will_be_wanted {
            return Err(Fatal::Raft("a snapshot was judged in two ways".to_owned()));
        }
        if is_wanted {
            self.transfers.incoming.stage = Stage::Offered(prepared);
            self.send_wanted(whole.from, whole.index, whole.total);
        } else {
            self.drop_incoming();
        }
        Ok(())
    }

    /// Writes that entries above `index` are void. Says whether there was room for it.
    fn void_log(&mut self, index: u64, stamp: Stamp, now: Now) -> Result<bool, Fatal> {
        let log = self.replica.raw.store();
        // The commit index is not yet that of the snapshot, which has no name yet.
        let hard_state = durable_hard_state(&self.replica.raw.raft.hard_state(), log.last_index());
        // This member's own clock may have run ahead of the leader's while it heard nothing.
        record::encode(&mut self.record, &hard_state, stamp, now, index, &[]);
        self.write_apart(index)
    }

    /// Puts a snapshot of the leader in the place of this member's state, its log and its own
    /// snapshots. See [`Driver::offer_incoming`].
    pub(crate) fn install(
        &mut self,
        ready: &Ready,
        now: Now,
        out: &mut Output,
    ) -> Result<(), Fatal> {
        let metadata = ready.snapshot().get_metadata();
        let Stage::Offered(prepared) = self.transfers.incoming.take_stage() else {
            return Err(Fatal::Raft("a snapshot is to be installed that never came".to_owned()));
        };
        let Prepared { header, store, sealed } = *prepared;
        self.unwritten.forget_held();
        self.snapshot_bytes = sealed.bytes();
        sealed.publish().map_err(wal::Error::from)?;
        wal::remove_older_snapshots(&self.disk, metadata.index).map_err(wal::Error::from)?;
        self.log_bytes = 0;
        let log = self.replica.raw.mut_store();
        log.restore(header.index.0, header.term.0, header.conf_state.clone());
        self.replica.install(header, store, now, out);
        self.wal.release(metadata.index)?;
        match self.disk.remove(wal::INCOMING_NAME) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Fatal::Wal(error.into())),
            _ => Ok(()),
        }
    }
}
