//! The same directories, damaged. The numbers of the cases are those of docs/spec/migration.md
//! section 10; what the old servers did with them is said beside each.

use crate::archive::{Archive, append, flip, overwrite, truncate};
use crate::expected::{Expected, assert_equal, count, shown};
use legacy::{Content, Damage, Error, Imported, Options, WallTime, Warning};
use std::fs;
use std::path::PathBuf;

/// The only segment of a log.
const SEGMENT: &str = "member/wal/0000000000000000-0000000000000000.wal";

fn read(archive: &Archive) -> Result<Imported, Error> {
    legacy::read(&[archive.dir()], &Options::default())
}

fn read_with_damage(archive: &Archive) -> Imported {
    let options = Options { accept_damage: true, ..Options::default() };
    legacy::read(&[archive.dir()], &options).unwrap()
}

fn has(imported: &Imported, path: &str) -> bool {
    imported.nodes.iter().any(|node| node.path == path)
}

/// The damage that is the reason for a refusal.
fn damage(result: Result<Imported, Error>) -> Damage {
    match result {
        Err(Error::Damage { damage, .. }) => damage,
        other => panic!("{other:?}"),
    }
}

fn assert_missing(result: Result<Imported, Error>, text: &str) {
    match result {
        Err(error @ Error::Missing { .. }) if error.to_string().contains(text) => {}
        other => panic!("{other:?}"),
    }
}

/// 1: the server drops the entry without a word.
#[test]
fn a_torn_last_entry_of_04_is_left_out_with_a_warning() {
    let archive = Archive::unpack("etcd-0.4.9-wal");
    let log = archive.file("log");
    truncate(&log, fs::metadata(&log).unwrap().len() - 5);
    let imported = read(&archive).unwrap();
    assert_eq!(count(&imported).0, 102);
    assert!(!has(&imported, "/after/expiry"));
    let torn = |warning: &Warning| match warning {
        Warning::TornTail { file, last_good, .. } => (file.clone(), *last_good),
        other => panic!("{other}"),
    };
    assert_eq!(imported.warnings.iter().map(torn).collect::<Vec<_>>(), [(log, 176)]);
}

/// 2: the server cuts its file there without a word and serves 51 files.
#[test]
fn an_invalid_header_of_04_is_refused_unless_damage_is_accepted() {
    let archive = Archive::unpack("etcd-0.4.9-wal");
    let log = archive.file("log");
    overwrite(&log, 116_327, b"zzzzzzzz");
    let found = damage(read(&archive));
    assert_eq!((found.file, found.offset, found.last_good), (log, 116_327, Some(99)));
    let mut imported = read_with_damage(&archive);
    // The server removes what has expired since.
    imported.drop_expired(WallTime(1_796_000_000_000_000_000));
    assert_eq!((count(&imported).0, imported.source.applied), (51, 99));
    assert!(matches!(imported.warnings[..], [Warning::Damage(_)]), "{:?}", imported.warnings);
}

/// 3: the log has no checksums, so that nobody can notice.
#[test]
fn a_changed_value_of_04_is_imported() {
    let archive = Archive::unpack("etcd-0.4.9-wal");
    let log = archive.file("log");
    let at = fs::read(&log).unwrap().windows(11).position(|bytes| bytes == b"hello world").unwrap();
    overwrite(&log, at as u64, b"J");
    let imported = read(&archive).unwrap();
    let plain = imported.nodes.iter().find(|node| node.path == "/plain").unwrap();
    assert_eq!(plain.state.content, Content::File("Jello world".to_owned()));
}

/// 4: the server serves all.
#[test]
fn the_configuration_file_of_04_is_not_needed() {
    let archive = Archive::unpack("etcd-0.4.9-wal");
    fs::remove_file(archive.file("conf")).unwrap();
    assert_equal(&read(&archive).unwrap(), &Expected::of("etcd-0.4.9-wal"));
}

