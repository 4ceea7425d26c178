//! Where machines look for each other, and whom they let speak.
//!
//! A machine is reached at its address alone. Another one finds it where its membership says, where
//! it said itself that it is when it called, or where somebody else says; as the server does it
//! (`crates/server`: `peer`, `moved.rs`, `greeting.rs`). Who answers there has to be who is meant.

use crate::Nanos;
use crate::check;
use crate::letter::{Address, Letter, address_in};
use crate::member::Running;
use crate::peers::Speaker;
use crate::plan::{Fault, MILLI, SECOND};
use crate::queue::Event;
use crate::world::World;
use replica::{Member, MemberId, PeerClaim};
use std::collections::{BTreeMap, BTreeSet};

/// How long a second process with the identity of a member waits until that one counts as gone.
const FIRST_SILENT: Nanos = 3 * SECOND;

/// How long somebody who was refused waits until it calls again.
const PAUSE_REFUSED: Nanos = SECOND;

/// The pause between two rounds of questions about where others are.
pub(crate) const PAUSE_ASKED: Nanos = 3 * SECOND;

/// The longest pause between two calls to somebody who does not answer.
const PAUSE_CALL: Nanos = 300 * MILLI;

/// Why a caller is not let speak.
struct NoWelcome {
    why: String,
    fault: Fault,
    /// Whether it is told that it is not believed.
    is_disowned: bool,
}

/// Kinds of messages by their number on the wire that pass on what a client wants. A member that
/// was refused says that nothing was done, which rests on a connection that delivers nothing twice
/// (`replica::Network`). raft's own messages, and the others of ours, may come again all the same.
const CARRIED_ONCE: [u8; 2] = [65, 71];

impl World {
    pub(crate) fn draw_address(&mut self) -> Address {
        self.addresses += 1;
        self.addresses
    }

    pub(crate) fn is_current(&self, at: usize, start: u64) -> bool {
        self.machines.get(at).is_some_and(|machine| machine.start == start)
    }

    /// The machine that a machine speaks to when it speaks to a member; nobody if it finds none.
    pub(crate) fn locate(&self, at: usize, to: MemberId) -> Option<usize> {
        let peers = &self.machines.get(at)?.peers;
        if let Some((place, start)) = peers.links.get(&to)
            && self.is_current(*place, *start)
        {
            return Some(*place);
        }
        let is_it = |place: &usize, address| {
            let found = self.machines.get(*place);
            found.is_some_and(|one| one.address == address && one.identity.id == to)
        };
        let mut candidates = peers.candidates(to);
        candidates.find_map(|one| (0..self.machines.len()).find(|place| is_it(place, one)))
    }

    /// Whether a process that sends something is let speak. It is asked who it is when it calls,
    /// and that it has called shows by its first word.
    pub(crate) fn hears(&mut self, at: usize, letter: &Letter) -> bool {
        let (id, identity) = (letter.claim.id, letter.claim.identity);
        let now = self.now;
        // Who has ended cannot introduce itself any more: a welcome takes an answer. A copy that
        // ends at that very moment may be believed all the same, and its original refused from
        // there on; that takes -force-rejoin, which this operator does not do.
        let has_ended =
            self.machines.get(letter.place).is_some_and(|one| one.start != letter.start);
        let Some(machine) = self.machines.get_mut(at) else { return false };
        if let Some(speaker) = machine.peers.speakers.get_mut(&id)
            && speaker.identity == identity
        {
            speaker.heard_at = now;
            return true;
        }
        if has_ended {
            return false;
        }
        let is_waiting = |until: &Nanos| now < *until;
        if machine.peers.refused.get(&(id, identity)).is_some_and(is_waiting) {
            return false;
        }
        let (own, start) = (machine.identity.id, machine.start);
        let claim = self.fresh(letter);
        let admitted = self.admit(at, &claim, letter);
        let Some(machine) = self.machines.get_mut(at) else { return false };
        if let Err(refused) = &admitted {
            machine.peers.refused.insert((id, identity), now + PAUSE_REFUSED);
            self.faults.count(refused.fault);
            self.note(format_args!("m{} refuses {claim:?}: {}", own.0, refused.why));
        }
        let sender = self.machines.get_mut(letter.place);
        let Some(sender) = sender.filter(|sender| sender.start == letter.start) else {
            return admitted.is_ok();
        };
        if let Some(running) = &mut sender.running
            && running.claim().identity == identity
        {
            match &admitted {
                Ok(()) => {
                    running.confirmed(own);
                    sender.was_welcome = true;
                    sender.peers.links.insert(own, (at, start));
                }
                Err(refused) if refused.is_disowned => running.disowned(own),
                Err(_) => {}
            }
        }
        admitted.is_ok()
    }

