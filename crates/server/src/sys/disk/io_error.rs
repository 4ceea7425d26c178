//! I/O errors as messages for operators: which call, which file and what to do.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How often a call that a signal interrupts is tried again. Local file systems never come to it;
/// those over a network or in user space may.
pub(super) const INTERRUPTS_MAX: u32 = 100;

/// Makes a call again when a signal interrupted it.
pub(super) fn again<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 0..INTERRUPTS_MAX {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
    call()
}

/// An error of a call on a path; its kind stays.
pub(super) fn of_path(call: &str, path: &Path, error: &io::Error) -> io::Error {
    let remedy = remedy(path, error).map_or(String::new(), |remedy| format!("; {remedy}"));
    io::Error::new(error.kind(), format!("{call} {}: {error}{remedy}", path.display()))
}

/// An error of a call on an open file, which may have got another name since it was opened.
pub(super) fn of_file(call: &str, file: &File, error: &io::Error) -> io::Error {
    match find_name(file) {
        Some(path) => of_path(call, &path, error),
        None => io::Error::new(error.kind(), format!("{call}: {error}")),
    }
}

fn find_name(file: &File) -> Option<PathBuf> {
    fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()
}

/// An error of a call on the data directory itself, with what to do about it.
pub(super) fn explain(path: &Path, error: &io::Error) -> String {
    let remedy = remedy(path, error);
    let remedy = remedy.unwrap_or_else(|| "give another one with -data-dir".to_owned());
    format!("{error}; {remedy}")
}

fn remedy(path: &Path, error: &io::Error) -> Option<String> {
    /// `EIO`, the error of a broken disk, which has no `ErrorKind` of its own.
    const EIO: Option<i32> = Some(rustix::io::Errno::IO.raw_os_error());
    match error.kind() {
        io::ErrorKind::PermissionDenied => find_owner(path),
        io::ErrorKind::ReadOnlyFilesystem => {
            Some("it is on a file system that is mounted read-only: mount it for writing".into())
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some("free some room, or raise the quota".into())
        }
        io::ErrorKind::NotADirectory => Some("a part of the path is a file".into()),
        _ if error.raw_os_error() == EIO => Some("the disk failed: see the system's log".into()),
        _ => None,
    }
}

/// Who owns the next thing that is there on the way up, and who asks.
fn find_owner(path: &Path) -> Option<String> {
    let (found, metadata) = path
        .ancestors()
        .map(|path| if path.as_os_str().is_empty() { Path::new(".") } else { path })
        .find_map(|path| Some((path, fs::metadata(path).ok()?)))?;
    Some(format!(
        "{} belongs to user {}, group {}, with mode {:04o}, and this process runs as user {}, \
         group {}",
        found.display(),
        metadata.uid(),
        metadata.gid(),
        metadata.mode() & 0o7777,
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn call_file_and_remedy_are_told_and_the_kind_stays() {
        let path = std::env::temp_dir();
        for (errno, want) in [
            (Errno::NOSPC, "free some room"),
            (Errno::DQUOT, "raise the quota"),
            (Errno::ROFS, "mount it for writing"),
            (Errno::IO, "the disk failed: see the system's log"),
            (Errno::PERM, "this process runs as user"),
            (Errno::ACCESS, "belongs to user"),
            (Errno::NOENT, "No such file"),
        ] {
            let error = io::Error::from(errno);
            let told = of_path("fsync", &path, &error);
            assert_eq!(told.kind(), error.kind());
            let text = told.to_string();
            let start = format!("fsync {}: ", path.display());
            assert!(text.starts_with(&start) && text.contains(want), "{text}");
        }
        let file = File::open(&path).expect("it is there");
        let told = of_file("fsync", &file, &Errno::IO.into()).to_string();
        assert!(told.starts_with("fsync "), "{told}");
    }

    #[test]
    fn a_call_that_is_interrupted_is_made_again() {
        let mut calls = 0;
        let done = again(|| {
            calls += 1;
            if calls < 4 { Err(Errno::INTR.into()) } else { Ok(calls) }
        });
        assert_eq!(done.expect("the fourth one works"), 4);
        let error = again(|| Err::<(), _>(Errno::INTR.into())).expect_err("it never works");
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
    }
}
