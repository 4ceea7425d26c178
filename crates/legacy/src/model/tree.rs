//! The tree, and the operations of a log on it.
//!
//! Nodes are in one ordered map by their full paths: what is in a directory is a range of it, and
//! no walk recurses. The rules are those of `store.go` and `node.go` in etcd 0.4.9 and 2.3.8. An
//! operation that fails changes nothing, the index included.

use super::history::{Action, Event, History};
use super::path::{DEPTH_MAX, clean, depth, parent};
use crate::moment::{Moment, YEAR_2000};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The value of a file, as bytes: 2.x does not check that it is UTF-8. Shared with the events.
pub(crate) type Value = Arc<[u8]>;

/// A file or a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) created: u64,
    pub(crate) modified: u64,
    pub(crate) expiration: Option<Moment>,
    /// The value of a file; a directory has none.
    pub(crate) value: Option<Value>,
}

impl Node {
    pub(crate) fn dir(index: u64) -> Self {
        Self { created: index, modified: index, expiration: None, value: None }
    }

    pub(crate) fn is_dir(&self) -> bool {
        self.value.is_none()
    }
}

/// An operation failed, as it did on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The server answered an error to its client.
    ByRules,
    /// The server accepted it; here a path may have [`DEPTH_MAX`] components.
    TooDeep,
}

/// What is written by a set, create, update or compare-and-swap.
#[derive(Clone, Debug, Default)]
pub(crate) struct Write {
    pub(crate) value: Vec<u8>,
    pub(crate) dir: bool,
    pub(crate) expiration: Option<Moment>,
    /// Keep the present value.
    pub(crate) refresh: bool,
}

/// What a compare-and-swap or compare-and-delete tests; an empty value and an index of 0 do not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Condition<'a> {
    pub(crate) prev_value: &'a [u8],
    pub(crate) prev_index: u64,
}

impl Condition<'_> {
    fn holds(self, node: &Node) -> bool {
        let is_value_right =
            self.prev_value.is_empty() || node.value.as_deref() == Some(self.prev_value);
        is_value_right && (self.prev_index == 0 || self.prev_index == node.modified)
    }
}

/// How a server names in-order keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InOrder {
    /// In plain decimal, to 2.1.
    Plain,
    /// Padded with zeros to 20 digits, from 2.2.
    Padded,
}

/// The key space of an old server.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    nodes: BTreeMap<Vec<u8>, Node>,
    deadlines: BTreeSet<(Moment, Vec<u8>)>,
    /// Directories that cannot be written, beside the root.
    read_only: &'static [&'static [u8]],
    pub(crate) index: u64,
    pub(crate) history: History,
}

impl Tree {
    /// The empty store of 0.2 to 0.4.
    pub(crate) fn of_v04() -> Self {
        Self {
            nodes: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            read_only: &[],
            index: 0,
            history: History::new(),
        }
    }

    /// The empty store of 2.x and 3.x: membership in `/0`, the keys of clients in `/1`.
    pub(crate) fn of_v2() -> Self {
        let mut tree = Self { read_only: &[b"/0", b"/1"], ..Self::of_v04() };
        tree.nodes.insert(b"/0".to_vec(), Node::dir(0));
        tree.nodes.insert(b"/1".to_vec(), Node::dir(0));
        tree
    }

    /// Puts a node of a snapshot into its place.
    pub(crate) fn restore(&mut self, path: Vec<u8>, node: Node) {
        self.take(&path);
        if let Some(deadline) = node.expiration {
            self.deadlines.insert((deadline, path.clone()));
        }
        self.nodes.insert(path, node);
    }

    pub(crate) fn get(&self, path: &[u8]) -> Option<&Node> {
        self.nodes.get(path)
    }

    pub(crate) fn get_mut(&mut self, path: &[u8]) -> Option<&mut Node> {
        self.nodes.get_mut(path)
    }

