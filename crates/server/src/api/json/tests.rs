//! Strings and events as clients see them.

use super::*;
use proptest::prelude::*;
use std::sync::Arc;
use store::{Applied, Command, KeyPath, Limits, Store, Timestamp, WallOffset};

const SECOND: u64 = 1_000_000_000;

/// 2026-11-23T07:08:54.709747376Z.
const BASE: u64 = 1_795_417_734_709_747_376;

fn string(text: &str, escape_replacement: bool) -> String {
    let mut out = Vec::new();
    put_string(&mut out, text, escape_replacement);
    String::from_utf8(out).expect("text")
}

#[test]
fn strings_are_escaped_as_the_original_escapes_them() {
    let text = "\"\\<>&\u{8}\u{c}\n\r\t\u{0}\u{1b}\u{1f}\u{7f}\u{2028}\u{2029}\u{1f600}\u{fffd}/'";
    let want = "\"\\\"\\\\\\u003c\\u003e\\u0026\\u0008\\u000c\\n\\r\\t\\u0000\\u001b\\u001f\u{7f}\
                \\u2028\\u2029\u{1f600}\u{fffd}/'\"";
    assert_eq!(string(text, false), want);
    // Characters that begin with the same bytes as those that are escaped.
    assert_eq!(
        string("a\u{fffd}\u{2027}\u{202a}\u{fffc}\u{20ac}", true),
        "\"a\\ufffd\u{2027}\u{202a}\u{fffc}\u{20ac}\""
    );
    assert_eq!(string("", true), "\"\"");
}

/// Bytes are looked at many together; what is special is found wherever it lies among them.
#[test]
fn a_special_byte_is_found_at_every_place() {
    for len in 1..70 {
        for at in 0..len {
            let (before, after) = ("x".repeat(at), "y".repeat(len - at - 1));
            for (special, escape) in
                [("<", "\\u003c"), ("\u{1f}", "\\u001f"), ("\u{2028}", "\\u2028")]
            {
                let got = string(&format!("{before}{special}{after}"), false);
                assert_eq!(got, format!("\"{before}{escape}{after}\""));
            }
            let plain = format!("{before}\u{20ac}{after}");
            assert_eq!(string(&plain, true), format!("\"{plain}\""));
        }
    }
}

#[test]
fn every_character_survives_a_parser() {
    let all: String = (0..=0x0011_0000_u32).filter_map(char::from_u32).collect();
    for escape in [false, true] {
        let parsed: String = serde_json::from_str(&string(&all, escape)).expect("valid JSON");
        assert!(parsed == all);
    }
}

#[test]
fn a_structure_has_the_escapes_and_numbers_of_the_original() {
    let all: String = (0..=0x0011_0000_u32).filter_map(char::from_u32).collect();
    assert!(body(&all) == string(&all, false).into_bytes());
    let values = (1800.0, 0.1, 1e-9, 1e21, -0.5, Some(7), None::<u64>, "<");
    let want = b"[1800,0.1,0.000000001,1000000000000000000000,-0.5,7,null,\"\\u003c\"]\n";
    assert_eq!(line(&values), want);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_survives_a_parser(text in any::<String>(), escape in any::<bool>()) {
        let printed = string(&text, escape);
        prop_assert!(!printed.bytes().any(|byte| byte < 0x20 || b"<>&".contains(&byte)));
        let parsed: String = serde_json::from_str(&printed).expect("valid JSON");
        prop_assert_eq!(parsed, text);
    }

    #[test]
    fn a_structure_is_printed_as_by_hand(text in any::<String>(), number in any::<f64>()) {
        prop_assert_eq!(String::from_utf8(body(&text)), Ok(string(&text, false)));
        if number.is_finite() {
            prop_assert_eq!(String::from_utf8(body(&number)), Ok(format!("{number}")));
        }
    }
}

/// A store, and the time that passes in it.
struct World {
    store: Store,
    now: u64,
}

