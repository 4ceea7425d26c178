//! `/v2/stats/cluster`: all machines of the cluster as one member sees them, an extension that the
//! dashboard is drawn from.

use super::json;
use crate::member::context::Context;
use crate::member::context::SILENCE_NS;
use crate::member::vitals;
use crate::net::{Caller, Response};
use replica::{Member, MemberId, Role, Vitals};
use serde::Serialize;

/// A machine as this member sees it. What is not known here is null.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Seen<'a> {
    id: String,
    name: &'a str,
    state: &'a str,
    #[serde(rename = "clientURL")]
    client_url: &'a str,
    #[serde(rename = "peerURL")]
    peer_url: &'a str,
    version: &'a str,
    applied_index: Option<u64>,
    lag_entries: Option<u64>,
    uptime: Option<u64>,
    voter: bool,
    reachable: bool,
    diverged: bool,
    #[serde(flatten)]
    said: Said,
}

/// What a member says of itself, if that can be heard here now.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Said {
    term: Option<u64>,
    commit_index: Option<u64>,
    /// Seconds.
    disk_sync: Option<f64>,
    /// Bytes.
    memory: Option<u64>,
    store_bytes: Option<u64>,
    keys: Option<u64>,
    watchers: Option<u64>,
    connections: Option<u64>,
    failing: Option<Vec<String>>,
}

impl Said {
    fn of(vitals: Vitals) -> Self {
        Self {
            term: vitals.term,
            commit_index: vitals.commit,
            disk_sync: vitals.sync_ns.map(|ns| json::four_digits(ns as f64 / 1e9)),
            memory: vitals.memory,
            store_bytes: vitals.store_bytes,
            keys: vitals.keys,
            watchers: vitals.watchers,
            connections: vitals.connections,
            failing: Some(vitals.failing),
        }
    }
}

/// What is true of the cluster as a whole.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'a> {
    cluster: String,
    leader: &'a str,
    /// The member that says all this.
    seen_by: &'a str,
    term: u64,
    commit_index: u64,
    etcd_index: u64,
    /// Milliseconds since 1970.
    leader_since: Option<u64>,
    /// How many more voters may fail.
    tolerates: Option<usize>,
    members: Vec<Seen<'a>>,
    /// Nothing where the leader alone knows.
    standbys: Option<Vec<StandingBy<'a>>>,
}

#[derive(Clone, Debug, Serialize)]
struct StandingBy<'a> {
    name: &'a str,
    #[serde(rename = "clientURL")]
    client_url: &'a str,
}

/// A standby that has not asked for so many of its intervals is gone.
const STANDBY_INTERVALS: f64 = 3.0;

/// `/v2/stats/cluster`.
pub(crate) fn serve(cx: &Context, caller: Caller) -> Response {
    let mut members: Vec<&Member> = cx.driver.membership().members().collect();
    members.sort_by(|one, other| one.name.cmp(&other.name));
    let status = cx.driver.status();
    let leader = cx.leader().map_or("", |leader| leader.name.as_str());
    let interval = cx.driver.membership().config().sync_interval * STANDBY_INTERVALS;
    let since = cx.now.monotonic.saturating_sub((interval * 1e9) as u64);
    let standbys = (status.role == Role::Leader).then(|| {
        let asked = cx.standbys.since(since, caller.port.dialect(), caller.is_tls);
        let others = asked.filter(|(name, _)| members.iter().all(|one| one.name != *name));
        others.map(|(name, client_url)| StandingBy { name, client_url }).collect()
    });
    let whole = Whole {
        cluster: cx.driver.cluster().to_string(),
        leader,
        seen_by: &cx.config.name,
        term: status.term.0,
        commit_index: status.commit.0,
        etcd_index: cx.index(),
        leader_since: vitals::leader_since(cx).map(|ns| ns / 1_000_000),
        tolerates: vitals::tolerates(cx),
        members: members.iter().map(|member| see(cx, caller, member)).collect(),
        standbys,
    };
    Response::json(200, json::line(&whole))
}