    /// All nodes in the order of their paths, a directory before what is in it; without the root.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_slice(), node))
    }

    /// What is below a directory, at any depth.
    pub(crate) fn below<'a>(
        &'a self,
        dir: &[u8],
    ) -> impl Iterator<Item = (&'a [u8], &'a Node)> + use<'a> {
        // '0' is the byte behind '/'.
        let (first, end) = ([dir, b"/"].concat(), [dir, b"0"].concat());
        self.nodes.range(first..end).map(|(path, node)| (path.as_slice(), node))
    }

    /// The names of what is directly in a directory.
    pub(crate) fn names<'a>(&'a self, dir: &[u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let len = dir.len();
        let names = self.below(dir).filter_map(move |(path, _)| path.get(len + 1..));
        names.filter(|name| !name.contains(&b'/'))
    }

    /// Sets a file, or makes a directory.
    pub(crate) fn set(&mut self, path: &[u8], mut write: Write) -> Result<(), Refused> {
        let path = clean(path);
        if write.refresh {
            let present = self.nodes.get(&path).ok_or(Refused::ByRules)?;
            write.value = present.value.as_deref().unwrap_or_default().to_vec();
        }
        self.insert(path, write, Action::Set)
    }

    /// Makes a node that must not exist.
    pub(crate) fn create(&mut self, path: &[u8], write: Write) -> Result<(), Refused> {
        self.insert(clean(path), write, Action::Create)
    }

    /// Makes a child of `path` that is named after the index that it gets.
    pub(crate) fn create_in_order(
        &mut self,
        path: &[u8],
        write: Write,
        naming: InOrder,
    ) -> Result<(), Refused> {
        let index = self.next_index();
        let name = match naming {
            InOrder::Plain => format!("/{index}"),
            InOrder::Padded => format!("/{index:020}"),
        };
        let path = clean(&[path, name.as_bytes()].concat());
        self.insert(path, write, Action::Create)
    }

    /// Changes a node that must exist. A directory keeps its modified index, though the event has
    /// the new one and the index moves.
    pub(crate) fn update(&mut self, path: &[u8], write: Write) -> Result<(), Refused> {
        let path = clean(path);
        self.check_writable(&path)?;
        let node = self.nodes.get(&path).ok_or(Refused::ByRules)?;
        if node.is_dir() && !write.value.is_empty() {
            return Err(Refused::ByRules);
        }
        self.change(path, write, Action::Update);
        Ok(())
    }

    /// Changes a file if it is as expected.
    pub(crate) fn compare_and_swap(
        &mut self,
        path: &[u8],
        condition: Condition<'_>,
        write: Write,
    ) -> Result<(), Refused> {
        let path = clean(path);
        self.check_writable(&path)?;
        self.check(&path, condition)?;
        self.change(path, write, Action::CompareAndSwap);
        Ok(())
    }

    /// Deletes a file, or a directory with `dir` if it is empty, with `recursive` in any case.
    pub(crate) fn delete(
        &mut self,
        path: &[u8],
        dir: bool,
        recursive: bool,
    ) -> Result<(), Refused> {
        let path = clean(path);
        self.check_writable(&path)?;
        let node = self.nodes.get(&path).ok_or(Refused::ByRules)?;
        if node.is_dir() {
            let is_allowed = recursive || (dir && self.below(&path).next().is_none());
            if !is_allowed {
                return Err(Refused::ByRules);
            }
        }
        self.remove(path, Action::Delete);
        Ok(())
    }

    /// Deletes a file if it is as expected.
    pub(crate) fn compare_and_delete(
        &mut self,
        path: &[u8],
        condition: Condition<'_>,
    ) -> Result<(), Refused> {
        let path = clean(path);
        self.check(&path, condition)?;
        self.remove(path, Action::CompareAndDelete);
        Ok(())
    }

    /// Removes everything whose deadline is not after `until`, in the order of the deadlines.
    pub(crate) fn expire(&mut self, until: Moment) {
        while self.deadlines.first().is_some_and(|(deadline, _)| *deadline <= until) {
            if let Some((_, path)) = self.deadlines.pop_first() {
                self.remove(path, Action::Expire);
            }
        }
    }

    fn next_index(&self) -> u64 {
        self.index.saturating_add(1)
    }

    fn check_writable(&self, path: &[u8]) -> Result<(), Refused> {
        if path.is_empty() || self.read_only.contains(&path) {
            return Err(Refused::ByRules);
        }
        Ok(())
    }

    /// Whether `path` is a file for which the condition holds.
    fn check(&self, path: &[u8], condition: Condition<'_>) -> Result<(), Refused> {
        match self.nodes.get(path) {
            Some(node) if !node.is_dir() && condition.holds(node) => Ok(()),
            _ => Err(Refused::ByRules),
        }
    }

    /// The directories above `path` that do not exist.
    fn missing_parents(&self, path: &[u8]) -> Result<Vec<Vec<u8>>, Refused> {
        let mut missing = Vec::new();
        let mut at = path;
        while let Some(above) = parent(at).filter(|above| !above.is_empty()) {
            match self.nodes.get(above) {
                Some(node) if node.is_dir() => break,
                Some(_) => return Err(Refused::ByRules),
                None => missing.push(above.to_vec()),
            }
            at = above;
        }
        Ok(missing)
    }

    fn insert(&mut self, path: Vec<u8>, write: Write, action: Action) -> Result<(), Refused> {
        self.check_writable(&path)?;
        if depth(&path) > DEPTH_MAX {
            return Err(Refused::TooDeep);
        }
        let missing = self.missing_parents(&path)?;
        let is_free = match self.nodes.get(&path) {
            Some(node) => action == Action::Set && !node.is_dir(),
            None => true,
        };
        if !is_free {
            return Err(Refused::ByRules);
        }
        self.index = self.next_index();
        for dir in missing {
            self.nodes.insert(dir, Node::dir(self.index));
        }
        let prev = self.take(&path);
        let node = Node {
            created: self.index,
            modified: self.index,
            expiration: write.expiration.filter(|deadline| *deadline >= YEAR_2000),
            value: (!write.dir).then(|| write.value.into()),
        };
        self.restore(path.clone(), node.clone());
        let refresh = write.refresh;
        self.history.push(Event { action, path, index: self.index, node, prev, refresh });
        Ok(())
    }

    /// Gives an existing node a value and a deadline. Deadlines before the year 2000 count here:
    /// the node is removed by the next expiry.
    fn change(&mut self, path: Vec<u8>, write: Write, action: Action) {
        let Some(prev) = self.take(&path) else { return };
        self.index = self.next_index();
        let mut node = prev.clone();
        node.expiration = write.expiration;
        if !node.is_dir() {
            node.modified = self.index;
            if !write.refresh {
                node.value = Some(write.value.into());
            }
        }
        self.restore(path.clone(), node.clone());
        let (index, refresh) = (self.index, write.refresh);
        self.history.push(Event { action, path, index, node, prev: Some(prev), refresh });
    }

    /// Removes a node with all that is below it.
    fn remove(&mut self, path: Vec<u8>, action: Action) {
        let inner: Vec<Vec<u8>> = self.below(&path).map(|(path, _)| path.to_vec()).collect();
        for path in inner {
            self.take(&path);
        }
        let Some(prev) = self.take(&path) else { return };
        self.index = self.next_index();
        let node = Node { expiration: None, modified: self.index, ..prev.clone() };
        let (index, prev) = (self.index, Some(prev));
        self.history.push(Event { action, path, index, node, prev, refresh: false });
    }

    /// Takes one node out, with its deadline.
    fn take(&mut self, path: &[u8]) -> Option<Node> {
        let node = self.nodes.remove(path)?;
        if let Some(deadline) = node.expiration {
            self.deadlines.remove(&(deadline, path.to_vec()));
        }
        Some(node)
    }
}
