//! An entry of the key tree: a file or a directory.

use crate::lock::entry_number;
use crate::time::{Lease, StoreIndex, Timestamp};
use crate::tree::{Iter, Tree};
use std::sync::Arc;

/// The latest deadline, in the year 2554: a snapshot writes one more than that.
const DEADLINE_MAX: Timestamp = Timestamp(u64::MAX - 1);

/// A file as it was at one moment. It never changes; a write makes a new one.
#[derive(Debug, PartialEq, Eq)]
pub struct File {
    created: u64,
    modified: u64,
    /// Apart, since most files have none, and each byte here counts for all of them.
    lease: Option<Box<Lease>>,
    value: Box<str>,
}

/// A directory's indexes, deadline and children.
#[derive(Clone, Debug)]
pub struct Dir {
    pub(crate) created: u64,
    pub(crate) modified: u64,
    pub(crate) lease: Option<Lease>,
    pub(crate) children: Tree<Node>,
    /// Of everything below it, so that a directory that goes need not be walked to be counted.
    pub(crate) totals: Totals,
    /// The index of the last change of it or of anything below it that this member has seen.
    changed: u64,
}

/// How much there is in a part of the tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Files; directories do not count.
    pub keys: u64,
    /// Bytes of their values.
    pub value_bytes: u64,
    /// Files and directories.
    pub nodes: u64,
    /// Those of them that listings show: no name on the way to them is hidden.
    pub shown: u64,
}

/// How the totals of all directories above a node change with it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shift {
    pub(crate) gained: Totals,
    pub(crate) lost: Totals,
}

impl Totals {
    pub(crate) fn shift(&mut self, by: Shift) {
        self.keys = self.keys + by.gained.keys - by.lost.keys;
        self.value_bytes = self.value_bytes + by.gained.value_bytes - by.lost.value_bytes;
        self.nodes = self.nodes + by.gained.nodes - by.lost.nodes;
        self.shown = self.shown + by.gained.shown - by.lost.shown;
    }
}

impl Shift {
    /// Whether there are more nodes than before, or fewer.
    pub(crate) fn is_of_nodes(self) -> bool {
        let counts = |totals: Totals| (totals.nodes, totals.shown);
        counts(self.gained) != counts(self.lost)
    }

    /// What of it counts above a hidden name.
    pub(crate) fn behind_hidden(self) -> Self {
        let hide = |totals| Totals { shown: 0, ..totals };
        Self { gained: hide(self.gained), lost: hide(self.lost) }
    }
}

/// Whether listings of the directory leave a child out.
pub fn is_hidden(name: &str) -> bool {
    name.starts_with('_')
}

/// The names that begin with an underscore are those from the first of these to before the second.
const HIDDEN_NAMES: [&str; 2] = ["_", "`"];

/// A node as it was at one moment: cheap to clone, never changes, may be sent to another thread.
#[derive(Clone, Debug)]
pub enum Node {
    /// A file with a value.
    File(Arc<File>),
    /// A directory with children.
    Dir(Arc<Dir>),
}

fn bounded(lease: Option<Lease>) -> Option<Lease> {
    lease.map(|lease| Lease { deadline: lease.deadline.min(DEADLINE_MAX), ..lease })
}

impl File {
    pub(crate) fn new(
        created: u64,
        modified: u64,
        lease: Option<Lease>,
        value: impl Into<Box<str>>,
    ) -> Self {
        Self { created, modified, lease: bounded(lease).map(Box::new), value: value.into() }
    }

    pub(crate) fn value(&self) -> &str {
        &self.value
    }

    /// The same file as this one, but for the value: for those that were written with equal ones.
    pub(crate) fn with_value(&self, value: impl Into<Box<str>>) -> Self {
        let (created, modified, lease) = (self.created, self.modified, self.lease.clone());
        Self { created, modified, lease, value: value.into() }
    }
}

impl Dir {
    pub(crate) fn new(created: u64, modified: u64, lease: Option<Lease>) -> Self {
        let (children, totals) = (Tree::default(), Totals::default());
        Self { created, modified, lease: bounded(lease), children, totals, changed: modified }
    }

    /// Something below it changed with this index, or it did itself.
    pub(crate) fn note_change(&mut self, index: u64) {
        self.changed = index;
    }

    pub(crate) fn set_lease(&mut self, lease: Option<Lease>) {
        self.lease = bounded(lease);
    }

    /// The same directory without its children: what an event shows of it.
    pub(crate) fn shallow(&self) -> Node {
        let (children, totals) = (Tree::default(), Totals::default());
        Node::Dir(Arc::new(Self { children, totals, ..*self }))
    }

    /// The node at a path relative to this directory.
    pub(crate) fn descendant(&self, relative: &str) -> Option<&Node> {
        let mut components = relative.split('/').filter(|component| !component.is_empty());
        let mut node = self.children.get(components.next()?)?;
        for component in components {
            let Node::Dir(dir) = node else { return None };
            node = dir.children.get(component)?;
        }
        Some(node)
    }
}

/// Iterates over the children of a directory in ascending byte order of their names, hidden ones
/// included.
#[derive(Clone, Debug, Default)]
pub struct Children<'a>(Iter<'a, Node>);

impl<'a> Iterator for Children<'a> {
    type Item = (&'a str, &'a Node);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|entry| (entry.name.as_str(), &entry.value))
    }
}

