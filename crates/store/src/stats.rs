//! The counters of `/v2/stats/store` (docs/spec/stats.md section 3).

/// Successes and failures of one kind of operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// Operations that did what they were asked.
    pub success: u64,
    /// Operations that ended in a [`crate::StoreError`].
    pub fail: u64,
}

/// What was counted. `gets` and `watchers` belong to this member alone, and so do the failures that
/// [`crate::Store::refuse`] foresaw; the rest is part of the replicated state and equal on all
/// members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct StoreStats {
    pub gets: Counter,
    pub sets: Counter,
    pub deletes: Counter,
    pub updates: Counter,
    pub creates: Counter,
    pub compare_and_swaps: Counter,
    pub compare_and_deletes: Counter,
    pub expire_count: u64,
    pub watchers: u64,
}
