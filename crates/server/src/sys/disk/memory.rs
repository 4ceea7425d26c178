//! A data directory in memory, for a server that is to keep nothing: `stead dev`.
//!
//! Its files have no place in any file system: the system gives each back when nobody has it open
//! any more, at the latest when the process ends, however it ends. So nothing can be left behind.

use super::DataFile;
use rustix::fs::{MemfdFlags, memfd_create};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What such a directory is called in messages. There can be no file below it, so that whatever
/// looks for one in a file system finds none, and whatever would make one fails.
pub const PATH: &str = "/dev/null/memory";

/// Files by their names. Clones are the same directory.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory(Arc<Mutex<BTreeMap<String, DataFile>>>);

impl Memory {
    fn files(&self) -> MutexGuard<'_, BTreeMap<String, DataFile>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn create(&self, name: &str) -> io::Result<DataFile> {
        let mut files = self.files();
        if files.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = File::from(memfd_create(name, MemfdFlags::CLOEXEC)?);
        let file = DataFile::from(file);
        files.insert(name.to_owned(), file.clone());
        Ok(file)
    }

    pub(super) fn open(&self, name: &str) -> io::Result<DataFile> {
        self.files().get(name).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The names, sorted.
    pub(super) fn list(&self) -> Vec<String> {
        self.files().keys().cloned().collect()
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.files();
        let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        self.files().remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

#[cfg(test)]
mod tests {
    use crate::sys::disk::DataDir;
    use std::io::ErrorKind;
    use wal::{Disk, DiskFile};

    #[test]
    fn files_live_as_long_as_somebody_has_them() {
        let disk = DataDir::in_memory();
        let file = disk.create("a").expect("there is memory");
        assert_eq!(disk.create("a").expect_err("taken").kind(), ErrorKind::AlreadyExists);
        file.write_at(b"hello", 3).expect("there is memory");
        file.reserve(0, 4096).expect("there is memory");
        file.sync_all().expect("there is nothing to be done");
        disk.create("b").expect("there is memory");
        disk.rename("a", "b").expect("it is there");
        assert_eq!(disk.list().expect("it is known"), ["b"]);
        let mut read = [0; 8];
        let again = disk.clone().open("b").expect("it is there");
        assert_eq!(again.read_at(&mut read, 0).expect("it can be read"), 8);
        assert_eq!((&read, again.len().expect("it is known")), (b"\0\0\0hello", 4096));
        disk.remove("b").expect("it is there");
        for gone in [disk.open("b").err(), disk.remove("b").err(), disk.rename("b", "c").err()] {
            assert_eq!(gone.map(|error| error.kind()), Some(ErrorKind::NotFound));
        }
        assert_eq!(file.read_at(&mut read, 0).expect("who has it keeps it"), 8);
        disk.sync_dir().expect("there is nothing to be done");
        assert_eq!(disk.room().expect("it is not known"), None);
    }

    #[test]
    fn nothing_is_looked_for_in_a_file_system() {
        let disk = DataDir::in_memory();
        assert_eq!(disk.standby().expect("there is none"), None);
        assert_eq!(disk.proxied().expect("there is none"), None);
        disk.keep("standby", "x").expect_err("no file can be there");
        assert!(super::super::space(disk.path.as_path()).is_none());
        // Another one is another one.
        disk.create("a").expect("there is memory");
        assert!(DataDir::in_memory().list().expect("it is known").is_empty());
    }
}
