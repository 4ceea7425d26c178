//! Those who are not who they say: strangers who speak as members do, machines whose disk was made
//! anew under the same id, older copies of a disk.

use crate::machine::Letter;
use crate::member;
use crate::plan::{Fault, MILLI, SECOND};
use crate::queue::Event;
use crate::world::{LOOP, World};
use replica::decide::{Force, Heard, Held, Outcome as Decided, Refusal, Told, decide};
use replica::{Identity as Directory, LogIndex, Member, MemberId, PeerClaim, Term};

/// Kinds of messages by their number on the wire: append, vote, heartbeat, and their answers.
const KINDS: [u8; 6] = [0, 1, 2, 3, 4, 5];

impl World {
    /// A stranger, or somebody who uses a member's id, sends what a member might.
    pub(crate) fn lie(&mut self, at: usize) {
        let Some(machine) = self.machines.get(at).filter(|one| one.running.is_some()) else {
            return;
        };
        let (to, status) = match machine.running.as_ref() {
            Some(running) => (machine.identity.id, running.status()),
            None => return,
        };
        // Whoever has the id of a member needs its directory too, as soon as it is known.
        let welcome = machine.met.iter().filter(|(_, is_welcome)| **is_welcome);
        let known: Vec<MemberId> = welcome.map(|((id, _), _)| *id).collect();
        let knows_all = machine
            .running
            .as_ref()
            .is_some_and(|running| known.iter().all(|id| running.knows_directory(*id)));
        let is_stranger = known.is_empty() || !knows_all || self.rng.permille(500);
        let from = if is_stranger { MemberId(0xbad) } else { self.rng.pick(&known) };
        let drawn = self.rng.next();
        let identity = Directory {
            incarnation: drawn,
            start: 1 + drawn % 9,
            nonce: drawn,
            ..Directory::default()
        };
        let term = status.term.0 + self.rng.pick(&[0, 0, 1, 1_000_000]);
        let index = self.rng.pick(&[0, status.commit.0, status.commit.0 + 1, 1_000_000]);
        let claim = PeerClaim {
            id: from,
            identity,
            term: Term(term),
            last_index: LogIndex(index),
            last_term: Term(term),
            is_doubtful: self.rng.permille(300),
        };
        let commit = self.rng.pick(&[status.commit.0, status.commit.0 + 5, 1_000_000_000]);
        for _ in 0..self.rng.range(1, 5) {
            let kind = self.rng.pick(&KINDS);
            let bytes = message(kind, to, from, [term, term, index, commit]);
            self.deliver(Letter { claim, bytes }, at);
        }
        self.faults.count(Fault::Lie);
    }

    /// A machine that was given up starts again after all, with an older copy of its disk or with
    /// an empty one. In the second case it asks, as its start line says, and is refused; or it
    /// hears what is not true, and founds under the id that it had. Nothing is expected of it, and
    /// nobody must believe it.
    pub(crate) fn come_back_as_another(&mut self, at: usize) {
        let takes_copy = self.rng.permille(500);
        let copy = self.machines.get_mut(at).and_then(|machine| machine.copy.take());
        let fault = if let Some(copy) = copy.filter(|_| takes_copy) {
            if let Some(machine) = self.machines.get_mut(at) {
                machine.disk = copy;
            }
            Fault::OlderCopy
        } else {
            let heard = self.ask_around(at);
            match decide(Held::Nothing, Told::New, Force::Not, heard) {
                Decided::FoundTogether => self.found_again(at),
                Decided::Refuse(Refusal::LostDisk) => {
                    return self.faults.count(Fault::StartRefused);
                }
                decided => return self.fail(LOOP, format!("{heard:?} led to {decided:?}")),
            }
            Fault::DiskMadeAnew
        };
        let Some(machine) = self.machines.get_mut(at) else { return };
        machine.is_off = false;
        let start = machine.start;
        self.faults.count(fault);
        self.impostors.push(at);
        let when = self.now + self.rng.range(MILLI, 2 * SECOND);
        self.queue.push(when, Event::Start { at, start });
    }

    /// What the machines of the list answer to one that starts with an empty disk. Some time nobody
    /// answers, or somebody who does not know.
    fn ask_around(&mut self, at: usize) -> Heard {
        if self.rng.permille(400) {
            return self.rng.pick(&[Heard::Nobody, Heard::Begun]);
        }
        let Some(id) = self.machines.get(at).map(|machine| machine.identity.id) else {
            return Heard::Nobody;
        };
        let mut heard = Heard::Nobody;
        for other in self.machines.iter().filter_map(|machine| machine.running.as_ref()) {
            let members = other.members();
            let took_part = |one: &Member| one.id == id && !one.client_url.is_empty();
            if members.iter().any(took_part) {
                return Heard::TookPart;
            }
            heard = Heard::Begun;
        }
        heard
    }

    fn found_again(&mut self, at: usize) {
        let founders: Vec<MemberId> = (1..=self.plan.founders as u64).map(MemberId).collect();
        let Some(machine) = self.machines.get_mut(at) else { return };
        machine.disk = wal::mem::MemDisk::new();
        let (disk, clock, identity) = (&machine.disk, &machine.clock, &machine.identity);
        member::found(disk, clock, identity, &self.plan, founders, Vec::new())
            .expect("a sound disk can be written");
    }

    /// Whoever is not who it says is switched off for good.
    pub(crate) fn end_imposture(&mut self) {
        for at in std::mem::take(&mut self.impostors) {
            self.give_up_machine(at);
        }
    }
}

/// A message of raft as it travels, with the numbers that matter.
fn message(
    kind: u8,
    to: MemberId,
    from: MemberId,
    [term, log_term, index, commit]: [u64; 4],
) -> Vec<u8> {
    let mut out = vec![1, kind];
    for number in [to.0, from.0, term, log_term, index, commit, 0, 0, 0, 0] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.push(0);
    out.extend_from_slice(&[0; 8]);
    out
}
