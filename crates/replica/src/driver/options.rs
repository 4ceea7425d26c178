//! What a member is told at its start.

use crate::membership::ClusterConfig;
use crate::membership::urls::ClientUrls;
use store::Limits;

/// What a member is told at its start.
#[derive(Clone, Debug)]
pub struct Options {
    /// What people call it.
    pub name: String,
    /// Where clients reach it, with scheme.
    pub client_url: String,
    /// All addresses for clients, where there are others than that.
    pub client_urls: ClientUrls,
    /// Where other members reach it, with scheme.
    pub peer_url: String,
    /// The configuration that the first member of a cluster brings along.
    pub cluster_config: ClusterConfig,
    /// Bounds of the store's memory.
    pub store_limits: Limits,
    /// Bounds and sizes of the log.
    pub wal_options: wal::Options,
    /// After how many commands a snapshot is due; nothing for never.
    pub snapshot_count: Option<u64>,
    /// How many bytes of log must have gathered for each of those commands before a snapshot is
    /// worth writing.
    pub snapshot_log_bytes_per_command: u64,
    /// How many bytes of log make a snapshot due however few commands they are, where the last
    /// snapshot is small; see [`Driver::snapshot_job`](crate::Driver::snapshot_job).
    pub snapshot_log_bytes_max: u64,
    /// How many bytes of a snapshot travel to another member in one message; not zero.
    pub snapshot_piece_bytes: usize,
    /// How many bytes of applied log entries a member of a cluster keeps for those that lag.
    pub log_tail_bytes: usize,
    /// Milliseconds between two heartbeats of a leader.
    pub heartbeat_ms: u64,
    /// The shortest silence of a leader, in milliseconds, after which others campaign.
    pub election_timeout_ms: u64,
    /// How long a request may wait for its outcome, in nanoseconds.
    pub request_timeout_ns: u64,
    /// The version of the program, as other members are told.
    pub version: String,
    /// A number that no other process shares: it tells this start's rounds from those of others,
    /// and spreads elections.
    pub seed: u64,
}
