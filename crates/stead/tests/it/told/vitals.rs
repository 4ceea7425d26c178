//! What members tell one another of themselves, and how the cluster is: `/v2/stats/cluster`.

use super::{PATIENCE, others};
use crate::cluster::kit::Cluster;
use crate::testkit::{Request, ask, wait_until};
use rustix::process::Signal;
use serde_json::Value;
use std::net::SocketAddr;

/// What a member says of itself.
const SAID: [&str; 8] =
    ["term", "commitIndex", "memory", "storeBytes", "keys", "watchers", "connections", "failing"];

fn view(addr: SocketAddr) -> Value {
    ask(addr, &Request::get("/v2/stats/cluster")).json()
}

fn named<'a>(view: &'a Value, name: &str) -> &'a Value {
    let members = view["members"].as_array().expect("a list");
    members.iter().find(|member| member["name"] == name).unwrap_or_else(|| panic!("{name}: {view}"))
}

fn is_whole(view: &Value) -> bool {
    let members = view["members"].as_array().expect("a list");
    view["tolerates"] == 1
        && members.iter().all(|one| SAID.iter().all(|field| !one[*field].is_null()))
}

#[test]
fn every_member_tells_how_all_of_them_are() {
    let mut cluster = Cluster::start("vitals", 3, "");
    let leader = cluster.leader();
    let put = Request::put("/v2/keys/vitals", "value=0123456789");
    assert_eq!(ask(cluster.machines[leader].addr(), &put).status(), 201);
    let has_told = |addr| {
        let seen = view(addr);
        let members = seen["members"].as_array().expect("a list");
        is_whole(&seen) && members.iter().all(|one| one["storeBytes"].as_u64() > Some(10))
    };
    for machine in &cluster.machines {
        wait_until("it knows how all are", PATIENCE, || has_told(machine.addr()));
        let seen = view(machine.addr());
        for name in ["m0", "m1", "m2"] {
            let one = named(&seen, name);
            assert_eq!((&one["term"], &one["failing"]), (&seen["term"], &Value::Array(vec![])));
            assert!(one["memory"].as_u64() > Some(1 << 20), "{one}");
            // `formed` and this one, and those of the members.
            assert!(one["keys"].as_u64() > Some(4), "{one}");
        }
    }
    wait_until("the syncs of all are known", PATIENCE, || {
        let seen = view(cluster.machines[leader].addr());
        ask(cluster.machines[leader].addr(), &put);
        ["m0", "m1", "m2"].iter().all(|name| named(&seen, name)["diskSync"].as_f64() > Some(0.0))
    });
    let since = |at: usize| view(cluster.machines[at].addr())["leaderSince"].as_u64();
    let said = since(leader).expect("there is a leader");
    let follower = others(&cluster, leader)[0];
    wait_until("a follower knows it of the leader", PATIENCE, || {
        since(follower).is_some_and(|since| since.abs_diff(said) < 1000)
    });
    assert_eq!(since(leader), Some(said), "it stays");

    cluster.machines[follower].kill();
    let left = cluster.machines[leader].addr();
    let gone = format!("m{follower}");
    wait_until("it is missed", PATIENCE, || {
        let seen = view(left);
        let one = named(&seen, &gone);
        seen["tolerates"] == 0 && SAID.iter().all(|field| one[*field].is_null())
    });
    cluster.machines[follower].spawn();
    let back = cluster.machines[follower].addr();
    wait_until("it is back, and knows since when was led before it was", PATIENCE, || {
        let Ok(answer) = crate::testkit::http::send(back, &Request::get("/v2/stats/cluster"))
        else {
            return false;
        };
        let seen = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
        let since = seen["leaderSince"].as_u64();
        seen["tolerates"] == 1 && since.is_some_and(|since| since.abs_diff(said) < 1000)
    });
}

#[test]
fn without_a_majority_nothing_is_said_of_a_leader() {
    let cluster = Cluster::start("vitals-majority", 3, "");
    let leader = cluster.leader();
    let gone = others(&cluster, leader);
    gone.iter().for_each(|at| cluster.machines[*at].server().signal(Signal::STOP));
    let left = cluster.machines[leader].addr();
    wait_until("no leader is left", PATIENCE, || {
        let seen = view(left);
        seen["leaderSince"].is_null() && seen["tolerates"].is_null()
    });
    wait_until("its own checks fail", PATIENCE, || {
        let seen = view(left);
        let failing = named(&seen, &format!("m{leader}"))["failing"].to_string();
        failing.contains("\"leader\"") && failing.contains("\"majority\"")
    });
    gone.iter().for_each(|at| cluster.machines[*at].server().signal(Signal::CONT));
    wait_until("all is well again", PATIENCE, || is_whole(&view(left)));
}