impl World {
    fn new() -> Self {
        Self { store: Store::new(Limits::default()), now: BASE }
    }

    fn stamp(&self) -> Stamp {
        Stamp { time: Timestamp(self.now), wall_offset: WallOffset(0) }
    }

    fn event(&mut self, command: &Command<'_>) -> Arc<Event> {
        let stamp = self.stamp();
        match self.store.apply(command, stamp, &mut Vec::new()) {
            Ok(Applied::Event(event)) => event,
            other => panic!("no event: {other:?}"),
        }
    }

    fn set(&mut self, key: &str, value: &str, ttl: Option<i64>) -> String {
        let path = KeyPath::parse(key).expect("clean");
        let command = Command::Set { path, value, dir: false, ttl, refresh: false };
        print(&self.event(&command))
    }

    fn set_dir(&mut self, key: &str, ttl: Option<i64>) -> String {
        let path = KeyPath::parse(key).expect("clean");
        let command = Command::Set { path, value: "", dir: true, ttl, refresh: false };
        print(&self.event(&command))
    }

    fn update(&mut self, key: &str, value: &str, ttl: Option<i64>) -> String {
        let path = KeyPath::parse(key).expect("clean");
        print(&self.event(&Command::Update { path, value, ttl, refresh: false }))
    }
}

fn print_as(event: &Event, dialect: Dialect) -> String {
    // Behind something else, as in a body that is put together.
    let mut out = b"before".to_vec();
    put_event(&mut out, event, dialect);
    let text = String::from_utf8(out).expect("text");
    let text = text.strip_prefix("before").expect("nothing is overwritten").to_owned();
    serde_json::from_str::<serde_json::Value>(&text).expect("valid JSON");
    text
}

fn print(event: &Event) -> String {
    print_as(event, Dialect::V04)
}

#[test]
fn a_set_shows_the_node_and_what_was_there() {
    let mut world = World::new();
    assert_eq!(
        world.set("/message", "Hello world", None),
        "{\"action\":\"set\",\"node\":{\"key\":\"/message\",\"value\":\"Hello world\",\
         \"modifiedIndex\":1,\"createdIndex\":1}}"
    );
    assert_eq!(
        world.set("/message", "", None),
        "{\"action\":\"set\",\"node\":{\"key\":\"/message\",\"value\":\"\",\"modifiedIndex\":2,\
         \"createdIndex\":2},\"prevNode\":{\"key\":\"/message\",\"value\":\"Hello world\",\
         \"modifiedIndex\":1,\"createdIndex\":1}}"
    );
}

#[test]
fn a_ttl_shows_the_time_and_the_seconds_left() {
    let mut world = World::new();
    assert_eq!(
        world.set("/foo", "bar", Some(5)),
        "{\"action\":\"set\",\"node\":{\"key\":\"/foo\",\"value\":\"bar\",\
         \"expiration\":\"2026-11-23T07:08:59.709747376Z\",\"ttl\":5,\
         \"modifiedIndex\":1,\"createdIndex\":1}}"
    );
    world.now += 2 * SECOND;
    assert_eq!(
        world.update("/foo", "bar", None),
        "{\"action\":\"update\",\"node\":{\"key\":\"/foo\",\"value\":\"bar\",\
         \"modifiedIndex\":2,\"createdIndex\":1},\"prevNode\":{\"key\":\"/foo\",\
         \"value\":\"bar\",\"expiration\":\"2026-11-23T07:08:59.709747376Z\",\"ttl\":3,\
         \"modifiedIndex\":1,\"createdIndex\":1}}"
    );
    // A TTL of zero has a time, but no seconds to show.
    assert_eq!(
        world.set("/now", "x", Some(0)),
        "{\"action\":\"set\",\"node\":{\"key\":\"/now\",\"value\":\"x\",\
         \"expiration\":\"2026-11-23T07:08:56.709747376Z\",\
         \"modifiedIndex\":3,\"createdIndex\":3}}"
    );
}

