//! What a server is told at its start: plain values, whoever read them and from wherever.

use std::net::SocketAddr;
use std::path::PathBuf;

/// The two shapes in which the v2 API was spoken (spec keys.md section 14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// As 0.4 spoke it, with its bugs mended.
    V04,
    /// As 2.x spoke it.
    V2,
}

/// The PEM files of a port that speaks TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and what leads from it to a known authority.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Authorities, one of which must have signed a client's certificate; without them none is
    /// asked for.
    pub ca: Option<PathBuf>,
}

/// A port for clients.
#[derive(Clone, Debug)]
pub struct ClientListener {
    /// Where to listen.
    pub bind: SocketAddr,
    /// How to speak there.
    pub dialect: Dialect,
}

/// The cluster configuration that a new cluster begins with.
#[derive(Clone, Copy, Debug)]
pub struct ClusterDefaults {
    /// How many machines take part in consensus.
    pub active_size: u64,
    /// Seconds after which a silent machine is removed.
    pub remove_delay: f64,
    /// Seconds between two looks of a standby at the cluster.
    pub sync_interval: f64,
}

/// Bounds on what clients may do. Whoever meets one is told so in JSON.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a request line.
    pub request_line_bytes: usize,
    /// Bytes of a request's head.
    pub head_bytes: usize,
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// Connections on all client ports together.
    pub connections: usize,
    /// Watches that wait at the same time.
    pub watchers: usize,
    /// Bytes that wait for a slow reader of a stream before it must catch up from the history.
    pub stream_buffer_bytes: usize,
    /// Bytes of past events that are kept.
    pub history_bytes: usize,
    /// Past events that are kept whatever their size.
    pub history_events_min: usize,
    /// Milliseconds that a write or quorum read may wait for its outcome.
    pub request_timeout_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_line_bytes: 64 << 10,
            head_bytes: 128 << 10,
            body_bytes: 10 << 20,
            connections: 65_536,
            watchers: 1 << 20,
            stream_buffer_bytes: 256 << 10,
            history_bytes: 8 << 20,
            history_events_min: 1000,
            request_timeout_ms: 5400,
        }
    }
}

/// Everything that a server has to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The machine's name.
    pub name: String,
    /// Where log and snapshots are.
    pub data_dir: PathBuf,
    /// Whether to throw away what an earlier start left there.
    pub force: bool,
    /// The ports for clients.
    pub client_listeners: Vec<ClientListener>,
    /// Where the first of them is reached: host and port.
    pub client_advertised: String,
    /// TLS on the ports for clients; nothing for plain HTTP.
    pub client_tls: Option<TlsFiles>,
    /// The port for other members and for administration.
    pub peer_bind: SocketAddr,
    /// Where it is reached: host and port.
    pub peer_advertised: String,
    /// What a new cluster begins with.
    pub cluster: ClusterDefaults,
    /// Milliseconds between two heartbeats of a leader.
    pub heartbeat_interval_ms: u64,
    /// Milliseconds of silence after which an election may begin.
    pub election_timeout_ms: u64,
    /// After how many commands a snapshot is due; nothing for never.
    pub snapshot_count: Option<u64>,
    /// Origins of pages that may use the API from a browser; `*` for all.
    pub cors: Vec<String>,
    /// Seconds that a client may take to send a request.
    pub http_read_timeout_secs: f64,
    /// Seconds that a client may take to receive an answer. Waiting for an event is not receiving.
    pub http_write_timeout_secs: f64,
    /// Whether `/metrics` is served.
    pub metrics: bool,
    /// Bounds on what clients may do.
    pub limits: Limits,
}

impl Config {
    /// Where clients reach this machine.
    pub fn client_url(&self) -> String {
        let scheme = if self.client_tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.client_advertised)
    }
}
