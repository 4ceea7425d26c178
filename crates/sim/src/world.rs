//! The simulated world: machines, what happens next, and one turn of a machine's loop.

use crate::Nanos;
use crate::admin::Admin;
use crate::asked::Asked;
use crate::check::rights::Ledger;
use crate::client::{Client, Part};
use crate::clock::{DRIFT_PERMILLE_MAX, SimClock};
use crate::history::{Change, Changes, History, OpId};
use crate::letter::{Address, Letter};
use crate::machine::{Machine, SYNC_TAKES, Sync};
use crate::member::{Identity, Running};
use crate::network::SimNetwork;
use crate::plan::{Fault, Faults, MILLI, Plan};
use crate::queue::{Event, Queue};
use crate::rng::Rng;
use crate::trace::Trace;
use crate::watcher::Watcher;
use replica::decide::Told;
use replica::{Fatal, Output};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use store::WatchFilter;

/// What went wrong: which checker says so, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The checker.
    pub checker: &'static str,
    /// What it found.
    pub detail: String,
}

/// What is said of a member that stops or does not start without a reason.
pub(crate) const LOOP: &str = "member";

/// The owner of the watches with which the world sees what members apply.
const TAP: u64 = u64::MAX;

/// How many things happen in a run at most; some ten times what is usual.
const STEPS_MAX: u64 = 3_000_000;

/// Everything that one run consists of.
pub(crate) struct World {
    pub(crate) now: Nanos,
    truth: Rc<Cell<Nanos>>,
    pub(crate) queue: Queue,
    pub(crate) plan: Plan,
    pub(crate) rng: Rng,
    pub(crate) trace: Trace,
    pub(crate) faults: Faults,
    pub(crate) network: SimNetwork,
    pub(crate) machines: Vec<Machine>,
    pub(crate) clients: Vec<Client>,
    pub(crate) watchers: Vec<Watcher>,
    pub(crate) history: History,
    pub(crate) changes: Changes,
    pub(crate) ledger: Ledger,
    /// Changes of the membership that are under way.
    pub(crate) asked: BTreeMap<OpId, Asked>,
    pub(crate) has_lost_disk: bool,
    /// Machines that are not who they say.
    pub(crate) impostors: Vec<usize>,
    /// Whether the operator does not know what became of a removal.
    pub(crate) has_unknown_removal: bool,
    pub(crate) is_healing: bool,
    /// How many addresses were given out.
    pub(crate) addresses: u64,
    /// Addresses that machines moved away from.
    pub(crate) left_addresses: Vec<Address>,
    /// How many ids were given out beside those of the founders.
    pub(crate) ids: u64,
    steps: u64,
    pub(crate) violation: Option<Violation>,
}

impl World {
    pub(crate) fn new(seed: u64, plan: Plan, mut rng: Rng, keeps_trace: bool) -> Self {
        let mut trace = Trace::new(keeps_trace);
        trace.note(0, format_args!("seed {seed} {plan:?}"));
        let network = SimNetwork::new(rng.fork());
        let mut world = Self {
            now: 0,
            truth: Rc::new(Cell::new(0)),
            queue: Queue::default(),
            rng,
            trace,
            faults: Faults::default(),
            network,
            machines: Vec::new(),
            clients: Vec::new(),
            watchers: Vec::new(),
            history: History::default(),
            changes: Changes::default(),
            ledger: Ledger::default(),
            asked: BTreeMap::new(),
            has_lost_disk: false,
            impostors: Vec::new(),
            has_unknown_removal: false,
            is_healing: false,
            addresses: 0,
            left_addresses: Vec::new(),
            ids: 0,
            steps: 0,
            violation: None,
            plan,
        };
        world.add_founders();
        world.add_actors();
        world
    }

    pub(crate) fn add_machine(&mut self, identity: Identity, told: Told) -> usize {
        let at = self.machines.len();
        let drift = if self.plan.drifts { DRIFT_PERMILLE_MAX } else { 0 };
        // The extremes are what matters most.
        let rate = match self.rng.below(3) {
            0 => self.rng.range(0, 2 * drift),
            1 => 0,
            _ => 2 * drift,
        };
        let rate = rate.cast_signed() - drift.cast_signed();
        let clock = SimClock::new(Rc::clone(&self.truth), rate, 1 + 1000 * at as u64);
        let address = self.draw_address();
        self.machines.push(Machine::new(identity, address, told, clock));
        at
    }