/// 5: the server ignores the snapshot and applies the log to nothing: silent loss, wrong indexes.
#[test]
fn a_damaged_snapshot_of_04_is_refused_if_the_log_alone_does_not_do() {
    let archive = Archive::unpack("etcd-0.4.9-snap");
    flip(&archive.only("snapshot", "ss"), 2000, 1);
    assert_missing(read(&archive), "checksum mismatch of the snapshot");
    assert_missing(read(&archive), "the log begins with raft index 51");
    let options = Options { accept_damage: true, ..Options::default() };
    assert_missing(legacy::read(&[archive.dir()], &options), "begins with raft index 51");
}

/// 6: the same.
#[test]
fn a_missing_snapshot_of_04_is_refused_if_the_log_alone_does_not_do() {
    let archive = Archive::unpack("etcd-0.4.9-snap");
    fs::remove_file(archive.only("snapshot", "ss")).unwrap();
    assert_missing(read(&archive), "the entries 1 to 50 are missing");
}

#[test]
fn a_damaged_snapshot_of_04_does_not_matter_beside_a_whole_log() {
    let archive = Archive::unpack("etcd-0.4.9-wal");
    fs::write(archive.file("snapshot/0_100.ss"), "00000000\n{}").unwrap();
    let imported = read(&archive).unwrap();
    assert_equal(&imported, &Expected::of("etcd-0.4.9-wal"));
    assert!(matches!(imported.warnings[..], [Warning::SnapshotIgnored { .. }]));
    // The log does not reach as far as this one did.
    fs::rename(archive.file("snapshot/0_100.ss"), archive.file("snapshot/0_200.ss")).unwrap();
    assert_eq!(damage(read(&archive)).file, archive.file("snapshot/0_200.ss"));
}

/// A changed length looks like a torn tail; the server cuts its file there.
#[test]
fn a_length_of_04_beyond_the_file_is_damage_if_entries_follow() {
    let archive = Archive::unpack("etcd-0.4.9-wal");
    overwrite(&archive.file("log"), 116_327, b"  ffffff");
    let found = damage(read(&archive));
    assert_eq!((found.offset, found.last_good), (116_327, Some(99)));
}

const LOGS: [&str; 3] = ["etcd-2.3.8-wal", "etcd-3.4.23-wal", "etcd-3.5.1-wal"];

/// 7: the servers repair it.
#[test]
fn a_torn_state_record_loses_nothing() {
    for (name, len) in LOGS.iter().zip([125_601, 126_445, 127_541]) {
        let archive = Archive::unpack(name);
        truncate(&archive.file(SEGMENT), len);
        let imported = read(&archive).unwrap();
        assert_equal(&imported, &Expected::of(name));
        assert!(matches!(imported.warnings[..], [Warning::TornTail { .. }]), "{name}");
        assert_eq!(fs::metadata(archive.file(SEGMENT)).unwrap().len(), len);
    }
}

/// 8: the servers repair it; the write is lost.
#[test]
fn a_torn_entry_is_left_out_with_a_warning() {
    for (name, len) in LOGS.iter().zip([125_482, 126_316, 127_412]) {
        let archive = Archive::unpack(name);
        truncate(&archive.file(SEGMENT), len);
        let imported = read(&archive).unwrap();
        assert_eq!(count(&imported).0, 103, "{name}");
        assert!(!has(&imported, "/after") && has(&imported, "/many"), "{name}");
        assert!(matches!(imported.warnings[..], [Warning::TornTail { .. }]), "{name}");
    }
}

