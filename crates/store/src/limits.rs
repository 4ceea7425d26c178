//! How much memory the state machine may take.

/// Bounds of the state machine's memory.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many bytes of past events to keep, about; never fewer than `history_events_min` events.
    pub history_bytes_max: usize,
    /// How many events are kept whatever their size (the protocol promises 1000).
    pub history_events_min: usize,
    /// How many watchers may be registered at once.
    pub watchers_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { history_bytes_max: 8 << 20, history_events_min: 1000, watchers_max: 1 << 20 }
    }
}
