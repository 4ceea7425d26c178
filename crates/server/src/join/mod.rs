//! How a machine finds its cluster when it starts: by its data directory, by the machines it is
//! told of, by discovery, or by founding one (docs/spec/cluster.md sections 4 and 5). What it
//! becomes is decided in `decide.rs`; asking others for it is in `seek.rs`.
//!
//! A machine that joins is a member before its own directory says so: the cluster gives it a place
//! first, and it starts as a learner that the leader brings up. If it dies in between, it asks
//! again, and gets the id that was never used again.

pub(crate) mod body;
mod caller;
pub(crate) use replica::decide;
pub(crate) mod discovery;
mod registrar;
pub(crate) mod seek;
pub(crate) mod srv;

pub(crate) use body::{
    IdentityCard, JoinRequest, View, asked_about, is_url, leads_somewhere, parse_id,
};
pub(crate) use caller::HttpCaller;
pub use caller::check_proxy;
pub(crate) use registrar::Registrar;

use crate::config::{Config, InitialCluster};
use replica::{About, ClusterId, InitialIdentity, Member, MemberId};
use std::time::Duration;

/// The error code of a cluster with `activeSize` members (docs/spec/cluster.md section 4).
pub(crate) const CLUSTER_FULL: u64 = 103;

/// What an empty data directory is to become.
#[derive(Clone, Debug)]
pub(crate) enum Start {
    /// That of the first machine of a new cluster.
    Found,
    /// That of a certain member.
    Member(Box<InitialIdentity>),
    /// None: the machine waits for a place. These are the peer URLs of the members.
    Standby(Vec<String>),
}

/// Why a machine could not find its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum JoinError {
    /// Nobody could be reached; trying again may help.
    Unreachable(String),
    /// The cluster refuses this machine.
    Refused(String),
    /// A signal stops it.
    Stopped,
}

/// The peer URLs of others, each once.
pub(crate) fn others(peers: &[String], own: &Member) -> Vec<String> {
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

pub(crate) enum Asked {
    Joined(Box<InitialIdentity>),
    /// The peer URLs of the members.
    Full(Vec<String>),
}

/// Asks one member to join; it redirects to the leader.
pub(crate) fn ask(
    config: &Config,
    caller: &HttpCaller,
    peer: &str,
    own: &Member,
) -> Result<Asked, JoinError> {
    let request = JoinRequest { member: own.clone(), replace: config.finding.force_rejoin };
    let url = format!("{peer}/v2/peer/join");
    let post = |request: &JoinRequest| {
        let reply = caller.call("POST", &url, "application/json", &request.to_json());
        reply.map_err(JoinError::Unreachable)
    };
    let mut reply = post(&request)?;
    if reply.status == 400 && !own.urls.is_empty() {
        // A leader that knows one address of a machine only.
        reply = post(&request.plain())?;
    }
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
            Err(JoinError::Refused(format!("{peer} refused this machine: {}", reply.explain())))
        }
        status => {
            Err(JoinError::Unreachable(format!("{url}: answered {status}: {}", reply.explain())))
        }
    }
}

/// What a member says of its cluster.
///
/// # Errors
/// Why the call failed, in a sentence.
pub(crate) fn view_of(caller: &HttpCaller, peer: &str) -> Result<View, String> {
    asked_view(caller, &format!("{peer}/v2/peer/members"))
}

/// The time limit for background questions to members.
const HASTE: Duration = Duration::from_secs(2);

/// How many are asked at the same time.
const ASKED_AT_ONCE: usize = 8;

/// What each of the machines at these peer URLs says of its cluster. They are asked side by side,
/// and not for long.
pub(crate) fn ask_everybody(
    config: &Config,
    urls: &[String],
) -> Vec<(String, Result<View, String>)> {
    let ask_one = |url: &String| {
        let caller =
            HttpCaller::for_members(config.peer_tls.clone(), &config.finding.token).in_haste(HASTE);
        (url.clone(), view_of(&caller, url))
    };
    let mut answers = Vec::with_capacity(urls.len());
    for some in urls.chunks(ASKED_AT_ONCE) {
        std::thread::scope(|scope| {
            let asked: Vec<_> = some.iter().map(|url| scope.spawn(|| ask_one(url))).collect();
            // A thread that panicked has no answer.
            answers.extend(asked.into_iter().filter_map(|thread| thread.join().ok()));
        });
    }
    answers
}