/// 9: the servers exit.
#[test]
fn a_wrong_checksum_is_refused_with_file_offset_and_index() {
    for (name, frame) in LOGS.iter().zip([114_412, 114_624, 115_400]) {
        let archive = Archive::unpack(name);
        let file = archive.file(SEGMENT);
        let bytes = fs::read(&file).unwrap();
        let len: [u8; 8] = bytes[frame..frame + 8].try_into().unwrap();
        let len = u64::from_le_bytes(len) & ((1 << 56) - 1);
        flip(&file, frame as u64 + 8 + len - 4, 1);
        let found = damage(read(&archive));
        assert_eq!((&found.file, found.offset), (&file, frame as u64), "{name}");
        let last = found.last_good.unwrap();
        let imported = read_with_damage(&archive);
        assert_eq!(imported.source.applied, last, "{name}");
        assert!(imported.index < Expected::of(name).index);
        assert!(matches!(imported.warnings[..], [Warning::Damage(_)]), "{name}");
        let text = read(&archive).unwrap_err().to_string();
        for part in [file.to_str().unwrap(), &frame.to_string(), &last.to_string(), "checksum"] {
            assert!(text.contains(part), "{text}");
        }
    }
}

const SNAPSHOTS: [&str; 3] = ["etcd-2.3.8-snap", "etcd-3.4.23-snap", "etcd-3.5.1-snap"];

/// 10: the servers rename the file and use the older one.
#[test]
fn a_damaged_snapshot_is_replaced_by_the_one_before() {
    for name in SNAPSHOTS {
        let archive = Archive::unpack(name);
        let files = archive.all("member/snap", "snap");
        flip(&files[4], 500, 1);
        let imported = read(&archive).unwrap();
        assert_equal(&imported, &Expected::of(name));
        assert_eq!(imported.source.snapshot, Some((files[3].clone(), 204)), "{name}");
        let is_told = matches!(
            &imported.warnings[..],
            [Warning::SnapshotIgnored { file, .. }] if *file == files[4]
        );
        assert!(is_told, "{name}: {:?}", imported.warnings);
        assert_eq!(archive.all("member/snap", "snap"), files, "{name}");
    }
}

/// 11: the servers replay the whole log.
#[test]
fn without_snapshots_the_whole_log_is_replayed() {
    for name in SNAPSHOTS {
        let archive = Archive::unpack(name);
        for file in archive.all("member/snap", "snap") {
            fs::remove_file(file).unwrap();
        }
        assert_equal(&read(&archive).unwrap(), &Expected::of(name));
    }
}

const SEGMENTS: [&str; 2] = ["etcd-2.3.8-segments", "etcd-3.4.23-segments"];

/// 12: no loss.
#[test]
fn the_newest_snapshot_and_the_last_segment_suffice() {
    for name in SEGMENTS {
        let archive = Archive::unpack(name);
        fs::remove_file(&archive.all("member/wal", "wal")[0]).unwrap();
        assert_equal(&read(&archive).unwrap(), &Expected::of(name));
    }
}

/// 13: the servers exit.
#[test]
fn a_log_without_its_beginning_and_without_snapshots_is_refused() {
    for name in SEGMENTS {
        let archive = Archive::unpack(name);
        for file in archive.all("member/snap", "snap") {
            fs::remove_file(file).unwrap();
        }
        assert_missing(read(&archive), "begins with segment 1");
    }
}

/// 14: 2.3.8 exits; 3.4.23 starts with an older snapshot and 29 of 36 files.
#[test]
fn a_missing_last_segment_is_noticed_by_the_snapshot_above_it() {
    for name in SEGMENTS {
        let archive = Archive::unpack(name);
        fs::remove_file(&archive.all("member/wal", "wal")[1]).unwrap();
        assert_missing(read(&archive), "segments are missing");
        assert_missing(read(&archive), "1510");
    }
}

/// 15: the server repairs it.
#[test]
fn a_torn_header_loses_nothing() {
    let archive = Archive::unpack("etcd-2.3.8-wal");
    append(&archive.file(SEGMENT), &[1, 2, 3, 4, 5]);
    let imported = read(&archive).unwrap();
    assert_equal(&imported, &Expected::of("etcd-2.3.8-wal"));
    assert!(matches!(imported.warnings[..], [Warning::TornTail { .. }]));
}

