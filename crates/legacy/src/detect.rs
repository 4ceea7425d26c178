//! What lies in a directory or a file?

use crate::{Error, NoData, lines, v2};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// A directory whose files can be read.
#[derive(Debug)]
pub(crate) enum DirKind {
    /// 0.2 to 0.4.
    V04(PathBuf),
    /// 2.0 to 3.5.
    V2(v2::Layout),
}

/// A file that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// The answer of 0.4.9 to `/v2/migration/snapshot`.
    StoreJson,
    /// A snapshot of 0.2 to 0.4.
    V04Snapshot,
    /// A snapshot of 2.x or 3.x.
    V2Snapshot,
    /// Nodes as lines of JSON.
    Lines,
}

/// Tells the layout of a directory. The first of these that is found decides: a directory that 2.0
/// converted in place still has the older files of 0.4 in it.
pub(crate) fn dir(path: &Path, wal_dir: Option<&Path>) -> Result<DirKind, Error> {
    fs::read_dir(path).map_err(|error| Error::io(path, error))?;
    let layout = |member: &Path, wal: PathBuf| {
        let snap = member.join("snap");
        Ok(DirKind::V2(v2::Layout { dir: path.to_owned(), wal, snap }))
    };
    for member in [path.join("member"), path.to_owned()] {
        let (wal, has_snap) = (member.join("wal"), member.join("snap").is_dir());
        if let Some(elsewhere) = wal_dir.filter(|_| has_snap) {
            return layout(&member, elsewhere.to_owned());
        }
        if has_file(&wal, "wal")? {
            return layout(&member, wal);
        }
        // Snapshots of 2.x and 3.x are made after thousands of writes, so that there may be none.
        if has_snap && !path.join("log").is_file() {
            return Err(Error::WalElsewhere(path.to_owned()));
        }
    }
    if wal_dir.is_some() {
        let what = format!("--wal-dir: {} has no member/snap or snap", path.display());
        return Err(Error::Options(what));
    }
    dir_of_v04(path)
}

fn dir_of_v04(path: &Path) -> Result<DirKind, Error> {
    let log_len = fs::metadata(path.join("log")).ok().filter(fs::Metadata::is_file);
    let log_len = log_len.map(|metadata| metadata.len());
    let standby = path.join("standby_info");
    let has_data = log_len.is_some_and(|len| len > 0) || has_file(&path.join("snapshot"), "ss")?;
    if has_data {
        return Ok(DirKind::V04(path.to_owned()));
    }
    let no_data = |why| Err(Error::NoData { path: path.to_owned(), why });
    if standby.is_file() {
        return no_data(NoData::Standby(crate::v04::standby_members(&standby)));
    }
    if path.join("proxy").is_dir() {
        return no_data(NoData::Proxy);
    }
    if log_len.is_some() && (path.join("conf").is_file() || path.join("snapshot").is_dir()) {
        return no_data(NoData::NoKeys { older: None });
    }
    Err(Error::UnknownDir(path.to_owned()))
}

/// Whether a directory exists and has a file with this extension.
fn has_file(dir: &Path, extension: &str) -> Result<bool, Error> {
    if !dir.is_dir() {
        return Ok(false);
    }
    let entries = fs::read_dir(dir).map_err(|error| Error::io(dir, error))?;
    for entry in entries {
        let path = entry.map_err(|error| Error::io(dir, error))?.path();
        if path.extension().is_some_and(|found| found == extension) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Where a v3 backend has its magic number, and the number.
const V3_MAGIC: (usize, [u8; 4]) = (16, [0xed, 0xda, 0x0c, 0xed]);

/// Tells what a file is from its first bytes.
pub(crate) fn file(path: &Path) -> Result<FileKind, Error> {
    let mut head = Vec::new();
    let opened = File::open(path).and_then(|file| file.take(64).read_to_end(&mut head));
    opened.map_err(|error| Error::io(path, error))?;
    let unknown =
        |what: &str| Err(Error::UnknownFile { path: path.to_owned(), what: what.to_owned() });
    let (at, magic) = V3_MAGIC;
    if head.get(at..at + magic.len()) == Some(&magic) {
        return Err(Error::NoData { path: path.to_owned(), why: NoData::V3Backend });
    }
    match head.as_slice() {
        head if lines::begins(head) => Ok(FileKind::Lines),
        [b'{', ..] => Ok(FileKind::StoreJson),
        [0x1f, 0x8b, ..] => unknown("it is compressed by gzip: unpack it first"),
        head if is_v04_snapshot(head) => Ok(FileKind::V04Snapshot),
        [0x08, rest @ ..] if is_v2_snapshot(rest) => Ok(FileKind::V2Snapshot),
        [] => unknown("it is empty"),
        _ => unknown(
            "it is none of a snapshot of etcd 0.2 to 0.4 (.ss) or 2.0 to 3.5 (.snap), the JSON of \
             a store, a backup of Stead and its nodes as lines of JSON",
        ),
    }
}

fn is_checksum(bytes: &[u8]) -> bool {
    bytes.len() == 8 && bytes.iter().all(u8::is_ascii_hexdigit)
}

fn is_v04_snapshot(head: &[u8]) -> bool {
    let Some((sum, rest)) = head.split_at_checked(8) else { return false };
    is_checksum(sum) && rest.starts_with(b"\n{")
}

/// Whether a varint and the tag of the second field follow the tag of the first.
fn is_v2_snapshot(rest: &[u8]) -> bool {
    let len = rest.iter().take(10).position(|byte| byte & 0x80 == 0);
    len.is_some_and(|len| rest.get(len + 1) == Some(&0x12))
}
