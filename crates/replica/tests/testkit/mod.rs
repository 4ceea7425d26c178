//! A cluster in one thread: real drivers on disks in memory, a network that delivers in order, and
//! clocks that a test moves. One step is one tick of raft, 10 ms.

mod asking;
mod letters;
pub(crate) mod script;
mod wire;

pub(crate) use letters::Letter;

use letters::{TestNetwork, Wire};
use replica::{
    Clock, ClusterConfig, ClusterId, Driver, EngineError, Failure, InitialIdentity, Member,
    MemberId, Now, Options, Output, Role, SnapshotJob, SyncMode, prepare,
};
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use store::{Command, KeyPath};
use wal::mem::MemDisk;

const STEP_MS: u64 = 10;

/// Steps that anything may take at most.
const PATIENCE: usize = 2000;

#[derive(Clone, Default)]
pub(crate) struct TestClock(Rc<Cell<Now>>);

impl Clock for TestClock {
    fn now(&self) -> Now {
        self.0.get()
    }
}

pub(crate) type TestDriver = Driver<MemDisk, TestNetwork, TestClock>;

struct Place {
    id: MemberId,
    name: String,
    disk: MemDisk,
    clock: TestClock,
    driver: Option<TestDriver>,
    out: Output,
    isolated: bool,
    /// Its process stands still.
    is_stopped: bool,
    /// Work beside the loop is begun and does not end.
    is_busy: bool,
    job: Option<SnapshotJob<MemDisk>>,
}

pub(crate) struct Cluster {
    places: Vec<Place>,
    wire: Wire,
    next_ticket: u64,
    outcomes: HashMap<u64, Result<(), Failure>>,
    reads: HashMap<u64, Result<(), EngineError>>,
    seed: u64,
    /// Whether logs are let go soon, and snapshots travel in small pieces.
    is_small: bool,
}

fn options(name: &str, seed: u64) -> Options {
    Options {
        name: name.into(),
        client_url: format!("http://{name}:4001"),
        peer_url: format!("http://{name}:7001"),
        client_urls: replica::ClientUrls::default(),
        cluster_config: ClusterConfig::default(),
        store_limits: store::Limits::default(),
        wal_options: wal::Options { segment_bytes: 256 << 10, spares_max: 2 },
        snapshot_count: Some(50),
        snapshot_log_bytes_per_command: 1,
        snapshot_log_bytes_max: 1 << 20,
        snapshot_piece_bytes: 128 << 10,
        log_tail_bytes: 32 << 20,
        heartbeat_ms: 50,
        election_timeout_ms: 200,
        request_timeout_ns: 5_000_000_000,
        version: "0.0.0".into(),
        seed,
    }
}

pub(crate) fn set<'a>(key: &'a str, value: &'a str) -> Command<'a> {
    let path = KeyPath::parse(key).expect("clean");
    Command::Set { path, value, dir: false, ttl: None, refresh: false }
}

impl Cluster {
    fn empty() -> Self {
        Self {
            places: Vec::new(),
            wire: Wire::default(),
            next_ticket: 1,
            outcomes: HashMap::new(),
            reads: HashMap::new(),
            seed: 1,
            is_small: false,
        }
    }

    /// A cluster of one.
    pub(crate) fn alone() -> Self {
        let mut cluster = Self::empty();
        cluster.add_place(MemberId(0));
        cluster.restart(0);
        let id = cluster.member(0).status().id;
        cluster.places[0].id = id;
        cluster.places[0].driver = None;
        cluster.restart(0);
        cluster
    }

    /// As [`Cluster::founded`], settled, with the place of its leader.
    pub(crate) fn led(count: u64) -> (Self, usize) {
        let mut cluster = Self::founded(count);
        cluster.settle();
        let leader = cluster.leader().expect("there is one");
        (cluster, leader)
    }

    /// A cluster whose first members vote from the beginning.
    pub(crate) fn founded(count: u64) -> Self {
        Self::empty().found(count)
    }

    /// The same, where logs are let go soon and snapshots travel in small pieces.
    fn founded_small(count: u64) -> Self {
        Self { is_small: true, ..Self::empty() }.found(count)
    }

    fn found(self, count: u64) -> Self {
        let mut cluster = self;
        let founders: Vec<MemberId> = (1..=count).map(MemberId).collect();
        for id in &founders {
            cluster.add_place(*id);
            cluster.prepare(cluster.places.len() - 1, ClusterId(9), founders.clone());
        }
        for at in 0..cluster.places.len() {
            cluster.restart(at);
        }
        cluster
    }

