//! Starts: each goes through the one decision of `replica`, with what the disk holds, what the
//! machine is told, and what others say; and machines that wait for a place.

use crate::asked::Asked;
use crate::history::Kind;
use crate::letter::{self, Address};
use crate::machine::Machine;
use crate::member::{self, Identity, Running};
use crate::plan::{Fault, MILLI, SECOND};
use crate::queue::Event;
use crate::world::{LOOP, World};
use replica::decide::{Force, Heard, Held, Outcome as Decided, Told, decide};
use replica::{Member, MemberId};
use wal::mem::MemDisk;

/// How long a machine waits until it asks again what it could not be told.
const ASK_AGAIN: u64 = 250 * MILLI;

impl Machine {
    fn held(&self) -> Held {
        if !wal::is_empty(&self.disk).expect("a sound disk can be read") {
            // What would be known of its others is only asked where it is to be given up.
            Held::Several
        } else if self.stands_by {
            Held::Standby
        } else {
            Held::Nothing
        }
    }
}

impl World {
    /// The machines of the first start lines. The clients' ports of those that have not announced
    /// themselves are not known.
    fn start_list(&self) -> Vec<Member> {
        let founders = self.machines.iter().take(self.plan.founders).zip(1..);
        let listed = founders.map(|(machine, id)| Member {
            id: MemberId(id),
            name: format!("m{id}"),
            peer_url: letter::url(machine.first_address),
            ..Member::default()
        });
        listed.collect()
    }

    /// The founders, each with a start line that names all of them.
    pub(crate) fn add_founders(&mut self) {
        let told = if self.plan.founders == 1 { Told::Nowhere } else { Told::New };
        for id in 1..=self.plan.founders as u64 {
            let at = self.add_machine(Identity { id: MemberId(id), name: format!("m{id}") }, told);
            let when = self.rng.below(200 * MILLI);
            self.queue.push(when, Event::Start { at, start: 0 });
        }
        let all: Vec<Address> = self.machines.iter().map(|machine| machine.address).collect();
        self.machines.iter_mut().for_each(|machine| machine.listed.clone_from(&all));
    }

    /// A machine is switched on: what it becomes is decided.
    pub(crate) fn start(&mut self, at: usize) {
        let Some(machine) = self.machines.get_mut(at) else { return };
        if machine.running.is_some() || machine.is_off || machine.is_waiting {
            return;
        }
        if self.is_superseded(at) {
            return;
        }
        let Some(machine) = self.machines.get_mut(at) else { return };
        let has_moved = std::mem::take(&mut machine.has_moved);
        let (held, told, force) = (machine.held(), machine.told, machine.force);
        if has_moved {
            self.rewrite_start_line(at);
        }
        let mut decided = decide(held, told, force, Heard::NotAsked);
        if decided == Decided::Ask {
            decided = decide(held, told, force, self.ask_around(at));
        }
        self.note(format_args!("place {at} holds {held:?} told {told:?} {force:?}: {decided:?}"));
        match decided {
            Decided::Restart => self.open(at),
            Decided::Found | Decided::FoundTogether => {
                self.found(at);
                self.open(at);
            }
            Decided::StandBy | Decided::Join => self.wait_for_place(at),
            Decided::Rejoin => {
                self.become_another(at);
                self.wait_for_place(at);
            }
            Decided::Ask => {
                let start = self.machines.get(at).map_or(0, |machine| machine.start);
                self.queue.push(self.now + ASK_AGAIN, Event::Start { at, start });
            }
            Decided::Refuse(refusal) => {
                self.fail(LOOP, format!("place {at} does not start: {refusal:?}"));
            }
        }
    }

    /// Whoever moves a machine writes down where the others are at that time.
    fn rewrite_start_line(&mut self, at: usize) {
        let there = self.machines.iter().filter(|machine| !machine.is_gone);
        let all: Vec<Address> = there.map(|machine| machine.address).collect();
        if let Some(machine) = self.machines.get_mut(at) {
            machine.listed = all;
        }
    }

    /// What the machines of the start line answer to one that starts with an empty disk. The word
    /// that speaks most against founding counts, as in `crates/server` (`join/seek.rs`).
    pub(crate) fn ask_around(&self, at: usize) -> Heard {
        let Some(machine) = self.machines.get(at) else { return Heard::Nobody };
        let (id, mut heaviest) = (machine.identity.id, (0, Heard::Nobody));
        for (place, other) in self.machines.iter().enumerate() {
            let answering = other.running.as_ref().filter(|_| other.is_up());
            let Some(answering) = answering.filter(|_| machine.listed.contains(&other.address))
            else {
                continue;
            };
            if place != at && self.can_ask(at, place) {
                let said = word_about(id, answering);
                heaviest = if said.0 > heaviest.0 { said } else { heaviest };
            }
        }
        heaviest.1
    }

    /// Makes an empty disk that of a founder.
    pub(crate) fn found(&mut self, at: usize) {
        let known = self.start_list();
        let founders: Vec<MemberId> = known.iter().map(|member| member.id).collect();
        let plan = &self.plan;
        let Some(machine) = self.machines.get_mut(at) else { return };
        // The id comes of the list alone.
        let listed = known.iter().find(|member| member.name == machine.identity.name);
        machine.identity.id = listed.map_or(machine.identity.id, |member| member.id);
        let (disk, clock, identity) = (&machine.disk, &machine.clock, &machine.identity);
        member::found(disk, clock, identity, plan, founders, known)
            .expect("a sound disk can be written");
        machine.stands_by = false;
        let is_impostor = self.impostors.contains(&at);
        if let Some(machine) = self.machines.get_mut(at).filter(|_| !is_impostor) {
            machine.is_gone = false;
        }
    }

