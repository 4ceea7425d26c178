//! Who may speak as a member, and what liars and the forgetful lead to.

use crate::testkit::{Cluster, set};
use crate::value;
use replica::{ClaimRefused, EngineError, Failure, LogIndex, Member, MemberId, PeerClaim};

/// A message of raft as it travels (message.rs): the numbers that a test wants to lie about.
#[derive(Clone, Copy, Default)]
struct Lie {
    kind: u8,
    term: u64,
    log_term: u64,
    index: u64,
    commit: u64,
}

const APPEND: u8 = 0;
const APPEND_RESPONSE: u8 = 1;
const VOTE: u8 = 2;
const HEARTBEAT: u8 = 4;

impl Lie {
    fn bytes(self, from: MemberId, to: MemberId, entry: Option<(u8, &[u8])>) -> Vec<u8> {
        let mut out = vec![1, self.kind];
        let Self { term, log_term, index, commit, .. } = self;
        for number in [to.0, from.0, term, log_term, index, commit, 0, 0, 0, 0] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.push(0);
        out.extend_from_slice(&0_u32.to_le_bytes());
        out.extend_from_slice(&u32::from(entry.is_some()).to_le_bytes());
        if let Some((kind, data)) = entry {
            out.extend_from_slice(&term.to_le_bytes());
            out.extend_from_slice(&(index + 1).to_le_bytes());
            out.push(kind);
            out.extend_from_slice(&u32::try_from(data.len()).expect("short").to_le_bytes());
            out.extend_from_slice(data);
        }
        out
    }
}

pub(super) fn claim(cluster: &Cluster, at: usize) -> PeerClaim {
    cluster.member(at).own_claim()
}

/// What each other member says to a claim.
fn said(cluster: &mut Cluster, claim: &PeerClaim) -> Vec<Result<(), ClaimRefused>> {
    let others: Vec<usize> = (0..3).filter(|at| cluster.id(*at) != claim.id).collect();
    others.into_iter().map(|at| cluster.member_mut(at).meet(claim)).collect()
}

#[test]
fn a_restart_is_believed_and_known_to_everybody() {
    let (mut cluster, leader) = Cluster::led(3);
    let at = (leader + 1) % 3;
    for _ in 0..3 {
        let before = claim(&cluster, at);
        cluster.stop(at);
        cluster.restart(at);
        let after = claim(&cluster, at);
        assert_eq!(after.identity.start, before.identity.start + 1);
        assert_eq!(after.identity.incarnation, before.identity.incarnation);
        assert_eq!(said(&mut cluster, &after), [Ok(()), Ok(())]);
        cluster.settle();
        for other in 0..3 {
            let known = cluster.member(other).membership().identity(after.id);
            assert_eq!(known, Some(after.identity));
        }
    }
}

#[test]
fn an_older_copy_of_a_directory_is_refused_after_a_restart_of_everybody_too() {
    let (mut cluster, leader) = Cluster::led(3);
    let at = (leader + 1) % 3;
    let copy = cluster.stop(at);
    cluster.restart(at);
    cluster.write(leader, &set("/later", "1")).expect("there is a majority");
    cluster.settle();
    cluster.stop(at);
    cluster.put_disk(at, copy);
    for other in (0..3).filter(|other| *other != at) {
        cluster.stop(other);
        cluster.restart(other);
    }
    cluster.run_until(|cluster| cluster.leader().is_some());
    // However often it is started: its starts are not those that the others know.
    for _ in 0..5 {
        cluster.restart(at);
        let old = claim(&cluster, at);
        for refused in said(&mut cluster, &old) {
            assert!(matches!(refused, Err(ClaimRefused::OlderCopy { .. })), "{refused:?}");
        }
        cluster.stop(at);
    }
}

