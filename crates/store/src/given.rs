//! A store that is made of nodes which another server gave, with the indexes that they had there.
//!
//! Nodes are added one by one, and what comes out is a store whose history is empty: a watch from
//! an index up to its own gets error 401. [`Store::recall`] then gives it past events, so that such
//! a watch goes on. Nothing that is given is believed.

use crate::auth::{Auth, GivenUser, Rights};
use crate::command::INDEX_RAISED_MAX;
use crate::event::{Action, Event};
use crate::growth::Growth;
use crate::history::History;
use crate::limits::Limits;
use crate::name::Name;
use crate::node::{Dir, File, Node};
use crate::path::is_node_path;
use crate::snapshot::STRING_BYTES_MAX;
use crate::store::Store;
use crate::time::{Stamp, StoreIndex, Timestamp};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A node as it was on another server, without its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenNode {
    /// The value of a file; nothing for a directory.
    pub value: Option<String>,
    /// Index of the write that made it.
    pub created: StoreIndex,
    /// Index of the write that changed it last.
    pub modified: StoreIndex,
    /// When it expires, on the clock of the store's stamp; nothing if it is permanent.
    pub deadline: Option<Timestamp>,
}

/// A past change on another server. The fields mean what those of [`Event`] mean; when it happened
/// is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct GivenEvent {
    pub action: Action,
    pub key: String,
    pub index: StoreIndex,
    pub created: StoreIndex,
    pub node: Option<GivenNode>,
    pub prev: Option<GivenNode>,
    pub refresh: bool,
}

/// Why something that was given cannot be: a sentence that names the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenError(String);

/// Characters of a key in a message.
const KEY_SHOWN_MAX: usize = 100;

impl GivenError {
    fn of(key: &str, detail: &str) -> Self {
        let shown: String = key.chars().take(KEY_SHOWN_MAX).collect();
        let dots = if shown.len() < key.len() { "..." } else { "" };
        Self(format!("{}{dots}: {detail}", shown.escape_debug()))
    }
}

impl fmt::Display for GivenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for GivenError {}

/// Puts a store together from nodes. After an error it is of no more use.
pub struct StoreBuilder {
    index: u64,
    stamp: Stamp,
    limits: Limits,
    growth: Growth,
    auth: Auth,
}

impl StoreBuilder {
    /// Begins with no nodes. The store's next change gets the index after `index`; `stamp` is the
    /// time on the clock that all deadlines are on.
    ///
    /// # Errors
    /// [`GivenError`] when the index is above [`INDEX_RAISED_MAX`]: too few would be left.
    pub fn new(index: StoreIndex, stamp: Stamp, limits: Limits) -> Result<Self, GivenError> {
        if index.0 > INDEX_RAISED_MAX {
            let text = format!("the index {} is above {INDEX_RAISED_MAX}", index.0);
            return Err(GivenError(text));
        }
        Ok(Self { index: index.0, stamp, limits, growth: Growth::new(), auth: Auth::default() })
    }

    /// Gives the store users and roles, and says whether they count. Each user gets an id of its
    /// own, which no later user will have: those begin above the store's index.
    ///
    /// # Errors
    /// [`GivenError`] when a name comes twice, when there are more users than indexes or more of
    /// all than there is room for, and when users are to count while there is no `root`.
    pub fn set_users(
        &mut self,
        is_enabled: bool,
        users: Vec<GivenUser>,
        roles: Vec<(String, Rights)>,
    ) -> Result<(), GivenError> {
        self.auth = Auth::given(is_enabled, users, roles, StoreIndex(self.index))
            .map_err(|(name, detail)| GivenError::of(&name, detail))?;
        Ok(())
    }

    /// Adds a node. They come in the order of a walk: each directory before all that is in it, and
    /// names in the order of their bytes.
    ///
    /// # Errors
    /// [`GivenError`] when the key is not clean, too deep or too long, comes twice or out of order,
    /// when its directory was not given, or when its indexes cannot be.
    pub fn add(&mut self, key: &str, node: GivenNode) -> Result<(), GivenError> {
        let wrong = |detail| GivenError::of(key, detail);
        check_key(key).map_err(wrong)?;
        check_node(&node, self.index).map_err(wrong)?;
        let (dir, name) = key.rsplit_once('/').unwrap_or_default();
        while self.growth.path() != dir {
            let is_above = dir.strip_prefix(self.growth.path());
            if is_above.is_some_and(|rest| rest.starts_with('/')) {
                return Err(wrong("the directory that it is in was not given"));
            }
            self.growth.leave();
        }
        let name = Name::from(name);
        self.growth.check(&name).map_err(wrong)?;
        match made(node, self.stamp) {
            Made::File(file) => self.growth.add_file(name, file),
            Made::Dir(dir) => self.growth.enter(name, dir),
        }
        Ok(())
    }

