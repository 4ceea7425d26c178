//! What rarely happens: no leader, too much that waits, copies of messages, votes over a restart.

use crate::testkit::{Cluster, set};
use replica::{ClusterConfig, EngineError, Failure, Member, MemberId};

#[test]
fn the_configuration_and_expected_machines_are_changed_through_any_member() {
    let (mut cluster, leader) = Cluster::led(3);
    for at in [leader, (leader + 1) % 3] {
        let before = cluster.member(at).membership_version();
        let config = ClusterConfig { active_size: 5 + at as u64, ..ClusterConfig::default() };
        assert_eq!(cluster.configure(at, config), Ok(()));
        let id = MemberId(700 + at as u64);
        let peer_url = "http://new:7001".to_owned();
        let expected = Member {
            id,
            name: String::new(),
            client_url: String::new(),
            peer_url,
            ..Member::default()
        };
        assert_eq!(cluster.expect(at, expected), Ok(()));
        cluster.settle();
        for other in 0..3 {
            let membership = cluster.member(other).membership();
            assert_eq!(membership.config().active_size, config.active_size);
            assert_eq!(membership.members().count(), 3, "an expected machine is no member");
            assert!(membership.member_named("m1").is_some());
            assert!(membership.member_named("m9").is_none());
        }
        assert_eq!(cluster.forget(at, id), Ok(()));
        assert!(cluster.member(at).membership_version() > before);
    }
    cluster.settle();
    cluster.assert_equal();
}

#[test]
fn a_leaders_refusal_of_a_change_comes_to_whoever_asked() {
    let (mut cluster, leader) = Cluster::led(3);
    for at in 0..3 {
        let refused = cluster.remove(at, MemberId(999));
        assert_eq!(refused, Err(EngineError::NoSuchMember), "at {at}, {leader} leads");
    }
    let new = cluster.join(leader).expect("it may");
    let id = cluster.id(new);
    cluster.settle();
    assert_eq!(cluster.remove((leader + 1) % 3, id), Ok(()));
    let own = cluster.member(new).own();
    assert_eq!(cluster.ask_join((leader + 1) % 3, own), Err(EngineError::Removed));
}

#[test]
fn without_a_leader_everything_ends_in_its_time() {
    let mut cluster = Cluster::founded(3);
    cluster.settle();
    cluster.crash(1);
    cluster.crash(2);
    cluster.run(100);
    assert_eq!(cluster.remove(0, MemberId(2)), Err(EngineError::NoLeader));
    assert_eq!(cluster.read(0), Err(EngineError::NoLeader));
    let refused = cluster.write(0, &set("/a", "v"));
    assert!(matches!(refused, Err(Failure::Engine(EngineError::NoLeader))), "{refused:?}");
}

#[test]
fn what_waits_is_bounded() {
    let mut cluster = Cluster::founded(3);
    cluster.settle();
    cluster.crash(1);
    cluster.crash(2);
    cluster.run(100);
    let (mut writes, mut reads) = (0, 0);
    while cluster.try_propose(0, &set("/a", "v")).is_ok() {
        writes += 1;
        assert!(writes < 1_000_000, "no end");
    }
    while cluster.try_read(0).is_ok() {
        reads += 1;
        assert!(reads < 1_000_000, "no end");
    }
    assert!(writes > 10_000 && reads > 10_000);
    assert_eq!(cluster.member(0).proposals_waiting(), writes);
    assert!(!cluster.member(0).is_batch_full(), "what cannot go out holds up nobody");
    cluster.restart(1);
    cluster.settle();
    assert_eq!(cluster.member(0).proposals_waiting(), 0);
    assert_eq!(cluster.write(0, &set("/a", "w")).err().map(|_| ()), None);
}

#[test]
fn members_tell_how_they_stand() {
    let (mut cluster, leader) = Cluster::led(3);
    let at = (leader + 1) % 3;
    cluster.write(at, &set("/a", "v")).expect("it is passed on");
    cluster.settle();
    let (own, other) = (cluster.id(leader), cluster.id(at));
    let member = cluster.member(leader);
    assert!(member.is_voter(other) && !member.is_voter(MemberId(999)));
    assert_eq!(member.matched(other), Some(member.status().commit));
    assert_eq!(cluster.member(at).matched(own), None, "only a leader knows");
    assert!(member.is_reachable(other) && member.was_heard(other, 1_000_000_000));
    assert!(!member.is_syncing());
    assert!(member.stamp_now().time >= cluster.member(at).store().stamp().time);
    assert!(member.appends_sent().rates(u64::MAX).is_none(), "nothing is sent at the end of time");
    cluster.crash(at);
    cluster.run(100);
    let member = cluster.member(leader);
    assert!(!member.is_reachable(other) && !member.was_heard(other, 100_000_000));
}

/// The kinds of two messages between members (`envelope.rs`).
const CHANGE: u8 = 65;
const REFUSED: u8 = 67;

