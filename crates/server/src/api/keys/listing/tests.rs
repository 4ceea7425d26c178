//! Listings whole and in pieces, compared with a printer that does the obvious.

use super::*;
use proptest::prelude::*;
use store::{Command, Limits, Store, Timestamp};

/// 2026-11-23T07:08:54Z.
const NOW: Stamp =
    Stamp { time: Timestamp(1_795_417_734_000_000_000), wall_offset: store::WallOffset(0) };

fn set(store: &mut Store, key: &str, value: &str, dir: bool, ttl: Option<i64>) {
    let path = KeyPath::parse(key).expect("clean");
    let command = Command::Set { path, value, dir, ttl, refresh: false };
    // A file may be in the way of what a test wants; the tree is what comes of it.
    let _ = store.apply(&command, NOW, &mut Vec::new());
}

fn filled() -> Store {
    let mut store = Store::new(Limits::default());
    for key in ["/a", "/d/x", "/d/y/z", "/d/_h/q", "/_top", "/e<&"] {
        set(&mut store, key, "v", false, None);
    }
    store
}

/// So many bytes, whatever has to be looked at for them.
fn bytes(bytes: usize) -> Portion {
    Portion { bytes, visits: usize::MAX }
}

/// Prints a listing, asking for so many bytes at a time; and the same, looking at so many children
/// at a time.
fn list(store: &Store, path: &str, recursive: bool, dialect: Dialect, step: usize) -> String {
    let by_visits = list_by_visits(store, path, recursive, dialect, step);
    let path = KeyPath::parse(path).expect("clean");
    let node = store.get(path).expect("is there");
    let mut out = Vec::new();
    let mut listing =
        Listing::start(&mut out, path, node, Style { recursive, hidden: false, dialect, now: NOW });
    while !listing.is_done() {
        let before = out.len();
        listing.fill(&mut out, bytes(before.saturating_add(step)));
        assert!(out.len() > before, "a listing gets on whenever it is asked to");
    }
    let text = String::from_utf8(out).expect("valid text");
    assert_eq!(by_visits, text);
    text
}

fn list_by_visits(
    store: &Store,
    path: &str,
    recursive: bool,
    dialect: Dialect,
    visits: usize,
) -> String {
    let path = KeyPath::parse(path).expect("clean");
    let node = store.get(path).expect("is there");
    let mut out = Vec::new();
    let style = Style { recursive, hidden: false, dialect, now: NOW };
    let mut listing = Listing::start(&mut out, path, node, style);
    while !listing.is_done() {
        listing.fill(&mut out, Portion { bytes: usize::MAX, visits });
    }
    String::from_utf8(out).expect("valid text")
}

/// What is not shown costs time as well, so that a listing of it comes in pieces too.
#[test]
fn hidden_children_are_passed_over_a_portion_at_a_time() {
    let mut store = Store::new(Limits::default());
    for at in 0..1000 {
        set(&mut store, &format!("/h/_{at:04}"), "v", false, None);
    }
    set(&mut store, "/h/shown", "v", false, None);
    let path = KeyPath::parse("/h").expect("clean");
    let mut out = Vec::new();
    let style = Style { recursive: false, hidden: false, dialect: Dialect::V04, now: NOW };
    let node = store.get(path).expect("is there");
    let mut listing = Listing::start(&mut out, path, node, style);
    let head = out.len();
    let mut portions = 0;
    while !listing.is_done() {
        let before = out.len();
        listing.fill(&mut out, Portion { bytes: usize::MAX, visits: 100 });
        portions += 1;
        assert!(portions > 10 || out.len() == before, "nothing is to be shown yet");
    }
    assert_eq!(portions, 11);
    let text = String::from_utf8(out.split_off(head)).expect("text");
    assert!(text.contains("/h/shown") && !text.contains("/h/_"), "{text}");
    assert_eq!(text, list(&store, "/h", false, Dialect::V04, usize::MAX).split_off(head));
}

