//! How a change is made once nothing speaks against it: the node is put in its place or taken out,
//! its deadline follows, the event is recorded, and the watchers that it concerns are found.
//!
//! Whether a change may be is not asked here; that is done in `apply.rs`.

use crate::error::{ErrorCode, StoreError};
use crate::event::{Action, Event};
use crate::node::{Dir, Node, Shift, Totals};
use crate::path::KeyPath;
use crate::store::{Applied, Located, Store};
use crate::time::StoreIndex;
use crate::watch::Wake;
use std::sync::Arc;

/// A change that has been made and is still to be published.
pub(crate) struct Change {
    pub(crate) action: Action,
    pub(crate) created: StoreIndex,
    pub(crate) node: Option<Node>,
    pub(crate) prev: Option<Node>,
    pub(crate) refresh: bool,
}

impl Store {
    /// What clients and members rely on when they count: each change takes one index, and what
    /// failed takes none.
    pub(crate) fn check_index(&self, before: u64, outcome: &Result<Applied, StoreError>) {
        let grown = self.index - before;
        match outcome {
            Ok(Applied::Event(event)) => {
                assert_eq!((grown, event.index), (1, self.index()), "a change takes one index");
            }
            Ok(Applied::Expired(count)) => {
                assert_eq!(grown, u64::from(*count), "each node that expires takes one index");
            }
            Ok(Applied::Auth { index, .. }) => {
                assert_eq!((grown, *index), (1, self.index()), "a change of users takes one index");
            }
            Ok(Applied::Internal) => assert_eq!(grown, 1, "internal writes share one index"),
            Ok(Applied::Raised | Applied::Counted) => {}
            // An entry takes one, and passes over those whose names are taken; one that is left
            // alone takes none.
            Ok(Applied::Lock(lock)) => {
                assert!(lock.touched <= self.index, "an entry was touched by a change");
            }
            Err(_) => assert_eq!(grown, 0, "a command that fails changes nothing"),
        }
    }

    /// Puts a node in its place and publishes that. Everything has been checked.
    pub(crate) fn put(
        &mut self,
        path: KeyPath<'_>,
        node: Node,
        action: Action,
        prev: Option<Node>,
        refresh: bool,
        wakes: &mut Vec<Wake>,
    ) -> Result<Arc<Event>, StoreError> {
        self.index += 1;
        let (created, deadline) = (node.created(), node.deadline());
        let had_deadline = prev.as_ref().is_some_and(|prev| prev.deadline().is_some());
        let lost = prev.as_ref().map(Node::totals).unwrap_or_default();
        let shift = Shift { gained: node.totals(), lost };
        if let (parent, Some(name)) = self.parent_mut(path, shift) {
            let replaced = parent.children.insert(name, node.clone());
            debug_assert_eq!(replaced.is_some(), prev.is_some(), "{path:?} was looked up before");
        }
        if deadline.is_some() || had_deadline {
            self.expiry.set(path.as_str(), deadline);
        }
        let change = Change { action, created, node: Some(node), prev, refresh };
        Ok(self.publish(path.as_str(), change, None, wakes))
    }

    /// Takes a node that is there out of the tree and publishes that.
    pub(crate) fn remove(
        &mut self,
        path: KeyPath<'_>,
        action: Action,
        wakes: &mut Vec<Wake>,
    ) -> Result<Arc<Event>, StoreError> {
        let key = path.as_str();
        let removed = match self.locate(path) {
            Located::Found(node) => {
                let shift = Shift { lost: node.totals(), gained: Totals::default() };
                match self.parent_mut(path, shift) {
                    (parent, Some(name)) => parent.children.remove(name),
                    _ => None,
                }
            }
            _ => None,
        };
        let Some(node) = removed else {
            return Err(self.error(ErrorCode::KeyNotFound, key));
        };
        self.index += 1;
        if !self.expiry.is_empty() {
            self.expiry.set(key, None);
            if node.children().next().is_some() {
                self.expiry.forget_below(key);
            }
        }
        let prev = Some(node.shallow());
        let created = node.created();
        let change = Change { action, created, node: None, prev, refresh: false };
        let event = match &node {
            Node::Dir(dir) => self.publish(key, change, Some(dir), wakes),
            Node::File(_) => self.publish(key, change, None, wakes),
        };
        if node.children().next().is_some() {
            self.garbage.push(node);
        }
        Ok(event)
    }

    /// The directory that holds a path, made if need be, and the last component. The node there is
    /// about to change the totals of all directories above it by `shift`.
    pub(crate) fn parent_mut<'a>(
        &mut self,
        path: KeyPath<'a>,
        shift: Shift,
    ) -> (&mut Dir, Option<&'a str>) {
        let index = self.index;
        let mut components = path.components();
        let name = components.next_back();
        let mut dir = Arc::make_mut(&mut self.root);
        dir.totals.shift(shift);
        for component in components {
            if dir.children.get(component).is_none() {
                let made = Node::Dir(Arc::new(Dir::new(index, index, None)));
                dir.children.insert(component, made);
            }
            match dir.children.get_mut(component) {
                Some(Node::Dir(child)) => dir = Arc::make_mut(child),
                _ => unreachable!("a file in the way was refused before"),
            }
            dir.totals.shift(shift);
        }
        (dir, name)
    }

    /// Records an event and finds who waits for it.
    pub(crate) fn publish(
        &mut self,
        key: &str,
        change: Change,
        removed: Option<&Dir>,
        wakes: &mut Vec<Wake>,
    ) -> Arc<Event> {
        let event = Arc::new(Event {
            action: change.action,
            key: key.into(),
            index: StoreIndex(self.index),
            created: change.created,
            node: change.node.map(|node| node.shallow()),
            prev: change.prev,
            stamp: self.stamp,
            refresh: change.refresh,
        });
        self.history.push(Arc::clone(&event), &self.limits);
        self.hub.wake(&event, removed, wakes);
        event
    }
}
