//! From values to the configuration of the server.

use crate::binding::{Flags, advertised, bind, in_url, split};
use crate::finding::{finding, proxies_standby, proxy};
use crate::ports;
use crate::reach;
use crate::secure;
use crate::setting::Flag;
use crate::source::{Source, Usage, Values};
use server::audit::{AuditPlan, AuditTarget};
use server::config::{
    BackupPlan, Bind, ClusterDefaults, Config, Dashboard, Limits, LiveLimits, TlsFiles,
};
use std::net::SocketAddr;
use std::path::PathBuf;

fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "stead".to_owned() } else { name }
}

/// # Errors
/// [`Usage`] if no machine can have this name.
pub(crate) fn check_name(name: &str) -> Result<(), Usage> {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_legal) || matches!(name, "." | "..") {
        return Err(Usage(format!(
            "-name {name:?}: expected letters, digits, dots, dashes and underscores"
        )));
    }
    Ok(())
}

/// Name and data directory, each of which has the other for its default.
fn identity(values: &mut Values) -> Result<(String, PathBuf), Usage> {
    let (name, name_source) = values.get(Flag::Name);
    let mut name = name.trim().to_owned();
    let (dir, dir_source) = values.get(Flag::DataDir);
    let mut dir = dir.to_owned();
    if name.is_empty() {
        if name_source != Source::Default || dir_source != Source::Default {
            let why = "the machine has no name: set -name, which is the host's only where \
                       -data-dir is not given either";
            return Err(Usage(why.to_owned()));
        }
        name = host_name();
    }
    check_name(&name)?;
    if dir.is_empty() {
        dir = format!("{name}.etcd");
        values.notes.push(format!("no -data-dir was given: using {dir} in the working directory"));
    }
    Ok((name, PathBuf::from(dir)))
}

fn limits(values: &Values) -> Limits {
    let head_bytes = values.size(Flag::MaxHeadBytes);
    Limits {
        request_line_bytes: head_bytes / 2,
        head_bytes,
        body_bytes: values.size(Flag::MaxBodyBytes),
        connections: values.size(Flag::MaxConnections),
        watchers: values.size(Flag::MaxWatchers),
        stream_buffer_bytes: values.size(Flag::StreamBufferBytes),
        history_bytes: values.size(Flag::HistoryBytes),
        history_events_min: 1000,
        request_timeout_ms: values.number(Flag::RequestTimeout),
        ..Limits::default()
    }
}

/// Those that can change while the server runs.
pub(crate) fn live_limits(values: &Values) -> LiveLimits {
    let timeouts = (values.seconds(Flag::HttpReadTimeout), values.seconds(Flag::HttpWriteTimeout));
    LiveLimits { limits: limits(values), timeouts }
}

/// Translates the flags of 2.x into ours.
fn translate(values: &mut Values) -> Result<(), Usage> {
    for (theirs, ours) in [
        (Flag::AdvertiseClientUrls, Flag::Addr),
        (Flag::InitialAdvertisePeerUrls, Flag::PeerAddr),
        (Flag::ListenPeerUrls, Flag::PeerBindAddr),
    ] {
        let (urls, source) = values.get(theirs);
        // A Unix socket means nothing to others.
        let is_tcp = |url: &&str| !url.is_empty() && !url.starts_with("unix");
        let is_client = theirs == Flag::AdvertiseClientUrls;
        let mut urls = urls.split(',').map(str::trim).filter(|url| !is_client || is_tcp(url));
        let first = urls.next().unwrap_or_default().to_owned();
        if first.is_empty() {
            continue;
        }
        let address = in_url(theirs, &first)?;
        if values.get(ours).1 == Source::Default {
            values.set_default_from(ours, address, source);
        }
    }
    Ok(())
}

/// The audit log.
fn audit(values: &Values) -> Option<AuditPlan> {
    let target = match values.get(Flag::AuditLog).0 {
        "" => return None,
        "stderr" => AuditTarget::Stderr,
        "journald" => AuditTarget::Journald,
        path => AuditTarget::File(PathBuf::from(path)),
    };
    Some(AuditPlan { target, reads: values.is_set(Flag::AuditReads) })
}

