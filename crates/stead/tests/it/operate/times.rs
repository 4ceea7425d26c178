//! `/v2/stats/times`: when indexes were made, over restarts and on every member.

use crate::cluster::kit::{Cluster, PATIENCE};
use crate::testkit::{Request, Site, ask, wait_until};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// By how much a time may be too late: what is made within a second has one.
const LATE_MS: u64 = 1_000;

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).expect("it is no year of five digits")
}

fn times(addr: SocketAddr, indexes: &str) -> Value {
    ask(addr, &Request::get(&format!("/v2/stats/times?index={indexes}"))).json()
}

fn time(addr: SocketAddr, index: u64) -> Option<u64> {
    times(addr, &index.to_string())["times"][index.to_string()].as_u64()
}

/// Changes a key; gives its index, and a time before and one after it.
fn change(addr: SocketAddr) -> (u64, u64, u64) {
    let before = now();
    let answer = ask(addr, &Request::put("/v2/keys/times", "value=1"));
    assert!(answer.status() < 300, "{}", answer.text());
    let index = answer.json()["node"]["modifiedIndex"].as_u64().expect("an index");
    (index, before, now())
}

#[test]
fn an_index_has_the_time_of_its_change_over_a_restart() {
    let site = Site::new("times");
    let server = site.start();
    let addr = site.addr();
    let (first, before, after) = change(addr);
    let made = time(addr, first).expect("it is known");
    assert!((before..=after + LATE_MS).contains(&made), "{before} {made} {after}");
    wait_until("another second has begun", PATIENCE, || now() > after + 2 * LATE_MS);
    let (second, before, after) = change(addr);
    let later = time(addr, second).expect("it is known");
    assert!((before..=after + LATE_MS).contains(&later), "{before} {later} {after}");
    assert_eq!(time(addr, first), Some(made), "it stays");
    let seen = times(addr, &format!("{first},{second},{},0", second + 1));
    assert_eq!(seen["times"].as_object().map(serde_json::Map::len), Some(4), "{seen}");
    assert!(seen["times"]["0"].is_null() && seen["times"][(second + 1).to_string()].is_null());
    assert!(seen["since"].as_u64() <= Some(made), "{seen}");
    assert!(server.terminate().success());
    let _server = site.start();
    assert_eq!((time(addr, first), time(addr, second)), (Some(made), Some(later)));
    assert_eq!(ask(addr, &Request::get("/v2/stats/times")).json()["times"], serde_json::json!({}));
    let many = vec!["1"; 1001].join(",");
    for (indexes, code) in [("x", 203), ("5,", 203), (many.as_str(), 209)] {
        let answer = ask(addr, &Request::get(&format!("/v2/stats/times?index={indexes}")));
        assert_eq!((answer.status(), &answer.json()["errorCode"]), (400, &code.into()));
    }
    let all: Vec<String> =
        (1_000_000_000_000_000..1_000_000_000_001_000_u64).map(|index| index.to_string()).collect();
    let seen = times(addr, &all.join(","));
    assert_eq!(seen["times"].as_object().map(serde_json::Map::len), Some(1000));
}

#[test]
fn every_member_knows_the_same_times() {
    let mut cluster = Cluster::start("times-three", 3, "");
    let (index, before, after) = change(cluster.machines[0].addr());
    let is_right = |addr| {
        let made = time(addr, index);
        made.is_some_and(|made| (before..=after + LATE_MS).contains(&made))
    };
    for machine in &cluster.machines {
        wait_until("it knows the time", PATIENCE, || is_right(machine.addr()));
    }
    cluster.machines[1].kill();
    cluster.machines[1].spawn();
    cluster.wait_formed(3);
    let back = cluster.machines[1].addr();
    wait_until("it knows it of its log", PATIENCE, || is_right(back));
}
