//! Several members on a network in memory, driven as the server drives them.

#[path = "parts/addresses.rs"]
mod addresses;
#[path = "parts/behind.rs"]
mod behind;
#[path = "parts/copies.rs"]
mod copies;
#[path = "parts/edges.rs"]
mod edges;
#[path = "parts/full.rs"]
mod full;
#[path = "parts/handover.rs"]
mod handover;
#[path = "parts/identity.rs"]
mod identity;
#[path = "parts/outcomes.rs"]
mod outcomes;
#[path = "parts/peek.rs"]
mod peek;
#[path = "parts/scripts.rs"]
mod scripts;
mod testkit;

use replica::{EngineError, Failure, MemberId, Role};
use store::{Command, KeyPath};
use testkit::{Cluster, set};

fn value(cluster: &Cluster, at: usize, key: &str) -> Option<String> {
    let path = KeyPath::parse(key).expect("clean");
    cluster.member(at).store().peek(path).and_then(|node| node.value().map(str::to_owned))
}

#[test]
fn three_founders_elect_a_leader_and_all_take_writes() {
    let mut cluster = Cluster::founded(3);
    cluster.settle();
    assert_eq!(cluster.roles().iter().filter(|role| **role == Role::Leader).count(), 1);
    for at in 0..3 {
        let key = format!("/k{at}");
        cluster.write(at, &set(&key, "v")).expect("any member takes writes");
        assert_eq!(value(&cluster, at, &key).as_deref(), Some("v"), "its own write is seen");
    }
    cluster.settle();
    cluster.assert_equal();
    for at in 0..3 {
        let names: Vec<_> =
            cluster.member(at).membership().members().map(|m| m.name.clone()).collect();
        assert_eq!(names.len(), 3, "every member has announced itself: {names:?}");
    }
}

#[test]
fn many_writes_at_all_members_are_answered_in_order() {
    let mut cluster = Cluster::founded(3);
    cluster.settle();
    for round in 0..20 {
        for at in 0..3 {
            for number in 0..5 {
                cluster.propose(at, &set(&format!("/q/{at}.{number}"), &round.to_string()));
            }
        }
        cluster.run(3);
    }
    cluster.settle();
    assert_eq!(cluster.answers_ok(), 20 * 3 * 5);
    cluster.assert_equal();
}

#[test]
fn a_dead_leader_is_replaced_and_nothing_acknowledged_is_lost() {
    let mut cluster = Cluster::founded(3);
    cluster.settle();
    for round in 0..4 {
        let leader = cluster.leader().expect("there is one");
        let key = format!("/r{round}");
        cluster.write(leader, &set(&key, "v")).expect("it leads");
        cluster.crash(leader);
        cluster.run_until(|cluster| cluster.leader().is_some());
        let other = (leader + 1) % 3;
        assert_eq!(cluster.read(other), Ok(()));
        assert_eq!(value(&cluster, other, &key).as_deref(), Some("v"));
        cluster.restart(leader);
        cluster.settle();
    }
    cluster.assert_equal();
}

#[test]
fn without_a_majority_nothing_is_answered_as_done() {
    let (mut cluster, leader) = Cluster::led(3);
    cluster.crash((leader + 1) % 3);
    cluster.crash((leader + 2) % 3);
    let refused = cluster.write(leader, &set("/a", "1"));
    assert!(matches!(refused, Err(Failure::Engine(EngineError::Timeout))), "{refused:?}");
    assert!(matches!(cluster.read(leader), Err(EngineError::NoLeader | EngineError::Timeout)));
    let refused = cluster.write(leader, &set("/a", "2"));
    assert!(matches!(refused, Err(Failure::Engine(EngineError::NoLeader))), "{refused:?}");
}

#[test]
fn a_cut_off_leader_never_confirms_a_read() {
    let (mut cluster, leader) = Cluster::led(3);
    cluster.write(leader, &set("/a", "old")).expect("it leads");
    cluster.isolate(leader, true);
    let other = (leader + 1) % 3;
    cluster.run_until(|cluster| cluster.leader_but(leader).is_some());
    cluster.write(other, &set("/a", "new")).expect("the majority goes on");
    assert!(cluster.read(leader).is_err(), "nobody confirms that it leads");
    cluster.isolate(leader, false);
    cluster.settle();
    assert_eq!(cluster.read(leader), Ok(()));
    assert_eq!(value(&cluster, leader, "/a").as_deref(), Some("new"));
}

#[test]
fn quorum_reads_at_a_follower_see_what_was_written_elsewhere() {
    let (mut cluster, leader) = Cluster::led(3);
    for round in 0..10 {
        let text = round.to_string();
        cluster.write(leader, &set("/a", &text)).expect("it leads");
        let at = (leader + 1 + round % 2) % 3;
        assert_eq!(cluster.read(at), Ok(()));
        assert_eq!(value(&cluster, at, "/a"), Some(text));
    }
}

