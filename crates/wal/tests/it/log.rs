//! The log on a disk that works: segments, marks, fills, syncs.

use crate::testkit::{Bench, CLUSTER, fill, new_disk, open, open_all, options, payload};
use wal::mem::MemDisk;
use wal::{Disk, Error, Options, RECORD_BYTES_MAX, Seq, Wal};

fn logs(disk: &MemDisk) -> Vec<String> {
    let mut names = disk.list().unwrap();
    names.retain(|name| name.starts_with("log-"));
    names
}

#[test]
fn records_come_back_in_order_over_many_segments() {
    let mut bench = Bench::new();
    for len in 0..200 {
        bench.append(len, usize::try_from(len * 7).unwrap()).unwrap();
    }
    bench.sync().unwrap();
    assert!(logs(&bench.disk).len() > 10);
    bench.restart_on(bench.disk.crash(&mut || 0));
    assert_eq!(bench.model.last_seq(), 200);
}

#[test]
fn an_empty_record_has_a_place_and_no_content() {
    let disk = new_disk();
    let (mut wal, _) = open_all(&disk);
    wal.append(0, &[]).unwrap();
    wal.append(0, &[b"", b"x", b""]).unwrap();
    let (_, records) = open_all(&disk.kill());
    // Such records begin and close a log; nobody replays them.
    assert_eq!(records, vec![b"x".to_vec()]);
    assert_eq!(open_all(&disk.kill()).0.last_seq(), Seq(2));
}

#[test]
fn one_record_is_one_write_and_a_sync_is_one_sync() {
    let mut bench = Bench::new();
    bench.append(0, 100).unwrap();
    bench.sync().unwrap();
    let (writes, syncs) = (bench.disk.writes(), bench.disk.syncs());
    for _ in 0..5 {
        bench.append(0, 100).unwrap();
    }
    bench.sync().unwrap();
    assert_eq!(bench.disk.writes() - writes, 5);
    assert_eq!(bench.disk.syncs() - syncs, 1);
    bench.sync().unwrap();
    assert_eq!(bench.disk.syncs() - syncs, 1, "there was nothing to sync");
}

#[test]
fn a_record_larger_than_a_segment_gets_one_of_its_own() {
    let mut bench = Bench::new();
    bench.append(0, 10).unwrap();
    bench.append(0, 100_000).unwrap();
    bench.append(0, 10).unwrap();
    bench.sync().unwrap();
    assert_eq!(logs(&bench.disk).len(), 3);
    bench.restart_on(bench.disk.crash(&mut || 0));
    assert_eq!(bench.model.last_seq(), 3);
}

#[test]
fn the_largest_record_comes_back_and_a_larger_one_is_refused() {
    let disk = new_disk();
    let (mut wal, _) = open_all(&disk);
    let half = vec![7; RECORD_BYTES_MAX / 2];
    let refused = wal.append(1, &[&half, &half, b"x"]);
    assert!(matches!(refused, Err(Error::TooLarge(len)) if len == RECORD_BYTES_MAX + 1));
    wal.append(1, &[&half, &half]).unwrap();
    wal.append(2, &[b"after"]).unwrap();
    wal.sync().unwrap();
    let (_, recovered) = open(&disk).unwrap();
    let lens: Vec<_> = recovered.records.map(|record| record.unwrap().len()).collect();
    assert_eq!(lens, [RECORD_BYTES_MAX, 5]);
}

#[test]
fn released_segments_are_recycled_and_their_old_records_stay_dead() {
    let mut bench = Bench::new();
    fill(&mut bench.wal);
    let mut seen = 0;
    for mark in 0..300 {
        bench.append(mark, 500).unwrap();
        bench.sync().unwrap();
        if mark % 20 == 19 {
            bench.release(mark - 5).unwrap();
        }
        if mark % 50 == 49 {
            fill(&mut bench.wal);
        }
        seen = seen.max(logs(&bench.disk).len());
    }
    assert!(seen <= 6, "{seen} segments at once");
    assert!(bench.wal.stats().segments_grown < 20, "{:?}", bench.wal.stats());
    bench.restart_on(bench.disk.kill());
    bench.restart_on(bench.disk.crash(&mut || 0));
    assert_eq!(bench.model.last_seq(), 300);
}

#[test]
fn a_segment_stays_while_one_of_its_records_is_needed() {
    let mut bench = Bench::new();
    // The highest mark of the first segment is not the last one in it.
    for mark in [1, 9, 2, 3] {
        bench.append(mark, 900).unwrap();
    }
    for mark in [3, 4, 5, 6] {
        bench.append(mark, 900).unwrap();
    }
    bench.append(7, 900).unwrap();
    bench.sync().unwrap();
    let before = logs(&bench.disk);
    bench.release(8).unwrap();
    assert_eq!(logs(&bench.disk), before, "segments go from the front only");
    bench.release(9).unwrap();
    assert_eq!(logs(&bench.disk).len(), 1);
}

