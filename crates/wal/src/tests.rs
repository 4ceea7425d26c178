//! Tests of the log and the snapshot files on a disk that fails.

use crate::mem::MemDisk;
use crate::*;
use std::io::{Read, Write};

const CLUSTER: u64 = 7;

/// A sequence of numbers without a pattern, the same for the same seed.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn small() -> Options {
    Options { segment_bytes: 4096, spares_max: 2 }
}

/// A log, what it held, and what was cut off it.
type Opened = (Wal<MemDisk>, Vec<Vec<u8>>, Option<Cut>);

fn open(disk: &MemDisk) -> Result<Opened, Error> {
    let (wal, recovered) = Wal::open(disk.clone(), CLUSTER, small())?;
    let records = recovered.records.collect::<Result<Vec<_>, _>>()?;
    Ok((wal, records, recovered.cut))
}

fn reopen(disk: &MemDisk) -> Opened {
    open(disk).expect("the log is sound")
}

fn fill(wal: &mut Wal<MemDisk>) {
    while let Some(mut task) = wal.next_fill() {
        while !task.step().expect("there is room") {}
        wal.filled(task, &Ok(()));
    }
}

fn payload(number: u64) -> Vec<u8> {
    let len = 20 + (number * 37 % 300) as usize;
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.resize(len, number as u8);
    bytes
}

#[test]
fn records_come_back_in_order_over_segments_and_restarts() {
    let disk = MemDisk::new();
    let mut want = Vec::new();
    for start in 0..5 {
        let (mut wal, records, cut) = reopen(&disk);
        assert_eq!(records, want);
        assert_eq!(cut, None);
        fill(&mut wal);
        for number in start * 20..start * 20 + 20 {
            let bytes = payload(number);
            let (one, other) = bytes.split_at(9);
            wal.append(number, &[one, other]).expect("there is room");
            want.push(bytes);
            fill(&mut wal);
        }
        wal.sync().expect("the disk is sound");
    }
    let segments = reopen(&disk).0.stats().segments;
    assert!(segments > 3, "{segments} segments");
}

#[test]
fn a_crash_at_any_moment_keeps_what_was_synced_and_nothing_wrong() {
    for seed in 1..400 {
        let mut numbers = Numbers(seed * 0x9e37_79b9);
        let mut disk = MemDisk::new();
        let mut synced: Vec<Vec<u8>> = Vec::new();
        let mut written: Vec<Vec<u8>> = Vec::new();
        for _ in 0..4 {
            let (mut wal, records, _) = reopen(&disk);
            assert!(records.len() >= synced.len(), "seed {seed}: a synced record is lost");
            assert!(written.starts_with(&records), "seed {seed}: not what was written");
            written = records;
            synced.clone_from(&written);
            for _ in 0..numbers.next() % 40 {
                if numbers.next().is_multiple_of(3) {
                    fill(&mut wal);
                }
                let bytes = payload(numbers.next() % 1000);
                wal.append(1, &[&bytes]).expect("there is room");
                written.push(bytes);
                if numbers.next().is_multiple_of(4) {
                    wal.sync().expect("the disk is sound");
                    synced.clone_from(&written);
                }
            }
            disk = disk.crash(&mut || numbers.next());
        }
    }
}

#[test]
fn a_flipped_bit_in_what_was_durable_is_named_and_refused() {
    let disk = MemDisk::new();
    let (mut wal, ..) = reopen(&disk);
    for number in 0..8 {
        wal.append(number, &[&payload(number)]).expect("there is room");
        wal.sync().expect("the disk is sound");
    }
    let name = disk.list().expect("lists").into_iter().find(|n| n.starts_with("log-"));
    let name = name.expect("there is a segment");
    disk.corrupt(&name, 64 + 40, 1);
    match open(&disk).err() {
        Some(Error::Damaged { file, offset, .. }) => assert_eq!((file, offset), (name.clone(), 64)),
        other => panic!("not refused as damage: {other:?}"),
    }
    let report = check(&disk).expect("reads");
    assert!(!report.is_sound() && report.log_error.is_some());
    disk.corrupt(&name, 64 + 40, 1);
    disk.corrupt(&name, 3, 1);
    assert!(matches!(open(&disk), Err(Error::Damaged { offset: 0, .. })), "its header");
    disk.corrupt(&name, 3, 1);
    assert_eq!(reopen(&disk).1.len(), 8, "nothing was changed");
}

#[test]
fn no_flipped_bit_anywhere_panics_or_gives_a_wrong_record() {
    let disk = MemDisk::new();
    let (mut wal, ..) = reopen(&disk);
    let want: Vec<_> = (0..4).map(payload).collect();
    for bytes in &want {
        wal.append(1, &[bytes]).expect("there is room");
        wal.sync().expect("the disk is sound");
    }
    let name = disk.list().expect("lists").into_iter().find(|n| n.starts_with("log-"));
    let name = name.expect("there is a segment");
    for at in 0..900 {
        let copy = disk.crash(&mut || 3);
        copy.corrupt(&name, at, 0x10);
        if let Ok((_, records, _)) = open(&copy) {
            assert!(want.starts_with(&records), "byte {at}");
            assert!(records.len() >= 3, "byte {at}: only the last record may be lost");
        }
    }
}

#[test]
fn other_versions_and_clusters_are_refused() {
    let disk = MemDisk::new();
    let (mut wal, ..) = reopen(&disk);
    wal.append(1, &[b"x"]).expect("there is room");
    wal.sync().expect("the disk is sound");
    assert!(matches!(
        Wal::open(disk.clone(), CLUSTER + 1, small()),
        Err(Error::WrongCluster { .. })
    ));
    let name = disk.list().expect("lists").into_iter().find(|n| n.starts_with("log-"));
    disk.corrupt(&name.expect("there is a segment"), 8, 2);
    assert!(matches!(open(&disk), Err(Error::UnknownVersion { version: 3, .. })));
}

