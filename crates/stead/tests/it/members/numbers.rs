//! What members tell of themselves and of one another.

use super::{LIMIT, Trio, members, metrics, sum};
use crate::testkit::{Request, ask, wait_until};

#[test]
fn a_leader_tells_how_quick_its_followers_are() {
    let trio = Trio::start("latency");
    let (leader, others) = trio.roles();
    for number in 0..20 {
        let put = Request::put("/v2/keys/a", &format!("value={number}"));
        assert!(ask(leader.addr(), &put).status() < 300);
    }
    let stats = ask(leader.addr(), &Request::get("/v2/stats/leader"));
    assert_eq!(stats.head.header("Content-Type").as_deref(), Some("application/json"));
    let text = stats.text();
    let stats = stats.json();
    let followers = stats["followers"].as_object().expect("an object");
    assert_eq!(followers.len(), 2, "{text}");
    for (name, follower) in followers {
        assert!(["n1", "n2", "n3"].contains(&name.as_str()) && stats["leader"] != *name, "{text}");
        assert!(follower["counts"]["success"].as_u64() >= Some(1), "{text}");
        let number = |what: &str| follower["latency"][what].as_f64().expect("a number");
        let (least, mean, most) = (number("minimum"), number("average"), number("maximum"));
        assert!(0.0 < least && least <= mean && mean <= most && most < 60_000.0, "{text}");
        assert!(number("standardDeviation") >= 0.0 && number("current") > 0.0, "{text}");
    }
    // 2.x names members by their ids.
    let ids: Vec<String> =
        members(leader).iter().map(|one| one["id"].as_str().expect("text").to_owned()).collect();
    let v2 = ask(leader.v2_addr(), &Request::get("/v2/stats/leader")).json();
    assert!(ids.contains(&v2["leader"].as_str().expect("text").to_owned()), "{v2}");
    assert!(v2["followers"].as_object().expect("an object").keys().all(|id| ids.contains(id)));
    for follower in others {
        let v04 = ask(follower.addr(), &Request::get("/v2/stats/leader"));
        assert_eq!((v04.status(), v04.text().as_str()), (403, "not current leader"));
        let v2 = ask(follower.v2_addr(), &Request::get("/v2/stats/leader"));
        assert_eq!(v2.text(), "{\"message\":\"not current leader\"}");
        assert_eq!(v2.status(), 403);
    }
}

#[test]
fn appends_are_counted_on_both_sides() {
    let trio = Trio::start("appends");
    let (leader, others) = trio.roles();
    let own = |server: &crate::testkit::Server| {
        ask(server.addr(), &Request::get("/v2/stats/self")).json()
    };
    wait_until("the leader has a rate", LIMIT, || {
        own(leader)["sendPkgRate"].as_f64().is_some_and(|rate| rate > 1.0)
    });
    let stats = own(leader);
    assert!(stats["sendAppendRequestCnt"].as_u64() > Some(0), "{stats}");
    assert!(stats["sendBandwidthRate"].as_f64() > Some(0.0), "{stats}");
    let name = stats["name"].as_str().expect("text").to_owned();
    assert_eq!(stats["leaderInfo"]["leader"], name.as_str(), "{stats}");
    for follower in others {
        let before = own(follower)["recvAppendRequestCnt"].as_u64().expect("a number");
        wait_until("heartbeats are counted", LIMIT, || {
            let stats = own(follower);
            stats["recvAppendRequestCnt"].as_u64() > Some(before)
                && stats["recvPkgRate"].as_f64() > Some(1.0)
                && stats["recvBandwidthRate"].as_f64() > Some(1.0)
        });
        let stats = own(follower);
        assert_eq!(stats["leaderInfo"]["leader"], name.as_str(), "{stats}");
        let since = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
        let (leader_since, start) =
            (since(&stats["leaderInfo"]["startTime"]), since(&stats["startTime"]));
        assert!(leader_since > start, "a follower sees its leader after its own start: {stats}");
    }
}

