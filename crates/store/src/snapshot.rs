//! The store as a stream of bytes: the format, and writing it. Reading is in `load.rs`.
//!
//! ```text
//! version u8 | index, time, wall offset (zigzag), 13 counters
//! | the root's children | end
//! | index of the last event that is no longer kept | event count | event, ...
//! | section, ... | end
//!
//! child:  1 file: name, node fields, value      2 directory: name, node fields, children, end
//! end:    0
//! section: its kind u8, which is not 0, and its content: 1 users and roles (auth/codec.rs)
//! node fields: created, modified, deadline (0: permanent, else one more than the deadline and
//!              then the wall offset, zigzag)
//! event:  action u8 | flags u8 | key | index | created | time | wall offset | [node] | [prev]
//! node or prev in an event:
//!         1 file: fields, value                 2 directory: fields
//!         3 the file in the tree                4 a file from before: its number
//!         5 file: fields, the number of the file from before that has the same value, or 0 for
//!           that of the file in the tree
//! ```
//! Numbers are LEB128, strings have their length in front. Names come in byte order. The files of
//! events are numbered from one in the order in which they stand here, but for those of kind 4.
//!
//! The history adds each value once, and none that its key has now: the node of one event is the
//! previous node of the next one of its key, and many writes put what was there already. Version 1
//! had kinds 1 to 3 only, and so the value of each change twice. Up to version 2 nodes had no wall
//! offset: they get the one that they were shown with, which is that of the stream or the event.
//! Nor were there sections, nor an end behind them.
//!
//! The bytes depend on the state alone, so equal members write equal snapshots. Nothing here is
//! recursive, and no more than one piece is held in memory, beside a reference to each file of the
//! history.

use crate::auth::Auth;
use crate::codec;
use crate::event::Event;
use crate::node::{Dir, File, Node};
use crate::stats::StoreStats;
use crate::store::StoreSnapshot;
use crate::time::{Stamp, StoreIndex};
use crate::tree::Iter;
use std::collections::BTreeMap;
use std::io::{self, Write};

pub(crate) const VERSION: u8 = 3;

/// What release 0.1 wrote.
pub(crate) const VERSION_1: u8 = 1;

/// What came between: deadlines without wall offsets.
pub(crate) const VERSION_2: u8 = 2;

/// The kind of the section with users and roles; there is none while there are none.
pub(crate) const USERS: u8 = 1;

pub(crate) const END: u8 = 0;
pub(crate) const FILE: u8 = 1;
pub(crate) const DIR: u8 = 2;
pub(crate) const IN_TREE: u8 = 3;
pub(crate) const FROM_BEFORE: u8 = 4;
pub(crate) const SAME_VALUE: u8 = 5;

/// The number that stands for the file in the tree.
pub(crate) const OF_TREE: u64 = 0;

pub(crate) const HAS_NODE: u8 = 1;
pub(crate) const HAS_PREV: u8 = 2;
pub(crate) const REFRESH: u8 = 4;

/// Bytes gathered before they are passed on, and read at once.
pub(crate) const PIECE_BYTES: usize = 64 << 10;

/// No string in a store is longer: a value is bounded by the largest request.
pub(crate) const STRING_BYTES_MAX: u64 = 1 << 30;

/// Shorter values are written out each time. The number of a file may take three bytes, and finding
/// it takes an entry in memory for each value.
const SAME_VALUE_BYTES_MIN: usize = 32;

fn counters(stats: &StoreStats) -> [u64; 13] {
    let pairs = [
        stats.sets,
        stats.deletes,
        stats.updates,
        stats.creates,
        stats.compare_and_swaps,
        stats.compare_and_deletes,
    ];
    let mut out = [0; 13];
    for (slot, number) in out.iter_mut().zip(pairs.iter().flat_map(|c| [c.success, c.fail])) {
        *slot = number;
    }
    out[12] = stats.expire_count;
    out
}

impl StoreSnapshot {
    /// Writes the snapshot, in pieces of some 64 KiB.
    ///
    /// # Errors
    /// What `out` gave.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut buf = vec![VERSION];
        codec::put_number(&mut buf, self.index);
        put_stamp(&mut buf, self.stamp);
        for number in counters(&self.stats) {
            codec::put_number(&mut buf, number);
        }
        self.write_tree(&mut buf, out)?;
        codec::put_number(&mut buf, self.history.cleared().0);
        codec::put_number(&mut buf, self.history.len() as u64);
        let mut events = EventWriter::new(&self.root);
        for event in self.history.iter() {
            events.put(&mut buf, event);
            pass_on(&mut buf, out, PIECE_BYTES)?;
        }
        if *self.auth != Auth::default() {
            buf.push(USERS);
            self.auth.encode(&mut buf);
        }
        buf.push(END);
        pass_on(&mut buf, out, 0)
    }

    /// The store index at which it was taken.
    pub fn index(&self) -> StoreIndex {
        StoreIndex(self.index)
    }

    fn write_tree(&self, buf: &mut Vec<u8>, out: &mut dyn Write) -> io::Result<()> {
        let mut open: Vec<Iter<'_, Node>> = vec![self.root.children.iter()];
        while let Some(children) = open.last_mut() {
            let Some(entry) = children.next() else {
                buf.push(END);
                open.pop();
                continue;
            };
            buf.push(if entry.value.is_dir() { DIR } else { FILE });
            codec::put_text(buf, entry.name.as_str());
            put_fields(buf, &entry.value);
            match &entry.value {
                Node::File(_) => codec::put_text(buf, entry.value.value().unwrap_or_default()),
                Node::Dir(dir) => open.push(dir.children.iter()),
            }
            pass_on(buf, out, PIECE_BYTES)?;
        }
        Ok(())
    }
}

