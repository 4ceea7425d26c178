//! Members that join, leave and are lost for good, and storms of keys that expire together.

use crate::Nanos;
use crate::asked::Asked;
use crate::history::{Kind, Op, OpId, Outcome};
use crate::letter::Address;
use crate::machine::Machine;
use crate::member::Identity;
use crate::plan::{Fault, MILLI};
use crate::queue::Event;
use crate::world::World;
use replica::MemberId;
use replica::decide::{Force, Told};
use store::Command;
use wal::mem::MemDisk;

/// Stands for the operator, who is none of the clients.
pub(crate) const OPERATOR: usize = usize::MAX;

/// How many machines there are at most, those that left counted.
const MACHINES_MAX: usize = 9;

/// How many keys one storm lets expire at the same moment.
const STORM_KEYS: u64 = 40;

/// When the keys of a storm expire, in seconds.
const STORM_TTL: u64 = 2;

impl World {
    /// A machine whose process answers, if there is one.
    fn any_up(&mut self) -> Option<usize> {
        let up = |at: &usize| self.machines.get(*at).is_some_and(|m| m.is_up() && !m.is_gone);
        let all: Vec<usize> = (0..self.machines.len()).filter(up).collect();
        if all.is_empty() { None } else { Some(self.rng.pick(&all)) }
    }

    pub(crate) fn begin(&mut self, at: usize, key: String, kind: Kind, ttl: Option<u64>) -> OpId {
        let start = self.machines.get(at).map_or(0, |machine| machine.start);
        self.history.begin(Op {
            client: OPERATOR,
            machine: (at, start),
            invoked: self.now,
            finished: Nanos::MAX,
            key,
            kind,
            ttl,
            outcome: Outcome::Open,
        })
    }

    /// Many keys get the same deadline.
    pub(crate) fn storm(&mut self) {
        let Some(at) = self.any_up() else { return };
        self.faults.count(Fault::TtlStorm);
        for number in 0..STORM_KEYS {
            let key = format!("/t/s{number}");
            let id = self.begin(at, key.clone(), Kind::Set, Some(STORM_TTL));
            let value = id.to_string();
            let command = Command::Set {
                path: crate::client::path(&key),
                value: &value,
                dir: false,
                ttl: Some(STORM_TTL.cast_signed()),
                refresh: false,
            };
            let Some(running) = self.machines.get_mut(at).and_then(|one| one.running.as_mut())
            else {
                return;
            };
            if running.propose(id, &command).is_err() {
                self.operator_learns(id, Outcome::NotDone);
            }
        }
        self.wake(at, self.now);
    }

    /// Whether a removal was asked for and not answered.
    pub(crate) fn is_removing(&self) -> bool {
        self.asked.values().any(|asked| matches!(asked, Asked::Removal(..)))
    }

    /// The membership changes in one way or another.
    pub(crate) fn churn(&mut self) {
        if self.is_removing() {
            return;
        }
        let members = self.machines.iter().filter(|machine| !machine.is_gone).count();
        match self.rng.below(4) {
            0 => self.lose_disk(),
            1 if members >= 3 => self.ask_removal(),
            _ if self.machines.len() < MACHINES_MAX => self.add_joiner(),
            _ => {}
        }
    }

    /// A machine that nobody knows yet is told where the members are.
    fn add_joiner(&mut self) {
        let there = self.machines.iter().filter(|machine| !machine.is_gone);
        let listed: Vec<Address> = there.map(|machine| machine.address).collect();
        let id = self.draw_id();
        let at = self.add_machine(Identity { id, name: format!("m{}", id.0) }, Told::Peers);
        let Some(machine) = self.machines.get_mut(at) else { return };
        (machine.is_gone, machine.listed) = (true, listed);
        self.queue.push(self.now + MILLI, Event::Start { at, start: 0 });
    }

    fn ask_removal(&mut self) {
        let (Some(at), Some(victim)) = (self.any_up(), self.any_up()) else { return };
        if self.has_lost_disk {
            // Who is lost still counts, so that another removal might leave no majority.
            return;
        }
        self.remove_through(at, victim);
    }

    fn remove_through(&mut self, at: usize, victim: usize) {
        let Some(id) = self.machines.get(victim).map(|machine| machine.identity.id) else { return };
        let op = self.begin(at, String::new(), Kind::Membership, None);
        self.note(format_args!("op {op} removal of m{} at place {at}", id.0));
        self.asked.insert(op, Asked::Removal(victim, id));
        if let Some(running) = self.machines.get_mut(at).and_then(|one| one.running.as_mut()) {
            running.remove(op, id);
            self.wake(at, self.now);
        }
    }

    /// A machine is lost with its disk, and its member is removed.
    pub(crate) fn lose_disk(&mut self) {
        let members = self.machines.iter().filter(|machine| !machine.is_gone).count();
        if members < 3 || self.plan.founders == 1 {
            return;
        }
        let all_up = self.machines.iter().filter(|machine| !machine.is_gone).all(|m| m.is_up());
        let was_changed = self.ids > 0 || self.machines.len() > self.plan.founders;
        if self.may_miss_one() || was_changed || !all_up {
            return;
        }
        let Some(victim) = self.any_up() else { return };
        self.has_lost_disk = true;
        self.faults.count(Fault::LostDisk);
        self.give_up_machine(victim);
        if self.rng.permille(600) {
            self.come_back_as_another(victim);
        }
        if let Some(at) = self.any_up() {
            self.remove_through(at, victim);
        }
    }

