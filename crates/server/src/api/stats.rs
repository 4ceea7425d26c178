//! The answers of `/v2/stats/*` (docs/spec/stats.md).

use super::answers::error;
use super::error::{ApiError, LEADER_ELECTION};
use super::json;
use crate::config::Dialect;
use crate::http::time::{go_duration, rfc3339};
use crate::member::context::Context;
use crate::net::{Caller, Response};
use replica::{Latency, Member, MemberId, Rates, Traffic};
use serde::Serialize;
use std::collections::BTreeMap;
use store::StoreStats;

/// What `/v2/stats/self` shows of a member.
#[derive(Clone, Debug)]
pub(crate) struct SelfStats<'a> {
    pub(crate) name: &'a str,
    /// The member's id, where the dialect shows it.
    pub(crate) id: Option<String>,
    pub(crate) state: &'a str,
    /// Wall times in nanoseconds.
    pub(crate) started: u64,
    pub(crate) leader: &'a str,
    pub(crate) leader_since: u64,
    pub(crate) leader_uptime: u64,
    pub(crate) received: Appends,
    pub(crate) sent: Appends,
}

/// Appends that went one way, and how many of them in a second.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Appends {
    pub(crate) count: u64,
    pub(crate) rates: Option<Rates>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SelfBody<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    state: &'a str,
    start_time: String,
    leader_info: LeaderInfo<'a>,
    recv_append_request_cnt: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    recv_pkg_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recv_bandwidth_rate: Option<f64>,
    send_append_request_cnt: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    send_pkg_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    send_bandwidth_rate: Option<f64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LeaderInfo<'a> {
    leader: &'a str,
    uptime: String,
    start_time: String,
}

/// Rates that are not known are left out.
pub(crate) fn self_body(stats: &SelfStats<'_>) -> Vec<u8> {
    let SelfStats { received, sent, .. } = stats;
    json::body(&SelfBody {
        name: stats.name,
        id: stats.id.as_deref(),
        state: stats.state,
        start_time: rfc3339(stats.started),
        leader_info: LeaderInfo {
            leader: stats.leader,
            uptime: go_duration(stats.leader_uptime),
            start_time: rfc3339(stats.leader_since),
        },
        recv_append_request_cnt: received.count,
        recv_pkg_rate: received.rates.map(|rates| rates.packages),
        recv_bandwidth_rate: received.rates.map(|rates| rates.bytes),
        send_append_request_cnt: sent.count,
        send_pkg_rate: sent.rates.map(|rates| rates.packages),
        send_bandwidth_rate: sent.rates.map(|rates| rates.bytes),
    })
}

#[derive(Serialize)]
struct LeaderBody<'a> {
    leader: &'a str,
    followers: BTreeMap<String, Follower>,
}

