//! Directories of members of a cluster, alone and together.

use crate::archive::Archive;
use crate::expected::{Expected, assert_equal, count, shown};
use legacy::{Error, Extent, Imported, NoData, Options, Warning};
use std::path::PathBuf;

fn dirs(archive: &Archive, members: &[&str]) -> Vec<PathBuf> {
    members.iter().map(|member| archive.file(member)).collect()
}

fn read(archive: &Archive, members: &[&str]) -> Imported {
    legacy::read(&dirs(archive, members), &Options::default()).unwrap()
}

fn read_whole(archive: &Archive, members: &[&str]) -> Imported {
    let options = Options { include_uncommitted: true, ..Options::default() };
    legacy::read(&dirs(archive, members), &options).unwrap()
}

/// Name, then for the leaders and for m3: last raft index, commit index, store index at the commit
/// index and of the whole log.
type Case = (&'static str, [u64; 4], [u64; 4]);

const CLUSTERS: [Case; 3] = [
    ("etcd-2.3.8-cluster", [214, 213, 189, 190], [193, 192, 175, 175]),
    ("etcd-3.4.23-cluster", [218, 217, 189, 190], [197, 196, 175, 175]),
    ("etcd-3.5.1-cluster", [219, 218, 188, 189], [198, 197, 174, 174]),
];

#[test]
fn a_majority_of_directories_gives_all_that_was_acknowledged() {
    for (name, leading, _) in CLUSTERS {
        let (archive, expected) = (Archive::unpack(name), Expected::of(name));
        for members in [&["m1", "m2", "m3"][..], &["m3", "m1"], &["m2", "m3"], &["m1", "m2"]] {
            let imported = read(&archive, members);
            assert_equal(&imported, &expected);
            assert_eq!(count(&imported), (115, 35), "{name} {members:?}");
            assert_eq!(imported.source.extent, Extent::Majority);
            assert_eq!(imported.source.last.1, leading[0]);
            assert_eq!(imported.source.applied, leading[0]);
            assert_eq!(imported.warnings, [], "{name} {members:?}");
            assert_ne!(imported.source.path, archive.file("m3"));
            let mut names = imported.source.members;
            names.sort();
            assert_eq!(names, expected.members());
        }
    }
}

#[test]
fn one_directory_of_several_gives_what_it_knows_to_be_committed() {
    for (name, leading, behind) in CLUSTERS {
        let archive = Archive::unpack(name);
        for (member, [last, commit, index, whole]) in
            [("m1", leading), ("m2", leading), ("m3", behind)]
        {
            let imported = read(&archive, &[member]);
            assert_eq!(imported.source.extent, Extent::Recorded);
            assert_eq!(imported.source.last.1, last, "{name} {member}");
            assert_eq!((imported.source.applied, imported.index), (commit, index));
            let left = Warning::UncommittedLeft { entries: last - commit, commit };
            assert_eq!(imported.warnings, [left], "{name} {member}");

            let imported = read_whole(&archive, &[member]);
            assert_eq!(imported.source.extent, Extent::Whole);
            assert_eq!((imported.source.applied, imported.index), (last, whole));
            let is_told = matches!(
                imported.warnings.as_slice(),
                [Warning::UncommittedTaken { entries: Some(1), .. }]
            );
            assert!(is_told, "{name} {member}: {:?}", imported.warnings);
        }
        // The same directory twice is one member.
        assert_eq!(read(&archive, &["m1", "m1"]).source.extent, Extent::Recorded);
        assert_equal(&read_whole(&archive, &["m1"]), &Expected::of(name));
    }
}

#[test]
fn entries_that_a_new_leader_replaced_are_gone() {
    let archive = Archive::unpack("etcd-2.3.8-overwrite");
    let expected = Expected::of("etcd-2.3.8-overwrite");
    for members in [&["m1"][..], &["m2"], &["m3"], &["m3", "m1"], &["m1", "m2", "m3"]] {
        let imported = read(&archive, members);
        assert_equal(&imported, &expected);
        assert_eq!((count(&imported), imported.source.last.1), ((12, 2), 35));
        let applied = if members.len() > 1 { 35 } else { 34 };
        assert_eq!(imported.source.applied, applied, "{members:?}");
    }
}

#[test]
fn clusters_of_04_are_read_to_the_end_of_the_longest_log() {
    let archive = Archive::unpack("etcd-0.4.9-cluster");
    let live = Expected::of("etcd-0.4.9-cluster-live");
    for members in [&["m1", "m2", "m3"][..], &["m3", "m2"], &["m3", "m1"]] {
        let imported = read(&archive, members);
        assert_equal(&imported, &live);
        assert_eq!((count(&imported), imported.source.last.1), ((114, 35), 243));
        assert_eq!(imported.source.extent, Extent::Majority);
        assert_eq!(imported.warnings, []);
        let mut names = imported.source.members;
        names.sort();
        assert_eq!(names, ["m1", "m2", "m3"]);
    }
    for (member, last) in [("m1", 243), ("m2", 243), ("m3", 221)] {
        let imported = read(&archive, &[member]);
        assert_eq!(imported.source.extent, Extent::Whole);
        let told = Warning::UncommittedTaken { entries: None, last: (0, last) };
        assert_eq!((imported.source.last, &imported.warnings[..]), ((0, last), &[told][..]));
        if member != "m3" {
            assert_equal(&imported, &live);
        }
    }
}

#[test]
fn without_the_repair_a_member_of_04_gives_what_it_serves_after_a_restart() {
    let archive = Archive::unpack("etcd-0.4.9-cluster");
    let restarted = Expected::of("etcd-0.4.9-cluster");
    let options = Options { as_the_server: true, ..Options::default() };
    let imported = legacy::read(&dirs(&archive, &["m1"]), &options).unwrap();
    assert_equal(&imported, &restarted);
    let imported = shown(&legacy::read(&dirs(&archive, &["m2"]), &options).unwrap());
    let differ = restarted.nodes.iter().filter(|(path, node)| imported.get(*path) != Some(node));
    assert_eq!(differ.count(), 8);
}

#[test]
fn a_standby_is_refused() {
    let archive = Archive::unpack("etcd-0.4.9-cluster");
    let error = legacy::read(&dirs(&archive, &["m4-standby"]), &Options::default()).unwrap_err();
    assert!(matches!(error, Error::NoData { why: NoData::Standby(_), .. }), "{error}");
    assert!(error.to_string().contains("use the directory of a member"), "{error}");
}

#[test]
fn members_of_different_clusters_are_refused() {
    let one = Archive::unpack("etcd-2.3.8-wal");
    let other = Archive::unpack("etcd-2.3.8-overwrite");
    let of_04 = Archive::unpack("etcd-0.4.9-wal");
    let also_of_04 = Archive::unpack("etcd-0.4.9-cluster");
    for (one, other) in [
        (one.dir(), other.file("m1")),
        (one.dir(), of_04.dir()),
        (of_04.dir(), also_of_04.file("m3")),
    ] {
        let error = legacy::read(&[one, other], &Options::default()).unwrap_err();
        assert!(matches!(error, Error::Mismatch { .. }), "{error}");
    }
}
