//! Which watchers does an event wake?

use crate::Event;
use std::sync::Arc;

/// Names a watcher for as long as it is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatcherId(pub u64);

/// What a watcher wants to hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchFilter {
    /// The watched path, clean; it need not exist.
    pub path: Box<str>,
    /// Whether it wants to hear of what happens below the path too.
    pub recursive: bool,
}

/// One watcher is to be told of one event.
#[derive(Clone, Debug)]
pub struct Wake {
    /// Whom to tell.
    pub watcher: WatcherId,
    /// What `owner` was at [`crate::Store::watch`].
    pub owner: u64,
    /// What happened.
    pub event: Arc<Event>,
}
