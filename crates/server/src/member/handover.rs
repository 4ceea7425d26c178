//! Leadership that is handed over on request, and who waits for what comes of it.
//!
//! `api/leader.rs` fills it and answers.

use crate::config::Dialect;
use crate::net::Key;
use replica::{MemberId, Term};

/// The last handover.
#[derive(Debug, Default)]
pub(crate) struct HandOver {
    /// The term that this member led in, and who was to lead next.
    pub(crate) last: Option<(Term, MemberId)>,
    /// Those who wait, each with the dialect of its port.
    pub(crate) waiting: Vec<(Key, Dialect)>,
    /// Until when, by the monotonic clock.
    pub(crate) until: u64,
}

impl HandOver {
    /// To whom the leadership of a term was to be handed.
    pub(super) fn of_term(&self, term: Term) -> Option<MemberId> {
        self.last.filter(|(last, _)| *last == term).map(|(_, target)| target)
    }
}
