//! Clients and watchers at work: asking, being answered, giving up, asking elsewhere.

use crate::Nanos;
use crate::check::rights::UNAUTHORIZED;
use crate::churn::OPERATOR;
use crate::client::{Client, Part};
use crate::history::{Change, Kind, Op, OpId, Outcome, Place, Seen, number};
use crate::plan::{Fault, MILLI};
use crate::queue::Event;
use crate::request::Request;
use crate::users;
use crate::world::World;
use replica::{Answer, EngineError, Failure, ReadAnswer, Ticket};
use store::{Applied, LockState, Node, Wake};

/// How long a client waits for an answer.
const CLIENT_PATIENCE: Nanos = 3_000 * MILLI;

/// How long it waits when it wants to know whether the cluster serves again: a request that was on
/// its way to a leader that died is lost, and the next one need not be.
const PROBE_PATIENCE: Nanos = 300 * MILLI;

/// What a member said when it could not carry something out.
fn outcome_of(error: EngineError) -> Outcome {
    match error {
        EngineError::Timeout | EngineError::Unknown | EngineError::Stopping => Outcome::Unknown,
        _ => Outcome::NotDone,
    }
}

fn seen(node: &Node) -> Option<Seen> {
    node.value().map(|value| Seen { value: number(value), modified: node.modified().0 })
}

impl World {
    /// Whether clients have done all that they should.
    fn is_enough(&self) -> bool {
        self.history.ops.len() as u64 >= self.plan.operations
    }

    /// A client asks for something.
    pub(crate) fn act(&mut self, number: usize) {
        let is_over = self.is_healing || self.is_enough();
        let machines = self.machines.len();
        let Some(client) = self.clients.get_mut(number) else { return };
        let is_probe = client.part == Part::Probe;
        if client.waits_for.is_some() || client.is_done || (is_over && !is_probe) {
            return;
        }
        if !is_probe && client.rng.permille(60) {
            client.home = client.rng.index(machines);
        }
        let at = client.home;
        let is_up = self.machines.get(at).is_some_and(|machine| machine.running.is_some());
        let is_out = |one: &crate::machine::Machine| one.is_gone && one.double_of.is_none();
        if !is_up || self.machines.get(at).is_some_and(is_out) {
            // The connection is refused: somebody else is asked, a moment later.
            if !is_probe {
                client.home = client.rng.index(machines);
            }
            let when = self.now + client.rng.range(MILLI, 20 * MILLI);
            return self.queue.push(when, Event::Client { client: number });
        }
        let request = client.draw();
        self.ask(number, at, &request);
    }

    fn ask(&mut self, client: usize, at: usize, request: &Request) {
        let Some(machine) = self.machines.get(at) else { return };
        let id = self.history.begin(Op {
            client,
            machine: (at, machine.start),
            invoked: self.now,
            finished: Nanos::MAX,
            key: request.key.clone(),
            kind: request.kind,
            ttl: request.ttl,
            outcome: Outcome::Open,
        });
        self.note(format_args!("op {id} client {client} m{at} {request:?}"));
        let mut patience = CLIENT_PATIENCE;
        if let Some(client) = self.clients.get_mut(client) {
            client.waits_for = Some(id);
            if client.part == Part::Probe {
                patience = PROBE_PATIENCE;
            }
        }
        self.queue.push(self.now + patience, Event::GiveUp { client, op: id });
        self.identify(client, at, id, request);
        let who = users::principal(self.ledger.shown.get(&id));
        let has_gate = self.has_gate();
        let Some(machine) = self.machines.get_mut(at) else { return };
        let Some(running) = &mut machine.running else { return };
        let (value, prev) = (id.to_string(), request.prev_text());
        let taken = match request.kind {
            Kind::PlainRead if machine.is_paused => Ok(()),
            Kind::PlainRead => return self.read_now(at, id),
            Kind::QuorumRead => running.read(id),
            _ => {
                let command = request.command(&value, &prev);
                let is_awake = !machine.is_paused;
                let may = running.may(who, &command);
                if has_gate && is_awake && !may {
                    // By what this member knows, which may be behind what others know.
                    return self.finish(id, Outcome::NotDone);
                }
                if let Some(error) = running.refuse(&command).filter(|_| is_awake && may) {
                    let outcome = Err(Failure::Store(error));
                    return self.answered(Answer { ticket: Ticket(id), outcome });
                }
                running.propose_as(id, who, &command)
            }
        };
        // What is asked within a moment shares a turn.
        let soon = self.now + self.rng.below(80_000);
        match taken {
            Ok(()) => self.wake(at, soon),
            Err(error) => self.finish(id, outcome_of(error)),
        }
    }

