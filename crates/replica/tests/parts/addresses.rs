//! Other addresses for clients than the one of a member's record: asked for by a message, written
//! by a leader, the same everywhere.

use crate::testkit::{Cluster, set};
use replica::{Member, MemberId};
use store::KeyPath;

/// The message with which a member wants to be shown (`wire/envelope.rs`).
fn announcement(text: &str) -> Vec<u8> {
    [&[1, 76], text.as_bytes()].concat()
}

const SECOND: &str = "v04=http%3A%2F%2Fm%3A4001&v2=http%3A%2F%2Fm%3A2379";

/// The key of a member as another one has it.
fn value(cluster: &Cluster, at: usize, name: &str) -> Option<String> {
    let key = format!("/_etcd/machines/{name}");
    let node = cluster.member(at).store().peek(KeyPath::parse(&key).expect("clean"))?;
    node.value().map(str::to_owned)
}

fn known(cluster: &Cluster, at: usize, id: MemberId) -> Member {
    cluster.member(at).membership().member(id).expect("a member").clone()
}

#[test]
fn what_a_member_announces_is_known_everywhere_and_survives_a_restart() {
    let (mut cluster, leader) = Cluster::led(3);
    cluster.settle();
    let (at, id) = ((leader + 1) % 3, cluster.id((leader + 1) % 3));
    let plain = known(&cluster, leader, id);
    // The member itself has one address, and will say so; it must be away for this.
    cluster.crash(at);
    cluster.say(id, leader, announcement(SECOND));
    cluster.settle_but(at);
    for other in (0..3).filter(|other| *other != at) {
        let one = known(&cluster, other, id);
        assert_eq!((one.v04_urls(), one.v2_urls()), (vec!["http://m:4001"], vec!["http://m:2379"]));
        assert_eq!(one.client_url, plain.client_url, "the record stays");
        let value = value(&cluster, other, &plain.name).expect("it is there");
        assert!(value.starts_with("etcd=") && value.ends_with(SECOND), "{value}");
    }
    let other = (leader + 2) % 3;
    cluster.crash(other);
    cluster.restart(other);
    cluster.settle_but(at);
    assert_eq!(known(&cluster, other, id).v2_urls(), ["http://m:2379"], "from its own log");
    // It comes back, and has one address.
    cluster.restart(at);
    cluster.run_until(|cluster| known(cluster, 0, id).urls.is_empty());
    cluster.settle();
    assert_eq!(known(&cluster, at, id), plain);
    cluster.assert_equal();
}

#[test]
fn a_record_alone_does_not_keep_addresses_that_are_closed() {
    let (mut cluster, leader) = Cluster::led(3);
    cluster.settle();
    let (at, id) = ((leader + 1) % 3, cluster.id((leader + 1) % 3));
    let plain = known(&cluster, leader, id);
    cluster.crash(at);
    cluster.say(id, leader, announcement(SECOND));
    cluster.settle_but(at);
    // As a member of an older version writes it, or one that has not caught up: the registry has
    // what the member will say, and the table has what it had before.
    cluster.begin_registration(leader, plain.clone());
    cluster.settle_but(at);
    assert_eq!(known(&cluster, leader, id).v2_urls(), ["http://m:2379"]);
    assert!(!value(&cluster, leader, &plain.name).expect("it is there").contains("v2="));
    cluster.restart(at);
    cluster.run_until(|cluster| (0..3).all(|one| known(cluster, one, id) == plain));
    cluster.assert_equal();
}

#[test]
fn lies_and_old_news_are_not_written() {
    let (mut cluster, leader) = Cluster::led(3);
    cluster.settle();
    let (at, id) = ((leader + 1) % 3, cluster.id((leader + 1) % 3));
    let name = known(&cluster, leader, id).name;
    let before = value(&cluster, leader, &name);
    let index = cluster.member(leader).store().index();
    cluster.crash(at);
    for text in [
        "etcd=http%3A%2F%2Fa%3A1&raft=rubbish",
        "etcd=http%3A%2F%2Fa%3A1%0D%0A&raft=http%3A%2F%2Fa%3A2",
        "v2=http%3A%2F%2Fa%3A1%0D%0AX",
        "v2=ftp%3A%2F%2Fa%3A1",
        "rubbish",
        "",
    ] {
        cluster.say(id, leader, announcement(text));
        cluster.say(MemberId(999), leader, announcement(SECOND));
    }
    cluster.settle_but(at);
    assert_eq!(value(&cluster, leader, &name), before);
    assert_eq!(cluster.member(leader).store().index(), index, "nothing was written");
    // A follower writes nothing whoever asks.
    let follower = (leader + 2) % 3;
    cluster.say(id, follower, announcement(SECOND));
    cluster.settle_but(at);
    assert_eq!(cluster.member(leader).store().index(), index);
}

#[test]
fn the_key_of_a_member_that_leaves_does_not_come_back() {
    for announces_first in [false, true] {
        let (mut cluster, leader) = Cluster::led(4);
        cluster.settle();
        let (at, id) = ((leader + 1) % 4, cluster.id((leader + 1) % 4));
        let name = known(&cluster, leader, id).name;
        cluster.crash(at);
        if announces_first {
            cluster.say(id, leader, announcement(SECOND));
        }
        cluster.begin_removal(leader, id);
        for _ in 0..20 {
            cluster.say(id, leader, announcement(SECOND));
            cluster.turn(leader);
        }
        cluster.settle_but(at);
        assert_eq!(cluster.write(leader, &set("/a", "1")), Ok(()));
        cluster.say(id, leader, announcement(SECOND));
        cluster.settle_but(at);
        for other in (0..4).filter(|other| *other != at) {
            assert!(cluster.member(other).membership().was_removed(id));
            assert_eq!(value(&cluster, other, &name), None, "at {other}");
        }
    }
}
