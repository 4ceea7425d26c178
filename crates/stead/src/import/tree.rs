//! The listing of a server: nodes from JSON that may be damaged, or lie.

use super::bounds::{DEPTH_MAX, INDEX_MAX, NODES_MAX};
use super::ticks::{Clock, Shown, Window};
use crate::import::answer::Answer;
use legacy::{Content, Node, NodeState, WallTime, path_order};
use serde::Deserialize;
use std::thread;

/// The stack for parsing the deepest listing that is taken.
const STACK_BYTES: usize = 64 << 20;

/// Brackets around the deepest node.
const NESTING_MAX: usize = 2 * DEPTH_MAX + 4;

/// Everything at and below a key.
#[derive(Clone, Debug)]
pub(super) struct Listing {
    /// In the order of [`path_order`], without the root.
    pub(super) nodes: Vec<Node>,
    /// The index of the store at that moment.
    pub(super) index: u64,
    pub(super) clock: Clock,
    /// How often a byte that is not UTF-8 was printed as U+FFFD.
    pub(super) replaced: u64,
}

/// A node as servers print it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Printed {
    /// The root may have none.
    pub(super) key: Option<String>,
    pub(super) value: Option<String>,
    pub(super) dir: bool,
    pub(super) expiration: Option<String>,
    pub(super) ttl: Option<i64>,
    pub(super) created_index: u64,
    pub(super) modified_index: u64,
    nodes: Option<Vec<Printed>>,
}

impl Printed {
    pub(super) fn shown(&self) -> Shown {
        let expiration = self.expiration.as_deref().and_then(WallTime::parse);
        Shown { expiration, ttl: self.ttl }
    }
}

#[derive(Deserialize)]
struct Body {
    node: Printed,
}

/// Reads the listing of `root` (`""` for the whole store).
///
/// # Errors
/// What is wrong with it, in a few words.
pub(super) fn read(root: &str, answer: &Answer, window: Window) -> Result<Listing, String> {
    if answer.index > INDEX_MAX {
        return Err(format!("its index is {}, which cannot be", answer.index));
    }
    let replaced = check_shape(&answer.body)?;
    let printed = parse(&answer.body)?;
    let mut raw = Vec::new();
    flatten(root, printed, &mut raw)?;
    raw.sort_unstable_by(|(one, _), (other, _)| path_order(one, other));
    if let Some(pair) = raw.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(format!("it names {:?} twice", pair[0].0));
    }
    let mut clock = Clock::default();
    raw.iter().for_each(|(_, printed)| clock.learn(printed.shown(), window));
    let nodes = raw.into_iter().map(|(path, printed)| node(path, printed, clock, window));
    Ok(Listing { nodes: nodes.collect(), index: answer.index, clock, replaced })
}

fn node(path: String, printed: Printed, clock: Clock, window: Window) -> Node {
    let expiration = clock.deadline(printed.shown(), window);
    let (created, modified) = (printed.created_index, printed.modified_index);
    let content = match printed.dir {
        true => Content::Dir,
        false => Content::File(printed.value.unwrap_or_default()),
    };
    Node { path, state: NodeState { content, created, modified, expiration } }
}

/// Makes a list of a tree, and holds each key against the directory that it is in.
fn flatten(root: &str, printed: Printed, out: &mut Vec<(String, Printed)>) -> Result<(), String> {
    let own = printed.key.clone().unwrap_or_default();
    if own.trim_end_matches('/') != root {
        return Err(format!("it has the key {own:?} in place of {root:?}"));
    }
    let mut open = vec![(root.to_owned(), printed)];
    while let Some((path, mut printed)) = open.pop() {
        let nodes = printed.nodes.take().unwrap_or_default();
        if !nodes.is_empty() && !printed.dir && !path.is_empty() {
            return Err(format!("{path:?} has nodes and is no directory"));
        }
        for child in nodes {
            let key = child.key.clone().unwrap_or_default();
            check_key(&path, &key)?;
            open.push((key, child));
        }
        if !path.is_empty() {
            out.push((path, printed));
        }
    }
    Ok(())
}

fn check_key(dir: &str, key: &str) -> Result<(), String> {
    let name = key.strip_prefix(dir).and_then(|rest| rest.strip_prefix('/')).unwrap_or_default();
    if matches!(name, "" | "." | "..") || name.contains('/') {
        let start: String = key.chars().take(100).collect();
        return Err(format!("it has the key {start:?} in the directory {dir:?}"));
    }
    Ok(())
}

/// Bounds depth and number of what is about to be parsed. Gives how often U+FFFD is written as an
/// escape: servers print it so for a byte that is not UTF-8, and a character of that kind as it is.
fn check_shape(json: &[u8]) -> Result<u64, String> {
    let (mut depth, mut objects, mut replaced) = (0_usize, 0_usize, 0_u64);
    let mut bytes = json.iter().enumerate();
    let mut in_string = false;
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => {
                replaced += u64::from(json[at..].starts_with(b"\\ufffd"));
                bytes.next();
            }
            b'{' | b'[' if !in_string => {
                depth += 1;
                objects += usize::from(*byte == b'{');
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > NESTING_MAX {
            return Err(format!("its directories are more than {DEPTH_MAX} deep"));
        }
        if objects > NODES_MAX {
            return Err(format!("it has more than {NODES_MAX} nodes"));
        }
    }
    Ok(replaced)
}

