//! Each call of the disk fails, one after the other.

use crate::kit::{TestClock, open, set, try_open};
use replica::{EngineError, Failure, Fatal, Output, SyncMode, Ticket};
use std::io::ErrorKind;
use store::KeyPath;
use wal::mem::MemDisk;

const KINDS: [ErrorKind; 6] = [
    ErrorKind::Other,
    ErrorKind::StorageFull,
    ErrorKind::PermissionDenied,
    ErrorKind::Interrupted,
    ErrorKind::NotFound,
    ErrorKind::InvalidInput,
];

/// A start, writes over several segments, fills, a snapshot, and an end in order. Gives how many
/// writes were acknowledged, and why it ended before.
fn live(disk: &MemDisk, clock: &TestClock, from: u64) -> (u64, Result<(), Fatal>) {
    let mut last = from;
    let mut run = || {
        let mut member = try_open(disk, clock, "m0")?;
        let mut out = Output::default();
        for number in from + 1..=from + 60 {
            let value = number.to_string();
            clock.advance(10);
            member.propose(Ticket(number), &set("/n", &value, None)).expect("it takes writes");
            member.turn(SyncMode::InPlace, &mut out)?;
            // A disk that is full for a moment makes it wait, or refuses it.
            for answer in out.answers.drain(..) {
                match answer.outcome {
                    Ok(_) => last = last.max(answer.ticket.0),
                    Err(failure) => assert_eq!(failure, Failure::Engine(EngineError::DiskFull)),
                }
            }
            if let Some(mut task) = member.wal_mut().next_fill() {
                let result = task.run();
                member.wal_mut().filled(task, &result);
            }
            if number % 40 == 0 {
                let done = member.begin_snapshot().run(&mut |_| {}).ok();
                member.snapshot_finished(done)?;
            }
        }
        member.close()
    };
    let result = run();
    (last, result)
}

#[test]
fn each_call_of_the_disk_may_fail_in_each_way() {
    for kind in KINDS {
        let mut number = 0;
        loop {
            number += 1;
            let (disk, clock) = (MemDisk::new(), TestClock::default());
            disk.refuse_call(Some((number, kind)));
            let (last, result) = live(&disk, &clock, 0);
            let is_over = disk.calls() < number;
            if let Err(fatal) = result {
                let text = fatal.to_string();
                let says_where = [".wal", ".tmp", ".snap", "the data directory", "the log"];
                let is_named = text.contains("cannot ")
                    && says_where.iter().any(|file| text.contains(file))
                    || text.contains("the disk is full: free some room");
                assert!(is_named, "call {number}, {kind}: {text}");
            }
            disk.refuse_call(None);
            for disk in [disk.kill(), disk.crash(&mut || 0)] {
                let member = open(&disk, &clock);
                let path = KeyPath::parse("/n").expect("clean");
                let node = member.store().peek(path);
                let value = node.as_ref().and_then(|node| node.value()).unwrap_or("0");
                let found: u64 = value.parse().expect("a number");
                assert!(found >= last, "call {number}, {kind}: {last} was acknowledged");
                drop(node);
                drop(member);
                let (after, result) = live(&disk, &clock, found);
                result.expect("the disk is healthy");
                assert_eq!(after, found + 60, "call {number}, {kind}");
            }
            if is_over {
                break;
            }
            assert!(number < 3000, "there is no end");
        }
        assert!(number > 150, "only {number} calls");
    }
}
