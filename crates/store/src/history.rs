//! The window of past events, from which watchers catch up.
//!
//! A ring of chunks: taking a snapshot copies a pointer for each chunk, and only the newest chunk is
//! copied when a snapshot holds it. The window is bounded by bytes, but never below a count of events.

use crate::watch::{Match, WatchFilter, matches};
use crate::{Event, Limits, StoreIndex};
use std::collections::VecDeque;
use std::sync::Arc;

/// Events of a chunk.
const CHUNK_LEN: usize = 256;

/// What an event costs beside its texts: the event, two nodes, their reference counts, the pointer.
const EVENT_OVERHEAD: usize = 256;

type Chunk = Arc<Vec<Arc<Event>>>;

#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    chunks: VecDeque<Chunk>,
    len: usize,
    bytes: usize,
}

fn weight(event: &Event) -> usize {
    let value = |node: &Option<crate::Node>| {
        node.as_ref().and_then(|node| node.value()).map_or(0, str::len)
    };
    EVENT_OVERHEAD + event.key.len() + value(&event.node) + value(&event.prev)
}

impl History {
    pub(crate) fn push(&mut self, event: Arc<Event>, limits: &Limits) {
        self.bytes += weight(&event);
        self.len += 1;
        match self.chunks.back_mut() {
            Some(chunk) if chunk.len() < CHUNK_LEN => Arc::make_mut(chunk).push(event),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK_LEN);
                chunk.push(event);
                self.chunks.push_back(Arc::new(chunk));
            }
        }
        while self.bytes > limits.history_bytes_max
            && let Some(first) = self.chunks.front()
            && self.len - first.len() >= limits.history_events_min
        {
            self.len -= first.len();
            self.bytes -= first.iter().map(|event| weight(event)).sum::<usize>();
            self.chunks.pop_front();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn oldest(&self) -> Option<StoreIndex> {
        self.chunks.front().and_then(|chunk| chunk.first()).map(|event| event.index)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Event>> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// The first event at `from` or above that the filter lets through.
    pub(crate) fn find(&self, filter: &WatchFilter, from: StoreIndex) -> Option<Arc<Event>> {
        let is_before = |event: &Arc<Event>| event.index < from;
        let first = self.chunks.partition_point(|chunk| chunk.last().is_some_and(is_before));
        let mut skip = self.chunks.get(first)?.partition_point(is_before);
        for chunk in self.chunks.range(first..) {
            let events = chunk.get(skip..).unwrap_or_default();
            skip = 0;
            let found = events.iter().find(|event| {
                !event.refresh
                    && match matches(filter, &event.key) {
                        Match::Yes => true,
                        // Whether the watched node existed is not recorded (spec keys.md 9.4 allows
                        // this approximation in the history).
                        Match::Ancestor => event.removed_dir(),
                        Match::No => false,
                    }
            });
            if let Some(event) = found {
                return Some(Arc::clone(event));
            }
        }
        None
    }
}