#[test]
fn a_follower_of_three_is_proof_enough_for_its_read() {
    let (mut cluster, leader) = Cluster::led(3);
    let (at, third) = ((leader + 1) % 3, (leader + 2) % 3);
    cluster.hold();
    let read = cluster.begin_read(at);
    let asked = cluster.hold();
    assert_eq!(asked.len(), 1);
    cluster.hand_out(asked);
    let answered = cluster.hold();
    assert!(answered.iter().all(|(_, to, _)| *to != cluster.id(third)), "nobody else is asked");
    assert_eq!(cluster.read_outcome(read), None);
    cluster.hand_out(answered);
    assert_eq!(cluster.read_outcome(read), Some(Ok(())));
}

#[test]
fn of_five_a_round_must_be_asked() {
    let (mut cluster, leader) = Cluster::led(5);
    let at = (leader + 1) % 5;
    cluster.hold();
    let read = cluster.begin_read(at);
    let asked = cluster.hold();
    cluster.hand_out(asked);
    assert_eq!(cluster.hold().len(), 4, "all are asked whether it leads");
    assert_eq!(cluster.read_outcome(read), None);
    cluster.run_until(|cluster| cluster.read_outcome(read).is_some());
    assert_eq!(cluster.read_outcome(read), Some(Ok(())));
}

#[test]
fn a_late_request_proves_nothing_for_the_reads_of_the_old_leader() {
    let (mut cluster, leader) = Cluster::led(3);
    let (at, other) = ((leader + 1) % 3, (leader + 2) % 3);
    cluster.write(leader, &set("/a", "old")).expect("it leads");
    cluster.settle();
    cluster.hold();
    // A follower asks, and its question is long on the way.
    let early = cluster.begin_read(at);
    let asked = cluster.hold();
    assert_eq!(asked.len(), 1);
    cluster.cut_off(leader);
    cluster.run_until(|cluster| cluster.leader_but(leader).is_some());
    cluster.write(other, &set("/a", "new")).expect("the majority goes on");
    // The old leader has not noticed, and a client asks it now.
    assert_eq!(cluster.member(leader).status().role, Role::Leader);
    let late = cluster.begin_read(leader);
    cluster.hold();
    cluster.isolate(leader, false);
    cluster.hand_out(asked);
    assert_eq!(cluster.read_outcome(late), None, "the question came before the write");
    cluster.settle();
    assert_eq!(cluster.read_outcome(early), Some(Ok(())));
    assert_eq!(cluster.read_outcome(late), Some(Ok(())));
    assert_eq!(value(&cluster, leader, "/a").as_deref(), Some("new"));
}

#[test]
fn a_machine_joins_learns_votes_and_leaves() {
    let mut cluster = Cluster::alone();
    for number in 0..30 {
        cluster.write(0, &set("/a", &number.to_string())).expect("it leads");
    }
    let index = cluster.member(0).store().index().0;
    let second = cluster.join(0).expect("there is room");
    assert_eq!(cluster.member(0).store().index().0, index + 1, "a machine that joins takes one");
    cluster.run_until(|cluster| cluster.member(second).status().is_voter);
    let third = cluster.join(0).expect("there is room");
    cluster.run_until(|cluster| cluster.member(third).status().is_voter);
    cluster.settle();
    cluster.assert_equal();

    let id = cluster.id(third);
    cluster.remove(0, id).expect("two are left");
    cluster.settle();
    assert!(cluster.member(third).status().is_removed);
    let machines = KeyPath::parse("/_etcd/machines/m2").expect("clean");
    assert!(cluster.member(0).store().peek(machines).is_none());
    assert_eq!(cluster.remove(0, id), Err(EngineError::NoSuchMember));
    cluster.write(second, &set("/b", "1")).expect("two of two");
}

#[test]
fn a_machine_whose_disk_fills_up_before_it_heard_of_anybody_can_still_keep_a_term() {
    let (mut cluster, leader) = Cluster::led(3);
    let new = cluster.join(leader).expect("it may");
    let disk = cluster.disk(new).clone();
    disk.set_capacity(Some(disk.used()));
    cluster.run(100);
    assert_eq!(cluster.member(new).status().term, cluster.member(leader).status().term);
    disk.set_capacity(None);
    cluster.settle();
    cluster.assert_equal();
}

#[test]
fn a_machine_that_was_never_heard_of_is_not_taken_for_a_dead_one() {
    let mut cluster = Cluster::alone();
    let second = cluster.join(0).expect("there is room");
    cluster.isolate(second, true);
    // The leader looks after its members several times meanwhile; removeDelay is half an hour.
    cluster.run(2000);
    assert!(cluster.member(0).membership().member(cluster.id(second)).is_some());
    cluster.isolate(second, false);
    cluster.run_until(|cluster| cluster.member(second).status().is_voter);
}

