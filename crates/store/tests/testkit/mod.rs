//! What the tests of this crate share: stores and events as text.

#![allow(dead_code, reason = "each test binary uses its own part of this module")]

use proptest::prelude::ProptestConfig;
use std::fmt::Write as _;
use store::{
    Applied, Event, KeyPath, Limits, LockOutcome, LockState, Node, Store, StoreError,
    StoreSnapshot, Timestamp,
};

/// When the tests' clock begins.
pub(crate) const START: u64 = 1_000_000_000_000;

pub(crate) const SECOND: u64 = 1_000_000_000;

pub(crate) fn path(text: &str) -> KeyPath<'_> {
    KeyPath::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// What is left until a deadline, in seconds.
pub(crate) fn seconds_left(deadline: Timestamp, now: Timestamp) -> String {
    let nanos = i128::from(deadline.0) - i128::from(now.0);
    let seconds = nanos / i128::from(SECOND);
    match nanos % i128::from(SECOND) {
        0 => format!("{seconds}"),
        _ => format!("{}", nanos as f64 / SECOND as f64),
    }
}

fn put_ttl(out: &mut String, node: &Node, now: Timestamp) {
    if let Some(deadline) = node.deadline() {
        let _ = write!(out, " ttl={}", seconds_left(deadline, now));
    }
}

fn put_content(out: &mut String, node: &Node) {
    match node.value() {
        Some(value) if value.len() > 1000 => {
            let _ = write!(out, " ({} bytes)", value.len());
        }
        Some(value) => {
            let _ = write!(out, " {value:?}");
        }
        None => out.push_str(" dir"),
    }
}

/// An event in one line: `4 set /a "new" created=4 (was "old" @3)`. What is as one expects it to be
/// is left out: createdIndex when it is the event's own, and in the same way that of the previous
/// node.
pub(crate) fn event_text(event: &Event) -> String {
    let now = event.stamp.time;
    let mut out = format!("{} {} {}", event.index.0, event.action.as_str(), event.key);
    if let Some(node) = &event.node {
        put_content(&mut out, node);
        put_ttl(&mut out, node, now);
        assert_eq!(node.children().count(), 0, "an event never shows children");
        assert_eq!(node.created(), event.created);
    }
    if event.created != event.index {
        let _ = write!(out, " created={}", event.created.0);
    }
    if let Some(prev) = &event.prev {
        assert_eq!(prev.children().count(), 0, "an event never shows children");
        out.push_str(" (was");
        put_content(&mut out, prev);
        put_ttl(&mut out, prev, now);
        let _ = write!(out, " @{}", prev.modified().0);
        if prev.created() != prev.modified() {
            let _ = write!(out, " created={}", prev.created().0);
        }
        out.push(')');
    }
    if event.refresh {
        out.push_str(" refresh");
    }
    out
}

pub(crate) fn error_text(error: &StoreError) -> String {
    format!("! {} cause={} index={}", error.code as u16, error.cause, error.index.0)
}

pub(crate) fn outcome_text(outcome: &Result<Applied, StoreError>) -> String {
    match outcome {
        Ok(Applied::Event(event)) => event_text(event),
        Ok(Applied::Expired(count)) => format!("expired {count}"),
        Ok(Applied::Internal) => "internal".to_owned(),
        Ok(Applied::Raised) => "raised".to_owned(),
        Ok(Applied::Auth { done, .. }) => format!("{done:?}"),
        Ok(Applied::Counted) => "counted".to_owned(),
        Ok(Applied::Lock(outcome)) => lock_text(outcome),
        Err(error) => error_text(error),
    }
}

/// What came of a lock's action: `held 5 @9 (was @7)`.
pub(crate) fn lock_text(outcome: &LockOutcome) -> String {
    let state = match outcome.state {
        LockState::Held => "held",
        LockState::Waiting => "waiting",
        LockState::Gone => "gone",
    };
    let mut out = format!("{state} {} @{}", outcome.index, outcome.touched);
    if outcome.before > 0 {
        let _ = write!(out, " (was @{})", outcome.before);
    }
    out
}

/// A node in one line.
pub(crate) fn node_text(key: &str, node: &Node, now: Timestamp) -> String {
    let mut out = key.to_owned();
    put_content(&mut out, node);
    put_ttl(&mut out, node, now);
    let _ = write!(out, " @{}", node.modified().0);
    if node.created() != node.modified() {
        let _ = write!(out, " created={}", node.created().0);
    }
    out
}

/// Everything below a node, one line each, in the order of a recursive listing.
pub(crate) fn tree_lines(key: &str, node: &Node, now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = vec![(key.trim_end_matches('/').to_owned(), node.clone())];
    while let Some((dir, node)) = open.pop() {
        if !dir.is_empty() {
            lines.push(node_text(&dir, &node, now));
        }
        let children: Vec<_> = node.children().collect();
        for (name, child) in children.into_iter().rev() {
            open.push((format!("{dir}/{name}"), child.clone()));
        }
    }
    lines
}

pub(crate) fn store_lines(store: &Store) -> Vec<String> {
    let root = store.peek(KeyPath::ROOT).expect("there is always a root");
    tree_lines("/", &root, store.stamp().time)
}

pub(crate) fn stats_text(store: &Store) -> String {
    let stats = store.stats();
    let mut out = String::new();
    for (name, counter) in [
        ("gets", stats.gets),
        ("sets", stats.sets),
        ("creates", stats.creates),
        ("updates", stats.updates),
        ("cas", stats.compare_and_swaps),
        ("deletes", stats.deletes),
        ("cad", stats.compare_and_deletes),
    ] {
        if counter != Default::default() {
            let _ = write!(out, "{name}={}/{} ", counter.success, counter.fail);
        }
    }
    let _ = write!(out, "expired={} watchers={}", stats.expire_count, stats.watchers);
    out
}

pub(crate) fn snapshot_bytes(snapshot: &StoreSnapshot) -> Vec<u8> {
    let mut bytes = Vec::new();
    snapshot.write(&mut bytes).expect("memory takes everything");
    bytes
}

pub(crate) fn reloaded(store: &Store, limits: Limits) -> Store {
    let bytes = snapshot_bytes(&store.snapshot());
    Store::load(&mut bytes.as_slice(), limits).expect("what was written can be read")
}

/// Bytes as a test can show them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// So many cases, and no file for those that failed: a script or a test is made of them.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}
