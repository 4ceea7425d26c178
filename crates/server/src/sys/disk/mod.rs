//! The data directory on a real disk.
//!
//! `directory.rs` makes, syncs and locks directories, `contents.rs` says whose one is, `aside.rs`
//! moves our files out of the way, `mark.rs` says how far that is, `standby.rs` keeps the standby
//! marker, `proxy.rs` the members that a proxy knows, `seen.rs` what was last heard of other
//! members, `wal_dir.rs` has the log elsewhere.

mod aside;
mod contents;
mod directory;
mod file;
mod io_error;
mod mark;
pub(crate) mod memory;
mod proxy;
mod seen;
mod standby;
mod wal_dir;

use crate::notice::notice;
use contents::{Contents, LOCK_NAME, MARK_NAME, PROXY_NAME, SEEN_NAME, STANDBY_NAME, WAL_DIR_NAME};
pub(crate) use directory::space;
use directory::{Directory, try_lock};
pub(crate) use file::DataFile;
use io_error::{again, explain, of_path};
use mark::Mark;
use memory::Memory;
pub use seen::Sighting;
pub(crate) use seen::print as print_seen;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wal::Disk;
pub(crate) use wal_dir::WalPlace;
use wal_dir::{WalDir, is_same};

/// A data directory that this process owns: no other process can open it while a clone of this
/// lives.
#[derive(Clone, Debug)]
pub(crate) struct DataDir {
    path: Arc<PathBuf>,
    /// The directory itself, to be synced. It is locked as well as `LOCK`, which an operator may
    /// remove. Nothing if it is in memory.
    dir: Option<Arc<Directory>>,
    /// The files of one that is in memory.
    memory: Option<Memory>,
    /// Where the log is, if it is elsewhere.
    wal: Option<Arc<WalDir>>,
    _lock: Arc<Option<File>>,
}

/// What to do where another process has the directory.
const INSTEAD_OF_SERVING: &str = "stop that process, or give this one another -data-dir";
const INSTEAD_OF_LOOKING: &str = "a log that is being written cannot be judged. Stop the server \
                                  first, or check a backup of it: `stead backup FILE`, `stead \
                                  backup verify FILE`";

