//! How a machine finds its cluster, as the settings say, and whether it is only a proxy of one.

use crate::binding::{in_url, parse_port, split};
use crate::reach;
use crate::setting::Flag;
use crate::source::{Source, Usage, Values};
use server::config::{Finding, InitialCluster, ProxyMode, Secret, SrvDomain};

/// The list in a file, with commas or lines between its items.
fn peers_file(path: &str) -> Result<Vec<String>, Usage> {
    const PEERS_FILE_MAX: u64 = 1 << 20;
    let read = || {
        use std::io::Read;
        let mut text = String::new();
        std::fs::File::open(path)?.take(PEERS_FILE_MAX).read_to_string(&mut text)?;
        Ok::<_, std::io::Error>(text)
    };
    let text = read().map_err(|error| Usage(format!("Peers file error: open {path}: {error}")))?;
    let items = text.split([',', '\n']).map(str::trim).filter(|item| !item.is_empty());
    Ok(items.map(str::to_owned).collect())
}

pub(crate) fn initial_cluster(values: &Values) -> Result<Option<InitialCluster>, Usage> {
    let flag = Flag::InitialCluster;
    let mut members = Vec::new();
    for item in values.list(flag) {
        let Some((name, url)) = item.split_once('=') else {
            return Err(Usage(format!("-{flag}: {item}: expected NAME=PEER_URL")));
        };
        let address = in_url(flag, url)?;
        let parts = split(&address);
        let port = parse_port(flag, url, parts.port.unwrap_or_default())?;
        reach::check(flag, url, parts.host, port)?;
        if reach::is_unspecified(parts.host) {
            return Err(Usage(format!(
                "-{flag}: {item}: this address cannot be dialled: use the machine's own address"
            )));
        }
        let url = url.trim_end_matches('/').to_owned();
        if members.iter().any(|(listed, other)| listed == name || *other == url) {
            return Err(Usage(format!("-{flag}: {item}: duplicate name or URL")));
        }
        members.push((name.to_owned(), url));
    }
    let token = values.get(Flag::InitialClusterToken).0.to_owned();
    let is_new = values.get(Flag::InitialClusterState).0 == "new";
    Ok((!members.is_empty()).then_some(InitialCluster { members, token, is_new, own: None }))
}

/// How the machine finds its cluster.
pub(crate) fn finding(values: &Values, token: Secret) -> Result<Finding, Usage> {
    let file = values.get(Flag::PeersFile).0;
    let peers = if file.is_empty() { values.list(Flag::Peers) } else { peers_file(file)? };
    for peer in &peers {
        let parts = split(peer);
        let is_port = parts.port.is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
        if parts.host.is_empty() || !is_port || peer.contains("://") {
            return Err(Usage(format!("-peers: {peer}: expected HOST:PORT, without a scheme")));
        }
    }
    let discovery = values.get(Flag::Discovery).0;
    if !discovery.is_empty()
        && !discovery.starts_with("http://")
        && !discovery.starts_with("https://")
    {
        return Err(Usage(format!("-discovery: {discovery}: expected a URL")));
    }
    let interval = values.seconds(Flag::RetryInterval);
    Ok(Finding {
        peers,
        discovery: (!discovery.is_empty()).then(|| discovery.to_owned()),
        srv: srv_domain(values)?,
        discovery_proxy: discovery_proxy(values)?,
        ends_when_full: values.get(Flag::DiscoveryFallback).0 == "exit",
        initial: initial_cluster(values)?,
        retry_attempts: values.number(Flag::MaxRetryAttempts),
        retry_interval_secs: if interval > 0.0 { interval } else { random_interval() },
        force_rejoin: values.is_set(Flag::ForceRejoin),
        token,
    })
}