/// Writes events, and knows which files and values are in the stream already.
struct EventWriter<'a> {
    root: &'a Dir,
    /// How many files have a number.
    numbered: u64,
    /// The first file with each value.
    values: BTreeMap<&'a str, u64>,
    /// The file that the last event of each key left there.
    latest: BTreeMap<&'a str, (u64, &'a File)>,
}

impl<'a> EventWriter<'a> {
    fn new(root: &'a Dir) -> Self {
        Self { root, numbered: OF_TREE, values: BTreeMap::new(), latest: BTreeMap::new() }
    }

    fn put(&mut self, buf: &mut Vec<u8>, event: &'a Event) {
        let mut flags = 0;
        for (is_set, flag) in [
            (event.node.is_some(), HAS_NODE),
            (event.prev.is_some(), HAS_PREV),
            (event.refresh, REFRESH),
        ] {
            flags |= if is_set { flag } else { 0 };
        }
        buf.extend_from_slice(&[event.action.number(), flags]);
        codec::put_text(buf, &event.key);
        codec::put_number(buf, event.index.0);
        codec::put_number(buf, event.created.0);
        put_stamp(buf, event.stamp);
        let before = self.latest.remove(&*event.key);
        if let Some(node) = &event.node {
            let file = self.put_node(buf, &event.key, node);
            self.latest.extend(file.map(|file| (&*event.key, file)));
        }
        match (&event.prev, before) {
            (Some(Node::File(prev)), Some((number, file))) if **prev == *file => {
                buf.push(FROM_BEFORE);
                codec::put_number(buf, number);
            }
            (Some(prev), _) => {
                self.put_node(buf, &event.key, prev);
            }
            (None, _) => {}
        }
    }

    /// Writes the node of an event; gives the file and its number, if it is one.
    fn put_node(
        &mut self,
        buf: &mut Vec<u8>,
        key: &str,
        node: &'a Node,
    ) -> Option<(u64, &'a File)> {
        let Node::File(file) = node else {
            buf.push(DIR);
            put_fields(buf, node);
            return None;
        };
        self.numbered += 1;
        let number = self.numbered;
        let in_tree = match self.root.descendant(key) {
            Some(Node::File(held)) => Some(held),
            _ => None,
        };
        if in_tree.is_some_and(|held| **held == **file) {
            buf.push(IN_TREE);
            return Some((number, file));
        }
        match self.same_value(in_tree.map(|held| &**held), file) {
            Some(known) => {
                buf.push(SAME_VALUE);
                put_fields(buf, node);
                codec::put_number(buf, known);
            }
            None => {
                buf.push(FILE);
                put_fields(buf, node);
                codec::put_text(buf, file.value());
                if file.value().len() >= SAME_VALUE_BYTES_MIN {
                    self.values.insert(file.value(), number);
                }
            }
        }
        Some((number, file))
    }

    /// The number of a file in the stream with the same value.
    fn same_value(&self, in_tree: Option<&File>, file: &File) -> Option<u64> {
        if file.value().len() < SAME_VALUE_BYTES_MIN {
            return None;
        }
        if in_tree.is_some_and(|held| held.value() == file.value()) {
            return Some(OF_TREE);
        }
        self.values.get(file.value()).copied()
    }
}

fn pass_on(buf: &mut Vec<u8>, out: &mut dyn Write, at_least: usize) -> io::Result<()> {
    if buf.len() >= at_least {
        out.write_all(buf)?;
        buf.clear();
    }
    Ok(())
}

fn put_stamp(buf: &mut Vec<u8>, stamp: Stamp) {
    codec::put_number(buf, stamp.time.0);
    codec::put_number(buf, codec::zigzag(stamp.wall_offset.0));
}

fn put_fields(buf: &mut Vec<u8>, node: &Node) {
    codec::put_number(buf, node.created().0);
    codec::put_number(buf, node.modified().0);
    match node.lease() {
        None => codec::put_number(buf, 0),
        Some(lease) => {
            codec::put_number(buf, lease.deadline.0 + 1);
            codec::put_number(buf, codec::zigzag(lease.wall_offset.0));
        }
    }
}
