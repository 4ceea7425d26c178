//! Durability: a segmented log with one checksummed record for each batch, and snapshot files.
//!
//! Files are reached through [`Disk`], so that a simulator can lose, tear and corrupt them. This
//! crate starts no threads and knows nothing of raft or of the key space: a record and a snapshot
//! are bytes.
//!
//! The shape follows from one measurement: a sync over blocks that were written before costs half
//! of a sync that has to commit file-system metadata as well. So segments are filled with zeros
//! ahead of time, off the hot path ([`Wal::next_fill`]), and recycled when a snapshot has replaced
//! them.
//!
//! Formats are drawn in `segment.rs`, `snapshot.rs` and `stream.rs`; all carry a version byte.

// clippy.toml says which: no clocks, threads, files, sockets or randomness.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod birth;
mod check;
mod chunk;
mod cut;
mod disk;
mod error;
mod files;
mod fill;
mod log;
mod look;
pub mod mem;
mod onward;
mod recover;
mod release;
mod scan;
mod segment;
mod seq;
mod snapshot;
mod stream;
mod sync;

pub use birth::{begin, is_empty};
pub use check::{Report, check};
pub use disk::{Disk, DiskFile, file_len};
pub use error::{Error, REMEDY};
pub use fill::FillTask;
pub use log::{Options, Wal, WalStats};
pub use look::look;
pub use recover::{Cut, Records, Recovered};
pub use segment::RECORD_BYTES_MAX;
pub use seq::Seq;
pub use snapshot::{
    INCOMING_NAME, SealedSnapshot, SnapshotReader, SnapshotWriter, list_snapshots,
    remove_older_snapshots, snapshot_name,
};
pub use stream::{CheckedReader, CheckedWriter};
pub use sync::SyncTarget;
