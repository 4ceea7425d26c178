//! Addresses that change: at a restart, and by an operator.

use super::{BOTH, Dialect, machines, member_urls, trio, url, wait_told};
use crate::cluster::kit::PATIENCE;
use crate::testkit::{Request, ask, wait_until};

#[test]
fn changed_addresses_are_told_everywhere_after_a_restart() {
    let mut cluster = trio("ports-moved", "");
    let at = (cluster.leader() + 1) % 3;
    let machine = &mut cluster.machines[at];
    let gone = BOTH.map(|dialect| url(dialect.of(&machine.site)));
    machine.server.take().expect("it runs").terminate();
    machine.site.move_client_ports();
    machine.spawn();
    wait_told(&cluster);
    for machine in cluster.running() {
        for dialect in BOTH {
            let told = member_urls(dialect.of(&machine.site));
            assert!(gone.iter().all(|old| !told.contains(old)), "{told:?}");
        }
    }
    // Without a second port it is named by what it has, and not by what it had.
    let machine = &mut cluster.machines[at];
    machine.server.take().expect("it runs").terminate();
    machine.site.close_v2();
    machine.spawn();
    let (first, other) = (url(machine.addr()), cluster.machines[(at + 1) % 3].site.v2_addr());
    wait_until("the closed port is told of no more", PATIENCE, || {
        let told = machines(other, "/v2/machines");
        told.len() == 3 && told.contains(&first)
    });
    cluster.wait_equal();
}

#[test]
fn an_operator_who_changes_a_peer_address_leaves_those_for_clients() {
    let cluster = trio("ports-put", "");
    let at = (cluster.leader() + 1) % 3;
    let site = &cluster.machines[at].site;
    let all = ask(site.v2_addr(), &Request::get("/v2/members")).json();
    let member = all["members"].as_array().expect("a list").iter();
    let member = member.clone().find(|one| one["name"] == site.name()).expect("it is one").clone();
    let id = member["id"].as_str().expect("text");
    let body = format!("{{\"peerURLs\":[\"http://{}\"]}}", site.peer_addr());
    for machine in cluster.running() {
        let put = Request::new("PUT", &format!("/v2/members/{id}"))
            .header("Content-Type", "application/json")
            .body(body.as_bytes());
        assert_eq!(ask(machine.site.v2_addr(), &put).status(), 204);
        let told = member_urls(machine.site.v2_addr());
        assert!(told.contains(&url(site.v2_addr())), "not for a moment: {told:?}");
    }
    // The registry has all of it again, for whoever starts next.
    let key = Request::get(&format!("/v2/keys/_etcd/machines/{}", site.name()));
    wait_until("the registry is whole", PATIENCE, || {
        let value = ask(site.addr(), &key).json()["node"]["value"].clone();
        let port = site.v2_addr().port();
        value
            .as_str()
            .is_some_and(|value| value.contains(&format!("v2=http%3A%2F%2F127.0.0.1%3A{port}")))
    });
    cluster.wait_equal();
}

#[test]
fn a_member_that_is_down_keeps_its_addresses() {
    let mut cluster = trio("ports-down", "");
    let at = (cluster.leader() + 1) % 3;
    let down = url(Dialect::V2.of(&cluster.machines[at].site));
    cluster.machines[at].kill();
    // The others start from their snapshots and logs.
    for other in [(at + 1) % 3, (at + 2) % 3] {
        cluster.machines[other].server.take().expect("it runs").terminate();
        cluster.machines[other].spawn();
    }
    let other = cluster.machines[(at + 1) % 3].site.v2_addr();
    wait_until("it is told of", PATIENCE, || machines(other, "/v2/machines").contains(&down));
    assert!(member_urls(other).contains(&down));
}
