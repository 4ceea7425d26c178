//! Writing a snapshot, away from the loop.

use crate::clock::Clock;
use crate::driver::{Driver, Network};
use crate::snapshot::{self, Header};
use crate::types::{LogIndex, Term};
use raft::eraftpb::ConfState;
use std::io;
use store::StoreSnapshot;
use wal::{Disk, SnapshotWriter};

/// A snapshot to be written, by any thread. It shares the store's nodes, so that making it costs
/// nothing; the store copies what it changes meanwhile.
pub struct SnapshotJob<D: Disk> {
    disk: D,
    header: Header,
    store: StoreSnapshot,
}

/// A snapshot that is on disk.
#[derive(Clone, Debug)]
pub struct SnapshotDone {
    pub(crate) index: LogIndex,
    pub(crate) term: Term,
    pub(crate) conf_state: ConfState,
    pub(crate) bytes: u64,
}

impl SnapshotDone {
    /// The last log entry that is part of it.
    pub fn index(&self) -> LogIndex {
        self.index
    }

    /// Its size on disk.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl<D: Disk> SnapshotJob<D> {
    pub(crate) fn new<N: Network, C: Clock>(driver: &Driver<D, N, C>) -> Self {
        let replica = &driver.replica;
        let state = &replica.state;
        let now = driver.clock.now();
        let header = Header {
            cluster: driver.cluster,
            member: replica.id,
            name: driver.options.name.clone(),
            index: state.applied,
            term: state.applied_term,
            hash: state.hash,
            stamp: replica.clock.reading(now),
            seen: now,
            conf_state: replica.conf_state().clone(),
            membership: state.membership.clone(),
        };
        Self { disk: driver.disk.clone(), header, store: state.store.snapshot() }
    }

    pub(crate) fn first(disk: D, header: Header, store: StoreSnapshot) -> Self {
        Self { disk, header, store }
    }

    /// Writes the file, syncs it, gives it its name, and removes older ones. `pace` is called with
    /// the number of bytes written since its last call, and may wait.
    ///
    /// # Errors
    /// What the disk gave; the unfinished file is removed then.
    pub fn run(self, pace: &mut dyn FnMut(usize)) -> io::Result<SnapshotDone> {
        let writer = SnapshotWriter::create(&self.disk, self.header.index.0)?;
        let mut paced = Paced { writer, pace };
        snapshot::write(&self.header, &self.store, &mut paced)?;
        let bytes = paced.writer.finish()?;
        // The new file replaces the older ones; one that stays behind only takes up room.
        wal::remove_older_snapshots(&self.disk, self.header.index.0)?;
        Ok(SnapshotDone {
            index: self.header.index,
            term: self.header.term,
            conf_state: self.header.conf_state,
            bytes,
        })
    }
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