impl DataDir {
    /// Makes the directory if need be (mode 0700), takes its lock, and finishes what an earlier
    /// process began to set aside. A directory that is neither empty nor ours is left as it is.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        Self::open_at(path, WalPlace::default())
    }

    /// The same with what the start line says of the log's directory.
    ///
    /// # Errors
    /// As those of [`DataDir::open`].
    pub(crate) fn open_at(path: &Path, place: WalPlace<'_>) -> Result<Self, String> {
        let name = path.display();
        let failed = |error| format!("cannot use the data directory {name}: {error}");
        directory::make(path)?;
        let dir = Directory::open(path).map_err(|error| failed(explain(path, &error)))?;
        refuse_foreign(path, place.given)?;
        let is_free = dir.try_lock();
        if !path.join(LOCK_NAME).exists() {
            // Once that file is there, the names of the directories above it are durable.
            directory::sync_names(path).map_err(|error| {
                failed(format!("cannot sync the directories above it: {error}"))
            })?;
        }
        directory::restrict(path).map_err(|error| failed(error.to_string()))?;
        let mut options = OpenOptions::new();
        let lock = options.create(true).truncate(false).write(true).mode(0o600);
        let lock = lock.open(path.join(LOCK_NAME)).map_err(|error| {
            failed(format!("cannot open {LOCK_NAME}: {}", explain(path, &error)))
        })?;
        let mut data_dir = Self::lock(path, dir, is_free, Some(lock), INSTEAD_OF_SERVING)?;
        data_dir.open_wal(place)?;
        for word in [STANDBY_NAME, PROXY_NAME, WAL_DIR_NAME, MARK_NAME, SEEN_NAME] {
            // What a write that was never finished left behind; what cannot be removed harms
            // nobody.
            let _ = fs::remove_file(path.join(temporary_name(word)));
        }
        if let Some(directory) = data_dir.finish_set_aside()? {
            notice!(
                SetAside,
                "",
                "a start that was cut short had begun it; finished in {}",
                directory.display()
            );
        }
        Ok(data_dir)
    }

    /// An empty directory in memory, which ends with its last clone.
    pub(crate) fn in_memory() -> Self {
        let path = Arc::new(PathBuf::from(memory::PATH));
        let memory = Some(Memory::default());
        Self { path, dir: None, memory, wal: None, _lock: Arc::new(None) }
    }

    /// Opens a directory that is only looked at: nothing is made or changed in it. One without a
    /// lock file is used by nobody.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub(crate) fn look(path: &Path) -> Result<Self, String> {
        let name = path.display();
        let failed = |error: io::Error| {
            format!("cannot read the data directory {name}: {}", explain(path, &error))
        };
        let dir = Directory::open(path).map_err(failed)?;
        refuse_foreign(path, None)?;
        let is_free = dir.try_lock();
        let lock = match File::open(path.join(LOCK_NAME)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            opened => Some(opened.map_err(failed)?),
        };
        let mut data_dir = Self::lock(path, dir, is_free, lock, INSTEAD_OF_LOOKING)?;
        if let Some(chosen) = wal_dir::choose(path, WalPlace::default())? {
            data_dir.wal = Some(Arc::new(WalDir::look(&chosen.path)?));
        }
        match mark::unfinished(path)? {
            None => Ok(data_dir),
            Some(Mark::SetAside { target, .. }) => Err(format!(
                "the files in {name} are being moved to {name}/{target}, and some are still here: \
                 the next start finishes that"
            )),
            Some(Mark::Adopt { built }) => Err(format!(
                "the files in {name}/{built} are being moved to {name}, and some are still there: \
                 the next start finishes that"
            )),
        }
    }

    fn lock(
        path: &Path,
        dir: Directory,
        is_free: bool,
        lock: Option<File>,
        instead: &str,
    ) -> Result<Self, String> {
        let name = path.display();
        let locked = if is_free {
            lock.as_ref().map_or(Ok(()), try_lock)
        } else {
            Err(fs::TryLockError::WouldBlock)
        };
        match locked {
            Ok(()) => {
                let (path, dir) = (Arc::new(path.to_owned()), Some(Arc::new(dir)));
                Ok(Self { path, dir, memory: None, wal: None, _lock: Arc::new(lock) })
            }
            Err(fs::TryLockError::WouldBlock) => {
                Err(format!("the data directory {name} is in use by another process: {instead}"))
            }
            Err(fs::TryLockError::Error(error)) => Err(format!(
                "cannot lock {LOCK_NAME} in the data directory {name}: {error}; without locks two \
                 processes could use it at once: give this one a -data-dir on another file system"
            )),
        }
    }

    /// Opens the log's directory, if there is one, and writes down where it is.
    fn open_wal(&mut self, place: WalPlace<'_>) -> Result<(), String> {
        let Some(chosen) = wal_dir::choose(&self.path, place)? else { return Ok(()) };
        let wal = WalDir::open(&chosen.path)?;
        if chosen.is_new {
            self.replace(WAL_DIR_NAME, &wal_dir::record(&chosen.path))
                .map_err(|error| format!("cannot record where the log is: {error}"))?;
        }
        self.wal = Some(Arc::new(wal));
        Ok(())
    }

    /// The directory that a file belongs to.
    fn place(&self, name: &str) -> &Path {
        match &self.wal {
            Some(wal) if contents::is_log(name) => &wal.path,
            _ => &self.path,
        }
    }

    /// Removes a file, if there is one. That is durable when this returns.
    fn remove_if_there(&self, name: &str) -> io::Result<()> {
        match self.remove(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => self.sync_dir(),
        }
    }

    /// Gives a small file this content, whole or not at all. It is durable when this returns.
    fn replace(&self, name: &str, text: &str) -> io::Result<()> {
        let temporary = self.path.join(temporary_name(name));
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).write(true).mode(0o600);
        let written = options
            .open(&temporary)
            .and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            })
            .and_then(|()| again(|| fs::rename(&temporary, self.path.join(name))));
        if let Err(error) = written {
            // What cannot be removed now is removed at the next start.
            let _ = fs::remove_file(&temporary);
            return Err(of_path("write", &self.path.join(name), &error));
        }
        self.sync_names()
    }

    /// Makes the names in the directory itself durable.
    fn sync_names(&self) -> io::Result<()> {
        self.dir.as_ref().map_or(Ok(()), |dir| dir.sync())
    }

    /// Keeps a small file beside those of the store. It is durable when this returns.
    ///
    /// # Errors
    /// What the disk gave, with the file's name.
    pub(crate) fn keep(&self, name: &str, text: &str) -> io::Result<()> {
        self.replace(name, text)
    }

    fn open_with(&self, options: &mut OpenOptions, name: &str) -> io::Result<DataFile> {
        let path = self.place(name).join(name);
        let opened = options.read(true).write(true).mode(0o600).open(&path);
        opened.map(DataFile::from).map_err(|error| of_path("open", &path, &error))
    }
}