    /// The machine whose disk was lost takes part again, as its operator says. An impostor goes on
    /// with what it has.
    fn rejoin(&mut self, at: usize) {
        let may_come = self.rng.permille(500) && !self.is_healing;
        let is_impostor = self.impostors.contains(&at);
        let Some(machine) = self.machines.get_mut(at).filter(|machine| machine.is_off) else {
            return;
        };
        if !may_come || is_impostor {
            return;
        }
        machine.disk = MemDisk::new();
        (machine.is_off, machine.force) = (false, Force::Rejoin);
        let start = machine.start;
        self.queue.push(self.now + MILLI, Event::Start { at, start });
    }

    /// A machine that was removed ends its process as soon as it knows, unless it was asked for
    /// the removal and is to say what became of it.
    pub(crate) fn leave_if_told(&mut self, at: usize) {
        let is_impostor = self.impostors.contains(&at);
        let is_asked = self.asked.keys().any(|id| {
            let op = self.history.get(*id);
            op.is_some_and(|op| op.machine.0 == at)
        });
        if self.plan.churn && !self.is_healing && !is_impostor && !is_asked {
            self.leave(at);
        }
    }

    /// A process ends; what was asked of it is not answered.
    pub(crate) fn end_process(&mut self, at: usize) {
        let Some(machine) = self.machines.get_mut(at) else { return };
        machine.drop_process();
        self.lose_requests(at);
        self.drop_watches(at);
    }

    /// Whether a member is missed, or may have left already: one more would be too many.
    pub(crate) fn may_miss_one(&self) -> bool {
        self.has_lost_disk || self.has_unknown_removal || self.is_removing()
    }

    /// Members that were away while everybody whom they know left. Nobody can tell them who the
    /// others are, and a stranger's word is nothing: their log says so, and what they are to be
    /// started with (docs/clustering.md). This operator gives them up.
    fn give_up_stranded(&mut self) {
        let is_stranded = |machine: &Machine| {
            let knows = |other: &Machine| {
                let id = other.identity.id;
                let is_other = !other.is_gone && id != machine.identity.id;
                is_other && machine.running.as_ref().is_some_and(|running| running.knows(id))
            };
            machine.running.is_some() && !self.machines.iter().any(knows)
        };
        let there: Vec<usize> =
            (0..self.machines.len()).filter(|at| !self.machines[*at].is_gone).collect();
        let (stranded, left): (Vec<usize>, Vec<usize>) =
            there.into_iter().partition(|at| is_stranded(&self.machines[*at]));
        if self.have_majority(&left) {
            for at in stranded {
                self.faults.count(Fault::Stranded);
                self.give_up_machine(at);
            }
        }
    }

    /// Whether these machines have a majority of all that vote by what the latest of them knows.
    fn have_majority(&self, machines: &[usize]) -> bool {
        let running = machines.iter().filter_map(|at| self.machines[*at].running.as_ref());
        let Some(latest) = running.max_by_key(|running| running.status().applied) else {
            return false;
        };
        let votes = |at: &usize| latest.is_voter(self.machines[*at].identity.id);
        let all = (0..self.machines.len()).filter(votes).count();
        machines.iter().filter(|at| votes(at)).count() * 2 > all
    }

    /// A machine is switched off for good.
    pub(crate) fn give_up_machine(&mut self, at: usize) {
        let Some(machine) = self.machines.get_mut(at) else { return };
        (machine.is_gone, machine.is_off) = (true, true);
        self.note(format_args!("place {at} is given up"));
        self.end_process(at);
    }

    /// The operator hears what became of a change.
    pub(crate) fn operator_learns(&mut self, id: OpId, outcome: Outcome) {
        let now = self.now;
        let Some(op) = self.history.get_mut(id) else { return };
        if op.outcome != Outcome::Open {
            return;
        }
        if outcome != Outcome::Unknown {
            op.finished = now;
        }
        let is_done = matches!(outcome, Outcome::Written { .. });
        let is_unknown = outcome == Outcome::Unknown;
        let at = op.machine.0;
        op.outcome = outcome;
        let Some(asked) = self.asked.remove(&id) else { return };
        self.note(format_args!("op {id} {asked:?} is done: {is_done}"));
        match asked {
            // Nobody joins any more when all is to be as it should.
            Asked::Place(new, id) if is_done && !self.is_healing => self.take_place(at, new, id),
            Asked::Place(new, _) if !is_unknown => self.stand_by(new),
            Asked::Removal(..) if is_unknown => self.has_unknown_removal = true,
            Asked::Removal(victim, id) if is_done => {
                self.faults.count(Fault::Removal);
                // It is switched off later: until the others know for certain that it is out, they
                // may need its vote once more.
                let is_it = |machine: &&mut Machine| machine.identity.id == id;
                if let Some(machine) = self.machines.get_mut(victim).filter(is_it) {
                    machine.is_gone = true;
                    self.rejoin(victim);
                }
            }
            _ => {}
        }
    }

    /// Gives up on machines that are members no more without anybody having heard of it.
    pub(crate) fn settle_membership(&mut self) {
        let leader = self.machines.iter().filter_map(|one| one.running.as_ref());
        let Some(leader) = leader.filter(|one| one.is_leader()).max_by_key(|one| one.status().term)
        else {
            return;
        };
        let members: Vec<MemberId> = leader.members().iter().map(|member| member.id).collect();
        let is_out = |at: &usize| {
            let one = self.machines.get(*at);
            one.is_some_and(|one| !one.is_off && !members.contains(&one.identity.id))
        };
        // Nobody is known before the members have announced themselves.
        if members.is_empty() || !(self.plan.churn || self.plan.losses) {
            return;
        }
        let out: Vec<usize> = (0..self.machines.len()).filter(is_out).collect();
        out.into_iter().for_each(|at| self.give_up_machine(at));
        self.give_up_stranded();
    }
}
