//! What a process knows of the ways to others, and whom it lets speak.

use crate::Nanos;
use crate::letter::{Address, address_in};
use crate::member::Running;
use replica::{Identity as Directory, Member, MemberId};
use std::collections::BTreeMap;

/// A process that was let speak for a member.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speaker {
    pub(crate) identity: Directory,
    /// Its machine and that machine's start.
    pub(crate) from: (usize, u64),
    pub(crate) heard_at: Nanos,
}

/// What a process knows of the ways to others.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    /// The version of the membership that the addresses below are from.
    pub(crate) version: u64,
    pub(crate) named: BTreeMap<MemberId, Address>,
    /// Where callers said that they are reached.
    pub(crate) callers: BTreeMap<MemberId, Address>,
    /// Where others say that somebody is reached.
    pub(crate) hints: BTreeMap<MemberId, Address>,
    /// The processes that let this one speak.
    pub(crate) links: BTreeMap<MemberId, (usize, u64)>,
    pub(crate) speakers: BTreeMap<MemberId, Speaker>,
    /// Who was refused, until it may ask again.
    pub(crate) refused: BTreeMap<(MemberId, Directory), Nanos>,
    pub(crate) asks_again: Nanos,
}

impl Peers {
    /// Takes over what the membership says, if that has changed.
    pub(crate) fn refresh(&mut self, running: &Running) {
        let version = running.membership_version();
        if self.version == version && !self.named.is_empty() {
            return;
        }
        self.version = version;
        let named = |member: Member| Some((member.id, address_in(&member.peer_url)?));
        self.named = running.members().into_iter().filter_map(named).collect();
    }

    /// Where a member is looked for: at the one address, then at the other.
    pub(crate) fn candidates(&self, id: MemberId) -> impl Iterator<Item = Address> {
        let known = self.callers.get(&id).or_else(|| self.named.get(&id));
        known.into_iter().chain(self.hints.get(&id)).copied()
    }

    /// A connection to or from a member broke.
    pub(crate) fn disconnected(&mut self, other: MemberId) {
        self.links.remove(&other);
        self.speakers.remove(&other);
        self.callers.remove(&other);
    }

    /// What this process hears of where others are, weighed by who says it: what a member says of
    /// itself counts most, then where it called from, then what others list.
    pub(crate) fn weigh(&mut self, own: MemberId, said: &[(MemberId, u8, Address)]) {
        let mut best: BTreeMap<MemberId, (u8, Address)> = BTreeMap::new();
        for (id, weight, at) in said {
            let known = self.named.get(id).filter(|_| *id != own);
            let counts = known.is_some_and(|known| *weight > 1 || known != at);
            let entry = best.entry(*id).or_insert((0, *at));
            if counts && *weight > entry.0 {
                *entry = (*weight, *at);
            }
        }
        for (id, (weight, at)) in best {
            if weight > 0 && self.named.get(&id) != Some(&at) {
                self.hints.insert(id, at);
            }
        }
    }
}
