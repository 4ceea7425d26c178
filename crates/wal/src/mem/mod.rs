//! A disk in memory that fails as real ones do: for tests and simulators.
//!
//! It remembers which writes and which names were synced. [`MemDisk::crash`] gives the disk as it
//! could be found after a power loss: everything synced is there, of the rest some is, and writes
//! may be torn. [`MemDisk::kill`] gives it as it is found when only the process died.

mod change;
mod fault;
mod files;
mod inject;
mod state;

use change::draw_below;
use state::{Inode, State};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use change::Chance;
pub use fault::Reserving;

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

    /// Another disk with copies of all files, as a backup is.
    pub fn copy(&self) -> MemDisk {
        let mut state = self.state().without_faults();
        state.generation += 1;
        MemDisk::with(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, DiskFile};
    use std::io;

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
