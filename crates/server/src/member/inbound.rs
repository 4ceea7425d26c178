//! Inbound connections of members, and which warnings about them were logged.

use crate::net::Key;
use replica::{Identity, MemberId};
use std::collections::{BTreeMap, BTreeSet};

/// How long the same complaint is not repeated: 10 minutes.
const COMPLAINT_NS: u64 = 600_000_000_000;

/// Complaints that are remembered.
const COMPLAINTS_MAX: usize = 64;

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

/// Rate limit for log lines about strangers, so that none of them fills the log.
#[derive(Debug, Default)]
pub(crate) struct Complaints(BTreeMap<String, u64>);

impl Complaints {
    /// Whether a line is due: it was not logged recently, and not too many others were.
    pub(crate) fn is_due(&mut self, what: String, now: u64) -> bool {
        self.0.retain(|_, said_at| now.saturating_sub(*said_at) < COMPLAINT_NS);
        let is_due = self.0.len() < COMPLAINTS_MAX && !self.0.contains_key(&what);
        if is_due {
            self.0.insert(what, now);
        }
        is_due
    }
}

/// Members that speak to this one, and what the log says of them.
#[derive(Debug)]
pub(crate) struct Inbound {
    /// The connections over which other members speak to this one.
    pub(super) peers: BTreeMap<MemberId, InboundPeer>,
    pub(super) complaints: Complaints,
    /// The same for log lines about processes with a member's identity, which strangers cannot use
    /// up.
    pub(super) doubles: Complaints,
    /// The version of the membership that connections are held for.
    pub(super) known_membership: u64,
    /// The leader that was seen last.
    pub(super) last_leader: Option<MemberId>,
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
            complaints: Complaints::default(),
            doubles: Complaints::default(),
            known_membership: u64::MAX,
            last_leader: None,
            told: Warned::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_do_not_fill_the_log() {
        let mut complaints = Complaints::default();
        assert!(complaints.is_due("a".to_owned(), 0));
        assert!(!complaints.is_due("a".to_owned(), COMPLAINT_NS - 1));
        assert!(complaints.is_due("a".to_owned(), COMPLAINT_NS));
        let said = (0..100_000).filter(|at| complaints.is_due(at.to_string(), COMPLAINT_NS));
        assert_eq!(said.count(), COMPLAINTS_MAX - 1);
    }
}
