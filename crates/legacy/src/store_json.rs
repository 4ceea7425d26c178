//! The whole store as JSON: what snapshots of all versions hold, and what 0.4.9 answers to
//! `/v2/migration/snapshot`.
//!
//! Written by `Save` of the `store` package. Names of nodes are taken from the keys of `Children`:
//! `Path` has odd values where 2.0 converted a directory of 0.4.
//!
//! See docs/spec/migration.md section 4.

use crate::model::{Action, DEPTH_MAX, Event, History, Node, Tree};
use crate::moment::Moment;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

/// The stack of the thread that parses. A level of the tree is two levels of JSON, which take less
/// than 8 KiB together even in a debug build; [`DEPTH_MAX`] levels are allowed.
const STACK_BYTES: usize = 64 << 20;

/// How deep brackets may be nested: two for each level of the tree, and those around it.
const NESTING_MAX: usize = 2 * DEPTH_MAX + 16;

/// The JSON is not that of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InvalidStore {
    /// Where in the JSON, in bytes, if it is known.
    pub(crate) offset: u64,
    pub(crate) what: String,
}

impl InvalidStore {
    fn new(what: impl Into<String>) -> Self {
        Self { offset: 0, what: what.into() }
    }
}

/// A store that was read from JSON.
#[derive(Debug)]
pub(crate) struct Saved {
    pub(crate) tree: Tree,
    /// Nodes that were left out since no key can have their names.
    pub(crate) invalid_names: u64,
    /// Whether the modified indexes of files are lost, as 0.2 to 0.4 and 2.0.0 lose them.
    pub(crate) is_lossy: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StoreJson {
    root: NodeJson,
    #[serde(default)]
    watcher_hub: HubJson,
    current_index: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NodeJson {
    #[serde(default)]
    created_index: u64,
    #[serde(default)]
    modified_index: u64,
    #[serde(default)]
    expire_time: String,
    /// In 0.2 to 2.0.x only.
    #[serde(rename = "ACL")]
    acl: Option<String>,
    #[serde(default)]
    value: String,
    children: Option<BTreeMap<String, NodeJson>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct HubJson {
    event_history: HistoryJson,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct HistoryJson {
    queue: QueueJson,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct QueueJson {
    events: Vec<Option<EventJson>>,
}

#[derive(Deserialize)]
struct EventJson {
    action: String,
    node: Option<EventNodeJson>,
    #[serde(rename = "prevNode")]
    prev_node: Option<EventNodeJson>,
    #[serde(default)]
    refresh: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventNodeJson {
    #[serde(default)]
    key: String,
    value: Option<String>,
    #[serde(default)]
    dir: bool,
    #[serde(default)]
    expiration: String,
    #[serde(default)]
    modified_index: u64,
    #[serde(default)]
    created_index: u64,
}

/// Reads the JSON into `tree`, which is empty.
pub(crate) fn read(json: &[u8], tree: Tree) -> Result<Saved, InvalidStore> {
    check_nesting(json)?;
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(STACK_BYTES);
        let thread = builder
            .spawn_scoped(scope, || parse(json).and_then(|store| restore(store, tree)))
            .map_err(|error| InvalidStore::new(format!("cannot start a thread: {error}")))?;
        thread.join().map_err(|_| InvalidStore::new("it cannot be parsed"))?
    })
}

/// Bounds the recursion of the parser, also over what it ignores.
fn check_nesting(json: &[u8]) -> Result<(), InvalidStore> {
    let (mut depth, mut is_string, mut is_escaped) = (0_usize, false, false);
    for (byte, offset) in json.iter().zip(0_u64..) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_string => is_escaped = true,
            b'"' => is_string = !is_string,
            _ if is_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > NESTING_MAX {
            let what = format!("directories are nested more than {DEPTH_MAX} deep");
            return Err(InvalidStore { offset, what });
        }
    }
    Ok(())
}

fn parse(json: &[u8]) -> Result<StoreJson, InvalidStore> {
    let mut parser = serde_json::Deserializer::from_slice(json);
    parser.disable_recursion_limit();
    let store = StoreJson::deserialize(&mut parser).map_err(|error| invalid(json, &error))?;
    parser.end().map_err(|error| invalid(json, &error))?;
    Ok(store)
}

fn invalid(json: &[u8], error: &serde_json::Error) -> InvalidStore {
    let lines = json.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
    let offset = lines.map(<[u8]>::len).sum::<usize>() + error.column().saturating_sub(1);
    let offset = u64::try_from(offset).unwrap_or(u64::MAX);
    InvalidStore { offset, what: format!("invalid JSON of a store: {error}") }
}

fn restore(store: StoreJson, mut tree: Tree) -> Result<Saved, InvalidStore> {
    let (mut invalid_names, mut has_acl, mut is_lossless) = (0, store.root.acl.is_some(), false);
    let mut open: Vec<(Vec<u8>, BTreeMap<String, NodeJson>)> =
        vec![(Vec::new(), store.root.children.unwrap_or_default())];
    while let Some((dir, children)) = open.pop() {
        for (name, json) in children {
            if matches!(name.as_str(), "" | "." | "..") || name.contains('/') {
                invalid_names += 1;
                continue;
            }
            let path = [dir.as_slice(), b"/", name.as_bytes()].concat();
            let is_file = json.children.is_none();
            has_acl |= json.acl.is_some();
            is_lossless |= is_file && json.modified_index != json.created_index;
            let node = Node {
                created: json.created_index,
                modified: json.modified_index,
                expiration: expiration(&json.expire_time)?,
                value: is_file.then(|| json.value.into_bytes().into()),
            };
            tree.restore(path.clone(), node);
            open.extend(json.children.map(|children| (path, children)));
        }
    }
    tree.index = store.current_index;
    tree.history = history(store.watcher_hub.event_history.queue.events, store.current_index)?;
    Ok(Saved { tree, invalid_names, is_lossy: has_acl && !is_lossless })
}

fn expiration(text: &str) -> Result<Option<Moment>, InvalidStore> {
    Moment::parse(text).map_err(|_| InvalidStore::new(format!("invalid time {text:?}")))
}

/// The events in the order of their indexes. Where the ring begins does not matter then.
fn history(events: Vec<Option<EventJson>>, index: u64) -> Result<History, InvalidStore> {
    let mut read = Vec::new();
    for json in events.into_iter().flatten() {
        // Actions of later versions concern no node of the tree.
        if let Some(action) = Action::parse(&json.action) {
            read.extend(event(action, json)?);
        }
    }
    read.sort_by_key(|event| event.index);
    let start = gapless_from(&read, index);
    read.retain(|event| (start..=index).contains(&event.index));
    let mut history = History { start, ..History::new() };
    for event in read {
        history.push(event);
    }
    Ok(history)
}

/// The index from which on, up to the store's, there is an event of each. Every change of a store
/// has one, so that where one is missing those before it are of no use to a watcher.
fn gapless_from(events: &[Event], index: u64) -> u64 {
    let mut start = index.saturating_add(1);
    for event in events.iter().rev().filter(|event| event.index <= index) {
        if event.index.saturating_add(1) < start {
            break;
        }
        start = event.index;
    }
    start
}

fn event(action: Action, json: EventJson) -> Result<Option<Event>, InvalidStore> {
    let Some(node) = json.node else { return Ok(None) };
    let prev = json.prev_node.map(|prev| state(&prev, prev.dir)).transpose()?;
    // An expired directory is not marked as one itself.
    let is_dir = node.dir || (action.is_removal() && prev.as_ref().is_some_and(Node::is_dir));
    let event = Event {
        action,
        path: crate::model::clean(node.key.as_bytes()),
        index: node.modified_index,
        node: state(&node, is_dir)?,
        prev,
        refresh: json.refresh,
    };
    Ok(Some(event))
}

fn state(json: &EventNodeJson, is_dir: bool) -> Result<Node, InvalidStore> {
    Ok(Node {
        created: json.created_index,
        modified: json.modified_index,
        expiration: expiration(&json.expiration)?,
        value: (!is_dir).then(|| json.value.as_deref().unwrap_or_default().as_bytes().into()),
    })
}

/// What a repair of modified indexes left uncertain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Uncertain {
    pub(crate) files: u64,
    pub(crate) of: u64,
}

/// Gives files the modified indexes that 0.2 to 0.4 and 2.0.0 lose when they save the store, as far
/// as events tell of them. An event counts if it is the newest of its key and not older than the
/// node. Where no index is lost this changes nothing.
pub(crate) fn repair(tree: &mut Tree) -> Uncertain {
    let mut newest: HashMap<&[u8], u64> = HashMap::new();
    let history = std::mem::replace(&mut tree.history, History::new());
    for event in history.events.iter().filter(|event| !event.action.is_removal()) {
        newest.insert(&event.path, event.index);
    }
    for (path, index) in &newest {
        let limit = tree.index;
        if let Some(node) = tree.get_mut(path).filter(|node| !node.is_dir())
            && (node.created..=limit).contains(index)
        {
            node.modified = node.modified.max(*index);
        }
    }
    let mut uncertain = Uncertain::default();
    for (path, node) in tree.iter().filter(|(_, node)| !node.is_dir()) {
        let is_told = node.created >= history.start || newest.contains_key(path);
        uncertain.files += u64::from(!is_told);
        uncertain.of += 1;
    }
    tree.history = history;
    uncertain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(children: &str) -> Result<Saved, InvalidStore> {
        let json = format!(
            r#"{{"Root":{{"Path":"/","CreatedIndex":0,"ModifiedIndex":0,"Children":{children}}},
                "CurrentIndex":18446744073709551615}}"#
        );
        read(json.as_bytes(), Tree::of_v04())
    }

