//! A log that is missing, shortened or another one is not taken for the one that the snapshot goes
//! with; and how a log begins and is closed.

use crate::testkit::{CLUSTER, new_disk, open, open_all, options, payload};
use std::io::Write;
use wal::mem::MemDisk;
use wal::{Disk, Error, Seq, SnapshotReader, SnapshotWriter, Wal, check, is_empty};

const SNAPSHOT: &str = "snapshot-0000000000000007.snap";

fn write_snapshot(disk: &MemDisk, log_seq: Seq) {
    let mut writer = SnapshotWriter::create(disk, 7, log_seq).unwrap();
    writer.write_all(b"content").unwrap();
    writer.finish().unwrap();
}

/// Twelve records in four segments, and a snapshot that was begun when all were durable.
fn sound() -> MemDisk {
    let disk = new_disk();
    wal::begin(&disk, CLUSTER).unwrap();
    let (mut wal, _) = open_all(&disk);
    for seq in 2..=12 {
        wal.append(seq, &[&payload(seq, 1, 1001)]).unwrap();
        wal.sync().unwrap();
    }
    write_snapshot(&disk, wal.synced_seq());
    disk
}

/// Opens as a start does: the log must reach what the newest snapshot says.
fn start(disk: &MemDisk) -> Result<Vec<Vec<u8>>, Error> {
    let reach = SnapshotReader::open(disk, SNAPSHOT).unwrap().log_seq();
    let (_, recovered) = Wal::open(disk.clone(), CLUSTER, reach, options())?;
    recovered.records.collect()
}

/// The start is refused with these words, as the check is, and changes nothing.
fn refused(disk: &MemDisk, words: &[&str]) {
    let contents = || -> Vec<_> {
        disk.list().unwrap().into_iter().map(|name| (disk.content(&name), name)).collect()
    };
    let before = contents();
    let text = start(disk).expect_err("it is refused").to_string();
    let checked = check(disk).unwrap();
    assert_eq!(checked.log_error, Some(text.clone()));
    assert!(!checked.is_sound());
    assert!(before == contents(), "something was changed");
    for word in words.iter().chain(&["-force-rejoin"]) {
        assert!(text.contains(word), "no {word:?} in: {text}");
    }
}

#[test]
fn a_log_that_is_there_is_opened() {
    let disk = sound();
    assert!(check(&disk).unwrap().is_sound());
    assert_eq!(start(&disk).unwrap().len(), 11);
}

#[test]
fn a_log_whose_newest_files_are_gone_is_refused() {
    let disk = sound();
    let mut logs: Vec<_> = disk.list().unwrap();
    logs.retain(|name| name.starts_with("log-"));
    assert_eq!(logs.len(), 4);
    while let Some(name) = logs.pop() {
        disk.remove(&name).unwrap();
        match logs.last() {
            // The one before says that the log goes on there.
            Some(last) => refused(&disk, &[last, "the log goes on in", &name, "missing"]),
            None => refused(&disk, &["the log is missing", "record 12", "log-*.wal"]),
        }
    }
}

#[test]
fn a_log_that_was_shortened_or_is_an_older_copy_is_refused() {
    let disk = sound();
    let last = disk.list().unwrap().into_iter().rfind(|name| name.starts_with("log-")).unwrap();
    let content = disk.content(&last).unwrap();
    // The file ends in the middle of record 12, or before it; or its blocks are zeros again.
    for (len, words) in [(1000, "record 12"), (64, "record 12"), (0, "its header cannot be read")] {
        let disk = disk.kill();
        disk.put(&last, &content[..len]);
        refused(&disk, &[words]);
    }
    disk.put(&last, &vec![0; content.len()]);
    refused(&disk, &[last.as_str(), "its header cannot be read"]);
}

