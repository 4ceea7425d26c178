//! Checking a data directory without changing it.

use crate::disk::Disk;
use crate::error::Error;
use crate::recover;
use crate::scan::{Scanned, is_blank, log_id_of, scan, segment_names};
use crate::segment::Header;
use crate::seq::Seq;
use crate::snapshot::{SnapshotReader, list_snapshots};

/// What a data directory holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Each snapshot: its name, and the bytes in it or what is wrong with it.
    pub snapshots: Vec<(String, Result<u64, String>)>,
    /// Each log segment: its name, how many records it holds, and where they end.
    pub segments: Vec<(String, u64, u64)>,
    /// What opening the log would cut off its end: records that were never finished.
    pub cut: Option<String>,
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
    // What the log must reach: by the newest snapshot, from which a start goes on.
    let mut reach = Seq(0);
    let names = segment_names(disk)?;
    for name in list_snapshots(disk)? {
        let opened = SnapshotReader::open(disk, &name);
        reach = opened.as_ref().map_or(Seq(0), SnapshotReader::log_seq);
        let result = opened.and_then(SnapshotReader::verify);
        report.snapshots.push((name, result.map_err(|error| error.to_string())));
    }
    if let Err(error) = check_log(disk, names, reach, &mut report) {
        report.log_error = Some(error.to_string());
    }
    Ok(report)
}

fn check_log<D: Disk>(
    disk: &D,
    names: Vec<(u64, String)>,
    reach: Seq,
    report: &mut Report,
) -> Result<(), Error> {
    let log_id = log_id_of(disk, &names);
    let mut segments = Vec::new();
    for (first_seq, name) in names {
        let segment = scan(disk, log_id.unwrap_or(0), &name, first_seq)?;
        report.segments.push((name, segment.records, segment.end));
        segments.push(segment);
    }
    // Only who knows what the log is called finds records without a header. A check that cannot
    // must not call sound what may be refused at the start.
    if log_id.is_none() {
        segments.iter().try_for_each(|segment| refuse_unless_blank(disk, segment))?;
    }
    let keep = recover::judge(&segments, log_id.unwrap_or(0))?;
    recover::refuse_too_short(&segments, keep, reach)?;
    report.cut = recover::find_cut(&segments, keep).map(|cut| cut.to_string());
    Ok(())
}

fn refuse_unless_blank<D: Disk>(disk: &D, segment: &Scanned) -> Result<(), Error> {
    if matches!(segment.header, Header::Unknown(_)) || is_blank(disk, &segment.name)? {
        return Ok(());
    }
    Err(Error::Damaged {
        file: segment.name.clone(),
        offset: 0,
        detail: "its header cannot be read, nor that of any other segment".to_owned(),
    })
}
