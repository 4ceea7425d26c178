//! Starting a server, and looking a data directory over.

mod part;
mod proxy;

use crate::api::admin::clamp_to_minimum;
use crate::api::join::view;
use crate::audit::Audit;
use crate::config::Config;
use crate::error::StartError;
use crate::join::{Registrar, View};
use crate::member::moved::compare_with_list;
use crate::member::worker::Workers;
use crate::member::{EventLoop, MemberEnd, MemberParts, TOKEN_WAKER};
use crate::net::tls::{self, Keyring};
use crate::notice::notice;
use crate::peer::PeerLinks;
use crate::proof::Prover;
use crate::standby::{self, Aftermath, Errand};
use crate::sys::clock::SystemClock;
use crate::sys::disk::{DataDir, WalPlace, memory};
use crate::sys::inherited::Inherited;
use crate::sys::ports::Ports;
use crate::sys::pulse::Pulse;
use crate::sys::reload::Reloads;
use crate::sys::{process, raft_log};
use mio::{Poll, Waker};
use replica::{Clock, ClusterConfig, Driver, MemberId, Options, Removal};
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

/// A snapshot for each so many commands is only worth its price when they make this many bytes of
/// log each on average; smaller commands gather until they do.
const SNAPSHOT_LOG_BYTES_PER_COMMAND: u64 = 3355;

/// So many bytes of log, or twice as many as the last snapshot has, make one due however few
/// commands they are: what the log takes on disk is bounded (docs/operating.md).
const SNAPSHOT_LOG_BYTES_MAX: u64 = 256 << 20;

/// Bytes of the log that a member keeps, in memory and on disk, for members that lag: what is
/// written in some seconds, so that one that restarts needs no snapshot.
const LOG_TAIL_BYTES: usize = 32 << 20;

/// Bytes of a snapshot in one message to another member: large enough to cost little for a byte,
/// small enough for a heartbeat not to wait long behind it.
const SNAPSHOT_PIECE_BYTES: usize = 128 << 10;

