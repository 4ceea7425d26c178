//! What a power loss leaves at its strictest: contents that were synced, and names in directories
//! that were synced. `crates/torture/src/shim.c` keeps account of both.

use crate::place::{make_dir, run, text};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const SHIM: &str = include_str!("../../crates/torture/src/shim.c");

/// An account of what was synced on one file system.
pub(crate) struct Shadow {
    library: PathBuf,
    folder: PathBuf,
}

impl Shadow {
    /// Builds the library, and begins an account without anything in it.
    ///
    /// # Errors
    /// What is missing.
    pub(crate) fn new(root: &Path) -> Result<Self, String> {
        let shadow = Self { library: root.join("shim.so"), folder: root.join("shadow") };
        let source = root.join("shim.c");
        fs::write(&source, SHIM).map_err(|error| format!("{}: {error}", source.display()))?;
        let (library, source) = (text(&shadow.library), text(&source));
        run("gcc", &["-O1", "-shared", "-fPIC", "-o", &library, &source, "-ldl", "-lpthread"])?;
        make_dir(&shadow.folder)?;
        Ok(shadow)
    }

    /// What lets a program keep the account.
    pub(crate) fn prefix(&self) -> Vec<String> {
        let absolute = |path: &Path| text(&fs::canonicalize(path).unwrap_or(path.to_owned()));
        vec![
            "env".to_owned(),
            format!("LD_PRELOAD={}", absolute(&self.library)),
            format!("STEAD_TORTURE_SHADOW={}", absolute(&self.folder)),
        ]
    }

    /// Makes a directory what the account says of it.
    ///
    /// # Errors
    /// What cannot be read or written.
    pub(crate) fn restore(&self, root: &Path) -> Result<(), String> {
        let fresh =
            Self { library: self.library.clone(), folder: self.folder.with_extension("new") };
        // What earlier power losses left is not needed any more.
        let _ = fs::remove_dir_all(&fresh.folder);
        make_dir(&fresh.folder)?;
        let inode = inode(root)?;
        let durable = root.join(".durable");
        make_dir(&durable)?;
        self.restore_dir(inode, &durable, &fresh)?;
        let failed = |error: std::io::Error| format!("{}: {error}", root.display());
        for entry in fs::read_dir(root).map_err(failed)?.flatten() {
            match entry.path() {
                path if path == durable => Ok(()),
                path if path.is_dir() => fs::remove_dir_all(path),
                path => fs::remove_file(path),
            }
            .map_err(failed)?;
        }
        for entry in fs::read_dir(&durable).map_err(failed)?.flatten() {
            fs::rename(entry.path(), root.join(entry.file_name())).map_err(failed)?;
        }
        fs::remove_dir(&durable).map_err(failed)?;
        fresh.note_names(root)?;
        fs::remove_dir_all(&self.folder).map_err(failed)?;
        fs::rename(&fresh.folder, &self.folder).map_err(failed)
    }

    fn restore_dir(&self, inode: u64, to: &Path, fresh: &Self) -> Result<(), String> {
        let names = fs::read_to_string(self.folder.join(format!("dir-{inode}")));
        // A directory that was never synced has no names.
        for line in names.unwrap_or_default().lines() {
            let mut words = line.splitn(3, ' ');
            let (Some(kind), Some(inode), Some(name)) = (words.next(), words.next(), words.next())
            else {
                return Err(format!("an account of names that cannot be read: {line}"));
            };
            if name == ".durable" {
                continue;
            }
            let path = to.join(name);
            let inode = inode.parse().map_err(|error| format!("{line}: {error}"))?;
            if kind == "d" {
                make_dir(&path)?;
                self.restore_dir(inode, &path, fresh)?;
            } else {
                self.restore_file(inode, &path, fresh)?;
            }
        }
        fresh.note_names(to)
    }

    fn restore_file(&self, inode_before: u64, path: &Path, fresh: &Self) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let content = self.folder.join(format!("file-{inode_before}"));
        if content.exists() {
            fs::copy(&content, path).map_err(failed)?;
        } else {
            // Its name was durable, and its content was not.
            fs::write(path, "").map_err(failed)?;
        }
        let kept = fresh.folder.join(format!("file-{}", inode(path)?));
        fs::copy(path, kept).map(|_| ()).map_err(failed)
    }

    /// Notes the names that a directory has now.
    fn note_names(&self, dir: &Path) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("{}: {error}", dir.display());
        let mut text = String::new();
        for entry in fs::read_dir(dir).map_err(failed)?.flatten() {
            let kind = if entry.path().is_dir() { 'd' } else { 'f' };
            let name = entry.file_name();
            text += &format!("{kind} {} {}\n", inode(&entry.path())?, name.to_string_lossy());
        }
        fs::write(self.folder.join(format!("dir-{}", inode(dir)?)), text).map_err(failed)
    }
}

fn inode(path: &Path) -> Result<u64, String> {
    let found = fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(found.ino())
}