/// The domain that names the machines.
fn srv_domain(values: &Values) -> Result<Option<SrvDomain>, Usage> {
    let (flag, domain) = (Flag::DiscoverySrv, values.get(Flag::DiscoverySrv).0);
    if domain.is_empty() {
        return Ok(None);
    }
    for other in [Flag::InitialCluster, Flag::Discovery] {
        if !values.get(other).0.is_empty() {
            return Err(Usage(format!("-{flag} and -{other}: give one of them")));
        }
    }
    let is_label = |label: &str| {
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        !label.is_empty() && label.len() < 64 && label.bytes().all(is_legal)
    };
    let domain = domain.trim_end_matches('.');
    if domain.len() > 200 || !domain.split('.').all(is_label) {
        return Err(Usage(format!("-{flag}: {domain}: expected a domain, as in example.com")));
    }
    let suffix = values.get(Flag::DiscoverySrvName).0;
    if !suffix.is_empty() && (suffix.len() > 40 || !is_label(suffix)) {
        return Err(Usage(format!(
            "-{}: {suffix}: expected letters, digits and dashes",
            Flag::DiscoverySrvName
        )));
    }
    let server = values.get(Flag::DiscoverySrvServer).0;
    let wrong = |_| {
        let flag = Flag::DiscoverySrvServer;
        Usage(format!("-{flag}: {server}: expected IP:PORT, as in 127.0.0.1:53"))
    };
    let server = Some(server).filter(|server| !server.is_empty());
    Ok(Some(SrvDomain {
        domain: domain.to_owned(),
        suffix: suffix.to_owned(),
        server: server.map(|server| server.parse().map_err(wrong)).transpose()?,
        token: values.get(Flag::InitialClusterToken).0.to_owned(),
        is_new: values.get(Flag::InitialClusterState).0 == "new",
    }))
}

fn discovery_proxy(values: &Values) -> Result<Option<String>, Usage> {
    let url = values.get(Flag::DiscoveryProxy).0;
    if url.is_empty() {
        return Ok(None);
    }
    match server::check_proxy(url) {
        Ok(()) => Ok(Some(url.to_owned())),
        Err(why) => Err(Usage(format!("-discovery-proxy: {url}: {why}"))),
    }
}

/// Between 2.5 and 5 seconds, so that machines that start together do not ask together.
fn random_interval() -> f64 {
    use std::hash::BuildHasher;
    let drawn = std::hash::RandomState::new().hash_one(std::process::id()) % 2500;
    2.5 + f64::from(u32::try_from(drawn).unwrap_or(0)) / 1000.0
}

/// Whether a standby relays requests.
pub(crate) fn proxies_standby(values: &Values) -> bool {
    let falls_back = values.get(Flag::DiscoveryFallback).0 == "proxy";
    match values.get(Flag::StandbyMode) {
        (_, Source::Default) if falls_back => !values.get(Flag::Discovery).0.is_empty(),
        (mode, _) => mode == "proxy",
    }
}

/// Whether the machine is a proxy, which has to know where its cluster is.
pub(crate) fn proxy(values: &Values) -> Result<Option<ProxyMode>, Usage> {
    let mode = match values.get(Flag::Proxy).0 {
        "on" => ProxyMode::On,
        "readonly" => ProxyMode::ReadOnly,
        _ => return Ok(None),
    };
    let sources =
        [Flag::InitialCluster, Flag::Peers, Flag::PeersFile, Flag::Discovery, Flag::DiscoverySrv];
    if sources.iter().all(|flag| values.get(*flag).0.is_empty()) {
        return Err(Usage(
            "-proxy: name the cluster that requests are relayed to with -initial-cluster, -peers, \
             -discovery or -discovery-srv"
                .to_owned(),
        ));
    }
    if values.is_set(Flag::ForceNewCluster) || values.is_set(Flag::ForceRejoin) {
        return Err(Usage(
            "-proxy: a proxy is never a member, as -force-new-cluster or -force-rejoin would have \
             it"
            .to_owned(),
        ));
    }
    Ok(Some(mode))
}
