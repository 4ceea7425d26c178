//! Deadlines, by the clocks of the machine.

use crate::kit::{Member, TestClock, open, set, write};
use replica::{Now, Output, SyncMode};
use store::KeyPath;
use wal::mem::MemDisk;

#[test]
fn keys_expire_by_the_monotonic_clock_and_not_by_the_wall() {
    let (disk, clock) = (MemDisk::new(), TestClock::default());
    let mut member = open(&disk, &clock);
    write(&mut member, &set("/a", "1", Some(2))).expect("applies");
    let mut out = Output::default();
    let is_there = |member: &Member| member.store().peek(KeyPath::parse("/a").expect("clean"));

    let now = clock.0.get();
    clock.0.set(Now { wall: now.wall + 3600 * 1_000_000_000, ..now });
    member.turn(SyncMode::InPlace, &mut out).expect("the disk is sound");
    assert!(is_there(&member).is_some(), "the wall clock jumped");
    assert_eq!(member.until_due(), Some(2_000_000_000));

    clock.advance(1999);
    member.turn(SyncMode::InPlace, &mut out).expect("the disk is sound");
    assert!(is_there(&member).is_some(), "too early");
    clock.advance(1);
    member.turn(SyncMode::InPlace, &mut out).expect("the disk is sound");
    assert!(is_there(&member).is_none(), "due");
}

#[test]
fn a_deadline_goes_on_over_a_restart() {
    let (disk, clock) = (MemDisk::new(), TestClock::default());
    let mut member = open(&disk, &clock);
    write(&mut member, &set("/a", "1", Some(10))).expect("applies");
    // The last record is written long after the last stamp was applied.
    clock.advance(5000);
    write(&mut member, &set("/b", "1", None)).expect("applies");
    drop(member);
    clock.advance(4000);
    let mut member = open(&disk, &clock);
    let mut out = Output::default();
    member.turn(SyncMode::InPlace, &mut out).expect("the disk is sound");
    assert!(member.until_due().is_some_and(|due| due <= 1_000_000_000), "{:?}", member.until_due());
    clock.advance(1000);
    member.turn(SyncMode::InPlace, &mut out).expect("the disk is sound");
    assert!(member.store().peek(KeyPath::parse("/a").expect("clean")).is_none());
}

/// What clients are shown stays one moment while wall clocks are set and the member is restarted,
/// from the log and from a snapshot.
#[test]
fn a_lease_is_shown_as_it_was_made_whatever_the_clocks_do() {
    let (disk, clock) = (MemDisk::new(), TestClock::default());
    let mut member = open(&disk, &clock);
    let shown = |member: &Member, key: &str| {
        let node = member.store().peek(KeyPath::parse(key).expect("clean"));
        node.and_then(|node| node.lease()).map(store::Lease::shown)
    };
    let second = 1_000_000_000;
    write(&mut member, &set("/a", "1", Some(1000))).expect("applies");
    let first = shown(&member, "/a").expect("it expires");
    assert_eq!(first, clock.0.get().wall + 1000 * second);
    for round in 1..=4 {
        let now = clock.0.get();
        clock.0.set(Now { wall: now.wall + 3600 * second, ..now });
        let key = format!("/b{round}");
        write(&mut member, &set(&key, "1", Some(1000))).expect("applies");
        assert_eq!(shown(&member, &key), Some(clock.0.get().wall + 1000 * second), "a new one");
        assert_eq!(shown(&member, "/a"), Some(first), "round {round}");
        if round == 2 {
            for number in 0..60 {
                write(&mut member, &set("/filler", &number.to_string(), None)).expect("applies");
            }
            let job = member.snapshot_job().expect("one is due");
            let done = job.run(&mut |_| {}).expect("the disk is sound");
            member.snapshot_finished(Some(done)).expect("the disk is sound");
        }
        drop(member);
        member = open(&disk, &clock);
        assert_eq!(shown(&member, "/a"), Some(first), "after restart {round}");
        assert!((1..=round).all(|at| shown(&member, &format!("/b{at}")).is_some()));
    }
}
