//! Members so far behind that they get a snapshot of the leader, and what can go wrong on its way.

use crate::testkit::{Cluster, set};
use crate::value;

/// A cluster of three with 60 MB in it, of which a member that is down has nothing; gives the
/// places of the leader and of that member.
fn with_one_far_behind() -> (Cluster, usize, usize) {
    let (mut cluster, leader) = Cluster::led(3);
    let behind = (leader + 1) % 3;
    cluster.crash(behind);
    // The leader misses it, and keeps nothing for it.
    cluster.run(60);
    let text = "v".repeat(100_000);
    for number in 0..600 {
        cluster.write(leader, &set(&format!("/big/{number}"), &text)).expect("two of three");
    }
    (cluster, leader, behind)
}

/// As [`with_one_far_behind`], with some pieces of the snapshot on their way to it.
fn transferring() -> (Cluster, usize, usize) {
    let (mut cluster, leader, behind) = with_one_far_behind();
    cluster.restart(behind);
    for _ in 0..1000 {
        if is_arriving(&cluster, behind) {
            return (cluster, leader, behind);
        }
        cluster.run_briefly(20);
    }
    panic!("no snapshot is sent");
}

fn is_arriving(cluster: &Cluster, behind: usize) -> bool {
    cluster.disk(behind).content("incoming.tmp").is_some()
}

/// As [`with_one_far_behind`], with all of the snapshot there: the member looks through it until it
/// is not [kept busy](Cluster::keep_busy) any more.
pub(crate) fn preparing() -> (Cluster, usize, usize) {
    let (mut cluster, leader, behind) = with_one_far_behind();
    cluster.keep_busy(behind, true);
    cluster.restart(behind);
    cluster.run_until(|cluster| cluster.prepares_snapshot(behind));
    (cluster, leader, behind)
}

#[test]
fn a_member_far_behind_gets_a_snapshot_while_writes_go_on() {
    let (mut cluster, leader, behind) = with_one_far_behind();
    cluster.restart(behind);
    for number in 0..50 {
        cluster.write(leader, &set(&format!("/more/{number}"), "v")).expect("all are there");
        cluster.run(5);
    }
    cluster.settle();
    cluster.assert_equal();
    // What came by snapshot is durable.
    cluster.crash(behind);
    cluster.restart(behind);
    cluster.settle();
    cluster.assert_equal();
    let status = cluster.member(leader).peer(cluster.id(behind)).expect("known").clone();
    assert!(!status.diverged);
}

#[test]
fn a_member_that_restarts_in_the_middle_of_a_snapshot_gets_it_from_the_start() {
    let (mut cluster, _, behind) = transferring();
    cluster.deliver_some(100);
    assert!(is_arriving(&cluster, behind), "it is on its way");
    cluster.crash(behind);
    cluster.restart(behind);
    cluster.settle();
    cluster.assert_equal();
}

#[test]
fn a_member_that_looks_through_a_snapshot_is_patiently_waited_for() {
    let (mut cluster, leader, behind) = preparing();
    let term = cluster.member(leader).status().term;
    // Twenty seconds; a transfer without a word fails after ten.
    cluster.run(2000);
    cluster.write(leader, &set("/more", "v")).expect("it still leads");
    assert_eq!(cluster.member(leader).status().term, term);
    assert_eq!(cluster.read(leader), Ok(()));
    assert_eq!(cluster.member(behind).status().leader, Some(cluster.id(leader)));
    assert_eq!(value(&cluster, behind, "/big/1"), None);
    cluster.keep_busy(behind, false);
    cluster.settle();
    cluster.assert_equal();
}

#[test]
fn a_member_far_behind_on_a_full_disk_gets_the_snapshot_when_there_is_room() {
    // The room ends while pieces come, and while they are looked through.
    for room in [20_000_000, 70_000_000] {
        let (mut cluster, leader, behind) = with_one_far_behind();
        let disk = cluster.disk(behind).clone();
        disk.set_capacity(Some(disk.used() + room));
        cluster.restart(behind);
        cluster.run(500);
        assert_eq!(value(&cluster, behind, "/big/1"), None);
        cluster.write(leader, &set("/more", "v")).expect("the others go on");
        disk.set_capacity(None);
        cluster.settle();
        cluster.assert_equal();
    }
}

#[test]
fn a_snapshot_for_one_who_is_silent_is_given_up_and_sent_again() {
    let (mut cluster, leader, behind) = transferring();
    cluster.isolate(behind, true);
    cluster.run(1500);
    cluster.write(leader, &set("/more", "v")).expect("the others go on");
    cluster.isolate(behind, false);
    cluster.settle();
    cluster.assert_equal();
}

#[test]
fn a_snapshot_of_a_leader_that_is_cut_off_comes_from_the_next_one() {
    let (mut cluster, leader, behind) = transferring();
    cluster.cut_off(leader);
    cluster.run_until(|cluster| cluster.leader_but(leader).is_some());
    cluster.settle_but(leader);
    assert!(value(&cluster, behind, "/big/1").is_some());
    cluster.isolate(leader, false);
    cluster.settle();
    cluster.assert_equal();
}

#[test]
fn a_snapshot_that_is_prepared_when_another_one_leads_is_as_good() {
    let (mut cluster, leader, behind) = preparing();
    cluster.cut_off(leader);
    cluster.run_until(|cluster| cluster.leader_but(leader).is_some());
    let other = cluster.leader_but(leader).expect("just seen");
    let write = cluster.propose(other, &set("/more", "v"));
    cluster.run(20);
    assert!(!cluster.is_answered(write), "two of three have to have it");
    cluster.keep_busy(behind, false);
    cluster.run(20);
    assert!(cluster.is_answered(write), "nothing is sent a second time");
    assert!(value(&cluster, behind, "/big/1").is_some());
    cluster.isolate(leader, false);
    cluster.settle();
    cluster.assert_equal();
}

#[test]
fn a_snapshot_that_is_damaged_on_its_way_is_sent_again() {
    let (mut cluster, _, behind) = preparing();
    cluster.disk(behind).corrupt("incoming.tmp", 100_000, 0xff);
    cluster.keep_busy(behind, false);
    cluster.run(50);
    assert_eq!(value(&cluster, behind, "/big/1"), None);
    cluster.settle();
    cluster.assert_equal();
}