#[test]
fn a_founder_that_got_company_does_not_decide_alone_after_a_restart() {
    let mut cluster = Cluster::alone();
    cluster.join(0).expect("there is room");
    let third = cluster.join(0).expect("there is room");
    cluster.run_until(|cluster| cluster.member(third).status().is_voter);
    cluster.settle();
    cluster.crash(0);
    cluster.run_until(|cluster| cluster.leader_but(0).is_some());
    cluster.write(third, &set("/a", "1")).expect("two of three");
    cluster.restart(0);
    assert_ne!(cluster.member(0).status().role, Role::Leader);
    cluster.settle();
    cluster.assert_equal();
}

#[test]
fn a_leader_that_is_removed_hands_over_first() {
    let (mut cluster, leader) = Cluster::led(3);
    let id = cluster.id(leader);
    assert_eq!(cluster.remove((leader + 1) % 3, id), Ok(()));
    cluster.settle();
    assert!(cluster.member(leader).status().is_removed);
    assert!(cluster.leader_but(leader).is_some());
    cluster.write((leader + 1) % 3, &set("/b", "1")).expect("two of two");
}

#[test]
fn the_majority_cannot_be_removed() {
    let (mut cluster, leader) = Cluster::led(3);
    let (one, other) = ((leader + 1) % 3, (leader + 2) % 3);
    cluster.crash(other);
    cluster.run(100);
    let id = cluster.id(one);
    assert_eq!(cluster.remove(leader, id), Err(EngineError::QuorumAtRisk));
    let id = cluster.id(other);
    assert_eq!(cluster.remove(one, id), Ok(()), "a dead one may go");
}

#[test]
fn a_follower_that_hears_its_leader_but_cannot_speak_yet_keeps_what_it_has_to_pass_on() {
    let mut cluster = Cluster::founded(3);
    cluster.settle();
    let follower = (cluster.leader().expect("there is one") + 1) % 3;
    cluster.mute(follower, true);
    cluster.run(10);
    cluster.propose(follower, &set("/a", "v"));
    cluster.run(10);
    assert_eq!(cluster.answers_ok(), 0, "it is still there: {:?}", cluster.failures());
    cluster.mute(follower, false);
    // Far less than the time after which a request is given up.
    cluster.run(50);
    assert_eq!(cluster.answers_ok(), 1, "{:?}", cluster.failures());
}

#[test]
fn a_handover_loses_no_request() {
    let mut cluster = Cluster::founded(3);
    cluster.settle();
    for _ in 0..3 {
        let leader = cluster.leader().expect("there is one");
        for at in 0..3 {
            for number in 0..4 {
                cluster.propose(at, &set(&format!("/h{at}.{number}"), "v"));
            }
        }
        cluster.hand_over(leader);
        for at in 0..3 {
            cluster.propose(at, &set(&format!("/h{at}"), "v"));
        }
        cluster.settle();
        assert!(cluster.leader_but(leader).is_some(), "somebody else leads");
    }
    assert_eq!(cluster.answers_ok(), 3 * 15, "{:?}", cluster.failures());
    cluster.assert_equal();
}

#[test]
fn keys_expire_on_time_after_a_leader_with_a_fast_wall_clock_takes_over() {
    let (mut cluster, leader) = Cluster::led(3);
    cluster.set_wall_ahead((leader + 1) % 3, 3_600_000);
    cluster.set_wall_ahead((leader + 2) % 3, 7_200_000);
    let path = KeyPath::parse("/t").expect("clean");
    let command = Command::Set { path, value: "v", dir: false, ttl: Some(30), refresh: false };
    cluster.write(leader, &command).expect("it leads");
    cluster.crash(leader);
    cluster.run_until(|cluster| cluster.leader_but(leader).is_some());
    let new = cluster.leader_but(leader).expect("there is one");
    cluster.write(new, &set("/other", "v")).expect("it leads");
    assert!(value(&cluster, new, "/t").is_some(), "hours early by the wall clock");
    cluster.run(2800);
    assert!(value(&cluster, new, "/t").is_some(), "28 s");
    cluster.run(400);
    assert!(value(&cluster, new, "/t").is_none(), "32 s");
}

#[test]
fn a_learner_with_the_name_of_a_member_is_refused() {
    let (mut cluster, leader) = Cluster::led(3);
    let mut member = cluster.member((leader + 1) % 3).own();
    member.id = MemberId(77);
    assert_eq!(cluster.ask_join(leader, member.clone()), Err(EngineError::NameTaken));
    member.name = "other".into();
    assert_eq!(cluster.ask_join(leader, member), Err(EngineError::AddressTaken));
}
