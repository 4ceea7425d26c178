//! `/v2/stats/cluster`: all machines of the cluster as one member sees them, an extension that the
//! dashboard is drawn from.

use super::json;
use crate::member::context::Context;
use crate::member::context::SILENCE_NS;
use crate::net::{Caller, Response};
use replica::{Member, MemberId, Role};
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
        // Followers speak to one another once a second.
        reachable: is_own || cx.driver.was_heard(member.id, SILENCE_NS),
        diverged: peer.is_some_and(|peer| peer.diverged),
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
        };
        let whole = Whole {
            cluster: "2a".into(),
            leader: "m\"1",
            seen_by: "m2",
            term: 3,
            commit_index: 40,
            etcd_index: 30,
            members: vec![seen],
            standbys: None,
        };
        let want = "{\"cluster\":\"2a\",\"leader\":\"m\\\"1\",\"seenBy\":\"m2\",\"term\":3,\
                    \"commitIndex\":40,\"etcdIndex\":30,\"members\":[{\"id\":\"7\",\"name\":\"m1\",\
                    \"state\":\"leader\",\"clientURL\":\"http://a:1\",\"peerURL\":\"http://a:2\",\
                    \"version\":\"0.1.0\",\"appliedIndex\":39,\"lagEntries\":1,\"uptime\":null,\
                    \"voter\":true,\"reachable\":false,\"diverged\":false}],\"standbys\":null}\n";
        assert_eq!(String::from_utf8(json::line(&whole)).as_deref(), Ok(want));
        let standing_by = |name, client_url| StandingBy { name, client_url };
        let standbys = Some(vec![standing_by("s1", "u1"), standing_by("s2", "u2")]);
        let body = json::line(&Whole { members: Vec::new(), standbys, ..whole });
        let want = ",\"members\":[],\"standbys\":[{\"name\":\"s1\",\"clientURL\":\"u1\"},\
                    {\"name\":\"s2\",\"clientURL\":\"u2\"}]}\n";
        assert!(body.ends_with(want.as_bytes()), "{}", String::from_utf8_lossy(&body));
    }
}
