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

/// Where the last hidden name of a path begins, with its slash.
fn last_hidden(path: &str) -> Option<usize> {
    path.as_bytes().windows(2).rposition(|pair| pair == b"/_")
}

/// The directories of a path below one that it leads through.
struct Ahead<'a> {
    path: &'a [u8],
    /// Where the next hidden name begins, with its slash; the end of the path if none does.
    hidden_at: usize,
    /// How many there are.
    nodes: u64,
    /// How many of them are shown: those up to the next hidden name.
    shown: u64,
}

impl<'a> Ahead<'a> {
    /// Those below the directory whose path is so long; zero for the root.
    fn of(path: &'a str, at: usize) -> Self {
        let path = path.as_bytes();
        let mut ahead = Self { path, hidden_at: 0, nodes: 0, shown: 0 };
        ahead.nodes = ahead.dirs(at, path.len());
        ahead.look_ahead(at);
        ahead
    }

    /// Goes on to the next one, whose path is so long.
    fn pass(&mut self, at: usize) {
        self.nodes -= 1;
        if at <= self.hidden_at {
            self.shown -= 1;
        } else {
            self.look_ahead(at);
        }
    }

    fn look_ahead(&mut self, at: usize) {
        let mut pairs = self.path.get(at..).unwrap_or_default().windows(2);
        self.hidden_at = pairs.position(|pair| pair == b"/_").map_or(self.path.len(), |by| at + by);
        self.shown = self.dirs(at, self.hidden_at);
    }

    /// How many there are whose paths are longer than `from`, and up to `upto`.
    fn dirs(&self, from: usize, upto: usize) -> u64 {
        let end = self.path.len().min(upto + 1);
        let part = self.path.get(from + 1..end).unwrap_or_default();
        part.iter().filter(|byte| **byte == b'/').count() as u64
    }
}

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
        let lost = prev.as_ref().map(Node::weight).unwrap_or_default();
        let shift = Shift { gained: node.weight(), lost };
        let placed = node.clone();
        let replaced = self
            .change_in_parent(path, shift, |dir, name| dir.children.insert(name, placed).is_some());
        debug_assert_eq!(replaced, Some(prev.is_some()), "{path:?} was looked up before");
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
        let Located::Found(found) = self.locate(path) else {
            return Err(self.error(ErrorCode::KeyNotFound, key));
        };
        let shift = Shift { lost: found.weight(), gained: Totals::default() };
        self.index += 1;
        let removed =
            self.change_in_parent(path, shift, |parent, name| parent.children.remove(name));
        let node = removed.flatten().expect("it was found");
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

    /// Lets `change` change the directory that holds a path, made if need be, with the last
    /// component; not for the root. The node there changes the totals of all directories above it
    /// by `shift`, and its index is the store's.
    pub(crate) fn change_in_parent<'a, R>(
        &mut self,
        path: KeyPath<'a>,
        shift: Shift,
        change: impl FnOnce(&mut Dir, &'a str) -> R,
    ) -> Option<R> {
        let (index, text) = (self.index, path.as_str());
        // Directories down to the last hidden name do not show what is behind it.
        let hidden_at = if shift.is_of_nodes() { last_hidden(text) } else { None };
        let far = shift.behind_hidden();
        let shift_of = |at| if hidden_at.is_some_and(|hidden| at <= hidden) { far } else { shift };
        let mut components = path.components();
        let name = components.next_back()?;
        let mut dir = Arc::make_mut(&mut self.root);
        let (mut at, mut ahead, mut made_from) = (0, None, None);
        dir.totals.shift(shift_of(at));
        dir.note_change(index);
        for component in components {
            let end = at + 1 + component.len();
            if dir.children.get(component).is_none() {
                made_from.get_or_insert(at);
                let ahead = ahead.get_or_insert_with(|| Ahead::of(text, at));
                ahead.pass(end);
                let mut made = Dir::new(index, index, None);
                (made.totals.nodes, made.totals.shown) = (ahead.nodes, ahead.shown);
                dir.children.insert(component, Node::Dir(Arc::new(made)));
            }
            match dir.children.get_mut(component) {
                Some(Node::Dir(child)) => dir = Arc::make_mut(child),
                _ => unreachable!("a file in the way was refused before"),
            }
            at = end;
            dir.totals.shift(shift_of(at));
            dir.note_change(index);
        }
        let result = change(dir, name);
        if let Some(from) = made_from {
            self.count_made(path, from);
        }
        Some(result)
    }

    /// Counts the directories of a path that were just made, in those above them. `from` is the
    /// length of the path of the last one that was there before; zero for the root.
    fn count_made(&mut self, path: KeyPath<'_>, from: usize) {
        let made = Ahead::of(path.as_str(), from);
        let mut hidden_at = last_hidden(path.as_str().get(..=from).unwrap_or_default());
        let mut dir = Arc::make_mut(&mut self.root);
        let mut at = 0;
        for component in path.components() {
            dir.totals.nodes += made.nodes;
            // What is behind a hidden name is shown by those behind it as well.
            hidden_at = hidden_at.filter(|hidden| at <= *hidden);
            if hidden_at.is_none() {
                dir.totals.shown += made.shown;
            }
            at += 1 + component.len();
            match dir.children.get_mut(component) {
                Some(Node::Dir(child)) if at <= from => dir = Arc::make_mut(child),
                _ => return,
            }
        }
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
