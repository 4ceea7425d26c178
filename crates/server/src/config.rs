//! The resolved settings of a server: plain values, independent of their source.

use crate::audit::AuditPlan;
use replica::Member;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use replica::{CLIENT_URL_BYTES_MAX, CLIENT_URLS_MAX, ClientUrls};

/// The two shapes in which the v2 API was spoken (docs/spec/keys.md section 14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// As 0.4 spoke it, with its bugs mended.
    V04,
    /// As 2.x spoke it.
    V2,
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dialect::V04 => "v04",
            Dialect::V2 => "v2",
        })
    }
}

impl Dialect {
    /// Where clients that speak this dialect reach a member. One that has no port of it is named
    /// by the ports that it has, and one that has not started by nothing.
    pub(crate) fn urls_of(self, member: &Member) -> Vec<&str> {
        match self {
            Dialect::V04 => member.v04_urls(),
            Dialect::V2 => member.v2_urls(),
        }
    }

    /// The one of them for a client that is to go there at once: as its own connection is, with TLS
    /// or without, if there is such a one. Empty if there is none at all.
    pub(crate) fn url_of(self, member: &Member, is_tls: bool) -> &str {
        let urls = self.urls_of(member);
        let is_alike = |url: &&&str| url.starts_with("https://") == is_tls;
        urls.iter().find(is_alike).or(urls.first()).copied().unwrap_or_default()
    }
}

/// The side of the server that a connection comes in at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    Client(Dialect),
    Peer,
}

impl Port {
    /// The dialect spoken there; the peer port has only answers that are the same in both.
    pub(crate) fn dialect(self) -> Dialect {
        match self {
            Port::Client(dialect) => dialect,
            Port::Peer => Dialect::V04,
        }
    }
}

/// The PEM files of a port that speaks TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and what leads from it to a known authority.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Authorities that sign the certificates of those on the other side.
    pub ca: Option<PathBuf>,
    /// Whether a caller has to show a certificate that one of them signed.
    pub asks_callers: bool,
    /// The names and addresses of a certificate that the server makes itself, in which case `cert`
    /// and `key` are the same file in its data directory.
    pub auto: Option<Vec<String>>,
    /// Suites of TLS 1.2 that are offered, by the registry's names; nothing for the usual ones.
    pub suites: Option<Vec<String>>,
}

impl TlsFiles {
    /// Whether certificates of the other side of a call are not verified: those that machines make
    /// themselves cannot be.
    pub fn trusts_anyone(&self) -> bool {
        self.auto.is_some() && self.ca.is_none()
    }
}

/// A port for clients.
#[derive(Clone, Debug)]
pub struct ClientListener {
    /// Where to listen.
    pub bind: Bind,
    /// How to speak there.
    pub dialect: Dialect,
    /// Whether TLS is spoken there, with the files of [`Config::client_tls`].
    pub is_tls: bool,
}

/// Most ports for clients: each has a place in the loop that serves them all.
pub const CLIENT_LISTENERS_MAX: usize = 8;

/// A place to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// An address of the machine.
    Tcp(SocketAddr),
    /// A Unix socket, by the path of its file.
    Unix(PathBuf),
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bind::Tcp(address) => address.fmt(f),
            Bind::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// The cluster configuration that a new cluster begins with.
#[derive(Clone, Copy, Debug)]
pub struct ClusterDefaults {
    /// The maximum number of voting members.
    pub active_size: u64,
    /// Seconds after which a silent machine is removed.
    pub remove_delay: f64,
    /// Seconds between two looks of a standby at the cluster.
    pub sync_interval: f64,
}

/// The shared secret of the cluster. It is never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a word; an empty one is none.
    pub fn new(word: String) -> Self {
        Self(word)
    }

    /// Whether no secret is set.
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// The word itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether another word is the same, in a time that says nothing about where they differ.
    pub fn matches(&self, other: &[u8]) -> bool {
        let own = self.0.as_bytes();
        let differing = own.iter().zip(other).fold(0, |sum, (one, other)| sum | (one ^ other));
        own.len() == other.len() && differing == 0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_empty() { "none" } else { "(hidden)" })
    }
}

