//! The store as a stream of bytes.
//!
//! ```text
//! version u8 | index, time, wall offset (zigzag), 13 counters
//! | the root's children | end
//! | event count | event, ...
//!
//! child:  1 file: name, node fields, value      2 directory: name, node fields, children, end
//! end:    0
//! node fields: created, modified, deadline (0: permanent)
//! event:  action u8 | flags u8 | key | index | created | time | wall offset | [node] | [prev]
//! node or prev in an event: 1 file: fields, value   2 directory: fields   3 the file in the tree
//! ```
//! Numbers are LEB128, texts have their length in front. Names come in byte order, which is checked, so
//! that pages are built without looking anything up. Nothing here is recursive.

use crate::codec;
use crate::expiry::Expiry;
use crate::history::History;
use crate::node::{Dir, File};
use crate::tree::{Entry, Iter, Tree};
use crate::{
    Action, Counter, Event, KeyPath, Limits, Node, Stamp, Store, StoreIndex, StoreSnapshot,
    StoreStats, Timestamp, WallOffset,
};
use std::io::{self, Read, Write};
use std::sync::Arc;

const VERSION: u8 = 1;

const END: u8 = 0;
const FILE: u8 = 1;
const DIR: u8 = 2;
const IN_TREE: u8 = 3;

const HAS_NODE: u8 = 1;
const HAS_PREV: u8 = 2;
const REFRESH: u8 = 4;

/// Bytes gathered before they are passed on.
const PIECE_BYTES: usize = 64 << 10;

/// No text in a store is longer: a value is bounded by the largest request.
const TEXT_BYTES_MAX: u64 = 1 << 30;

/// The deepest directory that a command can make.
const DEPTH_MAX: usize = crate::path::DEPTH_MAX + 1;

const ACTIONS: [Action; 7] = [
    Action::Set,
    Action::Create,
    Action::Update,
    Action::CompareAndSwap,
    Action::Delete,
    Action::CompareAndDelete,
    Action::Expire,
];

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
        let mut open: Vec<Iter<'_>> = vec![self.root.children.iter()];
        while let Some(children) = open.last_mut() {
            let Some(entry) = children.next() else {
                buf.push(END);
                open.pop();
                continue;
            };
            buf.push(if entry.node.is_dir() { DIR } else { FILE });
            codec::put_text(buf, &entry.name);
            put_fields(buf, &entry.node);
            match &entry.node {
                Node::File(_) => codec::put_text(buf, entry.node.value().unwrap_or_default()),
                Node::Dir(dir) => open.push(dir.children.iter()),
            }
            pass_on(buf, out, PIECE_BYTES)?;
        }
        Ok(())
    }

    fn put_event(&self, buf: &mut Vec<u8>, event: &Event) {
        let action = ACTIONS.iter().position(|action| *action == event.action);
        buf.push(action.and_then(|at| u8::try_from(at).ok()).unwrap_or(u8::MAX));
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
    codec::put_number(buf, node.deadline().map_or(0, |deadline| deadline.0));
}

fn put_node(buf: &mut Vec<u8>, node: &Node) {
    buf.push(if node.is_dir() { DIR } else { FILE });
    put_fields(buf, node);
    if let Some(value) = node.value() {
        codec::put_text(buf, value);
    }
}

fn invalid(detail: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the store's snapshot is wrong: {detail}"))
}

/// Reads the stream piece by piece.
struct Source<'a> {
    input: &'a mut dyn Read,
    buf: Vec<u8>,
    at: usize,
}