    /// What a sender says of itself now, if it is still there: it calls anew with that.
    fn fresh(&self, letter: &Letter) -> PeerClaim {
        let sender = self.machines.get(letter.place).and_then(|one| one.running.as_ref());
        let claim = sender.map(Running::claim);
        claim.filter(|claim| claim.identity == letter.claim.identity).unwrap_or(letter.claim)
    }

    fn admit(&mut self, at: usize, claim: &PeerClaim, letter: &Letter) -> Result<(), NoWelcome> {
        let from = (letter.place, letter.start);
        let now = self.now;
        let first = self.machines.get(at).and_then(|one| one.peers.speakers.get(&claim.id));
        let stays = first.is_some_and(|first| {
            // The connection of a process that ended is gone with it.
            self.is_current(first.from.0, first.from.1) && now - first.heard_at < FIRST_SILENT
        });
        let refuse = |why, fault, is_disowned| Err(NoWelcome { why, fault, is_disowned });
        if stays {
            return refuse("it is connected already".into(), Fault::SecondRefused, true);
        }
        let Some(machine) = self.machines.get_mut(at) else { return Ok(()) };
        let Some(running) = &mut machine.running else { return Ok(()) };
        if running.was_removed(claim.id) {
            return refuse("it was removed".into(), Fault::RemovedRefused, false);
        }
        if let Err(refused) = running.meet(claim) {
            return refuse(refused.to_string(), Fault::ClaimRefused, true);
        }
        let peers = &mut machine.peers;
        peers.refresh(running);
        if peers.named.get(&claim.id) != Some(&letter.address) {
            peers.callers.insert(claim.id, letter.address);
        } else {
            // What an older connection of it said does not hold any more.
            peers.callers.remove(&claim.id);
        }
        let speaker = Speaker { identity: claim.identity, from, heard_at: now };
        peers.speakers.insert(claim.id, speaker);
        Ok(())
    }

    /// The connections between two machines broke, and one of them notices.
    pub(crate) fn disconnected(&mut self, at: usize, other: MemberId) {
        let Some(machine) = self.machines.get_mut(at) else { return };
        let own = machine.identity.id;
        let speaker = machine.peers.speakers.get(&other).map(|speaker| speaker.from.0);
        let link = machine.peers.links.get(&other).map(|link| link.0);
        machine.peers.disconnected(other);
        for place in [speaker, link].into_iter().flatten() {
            if let Some(machine) = self.machines.get_mut(place) {
                machine.peers.disconnected(own);
            }
        }
        self.with_running(at, |running| running.disconnected(other));
    }

    /// Takes over what a turn changed in the membership.
    pub(crate) fn refresh_peers(&mut self, at: usize) {
        let Some(machine) = self.machines.get_mut(at) else { return };
        if let Some(running) = &machine.running {
            machine.peers.refresh(running);
        }
    }

    /// A process calls those that do not let it speak yet, wherever they may be, and asks around if
    /// somebody is missing.
    pub(crate) fn call(&mut self, at: usize) {
        let Some(machine) = self.machines.get(at).filter(|one| one.running.is_some()) else {
            return;
        };
        let (start, own, is_paused) = (machine.start, machine.identity.id, machine.is_paused);
        let again = self.now + self.rng.range(50 * MILLI, PAUSE_CALL);
        self.queue.push(again, Event::Call { at, start });
        if is_paused {
            return;
        }
        self.refresh_peers(at);
        let Some(machine) = self.machines.get(at) else { return };
        let is_open = |id: &MemberId| {
            let link = machine.peers.links.get(id);
            link.is_some_and(|(place, start)| self.is_current(*place, *start))
        };
        let known: BTreeSet<MemberId> =
            machine.peers.named.keys().chain(machine.peers.callers.keys()).copied().collect();
        let missing: Vec<MemberId> =
            known.into_iter().filter(|id| *id != own && !is_open(id)).collect();
        let asks = !missing.is_empty() && self.now >= machine.peers.asks_again;
        for id in missing {
            self.send(at, id, Vec::new());
        }
        if asks {
            self.ask_where(at);
        }
    }

