//! What is known of a watch between two events.

use super::request::Form;
use std::sync::Arc;
use store::{Event, Principal, StoreIndex, WatchFilter, WatcherId};

/// A watch that waits, or a stream that goes on.
#[derive(Debug)]
pub(crate) struct Watching {
    pub(super) filter: WatchFilter,
    /// Who watches.
    pub(super) who: Principal,
    pub(crate) watcher: WatcherId,
    pub(super) stream: bool,
    pub(super) form: Form,
    /// The index behind the last event that was delivered.
    pub(super) next: StoreIndex,
    /// Whether events are taken from the history until it has caught up.
    pub(crate) lags: bool,
    /// The event that a lagging stream is to be given next, where that is known already: an index
    /// alone does not tell, since the events of an internal command share one.
    pub(super) pending: Option<Arc<Event>>,
    /// Of a stream that is told how far it is.
    pub(super) progress: Option<Progress>,
}

/// When a stream was last told how far it is.
#[derive(Debug)]
pub(super) struct Progress {
    /// Whether it got events since.
    pub(super) has_news: bool,
    /// When it last got anything, by the monotonic clock.
    pub(super) since: u64,
}

impl Watching {
    /// An event was given to the stream. `now` is of the monotonic clock.
    pub(super) fn gave(&mut self, event: &Event, now: u64) {
        self.next = StoreIndex(event.index.0 + 1);
        if let Some(progress) = &mut self.progress {
            *progress = Progress { has_news: true, since: now };
        }
    }

    /// Whether the head of the answer was sent when the watch began. `is_head` says that the client
    /// asked for nothing else.
    pub(super) fn has_head(&self, is_head: bool) -> bool {
        !is_head && self.form != Form::V1
    }
}
