//! A full disk is a state, not an end.

use crate::testkit::{Bench, CLUSTER, fill, new_disk, open, open_all, payload, without_third};
use proptest::prelude::*;
use std::io;
use wal::{Error, Options, Seq, Wal};

fn roomy() -> Options {
    Options { segment_bytes: 256 << 10, spares_max: 2 }
}

#[test]
fn room_is_refused_before_it_is_short_and_votes_still_fit() {
    let disk = new_disk();
    disk.set_capacity(Some(400 << 10));
    let (mut wal, _) = Wal::open(disk.clone(), CLUSTER, Seq(0), roomy()).unwrap();
    let mut taken = 0;
    while wal.make_room(1000).unwrap() {
        assert!(wal.has_room(1000));
        wal.append(1, &[&[7; 1000]]).unwrap();
        taken += 1;
        assert!(taken < 1000, "the disk has an end");
    }
    assert!(taken > 100);
    assert!(wal.is_full() && !wal.has_room(1000));
    for _ in 0..500 {
        wal.append(0, &[&[9; 80]]).expect("the reserve is for this");
    }
    wal.sync().unwrap();
    assert!(!wal.has_failed());

    disk.set_capacity(Some(4 << 20));
    assert!(wal.make_room(1000).unwrap(), "there is room again");
    assert!(!wal.is_full());
    wal.append(2, &[&[7; 1000]]).unwrap();
    wal.sync().unwrap();
    let (_, recovered) = Wal::open(disk.crash(&mut || 0), CLUSTER, Seq(0), roomy()).unwrap();
    assert_eq!(recovered.records.count(), taken + 500 + 1);
}

#[test]
fn room_that_was_promised_is_there_when_the_disk_fills_up() {
    let disk = new_disk();
    let (mut wal, _) = Wal::open(disk.clone(), CLUSTER, Seq(0), roomy()).unwrap();
    wal.append(0, &[&[1; 100]]).unwrap();
    for bytes in [10, 100_000, 200_000, 1_000_000, 50_000] {
        disk.set_capacity(None);
        assert!(wal.make_room(bytes).unwrap());
        // A filled segment that turns up meanwhile must not be a reason to leave one that has room.
        fill(&mut wal);
        disk.set_capacity(Some(disk.used()));
        assert!(wal.has_room(bytes));
        wal.append(0, &[&vec![3; bytes]]).expect("it was promised");
        wal.append(0, &[&[4; 200]]).expect("a vote fits as well");
    }
    wal.sync().unwrap();
    let (_, recovered) = Wal::open(disk.kill(), CLUSTER, Seq(0), roomy()).unwrap();
    assert_eq!(recovered.records.count(), 11);
}

#[test]
fn a_large_segment_is_not_left_for_a_smaller_one_that_is_better() {
    let disk = new_disk();
    let (mut wal, _) = Wal::open(disk.clone(), CLUSTER, Seq(0), roomy()).unwrap();
    wal.append(0, &[&[1; 1000]]).unwrap();
    assert!(wal.make_room(1_000_000).unwrap());
    wal.append(0, &[&vec![2; 262_000]]).unwrap();
    assert!(fill(&mut wal));
    disk.set_capacity(Some(disk.used()));
    // This fits into the filled segment as well, but then no vote does.
    assert!(wal.make_room(261_900).unwrap());
    wal.append(0, &[&vec![3; 261_900]]).unwrap();
    wal.append(0, &[&[4; 200]]).expect("a vote fits as well");
    assert_eq!(wal.stats().segments, 2);
}

#[test]
fn a_file_system_that_breaks_its_promise_of_room_harms_nothing() {
    let mut bench = Bench::new();
    bench.append(0, 100).unwrap();
    bench.sync().unwrap();
    bench.disk.set_refuse_writes(true);
    assert!(matches!(bench.append(0, 100), Err(Error::Full)));
    assert!(bench.wal.is_full() && !bench.wal.has_failed());
    bench.disk.set_refuse_writes(false);
    bench.append(0, 100).unwrap();
    bench.sync().unwrap();
    bench.restart_on(bench.disk.crash(&mut || 0));
    assert_eq!(bench.model.last_seq(), 2);
}

#[test]
fn a_segment_that_never_got_a_record_is_replaced_by_another_of_its_name() {
    let mut bench = Bench::new();
    bench.disk.set_refuse_writes(true);
    assert!(matches!(bench.append(5, 100), Err(Error::Full)));
    bench.disk.set_refuse_writes(false);
    // Too large for the segment that was begun: both would begin with record 1.
    bench.append(5, 6000).unwrap();
    bench.append(6, 3000).unwrap();
    bench.sync().unwrap();
    assert_eq!(bench.wal.stats().segments, 2);
    bench.release(4).unwrap();
    bench.restart_on(bench.disk.crash(&mut || 0));
    assert_eq!(bench.model.last_seq(), 2);
}

