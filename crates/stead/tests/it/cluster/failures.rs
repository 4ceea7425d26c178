//! What machines lose when others die, stop or hang: nothing that was acknowledged.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::kit::{Cluster, Promised, Writer};
use crate::testkit::http::send;
use crate::testkit::{Request, Watch, ask};

/// How often machines are killed; more when a figure is wanted.
fn rounds(default: usize) -> usize {
    std::env::var("STEAD_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

pub(super) fn finish(writers: Vec<Writer>, cluster: &Cluster) -> Vec<Promised> {
    let promised: Vec<Promised> = writers.into_iter().map(Writer::finish).collect();
    cluster.wait_equal();
    for machine in cluster.running() {
        promised.iter().for_each(|one| one.check(machine.addr()));
    }
    let acknowledged: u64 = promised.iter().map(|one| one.acknowledged).sum();
    let unknown: u64 = promised.iter().map(|one| one.unknown).sum();
    println!("{acknowledged} acknowledged, {unknown} unknown");
    assert!(acknowledged > 0);
    promised
}

/// The time until a write is acknowledged by one of the machines that are left.
fn next_write(cluster: &Cluster, number: usize) -> Duration {
    let start = Instant::now();
    let put = Request::put("/v2/keys/after", &format!("value={number}"));
    for attempt in 0.. {
        let alive: Vec<_> = cluster.running().map(|machine| machine.addr()).collect();
        let answer = send(alive[attempt % alive.len()], &put);
        if answer.is_ok_and(|answer| answer.status() < 300) {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "no write for 20 s");
        std::thread::sleep(Duration::from_millis(2));
    }
    start.elapsed()
}

#[test]
fn leaders_that_die_under_load_lose_nothing() {
    let mut cluster = Cluster::start("fail-leader", 3, "");
    let writers = (0..4).map(|id| Writer::start(id, cluster.addrs())).collect();
    let mut gaps = Vec::new();
    for number in 0..rounds(4) {
        std::thread::sleep(Duration::from_millis(300));
        let leader = cluster.leader();
        cluster.machines[leader].kill();
        gaps.push(next_write(&cluster, number));
        cluster.machines[leader].spawn();
        cluster.wait_formed(3);
    }
    finish(writers, &cluster);
    gaps.sort();
    println!(
        "from the kill to the next acknowledged write: median {:?}, longest {:?} of {}",
        gaps[gaps.len() / 2],
        gaps[gaps.len() - 1],
        gaps.len()
    );
}

#[test]
fn followers_that_die_under_load_are_not_missed() {
    let mut cluster = Cluster::start("fail-follower", 5, "");
    let writers = (0..4).map(|id| Writer::start(id, cluster.addrs())).collect();
    for round in 0..2 {
        std::thread::sleep(Duration::from_millis(200));
        let leader = cluster.leader();
        let dead = [(leader + 1 + round) % 5, (leader + 3) % 5];
        dead.iter().for_each(|at| cluster.machines[*at].kill());
        next_write(&cluster, round);
        dead.iter().for_each(|at| cluster.machines[*at].spawn());
        cluster.wait_formed(5);
    }
    finish(writers, &cluster);
}

#[test]
fn a_leader_that_hangs_is_replaced_and_comes_back() {
    let cluster = Cluster::start("fail-hang", 3, "");
    let writers = (0..3).map(|id| Writer::start(id, cluster.addrs())).collect();
    std::thread::sleep(Duration::from_millis(300));
    let leader = cluster.leader();
    cluster.machines[leader].server().signal(Signal::STOP);
    let new = cluster.leader_but(leader);
    assert_ne!(new, leader);
    std::thread::sleep(Duration::from_millis(300));
    cluster.machines[leader].server().signal(Signal::CONT);
    cluster.wait_formed(3);
    finish(writers, &cluster);
}

#[test]
fn a_rolling_restart_loses_no_request() {
    let mut cluster = Cluster::start("fail-rolling", 3, "");
    let writers: Vec<Writer> = (0..4).map(|id| Writer::start(id, cluster.addrs())).collect();
    for at in 0..3 {
        std::thread::sleep(Duration::from_millis(300));
        let server = cluster.machines[at].server.take().expect("it runs");
        assert_eq!(server.terminate().code(), Some(0));
        cluster.machines[at].spawn();
        cluster.wait_formed(3);
    }
    let promised = finish(writers, &cluster);
    let unknown: u64 = promised.iter().map(|one| one.unknown).sum();
    assert_eq!(unknown, 0, "a client that tries the next member loses no request");
}

#[test]
fn without_a_majority_writes_end_with_error_300_and_watches_stay() {
    let mut cluster = Cluster::start("fail-majority", 3, "-request-timeout 1500");
    let leader = cluster.leader();
    let addr = cluster.machines[leader].addr();
    let mut watch = Watch::open(addr, "/v2/keys/watched?wait=true");
    cluster.machines[(leader + 1) % 3].kill();
    cluster.machines[(leader + 2) % 3].kill();
    for request in [
        Request::put("/v2/keys/a", "value=1"),
        Request::get("/v2/keys/formed?quorum=true"),
        Request::get("/v2/keys/formed?consistent=true"),
    ] {
        let start = Instant::now();
        let answer = ask(addr, &request);
        assert_eq!(answer.json()["errorCode"], 300, "{}", answer.text());
        assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
        let cause = answer.json()["cause"].as_str().unwrap_or_default().to_owned();
        assert!(cause.contains("unreachable: m"), "which members? {cause}");
    }
    assert_eq!(ask(addr, &Request::get("/v2/keys/formed")).status(), 200, "plain reads go on");
    assert!(watch.is_silent(Duration::from_millis(50)));
    cluster.machines[(leader + 1) % 3].spawn();
    next_write(&cluster, 0);
    let put = Request::put("/v2/keys/watched", "value=1");
    assert_eq!(ask(addr, &put).status(), 201);
    assert_eq!(watch.event()["node"]["key"], "/watched");
}