    /// An operation has its outcome, and its client goes on after a rest.
    fn finish(&mut self, id: OpId, outcome: Outcome) {
        let now = self.now;
        let Some(op) = self.history.get_mut(id) else { return };
        if op.client == OPERATOR {
            return self.operator_learns(id, outcome);
        }
        if op.outcome != Outcome::Open {
            // The client has gone away meanwhile.
            return;
        }
        if outcome != Outcome::Unknown {
            op.finished = now;
        }
        op.outcome = outcome;
        let op = op.clone();
        self.note(format_args!("op {id} is {:?}", op.outcome));
        self.note_rights(id, &op);
        let think_max = self.plan.think_max;
        let Some(client) = self.clients.get_mut(op.client) else { return };
        client.waits_for = None;
        client.learn(id, &op);
        let rest = client.rng.range(100_000, think_max);
        self.queue.push(now + rest, Event::Client { client: op.client });
    }

    pub(crate) fn give_up(&mut self, client: usize, op: OpId) {
        if self.clients.get(client).is_some_and(|client| client.waits_for == Some(op)) {
            self.finish(op, Outcome::Unknown);
        }
    }

    /// A client that writes through one machine until it succeeds.
    pub(crate) fn add_probe(&mut self, home: usize) {
        let client = self.clients.len();
        let rng = self.rng.fork();
        self.clients.push(Client::new(rng, Part::Probe, home));
        self.queue.push(self.now, Event::Client { client });
    }

    /// All that was asked of a machine that is down is unknown.
    pub(crate) fn lose_requests(&mut self, at: usize) {
        let asked = self.asked.keys().copied();
        let waiting = self.clients.iter().filter_map(|client| client.waits_for);
        let waiting: Vec<OpId> = waiting.chain(asked).collect();
        for id in waiting {
            if self.history.get(id).is_some_and(|op| op.machine.0 == at) {
                self.finish(id, Outcome::Unknown);
            }
        }
    }

    pub(crate) fn answered(&mut self, answer: Answer) {
        let outcome = match answer.outcome {
            Ok(Applied::Event(event)) => Outcome::Written {
                index: event.index.0,
                key: event.key.to_string(),
                prev: event.prev.as_ref().and_then(seen),
            },
            Ok(Applied::Auth { index, .. }) => {
                Outcome::Written { index: index.0, key: String::new(), prev: None }
            }
            Ok(Applied::Lock(found)) => Outcome::Queued {
                index: found.index,
                place: match found.state {
                    LockState::Held => Place::Holds,
                    LockState::Waiting => Place::Waits,
                    LockState::Gone => Place::Gone,
                },
                is_new: found.before == 0,
            },
            Ok(Applied::Expired(_) | Applied::Internal | Applied::Raised | Applied::Counted) => {
                Outcome::Written { index: 0, key: String::new(), prev: None }
            }
            Err(Failure::Store(error)) => {
                Outcome::Refused { code: error.code as u16, index: error.index.0 }
            }
            Err(Failure::Engine(error)) => outcome_of(error),
        };
        self.finish(answer.ticket.0, outcome);
    }

    pub(crate) fn read_answered(&mut self, at: usize, answer: ReadAnswer) {
        match answer.outcome {
            Ok(()) => self.read_now(at, answer.ticket.0),
            Err(_) => self.finish(answer.ticket.0, Outcome::NotDone),
        }
    }

    fn read_now(&mut self, at: usize, id: OpId) {
        let Some(op) = self.history.get(id) else { return };
        let Some(running) = self.machines.get(at).and_then(|one| one.running.as_ref()) else {
            return;
        };
        let found = running.peek(&op.key).as_ref().and_then(seen);
        let index = running.index();
        let who = users::principal(self.ledger.shown.get(&id));
        if running.may_read(who, &op.key) {
            self.finish(id, Outcome::Read { index, found });
        } else {
            self.finish(id, Outcome::Refused { code: UNAUTHORIZED, index });
        }
    }