impl Node {
    /// Whether this is a directory.
    pub fn is_dir(&self) -> bool {
        matches!(self, Node::Dir(_))
    }

    /// The value of a file; nothing for a directory.
    pub fn value(&self) -> Option<&str> {
        match self {
            Node::File(file) => Some(&file.value),
            Node::Dir(_) => None,
        }
    }

    /// Index of the write that made the node; zero for the root.
    pub fn created(&self) -> StoreIndex {
        StoreIndex(match self {
            Node::File(file) => file.created,
            Node::Dir(dir) => dir.created,
        })
    }

    /// Index of the write that changed it last; zero for the root.
    pub fn modified(&self) -> StoreIndex {
        StoreIndex(match self {
            Node::File(file) => file.modified,
            Node::Dir(dir) => dir.modified,
        })
    }

    /// When it expires, and as what that is shown; nothing if it is permanent.
    pub fn lease(&self) -> Option<Lease> {
        match self {
            Node::File(file) => file.lease.as_deref().copied(),
            Node::Dir(dir) => dir.lease,
        }
    }

    /// When it expires; nothing if it is permanent.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.lease().map(|lease| lease.deadline)
    }

    /// The same node with this lease.
    pub(crate) fn with_lease(&self, lease: Option<Lease>) -> Node {
        match self {
            Node::File(file) => {
                let value = &*file.value;
                Node::File(Arc::new(File::new(file.created, file.modified, lease, value)))
            }
            Node::Dir(dir) => {
                let mut dir = Dir::clone(dir);
                dir.set_lease(lease);
                Node::Dir(Arc::new(dir))
            }
        }
    }

    /// The child with this name.
    pub fn child(&self, name: &str) -> Option<&Node> {
        match self {
            Node::File(_) => None,
            Node::Dir(dir) => dir.children.get(name),
        }
    }

    /// The children in ascending byte order of their names; none for a file.
    pub fn children(&self) -> Children<'_> {
        match self {
            Node::File(_) => Children::default(),
            Node::Dir(dir) => Children(dir.children.iter()),
        }
    }

    /// The children whose names sort after `name`: where a listing that was interrupted goes on.
    pub fn children_after(&self, name: &str) -> Children<'_> {
        match self {
            Node::File(_) => Children::default(),
            Node::Dir(dir) => Children(dir.children.iter_after(name)),
        }
    }

    /// The entries of a lock whose directory this is, with their numbers, in no useful order.
    pub fn lock_entries(&self) -> impl Iterator<Item = (u64, &Node)> {
        let files = self.children().filter(|(_, node)| !node.is_dir());
        files.filter_map(|(name, node)| Some((entry_number(name)?, node)))
    }

    /// The entry that holds the lock whose directory this is.
    pub fn lock_holder(&self) -> Option<(u64, &Node)> {
        self.lock_entries().min_by_key(|(index, _)| *index)
    }

    /// How much there is in it: for a directory, of everything below. A node is not in itself.
    pub fn totals(&self) -> Totals {
        match self {
            Node::File(file) => {
                let value_bytes = file.value.len() as u64;
                Totals { keys: 1, value_bytes, nodes: 0, shown: 0 }
            }
            Node::Dir(dir) => dir.totals,
        }
    }

    /// What the totals of the directory that holds it have of it.
    pub(crate) fn weight(&self) -> Totals {
        let below = self.totals();
        Totals { nodes: below.nodes + 1, shown: below.shown + 1, ..below }
    }

    /// The index of the last change of it or of anything below it that this member has seen;
    /// [`crate::Store::changed`] knows of those before.
    pub(crate) fn changed(&self) -> u64 {
        match self {
            Node::File(file) => file.modified,
            Node::Dir(dir) => dir.changed,
        }
    }

    /// How many children there are, with hidden ones or without.
    pub fn children_len(&self, hidden: bool) -> usize {
        let Node::Dir(dir) = self else { return 0 };
        let [first, end] = self.hidden_places();
        if hidden { dir.children.len() } else { dir.children.len() - (end - first) }
    }

    /// Between which places among all children the hidden ones are.
    fn hidden_places(&self) -> [usize; 2] {
        match self {
            Node::File(_) => [0, 0],
            Node::Dir(dir) => HIDDEN_NAMES.map(|name| dir.children.rank(name)),
        }
    }

    /// How many children sort up to `name`, with hidden ones or without.
    pub fn children_upto(&self, name: &str, hidden: bool) -> usize {
        let Node::Dir(dir) = self else { return 0 };
        let rank = dir.children.rank(name) + usize::from(dir.children.get(name).is_some());
        let [first, end] = self.hidden_places();
        if hidden { rank } else { rank - (rank.clamp(first, end) - first) }
    }

    /// The children from a place on, which counts hidden ones or does not. Hidden ones behind it
    /// come in either case.
    pub fn children_from(&self, place: usize, hidden: bool) -> Children<'_> {
        let Node::Dir(dir) = self else { return Children::default() };
        let [first, end] = self.hidden_places();
        let skipped = if hidden || place < first { place } else { place + (end - first) };
        Children(dir.children.iter_from(skipped))
    }

    /// What an event shows of it.
    pub(crate) fn shallow(&self) -> Node {
        match self {
            Node::File(_) => self.clone(),
            Node::Dir(dir) => dir.shallow(),
        }
    }

    /// Whether both are one allocation.
    pub(crate) fn is_same(&self, other: &Node) -> bool {
        match (self, other) {
            (Node::File(one), Node::File(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}
