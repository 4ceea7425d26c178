//! A disk in memory that fails as real ones do: for tests and simulators.
//!
//! It remembers which writes and which names were synced. [`MemDisk::crash`] gives the disk as it
//! could be found after a power loss: everything synced is there, of the rest some is, and writes
//! may be torn. [`MemDisk::kill`] gives it as it is found when only the process died.

use crate::disk::{Disk, DiskFile};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// A change of a file's content that was not synced.
#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    /// The file was made this long.
    Extend(usize),
}

#[derive(Clone, Debug, Default)]
struct Inode {
    /// The content as readers see it.
    data: Vec<u8>,
    /// The content as it was at the last sync.
    durable: Vec<u8>,
    /// Changes since then, in order.
    unsynced: Vec<Change>,
    is_removed: bool,
    /// Shared with the open files, to know whether there are any.
    handles: Arc<()>,
}

#[derive(Clone, Debug)]
enum NameChange {
    Set(String, u64),
    Rename(String, String),
    Remove(String),
}

#[derive(Clone, Debug, Default)]
struct State {
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    unsynced_names: Vec<NameChange>,
    next_inode: u64,
    capacity: Option<u64>,
    fail_syncs: bool,
    fail_reads: bool,
    refuse_writes: bool,
    fail_after: Option<u64>,
    /// Which read from now on finds the bytes of another place, and how far away that is.
    misdirected: Option<(u64, u64)>,
    operations: u64,
    syncs: u64,
    writes: u64,
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct MemDisk(Arc<Mutex<State>>);

/// A file on a [`MemDisk`].
#[derive(Clone, Debug)]
pub struct MemFile {
    disk: MemDisk,
    inode: u64,
    _handle: Arc<()>,
}

/// Draws numbers for faults: the caller's source of chance.
pub type Chance<'a> = &'a mut dyn FnMut() -> u64;

fn draw_below(chance: Chance<'_>, limit: usize) -> usize {
    let limit = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
    usize::try_from(chance() % limit).unwrap_or(0)
}

fn write(data: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if bytes.is_empty() {
        // As on a real file system, this does not make the file longer.
        return;
    }
    let end = at + bytes.len();
    if data.len() < end {
        data.resize(end, 0);
    }
    if let Some(range) = data.get_mut(at..end) {
        range.copy_from_slice(bytes);
    }
}

impl Change {
    fn apply(&self, data: &mut Vec<u8>) {
        match self {
            Change::Write(at, bytes) => write(data, *at, bytes),
            Change::Extend(len) => data.resize(data.len().max(*len), 0),
        }
    }

