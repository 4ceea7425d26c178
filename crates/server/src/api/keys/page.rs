//! A part of a listing, and what there is beside it: the answer to a read with parameters that
//! neither 0.4 nor 2.x know (docs/reference/keys.md).
//!
//! As a whole [`super::listing`] it is printed piece by piece from the tree as it was at one
//! moment. A page of a large directory begins at its place in the tree at once; nothing before it
//! is walked over. Directories are opened in the output when the first node in them is printed, so
//! that a page can begin anywhere below.

mod sorted;

use super::listing::{PIECE_VISITS, Portion, Print, Style};
use super::request::view::View;
use crate::api::json;
use crate::config::Dialect;
use sorted::{Sorted, is_known, sorted};
use std::collections::VecDeque;
use store::{Children, KeyPath, Node, is_hidden};

/// Where a directory's children are gone on with.
#[derive(Debug)]
enum Position {
    /// At a place among those that are listed.
    At(usize),
    /// Behind this name.
    After(Box<str>),
}

/// A directory whose children are being printed.
#[derive(Debug)]
struct Level {
    dir: Node,
    position: Position,
    /// Whether its own head was printed.
    is_open: bool,
    has_printed: bool,
    /// The length of its path from the directory that is listed on, with its trailing slash; zero
    /// for that one.
    path_len: usize,
    /// How long the escaped prefix of the children's keys is.
    prefix_len: usize,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The children are to be brought into order.
    Sort,
    /// Children that were brought into order are printed.
    PrintSorted,
    /// Nodes are printed as they come.
    Print,
    /// All that was not looked at is counted.
    Count,
    Done,
}

/// A page that is being printed.
#[derive(Debug)]
pub(crate) struct Page {
    style: Style,
    view: Box<View>,
    /// Whether counts of what is below may be shown.
    shows_below: bool,
    /// What is listed.
    dir: Node,
    stage: Stage,
    levels: Vec<Level>,
    /// The escaped path of the innermost directory, with its trailing slash.
    prefix: Vec<u8>,
    /// Its path from the directory that is listed on, with its trailing slash.
    path: String,
    sorted: VecDeque<usize>,
    /// Nodes that may still be printed.
    left: usize,
    /// Nodes that are passed over before.
    skip: usize,
    /// The path of the last node that was printed.
    last: String,
    has_more: bool,
    /// Whether nothing lies before the place at which it began.
    is_from_start: bool,
    matching: u64,
}

impl Page {
    /// Prints the head of the answer for `node` at `path`. `shows_below` says that the client may
    /// know of all that is below.
    pub(crate) fn start(
        out: &mut Vec<u8>,
        path: KeyPath<'_>,
        node: Node,
        (style, view): (Style, Box<View>),
        shows_below: bool,
    ) -> Self {
        let dialect = style.dialect;
        let mut prefix = json::escaped(path.as_str(), dialect);
        let left = view.limit.map_or(usize::MAX, |limit| limit as usize);
        let mut page = Self {
            style,
            view,
            shows_below,
            dir: node.clone(),
            stage: Stage::Print,
            levels: Vec::new(),
            prefix: Vec::new(),
            path: String::new(),
            sorted: VecDeque::new(),
            left,
            skip: 0,
            last: String::new(),
            has_more: false,
            is_from_start: true,
            matching: 0,
        };
        out.extend_from_slice(b"{\"action\":\"get\",\"node\":");
        if path.is_root() && dialect == Dialect::V2 {
            // 2.x has no name for the root (docs/spec/keys.md section 4.4).
            out.extend_from_slice(b"{\"dir\":true");
        } else {
            json::put_key(out, &prefix, "", dialect);
            page.put_kind(out, &node);
        }
        json::put_expiration(out, &node, style.now);
        if !node.is_dir() {
            json::put_indexes(out, node.modified().0, node.created().0);
            out.extend_from_slice(b"}}");
            page.end(out);
            return page;
        }
        if !path.is_root() {
            prefix.push(b'/');
        }
        page.prefix = prefix;
        page.begin(node);
        page
    }

    /// Whether it takes long to begin with: all children are to be brought into order first.
    pub(crate) fn is_heavy(&self) -> bool {
        self.stage == Stage::Sort
            && self.dir.children_len(true) > PIECE_VISITS
            && !is_known(&self.view)
    }

