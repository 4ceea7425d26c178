//! Judges what a run left behind.
//!
//! Each checker is a pure function of what clients wrote down and of the order of changes that the
//! members agreed on, and has tests of its own with histories that are right and histories that are
//! wrong: one that always says yes looks just like a correct cluster.

pub(crate) mod linear;
pub(crate) mod lock;
pub(crate) mod order;
pub(crate) mod sequence;
pub(crate) mod state;
pub(crate) mod ttl;
pub(crate) mod watch;

/// What a checker found; the text says what is wrong.
pub(crate) type Verdict = Result<(), String>;