    /// Applies what of it happens to have reached the disk.
    fn apply_by_chance(&self, data: &mut Vec<u8>, chance: Chance<'_>) {
        let Change::Write(at, bytes) = self else {
            if chance().is_multiple_of(2) {
                self.apply(data);
            }
            return;
        };
        match chance() % 8 {
            0..3 => {}
            3 => {
                let kept = draw_below(chance, bytes.len() + 1);
                write(data, *at, bytes.get(..kept).unwrap_or(bytes));
            }
            4 => {
                // Sectors reach the disk in any order.
                let mut from = 0;
                while let Some(rest) = bytes.get(from..).filter(|rest| !rest.is_empty()) {
                    let to_boundary = SECTOR_BYTES - (at + from) % SECTOR_BYTES;
                    let sector = rest.get(..to_boundary).unwrap_or(rest);
                    if chance().is_multiple_of(2) {
                        write(data, at + from, sector);
                    }
                    from += sector.len();
                }
            }
            _ => self.apply(data),
        }
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            NameChange::Set(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            NameChange::Rename(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
            NameChange::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

impl State {
    fn used(&self) -> u64 {
        let linked = self.inodes.values().filter(|inode| !inode.is_removed);
        linked.map(|inode| inode.data.len() as u64).sum()
    }

    fn operate(&mut self) -> io::Result<()> {
        self.operations += 1;
        match self.fail_after {
            Some(limit) if self.operations > limit => Err(io::Error::other("injected failure")),
            _ => Ok(()),
        }
    }

    /// Where a read that is meant for `offset` goes.
    fn direct_read(&mut self, offset: u64) -> u64 {
        match &mut self.misdirected {
            Some((0, shift)) => {
                let shift = *shift;
                self.misdirected = None;
                offset.saturating_add(shift)
            }
            Some((reads, _)) => {
                *reads -= 1;
                offset
            }
            None => offset,
        }
    }

    /// How long the file may become.
    fn len_max(&self, inode: u64) -> usize {
        let Some(capacity) = self.capacity else { return usize::MAX };
        let len = self.inodes.get(&inode).map_or(0, |inode| inode.data.len());
        let left = capacity.saturating_sub(self.used());
        len.saturating_add(usize::try_from(left).unwrap_or(usize::MAX))
    }

    fn inode(&mut self, inode: u64) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&inode).ok_or(io::ErrorKind::NotFound.into())
    }

    fn unlink(&mut self, inode: u64) {
        if let Some(inode) = self.inodes.get_mut(&inode) {
            // A crash may bring it back; its room is free all the same.
            inode.is_removed = true;
        }
    }

    fn change_name(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }

    /// The same files, with no faults set and no files open.
    fn without_faults(&self) -> State {
        let mut copy = State { operations: 0, syncs: 0, writes: 0, ..self.clone() };
        copy.capacity = None;
        (copy.fail_syncs, copy.fail_reads) = (false, false);
        (copy.refuse_writes, copy.fail_after) = (false, None);
        copy.misdirected = None;
        copy.inodes.values_mut().for_each(|inode| inode.handles = Arc::default());
        copy
    }
}

impl MemDisk {
    /// An empty disk of unlimited size.
    pub fn new() -> Self {
        Self::default()
    }

    fn with(state: State) -> Self {
        MemDisk(Arc::new(Mutex::new(state)))
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

    /// Makes every read fail from now on, or work again.
    pub fn set_fail_reads(&self, fail: bool) {
        self.state().fail_reads = fail;
    }

    /// Makes every write find the disk full from now on, even where room was reserved, as file
    /// systems that copy on write do; or work again.
    pub fn set_refuse_writes(&self, refuse: bool) {
        self.state().refuse_writes = refuse;
    }

    /// Lets `operations` more writes, syncs and changes of names work, and then none. A write that
    /// fails leaves half of its bytes.
    pub fn fail_after(&self, operations: Option<u64>) {
        let mut state = self.state();
        state.fail_after = operations.map(|count| state.operations + count);
    }

    /// Lets `reads` reads work, and then one find what is `shift` bytes further on in its file.
    pub fn misdirect_read(&self, reads: u64, shift: u64) {
        self.state().misdirected = Some((reads, shift));
    }

    /// How many writes, syncs and changes of names there were.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// How many files were synced.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// How many writes there were.
    pub fn writes(&self) -> u64 {
        self.state().writes
    }

    /// The content of a file, if there is one.
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        let inode = state.names.get(name)?;
        state.inodes.get(inode).map(|inode| inode.data.clone())
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
        state.inodes.insert(inode, Inode { durable: data.clone(), data, ..Inode::default() });
        if let Some(replaced) = state.names.insert(name.to_owned(), inode) {
            state.unlink(replaced);
        }
        state.durable_names.insert(name.to_owned(), inode);
    }

    /// The disk as it is found after a power loss now. What was not synced is lost, kept, or both
    /// in parts, as `chance` says: writes in any order and torn, changes of names up to some point.
    /// With a `chance` that always gives zero, everything that was not synced is lost.
    pub fn crash(&self, chance: Chance<'_>) -> MemDisk {
        let mut after = self.state().without_faults();
        let mode = chance() % 4;
        let kept = match mode {
            0 => 0,
            1 => after.unsynced_names.len(),
            _ => draw_below(chance, after.unsynced_names.len() + 1),
        };
        for change in after.unsynced_names.drain(..).take(kept) {
            change.apply(&mut after.durable_names);
        }
        after.names.clone_from(&after.durable_names);
        let names = &after.names;
        after.inodes.retain(|number, _| names.values().any(|inode| inode == number));
        for inode in after.inodes.values_mut() {
            let mut data = std::mem::take(&mut inode.durable);
            for change in inode.unsynced.drain(..) {
                match mode {
                    0 => {}
                    1 => change.apply(&mut data),
                    _ => change.apply_by_chance(&mut data, chance),
                }
            }
            inode.is_removed = false;
            inode.durable.clone_from(&data);
            inode.data = data;
        }
        MemDisk::with(after)
    }

    /// The disk as the next process finds it when this one was killed: everything is there, and
    /// what was not synced can still be lost.
    pub fn kill(&self) -> MemDisk {
        MemDisk::with(self.state().without_faults())
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
        let file = Inode::default();
        let handle = Arc::clone(&file.handles);
        state.inodes.insert(inode, file);
        state.change_name(NameChange::Set(name.to_owned(), inode));
        Ok(MemFile { disk: self.clone(), inode, _handle: handle })
    }

    fn open(&self, name: &str) -> io::Result<MemFile> {
        let mut state = self.state();
        let inode = *state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        let handle = Arc::clone(&state.inode(inode)?.handles);
        Ok(MemFile { disk: self.clone(), inode, _handle: handle })
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.operate()?;
        if !state.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if let Some(replaced) = state.names.get(to).copied().filter(|_| from != to) {
            state.unlink(replaced);
        }
        state.change_name(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.operate()?;
        let inode = *state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        state.unlink(inode);
        state.change_name(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.state();
        state.operate()?;
        if state.fail_syncs {
            return Err(io::Error::other("injected sync failure"));
        }
        state.durable_names = state.names.clone();
        state.unsynced_names.clear();
        // Removed for good, unless somebody still has it open.
        state.inodes.retain(|_, inode| !inode.is_removed || Arc::strong_count(&inode.handles) > 1);
        Ok(())
    }
}

impl DiskFile for MemFile {
    fn len(&self) -> io::Result<u64> {
        let mut state = self.disk.state();
        Ok(state.inode(self.inode)?.data.len() as u64)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.state();
        if state.fail_reads {
            return Err(io::Error::other("injected read failure"));
        }
        let offset = state.direct_read(offset);
        let inode = state.inode(self.inode)?;
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
        let mut state = self.disk.state();
        state.writes += 1;
        let result = state.operate();
        let len_max = if state.refuse_writes { 0 } else { state.len_max(self.inode) };
        let room = len_max.saturating_sub(at);
        let written = if result.is_err() { bytes.len() / 2 } else { bytes.len() }.min(room);
        let written = bytes.get(..written).unwrap_or(bytes);
        let is_whole = written.len() == bytes.len();
        let inode = state.inode(self.inode)?;
        let change = Change::Write(at, written.to_vec());
        change.apply(&mut inode.data);
        inode.unsynced.push(change);
        result?;
        if is_whole { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn reserve(&self, offset: u64, len: u64) -> io::Result<()> {
        let end = usize::try_from(offset.saturating_add(len)).map_err(io::Error::other)?;
        let mut state = self.disk.state();
        state.operate()?;
        if end > state.len_max(self.inode) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let inode = state.inode(self.inode)?;
        if end > inode.data.len() {
            inode.data.resize(end, 0);
            inode.unsynced.push(Change::Extend(end));
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.operate()?;
        state.syncs += 1;
        if state.fail_syncs {
            return Err(io::Error::other("injected sync failure"));
        }
        let inode = state.inode(self.inode)?;
        let Inode { durable, unsynced, .. } = inode;
        unsynced.drain(..).for_each(|change| change.apply(durable));
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_keeps_what_was_synced_and_may_lose_the_rest() {
        let disk = MemDisk::new();
        let file = disk.create("a").unwrap();
        file.write_at(b"one", 0).unwrap();
        file.sync_data().unwrap();
        assert_eq!(disk.crash(&mut || 0).list().unwrap(), Vec::<String>::new(), "no name yet");
        disk.sync_dir().unwrap();
        file.write_at(b"two", 3).unwrap();
        disk.rename("a", "b").unwrap();
        let lost = disk.crash(&mut || 0);
        assert_eq!(lost.content("a"), Some(b"one".to_vec()));
        let kept = disk.crash(&mut || 1);
        assert_eq!(kept.content("b"), Some(b"onetwo".to_vec()));
        assert_eq!(kept.content("a"), None);
        let killed = disk.kill();
        assert_eq!(killed.content("b"), Some(b"onetwo".to_vec()));
        assert_eq!(killed.crash(&mut || 0).content("a"), Some(b"one".to_vec()));
    }

    #[test]
    fn a_removed_file_frees_its_room_and_stays_readable_while_open() {
        let disk = MemDisk::new();
        disk.set_capacity(Some(10));
        let file = disk.create("a").unwrap();
        file.write_at(&[1; 10], 0).unwrap();
        assert_eq!(
            disk.create("b").unwrap().write_at(&[2; 4], 0).unwrap_err().kind(),
            io::ErrorKind::StorageFull
        );
        disk.remove("a").unwrap();
        disk.sync_dir().unwrap();
        assert_eq!(disk.used(), 0);
        let mut buf = [0; 4];
        assert_eq!(file.read_at(&mut buf, 8).unwrap(), 2);
        disk.open("b").unwrap().write_at(&[2; 4], 0).unwrap();
    }

    #[test]
    fn a_misdirected_read_finds_other_bytes_once() {
        let disk = MemDisk::new();
        let file = disk.create("a").unwrap();
        file.write_at(b"abcdef", 0).unwrap();
        disk.misdirect_read(1, 3);
        let mut buf = [0; 2];
        for expected in [b"ab", b"de", b"ab"] {
            file.read_at(&mut buf, 0).unwrap();
            assert_eq!(&buf, expected);
        }
    }

    #[test]
    fn a_write_that_fails_leaves_half() {
        let disk = MemDisk::new();
        let file = disk.create("a").unwrap();
        disk.fail_after(Some(0));
        assert!(file.write_at(b"abcd", 0).is_err());
        assert!(file.sync_data().is_err());
        disk.fail_after(None);
        assert_eq!(disk.content("a"), Some(b"ab".to_vec()));
    }
}
