//! The replicated state: the key space, the members, and which requests were carried out.

use crate::membership::{ClusterConfig, Member, Membership};
use crate::replica::moments::Moments;
use crate::session::Sessions;
use crate::types::{LogIndex, LogPosition, Term};
use crate::wire::batch::Control;
use store::{KeyPath, Store};

/// What the state machine holds at the moment when raft starts: loaded, or empty.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) membership: Membership,
    /// Which requests of members were carried out.
    pub(crate) sessions: Sessions,
    pub(crate) applied: LogIndex,
    pub(crate) applied_term: Term,
    /// The running hash of all entries applied.
    pub(crate) hash: u64,
    /// How often members came, went or changed, as this process saw it.
    pub(crate) membership_version: u64,
    /// Committed entries that could not be applied and were skipped, as this process saw it.
    pub(crate) entries_skipped: u64,
    /// When the indexes of the store were made, as far as this process saw it.
    pub(crate) moments: Moments,
}

/// A member that is to be shown in the registry (`registry.rs`).
#[derive(Debug)]
pub(crate) struct Announcement {
    pub(crate) member: Member,
    /// The configuration that the very first member brings along.
    pub(crate) first: Option<ClusterConfig>,
}

impl State {
    /// The entry that was applied last.
    pub(crate) fn position(&self) -> LogPosition {
        LogPosition { index: self.applied, term: self.applied_term }
    }

    /// What this member must tell the cluster about itself, if anything has changed.
    pub(crate) fn registration(
        &self,
        member: &Member,
        first: Option<ClusterConfig>,
    ) -> Option<Control> {
        if self.membership.was_removed(member.id) {
            return None;
        }
        match self.membership.member(member.id) {
            Some(known) if known.has_record_of(member) => None,
            Some(_) => Some(Control::Register { member: member.clone(), config: None }),
            None => Some(Control::Register { member: member.clone(), config: first }),
        }
    }

    /// Whether the registry shows a member with all its addresses, and the table too: a record
    /// alone leaves in the table what it does not name, though not in the registry.
    pub(crate) fn shows(&self, member: &Member) -> bool {
        let known = self.membership.member(member.id);
        if known.is_some_and(|known| known.urls != member.urls) {
            return false;
        }
        let key = member.registry_key();
        let node = KeyPath::parse(&key).ok().and_then(|path| self.store.peek(path));
        node.is_some_and(|node| node.value() == Some(member.registry_value().as_str()))
    }
}
