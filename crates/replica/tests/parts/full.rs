//! Members whose disk turns out to be full when a record is written, after it had promised room: as
//! on file systems that copy on write. Nobody ends, nothing is lost, and the others go on.

use crate::behind::preparing;
use crate::testkit::{Cluster, set};
use crate::value;
use replica::{EngineError, Failure};

#[test]
fn a_follower_that_cannot_write_is_done_without_and_comes_back() {
    let (mut cluster, leader) = Cluster::led(3);
    let full = (leader + 1) % 3;
    cluster.write(leader, &set("/before", "v")).expect("all are there");
    cluster.settle();
    let term = cluster.member(leader).status().term;
    cluster.disk(full).set_refuse_writes(true);
    for number in 0..100 {
        cluster.write(leader, &set(&format!("/k{number}"), "v")).expect("two of three");
        cluster.run(10);
    }
    assert!(cluster.member(full).status().is_disk_full);
    assert_eq!(value(&cluster, full, "/before").as_deref(), Some("v"), "reads go on");
    assert_eq!(value(&cluster, full, "/k99"), None);
    let refused = cluster.write(full, &set("/own", "v"));
    assert_eq!(refused, Err(Failure::Engine(EngineError::DiskFull)));
    assert_eq!(cluster.member(leader).status().term, term, "it disturbs nobody");
    // It is started again on the full disk, and serves what it has.
    cluster.crash(full);
    cluster.disk(full).set_refuse_writes(true);
    cluster.restart(full);
    cluster.run(200);
    assert_eq!(value(&cluster, full, "/before").as_deref(), Some("v"));
    cluster.disk(full).set_refuse_writes(false);
    cluster.settle();
    cluster.assert_equal();
    assert!(!cluster.member(full).status().is_disk_full);
}

/// How long a word of another member about its disk counts: 3 s.
const COUNTS_NS: u64 = 3_000_000_000;

#[test]
fn that_a_disk_takes_no_writes_is_told_to_the_others_and_so_is_that_it_does() {
    let (mut cluster, leader) = Cluster::led(3);
    let full = (leader + 1) % 3;
    let id = cluster.id(full);
    let others = [leader, (leader + 2) % 3];
    let is_known =
        |cluster: &Cluster| others.map(|at| cluster.member(at).is_peer_stuck(id, COUNTS_NS));
    cluster.write(leader, &set("/before", "v")).expect("all are there");
    cluster.settle();
    assert_eq!(is_known(&cluster), [false; 2]);
    cluster.disk(full).set_refuse_writes(true);
    cluster.write(leader, &set("/during", "v")).expect("two of three");
    cluster.run(100);
    assert!(cluster.member(full).is_stuck());
    assert_eq!(is_known(&cluster), [true; 2], "within ticks");
    cluster.run(10_000);
    assert_eq!(is_known(&cluster), [true; 2], "it is said again");
    cluster.disk(full).set_refuse_writes(false);
    cluster.settle();
    assert!(!cluster.member(full).is_stuck());
    assert_eq!(is_known(&cluster), [false; 2], "long before the word is too old");
}

#[test]
fn a_leader_that_cannot_write_hands_over_and_its_write_has_one_outcome() {
    let (mut cluster, leader) = Cluster::led(3);
    cluster.write(leader, &set("/before", "v")).expect("all are there");
    cluster.settle();
    cluster.disk(leader).set_refuse_writes(true);
    let ticket = cluster.propose(leader, &set("/during", "v"));
    cluster.turn(leader);
    assert!(!cluster.is_answered(ticket), "it is not durable here");
    let second = cluster.propose(leader, &set("/second", "v"));
    cluster.turn(leader);
    assert_eq!(cluster.outcome(second), Err(Failure::Engine(EngineError::DiskFull)));
    cluster.run_until(|cluster| cluster.leader_but(leader).is_some());
    let next = cluster.leader_but(leader).expect("there is one");
    cluster.write(next, &set("/after", "v")).expect("two of three");
    assert_eq!(value(&cluster, leader, "/before").as_deref(), Some("v"), "reads go on");
    cluster.disk(leader).set_refuse_writes(false);
    cluster.settle();
    cluster.assert_equal();
    assert_eq!(value(&cluster, leader, "/second"), None, "it was refused");
    assert_eq!(value(&cluster, leader, "/after").as_deref(), Some("v"));
}

#[test]
fn a_cluster_that_is_full_everywhere_serves_reads_and_goes_on_when_there_is_room() {
    let (mut cluster, leader) = Cluster::led(3);
    cluster.write(leader, &set("/before", "v")).expect("all are there");
    cluster.settle();
    (0..3).for_each(|at| cluster.disk(at).set_refuse_writes(true));
    let ticket = cluster.propose(leader, &set("/during", "v"));
    cluster.run(2000);
    assert!(!matches!(cluster.outcome_of(ticket), Some(Ok(()))), "it is durable nowhere");
    for at in 0..3 {
        assert_eq!(value(&cluster, at, "/before").as_deref(), Some("v"));
    }
    (0..3).for_each(|at| cluster.disk(at).set_refuse_writes(false));
    cluster.settle();
    let leader = cluster.leader().expect("there is one");
    cluster.write(leader, &set("/after", "v")).expect("there is room");
    cluster.settle();
    cluster.assert_equal();
}