#[test]
fn released_segments_are_used_again_and_their_old_records_stay_dead() {
    let disk = MemDisk::new();
    let (mut wal, ..) = reopen(&disk);
    for number in 0..400 {
        wal.append(number, &[&payload(number)]).expect("there is room");
        wal.sync().expect("the disk is sound");
        wal.release(number.saturating_sub(10)).expect("the disk is sound");
        fill(&mut wal);
    }
    let stats = wal.stats();
    assert!(stats.segments <= 3, "{stats:?}");
    assert!(disk.used() < 10 * 4096, "{} bytes", disk.used());
    drop(wal);
    let (_, records, cut) = reopen(&disk);
    assert_eq!(cut, None);
    let last = records.last().expect("some are kept");
    assert_eq!(*last, payload(399));
    let from = 400 - records.len() as u64;
    let want: Vec<_> = (from..400).map(payload).collect();
    assert_eq!(records, want);
}

#[test]
fn a_full_disk_is_told_before_anything_is_written_and_recovers() {
    let disk = MemDisk::new();
    let options = Options { segment_bytes: 256 << 10, spares_max: 2 };
    let (mut wal, _) = Wal::open(disk.clone(), CLUSTER, options).expect("opens");
    disk.set_capacity(Some(300 << 10));
    let bytes = vec![1; 1000];
    let mut written = 0;
    while wal.make_room(bytes.len()).expect("full is no failure") {
        wal.append(1, &[&bytes]).expect("room was promised");
        wal.sync().expect("the disk is sound");
        written += 1;
        assert!(written < 1000, "it is never full");
    }
    assert!(wal.is_full() && written > 100, "{written}");
    wal.append(1, &[b"a vote"]).expect("there is a reserve for what must be written");
    let mut task = wal.next_fill().expect("it wants a spare");
    let result = loop {
        match task.step() {
            Ok(false) => {}
            result => break result.map(|_| ()),
        }
    };
    assert!(result.is_err());
    wal.filled(task, &result);
    assert!(wal.next_fill().is_none(), "not again at once");
    disk.set_capacity(None);
    assert!(wal.make_room(bytes.len()).expect("there is room again"));
    wal.append(1, &[&bytes]).expect("room was promised");
}

#[test]
fn a_failed_sync_closes_the_log_for_good() {
    let disk = MemDisk::new();
    let (mut wal, ..) = reopen(&disk);
    wal.append(1, &[b"x"]).expect("there is room");
    disk.set_fail_syncs(true);
    assert!(matches!(wal.sync(), Err(Error::Io { .. })));
    disk.set_fail_syncs(false);
    assert!(matches!(wal.sync(), Err(Error::Failed)));
    assert!(matches!(wal.append(1, &[b"y"]), Err(Error::Failed)));
}

#[test]
fn a_record_larger_than_a_segment_gets_one_of_its_own() {
    let disk = MemDisk::new();
    let (mut wal, ..) = reopen(&disk);
    let large = vec![5; 20_000];
    for bytes in [&b"small"[..], &large, b"after"] {
        wal.append(1, &[bytes]).expect("there is room");
    }
    wal.sync().expect("the disk is sound");
    assert_eq!(reopen(&disk).1, vec![b"small".to_vec(), large, b"after".to_vec()]);
}

fn write_snapshot(disk: &MemDisk, index: u64, content: &[u8]) {
    let mut writer = SnapshotWriter::create(disk, index).expect("creates");
    writer.write_all(content).expect("writes");
    writer.finish().expect("finishes");
}

fn read_snapshot(disk: &MemDisk, name: &str) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    SnapshotReader::open(disk, name)?.read_to_end(&mut content)?;
    Ok(content)
}

#[test]
fn snapshots_round_trip_and_a_newer_one_replaces_older_ones() {
    let disk = MemDisk::new();
    for (index, len) in [(0, 0), (5, 1), (9, 65_536), (12, 200_000)] {
        let content: Vec<u8> = (0..len).map(|at| at as u8).collect();
        write_snapshot(&disk, index, &content);
        let name = list_snapshots(&disk).expect("lists").pop().expect("there is one");
        assert_eq!(read_snapshot(&disk, &name).expect("sound"), content);
        remove_older_snapshots(&disk, index).expect("removes");
        assert_eq!(list_snapshots(&disk).expect("lists").len(), 1);
    }
}

#[test]
fn a_snapshot_that_is_not_finished_or_not_whole_is_none() {
    let disk = MemDisk::new();
    let mut writer = SnapshotWriter::create(&disk, 1).expect("creates");
    writer.write_all(&[1; 100_000]).expect("writes");
    drop(writer);
    assert!(disk.list().expect("lists").is_empty(), "an abandoned one leaves nothing");

    write_snapshot(&disk, 2, &[7; 70_000]);
    let name = list_snapshots(&disk).expect("lists").pop().expect("there is one");
    let whole = crate::disk::read_all(&disk.open(&name).expect("opens")).expect("reads");
    for len in (0..whole.len()).step_by(997) {
        disk.put(&name, &whole[..len]);
        assert!(read_snapshot(&disk, &name).is_err(), "cut at {len}");
    }
    for at in (0..whole.len()).step_by(331).filter(|at| !(28..32).contains(at)) {
        let mut bent = whole.clone();
        bent[at] ^= 4;
        disk.put(&name, &bent);
        assert!(read_snapshot(&disk, &name).is_err(), "bent at {at}");
    }
    let mut longer = whole.clone();
    longer.push(0);
    disk.put(&name, &longer);
    assert!(read_snapshot(&disk, &name).is_err(), "with a byte too many");
}
