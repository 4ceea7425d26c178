//! Was a bad record at the end of the log a write that was never finished, or is it damage?
//!
//! A crash leaves a file that ends within a record, or, as the blocks of a file may reach the disk
//! in any order, a record with a sector of zeros in it. The old servers take either for unfinished,
//! wherever it is, and drop the rest of the log without a word. But a changed length looks the same
//! and may have thousands of good records behind it. So what follows is searched for records: their
//! checksums run on from one to the next, so that two that fit together are no coincidence.

use super::frame::{HEADER_LEN, HardState, Header, RECORD_BYTES_MAX, Record, kind};
use super::segment::Flaw;
use crate::Error;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// What a disk writes as a whole.
const SECTOR: u64 = 512;

/// The longest rest of a file that is searched; segments end at 64 MB.
const SEARCH_BYTES_MAX: u64 = 256 << 20;

/// What lies behind a bad record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Later {
    /// Records that fit together.
    is_found: bool,
    /// The highest commit index that they record.
    commit: u64,
}

/// A bad record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bad<'a> {
    pub(super) path: &'a Path,
    pub(super) offset: u64,
    pub(super) flaw: Flaw,
    /// The bytes behind its header, as far as they were read.
    pub(super) body: &'a [u8],
    /// The raft index of the last entry before it.
    pub(super) last_good: u64,
}

impl Bad<'_> {
    /// Whether this is an unfinished write, which nobody was told of. The record is in the last
    /// segment.
    pub(super) fn is_torn(&self) -> Result<bool, Error> {
        let rest = self.read_rest()?;
        match self.flaw {
            Flaw::Cut => Ok(!search(&rest).is_found),
            Flaw::TooLong => Ok(false),
            // Records behind it may be of the same unfinished write, unless they tell that what is
            // missing was committed.
            Flaw::Gap => Ok(search(&rest).commit <= self.last_good),
            Flaw::Malformed | Flaw::Checksum => {
                Ok(self.has_empty_sector(&rest) && search(&rest).commit <= self.last_good)
            }
        }
    }

    /// The file from the bad record on.
    fn read_rest(&self) -> Result<Vec<u8>, Error> {
        let mut rest = Vec::new();
        let read = File::open(self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.offset))?;
            file.take(SEARCH_BYTES_MAX).read_to_end(&mut rest)
        });
        read.map_err(|error| Error::io(self.path, error))?;
        Ok(rest)
    }

    /// Whether a sector of the file that the record covers is all zero.
    fn has_empty_sector(&self, rest: &[u8]) -> bool {
        // The first sector may have other records at its front, so that it counts from the data on.
        let start = self.offset + HEADER_LEN;
        let end = start + self.body.len() as u64;
        let mut at = start;
        while at < end {
            let next = (at / SECTOR + 1) * SECTOR;
            let range = usize::try_from(at - self.offset).ok();
            let range = range.zip(usize::try_from(next - self.offset).ok());
            let sector = range.and_then(|(at, next)| rest.get(at..next.min(rest.len())));
            if sector.is_some_and(|sector| sector.iter().all(|byte| *byte == 0)) {
                return true;
            }
            at = next;
        }
        false
    }
}

/// Looks for records behind the first byte.
fn search(rest: &[u8]) -> Later {
    let mut later = Later::default();
    let mut at = 1;
    while let Some(tail) = rest.get(at..).filter(|tail| tail.len() > 16) {
        // A record starts with its type and its checksum.
        let is_likely = matches!(tail.get(8..11), Some([0x08, 1..=5, 0x10]));
        match is_likely.then(|| chain(tail)).flatten() {
            Some((len, commit)) => {
                later.is_found = true;
                later.commit = later.commit.max(commit);
                at += len;
            }
            None => at += 1,
        }
    }
    later
}

/// The records at the front that fit together, if there are two: their length and commit index.
fn chain(bytes: &[u8]) -> Option<(usize, u64)> {
    let (mut len, first) = frame(bytes)?;
    let (mut running, mut commit, mut count) = (first.crc, commit(&first), 1);
    while let Some((more, record)) = bytes.get(len..).and_then(frame) {
        let Some(sum) = record.checksum(Some(running)) else { break };
        commit = commit.max(self::commit(&record));
        (running, len, count) = (sum, len + more, count + 1);
    }
    (count > 1).then_some((len, commit))
}

fn frame(bytes: &[u8]) -> Option<(usize, Record<'_>)> {
    let (header, body) = bytes.split_first_chunk()?;
    let header = Header::decode(*header);
    if header.len == 0 || header.len > RECORD_BYTES_MAX {
        return None;
    }
    let record = Record::decode(body.get(..usize::try_from(header.len).ok()?)?).ok()?;
    let len = usize::try_from(HEADER_LEN + header.body_len()).ok()?;
    ((1..=5).contains(&record.kind) && len <= bytes.len()).then_some((len, record))
}

fn commit(record: &Record<'_>) -> u64 {
    if record.kind != kind::STATE {
        return 0;
    }
    HardState::decode(record.data).map_or(0, |state| state.commit)
}