#[test]
fn a_member_that_no_quorum_lets_speak_refuses_at_once() {
    let (mut cluster, leader) = Cluster::led(3);
    let [at, third] = [(leader + 1) % 3, (leader + 2) % 3];
    let [leader_id, third_id] = [cluster.id(leader), cluster.id(third)];
    cluster.member_mut(at).disowned(third_id);
    cluster.write(at, &set("/a", "1")).expect("the leader believes it");
    cluster.member_mut(at).disowned(leader_id);
    assert_eq!(cluster.try_propose(at, &set("/a", "2")), Err(EngineError::Disowned));
    cluster.member_mut(at).confirmed(leader_id);
    cluster.write(at, &set("/a", "3")).expect("the leader believes it again");
    // One of two others that are not the leader is one too few to matter, both are not.
    cluster.member_mut(leader).disowned(third_id);
    cluster.write(leader, &set("/a", "4")).expect("there is a quorum without it");
    let at_id = cluster.id(at);
    cluster.member_mut(leader).disowned(at_id);
    assert_eq!(cluster.try_propose(leader, &set("/a", "5")), Err(EngineError::Disowned));
}

#[test]
fn a_directory_that_was_moved_takes_part_when_the_others_have_confirmed_it() {
    let (mut cluster, leader) = Cluster::led(3);
    let at = (leader + 1) % 3;
    let moved = cluster.close(at).copy();
    cluster.put_disk(at, moved);
    cluster.restart(at);
    let own = claim(&cluster, at);
    for other in (0..3).filter(|other| *other != at) {
        assert!(cluster.member(at).awaits_words().is_some());
        assert_eq!(cluster.member_mut(other).meet(&own), Ok(()));
        let by = cluster.id(other);
        cluster.member_mut(at).confirmed(by);
    }
    assert_eq!(cluster.member(at).awaits_words(), None);
    cluster.write(at, &set("/a", "1")).expect("it takes part");
    cluster.settle();
    cluster.stop(at);
    cluster.restart(at);
    assert_eq!(cluster.member(at).awaits_words(), None, "it is where it was");
    let mut alone = Cluster::alone();
    let moved = alone.stop(0).copy();
    alone.put_disk(0, moved);
    alone.restart(0);
    alone.write(0, &set("/a", "1")).expect("nobody else could know");
}

#[test]
fn a_member_that_decides_alone_believes_a_refusal_only_if_it_is_a_copy() {
    let mut alone = Cluster::alone();
    let stranger = MemberId(99);
    alone.member_mut(0).disowned(stranger);
    alone.write(0, &set("/a", "1")).expect("anybody can say it");
    let copy = alone.stop(0).copy();
    alone.put_disk(0, copy);
    alone.restart(0);
    alone.write(0, &set("/a", "2")).expect("nobody says anything");
    alone.member_mut(0).disowned(stranger);
    assert_eq!(alone.try_propose(0, &set("/a", "3")), Err(EngineError::Disowned));
    alone.member_mut(0).confirmed(stranger);
    alone.write(0, &set("/a", "4")).expect("it is believed again");
}

#[test]
fn a_directory_that_was_made_anew_is_refused_under_its_old_id() {
    let (mut cluster, leader) = Cluster::led(3);
    let at = (leader + 2) % 3;
    cluster.stop(at);
    cluster.lose_disk(at, vec![MemberId(1), MemberId(2), MemberId(3)]);
    cluster.restart(at);
    let new = claim(&cluster, at);
    assert_eq!(said(&mut cluster, &new), [Err(ClaimRefused::DirectoryReplaced); 2]);
    // Nobody speaks to it over its own connections; the others' heartbeats alone must not end it.
    cluster.run(100);
    cluster.write(leader, &set("/goes-on", "1")).expect("there is a majority");
}

/// A removal is on its way, and may never be committed: the member is still one.
#[test]
fn nobody_speaks_in_the_place_of_a_member_whose_removal_is_not_committed() {
    let (mut cluster, leader) = Cluster::led(3);
    let at = (leader + 1) % 3;
    let own = claim(&cluster, at);
    cluster.stop(at);
    cluster.cut_off(leader);
    cluster.begin_removal(leader, own.id);
    let ahead = cluster.member(leader).announced();
    assert!(ahead.iter().all(|member| member.id != own.id), "{ahead:?}");
    let mut false_claim = own;
    false_claim.identity.incarnation += 1;
    let refused = Err(ClaimRefused::DirectoryReplaced);
    assert_eq!(cluster.member_mut(leader).meet(&false_claim), refused);
    assert_eq!(cluster.member_mut(leader).meet(&own), Ok(()));
}