/// Prints a node by recursion over the tree.
fn naive(node: &Node, key: &str, depth: usize, dialect: Dialect) -> String {
    let string = |text: &str| {
        let mut out = Vec::new();
        json::put_string(&mut out, text, dialect == Dialect::V2);
        String::from_utf8(out).expect("text")
    };
    let mut members = Vec::new();
    if key != "/" || dialect == Dialect::V04 {
        members.push(format!("\"key\":{}", string(key)));
    }
    members.push(match node.value() {
        Some(value) => format!("\"value\":{}", string(value)),
        None => "\"dir\":true".to_owned(),
    });
    if let Some((expiration, ttl)) = crate::http::time::expiration(node, NOW) {
        members.push(format!("\"expiration\":\"{}\"", crate::http::time::rfc3339(expiration)));
        members.extend((ttl != 0).then(|| format!("\"ttl\":{ttl}")));
    }
    let parent = if key == "/" { "" } else { key };
    let children: Vec<_> = node
        .children()
        .filter(|(name, _)| depth > 0 && !name.starts_with('_'))
        .map(|(name, child)| naive(child, &format!("{parent}/{name}"), depth - 1, dialect))
        .collect();
    if !children.is_empty() {
        members.push(format!("\"nodes\":[{}]", children.join(",")));
    }
    for (name, index) in [("modifiedIndex", node.modified()), ("createdIndex", node.created())] {
        members.extend((index.0 != 0).then(|| format!("\"{name}\":{}", index.0)));
    }
    format!("{{{}}}", members.join(","))
}

fn naive_body(store: &Store, key: &str, recursive: bool, dialect: Dialect) -> String {
    let path = KeyPath::parse(key).expect("clean");
    let node = store.get(path).expect("is there");
    let depth = if recursive { usize::MAX } else { 1 };
    let end = if dialect == Dialect::V2 { "\n" } else { "" };
    format!("{{\"action\":\"get\",\"node\":{}}}{end}", naive(&node, key, depth, dialect))
}

#[test]
fn hidden_nodes_are_left_out_below_but_not_at_the_path_itself() {
    let store = filled();
    let whole = list(&store, "/d", true, Dialect::V04, usize::MAX);
    assert_eq!(
        whole,
        "{\"action\":\"get\",\"node\":{\"key\":\"/d\",\"dir\":true,\"nodes\":[\
         {\"key\":\"/d/x\",\"value\":\"v\",\"modifiedIndex\":2,\"createdIndex\":2},\
         {\"key\":\"/d/y\",\"dir\":true,\"nodes\":[\
         {\"key\":\"/d/y/z\",\"value\":\"v\",\"modifiedIndex\":3,\"createdIndex\":3}],\
         \"modifiedIndex\":3,\"createdIndex\":3}],\"modifiedIndex\":2,\"createdIndex\":2}}"
    );
    assert!(list(&store, "/d/_h", false, Dialect::V04, usize::MAX).contains("/d/_h/q"));
    let root = list(&store, "/", false, Dialect::V2, usize::MAX);
    assert!(root.starts_with("{\"action\":\"get\",\"node\":{\"dir\":true,\"nodes\":["), "{root}");
    assert!(root.contains("/e\\u003c\\u0026") && root.ends_with("}}\n"), "{root}");
}

#[test]
fn the_root_has_a_name_in_one_dialect_and_indexes_in_none() {
    let store = Store::new(Limits::default());
    for recursive in [false, true] {
        let root = |dialect| list(&store, "/", recursive, dialect, usize::MAX);
        let want = "{\"action\":\"get\",\"node\":{\"key\":\"/\",\"dir\":true}}";
        assert_eq!(root(Dialect::V04), want);
        assert_eq!(root(Dialect::V2), "{\"action\":\"get\",\"node\":{\"dir\":true}}\n");
    }
    let mut store = store;
    set(&mut store, "/_hidden", "v", false, None);
    assert!(!list(&store, "/", true, Dialect::V04, usize::MAX).contains("nodes"));
}

#[test]
fn only_the_children_of_the_target_are_listed_unless_all_are_wanted() {
    let store = filled();
    let flat = list(&store, "/", false, Dialect::V04, usize::MAX);
    let want = "{\"key\":\"/d\",\"dir\":true,\"modifiedIndex\":2,\"createdIndex\":2}";
    assert!(flat.contains(want), "{flat}");
    assert!(!flat.contains("/d/"), "{flat}");
}

#[test]
fn siblings_are_sorted_by_their_bytes() {
    let mut store = Store::new(Limits::default());
    for name in ["10", "9", "a", "B", "\u{e9}", "a.b", "a0"] {
        set(&mut store, &format!("/q/{name}"), "", false, None);
    }
    let text = list(&store, "/q", true, Dialect::V04, usize::MAX);
    let body: serde_json::Value = serde_json::from_str(&text).expect("valid JSON");
    let nodes = body["node"]["nodes"].as_array().expect("nodes");
    let keys: Vec<_> = nodes.iter().filter_map(|node| node["key"].as_str()).collect();
    assert_eq!(keys, ["/q/10", "/q/9", "/q/B", "/q/a", "/q/a.b", "/q/a0", "/q/\u{e9}"]);
}