#[test]
fn an_append_that_finds_no_room_leaves_the_log_as_it_was() {
    let mut bench = Bench::new();
    bench.append(0, 3000).unwrap();
    bench.sync().unwrap();
    bench.disk.set_capacity(Some(bench.disk.used()));
    assert!(matches!(bench.append(0, 3000), Err(Error::Full)));
    assert!(bench.wal.is_full());
    bench.append(0, 100).expect("a small one fits into the segment");
    bench.sync().unwrap();
    bench.disk.set_capacity(None);
    bench.append(0, 3000).unwrap();
    bench.sync().unwrap();
    bench.restart_on(bench.disk.crash(&mut || 0));
    assert_eq!(bench.model.last_seq(), 3);
}

#[test]
fn a_full_disk_is_found_out_by_a_fill_without_harm() {
    let mut bench = Bench::new();
    bench.append(0, 100).unwrap();
    let used = bench.disk.used();
    // Too little to begin with, and a disk that says nothing of it and ends in the middle.
    bench.disk.set_capacity(Some(used + 2 * 4096 - 1));
    assert!(!fill(&mut bench.wal));
    assert!(bench.wal.next_fill().is_none(), "not again before it is allowed");
    bench.retry_fill();
    bench.disk.set_capacity(None);
    bench.disk.set_refuse_writes(true);
    assert!(!fill(&mut bench.wal));
    bench.disk.set_refuse_writes(false);
    assert_eq!(bench.disk.used(), used, "what was begun is gone");
    assert_eq!(bench.wal.fill_failures(), 2);
    bench.disk.set_capacity(None);
    bench.retry_fill();
    assert!(fill(&mut bench.wal));
    bench.append(0, 100).unwrap();
    bench.sync().unwrap();
    bench.restart_on(bench.disk.crash(&mut || 0));
}

#[test]
fn fills_that_fail_are_tried_again_after_ever_longer_rests_and_write_nothing() {
    const SECOND: u64 = 1_000_000_000;
    let mut bench = Bench::new();
    bench.append(0, 100).unwrap();
    bench.sync().unwrap();
    bench.disk.set_capacity(Some(bench.disk.used()));
    let writes = bench.disk.writes();
    let (mut tried_at, mut rests) = (0, Vec::new());
    for second in 0..3600 {
        bench.wal.retry_fill(second * SECOND);
        if let Some(mut task) = bench.wal.next_fill() {
            let result = task.step().map(|_| ());
            assert_eq!(result.as_ref().unwrap_err().kind(), io::ErrorKind::StorageFull);
            bench.wal.filled(task, &result);
            rests.push(second - tried_at);
            tried_at = second;
        }
    }
    // A rest is counted from the first call behind the failure, a second later here.
    assert_eq!(rests[1..10], [2, 3, 5, 9, 17, 33, 65, 129, 257]);
    assert!(rests[10..].iter().all(|rest| *rest == 301), "{rests:?}");
    assert_eq!(bench.disk.writes(), writes, "nothing was written for it");
    bench.disk.set_capacity(None);
    bench.retry_fill();
    assert!(fill(&mut bench.wal));
    assert_eq!(bench.wal.fill_failures(), 0);
}

#[test]
fn a_piece_of_a_record_that_went_to_the_next_segment_is_no_damage() {
    let mut bench = Bench::new();
    bench.append(0, 100).unwrap();
    bench.sync().unwrap();
    // The disk is full in the middle of the record; its head is there by then.
    bench.disk.refuse_call(Some((bench.disk.calls() + 1, io::ErrorKind::StorageFull)));
    assert!(matches!(bench.append(0, 1000), Err(Error::Full)));
    bench.disk.refuse_call(None);
    // A better segment turns up, and takes the record when it is tried again.
    assert!(fill(&mut bench.wal));
    for _ in 0..3 {
        bench.append(0, 1000).unwrap();
        bench.sync().unwrap();
    }
    assert_eq!(bench.wal.stats().segments, 2);
    bench.restart_on(bench.disk.kill());
    bench.restart_on(bench.disk.crash(&mut || 0));
    assert_eq!(bench.model.last_seq(), 4);
    // A record that is lost in the next segment is damage all the same.
    bench.disk.corrupt("log-0000000000000002.wal", 64 + 500, 1);
    assert!(matches!(open(&bench.disk), Err(Error::Damaged { .. })));
}

