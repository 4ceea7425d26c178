//! Snapshot files: whole or not there, and never a wrong byte.

use crate::testkit::{CLUSTER, Rng, new_disk, open};
use proptest::prelude::*;
use std::io::{ErrorKind, Read, Write};
use wal::mem::MemDisk;
use wal::{
    Disk, Seq, SnapshotReader, SnapshotWriter, check, list_snapshots, remove_older_snapshots,
};

const NAME: &str = "snapshot-0000000000000007.snap";

fn content(len: usize) -> Vec<u8> {
    let mut rng = Rng(len as u64);
    (0..len).map(|_| rng.next().to_le_bytes()[0]).collect()
}

fn write(disk: &MemDisk, index: u64, content: &[u8]) -> std::io::Result<u64> {
    let mut writer = SnapshotWriter::create(disk, index, Seq(1))?;
    for piece in content.chunks(1000) {
        writer.write_all(piece)?;
    }
    writer.finish()
}

fn read(disk: &MemDisk, name: &str) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    SnapshotReader::open(disk, name)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[test]
fn content_of_any_length_comes_back() {
    for len in [0, 1, 65_535, 65_536, 65_537, 131_072, 300_000] {
        let disk = new_disk();
        let size = write(&disk, 7, &content(len)).unwrap();
        assert_eq!(size, wal::file_len(&disk, NAME).unwrap());
        let after = disk.crash(&mut || 0);
        assert_eq!(read(&after, NAME).unwrap(), content(len), "{len} bytes");
        let reader = SnapshotReader::open(&after, NAME).unwrap();
        assert_eq!((reader.index(), reader.content_len()), (7, len as u64));
        assert_eq!(reader.verify().unwrap(), len as u64);
    }
}

#[test]
fn a_snapshot_that_is_dropped_leaves_nothing() {
    let disk = new_disk();
    let mut writer = SnapshotWriter::create(&disk, 7, Seq(1)).unwrap();
    writer.write_all(&content(100_000)).unwrap();
    assert_eq!(list_snapshots(&disk).unwrap(), Vec::<String>::new());
    drop(writer);
    assert_eq!(disk.list().unwrap(), Vec::<String>::new());
}

#[test]
fn what_an_earlier_process_left_is_no_hindrance() {
    let disk = new_disk();
    disk.put("snapshot-0000000000000007.tmp", b"half");
    write(&disk, 7, b"whole").unwrap();
    assert_eq!(disk.list().unwrap(), [NAME]);
    write(&disk, 7, b"again").unwrap();
    assert_eq!(read(&disk, NAME).unwrap(), b"again");
    disk.put("snapshot-0000000000000009.tmp", b"half");
    open(&disk).unwrap();
    assert_eq!(disk.list().unwrap(), [NAME]);
}

#[test]
fn older_ones_are_removed() {
    let disk = new_disk();
    for index in [3, 200, 17] {
        write(&disk, index, b"x").unwrap();
    }
    assert_eq!(list_snapshots(&disk).unwrap().len(), 3);
    assert!(list_snapshots(&disk).unwrap().is_sorted());
    remove_older_snapshots(&disk, 200).unwrap();
    assert_eq!(list_snapshots(&disk).unwrap(), ["snapshot-00000000000000c8.snap"]);
    assert!(!wal::is_empty(&disk).unwrap());
}

#[test]
fn each_operation_may_fail_and_the_power_with_it() {
    let (old, new) = (content(5000), content(200_000));
    for failing in 0.. {
        assert!(failing < 100, "writing takes too many operations");
        let disk = new_disk();
        write(&disk, 3, &old).unwrap();
        disk.fail_after(Some(failing));
        let is_written = write(&disk, 7, &new).is_ok();
        for seed in 0..20 {
            let mut rng = Rng(seed);
            let after = disk.crash(&mut || if seed == 0 { 0 } else { rng.next() });
            let names = list_snapshots(&after).unwrap();
            assert_eq!(read(&after, &names[0]).unwrap(), old, "nothing happened to it");
            if let Some(name) = names.get(1) {
                assert_eq!(read(&after, name).unwrap(), new, "whole if it has its name");
            }
            assert!(!is_written || names.len() == 2, "durable when finish returned");
        }
        if is_written {
            break;
        }
    }
}

#[test]
fn a_failed_sync_is_not_tried_again() {
    let disk = new_disk();
    let mut writer = SnapshotWriter::create(&disk, 7, Seq(1)).unwrap();
    disk.set_fail_syncs(true);
    let failed = (0..100).any(|_| writer.write_all(&content(65_536)).is_err());
    assert!(failed, "it syncs now and then");
    disk.set_fail_syncs(false);
    let syncs = disk.syncs();
    assert!(writer.write_all(b"x").is_err() || writer.finish().is_err());
    assert_eq!(disk.syncs(), syncs);
    assert_eq!(list_snapshots(&disk).unwrap(), Vec::<String>::new());
}

