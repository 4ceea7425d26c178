//! Locks in a cluster: any member serves, and members may die.

use std::net::SocketAddr;
use std::time::Duration;

use super::crowd::crowd;
use super::{SOON, Waiter, acquire, held, queue, release, values, wait_for_values};
use crate::cluster::kit::Cluster;
use crate::testkit::http::send;
use crate::testkit::{Request, wait_until};

/// A cluster of three, with the leader's number and those of the followers.
fn three(label: &str) -> (Cluster, usize, [usize; 2]) {
    let cluster = Cluster::start(label, 3, "");
    let leader = cluster.leader();
    let followers = [(leader + 1) % 3, (leader + 2) % 3];
    (cluster, leader, followers)
}

/// Releases an entry at a member that may have to find a leader first.
fn release_soon(addr: SocketAddr, name: &str, index: u64) {
    let request = Request::delete(&format!("/mod/v2/lock/{name}?index={index}"));
    wait_until("the entry is released", SOON, || {
        // An attempt that was refused may have been carried out, and then it is not found.
        send(addr, &request).is_ok_and(|answer| matches!(answer.status(), 200 | 404))
    });
}

#[test]
fn fifty_clients_take_turns_at_three_members() {
    let cluster = Cluster::start("lock-members", 3, "");
    crowd(&cluster.addrs(), "popular");
    assert_eq!(queue(cluster.addrs()[0], "popular"), []);
    cluster.wait_equal();
}

#[test]
fn a_queue_outlives_the_leader_with_nobody_skipped() {
    let (mut cluster, leader, followers) = three("lock-leader-dies");
    let [one, other] = followers.map(|at| cluster.machines[at].addr());
    let first = held(&acquire(one, "a", "ttl=60&value=first"));
    let mut waiters = Vec::new();
    for place in 1..7 {
        let addr = if place % 2 == 0 { one } else { other };
        let form = format!("ttl=60&value=w{place}");
        let (waiter, index) = Waiter::placed(addr, "a", &form, place);
        waiters.push((waiter, index, addr));
    }
    cluster.machines[leader].kill();
    let (mut last, mut from) = (first, one);
    for (waiter, index, addr) in &mut waiters {
        assert!(*index > last, "places are given out in order");
        release_soon(from, "a", last);
        assert_eq!(waiter.held(), *index, "somebody was skipped");
        (last, from) = (*index, *addr);
    }
    assert_eq!(queue(one, "a"), [(last, "w6".to_owned())]);
}

#[test]
fn those_who_wait_at_a_member_that_dies_make_room() {
    let (mut cluster, _, [dies, lives]) = three("lock-member-dies");
    let (addr, other) = (cluster.machines[lives].addr(), cluster.machines[dies].addr());
    let first = held(&acquire(addr, "a", "ttl=60&value=first"));
    let (_lost, _) = Waiter::placed(other, "a", "ttl=3&value=lost", 1);
    let (mut next, index) = Waiter::placed(addr, "a", "ttl=60&value=next", 2);
    cluster.machines[dies].kill();
    release(addr, "a", &format!("index={first}"));
    assert_eq!(next.held(), index);
    assert_eq!(values(addr, "a"), ["next"]);
}

#[test]
fn a_client_that_comes_back_at_another_member_keeps_its_place() {
    let (cluster, _, followers) = three("lock-moves");
    let [one, other] = followers.map(|at| cluster.machines[at].addr());
    let first = held(&acquire(one, "a", "ttl=60&value=first"));
    let (mover, place) = Waiter::placed(one, "a", "ttl=600&value=mover", 1);
    let (_behind, _) = Waiter::placed(one, "a", "ttl=600&value=behind", 2);
    let touched = |addr| {
        let path = format!("/v2/keys/_etcd/mod/lock/a/{place}?quorum=true");
        crate::testkit::ask(addr, &Request::get(&path)).json()["node"]["modifiedIndex"].as_u64()
    };
    let before = touched(other);
    let mut again = Waiter::post(other, "a", "ttl=600&value=mover");
    wait_until("it is back", SOON, || touched(other) > before);
    // The first connection is only now found to be gone.
    drop(mover);
    let (late, _) = Waiter::placed(one, "a", "ttl=600&value=late", 3);
    assert_eq!(values(other, "a"), ["first", "mover", "behind", "late"]);
    drop(late);
    wait_for_values(other, "a", &["first", "mover", "behind"]);
    release(one, "a", &format!("index={first}"));
    assert_eq!(again.held(), place);
}

#[test]
fn time_outs_and_hang_ups_are_noticed_at_any_member() {
    let (cluster, leader, followers) = three("lock-follower");
    let addrs = [leader, followers[0], followers[1]].map(|at| cluster.machines[at].addr());
    let index = held(&acquire(addrs[1], "a", "ttl=60&value=first"));
    for addr in addrs {
        for (form, seconds) in [("ttl=60&timeout=0", 0), ("ttl=60&timeout=1", 1)] {
            let answer = acquire(addr, "a", form);
            let cause = format!("Acquire: timed out after {seconds}s");
            super::assert_refused(&answer, (412, 101, "Compare failed", &cause));
        }
        let (waiter, _) = Waiter::placed(addr, "a", "ttl=60", 1);
        drop(waiter);
        wait_for_values(addr, "a", &["first"]);
        let read = crate::testkit::ask(addr, &Request::get("/mod/v2/lock/a?field=index"));
        assert_eq!(read.text(), index.to_string());
    }
    // The holder expires everywhere at once.
    let cut = Request::put("/mod/v2/lock/a", &format!("index={index}&ttl=1"));
    assert_eq!(crate::testkit::ask(addrs[2], &cut).status(), 200);
    let mut next = Waiter::post(addrs[2], "a", "ttl=60&value=next");
    assert!(held(&next.answer(SOON + Duration::from_secs(1))) > index);
}
