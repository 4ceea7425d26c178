//! How far the other members were when they last said so, kept in a file for the day on which they
//! are gone (`sys/disk/seen.rs`).

use crate::sys::disk::Sighting;
use replica::{MemberId, Now, Peer};
use std::collections::BTreeMap;

/// How often the file is written: 10 s.
const INTERVAL_NS: u64 = 10_000_000_000;

/// What is known of the others, of the time before this start too.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    known: BTreeMap<MemberId, Sighting>,
    /// Whether a member has spoken that the file does not know.
    has_new: bool,
    /// When the file is written next, by the monotonic clock.
    due: u64,
    /// Whether a thread writes it.
    pub(super) is_busy: bool,
}

impl Seen {
    /// Begins with what the file says.
    pub(super) fn new(known: Option<Vec<Sighting>>) -> Self {
        let known = known.unwrap_or_default().into_iter().map(|one| (one.id, one)).collect();
        Self { known, ..Self::default() }
    }

    /// Takes what a member has said of itself.
    pub(super) fn note(&mut self, id: MemberId, peer: &Peer, now: Now) {
        let Some(told_at) = peer.told_at else { return };
        let at = now.wall.saturating_sub(now.monotonic.saturating_sub(told_at));
        let before = self.known.insert(id, Sighting { id, applied: peer.applied, at });
        self.has_new |= before.is_none();
    }

    /// Forgets those that have left.
    pub(super) fn retain(&mut self, is_member: impl Fn(MemberId) -> bool) {
        self.known.retain(|id, _| is_member(*id));
    }

    /// What there is to be written, if that is due. A machine that was always alone has nothing.
    pub(super) fn take_due(&mut self, now: u64) -> Option<Vec<Sighting>> {
        let is_due = self.has_new || now >= self.due;
        if self.is_busy || !is_due || self.known.is_empty() {
            return None;
        }
        (self.has_new, self.due) = (false, now.saturating_add(INTERVAL_NS));
        Some(self.all())
    }

    pub(super) fn all(&self) -> Vec<Sighting> {
        self.known.values().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_before_the_start_stays_until_something_newer_is_said() {
        let id = MemberId(2);
        let before = Sighting { id, applied: 70, at: 1000 };
        let mut seen = Seen::new(Some(vec![before]));
        let now = Now { boot: 1, monotonic: 500, wall: 10_500 };
        let mut peer = Peer::default();
        seen.note(id, &peer, now);
        assert_eq!(seen.all(), [before], "it has said nothing since");
        assert_eq!(seen.take_due(500), Some(vec![before]));
        assert_eq!(seen.take_due(501), None);
        (peer.told_at, peer.applied) = (Some(400), 80);
        seen.note(id, &peer, now);
        let after = Sighting { id, applied: 80, at: 10_400 };
        assert_eq!(seen.all(), [after]);
        assert_eq!(seen.take_due(502), None, "in ten seconds");
        seen.note(MemberId(3), &peer, now);
        assert_eq!(seen.take_due(503).map(|all| all.len()), Some(2), "one is new");
        seen.retain(|one| one == id);
        assert_eq!(seen.take_due(503 + INTERVAL_NS), Some(vec![after]));
        assert_eq!(Seen::default().take_due(u64::MAX), None);
    }
}