/// A value that is long on its way keeps the leader from being heard: in a cluster it may lose its
/// term over it. The defaults, 10 MiB and 200 ms, were measured not to (docs/tuning.md).
fn note_long_values(values: &mut Values, election_timeout_ms: u64) {
    const BYTES_PER_MS: u64 = (10_u64 << 20).div_ceil(200);
    let bytes = values.number(Flag::MaxBodyBytes);
    if bytes > election_timeout_ms.saturating_mul(BYTES_PER_MS) {
        values.notes.push(format!(
            "-max-body-bytes {bytes}: in a cluster, writing a value of that size may take longer \
             than -peer-election-timeout {election_timeout_ms} and cause an election; 5000, with \
             -peer-heartbeat-interval 500, is enough for the largest"
        ));
    }
}

/// The backups that the machine makes by itself.
fn backups(values: &Values) -> Result<Option<BackupPlan>, Usage> {
    let dir = values.get(Flag::BackupDir).0;
    if dir.is_empty() {
        return Ok(None);
    }
    let seconds = values.seconds(Flag::BackupInterval);
    if !(1.0..=1e9).contains(&seconds) {
        return Err(Usage(format!("-backup-interval {seconds}: at least 1 second is needed")));
    }
    if !std::path::Path::new(dir).is_dir() {
        return Err(Usage(format!("-backup-dir {dir}: there is no such directory: make it")));
    }
    let keep = usize::try_from(values.number(Flag::BackupKeep)).unwrap_or(usize::MAX);
    let interval = std::time::Duration::from_secs_f64(seconds);
    Ok(Some(BackupPlan { dir: dir.into(), interval, keep }))
}

/// The names and addresses by which a port is reached, as far as they are known here.
fn hosts_of(advertised: &str, binds: &[SocketAddr]) -> Vec<String> {
    let mut hosts = vec!["localhost".to_owned(), split(advertised).host.to_owned()];
    let concrete = binds.iter().map(SocketAddr::ip).filter(|ip| !ip.is_unspecified());
    hosts.extend(concrete.map(|ip| ip.to_canonical().to_string()));
    hosts.sort();
    hosts.dedup();
    hosts
}

/// The same of the ports for clients.
fn client_hosts(ports: &ports::ClientPorts) -> Vec<String> {
    let binds: Vec<SocketAddr> = ports
        .listeners
        .iter()
        .filter_map(|one| match &one.bind {
            Bind::Tcp(address) => Some(*address),
            Bind::Unix(_) => None,
        })
        .collect();
    let place = ports.url.rsplit('/').next().unwrap_or_default();
    hosts_of(place, &binds)
}

fn dashboard(values: &Values) -> Dashboard {
    match values.get(Flag::Dashboard).0 {
        "on" => Dashboard::On,
        "read-only" => Dashboard::ReadOnly,
        _ => Dashboard::Off,
    }
}

fn ends_on_hangup(values: &Values) -> bool {
    match values.get(Flag::Hangup).0 {
        "end" => true,
        "reload" => false,
        _ => server::ends_on_hangup(),
    }
}

/// The heartbeat interval and the election time-out, in milliseconds.
fn timing(values: &Values) -> Result<(u64, u64), Usage> {
    let heartbeat_interval_ms = values.number(Flag::PeerHeartbeatInterval);
    let election_timeout_ms = values.number(Flag::PeerElectionTimeout);
    if election_timeout_ms < 2 * heartbeat_interval_ms {
        return Err(Usage(format!(
            "-peer-election-timeout {election_timeout_ms} must be at least twice \
             -peer-heartbeat-interval {heartbeat_interval_ms}, better five times"
        )));
    }
    Ok((heartbeat_interval_ms, election_timeout_ms))
}

