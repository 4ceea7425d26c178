//! What fails at a look takes no entry of its own, and is counted in the log all the same.

use crate::kit::{Member, TestClock, open, set, write};
use replica::{Output, SyncMode};
use store::{Command, KeyPath};
use wal::mem::MemDisk;

/// The failures of creates, compare-and-swaps and compare-and-deletes.
fn failures(member: &Member) -> [u64; 3] {
    let stats = member.store().stats();
    [stats.creates.fail, stats.compare_and_swaps.fail, stats.compare_and_deletes.fail]
}

fn turn(member: &mut Member) {
    member.turn(SyncMode::InPlace, &mut Output::default()).expect("the disk is sound");
}

/// One create, two compare-and-swaps and three compare-and-deletes of a key that is there.
fn fail(member: &mut Member) {
    let path = KeyPath::parse("/k").expect("clean");
    let create = Command::Create { path, value: "", dir: false, ttl: None, in_order: None };
    let swap = Command::CompareAndSwap {
        path,
        value: "2",
        ttl: None,
        refresh: false,
        prev_value: Some("no"),
        prev_index: None,
        or_create: false,
    };
    let delete = Command::CompareAndDelete { path, prev_value: Some("no"), prev_index: None };
    for command in [&create, &swap, &swap, &delete, &delete, &delete] {
        assert!(member.refuse(command).is_some(), "it fails");
    }
    turn(member);
}

/// A member with one key, and the disk as a start after `kill -9` finds it.
fn began() -> (MemDisk, TestClock, Member) {
    let (disk, clock) = (MemDisk::new(), TestClock::default());
    let mut member = open(&disk, &clock);
    write(&mut member, &set("/k", "1", None)).expect("it can be written");
    (disk, clock, member)
}

fn after_a_kill(disk: &MemDisk, clock: &TestClock, member: Member) -> Member {
    drop(member);
    open(&disk.crash(&mut || 0), clock)
}

#[test]
fn failures_are_counted_with_the_next_write() {
    let (disk, clock, mut member) = began();
    fail(&mut member);
    assert_eq!(failures(&member), [1, 2, 3]);
    write(&mut member, &set("/other", "1", None)).expect("it can be written");
    assert_eq!(failures(&member), [1, 2, 3], "they are counted once");
    fail(&mut member);
    write(&mut member, &set("/other", "2", None)).expect("it can be written");
    assert_eq!(failures(&member), [2, 4, 6]);
    let index = member.store().index();
    let member = after_a_kill(&disk, &clock, member);
    assert_eq!((failures(&member), member.store().index()), ([2, 4, 6], index));
}

#[test]
fn failures_without_a_write_are_counted_after_a_second() {
    let (disk, clock, mut member) = began();
    fail(&mut member);
    let due = member.until_due().expect("there is something to do");
    assert_eq!(due, 1_000_000_000);
    clock.advance(999);
    turn(&mut member);
    assert_eq!(member.until_due(), Some(1_000_000));
    clock.advance(1);
    turn(&mut member);
    assert_eq!(member.until_due(), None, "there is nothing to do");
    let member = after_a_kill(&disk, &clock, member);
    assert_eq!(failures(&member), [1, 2, 3]);
}

#[test]
fn failures_are_counted_before_a_clean_stop() {
    let (disk, clock, mut member) = began();
    fail(&mut member);
    member.begin_stop();
    turn(&mut member);
    member.close().expect("the disk is sound");
    let member = after_a_kill(&disk, &clock, member);
    assert_eq!(failures(&member), [1, 2, 3]);
}

/// What a kill may cost, and nothing else.
#[test]
fn failures_of_the_last_second_are_lost_by_a_kill() {
    let (disk, clock, mut member) = began();
    fail(&mut member);
    let member = after_a_kill(&disk, &clock, member);
    assert_eq!(failures(&member), [0, 0, 0]);
}
