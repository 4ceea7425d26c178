//! Files of log format 2 and snapshot formats 1 and 2 stay readable, and the newer ones are what this
//! program writes.

use crate::testkit::{CLUSTER, fill, new_disk, open, open_all, payload};
use std::io::{Read, Write};
use std::path::PathBuf;
use wal::mem::MemDisk;
use wal::{Disk, Seq, SnapshotReader, SnapshotWriter, check};

const SNAPSHOT: &str = "snapshot-0000000000000003.snap";

/// What release 0.1 wrote: its snapshots did not say what the log must reach.
const RELEASE_0_1: &str = "log-2-snapshot-1";

/// What this program writes.
const CURRENT: &str = "log-2-snapshot-2";

fn golden(version: &str) -> MemDisk {
    let disk = new_disk();
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(version);
    for entry in std::fs::read_dir(dir).expect("the golden directory is there") {
        let path = entry.unwrap().path();
        disk.put(path.file_name().unwrap().to_str().unwrap(), &std::fs::read(&path).unwrap());
    }
    disk
}

fn snapshot_content() -> Vec<u8> {
    payload(3, 9, 70_000)
}

/// The story that the golden directory tells: a grown segment, a filled one, a record larger than a
/// segment, a recycled segment with old records behind its last one.
fn write() -> MemDisk {
    let disk = new_disk();
    let (mut wal, _) = open(&disk).unwrap();
    let mut append = |seq: u64, len: usize| {
        let bytes = payload(seq, 1, len);
        wal.append(seq, &[&bytes[..8], &bytes[8..]]).unwrap();
        wal.sync().unwrap();
        match seq {
            1 => assert!(fill(&mut wal)),
            6 => wal.release(3).unwrap(),
            _ => {}
        }
    };
    for (seq, len) in [(1, 40), (2, 1500), (3, 2000), (4, 2000), (5, 5000), (6, 10), (7, 33)] {
        append(seq, len);
    }
    append(8, 500);
    let mut writer = SnapshotWriter::create(&disk, 3, Seq(8)).unwrap();
    writer.write_all(&snapshot_content()).unwrap();
    writer.finish().unwrap();
    disk
}

#[test]
fn the_golden_directories_open() {
    for (version, reach) in [(RELEASE_0_1, 1), (CURRENT, 8)] {
        opens(&golden(version), Seq(reach));
    }
}

fn opens(disk: &MemDisk, reach: Seq) {
    let report = check(disk).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.cut, None);
    let (mut wal, records) = open_all(disk);
    assert_eq!(wal.last_seq().0, 8);
    let expected: Vec<_> = [(4, 2000), (5, 5000), (6, 10), (7, 33), (8, 500)]
        .map(|(seq, len)| payload(seq, 1, len))
        .to_vec();
    assert_eq!(records[records.len() - 5..], expected);
    let mut content = Vec::new();
    let mut reader = SnapshotReader::open(disk, SNAPSHOT).unwrap();
    assert_eq!(reader.log_seq(), reach);
    reader.read_to_end(&mut content).unwrap();
    assert_eq!(content, snapshot_content());
    wal.append(9, &[b"more"]).unwrap();
    wal.sync().unwrap();
    assert_eq!(open_all(disk).1.len(), records.len() + 1);
}

#[test]
fn the_golden_directory_is_what_is_written() {
    let (golden, written) = (golden(CURRENT), write());
    let is_same = golden.list().unwrap() == written.list().unwrap()
        && golden.list().unwrap().iter().all(|name| golden.content(name) == written.content(name));
    if is_same {
        return;
    }
    // A new version gets a directory of its own; this one must go on opening.
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("golden");
    std::fs::create_dir_all(&out).unwrap();
    for name in written.list().unwrap() {
        std::fs::write(out.join(&name), written.content(&name).unwrap()).unwrap();
    }
    panic!("cluster {CLUSTER:#x} is written otherwise now: compare with {}", out.display());
}