#[test]
fn the_segment_of_the_last_durable_record_stays() {
    let mut bench = Bench::new();
    for _ in 0..4 {
        bench.append(1, 900).unwrap();
    }
    bench.sync().unwrap();
    bench.append(1, 3000).unwrap();
    assert_eq!(logs(&bench.disk).len(), 2);
    bench.release(1).unwrap();
    assert_eq!(logs(&bench.disk).len(), 2, "the record in the second one is not durable");
    bench.restart_on(bench.disk.crash(&mut || 0));
    assert_eq!(bench.model.last_seq(), 4);
    bench.append(1, 3000).unwrap();
    bench.sync().unwrap();
    bench.release(1).unwrap();
    assert_eq!(logs(&bench.disk).len(), 1);
}

#[test]
fn spares_are_bounded() {
    let mut bench = Bench::new();
    for mark in 0..100 {
        bench.append(mark, 900).unwrap();
        fill(&mut bench.wal);
    }
    bench.sync().unwrap();
    bench.release(99).unwrap();
    let spares = bench.disk.list().unwrap().iter().filter(|name| name.starts_with("spare")).count();
    assert_eq!(spares as u64, bench.wal.stats().spares);
    assert!(spares <= options().spares_max, "{spares} spares");
    assert_eq!(logs(&bench.disk).len(), 1);
}

#[test]
fn a_filled_segment_is_used_as_soon_as_it_is_there() {
    let mut bench = Bench::new();
    bench.append(0, 10).unwrap();
    assert_eq!(bench.wal.stats().segments_grown, 1, "the first one cannot wait");
    assert!(fill(&mut bench.wal));
    assert!(!fill(&mut bench.wal), "one is enough");
    bench.append(0, 10).unwrap();
    assert_eq!(bench.wal.stats().segments, 2);
    assert!(fill(&mut bench.wal));
    for _ in 0..6 {
        bench.append(0, 900).unwrap();
    }
    assert_eq!(bench.wal.stats().segments_grown, 1);
    bench.sync().unwrap();
    bench.restart_on(bench.disk.crash(&mut || 0));
    bench.append(0, 10).unwrap();
    assert_eq!(bench.wal.stats().segments_grown, 0, "filled blocks stay filled over a restart");
}

#[test]
fn a_filled_segment_is_whole_and_durable_before_it_is_used() {
    let disk = new_disk();
    let (mut wal, _) = open_all(&disk);
    let mut task = wal.next_fill().unwrap();
    for failing in 0..4 {
        disk.fail_after(Some(failing));
        assert!(task.step().is_err());
        disk.fail_after(None);
        // The removal failed as well.
        disk.list().unwrap().iter().for_each(|name| disk.remove(name).unwrap());
    }
    assert!(task.step().unwrap());
    assert!(task.step().unwrap(), "it stays done");
    disk.sync_dir().unwrap();
    assert_eq!(disk.crash(&mut || 0).content("spare-0.wal"), Some(vec![0; 4096]));
}

#[test]
fn a_segment_that_was_never_filled_is_not_recycled() {
    let mut bench = Bench::new();
    bench.append(1, 10).unwrap();
    fill(&mut bench.wal);
    bench.append(2, 10).unwrap();
    bench.sync().unwrap();
    bench.release(1).unwrap();
    assert_eq!(bench.wal.stats().spares, 0);
    assert_eq!(bench.wal.stats().segments, 1);
}

#[test]
fn a_target_covers_what_was_appended_before_it() {
    let mut bench = Bench::new();
    for _ in 0..4 {
        bench.append(0, 900).unwrap();
    }
    let target = bench.wal.sync_target();
    assert_eq!(target.seq().0, 4);
    for _ in 0..8 {
        bench.append(0, 900).unwrap();
    }
    let newer = bench.wal.sync_target();
    let syncing = std::thread::spawn(move || (target.seq(), target.sync()));
    let (seq, result) = syncing.join().unwrap();
    bench.wal.synced(seq, result).unwrap();
    bench.model.synced(seq.0);
    assert_eq!(bench.wal.synced_seq().0, 4);
    let mut lost = bench.model.clone();
    lost.restart(&open_all(&bench.disk.crash(&mut || 0)).1);
    assert_eq!(lost.last_seq(), 4);
    bench.wal.synced(newer.seq(), newer.sync()).unwrap();
    bench.model.synced(12);
    bench.restart_on(bench.disk.crash(&mut || 0));
    assert_eq!(bench.model.last_seq(), 12);
}

