//! Each directory gives what its server listed.

use crate::archive::{Archive, Scratch, gunzip};
use crate::expected::{Expected, assert_equal, count, shown};
use legacy::{Error, Extent, Imported, NoData, Options, Warning};
use std::fs;

fn read(archive: &Archive) -> Imported {
    legacy::read(&[archive.dir()], &Options::default()).unwrap()
}

/// The directory of a sole member.
fn check(name: &str, files: usize, dirs: usize) -> Imported {
    let (archive, expected) = (Archive::unpack(name), Expected::of(name));
    let imported = read(&archive);
    assert_equal(&imported, &expected);
    assert_eq!(count(&imported), (files, dirs), "{name}");
    assert_eq!(imported.source.extent, Extent::SoleMember, "{name}");
    assert_eq!(imported.warnings, [], "{name}");
    let mut members = imported.source.members.clone();
    members.sort();
    if imported.source.family == legacy::Family::V2 {
        assert_eq!(members, expected.members(), "{name}");
    }
    imported
}

#[test]
fn logs_alone_give_what_the_servers_listed() {
    let imported = check("etcd-0.4.9-wal", 103, 34);
    assert_eq!((imported.source.last, imported.source.applied), ((0, 177), 177));
    for (name, version) in
        [("etcd-2.3.8-wal", "2.3.0"), ("etcd-3.4.23-wal", "3.4.0"), ("etcd-3.5.1-wal", "3.5.0")]
    {
        let imported = check(name, 104, 34);
        assert_eq!(imported.source.cluster_version.as_deref(), Some(version));
        assert_eq!(imported.source.snapshot, None);
    }
}

#[test]
fn snapshots_and_the_log_behind_them_give_what_the_servers_listed() {
    for name in ["etcd-2.3.8-snap", "etcd-3.4.23-snap", "etcd-3.5.1-snap"] {
        let imported = check(name, 169, 35);
        assert_eq!(imported.source.snapshot.map(|(_, index)| index), Some(255), "{name}");
    }
    for name in ["etcd-2.3.8-segments", "etcd-3.4.23-segments"] {
        let imported = check(name, 36, 3);
        assert_eq!(imported.source.snapshot.map(|(_, index)| index), Some(1510), "{name}");
    }
}

#[test]
fn a_snapshot_of_04_is_repaired_from_the_history() {
    let archive = Archive::unpack("etcd-0.4.9-snap");
    let imported = read(&archive);
    assert_equal(&imported, &Expected::of("etcd-0.4.9-snap-live"));
    assert_eq!(count(&imported), (168, 35));
    assert_eq!(imported.warnings, []);
    let options = Options { as_the_server: true, ..Options::default() };
    let as_the_server = legacy::read(&[archive.dir()], &options).unwrap();
    assert_equal(&as_the_server, &Expected::of("etcd-0.4.9-snap"));
    // How many nodes of the snapshot that were. The log changes one of them once more.
    let snapshot = archive.only("snapshot", "ss");
    let repaired = shown(&legacy::read_file(&snapshot, &Options::default()).unwrap());
    let as_it_was = shown(&legacy::read_file(&snapshot, &options).unwrap());
    let changed = repaired.iter().filter(|(path, node)| as_it_was.get(*path) != Some(node));
    assert_eq!(changed.count(), 23);
}

#[test]
fn the_answer_of_the_migration_endpoint_is_repaired_too() {
    let scratch = Scratch::new();
    let file = scratch.path().join("migration.snap");
    fs::write(&file, gunzip("etcd-0.4.9-migration.snap.gz")).unwrap();
    let imported = legacy::read_file(&file, &Options::default()).unwrap();
    assert_equal(&imported, &Expected::of("etcd-0.4.9-migration"));
    assert_eq!(imported.source.extent, Extent::Snapshot);
}

#[test]
fn snapshots_alone_are_read_with_a_warning() {
    for (name, folder, extension, index) in [
        ("etcd-0.4.9-snap", "snapshot", "ss", 250),
        ("etcd-2.3.8-snap", "member/snap", "snap", 255),
        ("etcd-3.5.1-snap", "member/snap", "snap", 255),
    ] {
        let archive = Archive::unpack(name);
        let newest = archive.all(folder, extension).pop().unwrap();
        let imported = legacy::read_file(&newest, &Options::default()).unwrap();
        assert_eq!(imported.warnings, [Warning::SnapshotAlone { index }], "{name}");
        let expected = Expected::of(name);
        assert!(imported.index < expected.index && imported.nodes.len() > 150, "{name}");
        // 26 entries after the snapshot of 0.4, 16 after the others.
        assert!(expected.index - imported.index <= 26, "{name}");
    }
}

