//! The ring of past events that every old server keeps and saves.

use super::tree::Node;
use std::collections::VecDeque;

/// What was done.
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
    const ALL: [(Action, &'static str); 7] = [
        (Action::Set, "set"),
        (Action::Create, "create"),
        (Action::Update, "update"),
        (Action::CompareAndSwap, "compareAndSwap"),
        (Action::Delete, "delete"),
        (Action::CompareAndDelete, "compareAndDelete"),
        (Action::Expire, "expire"),
    ];

    /// The word of the API.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(action, _)| *action == self).map_or("", |(_, word)| word)
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(action, _)| *action)
    }

    /// Whether the node is gone afterwards.
    pub fn is_removal(self) -> bool {
        matches!(self, Action::Delete | Action::CompareAndDelete | Action::Expire)
    }
}

/// A change of the tree.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) action: Action,
    pub(crate) path: Vec<u8>,
    pub(crate) index: u64,
    /// The node afterwards, or what was left of a removed one: its indexes.
    pub(crate) node: Node,
    pub(crate) prev: Option<Node>,
    pub(crate) refresh: bool,
}

/// The last events.
#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) events: VecDeque<Event>,
    /// The index from which on no event is missing.
    pub(crate) start: u64,
}

impl History {
    /// How many events the servers keep.
    pub(crate) const CAPACITY: usize = 1000;

    /// The history of an empty store.
    pub(crate) fn new() -> Self {
        Self { events: VecDeque::new(), start: 1 }
    }

    pub(crate) fn push(&mut self, event: Event) {
        if self.events.len() >= Self::CAPACITY
            && let Some(oldest) = self.events.pop_front()
        {
            self.start = oldest.index.saturating_add(1);
        }
        self.events.push_back(event);
    }
}