/// Parses on a thread with a stack for the deepest tree.
fn parse(json: &[u8]) -> Result<Printed, String> {
    let read = || {
        let mut parser = serde_json::Deserializer::from_slice(json);
        parser.disable_recursion_limit();
        Body::deserialize(&mut parser).map(|body| body.node).map_err(|error| error.to_string())
    };
    thread::scope(|scope| {
        let builder = thread::Builder::new().stack_size(STACK_BYTES);
        let thread = builder.spawn_scoped(scope, read).map_err(|error| error.to_string())?;
        thread.join().map_err(|_| "it cannot be parsed".to_owned())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window { sent: WallTime(0), came: WallTime(0) };

    fn listed(root: &str, json: &str) -> Result<Listing, String> {
        let body = json.as_bytes().to_vec();
        let (location, cluster) = (String::new(), String::new());
        read(root, &Answer { status: 200, location, index: 7, cluster, body }, WINDOW)
    }

    #[test]
    fn nodes_come_in_the_order_of_a_walk() {
        let json = r#"{"action":"get","node":{"dir":true,"nodes":[
            {"key":"/a-b","value":"2","modifiedIndex":5,"createdIndex":4},
            {"key":"/a","dir":true,"nodes":[{"key":"/a/b","value":""}]},
            {"key":"/e","dir":true}]}}"#;
        let listing = listed("", json).expect("it is right");
        let paths: Vec<&str> = listing.nodes.iter().map(|node| node.path.as_str()).collect();
        assert_eq!(paths, ["/a", "/a/b", "/a-b", "/e"]);
        assert_eq!((listing.index, listing.replaced), (7, 0));
        assert_eq!(listing.nodes[2].state.modified, 5);
        assert_eq!(listing.nodes[1].state.content, Content::File(String::new()));
    }

    #[test]
    fn a_listing_that_lies_is_refused() {
        let child = |json: &str| format!(r#"{{"node":{{"dir":true,"nodes":[{json}]}}}}"#);
        for (json, want) in [
            (child(r#"{"key":"/a/b","value":""}"#), "\"/a/b\" in the directory \"\""),
            (child(r#"{"key":"/..","value":""}"#), "\"/..\" in the directory"),
            (child(r#"{"value":""}"#), "\"\" in the directory"),
            (child(r#"{"key":"/a"},{"key":"/a"}"#), "\"/a\" twice"),
            (child(r#"{"key":"/a","nodes":[{"key":"/a/b"}]}"#), "no directory"),
            (r#"{"node":{"key":"/x"}}"#.to_owned(), "\"/x\" in place of \"\""),
            (child(r#"{"key":7}"#), "invalid type"),
            ("[1]".to_owned(), "invalid"),
            (String::new(), "EOF"),
            ("{\"node\":{\"nodes\":[".repeat(1_000_000), "1000 deep"),
            (format!("{{\"x\":{}", "[".repeat(1_000_000)), "1000 deep"),
        ] {
            let start: String = json.chars().take(60).collect();
            let error = listed("", &json).expect_err(&start);
            assert!(error.contains(want), "{start}: {error}");
        }
    }

    #[test]
    fn the_deepest_key_is_taken() {
        let (mut json, mut key) = (String::from(r#"{"node":{"dir":true"#), String::new());
        for _ in 0..DEPTH_MAX {
            key.push_str("/d");
            json.push_str(&format!(r#","nodes":[{{"key":"{key}","dir":true"#));
        }
        json.push_str(&"}]".repeat(DEPTH_MAX));
        json.push_str("}}");
        assert_eq!(listed("", &json).expect("it is right").nodes.len(), DEPTH_MAX);
    }

    #[test]
    fn bytes_that_were_lost_are_counted() {
        let json = r#"{"node":{"key":"/_a","value":"\ufffd\ufffd \\ufffd "}}"#;
        assert_eq!(listed("/_a", json).expect("it is right").replaced, 2);
    }

    #[test]
    fn a_damaged_listing_is_refused_or_holds_together() {
        let json = r#"{"action":"get","node":{"dir":true,"nodes":[{"key":"/a","dir":true,"ttl":5,
            "expiration":"2026-11-23T07:08:59Z","nodes":[{"key":"/a/b","value":"\n"}]}]}}"#;
        let check = |bytes: &[u8]| {
            let Ok(listing) = listed("", &String::from_utf8_lossy(bytes)) else { return };
            for node in &listing.nodes {
                let (dir, name) = node.path.rsplit_once('/').expect("a key has a slash");
                assert!(!matches!(name, "" | "." | ".."), "{node:?}");
                let is_there = listing.nodes.iter().any(|other| other.path == dir);
                assert!(dir.is_empty() || is_there, "{node:?}");
            }
        };
        for at in 0..json.len() {
            check(&json.as_bytes()[..at]);
            for byte in *b"\"{[/.9\0" {
                let mut changed = json.as_bytes().to_vec();
                changed[at] = byte;
                check(&changed);
            }
        }
    }
}
