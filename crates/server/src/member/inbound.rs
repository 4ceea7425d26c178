//! Inbound connections of members, and which warnings about them were logged.

use crate::net::Key;
use replica::{Identity, MemberId, Now, Term};
use std::collections::{BTreeMap, BTreeSet};

/// A connection over which another member speaks to this one.
#[derive(Debug)]
pub(crate) struct InboundPeer {
    pub(crate) key: Key,
    pub(super) identity: Identity,
    /// Where it is reached, and where its connection comes from.
    pub(super) address: String,
    /// When it last spoke, by the monotonic clock.
    pub(super) heard_at: u64,
}

/// What came from a member since the start, over whichever connections.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heard {
    /// Bytes of messages, without what frames them.
    pub(crate) bytes: u64,
    /// Frames that were damaged, each of which ended a connection.
    pub(crate) failures: u64,
}

/// Members that speak to this one, and what the log says of them.
#[derive(Debug)]
pub(crate) struct Inbound {
    /// The connections over which other members speak to this one.
    pub(super) peers: BTreeMap<MemberId, InboundPeer>,
    /// What came from each member.
    pub(super) heard: BTreeMap<MemberId, Heard>,
    /// The version of the membership that connections are held for.
    pub(super) known_membership: u64,
    /// The leader that was seen last.
    pub(super) last_leader: Option<MemberId>,
    /// Who leads in which term, and since when this member has seen that without a break.
    pub(super) leads: Option<(MemberId, Term, Now)>,
    pub(super) told: Warned,
}

/// What the log says already.
#[derive(Debug, Default)]
pub(super) struct Warned {
    /// Members whose state was found to differ.
    pub(super) diverged: BTreeSet<MemberId>,
    /// Entries that were skipped.
    pub(super) entries_skipped: u64,
    /// That this member lost entries that it had acknowledged.
    pub(super) loss: bool,
    /// That this directory was copied.
    pub(super) copy: bool,
    /// That it may be the copy of a running machine's.
    pub(super) live_copy: bool,
    /// That all members that are known here may have been replaced.
    pub(super) replaced: bool,
}

impl Default for Inbound {
    fn default() -> Self {
        Self {
            peers: BTreeMap::new(),
            heard: BTreeMap::new(),
            known_membership: u64::MAX,
            last_leader: None,
            leads: None,
            told: Warned::default(),
        }
    }
}

impl Inbound {
    /// This came from a member.
    pub(super) fn note(&mut self, from: MemberId, heard: Heard) {
        let all = self.heard.entry(from).or_default();
        all.bytes += heard.bytes;
        all.failures += heard.failures;
    }

    /// What came from a member.
    pub(crate) fn heard(&self, from: MemberId) -> Heard {
        self.heard.get(&from).copied().unwrap_or_default()
    }
}
