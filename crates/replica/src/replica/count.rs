//! What failed at a look, without a place of its own in the log, is counted in the log all the
//! same.

use crate::clock::MonoTime;
use crate::limits::COUNT_NS;
use crate::replica::Replica;

impl Replica {
    /// Wants what failed at a look to be counted in the log, if that has waited for long enough or
    /// `is_last`. Only a member that decides alone looks.
    pub(crate) fn count_due(&mut self, now: MonoTime, is_last: bool) {
        if !self.decides_alone() || !self.state.store.has_refused() {
            (self.count_wanted, self.uncounted_since) = (false, None);
            return;
        }
        let since = *self.uncounted_since.get_or_insert(now);
        self.count_wanted |= is_last || now.since(since) >= COUNT_NS;
    }
}
