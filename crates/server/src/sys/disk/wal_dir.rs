//! A directory of its own for the log (`-wal-dir`): its segments are there, all else stays in the
//! data directory, in which a small file says where the log is. So a start without the flag, and
//! every command that takes a data directory, finds it.
//!
//! Whose log it is needs no word here: a snapshot names its log, and one that is missing, older or
//! another's is refused when it is opened.

use super::contents::{LOCK_NAME, WAL_DIR_NAME, is_log, is_set_aside, is_snapshot};
use super::directory::{self, Directory, try_lock};
use super::io_error::{again, explain};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The first line of the file; the path follows on the second.
const VERSION: &str = "stead wal-dir 1";

/// The longest file that is read, in bytes: a path takes 4096 at most.
const BYTES_MAX: u64 = 8 << 10;

/// What the start line says of the log's directory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WalPlace<'a> {
    pub(crate) given: Option<&'a Path>,
    /// Whether the machine starts over, so that a log that is gone is no loss.
    pub(crate) is_forced: bool,
}

/// The directory of the log, which this process owns.
#[derive(Debug)]
pub(super) struct WalDir {
    pub(super) path: PathBuf,
    pub(super) dir: Directory,
    _lock: Option<File>,
}

/// Where the log is, and whether that has to be written down.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) path: PathBuf,
    pub(super) is_new: bool,
}

/// What the file in a data directory says.
pub(super) fn recorded(data_dir: &Path) -> Result<Option<PathBuf>, String> {
    let file = data_dir.join(WAL_DIR_NAME);
    let mut text = String::new();
    let read = again(|| {
        text.clear();
        File::open(&file)?.take(BYTES_MAX).read_to_string(&mut text)
    });
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot read {}: {error}", file.display())),
        Ok(_) => {}
    }
    let path =
        text.strip_prefix(VERSION).and_then(|rest| rest.strip_prefix('\n')?.strip_suffix('\n'));
    match path.filter(|path| path.starts_with('/') && !path.contains('\n')) {
        Some(path) => Ok(Some(PathBuf::from(path))),
        None => Err(format!(
            "{} says where the log is in a format that this version does not know: start the \
             version that wrote it",
            file.display()
        )),
    }
}

/// What the file is to say.
pub(super) fn record(path: &Path) -> String {
    format!("{VERSION}\n{}\n", path.display())
}

/// Whether a directory has files of some kind; one that is not there has none.
fn has(dir: &Path, is_kind: fn(&str) -> bool) -> Result<bool, String> {
    let read = || {
        for entry in fs::read_dir(dir)? {
            if entry?.file_name().to_str().is_some_and(is_kind) {
                return Ok(true);
            }
        }
        Ok(false)
    };
    match again(read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(format!("cannot read {}: {}", dir.display(), explain(dir, &error))),
        found => found.map_err(|error| error.to_string()),
    }
}

pub(super) fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    one == other || real(one) == real(other)
}

/// Where the log of a data directory is; nothing if it is in the directory itself. Nothing is
/// changed.
///
/// # Errors
/// A sentence with what to do, when the start line and what is there do not agree.
pub(super) fn choose(data_dir: &Path, place: WalPlace<'_>) -> Result<Option<Chosen>, String> {
    let name = data_dir.display();
    let recorded = recorded(data_dir)?;
    if place.given.is_some_and(|given| given.to_str().is_none_or(|text| text.contains('\n'))) {
        return Err("-wal-dir: expected a path without line ends".to_owned());
    }
    let given = match place.given {
        None => None,
        Some(given) => Some(
            std::path::absolute(given)
                .map_err(|error| format!("-wal-dir {}: {error}", given.display()))?,
        ),
    };
    match (recorded, given) {
        (None, None) => Ok(None),
        (Some(old), Some(new)) if !is_same(&old, &new) => {
            moved(data_dir, &old, &new, place.is_forced).map(Some)
        }
        (Some(path), _) => {
            if !path.is_dir() && !place.is_forced {
                return Err(format!(
                    "the log of {name} is in {}, which is not there: mount it, or name the \
                     directory that it was moved to with -wal-dir; if it is lost, give \
                     -force-rejoin to come back as a new member of the cluster",
                    path.display()
                ));
            }
            Ok(Some(Chosen { path, is_new: false }))
        }
        (None, Some(new)) => {
            let at = new.display();
            if is_same(data_dir, &new) {
                return Err(format!("-wal-dir {at} is the data directory: leave it out"));
            }
            if has(data_dir, is_log)? {
                return Err(format!(
                    "{name} has its log in itself: leave -wal-dir out, or move the files log-*.wal \
                     and spare-* from there to {at} while no server runs"
                ));
            }
            match (has(data_dir, is_snapshot)?, has(&new, is_log)?) {
                (false, true) => Err(format!(
                    "{at} holds the log of another data directory than {name}: give -wal-dir a \
                     directory that is empty or does not exist yet"
                )),
                (true, false) if !place.is_forced => Err(format!(
                    "the log of {name} is neither there nor in {at}: give -wal-dir the directory \
                     that it is in"
                )),
                _ => Ok(Some(Chosen { path: new, is_new: true })),
            }
        }
    }
}

