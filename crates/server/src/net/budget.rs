//! What a round may take of time, and all clients together of memory.
//!
//! The loop serves clients, other members and its own clock by turns. Without a bound one client
//! that asks for much at once holds all of them up: members take a leader that is silent for an
//! election time-out for dead. So clients have a slice of each round, in which they take turns;
//! what does not fit waits for the next round.

use super::connection::HeldBytes;
use crate::config::Limits;
use std::time::{Duration, Instant};

/// The slice of a round that clients have together: 4 ms. A heartbeat interval is 50 ms and more,
/// and a log's sync takes about as long.
const SLICE: Duration = Duration::from_millis(4);

/// The clock is read after about so many bytes printed or read: some 50 us of work.
const NOTE_BYTES: usize = 64 << 10;

/// What a request counts for besides its bytes: some 7 us of work.
const REQUEST_BYTES: usize = 8 << 10;

/// The time that clients have in one round. Half of it is for those that had to wait: else the
/// client that asks just now would be served before them for ever.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    began: Option<Instant>,
    /// How much of the slice may be used by now.
    limit: Duration,
    /// Work since the clock was last read, in bytes.
    noted: usize,
    is_spent: bool,
}

impl Budget {
    /// A round begins, with the half of those that had to wait.
    pub(super) fn begin(&mut self) {
        *self = Self { began: Some(Instant::now()), limit: SLICE / 2, noted: 0, is_spent: false };
    }

    /// The other half begins.
    pub(super) fn go_on(&mut self) {
        self.limit = SLICE;
        self.is_spent = false;
        self.noted = NOTE_BYTES;
    }

    pub(super) fn is_spent(&self) -> bool {
        self.is_spent
    }

    /// A request was served.
    pub(super) fn note_request(&mut self) {
        self.note(REQUEST_BYTES);
    }

    /// So many bytes were read or printed, or work of about that size was done.
    pub(super) fn note(&mut self, bytes: usize) {
        self.noted = self.noted.saturating_add(bytes);
        if self.noted >= NOTE_BYTES && !self.is_spent {
            self.noted = 0;
            self.is_spent = self.began.is_some_and(|began| began.elapsed() >= self.limit);
        }
    }
}

/// Bytes that all connections hold together.
#[derive(Debug)]
pub(crate) struct Memory {
    held: HeldBytes,
    max: HeldBytes,
}

impl Memory {
    pub(super) fn new(limits: &Limits) -> Self {
        let max = HeldBytes { input: limits.input_bytes_total, output: limits.output_bytes_total };
        Self { held: HeldBytes::default(), max }
    }

    /// A connection that held `before` holds `after` now.
    pub(super) fn change(&mut self, before: HeldBytes, after: HeldBytes) {
        self.forget(before);
        self.held.input += after.input;
        self.held.output += after.output;
    }

    /// A connection that held so much is gone.
    pub(super) fn forget(&mut self, before: HeldBytes) {
        self.held.input -= before.input;
        self.held.output -= before.output;
    }

    pub(crate) fn held(&self) -> HeldBytes {
        self.held
    }

    /// Whether unfinished requests take more than their share.
    pub(super) fn is_input_over(&self) -> bool {
        self.held.input > self.max.input
    }

    /// Whether answers that wait for their clients take more than their share.
    pub(super) fn is_output_over(&self) -> bool {
        self.held.output > self.max.output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_ends_after_its_time_and_not_before() {
        let mut budget = Budget::default();
        budget.begin();
        budget.note(NOTE_BYTES);
        budget.note_request();
        assert!(!budget.is_spent(), "it has just begun");
        budget.began = Instant::now().checked_sub(SLICE / 2);
        assert!(!budget.is_spent(), "the clock is read only after some work");
        budget.note(NOTE_BYTES);
        assert!(budget.is_spent());
        budget.go_on();
        assert!(!budget.is_spent(), "the other half is left");
        budget.began = Instant::now().checked_sub(SLICE);
        budget.note(1);
        assert!(budget.is_spent());
        budget.begin();
        assert!(!budget.is_spent());
    }

    #[test]
    fn what_connections_hold_is_added_up() {
        let limits = Limits { input_bytes_total: 10, output_bytes_total: 20, ..Limits::default() };
        let mut memory = Memory::new(&limits);
        let held = |input, output| HeldBytes { input, output };
        memory.change(HeldBytes::default(), held(6, 0));
        memory.change(HeldBytes::default(), held(4, 21));
        assert!(!memory.is_input_over() && memory.is_output_over());
        memory.change(held(6, 0), held(7, 0));
        assert!(memory.is_input_over());
        memory.forget(held(4, 21));
        assert_eq!(memory.held(), held(7, 0));
        assert!(!memory.is_input_over() && !memory.is_output_over());
    }
}
