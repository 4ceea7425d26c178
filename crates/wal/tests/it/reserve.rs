//! Setting room aside must never cost a byte that was written.

use crate::testkit::{Bench, new_disk, open};
use std::io;
use wal::mem::{MemDisk, Reserving};
use wal::{Disk, DiskFile, Error};

const MODES: [Reserving; 3] = [Reserving::Works, Reserving::Missing, Reserving::Overwrites];

/// A log with records in its last segment, restarted several times.
fn restarted(reserving: Reserving) -> Bench {
    let mut bench = Bench::new();
    bench.disk.set_reserving(reserving);
    for round in 0..4 {
        for len in [100, 900, 40] {
            bench.append(round, len).unwrap();
        }
        bench.sync().unwrap();
        bench.step_fill(2);
        bench.restart_on(bench.disk.kill());
        bench.restart_on(bench.disk.crash(&mut || 0));
    }
    bench
}

#[test]
fn a_restart_writes_over_no_record_whatever_the_disk_does_to_reserve_room() {
    for reserving in MODES {
        let bench = restarted(reserving);
        assert_eq!(bench.model.last_seq(), 12, "{reserving:?}");
    }
}

#[test]
fn a_segment_that_is_full_to_its_last_byte_is_opened() {
    for reserving in MODES {
        let mut bench = Bench::new();
        bench.disk.set_reserving(reserving);
        // Header, head and payload are all of the segment: nothing is left to be reserved.
        bench.append(0, 4096 - 64 - 40).unwrap();
        bench.sync().unwrap();
        bench.restart_on(bench.disk.kill());
        bench.append(0, 100).unwrap();
        bench.sync().unwrap();
        bench.restart_on(bench.disk.kill());
        assert_eq!(bench.model.last_seq(), 2, "{reserving:?}");
    }
}

#[test]
fn a_disk_that_refuses_to_reserve_is_refused_by_name_and_loses_nothing() {
    use io::ErrorKind::{Interrupted, InvalidInput, NotFound, PermissionDenied, Unsupported};
    for kind in [Interrupted, InvalidInput, NotFound, PermissionDenied, Unsupported] {
        let mut bench = Bench::new();
        bench.append(0, 100).unwrap();
        bench.sync().unwrap();
        bench.disk.set_reserving(Reserving::Refused(kind));
        bench.restart_on(bench.disk.kill());
        let error = bench.append(0, 100).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("cannot reserve room for spare-0.wal"), "{text}");
        assert!(matches!(error, Error::Io { .. }));
        bench.disk.set_reserving(Reserving::Missing);
        bench.append(0, 100).unwrap();
        bench.sync().unwrap();
        bench.restart_on(bench.disk.kill());
        assert_eq!(bench.model.last_seq(), 2);
    }
}

#[test]
fn a_directory_whose_names_cannot_be_synced_is_refused_by_name() {
    let disk = new_disk();
    disk.set_refuse_dir_syncs(true);
    let text = open(&disk).map(|_| ()).unwrap_err().to_string();
    assert!(text.contains("cannot sync the data directory"), "{text}");
}

/// What the contract of the trait says, for the disk that the tests run on.
#[test]
fn the_disk_in_memory_keeps_the_contract() {
    for reserving in [Reserving::Works, Reserving::Missing] {
        let disk = MemDisk::new();
        disk.set_reserving(reserving);
        let file = disk.create("a").unwrap();
        file.write_at(b"content", 0).unwrap();
        file.reserve(0, 4).unwrap();
        assert_eq!(disk.content("a").unwrap(), b"content");
        file.reserve(3, 8).unwrap();
        assert_eq!(disk.content("a").unwrap(), b"content\0\0\0\0");
        disk.set_capacity(Some(16));
        let full = file.reserve(11, 6).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        assert!(disk.content("a").unwrap().starts_with(b"content"));
    }
}
