//! What a power loss leaves at its strictest: contents that were synced, and names in directories
//! that were synced. `shim.c` keeps account of both while a server runs.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Where the durable files are put together before they take the place of the others.
const DURABLE: &str = ".durable";

/// An account of what was synced below one directory.
#[derive(Clone, Debug)]
pub(crate) struct Shadow {
    folder: PathBuf,
}

impl Shadow {
    /// Begins an account in `folder` without anything in it.
    ///
    /// # Errors
    /// What the disk gave.
    pub(crate) fn new(folder: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        Ok(Self { folder: fs::canonicalize(folder)? })
    }

    /// What `STEAD_TORTURE_SHADOW` is to say.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes what is below a directory what the account says of it. Nobody uses it meanwhile.
    ///
    /// # Errors
    /// What the disk gave, or an account that cannot be read.
    pub(crate) fn restore(&self, root: &Path) -> io::Result<()> {
        let fresh = Self { folder: self.folder.with_extension("new") };
        let durable = root.join(DURABLE);
        for left in [&fresh.folder, &durable] {
            if left.exists() {
                fs::remove_dir_all(left)?;
            }
            fs::create_dir(left)?;
        }
        self.restore_dir(&id(root)?, &durable, &fresh)?;
        for entry in fs::read_dir(root)? {
            match entry?.path() {
                path if path == durable => {}
                path if path.is_dir() => fs::remove_dir_all(path)?,
                path => fs::remove_file(path)?,
            }
        }
        for entry in fs::read_dir(&durable)? {
            let entry = entry?;
            fs::rename(entry.path(), root.join(entry.file_name()))?;
        }
        fs::remove_dir(&durable)?;
        // What is there now is durable, and so is every name of it.
        fresh.note_names(root)?;
        fs::remove_dir_all(&self.folder)?;
        fs::rename(&fresh.folder, &self.folder)
    }

    fn restore_dir(&self, id: &str, to: &Path, fresh: &Self) -> io::Result<()> {
        let names = match fs::read_to_string(self.folder.join(format!("dir-{id}"))) {
            // A directory that was never synced has no names.
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            names => names?,
        };
        for line in names.lines() {
            let mut words = line.splitn(3, ' ');
            let (Some(kind), Some(id), Some(name)) = (words.next(), words.next(), words.next())
            else {
                return Err(io::Error::other(format!("no line of an account: {line}")));
            };
            let path = to.join(name);
            match kind {
                _ if name == DURABLE => {}
                "d" => {
                    fs::create_dir(&path)?;
                    self.restore_dir(id, &path, fresh)?;
                }
                _ => self.restore_file(id, &path, fresh)?,
            }
        }
        fresh.note_names(to)
    }

    fn restore_file(&self, id_before: &str, path: &Path, fresh: &Self) -> io::Result<()> {
        let content = self.folder.join(format!("file-{id_before}"));
        if content.exists() {
            fs::copy(&content, path)?;
        } else {
            // Its name was durable, and its content was not.
            fs::write(path, "")?;
        }
        fs::copy(path, fresh.folder.join(format!("file-{}", id(path)?))).map(|_| ())
    }

    /// Notes the names that a directory has now.
    ///
    /// # Errors
    /// What the disk gave.
    pub(crate) fn note_names(&self, dir: &Path) -> io::Result<()> {
        let mut text = String::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let kind = if entry.path().is_dir() { 'd' } else { 'f' };
            let name = entry.file_name();
            text += &format!("{kind} {} {}\n", id(&entry.path())?, name.to_string_lossy());
        }
        fs::write(self.folder.join(format!("dir-{}", id(dir)?)), text)
    }
}

/// What tells a file from all others, those that had its number before included.
///
/// # Errors
/// What the disk gave.
pub(crate) fn id(path: &Path) -> io::Result<String> {
    let found: Metadata = fs::symlink_metadata(path)?;
    let born = found.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let born = born.unwrap_or_default();
    Ok(format!("{}-{}-{}", found.ino(), born.as_secs(), born.subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_synced_comes_back() {
        let root = std::env::temp_dir().join(format!("stead-shadow-{}", std::process::id()));
        let disk = root.join("disk");
        fs::create_dir_all(disk.join("data")).expect("the disk works");
        let shadow = Shadow::new(root.join("shadow")).expect("the disk works");
        let at = |name: &str| disk.join("data").join(name);
        // As the library does it at a sync.
        let sync = |name: &str| {
            let id = id(&at(name)).expect("it is there");
            fs::copy(at(name), shadow.folder().join(format!("file-{id}"))).expect("it works");
        };
        for name in ["kept", "emptied"] {
            fs::write(at(name), "1").expect("the disk works");
        }
        sync("kept");
        shadow.note_names(&disk.join("data")).expect("the disk works");
        shadow.note_names(&disk).expect("the disk works");
        fs::write(at("kept"), "2").expect("the disk works");
        fs::write(at("lost"), "1").expect("the disk works");
        sync("lost");
        for _ in 0..2 {
            shadow.restore(&disk).expect("the disk works");
            let content = |name: &str| fs::read_to_string(at(name)).ok();
            assert_eq!(content("kept").as_deref(), Some("1"));
            assert_eq!(content("emptied").as_deref(), Some(""));
            assert_eq!(content("lost"), None);
        }
        fs::remove_dir_all(root).expect("the disk works");
    }
}
