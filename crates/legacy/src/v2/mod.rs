//! The data directories of 2.0 to 3.5: one member or several of one cluster.
//!
//! What is committed? The commit index on disk is a lower bound: it is written with the next
//! entries, so that a member that was killed may hold acknowledged writes above it. A sole member
//! has committed its whole log. Of a majority of members, the log with the greatest term and index
//! of the last entry holds every acknowledged write. One member of several knows no more than what
//! it recorded. See docs/spec/migration.md sections 3.2 and 3.6.

mod frame;
mod log;
mod member;
mod members;
mod replay;
mod request;
mod segment;
mod snap;
mod torn;

pub(crate) use member::Layout;

use crate::finish::{self, Finish};
use crate::imported::{Extent, Family, Imported, SkipReason, SourceInfo};
use crate::model::Tree;
use crate::store_json;
use crate::{Error, NoData, Options, Warning};
use member::MemberData;
use replay::Replay;
use snap::Snapshot;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Two numbers of 16 hexadecimal digits each, as in names of files.
fn two_hex(name: &str) -> Option<(u64, u64)> {
    let (one, other) = name.split_once('-')?;
    let parse = |digits: &str| {
        let is_hex = digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        u64::from_str_radix(digits, 16).ok().filter(|_| is_hex)
    };
    Some((parse(one)?, parse(other)?))
}

/// Reads the directories of one cluster.
pub(crate) fn read(layouts: &[Layout], options: &Options) -> Result<Imported, Error> {
    let members: Result<Vec<MemberData>, Error> =
        layouts.iter().map(|layout| member::read(layout, options)).collect();
    let mut members = members?;
    check_cluster(&members)?;
    let ids: BTreeSet<u64> =
        members.iter().filter_map(|member| Some(member.log.metadata?.0)).collect();
    let recorded = members.iter().map(|member| member.log.state.commit).max().unwrap_or(0);
    let best = (0..members.len()).max_by_key(|at| members.get(*at).map(MemberData::last));
    let Some(best) = best else {
        return Err(Error::Options("no directory was given".to_owned()));
    };
    let member = members.swap_remove(best);
    replay(member, recorded, &ids, options)
}

/// Reads a `.snap` file alone.
pub(crate) fn read_snapshot(path: &Path, options: &Options) -> Result<Imported, Error> {
    let snapshot = Snapshot::read(path)?;
    let (term, index) = (snapshot.term, snapshot.index);
    let (replay, mut finish) = begin(snapshot, options);
    finish.warnings.insert(0, Warning::SnapshotAlone { index });
    let source = SourceInfo {
        path: path.to_owned(),
        family: Family::V2,
        cluster_version: replay.version().map(str::to_owned),
        cluster_id: None,
        members: members::names(&replay.tree),
        snapshot: Some((path.to_owned(), index)),
        last: (term, index),
        applied: index,
        extent: Extent::Snapshot,
        made: None,
    };
    finish::finish_v2(replay.tree, source, finish, options)
}

/// Refuses directories of different clusters: by the cluster's id, or by an entry that differs.
fn check_cluster(members: &[MemberData]) -> Result<(), Error> {
    for pair in members.windows(2) {
        let [one, other] = pair else { continue };
        let cluster = |member: &MemberData| member.log.metadata.map(|(_, cluster)| cluster);
        let what = match (cluster(one), cluster(other)) {
            (Some(one), Some(other)) if one != other => {
                format!("the ids of their clusters are {one:x} and {other:x}")
            }
            _ => continue,
        };
        let paths = (one.dir.clone(), other.dir.clone());
        return Err(Error::Mismatch { paths, what });
    }
    Ok(())
}