#[test]
fn directories_say_that_they_are_directories() {
    let mut world = World::new();
    assert_eq!(
        world.set_dir("/d", None),
        "{\"action\":\"set\",\"node\":{\"key\":\"/d\",\"dir\":true,\
         \"modifiedIndex\":1,\"createdIndex\":1}}"
    );
    world.now += SECOND - 709_747_376;
    assert_eq!(
        world.update("/d", "", Some(50)),
        "{\"action\":\"update\",\"node\":{\"key\":\"/d\",\"dir\":true,\
         \"expiration\":\"2026-11-23T07:09:45Z\",\"ttl\":50,\
         \"modifiedIndex\":2,\"createdIndex\":1},\"prevNode\":{\"key\":\"/d\",\"dir\":true,\
         \"modifiedIndex\":1,\"createdIndex\":1}}"
    );
}

#[test]
fn removals_show_no_value_and_expiries_no_directory() {
    let mut world = World::new();
    world.set("/f", "one", None);
    world.set("/d/x", "two", None);
    world.set_dir("/e", Some(5));
    world.set("/e/x", "three", None);
    let path = KeyPath::parse("/f").expect("clean");
    let compare = Command::CompareAndDelete { path, prev_value: Some("one"), prev_index: None };
    assert_eq!(
        print(&world.event(&compare)),
        "{\"action\":\"compareAndDelete\",\"node\":{\"key\":\"/f\",\"modifiedIndex\":5,\
         \"createdIndex\":1},\"prevNode\":{\"key\":\"/f\",\"value\":\"one\",\
         \"modifiedIndex\":1,\"createdIndex\":1}}"
    );
    let path = KeyPath::parse("/d").expect("clean");
    assert_eq!(
        print(&world.event(&Command::Delete { path, dir: false, recursive: true })),
        "{\"action\":\"delete\",\"node\":{\"key\":\"/d\",\"dir\":true,\"modifiedIndex\":6,\
         \"createdIndex\":2},\"prevNode\":{\"key\":\"/d\",\"dir\":true,\
         \"modifiedIndex\":2,\"createdIndex\":2}}"
    );
    let filter = store::WatchFilter { path: "/e".into(), recursive: false, hidden: false };
    world.store.watch(&filter, store::StoreIndex(7), false, 1).expect("there is room");
    world.now += 5 * SECOND;
    let mut wakes = Vec::new();
    let stamp = world.stamp();
    world.store.apply(&Command::Expire { limit: 10 }, stamp, &mut wakes).expect("applies");
    assert_eq!(
        print(&wakes.first().expect("the watcher is told").event),
        "{\"action\":\"expire\",\"node\":{\"key\":\"/e\",\"modifiedIndex\":7,\
         \"createdIndex\":3},\"prevNode\":{\"key\":\"/e\",\"dir\":true,\
         \"expiration\":\"2026-11-23T07:08:59.709747376Z\",\
         \"modifiedIndex\":3,\"createdIndex\":3}}"
    );
}

#[test]
fn keys_and_values_are_escaped_by_the_dialect() {
    let mut world = World::new();
    let path = KeyPath::parse("/a\n<\u{fffd}").expect("clean");
    let command = Command::Set { path, value: "&\u{fffd}", dir: false, ttl: None, refresh: false };
    world.event(&command);
    let event = world.event(&command);
    let node = |index, replacement: &str| {
        format!(
            "{{\"key\":\"/a\\n\\u003c{replacement}\",\"value\":\"\\u0026{replacement}\",\
             \"modifiedIndex\":{index},\"createdIndex\":{index}}}"
        )
    };
    for (dialect, replacement) in [(Dialect::V04, "\u{fffd}"), (Dialect::V2, "\\ufffd")] {
        let want = format!(
            "{{\"action\":\"set\",\"node\":{},\"prevNode\":{}}}",
            node(2, replacement),
            node(1, replacement)
        );
        assert_eq!(print_as(&event, dialect), want);
    }
}
