//! Starting a server, and looking a data directory over.

use crate::api::admin::lift;
use crate::api::route::Port;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::disk::DataDir;
use crate::error::StartError;
use crate::owner::{Listener, NoPeers, Owner, Parts, waker_token};
use crate::tls::Acceptor;
use crate::worker::Workers;
use mio::net::{TcpListener, UnixStream};
use mio::{Poll, Waker};
use replica::{Clock, ClusterConfig, Driver, Options};
use socket2::{Domain, Protocol, Socket, Type};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

/// A snapshot for each so many commands is only worth its price when they make this many bytes of
/// log each on average; smaller commands gather until they do.
const SNAPSHOT_LOG_BYTES_PER_COMMAND: u64 = 3355;

fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    let open = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // A restart must not wait for connections of the last run to be forgotten.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(TcpListener::from_std(socket.into()))
    };
    open().map_err(|source| StartError::Listen { address: address.to_string(), source })
}

fn listeners(config: &Config) -> Result<Vec<Listener>, StartError> {
    let mut listeners = Vec::new();
    for client in &config.client_listeners {
        let port = Port::Client(client.dialect);
        listeners.push(Listener { socket: listen(client.bind)?, port });
    }
    listeners.push(Listener { socket: listen(config.peer_bind)?, port: Port::Peer });
    Ok(listeners)
}

fn options(config: &Config, seed: u64) -> Options {
    Options {
        name: config.name.clone(),
        client_url: config.client_url(),
        peer_url: format!("http://{}", config.peer_advertised),
        cluster_config: lift(ClusterConfig {
            active_size: config.cluster.active_size,
            remove_delay: config.cluster.remove_delay,
            sync_interval: config.cluster.sync_interval,
        }),
        store_limits: store::Limits {
            history_bytes_max: config.limits.history_bytes,
            history_events_min: config.limits.history_events_min,
            watchers_max: config.limits.watchers,
        },
        wal_options: wal::Options::default(),
        snapshot_count: config.snapshot_count,
        snapshot_log_bytes_per_command: SNAPSHOT_LOG_BYTES_PER_COMMAND,
        heartbeat_ms: config.heartbeat_interval_ms,
        election_timeout_ms: config.election_timeout_ms,
        request_timeout_ns: config.limits.request_timeout_ms.saturating_mul(1_000_000),
        seed,
    }
}

/// A number that no other process is likely to share.
fn draw_seed(clock: SystemClock) -> u64 {
    use std::hash::{BuildHasher, Hasher};
    let mut hasher = std::hash::RandomState::new().build_hasher();
    hasher.write_u64(clock.now().monotonic);
    hasher.write_u32(std::process::id());
    hasher.finish()
}

/// Raises the limit on open files as far as the system lets us: each client is one.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if setrlimit(Resource::Nofile, raised).is_err() {
        tracing::warn!("the limit on open files could not be raised");
    }
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// [`StartError`] with one sentence for the operator.
pub fn run(config: Config) -> Result<(), StartError> {
    raise_file_limit();
    let clock = SystemClock::new();
    let data_dir = DataDir::open(&config.data_dir).map_err(StartError::DataDir)?;
    let tls = config.client_tls.clone().map(Acceptor::open).transpose()?;
    let listeners = listeners(&config)?;
    if config.force {
        data_dir.clear()?;
    }
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), waker_token())?);
    let (signals, sender) = UnixStream::pair()?;
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        let sender = rustix::io::dup(&sender).map_err(std::io::Error::from)?;
        signal_hook::low_level::pipe::register(signal, sender)?;
    }
    let seed = draw_seed(clock);
    let (driver, opened) = Driver::open(data_dir, NoPeers, clock, options(&config, seed))?;
    if let Some(cut) = &opened.torn_tail {
        tracing::warn!("{cut}");
    }
    tracing::info!(
        name = config.name,
        new = opened.is_new,
        snapshot = opened.snapshot_index.0,
        replayed = opened.entries_replayed,
        index = driver.store().index().0,
        "data directory opened"
    );
    for listener in &listeners {
        let address = listener.socket.local_addr()?;
        match listener.port {
            Port::Client(dialect) => tracing::info!(%address, ?dialect, "listening for clients"),
            Port::Peer => tracing::info!(%address, "listening for members and administration"),
        }
    }
    let workers = Workers::new(waker);
    let parts = Parts { config, tls, poll, listeners, signals, driver, workers, clock };
    Owner::new(parts)?.run()
}

/// Looks a data directory over without changing anything in it. Gives a report for people, and
/// whether a server would start from it.
///
/// # Errors
/// [`StartError`] when the directory cannot be read, or is in use.
pub fn check(path: &Path) -> Result<(String, bool), StartError> {
    use std::fmt::Write;
    if !path.is_dir() {
        let detail = format!("there is no data directory {}", path.display());
        return Err(StartError::DataDir(detail));
    }
    let data_dir = DataDir::open(path).map_err(StartError::DataDir)?;
    let report = wal::check(&data_dir).map_err(|error| StartError::Member(error.into()))?;
    let mut text = String::new();
    for (name, result) in &report.snapshots {
        let _ = match result {
            Ok(bytes) => writeln!(text, "{name}: sound, {bytes} bytes"),
            Err(detail) => writeln!(text, "{name}: DAMAGED: {detail}"),
        };
    }
    for (name, records, end) in &report.segments {
        let _ = writeln!(text, "{name}: {records} records up to offset {end}");
    }
    if let Some(error) = &report.log_error {
        let _ = writeln!(text, "log: {error}");
    }
    if report.snapshots.is_empty() {
        let _ = writeln!(text, "there is no snapshot to start from");
    }
    let verdict = if report.is_sound() { "sound" } else { "NOT usable as it is" };
    let _ = writeln!(text, "{}: {verdict}", path.display());
    Ok((text, report.is_sound()))
}
