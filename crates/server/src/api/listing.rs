//! The answer to a read, printed from the tree as it was at one moment.
//!
//! Nodes never change, so a listing holds the tree by reference and is printed piece by piece as
//! the client takes it: a million keys neither double the memory nor hold anybody up. The walk
//! keeps its own stack; how deep a client nests directories costs it no recursion.

use super::json;
use crate::config::Dialect;
use store::{KeyPath, Node, Stamp};

/// How a read is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) recursive: bool,
    pub(crate) dialect: Dialect,
    pub(crate) now: Stamp,
}

/// A directory whose children are being printed.
#[derive(Debug)]
struct Level {
    dir: Node,
    /// The name of the last child printed; where to go on.
    last: Option<Box<str>>,
    has_printed: bool,
    /// How long the escaped prefix of the children's keys is.
    prefix_len: usize,
}

/// An answer that is being printed.
#[derive(Debug)]
pub(crate) struct Listing {
    style: Style,
    levels: Vec<Level>,
    /// The escaped path of the innermost directory, with its trailing slash.
    prefix: Vec<u8>,
    is_done: bool,
}

/// The end of a key's string, cheap to compare.
fn is_hidden(name: &str) -> bool {
    name.starts_with('_')
}

impl Listing {
    /// Prints the head of the answer for `node` at `path`, and everything that is no child.
    pub(crate) fn start(out: &mut Vec<u8>, path: KeyPath<'_>, node: Node, style: Style) -> Self {
        let dialect = style.dialect;
        out.extend_from_slice(b"{\"action\":\"get\",\"node\":");
        let mut prefix = json::escaped(path.as_str(), dialect);
        if path.is_root() && dialect == Dialect::V2 {
            // 2.x has no name for the root (spec keys.md section 4.4).
            out.extend_from_slice(b"{\"dir\":true");
        } else {
            json::put_key(out, &prefix, "", dialect);
            json::put_kind(out, &node, dialect);
        }
        json::put_expiration(out, &node, style.now);
        let mut listing = Self { style, levels: Vec::new(), prefix: Vec::new(), is_done: false };
        if node.is_dir() {
            if !path.is_root() {
                prefix.push(b'/');
            }
            listing.prefix = prefix;
            let prefix_len = listing.prefix.len();
            listing.levels.push(Level { dir: node, last: None, has_printed: false, prefix_len });
        } else {
            json::put_indexes(out, node.modified().0, node.created().0);
            out.extend_from_slice(b"}}");
            listing.finish(out);
        }
        listing
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if self.style.dialect == Dialect::V2 {
            out.push(b'\n');
        }
        self.is_done = true;
    }

    pub(crate) fn is_done(&self) -> bool {
        self.is_done
    }

    /// Prints on until `out` has `len_max` bytes or more, or all is printed.
    pub(crate) fn fill(&mut self, out: &mut Vec<u8>, len_max: usize) {
        while !self.is_done && out.len() < len_max {
            self.fill_level(out, len_max);
        }
    }

    /// Prints children of the innermost directory until one of them is to be descended into, `out`
    /// is full, or there are no more.
    fn fill_level(&mut self, out: &mut Vec<u8>, len_max: usize) {
        let Some(level) = self.levels.last_mut() else { return };
        self.prefix.truncate(level.prefix_len);
        let dir = level.dir.clone();
        let children = match &level.last {
            Some(name) => dir.children_after(name),
            None => dir.children(),
        };
        for (name, node) in children {
            if is_hidden(name) {
                continue;
            }
            if out.len() >= len_max {
                return;
            }
            out.extend_from_slice(if level.has_printed { b"," } else { b",\"nodes\":[" });
            level.has_printed = true;
            json::put_key(out, &self.prefix, name, self.style.dialect);
            json::put_kind(out, node, self.style.dialect);
            json::put_expiration(out, node, self.style.now);
            if node.is_dir() && self.style.recursive {
                level.last = Some(name.into());
                let escaped = json::escaped(name, self.style.dialect);
                self.prefix.extend_from_slice(&escaped);
                self.prefix.push(b'/');
                let prefix_len = self.prefix.len();
                let dir = node.clone();
                self.levels.push(Level { dir, last: None, has_printed: false, prefix_len });
                return;
            }
            json::put_indexes(out, node.modified().0, node.created().0);
            out.push(b'}');
            if out.len() >= len_max {
                level.last = Some(name.into());
                return;
            }
        }
        self.close_level(out);
    }

    fn close_level(&mut self, out: &mut Vec<u8>) {
        let Some(level) = self.levels.pop() else { return };
        if level.has_printed {
            out.push(b']');
        }
        json::put_indexes(out, level.dir.modified().0, level.dir.created().0);
        out.push(b'}');
        if self.levels.is_empty() {
            out.push(b'}');
            self.finish(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::{Command, Limits, Store};

    fn filled() -> Store {
        let mut store = Store::new(Limits::default());
        for key in ["/a", "/d/x", "/d/y/z", "/d/_h/q", "/_top", "/e<&"] {
            let path = KeyPath::parse(key).expect("clean");
            let command = Command::Set { path, value: "v", dir: false, ttl: None, refresh: false };
            store.apply(&command, Stamp::default(), &mut Vec::new()).expect("applies");
        }
        store
    }

    fn list(store: &Store, path: &str, recursive: bool, dialect: Dialect, step: usize) -> String {
        let path = KeyPath::parse(path).expect("clean");
        let node = store.get(path).expect("there");
        let mut all = Vec::new();
        let style = Style { recursive, dialect, now: Stamp::default() };
        let mut listing = Listing::start(&mut all, path, node, style);
        while !listing.is_done() {
            let mut piece = Vec::new();
            listing.fill(&mut piece, step);
            all.append(&mut piece);
        }
        String::from_utf8(all).expect("JSON is text")
    }

    #[test]
    fn a_listing_is_the_same_in_one_piece_and_in_many() {
        let store = filled();
        for (path, recursive) in [("/", false), ("/", true), ("/d", true), ("/a", false)] {
            for dialect in [Dialect::V04, Dialect::V2] {
                let whole = list(&store, path, recursive, dialect, usize::MAX);
                assert_eq!(list(&store, path, recursive, dialect, 1), whole);
                serde_json::from_str::<serde_json::Value>(&whole).expect("valid JSON");
            }
        }
    }

    #[test]
    fn hidden_nodes_are_left_out_below_but_not_at_the_path_itself() {
        let store = filled();
        let whole = list(&store, "/d", true, Dialect::V04, usize::MAX);
        assert_eq!(
            whole,
            "{\"action\":\"get\",\"node\":{\"key\":\"/d\",\"dir\":true,\"nodes\":[\
             {\"key\":\"/d/x\",\"value\":\"v\",\"modifiedIndex\":2,\"createdIndex\":2},\
             {\"key\":\"/d/y\",\"dir\":true,\"nodes\":[\
             {\"key\":\"/d/y/z\",\"value\":\"v\",\"modifiedIndex\":3,\"createdIndex\":3}],\
             \"modifiedIndex\":3,\"createdIndex\":3}],\"modifiedIndex\":2,\"createdIndex\":2}}"
        );
        assert!(list(&store, "/d/_h", false, Dialect::V04, usize::MAX).contains("/d/_h/q"));
        let root = list(&store, "/", false, Dialect::V2, usize::MAX);
        assert!(
            root.starts_with("{\"action\":\"get\",\"node\":{\"dir\":true,\"nodes\":["),
            "{root}"
        );
        assert!(root.contains("/e\\u003c\\u0026") && root.ends_with("}}\n"), "{root}");
    }
}
