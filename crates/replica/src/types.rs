//! Numbers with a meaning.

use raft::eraftpb::Entry;
use std::fmt;

/// Names a member for raft: never 0, never used twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u64);

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// Names a cluster; printed as `X-Etcd-Cluster-Id`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClusterId(pub u64);

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// Raft's term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term(pub u64);

/// The position of an entry in raft's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogIndex(pub u64);

/// The position of an entry in the log. An index is given out again in a later term when the entry
/// there was never committed, so that only both together name an entry. Ordered by index, then by
/// term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LogPosition {
    pub(crate) index: LogIndex,
    pub(crate) term: Term,
}

impl LogPosition {
    /// The position that an entry says it has.
    pub(crate) fn of(entry: &Entry) -> Self {
        Self::new(entry.index, entry.term)
    }

    /// From the bare numbers of raft.
    pub(crate) fn new(index: u64, term: u64) -> Self {
        Self { index: LogIndex(index), term: Term(term) }
    }

    /// Whether a log that ends here is at least as up-to-date as one that ends there (Raft paper,
    /// section 5.4.1).
    pub(crate) fn is_as_up_to_date_as(self, other: Self) -> bool {
        (self.term, self.index) >= (other.term, other.index)
    }
}

/// What the caller uses to recognise who asked; comes back unchanged with the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);

/// The part that a member plays at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes proposals and decides their order.
    Leader,
    /// Follows a leader, or waits for one.
    Follower,
    /// Asks for votes.
    Candidate,
}
