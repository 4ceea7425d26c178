//! Machines that die, stop, leave and come back.

use super::{Logs, PATIENCE, others};
use crate::cluster::kit::{Cluster, Machine, members, metric, state};
use crate::testkit::wait::holds_within;
use crate::testkit::{Request, Site, ask, wait_until};
use rustix::process::Signal;
use std::time::Duration;

#[test]
fn the_death_of_a_leader_is_told_by_those_that_go_on() {
    let mut cluster = Cluster::start("told-leader", 3, "");
    let dead = cluster.leader();
    let logs = Logs::from_now(&cluster);
    cluster.machines[dead].kill();
    let leader = cluster.leader_but(dead);
    let follower = others(&cluster, dead).into_iter().find(|at| *at != leader).unwrap();
    let led = format!("(m{dead} led in term ");
    logs.wait(&cluster, leader, &["INFO became leader: of term ", " without a leader", &led]);
    let new = format!("INFO new leader: m{leader} in term ");
    logs.wait(&cluster, follower, &[&new, &led]);
    let place = format!("m{dead} at {}", cluster.machines[dead].site.peer_addr());
    for at in [leader, follower] {
        logs.wait(&cluster, at, &["WARN member unreachable: ", &place, "refused"]);
    }
    cluster.machines[dead].spawn();
    cluster.wait_formed(3);
    for at in [leader, follower] {
        logs.wait(&cluster, at, &[&format!("INFO member reachable again: m{dead}, after ")]);
        let lines = logs.lines(&cluster, at).join("\n");
        assert!(!lines.contains("majority") && !lines.contains("no leader"), "{lines}");
    }
    logs.wait(&cluster, dead, &[&new]);
    logs.check_few(&cluster);
}

#[test]
fn a_leader_that_stops_hands_over_and_says_so() {
    let mut cluster = Cluster::start("told-handover", 3, "");
    let leader = cluster.leader();
    let logs = Logs::from_now(&cluster);
    cluster.machines[leader].server.take().unwrap().terminate();
    logs.wait(&cluster, leader, &["WARN lost leadership: of term ", "this machine stops"]);
    let next = cluster.leader_but(leader);
    logs.wait(&cluster, next, &["INFO became leader: "]);
    logs.check_few(&cluster);
}

#[test]
fn a_lost_majority_is_told_with_those_that_are_missing_and_so_is_its_return() {
    let cluster = Cluster::start("told-majority", 3, "");
    let leader = cluster.leader();
    let stopped = others(&cluster, leader);
    let logs = Logs::from_now(&cluster);
    let signal = |signal| {
        stopped.iter().for_each(|at| cluster.machines[*at].server().signal(signal));
    };
    signal(Signal::STOP);
    let missing: Vec<String> = stopped
        .iter()
        .map(|at| format!("m{at} at {}", cluster.machines[*at].site.peer_addr()))
        .collect();
    let lost = ["ERROR majority lost: ", "1 of 3 voters", &missing[0], &missing[1]];
    logs.wait(&cluster, leader, &["WARN lost leadership: ", "no majority answered"]);
    logs.wait(&cluster, leader, &lost);
    logs.wait(&cluster, leader, &["WARN no leader: for ", &format!("m{leader} led in term ")]);
    signal(Signal::CONT);
    logs.wait(&cluster, leader, &["INFO majority is back: after "]);
    cluster.leader();
    for at in 0..3 {
        logs.wait(&cluster, at, &["leader: "]);
    }
    for at in &stopped {
        // The stop may come in the middle of a round.
        let says = |line: &String| {
            let words =
                ["WARN this process stood still: for ", "WARN slow round of the event loop"];
            words.iter().any(|words| line.contains(words))
        };
        let is_told = holds_within(PATIENCE, || logs.lines(&cluster, *at).iter().any(says));
        assert!(is_told, "{}", logs.lines(&cluster, *at).join("\n"));
    }
    logs.check_few(&cluster);
}

/// For a moment after its start a member takes changes of the membership for those of the past.
fn settle() {
    std::thread::sleep(Duration::from_millis(1500));
}