    fn add_actors(&mut self) {
        let machines = self.machines.len();
        for number in 0..self.plan.clients + 2 * self.plan.lockers {
            let part = if number < self.plan.clients {
                Part::Any
            } else if number < self.plan.clients + self.plan.lockers {
                Part::Locker(None)
            } else {
                Part::Queuer(None)
            };
            let home = self.rng.index(machines);
            self.clients.push(Client::new(self.rng.fork(), part, home));
            let at = self.rng.range(300 * MILLI, 600 * MILLI);
            self.queue.push(at, Event::Client { client: number });
        }
        if self.plan.users {
            let client = self.clients.len();
            let (rng, home) = (self.rng.fork(), self.rng.index(machines));
            self.clients.push(Client::new(rng, Part::Admin(Admin::default()), home));
            self.queue.push(200 * MILLI, Event::Client { client });
        }
        for number in 0..self.plan.watchers {
            self.watchers.push(Watcher::new(self.rng.fork()));
            let at = self.rng.range(100 * MILLI, 2000 * MILLI);
            self.queue.push(at, Event::Watch { watcher: number });
        }
        self.queue.push(600 * MILLI, Event::Fault);
    }

    pub(crate) fn note(&mut self, what: std::fmt::Arguments<'_>) {
        self.trace.note(self.now, what);
    }

    pub(crate) fn fail(&mut self, checker: &'static str, detail: String) {
        self.note(format_args!("VIOLATION {checker}: {detail}"));
        self.violation.get_or_insert(Violation { checker, detail });
    }

