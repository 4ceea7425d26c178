//! The state machine's state: what is read from it, who watches it, and how it is kept within
//! bounds. How commands change it is in `apply.rs`.

use crate::auth::{Auth, AuthDone};
use crate::command::{Command, INDEX_RAISED_MAX};
use crate::error::{ErrorCode, StoreError};
use crate::event::Event;
use crate::expiry::Expiry;
use crate::history::History;
use crate::limits::Limits;
use crate::lock::LockOutcome;
use crate::node::{Dir, Node, Shift, Totals};
use crate::path::KeyPath;
use crate::stats::{Refused, StoreStats};
use crate::time::{Lease, Stamp, StoreIndex, Timestamp, WallOffset};
use crate::watch::{Hub, WatchFilter, WatcherId};
use std::cell::Cell;
use std::sync::Arc;

/// What applying a command gave, when it was no error.
#[derive(Clone, Debug)]
pub enum Applied {
    /// A client's mutation: the event to answer with.
    Event(Arc<Event>),
    /// [`crate::Command::Expire`]: how many nodes went.
    Expired(u32),
    /// [`crate::Command::Internal`].
    Internal,
    /// [`crate::Command::RaiseIndex`].
    Raised,
    /// [`crate::Command::CountRefused`].
    Counted,
    /// [`crate::Command::Lock`].
    Lock(LockOutcome),
    /// [`crate::Command::Auth`].
    Auth {
        /// What came of it.
        done: AuthDone,
        /// The index that it took.
        index: StoreIndex,
    },
}

/// The key space of one member.
#[derive(Debug)]
pub struct Store {
    pub(crate) root: Arc<Dir>,
    pub(crate) auth: Arc<Auth>,
    pub(crate) index: u64,
    pub(crate) stamp: Stamp,
    pub(crate) stats: StoreStats,
    pub(crate) history: History,
    pub(crate) expiry: Expiry,
    pub(crate) hub: Hub,
    pub(crate) garbage: Vec<Node>,
    pub(crate) limits: Limits,
    gets: (Cell<u64>, Cell<u64>),
    /// Whether commands find all keys at and below `/_etcd` reserved.
    pub(crate) reserves_all: bool,
    /// What was refused at a look, before it had a place in the log.
    pub(crate) refused: Refused,
    /// The same, where a command that counts it is on its way into the log.
    pub(crate) being_counted: Refused,
    /// The index with which this member began to note when directories change.
    pub(crate) noted_from: u64,
}

/// The whole store at one moment, taken in constant time; may be sent to another thread.
#[derive(Clone, Debug)]
pub struct StoreSnapshot {
    pub(crate) root: Arc<Dir>,
    pub(crate) auth: Arc<Auth>,
    pub(crate) index: u64,
    pub(crate) stamp: Stamp,
    pub(crate) stats: StoreStats,
    pub(crate) history: History,
}

/// Where a path leads. Lengths are those of the part of the path that the statement is about.
pub(crate) enum Located<'a> {
    Found(&'a Node),
    Root,
    Missing(usize),
    FileInWay(usize),
}

impl Store {
    /// An empty store at index 0.
    pub fn new(limits: Limits) -> Self {
        Self {
            root: Arc::new(Dir::new(0, 0, None)),
            auth: Arc::default(),
            index: 0,
            stamp: Stamp::default(),
            stats: StoreStats::default(),
            history: History::default(),
            expiry: Expiry::default(),
            hub: Hub::default(),
            garbage: Vec::new(),
            limits,
            gets: (Cell::new(0), Cell::new(0)),
            reserves_all: false,
            refused: Refused::default(),
            being_counted: Refused::default(),
            noted_from: 0,
        }
    }

    /// The index of the last change.
    pub fn index(&self) -> StoreIndex {
        StoreIndex(self.index)
    }

    /// The stamp of the last command applied.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Users and roles, as they are now.
    pub fn auth(&self) -> &Auth {
        &self.auth
    }

    pub(crate) fn error(&self, code: ErrorCode, cause: impl Into<String>) -> StoreError {
        StoreError { code, cause: cause.into(), index: self.index() }
    }

