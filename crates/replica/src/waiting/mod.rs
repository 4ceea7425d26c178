//! Who waits for what: clients until their request has an outcome, members until theirs is in the
//! log.

pub(crate) mod forward;
pub(crate) mod gather;
pub(crate) mod inbox;
pub(crate) mod proposal;
pub(crate) mod read;
