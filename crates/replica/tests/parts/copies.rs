//! Directories that were copied: an older copy, one of a running member, and copies of all.

use super::identity::claim;
use crate::testkit::{Cluster, set};
use crate::value;
use replica::{ClaimRefused, EngineError, Failure, Role};

/// Three members: the first was away when the second was started last; the third is stopped.
fn with_one_that_knows_nothing() -> (Cluster, [usize; 3]) {
    let (mut cluster, leader) = Cluster::led(3);
    let (at, away) = ((leader + 1) % 3, (leader + 2) % 3);
    let copy = cluster.close(at).copy();
    cluster.isolate(away, true);
    cluster.restart(at);
    cluster.run(20);
    cluster.write(leader, &set("/kept", "1")).expect("there is a majority");
    cluster.stop(at);
    cluster.stop(leader);
    cluster.put_disk(at, copy);
    cluster.isolate(away, false);
    cluster.restart(at);
    (cluster, [away, at, leader])
}

#[test]
fn a_copy_does_not_take_part_on_the_word_of_one_that_cannot_know() {
    let (mut cluster, [away, at, other]) = with_one_that_knows_nothing();
    let copy = claim(&cluster, at);
    assert_eq!(cluster.member_mut(away).meet(&copy), Ok(()), "it was away");
    let by = cluster.id(away);
    cluster.member_mut(at).confirmed(by);
    cluster.member_mut(at).confirmed(by);
    assert_eq!(cluster.member(at).awaits_words(), Some((1, 2)));
    assert_eq!(cluster.try_propose(at, &set("/a", "1")), Err(EngineError::Unconfirmed));
    cluster.member_mut(at).disowned(by);
    assert_eq!(cluster.member(at).awaits_words(), Some((0, 2)), "a word may be taken back");
    cluster.member_mut(at).confirmed(by);
    let refused = cluster.write(away, &set("/b", "1"));
    assert!(matches!(refused, Err(Failure::Engine(EngineError::NoLeader))), "{refused:?}");
    // After another start it is as much a copy as before.
    cluster.stop(at);
    cluster.restart(at);
    assert_eq!(cluster.member(at).awaits_words(), Some((0, 2)));
    cluster.restart(other);
    let copy = claim(&cluster, at);
    let refused = cluster.member_mut(other).meet(&copy);
    assert!(matches!(refused, Err(ClaimRefused::OlderCopy { .. })), "{refused:?}");
    cluster.run_until(|cluster| cluster.leader().is_some());
    cluster.write(away, &set("/c", "1")).expect("two of three know what was promised");
    assert_eq!(value(&cluster, away, "/kept").as_deref(), Some("1"));
}

/// A backup that was taken from a running machine has the latest start of it, so nobody can refuse
/// it. Together with one that was away it would be a majority that has forgotten a write.
#[test]
fn a_copy_of_a_running_machine_elects_nobody_before_it_was_brought_up() {
    let (cluster, leader) = Cluster::led(3);
    put_a_live_copy_back(cluster, leader, (leader + 1) % 3);
}

/// The snapshots of these are from before there were three of them; their logs say the rest.
#[test]
fn a_copy_of_a_running_machine_that_joined_or_that_others_joined_elects_nobody_either() {
    for at in 0..3 {
        let mut cluster = Cluster::alone();
        for _ in 0..2 {
            let joined = cluster.join(0).expect("there is room");
            cluster.run_until(|cluster| cluster.member(joined).status().is_voter);
        }
        if at == 0 {
            cluster.hand_over(0);
            cluster.run_until(|cluster| cluster.leader_but(0).is_some());
        }
        cluster.settle();
        let leader = cluster.leader().expect("there is one");
        put_a_live_copy_back(cluster, leader, at);
    }
}

