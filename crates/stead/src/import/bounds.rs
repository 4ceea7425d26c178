//! How much a server may send, and how long it may take: it may be damaged, or lie.

use std::time::Duration;

/// The longest listing that is taken.
pub(super) const BODY_BYTES_MAX: u64 = 1 << 30;

/// The most nodes of a listing.
pub(super) const NODES_MAX: usize = 10_000_000;

/// The deepest key, in names. The target takes no deeper one.
pub(super) const DEPTH_MAX: usize = 1000;

/// The longest answer about one key, an event among them: its value and the one before.
pub(super) const SMALL_BYTES_MAX: u64 = 64 << 20;

/// The greatest index of a source: above it a target would refuse to go on.
pub(super) const INDEX_MAX: u64 = 1 << 51;

/// How long a listing may take from the request to its last byte.
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(600);

/// How long another call may take.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Events that are known and not written yet.
pub(super) const PENDING_BYTES_MAX: usize = 64 << 20;

/// Hidden directories that are looked at, and watched.
pub(super) const HIDDEN_MAX: usize = 64;
