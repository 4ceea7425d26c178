//! Where files live.

use crate::error::Named;
use std::io;

/// One data directory. Clones name the same directory.
pub trait Disk: Clone + Send + 'static {
    /// An open file.
    type File: DiskFile;

    /// Makes a file for reading and writing.
    ///
    /// # Errors
    /// What the disk gave; `AlreadyExists` if the name is taken.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// What the disk gave; `NotFound` if there is none.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// The names of all files, sorted.
    ///
    /// # Errors
    /// What the disk gave.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Gives a file another name; one that had it is replaced. After a power loss the file has one
    /// of the two names, and changes of names that were not synced are lost from the last one on.
    ///
    /// # Errors
    /// What the disk gave.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the disk gave.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes the names durable.
    ///
    /// # Errors
    /// What the disk gave.
    fn sync_dir(&self) -> io::Result<()>;

    /// How many bytes can still be written; nothing if the disk does not say. Others may take them
    /// at any time: it is a hint for work that can wait.
    ///
    /// # Errors
    /// What the disk gave.
    fn room(&self) -> io::Result<Option<u64>> {
        Ok(None)
    }
}

/// An open file. Clones name the same file, so that another thread can sync it.
#[allow(clippy::len_without_is_empty)]
pub trait DiskFile: Clone + Send + 'static {
    /// Its length in bytes.
    ///
    /// # Errors
    /// What the disk gave.
    fn len(&self) -> io::Result<u64>;

    /// Reads at `offset`; fewer bytes than asked for, or none, at the end.
    ///
    /// # Errors
    /// What the disk gave.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// What the disk gave.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes sure that writes to the range find room, and that the file is at least as long. Bytes
    /// that were never written read as zeros.
    ///
    /// No byte that can be read is changed by it. Where a disk has no such call, zeros may be
    /// written behind the present end of the file, and nowhere else: what lies below may be data,
    /// and a promise of room is not worth a byte of it. `len` is not zero.
    ///
    /// # Errors
    /// `StorageFull` when there is no room, or what else the disk gave.
    fn reserve(&self, offset: u64, len: u64) -> io::Result<()>;

    /// What tells this very file from a copy of it, over restarts too; nothing where the disk does
    /// not know.
    ///
    /// # Errors
    /// What the disk gave.
    fn origin(&self) -> io::Result<Option<u64>> {
        Ok(None)
    }

    /// Makes the content durable.
    ///
    /// # Errors
    /// What the disk gave. The caller must not try again and believe the second answer.
    fn sync_data(&self) -> io::Result<()>;

    /// Makes the content and the file's length and times durable.
    ///
    /// # Errors
    /// As [`DiskFile::sync_data`].
    fn sync_all(&self) -> io::Result<()>;
}

/// The length of a file.
///
/// # Errors
/// What the disk gave.
pub fn file_len<D: Disk>(disk: &D, name: &str) -> io::Result<u64> {
    disk.open(name).and_then(|file| file.len()).named("read the length of", name)
}