fn temporary_name(name: &str) -> String {
    format!("{name}.tmp")
}

/// Refuses a directory that belongs to another program; nothing in it is changed.
/// `wal_dir` may be within it.
fn refuse_foreign(path: &Path, wal_dir: Option<&Path>) -> Result<(), String> {
    let name = path.display();
    let inner = wal_dir.map(Path::to_owned).or(wal_dir::recorded(path).unwrap_or_default());
    let inner = inner.filter(|inner| inner.parent().is_some_and(|parent| is_same(parent, path)));
    let inner = inner.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
    let found = again(|| contents::inspect(path, inner)).map_err(|error| {
        format!("cannot read the data directory {name}: {}", explain(path, &error))
    })?;
    match found {
        Contents::Empty => Ok(()),
        Contents::Ours(strangers) => {
            if !strangers.is_empty() {
                let strangers = contents::enumerate(&strangers);
                notice!(DirectoryForeign, "", "{name} has {strangers}");
            }
            Ok(())
        }
        Contents::Etcd(version) => Err(format!(
            "{name} is {version}: Stead does not open it, and has changed nothing in it; give \
             another -data-dir, and copy the keys with `stead import --from-dir {name} --to URL` \
             (\"Moving from etcd\" in docs/operating.md)"
        )),
        Contents::Foreign(names) => Err(format!(
            "{name} is not a data directory of Stead, and not empty ({}): nothing was changed in \
             it; give -data-dir a directory that is empty or does not exist yet",
            contents::enumerate(&names)
        )),
    }
}

impl Disk for DataDir {
    type File = DataFile;

    fn create(&self, name: &str) -> io::Result<DataFile> {
        if let Some(memory) = &self.memory {
            return memory.create(name);
        }
        self.open_with(OpenOptions::new().create_new(true), name)
    }