/// 16: the server repairs it; the write is lost.
#[test]
fn a_record_with_a_sector_that_was_never_written_is_torn() {
    let archive = Archive::unpack("etcd-3.4.23-wal");
    overwrite(&archive.file(SEGMENT), 125_952, &[0; 512]);
    let imported = read(&archive).unwrap();
    assert_eq!(count(&imported).0, 103);
    assert!(!has(&imported, "/after"));
    assert!(matches!(imported.warnings[..], [Warning::TornTail { .. }]));
}

/// 17: a snapshot that the log has no record of.
#[test]
fn snapshots_of_another_directory_are_not_used() {
    let (archive, other) =
        (Archive::unpack("etcd-2.3.8-cluster"), Archive::unpack("etcd-2.3.8-snap"));
    let member = |file: &str| archive.file("m1").join("member").join(file);
    let whole = legacy::read(&[archive.file("m1")], &Options::default()).unwrap();
    fs::remove_dir_all(member("snap")).unwrap();
    fs::rename(other.file("member/snap"), member("snap")).unwrap();
    // The newest one is above the end of the log.
    let result = legacy::read(&[archive.file("m1")], &Options::default());
    assert_missing(result, "has no record of it");
    for file in archive.all("m1/member/snap", "snap").split_off(4) {
        fs::remove_file(file).unwrap();
    }
    let imported = legacy::read(&[archive.file("m1")], &Options::default()).unwrap();
    assert_eq!(shown(&imported), shown(&whole));
    let ignored = |warning: &&Warning| matches!(warning, Warning::SnapshotIgnored { .. });
    assert_eq!(imported.warnings.iter().filter(ignored).count(), 4);
}

/// What a server takes for its preallocated end may be a hole in the log.
#[test]
fn a_hole_before_committed_entries_is_damage() {
    let archive = Archive::unpack("etcd-3.4.23-wal");
    let file = archive.file(SEGMENT);
    // A record of its own begins here.
    overwrite(&file, 114_624, &[0; 8]);
    assert_eq!(damage(read(&archive)).offset, 114_624);
    let archive = Archive::unpack("etcd-3.4.23-wal");
    overwrite(&archive.file(SEGMENT), 113_664, &[0; 1024]);
    damage(read(&archive));
}

/// A changed length looks like a torn tail.
#[test]
fn a_length_beyond_the_file_is_damage_if_records_follow() {
    let archive = Archive::unpack("etcd-2.3.8-wal");
    flip(&archive.file(SEGMENT), 114_412 + 4, 1);
    let found = damage(read(&archive));
    assert_eq!(found.offset, 114_412);
}

#[test]
fn files_that_servers_leave_behind_are_ignored() {
    let archive = Archive::unpack("etcd-3.4.23-wal");
    for name in [
        "member/wal/1.tmp",
        "member/wal/0000000000000000-0000000000000000.wal.broken",
        "member/snap/0000000000000002-0000000000000033.snap.broken",
        "member/snap/db.tmp.12345",
        "member/snap/tmp1",
    ] {
        fs::write(archive.file(name), "left behind").unwrap();
    }
    assert_equal(&read(&archive).unwrap(), &Expected::of("etcd-3.4.23-wal"));
}

#[test]
fn nothing_is_changed_by_reading() {
    fn list(dir: PathBuf, found: &mut Vec<(PathBuf, u64, std::time::SystemTime)>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::metadata(&path).unwrap();
            found.push((path.clone(), metadata.len(), metadata.modified().unwrap()));
            if metadata.is_dir() {
                list(path, found);
            }
        }
    }
    for name in ["etcd-0.4.9-snap", "etcd-2.3.8-snap", "etcd-3.4.23-wal"] {
        let archive = Archive::unpack(name);
        let (mut before, mut after) = (Vec::new(), Vec::new());
        list(archive.dir(), &mut before);
        read(&archive).unwrap();
        list(archive.dir(), &mut after);
        assert_eq!(before, after, "{name}");
    }
}
