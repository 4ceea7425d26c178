//! A member alone on a disk in memory, with a clock that a test moves.

use replica::{
    Clock, ClusterConfig, Driver, Failure, Fatal, MemberId, Network, Now, Options, Output,
    SyncMode, Ticket,
};
use std::cell::Cell;
use std::rc::Rc;
use store::{Applied, Command, KeyPath, StoreIndex};
use wal::mem::MemDisk;

#[derive(Clone, Default)]
pub(crate) struct TestClock(pub(crate) Rc<Cell<Now>>, pub(crate) Passing);

/// How many milliseconds pass with each look at the clock.
#[derive(Clone, Copy, Default)]
pub(crate) struct Passing(pub(crate) u64);

impl TestClock {
    pub(crate) fn advance(&self, ms: u64) {
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

pub(crate) struct Nobody;

impl Network for Nobody {
    fn send(&mut self, _to: MemberId, _message: Vec<u8>) {
        panic!("a member that is alone has nobody to talk to");
    }
}

pub(crate) type Member = Driver<MemDisk, Nobody, TestClock>;

pub(crate) fn options(name: &str) -> Options {
    Options {
        name: name.into(),
        client_url: "http://127.0.0.1:4001".into(),
        peer_url: "http://127.0.0.1:7001".into(),
        client_urls: replica::ClientUrls::default(),
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

pub(crate) fn open(disk: &MemDisk, clock: &TestClock) -> Member {
    try_open(disk, clock, "m0").expect("the directory is sound")
}

pub(crate) fn try_open(disk: &MemDisk, clock: &TestClock, name: &str) -> Result<Member, Fatal> {
    let now = clock.0.get();
    if now == Now::default() {
        clock.0.set(Now { boot: 1, monotonic: 1_000_000_000, wall: 1_700_000_000_000_000_000 });
    }
    Driver::open(disk.clone(), Nobody, clock.clone(), options(name)).map(|(driver, _)| driver)
}

pub(crate) fn set<'a>(key: &'a str, value: &'a str, ttl: Option<i64>) -> Command<'a> {
    let path = KeyPath::parse(key).expect("clean");
    Command::Set { path, value, dir: false, ttl, refresh: false }
}

/// Proposes one command, runs turns, and gives the index it was answered with.
pub(crate) fn write(member: &mut Member, command: &Command<'_>) -> Result<StoreIndex, Failure> {
    member.propose(Ticket(1), command).map_err(Failure::Engine)?;
    let mut out = Output::default();
    member.turn(SyncMode::InPlace, &mut out).expect("the disk is sound");
    let answer = out.answers.pop().expect("a turn in place answers");
    match answer.outcome? {
        Applied::Event(event) => Ok(event.index),
        other => panic!("not an event: {other:?}"),
    }
}

pub(crate) fn bytes(member: &Member) -> Vec<u8> {
    let mut bytes = Vec::new();
    member.store().snapshot().write(&mut bytes).expect("a vector takes all");
    bytes
}