/// The state of a snapshot.
fn begin(snapshot: Snapshot, options: &Options) -> (Replay, Finish) {
    let mut finish = Finish::default();
    let mut saved = snapshot.store;
    finish.skip(SkipReason::InvalidName, saved.invalid_names);
    if !options.as_the_server {
        let uncertain = store_json::repair(&mut saved.tree);
        if saved.is_lossy && uncertain.files > 0 {
            let (files, of) = (uncertain.files, uncertain.of);
            finish.warnings.push(Warning::UncertainIndexes { files, of });
        }
    }
    (Replay::new(saved.tree, snapshot.voters), finish)
}

fn replay(
    mut member: MemberData,
    recorded: u64,
    ids: &BTreeSet<u64>,
    options: &Options,
) -> Result<Imported, Error> {
    let (base, last) = (member.base(), member.last());
    let snapshot_file = member.snapshot.as_ref().map(|(name, _)| (name.path.clone(), name.index));
    let (mut replay, mut finish) = match member.snapshot.take() {
        Some((_, snapshot)) => begin(snapshot, options),
        None => (Replay::new(Tree::of_v2(), BTreeSet::new()), Finish::default()),
    };
    finish.warnings.splice(0..0, member.warnings.drain(..));
    let commit = recorded.clamp(base, last.1);
    let count = usize::try_from(commit - base).unwrap_or(usize::MAX);
    let (committed, above) = member.log.entries.split_at(count.min(member.log.entries.len()));
    apply(&mut replay, committed, &member.dir)?;
    let given = ids.intersection(&replay.voters).count();
    let extent = match replay.voters.len() {
        0 | 1 => Extent::SoleMember,
        voters if given > voters / 2 => Extent::Majority,
        _ if options.include_uncommitted => Extent::Whole,
        _ => Extent::Recorded,
    };
    let (entries, mut applied) = (above.len() as u64, last.1);
    match extent {
        Extent::Recorded if entries > 0 => {
            applied = commit;
            finish.warnings.push(Warning::UncommittedLeft { entries, commit });
        }
        Extent::Whole if entries > 0 => {
            finish.warnings.push(Warning::UncommittedTaken { entries: Some(entries), last });
            apply(&mut replay, above, &member.dir)?;
        }
        _ => apply(&mut replay, above, &member.dir)?,
    }
    note(&replay, &mut finish);
    let source = SourceInfo {
        path: member.dir.clone(),
        family: Family::V2,
        cluster_version: replay.version().map(str::to_owned),
        cluster_id: member.log.metadata.map(|(_, cluster)| cluster),
        members: members::names(&replay.tree),
        snapshot: snapshot_file,
        last,
        applied,
        extent,
        made: None,
    };
    let imported = finish::finish_v2(replay.tree, source, finish, options);
    match imported {
        Err(Error::NoData { path, why: NoData::NoKeys { .. } }) => {
            let older = older_with_keys(&member, options);
            Err(Error::NoData { path, why: NoData::NoKeys { older } })
        }
        imported => imported,
    }
}

fn apply(replay: &mut Replay, entries: &[frame::Entry], dir: &Path) -> Result<(), Error> {
    for entry in entries {
        let (path, index) = (dir.to_owned(), entry.index);
        replay.apply(entry).map_err(|what| Error::Unsupported { path, index, what })?;
    }
    Ok(())
}

/// What the operator should know of the replay.
fn note(replay: &Replay, finish: &mut Finish) {
    finish.skip(SkipReason::V3Request, replay.v3_requests);
    if replay.is_padding_assumed {
        finish.warnings.push(Warning::AssumedPadding);
    }
    if let Some(index) = replay.dir_update.filter(|_| replay.is_upgraded) {
        finish.warnings.push(Warning::DirUpdateAndUpgrade { index });
    }
}

/// The newest of the older snapshots that has keys. 3.6 leaves those of its predecessors beside its
/// own, which have none.
fn older_with_keys(member: &MemberData, options: &Options) -> Option<PathBuf> {
    let has_keys = |path: &&PathBuf| read_snapshot(path, options).is_ok();
    member.older.iter().map(|name| &name.path).find(has_keys).cloned()
}
