//! Reads that prove what they say, and watches that miss nothing.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::kit::{Cluster, PATIENCE, Writer};
use crate::testkit::{Connection, Request, Watch, ask, wait_until};

#[test]
fn what_was_written_anywhere_is_read_everywhere() {
    let cluster = Cluster::start("read-everywhere", 3, "");
    for number in 0..60 {
        let (at, other) = (number % 3, (number / 3) % 3);
        let put = Request::put("/v2/keys/a", &format!("value={number}"));
        assert!(ask(cluster.machines[at].addr(), &put).status() < 300);
        let own = ask(cluster.machines[at].addr(), &Request::get("/v2/keys/a")).json();
        assert_eq!(own["node"]["value"], number.to_string(), "its own write is seen at once");
        for word in ["quorum", "consistent"] {
            let get = Request::get(&format!("/v2/keys/a?{word}=true"));
            let read = ask(cluster.machines[other].addr(), &get).json();
            assert_eq!(read["node"]["value"], number.to_string(), "{word}");
        }
    }
}

#[test]
fn a_leader_that_was_asleep_never_proves_old_data() {
    let cluster = Cluster::start("read-asleep", 3, "");
    let leader = cluster.leader();
    let old = &cluster.machines[leader];
    assert_eq!(ask(old.addr(), &Request::put("/v2/keys/a", "value=old")).status(), 201);
    // The questions wait in its socket while others go on without it.
    let mut asked: Vec<Connection> = Vec::new();
    old.server().signal(Signal::STOP);
    for word in ["quorum", "consistent", "quorum", "consistent"] {
        let mut connection = Connection::open(old.addr()).unwrap();
        connection.send(&Request::get(&format!("/v2/keys/a?{word}=true"))).unwrap();
        asked.push(connection);
    }
    let new = cluster.leader_but(leader);
    let put = Request::put("/v2/keys/a", "value=new");
    assert_eq!(ask(cluster.machines[new].addr(), &put).status(), 200);
    old.server().signal(Signal::CONT);
    for mut connection in asked {
        let answer = connection.within(Duration::from_secs(15)).response("GET").unwrap();
        let value = answer.json()["node"]["value"].clone();
        assert!(value != "old", "{}", answer.text());
    }
}

#[test]
fn a_stream_at_a_follower_misses_and_doubles_nothing_while_leaders_die() {
    let mut cluster = Cluster::start("watch-failover", 3, "");
    let watched = (cluster.leader() + 1) % 3;
    let addr = cluster.machines[watched].addr();
    let index = ask(addr, &Request::get("/v2/keys/")).index();
    let mut stream = Watch::open(addr, "/v2/keys/w?wait=true&stream=true&recursive=true");
    let writers: Vec<Writer> = (0..3).map(|id| Writer::start(id, cluster.addrs())).collect();
    for _ in 0..2 {
        std::thread::sleep(Duration::from_millis(300));
        let leader = cluster.leader();
        if leader == watched {
            cluster.machines[watched].server().signal(Signal::STOP);
            std::thread::sleep(Duration::from_millis(700));
            cluster.machines[watched].server().signal(Signal::CONT);
        } else {
            cluster.machines[leader].kill();
            std::thread::sleep(Duration::from_millis(400));
            cluster.machines[leader].spawn();
        }
        cluster.wait_formed(3);
    }
    for writer in writers {
        writer.finish();
    }
    cluster.wait_equal();
    let last = ask(addr, &Request::get("/v2/keys/w?recursive=true")).index();
    // What the stream said, and what the history says in its place, one event after the other.
    let mut seen = Vec::new();
    let start = Instant::now();
    while let Ok(Some(event)) = stream.next(Duration::from_millis(500)) {
        seen.push(event["node"]["modifiedIndex"].as_u64().expect("a number"));
        assert!(start.elapsed() < Duration::from_secs(20));
    }
    assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "in order, each once");
    assert!(!seen.is_empty());
    let mut replay = Watch::open(
        addr,
        &format!("/v2/keys/w?wait=true&stream=true&recursive=true&waitIndex={}", index + 1),
    );
    let mut want = Vec::new();
    while let Ok(Some(event)) = replay.next(Duration::from_millis(500)) {
        let Some(index) = event["node"]["modifiedIndex"].as_u64() else {
            // The window of events is shorter than what was written: nothing to compare with.
            println!("the history begins later: {event}");
            return;
        };
        want.push(index);
    }
    assert_eq!(seen, want, "up to {last}");
}

/// Followers speak to one another once a second, and count as silent after three.
#[test]
fn followers_that_are_well_show_one_another_as_reachable() {
    let cluster = Cluster::start("read-reachable", 3, "");
    let begun = Instant::now();
    wait_until("everybody has been heard", PATIENCE, || all_are_reachable(&cluster));
    while begun.elapsed() < Duration::from_secs(3) {
        assert!(all_are_reachable(&cluster));
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn all_are_reachable(cluster: &Cluster) -> bool {
    cluster.running().all(|machine| {
        let stats = ask(machine.addr(), &Request::get("/v2/stats/cluster")).json();
        let members = stats["members"].as_array().cloned().unwrap_or_default();
        members.len() == 3 && members.iter().all(|member| member["reachable"] == true)
    })
}
