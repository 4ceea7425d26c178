//! Whole clusters in one thread, from one seed.
//!
//! The members are the real ones: the driver, the log and the key space of `replica`, `wal` and
//! `store`. Their disks, their network and their clocks are simulated, and fail as real ones do:
//! power is lost at any operation of a disk, messages are lost, doubled and late, clocks drift and
//! jump. Clients write down what they asked and what they were told, and the checkers in `check`
//! judge that.
//!
//! A run has two phases. In the first, faults come while clients work. Then all faults end, and the
//! cluster must serve through every member within a bounded time and agree on every byte.
//!
//! A seed decides everything. HTTP, sockets and threads are no part of it: the tests of the binary
//! cover them. This crate is never shipped.

mod actors;
mod admin;
mod asked;
mod calls;
pub mod check;
mod churn;
mod client;
mod clock;
mod doubles;
pub mod history;
mod imposture;
mod letter;
mod machine;
mod member;
mod nemesis;
mod network;
mod peers;
mod plan;
mod queue;
mod queuer;
mod request;
pub mod rng;
mod run;
mod starting;
mod trace;
mod users;
mod watcher;
mod world;

pub use plan::Faults;
pub use run::{Config, Report, run};
pub use watcher::Stretch;

/// Nanoseconds of the simulated world's time, which no machine can see.
pub type Nanos = u64;