    #[test]
    fn names_come_from_the_keys_and_numbers_are_whole() {
        let children = r#"{"a":{"Path":"/odd","CreatedIndex":9007199254740993,
            "ModifiedIndex":9007199254740993,"ExpireTime":"2036-11-26T17:49:41.158138097Z",
            "Value":"\u003c","Children":null},"d":{"Children":{}}}"#;
        let tree = saved(children).expect("sound").tree;
        let node = tree.get(b"/a").expect("it was read");
        assert_eq!(node.created, 9_007_199_254_740_993);
        assert_eq!(node.value.as_deref(), Some(&b"<"[..]));
        assert_eq!(node.expiration, Some(Moment(2_111_334_581_158_138_097)));
        assert!(tree.get(b"/d").expect("it was read").is_dir());
        assert_eq!((tree.index, tree.history.start), (u64::MAX, u64::MAX));
    }

    #[test]
    fn trees_are_read_as_deep_as_they_may_be_and_no_deeper() {
        let nested = |depth: usize| {
            let (open, close) = (r#"{"d":{"Children":"#.repeat(depth), "}}".repeat(depth));
            saved(&format!("{open}{{}}{close}"))
        };
        let tree = nested(DEPTH_MAX).expect("sound").tree;
        assert_eq!(tree.iter().count(), DEPTH_MAX);
        assert!(nested(2 * DEPTH_MAX).is_err());
        assert!(saved(&"[".repeat(1 << 20)).is_err());
    }

    #[test]
    fn the_history_begins_after_the_last_gap() {
        let event = |index| Event {
            action: Action::Set,
            path: b"/a".to_vec(),
            index,
            node: Node::dir(index),
            prev: None,
            refresh: false,
        };
        for (indexes, index, want) in [
            (&[][..], 9, 10),
            (&[7, 8, 9], 9, 7),
            (&[5, 6, 8, 9], 9, 8),
            (&[7, 8], 9, 10),
            (&[8, 8, 9, 12], 9, 8),
            (&[u64::MAX - 1, u64::MAX], u64::MAX, u64::MAX - 1),
        ] {
            let events: Vec<Event> = indexes.iter().copied().map(event).collect();
            assert_eq!(gapless_from(&events, index), want, "{indexes:?} {index}");
        }
    }

    #[test]
    fn names_that_no_key_can_have_are_counted() {
        let children = r#"{"":{"Value":"x"},"..":{"Value":"x"},"a/b":{"Children":{}},"ok":{}}"#;
        let saved = saved(children).expect("sound");
        assert_eq!((saved.invalid_names, saved.tree.iter().count()), (3, 1));
    }
}