#[derive(Serialize)]
struct Follower {
    latency: Milliseconds,
    counts: Calls,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Milliseconds {
    current: f64,
    average: f64,
    standard_deviation: f64,
    minimum: f64,
    maximum: f64,
}

#[derive(Serialize)]
struct Calls {
    fail: u64,
    success: u64,
}

impl Follower {
    fn new(latency: &Latency) -> Self {
        let ms = |ns: u64| ns as f64 / 1e6;
        let Latency { current, minimum, maximum, fail, success, .. } = *latency;
        Self {
            latency: Milliseconds {
                current: ms(current),
                average: latency.average() / 1e6,
                standard_deviation: latency.standard_deviation() / 1e6,
                minimum: ms(minimum),
                maximum: ms(maximum),
            },
            counts: Calls { fail, success },
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StoreBody {
    gets_success: u64,
    gets_fail: u64,
    sets_success: u64,
    sets_fail: u64,
    delete_success: u64,
    delete_fail: u64,
    update_success: u64,
    update_fail: u64,
    create_success: u64,
    create_fail: u64,
    compare_and_swap_success: u64,
    compare_and_swap_fail: u64,
    compare_and_delete_success: u64,
    compare_and_delete_fail: u64,
    expire_count: u64,
    watchers: u64,
}

pub(crate) fn store_body(stats: &StoreStats) -> Vec<u8> {
    json::body(&StoreBody {
        gets_success: stats.gets.success,
        gets_fail: stats.gets.fail,
        sets_success: stats.sets.success,
        sets_fail: stats.sets.fail,
        delete_success: stats.deletes.success,
        delete_fail: stats.deletes.fail,
        update_success: stats.updates.success,
        update_fail: stats.updates.fail,
        create_success: stats.creates.success,
        create_fail: stats.creates.fail,
        compare_and_swap_success: stats.compare_and_swaps.success,
        compare_and_swap_fail: stats.compare_and_swaps.fail,
        compare_and_delete_success: stats.compare_and_deletes.success,
        compare_and_delete_fail: stats.compare_and_deletes.fail,
        expire_count: stats.expire_count,
        watchers: stats.watchers,
    })
}

/// The client URLs of the members for one dialect: those of the leader first, then by their bytes
/// (docs/spec/cluster.md section 1).
pub(crate) fn listing_of_urls<'a>(
    members: impl IntoIterator<Item = &'a Member>,
    leader: Option<MemberId>,
    dialect: Dialect,
) -> String {
    // A founder that has not announced itself yet has no address for clients.
    let of = |member: &'a Member| {
        let is_other = Some(member.id) != leader;
        dialect.urls_of(member).into_iter().map(move |url| (is_other, url))
    };
    let mut urls: Vec<(bool, &str)> = members.into_iter().flat_map(of).collect();
    urls.sort_unstable();
    let urls: Vec<&str> = urls.into_iter().map(|(_, url)| url).collect();
    urls.join(", ")
}

/// `/v2/machines`.
pub(crate) fn machines(cx: &Context, caller: Caller) -> Response {
    // Clients are not sent to a machine that has not been brought up yet. One that has just joined
    // knows of the others what their records say, and not yet what the registry does.
    let members = cx.driver.membership().members().filter(|_| cx.driver.has_store());
    let members = members.filter(|member| cx.driver.is_voter(member.id));
    let leader = cx.driver.status().leader;
    Response::text(200, listing_of_urls(members, leader, caller.port.dialect()))
}

/// `/v2/leader`.
pub(crate) fn leader_url(cx: &Context) -> Response {
    match cx.leader() {
        Some(leader) => Response::text(200, leader.peer_url.clone()),
        None => error(cx, &ApiError::new(LEADER_ELECTION, "", cx.index())),
    }
}

/// A member as the statistics of a dialect name it: 2.x by its id.
fn name_of(dialect: Dialect, member: Option<&Member>) -> String {
    match (member, dialect) {
        (None, _) => String::new(),
        (Some(member), Dialect::V2) => member.id.to_string(),
        (Some(member), Dialect::V04) => member.name.clone(),
    }
}

fn appends(cx: &Context, traffic: &Traffic) -> Appends {
    Appends { count: traffic.count(), rates: traffic.rates(cx.now.monotonic) }
}

/// `/v2/stats/self`.
pub(crate) fn own(cx: &Context, caller: Caller) -> Response {
    let dialect = caller.port.dialect();
    let is_v2 = dialect == Dialect::V2;
    let state = match (cx.role_name(), is_v2) {
        ("leader", true) => "StateLeader",
        ("follower", true) => "StateFollower",
        (_, true) => "StateCandidate",
        (name, false) => name,
    };
    let body = self_body(&SelfStats {
        name: &cx.config.name,
        id: is_v2.then(|| cx.driver.status().id.to_string()),
        state,
        started: cx.started.wall,
        leader: &name_of(dialect, cx.leader()),
        leader_since: cx.leader_since.wall,
        leader_uptime: cx.now.monotonic.saturating_sub(cx.leader_since.monotonic),
        received: appends(cx, cx.driver.appends_received()),
        sent: appends(cx, cx.driver.appends_sent()),
    });
    Response::json(200, body)
}

/// `/v2/stats/leader`.
pub(crate) fn leader(cx: &Context, caller: Caller) -> Response {
    let dialect = caller.port.dialect();
    if cx.role_name() != "leader" {
        return match dialect {
            Dialect::V2 => Response::json(403, b"{\"message\":\"not current leader\"}"),
            Dialect::V04 => Response::text(403, b"not current leader"),
        };
    }
    let own = cx.driver.status().id;
    let others = cx.driver.membership().members().filter(|member| member.id != own);
    let followers = others.map(|member| {
        let latency = cx.driver.peer(member.id).map(|peer| peer.latency);
        (name_of(dialect, Some(member)), Follower::new(&latency.unwrap_or_default()))
    });
    let leader = name_of(dialect, cx.leader());
    let body = LeaderBody { leader: &leader, followers: followers.collect() };
    Response::json(200, json::body(&body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::Counter;

    fn text(body: Vec<u8>) -> String {
        String::from_utf8(body).expect("text")
    }

    #[test]
    fn store_statistics_have_their_members_in_order() {
        let counter = |success, fail| Counter { success, fail };
        let stats = StoreStats {
            gets: counter(75, 4),
            sets: counter(4, 2),
            deletes: counter(5, 6),
            updates: counter(7, 8),
            creates: counter(9, 10),
            compare_and_swaps: counter(11, 12),
            compare_and_deletes: counter(13, 14),
            expire_count: 15,
            watchers: 16,
        };
        let want = "{\"getsSuccess\":75,\"getsFail\":4,\"setsSuccess\":4,\"setsFail\":2,\
                    \"deleteSuccess\":5,\"deleteFail\":6,\"updateSuccess\":7,\"updateFail\":8,\
                    \"createSuccess\":9,\"createFail\":10,\"compareAndSwapSuccess\":11,\
                    \"compareAndSwapFail\":12,\"compareAndDeleteSuccess\":13,\
                    \"compareAndDeleteFail\":14,\"expireCount\":15,\"watchers\":16}";
        assert_eq!(text(store_body(&stats)), want);
    }

    #[test]
    fn a_member_tells_of_itself_and_its_leader() {
        let stats = SelfStats {
            name: "n1",
            id: None,
            state: "leader",
            started: 1_795_418_275_068_498_647,
            leader: "n1",
            leader_since: 1_795_418_276_141_302_180,
            leader_uptime: 3_770_106_176,
            received: Appends::default(),
            sent: Appends { count: 122, rates: None },
        };
        let want = "{\"name\":\"n1\",\"state\":\"leader\",\
                    \"startTime\":\"2026-11-23T07:17:55.068498647Z\",\
                    \"leaderInfo\":{\"leader\":\"n1\",\"uptime\":\"3.770106176s\",\
                    \"startTime\":\"2026-11-23T07:17:56.14130218Z\"},\
                    \"recvAppendRequestCnt\":0,\"sendAppendRequestCnt\":122}";
        assert_eq!(text(self_body(&stats)), want);
        let rates = Some(Rates { packages: 20.25, bytes: 533.5 });
        let busy = SelfStats { received: Appends { count: 74, rates }, ..stats.clone() };
        let rates = ",\"recvAppendRequestCnt\":74,\"recvPkgRate\":20.25,\
                     \"recvBandwidthRate\":533.5,\"sendAppendRequestCnt\":122}";
        assert!(text(self_body(&busy)).ends_with(rates));
        let with_id = SelfStats { id: Some("2a".to_owned()), name: "\"<", ..stats };
        let got = text(self_body(&with_id));
        assert!(got.starts_with("{\"name\":\"\\\"\\u003c\",\"id\":\"2a\",\"state\":"), "{got}");
    }

    #[test]
    fn a_leader_alone_has_no_followers() {
        let body = LeaderBody { leader: "m0", followers: BTreeMap::new() };
        assert_eq!(text(json::body(&body)), "{\"leader\":\"m0\",\"followers\":{}}");
    }

    #[test]
    fn followers_are_shown_in_milliseconds() {
        let mut latency = Latency::default();
        (latency.current, latency.minimum, latency.maximum) = (5_201_700, 540_934, 30_154_983);
        (latency.success, latency.fail) = (75, 2);
        let followers = [("n3", Latency::default()), ("n2", latency)];
        let followers = followers.map(|(name, latency)| (name.to_owned(), Follower::new(&latency)));
        let body = LeaderBody { leader: "n1", followers: followers.into() };
        let want = "{\"leader\":\"n1\",\"followers\":{\"n2\":{\"latency\":{\
                    \"current\":5.2017,\"average\":0,\"standardDeviation\":0,\
                    \"minimum\":0.540934,\"maximum\":30.154983},\
                    \"counts\":{\"fail\":2,\"success\":75}},\"n3\":{\"latency\":{\
                    \"current\":0,\"average\":0,\"standardDeviation\":0,\
                    \"minimum\":0,\"maximum\":0},\"counts\":{\"fail\":0,\"success\":0}}}}";
        assert_eq!(text(json::body(&body)), want);
    }
}
