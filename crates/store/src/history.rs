//! The window of past events, from which watchers catch up.
//!
//! A ring of chunks: taking a snapshot copies a pointer for each chunk, and only the newest chunk
//! is copied when a snapshot holds it. The window is bounded by bytes, but not below a count of
//! events; what is kept for the count has a ceiling in bytes of its own.
//!
//! A value is in memory once, however many events show it: the node of one event is the previous
//! node of the next one. So it counts once as well.

use crate::bloom::BloomFilter;
use crate::event::Event;
use crate::limits::Limits;
use crate::node::Node;
use crate::time::StoreIndex;
use crate::watch::{Match, WatchFilter, matches};
use std::collections::VecDeque;
use std::sync::Arc;

/// Events of a chunk at most.
const CHUNK_LEN: usize = 256;

/// A chunk is full at this part of the ceiling, so that letting one go stays a small step where
/// events are large.
const CHUNKS_BELOW_CEILING: usize = 8;

/// What an event costs beside its strings: the event, two nodes, their reference counts, the
/// pointer.
const EVENT_OVERHEAD: usize = 256;

/// Shorter values count with each event that shows them: looking for the event that counted one
/// already would cost more than the difference is worth.
const SHARED_VALUE_BYTES_MIN: usize = 1 << 10;

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
        let events = Vec::with_capacity(CHUNK_LEN);
        Self { events, about: BloomFilter::new(), removed_dir: false }
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

/// A chunk, and the bytes that its events hold.
#[derive(Clone, Debug)]
struct Weighed {
    chunk: Arc<Chunk>,
    bytes: usize,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    chunks: VecDeque<Weighed>,
    len: usize,
    /// The sum over all chunks.
    bytes: usize,
    /// The index of the last event that is no longer kept. That of the oldest one kept does not
    /// tell, since a command without events takes an index too.
    cleared: StoreIndex,
}

fn value_len(node: Option<&Node>) -> usize {
    node.and_then(Node::value).map_or(0, str::len)
}

/// Whether an event of the past is for a watcher.
fn lets_through(filter: &WatchFilter, event: &Event) -> bool {
    !event.refresh
        && match matches(filter, &event.key) {
            Match::Yes => true,
            // Whether the watched node existed is not recorded (docs/spec/keys.md 9.4 allows this
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

    /// Takes in what happened now.
    pub(crate) fn push(&mut self, event: Arc<Event>, limits: &Limits) {
        let newest = self.newest().unwrap_or(self.cleared);
        assert!(event.index >= newest, "events come in the order of their indexes");
        let prev_len = value_len(event.prev.as_ref());
        if prev_len >= SHARED_VALUE_BYTES_MIN {
            self.discharge_prev(&event, prev_len);
        }
        let weight = EVENT_OVERHEAD + event.key.len() + value_len(event.node.as_ref()) + prev_len;
        self.bytes += weight;
        self.len += 1;
        let chunk_bytes_max = limits.history_bytes_ceiling() / CHUNKS_BELOW_CEILING;
        match self.chunks.back_mut() {
            Some(last) if last.chunk.events.len() < CHUNK_LEN && last.bytes < chunk_bytes_max => {
                last.bytes += weight;
                Arc::make_mut(&mut last.chunk).push(event);
            }
            _ => {
                let mut chunk = Chunk::new();
                chunk.push(event);
                self.chunks.push_back(Weighed { chunk: Arc::new(chunk), bytes: weight });
            }
        }
        while self.has_too_much(limits) {
            self.drop_oldest_chunk();
        }
    }

    /// The value of the previous node counts with the event that it was replaced by from now on,
    /// and not with the one that made it: of the two, that one goes first.
    fn discharge_prev(&mut self, event: &Event, len: usize) {
        let Some(prev) = &event.prev else { return };
        let made_at = prev.modified();
        if made_at <= self.cleared {
            return;
        }
        let first = self.first_chunk(made_at);
        for held in self.chunks.range_mut(first..) {
            let events = &held.chunk.events;
            let from = events.partition_point(|event| event.index < made_at);
            let of_index = events.iter().skip(from).take_while(|event| event.index == made_at);
            let mut nodes = of_index.filter_map(|event| event.node.as_ref());
            if nodes.any(|node| node.is_same(prev)) {
                // Never more than is there: a damaged stream can name one file as the previous node
                // of many events.
                let discharged = len.min(held.bytes);
                held.bytes -= discharged;
                self.bytes -= discharged;
                return;
            }
            if events.last().is_some_and(|last| last.index > made_at) {
                return;
            }
        }
    }

    fn has_too_much(&self, limits: &Limits) -> bool {
        let Some(oldest) = self.chunks.front() else { return false };
        let would_stay = self.len - oldest.chunk.events.len();
        let is_wanted = would_stay < limits.history_events_min;
        // The newest event stays, however large it is: its writer's watchers are about to ask.
        let is_beyond_ceiling = self.bytes > limits.history_bytes_ceiling() && would_stay > 0;
        is_beyond_ceiling || self.bytes > limits.history_bytes_max && !is_wanted
    }

    fn drop_oldest_chunk(&mut self) {
        let Some(Weighed { chunk, bytes }) = self.chunks.pop_front() else { return };
        self.cleared = chunk.events.last().map_or(self.cleared, |event| event.index);
        self.len -= chunk.events.len();
        self.bytes -= bytes;
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn oldest(&self) -> Option<StoreIndex> {
        self.chunks.front().and_then(|held| held.chunk.events.first()).map(|event| event.index)
    }

    fn newest(&self) -> Option<StoreIndex> {
        self.chunks.back().and_then(|held| held.chunk.events.last()).map(|event| event.index)
    }

    pub(crate) fn cleared(&self) -> StoreIndex {
        self.cleared
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Event>> {
        self.chunks.iter().flat_map(|held| held.chunk.events.iter())
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
    /// have one index. One that is no longer here, or from before a restart, is known by its index.
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
        let chunks = self.chunks.range(self.first_chunk(from)..).map(|held| &held.chunk);
        let chunks = chunks.filter(move |chunk| is_wanted(chunk));
        // Only the first chunk begins before `from`.
        chunks.flat_map(|chunk| chunk.events.iter()).skip_while(move |event| event.index < from)
    }

    /// The first chunk with an event at this index or above.
    fn first_chunk(&self, from: StoreIndex) -> usize {
        let ends_before =
            |held: &Weighed| held.chunk.events.last().is_some_and(|event| event.index < from);
        self.chunks.partition_point(ends_before)
    }
}
