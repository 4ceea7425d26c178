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
            appends_received: 0,
            appends_sent: 122,
        };
        let want = "{\"name\":\"n1\",\"state\":\"leader\",\
                    \"startTime\":\"2026-11-23T07:17:55.068498647Z\",\
                    \"leaderInfo\":{\"leader\":\"n1\",\"uptime\":\"3.770106176s\",\
                    \"startTime\":\"2026-11-23T07:17:56.14130218Z\"},\
                    \"recvAppendRequestCnt\":0,\"sendAppendRequestCnt\":122}";
        assert_eq!(text(self_body(&stats)), want);
        let with_id = SelfStats { id: Some("2a".to_owned()), name: "\"<", ..stats };
        let got = text(self_body(&with_id));
        assert!(got.starts_with("{\"name\":\"\\\"\\u003c\",\"id\":\"2a\",\"state\":"), "{got}");
    }

    #[test]
    fn a_leader_alone_has_no_followers() {
        assert_eq!(text(leader_body("m0")), "{\"leader\":\"m0\",\"followers\":{}}");
    }
}
