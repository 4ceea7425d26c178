//! The answers of `/v2/stats/*` (spec stats.md).

use super::json::{put_number, put_string};
use super::time::{go_duration, rfc3339};
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
    pub(crate) appends_received: u64,
    pub(crate) appends_sent: u64,
}

pub(crate) fn self_body(stats: &SelfStats<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let mut member = |name: &str, value: &str| {
        out.extend_from_slice(name.as_bytes());
        put_string(&mut out, value, false);
    };
    member("{\"name\":", stats.name);
    if let Some(id) = &stats.id {
        member(",\"id\":", id);
    }
    member(",\"state\":", stats.state);
    member(",\"startTime\":", &rfc3339(stats.started));
    member(",\"leaderInfo\":{\"leader\":", stats.leader);
    member(",\"uptime\":", &go_duration(stats.leader_uptime));
    member(",\"startTime\":", &rfc3339(stats.leader_since));
    out.extend_from_slice(b"},\"recvAppendRequestCnt\":");
    put_number(&mut out, stats.appends_received);
    out.extend_from_slice(b",\"sendAppendRequestCnt\":");
    put_number(&mut out, stats.appends_sent);
    out.push(b'}');
    out
}

/// `/v2/stats/leader` of a leader without followers.
pub(crate) fn leader_body(leader: &str) -> Vec<u8> {
    let mut out = b"{\"leader\":".to_vec();
    put_string(&mut out, leader, false);
    out.extend_from_slice(b",\"followers\":{}}");
    out
}

pub(crate) fn store_body(stats: &StoreStats) -> Vec<u8> {
    let members = [
        ("getsSuccess", stats.gets.success),
        ("getsFail", stats.gets.fail),
        ("setsSuccess", stats.sets.success),
        ("setsFail", stats.sets.fail),
        ("deleteSuccess", stats.deletes.success),
        ("deleteFail", stats.deletes.fail),
        ("updateSuccess", stats.updates.success),
        ("updateFail", stats.updates.fail),
        ("createSuccess", stats.creates.success),
        ("createFail", stats.creates.fail),
        ("compareAndSwapSuccess", stats.compare_and_swaps.success),
        ("compareAndSwapFail", stats.compare_and_swaps.fail),
        ("compareAndDeleteSuccess", stats.compare_and_deletes.success),
        ("compareAndDeleteFail", stats.compare_and_deletes.fail),
        ("expireCount", stats.expire_count),
        ("watchers", stats.watchers),
    ];
    let mut out = Vec::with_capacity(384);
    for (at, (name, number)) in members.into_iter().enumerate() {
        out.push(if at == 0 { b'{' } else { b',' });
        put_string(&mut out, name, false);
        out.push(b':');
        put_number(&mut out, number);
    }
    out.push(b'}');
    out
}
