//! An entry of the key tree: a file or a directory.

use crate::{StoreIndex, Timestamp};

/// A node as it was at one moment: cheap to clone, never changes, may be sent to another thread.
#[derive(Clone, Debug)]
pub enum Node {
    /// A file with a value.
    File(std::sync::Arc<()>),
    /// A directory with children.
    Dir(std::sync::Arc<Dir>),
}

/// A directory's indexes, deadline and children.
#[derive(Clone, Debug)]
pub struct Dir {}

/// Iterates over the children of a directory in ascending byte order of their names, hidden ones
/// included.
#[derive(Clone, Debug)]
pub struct Children<'a>(std::marker::PhantomData<&'a ()>);

impl<'a> Iterator for Children<'a> {
    type Item = (&'a str, &'a Node);
    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}

impl Node {
    /// Whether this is a directory.
    pub fn is_dir(&self) -> bool {
        matches!(self, Node::Dir(_))
    }

    /// The value of a file; nothing for a directory.
    pub fn value(&self) -> Option<&str> {
        todo!()
    }

    /// Index of the write that made the node; zero for the root.
    pub fn created(&self) -> StoreIndex {
        todo!()
    }

    /// Index of the write that changed it last; zero for the root.
    pub fn modified(&self) -> StoreIndex {
        todo!()
    }

    /// When it expires; nothing if it is permanent.
    pub fn deadline(&self) -> Option<Timestamp> {
        todo!()
    }

    /// The children in ascending byte order of their names; none for a file.
    pub fn children(&self) -> Children<'_> {
        todo!()
    }

    /// The children whose names sort after `name`: where a listing that was interrupted goes on.
    pub fn children_after(&self, name: &str) -> Children<'_> {
        let _ = name;
        todo!()
    }
}