#[test]
fn a_member_that_lost_its_end_neither_votes_nor_acknowledges_nor_ends() {
    let (mut cluster, leader) = Cluster::led(3);
    let at = (leader + 1) % 3;
    let short = claim(&cluster, at);
    cluster.write(leader, &set("/a", "1")).expect("it leads");
    cluster.settle();
    let has = LogIndex(short.last_index.0 - 1);
    let lied = PeerClaim { last_index: has, ..claim(&cluster, at) };
    let refused = cluster.member_mut(leader).meet(&lied);
    assert!(
        matches!(refused, Err(ClaimRefused::LostPromise { has: found, .. }) if found == has),
        "{refused:?}"
    );
    // The same is told by the leader's heartbeat.
    let status = cluster.member(leader).status();
    let beyond = Lie { kind: HEARTBEAT, term: status.term.0, commit: 1_000_000, ..Lie::default() };
    let (from, to) = (cluster.id(leader), cluster.id(at));
    cluster.say(from, at, beyond.bytes(from, to, None));
    assert_eq!(cluster.member(at).lost_promise(), Some(LogIndex(1_000_000)));
    assert_eq!(cluster.try_propose(at, &set("/b", "1")), Err(EngineError::LostPromise));
    assert_eq!(cluster.try_read(at), Err(EngineError::LostPromise));
    // It knows after a restart, and takes no part when it would be needed.
    cluster.stop(at);
    cluster.restart(at);
    assert_eq!(cluster.member(at).lost_promise(), Some(LogIndex(1_000_000)));
    let third = (leader + 2) % 3;
    cluster.stop(leader);
    cluster.run(300);
    assert_eq!(cluster.leader(), None);
    let refused = cluster.write(third, &set("/c", "1"));
    assert!(matches!(refused, Err(Failure::Engine(EngineError::NoLeader))), "{refused:?}");
}

#[test]
fn a_member_whose_log_was_cut_is_brought_up_from_there() {
    let (mut cluster, leader) = Cluster::led(3);
    let at = (leader + 1) % 3;
    let cut = claim(&cluster, at);
    let cut = PeerClaim { last_index: LogIndex(cut.last_index.0 - 1), is_doubtful: true, ..cut };
    let before = cluster.member(leader).matched(cut.id).expect("it is a voter");
    assert!(before > cut.last_index);
    assert_eq!(cluster.member_mut(leader).meet(&cut), Ok(()));
    assert_eq!(cluster.member(leader).matched(cut.id), Some(LogIndex(0)));
    cluster.run(20);
    assert!(cluster.member(leader).matched(cut.id) >= Some(before));
    cluster.assert_equal();
    // One that ends behind the leader's may end with other entries than the leader has.
    let beyond = PeerClaim { last_index: LogIndex(1_000_000), ..cut };
    assert_eq!(cluster.member_mut(leader).meet(&beyond), Ok(()));
    assert_eq!(cluster.member(leader).matched(cut.id), Some(LogIndex(0)));
    cluster.write(leader, &set("/a", "2")).expect("there is a majority");
    cluster.run(20);
    assert!(cluster.member(leader).matched(cut.id) > Some(before));
    cluster.assert_equal();
}

