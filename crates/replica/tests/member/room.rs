//! A disk without room.

use crate::kit::{TestClock, open, set, write};
use replica::{EngineError, Failure, Output, SyncMode, Ticket};
use store::{KeyPath, StoreIndex};
use wal::mem::MemDisk;

#[test]
fn a_full_disk_refuses_writes_and_takes_them_again_when_there_is_room() {
    let (disk, clock) = (MemDisk::new(), TestClock::default());
    let mut member = open(&disk, &clock);
    write(&mut member, &set("/a", "1", None)).expect("there is room");
    disk.set_capacity(Some(disk.used() + 150_000));
    let value = "v".repeat(5000);
    let mut refused = None;
    for _ in 0..200 {
        if let Err(failure) = write(&mut member, &set("/a", &value, None)) {
            refused = Some(failure);
            break;
        }
    }
    assert_eq!(refused, Some(Failure::Engine(EngineError::DiskFull)));
    assert!(member.status().is_disk_full);
    assert!(member.store().get(KeyPath::parse("/a").expect("clean")).is_ok(), "reads go on");
    let index = member.store().index();
    disk.set_capacity(None);
    assert_eq!(write(&mut member, &set("/a", &value, None)), Ok(StoreIndex(index.0 + 1)));
}

#[test]
fn a_disk_that_breaks_its_promise_of_room_ends_nobody() {
    let (disk, clock) = (MemDisk::new(), TestClock::default());
    let mut member = open(&disk, &clock);
    write(&mut member, &set("/a", "1", None)).expect("there is room");
    disk.set_refuse_writes(true);
    member.propose(Ticket(7), &set("/a", "2", None)).expect("it leads");
    let mut out = Output::default();
    for _ in 0..50 {
        member.turn(SyncMode::InPlace, &mut out).expect("a full disk is no end");
        clock.advance(10);
    }
    assert!(out.answers.is_empty(), "it is not durable");
    let refused = write(&mut member, &set("/a", "3", None));
    assert_eq!(refused, Err(Failure::Engine(EngineError::DiskFull)));
    assert!(member.status().is_disk_full);
    assert_eq!(member.store().index(), StoreIndex(2), "reads go on");
    assert!(member.until_due().is_some_and(|due| due <= 10_000_000), "it tries again by itself");

    disk.set_refuse_writes(false);
    clock.advance(10);
    member.turn(SyncMode::InPlace, &mut out).expect("there is room");
    let answered: Vec<_> = out.answers.iter().map(|answer| answer.ticket).collect();
    assert_eq!(answered, [Ticket(7)]);
    assert_eq!(write(&mut member, &set("/a", "4", None)), Ok(StoreIndex(4)));
    assert!(!member.status().is_disk_full);
    drop(member);
    let member = open(&disk.crash(&mut || 0), &clock);
    assert_eq!(member.store().index(), StoreIndex(4));
}

#[test]
fn a_member_starts_on_a_disk_that_is_full_and_leads_when_there_is_room() {
    for refusing in [true, false] {
        let (disk, clock) = (MemDisk::new(), TestClock::default());
        let mut member = open(&disk, &clock);
        write(&mut member, &set("/a", "1", None)).expect("there is room");
        drop(member);
        let disk = disk.kill();
        // Either no write finds room, or nothing can be reserved.
        disk.set_refuse_writes(refusing);
        disk.set_capacity((!refusing).then(|| disk.used()));
        let mut member = open(&disk, &clock);
        assert!(member.store().get(KeyPath::parse("/a").expect("clean")).is_ok());
        let refused = write(&mut member, &set("/a", &"v".repeat(70_000), None));
        assert_eq!(refused, Err(Failure::Engine(EngineError::DiskFull)));
        member.close().expect("a full disk is no end");

        disk.set_refuse_writes(false);
        disk.set_capacity(None);
        clock.advance(20);
        let mut out = Output::default();
        member.turn(SyncMode::InPlace, &mut out).expect("there is room");
        let index = member.store().index().0;
        assert_eq!(write(&mut member, &set("/a", "2", None)), Ok(StoreIndex(index + 1)));
    }
}

#[test]
fn a_key_that_is_due_on_a_full_disk_waits_without_a_busy_loop() {
    let (disk, clock) = (MemDisk::new(), TestClock::default());
    let mut member = open(&disk, &clock);
    write(&mut member, &set("/a", "1", Some(1))).expect("there is room");
    disk.set_capacity(Some(disk.used()));
    let value = "v".repeat(5000);
    while write(&mut member, &set("/b", &value, None)).is_ok() {}
    while write(&mut member, &set("/b", "", None)).is_ok() {}
    clock.advance(2000);
    let mut out = Output::default();
    member.turn(SyncMode::InPlace, &mut out).expect("the disk is sound");
    assert!(member.until_due().is_some_and(|due| due > 0), "{:?}", member.until_due());
    disk.set_capacity(None);
    clock.advance(10);
    member.turn(SyncMode::InPlace, &mut out).expect("the disk is sound");
    assert!(member.store().peek(KeyPath::parse("/a").expect("clean")).is_none());
}