/// The machines of `-initial-cluster` (docs/spec/cli.md section 7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitialCluster {
    /// Names and peer URLs.
    pub members: Vec<(String, String)>,
    /// Tells clusters apart that have the same machines.
    pub token: String,
    /// Whether the machines begin a cluster together, or one exists already.
    pub is_new: bool,
    /// Which of them is this one, where names do not say so.
    pub own: Option<usize>,
}

/// A domain in whose records the machines of a cluster are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrvDomain {
    /// The domain.
    pub domain: String,
    /// What is behind the service's name, if anything.
    pub suffix: String,
    /// The name server to ask; nothing for those of the system.
    pub server: Option<SocketAddr>,
    /// Tells clusters apart that have the same machines.
    pub token: String,
    /// Whether the machines begin a cluster together, or one exists already.
    pub is_new: bool,
}

/// How a machine with an empty data directory finds its cluster.
#[derive(Clone, Debug, Default)]
pub struct Finding {
    /// Where members may be reached: HOST:PORT.
    pub peers: Vec<String>,
    /// A directory of a v2 server at which machines meet.
    pub discovery: Option<String>,
    /// A domain that names all machines of a cluster.
    pub srv: Option<SrvDomain>,
    /// The HTTP proxy by which the discovery service is reached.
    pub discovery_proxy: Option<String>,
    /// Whether a machine that finds its cluster full by discovery ends instead of standing by.
    pub ends_when_full: bool,
    /// All machines of a cluster that starts together.
    pub initial: Option<InitialCluster>,
    /// How often joining is attempted.
    pub retry_attempts: u64,
    /// Seconds that an attempt takes.
    pub retry_interval_secs: f64,
    /// Whether a member with this machine's name is replaced: its disk is lost.
    pub force_rejoin: bool,
    /// What members say to one another to be believed.
    pub token: Secret,
}

/// Limits for clients. A client that exceeds one gets an error in JSON.
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
    /// Connections on the peer port.
    pub peer_connections: usize,
    /// Bytes of requests that have not arrived completely, of all connections together.
    pub input_bytes_total: usize,
    /// Bytes of answers that wait for their clients, of all connections together.
    pub output_bytes_total: usize,
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
            peer_connections: 1024,
            input_bytes_total: 256 << 20,
            output_bytes_total: 256 << 20,
            watchers: 1 << 20,
            stream_buffer_bytes: 256 << 10,
            history_bytes: 8 << 20,
            history_events_min: 1000,
            request_timeout_ms: 5400,
        }
    }
}

/// The limits that can change while the server runs. Of `limits` these are the bytes of a request's
/// line, head and body, the connections of clients and the buffer of a stream.
#[derive(Clone, Copy, Debug)]
pub struct LiveLimits {
    /// Limits for clients.
    pub limits: Limits,
    /// Seconds that a client may take to send a request, and to receive an answer; 0 for no limit.
    pub timeouts: (f64, f64),
}

/// What the dashboard lets people do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dashboard {
    /// It is not served.
    Off,
    /// Its page shows and changes nothing. That binds the page alone, not the API behind it.
    ReadOnly,
    /// Its page shows and changes.
    On,
}

/// What a machine does that passes requests on and is never a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyMode {
    /// It passes everything on.
    On,
    /// It passes reads on and refuses the rest.
    ReadOnly,
}

/// Backups that a machine makes by itself.
#[derive(Clone, Debug)]
pub struct BackupPlan {
    /// Where they are kept. The directory has to be there.
    pub dir: PathBuf,
    /// The time between two of them.
    pub interval: Duration,
    /// How many are kept.
    pub keep: usize,
}