#[test]
fn metrics_tell_of_raft_and_peers() {
    let trio = Trio::start("gauges");
    let (leader, others) = trio.roles();
    for _ in 0..5 {
        assert!(ask(leader.addr(), &Request::put("/v2/keys/a", "value=1")).status() < 300);
    }
    let trips = "etcd_network_peer_round_trip_time_seconds_count{To=";
    wait_until("followers have everything, and vote", LIMIT, || {
        let text = metrics(leader);
        text.matches("stead_peer_lag_entries{").count() == 2
            && sum(&text, "stead_peer_lag_entries") == 0.0
            && text.matches(trips).count() == 2
            && sum(&text, "stead_voters_reached") == 3.0
    });
    let text = metrics(leader);
    assert_eq!(sum(&text, "stead_raft_is_leader"), 1.0);
    assert!(sum(&text, "stead_raft_term") >= 1.0);
    assert!(sum(&text, "stead_raft_commit_index") >= sum(&text, "stead_raft_applied_index"));
    assert!(sum(&text, "stead_peer_latency_seconds") > 0.0, "{text}");
    assert!(sum(&text, "stead_peer_sent_messages_total") > 0.0, "{text}");
    assert!(text.contains("stead_member_diverged{member=\"n"), "{text}");
    assert_eq!(sum(&text, "stead_member_diverged"), 0.0);
    for name in ["etcd_server_is_leader", "etcd_server_has_leader"] {
        assert_eq!(sum(&text, name), 1.0, "{name}: {text}");
    }
    for (name, value) in [
        ("etcd_network_active_peers", 2.0),
        ("stead_peer_reached", 2.0),
        ("stead_voters", 3.0),
        ("stead_voters_reached", 3.0),
        ("stead_clock_offset_seconds", 0.0),
    ] {
        assert_eq!(sum(&text, name), value, "{name}: {text}");
    }
    assert_eq!(text.matches(trips).count(), 2, "{text}");
    for name in ["etcd_network_peer_sent_bytes_total", "etcd_network_peer_received_bytes_total"] {
        assert!(sum(&text, name) > 0.0, "{name}: {text}");
    }
    for follower in others {
        wait_until("the leader has told its clock", LIMIT, || {
            metrics(follower).contains("stead_clock_offset_seconds")
        });
        let text = metrics(follower);
        assert!(sum(&text, "stead_clock_offset_seconds").abs() < 5.0, "one machine: {text}");
        assert_eq!(sum(&text, "stead_raft_is_leader"), 0.0);
        assert_eq!(sum(&text, "stead_raft_has_leader"), 1.0);
        assert!(sum(&text, "stead_raft_leader_changes_total") >= 1.0);
        assert!(!text.contains("stead_peer_lag_entries{"), "only a leader knows");
    }
}

#[test]
fn a_follower_takes_administration() {
    let trio = Trio::start("admin");
    let (_, others) = trio.roles();
    let follower = others[0];
    for (addr, size) in [(follower.addr(), 5), (follower.peer_addr(), 6)] {
        let body = format!("{{\"activeSize\":{size}}}");
        let put = Request::new("PUT", "/v2/admin/config").body(body.as_bytes());
        let answer = ask(addr, &put);
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert_eq!(answer.json()["activeSize"], size);
        wait_until("everybody has it", LIMIT, || {
            let get = Request::get("/v2/admin/config");
            trio.servers.iter().all(|one| ask(one.addr(), &get).json()["activeSize"] == size)
        });
        let machines = ask(addr, &Request::get("/v2/admin/machines")).json();
        let names: Vec<&str> = machines
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|one| one["name"].as_str())
            .collect();
        assert_eq!(names, ["n1", "n2", "n3"]);
        assert_eq!(ask(addr, &Request::delete("/v2/admin/machines/n9")).status(), 404);
    }
}

#[test]
fn a_member_without_a_leader_is_not_healthy() {
    let mut trio = Trio::start("unhealthy");
    wait_until("all are healthy", LIMIT, || {
        let health = Request::get("/health");
        trio.servers.iter().all(|one| ask(one.addr(), &health).status() == 200)
    });
    drop(trio.servers.drain(0..2));
    let rest = &trio.servers[0];
    wait_until("it notices", LIMIT, || ask(rest.addr(), &Request::get("/health")).status() == 503);
    let answer = ask(rest.v2_addr(), &Request::get("/health"));
    assert_eq!((answer.status(), answer.text().as_str()), (503, "{\"health\": \"false\"}\n"));
    assert_eq!(ask(rest.addr(), &Request::get("/livez")).status(), 200);
    // A leader steps down an election time-out after that.
    let mut answer = ask(rest.v2_addr(), &Request::get("/v2/members/leader"));
    wait_until("there is no leader", LIMIT, || {
        answer = ask(rest.v2_addr(), &Request::get("/v2/members/leader"));
        answer.status() == 503
    });
    assert_eq!(answer.text(), "{\"message\":\"During election\"}");
}