    fn open(&self, name: &str) -> io::Result<DataFile> {
        if let Some(memory) = &self.memory {
            return memory.open(name);
        }
        self.open_with(&mut OpenOptions::new(), name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        if let Some(memory) = &self.memory {
            return Ok(memory.list());
        }
        let read = || {
            let mut names = Vec::new();
            for entry in fs::read_dir(&*self.path)? {
                // Our own names are ASCII; anything else is not ours.
                if let Ok(name) = entry?.file_name().into_string()
                    && (self.wal.is_none() || !contents::is_log(&name))
                {
                    names.push(name);
                }
            }
            if let Some(wal) = &self.wal {
                names.extend(wal.list()?);
            }
            Ok(names)
        };
        let mut names = again(read).map_err(|error| of_path("list", &self.path, &error))?;
        names.sort();
        Ok(names)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        if let Some(memory) = &self.memory {
            return memory.rename(from, to);
        }
        let (from, to) = (self.place(from).join(from), self.place(to).join(to));
        again(|| fs::rename(&from, &to)).map_err(|error| of_path("rename", &from, &error))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        if let Some(memory) = &self.memory {
            return memory.remove(name);
        }
        let path = self.place(name).join(name);
        again(|| fs::remove_file(&path)).map_err(|error| of_path("unlink", &path, &error))
    }

    fn sync_dir(&self) -> io::Result<()> {
        if let Some(wal) = &self.wal {
            wal.dir.sync()?;
        }
        self.sync_names()
    }

    fn room(&self) -> io::Result<Option<u64>> {
        let of_log = self.wal.as_ref().and_then(|wal| wal.dir.room());
        let rooms = [self.dir.as_ref().and_then(|dir| dir.room()), of_log];
        Ok(rooms.into_iter().flatten().min())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::atomic::{AtomicU32, Ordering};

    static NEXT: AtomicU32 = AtomicU32::new(0);

    /// A path where nothing is yet, and where nothing is left.
    pub(super) struct Scratch(PathBuf);

    impl Scratch {
        pub(super) fn new(label: &str) -> Self {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("stead-disk-{}-{number}-{label}", std::process::id());
            Self(std::env::temp_dir().join(name))
        }

        pub(super) fn path(&self) -> &Path {
            &self.0
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_directory_is_held_open() {
        let scratch = Scratch::new("held");
        let data_dir = DataDir::open(scratch.path()).expect("a place for files");
        data_dir.create("log").expect("the disk works");
        data_dir.sync_dir().expect("the disk works");
        // Nothing is looked up by its name for a sync.
        fs::remove_dir_all(scratch.path()).expect("it is ours");
        data_dir.sync_dir().expect("the handle is still there");
    }

    #[test]
    fn a_lock_file_that_was_removed_lets_nobody_in() {
        let scratch = Scratch::new("lock-removed");
        let data_dir = DataDir::open(scratch.path()).expect("a place for files");
        for _ in 0..2 {
            let refusal = DataDir::open(scratch.path()).expect_err("it is in use");
            assert!(refusal.contains("in use by another process"), "{refusal}");
            let refusal = DataDir::look(scratch.path()).expect_err("it is in use");
            assert!(refusal.contains("in use by another process"), "{refusal}");
            let _ = fs::remove_file(scratch.path().join(LOCK_NAME));
        }
        drop(data_dir);
        DataDir::open(scratch.path()).expect("nobody has it");
    }

    #[test]
    fn a_foreign_directory_is_neither_used_nor_changed() {
        for (names, want) in [
            (&["notes.txt"][..], "not empty (notes.txt)"),
            (&["log", "conf"], "an etcd 0.4 or older"),
        ] {
            let scratch = Scratch::new("foreign");
            fs::create_dir(scratch.path()).expect("the disk works");
            for name in names {
                fs::write(scratch.path().join(name), "theirs").expect("the disk works");
            }
            let permissions = fs::Permissions::from_mode(0o755);
            fs::set_permissions(scratch.path(), permissions).expect("it is ours");
            for refusal in [DataDir::open(scratch.path()), DataDir::look(scratch.path())] {
                let refusal = refusal.expect_err("it is not ours");
                assert!(refusal.contains(want), "{refusal}");
                assert!(refusal.contains(&scratch.path().display().to_string()), "{refusal}");
            }
            let mode = fs::metadata(scratch.path()).expect("it is there").permissions().mode();
            assert_eq!(mode & 0o7777, 0o755);
            let left = fs::read_dir(scratch.path()).expect("it is there").count();
            assert_eq!(left, names.len());
        }
    }
}
