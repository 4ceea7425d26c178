//! The outside world: sockets, threads, real time and HTTP around one member.
//!
//! [`run`] is all there is to call. `owner.rs` is the loop; `http` and `api` turn bytes into
//! requests and answers into bytes without touching a socket.

mod api;
mod backlog;
mod calls;
mod chores;
mod claim;
mod clock;
mod cluster;
pub mod config;
mod connection;
mod dashboard;
mod deliver;
mod dialback;
mod disk;
mod error;
mod frames;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod greeting;
mod handshake;
mod http;
mod inquiry;
mod join;
mod lock;
mod members;
mod meters;
mod metrics;
mod moved;
mod outbox;
mod owner;
mod pace;
mod peer;
mod process;
mod proof;
mod resource;
mod serve;
mod slab;
mod standby;
mod start;
mod stopping;
mod text;
mod tls;
mod worker;

pub use error::StartError;
pub use start::{check, run};