    /// The store. Its history is empty, and begins after its index.
    pub fn finish(mut self) -> Store {
        let root = loop {
            if let Some(root) = self.growth.leave() {
                break root;
            }
        };
        let mut store = Store::new(self.limits);
        store.root = Arc::new(root);
        store.expiry = self.growth.into_expiry();
        store.auth = Arc::new(self.auth);
        store.index = self.index;
        store.noted_from = self.index;
        store.stamp = self.stamp;
        store.history = History::after(store.index());
        store
    }
}

impl Store {
    /// Gives the store the events of the past: all with an index above `after`, in their order. A
    /// watch from there on gets them, one from before gets error 401; where they take too much
    /// memory for the limits the oldest are let go, as ever.
    ///
    /// When they happened is not known: each counts as late as can be, which is now, or the
    /// deadline of its node.
    ///
    /// # Errors
    /// [`GivenError`] when an event cannot be, or `after` is above the store's index. The history
    /// is then as it was.
    pub fn recall(
        &mut self,
        after: StoreIndex,
        events: impl IntoIterator<Item = GivenEvent>,
    ) -> Result<(), GivenError> {
        if after > self.index() {
            let text = format!("the history cannot begin after {}, above the index", after.0);
            return Err(GivenError(text));
        }
        let mut history = History::after(after);
        let mut latest = BTreeMap::new();
        let mut last = StoreIndex(after.0 + 1);
        for event in events {
            self.check_event(&event, last)?;
            last = event.index;
            history.push(Arc::new(self.event_from(event, &mut latest)), &self.limits);
        }
        self.history = history;
        Ok(())
    }

    fn check_event(&self, event: &GivenEvent, last: StoreIndex) -> Result<(), GivenError> {
        let wrong = |detail| GivenError::of(&event.key, detail);
        check_key(&event.key).map_err(wrong)?;
        if event.index < last {
            return Err(wrong("an event is not in order"));
        }
        if event.index > self.index() {
            return Err(wrong("an event has an index above the store's"));
        }
        if event.created > event.index {
            return Err(wrong("an event changes a node before it was made"));
        }
        if event.node.is_some() == event.action.is_removal() {
            return Err(wrong("an event's node does not go with its action"));
        }
        for node in event.node.iter().chain(&event.prev) {
            check_node(node, event.index.0).map_err(wrong)?;
        }
        Ok(())
    }

    /// Values are shared with the tree and with the events before, as they are where all of it
    /// happened.
    fn event_from(&self, event: GivenEvent, latest: &mut BTreeMap<Box<str>, Arc<File>>) -> Event {
        let GivenEvent { action, key, index, created, node, prev, refresh } = event;
        let key: Box<str> = key.into();
        let deadlines = node.iter().chain(&prev).filter_map(|node| node.deadline);
        let time = deadlines.fold(self.stamp.time, Timestamp::min);
        let before = latest.remove(&key);
        let prev = prev.map(|prev| shared(prev, self.stamp, before.as_ref()));
        let in_tree = match self.root.descendant(&key) {
            Some(Node::File(file)) => Some(file),
            _ => None,
        };
        let node = node.map(|node| shared(node, self.stamp, in_tree));
        if let Some(Node::File(file)) = &node {
            latest.insert(key.clone(), Arc::clone(file));
        }
        let stamp = Stamp { time, ..self.stamp };
        Event { action, key, index, created, node, prev, stamp, refresh }
    }
}

fn check_key(key: &str) -> Result<(), &'static str> {
    if !is_node_path(key) {
        return Err("the key is not a clean path, or has too many components");
    }
    check_len(key)
}

/// What is longer could be written, and not be read again.
fn check_len(text: &str) -> Result<(), &'static str> {
    let is_short = u64::try_from(text.len()).is_ok_and(|len| len <= STRING_BYTES_MAX);
    if is_short { Ok(()) } else { Err("a key or a value is too long") }
}

fn check_node(node: &GivenNode, index: u64) -> Result<(), &'static str> {
    if node.created > node.modified {
        return Err("it was changed before it was made");
    }
    if node.modified.0 > index {
        return Err("it was changed at an index that is yet to come");
    }
    node.value.as_deref().map_or(Ok(()), check_len)
}

enum Made {
    File(File),
    Dir(Dir),
}

fn made(node: GivenNode, stamp: Stamp) -> Made {
    let (created, modified) = (node.created.0, node.modified.0);
    let lease = node.deadline.map(|deadline| stamp.lease_until(deadline));
    match node.value {
        Some(value) => Made::File(File::new(created, modified, lease, value)),
        None => Made::Dir(Dir::new(created, modified, lease)),
    }
}

/// A node of an event; that of an equal file if there is one.
fn shared(node: GivenNode, stamp: Stamp, known: Option<&Arc<File>>) -> Node {
    match made(node, stamp) {
        Made::Dir(dir) => Node::Dir(Arc::new(dir)),
        Made::File(file) => match known.filter(|known| ***known == file) {
            Some(known) => Node::File(Arc::clone(known)),
            None => Node::File(Arc::new(file)),
        },
    }
}

impl fmt::Debug for StoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreBuilder").field("index", &self.index).finish_non_exhaustive()
    }
}