    fn add_place(&mut self, id: MemberId) {
        let now = match self.places.first() {
            Some(place) => place.clock.0.get(),
            None => Now { boot: 1, monotonic: 10_000_000_000, wall: 1_700_000_000_000_000_000 },
        };
        self.places.push(Place {
            id,
            name: format!("m{}", self.places.len()),
            disk: MemDisk::new(),
            clock: TestClock(Rc::new(Cell::new(now))),
            driver: None,
            out: Output::default(),
            isolated: false,
            is_stopped: false,
            is_busy: false,
            job: None,
        });
    }

    fn prepare(&mut self, at: usize, cluster: ClusterId, founders: Vec<MemberId>) {
        let place = &self.places[at];
        let birth = InitialIdentity {
            cluster,
            id: place.id,
            name: place.name.clone(),
            founders,
            known: Vec::new(),
        };
        prepare(&place.disk, birth, store::Limits::default(), place.clock.now()).expect("writes");
    }

    pub(crate) fn member(&self, at: usize) -> &TestDriver {
        self.places[at].driver.as_ref().expect("it runs")
    }

    pub(crate) fn member_mut(&mut self, at: usize) -> &mut TestDriver {
        self.places[at].driver.as_mut().expect("it runs")
    }

    pub(crate) fn id(&self, at: usize) -> MemberId {
        self.places[at].id
    }

    pub(crate) fn roles(&self) -> Vec<Role> {
        let drivers = self.places.iter().filter_map(|place| place.driver.as_ref());
        drivers.map(|driver| driver.status().role).collect()
    }

    pub(crate) fn leader(&self) -> Option<usize> {
        self.leader_but(usize::MAX)
    }

    pub(crate) fn leader_but(&self, other: usize) -> Option<usize> {
        (0..self.places.len()).find(|at| {
            let driver = self.places[*at].driver.as_ref();
            *at != other && driver.is_some_and(|driver| driver.status().role == Role::Leader)
        })
    }

    /// A member's process stands still, or goes on. What is sent to it meanwhile is lost.
    pub(crate) fn hang(&mut self, at: usize, is_stopped: bool) {
        self.places[at].is_stopped = is_stopped;
        self.isolate(at, is_stopped);
    }

    /// From now on work beside a member's loop does not end, until it may again.
    pub(crate) fn keep_busy(&mut self, at: usize, is_busy: bool) {
        self.places[at].is_busy = is_busy;
    }

    /// Whether a member has begun to look through a snapshot of the leader, and not ended.
    pub(crate) fn prepares_snapshot(&self, at: usize) -> bool {
        self.places[at].job.as_ref().is_some_and(SnapshotJob::is_incoming)
    }

    pub(crate) fn disk(&self, at: usize) -> &MemDisk {
        &self.places[at].disk
    }

    pub(crate) fn set_wall_ahead(&mut self, at: usize, ms: u64) {
        let clock = &self.places[at].clock;
        let now = clock.0.get();
        clock.0.set(Now { wall: now.wall + ms * 1_000_000, ..now });
    }

    /// Ends a process; its disk stays as it is. Gives a copy of it.
    pub(crate) fn stop(&mut self, at: usize) -> MemDisk {
        self.places[at].driver = None;
        self.places[at].out = Output::default();
        self.places[at].job = None;
        self.tell_lost(at);
        self.places[at].disk.kill()
    }

    /// Ends a member's process in order, and gives what is on its disk then.
    pub(crate) fn close(&mut self, at: usize) -> MemDisk {
        self.member_mut(at).close().expect("a sound disk takes it");
        self.stop(at)
    }

    /// Puts another disk in the place of a stopped member's.
    pub(crate) fn put_disk(&mut self, at: usize, disk: MemDisk) {
        self.places[at].disk = disk;
    }

    /// Makes the directory of a stopped member anew, under the same id.
    pub(crate) fn lose_disk(&mut self, at: usize, founders: Vec<MemberId>) {
        self.places[at].disk = MemDisk::new();
        self.prepare(at, ClusterId(9), founders);
    }

