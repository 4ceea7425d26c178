//! A disk in memory that fails as real ones do: for tests and simulators.
//!
//! It remembers which writes and which names were synced. [`MemDisk::crash`] gives the disk as it
//! could be found after a power loss: everything synced is there, of the rest some is, and the last
//! write may be torn.

use crate::disk::{Disk, DiskFile};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Clone, Debug, Default)]
struct Inode {
    /// The content as readers see it.
    data: Vec<u8>,
    /// The content as it was at the last sync.
    durable: Vec<u8>,
    /// Writes since then, in order.
    unsynced: Vec<(usize, Vec<u8>)>,
}

#[derive(Clone, Debug)]
enum NameOp {
    Set(String, u64),
    Remove(String),
}

#[derive(Clone, Debug, Default)]
struct State {
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    unsynced_names: Vec<NameOp>,
    next_inode: u64,
    capacity: Option<u64>,
    fail_syncs: bool,
    fail_after: Option<u64>,
    operations: u64,
    syncs: u64,
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct MemDisk(Arc<Mutex<State>>);

/// A file on a [`MemDisk`].
#[derive(Clone, Debug)]
pub struct MemFile {
    disk: MemDisk,
    inode: u64,
}

/// Draws numbers for faults: the caller's source of chance.
pub type Chance<'a> = &'a mut dyn FnMut() -> u64;

fn full() -> io::Error {
    io::ErrorKind::StorageFull.into()
}

fn apply_write(data: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if data.len() < end {
        data.resize(end, 0);
    }
    if let Some(range) = data.get_mut(at..end) {
        range.copy_from_slice(bytes);
    }
}

impl State {
    fn used(&self) -> u64 {
        self.inodes.values().map(|inode| inode.data.len() as u64).sum()
    }

    fn operate(&mut self) -> io::Result<()> {
        self.operations += 1;
        match self.fail_after {
            Some(limit) if self.operations > limit => Err(io::Error::other("injected failure")),
            _ => Ok(()),
        }
    }

    fn write(&mut self, inode: u64, bytes: &[u8], at: usize) -> io::Result<()> {
        self.operate()?;
        let used = self.used();
        let capacity = self.capacity;
        let inode = self.inodes.get_mut(&inode).ok_or(io::ErrorKind::NotFound)?;
        let growth = (at + bytes.len()).saturating_sub(inode.data.len()) as u64;
        if growth > 0 && capacity.is_some_and(|capacity| used + growth > capacity) {
            return Err(full());
        }
        apply_write(&mut inode.data, at, bytes);
        inode.unsynced.push((at, bytes.to_vec()));
        Ok(())
    }
}

impl MemDisk {
    /// An empty disk of unlimited size.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panicked elsewhere does not make the bytes wrong.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Limits the size of all files together; nothing for no limit.
    pub fn set_capacity(&self, capacity: Option<u64>) {
        self.state().capacity = capacity;
    }

    /// Bytes of all files together.
    pub fn used(&self) -> u64 {
        self.state().used()
    }

    /// Makes every sync fail from now on, or work again.
    pub fn set_fail_syncs(&self, fail: bool) {
        self.state().fail_syncs = fail;
    }

    /// Lets `operations` more writes, syncs and changes of names work, and then none.
    pub fn fail_after(&self, operations: Option<u64>) {
        let mut state = self.state();
        state.fail_after = operations.map(|count| state.operations + count);
    }

    /// How many writes, syncs and changes of names there were.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// How many files were synced.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Flips bits of one byte, durably.
    pub fn corrupt(&self, name: &str, at: usize, mask: u8) {
        let mut state = self.state();
        let Some(inode) = state.names.get(name).copied() else { return };
        let Some(inode) = state.inodes.get_mut(&inode) else { return };
        for data in [&mut inode.data, &mut inode.durable] {
            if let Some(byte) = data.get_mut(at) {
                *byte ^= mask;
            }
        }
    }

    /// Sets a file's content, durably: for arbitrary bytes.
    pub fn put(&self, name: &str, content: &[u8]) {
        let mut state = self.state();
        let inode = state.next_inode;
        state.next_inode += 1;
        let data = content.to_vec();
        let file = Inode { durable: data.clone(), data, unsynced: Vec::new() };
        state.inodes.insert(inode, file);
        state.names.insert(name.to_owned(), inode);
        state.durable_names.insert(name.to_owned(), inode);
    }

