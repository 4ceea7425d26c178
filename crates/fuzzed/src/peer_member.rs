//! A member that is sent arbitrary messages in another one's name: it goes on, answers each of its
//! own clients at most once, and starts again from what it has on its disk.
//!
//! Raft's messages that move the log are left out: a member believes the others what is in theirs.

use replica::{
    Clock, ClusterConfig, ClusterId, Driver, InitialIdentity, MemberId, Network, Now, Options,
    Output, SyncMode, Ticket, prepare,
};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use store::{Command, KeyPath};
use wal::mem::MemDisk;

const OWN: MemberId = MemberId(1);
const OTHER: MemberId = MemberId(2);

/// Messages that are read from one input at most.
const MESSAGES_MAX: usize = 64;

/// The kinds of raft's messages that say what is in the log or committed: appends and heartbeats
/// with their answers.
const OF_THE_LOG: [u8; 4] = [0, 1, 4, 5];

#[derive(Clone)]
struct HandClock(Rc<Cell<u64>>);

impl Clock for HandClock {
    fn now(&self) -> Now {
        let ns = self.0.get();
        Now { boot: 1, monotonic: ns, wall: 1_700_000_000_000_000_000 + ns }
    }
}

/// Nothing arrives anywhere.
struct Nowhere;

impl Network for Nowhere {
    fn send(&mut self, _to: MemberId, _message: Vec<u8>) {}
}

fn options() -> Options {
    Options {
        name: "m".into(),
        client_url: "http://m:4001".into(),
        client_urls: replica::ClientUrls::default(),
        peer_url: "http://m:7001".into(),
        cluster_config: ClusterConfig::default(),
        store_limits: store::Limits::default(),
        wal_options: wal::Options { segment_bytes: 64 << 10, spares_max: 1 },
        snapshot_count: Some(10),
        snapshot_log_bytes_per_command: 1,
        snapshot_log_bytes_max: 1 << 20,
        snapshot_piece_bytes: 1 << 10,
        log_tail_bytes: 4 << 10,
        heartbeat_ms: 50,
        election_timeout_ms: 200,
        request_timeout_ns: 1_000_000_000,
        version: "0.0.0".into(),
        seed: 7,
    }
}

type Member = Driver<MemDisk, Nowhere, HandClock>;

fn open(disk: &MemDisk, clock: &HandClock) -> Member {
    let opened = Driver::open(disk.clone(), Nowhere, clock.clone(), options());
    opened.expect("its own disk is sound").0
}

fn turn(member: &mut Member, clock: &HandClock, out: &mut Output, waiting: &mut BTreeSet<u64>) {
    clock.0.set(clock.0.get() + 10_000_000);
    member.turn(SyncMode::InPlace, out).expect("no message ends a member");
    if let Some(job) = member.snapshot_job() {
        member.snapshot_finished(job.run(&mut |_| {}).ok()).expect("the disk is sound");
    }
    for answer in out.answers.drain(..) {
        assert!(waiting.remove(&answer.ticket.0), "answered twice, or nobody asked");
    }
    *out = Output::default();
}

/// See the module. The first byte says whether the member is one of three or leads alone; each
/// message follows its length, a byte.
pub(crate) fn check(data: &[u8]) {
    let Some((mode, mut rest)) = data.split_first() else { return };
    let (disk, clock) = (MemDisk::new(), HandClock(Rc::new(Cell::new(1_000_000_000))));
    if mode % 2 == 0 {
        let founders = vec![OWN, OTHER, MemberId(3)];
        let (cluster, name) = (ClusterId(9), "m".to_owned());
        let birth = InitialIdentity { cluster, id: OWN, name, founders, known: Vec::new() };
        prepare(&disk, birth, store::Limits::default(), clock.now()).expect("the disk is sound");
    }
    let mut member = open(&disk, &clock);
    let (mut out, mut waiting) = (Output::default(), BTreeSet::new());
    let path = KeyPath::parse("/a").expect("a plain key");
    let write = Command::Set { path, value: "v", dir: false, ttl: None, refresh: false };
    for number in 0..MESSAGES_MAX as u64 {
        let Some((len, behind)) = rest.split_first() else { break };
        let (message, behind) = behind.split_at(behind.len().min(usize::from(*len)));
        rest = behind;
        if message.get(1).is_some_and(|kind| OF_THE_LOG.contains(kind)) {
            continue;
        }
        if member.propose(Ticket(number), &write).is_ok() {
            waiting.insert(number);
        }
        member.receive(OTHER, message, &mut out).expect("no message ends a member");
        turn(&mut member, &clock, &mut out, &mut waiting);
    }
    member.peer_lost(OTHER, &mut out);
    turn(&mut member, &clock, &mut out, &mut waiting);
    drop(member);
    let mut again = open(&disk, &clock);
    turn(&mut again, &clock, &mut out, &mut BTreeSet::new());
}