fn asked_view(caller: &HttpCaller, url: &str) -> Result<View, String> {
    let reply = caller.get(url)?;
    if reply.status != 200 {
        return Err(format!("{url}: answered {}: {}", reply.status, reply.text()));
    }
    View::parse(&reply.body)
}

/// What the member `witness` says of the id `about`. It has to say so itself, and for this cluster.
///
/// # Errors
/// Why there is no valid answer, in a sentence.
pub(crate) fn ask_about(
    caller: &HttpCaller,
    witness: &Member,
    cluster: ClusterId,
    about: MemberId,
) -> Result<About, String> {
    let reply = caller.get(&format!("{}/v2/peer/members?about={about}", witness.peer_url))?;
    if reply.status != 200 {
        return Err(format!("answered {}: {}", reply.status, reply.explain()));
    }
    let view = View::parse(&reply.body)?;
    if view.cluster != cluster {
        return Err(format!("answered for another cluster, {}", view.cluster));
    }
    if view.own != Some(witness.id) {
        return Err("answered by another member".to_owned());
    }
    view.about.ok_or_else(|| "did not say whether it was removed".to_owned())
}

/// The same for a standby, which says who it is.
pub(crate) fn view_for(caller: &HttpCaller, peer: &str, own: &Member) -> Result<View, String> {
    // Neither name nor URL has a character that would have to be escaped.
    let mut query = format!("standby={}&client={}", own.name, own.client_url);
    for (name, urls) in [("v04", own.urls.v04()), ("v2", own.urls.v2())] {
        urls.iter().for_each(|url| query.push_str(&format!("&{name}={url}")));
    }
    asked_view(caller, &format!("{peer}/v2/peer/members?{query}"))
}

fn birth(view: &View, own: &Member) -> InitialIdentity {
    // The cluster gives an id of its choice to a machine that was announced there.
    let named = view.members.iter().find(|member| member.name == own.name);
    InitialIdentity {
        cluster: view.cluster,
        id: named.map_or(own.id, |member| member.id),
        name: own.name.clone(),
        founders: view.founders.clone(),
        known: view.members.clone(),
    }
}

/// What all machines of a list agree on before the first word, as in 2.x: the cluster, and the
/// members in the order of their names.
fn together_cluster(initial: &InitialCluster) -> (ClusterId, Vec<Member>) {
    let mut members = initial.members.clone();
    members.sort();
    let list: Vec<String> = members.iter().map(|(name, url)| format!("{name}={url}")).collect();
    let cluster = derive_id(&[&initial.token, &list.join(",")]);
    let member = |(name, peer_url): (String, String)| Member {
        id: MemberId(derive_id(&[&format!("{cluster:x}"), &name])),
        name,
        peer_url,
        // The member announces the rest itself as soon as there is a leader.
        ..Member::default()
    };
    (ClusterId(cluster), members.into_iter().map(member).collect())
}

/// The cluster that a list begins.
pub(crate) fn cluster_of_list(initial: &InitialCluster) -> ClusterId {
    together_cluster(initial).0
}

/// By which name a list has this machine: its own, unless the list says which it is.
pub(crate) fn listed_name<'a>(initial: &'a InitialCluster, own: &'a Member) -> &'a str {
    let listed = initial.own.and_then(|at| initial.members.get(at));
    listed.map_or(own.name.as_str(), |(name, _)| name.as_str())
}

/// Begins with all the machines of a list: every one of them knows all ids before the first word,
/// since they are made of the list itself.
fn begin_together(initial: &InitialCluster, own: &Member) -> InitialIdentity {
    let (cluster, known) = together_cluster(initial);
    let name = listed_name(initial, own);
    let id = known.iter().find(|member| member.name == name).map(|member| member.id);
    InitialIdentity {
        cluster,
        id: id.unwrap_or(own.id),
        name: own.name.clone(),
        founders: known.iter().map(|member| member.id).collect(),
        known,
    }
}

/// A hash of strings, the same on every machine and in every version: FNV-1a, mixed once more.
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
            ..Member::default()
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
