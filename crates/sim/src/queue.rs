//! What is going to happen, in the order of time.

use crate::Nanos;
use crate::history::OpId;
use crate::letter::Letter;
use replica::MemberId;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Something that happens at a moment. Machines are named by their place, and with the number of
/// the start that it is meant for.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// A machine's loop runs.
    Turn { at: usize },
    /// A message arrives.
    Message { letter: Box<Letter>, at: usize, start: u64 },
    /// A machine learns that a connection broke.
    Disconnected { at: usize, start: u64, other: MemberId },
    /// A sync that was handed out is done.
    SyncDone { at: usize, start: u64 },
    /// The member hears of it.
    SyncReported { at: usize, start: u64 },
    /// A snapshot is written.
    SnapshotDone { at: usize, start: u64 },
    /// A segment is filled.
    FillDone { at: usize, start: u64 },
    /// A process calls those that do not let it speak.
    Call { at: usize, start: u64 },
    /// A client asks for something.
    Client { client: usize },
    /// A client has waited long enough.
    GiveUp { client: usize, op: OpId },
    /// A watcher asks again.
    Watch { watcher: usize },
    /// A watcher is closed by its client, which asks elsewhere.
    MoveWatch { watcher: usize },
    /// Something bad.
    Fault,
    /// A machine's process starts.
    Start { at: usize, start: u64 },
    /// A machine that waits for a place asks for it.
    Seek { at: usize, start: u64 },
    /// A second process with a member's identity is found.
    EndDouble { at: usize },
    /// A machine goes on after a pause.
    Resume { at: usize, start: u64 },
    /// All connections work again.
    HealNetwork,
    /// A disk is sound and has room again.
    HealDisk { at: usize, start: u64 },
}

/// The queue. What is due at the same moment happens in the order in which it was put in.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<(Nanos, u64, Event)>>,
    pushed: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, at: Nanos, event: Event) {
        self.pushed += 1;
        self.heap.push(Reverse((at, self.pushed, event)));
    }

    pub(crate) fn pop(&mut self) -> Option<(Nanos, Event)> {
        self.heap.pop().map(|Reverse((at, _, event))| (at, event))
    }
}
