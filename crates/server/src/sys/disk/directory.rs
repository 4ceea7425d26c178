//! A directory as such: how it is made, made durable, locked and kept from others.

use super::io_error::{again, explain, of_file};
use crate::notice::notice;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

/// What others than the owner may do.
const OTHERS: u32 = 0o077;

/// Set on directories that everybody may put files into.
const STICKY: u32 = 0o1000;

/// An open directory, to be synced and locked without its name.
#[derive(Debug)]
pub(super) struct Directory(File);

impl Directory {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        again(|| File::open(path)).map(Self)
    }

    /// Makes the names in it durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        match self.0.sync_all() {
            Err(error) if is_unsupported(&error) => self.sync_all_of_them(),
            result => result.map_err(|error| of_file("fsync", &self.0, &error)),
        }
    }

    /// Makes the whole file system durable. It is what is left where a directory has no sync of its
    /// own, or where its parent may not be opened.
    fn sync_all_of_them(&self) -> io::Result<()> {
        let synced = rustix::fs::syncfs(&self.0).map_err(io::Error::from);
        synced.map_err(|error| of_file("syncfs", &self.0, &error))
    }

    /// How many bytes there is room for; nothing where the file system does not say.
    pub(super) fn room(&self) -> Option<u64> {
        let stat = rustix::fs::fstatvfs(&self.0).ok();
        stat.map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Takes its lock; false if another process has it. A lock on the directory itself is the
    /// second one: not every file system has it, and where it has none that of `LOCK` must do.
    pub(super) fn try_lock(&self) -> bool {
        !matches!(try_lock(&self.0), Err(fs::TryLockError::WouldBlock))
    }
}

/// The free bytes of the file system that a directory is on, as far as this user may have them, and
/// all of them; nothing where the file system does not say.
pub(crate) fn space(path: &Path) -> Option<(u64, u64)> {
    let stat = rustix::fs::statvfs(path).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    (stat.f_blocks > 0).then(|| (bytes(stat.f_bavail), bytes(stat.f_blocks)))
}

/// Takes the lock of a file, unless another process has it.
pub(super) fn try_lock(file: &File) -> Result<(), fs::TryLockError> {
    again(|| match file.try_lock() {
        Err(fs::TryLockError::Error(error)) => Err(error),
        locked => Ok(locked),
    })
    .map_err(fs::TryLockError::Error)?
}

/// Whether a file system says that directories cannot be synced.
fn is_unsupported(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let unsupported = [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP];
    unsupported.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Makes a directory and those above it that are not there, for this user alone.
///
/// # Errors
/// A sentence for the operator.
pub(super) fn make(path: &Path) -> Result<(), String> {
    let create = || again(|| fs::DirBuilder::new().mode(0o700).create(path));
    let is_there = || again(|| fs::metadata(path)).map(|found| found.is_dir());
    let made = match is_there() {
        Ok(true) => return Ok(()),
        Ok(false) => Err(io::ErrorKind::NotADirectory.into()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Err(_) => match create() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => match path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => {
                    make(parent)?;
                    create()
                }
                _ => Err(error),
            },
            made => made,
        },
    };
    let failed = match made {
        // Somebody else may be as quick.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match is_there() {
            Ok(true) => return Ok(()),
            _ => error,
        },
        Err(error) => error,
        Ok(()) => return Ok(()),
    };
    let detail = find_obstacle(path).unwrap_or_else(|| explain(path, &failed));
    Err(format!("cannot create the data directory {}: {detail}", path.display()))
}

/// What is in the way where a directory should be; nothing if it is not there at all.
fn find_obstacle(path: &Path) -> Option<String> {
    let found = fs::symlink_metadata(path).ok()?;
    if !found.is_symlink() {
        return (!found.is_dir()).then(|| "a file of this name exists".to_owned());
    }
    let target = fs::read_link(path).ok()?;
    let target = target.display();
    Some(match fs::metadata(path) {
        Ok(_) => format!("a symbolic link of this name points to {target}, which is a file"),
        Err(_) => format!("a symbolic link of this name points to {target}, which does not exist"),
    })
}

/// Makes the names of a directory and of those above it durable, up to where its file system
/// begins: what is in a directory that a power loss takes away is lost with it.
///
/// # Errors
/// What the disk gave.
pub(super) fn sync_names(path: &Path) -> io::Result<()> {
    let directory = Directory::open(path)?;
    sync_names_by(path, |parent| match Directory::open(parent) {
        Ok(parent) => parent.sync(),
        // To pass through a directory one need not be allowed to list it.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            directory.sync_all_of_them()
        }
        Err(error) => Err(error),
    })
}

fn sync_names_by(path: &Path, mut sync: impl FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let device = fs::metadata(&path)?.dev();
    for parent in path.ancestors().skip(1) {
        if fs::metadata(parent)?.dev() != device {
            break;
        }
        sync(parent)?;
    }
    Ok(())
}