#[test]
fn who_leaves_and_who_joins_is_told_by_all() {
    let cluster = Cluster::start("told-members", 3, "-cluster-sync-interval 1");
    let leader = cluster.leader();
    let (removed, third) = ((leader + 1) % 3, (leader + 2) % 3);
    settle();
    let logs = Logs::from_now(&cluster);
    let site = &cluster.machines[removed].site;
    let path = format!("/v2/admin/machines/m{removed}");
    let leads = cluster.machines[leader].site.peer_addr();
    assert_eq!(ask(leads, &Request::delete(&path)).status(), 200);
    for at in [leader, third] {
        logs.wait(&cluster, at, &[&format!("WARN member removed: m{removed} (id ")]);
    }
    logs.wait(&cluster, removed, &["WARN this machine was removed: "]);
    logs.wait(&cluster, removed, &["INFO standing by: "]);
    wait_until("it has a place again", PATIENCE, || {
        members(cluster.machines[leader].addr()).iter().any(|(name, _)| name == site.name())
    });
    let at_peers = format!("peers http://{}", site.peer_addr());
    for at in [leader, third] {
        let joined = format!("INFO member joined: m{removed} (id ");
        logs.wait(&cluster, at, &[&joined, &at_peers]);
        // One that caught up at once is told as what it is.
        if !logs.lines(&cluster, at).join("\n").contains(", a voter") {
            logs.wait(&cluster, at, &[&joined, "a learner until it has caught up"]);
            logs.wait(&cluster, at, &[&format!("INFO member promoted: m{removed} ")]);
        }
    }
    logs.wait(&cluster, removed, &["INFO joined the cluster: "]);
    logs.wait(&cluster, removed, &[&format!("INFO member promoted: m{removed} ")]);
    logs.check_few(&cluster);
}

#[test]
fn a_member_that_moves_is_told_with_both_addresses() {
    let mut cluster = Cluster::start("told-moved", 3, "");
    let leader = cluster.leader();
    let moved = (leader + 1) % 3;
    settle();
    let logs = Logs::from_now(&cluster);
    cluster.machines[moved].server.take().unwrap().terminate();
    let before = cluster.machines[moved].site.peer_addr();
    cluster.machines[moved].site.move_ports();
    let contact = cluster.machines[leader].site.peer_addr();
    cluster.machines[moved].site.set_flags(&format!("-peers {contact}"));
    cluster.machines[moved].spawn();
    let after = cluster.machines[moved].site.peer_addr();
    let from = format!("m{moved} from (id ");
    for at in others(&cluster, moved) {
        let (before, after) = (before.to_string(), after.to_string());
        logs.wait(&cluster, at, &["INFO member moved: ", &from, &before, &after]);
    }
    logs.check_few(&cluster);
}

#[test]
fn a_standby_tells_whom_it_follows() {
    let flags = "-cluster-active-size 3 -cluster-sync-interval 1";
    let mut cluster = Cluster::start("told-standby", 3, flags);
    let founder = cluster.machines[0].site.peer_addr();
    let site = Site::new("told-standby").named("m3").flags(&format!("{flags} -peers {founder}"));
    let mut machine = Machine { site, server: None };
    machine.spawn();
    cluster.machines.push(machine);
    let leader = cluster.leader();
    let logs = Logs(vec![0; 4]);
    logs.wait(&cluster, 3, &["INFO standing by: m3"]);
    logs.wait(&cluster, 3, &[&format!("INFO following a leader: m{leader} at http://")]);
    assert_eq!(state(cluster.machines[3].addr()), "standby");
    let logs = Logs::from_now(&cluster);
    cluster.machines[leader].kill();
    let next = cluster.leader_but(leader);
    logs.wait(&cluster, 3, &[&format!("INFO following a leader: m{next} at http://")]);
    for at in others(&cluster, leader).into_iter().filter(|at| *at < 3) {
        cluster.machines[at].kill();
    }
    logs.wait(&cluster, 3, &["WARN cannot reach any member of the cluster: "]);
    // It asks every second, and says so once.
    std::thread::sleep(Duration::from_secs(4));
    let lines = logs.lines(&cluster, 3).join("\n");
    assert_eq!(lines.matches("cannot reach any member").count(), 1, "{lines}");
    logs.check_few(&cluster);
}

#[test]
fn a_snapshot_that_is_sent_is_told_by_both() {
    let flags = "-snapshot-count 100";
    let cluster = Cluster::start("told-snapshot", 1, flags);
    let addr = cluster.machines[0].addr();
    let value = "v".repeat(256 << 10);
    let mut writer = crate::testkit::Connection::open(addr).unwrap();
    for number in 0..300 {
        let put = Request::put(&format!("/v2/keys/{}", number % 8), &format!("value={value}"));
        assert!(writer.exchange(&put).unwrap().status() < 300);
    }
    let mut cluster = cluster;
    let contact = cluster.machines[0].site.peer_addr();
    let site = Site::new("told-snapshot").named("m1").flags(&format!("{flags} -peers {contact}"));
    let mut machine = Machine { site, server: None };
    machine.spawn();
    cluster.machines.push(machine);
    let logs = Logs(vec![0; 2]);
    wait_until("it votes", PATIENCE, || {
        metric(cluster.machines[1].addr(), "stead_raft_is_voter") == Some(1)
    });
    logs.wait(&cluster, 0, &["INFO snapshot sent: to m1: ", " up to entry ", ", in "]);
    logs.wait(&cluster, 1, &["INFO installed the leader's snapshot: ", " up to entry "]);
    logs.check_few(&cluster);
}