    /// Asks at all addresses that a machine knows who is reached where.
    fn ask_where(&mut self, at: usize) {
        let Some(machine) = self.machines.get(at) else { return };
        let Some(running) = &machine.running else { return };
        let own = machine.identity.id;
        let announced: Vec<(MemberId, u8, Address)> = listed(running.announced());
        let named = machine.peers.named.values().chain(&machine.listed).copied();
        let asked: BTreeSet<Address> = named.chain(announced.iter().map(|one| one.2)).collect();
        let mut said = announced;
        for (place, other) in self.machines.iter().enumerate() {
            let Some(answering) = other.running.as_ref().filter(|_| other.is_up()) else {
                continue;
            };
            if place == at || !asked.contains(&other.address) || !self.can_ask(at, place) {
                continue;
            }
            said.push((other.identity.id, 3, other.address));
            said.extend(other.peers.callers.iter().map(|(id, address)| (*id, 2, *address)));
            said.extend(listed(answering.members()));
        }
        let now = self.now;
        let Some(machine) = self.machines.get_mut(at) else { return };
        machine.peers.asks_again = now + PAUSE_ASKED;
        machine.peers.weigh(own, &said);
        self.note(format_args!("m{} hears {said:?}", own.0));
    }

    /// Whether a question and its answer pass between two machines.
    pub(crate) fn can_ask(&self, at: usize, other: usize) -> bool {
        !self.network.is_cut(at, other) && !self.network.is_cut(other, at)
    }

    /// Sends something to a member, wherever the sender believes it to be. Nothing at all is a
    /// call.
    fn send(&mut self, at: usize, to: MemberId, bytes: Vec<u8>) {
        let Some(machine) = self.machines.get(at) else { return };
        let Some(claim) = machine.running.as_ref().map(Running::claim) else { return };
        self.send_as(at, claim, to, bytes);
    }

    fn send_as(&mut self, at: usize, claim: PeerClaim, to: MemberId, bytes: Vec<u8>) {
        let Some(place) = self.locate(at, to) else { return };
        let Some(start) = self.machines.get(place).map(|machine| machine.start) else { return };
        let Some(machine) = self.machines.get(at) else { return };
        let (from, address) = (machine.start, machine.address);
        let kind = bytes.get(1).copied().unwrap_or(0);
        let len = bytes.len();
        let mut when = self.network.route(self.now, at, place, &mut self.faults);
        if CARRIED_ONCE.contains(&kind) {
            when = [when[0], None];
        }
        self.note(format_args!("m{} -> m{} kind {kind} len {len} {when:?}", claim.id.0, to.0));
        for when in when.into_iter().flatten() {
            let letter = Letter { claim, place: at, start: from, address, bytes: bytes.clone() };
            let message = Event::Message { letter: Box::new(letter), at: place, start };
            self.queue.push(when, message);
        }
    }

    /// Every member knows where every other one is in the end.
    pub(crate) fn check_addresses(&self) -> check::Verdict {
        let members = || self.machines.iter().filter(|machine| !machine.is_gone);
        let where_they_are: BTreeMap<MemberId, Address> =
            members().map(|machine| (machine.identity.id, machine.address)).collect();
        for machine in members() {
            let table = machine.running.as_ref().map(Running::members).unwrap_or_default();
            for (id, _, named) in listed(table) {
                if let Some(address) = where_they_are.get(&id).filter(|address| **address != named)
                {
                    let (own, id) = (&machine.identity.name, id.0);
                    return Err(format!("{own} has m{id} at {named}, and it is at {address}"));
                }
            }
        }
        Ok(())
    }

    /// Sends what a turn gave out.
    pub(crate) fn dispatch(&mut self, at: usize, messages: Vec<(MemberId, Vec<u8>)>) {
        let running = self.machines.get(at).and_then(|machine| machine.running.as_ref());
        let Some(claim) = running.map(Running::claim) else { return };
        for (to, bytes) in messages {
            self.send_as(at, claim, to, bytes);
        }
    }
}

/// What a list of members says of where they are.
fn listed(members: Vec<Member>) -> Vec<(MemberId, u8, Address)> {
    let said = |member: Member| Some((member.id, 1, address_in(&member.peer_url)?));
    members.into_iter().filter_map(said).collect()
}