    /// Lets the next thing happen. Says whether there was one.
    pub(crate) fn step(&mut self) -> bool {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            self.fail(LOOP, format!("something runs in circles: {STEPS_MAX} events"));
            return false;
        }
        let Some((at, event)) = self.queue.pop() else { return false };
        self.now = self.now.max(at);
        self.truth.set(self.now);
        self.handle(event);
        true
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Turn { at } => {
                let due = self.machines.get(at).and_then(|machine| machine.turn_at);
                if due == Some(self.now) {
                    self.turn(at);
                }
            }
            Event::Message { letter, at, start } => {
                let is_fresh =
                    self.is_current(at, start) && self.is_current(letter.place, letter.start);
                if is_fresh || self.network.quality.is_wild {
                    self.deliver(*letter, at);
                }
            }
            Event::Disconnected { at, start, other } if self.is_current(at, start) => {
                self.disconnected(at, other);
            }
            Event::SyncDone { at, start } if self.is_current(at, start) => self.sync_done(at),
            Event::SyncReported { at, start } if self.is_current(at, start) => {
                self.sync_reported(at);
            }
            Event::SnapshotDone { at, start } if self.is_current(at, start) => {
                self.snapshot_done(at);
            }
            Event::FillDone { at, start } if self.is_current(at, start) => {
                let task = self.machines.get_mut(at).and_then(|machine| machine.fill.take());
                if let Some(task) = task {
                    self.with_running(at, |running| running.fill(task));
                }
            }
            Event::Call { at, start } if self.is_current(at, start) => self.call(at),
            Event::Client { client } => self.act(client),
            Event::GiveUp { client, op } => self.give_up(client, op),
            Event::Watch { watcher } => self.watch(watcher),
            Event::MoveWatch { watcher } => self.move_watch(watcher),
            Event::Fault => self.strike(),
            Event::Start { at, start } if self.is_current(at, start) => self.start(at),
            Event::Seek { at, start } if self.is_current(at, start) => self.seek(at),
            Event::EndDouble { at } => self.end_double(at),
            Event::Resume { at, start } if self.is_current(at, start) => self.resume(at),
            Event::HealNetwork => self.heal_network(),
            Event::HealDisk { at, start } if self.is_current(at, start) => self.heal_disk(at),
            _ => {}
        }
    }

    pub(crate) fn deliver(&mut self, letter: Letter, at: usize) {
        let Some(machine) = self.machines.get_mut(at) else { return };
        if machine.running.is_none() {
            return;
        }
        machine.inbox.push_back(letter);
        // What arrives within a moment is taken in by one turn.
        let soon = self.now + self.rng.below(60_000);
        self.wake(at, soon);
    }

    /// Does something with a process, and lets its loop run.
    pub(crate) fn with_running(&mut self, at: usize, what: impl FnOnce(&mut Running)) {
        let Some(machine) = self.machines.get_mut(at) else { return };
        if let Some(running) = &mut machine.running {
            what(running);
            self.wake(at, self.now);
        }
    }

    /// Makes sure that a machine's loop runs at a moment, or earlier.
    pub(crate) fn wake(&mut self, at: usize, when: Nanos) {
        let Some(machine) = self.machines.get_mut(at) else { return };
        if machine.turn_at.is_none_or(|due| due > when) {
            machine.turn_at = Some(when);
            self.queue.push(when, Event::Turn { at });
        }
    }

    /// One turn of a machine's loop: what arrived is taken in, and what came of it is dealt with.
    fn turn(&mut self, at: usize) {
        let is_deferred = self.rng.permille(self.plan.deferred_permille);
        let Some(machine) = self.machines.get_mut(at) else { return };
        machine.turn_at = None;
        if machine.is_paused {
            return;
        }
        let arrived = std::mem::take(&mut machine.inbox);
        let taken = arrived.iter().try_for_each(|letter| self.take_in(at, letter));
        let Some(running) = self.machines.get_mut(at).and_then(|one| one.running.as_mut()) else {
            return;
        };
        let result = taken.and_then(|()| running.turn(is_deferred));
        let messages = running.take_messages();
        self.dispatch(at, messages);
        let target = match result {
            Ok(target) => target,
            Err(fatal) => return self.stopped(at, &fatal),
        };
        self.settle(at);
        self.refresh_peers(at);
        let Some(machine) = self.machines.get_mut(at) else { return };
        let start = machine.start;
        if let Some(target) = target {
            let takes = self.rng.range(machine.sync_takes.0, machine.sync_takes.1);
            if machine.sync_takes != SYNC_TAKES {
                self.faults.count(Fault::SlowSync);
            }
            machine.sync = Some(Sync { target, result: None });
            self.queue.push(self.now + takes, Event::SyncDone { at, start });
        }
        self.background(at);
        let Some(machine) = self.machines.get(at) else { return };
        let due = machine.running.as_ref().and_then(Running::until_due);
        if let Some(due) = due {
            let when = self.now + machine.clock.until(due);
            self.wake(at, when);
        }
    }

    /// A process takes in what arrived, from whom it lets speak.
    fn take_in(&mut self, at: usize, letter: &Letter) -> Result<(), Fatal> {
        // A call says nothing but who calls.
        if !self.hears(at, letter) || letter.bytes.is_empty() {
            return Ok(());
        }
        let running = self.machines.get_mut(at).and_then(|machine| machine.running.as_mut());
        running.map_or(Ok(()), |running| running.receive(letter.claim.id, &letter.bytes))
    }

    /// Starts what a server does on other threads.
    fn background(&mut self, at: usize) {
        let Some(machine) = self.machines.get_mut(at) else { return };
        let (start, Some(running)) = (machine.start, &mut machine.running) else { return };
        if machine.snapshot.is_none()
            && let Some(job) = running.snapshot_job()
        {
            machine.snapshot = Some(job);
            let when = self.now + self.rng.range(MILLI, 60 * MILLI);
            self.queue.push(when, Event::SnapshotDone { at, start });
        }
        if machine.fill.is_none()
            && let Some(task) = running.next_fill()
        {
            machine.fill = Some(task);
            let when = self.now + self.rng.range(MILLI, 20 * MILLI);
            self.queue.push(when, Event::FillDone { at, start });
        }
    }

    fn sync_done(&mut self, at: usize) {
        let Some(machine) = self.machines.get_mut(at) else { return };
        let Some(sync) = &mut machine.sync else { return };
        sync.result = Some(sync.target.sync());
        let start = machine.start;
        let when = self.now + self.rng.below(200_000);
        self.queue.push(when, Event::SyncReported { at, start });
    }

    fn sync_reported(&mut self, at: usize) {
        let Some(machine) = self.machines.get_mut(at) else { return };
        if machine.is_paused {
            // It hears of it when it goes on.
            let start = machine.start;
            self.queue.push(self.now + 10 * MILLI, Event::SyncReported { at, start });
            return;
        }
        let (Some(sync), Some(running)) = (machine.sync.take(), &mut machine.running) else {
            return;
        };
        let result = sync.result.unwrap_or(Ok(()));
        let reported = running.synced(&sync.target, result);
        let messages = running.take_messages();
        self.dispatch(at, messages);
        match reported {
            Ok(()) => self.wake(at, self.now),
            Err(fatal) => self.stopped(at, &fatal),
        }
    }

    fn snapshot_done(&mut self, at: usize) {
        let Some(machine) = self.machines.get_mut(at) else { return };
        let (Some(job), Some(running)) = (machine.snapshot.take(), &mut machine.running) else {
            return;
        };
        let done = job.run(&mut |_| {});
        match running.snapshot_finished(done) {
            Ok(true) => self.faults.count(Fault::Snapshot),
            Ok(false) => {}
            Err(fatal) => return self.stopped(at, &fatal),
        }
        self.wake(at, self.now);
    }

    /// Deals with what a turn produced.
    fn settle(&mut self, at: usize) {
        let Some(machine) = self.machines.get_mut(at) else { return };
        let (start, Some(running)) = (machine.start, &mut machine.running) else { return };
        let Output { answers, reads, wakes, replaced, doubled: _ } = running.take_output();
        let (status, index) = (running.status(), running.index());
        let is_gone = status.is_removed;
        if replaced.is_some() {
            self.faults.count(Fault::SnapshotInstalled);
        }
        for wake in wakes.iter().filter(|wake| wake.owner == TAP) {
            self.take_down(wake.event.index.0, Change::of(&wake.event));
        }
        if !answers.is_empty() || !wakes.is_empty() || !reads.is_empty() {
            self.note(format_args!(
                "turn m{} term {} commit {} applied {} index {index} hash {:x} answers {} \
                 reads {} wakes {}",
                status.id.0,
                status.term.0,
                status.commit.0,
                status.applied.0,
                status.applied_hash,
                answers.len(),
                reads.len(),
                wakes.len(),
            ));
        }
        for wake in wakes {
            self.told(at, start, &wake);
        }
        for answer in answers {
            self.answered(answer);
        }
        for read in reads {
            self.read_answered(at, read);
        }
        if replaced.is_some() {
            self.drop_watches(at);
            self.tap(at);
        }
        if is_gone && let Some(machine) = self.machines.get_mut(at) {
            machine.is_gone = true;
            self.drop_watches(at);
            self.leave_if_told(at);
        }
    }

    /// Begins to take down what a member applies, and what it applied while nobody looked.
    pub(crate) fn tap(&mut self, at: usize) {
        let filter = WatchFilter { path: "/".into(), recursive: true, hidden: false };
        let Some(machine) = self.machines.get_mut(at) else { return };
        let Some(running) = &mut machine.running else { return };
        let live = running.index() + 1;
        running.watch(&filter, live, true, TAP).expect("there is room for one more watcher");
        // What is in the past no more was taken down by somebody else, or when it happened.
        let mut next = running.first_kept();
        let mut found = Vec::new();
        while let Ok(Some(event)) = running.next_event(&filter, next) {
            next = event.index.0 + 1;
            found.push((event.index.0, Change::of(&event)));
        }
        for (index, change) in found {
            self.take_down(index, change);
        }
    }

    /// Compares a change with what other members applied at the same index.
    pub(crate) fn take_down(&mut self, index: u64, change: Change) {
        if let Err(detail) = self.changes.note(index, change, self.now) {
            self.fail("same everywhere", detail);
        }
    }

    /// A process ended itself.
    pub(crate) fn stopped(&mut self, at: usize, fatal: &Fatal) {
        let Some(machine) = self.machines.get(at) else { return };
        let (name, is_sick) = (machine.identity.name.clone(), machine.is_sick);
        self.note(format_args!("stop {name}: {fatal}"));
        if !is_sick {
            return self.fail(LOOP, format!("{name} stopped on a sound disk: {fatal}"));
        }
        self.faults.count(Fault::CrashInTurn);
        self.crash(at, true);
    }
}
