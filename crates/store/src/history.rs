//! The window of past events, from which watchers catch up.
//!
//! A ring of chunks: taking a snapshot copies a pointer for each chunk, and only the newest chunk
//! is copied when a snapshot holds it. The window is bounded by bytes, but never below a count of
//! events.

use crate::bloom::BloomFilter;
use crate::event::Event;
use crate::limits::Limits;
use crate::node::Node;
use crate::time::StoreIndex;
use crate::watch::{Match, WatchFilter, matches};
use std::collections::VecDeque;
use std::sync::Arc;

/// Events of a chunk.
const CHUNK_LEN: usize = 256;

/// What an event costs beside its texts: the event, two nodes, their reference counts, the pointer.
const EVENT_OVERHEAD: usize = 256;

/// Events in a row.
#[derive(Clone, Debug)]
struct Chunk {
    events: Vec<Arc<Event>>,
    /// The paths that they are about.
    about: BloomFilter,
    /// Whether a directory went: that concerns paths which nobody put into the filter.
    removed_dir: bool,
}

impl Chunk {
    fn new() -> Self {
        Self {
            events: Vec::with_capacity(CHUNK_LEN),
            about: BloomFilter::new(),
            removed_dir: false,
        }
    }

    fn push(&mut self, event: Arc<Event>) {
        self.about.add(&event.key);
        self.removed_dir |= event.removed_dir();
        self.events.push(event);
    }

    /// Whether there may be something for a watcher.
    fn may_concern(&self, filter: &WatchFilter) -> bool {
        self.removed_dir || self.about.may_hold(&filter.path)
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    chunks: VecDeque<Arc<Chunk>>,
    len: usize,
    bytes: usize,
    /// The index of the last event that is no longer kept. That of the oldest one kept does not
    /// tell, since a command without events takes an index too.
    cleared: StoreIndex,
}

fn weight(event: &Event) -> usize {
    let value =
        |node: &Option<Node>| node.as_ref().and_then(|node| node.value()).map_or(0, str::len);
    EVENT_OVERHEAD + event.key.len() + value(&event.node) + value(&event.prev)
}

/// Whether an event of the past is for a watcher.
fn lets_through(filter: &WatchFilter, event: &Event) -> bool {
    !event.refresh
        && match matches(filter, &event.key) {
            Match::Yes => true,
            // Whether the watched node existed is not recorded (spec keys.md 9.4 allows this
            // approximation in the history).
            Match::Ancestor => event.removed_dir(),
            Match::No => false,
        }
}

impl History {
    /// An empty window, after events up to this index.
    pub(crate) fn after(cleared: StoreIndex) -> Self {
        Self { cleared, ..Self::default() }
    }

    pub(crate) fn push(&mut self, event: Arc<Event>, limits: &Limits) {
        self.bytes += weight(&event);
        self.len += 1;
        match self.chunks.back_mut() {
            Some(chunk) if chunk.events.len() < CHUNK_LEN => Arc::make_mut(chunk).push(event),
            _ => {
                let mut chunk = Chunk::new();
                chunk.push(event);
                self.chunks.push_back(Arc::new(chunk));
            }
        }
        while self.bytes > limits.history_bytes_max
            && let Some(first) = self.chunks.front().map(|chunk| &chunk.events)
            && self.len - first.len() >= limits.history_events_min
        {
            self.cleared = first.last().map_or(self.cleared, |event| event.index);
            self.len -= first.len();
            self.bytes -= first.iter().map(|event| weight(event)).sum::<usize>();
            self.chunks.pop_front();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn oldest(&self) -> Option<StoreIndex> {
        self.chunks.front().and_then(|chunk| chunk.events.first()).map(|event| event.index)
    }

    pub(crate) fn cleared(&self) -> StoreIndex {
        self.cleared
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Event>> {
        self.chunks.iter().flat_map(|chunk| chunk.events.iter())
    }

    /// The first event with this index.
    pub(crate) fn at(&self, index: StoreIndex) -> Option<&Arc<Event>> {
        self.since(index, |_| true).next().filter(|event| event.index == index)
    }

    /// The first event at `from` or above that the filter lets through.
    pub(crate) fn find(&self, filter: &WatchFilter, from: StoreIndex) -> Option<Arc<Event>> {
        self.since(from, |chunk| chunk.may_concern(filter))
            .find(|event| lets_through(filter, event))
            .cloned()
    }

    /// As [`History::find`], for what came after an event that the filter let through: several may
    /// have one index. One that is no longer here, or from before a restart, is told by its index.
    pub(crate) fn find_after(&self, filter: &WatchFilter, after: &Event) -> Option<Arc<Event>> {
        let is_it = |event: &Arc<Event>| std::ptr::eq(Arc::as_ptr(event), after);
        let is_here = self
            .since(after.index, |_| true)
            .take_while(|event| event.index == after.index)
            .any(is_it);
        let mut has_passed = false;
        self.since(after.index, |chunk| chunk.may_concern(filter))
            .find(|event| {
                let is_new = event.index > after.index || is_here && has_passed;
                has_passed |= is_it(event);
                is_new && lets_through(filter, event)
            })
            .cloned()
    }

    /// The events at `from` and above, but for chunks that are not wanted.
    fn since(
        &self,
        from: StoreIndex,
        is_wanted: impl Fn(&Chunk) -> bool,
    ) -> impl Iterator<Item = &Arc<Event>> {
        let is_before = |event: &Arc<Event>| event.index < from;
        let ends_before = |chunk: &Arc<Chunk>| chunk.events.last().is_some_and(is_before);
        let first = self.chunks.partition_point(ends_before);
        let chunks = self.chunks.range(first..).filter(move |chunk| is_wanted(chunk));
        // Only the first chunk begins before `from`.
        chunks.flat_map(|chunk| chunk.events.iter()).skip_while(move |event| event.index < from)
    }
}
