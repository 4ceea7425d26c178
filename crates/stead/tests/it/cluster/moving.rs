//! Machines that come up at other addresses, in any combination, and addresses of others.

use super::kit::{Cluster, Machine, PATIENCE, identity, sites};
use crate::testkit::http::send;
use crate::testkit::{Request, Server, ask, wait_until};

/// Restarts all machines, some of them at new addresses. `hints` says whether all are told by
/// `-peers` where everybody is now.
fn move_some(cluster: &mut Cluster, moved: &[usize], hints: bool) {
    cluster.machines.iter_mut().for_each(Machine::kill);
    for at in moved {
        cluster.machines[*at].site.move_ports();
    }
    let all: Vec<String> =
        cluster.machines.iter().map(|machine| machine.site.peer_addr().to_string()).collect();
    for machine in &mut cluster.machines {
        let flags = if hints { format!("-peers {}", all.join(",")) } else { String::new() };
        machine.site.set_flags(&flags);
        machine.spawn();
    }
}

/// Waits until every machine knows the addresses of all.
fn wait_known(cluster: &Cluster) {
    cluster.wait_formed(cluster.machines.len());
    wait_until("all addresses are known everywhere", PATIENCE, || {
        cluster.machines.iter().all(|machine| {
            let get = Request::get("/v2/peer/members");
            let Ok(answer) = send(machine.site.peer_addr(), &get) else { return false };
            let text = answer.text();
            cluster.machines.iter().all(|one| text.contains(&one.site.peer_addr().to_string()))
        })
    });
}

#[test]
fn all_machines_move_at_once() {
    let mut cluster = Cluster::start("move-all", 3, "");
    let put = Request::put("/v2/keys/kept", "value=1");
    assert_eq!(ask(cluster.machines[0].addr(), &put).status(), 201);
    let before: Vec<_> = cluster.machines.iter().map(identity).collect();
    move_some(&mut cluster, &[0, 1, 2], true);
    wait_known(&cluster);
    let after: Vec<_> = cluster.machines.iter().map(identity).collect();
    assert_eq!(before, after, "they are who they were");
    let get = Request::get("/v2/keys/kept?quorum=true");
    assert_eq!(ask(cluster.machines[2].addr(), &get).status(), 200);
    cluster.wait_equal();
}

#[test]
fn any_one_and_any_two_of_three_move() {
    let mut cluster = Cluster::start("move-some", 3, "");
    for moved in [&[0][..], &[1], &[2], &[0, 1], &[0, 2], &[1, 2]] {
        move_some(&mut cluster, moved, true);
        wait_known(&cluster);
    }
    cluster.wait_equal();
}

#[test]
fn two_that_moved_find_each_other_through_the_one_that_stayed() {
    let mut cluster = Cluster::start("move-two", 3, "");
    for moved in [[1, 2], [0, 2]] {
        move_some(&mut cluster, &moved, false);
        wait_known(&cluster);
    }
    cluster.wait_equal();
}

#[test]
fn a_machine_with_data_goes_on_in_its_own_cluster_and_says_so() {
    let ours = Cluster::start("move-ours", 2, "");
    let mut other = Cluster::start("move-other", 1, "");
    let put = Request::put("/v2/keys/own", "value=1");
    assert_eq!(ask(other.machines[0].addr(), &put).status(), 201);
    let before = identity(&other.machines[0]);
    let at = ours.machines[0].site.peer_addr();
    let machine = &mut other.machines[0];
    machine.kill();
    let list = format!("m0=http://{},m1=http://{at}", machine.site.peer_addr());
    machine.site.set_flags(&format!("-peers {at} -initial-cluster {list}"));
    machine.spawn();
    wait_until("the log says what is not followed", PATIENCE, || {
        let text = machine.server().log_text();
        text.contains(&format!("http://{at} belongs to another cluster"))
            && text.contains("-initial-cluster describes the cluster")
    });
    let machine = &other.machines[0];
    assert_eq!(ask(machine.addr(), &Request::get("/v2/keys/own")).status(), 200);
    assert_eq!(identity(machine), before);
    assert_ne!(identity(&ours.machines[0]).1, before.1);
}

#[test]
fn a_founder_that_lost_its_directory_is_named_by_the_others() {
    let mut cluster = Cluster::start("move-founder", 3, "");
    let before = identity(&cluster.machines[1]).1;
    cluster.machines[0].kill();
    std::fs::remove_dir_all(cluster.machines[0].site.data_dir()).expect("it is ours");
    // Its line names nobody, so that it cannot know better.
    cluster.machines[0].spawn();
    let at = cluster.machines[0].site.peer_addr();
    wait_until("the others say what sits there", PATIENCE, || {
        cluster.machines[1..].iter().all(|machine| {
            let text = machine.server().log_text();
            text.contains(&format!("http://{at} belongs to another cluster"))
        })
    });
    assert_ne!(identity(&cluster.machines[0]).1, before);
    // With the others in its line it is told what to do, and comes back.
    cluster.machines[0].kill();
    let others: Vec<String> =
        cluster.machines[1..].iter().map(|one| one.site.peer_addr().to_string()).collect();
    let flags = format!("-peers {}", others.join(","));
    std::fs::remove_dir_all(cluster.machines[0].site.data_dir()).expect("it is ours");
    cluster.machines[0].site.set_flags(&flags);
    let (status, text) = cluster.machines[0].site.run_to_end();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.contains("-force-rejoin"), "{text}");
    cluster.machines[0].site.set_flags(&format!("{flags} -force-rejoin"));
    cluster.machines[0].spawn();
    cluster.wait_formed(3);
    assert_eq!(identity(&cluster.machines[0]).1, before);
}

#[test]
fn machines_that_moved_meet_again_at_their_discovery_service() {
    let (_site, service) = Server::start("move-discovery");
    let flags = format!("-discovery {}/v2/keys/moving", service.url());
    let mut cluster = Cluster::of(sites("move-met", 3, &flags), &[0, 1, 2]);
    let before: Vec<_> = cluster.machines.iter().map(identity).collect();
    cluster.machines.iter_mut().for_each(Machine::kill);
    for machine in &mut cluster.machines {
        machine.site.move_ports();
        machine.spawn();
    }
    wait_known(&cluster);
    let after: Vec<_> = cluster.machines.iter().map(identity).collect();
    assert_eq!(before, after, "they are who they were");
    cluster.wait_equal();
}