#[test]
fn a_change_of_the_members_waits_for_room_at_each_step() {
    for writes in 0..12 {
        let (mut cluster, leader) = Cluster::led(3);
        let (full, other) = ((leader + 1) % 3, (leader + 2) % 3);
        cluster.disk(full).refuse_writes_after(Some(writes));
        let id = cluster.id(other);
        cluster.remove(leader, id).expect("two of three are enough to decide it");
        cluster.run(300);
        cluster.disk(full).refuse_writes_after(None);
        cluster.run(50);
        cluster.settle_but(other);
        for at in [leader, full] {
            assert_eq!(cluster.member(at).membership().members().count(), 2, "{writes}");
        }
        let leader = cluster.leader_but(other).expect("there is one");
        cluster.write(leader, &set("/after", "v")).expect("two of two");
    }
}

/// A member that hears that its removal is committed leaves, and its vote is not to be had any
/// more. The last one must know of it after a power loss.
#[test]
fn nobody_hears_of_its_removal_before_the_leader_remembers_it() {
    let (mut cluster, leader) = Cluster::led(2);
    let at = 1 - leader;
    let id = cluster.id(at);
    cluster.begin_removal(leader, id);
    cluster.disk(leader).set_refuse_writes(true);
    cluster.run(50);
    assert!(cluster.member(at).membership().member(id).is_some(), "the leader may forget it");
    cluster.disk(leader).set_refuse_writes(false);
    let remembers = |cluster: &Cluster| cluster.member(leader).membership().member(id).is_none();
    while !remembers(&cluster) {
        assert!(!cluster.member(at).status().is_removed);
        cluster.run_briefly(1);
    }
    cluster.stop(at);
    cluster.crash(leader);
    cluster.restart(leader);
    cluster.run_until(|cluster| cluster.leader() == Some(leader));
    cluster.write(leader, &set("/after", "v")).expect("it is alone");
}

#[test]
fn a_member_that_decides_alone_waits_for_room_at_each_step_of_a_join() {
    for writes in 0..10 {
        let mut cluster = Cluster::alone();
        cluster.write(0, &set("/before", "v")).expect("it leads");
        cluster.disk(0).refuse_writes_after(Some(writes));
        let joined = cluster.join(0);
        cluster.run(200);
        assert_eq!(value(&cluster, 0, "/before").as_deref(), Some("v"), "{writes}");
        cluster.disk(0).refuse_writes_after(None);
        cluster.run(300);
        if joined.is_ok() {
            cluster.settle();
            cluster.assert_equal();
        }
        cluster.write(0, &set("/after", "v")).expect("there is room");
    }
}

#[test]
fn the_appends_of_one_turn_are_asked_room_for_together() {
    let (mut cluster, leader) = Cluster::led(3);
    let full = (leader + 1) % 3;
    let text = "v".repeat(230_000);
    cluster.write(leader, &set("/k", &text)).expect("all are there");
    cluster.settle();
    let disk = cluster.disk(full).clone();
    // Each of them finds room, and all together do not.
    disk.set_capacity(Some(disk.used() + 600_000));
    for _ in 0..2 {
        for number in 0..6 {
            cluster.propose(leader, &set(&format!("/k{number}"), &text));
            cluster.turn(leader);
        }
        let held = cluster.hold();
        cluster.hand_out(held);
        cluster.run(20);
    }
    assert!(cluster.member(full).status().is_disk_full);
    cluster.write(leader, &set("/more", "v")).expect("two of three");
    assert_eq!(value(&cluster, full, "/more"), None);
    disk.set_capacity(None);
    cluster.settle();
    cluster.assert_equal();
}

#[test]
fn a_snapshot_of_the_leader_waits_for_room_in_the_log() {
    let writes = {
        let (mut cluster, _, behind) = preparing();
        let before = cluster.disk(behind).writes();
        cluster.keep_busy(behind, false);
        cluster.run_until(|cluster| value(cluster, behind, "/big/1").is_some());
        cluster.disk(behind).writes() - before
    };
    // The last writes are those of the log: that its old entries are void, and what comes behind.
    for left in 1..5 {
        let (mut cluster, leader, behind) = preparing();
        cluster.disk(behind).refuse_writes_after(Some(writes - left));
        cluster.keep_busy(behind, false);
        cluster.run(300);
        cluster.write(leader, &set("/more", "v")).expect("two of three");
        cluster.disk(behind).refuse_writes_after(None);
        cluster.settle();
        cluster.assert_equal();
    }
}