    pub(crate) fn locate(&self, path: KeyPath<'_>) -> Located<'_> {
        let text = path.as_str();
        let mut dir = &*self.root;
        let mut at = 1;
        loop {
            let rest = text.get(at..).unwrap_or_default();
            if rest.is_empty() {
                return Located::Root;
            }
            let len = rest.find('/').unwrap_or(rest.len());
            let end = at + len;
            let Some(node) = dir.children.get(rest.get(..len).unwrap_or_default()) else {
                return Located::Missing(end);
            };
            if end == text.len() {
                return Located::Found(node);
            }
            match node {
                Node::Dir(child) => dir = child,
                Node::File(_) => return Located::FileInWay(end),
            }
            at = end + 1;
        }
    }

    /// The error of a path that leads to no node: 100 with the first missing component, 104 with
    /// the file in the way.
    pub(crate) fn path_error(&self, path: KeyPath<'_>, located: &Located<'_>) -> StoreError {
        let upto = |len: usize| path.as_str().get(..len).unwrap_or_default();
        match *located {
            Located::FileInWay(len) => self.error(ErrorCode::NotADirectory, upto(len)),
            Located::Missing(len) => self.error(ErrorCode::KeyNotFound, upto(len)),
            Located::Found(_) | Located::Root => {
                unreachable!("this path leads to a node")
            }
        }
    }

    /// The node at a path, and a count of the read in the statistics.
    ///
    /// # Errors
    /// 100 with the first missing component, 104 with the file in the way.
    pub fn get(&self, path: KeyPath<'_>) -> Result<Node, StoreError> {
        let located = self.locate(path);
        let result = match located {
            Located::Found(node) => Ok(node.clone()),
            Located::Root => Ok(Node::Dir(Arc::clone(&self.root))),
            _ => Err(self.path_error(path, &located)),
        };
        let counter = if result.is_ok() { &self.gets.0 } else { &self.gets.1 };
        counter.set(counter.get() + 1);
        result
    }

    /// As [`Store::get`], without counting: for the server's own reads.
    pub fn peek(&self, path: KeyPath<'_>) -> Option<Node> {
        match self.locate(path) {
            Located::Found(node) => Some(node.clone()),
            Located::Root => Some(Node::Dir(Arc::clone(&self.root))),
            _ => None,
        }
    }

    /// An index from which on a node, and everything below a directory, is as it is now: what was
    /// read of it with this index is still so. It is that of the last change, or a later one where
    /// the store was loaded after that.
    pub fn changed(&self, node: &Node) -> StoreIndex {
        StoreIndex(match node {
            Node::File(_) => node.changed(),
            Node::Dir(_) => node.changed().max(self.noted_from),
        })
    }

    /// When the next node expires. For a while after the removal of a large directory it may be the
    /// deadline of a node that went with it; [`crate::Command::Expire`] then removes nothing.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.expiry.first().map(|(deadline, _)| deadline)
    }

    /// The first kept event with an index of `from` or above that the filter lets through;
    /// refreshes are passed over.
    ///
    /// # Errors
    /// 401 when events from `from` on are no longer all there.
    pub fn next_event(
        &self,
        filter: &WatchFilter,
        from: StoreIndex,
    ) -> Result<Option<Arc<Event>>, StoreError> {
        self.check_kept(from)?;
        Ok(self.history.find(filter, from))
    }

    /// The event of a client's change with this index, if it is still kept.
    pub fn event(&self, index: StoreIndex) -> Option<Arc<Event>> {
        self.history.at(index).cloned()
    }

    /// The first kept event after another one that the filter lets through: where a watcher goes on
    /// that had `after`. Unlike with the next index, no event of an internal command is passed
    /// over, whose events have one index.
    ///
    /// # Errors
    /// 401 when the events after it are no longer all there.
    pub fn next_event_after(
        &self,
        filter: &WatchFilter,
        after: &Event,
    ) -> Result<Option<Arc<Event>>, StoreError> {
        self.check_kept(StoreIndex(after.index.0 + 1))?;
        Ok(self.history.find_after(filter, after))
    }

