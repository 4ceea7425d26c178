//! Changes of the membership whose outcome is not known yet.

use replica::MemberId;

/// A change of the membership that was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked {
    /// A machine that waits asks for a place under an id.
    Place(usize, MemberId),
    Removal(usize, MemberId),
}
