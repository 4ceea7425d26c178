//! The outside world: sockets, threads, real time and HTTP around one member.
//!
//! [`run`] is all there is to call. `net` is the connection layer, `http` turns bytes into requests
//! and answers into bytes, `api` has a handler for each resource. `member` is the loop of a machine
//! that takes part, `standby` that of one without a place; `start` decides which of them a machine
//! is. `peer` and `join` speak to other machines, `sys` to the system. `rebuild` makes
//! the directory of a new cluster from a backup, from a member that is left, or from keys.

mod api;
pub mod audit;
mod auth;
mod call;
pub mod config;
mod error;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod http;
mod join;
mod member;
mod metrics;
mod net;
pub mod notice;
mod peer;
mod proof;
mod rebuild;
mod standby;
mod start;
mod sys;
mod text;
mod trend;

pub use api::auth::USER_BYTES_MAX;
pub use auth::hash::{HASH_COST_MAX, HashFault, check_hash};
pub use call::{Access, agent, download};
pub use error::StartError;
pub use http::time::rfc3339;
pub use join::check_proxy;
pub use net::tls::suites;
pub use rebuild::{
    Deadlines, Home, Rebuilt, check_home, found, last_seen, look_at_survivor, margin_since,
    read_backup, read_clocks, recover, restore,
};
pub use start::{Handles, check, run, run_in_memory};
pub use sys::disk::Sighting;
pub use sys::disk::memory::PATH as MEMORY;
pub use sys::inherited::Inherited;
pub use sys::pulse::{Pulse, Stage};
pub use sys::reload::Reloads;
pub use sys::signal::{ends_on_hangup, on_hangup, stop_flag};
pub use text::{one_line, printable};
