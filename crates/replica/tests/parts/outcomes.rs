//! What clients are told of their writes when leaders come and go: each write is done once, and its
//! client is told so by the member that it asked.

use crate::testkit::{Cluster, Letter, set};
use crate::value;
use replica::{EngineError, Failure, MemberId, Ticket};
use store::{Command, InOrder, KeyPath};

/// The kind of message with which a member asks the leader to propose (`envelope.rs`).
const FORWARD: u8 = 71;

/// Far less than the time after which a request is given up, in steps.
const SOON: usize = 200;

fn is_forward(letter: &Letter) -> bool {
    letter.2.get(1) == Some(&FORWARD)
}

/// A new entry of the queue `/q`: what is done twice shows.
fn job() -> Command<'static> {
    let path = KeyPath::parse("/q").expect("clean");
    let in_order = Some(InOrder::Plain);
    Command::Create { path, value: "job", dir: false, ttl: None, in_order }
}

fn jobs(cluster: &Cluster, at: usize) -> usize {
    let queue = KeyPath::parse("/q").expect("clean");
    let node = cluster.member(at).store().peek(queue);
    node.map_or(0, |node| node.children().count())
}

/// All of these end well, soon, and everybody has them once.
fn expect_done(cluster: &mut Cluster, at: usize, tickets: &[Ticket]) {
    for _ in 0..SOON {
        cluster.run(1);
        if tickets.iter().all(|ticket| cluster.is_answered(*ticket)) {
            break;
        }
    }
    for ticket in tickets {
        let outcome = cluster.outcome_of(*ticket);
        assert!(matches!(outcome, Some(Ok(()))), "{outcome:?}");
    }
    assert_eq!(jobs(cluster, at), tickets.len(), "each is there once");
}

/// Everybody is there again, and nobody differs.
fn heal(cluster: &mut Cluster, places: &[usize], jobs_expected: usize) {
    for at in places {
        if !cluster.is_running(*at) {
            cluster.restart(*at);
        }
        cluster.isolate(*at, false);
    }
    cluster.settle();
    cluster.assert_equal();
    for at in places {
        assert_eq!(jobs(cluster, *at), jobs_expected);
    }
}

/// A write that a follower has sent to the leader and that has not arrived; with the places of the
/// leader, the follower and the third one, and the letter.
fn asked() -> (Cluster, [usize; 3], Ticket, Vec<Letter>) {
    let (mut cluster, leader) = Cluster::led(3);
    let (at, third) = ((leader + 1) % 3, (leader + 2) % 3);
    cluster.hold();
    let ticket = cluster.propose(at, &job());
    cluster.turn(at);
    let asked: Vec<Letter> = cluster.hold().into_iter().filter(is_forward).collect();
    assert_eq!(asked.len(), 1);
    (cluster, [leader, at, third], ticket, asked)
}

#[test]
fn a_write_whose_leader_dies_before_it_heard_of_it_goes_to_the_next_one() {
    let (mut cluster, [leader, at, third], ticket, _) = asked();
    cluster.crash(leader);
    expect_done(&mut cluster, at, &[ticket]);
    heal(&mut cluster, &[leader, at, third], 1);
}

#[test]
fn a_write_that_only_the_dead_leader_had_in_its_log_is_done_by_the_next_one() {
    let (mut cluster, [leader, at, third], ticket, asked) = asked();
    cluster.hand_out(asked);
    cluster.hold();
    cluster.crash(leader);
    expect_done(&mut cluster, at, &[ticket]);
    heal(&mut cluster, &[leader, at, third], 1);
}

#[test]
fn a_write_that_a_majority_has_is_not_done_again_by_the_next_leader() {
    let (mut cluster, [leader, at, third], ticket, asked) = asked();
    let third_id = cluster.id(third);
    cluster.hand_out(asked);
    let sent = cluster.hold().into_iter().filter(|(_, to, _)| *to == third_id).collect();
    cluster.hand_out(sent);
    cluster.hold();
    cluster.crash(leader);
    expect_done(&mut cluster, at, &[ticket]);
    heal(&mut cluster, &[leader, at, third], 1);
}

#[test]
fn a_leader_that_is_stopped_holds_nobody_up() {
    let (mut cluster, [leader, at, third], ticket, _) = asked();
    // The connections live on, and nothing comes: as with a process that is stopped.
    cluster.isolate(leader, true);
    let mut tickets = vec![ticket];
    tickets.extend((0..5).map(|_| cluster.propose(at, &job())));
    for _ in 0..90 {
        cluster.run(1);
    }
    assert!(tickets.iter().all(|ticket| cluster.is_answered(*ticket)), "after 0.9 s");
    expect_done(&mut cluster, at, &tickets);
    heal(&mut cluster, &[leader, at, third], 6);
}