fn put_a_live_copy_back(mut cluster: Cluster, leader: usize, at: usize) {
    let away = 3 - leader - at;
    let backup = cluster.disk(at).copy();
    cluster.isolate(away, true);
    cluster.write(leader, &set("/kept", "1")).expect("there is a majority");
    for machine in 0..3 {
        cluster.stop(machine);
    }
    cluster.put_disk(at, backup);
    cluster.isolate(away, false);
    cluster.restart(at);
    cluster.restart(away);
    let copy = claim(&cluster, at);
    assert!(copy.is_doubtful);
    assert_eq!(cluster.member_mut(away).meet(&copy), Ok(()));
    for other in [away, leader] {
        let by = cluster.id(other);
        cluster.member_mut(at).confirmed(by);
    }
    cluster.run(400);
    assert_eq!(cluster.leader(), None, "who has all of it is not there");
    assert_eq!(cluster.member(at).awaits_words(), Some((1, 2)), "being let speak is not enough");
    cluster.restart(leader);
    assert_eq!(cluster.member_mut(leader).meet(&copy), Ok(()));
    cluster.run_until(|cluster| cluster.leader().is_some());
    cluster.settle();
    assert!(!cluster.member(at).awaits_reports());
    assert_eq!(value(&cluster, at, "/kept").as_deref(), Some("1"));
    // It is a member like the others from here on.
    cluster.crash(leader);
    cluster.run_until(|cluster| cluster.leader().is_some());
    cluster.write(at, &set("/later", "1")).expect("two of three");
}

/// The original may have voted and acknowledged in a later term than its copy knows of. A leader
/// of the earlier one that was away must not take the copy for somebody who still follows it.
#[test]
fn a_copy_of_a_running_machine_follows_nobody_of_a_term_that_its_original_had_left() {
    let (mut cluster, deposed) = Cluster::led(3);
    let (at, other) = ((deposed + 1) % 3, (deposed + 2) % 3);
    let backup = cluster.disk(at).copy();
    let before = cluster.member(deposed).status().term;
    cluster.isolate(deposed, true);
    cluster.run_until(|cluster| {
        [at, other].iter().any(|one| cluster.member(*one).status().role == Role::Leader)
    });
    let term = cluster.member(other).status().term;
    assert!(term > before);
    cluster.stop(at);
    cluster.put_disk(at, backup);
    cluster.restart(at);
    assert_eq!(cluster.member(at).status().term, before);
    let copy = claim(&cluster, at);
    assert_eq!(cluster.member_mut(other).meet(&copy), Ok(()));
    cluster.run(20);
    assert_eq!(cluster.member(at).awaits_words(), Some((1, 2)));
    assert!(cluster.member(at).status().term >= term, "before it acknowledges anything");
    assert_eq!(cluster.member_mut(deposed).meet(&copy), Ok(()));
    cluster.isolate(deposed, false);
    cluster.run_until(|cluster| cluster.leader().is_some());
    cluster.settle();
    assert!(!cluster.member(at).awaits_reports());
    cluster.assert_equal();
}

/// Where all directories are copies there is nobody who has more: all together know all that is
/// left.
#[test]
fn copies_of_all_machines_go_on_together() {
    let (mut cluster, leader) = Cluster::led(3);
    cluster.write(leader, &set("/kept", "1")).expect("there is a majority");
    cluster.settle();
    for at in 0..3 {
        let copy = cluster.stop(at).copy();
        cluster.put_disk(at, copy);
    }
    for at in 0..3 {
        cluster.restart(at);
    }
    let claims = [0, 1, 2].map(|at| claim(&cluster, at));
    for (at, other) in [(0, 1), (1, 0), (1, 2), (2, 1)] {
        assert_eq!(cluster.member_mut(other).meet(&claims[at]), Ok(()));
    }
    cluster.run(400);
    assert_eq!(cluster.leader(), None, "of two it is not known what they had to say to each other");
    for (at, other) in [(0, 2), (2, 0)] {
        assert_eq!(cluster.member_mut(other).meet(&claims[at]), Ok(()));
    }
    cluster.run_until(|cluster| cluster.leader().is_some());
    let leader = cluster.leader().expect("it was waited for");
    cluster.write(leader, &set("/later", "1")).expect("all are there");
    cluster.settle();
    assert!((0..3).all(|at| value(&cluster, at, "/kept").as_deref() == Some("1")));
}