fn see<'a>(cx: &'a Context, caller: Caller, member: &'a Member) -> Seen<'a> {
    let status = cx.driver.status();
    let is_own = member.id == status.id;
    let peer = cx.driver.peer(member.id);
    let told = peer.filter(|peer| !peer.version.is_empty());
    let uptime = cx.now.monotonic.saturating_sub(cx.started.monotonic) / 1_000_000_000;
    let applied = if is_own { Some(status.applied.0) } else { told.map(|peer| peer.applied) };
    // What a member said a moment ago is behind what the leader knows it to have.
    let has = applied.max(cx.driver.matched(member.id).map(|matched| matched.0));
    // Followers speak to one another once a second.
    let reachable = is_own || cx.driver.was_heard(member.id, SILENCE_NS);
    let since = cx.now.monotonic.saturating_sub(SILENCE_NS);
    let said = match peer.filter(|_| reachable) {
        _ if is_own => Some(vitals::own(cx)),
        peer => peer.and_then(|peer| peer.vitals(since)).cloned(),
    };
    Seen {
        id: member.id.to_string(),
        name: &member.name,
        state: state_of(cx, member.id),
        client_url: caller.port.dialect().url_of(member, caller.is_tls),
        peer_url: &member.peer_url,
        applied_index: applied,
        lag_entries: has.map(|has| status.commit.0.saturating_sub(has)),
        uptime: if is_own { Some(uptime) } else { told.map(|peer| peer.uptime) },
        version: match told {
            _ if is_own => env!("CARGO_PKG_VERSION"),
            Some(peer) => &peer.version,
            None => "",
        },
        voter: cx.driver.is_voter(member.id),
        reachable,
        diverged: peer.is_some_and(|peer| peer.diverged),
        said: said.map(Said::of).unwrap_or_default(),
    }
}

fn state_of(cx: &Context, id: MemberId) -> &'static str {
    let status = cx.driver.status();
    if status.leader == Some(id) && (id == status.id || cx.driver.is_reachable(id)) {
        "leader"
    } else if id == status.id && status.role == Role::Candidate {
        "candidate"
    } else if cx.driver.is_voter(id) {
        "follower"
    } else {
        "learner"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_null() {
        let seen = Seen {
            id: "7".into(),
            name: "m1",
            state: "leader",
            client_url: "http://a:1",
            peer_url: "http://a:2",
            version: "0.1.0",
            applied_index: Some(39),
            lag_entries: Some(1),
            uptime: None,
            voter: true,
            reachable: false,
            diverged: false,
            said: Said::default(),
        };
        let whole = Whole {
            cluster: "2a".into(),
            leader: "m\"1",
            seen_by: "m2",
            term: 3,
            commit_index: 40,
            etcd_index: 30,
            leader_since: None,
            tolerates: Some(1),
            members: vec![seen],
            standbys: None,
        };
        let want = "{\"cluster\":\"2a\",\"leader\":\"m\\\"1\",\"seenBy\":\"m2\",\"term\":3,\
                    \"commitIndex\":40,\"etcdIndex\":30,\"leaderSince\":null,\"tolerates\":1,\
                    \"members\":[{\"id\":\"7\",\"name\":\"m1\",\"state\":\"leader\",\
                    \"clientURL\":\"http://a:1\",\"peerURL\":\"http://a:2\",\
                    \"version\":\"0.1.0\",\"appliedIndex\":39,\"lagEntries\":1,\"uptime\":null,\
                    \"voter\":true,\"reachable\":false,\"diverged\":false,\"term\":null,\
                    \"commitIndex\":null,\"diskSync\":null,\"memory\":null,\"storeBytes\":null,\
                    \"keys\":null,\"watchers\":null,\"connections\":null,\"failing\":null}],\
                    \"standbys\":null}\n";
        assert_eq!(String::from_utf8(json::line(&whole)).as_deref(), Ok(want));
        let standing_by = |name, client_url| StandingBy { name, client_url };
        let standbys = Some(vec![standing_by("s1", "u1"), standing_by("s2", "u2")]);
        let body = json::line(&Whole { members: Vec::new(), standbys, ..whole });
        let want = ",\"members\":[],\"standbys\":[{\"name\":\"s1\",\"clientURL\":\"u1\"},\
                    {\"name\":\"s2\",\"clientURL\":\"u2\"}]}\n";
        assert!(body.ends_with(want.as_bytes()), "{}", String::from_utf8_lossy(&body));
    }
}
