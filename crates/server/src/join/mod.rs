//! How a machine finds its cluster when it starts: by its data directory, by the machines it is
//! told of, by discovery, or by founding one (spec cluster.md sections 4 and 5).
//!
//! A machine that joins is a member before its own directory says so: the cluster gives it a place
//! first, and it starts as a learner that the leader brings up. If it dies in between, it asks
//! again, and the place that was never used is given to it anew.

pub(crate) mod body;
mod caller;
pub(crate) mod discovery;

pub(crate) use body::{JoinRequest, View, is_url, parse_id};
pub(crate) use caller::Caller;

use crate::config::{Config, InitialCluster};
use discovery::Discovered;
use replica::{Birth, ClusterId, Member, MemberId};
use std::time::{Duration, Instant};

/// How often machines that do not answer are tried within one attempt.
const QUIET_RETRY: Duration = Duration::from_millis(250);

/// The error code of a cluster that has all the members it wants (spec cluster.md section 4).
pub(crate) const CLUSTER_FULL: u64 = 103;

/// What an empty data directory is to become.
#[derive(Clone, Debug)]
pub(crate) enum Start {
    /// That of the first machine of a new cluster.
    Found,
    /// That of a certain member.
    Member(Box<Birth>),
    /// None: the machine waits for a place. These are the peer URLs of the members.
    Standby(Vec<String>),
}

/// Why a machine could not find its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum JoinError {
    /// Nobody could be reached; trying again may help.
    Unreachable(String),
    /// The cluster does not want this machine as it is.
    Refused(String),
    /// The operator wants it to stop.
    Stopped,
}

/// Looks for the cluster of a machine with an empty data directory. `wait` waits, and says whether
/// the machine is to stop instead.
///
/// # Errors
/// [`JoinError`].
pub(crate) fn start(
    config: &Config,
    own: &Member,
    wait: &mut dyn FnMut(Duration) -> bool,
) -> Result<Start, JoinError> {
    let finding = &config.finding;
    let caller = Caller::for_members(config.peer_tls.clone());
    if let Some(initial) = &finding.initial {
        return found_together(initial, own, &caller, config, wait);
    }
    let mut peers = finding.peers.clone();
    if let Some(url) = &finding.discovery {
        match discovery::discover(&Caller::for_anybody(), url, &own.name, &own.peer_url) {
            Ok(Discovered::First) => {
                tracing::info!(url, "discovery: this machine begins the cluster");
                return Ok(Start::Found);
            }
            Ok(Discovered::Peers(found)) => peers.extend(found),
            Err(detail) if peers.is_empty() => {
                return Err(JoinError::Unreachable(format!("discovery failed: {detail}")));
            }
            Err(detail) => tracing::warn!("discovery failed, trying -peers: {detail}"),
        }
    }
    let peers = others(&peers, own);
    if peers.is_empty() {
        return Ok(Start::Found);
    }
    join(config, &caller, &peers, own, wait)
}

/// The peer URLs of others, each once.
fn others(peers: &[String], own: &Member) -> Vec<String> {
    let scheme = own.peer_url.split("://").next().unwrap_or("http");
    let mut urls: Vec<String> = Vec::new();
    for peer in peers {
        let url = if peer.contains("://") { peer.clone() } else { format!("{scheme}://{peer}") };
        let url = url.trim_end_matches('/').to_owned();
        if url != own.peer_url && !urls.contains(&url) {
            urls.push(url);
        }
    }
    urls
}