#[test]
fn a_copy_of_what_a_deposed_leader_has_done_is_not_refused() {
    let (mut cluster, leader) = Cluster::led(3);
    let new = cluster.join(leader).expect("it may");
    let id = cluster.id(new);
    cluster.settle();
    let at = (leader + 1) % 3;
    let is =
        |kind: u8| move |letter: &(MemberId, MemberId, Vec<u8>)| letter.2.get(1) == Some(&kind);
    cluster.hold();
    cluster.begin_removal(at, id);
    let asked: Vec<_> = cluster.hold().into_iter().filter(is(CHANGE)).collect();
    assert_eq!(asked.len(), 1);
    // The leader does it, and the network keeps a copy of the question.
    cluster.hand_out(asked.clone());
    cluster.settle();
    assert!(cluster.member(at).membership().member(id).is_none());
    cluster.hand_over(leader);
    cluster.run_until(|cluster| cluster.leader_but(leader).is_some());
    cluster.hold();
    cluster.hand_out(asked);
    let said = cluster.hold();
    assert!(!said.iter().any(is(REFUSED)), "the first copy was carried out");
}

/// A vote that a member asks for in an election that somebody told it to hold: such a one is
/// answered even while a leader is heard.
fn vote_request(from: MemberId, to: MemberId, term: u64) -> Vec<u8> {
    const REQUEST_VOTE: u8 = 2;
    let mut bytes = vec![1, REQUEST_VOTE];
    let (log_term, index, rest) = (term - 1, 1 << 40, 0);
    for number in [to.0, from.0, term, log_term, index, rest, rest, rest, rest, rest] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    let reason = b"CampaignTransfer";
    bytes.push(0);
    bytes.extend_from_slice(&u32::try_from(reason.len()).expect("short").to_le_bytes());
    bytes.extend_from_slice(reason);
    bytes.extend_from_slice(&[0; 4]);
    bytes
}

/// Asks a member for its vote; says whether it was given.
fn is_voted_for(cluster: &mut Cluster, from: usize, at: usize, term: u64) -> bool {
    const VOTE_RESPONSE: u8 = 3;
    const REJECT_AT: usize = 2 + 10 * 8;
    let (from, to) = (cluster.id(from), cluster.id(at));
    cluster.hold();
    cluster.hand_out(vec![(from, to, vote_request(from, to, term))]);
    let said = cluster.hold();
    let answer = said.iter().find(|(_, to, bytes)| *to == from && bytes[1] == VOTE_RESPONSE);
    answer.expect("it answers").2[REJECT_AT] == 0
}

#[test]
fn a_member_that_restarts_votes_once_in_a_term() {
    let (mut cluster, leader) = Cluster::led(3);
    let (at, other) = ((leader + 1) % 3, (leader + 2) % 3);
    let term = cluster.member(at).status().term.0 + 5;
    assert!(is_voted_for(&mut cluster, leader, at, term));
    cluster.crash(at);
    cluster.restart(at);
    assert!(!is_voted_for(&mut cluster, other, at, term), "its vote is given");
    assert!(is_voted_for(&mut cluster, leader, at, term), "it said so before");
    assert!(is_voted_for(&mut cluster, other, at, term + 1));
}

/// A machine that moves away and back restarts twice within a moment. The leader has what the first
/// of the two processes announced in its log, and has committed nothing of it when the second one
/// looks.
#[test]
fn an_address_that_an_earlier_start_announced_does_not_stay() {
    let (mut cluster, leader) = Cluster::led(3);
    cluster.settle();
    let (at, other) = ((leader + 1) % 3, (leader + 2) % 3);
    let own = cluster.member(at).own();
    cluster.stop(at);
    cluster.stop(other);
    let moved = Member { peer_url: "http://elsewhere:7001".to_owned(), ..own.clone() };
    cluster.begin_registration(leader, moved);
    cluster.restart(at);
    for _ in 0..150 {
        cluster.tick();
        // It gets the leader's log, and the leader does not hear that it has it.
        let is_response = |from: MemberId, bytes: &[u8]| from == own.id && bytes.get(1) == Some(&1);
        let mut held = cluster.hold();
        held.retain(|(from, _, bytes)| !is_response(*from, bytes));
        cluster.hand_out(held);
    }
    assert_eq!(cluster.member(at).status().leader, Some(cluster.id(leader)), "it is heard");
    cluster.restart(other);
    cluster.run(300);
    cluster.settle();
    for one in 0..3 {
        assert_eq!(cluster.member(one).membership().member(own.id), Some(&own));
    }
}

/// The leader dies when it has put the other one's removal into both logs. The other one leads
/// next, and finds it there.
#[test]
fn a_leader_that_finds_its_own_removal_in_its_log_does_not_leave_before_the_last_one_knows() {
    let (mut cluster, leader) = Cluster::led(2);
    cluster.settle();
    let at = 1 - leader;
    let id = cluster.id(at);
    cluster.begin_removal(leader, id);
    cluster.deliver_some(1);
    assert!(cluster.member(at).announced().iter().all(|member| member.id != id), "it is there");
    drop(cluster.hold());
    cluster.crash(leader);
    cluster.restart(leader);
    let has_left = |cluster: &Cluster| cluster.member(at).status().is_removed;
    for _ in 0..10_000 {
        if has_left(&cluster) {
            break;
        }
        cluster.run_briefly(1);
    }
    assert!(has_left(&cluster));
    cluster.stop(at);
    drop(cluster.hold());
    cluster.crash(leader);
    cluster.restart(leader);
    cluster.run_until(|cluster| cluster.leader() == Some(leader));
    cluster.write(leader, &set("/after", "v")).expect("it is alone");
}
