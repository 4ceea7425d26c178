//! Events: the changes of the key space as clients see them.

use crate::node::Node;
use crate::time::{Stamp, StoreIndex};

/// What was done, as clients spell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `set`
    Set,
    /// `create`
    Create,
    /// `update`
    Update,
    /// `compareAndSwap`
    CompareAndSwap,
    /// `delete`
    Delete,
    /// `compareAndDelete`
    CompareAndDelete,
    /// `expire`
    Expire,
}

impl Action {
    /// All of them, in the order of their numbers in snapshots and metrics: new ones go to the end.
    pub const ALL: [Action; 7] = [
        Action::Set,
        Action::Create,
        Action::Update,
        Action::CompareAndSwap,
        Action::Delete,
        Action::CompareAndDelete,
        Action::Expire,
    ];

    /// The word of the protocol.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Set => "set",
            Action::Create => "create",
            Action::Update => "update",
            Action::CompareAndSwap => "compareAndSwap",
            Action::Delete => "delete",
            Action::CompareAndDelete => "compareAndDelete",
            Action::Expire => "expire",
        }
    }

    /// Its place in [`Action::ALL`].
    pub(crate) fn number(self) -> u8 {
        let at = Action::ALL.iter().position(|action| *action == self);
        at.and_then(|at| u8::try_from(at).ok()).expect("ALL holds each action, and they are few")
    }

    /// Whether the node is gone afterwards.
    pub fn is_removal(self) -> bool {
        matches!(self, Action::Delete | Action::CompareAndDelete | Action::Expire)
    }
}

/// One change of the key space, as the answer to the writer and as news for watchers.
///
/// How it is printed (docs/spec/keys.md section 4.1): `node` has `key`; the value if `node` is a
/// file; the `dir` flag if it is a directory, and also for a delete (not an expiry) of one;
/// `expiration` and `ttl` by `node`'s deadline and `stamp`; `index` as modifiedIndex, always (an
/// update of a directory shows it although the directory keeps its own, docs/spec/quirks.md Q7);
/// `created` as createdIndex. `prevNode`, if `prev` is there, is printed from `prev` with the same
/// key, its own indexes, its deadline and `stamp`; children are never printed.
#[derive(Debug)]
pub struct Event {
    /// What was done.
    pub action: Action,
    /// The full path.
    pub key: Box<str>,
    /// The index of this event, printed as `node.modifiedIndex`.
    pub index: StoreIndex,
    /// Printed as `node.createdIndex`.
    pub created: StoreIndex,
    /// The node as it is now; nothing after a removal. A directory here never holds its children.
    pub node: Option<Node>,
    /// The node as it was; nothing if it is new. A directory here never holds its children.
    pub prev: Option<Node>,
    /// The time of the change, from which `ttl` is counted.
    pub stamp: Stamp,
    /// A refresh: recorded, but it wakes no watcher.
    pub refresh: bool,
}

impl Event {
    /// Whether a directory went.
    pub(crate) fn removed_dir(&self) -> bool {
        self.action.is_removal() && self.prev.as_ref().is_some_and(Node::is_dir)
    }
}
