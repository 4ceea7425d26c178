//! `/v2/stats/cluster`: all machines of the cluster as one member sees them, an extension that the
//! dashboard is drawn from.

use super::json::put_texts;
use crate::member::context::Context;
use crate::net::Response;
use replica::{Member, MemberId, Role};
use std::io::Write as _;

/// A machine as this member sees it. What is not known here is nothing.
#[derive(Clone, Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) id: String,
    pub(crate) name: &'a str,
    pub(crate) state: &'a str,
    pub(crate) client_url: &'a str,
    pub(crate) peer_url: &'a str,
    pub(crate) is_voter: bool,
    pub(crate) applied: Option<u64>,
    pub(crate) lag: Option<u64>,
    pub(crate) uptime: Option<u64>,
    pub(crate) version: &'a str,
    pub(crate) is_reachable: bool,
    pub(crate) has_diverged: bool,
}

/// What is true of the cluster as a whole.
#[derive(Clone, Debug)]
pub(crate) struct Whole<'a> {
    pub(crate) id: String,
    pub(crate) leader: &'a str,
    /// The member that says all this.
    pub(crate) seen_by: &'a str,
    pub(crate) term: u64,
    pub(crate) commit: u64,
    pub(crate) store_index: u64,
    /// Name and client URL of each; nothing where the leader alone knows.
    pub(crate) standbys: Option<Vec<(&'a str, &'a str)>>,
}

fn put_optional(out: &mut Vec<u8>, name: &str, number: Option<u64>) {
    let _ = match number {
        Some(number) => write!(out, ",\"{name}\":{number}"),
        None => write!(out, ",\"{name}\":null"),
    };
}

fn put_member(out: &mut Vec<u8>, seen: &Seen<'_>) {
    let _ = write!(out, "{{\"id\":\"{}\"", seen.id);
    let texts = [
        (",\"name\":", seen.name),
        (",\"state\":", seen.state),
        (",\"clientURL\":", seen.client_url),
        (",\"peerURL\":", seen.peer_url),
        (",\"version\":", seen.version),
    ];
    put_texts(out, &texts);
    put_optional(out, "appliedIndex", seen.applied);
    put_optional(out, "lagEntries", seen.lag);
    put_optional(out, "uptime", seen.uptime);
    let Seen { is_voter, is_reachable, has_diverged, .. } = seen;
    let _ = write!(
        out,
        ",\"voter\":{is_voter},\"reachable\":{is_reachable},\"diverged\":{has_diverged}}}"
    );
}

pub(crate) fn cluster_body(whole: &Whole<'_>, members: &[Seen<'_>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + 256 * members.len());
    let texts = [
        ("{\"cluster\":", whole.id.as_str()),
        (",\"leader\":", whole.leader),
        (",\"seenBy\":", whole.seen_by),
    ];
    put_texts(&mut out, &texts);
    let Whole { term, commit, store_index, .. } = whole;
    let _ = write!(
        out,
        ",\"term\":{term},\"commitIndex\":{commit},\"etcdIndex\":{store_index},\"members\":["
    );
    for (at, seen) in members.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        put_member(&mut out, seen);
    }
    out.extend_from_slice(b"],\"standbys\":");
    match &whole.standbys {
        None => out.extend_from_slice(b"null"),
        Some(standbys) => {
            out.push(b'[');
            for (at, (name, client_url)) in standbys.iter().enumerate() {
                let first = if at > 0 { ",{\"name\":" } else { "{\"name\":" };
                put_texts(&mut out, &[(first, *name), (",\"clientURL\":", *client_url)]);
                out.push(b'}');
            }
            out.push(b']');
        }
    }
    out.extend_from_slice(b"}\n");
    out
}

/// A standby that has not asked for so many of its intervals is gone.
const STANDBY_INTERVALS: f64 = 3.0;

/// `/v2/stats/cluster`.
pub(crate) fn serve(cx: &Context) -> Response {
    let mut members: Vec<&Member> = cx.driver.membership().members().collect();
    members.sort_by(|one, other| one.name.cmp(&other.name));
    let seen: Vec<Seen<'_>> = members.iter().map(|member| see(cx, member)).collect();
    let status = cx.driver.status();
    let leader = cx.leader().map_or("", |leader| leader.name.as_str());
    let interval = cx.driver.membership().config().sync_interval * STANDBY_INTERVALS;
    let since = cx.now.monotonic.saturating_sub((interval * 1e9) as u64);
    let standbys = (status.role == Role::Leader).then(|| {
        let asked = cx.standbys.since(since);
        asked.filter(|(name, _)| members.iter().all(|one| one.name != *name)).collect()
    });
    let whole = Whole {
        id: cx.driver.cluster().to_string(),
        leader,
        seen_by: &cx.config.name,
        term: status.term.0,
        commit: status.commit.0,
        store_index: cx.index(),
        standbys,
    };
    Response::json(200, cluster_body(&whole, &seen))
}

fn see<'a>(cx: &'a Context, member: &'a Member) -> Seen<'a> {
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
        client_url: &member.client_url,
        peer_url: &member.peer_url,
        is_voter: cx.driver.is_voter(member.id),
        applied,
        lag: has.map(|has| status.commit.0.saturating_sub(has)),
        uptime: if is_own { Some(uptime) } else { told.map(|peer| peer.uptime) },
        version: match told {
            _ if is_own => env!("CARGO_PKG_VERSION"),
            Some(peer) => &peer.version,
            None => "",
        },
        is_reachable: is_own || cx.driver.is_reachable(member.id),
        has_diverged: peer.is_some_and(|peer| peer.diverged),
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
        let whole = Whole {
            id: "2a".into(),
            leader: "m\"1",
            seen_by: "m2",
            term: 3,
            commit: 40,
            store_index: 30,
            standbys: None,
        };
        let seen = Seen {
            id: "7".into(),
            name: "m1",
            state: "leader",
            client_url: "http://a:1",
            peer_url: "http://a:2",
            is_voter: true,
            applied: Some(39),
            lag: Some(1),
            uptime: None,
            version: "0.1.0",
            is_reachable: false,
            has_diverged: false,
        };
        let body = cluster_body(&whole, &[seen.clone(), seen.clone()]);
        let json: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(json["leader"], "m\"1");
        assert_eq!((&json["term"], &json["etcdIndex"]), (&3.into(), &30.into()));
        assert!(json["standbys"].is_null());
        let member = &json["members"][1];
        assert_eq!((&member["appliedIndex"], &member["lagEntries"]), (&39.into(), &1.into()));
        assert!(member["uptime"].is_null());
        let whole = Whole { standbys: Some(vec![("s1", "u1"), ("s2", "u2")]), ..whole };
        let json: serde_json::Value =
            serde_json::from_slice(&cluster_body(&whole, &[])).expect("JSON");
        assert_eq!(json["standbys"][1]["clientURL"], "u2");
        assert_eq!(json["members"], serde_json::json!([]));
    }
}
