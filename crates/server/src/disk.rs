//! The data directory on a real disk.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wal::{Disk, DiskFile};

/// The file whose lock says that a process owns the directory.
const LOCK_NAME: &str = "LOCK";

/// The file that says that the machine stands by: a version, then peer URLs, a line each.
const STANDBY_NAME: &str = "standby";
const STANDBY_VERSION: &str = "stead standby 1";

/// A data directory that this process owns: nobody else can open it while a clone of this lives.
#[derive(Clone, Debug)]
pub(crate) struct DataDir {
    path: Arc<PathBuf>,
    /// The directory itself, to be synced.
    dir: Arc<File>,
    _lock: Arc<File>,
}

/// A file in a data directory.
#[derive(Clone, Debug)]
pub(crate) struct DataFile(Arc<File>);

impl DataDir {
    /// Makes the directory if need be (mode 0700), and takes its lock.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let name = path.display();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| format!("cannot make the data directory {name}: {error}"))?;
        restrict(path).map_err(|error| format!("cannot use the data directory {name}: {error}"))?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join(LOCK_NAME))
            .map_err(|error| format!("cannot use the data directory {name}: {error}"))?;
        Self::lock(path, lock)
    }

    /// Opens a directory that is only looked at: nothing is made or changed in it. One without a
    /// lock file is used by nobody.
    pub(crate) fn look(path: &Path) -> Result<Self, String> {
        let name = path.display();
        let lock = match File::open(path.join(LOCK_NAME)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => File::open(path),
            opened => opened,
        };
        let lock = lock.map_err(|error| format!("cannot read the data directory {name}: {error}"));
        Self::lock(path, lock?)
    }

    fn lock(path: &Path, lock: File) -> Result<Self, String> {
        let name = path.display();
        match lock.try_lock() {
            Ok(()) => {
                let dir = File::open(path)
                    .map_err(|error| format!("cannot use the data directory {name}: {error}"))?;
                let path = Arc::new(path.to_owned());
                Ok(Self { path, dir: Arc::new(dir), _lock: Arc::new(lock) })
            }
            Err(fs::TryLockError::WouldBlock) => Err(format!(
                "the data directory {name} is in use by another process: stop it, or give this one \
                 another -data-dir"
            )),
            Err(fs::TryLockError::Error(error)) => {
                Err(format!("cannot lock the data directory {name}: {error}"))
            }
        }
    }

    /// Removes what a member left in the directory: its log and its snapshots.
    pub(crate) fn clear(&self) -> io::Result<()> {
        for name in self.list()? {
            let is_ours = [".wal", ".snap", ".tmp"].iter().any(|suffix| name.ends_with(suffix));
            if is_ours {
                self.remove(&name)?;
            }
        }
        self.sync_dir()
    }

    /// The word that this machine stands by, and at which peer URLs members may be asked; nothing
    /// if it does not.
    pub(crate) fn standby(&self) -> Option<Vec<String>> {
        let text = fs::read_to_string(self.path.join(STANDBY_NAME)).ok()?;
        let mut lines = text.lines();
        let is_known = lines.next() == Some(STANDBY_VERSION);
        is_known.then(|| lines.filter(|line| !line.is_empty()).map(str::to_owned).collect())
    }

    /// Writes that word down, or takes it back.
    pub(crate) fn set_standby(&self, peers: Option<&[String]>) -> io::Result<()> {
        let path = self.path.join(STANDBY_NAME);
        match peers {
            Some(peers) => {
                let text = format!("{STANDBY_VERSION}\n{}\n", peers.join("\n"));
                let temporary = self.path.join("standby.tmp");
                fs::write(&temporary, text)?;
                fs::rename(&temporary, &path)
            }
            None => match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => self.sync_dir(),
            },
        }
    }

    fn open_with(&self, options: &mut OpenOptions, name: &str) -> io::Result<DataFile> {
        let file = options.read(true).write(true).mode(0o600).open(self.path.join(name))?;
        Ok(DataFile(Arc::new(file)))
    }
}

/// Takes away what others may do in the directory; it holds every value in plain text.
fn restrict(path: &Path) -> io::Result<()> {
    let mut permissions = fs::metadata(path)?.permissions();
    if permissions.mode() & 0o077 != 0 {
        permissions.set_mode(0o700);
        fs::set_permissions(path, permissions)?;
    }
    Ok(())
}

impl Disk for DataDir {
    type File = DataFile;

    fn create(&self, name: &str) -> io::Result<DataFile> {
        self.open_with(OpenOptions::new().create_new(true), name)
    }

    fn open(&self, name: &str) -> io::Result<DataFile> {
        self.open_with(&mut OpenOptions::new(), name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&*self.path)? {
            // Our own names are ASCII; anything else is not ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.dir.sync_all()
    }

    fn room(&self) -> io::Result<Option<u64>> {
        // A file system that does not say is asked by writing.
        let stat = rustix::fs::fstatvfs(&*self.dir).ok();
        Ok(stat.map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize)))
    }
}

impl DiskFile for DataFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn reserve(&self, offset: u64, len: u64) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        match fallocate(&*self.0, FallocateFlags::empty(), offset, len) {
            Ok(()) => Ok(()),
            // Some file systems cannot reserve; writing zeros is the same promise at a higher
            // price.
            Err(rustix::io::Errno::OPNOTSUPP) => self.write_zeros(offset, len),
            Err(errno) => Err(errno.into()),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}

impl DataFile {
    fn write_zeros(&self, mut offset: u64, mut len: u64) -> io::Result<()> {
        let zeros = [0; 16 << 10];
        while len > 0 {
            let step = len.min(zeros.len() as u64);
            let slice = zeros.get(..usize::try_from(step).unwrap_or(zeros.len()));
            self.0.write_all_at(slice.unwrap_or(&zeros), offset)?;
            offset += step;
            len -= step;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_is_held_open() {
        let path = std::env::temp_dir().join(format!("stead-disk-{}", std::process::id()));
        let data_dir = DataDir::open(&path).expect("a place for files");
        data_dir.create("log").expect("the disk works");
        data_dir.sync_dir().expect("the disk works");
        // Nothing is looked up by its name for a sync.
        fs::remove_dir_all(&path).expect("it is ours");
        data_dir.sync_dir().expect("the handle is still there");
    }
}