#[test]
fn a_log_is_opened_on_a_full_disk_and_its_cut_is_made_up_for() {
    let (disk, name, _) = without_third();
    let bytes = disk.content(name).unwrap();

    // A file system that copies on write wants room for zeros as well.
    disk.set_refuse_writes(true);
    let (mut wal, recovered) = open(&disk).unwrap();
    assert!(recovered.cut.is_some() && wal.is_full());
    assert_eq!(recovered.records.map(Result::unwrap).count(), 2, "what is there can be read");
    assert!(!wal.has_room(0) && !wal.make_room(0).unwrap());
    assert!(matches!(wal.append(3, &[b"x"]), Err(Error::Full)));
    assert!(wal.is_full() && !wal.has_failed());
    assert_eq!(disk.content(name).unwrap(), bytes, "nothing is written before the cut");
    wal.close().unwrap();

    disk.set_refuse_writes(false);
    assert!(wal.make_room(100).unwrap() && !wal.is_full());
    wal.append(3, &[&payload(3, 2, 100)]).unwrap();
    wal.sync().unwrap();
    let (_, records) = open_all(&disk.crash(&mut || 0));
    assert_eq!(records.last(), Some(&payload(3, 2, 100)), "the old record 4 is gone for good");
}

#[test]
fn a_cut_whose_sync_fails_is_not_tried_again() {
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::Other] {
        let (disk, _, _) = without_third();
        disk.set_refuse_writes(true);
        let (mut wal, _) = open(&disk).unwrap();
        disk.set_refuse_writes(false);
        // The zeros are read for where they are wanted, written, and synced.
        disk.refuse_call(Some((disk.calls() + 3, kind)));
        assert!(wal.make_room(100).is_err(), "{kind}");
        assert!(wal.has_failed() && wal.make_room(100).is_err(), "{kind}");
    }
}

#[test]
fn a_full_disk_keeps_what_should_be_let_go_of_until_there_is_room() {
    let mut bench = Bench::new();
    for mark in 0..60 {
        bench.append(mark, 900).unwrap();
    }
    bench.sync().unwrap();
    let before = bench.wal.stats().segments;
    for call in 1..=4 {
        bench.disk.refuse_call(Some((bench.disk.calls() + call, io::ErrorKind::StorageFull)));
        bench.release(59).expect("it is no failure");
        bench.disk.refuse_call(None);
        bench.model.clone().restart(&open_all(&bench.disk.kill()).1);
    }
    bench.release(59).unwrap();
    assert!(before > 4 && bench.wal.stats().segments == 1);
    bench.restart_on(bench.disk.kill());
}

#[test]
fn a_directory_copied_with_holes_is_no_promise_of_room() {
    // The restored file is shorter than the log believes its segments to be.
    let mut bench = Bench::new();
    bench.append(0, 1000).unwrap();
    bench.sync().unwrap();
    let name = "log-0000000000000001.wal";
    let content = bench.disk.content(name).unwrap();
    bench.disk.put(name, &content[..1200]);
    bench.restart_on(bench.disk.kill());
    bench.append(0, 1000).unwrap();
    bench.sync().unwrap();
    bench.restart_on(bench.disk.crash(&mut || 0));
    assert_eq!(bench.model.last_seq(), 2);
}

#[test]
fn full_and_failed_are_told_apart() {
    let io = |kind: io::ErrorKind| Error::from(io::Error::from(kind));
    assert!(Error::Full.is_full());
    assert!(io(io::ErrorKind::StorageFull).is_full());
    assert!(io(io::ErrorKind::QuotaExceeded).is_full());
    assert!(io(io::ErrorKind::FileTooLarge).is_full());
    assert!(!io(io::ErrorKind::PermissionDenied).is_full());
    assert!(!Error::Failed.is_full());
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_disk_that_is_full_now_and_then_loses_nothing(
        ops in prop::collection::vec((0_u8..7, 0_usize..5000, any::<u64>()), 1..100),
    ) {
        let mut bench = Bench::new();
        for (kind, len, seed) in ops {
            match kind {
                0 | 1 => match bench.append(bench.model.last_seq(), len) {
                    Ok(_) | Err(Error::Full) => {}
                    Err(error) => panic!("{error}"),
                },
                2 => bench.sync().unwrap(),
                3 => bench.disk.set_capacity(Some(bench.disk.used() + seed % 12_000)),
                4 => {
                    if bench.wal.make_room(len).unwrap() {
                        bench.append(bench.model.last_seq(), len).expect("it was promised");
                    }
                }
                5 => {
                    bench.step_fill(2);
                    bench.retry_fill();
                }
                _ => {
                    bench.disk.set_capacity(None);
                    let mut rng = crate::testkit::Rng(seed);
                    bench.restart_on(bench.disk.crash(&mut || rng.next()));
                }
            }
        }
        bench.disk.set_capacity(None);
        bench.sync().unwrap();
        let (_, records) = open_all(&bench.disk.crash(&mut || 0));
        bench.model.restart(&records);
    }
}
