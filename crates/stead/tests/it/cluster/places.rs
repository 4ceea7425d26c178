//! Places that are taken away and given back, with machines that are paused or killed meanwhile: what
//! the functional suite of etcd 0.4 asks of standbys.

use super::kit::{Cluster, Machine, PATIENCE, members, state};
use crate::testkit::{Request, Site, ask, wait_until};
use rustix::process::Signal;

const QUICK: &str = "-cluster-active-size 4 -cluster-remove-delay 2 -cluster-sync-interval 1";

fn configure(machine: &Machine, size: usize) {
    let config = format!("{{\"activeSize\":{size},\"removeDelay\":2,\"syncInterval\":1}}");
    let put = Request::new("PUT", "/v2/admin/config").body(config.as_bytes());
    let answer = ask(machine.addr(), &put);
    assert_eq!(answer.status(), 200, "{}", answer.text());
}

fn write(machine: &Machine, key: &str) {
    let put = Request::put(&format!("/v2/keys/{key}"), "value=1");
    let answer = ask(machine.addr(), &put);
    assert!(answer.status() < 300, "{}", answer.text());
}

fn wait_state(machine: &Machine, want: &str) {
    let name = machine.site.name();
    wait_until(&format!("{name} is {want}"), PATIENCE, || state(machine.addr()) == want);
}

/// A machine that stood still while it was removed finds out when it goes on, and stands by.
#[test]
fn a_machine_that_was_removed_while_it_was_paused_stands_by_when_it_goes_on() {
    let cluster = Cluster::start("places-paused", 4, QUICK);
    let leader = cluster.leader();
    let (paused, other) = ((leader + 1) % 4, (leader + 2) % 4);
    let is_member = || {
        let found = members(cluster.machines[leader].addr());
        found.iter().any(|(name, _)| name == cluster.machines[paused].site.name())
    };
    cluster.machines[paused].server().signal(Signal::STOP);
    write(&cluster.machines[leader], "before");
    configure(&cluster.machines[other], 3);
    wait_until("it is removed", PATIENCE, || !is_member());
    write(&cluster.machines[other], "meanwhile");
    cluster.machines[paused].server().signal(Signal::CONT);
    wait_state(&cluster.machines[paused], "standby");
    assert!(!is_member(), "its place is gone");
    for at in (0..4).filter(|at| *at != paused) {
        for key in ["before", "meanwhile"] {
            let get = Request::get(&format!("/v2/keys/{key}?quorum=true"));
            assert_eq!(ask(cluster.machines[at].addr(), &get).status(), 200);
        }
    }
}

/// Many places less at once, and all of them back.
#[test]
fn machines_leave_and_return_with_the_number_of_places() {
    let cluster = Cluster::start("places-less", 5, &QUICK.replace("size 4", "size 5"));
    write(&cluster.machines[0], "before");
    configure(&cluster.machines[0], 3);
    let standing = || {
        let states = cluster.machines.iter().map(|machine| state(machine.addr()));
        states.filter(|state| state == "standby").count()
    };
    wait_until("two stand by", PATIENCE, || standing() == 2);
    let active = cluster.machines.iter().find(|machine| state(machine.addr()) != "standby");
    let active = active.expect("three are left");
    wait_until("three are members", PATIENCE, || members(active.addr()).len() == 3);
    write(active, "with-three");
    configure(active, 5);
    cluster.wait_formed(5);
    assert_eq!(standing(), 0);
    cluster.wait_equal();
    for key in ["before", "with-three"] {
        let get = Request::get(&format!("/v2/keys/{key}"));
        assert!(cluster.machines.iter().all(|one| ask(one.addr(), &get).status() == 200));
    }
}

/// All are killed, a standby and the leader included, and come back as what they were.
#[test]
fn a_cluster_with_a_standby_that_was_killed_as_a_whole_comes_back() {
    let flags = QUICK.replace("size 4", "size 3");
    let mut cluster = Cluster::start("places-killed", 3, &flags);
    let founder = cluster.machines[0].site.peer_addr();
    let site = Site::new("places-killed").named("m3").flags(&format!("{flags} -peers {founder}"));
    let mut fourth = Machine { site, server: None };
    fourth.spawn();
    wait_state(&fourth, "standby");
    cluster.machines.push(fourth);
    write(&cluster.machines[1], "kept");
    cluster.machines.iter_mut().for_each(Machine::kill);
    cluster.machines.iter_mut().for_each(Machine::spawn);
    let names = |at: usize| -> Vec<String> {
        members(cluster.machines[at].addr()).into_iter().map(|(name, _)| name).collect()
    };
    wait_state(&cluster.machines[3], "standby");
    wait_until("the three are members again", PATIENCE, || names(0) == ["m0", "m1", "m2"]);
    for at in 0..3 {
        wait_until("it has what was written", PATIENCE, || {
            let get = Request::get("/v2/keys/kept?quorum=true");
            crate::testkit::http::send(cluster.machines[at].addr(), &get)
                .is_ok_and(|answer| answer.status() == 200)
        });
    }
    write(&cluster.machines[2], "after");
}