    /// A machine begins with an empty disk under a new id and its old name.
    pub(crate) fn become_another(&mut self, at: usize) {
        let id = self.draw_id();
        let Some(machine) = self.machines.get_mut(at) else { return };
        machine.identity.id = id;
        machine.disk = MemDisk::new();
        machine.copy = None;
    }

    pub(crate) fn draw_id(&mut self) -> MemberId {
        self.ids += 1;
        MemberId(100 + self.ids)
    }

    fn wait_for_place(&mut self, at: usize) {
        let when = self.now + self.rng.range(MILLI, 300 * MILLI);
        let Some(machine) = self.machines.get_mut(at) else { return };
        machine.is_waiting = true;
        let start = machine.start;
        self.queue.push(when, Event::Seek { at, start });
    }

    /// A machine without a place asks a member for one.
    pub(crate) fn seek(&mut self, at: usize) {
        if self.is_healing {
            return;
        }
        let again = self.now + self.rng.range(200 * MILLI, SECOND);
        let Some(machine) = self.machines.get(at).filter(|one| one.is_waiting) else { return };
        let (start, id) = (machine.start, machine.identity.id);
        self.queue.push(again, Event::Seek { at, start });
        let is_asking = |asked: &Asked| matches!(asked, Asked::Place(place, _) if *place == at);
        if machine.is_paused || self.asked.values().any(is_asking) {
            return;
        }
        let answers = |place: &usize| {
            let other = self.machines.get(*place).filter(|one| one.is_up() && !one.is_gone);
            other.is_some_and(|one| machine.listed.contains(&one.address))
                && self.can_ask(at, *place)
        };
        let answering: Vec<usize> = (0..self.machines.len()).filter(answers).collect();
        if answering.is_empty() {
            return;
        }
        let member = machine.identity.member(machine.address);
        let asked = self.rng.pick(&answering);
        let op = self.begin(asked, String::new(), Kind::Membership, None);
        self.asked.insert(op, Asked::Place(at, id));
        self.note(format_args!("op {op} place {at} asks place {asked} for a place as m{}", id.0));
        self.with_running(asked, |running| running.join(op, member));
        self.learn_members(at, asked);
    }

    /// A machine that waits writes down where the members are.
    fn learn_members(&mut self, at: usize, asked: usize) {
        let running = self.machines.get(asked).and_then(|machine| machine.running.as_ref());
        let members = running.map(Running::members).unwrap_or_default();
        let urls = members.iter().filter_map(|member| letter::address_in(&member.peer_url));
        let urls: Vec<Address> = urls.collect();
        if let Some(machine) = self.machines.get_mut(at).filter(|_| !urls.is_empty()) {
            machine.listed = urls;
        }
    }

    /// There is no place: the word that this machine stands by outlives its process.
    pub(crate) fn stand_by(&mut self, at: usize) {
        self.faults.count(Fault::StoodBy);
        if let Some(machine) = self.machines.get_mut(at).filter(|machine| machine.is_waiting) {
            machine.stands_by = true;
        }
    }

    /// A machine that waited got its place through another one, and starts as a member.
    pub(crate) fn take_place(&mut self, through: usize, at: usize, id: MemberId) {
        let Some(running) = self.machines.get(through).and_then(|one| one.running.as_ref()) else {
            return;
        };
        let (founders, known) = (running.founders(), running.members());
        let when = self.now + self.rng.range(MILLI, 300 * MILLI);
        let is_it = |machine: &&mut Machine| machine.is_waiting && machine.identity.id == id;
        let Some(machine) = self.machines.get_mut(at).filter(is_it) else { return };
        let (disk, clock, identity) = (&machine.disk, &machine.clock, &machine.identity);
        member::found(disk, clock, identity, &self.plan, founders, known)
            .expect("a sound disk can be written");
        (machine.is_waiting, machine.is_gone) = (false, false);
        let stood_by = std::mem::take(&mut machine.stands_by);
        // It is taken out of the start line.
        machine.force = Force::Not;
        let start = machine.start;
        self.faults.count(if stood_by { Fault::PlaceForStandby } else { Fault::Join });
        self.queue.push(when, Event::Start { at, start });
    }

    /// A process whose own log says that it was removed puts its data away and stands by.
    pub(crate) fn leave(&mut self, at: usize) {
        let Some(machine) = self.machines.get(at) else { return };
        let members = machine.running.as_ref().map(Running::members).unwrap_or_default();
        let urls = members.iter().filter_map(|member| letter::address_in(&member.peer_url));
        let urls: Vec<Address> = urls.collect();
        self.end_process(at);
        self.become_another(at);
        let when = self.now + self.rng.range(MILLI, SECOND);
        let Some(machine) = self.machines.get_mut(at) else { return };
        (machine.is_gone, machine.stands_by, machine.listed) = (true, true, urls);
        let (start, id) = (machine.start, machine.identity.id);
        self.note(format_args!("place {at} was removed; it stands by as m{}", id.0));
        self.faults.count(Fault::RemovedStandsBy);
        self.queue.push(when, Event::Start { at, start });
    }
}

/// What a member's view says of a machine that would found with the members of its list, and how
/// much that counts.
fn word_about(id: MemberId, answering: &Running) -> (u8, Heard) {
    let members = answering.members();
    let listed = members.iter().find(|member| member.id == id);
    // Who announced itself has a URL for clients; who left is not listed at all.
    if listed.is_none_or(|member| !member.client_url.is_empty()) {
        (4, Heard::TookPart)
    } else if answering.is_leader() {
        (3, Heard::Begun)
    } else if answering.status().term.0 > 0 {
        (2, Heard::Unclear)
    } else {
        (1, Heard::Begun)
    }
}
