//! Stores that are made of given nodes and events: that they are what was given, and that what
//! cannot be is refused.

mod testkit;

use proptest::prelude::*;
use store::{
    Action, Command, Event, GivenEvent, GivenNode, INDEX_RAISED_MAX, InOrder, Limits, Node, Stamp,
    Store, StoreBuilder, StoreIndex, Timestamp, WallOffset, WatchFilter,
};
use testkit::{SECOND, START, cases, outcome_text, path, reloaded, store_lines};

fn stamp(seconds: u64) -> Stamp {
    Stamp { time: Timestamp(START + seconds * SECOND), wall_offset: WallOffset(3) }
}

fn given(node: &Node) -> GivenNode {
    GivenNode {
        value: node.value().map(str::to_owned),
        created: node.created(),
        modified: node.modified(),
        deadline: node.deadline(),
    }
}

/// All nodes in the order of a walk.
fn nodes(store: &Store) -> Vec<(String, GivenNode)> {
    let root = store.peek(path("/")).expect("there is always a root");
    let (mut found, mut open) = (Vec::new(), vec![(String::new(), root)]);
    while let Some((key, node)) = open.pop() {
        if !key.is_empty() {
            found.push((key.clone(), given(&node)));
        }
        let children: Vec<_> =
            node.children().map(|(name, child)| (format!("{key}/{name}"), child.clone())).collect();
        open.extend(children.into_iter().rev());
    }
    found
}

/// All events that are kept, refreshes too.
fn events(store: &Store) -> Vec<GivenEvent> {
    let from = store.oldest_event().map_or(store.index().0 + 1, |oldest| oldest.0);
    let indexes = (from..=store.index().0).map(StoreIndex);
    let of = |event: &Event| GivenEvent {
        action: event.action,
        key: event.key.to_string(),
        index: event.index,
        created: event.created,
        node: event.node.as_ref().map(given),
        prev: event.prev.as_ref().map(given),
        refresh: event.refresh,
    };
    indexes.filter_map(|index| store.event(index)).map(|event| of(&event)).collect()
}

fn made(index: StoreIndex, stamp: Stamp, nodes: Vec<(String, GivenNode)>) -> Result<Store, String> {
    let mut builder =
        StoreBuilder::new(index, stamp, Limits::default()).map_err(|error| error.to_string())?;
    for (key, node) in nodes {
        builder.add(&key, node).map_err(|error| error.to_string())?;
    }
    Ok(builder.finish())
}

#[derive(Clone, Debug)]
enum Step {
    Set(String, String, bool, Option<i64>),
    Post(String),
    Update(String, String, Option<i64>, bool),
    Delete(String),
    Raise(u64),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let name = prop_oneof![
        4 => Just("a"), 4 => Just("b"), 2 => Just("a-b"), 2 => Just("_h"), 1 => Just("\u{4f60}"),
        1 => Just("a name that is too long for a page"),
    ];
    let key = prop::collection::vec(name, 1..5).prop_map(|names| format!("/{}", names.join("/")));
    let value = prop_oneof![Just(String::new()), "[a-c]", Just("long".repeat(400))];
    let ttl = prop_oneof![3 => Just(None), 2 => (0..20_i64).prop_map(Some)];
    (key, value, ttl, any::<bool>(), 0..100_u8).prop_map(|(key, value, ttl, flag, kind)| match kind
    {
        0..40 => Step::Set(key, value, flag, ttl),
        40..55 => Step::Post(key),
        55..75 => Step::Update(key, value, ttl, flag),
        75..85 => Step::Delete(key),
        85..87 => Step::Raise(5),
        _ => Step::Pass(3),
    })
}