#[test]
fn what_no_member_can_have_sent_ends_nothing() {
    let (mut cluster, leader) = Cluster::led(3);
    cluster.write(leader, &set("/a", "1")).expect("it leads");
    cluster.settle();
    let term = cluster.member(leader).status().term.0;
    let stranger = MemberId(0xdead);
    let huge = 1_000_000_000;
    let lies = [
        Lie { kind: HEARTBEAT, term: 1_000_000, commit: huge, ..Lie::default() },
        Lie { kind: HEARTBEAT, term: u64::MAX, commit: huge, ..Lie::default() },
        Lie { kind: APPEND, term, index: huge, log_term: 1, commit: huge },
        Lie { kind: APPEND, term: term + 1, index: huge, log_term: 0, ..Lie::default() },
        Lie { kind: APPEND_RESPONSE, term, index: huge, ..Lie::default() },
        Lie { kind: VOTE, term: u64::MAX - 1, index: huge, log_term: huge, ..Lie::default() },
    ];
    for at in 0..3 {
        let to = cluster.id(at);
        for lie in lies {
            let (before, said) = (cluster.member(at).status().term, lie.bytes(stranger, to, None));
            cluster.say(stranger, at, said);
            assert_eq!(cluster.member(at).status().term, before, "a stranger is not listened to");
        }
        for lie in lies {
            let member = cluster.id((at + 1) % 3);
            cluster.say(member, at, lie.bytes(member, to, None));
        }
    }
    cluster.run(300);
    for at in 0..3 {
        assert_eq!(value(&cluster, at, "/a").as_deref(), Some("1"));
    }
}

#[test]
fn a_committed_entry_that_cannot_be_applied_is_skipped() {
    let (mut cluster, leader) = Cluster::led(3);
    let at = (leader + 1) % 3;
    // The leader is cut off, and its voice says what no leader proposes.
    cluster.isolate(leader, true);
    let (from, to) = (cluster.id(leader), cluster.id(at));
    let own = claim(&cluster, at);
    let (index, log_term, term) = (own.last_index.0, own.last_term.0, own.term.0);
    let lie = Lie { kind: APPEND, term, log_term, index, commit: index + 1 };
    let voters = (1..=3_u8).flat_map(|id| [0x12, 4, 0x08, 1, 0x10, id]).collect::<Vec<_>>();
    let unknown_item = [&[2][..], &[0; 16], &[99]].concat();
    let entries = [(2, &voters[..]), (2, b"rubbish"), (0, &unknown_item), (0, b"\x01")];
    for (number, entry) in (0..).zip(entries) {
        let lie = Lie { index: index + number, commit: lie.commit + number, ..lie };
        let lie = if number == 0 { lie } else { Lie { log_term: term, ..lie } };
        cluster.isolate(leader, false);
        cluster.say(from, at, lie.bytes(from, to, Some(entry)));
        cluster.isolate(leader, true);
    }
    assert_eq!(cluster.member(at).entries_skipped(), 4);
    assert_eq!(cluster.member(at).status().applied, LogIndex(index + 4));
    assert!(cluster.member(at).status().is_voter, "the configuration is as it was");
    cluster.stop(at);
    cluster.restart(at);
    assert!(cluster.member(at).status().is_voter);
}

#[test]
fn nobody_joins_under_the_id_of_a_voter() {
    let mut cluster = Cluster::alone();
    let own = cluster.member(0).own();
    assert_eq!(cluster.ask_join(0, own.clone()), Err(EngineError::AlreadyMember));
    cluster.stop(0);
    cluster.restart(0);
    cluster.write(0, &set("/a", "1")).expect("it decides alone");

    let (mut cluster, leader) = Cluster::led(3);
    for at in 0..3 {
        let own = cluster.member(at).own();
        for asked in 0..3 {
            assert_eq!(cluster.ask_join(asked, own.clone()), Err(EngineError::AlreadyMember));
        }
    }
    let new = cluster.join(leader).expect("a new machine may");
    let id = cluster.id(new);
    let forged = Member {
        id,
        name: "other".into(),
        client_url: "http://other:1".into(),
        peer_url: "http://other:2".into(),
        ..Member::default()
    };
    assert_eq!(cluster.ask_join(leader, forged), Err(EngineError::AlreadyMember));
    cluster.settle();
    assert!((0..3).all(|at| cluster.member(at).status().is_voter));
}
