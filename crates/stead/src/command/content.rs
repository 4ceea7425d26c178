//! What is in a backup, node by node.

use crate::nodes::walk;
use serde_json::{Map, Value};
use std::cmp::Ordering;
use store::{Node, Store};

/// Sums over the nodes of a backup, the root not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) keys: u64,
    pub(super) directories: u64,
    pub(super) value_bytes: u64,
    pub(super) expiring: u64,
}

pub(super) fn sums(store: &Store) -> Sums {
    let mut sums = Sums::default();
    walk(store, &mut |_, node| {
        match node.value() {
            Some(value) => {
                sums.keys += 1;
                sums.value_bytes += value.len() as u64;
            }
            None => sums.directories += 1,
        }
        sums.expiring += u64::from(node.deadline().is_some());
    });
    sums
}

/// A node as one line of JSON, with the members that the keys API has; `expiration` is exact.
pub(super) fn json_line(path: &str, node: &Node) -> String {
    let mut members = Map::new();
    members.insert("key".to_owned(), path.into());
    match node.value() {
        Some(value) => members.insert("value".to_owned(), value.into()),
        None => members.insert("dir".to_owned(), true.into()),
    };
    if let Some(lease) = node.lease() {
        members.insert("expiration".to_owned(), server::rfc3339(lease.shown()).into());
    }
    members.insert("modifiedIndex".to_owned(), node.modified().0.into());
    members.insert("createdIndex".to_owned(), node.created().0.into());
    Value::Object(members).to_string()
}

/// One difference between two key spaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Difference {
    /// Only the second one has it.
    Added(String),
    /// Only the first one has it.
    Removed(String),
    /// Both have it, with another value, kind or expiration.
    Changed(String),
}

/// The differences of the second from the first, in the order of the paths.
pub(super) fn differences(first: &Store, second: &Store) -> Vec<Difference> {
    let (first, second) = (listed(first), listed(second));
    let (mut left, mut right) = (first.iter().peekable(), second.iter().peekable());
    let mut found = Vec::new();
    loop {
        let order = match (left.peek(), right.peek()) {
            (None, None) => return found,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((one, _)), Some((other, _))) => one.cmp(other),
        };
        let taken = (left.next_if(|_| order.is_le()), right.next_if(|_| order.is_ge()));
        match taken {
            (Some((path, one)), Some((_, other))) if !is_same(one, other) => {
                found.push(Difference::Changed(path.clone()));
            }
            (Some((path, _)), None) => found.push(Difference::Removed(path.clone())),
            (None, Some((path, _))) => found.push(Difference::Added(path.clone())),
            _ => {}
        }
    }
}

/// Whether two nodes say the same. Their indexes do not count: those of a restored one are others.
fn is_same(one: &Node, other: &Node) -> bool {
    (one.value(), one.deadline()) == (other.value(), other.deadline())
}

fn listed(store: &Store) -> Vec<(String, Node)> {
    let mut nodes = Vec::new();
    walk(store, &mut |path, node| nodes.push((path.to_owned(), node.clone())));
    nodes.sort_by(|(one, _), (other, _)| one.cmp(other));
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::{Command, KeyPath, Limits, Stamp, Timestamp, WallOffset};

    const STAMP: Stamp = Stamp { time: Timestamp(0), wall_offset: WallOffset(1_000_000_000) };

    fn made(keys: &[(&str, &str)]) -> Store {
        let mut store = Store::new(Limits::default());
        for (key, value) in keys {
            let path = KeyPath::parse(key).expect("clean");
            let ttl = value.is_empty().then_some(3);
            let set = Command::Set { path, value, dir: false, ttl, refresh: false };
            store.apply(&set, STAMP, &mut Vec::new()).expect("nothing is in the way");
        }
        store
    }

    #[test]
    fn nodes_are_counted_and_printed() {
        let store = made(&[("/a/b", "one"), ("/a/c", ""), ("/d\"", "\u{1}")]);
        let want = Sums { keys: 3, directories: 1, value_bytes: 4, expiring: 1 };
        assert_eq!(sums(&store), want);
        let mut lines = Vec::new();
        walk(&store, &mut |path, node| lines.push(json_line(path, node)));
        assert_eq!(
            lines,
            [
                "{\"createdIndex\":1,\"dir\":true,\"key\":\"/a\",\"modifiedIndex\":1}",
                "{\"createdIndex\":1,\"key\":\"/a/b\",\"modifiedIndex\":1,\"value\":\"one\"}",
                "{\"createdIndex\":2,\"expiration\":\"1970-01-01T00:00:04Z\",\"key\":\"/a/c\",\
                 \"modifiedIndex\":2,\"value\":\"\"}",
                "{\"createdIndex\":3,\"key\":\"/d\\\"\",\"modifiedIndex\":3,\"value\":\"\\u0001\"}",
            ]
        );
    }

    #[test]
    fn differences_are_found_on_both_sides() {
        let first = made(&[("/a/b", "1"), ("/a-b", "x"), ("/c", "2"), ("/gone", "3")]);
        let second = made(&[("/a-b", "x"), ("/a/b", "9"), ("/c/d", "2"), ("/z", "4")]);
        let changed = |path: &str| Difference::Changed(path.to_owned());
        assert_eq!(
            differences(&first, &second),
            [
                changed("/a/b"),
                changed("/c"),
                Difference::Added("/c/d".to_owned()),
                Difference::Removed("/gone".to_owned()),
                Difference::Added("/z".to_owned()),
            ]
        );
        assert_eq!(differences(&first, &first), []);
    }
}
