//! Snapshots: when one is due, how it is sent, and how one of the leader is installed.

use crate::clock::{Clock, Now};
use crate::driver::Driver;
use crate::driver::network::Network;
use crate::error::Fatal;
use crate::limits::RECORD_OVERHEAD;
use crate::snapshot::format::SnapshotOwner;
use crate::snapshot::install::Acknowledgement;
use crate::snapshot::job::{IncomingJob, Outcome, Prepared, SnapshotDone, SnapshotJob};
use crate::snapshot::transfer::{Progress, SnapshotSent};
use crate::types::{LogIndex, MemberId};
use crate::waiting::proposal::Output;
use crate::wire::envelope::Piece;
use crate::wire::record;
use raft::eraftpb::Message;
use raft::{Ready, SnapshotStatus};
use std::io;
use store::Stamp;
use wal::Disk;

impl<D: Disk, N: Network, C: Clock> Driver<D, N, C> {
    /// A snapshot to be written, if one is due. It may run on another thread; its end must be
    /// reported with [`Driver::snapshot_finished`].
    ///
    /// It is due when enough commands and enough bytes of log have gathered, and in any case when
    /// the log since the last one has more than `snapshot_log_bytes_max` and twice the size of that
    /// one: few large values must not fill the disk. That it is twice keeps the writing of
    /// snapshots below that of the log.
    pub fn snapshot_job(&mut self) -> Option<SnapshotJob<D>> {
        if self.snapshot_running {
            return None;
        }
        if let Some(metadata) = self.incoming.begin_job() {
            self.snapshot_running = true;
            return Some(SnapshotJob::incoming(IncomingJob {
                disk: self.disk.clone(),
                limits: self.options.store_limits,
                member: self.replica.id(),
                owner: self.snapshot_owner(),
                seen: self.clock.now(),
                metadata,
                log_seq: self.wal.synced_seq(),
            }));
        }
        if self.replica.take_snapshot_wish() {
            // A member is so far behind that it needs one; what follows it is kept for it.
            let applied = self.replica.applied();
            self.outgoing.keep_above(applied, self.now.mono());
            self.replica.keep_log_above(Some(applied));
            return Some(self.begin_snapshot());
        }
        let count = self.options.snapshot_count?;
        let bytes_min = count.saturating_mul(self.options.snapshot_log_bytes_per_command);
        let log_bytes = self.wal.bytes_taken().saturating_sub(self.log_start);
        let bytes_max =
            self.options.snapshot_log_bytes_max.max(self.snapshot_bytes.saturating_mul(2));
        let is_due = log_bytes >= bytes_max
            || (self.replica.commands_since_snapshot() >= count
                && log_bytes >= bytes_min.max(self.snapshot_bytes / 2));
        is_due.then(|| self.begin_snapshot())
    }

    /// A snapshot of the present state, whether one is due or not.
    pub fn begin_snapshot(&mut self) -> SnapshotJob<D> {
        self.snapshot_running = true;
        self.log_start = self.wal.bytes_taken();
        let (owner, now) = (self.snapshot_owner(), self.clock.now());
        let (header, store) = self.replica.begin_snapshot(owner, now);
        SnapshotJob::new(self.disk.clone(), header, store, self.wal.synced_seq())
    }

    fn snapshot_owner(&self) -> SnapshotOwner {
        SnapshotOwner {
            cluster: self.cluster,
            name: self.options.name.clone(),
            identity: self.claims.identity(),
            log_id: self.log_id,
            origin: self.claims.origin_for_snapshot(),
        }
    }

    /// Takes note of the end of a snapshot, and lets go of the log that it replaces.
    ///
    /// # Errors
    /// [`Fatal`] when the log cannot be trimmed. A snapshot that failed is no error: the log stays,
    /// and another is tried later.
    pub fn snapshot_finished(&mut self, done: Option<SnapshotDone<D>>) -> Result<(), Fatal> {
        self.snapshot_running = false;
        let now = self.now.mono();
        match done.map(|done| done.0) {
            Some(Outcome::Written { position, conf_state, bytes }) => {
                self.snapshot_bytes = bytes;
                if let Some(kept) = self.replica.note_snapshot_written(position, conf_state) {
                    self.wal.release(kept.0)?;
                }
            }
            Some(Outcome::Prepared(prepared)) => {
                self.incoming.job_finished(Some(prepared), &self.disk, now);
            }
            None => self.incoming.job_finished(None, &self.disk, now),
        }
        Ok(())
    }