    /// The disk as it is found after a power loss now. What was not synced is kept or lost as
    /// `chance` says, a write may be kept in part, and changes of names are lost from some point
    /// on.
    pub fn crash(&self, chance: Chance<'_>) -> MemDisk {
        let state = self.state();
        let mut after = State { next_inode: state.next_inode, ..State::default() };
        let mut names = state.durable_names.clone();
        let kept = usize::try_from(chance()).unwrap_or(0) % (state.unsynced_names.len() + 1);
        for op in state.unsynced_names.iter().take(kept) {
            match op {
                NameOp::Set(name, inode) => names.insert(name.clone(), *inode),
                NameOp::Remove(name) => names.remove(name),
            };
        }
        for inode in names.values() {
            let Some(file) = state.inodes.get(inode) else { continue };
            let mut data = file.durable.clone();
            for (at, bytes) in &file.unsynced {
                let draw = chance();
                let keep = match draw % 4 {
                    0 => 0,
                    1 => usize::try_from(draw / 4).unwrap_or(0) % (bytes.len() + 1),
                    _ => bytes.len(),
                };
                apply_write(&mut data, *at, bytes.get(..keep).unwrap_or(bytes));
            }
            let file = Inode { durable: data.clone(), data, unsynced: Vec::new() };
            after.inodes.insert(*inode, file);
        }
        after.durable_names.clone_from(&names);
        after.names = names;
        MemDisk(Arc::new(Mutex::new(after)))
    }
}

impl Disk for MemDisk {
    type File = MemFile;

    fn create(&self, name: &str) -> io::Result<MemFile> {
        let mut state = self.state();
        state.operate()?;
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = state.next_inode;
        state.next_inode += 1;
        state.inodes.insert(inode, Inode::default());
        state.names.insert(name.to_owned(), inode);
        state.unsynced_names.push(NameOp::Set(name.to_owned(), inode));
        Ok(MemFile { disk: self.clone(), inode })
    }

    fn open(&self, name: &str) -> io::Result<MemFile> {
        let inode = *self.state().names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(MemFile { disk: self.clone(), inode })
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.operate()?;
        let inode = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), inode);
        state.unsynced_names.push(NameOp::Remove(from.to_owned()));
        state.unsynced_names.push(NameOp::Set(to.to_owned(), inode));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.operate()?;
        let inode = state.names.remove(name).ok_or(io::ErrorKind::NotFound)?;
        if let Some(inode) = state.inodes.get_mut(&inode) {
            // A durable name may bring it back; its room is free all the same.
            inode.data = Vec::new();
        }
        state.unsynced_names.push(NameOp::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.state();
        state.operate()?;
        if state.fail_syncs {
            return Err(io::Error::other("injected sync failure"));
        }
        let names = state.names.clone();
        state.durable_names = names;
        state.unsynced_names.clear();
        Ok(())
    }
}

impl DiskFile for MemFile {
    fn len(&self) -> io::Result<u64> {
        let state = self.disk.state();
        let inode = state.inodes.get(&self.inode).ok_or(io::ErrorKind::NotFound)?;
        Ok(inode.data.len() as u64)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.state();
        let inode = state.inodes.get(&self.inode).ok_or(io::ErrorKind::NotFound)?;
        let at = usize::try_from(offset).map_err(io::Error::other)?;
        let from = inode.data.get(at..).unwrap_or_default();
        let len = from.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..len), from.get(..len)) {
            to.copy_from_slice(from);
        }
        Ok(len)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let at = usize::try_from(offset).map_err(io::Error::other)?;
        self.disk.state().write(self.inode, bytes, at)
    }

    fn reserve(&self, offset: u64, len: u64) -> io::Result<()> {
        let end = usize::try_from(offset + len).map_err(io::Error::other)?;
        let held = usize::try_from(self.len()?).map_err(io::Error::other)?;
        if end <= held {
            return Ok(());
        }
        self.disk.state().write(self.inode, &vec![0; end - held], held)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.operate()?;
        state.syncs += 1;
        if state.fail_syncs {
            return Err(io::Error::other("injected sync failure"));
        }
        let inode = state.inodes.get_mut(&self.inode).ok_or(io::ErrorKind::NotFound)?;
        inode.durable.clone_from(&inode.data);
        inode.unsynced.clear();
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }
}
