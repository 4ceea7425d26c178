//! What the log was last told of the cluster, so that a change is told once. `observe.rs` fills and
//! reads it.

pub(in crate::member) mod leading;
pub(in crate::member) mod reach;
pub(in crate::member) mod table;

use leading::Leading;
use reach::Reach;
use replica::Now;
use table::Table;

/// What was told.
#[derive(Debug)]
pub(crate) struct Incidents {
    pub(super) leading: Leading,
    pub(super) reach: Reach,
    pub(super) table: Table,
    /// Whether changes of the table are news: before that, they are those of the past.
    pub(super) is_settled: bool,
    /// When everything was last looked at, by the monotonic clock.
    pub(super) looked_at: u64,
    /// Since when the disk is full.
    pub(super) full_since: Option<u64>,
    /// Whether it was told that a sync takes long which is still under way.
    pub(super) has_told_sync: bool,
    /// Whether a slow sync was told in this round.
    pub(super) is_round_told: bool,
    /// The distance of the wall clock from the monotonic one.
    pub(super) clock_offset: i128,
    /// Whether this machine stops, so that it hands its leadership over.
    pub(super) is_stopping: bool,
}

impl Incidents {
    pub(super) fn new(now: Now) -> Self {
        Self {
            leading: Leading::new(now.monotonic),
            reach: Reach::default(),
            table: Table::default(),
            is_settled: false,
            looked_at: 0,
            full_since: None,
            has_told_sync: false,
            is_round_told: false,
            clock_offset: offset(now),
            is_stopping: false,
        }
    }
}

/// How far the wall clock is from the monotonic one.
pub(super) fn offset(now: Now) -> i128 {
    i128::from(now.wall) - i128::from(now.monotonic)
}