    /// Begins to send the snapshot that raft wants a member to have.
    pub(super) fn start_transfer(&mut self, message: &Message) {
        let piece_bytes = self.options.snapshot_piece_bytes;
        match self.outgoing.start(&self.disk, message, piece_bytes, self.now.mono()) {
            Ok(true) => {}
            Ok(false) => return,
            Err(_) => {
                self.replica.note_snapshot_sent(MemberId(message.to), SnapshotStatus::Failure);
            }
        }
        self.pump_transfers(self.now);
    }

    pub(super) fn piece_wanted(&mut self, from: MemberId, index: u64, offset: u64, now: Now) {
        let progress = self.outgoing.acknowledge(from, index, offset, now.mono());
        if progress.is_none() {
            return;
        }
        if progress == Some(Progress::Done) {
            self.replica.note_snapshot_sent(from, SnapshotStatus::Finish);
        }
        self.pump_transfers(now);
    }

    /// Sends what the windows of all transfers allow, and lets go of the log that nobody needs.
    pub(super) fn pump_transfers(&mut self, now: Now) {
        let (leads, network) = (self.replica.is_leader(), &mut self.network);
        let failed =
            self.outgoing.pump(now.mono(), leads, &mut |to, bytes| network.send(to, bytes));
        for to in failed {
            self.replica.note_snapshot_sent(to, SnapshotStatus::Failure);
        }
        let needed = self.outgoing.needs_above(now.mono());
        self.replica.keep_log_above(needed);
    }

    /// The transfers of snapshots to other members that ended since this was last asked.
    pub fn take_snapshots_sent(&mut self) -> Vec<SnapshotSent> {
        self.outgoing.take_ended()
    }

    pub(super) fn take_piece(&mut self, from: MemberId, piece: &Piece<'_>) {
        let own = (self.replica.id(), self.replica.applied());
        let now = self.now.mono();
        if let Some(answer) = self.incoming.take_piece(&self.disk, own, from, piece, now) {
            self.acknowledge(answer);
        }
    }

    fn acknowledge(&mut self, answer: Acknowledgement) {
        self.network.send(answer.to, answer.encode());
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
    pub(super) fn offer_incoming(&mut self, now: Now) -> Result<(), Fatal> {
        let Some(leader) = self.replica.other_leader() else { return Ok(()) };
        if !self.incoming.is_prepared()
            || self.is_held_up()
            || !self.wal.make_room(RECORD_OVERHEAD)?
        {
            return Ok(());
        }
        let Some((mut received, prepared)) = self.incoming.take_prepared() else { return Ok(()) };
        received.message.term = self.replica.term().0;
        received.message.from = leader.0;
        let will_be_wanted = self.replica.wants_snapshot(&received.message);
        if will_be_wanted && !self.void_log(received.index(), prepared.header.stamp, now)? {
            self.incoming.put_back(received, prepared);
            return Ok(());
        }
        let answer = received.ack_all();
        let is_wanted = self.replica.offer_snapshot(*received.message);
        if is_wanted != will_be_wanted {
            return Err(Fatal::Raft("a snapshot was judged in two ways".to_owned()));
        }
        if is_wanted {
            self.incoming.note_offered(prepared);
            self.acknowledge(answer);
        } else {
            self.incoming.discard(&self.disk, self.now.mono());
        }
        Ok(())
    }

    /// Writes that entries above `index` are void. Says whether there was room for it.
    fn void_log(&mut self, index: LogIndex, stamp: Stamp, now: Now) -> Result<bool, Fatal> {
        let hard_state = self.replica.hard_state_before_install();
        // This member's own clock may have run ahead of the leader's while it heard nothing.
        record::encode(&mut self.record, &hard_state, stamp, now, index.0, &[]);
        self.write_apart(index.0)
    }

    /// Puts a snapshot of the leader in the place of this member's state, its log and its own
    /// snapshots. See [`Driver::offer_incoming`].
    pub(super) fn install(
        &mut self,
        ready: &Ready,
        now: Now,
        out: &mut Output,
    ) -> Result<(), Fatal> {
        let metadata = ready.snapshot().get_metadata();
        let Some(prepared) = self.incoming.take_offered() else {
            return Err(Fatal::Raft("a snapshot is to be installed that never came".to_owned()));
        };
        let Prepared { header, store, sealed } = *prepared;
        self.unwritten.forget_held();
        self.snapshot_bytes = sealed.bytes();
        sealed.publish().map_err(wal::Error::from)?;
        wal::remove_older_snapshots(&self.disk, metadata.index).map_err(wal::Error::from)?;
        self.log_start = self.wal.bytes_taken();
        self.replica.install(header, store, now, out);
        self.wal.release(metadata.index)?;
        match self.disk.remove(wal::INCOMING_NAME) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Fatal::Wal(error.into())),
            _ => Ok(()),
        }
    }
}
