//! When a snapshot is due by the bytes of the log.

use crate::kit::{Member, Nobody, TestClock, options, set, write};
use replica::{Driver, Options};
use wal::mem::MemDisk;

/// As [`open`], with segments so long that what is left free at their ends is little.
fn open_roomy(disk: &MemDisk, clock: &TestClock) -> Member {
    let wal_options = wal::Options { segment_bytes: 1 << 20, spares_max: 2 };
    let options = Options { wal_options, ..options("m0") };
    let (member, _) =
        Driver::open(disk.clone(), Nobody, clock.clone(), options).expect("the directory is sound");
    member
}

/// Writes a value of so many bytes, and says whether a snapshot is due then.
fn is_due_after(member: &mut Member, key: &str, len: usize) -> bool {
    write(member, &set(key, &"v".repeat(len), None)).expect("there is room");
    let job = member.snapshot_job();
    if job.is_some() {
        // It is only looked for: nothing has happened when it has failed.
        member.snapshot_finished(None).expect("the disk is sound");
    }
    job.is_some()
}

fn take_snapshot(member: &mut Member) {
    let done = member.begin_snapshot().run(&mut |_| {}).expect("the disk is sound");
    member.snapshot_finished(Some(done)).expect("the disk is sound");
}

#[test]
fn few_large_values_make_a_snapshot_due_by_their_bytes() {
    let mut member = open_roomy(&MemDisk::new(), &TestClock::default());
    // The first segment is short, and its end is left free.
    assert!(!is_due_after(&mut member, "/a", 100 << 10));
    take_snapshot(&mut member);
    // 256 KiB make one due, be they only two commands of the fifty.
    assert!(!is_due_after(&mut member, "/a", 127 << 10));
    assert!(!is_due_after(&mut member, "/a", 127 << 10), "some bytes are missing");
    assert!(is_due_after(&mut member, "/a", 2 << 10));
    assert!(!is_due_after(&mut member, "/a", 127 << 10), "the count begins anew");
}

#[test]
fn a_large_store_is_not_written_anew_before_twice_its_size_is_in_the_log() {
    let mut member = open_roomy(&MemDisk::new(), &TestClock::default());
    for at in 0..5 {
        is_due_after(&mut member, &format!("/k{at}"), 120 << 10);
    }
    take_snapshot(&mut member);
    // The snapshot has 600 KiB, and so it is due 1200 KiB later.
    let due_at = (1..30).find(|_| is_due_after(&mut member, "/k0", 120 << 10));
    let due_at = due_at.expect("it becomes due");
    assert!((9..=11).contains(&due_at), "after {due_at} values of a fifth of the store");
}

#[test]
fn what_snapshots_write_is_about_what_the_log_has() {
    let (disk, clock) = (MemDisk::new(), TestClock::default());
    let mut member = open_roomy(&disk, &clock);
    let (mut log, mut snapshots) = (0, 0);
    for number in 0..200 {
        // At first the store grows, later the same keys get other values.
        let key = format!("/k{}", number % 40);
        write(&mut member, &set(&key, &"v".repeat(30 << 10), None)).expect("there is room");
        log += 30 << 10;
        if let Some(job) = member.snapshot_job() {
            let done = job.run(&mut |_| {}).expect("the disk is sound");
            snapshots += done.bytes();
            member.snapshot_finished(Some(done)).expect("the disk is sound");
        }
    }
    println!("{log} bytes of log, {snapshots} bytes of snapshots");
    assert!(snapshots > 0 && snapshots <= log * 3 / 2, "{snapshots} of {log}");
}

#[test]
fn a_restart_forgets_no_log_of_which_there_is_no_snapshot() {
    let (mut disk, clock) = (MemDisk::new(), TestClock::default());
    for round in 0..3 {
        let mut member = open_roomy(&disk, &clock);
        let is_due = is_due_after(&mut member, "/a", 100 << 10);
        assert_eq!(is_due, round == 2, "after {} of 256 KiB", (round + 1) * 100);
        drop(member);
        disk = disk.kill();
    }
    let mut member = open_roomy(&disk, &clock);
    take_snapshot(&mut member);
    drop(member);
    let mut member = open_roomy(&disk.kill(), &clock);
    assert!(!is_due_after(&mut member, "/a", 127 << 10), "the snapshot has what came before it");
}