/// Takes away what others may do in a directory, which holds every value in plain text. Where that
/// fails a warning is logged, and the directory is used unchanged: its mode is up to the operator.
///
/// # Errors
/// What the system gave.
pub(super) fn restrict(path: &Path) -> io::Result<()> {
    let mode = fs::metadata(path)?.mode() & 0o7777;
    if mode & OTHERS == 0 {
        return Ok(());
    }
    let error = if mode & STICKY != 0 {
        "it is a shared directory".to_owned()
    } else {
        match fs::set_permissions(path, Permissions::from_mode(mode & !OTHERS)) {
            Ok(()) => return Ok(()),
            Err(error) if is_refusal(&error) => error.to_string(),
            Err(error) => return Err(error),
        }
    };
    notice!(
        DirectoryOpen,
        "",
        "{} (mode {mode:04o}), and its mode cannot be \
         changed: {error}; its files are created readable by this user only",
        path.display()
    );
    Ok(())
}

/// Whether a change of permissions was refused by whom the directory belongs to.
fn is_refusal(error: &io::Error) -> bool {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem, Unsupported};
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem | Unsupported)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::disk::tests::Scratch;
    use std::path::PathBuf;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it is there").mode() & 0o7777
    }

    #[test]
    fn what_is_made_is_for_this_user_alone_and_what_is_there_stays_as_it_is() {
        let scratch = Scratch::new("made");
        fs::create_dir(scratch.path()).expect("the disk works");
        fs::set_permissions(scratch.path(), Permissions::from_mode(0o755)).expect("it is ours");
        let deep = scratch.path().join("new/deeper");
        make(&deep).expect("the disk works");
        make(&deep).expect("it is there");
        assert_eq!((mode(&deep), mode(&scratch.path().join("new"))), (0o700, 0o700));
        assert_eq!(mode(scratch.path()), 0o755);
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        let scratch = Scratch::new("obstacle");
        fs::create_dir(scratch.path()).expect("the disk works");
        let at = |name: &str| scratch.path().join(name);
        fs::write(at("file"), "").expect("the disk works");
        std::os::unix::fs::symlink("nowhere", at("dangling")).expect("the disk works");
        std::os::unix::fs::symlink("file", at("to-file")).expect("the disk works");
        for (name, want) in [
            ("file", "a file of this name exists"),
            ("file/below", "a part of the path is a file"),
            ("dangling", "symbolic link of this name points to nowhere, which does not exist"),
            (
                "dangling/below",
                "symbolic link of this name points to nowhere, which does not exist",
            ),
            ("to-file", "symbolic link of this name points to file, which is a file"),
        ] {
            let refusal = make(&at(name)).expect_err("it is no directory");
            assert!(refusal.contains(want), "{name}: {refusal}");
        }
        std::os::unix::fs::symlink(".", at("to-directory")).expect("the disk works");
        make(&at("to-directory")).expect("a link to a directory is one");
    }

    #[test]
    fn the_names_of_all_directories_above_are_synced() {
        let scratch = Scratch::new("synced");
        let deep = scratch.path().join("new/deeper/d");
        make(&deep).expect("the disk works");
        let mut synced: Vec<PathBuf> = Vec::new();
        let record = |parent: &Path| {
            synced.push(parent.to_owned());
            Ok(())
        };
        sync_names_by(&deep, record).expect("the disk works");
        let real = fs::canonicalize(scratch.path()).expect("it is there");
        let above = real.parent().expect("it is in a directory").to_owned();
        let want = [real.join("new/deeper"), real.join("new"), real, above];
        assert_eq!(synced.get(..4), Some(&want[..]));
        sync_names(&deep).expect("the disk works");
        // What one of them says is heard.
        let error = sync_names_by(&deep, |_| Err(io::Error::from_raw_os_error(5)));
        assert_eq!(error.expect_err("it failed").raw_os_error(), Some(5));
    }

    #[test]
    fn others_lose_what_they_may_do_and_nothing_else_changes() {
        let scratch = Scratch::new("restricted");
        fs::create_dir(scratch.path()).expect("the disk works");
        for (before, after) in
            [(0o755, 0o700), (0o2770, 0o2700), (0o700, 0o700), (0o500, 0o500), (0o1777, 0o1777)]
        {
            fs::set_permissions(scratch.path(), Permissions::from_mode(before)).expect("ours");
            restrict(scratch.path()).expect("it is ours");
            assert_eq!(mode(scratch.path()), after, "{before:o}");
        }
    }

    #[test]
    fn a_directory_is_locked_by_one_at_a_time() {
        let scratch = Scratch::new("locked");
        fs::create_dir(scratch.path()).expect("the disk works");
        let [first, second] = [(); 2].map(|()| Directory::open(scratch.path()).expect("there"));
        assert!(first.try_lock() && !second.try_lock());
        drop(first);
        assert!(second.try_lock());
    }
}
