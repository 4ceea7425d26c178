//! The beginning of a log, and telling a directory in which nothing was begun.

use crate::disk::{Disk, DiskFile};
use crate::error::{Context, Error, Named};
use crate::log::{Options, Wal};
use crate::scan::{read_full_at, segment_names};
use crate::segment::{self, HEADER_LEN, MAGIC, RECORD_HEADER_LEN};
use crate::seq::Seq;
use crate::snapshot;
use std::io;

/// The bytes of the first segment. Its first record is all that must fit into it.
const FIRST_SEGMENT_BYTES: u64 = 4 << 10;

/// What the header and an empty first record take up.
const BEGUN_BYTES: usize = (HEADER_LEN + RECORD_HEADER_LEN) as usize;

/// Begins the log of a directory in which [`is_empty`] finds nothing: its first record, which says
/// nothing, is durable when this returns. A snapshot that gets its name afterwards can rely on
/// there being a log.
///
/// # Errors
/// What the disk gave, with the file; [`Error::Full`] when there is no room; `AlreadyExists` when
/// the directory is not empty: nothing was changed then.
pub fn begin<D: Disk>(disk: &D, log_id: u64) -> Result<Seq, Error> {
    if !is_empty(disk)? {
        let source = io::Error::from(io::ErrorKind::AlreadyExists);
        return Err(source).context("begin a log in", "the data directory, which has one");
    }
    for (_, name) in segment_names(disk)? {
        // It was begun before, by a process that died then.
        disk.remove(&name).context("remove", &name)?;
    }
    let options = Options { segment_bytes: FIRST_SEGMENT_BYTES, spares_max: 0 };
    let (mut wal, _) = Wal::open(disk.clone(), log_id, Seq(0), options)?;
    let seq = wal.append(0, &[])?;
    wal.sync()?;
    Ok(seq)
}

/// Whether the directory holds neither snapshot nor log. A log in which nothing was ever written
/// but what [`begin`] writes counts as none: the process died before the snapshot had its name.
///
/// # Errors
/// What the disk gave, with the file.
pub fn is_empty<D: Disk>(disk: &D) -> io::Result<bool> {
    let names = disk.list().named("list", "the data directory")?;
    if names.iter().any(|name| snapshot::parse_name(name).is_some()) {
        return Ok(false);
    }
    let mut segments = names.iter().filter(|name| segment::parse_name(name).is_some());
    match (segments.next(), segments.next()) {
        (None, _) => Ok(true),
        (Some(only), None) if *only == segment::name(1) => {
            disk.open(only).and_then(|file| is_unused(&file)).named("read", only)
        }
        _ => Ok(false),
    }
}

/// Whether a file holds at most what [`begin`] writes, or a part of it.
fn is_unused<F: DiskFile>(file: &F) -> io::Result<bool> {
    let mut buf = vec![0; 64 << 10];
    let read = read_full_at(file, &mut buf, 0)?;
    let (start, _) = buf.split_at(read.min(BEGUN_BYTES));
    let mut used = start.split(|byte| *byte == 0);
    let is_begun = start.starts_with(&MAGIC)
        || used.next().is_some_and(|magic| MAGIC.starts_with(magic)) && used.all(<[u8]>::is_empty);
    let (mut at, mut read) = (0, read);
    let mut from = start.len();
    loop {
        let piece = buf.get(from..read).expect("no more is read than the buffer holds");
        if !is_begun || piece.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        if read < buf.len() {
            return Ok(true);
        }
        at += read as u64;
        (read, from) = (read_full_at(file, &mut buf, at)?, 0);
    }
}