fn options(config: &Config, seed: u64) -> Options {
    Options {
        name: config.name.clone(),
        client_url: config.client_url.clone(),
        client_urls: config.other_client_urls(),
        peer_url: config.peer_url(),
        cluster_config: clamp_to_minimum(ClusterConfig {
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
        snapshot_log_bytes_max: SNAPSHOT_LOG_BYTES_MAX,
        snapshot_piece_bytes: SNAPSHOT_PIECE_BYTES,
        log_tail_bytes: LOG_TAIL_BYTES,
        heartbeat_ms: config.heartbeat_interval_ms,
        election_timeout_ms: config.election_timeout_ms,
        request_timeout_ns: config.limits.request_timeout_ms.saturating_mul(1_000_000),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        seed,
    }
}

/// A number that no other process is likely to share.
pub(crate) fn draw_seed(clock: SystemClock) -> u64 {
    use std::hash::{BuildHasher, Hasher};
    let mut hasher = std::hash::RandomState::new().build_hasher();
    hasher.write_u64(clock.now().monotonic);
    hasher.write_u32(std::process::id());
    hasher.finish()
}

/// State that lives as long as the process, independent of the role of the machine.
struct Host {
    config: Config,
    clock: SystemClock,
    data_dir: DataDir,
    seed: u64,
    signals: UnixStream,
    ports: Ports,
    keyring: Keyring,
    audit: Option<Rc<Audit>>,
    pulse: Pulse,
}

/// What connects a running server to the program around it.
#[derive(Debug, Default)]
pub struct Handles {
    /// What changes while it runs.
    pub reloads: Reloads,
    /// Who supervises it.
    pub pulse: Pulse,
    /// Sockets that it was started with.
    pub sockets: Inherited,
}

/// Serves until SIGTERM or SIGINT, or SIGHUP if that is to end it. What changes meanwhile comes by
/// the `handles`, by which others learn of it, too.
///
/// # Errors
/// [`StartError`] with one sentence for the operator.
pub fn run(mut config: Config, handles: Handles) -> Result<(), StartError> {
    process::adapt(&mut config)?;
    let is_forced = config.force || config.finding.force_rejoin;
    let place = WalPlace { given: config.wal_dir.as_deref(), is_forced };
    let data_dir = DataDir::open_at(&config.data_dir, place).map_err(StartError::DataDir)?;
    serve(config, handles, data_dir, || ())
}

/// Serves a machine of its own that keeps everything in memory, whatever `config` says of a data
/// directory; `listening` is called as soon as clients can connect.
///
/// # Errors
/// As [`run`].
pub fn run_in_memory(mut config: Config, listening: impl FnOnce()) -> Result<(), StartError> {
    process::adapt(&mut config)?;
    (config.data_dir, config.wal_dir) = (memory::PATH.into(), None);
    serve(config, Handles::default(), DataDir::in_memory(), listening)
}

fn serve(
    config: Config,
    handles: Handles,
    data_dir: DataDir,
    listening: impl FnOnce(),
) -> Result<(), StartError> {
    let Handles { reloads, pulse, mut sockets } = handles;
    let clock = SystemClock::new();
    tls::auto::prepare(&config, &data_dir)?;
    // An invalid certificate is reported before anything else is done.
    let keyring = Keyring::open(&config, reloads)?;
    let ports = Ports::open(&config, &mut sockets)?;
    let (signals, sender) = UnixStream::pair()?;
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let ends = [SIGTERM, SIGINT].into_iter().chain(config.ends_on_hangup.then_some(SIGHUP));
    for signal in ends {
        let sender = rustix::io::dup(&sender).map_err(io::Error::from)?;
        signal_hook::low_level::pipe::register(signal, sender)?;
    }
    signals.set_nonblocking(true)?;
    listening();
    let seed = draw_seed(clock);
    let audit = config.audit.as_ref().map(|plan| Audit::start(plan, &config.name));
    let audit = audit.transpose().map_err(StartError::Audit)?.map(Rc::new);
    let path = config.data_dir.clone();
    let host = Host { config, clock, data_dir, seed, signals, ports, keyring, audit, pulse };
    host.run().map_err(|error| error.on(&path))
}

/// Moves the log and the snapshots out of the way, if there are any.
fn set_aside(data_dir: &DataDir, label: &str) -> Result<(), StartError> {
    let failed = |error| StartError::DataDir(format!("cannot set the data aside: {error}"));
    if !wal::is_empty(data_dir).map_err(failed)? {
        let directory = data_dir.set_aside(label).map_err(failed)?;
        notice!(
            SetAside,
            "",
            "to {}; nothing reads them any more: delete that \
             directory when you are sure that you do not need it",
            directory.display()
        );
    }
    Ok(())
}

/// The part that a machine plays next.
enum Part {
    Member,
    /// It stands by; these are peer URLs of members.
    Standby(Vec<String>),
    /// It was removed while it ran.
    Removed(Box<Aftermath>),
    Stop,
}

impl Host {
    fn run(mut self) -> Result<(), StartError> {
        if self.begins_as_proxy()? {
            return self.relay();
        }
        // A machine that looks for its cluster by discovery registers itself first.
        let is_new = matches!(wal::is_empty(&self.data_dir), Ok(true))
            && matches!(self.data_dir.standby(), Ok(None));
        let mut part = self.find_part()?;
        let registrar = Registrar::start(&self.config, is_new);
        loop {
            part = match part {
                Part::Stop => return Ok(()),
                Part::Member => self.serve()?,
                Part::Standby(peers) => self.stand_by(peers.clone(), Errand::Place(peers))?,
                Part::Removed(after) => {
                    // Nobody is to be sent to a machine that stays out.
                    if let (Removal::Final, Some(registrar)) = (after.removal, &registrar) {
                        registrar.stop();
                    }
                    self.stand_by(after.peers(), Errand::Aftermath(after))?
                }
            };
            // What this machine forwards from here on is not what it forwarded before.
            self.seed = draw_seed(self.clock);
        }
    }

    fn signals(&self) -> io::Result<mio::net::UnixStream> {
        Ok(mio::net::UnixStream::from_std(self.signals.try_clone()?))
    }

    /// Stands by until there is a place.
    fn stand_by(&mut self, peers: Vec<String>, errand: Errand) -> Result<Part, StartError> {
        self.data_dir.set_standby(Some(&peers))?;
        let mut known = peers;
        let parts = standby::StandbyParts {
            config: &self.config,
            clock: self.clock,
            own: self.own(),
            errand,
            listeners: self.ports.again()?,
            signals: self.signals()?,
            pulse: &self.pulse,
            keyring: &mut self.keyring,
        };
        let ended = standby::run(parts, &mut |urls| {
            if urls != known.as_slice() {
                urls.clone_into(&mut known);
                // An older list serves as well, as long as one of it is there.
                if let Err(error) = self.data_dir.set_standby(Some(urls)) {
                    notice!(ListUnsaved, "", "{error}");
                }
            }
        })?;
        match ended {
            standby::StandbyEnd::Stopped => Ok(Part::Stop),
            standby::StandbyEnd::Promoted(birth) => {
                self.prepare(*birth)?;
                notice!(Joined, "", "{} is a member now", self.config.name);
                Ok(Part::Member)
            }
            // Only who starts asks what it is to become.
            standby::StandbyEnd::Decided(_) => Ok(Part::Stop),
        }
    }

    /// Serves as a member.
    fn serve(&mut self) -> Result<Part, StartError> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), TOKEN_WAKER)?);
        let prover = Prover::new(&self.config.finding.token);
        let registry = poll.registry().try_clone()?;
        let peers = PeerLinks::new(registry, Arc::clone(&waker), prover, self.keyring.dialer());
        let options = options(&self.config, self.seed);
        let (mut driver, opened) = Driver::open_logged(
            self.data_dir.clone(),
            peers,
            self.clock,
            options,
            &raft_log::logger(),
        )?;
        let (cluster, id) = (driver.cluster(), driver.status().id);
        driver.network_mut().introduce(cluster, id, &self.config.peer_advertised);
        if let Some(cut) = &opened.torn_tail {
            notice!(LogCut, "", "{cut}");
        }
        notice!(
            DirectoryOpened,
            "",
            [
                name = self.config.name,
                member = %id,
                cluster = %cluster,
                new = opened.is_new,
                snapshot = opened.snapshot_index.0,
                replayed = opened.entries_replayed,
                index = driver.store().index().0,
            ],
            ""
        );
        let listeners = self.ports.again()?;
        self.ports.tell()?;
        let workers = Workers::new(waker);
        let (config, clock, signals) = (self.config.clone(), self.clock, self.signals()?);
        let keyring = std::mem::take(&mut self.keyring);
        let audit = self.audit.clone();
        let parts = MemberParts {
            config,
            poll,
            listeners,
            signals,
            driver,
            workers,
            clock,
            keyring,
            audit,
            pulse: self.pulse.clone(),
        };
        let mut member = EventLoop::new(parts)?;
        compare_with_list(&member.cx);
        let ended = member.run()?;
        self.keyring = std::mem::take(&mut member.front.keyring);
        match ended {
            MemberEnd::Stopped => Ok(Part::Stop),
            MemberEnd::Removed(removal) => {
                let own = member.cx.driver.status().id;
                let mut view = view(&member.cx, None);
                drop(member);
                view.members.retain(|member| member.id != own);
                view.leader = view.leader.filter(|leader| *leader != own);
                self.leave(own, removal, view)
            }
        }
    }
}

