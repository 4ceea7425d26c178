//! What the threads of a follower tell the one that decides. What is not taken yet is bounded in
//! bytes: a watch that finds no room reads no further, and the source keeps the events.

use crate::import::bounds::PENDING_BYTES_MAX;
use crate::import::live::event::Event;
use crate::import::tree::Listing;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What is told. A root is `""` for the whole, or a hidden key.
#[derive(Debug)]
pub(super) enum Told {
    Event {
        root: String,
        event: Box<Event>,
    },
    /// The source no longer has the events from where the watch was; the watch has ended.
    Cleared {
        root: String,
    },
    /// A past event was about a hidden key.
    Found {
        key: String,
    },
    /// The index of the source.
    Index(u64),
    /// A key whose time was nearly over, as the source has it now.
    Checked {
        key: String,
        found: Box<Listing>,
    },
}

#[derive(Debug, Default)]
struct Inner {
    told: VecDeque<(Told, usize, Instant)>,
    bytes: usize,
    is_closed: bool,
}

/// A queue with several senders and one receiver.
#[derive(Debug, Default)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    changed: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room. Says whether anybody still listens.
    pub(super) fn push(&self, told: Told, bytes: usize) -> bool {
        let bytes = bytes + size_of::<(Told, usize, Instant)>();
        let mut inner = self.lock();
        while !inner.is_closed && inner.bytes > 0 && inner.bytes + bytes > PENDING_BYTES_MAX {
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        if inner.is_closed {
            return false;
        }
        inner.bytes += bytes;
        inner.told.push_back((told, bytes, Instant::now()));
        drop(inner);
        self.changed.notify_all();
        true
    }

    /// The next that was told, and when; nothing if there is none for so long.
    pub(super) fn pop(&self, patience: Duration) -> Option<(Told, Instant)> {
        let is_empty = |inner: &mut Inner| inner.told.is_empty();
        let waited = self.changed.wait_timeout_while(self.lock(), patience, is_empty);
        let (mut inner, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let (told, bytes, at) = inner.told.pop_front()?;
        inner.bytes -= bytes;
        drop(inner);
        self.changed.notify_all();
        Some((told, at))
    }

    /// How long the first has waited.
    pub(super) fn age(&self) -> Duration {
        self.lock().told.front().map_or(Duration::ZERO, |(_, _, at)| at.elapsed())
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Nothing more is wanted: whoever waits for room ends.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_sender_waits_for_room_and_ends_when_nobody_listens() {
        let queue = Queue::default();
        assert!(queue.push(Told::Index(1), PENDING_BYTES_MAX - 1));
        thread::scope(|scope| {
            let sender = scope.spawn(|| queue.push(Told::Index(2), 1 << 20));
            assert!(!sender.is_finished());
            assert!(matches!(queue.pop(Duration::ZERO), Some((Told::Index(1), _))));
            assert!(sender.join().expect("it ends"));
            let sender = scope.spawn(|| queue.push(Told::Index(3), PENDING_BYTES_MAX));
            queue.close();
            assert!(!sender.join().expect("it ends"));
        });
        assert!(matches!(queue.pop(Duration::ZERO), Some((Told::Index(2), _))));
        assert!(queue.pop(Duration::ZERO).is_none());
    }
}
