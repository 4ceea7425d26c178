//! What clients did and what they were told: the material that the checkers judge.
//!
//! Every write has a value of its own, the number of its operation, so that each event, answer and
//! key can be traced to the one operation that it came from.

use crate::Nanos;
use std::collections::BTreeMap;
use store::{Action, Event};

/// Number of an operation, and the value that it writes.
pub(crate) type OpId = u64;

/// The condition of a compare-and-swap or compare-and-delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prev {
    /// The key must hold this value.
    Value(OpId),
    /// The key must have this modified index; it was seen together with that value.
    Index(u64, OpId),
}

impl Prev {
    /// The value that the key holds exactly if the condition is met: values are unique.
    pub(crate) fn value(self) -> OpId {
        match self {
            Prev::Value(value) | Prev::Index(_, value) => value,
        }
    }
}

/// What a client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Set,
    Create,
    Update,
    Swap(Prev),
    Delete,
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
    /// A change of the membership; it touches no key that clients use.
    Membership,
}

impl Kind {
    pub(crate) fn is_read(self) -> bool {
        matches!(self, Kind::QuorumRead | Kind::PlainRead)
    }

    /// Whether it puts its own number into a key.
    pub(crate) fn writes_value(self) -> bool {
        matches!(self, Kind::Set | Kind::Create | Kind::Update | Kind::Swap(_) | Kind::InOrder)
    }
}

/// A value and the index of the write that it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) value: OpId,
    pub(crate) modified: u64,
}

/// What a client knows of its operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Not answered so far.
    Open,
    /// A write that happened, with what it replaced.
    Written { index: u64, key: String, prev: Option<Seen> },
    /// A read at this store index.
    Read { index: u64, found: Option<Seen> },
    /// The key space refused it, with a code of the protocol.
    Refused { code: u16, index: u64 },
    /// The cluster said that it did not happen.
    NotDone,
    /// It may have happened, or may yet.
    Unknown,
}

/// One operation of one client.
#[derive(Clone, Debug)]
pub(crate) struct Op {
    pub(crate) client: usize,
    /// The machine that was asked, and which of its starts.
    pub(crate) machine: (usize, u64),
    pub(crate) invoked: Nanos,
    /// When the outcome was known; never for one that is unknown.
    pub(crate) finished: Nanos,
    pub(crate) key: String,
    pub(crate) kind: Kind,
    /// In seconds.
    pub(crate) ttl: Option<u64>,
    pub(crate) outcome: Outcome,
}

impl Op {
    /// Whether it is known that it had no effect on the key space.
    pub(crate) fn is_void(&self) -> bool {
        self.kind.is_read() || matches!(self.outcome, Outcome::NotDone | Outcome::Refused { .. })
    }
}

/// All operations of a run; a number is a position.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) ops: Vec<Op>,
}

impl History {
    pub(crate) fn begin(&mut self, op: Op) -> OpId {
        self.ops.push(op);
        self.ops.len() as u64 - 1
    }

    pub(crate) fn get(&self, id: OpId) -> Option<&Op> {
        usize::try_from(id).ok().and_then(|at| self.ops.get(at))
    }

    pub(crate) fn get_mut(&mut self, id: OpId) -> Option<&mut Op> {
        usize::try_from(id).ok().and_then(|at| self.ops.get_mut(at))
    }

    /// Operations with their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (OpId, &Op)> {
        (0..).zip(&self.ops)
    }
}

/// One event as a member applied it, with nothing in it that may differ between members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) action: Action,
    pub(crate) key: String,
    pub(crate) created: u64,
    /// The file's value; nothing for a directory and after a removal.
    pub(crate) value: Option<OpId>,
    pub(crate) is_dir: bool,
    pub(crate) deadline: Option<u64>,
    pub(crate) prev: Option<Seen>,
    pub(crate) stamp: u64,
}

pub(crate) fn number(text: &str) -> OpId {
    text.parse().unwrap_or(OpId::MAX)
}

impl Change {
    pub(crate) fn of(event: &Event) -> Self {
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
pub(crate) struct Changes {
    by_index: BTreeMap<u64, (Change, Nanos)>,
}

impl Changes {
    /// Takes note of what a member applied.
    ///
    /// # Errors
    /// What is wrong, if another member applied something else at this index.
    pub(crate) fn note(&mut self, index: u64, change: Change, at: Nanos) -> Result<(), String> {
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
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Change, Nanos)> {
        self.by_index.iter().map(|(index, (change, at))| (*index, change, *at))
    }

    pub(crate) fn from(&self, index: u64) -> impl Iterator<Item = (u64, &Change)> {
        self.by_index.range(index..).map(|(index, (change, _))| (*index, change))
    }

    pub(crate) fn get(&self, index: u64) -> Option<&Change> {
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