#[test]
fn copies_of_a_write_over_several_leaders_are_one() {
    let (mut cluster, first) = Cluster::led(5);
    let at = (first + 1) % 5;
    let ticket = cluster.propose(at, &job());
    let (mut copies, mut leaders) = (Vec::new(), vec![]);
    for _ in 0..SOON {
        cluster.tick();
        let from = cluster.id(at);
        let (asked, rest): (Vec<Letter>, Vec<Letter>) =
            cluster.hold().into_iter().partition(|letter| is_forward(letter) && letter.0 == from);
        if asked.is_empty() || leaders.len() == 2 {
            cluster.hand_out(asked);
            cluster.hand_out(rest);
            continue;
        }
        // The leader has the write in its own log, and nobody else has; then it is cut off.
        let asked_one = (0..5).find(|place| cluster.id(*place) == asked[0].1).expect("a member");
        copies.extend(asked.clone());
        cluster.hand_out(asked);
        cluster.hold();
        cluster.cut_off(asked_one);
        leaders.push(asked_one);
    }
    assert_eq!(leaders[0], first);
    assert!(leaders.len() == 2 || cluster.leader_but(first) == Some(at), "{leaders:?}");
    expect_done(&mut cluster, at, &[ticket]);
    // All copies come once more, and the old leaders return with their own.
    cluster.hand_out(copies);
    heal(&mut cluster, &[0, 1, 2, 3, 4], 1);
}

#[test]
fn a_leader_that_stood_still_for_long_tells_its_own_clients_what_became_of_their_writes() {
    let (mut cluster, leader) = Cluster::led(3);
    let ticket = cluster.propose(leader, &job());
    cluster.turn(leader);
    cluster.hold();
    cluster.hang(leader, true);
    // Longer than a request may wait.
    cluster.run(700);
    assert!(cluster.leader_but(leader).is_some() && !cluster.is_answered(ticket));
    cluster.hang(leader, false);
    expect_done(&mut cluster, leader, &[ticket]);
    heal(&mut cluster, &[0, 1, 2], 1);
}

#[test]
fn what_was_lost_on_its_way_is_done_after_what_came_later() {
    let (mut cluster, [leader, at, third], first, _lost) = asked();
    let second = cluster.propose(at, &job());
    cluster.run(5);
    assert!(cluster.is_answered(second), "it does not wait for the first");
    assert!(!cluster.is_answered(first));
    expect_done(&mut cluster, at, &[second, first]);
    heal(&mut cluster, &[leader, at, third], 2);
}

#[test]
fn a_copy_that_comes_when_all_is_settled_is_not_done_again() {
    let (mut cluster, [leader, at, third], first, copy) = asked();
    cluster.hand_out(copy.clone());
    let second = cluster.propose(at, &job());
    expect_done(&mut cluster, at, &[first, second]);
    cluster.hand_out(copy.clone());
    cluster.run(20);
    cluster.crash(third);
    cluster.restart(third);
    cluster.hand_out(copy);
    heal(&mut cluster, &[leader, at, third], 2);
}

#[test]
fn a_leader_that_is_cut_off_has_its_own_writes_done_by_the_next_one() {
    let (mut cluster, leader) = Cluster::led(3);
    let at = (leader + 1) % 3;
    cluster.isolate(leader, true);
    let tickets: Vec<Ticket> = (0..3)
        .map(|_| {
            let ticket = cluster.propose(leader, &job());
            cluster.run(1);
            ticket
        })
        .collect();
    cluster.run_until(|cluster| cluster.leader_but(leader).is_some());
    cluster.write(at, &set("/a", "v")).expect("two of three");
    cluster.isolate(leader, false);
    expect_done(&mut cluster, leader, &tickets);
    heal(&mut cluster, &[0, 1, 2], 3);
}

/// Fills the log behind a member with more than is kept for it.
fn write_much(cluster: &mut Cluster, at: usize) {
    let text = "v".repeat(1_000_000);
    for number in 0..70 {
        cluster.write(at, &set(&format!("/big/{number}"), &text)).expect("two of three");
    }
}

#[test]
fn a_member_that_gets_a_snapshot_with_its_own_writes_knows_what_became_of_them() {
    let (mut cluster, leader) = Cluster::led(3);
    let at = (leader + 1) % 3;
    cluster.write(leader, &set("/there", "v")).expect("it leads");
    cluster.settle();
    cluster.hold();
    let job = cluster.propose(at, &job());
    let path = KeyPath::parse("/there").expect("clean");
    let create = Command::Create { path, value: "w", dir: false, ttl: None, in_order: None };
    let failing = cluster.propose(at, &create);
    cluster.turn(at);
    let asked: Vec<Letter> = cluster.hold().into_iter().filter(is_forward).collect();
    cluster.hand_out(asked);
    cluster.isolate(at, true);
    write_much(&mut cluster, leader);
    assert_eq!(jobs(&cluster, leader), 1);
    assert!(!cluster.is_answered(job) && !cluster.is_answered(failing));
    cluster.isolate(at, false);
    let mut was_sent = false;
    for _ in 0..SOON {
        cluster.run_briefly(20);
        was_sent |= cluster.disk(at).content("incoming.tmp").is_some();
        if cluster.is_answered(job) {
            break;
        }
    }
    assert!(was_sent, "it needs a snapshot");
    assert!(matches!(cluster.outcome_of(job), Some(Ok(()))), "{:?}", cluster.outcome_of(job));
    assert!(matches!(cluster.outcome_of(failing), Some(Err(Failure::Store(_)))));
    heal(&mut cluster, &[0, 1, 2], 1);
}