    /// Goes to the place where the page begins.
    fn begin(&mut self, dir: Node) {
        let Style { recursive, hidden, .. } = self.style;
        let (after, offset) = (std::mem::take(&mut self.view.after), self.view.offset as usize);
        self.is_from_start = after.is_empty();
        if self.view.is_sorted() {
            self.stage = Stage::Sort;
        }
        let has_filter = self.view.filter.is_some();
        let position = match (after.is_empty(), has_filter) {
            (true, true) => Position::At(0),
            (true, false) => Position::At(offset),
            (false, _) if recursive => Position::At(0),
            (false, true) => Position::After(after.clone()),
            (false, false) => Position::At(dir.children_upto(&after, hidden) + offset),
        };
        self.skip = if has_filter { offset } else { 0 };
        self.is_from_start &= has_filter || offset == 0;
        let prefix_len = self.prefix.len();
        let is_open = true;
        let has_printed = false;
        self.levels.push(Level { dir, position, is_open, has_printed, path_len: 0, prefix_len });
        if recursive && !after.is_empty() {
            self.seek(&after);
        }
    }

    /// Goes behind a node below, or behind where it would be.
    fn seek(&mut self, after: &str) {
        for name in after.split('/').filter(|name| !name.is_empty()) {
            let Some(level) = self.levels.last_mut() else { return };
            level.position = Position::After(name.into());
            let child = level.dir.child(name).filter(|child| child.is_dir()).cloned();
            match child {
                Some(child) if self.style.hidden || !is_hidden(name) => {
                    self.descend(name, &child, false);
                }
                _ => return,
            }
        }
    }

    /// Writes a value as far as it is wanted, or that it is a directory.
    fn put_kind(&self, out: &mut Vec<u8>, node: &Node) {
        let is_v2 = self.style.dialect == Dialect::V2;
        let Some(value) = node.value() else {
            out.extend_from_slice(b",\"dir\":true");
            return;
        };
        if !self.view.keys_only {
            let shown = match self.view.preview {
                Some(max) => value.get(..value.floor_char_boundary(max as usize)),
                None => Some(value),
            };
            out.extend_from_slice(b",\"value\":");
            json::put_string(out, shown.unwrap_or_default(), is_v2);
        }
        if self.view.preview.is_some() {
            out.extend_from_slice(b",\"valueBytes\":");
            json::put_number(out, value.len() as u64);
        }
    }

    /// Writes a node up to what is in it.
    fn put_head(&self, out: &mut Vec<u8>, prefix: &[u8], name: &str, node: &Node) {
        json::put_key(out, prefix, name, self.style.dialect);
        self.put_kind(out, node);
        if node.is_dir() && self.view.count && self.shows_below {
            out.extend_from_slice(b",\"children\":");
            json::put_number(out, node.children_len(self.style.hidden) as u64);
        }
        json::put_expiration(out, node, self.style.now);
    }

    fn descend(&mut self, name: &str, dir: &Node, is_open: bool) {
        self.prefix.extend_from_slice(&json::escaped(name, self.style.dialect));
        self.prefix.push(b'/');
        self.path.push_str(name);
        self.path.push('/');
        self.levels.push(Level {
            dir: dir.clone(),
            position: Position::At(0),
            is_open,
            has_printed: false,
            path_len: self.path.len(),
            prefix_len: self.prefix.len(),
        });
    }

    /// Opens the directories in which the next node is.
    fn open(&mut self, out: &mut Vec<u8>) {
        for at in 1..self.levels.len() {
            let [.., above, level] = self.levels.get(..=at).unwrap_or_default() else { return };
            if level.is_open {
                continue;
            }
            let name = self.path.get(above.path_len..level.path_len.saturating_sub(1));
            let prefix = self.prefix.get(..above.prefix_len).unwrap_or_default();
            out.extend_from_slice(if above.has_printed { b"," } else { b",\"nodes\":[" });
            self.put_head(out, prefix, name.unwrap_or_default(), &level.dir);
            if let Some(above) = self.levels.get_mut(at - 1) {
                above.has_printed = true;
            }
            if let Some(level) = self.levels.get_mut(at) {
                level.is_open = true;
            }
        }
    }

    /// Prints a child of the innermost directory, up to what is in it.
    fn put_child(&mut self, out: &mut Vec<u8>, name: &str, node: &Node) {
        self.open(out);
        let Some(level) = self.levels.last_mut() else { return };
        out.extend_from_slice(if level.has_printed { b"," } else { b",\"nodes\":[" });
        level.has_printed = true;
        self.put_head(out, &self.prefix, name, node);
        self.left -= 1;
        self.last.clear();
        self.last.push_str(&self.path);
        self.last.push_str(name);
        if !(node.is_dir() && self.style.recursive) {
            json::put_indexes(out, node.modified().0, node.created().0);
            out.push(b'}');
        }
    }

