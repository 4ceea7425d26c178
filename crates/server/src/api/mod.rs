//! What requests mean and what answers look like, without sockets and without the replica.
//!
//! [`route`] finds the resource of a clean path. [`keys`] reads a request about the key space, in
//! the listener's dialect: a write becomes a command to propose, a read a [`listing`] of the node,
//! a watch a filter to register. [`lock`] does so for locks and elections. What cannot be is an
//! [`error`], the only table of codes, statuses
//! and messages. [`json`] prints the events that writes and watches end in. The other modules print
//! one resource each from plain values; [`browser`] and [`cors`] say what pages may do.

pub(crate) mod admin;
pub(crate) mod browser;
pub(crate) mod cluster_stats;
pub(crate) mod cors;
pub(crate) mod dashboard;
pub(crate) mod error;
pub(crate) mod json;
pub(crate) mod keys;
pub(crate) mod listing;
pub(crate) mod lock;
pub(crate) mod members;
pub(crate) mod redirect;
pub(crate) mod route;
pub(crate) mod stats;
pub(crate) mod time;
