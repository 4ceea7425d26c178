//! Machines leave, stand by and come back.

use std::time::Duration;

use super::kit::{Cluster, Machine, PATIENCE, members, state};
use crate::testkit::http::send;
use crate::testkit::{Request, ask, wait_until};

const QUICK: &str = "-cluster-active-size 3 -cluster-remove-delay 2 -cluster-sync-interval 1";

fn names(machine: &Machine) -> Vec<String> {
    members(machine.addr()).into_iter().map(|(name, _)| name).collect()
}

fn wait_state(machine: &Machine, want: &str) {
    wait_until(&format!("{} is {want}", machine.site.name()), PATIENCE, || {
        state(machine.addr()) == want
    });
}

/// Starts one machine more than the cluster wants, which stands by.
fn with_standby(label: &str) -> Cluster {
    let mut cluster = Cluster::start(label, 3, QUICK);
    let founder = cluster.machines[0].site.peer_addr();
    let site =
        crate::testkit::Site::new(label).named("m3").flags(&format!("{QUICK} -peers {founder}"));
    let mut machine = Machine { site, server: None };
    machine.spawn();
    wait_state(&machine, "standby");
    cluster.machines.push(machine);
    cluster
}

#[test]
fn a_machine_too_many_stands_by_and_sends_clients_to_the_leader() {
    let mut cluster = with_standby("standby");
    let leader = cluster.machines[cluster.leader()].addr();
    let standby = cluster.machines[3].addr();
    wait_until("the standby knows the leader", PATIENCE, || {
        ask(standby, &Request::get("/health")).status() == 200
    });
    for request in [
        Request::get("/v2/keys/a?recursive=true"),
        Request::put("/v2/keys/a", "value=1"),
        Request::delete("/v2/keys/a"),
        Request::get("/v2/stats/leader"),
        Request::get("/anything"),
    ] {
        let answer = ask(standby, &request);
        assert_eq!(answer.status(), 307, "{}", request.path);
        let want = format!("http://{leader}{}", request.path);
        assert_eq!(answer.head.header("Location"), Some(want));
    }
    assert_eq!(ask(standby, &Request::get("/health")).text(), "{\"health\": \"true\"}");
    assert_eq!(ask(standby, &Request::get("/version")).status(), 200);
    // It is as strict as a member.
    for (request, status) in [
        (Request::get("/%zz"), 400),
        (Request::get("/v2//keys/a"), 301),
        (Request::delete("/version"), 405),
        (Request::get("/metrics"), 200),
    ] {
        for addr in [standby, leader] {
            assert_eq!(ask(addr, &request).status(), status, "{} at {addr}", request.path);
        }
    }
    let machines = ask(standby, &Request::get("/v2/machines")).text();
    assert_eq!(machines.split(", ").count(), 3, "{machines}");
    assert!(machines.starts_with(&format!("http://{leader}")), "{machines}");
    assert_eq!(names(&cluster.machines[0]), ["m0", "m1", "m2"]);
    // It stands by again after a restart, without being told of anybody.
    cluster.machines[3].kill();
    cluster.machines[3].site.set_flags("");
    cluster.machines[3].spawn();
    wait_state(&cluster.machines[3], "standby");
}

#[test]
fn a_standby_takes_the_place_of_a_machine_that_died() {
    let mut cluster = with_standby("standby-promoted");
    let dead = (cluster.leader() + 1) % 3;
    cluster.machines[dead].kill();
    wait_state(&cluster.machines[3], "follower");
    cluster.wait_formed(3);
    let names = names(&cluster.machines[3]);
    assert!(names.contains(&"m3".to_owned()) && !names.contains(&format!("m{dead}")), "{names:?}");
    // The dead one finds its place taken.
    cluster.machines[dead].spawn();
    wait_state(&cluster.machines[dead], "standby");
    let put = Request::new("PUT", "/v2/admin/config").body(b"{\"activeSize\":4}");
    assert_eq!(ask(cluster.machines[3].addr(), &put).status(), 200);
    cluster.wait_formed(4);
    cluster.wait_equal();
}