    /// Looks at children of the innermost directory until one of them is to be descended into,
    /// `out` is full, or there are no more.
    fn look_on(&mut self, out: &mut Vec<u8>, len_max: usize, visits: &mut usize) {
        let Some(level) = self.levels.last() else { return };
        let (dir, hidden) = (level.dir.clone(), self.style.hidden);
        let mut children: Children<'_> = match &level.position {
            Position::At(place) => dir.children_from(*place, hidden),
            Position::After(name) => dir.children_after(name),
        };
        let mut last = None;
        while *visits > 0 && out.len() < len_max {
            let Some((name, node)) = children.next() else { return self.close_level(out) };
            *visits -= 1;
            last = Some(name);
            if !hidden && is_hidden(name) {
                continue;
            }
            let passes = self.judge(name, visits);
            let is_printed = passes && self.stage == Stage::Print && self.has_turn();
            if self.has_more && self.stage == Stage::Print {
                return self.close_all(out);
            }
            if is_printed {
                self.put_child(out, name, node);
            }
            if node.is_dir() && self.style.recursive {
                self.stop_at(name);
                return self.descend(name, node, is_printed);
            }
        }
        if let Some(last) = last {
            self.stop_at(last);
        }
    }

    fn stop_at(&mut self, name: &str) {
        if let Some(level) = self.levels.last_mut() {
            level.position = Position::After(name.into());
        }
    }

    /// Whether a name passes the filter; counts it then.
    fn judge(&mut self, name: &str, visits: &mut usize) -> bool {
        let Some(filter) = &self.view.filter else { return true };
        *visits = visits.saturating_sub(filter.visits(name));
        let passes = filter.matches(name);
        self.matching += u64::from(passes);
        passes
    }

    /// Whether a node that passes is in the page; notes if it is behind it.
    fn has_turn(&mut self) -> bool {
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.has_more = self.left == 0;
        !self.has_more
    }

    fn close_level(&mut self, out: &mut Vec<u8>) {
        let Some(level) = self.levels.pop() else { return };
        if level.is_open && self.stage != Stage::Count {
            if level.has_printed {
                out.push(b']');
            }
            json::put_indexes(out, level.dir.modified().0, level.dir.created().0);
            out.push(b'}');
        }
        match self.levels.last() {
            Some(above) => {
                self.prefix.truncate(above.prefix_len);
                self.path.truncate(above.path_len);
            }
            None => self.next_stage(out),
        }
    }

    fn close_all(&mut self, out: &mut Vec<u8>) {
        while !self.levels.is_empty() && self.stage != Stage::Count {
            self.close_level(out);
        }
    }

    /// The nodes are printed, or all of them counted.
    fn next_stage(&mut self, out: &mut Vec<u8>) {
        let has_seen_all = self.is_from_start && !self.has_more;
        let is_counted = self.stage != Stage::Print || has_seen_all;
        if self.view.filter.is_none() || is_counted {
            return self.finish(out);
        }
        self.stage = Stage::Count;
        self.matching = 0;
        self.levels.push(Level {
            dir: self.dir.clone(),
            position: Position::At(0),
            is_open: true,
            has_printed: false,
            path_len: 0,
            prefix_len: self.prefix.len(),
        });
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if self.view.is_page {
            let hidden = self.style.hidden;
            out.extend_from_slice(b",\"page\":{\"children\":");
            json::put_number(out, self.dir.children_len(hidden) as u64);
            if self.view.count && self.shows_below {
                let totals = self.dir.totals();
                out.extend_from_slice(b",\"below\":");
                json::put_number(out, if hidden { totals.nodes } else { totals.shown });
            }
            if self.view.filter.is_some() {
                out.extend_from_slice(b",\"matching\":");
                json::put_number(out, self.matching);
            }
            if self.has_more {
                out.extend_from_slice(b",\"next\":");
                json::put_string(out, &self.last, self.style.dialect == Dialect::V2);
            }
            out.push(b'}');
        }
        out.push(b'}');
        self.end(out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if self.style.dialect == Dialect::V2 {
            out.push(b'\n');
        }
        self.stage = Stage::Done;
    }

    fn sort(&mut self) {
        let Sorted { places, matching } = sorted(&self.dir, &self.view, self.style.hidden);
        self.sorted = places.into();
        self.matching = matching;
        self.stage = Stage::PrintSorted;
    }

    /// Prints the next child of those that are in order.
    fn print_sorted(&mut self, out: &mut Vec<u8>) {
        let Some(place) = self.sorted.pop_front() else { return self.close_level(out) };
        let dir = self.dir.clone();
        if let Some((name, node)) = dir.children_from(place, self.style.hidden).next() {
            self.put_child(out, name, node);
        }
    }
}

impl Print for Page {
    fn fill(&mut self, out: &mut Vec<u8>, portion: Portion) {
        let mut visits = portion.visits;
        while visits > 0 && out.len() < portion.bytes {
            match self.stage {
                Stage::Sort => self.sort(),
                Stage::PrintSorted => {
                    visits -= 1;
                    self.print_sorted(out);
                }
                Stage::Print | Stage::Count => self.look_on(out, portion.bytes, &mut visits),
                Stage::Done => return,
            }
        }
    }

    fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }
}

#[cfg(test)]
mod tests;