/// Asks the machines at `peers` for a place, again and again as the operator said.
fn join(
    config: &Config,
    caller: &Caller,
    peers: &[String],
    own: &Member,
    wait: &mut dyn FnMut(Duration) -> bool,
) -> Result<Start, JoinError> {
    let attempts = config.finding.retry_attempts.max(1);
    let interval = Duration::from_secs_f64(config.finding.retry_interval_secs.clamp(0.0, 1e6));
    let mut last = String::new();
    for attempt in 1..=attempts {
        let until = Instant::now() + interval;
        loop {
            match ask_all(config, caller, peers, own) {
                Err(JoinError::Unreachable(detail)) => last = detail,
                decided => return decided,
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            if wait(left.min(QUIET_RETRY)) {
                return Err(JoinError::Stopped);
            }
        }
        tracing::warn!(
            attempt,
            of = attempts,
            "unable to join the cluster using any of the peers {}: {last}",
            peers.join(",")
        );
    }
    Err(JoinError::Unreachable(format!(
        "fail joining the cluster via given peers after {attempts} retries: {last}"
    )))
}

fn ask_all(
    config: &Config,
    caller: &Caller,
    peers: &[String],
    own: &Member,
) -> Result<Start, JoinError> {
    let mut problems = Vec::new();
    for peer in peers {
        match ask(config, caller, peer, own) {
            Ok(Asked::Joined(birth)) => {
                tracing::info!("{} joined the cluster via peer {peer}", own.name);
                return Ok(Start::Member(birth));
            }
            Ok(Asked::Full(urls)) => {
                tracing::info!(
                    "{}: the cluster has as many members as its activeSize: standing by",
                    own.name
                );
                return Ok(Start::Standby(urls));
            }
            Err(JoinError::Unreachable(detail)) => problems.push(detail),
            Err(error) => return Err(error),
        }
    }
    Err(JoinError::Unreachable(problems.join("; ")))
}

pub(crate) enum Asked {
    Joined(Box<Birth>),
    /// The peer URLs of the members.
    Full(Vec<String>),
}

/// Asks one member for a place; it sends us on to the leader by itself.
pub(crate) fn ask(
    config: &Config,
    caller: &Caller,
    peer: &str,
    own: &Member,
) -> Result<Asked, JoinError> {
    let request = JoinRequest {
        member: own.clone(),
        replace: config.finding.force_rejoin,
        token: config.finding.token.expose().to_owned(),
    };
    let url = format!("{peer}/v2/peer/join");
    let reply = caller
        .call("POST", &url, "application/json", &request.to_json())
        .map_err(JoinError::Unreachable)?;
    match reply.status {
        200 => {
            let view = View::parse(&reply.body).map_err(JoinError::Unreachable)?;
            Ok(Asked::Joined(Box::new(birth(&view, own))))
        }
        403 if reply.error_code() == Some(CLUSTER_FULL) => {
            let view = view_of(caller, peer).map_err(JoinError::Unreachable)?;
            Ok(Asked::Full(view.members.into_iter().map(|member| member.peer_url).collect()))
        }
        400 | 401 | 403 | 409 | 410 => {
            Err(JoinError::Refused(format!("{peer} refused this machine: {}", explain(&reply))))
        }
        status => {
            Err(JoinError::Unreachable(format!("{url}: answered {status}: {}", explain(&reply))))
        }
    }
}

/// The sentence in an error's body.
fn explain(reply: &caller::Reply) -> String {
    let value: Option<serde_json::Value> = serde_json::from_slice(&reply.body).ok();
    let member = |name: &str| {
        let value = value.as_ref()?.get(name)?.as_str()?;
        (!value.is_empty()).then(|| value.to_owned())
    };
    member("cause").or_else(|| member("message")).unwrap_or_else(|| reply.text())
}

/// What a member says of its cluster.
///
/// # Errors
/// Why there is no answer, in a sentence.
pub(crate) fn view_of(caller: &Caller, peer: &str) -> Result<View, String> {
    asked_view(caller, &format!("{peer}/v2/peer/members"))
}

fn asked_view(caller: &Caller, url: &str) -> Result<View, String> {
    let reply = caller.get(url)?;
    if reply.status != 200 {
        return Err(format!("{url}: answered {}: {}", reply.status, reply.text()));
    }
    View::parse(&reply.body)
}

/// The same for a standby, which says who it is.
pub(crate) fn view_for(caller: &Caller, peer: &str, own: &Member) -> Result<View, String> {
    // Neither name nor URL has a character that would have to be escaped.
    let query = format!("standby={}&client={}", own.name, own.client_url);
    asked_view(caller, &format!("{peer}/v2/peer/members?{query}"))
}

fn birth(view: &View, own: &Member) -> Birth {
    // The cluster gives an id of its choice to a machine that was announced there.
    let named = view.members.iter().find(|member| member.name == own.name);
    Birth {
        cluster: view.cluster,
        id: named.map_or(own.id, |member| member.id),
        name: own.name.clone(),
        founders: view.founders.clone(),
        known: view.members.clone(),
    }
}

/// Starts with all the machines of a list, as 2.x did: every one of them knows all ids before the
/// first word, since they are made of the list itself.
fn found_together(
    initial: &InitialCluster,
    own: &Member,
    caller: &Caller,
    config: &Config,
    wait: &mut dyn FnMut(Duration) -> bool,
) -> Result<Start, JoinError> {
    let listed = |name: &str| initial.members.iter().any(|(listed, _)| listed == name);
    if !listed(&own.name) {
        return Err(JoinError::Refused(format!(
            "-initial-cluster does not name this machine, {:?}",
            own.name
        )));
    }
    if !initial.is_new {
        let urls: Vec<String> = initial.members.iter().map(|(_, url)| url.clone()).collect();
        return join(config, caller, &others(&urls, own), own, wait);
    }
    let mut members = initial.members.clone();
    members.sort();
    let list: Vec<String> = members.iter().map(|(name, url)| format!("{name}={url}")).collect();
    let cluster = derive_id(&[&initial.token, &list.join(",")]);
    let known: Vec<Member> = members
        .iter()
        .map(|(name, url)| Member {
            id: MemberId(derive_id(&[&format!("{cluster:x}"), name])),
            name: name.clone(),
            // It is told by the member itself as soon as there is a leader.
            client_url: String::new(),
            peer_url: url.clone(),
        })
        .collect();
    let id = known.iter().find(|member| member.name == own.name).map(|member| member.id);
    Ok(Start::Member(Box::new(Birth {
        cluster: ClusterId(cluster),
        id: id.unwrap_or(own.id),
        name: own.name.clone(),
        founders: known.iter().map(|member| member.id).collect(),
        known,
    })))
}

/// A number made of texts, the same on every machine and in every version: FNV-1a, mixed once more.
pub(crate) fn derive_id(texts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in texts.iter().flat_map(|text| text.bytes().chain([0])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (hash ^ (hash >> 29)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Member {
        Member {
            id: MemberId(7),
            name: "m1".into(),
            client_url: "http://127.0.0.1:4001".into(),
            peer_url: "http://127.0.0.1:7001".into(),
        }
    }

    #[test]
    fn a_machine_does_not_ask_itself_and_nobody_twice() {
        let peers = ["127.0.0.1:7001", "127.0.0.1:7002", "http://127.0.0.1:7002/", "h:1"];
        let peers: Vec<String> = peers.iter().map(|peer| (*peer).to_owned()).collect();
        assert_eq!(others(&peers, &own()), ["http://127.0.0.1:7002", "http://h:1"]);
    }

    #[test]
    fn ids_are_the_same_everywhere_and_differ() {
        // Part of what a cluster agrees on: changing it would split a running one.
        assert_eq!(derive_id(&["token", "a=http://h:1"]), 4_102_384_511_557_862_004);
        assert_ne!(derive_id(&["ab", "c"]), derive_id(&["a", "bc"]));
    }
}