#[test]
fn a_snapshot_of_version_1_wants_a_log_at_least() {
    let disk = new_disk();
    let mut old = b"STEADSNP\x01\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0".to_vec();
    let sum = crc32c::crc32c(&old).to_le_bytes();
    old.extend_from_slice(&sum);
    old.extend_from_slice(&[0; 4]);
    // Nothing in it, and its end.
    old.extend_from_slice(&[0; 4]);
    old.extend_from_slice(&crc32c::crc32c(&[0; 16]).to_le_bytes());
    old.extend_from_slice(&[0; 16]);
    disk.put(SNAPSHOT, &old);
    assert_eq!(SnapshotReader::open(&disk, SNAPSHOT).unwrap().log_seq(), Seq(1));
    refused(&disk, &["the log is missing", "record 1,"]);
    let (mut wal, _) = open_all(&disk);
    wal.append(1, &[b"x"]).unwrap();
    assert_eq!(start(&disk).unwrap(), [b"x"]);
}

#[test]
fn a_snapshot_says_at_least_the_first_record() {
    let disk = new_disk();
    write_snapshot(&disk, Seq(0));
    assert_eq!(SnapshotReader::open(&disk, SNAPSHOT).unwrap().log_seq(), Seq(1));
}

#[test]
fn the_log_of_another_member_is_refused() {
    let disk = sound();
    for name in disk.list().unwrap() {
        if name.starts_with("log-") {
            disk.remove(&name).unwrap();
        }
    }
    let other = new_disk();
    wal::begin(&other, CLUSTER + 1).unwrap();
    let name = "log-0000000000000001.wal";
    disk.put(name, &other.content(name).unwrap());
    let text = start(&disk).unwrap_err().to_string();
    for word in [name, "another data directory", "by another member", "-force-rejoin"] {
        assert!(text.contains(word), "no {word:?} in: {text}");
    }
}

/// A power loss or a kill while the log begins leaves a directory in which nothing was begun, or
/// the whole beginning.
#[test]
fn a_beginning_may_be_interrupted_anywhere() {
    let mut rng = crate::testkit::Rng(7);
    for failing in 0..40 {
        for _ in 0..8 {
            let disk = new_disk();
            disk.fail_after(Some(failing));
            let is_done = wal::begin(&disk, CLUSTER).is_ok();
            let disk = if failing % 2 == 0 { disk.kill() } else { disk.crash(&mut || rng.next()) };
            assert!(is_empty(&disk).unwrap(), "{failing}: {:?}", disk.list());
            assert!(!is_done || Wal::open(disk.kill(), CLUSTER, Seq(1), options()).is_ok());
            assert_eq!(wal::begin(&disk, CLUSTER + 1).unwrap(), Seq(1));
            let opened = Wal::open(disk.crash(&mut || 0), CLUSTER + 1, Seq(1), options());
            assert_eq!(opened.unwrap().0.last_seq(), Seq(1));
        }
    }
}

#[test]
fn a_log_with_one_record_of_worth_is_not_empty() {
    let disk = new_disk();
    wal::begin(&disk, CLUSTER).unwrap();
    assert!(is_empty(&disk).unwrap());
    let (mut wal, _) = open_all(&disk);
    wal.append(0, &[b"x"]).unwrap();
    assert!(!is_empty(&disk).unwrap());
    disk.set_fail_reads(true);
    let before = disk.content("log-0000000000000001.wal");
    assert!(wal::begin(&disk, CLUSTER).is_err(), "it cannot be read");
    disk.set_fail_reads(false);
    let text = wal::begin(&disk, CLUSTER).unwrap_err().to_string();
    assert!(text.contains("cannot begin a log in the data directory"), "{text}");
    assert_eq!(disk.content("log-0000000000000001.wal"), before, "nothing was changed");
    disk.set_fail_reads(true);
    let text = is_empty(&disk).unwrap_err().to_string();
    assert!(text.contains("cannot read log-0000000000000001.wal"), "{text}");
}

