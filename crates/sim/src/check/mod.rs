//! Judges what a run left behind.
//!
//! Each checker is a pure function of what clients wrote down and of the order of changes that the
//! members agreed on, and has tests of its own with histories that are right and histories that are
//! wrong: one that always says yes looks just like a correct cluster.

pub mod linear;
pub mod lock;
pub mod order;
pub mod queue;
pub mod rights;
pub mod sequence;
pub mod state;
pub mod ttl;
pub mod watch;

/// What a checker found; the text says what is wrong.
pub type Verdict = Result<(), String>;
