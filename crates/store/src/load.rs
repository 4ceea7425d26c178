//! Reading a store back from the stream that `snapshot.rs` describes.
//!
//! The stream may come from a damaged disk or from another member, so nothing in it is believed:
//! every field is checked, memory is taken as bytes arrive and not as a length promises, and an
//! error says at which byte it met what. Pages of the tree are built from the sorted names without
//! looking anything up.

use crate::codec;
use crate::event::{Action, Event};
use crate::expiry::Expiry;
use crate::history::History;
use crate::limits::Limits;
use crate::name::Name;
use crate::node::{Dir, File, Node};
use crate::path::{KeyPath, PathError};
use crate::snapshot::{DIR, END, FILE, HAS_NODE, HAS_PREV, IN_TREE, PIECE_BYTES, REFRESH, VERSION};
use crate::stats::{Counter, StoreStats};
use crate::store::Store;
use crate::time::{Stamp, StoreIndex, Timestamp, WallOffset};
use crate::tree::Builder;
use std::io::{self, Read};
use std::sync::Arc;

/// No text in a store is longer: a value is bounded by the largest request.
const TEXT_BYTES_MAX: u64 = 1 << 30;

/// The deepest node that a command can make: an in-order key in the deepest directory.
const DEPTH_MAX: usize = crate::path::DEPTH_MAX + 1;

/// The longest LEB128 number.
const NUMBER_BYTES_MAX: usize = 10;

/// Reads the stream piece by piece.
struct Source<'a> {
    input: &'a mut dyn Read,
    buf: Vec<u8>,
    at: usize,
    /// Bytes before those in `buf`.
    passed: u64,
    /// The store's index: no index in the stream is larger.
    index: u64,
}

