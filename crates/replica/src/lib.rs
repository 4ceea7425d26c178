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

mod clock;
mod driver;
mod error;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod identity;
mod limits;
mod membership;
mod peek;
mod replica;
mod session;
mod snapshot;
mod traffic;
mod types;
mod waiting;
mod wire;

pub use clock::{Clock, Now};
pub use driver::Driver;
pub use driver::birth::{Inheritance, InitialIdentity, found_with, prepare};
pub use driver::network::{Network, SyncMode};
pub use driver::open::Opened;
pub use driver::options::Options;
pub use driver::salvage::{Salvage, salvage};
pub use driver::view::Status;
pub use error::{EngineError, Failure, Fatal};
pub use identity::{ClaimRefused, Identity, PeerClaim, decide};
pub use membership::removal::{About, Knows, Outlook, Verdict};
pub use membership::urls::{CLIENT_URL_BYTES_MAX, CLIENT_URLS_MAX, ClientUrls};
pub use membership::{ClusterConfig, Member, Membership, Removal};
pub use peek::{Peeked, peek};
pub use replica::handover::HandOverRefused;
pub use replica::moments::Moments;
pub use replica::progress::{Latency, Peer, RoundTrips};
pub use snapshot::backup::{BACKUP_MAGIC, Backup, BackupInfo, read_backup};
pub use snapshot::job::{SnapshotDone, SnapshotJob};
pub use snapshot::transfer::SnapshotSent;
pub use traffic::{Rates, Traffic};
pub use types::{ClusterId, LogIndex, MemberId, Role, Term, Ticket};
pub use waiting::proposal::{Answer, Output, ReadAnswer};
pub use wire::vitals::Vitals;
