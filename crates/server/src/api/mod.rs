//! What requests mean and what answers look like, without sockets and without the replica.
//!
//! [`route`] finds the resource; [`keys`] reads a request about the key space in either dialect;
//! [`json`] and [`listing`] print events and nodes; [`error`] is the only table of errors. The
//! other modules print one resource each from plain values.

pub(crate) mod admin;
pub(crate) mod cors;
pub(crate) mod error;
pub(crate) mod json;
pub(crate) mod keys;
pub(crate) mod listing;
pub(crate) mod route;
pub(crate) mod stats;
pub(crate) mod time;
