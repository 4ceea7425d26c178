//! One run: faults while clients work, then none, then the judgement.

use crate::Nanos;
use crate::calls::PAUSE_ASKED;
use crate::check::{self, state::Holds};
use crate::client::TTL_MAX;
use crate::history::{History, OpId, number};
use crate::member::Running;
use crate::plan::{Fault, Faults, MILLI, Plan, SECOND};
use crate::queuer;
use crate::rng::Rng;
use crate::world::{Violation, World};
use std::panic::{self, AssertUnwindSafe};

/// How long the first phase lasts at most, whether or not clients got through.
const SAFETY_MAX: Nanos = 150 * SECOND;

/// How long a cluster may take after the end of all faults to serve through every member. Two
/// seconds are promised; members that were down start a moment after that.
const RECOVERY_MAX_MS: u64 = 2_000;

/// How long members may take to have all of the log.
const CATCH_UP_MAX: Nanos = 20 * SECOND;

/// What the caller of a run decides.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// How many operations clients begin.
    pub operations: u64,
    /// How many members there are at first; drawn from the seed if it is not said.
    pub members: Option<usize>,
    /// Whether the lines of the trace are kept.
    pub keeps_trace: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { operations: 1000, members: None, keeps_trace: false }
    }
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// The hash of the trace: equal for equal runs.
    pub trace_hash: u64,
    /// The lines of the trace, if they were to be kept.
    pub trace: Vec<String>,
    /// Operations that clients began.
    pub operations: u64,
    /// Operations whose outcome no client knows.
    pub unknown: u64,
    /// Changes that the members agreed on.
    pub changes: u64,
    /// How often somebody's turn came in the queue of a lock.
    pub turns: u64,
    /// Registers whose history was too large to be judged.
    pub undecided: u64,
    /// What went wrong on purpose.
    pub faults: Faults,
    /// How long the run was in the simulated world, in milliseconds.
    pub simulated_ms: u64,
    /// How long it took after the end of all faults until all members served, in milliseconds.
    pub recovery_ms: u64,
    /// What should not have happened.
    pub violation: Option<Violation>,
}

/// Runs one seed.
pub fn run(seed: u64, config: &Config) -> Report {
    let mut rng = Rng::new(seed);
    let plan = Plan::draw(&mut rng, config.operations, config.members);
    let mut world = World::new(seed, plan, rng, config.keeps_trace);
    let mut tally = Tally::default();
    let played = panic::catch_unwind(AssertUnwindSafe(|| play(&mut world, &mut tally)));
    if let Err(cause) = played {
        let text = cause.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| cause.downcast_ref::<&str>().copied());
        world.fail("panic", text.unwrap_or("without a message").to_owned());
    }
    let ops = &world.history.ops;
    let is_unknown = |op: &&crate::history::Op| op.finished == Nanos::MAX;
    Report {
        seed,
        trace_hash: world.trace.hash(),
        operations: ops.len() as u64,
        unknown: ops.iter().filter(is_unknown).count() as u64,
        changes: world.changes.iter().count() as u64,
        turns: check::queue::turns(&world.history),
        undecided: tally.undecided,
        faults: world.faults.clone(),
        simulated_ms: world.now / MILLI,
        recovery_ms: tally.recovery_ms,
        violation: world.violation.clone(),
        trace: world.trace.into_lines(),
    }
}

#[derive(Debug, Default)]
struct Tally {
    undecided: u64,
    recovery_ms: u64,
}

fn play(world: &mut World, tally: &mut Tally) {
    while !world.is_over() && world.now < SAFETY_MAX && world.violation.is_none() {
        if !world.step() {
            break;
        }
    }
    world.heal();
    let healed_at = world.now;
    let bound_ms = world.recovery_max_ms();
    let is_serving = world.step_until(bound_ms * MILLI, World::is_serving);
    tally.recovery_ms = (world.now - healed_at) / MILLI;
    if !is_serving {
        let detail =
            format!("not all serve {bound_ms} ms after the last fault: {}", world.describe());
        return world.fail("recovery", detail);
    }
    if !world.step_until(CATCH_UP_MAX, World::is_level) {
        let detail = format!("not all have the whole log: {}", world.describe());
        return world.fail("recovery", detail);
    }
    // Everything with a TTL is gone by then, and clients have given up on what they waited for.
    let quiet = world.now + check::ttl::most(TTL_MAX) + SECOND;
    world.step_until(quiet - world.now, |world| world.now >= quiet);
    if !world.step_until(CATCH_UP_MAX, World::is_level) {
        let detail = format!("not all have the whole log: {}", world.describe());
        return world.fail("recovery", detail);
    }
    if world.violation.is_none() {
        judge(world, tally);
    }
}

