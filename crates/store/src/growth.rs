//! Puts a tree together from nodes in the order of a walk: each directory is followed by all that
//! is in it, and names ascend by their bytes. Pages are built without looking anything up.

use crate::expiry::Expiry;
use crate::name::Name;
use crate::node::{Dir, File, Node, Shift, Totals, is_hidden};
use crate::path::NODE_DEPTH_MAX;
use crate::tree::Builder;
use std::sync::Arc;

/// A directory whose children are being put together.
struct OpenDir {
    name: Name,
    dir: Dir,
    children: Builder<Node>,
}

/// A tree that grows.
pub(crate) struct Growth {
    open: Vec<OpenDir>,
    /// The path of the innermost directory; empty for the root.
    path: String,
    expiry: Expiry,
}

impl Growth {
    /// The root alone.
    pub(crate) fn new() -> Self {
        let root = OpenDir {
            name: Name::default(),
            dir: Dir::new(0, 0, None),
            children: Builder::default(),
        };
        Self { open: vec![root], path: String::new(), expiry: Expiry::default() }
    }

    /// The path of the innermost directory; empty for the root.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Whether a node of this name can come next in the innermost directory.
    ///
    /// # Errors
    /// Why not, in a few words.
    pub(crate) fn check(&self, name: &Name) -> Result<(), &'static str> {
        let bytes = name.as_bytes();
        if matches!(bytes, b"" | b"." | b"..") || bytes.contains(&b'/') {
            return Err("a name is malformed");
        }
        let last = self.open.last().and_then(|open| open.children.last());
        if last.is_some_and(|last| last.as_bytes() >= bytes) {
            return Err("names are not in order");
        }
        if self.open.len() > NODE_DEPTH_MAX {
            return Err("directories are nested too deeply");
        }
        Ok(())
    }

    /// Adds a file with a name that was checked.
    pub(crate) fn add_file(&mut self, name: Name, file: File) {
        self.add(name, Node::File(Arc::new(file)));
    }

    /// Enters a new directory with a name that was checked: what comes next is in it.
    pub(crate) fn enter(&mut self, name: Name, dir: Dir) {
        self.path.push('/');
        self.path.push_str(name.as_str());
        self.open.push(OpenDir { name, dir, children: Builder::default() });
    }

    fn add(&mut self, name: Name, node: Node) {
        if let Some(deadline) = node.deadline() {
            let len = self.path.len();
            self.path.push('/');
            self.path.push_str(name.as_str());
            self.expiry.set(&self.path, Some(deadline));
            self.path.truncate(len);
        }
        if let Some(open) = self.open.last_mut() {
            let shift = Shift { gained: node.weight(), lost: Totals::default() };
            let is_shown = !is_hidden(name.as_str());
            open.dir.totals.shift(if is_shown { shift } else { shift.behind_hidden() });
            open.children.push(name, node);
        }
    }

    /// Leaves the innermost directory; gives it when it is the root, and then the tree is done.
    pub(crate) fn leave(&mut self) -> Option<Dir> {
        let mut done = self.open.pop()?;
        done.dir.children = done.children.finish();
        if self.open.is_empty() {
            return Some(done.dir);
        }
        self.path.truncate(self.path.len() - done.name.as_bytes().len() - 1);
        self.add(done.name, Node::Dir(Arc::new(done.dir)));
        None
    }

    /// Which nodes of the tree expire when.
    pub(crate) fn into_expiry(self) -> Expiry {
        self.expiry
    }
}