impl Source<'_> {
    fn byte(&mut self) -> io::Result<u8> {
        if self.at == self.buf.len() {
            self.refill()?;
        }
        let byte = self.buf.get(self.at).copied();
        self.at += 1;
        byte.ok_or_else(|| invalid("it ends too early"))
    }

    fn refill(&mut self) -> io::Result<()> {
        self.buf.resize(PIECE_BYTES, 0);
        self.at = 0;
        let read = self.input.read(&mut self.buf)?;
        self.buf.truncate(read);
        if read == 0 { Err(invalid("it ends too early")) } else { Ok(()) }
    }

    fn number(&mut self) -> io::Result<u64> {
        let mut bytes = [0; 10];
        let mut len = 0;
        for slot in &mut bytes {
            *slot = self.byte()?;
            len += 1;
            if *slot & 0x80 == 0 {
                break;
            }
        }
        let mut bytes = bytes.get(..len).unwrap_or_default();
        codec::take_number(&mut bytes).map_err(|_| invalid("a number is too large"))
    }

    fn text(&mut self) -> io::Result<Box<str>> {
        let len = self.number()?;
        if len > TEXT_BYTES_MAX {
            return Err(invalid("a text is too long"));
        }
        let len = usize::try_from(len).map_err(io::Error::other)?;
        // Memory is taken as bytes arrive, not as a damaged length promises.
        let mut bytes = Vec::with_capacity(len.min(PIECE_BYTES));
        while bytes.len() < len {
            if self.at == self.buf.len() {
                self.refill()?;
            }
            let ready = self.buf.get(self.at..).unwrap_or_default();
            let taken = ready.get(..len - bytes.len()).unwrap_or(ready);
            bytes.extend_from_slice(taken);
            self.at += taken.len();
        }
        let text = String::from_utf8(bytes).map_err(|_| invalid("a text is not UTF-8"))?;
        Ok(text.into_boxed_str())
    }

    fn stamp(&mut self) -> io::Result<Stamp> {
        let time = Timestamp(self.number()?);
        Ok(Stamp { time, wall_offset: WallOffset(codec::unzigzag(self.number()?)) })
    }

    fn fields(&mut self) -> io::Result<(u64, u64, Option<Timestamp>)> {
        let (created, modified, deadline) = (self.number()?, self.number()?, self.number()?);
        Ok((created, modified, (deadline != 0).then_some(Timestamp(deadline))))
    }

    fn file(&mut self) -> io::Result<Node> {
        let (created, modified, deadline) = self.fields()?;
        let value = self.text()?;
        Ok(Node::File(Arc::new(File::new(created, modified, deadline, &value))))
    }

    fn dir(&mut self) -> io::Result<Dir> {
        let (created, modified, deadline) = self.fields()?;
        Ok(Dir::new(created, modified, deadline))
    }

    fn stats(&mut self) -> io::Result<StoreStats> {
        let mut pair = || -> io::Result<Counter> {
            Ok(Counter { success: self.number()?, fail: self.number()? })
        };
        let mut stats = StoreStats {
            sets: pair()?,
            deletes: pair()?,
            updates: pair()?,
            creates: pair()?,
            compare_and_swaps: pair()?,
            compare_and_deletes: pair()?,
            ..StoreStats::default()
        };
        stats.expire_count = self.number()?;
        Ok(stats)
    }
}

/// A directory whose children are being read.
struct Open {
    name: Box<str>,
    dir: Dir,
    children: Vec<Entry>,
    /// How long the path is with this directory's name.
    path_len: usize,
}

/// Puts the tree together.
struct TreeReader {
    open: Vec<Open>,
    path: String,
    expiry: Expiry,
}