/// Three records, and an end in order.
fn closed() -> MemDisk {
    let disk = new_disk();
    let (mut wal, _) = open_all(&disk);
    for seq in 1..=3 {
        wal.append(seq, &[&payload(seq, 1, 100)]).unwrap();
        wal.sync().unwrap();
    }
    wal.append(3, &[&payload(4, 1, 100)]).unwrap();
    wal.close().unwrap();
    // Closed twice is closed.
    wal.close().unwrap();
    assert_eq!((wal.last_seq(), wal.synced_seq()), (Seq(5), Seq(5)));
    disk
}

#[test]
fn a_log_that_was_closed_is_whole_and_goes_on() {
    let disk = closed();
    let (mut wal, records) = open_all(&disk.crash(&mut || 0));
    assert_eq!(records.len(), 4);
    wal.close().unwrap();
    assert_eq!(wal.last_seq(), Seq(5), "nothing was written since");
    let (mut wal, _) = open_all(&disk);
    wal.append(9, &[b"more"]).unwrap();
    wal.close().unwrap();
    let (wal, records) = open_all(&disk.crash(&mut || 0));
    assert_eq!((wal.last_seq(), records.len()), (Seq(7), 5));
}

#[test]
fn a_flipped_bit_in_the_last_record_of_a_closed_log_is_damage() {
    let disk = closed();
    let name = "log-0000000000000001.wal";
    let last = 64 + 3 * 144;
    for at in (last..last + 140).step_by(3) {
        disk.corrupt(name, at, 1);
        let (before, opened) =
            (disk.content(name), Wal::open(disk.clone(), CLUSTER, Seq(0), options()));
        assert!(matches!(opened.err(), Some(Error::Damaged { offset: 496, .. })), "offset {at}");
        assert_eq!(disk.content(name), before, "nothing was changed");
        disk.corrupt(name, at, 1);
    }
    // The record that closes the log holds nothing.
    disk.corrupt(name, last + 144 + 4, 1);
    assert_eq!(open_all(&disk).1.len(), 4);
}

#[test]
fn a_log_without_room_for_its_last_record_is_closed_all_the_same() {
    let disk = new_disk();
    let (mut wal, _) = open_all(&disk);
    wal.append(1, &[b"x"]).unwrap();
    disk.set_refuse_writes(true);
    wal.close().unwrap();
    assert_eq!(wal.synced_seq(), Seq(1));
    let disk = disk.crash(&mut || 0);
    assert_eq!(open_all(&disk).1, [b"x"]);
    let (mut wal, _) = open_all(&disk);
    disk.set_fail_syncs(true);
    assert!(matches!(wal.close(), Err(Error::Io { .. })));
}

/// A process that dies after the first record of a segment is durable, and before the segment in
/// front of it says so.
#[test]
fn a_log_that_is_opened_again_says_where_it_goes_on() {
    let disk = new_disk();
    let (mut wal, _) = open_all(&disk);
    while disk.list().unwrap().len() < 2 {
        wal.append(1, &[&payload(wal.last_seq().0 + 1, 1, 900)]).unwrap();
    }
    // Synced, and not reported: no mark is written.
    wal.sync_target().sync().unwrap();
    let last = wal.last_seq().0;
    let newest = wal.newest_segment().unwrap().to_owned();
    let disk = disk.kill();

    let without_newest = |disk: &MemDisk| {
        let disk = disk.kill();
        disk.remove(&newest).unwrap();
        open(&disk).map(|_| ())
    };
    assert!(without_newest(&disk).is_ok(), "nothing tells that the log went on");
    let (_, records) = open_all(&disk);
    assert_eq!(records.len() as u64, last);
    let disk = disk.crash(&mut || 0);
    let error = without_newest(&disk).expect_err("a segment is missing").to_string();
    assert!(error.contains(&format!("the log goes on in {newest}, which is missing")), "{error}");
    let (_, records) = open_all(&disk);
    assert_eq!(records.len() as u64, last, "the mark is no record");
}
