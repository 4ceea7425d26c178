//! Those who are not who they say: strangers who speak as members do, machines whose disk was made
//! anew under the same id, older copies of a disk.

use crate::letter::Letter;
use crate::plan::{Fault, MILLI, SECOND};
use crate::queue::Event;
use crate::world::{LOOP, World};
use replica::decide::{Force, Heard, Held, Outcome as Decided, Refusal, Told, decide};
use replica::{Identity as Directory, LogIndex, MemberId, PeerClaim, Term};

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
        let known: Vec<MemberId> = machine.peers.speakers.keys().copied().collect();
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
        self.note(format_args!("m{} hears a lie of m{}: {claim:?}", to.0, from.0));
        for _ in 0..self.rng.range(1, 5) {
            let kind = self.rng.pick(&KINDS);
            let bytes = message(kind, to, from, [term, term, index, commit]);
            let (place, start, address) = (usize::MAX, 0, 0);
            self.deliver(Letter { claim, place, start, address, bytes }, at);
        }
        // Its connection ends with it.
        self.with_running(at, |running| running.disconnected(from));
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
            // Some time nobody answers, or somebody who does not know.
            let heard = if self.rng.permille(400) {
                self.rng.pick(&[Heard::Nobody, Heard::Begun])
            } else {
                self.ask_around(at)
            };
            match decide(Held::Nothing, Told::New, Force::Not, heard) {
                Decided::FoundTogether => {
                    if let Some(machine) = self.machines.get_mut(at) {
                        machine.disk = wal::mem::MemDisk::new();
                    }
                    self.impostors.push(at);
                    self.found(at);
                }
                Decided::Refuse(Refusal::LostDisk) | Decided::Ask => {
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
        if !self.impostors.contains(&at) {
            self.impostors.push(at);
        }
        let when = self.now + self.rng.range(MILLI, 2 * SECOND);
        self.queue.push(when, Event::Start { at, start });
    }

    /// Whoever is not who it says is switched off for good.
    pub(crate) fn end_imposture(&mut self) {
        for at in self.impostors.clone() {
            self.end_double(at);
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
