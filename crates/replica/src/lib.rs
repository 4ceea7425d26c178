//! One member of the cluster, without I/O: raft, the key space and the durable log put together.
//!
//! [`Driver`] is the whole of it. Requests go in ([`Driver::propose`], [`Driver::read`]), one call
//! of [`Driver::turn`] does what has gathered with one log record and one sync, and what became of
//! it is in [`Output`]. Files are behind [`wal::Disk`], other members behind [`Network`], time
//! behind [`Clock`], so that a simulator can drive the same code as the server.
//!
//! This is the only crate that names raft-rs. It knows nothing of sockets, threads or HTTP.

// clippy.toml says which: no clocks, threads, files, sockets or randomness.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod apply;
mod batch;
mod change;
mod claims;
mod clock;
mod codec;
mod confirm;
pub mod decide;
mod driver;
mod envelope;
mod error;
mod forward;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod gather;
mod identity;
mod inbound;
mod inbox;
mod incoming;
mod limits;
mod log;
mod membership;
mod message;
mod open;
mod peek;
mod progress;
mod proposal;
mod read;
mod record;
mod removal;
mod replica;
mod requests;
mod session;
mod settle;
mod snapshot;
mod snapshot_job;
mod snapshots;
mod submit;
mod tending;
mod traffic;
mod transfer;
mod types;
mod unwritten;
mod view;

pub use clock::{Clock, Now};
pub use driver::{Driver, Network, SyncMode};
pub use error::{EngineError, Failure, Fatal};
pub use identity::{ClaimRefused, Identity, PeerClaim};
pub use membership::{ClusterConfig, Member, Membership, Removal};
pub use open::{Birth, Opened, Options, prepare};
pub use peek::{Peeked, peek};
pub use progress::{Latency, Peer};
pub use proposal::{Answer, Output, ReadAnswer};
pub use removal::{About, Knows, Outlook, Verdict};
pub use snapshot_job::{SnapshotDone, SnapshotJob};
pub use traffic::{Rates, Traffic};
pub use types::{ClusterId, LogIndex, MemberId, Role, Term, Ticket};
pub use view::Status;
