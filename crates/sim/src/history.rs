//! What clients did and what they were told: the material that the checkers judge.
//!
//! Every write has a value of its own, the number of its operation, so that each event, answer and
//! key can be traced to the one operation that it came from.

use crate::Nanos;
use std::collections::BTreeMap;
use store::{Action, Event};

/// Number of an operation, and the value that it writes.
pub type OpId = u64;

/// The condition of a compare-and-swap or compare-and-delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prev {
    /// The key must hold this value.
    Value(OpId),
    /// The key must have this modified index; it was seen together with that value.
    Index(u64, OpId),
}

impl Prev {
    /// The value that the key holds exactly if the condition is met: values are unique.
    pub fn value(self) -> OpId {
        match self {
            Prev::Value(value) | Prev::Index(_, value) => value,
        }
    }
}

/// What a client wants of the queue of a lock, by the commands of the lock module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A place in it.
    Join {
        /// Whether also one behind others.
        waits: bool,
        /// The operation that asked for the same before, without an answer.
        again: Option<OpId>,
    },
    /// To keep the place with this number, and to hear whether it is the first.
    Refresh(u64),
    /// Another lease for the place.
    Renew(u64),
    /// To give the place up, as a holder does.
    Release(u64),
    /// To give the place up, as one does who is tired of waiting.
    Leave(u64),
}

/// Where a client is in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// First: it holds the lock.
    Holds,
    /// Behind others.
    Waits,
    /// Not in it.
    Gone,
}

/// A change of users and of what they may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserStep {
    /// The role of those who are nobody in particular is made.
    GuestRole,
    /// The role of users is made.
    Role,
    /// The user is made who may do everything.
    Root,
    /// Users count from now on.
    Enable,
    /// A user is made, without a role.
    Make,
    /// It gets another password.
    Password,
    /// It gets the role.
    Grant,
    /// It loses the role.
    Revoke,
    /// It is removed.
    Remove,
}

/// What a client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whatever was there.
    Set,
    /// Only if nothing is there.
    Create,
    /// Only if something is there.
    Update,
    /// Only if the condition is met.
    Swap(Prev),
    /// The key goes.
    Delete,
    /// The key goes, if the condition is met.
    CompareDelete(Prev),
    /// A child of the key, named after the index.
    InOrder,
    /// A read that sees all that was answered before.
    QuorumRead,
    /// A read of what the asked member has.
    PlainRead,
    /// A directory.
    MakeDir,
    /// A directory and everything in it.
    DeleteDir,
    /// The key is a lock.
    Queue(Step),
    /// A change of the membership; it touches no key that clients use.
    Membership,
    /// A change of the user whose name is in place of the key; it touches no key.
    Users(UserStep),
}

impl Kind {
    /// Whether it changes nothing.
    pub fn is_read(self) -> bool {
        matches!(self, Kind::QuorumRead | Kind::PlainRead)
    }

    /// Whether it puts its own number into a key.
    pub fn writes_value(self) -> bool {
        matches!(self, Kind::Set | Kind::Create | Kind::Update | Kind::Swap(_) | Kind::InOrder)
    }
}

/// A value and the index of the write that it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The number of the operation that wrote it.
    pub value: OpId,
    /// Its `modifiedIndex`.
    pub modified: u64,
}

/// What a client knows of its operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Not answered so far.
    Open,
    /// A write that happened, with what it replaced.
    Written {
        /// The index of the write.
        index: u64,
        /// The key, which the server may have named.
        key: String,
        /// What it replaced.
        prev: Option<Seen>,
    },
    /// A read at this store index.
    Read {
        /// The index at which it was read.
        index: u64,
        /// What was there.
        found: Option<Seen>,
    },
    /// A step in a queue that happened.
    Queued {
        /// The number of the place.
        index: u64,
        /// Where it is.
        place: Place,
        /// Whether it was made by this operation.
        is_new: bool,
    },
    /// The key space refused it, with a code of the protocol.
    Refused {
        /// As the protocol numbers it.
        code: u16,
        /// The index at which it was refused.
        index: u64,
    },
    /// The cluster said that it did not happen.
    NotDone,
    /// It may have happened, or may yet.
    Unknown,
}

/// One operation of one client.
#[derive(Clone, Debug)]
pub struct Op {
    /// The client that asked.
    pub client: usize,
    /// The machine that was asked, and which of its starts.
    pub machine: (usize, u64),
    /// When it was asked for.
    pub invoked: Nanos,
    /// When the outcome was known; never for one that is unknown.
    pub finished: Nanos,
    /// The key it is about.
    pub key: String,
    /// What was asked for.
    pub kind: Kind,
    /// In seconds.
    pub ttl: Option<u64>,
    /// What came of it.
    pub outcome: Outcome,
}

