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
/// [`crate::Store::refuse`] foresaw until a command counts them; the rest is part of the replicated
/// state and equal on all members.
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

/// How many operations failed at a look ([`crate::Store::refuse`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Refused {
    pub creates: u64,
    pub compare_and_swaps: u64,
    pub compare_and_deletes: u64,
}

impl Refused {
    /// Adds what a command may have made up: nothing overflows.
    pub(crate) fn add(&mut self, other: Self) {
        self.creates = self.creates.saturating_add(other.creates);
        self.compare_and_swaps = self.compare_and_swaps.saturating_add(other.compare_and_swaps);
        self.compare_and_deletes =
            self.compare_and_deletes.saturating_add(other.compare_and_deletes);
    }

    /// Takes away what was counted, as far as it was counted here.
    pub(crate) fn take(&mut self, other: Self) {
        self.creates = self.creates.saturating_sub(other.creates);
        self.compare_and_swaps = self.compare_and_swaps.saturating_sub(other.compare_and_swaps);
        self.compare_and_deletes =
            self.compare_and_deletes.saturating_sub(other.compare_and_deletes);
    }
}

impl StoreStats {
    /// Counts failures.
    pub(crate) fn count(&mut self, refused: Refused) {
        for (counter, more) in [
            (&mut self.creates, refused.creates),
            (&mut self.compare_and_swaps, refused.compare_and_swaps),
            (&mut self.compare_and_deletes, refused.compare_and_deletes),
        ] {
            counter.fail = counter.fail.saturating_add(more);
        }
    }
}
