//! The store as a stream of bytes: the format, and writing it. Reading is in `load.rs`.
//!
//! ```text
//! version u8 | index, time, wall offset (zigzag), 13 counters
//! | the root's children | end
//! | index of the last event that is no longer kept | event count | event, ...
//!
//! child:  1 file: name, node fields, value      2 directory: name, node fields, children, end
//! end:    0
//! node fields: created, modified, deadline (0: permanent, else one more than the deadline)
//! event:  action u8 | flags u8 | key | index | created | time | wall offset | [node] | [prev]
//! node or prev in an event: 1 file: fields, value   2 directory: fields   3 the file in the tree
//! ```
//! Numbers are LEB128, texts have their length in front. Names come in byte order. The bytes depend
//! on the state alone, so equal members write equal snapshots. Nothing here is recursive, and no
//! more than one piece is held in memory.

use crate::codec;
use crate::event::Event;
use crate::node::Node;
use crate::stats::StoreStats;
use crate::store::StoreSnapshot;
use crate::time::{Stamp, StoreIndex};
use crate::tree::Iter;
use std::io::{self, Write};

pub(crate) const VERSION: u8 = 1;

pub(crate) const END: u8 = 0;
pub(crate) const FILE: u8 = 1;
pub(crate) const DIR: u8 = 2;
pub(crate) const IN_TREE: u8 = 3;

pub(crate) const HAS_NODE: u8 = 1;
pub(crate) const HAS_PREV: u8 = 2;
pub(crate) const REFRESH: u8 = 4;

/// Bytes gathered before they are passed on, and read at once.
pub(crate) const PIECE_BYTES: usize = 64 << 10;

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
        for event in self.history.iter() {
            self.put_event(&mut buf, event);
            pass_on(&mut buf, out, PIECE_BYTES)?;
        }
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

    fn put_event(&self, buf: &mut Vec<u8>, event: &Event) {
        buf.push(event.action.number());
        let mut flags = 0;
        for (is_set, flag) in [
            (event.node.is_some(), HAS_NODE),
            (event.prev.is_some(), HAS_PREV),
            (event.refresh, REFRESH),
        ] {
            flags |= if is_set { flag } else { 0 };
        }
        buf.push(flags);
        codec::put_text(buf, &event.key);
        codec::put_number(buf, event.index.0);
        codec::put_number(buf, event.created.0);
        put_stamp(buf, event.stamp);
        if let Some(node) = &event.node {
            let in_tree = self.root.descendant(&event.key).is_some_and(|held| held.is_same(node));
            if in_tree { buf.push(IN_TREE) } else { put_node(buf, node) }
        }
        if let Some(prev) = &event.prev {
            put_node(buf, prev);
        }
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
    codec::put_number(buf, node.deadline().map_or(0, |deadline| deadline.0 + 1));
}

fn put_node(buf: &mut Vec<u8>, node: &Node) {
    buf.push(if node.is_dir() { DIR } else { FILE });
    put_fields(buf, node);
    if let Some(value) = node.value() {
        codec::put_text(buf, value);
    }
}
