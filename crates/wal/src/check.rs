//! Looking a data directory over without changing it.

use crate::disk::Disk;
use crate::error::Error;
use crate::recover;
use crate::snapshot::{SnapshotReader, list_snapshots};

/// What a data directory holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Each snapshot: its name, and the bytes in it or what is wrong with it.
    pub snapshots: Vec<(String, Result<u64, String>)>,
    /// Each log segment: its name, how many records it holds, and where they end.
    pub segments: Vec<(String, u64, u64)>,
    /// Why the log would not be opened.
    pub log_error: Option<String>,
}

impl Report {
    /// Whether a server would start from this directory.
    pub fn is_sound(&self) -> bool {
        self.log_error.is_none() && self.snapshots.last().is_some_and(|(_, result)| result.is_ok())
    }
}

/// Reads every record and every snapshot of a directory.
///
/// # Errors
/// [`Error::Io`] when the directory itself cannot be read.
pub fn check<D: Disk>(disk: &D) -> Result<Report, Error> {
    let mut report = Report::default();
    for name in list_snapshots(disk)? {
        let result = SnapshotReader::open(disk, &name).and_then(SnapshotReader::verify);
        report.snapshots.push((name, result.map_err(|error| error.to_string())));
    }
    let mut segments = Vec::new();
    for (first_seq, name) in recover::segment_names(disk)? {
        segments.push(recover::scan(disk, None, &name, first_seq)?);
    }
    for segment in &segments {
        let records = segment.records.len() as u64;
        report.segments.push((segment.name.clone(), records, segment.end as u64));
    }
    report.log_error = recover::judge(&segments, None).err().map(|error| error.to_string());
    Ok(report)
}
