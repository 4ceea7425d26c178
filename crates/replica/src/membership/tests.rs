//! Members and the registry, and what a member is told.

use super::*;

#[test]
fn keys_look_as_those_of_the_original() {
    let member = Member {
        id: MemberId(7),
        name: "m0".into(),
        client_url: "http://127.0.0.1:14001".into(),
        peer_url: "http://127.0.0.1:17001".into(),
        ..Member::default()
    };
    assert_eq!(
        member.registry_value(),
        "etcd=http%3A%2F%2F127.0.0.1%3A14001&raft=http%3A%2F%2F127.0.0.1%3A17001"
    );
    let config = ClusterConfig { remove_delay: 2.5, ..ClusterConfig::default() };
    assert_eq!(
        config.registry_value(),
        "{\"activeSize\":9,\"removeDelay\":2.5,\"syncInterval\":5}"
    );
}

#[test]
fn other_addresses_stay_until_the_registry_says_otherwise() {
    let list = |urls: &[&str]| urls.iter().map(|url| (*url).to_owned()).collect();
    let urls = ClientUrls::new(list(&["http://c:1"]), list(&["http://c:2", "http://c:3"]));
    let plain = Member {
        id: MemberId(7),
        name: "m0".into(),
        client_url: "http://c:1".into(),
        peer_url: "http://p:1".into(),
        ..Member::default()
    };
    assert_eq!((plain.v04_urls(), plain.v2_urls()), (vec!["http://c:1"], vec!["http://c:1"]));
    let whole = Member { urls: urls.clone(), ..plain.clone() };
    assert_eq!(whole.v04_urls(), ["http://c:1"]);
    assert_eq!(whole.v2_urls(), ["http://c:2", "http://c:3"]);
    assert!(plain.has_record_of(&whole));
    let mut bytes = (Vec::new(), Vec::new());
    plain.encode(&mut bytes.0);
    whole.encode(&mut bytes.1);
    assert_eq!(bytes.0, bytes.1, "the record is what it always was");
    let mut table = Membership::default();
    table.register(plain.clone());
    assert!(table.note_value("/_etcd/machines/m0", &whole.registry_value()));
    table.register(Member { peer_url: "http://p:2".into(), ..plain.clone() });
    assert_eq!(table.member(MemberId(7)).map(|one| one.urls.clone()), Some(urls));
    for (path, is_member) in [
        ("/_etcd/machines/m1", false),
        ("/_etcd/machines/", false),
        ("/_etcd/config", false),
        ("/m0", false),
        ("/_etcd/machines/m0", true),
    ] {
        assert_eq!(table.note_value(path, &plain.registry_value()), is_member, "{path}");
    }
    assert_eq!(table.member(MemberId(7)).map(|one| one.urls.is_empty()), Some(true));
    let only_v2 = Member { urls: ClientUrls::new(Vec::new(), list(&["http://c:2"])), ..plain };
    assert_eq!(only_v2.v04_urls(), ["http://c:2"], "it is named by what it has");
    assert!(Member::default().v2_urls().is_empty());
}

#[test]
fn an_expected_machine_is_no_member_until_it_has_a_name() {
    let machine = |id, name: &str, at: &str| Member {
        id: MemberId(id),
        name: name.into(),
        client_url: String::new(),
        peer_url: format!("http://{at}:7001"),
        ..Member::default()
    };
    let mut table = Membership::founded_by(vec![MemberId(1)], vec![machine(1, "a", "a")]);
    table.expect(machine(2, "", "b"));
    table.expect(machine(3, "", "b"));
    table.expect(machine(4, "", "a"));
    table.expect(machine(1, "", "c"));
    let expected: Vec<u64> = table.expected().map(|one| one.id.0).collect();
    assert_eq!(expected, [2], "addresses are unique and members stay members");
    assert_eq!((table.members().count(), table.member(MemberId(2))), (1, None));
    table.forget(MemberId(1));
    assert_eq!(table.members().count(), 1, "a member is not forgotten");
    table.register(machine(2, "b", "b"));
    table.forget(MemberId(2));
    assert_eq!((table.members().count(), table.expected().count()), (2, 0));
    for id in 10..200 {
        table.expect(machine(id, "", &format!("h{id}")));
    }
    assert_eq!(table.expected().count(), EXPECTED_MAX);
    table.forget(MemberId(10));
    table.expect(machine(10, "", "h10"));
    assert!(table.was_removed(MemberId(10)), "an id never comes back");
    assert_eq!(table.expected().count(), EXPECTED_MAX - 1);
}

#[test]
fn the_table_round_trips_and_truncation_is_noticed() {
    let mut table = Membership::founded_by(vec![MemberId(1)], Vec::new());
    table.register(Member {
        id: MemberId(1),
        name: "a".into(),
        client_url: "http://a:4001".into(),
        peer_url: "http://a:7001".into(),
        ..Member::default()
    });
    table.remove(MemberId(9), false);
    let whole = |table: &Membership| {
        let mut bytes = Vec::new();
        table.encode(&mut bytes);
        assert_eq!(Membership::decode(&mut bytes.as_slice()).as_ref(), Ok(table));
        for len in 0..bytes.len() {
            assert!(Membership::decode(&mut bytes.get(..len).expect("shorter")).is_err());
        }
        bytes
    };
    let old = whole(&table);
    table.remove(MemberId(10), true);
    assert_eq!(table.removal(MemberId(9)), Some(Removal::Plain));
    assert_eq!(table.removal(MemberId(10)), Some(Removal::Final));
    assert_eq!(table.removal(MemberId(11)), None);
    let new = whole(&table);
    // Two more ids, and one more list of one.
    assert_eq!(new.len(), old.len() + 8 + 4 + 8, "a table without them is as it always was");
    let mut unknown = old.clone();
    let flags = unknown.len() - (4 + 8) - (4 + 8) - 1;
    assert_eq!(unknown[flags], 0, "the place of the flags");
    unknown[flags] = 4;
    assert!(Membership::decode(&mut unknown.as_slice()).is_err(), "a flag of the future");
    let mut foreign = new;
    *foreign.last_mut().expect("an id") = 77;
    assert!(Membership::decode(&mut foreign.as_slice()).is_err(), "expelled and not removed");
}

#[test]
fn those_that_left_are_remembered_up_to_a_bound() {
    let mut table = Membership::founded_by(vec![MemberId(1)], Vec::new());
    for id in 2..REMOVED_MAX as u64 + 3 {
        table.remove(MemberId(id), true);
    }
    assert_eq!((table.removed.len(), table.expelled.len()), (REMOVED_MAX, REMOVED_MAX));
    assert_eq!(table.removal(MemberId(2)), None, "forgotten");
    assert_eq!(table.removal(MemberId(3)), Some(Removal::Final));
}
