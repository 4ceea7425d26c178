//! The history in a snapshot's stream.

use super::source::Source;
use crate::event::{Action, Event};
use crate::history::History;
use crate::limits::Limits;
use crate::node::{Dir, File, Node};
use crate::path::is_node_path;
use crate::snapshot::{
    DIR, FILE, FROM_BEFORE, HAS_NODE, HAS_PREV, IN_TREE, OF_TREE, REFRESH, SAME_VALUE, VERSION_1,
    VERSION_2,
};
use crate::time::StoreIndex;
use std::io;
use std::sync::{Arc, Weak};

/// Reads the events, of which as many are kept as the limits allow.
pub(super) fn read(
    source: &mut Source<'_>,
    version: u8,
    root: &Dir,
    limits: &Limits,
) -> io::Result<History> {
    let cleared = StoreIndex(source.index()?);
    let mut history = History::after(cleared);
    let mut files = Files { root, version, numbered: Vec::new() };
    let mut last = cleared.max(StoreIndex(1));
    for _ in 0..source.number()? {
        let event = read_event(source, &mut files)?;
        if event.index < last {
            return Err(source.wrong("events are not in order"));
        }
        last = event.index;
        history.push(Arc::new(event), limits);
    }
    Ok(history)
}

fn read_event(source: &mut Source<'_>, files: &mut Files<'_>) -> io::Result<Event> {
    let action = Action::ALL.get(usize::from(source.byte()?)).copied();
    let action = action.ok_or_else(|| source.wrong("an event's action is unknown"))?;
    let flags = source.byte()?;
    if flags & !(HAS_NODE | HAS_PREV | REFRESH) != 0 {
        return Err(source.wrong("an event has unknown flags"));
    }
    let key: Box<str> = source.string()?;
    if !is_node_path(&key) {
        return Err(source.wrong("an event's key is not a clean path"));
    }
    let (index, created) = (StoreIndex(source.index()?), StoreIndex(source.index()?));
    if created > index {
        return Err(source.wrong("an event changes a node before it was made"));
    }
    let stamp = source.stamp()?;
    if files.version <= VERSION_2 {
        source.set_shown_with(Some(stamp.wall_offset));
    }
    let node = (flags & HAS_NODE != 0).then(|| files.read_node(source, &key)).transpose()?;
    let prev = (flags & HAS_PREV != 0).then(|| files.read_node(source, &key)).transpose()?;
    if node.is_some() == action.is_removal() {
        return Err(source.wrong("an event's node does not go with its action"));
    }
    Ok(Event { action, key, index, created, node, prev, stamp, refresh: flags & REFRESH != 0 })
}

/// A file that has a number. It is in memory only as long as its event is, or the tree holds it: a
/// short stream that names one long value over and over must not fill the memory with copies.
struct Numbered {
    /// The file whose value was in the stream.
    value_of: Arc<File>,
    file: Weak<File>,
    /// The same file without its value.
    fields: File,
}

impl Numbered {
    fn file(&self) -> Arc<File> {
        let again = || Arc::new(self.fields.with_value(self.value_of.value()));
        self.file.upgrade().unwrap_or_else(again)
    }
}

/// The files that events have shown so far.
struct Files<'a> {
    root: &'a Dir,
    version: u8,
    numbered: Vec<Numbered>,
}

impl Files<'_> {
    fn read_node(&mut self, source: &mut Source<'_>, key: &str) -> io::Result<Node> {
        let kind = source.byte()?;
        if self.version == VERSION_1 && matches!(kind, FROM_BEFORE | SAME_VALUE) {
            return Err(source.wrong("an event's node is of an unknown kind"));
        }
        let (file, value_of) = match kind {
            FILE => (Arc::new(source.file()?), None),
            DIR => return Ok(Node::Dir(Arc::new(source.dir()?))),
            IN_TREE => (self.in_tree(source, key)?, None),
            FROM_BEFORE => {
                let number = source.number()?;
                return Ok(Node::File(self.by_number(source, number)?.file()));
            }
            SAME_VALUE => {
                let fields = source.file_without_value()?;
                let value_of = match source.number()? {
                    OF_TREE => self.in_tree(source, key)?,
                    number => Arc::clone(&self.by_number(source, number)?.value_of),
                };
                (Arc::new(fields.with_value(value_of.value())), Some(value_of))
            }
            _ => return Err(source.wrong("an event's node is of an unknown kind")),
        };
        if self.version > VERSION_1 {
            self.numbered.push(Numbered {
                value_of: value_of.unwrap_or_else(|| Arc::clone(&file)),
                file: Arc::downgrade(&file),
                fields: file.with_value(""),
            });
        }
        Ok(Node::File(file))
    }

    fn in_tree(&self, source: &Source<'_>, key: &str) -> io::Result<Arc<File>> {
        match self.root.descendant(key) {
            Some(Node::File(file)) => Ok(Arc::clone(file)),
            _ => Err(source.wrong("an event names a file that is not there")),
        }
    }

    fn by_number(&self, source: &Source<'_>, number: u64) -> io::Result<&Numbered> {
        let at = number.checked_sub(1).and_then(|at| usize::try_from(at).ok());
        let found = at.and_then(|at| self.numbered.get(at));
        found.ok_or_else(|| source.wrong("an event names a file that was not before it"))
    }
}
