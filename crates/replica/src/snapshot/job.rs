//! Writing a snapshot, away from the loop.

use crate::clock::Now;
use crate::identity::confirm::UNCONFIRMED;
use crate::snapshot::format::{self, Header, SnapshotOwner};
use crate::types::{LogIndex, LogPosition, MemberId, Term};
use raft::eraftpb::{ConfState, SnapshotMetadata};
use std::io;
use store::{Limits, Store, StoreSnapshot};
use wal::{Disk, SealedSnapshot, Seq, SnapshotReader, SnapshotWriter};

/// A snapshot to be written, by any thread: of the present state, or of one that came from the
/// leader. The former shares the store's nodes, so that making the job costs nothing; the store
/// copies what it changes meanwhile.
pub struct SnapshotJob<D: Disk>(Work<D>);

enum Work<D: Disk> {
    Own(Box<OwnJob<D>>),
    Incoming(Box<IncomingJob<D>>),
}

struct OwnJob<D: Disk> {
    disk: D,
    header: Header,
    store: StoreSnapshot,
    /// What the log must reach that goes with it.
    log_seq: Seq,
}

/// What is needed to make a snapshot of this member from one that came from the leader.
pub(crate) struct IncomingJob<D: Disk> {
    pub(crate) disk: D,
    pub(crate) limits: Limits,
    pub(crate) member: MemberId,
    pub(crate) owner: SnapshotOwner,
    pub(crate) seen: Now,
    pub(crate) metadata: SnapshotMetadata,
    pub(crate) log_seq: Seq,
}

/// A snapshot of the leader that is loaded, and durable as one of this member, without a name.
pub(crate) struct Prepared<D: Disk> {
    pub(crate) header: Header,
    pub(crate) store: Store,
    pub(crate) sealed: SealedSnapshot<D>,
}

/// What became of a job.
pub struct SnapshotDone<D: Disk>(pub(crate) Outcome<D>);

pub(crate) enum Outcome<D: Disk> {
    /// It is on disk under its name.
    Written {
        position: LogPosition,
        conf_state: ConfState,
        bytes: u64,
    },
    Prepared(Box<Prepared<D>>),
}

impl<D: Disk> SnapshotDone<D> {
    /// The last log entry that is part of it.
    pub fn index(&self) -> LogIndex {
        match &self.0 {
            Outcome::Written { position, .. } => position.index,
            Outcome::Prepared(prepared) => prepared.header.index,
        }
    }

    /// Its size on disk.
    pub fn bytes(&self) -> u64 {
        match &self.0 {
            Outcome::Written { bytes, .. } => *bytes,
            Outcome::Prepared(prepared) => prepared.sealed.bytes(),
        }
    }

    /// Whether it came from the leader and takes the place of this member's state.
    pub fn is_incoming(&self) -> bool {
        matches!(self.0, Outcome::Prepared(_))
    }
}

impl<D: Disk> SnapshotJob<D> {
    /// A snapshot of the present state; `log_seq` is what the log must reach that goes with it.
    pub(crate) fn new(disk: D, header: Header, store: StoreSnapshot, log_seq: Seq) -> Self {
        Self(Work::Own(Box::new(OwnJob { disk, header, store, log_seq })))
    }

    pub(crate) fn incoming(job: IncomingJob<D>) -> Self {
        Self(Work::Incoming(Box::new(job)))
    }

    /// Whether it is one that came from the leader.
    pub fn is_incoming(&self) -> bool {
        matches!(self.0, Work::Incoming(_))
    }

    /// Writes the file and syncs it. One of the present state gets its name, and older ones are
    /// removed. `pace` is called with the number of bytes written since its last call; it may wait.
    ///
    /// # Errors
    /// What the disk gave; the unfinished file is removed then. `InvalidData` if what came from the
    /// leader cannot be read.
    pub fn run(self, pace: &mut dyn FnMut(usize)) -> io::Result<SnapshotDone<D>> {
        match self.0 {
            Work::Own(job) => job.run(pace),
            Work::Incoming(job) => job.run(pace),
        }
    }
}

impl<D: Disk> OwnJob<D> {
    fn run(mut self, pace: &mut dyn FnMut(usize)) -> io::Result<SnapshotDone<D>> {
        let bytes =
            write(&self.disk, &mut self.header, &self.store, self.log_seq, pace)?.finish()?;
        // The new file replaces the older ones; one that stays behind only takes up room.
        let _ = wal::remove_older_snapshots(&self.disk, self.header.index.0);
        let position = self.header.position();
        let conf_state = self.header.conf_state;
        Ok(SnapshotDone(Outcome::Written { position, conf_state, bytes }))
    }
}

impl<D: Disk> IncomingJob<D> {
    fn run(self, pace: &mut dyn FnMut(usize)) -> io::Result<SnapshotDone<D>> {
        let mut reader = SnapshotReader::open(&self.disk, wal::INCOMING_NAME)?;
        let (mut header, store) = format::read(&mut reader, self.limits)?;
        if header.cluster != self.owner.cluster || header.index.0 != self.metadata.index {
            return Err(io::ErrorKind::InvalidData.into());
        }
        (header.member, header.name, header.seen) = (self.member, self.owner.name, self.seen);
        header.conf_state = self.metadata.get_conf_state().clone();
        header.term = Term(self.metadata.term);
        (header.identity, header.log_id) = (self.owner.identity, self.owner.log_id);
        header.origin = self.owner.origin;
        let sealed =
            write(&self.disk, &mut header, &store.snapshot(), self.log_seq, pace)?.seal()?;
        Ok(SnapshotDone(Outcome::Prepared(Box::new(Prepared { header, store, sealed }))))
    }
}

fn write<D: Disk>(
    disk: &D,
    header: &mut Header,
    store: &StoreSnapshot,
    log_seq: Seq,
    pace: &mut dyn FnMut(usize),
) -> io::Result<SnapshotWriter<D>> {
    let writer = SnapshotWriter::create(disk, header.index.0, log_seq)?;
    if header.origin != UNCONFIRMED {
        header.origin = writer.origin().unwrap_or(0);
    }
    let mut paced = Paced { writer, pace };
    format::write(header, store, &mut paced)?;
    Ok(paced.writer)
}

struct Paced<'a, D: Disk> {
    writer: SnapshotWriter<D>,
    pace: &'a mut dyn FnMut(usize),
}

impl<D: Disk> io::Write for Paced<'_, D> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.writer.write(bytes)?;
        (self.pace)(written);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