#[test]
fn users_and_roles_come_with_their_hashes() {
    for name in ["etcd-2.3.8-auth", "etcd-3.4.23-auth", "etcd-3.5.1-auth"] {
        let without = check(name, 55, 35);
        assert_eq!(without.auth, None);
        assert!(without.skipped.iter().any(|skip| skip.reason == legacy::SkipReason::Auth));
        let archive = Archive::unpack(name);
        let options = Options { with_auth: true, ..Options::default() };
        let auth = legacy::read(&[archive.dir()], &options).unwrap().auth.unwrap();
        assert!(auth.is_enabled);
        let users: Vec<(&str, &[String])> =
            auth.users.iter().map(|user| (user.name.as_str(), user.roles.as_slice())).collect();
        let roles = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let (alice, bob, root): (Vec<String>, Vec<String>, Vec<String>) =
            (roles(&["app-rw"]), roles(&["app-ro"]), roles(&["root"]));
        assert_eq!(users, [("alice", &alice[..]), ("bob", &bob[..]), ("root", &root[..])]);
        for user in &auth.users {
            assert!(user.password_hash.starts_with("$2a$10$"), "{user:?}");
            assert_eq!(user.password_hash.len(), 60);
        }
        let names: Vec<&str> = auth.roles.iter().map(|role| role.name.as_str()).collect();
        assert_eq!(names, ["app-ro", "app-rw", "guest"]);
        let mut read = auth.roles[0].read.clone();
        read.sort();
        assert_eq!((read, &auth.roles[0].write), (roles(&["/app/*", "/plain"]), &Vec::new()));
        assert_eq!(auth.roles[1].write, ["/app/*"]);
        assert!(auth.roles[2].read.is_empty() && auth.roles[2].write.is_empty());
    }
}

#[test]
fn a_directory_without_v2_keys_says_so() {
    let archive = Archive::unpack("etcd-3.5.1-v3only");
    let error = legacy::read(&[archive.dir()], &Options::default()).unwrap_err();
    let is_named = matches!(&error, Error::NoData { why: NoData::NoKeys { older: None }, .. });
    assert!(is_named, "{error}");
    assert!(error.to_string().contains("no keys of the v2 API"), "{error}");
    let error = legacy::read_file(&archive.file("member/snap/db"), &Options::default());
    assert!(matches!(error, Err(Error::NoData { why: NoData::V3Backend, .. })), "{error:?}");
}

#[test]
fn the_history_reaches_from_the_snapshot_to_the_end_of_the_log() {
    for name in ["etcd-0.4.9-snap", "etcd-2.3.8-snap", "etcd-3.4.23-wal"] {
        let archive = Archive::unpack(name);
        let imported = read(&archive);
        assert_eq!(imported.history_start, 1, "{name}");
        let indexes: Vec<u64> = imported.history.iter().map(|event| event.index).collect();
        assert!(indexes.is_sorted(), "{name}");
        assert_eq!(indexes.last(), Some(&imported.index), "{name}");
        // Each file is what its last event made it.
        for node in imported.nodes.iter().filter(|node| !node.is_dir()) {
            let last = imported.history.iter().rev().find(|event| event.path == node.path);
            let event = last.unwrap_or_else(|| panic!("{name}: no event of {}", node.path));
            assert_eq!(event.node, node.state, "{name} {}", node.path);
            assert_eq!(event.index, node.state.modified, "{name} {}", node.path);
        }
    }
}

#[test]
fn expired_nodes_can_be_dropped_with_all_below_them() {
    let archive = Archive::unpack("etcd-2.3.8-wal");
    let mut imported = read(&archive);
    assert_eq!(imported.drop_expired(legacy::WallTime(0)), 0);
    let before = imported.nodes.len() as u64;
    // The deadlines are ten years after 2026.
    let dropped = imported.drop_expired(legacy::WallTime(2_200_000_000_000_000_000));
    assert_eq!(before - dropped, imported.nodes.len() as u64);
    assert!(dropped > 4, "{dropped}");
    assert!(imported.nodes.iter().all(|node| !node.path.starts_with("/dirs/ttl/")));
}