#[test]
fn a_member_that_lagged_gets_entries_after_a_restart_of_all_and_no_snapshot() {
    let (mut cluster, leader) = Cluster::led(3);
    let at = (leader + 1) % 3;
    cluster.crash(at);
    for number in 0..120 {
        cluster.write(leader, &set(&format!("/k{number}"), "v")).expect("two of three");
    }
    cluster.run(100);
    for other in [leader, (leader + 2) % 3] {
        cluster.crash(other);
    }
    (0..3).for_each(|at| cluster.restart(at));
    let tickets: Vec<Ticket> = (0..4)
        .map(|_| {
            let ticket = cluster.propose(at, &job());
            cluster.run(1);
            ticket
        })
        .collect();
    for _ in 0..SOON {
        cluster.run_briefly(3);
        assert!(cluster.disk(at).content("incoming.tmp").is_none(), "a snapshot is sent");
    }
    expect_done(&mut cluster, at, &tickets);
    assert_eq!(value(&cluster, at, "/k119").as_deref(), Some("v"));
    heal(&mut cluster, &[0, 1, 2], 4);
}

#[test]
fn a_log_that_begins_before_the_snapshot_is_replayed_to_the_same_state() {
    let (mut cluster, _) = Cluster::led(3);
    for round in 0..4 {
        let leader = cluster.leader().expect("there is one");
        for number in 0..60 {
            cluster.write(leader, &set(&format!("/r{round}.{number}"), "v")).expect("it leads");
        }
        let cut = (leader + round) % 3;
        cluster.cut_off(cut);
        cluster.run(60);
        cluster.isolate(cut, false);
        (0..3).for_each(|at| cluster.crash(at));
        (0..3).for_each(|at| cluster.restart(at));
        cluster.settle();
        cluster.assert_equal();
    }
}

#[test]
fn large_writes_that_wait_for_a_leader_are_bounded_and_end_nobody() {
    let (mut cluster, leader) = Cluster::led(3);
    let at = (leader + 1) % 3;
    cluster.crash(leader);
    cluster.crash((leader + 2) % 3);
    cluster.run(50);
    let text = "v".repeat(9_000_000);
    let mut tickets = Vec::new();
    let refused = loop {
        match cluster.try_propose(at, &set(&format!("/big/{}", tickets.len()), &text)) {
            Ok(ticket) => tickets.push(ticket),
            Err(error) => break error,
        }
        assert!(tickets.len() < 100, "no end");
    };
    assert_eq!(refused, EngineError::Overloaded);
    assert!(tickets.len() >= 7, "64 MiB may wait");
    cluster.restart(leader);
    cluster.run_until(|cluster| tickets.iter().all(|ticket| cluster.is_answered(*ticket)));
    for ticket in &tickets {
        let outcome = cluster.outcome_of(*ticket);
        assert!(matches!(outcome, Some(Ok(()))), "{outcome:?}");
    }
    cluster.restart((leader + 2) % 3);
    cluster.settle();
    cluster.assert_equal();
    assert_eq!(value(&cluster, leader, "/big/6").map(|text| text.len()), Some(9_000_000));
}

#[test]
fn a_write_through_a_member_with_a_full_disk_is_refused_at_once() {
    let (mut cluster, leader) = Cluster::led(3);
    let at = (leader + 1) % 3;
    let disk = cluster.disk(at).clone();
    disk.set_capacity(Some(disk.used()));
    let text = "v".repeat(100_000);
    for number in 0..20 {
        cluster.write(leader, &set(&format!("/k{number}"), &text)).expect("two of three");
    }
    let ticket = cluster.propose(at, &job());
    cluster.turn(at);
    let outcome = cluster.outcome_of(ticket);
    let full = Err(Failure::Engine(EngineError::DiskFull));
    assert_eq!(outcome, Some(&full), "it could not be told what comes of it");
    assert_eq!(jobs(&cluster, leader), 0);
    disk.set_capacity(None);
    cluster.settle();
    let ticket = cluster.propose(at, &job());
    expect_done(&mut cluster, at, &[ticket]);
    heal(&mut cluster, &[0, 1, 2], 1);
}

#[test]
fn nobody_may_ask_in_the_name_of_a_stranger() {
    let (mut cluster, leader) = Cluster::led(3);
    let at = (leader + 1) % 3;
    cluster.hold();
    cluster.propose(at, &job());
    cluster.turn(at);
    let mut asked: Vec<Letter> = cluster.hold().into_iter().filter(is_forward).collect();
    asked[0].0 = MemberId(777);
    cluster.hand_out(asked);
    cluster.run(10);
    assert_eq!(jobs(&cluster, leader), 0);
    cluster.run(SOON);
    assert_eq!(jobs(&cluster, leader), 1, "the true one is sent again");
}
