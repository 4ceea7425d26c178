//! Pages against a list of all nodes that does the obvious.

use super::*;
use crate::api::keys::filter::Filter;
use crate::api::keys::request::view::{Order, OrderBy};
use proptest::prelude::*;
use serde_json::Value;
use store::{Command, Limits, Stamp, Store, Timestamp};

/// 2026-11-23T07:08:54Z.
const NOW: Stamp =
    Stamp { time: Timestamp(1_795_417_734_000_000_000), wall_offset: store::WallOffset(0) };

fn set(store: &mut Store, key: &str, value: &str, ttl: Option<i64>) {
    let path = KeyPath::parse(key).expect("clean");
    let command = Command::Set { path, value, dir: false, ttl, refresh: false };
    // A file may be in the way of what a test wants; the tree is what comes of it.
    let _ = store.apply(&command, NOW, &mut Vec::new());
}

/// What is asked for: recursive, hidden, and the rest.
#[derive(Clone, Debug, Default)]
struct Wish {
    recursive: bool,
    hidden: bool,
    view: View,
}

impl Wish {
    fn of(recursive: bool, hidden: bool) -> Self {
        Self { recursive, hidden, view: View { is_page: true, ..View::default() } }
    }

    fn limit(mut self, limit: u32) -> Self {
        self.view.limit = Some(limit);
        self
    }

    fn after(mut self, after: &str) -> Self {
        self.view.after = after.into();
        self
    }

    fn filter(mut self, text: &str) -> Self {
        self.view.filter = Filter::parse(text);
        self
    }
}

/// Prints a page, so many bytes or so many children at a time.
fn print(store: &Store, path: &str, wish: &Wish, dialect: Dialect, step: Portion) -> String {
    let path = KeyPath::parse(path).expect("clean");
    let node = store.get(path).expect("is there");
    let Wish { recursive, hidden, view } = wish.clone();
    let style = Style { recursive, hidden, dialect, now: NOW };
    let mut out = Vec::new();
    let mut page = Page::start(&mut out, path, node, (style, Box::new(view)), true);
    let mut steps = 0;
    while !page.is_done() {
        let bytes = out.len().saturating_add(step.bytes);
        page.fill(&mut out, Portion { bytes, ..step });
        steps += 1;
        assert!(steps < 100_000, "a page gets on whenever it is asked to");
    }
    String::from_utf8(out).expect("valid text")
}

const WHOLE: Portion = Portion { bytes: usize::MAX, visits: usize::MAX };

