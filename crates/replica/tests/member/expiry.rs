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