impl TreeReader {
    fn read(source: &mut Source<'_>) -> io::Result<(Dir, Expiry)> {
        let root = Open {
            name: Box::default(),
            dir: Dir::new(0, 0, None),
            children: Vec::new(),
            path_len: 0,
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
                    let node = source.file()?;
                    reader.add(name, node);
                }
                DIR => {
                    let name = reader.name(source)?;
                    let dir = source.dir()?;
                    reader.descend(name, dir)?;
                }
                _ => return Err(invalid("a node is of an unknown kind")),
            }
        }
    }

    fn name(&self, source: &mut Source<'_>) -> io::Result<Box<str>> {
        let name = source.text()?;
        if matches!(&*name, "" | "." | "..") || name.contains('/') {
            return Err(invalid("a name is not one"));
        }
        let siblings = self.open.last().map(|open| open.children.as_slice()).unwrap_or_default();
        if siblings.last().is_some_and(|last| *last.name >= *name) {
            return Err(invalid("names are not in order"));
        }
        Ok(name)
    }

    fn add(&mut self, name: Box<str>, node: Node) {
        if let Some(deadline) = node.deadline() {
            let len = self.path.len();
            self.path.push('/');
            self.path.push_str(&name);
            self.expiry.set(&self.path, Some(deadline));
            self.path.truncate(len);
        }
        if let Some(open) = self.open.last_mut() {
            open.children.push(Entry { name, node });
        }
    }

    fn descend(&mut self, name: Box<str>, dir: Dir) -> io::Result<()> {
        if self.open.len() > DEPTH_MAX {
            return Err(invalid("directories are nested too deeply"));
        }
        self.path.push('/');
        self.path.push_str(&name);
        let path_len = self.path.len();
        self.open.push(Open { name, dir, children: Vec::new(), path_len });
        Ok(())
    }

    /// Ends the innermost directory; gives it when it is the root.
    fn close(&mut self) -> Option<Dir> {
        let mut done = self.open.pop()?;
        done.dir.children = Tree::from_sorted(done.children);
        if self.open.is_empty() {
            return Some(done.dir);
        }
        self.path.truncate(done.path_len - done.name.len() - 1);
        self.add(done.name, Node::Dir(Arc::new(done.dir)));
        None
    }
}

fn read_event(source: &mut Source<'_>, root: &Dir) -> io::Result<Event> {
    let action = ACTIONS.get(usize::from(source.byte()?));
    let action = *action.ok_or_else(|| invalid("an event's action is unknown"))?;
    let flags = source.byte()?;
    let key = source.text()?;
    KeyPath::parse(&key).map_err(|_| invalid("an event's key is not clean"))?;
    let index = StoreIndex(source.number()?);
    let created = StoreIndex(source.number()?);
    let stamp = source.stamp()?;
    let node = (flags & HAS_NODE != 0).then(|| read_node(source, root, &key)).transpose()?;
    let prev = (flags & HAS_PREV != 0).then(|| read_node(source, root, &key)).transpose()?;
    Ok(Event { action, key, index, created, node, prev, stamp, refresh: flags & REFRESH != 0 })
}

fn read_node(source: &mut Source<'_>, root: &Dir, key: &str) -> io::Result<Node> {
    match source.byte()? {
        FILE => source.file(),
        DIR => Ok(Node::Dir(Arc::new(source.dir()?))),
        IN_TREE => match root.descendant(key) {
            Some(node @ Node::File(_)) => Ok(node.clone()),
            _ => Err(invalid("an event names a file that is not there")),
        },
        _ => Err(invalid("an event's node is of an unknown kind")),
    }
}

impl Store {
    /// Rebuilds a store from what [`StoreSnapshot::write`] wrote.
    ///
    /// # Errors
    /// `InvalidData` with what is wrong, or what `input` gave.
    pub fn load(input: &mut dyn Read, limits: Limits) -> io::Result<Self> {
        let mut source = Source { input, buf: Vec::new(), at: 0 };
        let version = source.byte()?;
        if version != VERSION {
            return Err(invalid(&format!("its version {version} is unknown")));
        }
        let index = source.number()?;
        let stamp = source.stamp()?;
        let stats = source.stats()?;
        let (root, expiry) = TreeReader::read(&mut source)?;
        let mut history = History::default();
        let mut last = 0;
        for _ in 0..source.number()? {
            let event = read_event(&mut source, &root)?;
            if event.index.0 < last || event.index.0 > index {
                return Err(invalid("events are not in order"));
            }
            last = event.index.0;
            history.push(Arc::new(event), &limits);
        }
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
