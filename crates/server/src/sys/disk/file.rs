//! A file in a data directory.

use super::io_error::{INTERRUPTS_MAX, of_file};
use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use wal::DiskFile;

/// A file in a data directory.
#[derive(Clone, Debug)]
pub(crate) struct DataFile(Arc<File>);

impl From<File> for DataFile {
    fn from(file: File) -> Self {
        Self(Arc::new(file))
    }
}

impl DiskFile for DataFile {
    fn len(&self) -> io::Result<u64> {
        self.tell("stat", self.0.metadata()).map(|metadata| metadata.len())
    }

    /// When it was made, which no copy shares; its number where the file system does not say when.
    fn origin(&self) -> io::Result<Option<u64>> {
        use std::os::unix::fs::MetadataExt;
        let metadata = self.0.metadata()?;
        // Where file systems make up inode numbers as they go, another mount has others; most of
        // those say when a file was made.
        let made = metadata.created().ok();
        let made = made.and_then(|made| made.duration_since(std::time::UNIX_EPOCH).ok());
        let made = made.map(|made| made.as_secs() ^ u64::from(made.subsec_nanos()) << 32);
        Ok(Some(made.unwrap_or_else(|| metadata.ino().rotate_left(17)).max(1)))
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.tell("read", self.0.read_at(buf, offset))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.tell("write", self.0.write_all_at(bytes, offset))
    }

    fn reserve(&self, offset: u64, len: u64) -> io::Result<()> {
        self.reserve_by(offset, len, |offset, len| {
            rustix::fs::fallocate(&*self.0, FallocateFlags::empty(), offset, len)
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.tell("fdatasync", self.0.sync_data())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.tell("fsync", self.0.sync_all())
    }
}

impl DataFile {
    fn tell<T>(&self, call: &str, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| of_file(call, &self.0, &error))
    }

    /// Reserves by `allocate`, or by zeros behind the end of the file where that cannot be done.
    fn reserve_by(
        &self,
        offset: u64,
        len: u64,
        mut allocate: impl FnMut(u64, u64) -> rustix::io::Result<()>,
    ) -> io::Result<()> {
        if len == 0 {
            return Ok(());
        }
        for _ in 0..INTERRUPTS_MAX {
            return match allocate(offset, len) {
                Ok(()) => Ok(()),
                Err(Errno::INTR) => continue,
                Err(errno) if is_unsupported(errno) => self.extend(offset.saturating_add(len)),
                Err(errno) => self.tell("fallocate", Err(errno.into())),
            };
        }
        // Where signals come quicker than the file system reserves.
        self.extend(offset.saturating_add(len))
    }

    /// Makes the file `end` bytes long by writing zeros behind its end. What is below the end holds
    /// data, and is never written to: holes in it stay holes, and a later write may find no room.
    fn extend(&self, end: u64) -> io::Result<()> {
        let zeros = [0; 16 << 10];
        let mut at = self.len()?;
        while at < end {
            let left = usize::try_from(end - at).unwrap_or(usize::MAX);
            let piece = zeros.get(..left).unwrap_or(&zeros);
            self.write_at(piece, at)?;
            at += piece.len() as u64;
        }
        Ok(())
    }
}

/// Whether a file system, or a sandbox around the process, says that it has no reservations at
/// all: not every one of them says so by `EOPNOTSUPP`.
fn is_unsupported(errno: Errno) -> bool {
    matches!(errno, Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL | Errno::PERM | Errno::NODEV)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    struct Scratch(std::path::PathBuf, DataFile);

    impl Scratch {
        fn new(label: &str, content: &[u8]) -> Self {
            let name = format!("stead-reserve-{label}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::write(&path, content).expect("the disk works");
            let file = File::options().read(true).write(true).open(&path);
            Self(path, DataFile::from(file.expect("it was just made")))
        }

        fn content(&self) -> Vec<u8> {
            fs::read(&self.0).expect("the disk works")
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    #[test]
    fn without_reservations_only_what_is_behind_the_end_is_written() {
        for errno in [Errno::NOSYS, Errno::OPNOTSUPP, Errno::INVAL, Errno::PERM, Errno::NODEV] {
            let scratch = Scratch::new("unsupported", b"records");
            let reserve = |offset, len| scratch.1.reserve_by(offset, len, |_, _| Err(errno));
            reserve(0, 7).expect("nothing is to be done");
            assert_eq!(scratch.content(), b"records", "{errno}");
            reserve(0, 0).expect("nothing is to be done");
            reserve(3, 0).expect("nothing is to be done");
            assert_eq!(scratch.content(), b"records", "{errno}");
            reserve(2, 40_000).expect("there is room");
            let content = scratch.content();
            assert_eq!((content.len(), &content[..7]), (40_002, &b"records"[..]), "{errno}");
            assert!(content[7..].iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn a_reservation_that_is_interrupted_is_tried_again() {
        let scratch = Scratch::new("interrupted", b"records");
        let mut calls = 0;
        let mut twice_interrupted = |_, _| {
            calls += 1;
            if calls < 3 { Err(Errno::INTR) } else { Ok(()) }
        };
        scratch.1.reserve_by(0, 100, &mut twice_interrupted).expect("the third one works");
        assert_eq!((calls, scratch.content().len()), (3, 7));
        // One that never succeeds does not stop the server.
        scratch.1.reserve_by(0, 100, |_, _| Err(Errno::INTR)).expect("there is room");
        assert_eq!(scratch.content().len(), 100);
    }

    #[test]
    fn other_errors_are_told() {
        let scratch = Scratch::new("full", b"records");
        for errno in [Errno::NOSPC, Errno::IO, Errno::DQUOT, Errno::FBIG] {
            let error = scratch.1.reserve_by(0, 100, |_, _| Err(errno)).expect_err("it failed");
            assert_eq!(error.kind(), io::Error::from(errno).kind());
        }
        assert_eq!(scratch.content(), b"records");
    }

    #[test]
    fn what_was_reserved_reads_as_zeros_and_keeps_what_was_there() {
        let scratch = Scratch::new("real", b"records");
        scratch.1.reserve(0, 7).expect("there is room");
        scratch.1.reserve(7, 93).expect("there is room");
        let content = scratch.content();
        assert_eq!((content.len(), &content[..7]), (100, &b"records"[..]));
    }
}
