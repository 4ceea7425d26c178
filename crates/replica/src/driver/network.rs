//! What a driver is given beside its disk and its clock: the way to the other members, and how a
//! turn's sync is done.

use crate::types::MemberId;

/// Where messages to other members go. Delivery is not promised; what is delivered comes in order,
/// at most once, and never from before a restart of either end.
pub trait Network {
    /// Takes one encoded message for a member.
    fn send(&mut self, to: MemberId, message: Vec<u8>);

    /// Whether a message to a member would be on its way; if not, it is lost.
    fn can_send(&self, _to: MemberId) -> bool {
        true
    }

    /// Nothing more comes for a while: what was taken should leave now.
    fn flush(&mut self) {}
}

/// How the sync of a turn is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncMode {
    /// In the turn itself: the quickest way when nobody else wants to be served meanwhile.
    InPlace,
    /// By somebody else, who reports with [`Driver::synced`](crate::Driver::synced): reads are
    /// served meanwhile.
    Deferred,
}
