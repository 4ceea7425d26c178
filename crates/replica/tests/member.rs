//! One member on a disk that fails, driven as the server drives it.

#[path = "parts/due.rs"]
mod due;

use replica::{
    Clock, ClusterConfig, Driver, EngineError, Failure, Fatal, MemberId, Network, Now, Options,
    Output, SyncMode, Ticket,
};
use std::cell::Cell;
use std::io::ErrorKind;
use std::rc::Rc;
use store::{Applied, Command, KeyPath, StoreIndex};
use wal::Disk;
use wal::mem::MemDisk;

#[derive(Clone, Default)]
struct TestClock(Rc<Cell<Now>>, Passing);

/// How many milliseconds pass with each look at the clock.
#[derive(Clone, Copy, Default)]
struct Passing(u64);

impl TestClock {
    fn advance(&self, ms: u64) {
        let now = self.0.get();
        let ns = ms * 1_000_000;
        self.0.set(Now { monotonic: now.monotonic + ns, wall: now.wall + ns, ..now });
    }
}

impl Clock for TestClock {
    fn now(&self) -> Now {
        self.advance(self.1.0);
        self.0.get()
    }
}

struct Nobody;

impl Network for Nobody {
    fn send(&mut self, _to: MemberId, _message: Vec<u8>) {
        panic!("a member that is alone has nobody to talk to");
    }
}

type Member = Driver<MemDisk, Nobody, TestClock>;

fn options(name: &str) -> Options {
    Options {
        name: name.into(),
        client_url: "http://127.0.0.1:4001".into(),
        peer_url: "http://127.0.0.1:7001".into(),
        cluster_config: ClusterConfig::default(),
        store_limits: store::Limits::default(),
        wal_options: wal::Options { segment_bytes: 16 << 10, spares_max: 2 },
        snapshot_count: Some(50),
        snapshot_log_bytes_per_command: 1,
        snapshot_log_bytes_max: 256 << 10,
        snapshot_piece_bytes: 128 << 10,
        log_tail_bytes: 32 << 20,
        heartbeat_ms: 50,
        election_timeout_ms: 200,
        request_timeout_ns: 5_000_000_000,
        version: "0.0.0".into(),
        seed: 42,
    }
}

fn open(disk: &MemDisk, clock: &TestClock) -> Member {
    try_open(disk, clock, "m0").expect("the directory is sound")
}

fn try_open(disk: &MemDisk, clock: &TestClock, name: &str) -> Result<Member, Fatal> {
    let now = clock.0.get();
    if now == Now::default() {
        clock.0.set(Now { boot: 1, monotonic: 1_000_000_000, wall: 1_700_000_000_000_000_000 });
    }
    Driver::open(disk.clone(), Nobody, clock.clone(), options(name)).map(|(driver, _)| driver)
}

fn set<'a>(key: &'a str, value: &'a str, ttl: Option<i64>) -> Command<'a> {
    let path = KeyPath::parse(key).expect("clean");
    Command::Set { path, value, dir: false, ttl, refresh: false }
}

/// Proposes one command, runs turns, and gives the index it was answered with.
fn write(member: &mut Member, command: &Command<'_>) -> Result<StoreIndex, Failure> {
    member.propose(Ticket(1), command).map_err(Failure::Engine)?;
    let mut out = Output::default();
    member.turn(SyncMode::InPlace, &mut out).expect("the disk is sound");
    let answer = out.answers.pop().expect("a turn in place answers");
    match answer.outcome? {
        Applied::Event(event) => Ok(event.index),
        other => panic!("not an event: {other:?}"),
    }
}

fn bytes(member: &Member) -> Vec<u8> {
    let mut bytes = Vec::new();
    member.store().snapshot().write(&mut bytes).expect("a vector takes all");
    bytes
}

#[test]
fn a_start_on_a_slow_disk_announces_the_member_once() {
    let clock = TestClock(Rc::default(), Passing(15));
    let mut member = open(&MemDisk::new(), &clock);
    assert_eq!(member.store().index(), StoreIndex(1));
    assert_eq!(write(&mut member, &set("/a", "1", None)).expect("it can be written").0, 2);
}

#[test]
fn the_first_write_of_a_new_store_has_index_2() {
    let (disk, clock) = (MemDisk::new(), TestClock::default());
    let mut member = open(&disk, &clock);
    assert_eq!(member.store().index(), StoreIndex(1));
    assert_eq!(write(&mut member, &set("/message", "hi", None)), Ok(StoreIndex(2)));
}

