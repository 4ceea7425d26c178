//! Directories that are copied and started twice, and machines that come back at another address.

use crate::member::Running;
use crate::plan::{Fault, MILLI, SECOND};
use crate::queue::Event;
use crate::world::World;

/// How many machines there are at most, second ones counted.
const MACHINES_MAX: usize = 10;

impl World {
    /// A second process starts from a copy of a machine's disk while the first goes on.
    pub(crate) fn double(&mut self, at: usize) {
        let Some(first) = self.machines.get(at).filter(|one| one.is_up() && !one.is_gone) else {
            return;
        };
        let (identity, told, listed) = (first.identity.clone(), first.told, first.listed.clone());
        // One of a running process has the latest start, and may be older all the same than what
        // that process acknowledges afterwards.
        let is_live = self.rng.permille(400);
        let disk = if is_live { Some(&first.disk) } else { first.copy.as_ref() };
        let Some(copy) = disk.map(|disk| disk.copy()) else { return };
        // In the end neither of the two may be believed: that is one voter that is missed, and two
        // have to be left that go on without it.
        let votes = |running: &Running| running.status().is_voter;
        let all = self.machines.iter().filter(|machine| !machine.is_gone);
        let voters = all.filter(|machine| machine.running.as_ref().is_some_and(votes)).count();
        // Nobody could tell a copy of a member that decides alone where the others are.
        let was_alone = self.plan.founders == 1;
        if was_alone || voters < 3 || self.may_miss_one() || self.machines.len() >= MACHINES_MAX {
            return;
        }
        self.has_lost_disk = true;
        let second = self.add_machine(identity, told);
        let when = self.now + self.rng.range(MILLI, SECOND);
        let over = when + self.rng.range(500 * MILLI, 10 * SECOND);
        let Some(machine) = self.machines.get_mut(second) else { return };
        (machine.disk, machine.listed, machine.double_of) = (copy, listed, Some(at));
        machine.is_gone = true;
        self.impostors.push(second);
        self.faults.count(Fault::Doubled);
        self.note(format_args!("place {second} has a copy of place {at}"));
        self.queue.push(when, Event::Start { at: second, start: 0 });
        self.queue.push(over, Event::EndDouble { at: second });
    }

    /// Whether a copy of a machine's directory was believed in its stead. What that one
    /// acknowledged is not in the original, which is no copy and has no sign of it: where those
    /// that know are down it would be believed again. So the operator must not start it any more
    /// (docs/operating.md).
    pub(crate) fn is_superseded(&self, at: usize) -> bool {
        self.machines.iter().any(|one| one.double_of == Some(at) && one.was_welcome)
    }

    /// The operator finds the second process and ends it. If anybody has believed it, which nobody
    /// does while the first one speaks, its operator has to let both go.
    pub(crate) fn end_double(&mut self, at: usize) {
        let Some(machine) = self.machines.get(at).filter(|_| self.impostors.contains(&at)) else {
            return;
        };
        let (first, was_believed) = (machine.double_of, machine.was_welcome);
        self.impostors.retain(|other| *other != at);
        self.give_up_machine(at);
        let Some(first) = first else { return };
        self.has_lost_disk = was_believed;
        if was_believed {
            self.faults.count(Fault::SecondBelieved);
            self.give_up_machine(first);
        }
    }

    /// One machine, some or all come back at other addresses.
    pub(crate) fn move_machines(&mut self, at: usize) {
        let how = self.rng.below(10);
        for place in 0..self.machines.len() {
            let moves = match how {
                0..6 => place == at,
                6..8 => self.rng.permille(500),
                _ => true,
            };
            if moves {
                self.move_machine(place);
            }
        }
    }

    fn move_machine(&mut self, at: usize) {
        if self.machines.get(at).is_none_or(|machine| machine.is_off) {
            return;
        }
        self.strike_down(at);
        // Where somebody else was reached before, or nobody yet.
        let address = match self.left_addresses.pop() {
            Some(left) if self.rng.permille(300) => left,
            _ => self.draw_address(),
        };
        let Some(machine) = self.machines.get_mut(at) else { return };
        let left = std::mem::replace(&mut machine.address, address);
        machine.has_moved = true;
        self.left_addresses.push(left);
        self.faults.count(Fault::Moved);
        self.note(format_args!("place {at} moves from address {left} to {address}"));
    }
}