/// Everything that a server has to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The machine's name.
    pub name: String,
    /// Where log and snapshots are.
    pub data_dir: PathBuf,
    /// Where the log is to be instead.
    pub wal_dir: Option<PathBuf>,
    /// Whether to throw away what an earlier start left there.
    pub force: bool,
    /// The ports for clients.
    pub client_listeners: Vec<ClientListener>,
    /// Where clients reach this machine, with scheme: what those are told that know one address of
    /// a machine only.
    pub client_url: String,
    /// All addresses at which clients reach it.
    pub client_urls: ClientUrls,
    /// TLS on the ports for clients; nothing for plain HTTP.
    pub client_tls: Option<TlsFiles>,
    /// Where to listen for other members and for administration.
    pub peer_binds: Vec<SocketAddr>,
    /// Where it is reached: host and port.
    pub peer_advertised: String,
    /// TLS on this port and to other members; nothing for plain HTTP.
    pub peer_tls: Option<TlsFiles>,
    /// Whether the members and the configuration are changed at the ports for clients without the
    /// secret that machines share.
    pub open_membership: bool,
    /// Whether clients that prove to be nobody may do everything with keys when users begin to
    /// count, unless there is a role `guest`.
    pub opens_guest: bool,
    /// Whether the names in clients' certificates are users.
    pub certificates_name_users: bool,
    /// The audit log, if there is one.
    pub audit: Option<AuditPlan>,
    /// Warnings that concern the operator as long as the server runs.
    pub warnings: Vec<String>,
    /// What a new cluster begins with.
    pub cluster: ClusterDefaults,
    /// How the machine finds its cluster.
    pub finding: Finding,
    /// Whether a follower sends clients that need the leader there, as 0.4 did, in the place of
    /// serving them with its help.
    pub redirects_to_leader: bool,
    /// Whether a standby passes requests on to the leader itself, in the place of sending clients
    /// there.
    pub proxies_standby: bool,
    /// Whether the machine is a proxy, and of which kind.
    pub proxy: Option<ProxyMode>,
    /// Milliseconds between two heartbeats of a leader.
    pub heartbeat_interval_ms: u64,
    /// Milliseconds of silence after which an election may begin.
    pub election_timeout_ms: u64,
    /// After how many commands a snapshot is due; nothing for never.
    pub snapshot_count: Option<u64>,
    /// The backups that this machine makes by itself, if it does.
    pub backups: Option<BackupPlan>,
    /// Origins of pages that may use the API from a browser; `*` for all.
    pub cors: Vec<String>,
    /// Names under which the machine is reached beside those that it knows; `*` for any.
    pub host_whitelist: Vec<String>,
    /// Seconds that a client may take to send a request; 0 for no limit.
    pub http_read_timeout_secs: f64,
    /// Seconds that a client may take to receive an answer; 0 for no limit. Waiting for an event is
    /// not receiving.
    pub http_write_timeout_secs: f64,
    /// Microseconds that the loop looks for the next event before it sleeps, while clients are
    /// quick to send it; 0 to sleep at once.
    pub busy_poll_us: u64,
    /// Whether `/metrics` is served.
    pub metrics: bool,
    /// What the dashboard lets people do.
    pub dashboard: Dashboard,
    /// Whether the lock and leader modules are served.
    pub modules: bool,
    /// Limits for clients.
    pub limits: Limits,
    /// Whether SIGHUP ends the server, as SIGTERM does.
    pub ends_on_hangup: bool,
}

impl Config {
    /// The same as the members keep it: only what one address does not say.
    pub(crate) fn other_client_urls(&self) -> ClientUrls {
        self.client_urls.clone().beside(&self.client_url)
    }

    /// The limits that can change while the server runs.
    pub fn live_limits(&self) -> LiveLimits {
        let timeouts = (self.http_read_timeout_secs, self.http_write_timeout_secs);
        LiveLimits { limits: self.limits, timeouts }
    }

    /// Where other members reach this machine.
    pub fn peer_url(&self) -> String {
        let scheme = if self.peer_tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.peer_advertised)
    }

    /// Whether the peer port requires client certificates.
    pub fn knows_peers(&self) -> bool {
        self.peer_tls.as_ref().is_some_and(|files| files.asks_callers)
    }
}
