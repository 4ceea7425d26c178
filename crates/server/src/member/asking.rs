//! Rounds of questions about where members are reached.

use crate::join::View;
use std::collections::BTreeSet;

/// The answers of one round of questions: each peer URL and its answer.
pub(crate) type AnsweredViews = Vec<(String, Result<View, String>)>;

/// The rounds of questions.
#[derive(Debug, Default)]
pub(crate) struct Asking {
    pub(super) is_busy: bool,
    /// When the next round may begin, by the monotonic clock.
    pub(super) due: u64,
    /// Rounds since everybody was last connected to.
    pub(super) rounds: u32,
    /// Whether the addresses of the start line were asked at least once.
    pub(super) has_asked: bool,
    /// Addresses of other clusters that the log has named.
    pub(super) foreign: BTreeSet<String>,
}
