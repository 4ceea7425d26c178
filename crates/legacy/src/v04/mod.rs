//! The data directories of 0.2 to 0.4: a log, and at most a snapshot or two.
//!
//! What is committed? `conf` has a commit index, but it is only written when members join. A sole
//! member applies its whole log when it starts. In a cluster every acknowledged write is on a
//! majority, so that the log that goes furthest of a majority holds all of them.
//!
//! Snapshots have `ModifiedIndex` = `CreatedIndex` for every node: see `store_json::repair`.

mod command;
mod log;
mod snapshot;

use crate::finish::{self, Finish};
use crate::imported::{Extent, Family, Imported, SkipReason, SourceInfo};
use crate::model::Tree;
use crate::store_json::{self, Saved};
use crate::{Damage, Error, Options, Warning};
use command::Rejected;
use log::Log;
use serde::Deserialize;
use snapshot::{Snapshot, SnapshotName};
use std::fs;
use std::path::{Path, PathBuf};

/// What was read of a member.
struct MemberData {
    dir: PathBuf,
    snapshot: Option<(SnapshotName, Snapshot)>,
    log: Log,
    warnings: Vec<Warning>,
}

impl MemberData {
    /// Term and index of the last entry, or of the snapshot.
    fn last(&self) -> (u64, u64) {
        let base = self.snapshot.as_ref().map_or((0, 0), |(_, saved)| (saved.term, saved.index));
        let log = self.log.entries.last().map_or((0, 0), |entry| (entry.term, entry.index));
        base.max(log)
    }
}

/// Reads the directories of one cluster.
pub(crate) fn read(dirs: &[PathBuf], options: &Options) -> Result<Imported, Error> {
    let members: Result<Vec<MemberData>, Error> =
        dirs.iter().map(|dir| read_member(dir, options)).collect();
    let members = members?;
    check_cluster(&members)?;
    let given = members.len();
    let best = members.into_iter().max_by_key(MemberData::last);
    let best = best.ok_or_else(|| Error::Options("no directory was given".to_owned()))?;
    replay(best, given, options)
}

/// Reads a `.ss` file alone.
pub(crate) fn read_snapshot(path: &Path, options: &Options) -> Result<Imported, Error> {
    let snapshot = Snapshot::read(path)?;
    let position = (snapshot.term, snapshot.index);
    finish_alone(path, snapshot.store, Some(position), options)
}

/// Reads the JSON of a store.
pub(crate) fn read_json(path: &Path, options: &Options) -> Result<Imported, Error> {
    let json = fs::read(path).map_err(|error| Error::io(path, error))?;
    parse_json(path, &json, options)
}

/// The same from memory; `path` is for messages.
pub(crate) fn parse_json(path: &Path, json: &[u8], options: &Options) -> Result<Imported, Error> {
    let store = store_json::read(json, Tree::of_v04())
        .map_err(|invalid| Error::damage(path, invalid.offset, invalid.what))?;
    finish_alone(path, store, None, options)
}

/// The client URLs of the cluster that a standby follows.
pub(crate) fn standby_members(path: &Path) -> Vec<String> {
    #[derive(Deserialize)]
    struct Standby {
        #[serde(rename = "Cluster")]
        cluster: Option<Vec<Machine>>,
    }
    #[derive(Deserialize)]
    struct Machine {
        #[serde(rename = "clientURL", default)]
        client_url: String,
    }
    let json = fs::read(path).unwrap_or_default();
    let standby: Option<Standby> = serde_json::from_slice(&json).ok();
    let machines = standby.and_then(|standby| standby.cluster).unwrap_or_default();
    machines.into_iter().map(|machine| machine.client_url).collect()
}

fn finish_alone(
    path: &Path,
    store: Saved,
    position: Option<(u64, u64)>,
    options: &Options,
) -> Result<Imported, Error> {
    let mut finish = Finish::default();
    if let Some((_, index)) = position {
        finish.warnings.push(Warning::SnapshotAlone { index });
    }
    let tree = begin(store, &mut finish, options);
    let source = SourceInfo {
        path: path.to_owned(),
        family: Family::V04,
        cluster_version: None,
        cluster_id: None,
        members: command::machines(&tree),
        snapshot: position.map(|(_, index)| (path.to_owned(), index)),
        last: position.unwrap_or_default(),
        applied: position.map_or(0, |(_, index)| index),
        extent: Extent::Snapshot,
        made: None,
    };
    finish::finish_v04(tree, source, finish)
}

/// The tree of a snapshot.
fn begin(mut store: Saved, finish: &mut Finish, options: &Options) -> Tree {
    finish.skip(SkipReason::InvalidName, store.invalid_names);
    if !options.as_the_server {
        let uncertain = store_json::repair(&mut store.tree);
        if uncertain.files > 0 {
            let (files, of) = (uncertain.files, uncertain.of);
            finish.warnings.push(Warning::UncertainIndexes { files, of });
        }
    }
    store.tree
}