impl Source<'_> {
    fn wrong(&self, detail: &str) -> io::Error {
        let at = self.passed + self.at as u64;
        let text = format!("the store's snapshot is wrong at byte {at}: {detail}");
        io::Error::new(io::ErrorKind::InvalidData, text)
    }

    /// Reads the next piece; says whether there was one.
    fn refill(&mut self) -> io::Result<bool> {
        self.passed += self.buf.len() as u64;
        self.at = 0;
        self.buf.resize(PIECE_BYTES, 0);
        let read = loop {
            match self.input.read(&mut self.buf) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        self.buf.truncate(*read.as_ref().unwrap_or(&0));
        Ok(read? > 0)
    }

    fn need_bytes(&mut self) -> io::Result<()> {
        if self.at == self.buf.len() && !self.refill()? {
            return Err(self.wrong("it ends too early"));
        }
        Ok(())
    }

    fn byte(&mut self) -> io::Result<u8> {
        self.need_bytes()?;
        let byte = self.buf.get(self.at).copied().unwrap_or_default();
        self.at += 1;
        Ok(byte)
    }

    fn number(&mut self) -> io::Result<u64> {
        let ready = self.buf.get(self.at..).unwrap_or_default();
        let mut bytes = [0; NUMBER_BYTES_MAX];
        if let Some(mut rest) = ready.get(..NUMBER_BYTES_MAX) {
            let number = codec::take_number(&mut rest);
            self.at += NUMBER_BYTES_MAX - rest.len();
            return number.map_err(|_| self.wrong("a number is not one"));
        }
        let mut len = 0;
        for slot in &mut bytes {
            *slot = self.byte()?;
            len += 1;
            if *slot & 0x80 == 0 {
                break;
            }
        }
        let mut bytes = bytes.get(..len).unwrap_or_default();
        codec::take_number(&mut bytes).map_err(|_| self.wrong("a number is not one"))
    }

    fn text<T: for<'t> From<&'t str>>(&mut self) -> io::Result<T> {
        let len = self.number()?;
        if len > TEXT_BYTES_MAX {
            return Err(self.wrong("a text is too long"));
        }
        let len = usize::try_from(len).map_err(io::Error::other)?;
        if let Some(bytes) = self.buf.get(self.at..self.at + len) {
            let text = str::from_utf8(bytes).map(T::from);
            self.at += len;
            return text.map_err(|_| self.wrong("a text is not UTF-8"));
        }
        let mut bytes = Vec::new();
        while bytes.len() < len {
            self.need_bytes()?;
            let ready = self.buf.get(self.at..).unwrap_or_default();
            let taken = ready.get(..len - bytes.len()).unwrap_or(ready);
            bytes.extend_from_slice(taken);
            self.at += taken.len();
        }
        let text = str::from_utf8(&bytes).map_err(|_| self.wrong("a text is not UTF-8"))?;
        Ok(T::from(text))
    }

    fn index(&mut self) -> io::Result<u64> {
        let index = self.number()?;
        if index > self.index {
            return Err(self.wrong("an index is larger than the store's"));
        }
        Ok(index)
    }

    fn stamp(&mut self) -> io::Result<Stamp> {
        let time = Timestamp(self.number()?);
        Ok(Stamp { time, wall_offset: WallOffset(codec::unzigzag(self.number()?)) })
    }

    fn fields(&mut self) -> io::Result<(u64, u64, Option<Timestamp>)> {
        let (created, modified, deadline) = (self.index()?, self.index()?, self.number()?);
        if created > modified {
            return Err(self.wrong("a node was changed before it was made"));
        }
        Ok((created, modified, deadline.checked_sub(1).map(Timestamp)))
    }

    fn file(&mut self) -> io::Result<Node> {
        let (created, modified, deadline) = self.fields()?;
        let value: Box<str> = self.text()?;
        Ok(Node::File(Arc::new(File::new(created, modified, deadline, value))))
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
    name: Name,
    dir: Dir,
    children: Builder<Node>,
}

/// Puts the tree together.
struct TreeReader {
    open: Vec<Open>,
    /// The path of the innermost directory; empty for the root.
    path: String,
    expiry: Expiry,
}

impl TreeReader {
    fn read(source: &mut Source<'_>) -> io::Result<(Dir, Expiry)> {
        let root =
            Open { name: Name::default(), dir: Dir::new(0, 0, None), children: Builder::default() };
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
                    reader.path.push('/');
                    reader.path.push_str(name.as_str());
                    reader.open.push(Open { name, dir, children: Builder::default() });
                }
                _ => return Err(source.wrong("a node is of an unknown kind")),
            }
        }
    }

    fn name(&self, source: &mut Source<'_>) -> io::Result<Name> {
        let name: Name = source.text()?;
        let bytes = name.as_bytes();
        if matches!(bytes, b"" | b"." | b"..") || bytes.contains(&b'/') {
            return Err(source.wrong("a name is not one"));
        }
        let last = self.open.last().and_then(|open| open.children.last());
        if last.is_some_and(|last| last.as_bytes() >= bytes) {
            return Err(source.wrong("names are not in order"));
        }
        if self.open.len() > DEPTH_MAX {
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

fn read_event(source: &mut Source<'_>, root: &Dir) -> io::Result<Event> {
    let action = Action::ALL.get(usize::from(source.byte()?)).copied();
    let action = action.ok_or_else(|| source.wrong("an event's action is unknown"))?;
    let flags = source.byte()?;
    if flags & !(HAS_NODE | HAS_PREV | REFRESH) != 0 {
        return Err(source.wrong("an event has unknown flags"));
    }
    let key: Box<str> = source.text()?;
    // An in-order key may be one deeper than a path that clients may ask for.
    let parsed = KeyPath::parse(&key);
    let is_clean = match parsed {
        Ok(path) => !path.is_root(),
        Err(PathError::TooDeep) => key.matches('/').count() <= DEPTH_MAX,
        Err(PathError::NotClean) => false,
    };
    if !is_clean {
        return Err(source.wrong("an event's key is not a clean path"));
    }
    let (index, created) = (StoreIndex(source.index()?), StoreIndex(source.index()?));
    if created > index {
        return Err(source.wrong("an event changes a node before it was made"));
    }
    let stamp = source.stamp()?;
    let node = (flags & HAS_NODE != 0).then(|| read_node(source, root, &key)).transpose()?;
    let prev = (flags & HAS_PREV != 0).then(|| read_node(source, root, &key)).transpose()?;
    if node.is_some() == action.is_removal() {
        return Err(source.wrong("an event's node does not go with its action"));
    }
    Ok(Event { action, key, index, created, node, prev, stamp, refresh: flags & REFRESH != 0 })
}

fn read_node(source: &mut Source<'_>, root: &Dir, key: &str) -> io::Result<Node> {
    match source.byte()? {
        FILE => source.file(),
        DIR => Ok(Node::Dir(Arc::new(source.dir()?))),
        IN_TREE => match root.descendant(key) {
            Some(node @ Node::File(_)) => Ok(node.clone()),
            _ => Err(source.wrong("an event names a file that is not there")),
        },
        _ => Err(source.wrong("an event's node is of an unknown kind")),
    }
}

fn read_history(source: &mut Source<'_>, root: &Dir, limits: &Limits) -> io::Result<History> {
    let cleared = StoreIndex(source.index()?);
    let mut history = History::after(cleared);
    let mut last = cleared.max(StoreIndex(1));
    for _ in 0..source.number()? {
        let event = read_event(source, root)?;
        if event.index < last {
            return Err(source.wrong("events are not in order"));
        }
        last = event.index;
        history.push(Arc::new(event), limits);
    }
    Ok(history)
}

impl Store {
    /// Rebuilds a store from what [`crate::StoreSnapshot::write`] wrote, up to the end of `input`.
    ///
    /// # Errors
    /// `InvalidData` with what is wrong, or what `input` gave.
    pub fn load(input: &mut dyn Read, limits: Limits) -> io::Result<Self> {
        let mut source = Source { input, buf: Vec::new(), at: 0, passed: 0, index: u64::MAX };
        let version = source.byte()?;
        if version != VERSION {
            return Err(source.wrong(&format!("its version {version} is unknown")));
        }
        source.index = source.number()?;
        let stamp = source.stamp()?;
        let stats = source.stats()?;
        let (root, expiry) = TreeReader::read(&mut source)?;
        let history = read_history(&mut source, &root, &limits)?;
        if source.at < source.buf.len() || source.refill()? {
            return Err(source.wrong("it goes on where it should end"));
        }
        let mut store = Store::new(limits);
        store.root = Arc::new(root);
        store.index = source.index;
        store.stamp = stamp;
        store.stats = stats;
        store.history = history;
        store.expiry = expiry;
        Ok(store)
    }
}