#[test]
fn each_flipped_bit_and_each_truncation_is_noticed() {
    let disk = new_disk();
    let expected = content(700);
    write(&disk, 7, &expected).unwrap();
    let bytes = disk.content(NAME).unwrap();
    for at in 0..bytes.len() {
        for mask in [0x01, 0x80, 0xff] {
            disk.corrupt(NAME, at, mask);
            let error = read(&disk, NAME).expect_err("damage is noticed");
            assert_eq!(error.kind(), ErrorKind::InvalidData, "offset {at}");
            assert!(error.to_string().contains(NAME), "{error}");
            disk.corrupt(NAME, at, mask);
        }
    }
    for len in 0..bytes.len() {
        disk.put(NAME, &bytes[..len]);
        assert!(SnapshotReader::open(&disk, NAME).is_err(), "cut at {len}");
    }
    disk.put(NAME, &[bytes.clone(), vec![0]].concat());
    assert!(SnapshotReader::open(&disk, NAME).is_err(), "a byte too many");
    disk.put(NAME, &bytes);
    assert_eq!(read(&disk, NAME).unwrap(), expected);
}

#[test]
fn no_byte_of_a_bad_chunk_is_handed_out() {
    let disk = new_disk();
    let expected = content(200_000);
    write(&disk, 7, &expected).unwrap();
    // A byte in the third chunk.
    disk.corrupt(NAME, 40 + 2 * (8 + 65_536) + 8 + 10, 1);
    let mut reader = SnapshotReader::open(&disk, NAME).unwrap();
    let mut got = Vec::new();
    assert!(reader.read_to_end(&mut got).is_err());
    assert_eq!(got, expected[..131_072]);
    let mut buf = [0; 100];
    assert!(reader.read(&mut buf).is_err(), "asked again, it does not change its mind");
    assert_eq!(reader.read(&mut []).unwrap(), 0);
    let offset = 40 + 2 * (8 + 65_536);
    let error = SnapshotReader::open(&disk, NAME).unwrap().verify().unwrap_err();
    assert!(error.to_string().contains(&format!("offset {offset}")), "{error}");
}

#[test]
fn chunks_that_changed_places_are_noticed() {
    let disk = new_disk();
    write(&disk, 7, &content(131_072)).unwrap();
    let mut bytes = disk.content(NAME).unwrap();
    let (first, second) = bytes[40..40 + 2 * 65_544].split_at_mut(65_544);
    first.swap_with_slice(second);
    disk.put(NAME, &bytes);
    assert!(read(&disk, NAME).is_err());
}

#[test]
fn a_snapshot_under_another_ones_name_is_noticed() {
    let disk = new_disk();
    write(&disk, 7, b"x").unwrap();
    let other = "snapshot-0000000000000008.snap";
    disk.rename(NAME, other).unwrap();
    let error = SnapshotReader::open(&disk, other).unwrap_err();
    assert!(error.to_string().contains("another index"), "{error}");
}

#[test]
fn a_newer_version_is_refused_by_name() {
    let disk = new_disk();
    write(&disk, 7, b"x").unwrap();
    let mut bytes = disk.content(NAME).unwrap();
    bytes[8] = 9;
    disk.put(NAME, &bytes);
    let error = SnapshotReader::open(&disk, NAME).unwrap_err();
    assert!(error.to_string().contains("version 9"), "{error}");
}

#[test]
fn another_thread_can_write_and_read() {
    let disk = new_disk();
    let its = disk.clone();
    let writer = std::thread::spawn(move || write(&its, 7, &content(100_000)));
    writer.join().unwrap().unwrap();
    let its = disk.clone();
    let reader = std::thread::spawn(move || read(&its, NAME));
    assert_eq!(reader.join().unwrap().unwrap(), content(100_000));
}

#[test]
fn the_check_names_each_snapshot_and_what_is_wrong_with_it() {
    let disk = new_disk();
    assert!(!check(&disk).unwrap().is_sound(), "there is nothing to start from");
    wal::begin(&disk, CLUSTER).unwrap();
    write(&disk, 7, &content(1000)).unwrap();
    write(&disk, 9, &content(10)).unwrap();
    let report = check(&disk).unwrap();
    assert!(report.is_sound());
    assert_eq!(report.snapshots[0], (NAME.to_owned(), Ok(1000)));
    disk.corrupt(NAME, 50, 1);
    let report = check(&disk).unwrap();
    assert!(report.snapshots[0].1.is_err());
    assert!(report.is_sound(), "it starts from the newest");
    disk.corrupt("snapshot-0000000000000009.snap", 50, 1);
    assert!(!check(&disk).unwrap().is_sound());
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn mutated_files_give_what_was_written_or_an_error(
        len in 0_usize..150_000,
        cuts in prop::collection::vec((any::<usize>(), 0_usize..40, any::<u8>()), 1..4),
    ) {
        let disk = new_disk();
        let expected = content(len);
        write(&disk, 7, &expected).unwrap();
        let mut bytes = disk.content(NAME).unwrap();
        for (at, span, byte) in cuts {
            let at = at % bytes.len();
            let end = (at + span).min(bytes.len());
            match byte % 3 {
                0 => bytes[at..end].fill(byte),
                1 => drop(bytes.drain(at..end)),
                _ => {
                    let copy = bytes[at..end].to_vec();
                    bytes.splice(at..at, copy);
                }
            }
            if bytes.is_empty() {
                bytes.push(0);
            }
        }
        disk.put(NAME, &bytes);
        let mut got = Vec::new();
        if let Ok(mut reader) = SnapshotReader::open(&disk, NAME) {
            let result = reader.read_to_end(&mut got);
            prop_assert!(expected.starts_with(&got));
            prop_assert!(result.is_err() || got == expected);
        }
    }

    #[test]
    fn garbage_is_no_snapshot(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        let disk = new_disk();
        disk.put(NAME, &bytes);
        prop_assert!(SnapshotReader::open(&disk, NAME).is_err());
    }
}