#[test]
fn after_a_failed_sync_everything_is_refused_and_nothing_is_tried_again() {
    let mut bench = Bench::new();
    bench.append(0, 10).unwrap();
    bench.disk.set_fail_syncs(true);
    assert!(matches!(bench.wal.sync(), Err(Error::Io { .. })));
    bench.disk.set_fail_syncs(false);
    let syncs = bench.disk.syncs();
    assert!(bench.wal.has_failed());
    assert!(matches!(bench.wal.sync(), Err(Error::Failed)));
    assert!(matches!(bench.wal.append(0, &[b"x"]), Err(Error::Failed)));
    assert!(matches!(bench.wal.make_room(1), Err(Error::Failed)));
    assert!(matches!(bench.wal.release(9), Err(Error::Failed)));
    assert!(matches!(bench.wal.synced(wal::Seq(1), Ok(())), Err(Error::Failed)));
    assert!(bench.wal.next_fill().is_none());
    assert_eq!(bench.disk.syncs(), syncs);
}

#[test]
fn an_error_that_another_thread_was_shown_is_everybodys() {
    // Linux reports a failed write-back to one sync; the next one succeeds.
    let mut bench = Bench::new();
    bench.append(0, 10).unwrap();
    let target = bench.wal.sync_target();
    bench.disk.fail_next_sync();
    let syncing = std::thread::spawn(move || (target.seq(), target.sync()));
    let (seq, result) = syncing.join().unwrap();
    assert!(result.is_err());
    // It has not been reported yet.
    bench.append(0, 10).unwrap();
    let text = bench.wal.sync().unwrap_err().to_string();
    assert!(text.contains("injected sync failure"), "{text}");
    assert!(bench.wal.has_failed() && bench.wal.synced_seq().0 == 0);
    assert!(bench.wal.synced(seq, result).is_err());
}

#[test]
fn after_a_failed_write_everything_is_refused() {
    let mut bench = Bench::new();
    bench.append(0, 10).unwrap();
    bench.sync().unwrap();
    bench.disk.fail_after(Some(0));
    assert!(matches!(bench.append(0, 10), Err(Error::Io { .. })));
    bench.disk.fail_after(None);
    assert!(matches!(bench.append(0, 10), Err(Error::Failed)));
    bench.restart_on(bench.disk.kill());
    assert_eq!(bench.model.last_seq(), 1);
}

#[test]
fn a_failed_release_leaves_no_gap() {
    let mut bench = Bench::new();
    for mark in 0..60 {
        bench.append(mark, 900).unwrap();
    }
    bench.sync().unwrap();
    for working in 0..4 {
        bench.disk.fail_after(Some(working));
        assert!(bench.release(59).is_err());
        bench.disk.fail_after(None);
        bench.model.clone().restart(&open_all(&bench.disk.kill()).1);
    }
    bench.release(59).unwrap();
    assert_eq!(bench.wal.stats().segments, 1);
    bench.restart_on(bench.disk.kill());
}

#[test]
fn foreign_files_are_left_alone() {
    let disk = new_disk();
    let foreign = ["LOCK", "notes.tmp", "log-1.wal", "spare-x.wal", "snapshot-1.tmp", "a.snap"];
    for name in foreign {
        disk.put(name, b"mine");
    }
    for name in ["spare-7.wal", "spare-7.tmp", "snapshot-000000000000000a.tmp"] {
        disk.put(name, b"unfinished");
    }
    let (mut wal, records) = open_all(&disk);
    assert!(records.is_empty());
    wal.append(0, &[b"x"]).unwrap();
    wal.sync().unwrap();
    let mut expected: Vec<_> = foreign.iter().map(ToString::to_string).collect();
    expected.push("log-0000000000000001.wal".to_owned());
    expected.sort();
    assert_eq!(disk.list().unwrap(), expected);
}

#[test]
fn a_change_of_the_segment_size_is_no_matter() {
    let disk = new_disk();
    let mut expected = Vec::new();
    for (round, segment_bytes) in [4096, 1 << 20, 0, 9000].into_iter().enumerate() {
        let options = Options { segment_bytes, spares_max: 2 };
        let (mut wal, recovered) = Wal::open(disk.clone(), CLUSTER, Seq(0), options).unwrap();
        let found: Vec<_> = recovered.records.map(Result::unwrap).collect();
        assert_eq!(found, expected);
        fill(&mut wal);
        for at in 0..20 {
            let bytes = payload(at, round as u64, 700);
            wal.append(0, &[&bytes]).unwrap();
            expected.push(bytes);
        }
        wal.sync().unwrap();
    }
}