fn parsed(store: &Store, path: &str, wish: &Wish) -> Value {
    let text = print(store, path, wish, Dialect::V04, WHOLE);
    for size in [1, 2, 7, 50] {
        for step in [Portion { bytes: size, ..WHOLE }, Portion { visits: size, ..WHOLE }] {
            assert_eq!(print(store, path, wish, Dialect::V04, step), text, "{step:?}");
        }
    }
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The keys below a node of an answer, in order.
fn keys(node: &Value) -> Vec<String> {
    let mut all = Vec::new();
    for child in node["nodes"].as_array().into_iter().flatten() {
        all.push(child["key"].as_str().expect("it has one").to_owned());
        all.extend(keys(child));
    }
    all
}

/// The paths of all nodes below, from there on, in the order of a walk.
fn walk(node: &Node, path: &str, wish: &Wish) -> Vec<(String, Node)> {
    let mut all = Vec::new();
    for (name, child) in node.children() {
        if !wish.hidden && name.starts_with('_') {
            continue;
        }
        let path = format!("{path}{name}");
        all.push((path.clone(), child.clone()));
        if wish.recursive {
            all.extend(walk(child, &format!("{path}/"), wish));
        }
    }
    all
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().expect("there is a last part")
}

fn passes(wish: &Wish, path: &str) -> bool {
    wish.view.filter.as_ref().is_none_or(|filter| filter.matches(name_of(path)))
}

fn sample() -> Store {
    let mut store = Store::new(Limits::default());
    for key in ["/d/a/x", "/d/a/y", "/d/b", "/d/_h/q", "/d/c/_i/z", "/d/c/e/f", "/d/z"] {
        set(&mut store, key, "value", None);
    }
    store
}

fn root_of(store: &Store, path: &str) -> Node {
    store.peek(KeyPath::parse(path).expect("clean")).expect("it is there")
}

#[test]
fn a_page_says_what_there_is_beside_it() {
    let store = sample();
    let mut wish = Wish::of(false, false).limit(2);
    let text = |wish: &Wish, dialect| print(&store, "/d", wish, dialect, WHOLE);
    assert_eq!(
        text(&wish, Dialect::V2),
        "{\"action\":\"get\",\"node\":{\"key\":\"/d\",\"dir\":true,\"nodes\":[\
         {\"key\":\"/d/a\",\"dir\":true,\"modifiedIndex\":1,\"createdIndex\":1},\
         {\"key\":\"/d/b\",\"value\":\"value\",\"modifiedIndex\":3,\"createdIndex\":3}],\
         \"modifiedIndex\":1,\"createdIndex\":1},\"page\":{\"children\":4,\"next\":\"b\"}}\n"
    );
    wish.view.count = true;
    wish.view.preview = Some(2);
    let wish = wish.after("b");
    assert_eq!(
        text(&wish, Dialect::V04),
        "{\"action\":\"get\",\"node\":{\"key\":\"/d\",\"dir\":true,\"nodes\":[\
         {\"key\":\"/d/c\",\"dir\":true,\"children\":1,\"modifiedIndex\":5,\"createdIndex\":5},\
         {\"key\":\"/d/z\",\"value\":\"va\",\"valueBytes\":5,\"modifiedIndex\":7,\
         \"createdIndex\":7}],\"modifiedIndex\":1,\"createdIndex\":1},\
         \"page\":{\"children\":4,\"below\":8}}"
    );
}

#[test]
fn what_is_below_is_counted_only_for_those_who_may_know_of_it() {
    let store = sample();
    let path = KeyPath::parse("/d").expect("clean");
    let view = View { is_page: true, count: true, ..View::default() };
    let style = Style { recursive: false, hidden: true, dialect: Dialect::V04, now: NOW };
    let mut out = Vec::new();
    let node = root_of(&store, "/d");
    let mut page = Page::start(&mut out, path, node, (style, Box::new(view)), false);
    page.fill(&mut out, WHOLE);
    let answer: Value = serde_json::from_slice(&out).expect("JSON");
    assert_eq!(answer["page"], serde_json::json!({ "children": 5 }));
    assert!(
        answer["node"]["nodes"]
            .as_array()
            .expect("some")
            .iter()
            .all(|node| { node.get("children").is_none() })
    );
}

#[test]
fn values_are_cut_between_letters_or_left_out() {
    let mut store = Store::new(Limits::default());
    set(&mut store, "/k", "a\u{e9}\u{4f60}", None);
    let mut wish = Wish::default();
    for (preview, want) in [(0, ""), (1, "a"), (2, "a"), (3, "a\u{e9}"), (6, "a\u{e9}\u{4f60}")] {
        wish.view.preview = Some(preview);
        let answer = parsed(&store, "/k", &wish);
        assert_eq!(answer["node"]["value"], want);
        assert_eq!(answer["node"]["valueBytes"], 6);
        assert!(answer.get("page").is_none());
    }
    wish.view.keys_only = true;
    let answer = parsed(&store, "/", &wish);
    assert!(answer["node"]["nodes"][0].get("value").is_none(), "{answer}");
    assert_eq!(answer["node"]["nodes"][0]["valueBytes"], 6);
}

#[test]
fn a_page_of_a_walk_repeats_the_directories_that_it_is_in() {
    let store = sample();
    let page = |after: &str| parsed(&store, "/d", &Wish::of(true, false).limit(1).after(after));
    let (answer, next) = (page("a/x"), page("a/y"));
    assert_eq!(keys(&answer["node"]), ["/d/a", "/d/a/y"]);
    assert_eq!(answer["page"]["next"], "a/y");
    assert_eq!(keys(&next["node"]), ["/d/b"]);
    // Names that are not there, that are files and not directories, or hidden.
    for (after, want) in [
        ("a/xx", "/d/a/y"),
        ("b/x/y", "/d/c"),
        ("_h/q", "/d/a"),
        ("c/_i", "/d/c/e"),
        ("/a/", "/d/a/x"),
    ] {
        assert_eq!(keys(&page(after)["node"]).last().expect("one"), want, "{after}");
    }
    assert_eq!(keys(&page("zz")["node"]), Vec::<String>::new());
}

fn store_of(names: &[(Vec<&str>, u8)]) -> Store {
    let mut store = Store::new(Limits::default());
    for (names, kind) in names {
        let key = format!("/d/{}", names.join("/"));
        let ttl = (*kind % 3 == 0).then(|| i64::from(*kind) + 1);
        set(&mut store, &key, &"v".repeat(usize::from(*kind % 5)), ttl);
    }
    set(&mut store, "/d/last", "v", None);
    store
}

fn orders() -> impl Strategy<Value = Order> {
    let by = prop_oneof![
        Just(OrderBy::Name),
        Just(OrderBy::Modified),
        Just(OrderBy::Created),
        Just(OrderBy::Size),
        Just(OrderBy::Expires),
    ];
    (by, any::<bool>()).prop_map(|(by, descends)| Order { by, descends })
}

fn names() -> impl Strategy<Value = Vec<(Vec<&'static str>, u8)>> {
    let name = prop_oneof![
        3 => Just("a"), 3 => Just("b"), 2 => Just("_h"), 1 => Just("A"), 1 => Just("~"),
        1 => Just("ab\""), 1 => Just("^"),
    ];
    prop::collection::vec((prop::collection::vec(name, 1..4), any::<u8>()), 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..<_>::default() })]

    /// Page after page gives each node that passes once, and says how many there are.
    #[test]
    fn all_pages_together_are_the_whole(
        names in names(),
        limit in 1..6_u32,
        (recursive, hidden) in any::<(bool, bool)>(),
        filter in prop_oneof![Just(None), Just(Some("a")), Just(Some("?")), Just(Some("l*"))],
    ) {
        let store = store_of(&names);
        let mut wish = Wish::of(recursive, hidden).limit(limit);
        wish.view.count = true;
        if let Some(text) = filter {
            wish = wish.filter(text);
        }
        let dir = root_of(&store, "/d");
        let all = walk(&dir, "", &wish);
        let want: Vec<&String> =
            all.iter().map(|(path, _)| path).filter(|path| passes(&wish, path)).collect();
        let mut got = Vec::new();
        loop {
            let answer = parsed(&store, "/d", &wish);
            let page = &answer["page"];
            let direct = walk(&dir, "", &Wish::of(false, hidden)).len();
            prop_assert_eq!(page["children"].as_u64(), Some(direct as u64));
            let below = walk(&dir, "", &Wish::of(true, hidden)).len();
            prop_assert_eq!(page["below"].as_u64(), Some(below as u64));
            let matching = filter.map(|_| want.len() as u64);
            prop_assert_eq!(page.get("matching").and_then(Value::as_u64), matching);
            let shown = keys(&answer["node"]).into_iter().map(|key| key["/d/".len()..].to_owned());
            // Directories come again, for what is in them.
            let after = wish.view.after.to_string();
            let is_new = |path: &String| passes(&wish, path) && !got.contains(path);
            let new: Vec<String> = shown.filter(is_new).collect();
            prop_assert!(new.len() <= limit as usize, "{} after {}", answer, after);
            got.extend(new);
            match page.get("next").and_then(Value::as_str) {
                Some(next) => wish = wish.after(next),
                None => break,
            }
        }
        prop_assert_eq!(got.iter().collect::<Vec<_>>(), want);
    }

    /// Every order, and what is passed over.
    #[test]
    fn children_come_in_the_order_that_is_asked_for(
        names in names(),
        order in orders(),
        offset in 0..8_u32,
        limit in prop_oneof![Just(None), (1..6_u32).prop_map(Some)],
        hidden in any::<bool>(),
        filter in prop_oneof![Just(None), Just(Some("a")), Just(Some("?"))],
    ) {
        let store = store_of(&names);
        let mut wish = Wish::of(false, hidden);
        if let Some(text) = filter {
            wish = wish.filter(text);
        }
        wish.view = View { order, offset, limit, ..wish.view };
        let dir = root_of(&store, "/d");
        let mut all = walk(&dir, "", &wish);
        all.retain(|(path, _)| passes(&wish, path));
        let key = |name: &str, node: &Node| match order.by {
            OrderBy::Name => (0, name.to_owned()),
            OrderBy::Modified => (node.modified().0, String::new()),
            OrderBy::Created => (node.created().0, String::new()),
            OrderBy::Size => (node.value().map_or(0, str::len) as u64, String::new()),
            OrderBy::Expires => (node.deadline().map_or(u64::MAX, |at| at.0), String::new()),
        };
        // The sort is stable, so that equal ones stay in the order of their names.
        all.sort_by(|one, other| {
            let (one, other) = (key(&one.0, &one.1), key(&other.0, &other.1));
            if order.descends { other.cmp(&one) } else { one.cmp(&other) }
        });
        let limit = limit.unwrap_or(u32::MAX) as usize;
        let want: Vec<String> = all.iter().map(|(path, _)| format!("/d/{path}")).collect();
        let want: Vec<&String> = want.iter().skip(offset as usize).take(limit).collect();
        let answer = parsed(&store, "/d", &wish);
        let got = keys(&answer["node"]);
        prop_assert_eq!(got.iter().collect::<Vec<_>>(), want);
        let matching = answer["page"].get("matching").and_then(Value::as_u64);
        prop_assert_eq!(matching, filter.map(|_| all.len() as u64));
        let has_more = all.len() > offset as usize + got.len() && !wish.view.is_sorted();
        prop_assert_eq!(answer["page"].get("next").is_some(), has_more);
    }
}