    fn check_kept(&self, from: StoreIndex) -> Result<(), StoreError> {
        let cleared = self.history.cleared();
        if from > cleared || cleared == StoreIndex(0) {
            return Ok(());
        }
        let oldest = self.history.oldest().unwrap_or(StoreIndex(cleared.0 + 1));
        let (oldest, from) = (oldest.0, from.0);
        let cause = format!("the requested history has been cleared [{oldest}/{from}]");
        Err(self.error(ErrorCode::EventIndexCleared, cause))
    }

    /// Registers a watcher for events to come with an index of `from` or above. `owner` comes back
    /// in each [`crate::Wake`]. With `stream` it stays until [`Store::unwatch`]. Gives nothing when
    /// there are too many watchers.
    pub fn watch(
        &mut self,
        filter: &WatchFilter,
        from: StoreIndex,
        stream: bool,
        owner: u64,
    ) -> Option<WatcherId> {
        (self.hub.len() < self.limits.watchers_max)
            .then(|| self.hub.add(filter, from, stream, owner))
    }

    /// Forgets a watcher; an unknown one is ignored.
    pub fn unwatch(&mut self, watcher: WatcherId) {
        self.hub.remove(watcher);
    }

    /// Forgets all watchers and gives their owners: for when a snapshot replaces the store.
    pub fn unwatch_all(&mut self) -> Vec<u64> {
        self.hub.clear()
    }

    /// The counters.
    pub fn stats(&self) -> StoreStats {
        let mut stats = self.stats;
        stats.gets.success = self.gets.0.get();
        stats.gets.fail = self.gets.1.get();
        stats.count(self.refused);
        stats.count(self.being_counted);
        stats.watchers = self.hub.len() as u64;
        stats
    }

    /// Whether failures were foreseen that no command has counted.
    pub fn has_refused(&self) -> bool {
        self.refused != Refused::default()
    }

    /// The command that counts what was refused; nothing if there is nothing. Until it is applied
    /// here, which it must be, it is shown as counted.
    pub fn count_refused(&mut self) -> Option<Command<'static>> {
        let refused = std::mem::take(&mut self.refused);
        self.being_counted.add(refused);
        (refused != Refused::default()).then_some(Command::CountRefused(refused))
    }

    /// The last such command did not reach the log.
    pub fn count_refused_again(&mut self) {
        self.refused.add(std::mem::take(&mut self.being_counted));
    }

    /// How many keys there are, and how large their values are.
    pub fn totals(&self) -> Totals {
        self.root.totals
    }

    /// How many past events are kept, and about how many bytes they take, which is what
    /// [`Limits::history_bytes_max`] bounds.
    pub fn history_size(&self) -> (usize, usize) {
        (self.history.len(), self.history.bytes())
    }

    /// The index of the oldest event kept; nothing if there is none.
    pub fn oldest_event(&self) -> Option<StoreIndex> {
        self.history.oldest()
    }

    /// Removed subtrees whose memory has not been given back: drop them where a pause does no harm.
    pub fn take_garbage(&mut self) -> Vec<Node> {
        std::mem::take(&mut self.garbage)
    }

    /// Goes on at `index`, or where it is if that is more, and forgets all events: what clients
    /// know of up to there is of another history. A watch from there or before gets error 401.
    /// Indexes above [`crate::INDEX_RAISED_MAX`] count as that one.
    pub fn begin_anew(&mut self, index: StoreIndex) {
        self.index = self.index.max(index.0.min(INDEX_RAISED_MAX));
        self.history = History::after(self.index());
    }

    /// Shows the deadlines of all nodes anew, with this offset: for a new cluster whose clock was
    /// set, so that what was shown before is another time than when they end.
    pub fn show_leases_with(&mut self, wall_offset: WallOffset) {
        for key in self.expiry.keys() {
            let path = KeyPath::join_checked(&key);
            let Some(node) = self.peek(path) else { continue };
            let lease = node.lease().map(|lease| Lease { wall_offset, ..lease });
            self.change_in_parent(path, Shift::default(), |parent, name| {
                parent.children.insert(name, node.with_lease(lease));
            });
        }
    }

    /// The whole store as it is now, in constant time.
    pub fn snapshot(&self) -> StoreSnapshot {
        StoreSnapshot {
            root: Arc::clone(&self.root),
            auth: Arc::clone(&self.auth),
            index: self.index,
            stamp: self.stamp,
            stats: self.stats,
            history: self.history.clone(),
        }
    }
}
