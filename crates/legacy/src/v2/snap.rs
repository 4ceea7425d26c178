//! `.snap` files of 2.x and 3.x.
//!
//! ```text
//! 1 varint crc | 2 bytes data; crc is CRC-32C of data
//! data: 1 bytes store JSON | 2 message { 1 conf state | 2 varint index | 3 varint term }
//! conf state: 1 voters | 2 learners
//! ```
//!
//! See docs/spec/migration.md section 3.2.

use crate::Error;
use crate::model::Tree;
use crate::proto::{Fields, Malformed};
use crate::store_json::{self, Saved};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A snapshot file, as its name describes it: `TERM-INDEX.snap`, 16 hexadecimal digits each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SnapName {
    pub(super) term: u64,
    pub(super) index: u64,
    pub(super) path: PathBuf,
}

impl SnapName {
    pub(super) fn parse(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_suffix(".snap")?;
        let (term, index) = super::two_hex(name)?;
        Some(Self { term, index, path: path.to_owned() })
    }
}

/// A snapshot that was read.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) term: u64,
    pub(super) index: u64,
    pub(super) voters: BTreeSet<u64>,
    pub(super) store: Saved,
}

impl Snapshot {
    /// Reads a file.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let bytes = fs::read(path).map_err(|error| Error::io(path, error))?;
        Self::decode(path, &bytes)
    }

    /// Reads the bytes of a file.
    pub(super) fn decode(path: &Path, bytes: &[u8]) -> Result<Self, Error> {
        let invalid = |_| Error::damage(path, 0, "invalid snapshot");
        let (crc, data) = outer(bytes).map_err(invalid)?;
        if data.is_empty() || crc == 0 {
            return Err(Error::damage(path, 0, "the snapshot is empty"));
        }
        if u64::from(crc32c::crc32c(data)) != crc {
            return Err(Error::damage(path, 0, "checksum mismatch of the snapshot"));
        }
        let parts = Parts::decode(data).map_err(invalid)?;
        let at = parts.json.as_ptr().addr().saturating_sub(bytes.as_ptr().addr()) as u64;
        let store = store_json::read(parts.json, Tree::of_v2())
            .map_err(|invalid| Error::damage(path, at + invalid.offset, invalid.what))?;
        Ok(Self { term: parts.term, index: parts.index, voters: parts.voters, store })
    }
}

fn outer(bytes: &[u8]) -> Result<(u64, &[u8]), Malformed> {
    let (mut crc, mut data) = (0, &[][..]);
    for field in Fields::new(bytes) {
        match field? {
            (1, value) => crc = value.number()?,
            (2, value) => data = value.bytes()?,
            _ => {}
        }
    }
    Ok((crc, data))
}

#[derive(Default)]
struct Parts<'a> {
    json: &'a [u8],
    term: u64,
    index: u64,
    voters: BTreeSet<u64>,
}

impl<'a> Parts<'a> {
    fn decode(data: &'a [u8]) -> Result<Self, Malformed> {
        let mut parts = Parts::default();
        for field in Fields::new(data) {
            match field? {
                (1, value) => parts.json = value.bytes()?,
                (2, value) => parts.read_metadata(value.bytes()?)?,
                _ => {}
            }
        }
        Ok(parts)
    }

    fn read_metadata(&mut self, message: &[u8]) -> Result<(), Malformed> {
        for field in Fields::new(message) {
            match field? {
                (1, value) => {
                    for field in Fields::new(value.bytes()?) {
                        if let (1, id) = field? {
                            self.voters.insert(id.number()?);
                        }
                    }
                }
                (2, value) => self.index = value.number()?,
                (3, value) => self.term = value.number()?,
                _ => {}
            }
        }
        Ok(())
    }
}