    /// Power loss: what was not synced is lost, and so is what is on the way.
    pub(crate) fn crash(&mut self, at: usize) {
        self.places[at].driver = None;
        let mut seed = self.seed;
        self.places[at].disk = self.places[at].disk.crash(&mut || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            seed >> 33
        });
        self.seed = seed;
        self.places[at].out = Output::default();
        self.places[at].job = None;
        let id = self.places[at].id;
        self.wire.borrow_mut().retain(|(from, to, _)| *from != id && *to != id);
        self.tell_lost(at);
    }

    pub(crate) fn restart(&mut self, at: usize) {
        self.seed += 1;
        let seed = self.seed;
        let place = &mut self.places[at];
        let network = TestNetwork { own: place.id, wire: Rc::clone(&self.wire), is_mute: false };
        let mut options = options(&place.name, seed);
        if self.is_small {
            (options.log_tail_bytes, options.snapshot_piece_bytes) = (1 << 10, 1 << 10);
        }
        let (driver, _) =
            Driver::open(place.disk.clone(), network, place.clock.clone(), options).expect("sound");
        place.driver = Some(driver);
    }

    /// Some ticks, with everything delivered that is sent meanwhile.
    pub(crate) fn run(&mut self, steps: usize) {
        for _ in 0..steps {
            for at in 0..self.places.len() {
                self.advance(at);
                self.turn(at);
            }
            self.deliver();
        }
    }

    /// One tick, after which only so many letters are delivered.
    pub(crate) fn run_briefly(&mut self, letters: usize) {
        for at in 0..self.places.len() {
            self.advance(at);
            self.turn(at);
        }
        self.deliver_some(letters);
    }

    fn advance(&mut self, at: usize) {
        let clock = &self.places[at].clock;
        let now = clock.0.get();
        let ns = STEP_MS * 1_000_000;
        clock.0.set(Now { monotonic: now.monotonic + ns, wall: now.wall + ns, ..now });
    }

    /// One tick; nothing is delivered.
    pub(crate) fn tick(&mut self) {
        for at in 0..self.places.len() {
            self.advance(at);
            self.turn(at);
        }
    }

    pub(crate) fn is_running(&self, at: usize) -> bool {
        self.places[at].driver.is_some()
    }

    /// One turn of a member.
    pub(crate) fn turn(&mut self, at: usize) {
        let place = &mut self.places[at];
        if place.is_stopped {
            return;
        }
        let Some(driver) = &mut place.driver else { return };
        driver.turn(SyncMode::InPlace, &mut place.out).expect("sound");
        if place.job.is_none() {
            place.job = driver.snapshot_job();
        }
        if !place.is_busy
            && let Some(job) = place.job.take()
        {
            driver.snapshot_finished(job.run(&mut |_| {}).ok()).expect("sound");
        }
        for answer in place.out.answers.drain(..) {
            let before = self.outcomes.insert(answer.ticket.0, answer.outcome.map(|_| ()));
            assert!(before.is_none(), "answered twice");
        }
        for answer in place.out.reads.drain(..) {
            self.reads.insert(answer.ticket.0, answer.outcome);
        }
        place.out.wakes.clear();
        place.out.replaced = None;
    }

    pub(crate) fn run_until(&mut self, is_done: impl Fn(&Self) -> bool) {
        for _ in 0..PATIENCE {
            if is_done(self) {
                return;
            }
            self.run(1);
        }
        panic!("it never happened; roles {:?}", self.roles());
    }

    /// Runs until a leader is known and everybody has applied the same entries.
    pub(crate) fn settle(&mut self) {
        self.settle_but(usize::MAX);
    }

    /// As [`Cluster::settle`], with one left out.
    pub(crate) fn settle_but(&mut self, other: usize) {
        self.run(5);
        self.run_until(|cluster| {
            let places = cluster.places.iter().enumerate().filter(|(at, _)| *at != other);
            let members = places.filter_map(|(_, place)| place.driver.as_ref());
            let members: Vec<_> =
                members.map(TestDriver::status).filter(|status| !status.is_removed).collect();
            let Some(first) = members.first() else { return true };
            members.iter().all(|status| {
                status.leader.is_some()
                    && status.applied == first.applied
                    && status.commit == status.applied
            })
        });
        self.run(250);
    }

    /// A new machine asks the member at `at`, and starts.
    pub(crate) fn join(&mut self, at: usize) -> Result<usize, EngineError> {
        let new = self.places.len();
        self.add_place(MemberId(100 + new as u64));
        let (id, name) = (self.places[new].id, self.places[new].name.clone());
        let member = Member {
            id,
            client_url: format!("http://{name}:4001"),
            peer_url: format!("http://{name}:7001"),
            name,
            ..Member::default()
        };
        self.ask_join(at, member)?;
        let (cluster, founders) = {
            let member = self.member(at);
            (member.cluster(), member.membership().founders().to_vec())
        };
        self.prepare(new, cluster, founders);
        self.restart(new);
        Ok(new)
    }

    /// All members that run hold the same bytes and the same hash.
    pub(crate) fn assert_equal(&self) {
        let mut found = BTreeMap::new();
        for place in &self.places {
            let Some(driver) = &place.driver else { continue };
            let mut bytes = Vec::new();
            driver.store().snapshot().write(&mut bytes).expect("a vector takes all");
            let status = driver.status();
            let state = (status.applied.0, status.applied_hash, bytes);
            found.entry(state).or_insert_with(Vec::new).push(place.name.clone());
        }
        let names: Vec<_> = found
            .iter()
            .map(|((applied, hash, _), names)| format!("{names:?} at {applied} with {hash:x}"))
            .collect();
        assert_eq!(found.len(), 1, "members differ: {names:?}");
    }
}