    /// A watcher asks for what comes next.
    pub(crate) fn watch(&mut self, number: usize) {
        let machines = self.machines.len();
        let Some(watcher) = self.watchers.get_mut(number) else { return };
        if watcher.at.is_some() {
            return;
        }
        let at = watcher.rng.index(machines);
        let is_up = self.machines.get(at).is_some_and(|one| one.is_up() && !one.is_gone);
        if !is_up {
            let when = self.now + watcher.rng.range(MILLI, 30 * MILLI);
            return self.queue.push(when, Event::Watch { watcher: number });
        }
        if self.catch_up(number, at) {
            self.register(number, at);
        }
    }

    /// Tells a watcher what is in the past already. Says whether it now waits for what is to come.
    fn catch_up(&mut self, number: usize, at: usize) -> bool {
        loop {
            let Some(watcher) = self.watchers.get_mut(number) else { return false };
            let Some(running) = self.machines.get(at).and_then(|one| one.running.as_ref()) else {
                return false;
            };
            match running.next_event(&watcher.filter, watcher.next) {
                Ok(Some(event)) => {
                    watcher.told(event.index.0);
                    self.take_down(event.index.0, Change::of(&event));
                }
                Ok(None) => return true,
                Err(_) => {
                    let (index, oldest) = (running.index(), running.oldest_event());
                    let is_right = oldest.is_none_or(|oldest| oldest > watcher.next);
                    let wanted = watcher.next;
                    watcher.cleared(index);
                    self.faults.count(Fault::HistoryCleared);
                    if !is_right {
                        let detail = format!("401 for {wanted} although {oldest:?} is kept");
                        self.fail("watch", detail);
                    }
                }
            }
        }
    }

    fn register(&mut self, number: usize, at: usize) {
        let now = self.now;
        let Some(watcher) = self.watchers.get_mut(number) else { return };
        let Some(machine) = self.machines.get_mut(at) else { return };
        let (start, Some(running)) = (machine.start, &mut machine.running) else { return };
        let from = watcher.next.max(running.index() + 1);
        let owner = number as u64;
        let Some(id) = running.watch(&watcher.filter, from, watcher.stream, owner) else { return };
        watcher.at = Some((at, start, id));
        if watcher.rng.permille(400) {
            let when = now + watcher.rng.range(50 * MILLI, 3_000 * MILLI);
            self.queue.push(when, Event::MoveWatch { watcher: number });
        }
        self.note(format_args!("watch {number} at m{at} from {from}"));
    }

    /// A watcher is told of an event as it happens.
    pub(crate) fn told(&mut self, at: usize, start: u64, wake: &Wake) {
        let number = usize::try_from(wake.owner).unwrap_or(usize::MAX);
        let now = self.now;
        let Some(watcher) = self.watchers.get_mut(number) else { return };
        if watcher.at != Some((at, start, wake.watcher)) {
            return;
        }
        watcher.told(wake.event.index.0);
        if !watcher.stream {
            watcher.at = None;
            let when = now + watcher.rng.range(100_000, 20 * MILLI);
            self.queue.push(when, Event::Watch { watcher: number });
        }
        self.take_down(wake.event.index.0, Change::of(&wake.event));
    }

    /// A client closes its watch and asks elsewhere for what follows.
    pub(crate) fn move_watch(&mut self, number: usize) {
        let Some(watcher) = self.watchers.get_mut(number).filter(|_| !self.is_healing) else {
            return;
        };
        let Some((at, start, id)) = watcher.at.take() else { return };
        let when = self.now + watcher.rng.range(100_000, 50 * MILLI);
        self.queue.push(when, Event::Watch { watcher: number });
        self.faults.count(Fault::WatchMoved);
        if let Some(machine) = self.machines.get_mut(at).filter(|one| one.start == start)
            && let Some(running) = &mut machine.running
        {
            running.unwatch(id);
        }
    }

    /// A machine's watches are over.
    pub(crate) fn drop_watches(&mut self, at: usize) {
        for (number, watcher) in self.watchers.iter_mut().enumerate() {
            if watcher.at.is_some_and(|(place, ..)| place == at) {
                watcher.at = None;
                let when = self.now + watcher.rng.range(MILLI, 50 * MILLI);
                self.queue.push(when, Event::Watch { watcher: number });
            }
        }
    }
}
