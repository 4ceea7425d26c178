//! What one turn does: its sync, its answers.

use crate::kit::{TestClock, open, set};
use replica::{Fatal, Output, SyncMode, Ticket};
use store::KeyPath;
use wal::mem::MemDisk;

#[test]
fn nothing_is_answered_before_it_is_synced() {
    let (disk, clock) = (MemDisk::new(), TestClock::default());
    let mut member = open(&disk, &clock);
    member.propose(Ticket(5), &set("/a", "1", None)).expect("it leads");
    let mut out = Output::default();
    let target = member.turn(SyncMode::Deferred, &mut out).expect("the disk is sound");
    let target = target.expect("there is something to sync");
    assert!(out.answers.is_empty(), "not synced yet");
    assert!(member.store().peek(KeyPath::parse("/a").expect("clean")).is_none());

    member.propose(Ticket(6), &set("/b", "1", None)).expect("it leads");
    assert!(member.turn(SyncMode::Deferred, &mut out).expect("sound").is_none(), "one at a time");
    assert!(out.answers.is_empty());

    member.synced(target.seq(), target.sync()).expect("the disk is sound");
    let target = member.turn(SyncMode::Deferred, &mut out).expect("the disk is sound");
    let answered: Vec<_> = out.answers.iter().map(|answer| answer.ticket).collect();
    assert_eq!(answered, [Ticket(5)]);
    let target = target.expect("the second write is to be synced");
    member.synced(target.seq(), target.sync()).expect("the disk is sound");
    member.turn(SyncMode::Deferred, &mut out).expect("the disk is sound");
    assert_eq!(out.answers.len(), 2);
}

#[test]
fn a_failed_sync_is_fatal() {
    let (disk, clock) = (MemDisk::new(), TestClock::default());
    let mut member = open(&disk, &clock);
    disk.set_fail_syncs(true);
    member.propose(Ticket(1), &set("/a", "1", None)).expect("it leads");
    let mut out = Output::default();
    assert!(matches!(member.turn(SyncMode::InPlace, &mut out), Err(Fatal::Wal(_))));
    assert!(out.answers.is_empty());
}

#[test]
fn quorum_reads_are_settled_in_one_turn_without_a_sync() {
    let (disk, clock) = (MemDisk::new(), TestClock::default());
    let mut member = open(&disk, &clock);
    let syncs = disk.syncs();
    for ticket in 0..10 {
        member.read(Ticket(ticket)).expect("it leads");
    }
    let mut out = Output::default();
    member.turn(SyncMode::InPlace, &mut out).expect("the disk is sound");
    assert_eq!(out.reads.len(), 10);
    assert!(out.reads.iter().all(|read| read.outcome.is_ok()));
    assert_eq!(disk.syncs(), syncs);
}

#[test]
fn a_turn_is_one_sync_however_many_write() {
    let (disk, clock) = (MemDisk::new(), TestClock::default());
    let mut member = open(&disk, &clock);
    let syncs = disk.syncs();
    for ticket in 0..100 {
        member.propose(Ticket(ticket), &set("/a", "1", None)).expect("it leads");
    }
    let mut out = Output::default();
    member.turn(SyncMode::InPlace, &mut out).expect("the disk is sound");
    assert_eq!(out.answers.len(), 100);
    assert_eq!(disk.syncs() - syncs, 1);
}
