//! The answer to a read, printed from the tree as it was at one moment.
//!
//! Nodes never change, so a listing holds the tree by reference and is printed piece by piece as
//! the client takes it: a million keys neither double the memory nor block the loop. The walk keeps
//! its own stack; how deep a client nests directories costs it no recursion.

use crate::api::json;
use crate::config::Dialect;
use std::hint::black_box;
use store::{Children, KeyPath, Node, Stamp, is_hidden};

/// How much of a listing is printed at a time; a longer one comes in pieces. A piece stays in the
/// processor's nearer caches from its printing until it is sent.
pub(super) const PIECE_BYTES: usize = 256 << 10;

/// Children that are looked at for a piece: half a millisecond's worth, where none of them is
/// shown.
pub(super) const PIECE_VISITS: usize = 8192;

/// How many children are looked at together.
const GROUP_LEN: usize = 16;

/// How much is printed in one go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portion {
    /// Until the output has so many bytes.
    pub(crate) bytes: usize,
    /// Children that are looked at, shown or not.
    pub(crate) visits: usize,
}

/// An answer that is printed piece by piece.
pub(crate) trait Print: std::fmt::Debug {
    /// Prints on until a portion is done, or all is printed.
    fn fill(&mut self, out: &mut Vec<u8>, portion: Portion);

    fn is_done(&self) -> bool;
}

/// How a read is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) recursive: bool,
    /// Whether hidden nodes are listed too.
    pub(crate) hidden: bool,
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

/// Takes the next visible children into `group`, up to one that is to be descended into, looking at
/// no more than `visits`. Gives the last name that was looked at; nothing at the end.
///
/// Nodes and values lie wherever they were written, so each costs a listing two waits for memory.
/// Looking at all of a group before the first is printed makes these waits overlap: that halves the
/// time of a listing of 10,000 keys that were written in random order.
fn gather<'a>(
    children: &mut Children<'a>,
    Style { recursive, hidden, .. }: Style,
    visits: &mut usize,
    group: &mut Vec<(&'a str, &'a Node)>,
) -> Option<&'a str> {
    group.clear();
    let mut last = None;
    for (name, node) in children {
        *visits = visits.saturating_sub(1);
        last = Some(name);
        let is_shown = hidden || !is_hidden(name);
        if is_shown {
            group.push((name, node));
        }
        if group.len() == GROUP_LEN || (is_shown && recursive && node.is_dir()) || *visits == 0 {
            break;
        }
    }
    let lens = group.iter().map(|(_, node)| node.value().map_or(0, str::len));
    black_box(lens.sum::<usize>());
    let firsts = group.iter().filter_map(|(_, node)| node.value()?.as_bytes().first());
    black_box(firsts.fold(0, |all, first| all ^ first));
    last
}

impl Listing {
    /// Prints the head of the answer for `node` at `path`, and everything that is no child.
    pub(crate) fn start(out: &mut Vec<u8>, path: KeyPath<'_>, node: Node, style: Style) -> Self {
        let dialect = style.dialect;
        out.extend_from_slice(b"{\"action\":\"get\",\"node\":");
        let mut prefix = json::escaped(path.as_str(), dialect);
        if path.is_root() && dialect == Dialect::V2 {
            // 2.x has no name for the root (docs/spec/keys.md section 4.4).
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

    /// Prints children of the innermost directory until one of them is to be descended into, `out`
    /// is full, or there are no more.
    fn fill_level(&mut self, out: &mut Vec<u8>, len_max: usize, visits: &mut usize) {
        let Some(level) = self.levels.last_mut() else { return };
        self.prefix.truncate(level.prefix_len);
        let dir = level.dir.clone();
        let mut children = match &level.last {
            Some(name) => dir.children_after(name),
            None => dir.children(),
        };
        let Style { recursive, dialect, now, .. } = self.style;
        let mut group = Vec::with_capacity(GROUP_LEN);
        while let Some(last) = gather(&mut children, self.style, visits, &mut group) {
            for &(name, node) in &group {
                out.extend_from_slice(if level.has_printed { b"," } else { b",\"nodes\":[" });
                level.has_printed = true;
                json::put_key(out, &self.prefix, name, dialect);
                json::put_kind(out, node, dialect);
                json::put_expiration(out, node, now);
                if node.is_dir() && recursive {
                    level.last = Some(name.into());
                    return self.descend(name, node);
                }
                json::put_indexes(out, node.modified().0, node.created().0);
                out.push(b'}');
                if out.len() >= len_max {
                    level.last = Some(name.into());
                    return;
                }
            }
            if *visits == 0 {
                level.last = Some(last.into());
                return;
            }
        }
        self.close_level(out);
    }

    fn descend(&mut self, name: &str, node: &Node) {
        self.prefix.extend_from_slice(&json::escaped(name, self.style.dialect));
        self.prefix.push(b'/');
        let prefix_len = self.prefix.len();
        let dir = node.clone();
        self.levels.push(Level { dir, last: None, has_printed: false, prefix_len });
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

impl Print for Listing {
    fn fill(&mut self, out: &mut Vec<u8>, portion: Portion) {
        let mut visits = portion.visits;
        while !self.is_done && out.len() < portion.bytes && visits > 0 {
            self.fill_level(out, portion.bytes, &mut visits);
        }
    }

    fn is_done(&self) -> bool {
        self.is_done
    }
}

#[cfg(test)]
mod tests;
