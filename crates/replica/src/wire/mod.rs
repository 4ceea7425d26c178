//! The bytes of everything that leaves this process: what members send one another, and what the
//! durable log holds.

pub(crate) mod batch;
pub(crate) mod codec;
pub(crate) mod envelope;
pub(crate) mod raft_message;
pub(crate) mod raft_types;
pub(crate) mod record;
pub(crate) mod vitals;
