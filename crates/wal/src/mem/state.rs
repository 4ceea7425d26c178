//! The files of a disk in memory, and what becomes of each call.

use super::change::{Change, NameChange};
use super::fault::{Faults, Reserving};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    /// The content as readers see it.
    pub(super) data: Vec<u8>,
    /// The content as it was at the last sync.
    pub(super) durable: Vec<u8>,
    /// Changes since then, in order.
    pub(super) unsynced: Vec<Change>,
    pub(super) is_removed: bool,
    /// Shared with the open files, to know whether there are any.
    pub(super) handles: Arc<()>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) inodes: BTreeMap<u64, Inode>,
    pub(super) names: BTreeMap<String, u64>,
    pub(super) durable_names: BTreeMap<String, u64>,
    pub(super) unsynced_names: Vec<NameChange>,
    pub(super) next_inode: u64,
    /// How often the files were copied: copies are other files.
    pub(super) generation: u64,
    pub(super) capacity: Option<u64>,
    pub(super) reserving: Reserving,
    pub(super) faults: Faults,
    pub(super) operations: u64,
    pub(super) calls: u64,
    pub(super) syncs: u64,
    pub(super) writes: u64,
}

impl State {
    pub(super) fn used(&self) -> u64 {
        let linked = self.inodes.values().filter(|inode| !inode.is_removed);
        linked.map(|inode| inode.data.len() as u64).sum()
    }

    /// How long the file may become.
    pub(super) fn len_max(&self, inode: u64) -> usize {
        let Some(capacity) = self.capacity else { return usize::MAX };
        let len = self.inodes.get(&inode).map_or(0, |inode| inode.data.len());
        let left = capacity.saturating_sub(self.used());
        len.saturating_add(usize::try_from(left).unwrap_or(usize::MAX))
    }

    pub(super) fn inode(&mut self, inode: u64) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&inode).ok_or(io::ErrorKind::NotFound.into())
    }

    pub(super) fn unlink(&mut self, inode: u64) {
        if let Some(inode) = self.inodes.get_mut(&inode) {
            // A crash may bring it back; its room is free all the same.
            inode.is_removed = true;
        }
    }

    pub(super) fn change_name(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }

    /// The same files, with no faults set and no files open.
    pub(super) fn without_faults(&self) -> State {
        let mut copy = State { operations: 0, calls: 0, syncs: 0, writes: 0, ..self.clone() };
        (copy.capacity, copy.faults) = (None, Faults::default());
        copy.inodes.values_mut().for_each(|inode| inode.handles = Arc::default());
        copy
    }

    /// Counts a call of any kind; gives the error that it is to have.
    pub(super) fn call(&mut self) -> io::Result<()> {
        self.calls += 1;
        match self.faults.refused {
            Some((number, kind)) if self.calls == number => Err(kind.into()),
            _ => Ok(()),
        }
    }

    /// Counts a call that changes something.
    pub(super) fn operate(&mut self) -> io::Result<()> {
        let result = self.call();
        self.operations += 1;
        match self.faults.fail_after {
            Some(limit) if self.operations > limit => Err(io::Error::other("injected failure")),
            _ => result,
        }
    }

    /// Counts a sync.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.operate()?;
        self.syncs += 1;
        if self.faults.fail_syncs || std::mem::take(&mut self.faults.fail_next_sync) {
            return Err(io::Error::other("injected sync failure"));
        }
        Ok(())
    }

    /// Counts a sync of the names.
    pub(super) fn sync_names(&mut self) -> io::Result<()> {
        self.operate()?;
        if self.faults.refuse_dir_syncs {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if self.faults.fail_syncs {
            return Err(io::Error::other("injected sync failure"));
        }
        Ok(())
    }

    /// Whether a write is to find the disk full, by its number.
    pub(super) fn refuses_write(&self) -> bool {
        let is_late = |writes| self.writes > writes;
        self.faults.refuse_writes || self.faults.refuse_writes_after.is_some_and(is_late)
    }

    /// Where a read that is meant for `offset` goes.
    pub(super) fn direct_read(&mut self, offset: u64) -> u64 {
        match &mut self.faults.misdirected {
            Some((0, shift)) => {
                let shift = *shift;
                self.faults.misdirected = None;
                offset.saturating_add(shift)
            }
            Some((reads, _)) => {
                *reads -= 1;
                offset
            }
            None => offset,
        }
    }
}
