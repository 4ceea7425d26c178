//! How much memory the state machine may take.

/// Bounds of the state machine's memory.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many bytes of past events to keep, about. It yields to `history_events_min`, up to
    /// [`Limits::history_bytes_ceiling`].
    pub history_bytes_max: usize,
    /// How many events are kept beyond `history_bytes_max` (the protocol promises 1000).
    pub history_events_min: usize,
    /// How many watchers may be registered at once.
    pub watchers_max: usize,
}

/// The ceiling of the history is so many times what is meant to be kept.
const CEILING_FACTOR: usize = 8;

/// The ceiling is not lower than this, 8 MiB: the promised 1000 events fit below it unless they are
/// larger than 8 KiB each, however little history is asked for.
const CEILING_BYTES_MIN: usize = 8 << 20;

impl Limits {
    /// How many bytes of past events are kept at most, whatever number of events that is: values of
    /// megabytes would make 1000 of them gigabytes. A client that asks for events that are
    /// gone gets error 401, as for any that were cleared.
    pub fn history_bytes_ceiling(&self) -> usize {
        self.history_bytes_max.saturating_mul(CEILING_FACTOR).max(CEILING_BYTES_MIN)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { history_bytes_max: 8 << 20, history_events_min: 1000, watchers_max: 1 << 20 }
    }
}