/// Children are looked at in groups; directories to descend into and hidden names cut them.
#[test]
fn directories_of_every_size_are_listed_whole() {
    for len in [1, 15, 16, 17, 33, 100] {
        let mut store = Store::new(Limits::default());
        for number in 0..len {
            let key = match number % 7 {
                3 => format!("/g/{number}/below"),
                5 => format!("/g/_{number}"),
                _ => format!("/g/{number}"),
            };
            set(&mut store, &key, "v", false, None);
        }
        for recursive in [false, true] {
            let want = naive_body(&store, "/g", recursive, Dialect::V04);
            for step in [1, 300, usize::MAX] {
                assert_eq!(list(&store, "/g", recursive, Dialect::V04, step), want, "{len}");
            }
        }
    }
}

/// The tree under a listing may change, or go, while a slow client takes it.
#[test]
fn a_listing_shows_one_moment_whatever_happens_meanwhile() {
    let mut store = filled();
    let want = list(&store, "/", true, Dialect::V04, usize::MAX);
    let mut out = Vec::new();
    let node = store.get(KeyPath::ROOT).expect("is there");
    let style = Style { recursive: true, hidden: false, dialect: Dialect::V04, now: NOW };
    let mut listing = Listing::start(&mut out, KeyPath::ROOT, node, style);
    for round in 0.. {
        set(&mut store, &format!("/d/y/new{round}"), "w", false, None);
        set(&mut store, "/a", "changed", false, None);
        let path = KeyPath::parse("/d").expect("clean");
        let delete = Command::Delete { path, dir: true, recursive: true };
        store.apply(&delete, NOW, &mut Vec::new()).expect("applies");
        if listing.is_done() {
            break;
        }
        let len = out.len() + 1;
        listing.fill(&mut out, bytes(len));
    }
    assert_eq!(String::from_utf8(out).as_deref(), Ok(&*want));
}

#[test]
fn a_deep_tree_needs_no_deep_stack() {
    let mut store = Store::new(Limits::default());
    let key = "/d".repeat(store::DEPTH_MAX);
    set(&mut store, &key, "v", false, None);
    let whole = list(&store, "/", true, Dialect::V04, usize::MAX);
    assert_eq!(whole.matches("\"dir\":true").count(), store::DEPTH_MAX);
    assert!(whole.ends_with(&format!(
        "{}}}}}",
        "],\"modifiedIndex\":1,\"createdIndex\":1}".repeat(store::DEPTH_MAX - 1) + "]"
    )));
    assert_eq!(list(&store, "/", true, Dialect::V04, 1), whole);
}

#[test]
fn pieces_are_as_large_as_is_asked_for() {
    let mut store = Store::new(Limits::default());
    for at in 0..2000 {
        set(&mut store, &format!("/many/{at}"), &"x".repeat(50), false, None);
    }
    let path = KeyPath::parse("/many").expect("clean");
    let node = store.get(path).expect("is there");
    let mut out = Vec::new();
    let style = Style { recursive: true, hidden: false, dialect: Dialect::V2, now: NOW };
    let mut listing = Listing::start(&mut out, path, node, style);
    let mut pieces = Vec::new();
    while !listing.is_done() {
        out.clear();
        listing.fill(&mut out, bytes(4096));
        pieces.push(out.len());
    }
    let last = pieces.pop();
    assert!(last.is_some_and(|len| len <= 4096 + 200), "{last:?}");
    assert!(pieces.len() > 20);
    assert!(pieces.iter().all(|len| (4096..4096 + 200).contains(len)), "{pieces:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_listing_is_what_a_simple_printer_prints(
        keys in prop::collection::vec(
            ("(/[ab_<\u{fffd}\u{e9}]{1,2}){1,4}", "[x\"\\n]{0,3}", any::<bool>(), 0..3_i64), 0..30),
        at in any::<prop::sample::Index>(),
        recursive in any::<bool>(),
        v2 in any::<bool>(),
        step in 1..300_usize,
    ) {
        let mut store = Store::new(Limits::default());
        for (key, value, dir, ttl) in &keys {
            set(&mut store, key, value, *dir, (*ttl > 0).then_some(*ttl));
        }
        let key = if keys.is_empty() { "/" } else { &*keys[at.index(keys.len())].0 };
        let is_there = KeyPath::parse(key).is_ok_and(|path| store.get(path).is_ok());
        let key = if is_there { key } else { "/" };
        let dialect = if v2 { Dialect::V2 } else { Dialect::V04 };
        let want = naive_body(&store, key, recursive, dialect);
        prop_assert_eq!(&list(&store, key, recursive, dialect, usize::MAX), &want);
        prop_assert_eq!(&list(&store, key, recursive, dialect, step), &want);
        serde_json::from_str::<serde_json::Value>(&want).expect("valid JSON");
    }
}