#[test]
fn a_restart_from_snapshot_and_log_gives_the_same_bytes() {
    let (mut disk, clock) = (MemDisk::new(), TestClock::default());
    let mut seed = 1_u64;
    for round in 0..6 {
        let mut member = open(&disk, &clock);
        for number in 0..37 {
            let key = format!("/k{}", (number * 7 + round) % 20);
            write(&mut member, &set(&key, &format!("{round}.{number}"), None)).expect("applies");
            if let Some(job) = member.snapshot_job() {
                let done = job.run(&mut |_| {}).expect("the disk is sound");
                member.snapshot_finished(Some(done)).expect("the disk is sound");
            }
        }
        let (before, index) = (bytes(&member), member.store().index());
        drop(member);
        disk = disk.crash(&mut || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            seed >> 33
        });
        let member = open(&disk, &clock);
        assert_eq!(member.store().index(), index, "round {round}");
        assert_eq!(bytes(&member), before, "round {round}");
    }
}

fn logs(disk: &MemDisk) -> Vec<String> {
    let mut names = disk.list().expect("the disk is sound");
    names.retain(|name| name.starts_with("log-"));
    names
}

#[test]
fn a_member_whose_log_is_gone_or_ends_too_early_is_not_started() {
    for snapshots in [0, 1] {
        let (disk, clock) = (MemDisk::new(), TestClock::default());
        let mut member = open(&disk, &clock);
        for number in 0..30 {
            write(&mut member, &set("/a", &number.to_string(), None)).expect("there is room");
        }
        for _ in 0..snapshots {
            let done = member.begin_snapshot().run(&mut |_| {}).expect("the disk is sound");
            member.snapshot_finished(Some(done)).expect("the disk is sound");
        }
        drop(member);
        let lost = disk.kill();
        logs(&lost).iter().for_each(|name| lost.remove(name).expect("it is there"));
        let text = try_open(&lost, &clock, "m0").err().expect("it is refused").to_string();
        assert!(text.contains("the log is missing") && text.contains("-force-rejoin"), "{text}");
        // The beginning alone is no better, where a snapshot says how far the log went.
        let short = disk.kill();
        for name in logs(&short).iter().skip(1) {
            short.remove(name).expect("it is there");
        }
        if snapshots > 0 {
            let content = short.content(&logs(&short)[0]).expect("it is there");
            short.put(&logs(&short)[0], &content[..500]);
            let text = try_open(&short, &clock, "m0").err().expect("it is refused").to_string();
            assert!(text.contains("is incomplete"), "{text}");
        }
        open(&disk, &clock);
    }
}

#[test]
fn a_member_may_die_at_each_step_of_its_making() {
    let mut rng = 1_u64;
    for failing in 0..40 {
        let (disk, clock) = (MemDisk::new(), TestClock::default());
        disk.fail_after(Some(failing));
        let is_made = try_open(&disk, &clock, "m0").is_ok();
        let disk = disk.crash(&mut || {
            rng = rng.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(failing);
            rng >> 33
        });
        let mut member = open(&disk, &clock);
        assert_eq!(member.store().index(), StoreIndex(1), "{failing}");
        write(&mut member, &set("/a", "1", None)).expect("there is room");
        if is_made {
            break;
        }
        assert!(failing < 39, "making a member takes too many operations");
    }
}

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

#[test]
fn a_directory_belongs_to_its_name_and_new_addresses_are_published() {
    let (disk, clock) = (MemDisk::new(), TestClock::default());
    drop(open(&disk, &clock));
    assert!(matches!(try_open(&disk, &clock, "other"), Err(Fatal::Identity(_))));
    let mut moved = options("m0");
    moved.client_url = "http://127.0.0.1:5001".into();
    let (member, opened) = Driver::open(disk.clone(), Nobody, clock.clone(), moved).expect("sound");
    assert!(!opened.is_new);
    assert_eq!(member.store().index(), StoreIndex(2), "one command tells the new address");
    let key = KeyPath::parse("/_etcd/machines/m0").expect("clean");
    let value = member.store().peek(key).expect("registered");
    assert!(value.value().is_some_and(|value| value.contains("5001")), "{value:?}");
}

#[test]
fn a_damaged_snapshot_is_named() {
    let (disk, clock) = (MemDisk::new(), TestClock::default());
    drop(open(&disk, &clock));
    let name = wal::list_snapshots(&disk).expect("lists").pop().expect("there is one");
    disk.corrupt(&name, 60, 1);
    match try_open(&disk, &clock, "m0").err() {
        Some(Fatal::Snapshot { file, .. }) => assert_eq!(file, name),
        other => panic!("not refused: {other:?}"),
    }
}

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