/// Lets all checkers judge.
fn judge(world: &mut World, tally: &mut Tally) {
    let (history, changes) = (&world.history, &world.changes);
    let mut verdicts = vec![
        ("acknowledged", check::order::check_acknowledged(history, changes)),
        ("once", check::order::check_once(history, changes)),
        ("real time", check::order::check_real_time(history)),
        ("reads", check::order::check_reads(history, changes)),
        ("ttl", check::ttl::check(history, changes)),
        ("lock", check::lock::check(history)),
        ("queue", check::queue::check(history)),
        ("rights", check::rights::check(history, changes, &world.ledger)),
        ("rights", world.check_users()),
        ("same everywhere", check::state::check(&world.holdings())),
    ];
    for (number, watcher) in world.watchers.iter().enumerate() {
        let verdict = check::watch::check(&watcher.filter, &watcher.stretches, changes);
        let verdict = verdict.map_err(|detail| format!("watch {number}: {detail}"));
        verdicts.push(("watch", verdict));
    }
    verdicts.push(("addresses", world.check_addresses()));
    if let Some(running) = world.machines.iter().find_map(|machine| machine.running.as_ref()) {
        let listing = list(running, check::sequence::DIR);
        verdicts.push(("in order", check::sequence::check(history, changes, &listing)));
        verdicts.push(("ttl", check_gone(running, history)));
        verdicts.push(("queue", check_queues(running)));
    }
    match check::linear::check(history) {
        Ok(undecided) => tally.undecided = undecided,
        Err(detail) => verdicts.push(("linearizable", Err(detail))),
    }
    for (checker, verdict) in verdicts {
        if let Err(detail) = verdict {
            world.fail(checker, detail);
        }
    }
}

fn list(running: &Running, dir: &str) -> Vec<(String, OpId)> {
    let Some(node) = running.peek(dir) else { return Vec::new() };
    let child = |(name, node): (&str, &store::Node)| {
        (format!("{dir}/{name}"), node.value().map_or(OpId::MAX, number))
    };
    node.children().map(child).collect()
}

/// What had a TTL is gone: the last was written long enough ago.
fn check_gone(running: &Running, history: &History) -> check::Verdict {
    match list(running, "/t").first() {
        None => Ok(()),
        Some((key, value)) => {
            let op = history.get(*value);
            Err(format!("{key} is still there: op {value} {op:?}"))
        }
    }
}

/// Nobody is in a queue any more: all have fallen silent long enough ago.
fn check_queues(running: &Running) -> check::Verdict {
    for lock in queuer::locks() {
        if let Some(node) = running.peek(&lock)
            && let Some((index, entry)) = node.lock_holder()
        {
            return Err(format!("{lock} is held for ever by {:?} at {index}", entry.value()));
        }
    }
    Ok(())
}

impl World {
    /// Lets things happen until something is so, for a bounded time.
    fn step_until(&mut self, within: Nanos, is_so: impl Fn(&World) -> bool) -> bool {
        let until = self.now + within;
        loop {
            if is_so(self) {
                return true;
            }
            if self.now > until || self.violation.is_some() || !self.step() {
                return is_so(self);
            }
            self.settle_membership();
        }
    }

    /// Who has moved may have to be asked for, and the last round of questions may have been lost
    /// with the last fault.
    fn recovery_max_ms(&self) -> u64 {
        let asks = if self.faults.of(Fault::Moved) > 0 { PAUSE_ASKED / MILLI } else { 0 };
        RECOVERY_MAX_MS + asks
    }

    /// Whether every client has done all that it should.
    fn is_over(&self) -> bool {
        self.history.ops.len() as u64 >= self.plan.operations
            && self.clients.iter().all(|client| client.waits_for.is_none())
    }

    /// Whether all members have served a write.
    fn is_serving(&self) -> bool {
        self.clients.iter().all(|client| {
            let is_gone = self.machines.get(client.home).is_none_or(|machine| machine.is_gone);
            client.is_done || client.part != crate::client::Part::Probe || is_gone
        })
    }

    fn members(&self) -> impl Iterator<Item = &crate::machine::Machine> {
        self.machines.iter().filter(|machine| !machine.is_gone)
    }

    /// Whether all members have applied the same, and that is all that there is.
    fn is_level(&self) -> bool {
        let mut applied = None;
        self.members().all(|machine| {
            let Some(running) = &machine.running else { return false };
            let status = running.status();
            let first = *applied.get_or_insert(status.applied);
            status.leader.is_some() && status.applied == status.commit && status.applied == first
        })
    }

    fn describe(&self) -> String {
        let member = |machine: &crate::machine::Machine| {
            let status = machine.running.as_ref().map(Running::status);
            status.map_or(format!("{} is down", machine.identity.name), |status| {
                format!(
                    "{} {:?} term {} leader {:?} commit {} applied {} voter {} {}",
                    machine.identity.name,
                    status.role,
                    status.term.0,
                    status.leader.map(|leader| leader.0),
                    status.commit.0,
                    status.applied.0,
                    status.is_voter,
                    machine.running.as_ref().map(Running::fitness).unwrap_or_default(),
                )
            })
        };
        self.members().map(member).collect::<Vec<_>>().join("; ")
    }

    fn holdings(&self) -> Vec<Holds> {
        let holds = |machine: &crate::machine::Machine| {
            let running = machine.running.as_ref()?;
            let status = running.status();
            Some(Holds {
                name: machine.identity.name.clone(),
                applied: status.applied.0,
                hash: status.applied_hash,
                contents: running.contents(),
            })
        };
        self.members().filter_map(holds).collect()
    }
}
