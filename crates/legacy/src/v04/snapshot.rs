//! Snapshots of 0.2 to 0.4: `snapshot/TERM_INDEX.ss`.
//!
//! ```text
//! CRC-32 (IEEE) of all from offset 9, 8 hexadecimal digits | '\n' | JSON
//! JSON: lastIndex, lastTerm, peers, state: base64 of the store's JSON, path
//! ```
//!
//! See docs/spec/migration.md section 2.4.

use crate::Error;
use crate::model::Tree;
use crate::store_json::{self, Saved};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the JSON begins.
const JSON_AT: usize = 9;

/// A file, as its name describes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SnapshotName {
    pub(super) term: u64,
    pub(super) index: u64,
    pub(super) path: PathBuf,
}

impl SnapshotName {
    pub(super) fn parse(path: &Path) -> Option<Self> {
        let (term, index) = path.file_name()?.to_str()?.strip_suffix(".ss")?.split_once('_')?;
        let (term, index) = (term.parse().ok()?, index.parse().ok()?);
        Some(Self { term, index, path: path.to_owned() })
    }
}

/// A snapshot that was read.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) term: u64,
    pub(super) index: u64,
    pub(super) store: Saved,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SnapshotJson {
    last_index: u64,
    last_term: u64,
    state: String,
}

impl Snapshot {
    /// Reads a file.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let bytes = fs::read(path).map_err(|error| Error::io(path, error))?;
        let (header, json) = bytes
            .split_at_checked(JSON_AT)
            .ok_or_else(|| Error::damage(path, 0, "the snapshot is too short"))?;
        let sum = std::str::from_utf8(header).ok().and_then(|text| text.strip_suffix('\n'));
        let sum = sum.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        if sum != Some(crc32fast::hash(json)) {
            return Err(Error::damage(path, 0, "checksum mismatch of the snapshot"));
        }
        let json: SnapshotJson = serde_json::from_slice(json).map_err(|error| {
            Error::damage(path, JSON_AT as u64, format!("invalid JSON: {error}"))
        })?;
        let state = STANDARD.decode(&json.state).map_err(|error| {
            Error::damage(path, JSON_AT as u64, format!("invalid base64 in \"state\": {error}"))
        })?;
        let store = store_json::read(&state, Tree::of_v04()).map_err(|invalid| {
            let what = format!("{} (byte {} of \"state\")", invalid.what, invalid.offset);
            Error::damage(path, JSON_AT as u64, what)
        })?;
        Ok(Self { term: json.last_term, index: json.last_index, store })
    }
}
