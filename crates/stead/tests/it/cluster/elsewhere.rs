//! Clients that are sent to the leader, or whose connections are passed on to it.

use std::time::Duration;

use super::kit::{Cluster, Machine, PATIENCE, sites, state};
use crate::testkit::http::send;
use crate::testkit::{Connection, Request, Site, Watch, ask, wait_until};

const QUICK: &str = "-cluster-active-size 3 -cluster-sync-interval 1";

#[test]
fn a_follower_sends_clients_that_need_the_leader_there_when_told_to() {
    let mut sites: Vec<Site> = sites("send-on", 3, "").into_iter().map(Site::with_v2).collect();
    let founder = sites[0].peer_addr();
    for site in sites.iter_mut().skip(1) {
        site.set_flags(&format!("-peers {founder}"));
    }
    let mut cluster = Cluster::of(sites, &[0, 1, 2]);
    let follower = (cluster.leader() + 1) % 3;
    // It is told so at a restart; the others go on forwarding.
    let machine = &mut cluster.machines[follower];
    machine.kill();
    machine.site.set_flags("-follower-mode redirect");
    machine.spawn();
    wait_until("it knows the leader", PATIENCE, || {
        send(machine.addr(), &Request::get("/v2/leader")).is_ok_and(|answer| answer.status() == 200)
            && state(machine.addr()) == "follower"
    });
    let machine = &cluster.machines[follower];
    let (addr, leader) = (machine.addr(), cluster.machines[cluster.leader()].addr());
    for request in [
        Request::put("/v2/keys/a?dir=", "value=1"),
        Request::post("/v2/keys/q", "value=1"),
        Request::delete("/v2/keys/a"),
        Request::get("/v2/keys/a?quorum=true"),
        Request::get("/v2/keys/a?consistent=true&recursive=true"),
    ] {
        let answer = ask(addr, &request);
        assert_eq!(answer.status(), 307, "{} {}", request.method, request.path);
        assert_eq!(
            answer.head.header("Location"),
            Some(format!("http://{leader}{}", request.path))
        );
        assert_eq!(answer.body.is_empty(), request.method != "GET");
    }
    // What it can say itself it says.
    assert_eq!(ask(addr, &Request::get("/v2/keys/")).status(), 200);
    assert_eq!(ask(addr, &Request::put("/v2/keys/a", "ttl=soon")).status(), 400);
    assert_eq!(ask(addr, &Request::get("/v2/keys/absent")).status(), 404);
    // A client of the 2.x series does not know redirects.
    let put = Request::put("/v2/keys/two", "value=1");
    assert_eq!(ask(machine.site.v2_addr(), &put).status(), 201);
    assert_eq!(ask(addr, &Request::get("/v2/keys/two")).status(), 200);
}

fn with_proxy(label: &str) -> Cluster {
    let mut cluster = Cluster::start(label, 3, QUICK);
    let founder = cluster.machines[0].site.peer_addr();
    let flags = format!("{QUICK} -standby-mode proxy -peers {founder}");
    let site = Site::new(label).named("m3").flags(&flags);
    let mut machine = Machine { site, server: None };
    machine.spawn();
    wait_until("it stands by", PATIENCE, || state(machine.addr()) == "standby");
    wait_until("it knows the leader", PATIENCE, || {
        ask(machine.addr(), &Request::get("/health")).status() == 200
    });
    cluster.machines.push(machine);
    cluster
}

#[test]
fn a_standby_passes_connections_on_when_told_to() {
    let mut cluster = with_proxy("pass-on");
    let leader = cluster.leader();
    let standby = cluster.machines[3].addr();
    assert_eq!(ask(standby, &Request::put("/v2/keys/a", "value=1")).status(), 201);
    let read = ask(standby, &Request::get("/v2/keys/a?quorum=true"));
    assert_eq!((read.status(), read.json()["node"]["value"].as_str()), (200, Some("1")));
    // It still speaks for itself.
    assert_eq!(state(standby), "standby");
    // One connection, many requests, some of them large.
    let mut connection = Connection::open(standby).unwrap();
    let large = "x".repeat(3 << 20);
    for number in 0..20 {
        let put = Request::put(&format!("/v2/keys/l/{number}"), &format!("value={large}"));
        let value = if number < 4 { put } else { Request::put("/v2/keys/s", "value=1") };
        assert!(connection.exchange(&value).unwrap().status() < 300);
    }
    let all = connection.exchange(&Request::get("/v2/keys/l?recursive=true")).unwrap();
    assert!(all.body.len() > 12 << 20, "{} bytes", all.body.len());
    // A long poll and a stream, while nothing happens and when something does.
    let mut poll = Watch::open(standby, "/v2/keys/a?wait=true");
    let mut stream = Watch::open(standby, "/v2/keys/w?wait=true&stream=true&recursive=true");
    assert!(poll.is_silent(Duration::from_millis(300)), "nothing has happened");
    assert_eq!(ask(cluster.machines[leader].addr(), &put("/v2/keys/a")).status(), 200);
    assert_eq!(poll.event()["node"]["key"], "/a");
    for number in 0..50 {
        let path = format!("/v2/keys/w/{number}");
        assert_eq!(ask(standby, &put(&path)).status(), 201);
        assert_eq!(stream.event()["node"]["key"], format!("/w/{number}"));
    }
    // The leader dies: its connections end, and new ones find the next one.
    cluster.machines[leader].kill();
    assert!(connection.exchange(&Request::get("/v2/keys/a")).is_err(), "its leader is gone");
    let mut refusals = Vec::new();
    wait_until("the standby finds the next leader", PATIENCE, || {
        let Ok(answer) = send(standby, &put("/v2/keys/a")) else { return false };
        if answer.status() == 503 {
            refusals.push(answer.text());
        }
        answer.status() == 200
    });
    let clear = |text: &String| text.contains("402") && text.contains("leader");
    assert!(refusals.iter().all(clear), "{refusals:?}");
}

fn put(path: &str) -> Request {
    Request::put(path, "value=2")
}

#[test]
fn the_longest_value_that_can_be_allowed_travels_between_machines() {
    // With the usual time-outs such a value would be taken for a leader that hangs.
    let flags = "-max-body-bytes 33554432 -peer-heartbeat-interval 500 -peer-election-timeout 5000";
    let cluster = Cluster::start("longest-value", 3, flags);
    let value = "v".repeat((32 << 20) - 64);
    let follower = (cluster.leader() + 1) % 3;
    let mut connection = Connection::open(cluster.machines[follower].addr()).unwrap();
    connection.within(PATIENCE);
    let put = Request::put("/v2/keys/long?noValueOnSuccess=true", &format!("value={value}"));
    let answer = connection.exchange(&put).unwrap();
    assert_eq!(answer.status(), 201, "{}", answer.text());
    for machine in &cluster.machines {
        wait_until("every machine has it", PATIENCE, || {
            let answer = ask(machine.addr(), &Request::get("/v2/keys/long"));
            answer.status() == 200 && answer.body.len() > value.len()
        });
    }
}
