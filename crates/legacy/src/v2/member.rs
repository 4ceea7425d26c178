//! The directory of one member: which snapshot to begin with, and the log behind it.
//!
//! A snapshot counts if it is sound, if the log has a record of it, and if it is not above the
//! commit index: a crash can leave a newer file. Whatever the old servers do, nothing is renamed
//! or repaired here.

use super::log::Log;
use super::segment::Segment;
use super::snap::{SnapName, Snapshot};
use crate::{Error, Options, Warning};
use std::fs;
use std::path::{Path, PathBuf};

/// Where the files of a member are.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// The directory that was named.
    pub(crate) dir: PathBuf,
    pub(crate) wal: PathBuf,
    pub(crate) snap: PathBuf,
}

/// What was read of a member.
#[derive(Debug)]
pub(super) struct MemberData {
    pub(super) dir: PathBuf,
    pub(super) snapshot: Option<(SnapName, Snapshot)>,
    pub(super) log: Log,
    pub(super) warnings: Vec<Warning>,
    /// Sound snapshots that are older than the one that counts.
    pub(super) older: Vec<SnapName>,
}

impl MemberData {
    /// The raft index that the replay begins behind.
    pub(super) fn base(&self) -> u64 {
        self.snapshot.as_ref().map_or(0, |(name, _)| name.index)
    }

    /// Term and index of the last entry, or of the snapshot.
    pub(super) fn last(&self) -> (u64, u64) {
        let base = self.snapshot.as_ref().map_or((0, 0), |(name, _)| (name.term, name.index));
        self.log.entries.last().map_or(base, |entry| (entry.term, entry.index))
    }
}

/// Reads a member's directory.
pub(super) fn read(layout: &Layout, options: &Options) -> Result<MemberData, Error> {
    let segments = list_segments(&layout.wal)?;
    if !options.live {
        segments.iter().try_for_each(|segment| crate::lock::check(&segment.path, &layout.dir))?;
    }
    let names = list_snapshots(&layout.snap)?;
    let mut search = Search { layout, options, segments: &segments, warnings: Vec::new() };
    for (at, name) in names.iter().enumerate() {
        if let Some((snapshot, log)) = search.try_snapshot(name)? {
            let older = names.get(at + 1..).unwrap_or_default().to_vec();
            return Ok(search.member(Some((name.clone(), snapshot)), log, older));
        }
    }
    let first = segments.first().map_or(0, |segment| segment.seq);
    if first > 0 {
        let what = format!(
            "the write-ahead log begins with segment {first}, and no snapshot can be used to begin \
             with{}",
            search.ignored()
        );
        return Err(Error::Missing { path: layout.dir.clone(), what, snapshot: None });
    }
    let log = Log::read(&segments, 0, options)?;
    search.check(&log)?;
    Ok(search.member(None, log, Vec::new()))
}

struct Search<'a> {
    layout: &'a Layout,
    options: &'a Options,
    segments: &'a [Segment],
    warnings: Vec<Warning>,
}

impl Search<'_> {
    fn ignore(&mut self, name: &SnapName, why: impl Into<String>) {
        let file = name.path.clone();
        self.warnings.push(Warning::SnapshotIgnored { file, why: why.into() });
    }

    /// The snapshots that were passed over, for a message.
    fn ignored(&self) -> String {
        self.warnings.iter().map(|warning| format!(" ({warning})")).collect()
    }

    /// Reads a snapshot and the log behind it, if the snapshot counts.
    fn try_snapshot(&mut self, name: &SnapName) -> Result<Option<(Snapshot, Log)>, Error> {
        let snapshot = match Snapshot::read(&name.path) {
            Ok(snapshot) => snapshot,
            Err(Error::Damage { damage, .. }) => {
                self.ignore(name, damage.to_string());
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let position = (snapshot.index, snapshot.term);
        if position != (name.index, name.term) {
            self.ignore(name, "its name tells another index or term than its content");
            return Ok(None);
        }
        let start = self.segments.iter().rposition(|segment| segment.first <= snapshot.index);
        let Some(segments) = start.and_then(|start| self.segments.get(start..)) else {
            let what = format!(
                "no segment of the write-ahead log reaches down to {}{}",
                name.path.display(),
                self.ignored()
            );
            return Err(self.missing(name, what));
        };
        let log = Log::read(segments, snapshot.index, self.options)?;
        let is_recorded = log.snapshots.contains(&position);
        if !is_recorded && log.entries.is_empty() && log.highest < snapshot.index {
            let what = format!(
                "{} is of raft index {}, but the write-ahead log ends with {} and has no record of \
                 it: segments are missing",
                name.path.display(),
                snapshot.index,
                log.highest
            );
            return Err(self.missing(name, what));
        }
        if !is_recorded {
            self.ignore(name, "the write-ahead log has no record of it");
            return Ok(None);
        }
        if snapshot.index > log.state.commit {
            self.ignore(name, "it is above the recorded commit index");
            return Ok(None);
        }
        self.check(&log)?;
        Ok(Some((snapshot, log)))
    }

    /// Refuses a log that lacks entries.
    fn check(&self, log: &Log) -> Result<(), Error> {
        let what = match log.gap() {
            Some(gap) => gap.what.clone(),
            None if log.is_cut_short() && !self.options.accept_damage => format!(
                "the recorded commit index is {}, but the log ends with raft index {}",
                log.state.commit,
                log.last_index()
            ),
            None => return Ok(()),
        };
        let what = format!("{what}{}", self.ignored());
        Err(Error::Missing { path: self.layout.dir.clone(), what, snapshot: None })
    }

    fn missing(&self, name: &SnapName, what: String) -> Error {
        let snapshot = Some(name.path.clone());
        Error::Missing { path: self.layout.dir.clone(), what, snapshot }
    }

    fn member(
        mut self,
        snapshot: Option<(SnapName, Snapshot)>,
        mut log: Log,
        older: Vec<SnapName>,
    ) -> MemberData {
        self.warnings.append(&mut log.warnings);
        let (dir, warnings) = (self.layout.dir.clone(), self.warnings);
        MemberData { dir, snapshot, log, warnings, older }
    }
}

/// The segments in their order, without gaps. Other files are leftovers.
fn list_segments(dir: &Path) -> Result<Vec<Segment>, Error> {
    let mut segments: Vec<Segment> =
        list(dir)?.iter().filter_map(|path| Segment::parse(path)).collect();
    segments.sort_by_key(|segment| segment.seq);
    for pair in segments.windows(2) {
        if let [one, next] = pair
            && one.seq.checked_add(1) != Some(next.seq)
        {
            let what = format!("there is no segment between {} and {}", one.seq, next.seq);
            return Err(Error::Missing { path: dir.to_owned(), what, snapshot: None });
        }
    }
    if segments.is_empty() {
        return Err(Error::WalElsewhere(dir.to_owned()));
    }
    Ok(segments)
}

/// The snapshots, the newest first.
fn list_snapshots(dir: &Path) -> Result<Vec<SnapName>, Error> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let mut names: Vec<SnapName> =
        list(dir)?.iter().filter_map(|path| SnapName::parse(path)).collect();
    names.sort();
    names.reverse();
    Ok(names)
}

fn list(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(dir).map_err(|error| Error::io(dir, error))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    paths.collect::<Result<_, _>>().map_err(|error| Error::io(dir, error))
}