fn apply(store: &mut Store, step: &Step, now: &mut u64) -> String {
    let command = match step {
        Step::Set(key, value, dir, ttl) => {
            let value = if *dir { "" } else { value };
            Command::Set { path: path(key), value, dir: *dir, ttl: *ttl, refresh: false }
        }
        Step::Post(key) => Command::Create {
            path: path(key),
            value: "job",
            dir: false,
            ttl: None,
            in_order: Some(InOrder::Padded),
        },
        Step::Update(key, value, ttl, refresh) => {
            Command::Update { path: path(key), value, ttl: *ttl, refresh: *refresh }
        }
        Step::Delete(key) => Command::Delete { path: path(key), dir: true, recursive: true },
        Step::Raise(by) => Command::RaiseIndex { at_least: store.index().0 + by },
        Step::Pass(seconds) => {
            *now += seconds;
            Command::Expire { limit: 100 }
        }
    };
    outcome_text(&store.apply(&command, stamp(*now), &mut Vec::new()))
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn a_store_of_the_nodes_of_another_one_is_that_one(
        before in prop::collection::vec(step(), 0..60),
        after in prop::collection::vec(step(), 1..20),
    ) {
        let (mut store, mut now) = (Store::new(Limits::default()), 0);
        for step in &before {
            apply(&mut store, step, &mut now);
        }
        let mut copy = made(store.index(), stamp(now), nodes(&store)).expect("it was a store");
        prop_assert_eq!(copy.oldest_event(), None);
        let kept = events(&store);
        let cleared = kept.first().map_or(store.index(), |event| StoreIndex(event.index.0 - 1));
        copy.recall(cleared, kept.clone()).expect("they were events");
        prop_assert_eq!(copy.index(), store.index());
        prop_assert_eq!(copy.next_deadline(), store.next_deadline());
        prop_assert_eq!(store_lines(&copy), store_lines(&store));
        prop_assert_eq!(nodes(&copy), nodes(&store));
        prop_assert_eq!(&events(&copy), &kept);
        let again = reloaded(&copy, Limits::default());
        prop_assert_eq!(nodes(&again), nodes(&store));
        prop_assert_eq!(&events(&again), &kept);
        // Both go on in the same way.
        for step in &after {
            let mut then = now;
            prop_assert_eq!(apply(&mut copy, step, &mut then), apply(&mut store, step, &mut now));
        }
        prop_assert_eq!(nodes(&copy), nodes(&store));
        let watch = WatchFilter { path: "/".into(), recursive: true, hidden: false };
        prop_assert!(copy.next_event(&watch, cleared).is_err() || cleared == StoreIndex(0));
    }
}

fn file(value: &str, created: u64, modified: u64) -> GivenNode {
    let (created, modified) = (StoreIndex(created), StoreIndex(modified));
    GivenNode { value: Some(value.to_owned()), created, modified, deadline: None }
}

fn dir(index: u64) -> GivenNode {
    GivenNode { value: None, ..file("", index, index) }
}

/// Why nodes are refused at index 9.
fn refusal(nodes: &[(&str, GivenNode)]) -> String {
    let nodes = nodes.iter().map(|(key, node)| ((*key).to_owned(), node.clone())).collect();
    made(StoreIndex(9), stamp(0), nodes).expect_err("they cannot be")
}

#[test]
fn nodes_that_cannot_be_are_refused() {
    let one = || file("1", 1, 2);
    let no_directory = "the directory that it is in was not given";
    for (nodes, want) in [
        (vec![("/a/b", one())], format!("/a/b: {no_directory}")),
        (vec![("/a", one()), ("/a/b", one())], format!("/a/b: {no_directory}")),
        (vec![("/a", dir(1)), ("/a/b/c", one())], format!("/a/b/c: {no_directory}")),
        (vec![("/a", dir(1)), ("/ab/c", one())], format!("/ab/c: {no_directory}")),
        (vec![("/a", one()), ("/a", one())], "/a: names are not in order".to_owned()),
        (vec![("/b", dir(1)), ("/b/x", one()), ("/a", one())], "/a: names are not".to_owned()),
        (
            vec![("/a", dir(1)), ("/a/b", one()), ("/c", one()), ("/a/d", one())],
            format!("/a/d: {no_directory}"),
        ),
        (vec![("/a", file("1", 3, 2))], "/a: it was changed before it was made".to_owned()),
        (vec![("/a", file("1", 1, 10))], "/a: it was changed at an index that is".to_owned()),
        (vec![("/\n", dir(10))], "/\\n: it was changed at an index that is yet".to_owned()),
    ] {
        let refused = refusal(&nodes);
        assert!(refused.starts_with(&want), "{nodes:?}: {refused}");
    }
    for key in ["", "/", "a", "//a", "/a/", "/a/../b", "/.", &"/d".repeat(1002)] {
        let refused = refusal(&[(key, one())]);
        assert!(refused.contains("not a clean path, or has too many components"), "{refused}");
        assert!(refused.len() < 300, "{refused}");
    }
    let above = StoreIndex(INDEX_RAISED_MAX + 1);
    assert!(StoreBuilder::new(above, stamp(0), Limits::default()).is_err());
}