/// The start line names another directory than the one where the log was.
fn moved(data_dir: &Path, old: &Path, new: &Path, is_forced: bool) -> Result<Chosen, String> {
    let (name, was, at) = (data_dir.display(), old.display(), new.display());
    if has(old, is_log)? {
        return Err(format!(
            "the log of {name} is in {was}: give -wal-dir {was}, or move the files log-*.wal and \
             spare-* from there to {at} while no server runs"
        ));
    }
    if is_forced || has(new, is_log)? || !has(data_dir, is_snapshot)? {
        return Ok(Chosen { path: new.to_owned(), is_new: true });
    }
    Err(format!(
        "the log of {name} was in {was}, and is neither there nor in {at}: give -wal-dir the \
         directory that it is in; if it is lost, give -force-rejoin"
    ))
}

impl WalDir {
    /// Makes the directory if need be (mode 0700) and takes its lock.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let failed = |error: &io::Error| format!("cannot use -wal-dir {}: {error}", path.display());
        if !path.is_dir() {
            directory::make(path)?;
            directory::sync_names(path).map_err(|error| failed(&error))?;
        }
        refuse_foreign(path)?;
        let mut options = OpenOptions::new();
        let lock = options.create(true).truncate(false).write(true).mode(0o600);
        let lock = lock.open(path.join(LOCK_NAME)).map_err(|error| failed(&error))?;
        directory::restrict(path).map_err(|error| failed(&error))?;
        Self::lock(path, Some(lock))
    }

    /// Opens it to be looked at: nothing is made or changed.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub(super) fn look(path: &Path) -> Result<Self, String> {
        refuse_foreign(path)?;
        Self::lock(path, File::open(path.join(LOCK_NAME)).ok())
    }

    fn lock(path: &Path, lock: Option<File>) -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| {
            format!("cannot use -wal-dir {}: {error}", path.display())
        };
        let dir = Directory::open(path).map_err(|error| failed(&explain(path, &error)))?;
        let is_free = dir.try_lock();
        match lock.as_ref().map_or(Ok(()), try_lock) {
            Ok(()) if is_free => Ok(Self { path: path.to_owned(), dir, _lock: lock }),
            Ok(()) | Err(fs::TryLockError::WouldBlock) => {
                Err(failed(&"it is in use by another process"))
            }
            Err(fs::TryLockError::Error(error)) => Err(failed(&error)),
        }
    }

    /// The names of the files of the log.
    pub(super) fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            if let Ok(name) = entry?.file_name().into_string()
                && is_log(&name)
            {
                names.push(name);
            }
        }
        Ok(names)
    }
}

/// Refuses a directory in which anything else is than files of a log.
fn refuse_foreign(path: &Path) -> Result<(), String> {
    let is_fine = |name: &str| {
        is_log(name)
            || is_set_aside(name)
            || name == LOCK_NAME
            || name == "lost+found"
            || name.starts_with('.')
    };
    let read = || {
        for entry in fs::read_dir(path)? {
            let name = entry?.file_name();
            if !name.to_str().is_some_and(is_fine) {
                return Ok(Some(name.to_string_lossy().escape_debug().to_string()));
            }
        }
        Ok(None)
    };
    match again(read) {
        Ok(None) => Ok(()),
        Ok(Some(name)) => Err(format!(
            "-wal-dir {} holds other files ({name}): nothing was changed in it; give a directory \
             that is empty or does not exist yet",
            path.display()
        )),
        Err(error) => {
            Err(format!("cannot read -wal-dir {}: {}", path.display(), explain(path, &error)))
        }
    }
}

#[cfg(test)]
mod tests;