impl Host {
    /// Puts away what this machine kept as a member. Its id never comes back, and the copy is of no
    /// use to the cluster; it is moved and not deleted, in case that the removal was a mistake.
    fn leave(&self, own: MemberId, removal: Removal, view: View) -> Result<Part, StartError> {
        let name = &self.config.name;
        match removal {
            Removal::Plain => notice!(
                RemovedSelf,
                "",
                [member = %own,],
                "{name} continues as a standby, and tries to join again in {} s at the earliest",
                view.sync_interval
            ),
            Removal::Final => notice!(
                RemovedSelf,
                "for good",
                [member = %own,],
                "{name} was removed through /v2/members; it stays out until it is restarted"
            ),
        }
        // First the standby marker: an empty directory without it would be taken for that of a new
        // machine.
        let peers: Vec<String> = view.members.iter().map(|one| one.peer_url.clone()).collect();
        self.data_dir.set_standby(Some(&peers))?;
        set_aside(&self.data_dir, "removed")?;
        Ok(Part::Removed(Box::new(Aftermath { removal, view })))
    }
}

/// Checks a data directory (read-only). Gives a report for people, and whether a server would start
/// from it.
///
/// # Errors
/// [`StartError`] when the directory cannot be read, or is in use.
pub fn check(path: &Path) -> Result<(String, bool), StartError> {
    use std::fmt::Write;
    if !path.is_dir() {
        let detail = format!("data directory {} not found", path.display());
        return Err(StartError::DataDir(detail));
    }
    let data_dir = DataDir::look(path).map_err(StartError::DataDir)?;
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
    if let Some(cut) = &report.cut {
        let _ = writeln!(text, "log: the next start truncates its end: {cut}");
    }
    if let Some(error) = &report.log_error {
        let _ = writeln!(text, "log: {error}");
    }
    if report.snapshots.is_empty() {
        let _ = writeln!(text, "no snapshot to start from");
    }
    let verdict = if report.is_sound() { "sound" } else { "NOT usable as it is" };
    let _ = writeln!(text, "{}: {verdict}", path.display());
    Ok((text, report.is_sound()))
}