#[test]
fn nodes_may_lie_as_deep_as_commands_can_put_them() {
    let deep = |depth: usize| {
        let mut nodes: Vec<_> = (1..depth).map(|depth| ("/d".repeat(depth), dir(1))).collect();
        nodes.push(("/d".repeat(depth), file("1", 1, 1)));
        made(StoreIndex(1), stamp(0), nodes)
    };
    let store = deep(1001).expect("an in-order key may be there");
    assert_eq!(store_lines(&reloaded(&store, Limits::default())), store_lines(&store));
    assert!(deep(1002).is_err());
}

fn event(action: Action, index: u64, node: Option<GivenNode>) -> GivenEvent {
    let (index, created) = (StoreIndex(index), StoreIndex(1));
    GivenEvent { action, key: "/a".to_owned(), index, created, node, prev: None, refresh: false }
}

#[test]
fn events_that_cannot_be_are_refused_and_change_nothing() {
    let nodes = vec![("/a".to_owned(), file("1", 1, 2))];
    let mut store = made(StoreIndex(9), stamp(0), nodes).expect("they can be");
    let set = |index| event(Action::Set, index, Some(file("1", 1, 2)));
    store.recall(StoreIndex(1), [set(2), set(4)]).expect("they can be");
    let unclean = GivenEvent { key: "/a//b".to_owned(), ..set(5) };
    for (after, events, want) in [
        (1, vec![set(4), set(3)], "/a: an event is not in order"),
        (4, vec![set(4)], "/a: an event is not in order"),
        (1, vec![set(10)], "/a: an event has an index above the store's"),
        (1, vec![event(Action::Set, 0, None)], "/a: an event is not in order"),
        (1, vec![event(Action::Set, 3, None)], "/a: an event's node does not go with its action"),
        (1, vec![event(Action::Delete, 3, Some(dir(1)))], "/a: an event's node does not go with"),
        (1, vec![event(Action::Set, 3, Some(file("", 1, 4)))], "/a: it was changed at an index"),
        (1, vec![GivenEvent { created: StoreIndex(8), ..set(3) }], "/a: an event changes a node"),
        (1, vec![unclean], "/a//b: the key is not a clean path"),
        (10, vec![], "the history cannot begin after 10, above the index"),
    ] {
        let refused = store.recall(StoreIndex(after), events).expect_err("they cannot be");
        assert!(refused.to_string().starts_with(want), "{refused}");
        assert_eq!(events_of(&store), [2, 4]);
    }
    store.recall(StoreIndex(9), []).expect("there may be none");
    assert_eq!(events_of(&store), []);
}

fn events_of(store: &Store) -> Vec<u64> {
    events(store).iter().map(|event| event.index.0).collect()
}

/// What an event shows as `ttl` is counted from its time: never after its node's end.
#[test]
fn an_event_is_not_later_than_the_deadline_of_its_node() {
    let mut store = made(StoreIndex(9), stamp(50), Vec::new()).expect("it may be empty");
    let ends = |seconds| GivenNode { deadline: Some(stamp(seconds).time), ..file("1", 1, 1) };
    let expired = GivenEvent { prev: Some(ends(20)), ..event(Action::Expire, 3, None) };
    let lives = event(Action::Set, 4, Some(ends(70)));
    store.recall(StoreIndex(2), [expired, lives]).expect("they can be");
    let times = [3, 4].map(|index| store.event(StoreIndex(index)).expect("it is kept").stamp.time);
    assert_eq!(times, [stamp(20).time, stamp(50).time]);
}
