//! Reading a store back from the stream that `snapshot.rs` describes.
//!
//! The stream may come from a damaged disk or from another member, so nothing in it is believed:
//! every field is checked, memory is taken as bytes arrive and not as a length promises, and an
//! error says at which byte it met what. Pages of the tree are built from the sorted names without
//! looking anything up.

mod events;
mod source;

use crate::expiry::Expiry;
use crate::limits::Limits;
use crate::name::Name;
use crate::node::{Dir, Node, Shift, Totals};
use crate::path::NODE_DEPTH_MAX;
use crate::snapshot::{DIR, END, FILE, VERSION, VERSION_1};
use crate::store::Store;
use crate::tree::Builder;
use source::Source;
use std::io::{self, Read};
use std::sync::Arc;

/// A directory whose children are being read.
struct OpenDir {
    name: Name,
    dir: Dir,
    children: Builder<Node>,
}

/// Puts the tree together.
struct TreeReader {
    open: Vec<OpenDir>,
    /// The path of the innermost directory; empty for the root.
    path: String,
    expiry: Expiry,
}

impl TreeReader {
    fn read(source: &mut Source<'_>) -> io::Result<(Dir, Expiry)> {
        let root = OpenDir {
            name: Name::default(),
            dir: Dir::new(0, 0, None),
            children: Builder::default(),
        };
        let mut reader = Self { open: vec![root], path: String::new(), expiry: Expiry::default() };
        loop {
            match source.byte()? {
                END => {
                    if let Some(root) = reader.close() {
                        return Ok((root, reader.expiry));
                    }
                }
                FILE => {
                    let name = reader.name(source)?;
                    let file = source.file()?;
                    reader.add(name, Node::File(Arc::new(file)));
                }
                DIR => {
                    let name = reader.name(source)?;
                    let dir = source.dir()?;
                    reader.path.push('/');
                    reader.path.push_str(name.as_str());
                    reader.open.push(OpenDir { name, dir, children: Builder::default() });
                }
                _ => return Err(source.wrong("a node is of an unknown kind")),
            }
        }
    }

    fn name(&self, source: &mut Source<'_>) -> io::Result<Name> {
        let name: Name = source.string()?;
        let bytes = name.as_bytes();
        if matches!(bytes, b"" | b"." | b"..") || bytes.contains(&b'/') {
            return Err(source.wrong("a name is malformed"));
        }
        let last = self.open.last().and_then(|open| open.children.last());
        if last.is_some_and(|last| last.as_bytes() >= bytes) {
            return Err(source.wrong("names are not in order"));
        }
        if self.open.len() > NODE_DEPTH_MAX {
            return Err(source.wrong("directories are nested too deeply"));
        }
        Ok(name)
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
            open.dir.totals.shift(Shift { gained: node.totals(), lost: Totals::default() });
            open.children.push(name, node);
        }
    }

    /// Ends the innermost directory; gives it when it is the root.
    fn close(&mut self) -> Option<Dir> {
        let mut done = self.open.pop()?;
        done.dir.children = done.children.finish();
        if self.open.is_empty() {
            return Some(done.dir);
        }
        self.path.truncate(self.path.len() - done.name.as_bytes().len() - 1);
        self.add(done.name, Node::Dir(Arc::new(done.dir)));
        None
    }
}

impl Store {
    /// Rebuilds a store from what [`crate::StoreSnapshot::write`] wrote, up to the end of `input`.
    ///
    /// # Errors
    /// `InvalidData` with what is wrong, or what `input` gave.
    pub fn load(input: &mut dyn Read, limits: Limits) -> io::Result<Self> {
        let mut source = Source::new(input);
        let version = source.byte()?;
        if !matches!(version, VERSION_1 | VERSION) {
            return Err(source.wrong(&format!("its version {version} is unknown")));
        }
        let index = source.number()?;
        source.set_index(index);
        let stamp = source.stamp()?;
        let stats = source.stats()?;
        let (root, expiry) = TreeReader::read(&mut source)?;
        let history = events::read(&mut source, version, &root, &limits)?;
        source.finish()?;
        let mut store = Store::new(limits);
        store.root = Arc::new(root);
        store.index = index;
        store.stamp = stamp;
        store.stats = stats;
        store.history = history;
        store.expiry = expiry;
        Ok(store)
    }
}
