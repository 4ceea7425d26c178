//! The limits of clients, in bytes, numbers and time, in the form in which connections are held to
//! them.

use crate::config::LiveLimits;
use crate::http::request::ReaderLimits;
use crate::sys::reload::Reloads;

/// The limits that hold now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) reader: ReaderLimits,
    pub(super) clients: usize,
    pub(super) peers: usize,
    pub(super) read_limit: u128,
    pub(super) write_limit: u128,
    /// Which of the limits that came while the server runs these are.
    number: Option<u64>,
}

impl Bounds {
    pub(super) fn new(live: LiveLimits) -> Self {
        let LiveLimits { limits, timeouts } = live;
        Self {
            reader: ReaderLimits {
                request_line_bytes: limits.request_line_bytes,
                head_bytes: limits.head_bytes,
                body_bytes: limits.body_bytes,
            },
            clients: limits.connections,
            peers: limits.peer_connections,
            read_limit: super::time_limit(timeouts.0),
            write_limit: super::time_limit(timeouts.1),
            number: None,
        }
    }

    /// Takes the limits that have come since the last time; gives them if there are some.
    /// Connections that are open beyond their number stay.
    pub(super) fn refresh(&mut self, reloads: &Reloads) -> Option<LiveLimits> {
        let live = reloads.take_limits(&mut self.number)?;
        *self = Self { number: self.number, ..Self::new(live) };
        Some(live)
    }
}
