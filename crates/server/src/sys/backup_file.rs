//! Backups in a directory: written whole, named when they are durable, the oldest removed.

use crate::http::time::compact;
use replica::Backup;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const SUFFIX: &str = ".backup";

/// Where backups of a machine are kept.
#[derive(Clone, Debug)]
pub(crate) struct BackupDir {
    pub(crate) path: PathBuf,
    /// The machine's name.
    pub(crate) name: String,
    /// How many are kept.
    pub(crate) keep: usize,
}

impl BackupDir {
    /// Writes a backup that was made at this second since 1970, and removes the oldest beyond those
    /// that are kept. Gives its path and its size.
    ///
    /// # Errors
    /// What the disk gave. Nothing is left of the file then, and no older one was removed.
    pub(crate) fn write(&self, backup: &Backup, second: u64) -> io::Result<(PathBuf, u64)> {
        let path = self.path.join(format!("{}{}{SUFFIX}", self.stem(), compact(second)));
        let partial = path.with_extension("partial");
        let written = write_file(&partial, backup).and_then(|bytes| {
            fs::rename(&partial, &path)?;
            File::open(&self.path)?.sync_all()?;
            Ok(bytes)
        });
        if written.is_err() {
            // It may not be there at all.
            let _ = fs::remove_file(&partial);
        }
        let bytes = written?;
        for old in self.names()?.iter().rev().skip(self.keep) {
            fs::remove_file(self.path.join(old))?;
        }
        Ok((path, bytes))
    }

    /// When the latest backup was written that is here, in nanoseconds since 1970.
    pub(crate) fn latest(&self) -> Option<u64> {
        let name = self.names().ok()?.pop()?;
        let modified =
            fs::metadata(self.path.join(name)).and_then(|found| found.modified()).ok()?;
        let since = modified.duration_since(std::time::UNIX_EPOCH).ok()?;
        u64::try_from(since.as_nanos()).ok()
    }

    /// The backups of this machine, the oldest first. Other files are left alone.
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            if let Ok(name) = entry?.file_name().into_string()
                && self.is_own(&name)
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn is_own(&self, name: &str) -> bool {
        let middle = name.strip_prefix(&self.stem()).and_then(|rest| rest.strip_suffix(SUFFIX));
        middle.is_some_and(|time| {
            let is_right = |(at, byte): (usize, u8)| match at {
                8 => byte == b'-',
                _ => byte.is_ascii_digit(),
            };
            time.len() == 15 && time.bytes().enumerate().all(is_right)
        })
    }

    /// What the name of each file begins with: the machine's name, as far as file names may have
    /// it.
    fn stem(&self) -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let plain = self.name.replace(|c: char| !is_plain(c), "_");
        format!("{plain}-")
    }
}

fn write_file(path: &Path, backup: &Backup) -> io::Result<u64> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let file = options.create_new(true).write(true).mode(0o600).open(path)?;
    let mut out = backup.write(BufWriter::new(file))?;
    out.flush()?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    Ok(file.metadata()?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_backups_of_this_machine_are_its_own() {
        let dir = BackupDir { path: PathBuf::new(), name: "m/1".to_owned(), keep: 1 };
        assert!(dir.is_own("m_1-20261130-174500.backup"));
        for name in [
            "m_1-20261130-174500.partial",
            "m_1-a-20261130-174500.backup",
            "m_1-20261130x174500.backup",
            "m_1-2026113-0174500.backup",
            "m_2-20261130-174500.backup",
            "notes.backup",
        ] {
            assert!(!dir.is_own(name), "{name}");
        }
    }
}