impl Op {
    /// Whether it is known that it had no effect on the key space.
    pub fn is_void(&self) -> bool {
        self.kind.is_read() || matches!(self.outcome, Outcome::NotDone | Outcome::Refused { .. })
    }
}

/// All operations of a run; a number is a position.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// In the order in which they were begun.
    pub ops: Vec<Op>,
}

impl History {
    /// Takes note of a new operation and gives its number.
    pub fn begin(&mut self, op: Op) -> OpId {
        self.ops.push(op);
        self.ops.len() as u64 - 1
    }

    /// An operation by its number.
    pub fn get(&self, id: OpId) -> Option<&Op> {
        usize::try_from(id).ok().and_then(|at| self.ops.get(at))
    }

    /// An operation by its number, to say what came of it.
    pub fn get_mut(&mut self, id: OpId) -> Option<&mut Op> {
        usize::try_from(id).ok().and_then(|at| self.ops.get_mut(at))
    }

    /// Operations with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (OpId, &Op)> {
        (0..).zip(&self.ops)
    }
}

/// One event as a member applied it, with nothing in it that may differ between members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub action: Action,
    /// To which key.
    pub key: String,
    /// Its `createdIndex`.
    pub created: u64,
    /// The file's value; nothing for a directory and after a removal.
    pub value: Option<OpId>,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// When it goes by itself, by the log's clock.
    pub deadline: Option<u64>,
    /// What was there before.
    pub prev: Option<Seen>,
    /// The log's time of the change.
    pub stamp: u64,
}

/// The number that a value is.
pub fn number(text: &str) -> OpId {
    text.parse().unwrap_or(OpId::MAX)
}

impl Change {
    /// What of an event is the same at all members.
    pub fn of(event: &Event) -> Self {
        let node = event.node.as_ref();
        let seen = |node: &store::Node| {
            node.value().map(|value| Seen { value: number(value), modified: node.modified().0 })
        };
        let either = node.or(event.prev.as_ref());
        Self {
            action: event.action,
            key: event.key.to_string(),
            created: event.created.0,
            value: node.and_then(|node| node.value()).map(number),
            is_dir: either.is_some_and(store::Node::is_dir),
            deadline: node.and_then(store::Node::deadline).map(|deadline| deadline.0),
            prev: event.prev.as_ref().and_then(seen),
            stamp: event.stamp.time.0,
        }
    }
}

/// The one order of all changes, put together from what all members applied.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    by_index: BTreeMap<u64, (Change, Nanos)>,
}

impl Changes {
    /// Takes note of what a member applied.
    ///
    /// # Errors
    /// What is wrong, if another member applied something else at this index.
    pub fn note(&mut self, index: u64, change: Change, at: Nanos) -> Result<(), String> {
        match self.by_index.get(&index) {
            None => {
                self.by_index.insert(index, (change, at));
                Ok(())
            }
            Some((known, _)) if *known == change => Ok(()),
            Some((known, _)) => {
                Err(format!("index {index} is {known:?} at one member and {change:?} at another"))
            }
        }
    }

    /// Changes in their order, with when the first member applied them.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Change, Nanos)> {
        self.by_index.iter().map(|(index, (change, at))| (*index, change, *at))
    }

    /// Changes from an index on.
    pub fn from(&self, index: u64) -> impl Iterator<Item = (u64, &Change)> {
        self.by_index.range(index..).map(|(index, (change, _))| (*index, change))
    }

    /// The change at an index.
    pub fn get(&self, index: u64) -> Option<&Change> {
        self.by_index.get(&index).map(|(change, _)| change)
    }
}

#[cfg(test)]
pub(crate) mod testkit {
    use super::*;

    /// An operation with times, for histories written by hand.
    pub(crate) fn op(kind: Kind, key: &str, times: (Nanos, Nanos), outcome: Outcome) -> Op {
        Op {
            client: 0,
            machine: (0, 0),
            invoked: times.0,
            finished: times.1,
            key: key.into(),
            kind,
            ttl: None,
            outcome,
        }
    }

    pub(crate) fn written(index: u64, key: &str, prev: Option<(OpId, u64)>) -> Outcome {
        let prev = prev.map(|(value, modified)| Seen { value, modified });
        Outcome::Written { index, key: key.into(), prev }
    }

    pub(crate) fn read(index: u64, found: Option<(OpId, u64)>) -> Outcome {
        Outcome::Read { index, found: found.map(|(value, modified)| Seen { value, modified }) }
    }

    /// A change as members would apply it.
    pub(crate) fn change(action: Action, key: &str, value: Option<OpId>) -> Change {
        Change {
            action,
            key: key.into(),
            created: 1,
            value,
            is_dir: false,
            deadline: None,
            prev: None,
            stamp: 0,
        }
    }
}
