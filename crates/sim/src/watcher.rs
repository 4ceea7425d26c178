//! Clients that watch: what they wait for, and what they were told.

use crate::history::OpId;
use crate::rng::Rng;
use store::{WatchFilter, WatcherId};

/// What a watcher was told without a break that it was told of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    /// From which index on it must have been told everything.
    pub from: u64,
    /// The events that it was told of, as they came.
    pub told: Vec<u64>,
    /// It ended with error 401, and nobody promises what came last.
    pub was_cleared: bool,
}

/// One client that watches. It asks again, at any machine, when its watch is over.
#[derive(Debug)]
pub(crate) struct Watcher {
    pub(crate) rng: Rng,
    pub(crate) filter: WatchFilter,
    pub(crate) stream: bool,
    /// The machine and its start, and what the watch is called there.
    pub(crate) at: Option<(usize, u64, WatcherId)>,
    /// The index that it waits for: its `waitIndex`.
    pub(crate) next: u64,
    pub(crate) stretches: Vec<Stretch>,
}

const FILTERS: [(&str, bool); 8] = [
    ("/", true),
    ("/r", true),
    ("/r/0", false),
    ("/r/1", true),
    ("/q", true),
    ("/t", true),
    ("/l/0", false),
    ("/d", true),
];

impl Watcher {
    pub(crate) fn new(mut rng: Rng) -> Self {
        let (path, recursive) = rng.pick(&FILTERS);
        let filter = WatchFilter { path: path.into(), recursive, hidden: false };
        let stream = rng.permille(600);
        let stretches = vec![Stretch { from: 1, ..Stretch::default() }];
        Self { rng, filter, stream, at: None, next: 1, stretches }
    }

    /// It was told of an event.
    pub(crate) fn told(&mut self, index: OpId) {
        self.next = index + 1;
        if let Some(stretch) = self.stretches.last_mut() {
            stretch.told.push(index);
        }
    }

    /// Error 401: it begins anew behind what is there now.
    pub(crate) fn cleared(&mut self, index: u64) {
        if let Some(stretch) = self.stretches.last_mut() {
            stretch.was_cleared = true;
        }
        self.next = index + 1;
        self.stretches.push(Stretch { from: self.next, ..Stretch::default() });
    }
}