#[test]
fn fewer_places_send_the_one_that_lags_away() {
    let mut cluster = Cluster::start("shrink", 4, "-cluster-sync-interval 1");
    let put =
        Request::new("PUT", "/v2/admin/config").body(b"{\"activeSize\":3,\"syncInterval\":1}");
    assert_eq!(ask(cluster.machines[1].site.peer_addr(), &put).status(), 200);
    let mut away = None;
    wait_until("one machine stands by", PATIENCE, || {
        away = (0..4).find(|at| state(cluster.machines[*at].addr()) == "standby");
        away.is_some()
    });
    let mut away = cluster.machines.remove(away.expect("just found"));
    cluster.wait_formed(3);
    assert!(state(cluster.machines[cluster.leader()].addr()) == "leader");
    away.kill();
}

#[test]
fn any_machine_may_be_removed_through_any_other() {
    let mut cluster = Cluster::start("remove", 5, "-cluster-sync-interval 1");
    // A follower that is dead, asked of a follower's client port.
    let leader = cluster.leader();
    let dead = (leader + 1) % 5;
    cluster.machines[dead].kill();
    let asked = cluster.machines[(leader + 2) % 5].addr();
    let delete = Request::delete(&format!("/v2/admin/machines/m{dead}"));
    let answer = ask(asked, &delete);
    assert_eq!((answer.status(), answer.text().as_str()), (200, ""));
    let answer = ask(asked, &delete);
    assert_eq!((answer.status(), answer.json()["errorCode"].as_u64()), (404, Some(100)));
    cluster.machines.remove(dead);
    cluster.wait_formed(4);
    // The leader itself, asked of its own peer port; it comes back, since there is room.
    let leader = cluster.leader();
    let name = cluster.machines[leader].site.name().to_owned();
    let delete = Request::delete(&format!("/v2/admin/machines/{name}"));
    let before = ask(cluster.machines[leader].addr(), &Request::get("/v2/keys/")).index();
    assert_eq!(ask(cluster.machines[leader].site.peer_addr(), &delete).status(), 200);
    cluster.wait_formed(4);
    assert!(ask(cluster.machines[leader].addr(), &Request::get("/v2/keys/")).index() > before);
    cluster.wait_equal();
}

#[test]
fn a_removal_that_costs_the_majority_is_refused() {
    let mut cluster = Cluster::start("remove-majority", 3, "");
    let leader = cluster.leader();
    let (dead, alive) = ((leader + 1) % 3, (leader + 2) % 3);
    cluster.machines[dead].kill();
    let delete = |at: usize| Request::delete(&format!("/v2/admin/machines/m{at}"));
    let asked = cluster.machines[leader].addr();
    wait_until("the removal is refused", PATIENCE, || {
        // Until the death is noticed the machine counts as alive; it is not removed by then.
        send(asked, &Request::get("/health")).is_ok()
    });
    std::thread::sleep(Duration::from_millis(1000));
    let answer = ask(asked, &delete(alive));
    assert_eq!(answer.status(), 409, "{}", answer.text());
    assert!(answer.text().contains("majority"), "{}", answer.text());
    assert_eq!(ask(asked, &delete(dead)).status(), 200, "a dead one may go");
    assert_eq!(names(&cluster.machines[leader]).len(), 2);
}

#[test]
fn the_only_machine_cannot_be_removed() {
    let (_site, server) = crate::testkit::Server::start("remove-only");
    let answer = ask(server.peer_addr(), &Request::delete("/v2/admin/machines/m0"));
    assert_eq!(answer.status(), 409, "{}", answer.text());
}

#[test]
fn nothing_malformed_gets_into_the_membership() {
    let cluster = Cluster::start("join-garbage", 2, "");
    let peer = cluster.machines[0].site.peer_addr();
    let good =
        "{\"id\":\"5\",\"name\":\"x\",\"clientURL\":\"http://h:1\",\"peerURL\":\"http://h:2\"}";
    for body in [
        "",
        "{}",
        "[]",
        "null",
        &good[..40],
        &good.replace("\"x\"", "\"\""),
        &good.replace("h:2", "h"),
    ] {
        let join = Request::new("POST", "/v2/peer/join").body(body.as_bytes());
        // What a page can send without being asked is no request to join.
        let untyped = ask(peer, &join);
        assert_eq!(untyped.status(), 415, "{body}: {}", untyped.text());
        let answer = ask(peer, &join.header("Content-Type", "application/json"));
        assert_eq!(answer.status(), 400, "{body}: {}", answer.text());
    }
    assert_eq!(ask(peer, &Request::get("/v2/peer/join")).status(), 405);
    assert_eq!(ask(cluster.machines[0].addr(), &Request::get("/v2/peer/members")).status(), 404);
    assert_eq!(names(&cluster.machines[1]), ["m0", "m1"]);
}