/// Puts the configuration together.
///
/// # Errors
/// [`Usage`] with what is wrong and what to do.
pub(crate) fn config(values: &mut Values) -> Result<Config, Usage> {
    let has_addr = values.get(Flag::Addr).1 != Source::Default;
    translate(values)?;
    let (name, data_dir) = identity(values)?;
    let (peer_advertised, peer_port) = advertised(values, Flag::PeerAddr)?;
    let at = secure::Place { data_dir: &data_dir, hosts: &[] };
    let mut client_tls = secure::client_files(values, &at)?;
    let ports = ports::client_ports(values, client_tls.is_some(), has_addr)?;
    if let Some(TlsFiles { auto: Some(hosts), .. }) = &mut client_tls {
        *hosts = client_hosts(&ports);
    }
    // Where this machine listens is what was written; what is advertised has to lead here.
    let told = |values: &mut Values, flag: Flag, address: &str, port: u16| {
        reach::advertise(values, flag, address, split(address).host, port)
    };
    let flags = Flags { reached: Flag::PeerAddr, listens: Flag::PeerBindAddr };
    let proxy = proxy(values)?;
    let peer_binds = match proxy {
        None => bind(values, flags, &peer_advertised, peer_port)?,
        Some(_) => Vec::new(),
    };
    let peer_advertised = told(values, Flag::PeerAddr, &peer_advertised, peer_port);
    let token = secure::token(values)?;
    let hosts = hosts_of(&peer_advertised, &peer_binds);
    let at = secure::Place { data_dir: &data_dir, hosts: &hosts };
    let peer_tls = secure::peer_files(values, &token, &at)?;
    let warnings = secure::exposure(values, &peer_binds, peer_tls.as_ref(), &token)?;
    secure::check_urls(values, peer_tls.is_some())?;
    let (heartbeat_interval_ms, election_timeout_ms) = timing(values)?;
    note_long_values(values, election_timeout_ms);
    Ok(Config {
        name,
        data_dir,
        wal_dir: Some(values.get(Flag::WalDir).0).filter(|dir| !dir.is_empty()).map(PathBuf::from),
        force: values.is_set(Flag::Force),
        client_listeners: ports.listeners,
        client_url: ports.url,
        client_urls: ports.urls,
        client_tls,
        peer_binds,
        peer_advertised,
        peer_tls,
        open_membership: values.is_set(Flag::OpenMembership),
        audit: audit(values),
        opens_guest: values.get(Flag::AuthGuest).0 == "open",
        certificates_name_users: values.is_set(Flag::ClientCertAuth),
        warnings,
        cluster: ClusterDefaults {
            active_size: values.number(Flag::ClusterActiveSize),
            remove_delay: values.seconds(Flag::ClusterRemoveDelay),
            sync_interval: values.seconds(Flag::ClusterSyncInterval),
        },
        finding: finding(values, token)?,
        redirects_to_leader: values.get(Flag::FollowerMode).0 == "redirect",
        proxies_standby: proxies_standby(values),
        proxy,
        heartbeat_interval_ms,
        election_timeout_ms,
        snapshot_count: values.is_set(Flag::Snapshot).then(|| values.number(Flag::SnapshotCount)),
        backups: backups(values)?,
        cors: values.list(Flag::Cors),
        host_whitelist: values.list(Flag::HostWhitelist),
        http_read_timeout_secs: values.seconds(Flag::HttpReadTimeout),
        http_write_timeout_secs: values.seconds(Flag::HttpWriteTimeout),
        busy_poll_us: values.number(Flag::BusyPoll),
        metrics: values.get(Flag::Metrics).0 == "on",
        dashboard: dashboard(values),
        modules: values.get(Flag::Modules).0 == "on",
        limits: limits(values),
        ends_on_hangup: ends_on_hangup(values),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Environment;

    fn gathered(args: &[&str]) -> Result<Values, Usage> {
        let mut all: Vec<String> = vec!["-name=m0".into(), "-data-dir=d".into()];
        all.extend(args.iter().map(|arg| (*arg).to_owned()));
        let read_file = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
        let environment = Environment { args: &all, env: &[], read_file: &read_file };
        Values::gather(&environment).map(|(values, _)| values)
    }

    fn resolved(args: &[&str]) -> Result<Config, Usage> {
        config(&mut gathered(args)?)
    }

    fn bound(args: &[&str]) -> String {
        let config = resolved(args).expect("sound");
        config.client_listeners.first().expect("there is one").bind.to_string()
    }

    #[test]
    fn a_machine_listens_where_it_says_it_is_reached() {
        assert_eq!(bound(&[]), "127.0.0.1:4001");
        assert_eq!(bound(&["-addr=127.0.0.1:5001"]), "127.0.0.1:5001");
        assert_eq!(bound(&["-addr=127.0.0.77:5001"]), "127.0.0.77:5001");
        assert_eq!(bound(&["-addr=203.0.113.9:5001"]), "0.0.0.0:5001", "of another machine");
        assert_eq!(bound(&["-addr=[::1]:5001"]), "[::1]:5001");
        assert_eq!(bound(&["-addr=[2001:db8::7]:5001"]), "[::]:5001");
        assert_eq!(bound(&["-addr=stead.invalid:5001"]), "0.0.0.0:5001");
        assert_eq!(bound(&["-addr=10.0.0.1:5001", "-bind-addr=[::]"]), "[::]:5001");
        assert_eq!(bound(&["-addr=10.0.0.1:5001", "-bind-addr=127.0.0.1"]), "127.0.0.1:5001");
        assert_eq!(bound(&["-bind-addr=127.0.0.1:6001"]), "127.0.0.1:6001");
    }

    #[test]
    fn others_are_never_told_of_all_interfaces() {
        let mut values = gathered(&["-addr=0.0.0.0:5001", "-peer-addr=[::]:7009"]).expect("sound");
        let config = config(&mut values).expect("it is replaced");
        assert_eq!(config.peer_binds[0].to_string(), "[::]:7009");
        assert_eq!(config.client_listeners[0].bind.to_string(), "0.0.0.0:5001");
        let client = config.client_url.trim_start_matches("http://");
        for (address, port) in [(client, 5001), (config.peer_advertised.as_str(), 7009)] {
            let told: SocketAddr = address.parse().expect("an address");
            assert!(!told.ip().is_unspecified() && told.port() == port, "{told}");
            let is_said = |note: &&String| note.contains(address);
            assert_eq!(values.notes.iter().filter(is_said).count(), 1, "{:?}", values.notes);
        }
    }

    #[test]
    fn long_values_and_short_time_outs_are_noted_together() {
        let notes = |args: &[&str]| {
            let mut values = gathered(args).expect("sound");
            config(&mut values).expect("they are fine");
            values.notes.iter().filter(|note| note.contains("-max-body-bytes")).count()
        };
        assert_eq!(notes(&[]), 0, "the defaults go together");
        assert_eq!(notes(&["-max-body-bytes=33554432"]), 1);
        assert_eq!(notes(&["-max-body-bytes=33554432", "-peer-election-timeout=5000"]), 0);
        assert_eq!(notes(&["-peer-election-timeout=100"]), 1);
    }

    #[test]
    fn addresses_and_times_that_cannot_be_are_refused() {
        for (args, want) in [
            (vec!["-addr=127.0.0.1"], "missing port in address"),
            (vec!["-addr=::1:4001"], "in brackets"),
            (vec!["-addr=127.0.0.1:0"], "port 0"),
            (vec!["-peer-addr=[fe80::1%lo]:7001"], "zone"),
            (vec!["-initial-cluster=m0=http://0.0.0.0:7001"], "this address cannot be dialled"),
            (vec!["-initial-cluster=m0=http://h:0"], "port 0"),
            (vec!["-addr=:4001"], "missing host in address"),
            (vec!["-addr=http://a:1"], "expected HOST:PORT, without a scheme"),
            (vec!["-addr=a:99999"], "invalid port"),
            (vec!["-bind-addr=:99"], "IP required, can't use a port only"),
            (vec!["-peer-heartbeat-interval=500"], "must be at least twice"),
            (vec!["-name=a/b"], "letters, digits"),
            (vec!["-name="], "the machine has no name"),
        ] {
            let error = resolved(&args).expect_err("a mistake").0;
            assert!(error.contains(want), "{args:?}: {error}");
        }
    }
}