fn read_member(dir: &Path, options: &Options) -> Result<MemberData, Error> {
    let log = Log::read(&dir.join("log"), options)?;
    let mut warnings = Vec::new();
    for name in list_snapshots(&dir.join("snapshot"))? {
        match Snapshot::read(&name.path) {
            Ok(snapshot) => {
                check_reach(dir, &log, snapshot.index, &warnings)?;
                return Ok(MemberData {
                    dir: dir.to_owned(),
                    snapshot: Some((name, snapshot)),
                    log,
                    warnings,
                });
            }
            // The log alone may do, if it reaches as far.
            Err(Error::Damage { damage, .. }) if name.index <= log.last_index() => {
                let why = damage.to_string();
                warnings.push(Warning::SnapshotIgnored { file: name.path, why });
            }
            Err(error) => return Err(error),
        }
    }
    check_reach(dir, &log, 0, &warnings)?;
    Ok(MemberData { dir: dir.to_owned(), snapshot: None, log, warnings })
}

/// Refuses a log that does not continue what comes before it.
fn check_reach(dir: &Path, log: &Log, base: u64, warnings: &[Warning]) -> Result<(), Error> {
    let first = log.entries.first().map_or(0, |entry| entry.index);
    if first <= base + 1 {
        return Ok(());
    }
    let mut what = format!(
        "the log begins with raft index {first}: the entries {} to {} are missing, and no snapshot \
         has them",
        base + 1,
        first - 1
    );
    warnings.iter().for_each(|warning| what.push_str(&format!(" ({warning})")));
    Err(Error::Missing { path: dir.to_owned(), what, snapshot: None })
}

/// The snapshots, the newest first.
fn list_snapshots(dir: &Path) -> Result<Vec<SnapshotName>, Error> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(|error| Error::io(dir, error))? {
        let entry = entry.map_err(|error| Error::io(dir, error))?;
        names.extend(SnapshotName::parse(&entry.path()));
    }
    names.sort();
    names.reverse();
    Ok(names)
}

/// Refuses directories whose logs differ in an entry with the same index and term.
fn check_cluster(members: &[MemberData]) -> Result<(), Error> {
    for pair in members.windows(2) {
        let [one, other] = pair else { continue };
        for entry in &one.log.entries {
            let same = other.log.entries.binary_search_by_key(&entry.index, |same| same.index);
            let same = same.ok().and_then(|at| other.log.entries.get(at));
            let is_other = |same: &log::Entry| {
                same.term == entry.term && other.log.command(same) != one.log.command(entry)
            };
            if same.is_some_and(is_other) {
                let what = format!("their entries with raft index {} differ", entry.index);
                let paths = (one.dir.clone(), other.dir.clone());
                return Err(Error::Mismatch { paths, what });
            }
        }
    }
    Ok(())
}

fn replay(member: MemberData, given: usize, options: &Options) -> Result<Imported, Error> {
    let last = member.last();
    let MemberData { dir, snapshot, log, warnings } = member;
    let mut finish = Finish::default();
    finish.warnings = warnings;
    finish.warnings.extend_from_slice(&log.warnings);
    let snapshot_file = snapshot.as_ref().map(|(name, saved)| (name.path.clone(), saved.index));
    let base = snapshot.as_ref().map_or(0, |(_, saved)| saved.index);
    let mut tree = match snapshot {
        Some((_, saved)) => begin(saved.store, &mut finish, options),
        None => Tree::of_v04(),
    };
    let applied = apply(&mut tree, &log, base, &mut finish, options)?;
    let machines = command::machines(&tree);
    let extent = match machines.len() {
        0 | 1 => Extent::SoleMember,
        count if given > count / 2 => Extent::Majority,
        _ => Extent::Whole,
    };
    if extent == Extent::Whole {
        finish.warnings.push(Warning::UncommittedTaken { entries: None, last });
    }
    let source = SourceInfo {
        path: dir,
        family: Family::V04,
        cluster_version: None,
        cluster_id: None,
        members: machines,
        snapshot: snapshot_file,
        last,
        applied,
        extent,
        made: None,
    };
    finish::finish_v04(tree, source, finish)
}

/// Applies the entries above `base`, and returns the index of the last one.
fn apply(
    tree: &mut Tree,
    log: &Log,
    base: u64,
    finish: &mut Finish,
    options: &Options,
) -> Result<u64, Error> {
    let mut applied = base;
    for entry in log.entries.iter().filter(|entry| entry.index > base) {
        match command::apply(tree, &entry.name, log.command(entry)) {
            Ok(()) => applied = entry.index,
            Err(Rejected::Unsupported(what)) => {
                let (path, index) = (log.path.clone(), entry.index);
                return Err(Error::Unsupported { path, index, what });
            }
            Err(Rejected::Invalid(what)) => {
                let (file, offset) = (log.path.clone(), entry.offset);
                let damage = Damage { file, offset, what, last_good: Some(applied) };
                if !options.accept_damage {
                    return Err(Error::Damage { damage, can_be_accepted: true });
                }
                finish.warnings.push(Warning::Damage(damage));
                break;
            }
        }
    }
    Ok(applied)
}
