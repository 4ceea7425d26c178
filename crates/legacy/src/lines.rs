//! Nodes as lines of JSON, one each, with the members that the keys API has: what `stead backup
//! inspect --json` prints.
//!
//! Nothing in such a file says where it ends or what the store's index was: one that was cut
//! between two lines cannot be told from a whole one, and the index is that of the last change of
//! the nodes in it.

use crate::imported::{
    Content, Extent, Family, Imported, Node, NodeState, SourceInfo, WallTime, path_order,
};
use crate::model::{DEPTH_MAX, depth};
use crate::moment::Moment;
use crate::{Error, NoData};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// The longest line: six times the longest value that a server takes by default, for its escapes,
/// and its key.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// The members that a line may have.
const MEMBERS: [&str; 7] =
    ["key", "value", "dir", "expiration", "ttl", "modifiedIndex", "createdIndex"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Line {
    key: String,
    value: Option<String>,
    #[serde(default)]
    dir: bool,
    #[serde(default)]
    expiration: String,
    /// The seconds that were left at some time; `expiration` says it better.
    #[serde(rename = "ttl")]
    _ttl: Option<IgnoredAny>,
    modified_index: u64,
    created_index: u64,
}

/// Whether a file that begins like this holds such lines.
pub(crate) fn begins(head: &[u8]) -> bool {
    let mut parts = head.split(|byte| *byte == b'"');
    let before = parts.next().unwrap_or_default().trim_ascii();
    let first = parts.next().unwrap_or_default();
    before == b"{" && MEMBERS.iter().any(|member| member.as_bytes() == first)
}

/// Reads the lines of a file.
pub(crate) fn read(path: &Path) -> Result<Imported, Error> {
    let mut input = BufReader::new(File::open(path).map_err(|error| Error::io(path, error))?);
    let (mut nodes, mut offset, mut number) = (BTreeMap::new(), 0, 0_u64);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut limited = input.by_ref().take(LINE_BYTES_MAX + 1);
        let len = limited.read_until(b'\n', &mut line).map_err(|error| Error::io(path, error))?;
        let len = u64::try_from(len).unwrap_or(u64::MAX);
        if len == 0 {
            break;
        }
        number += 1;
        let wrong = |what: &str| Error::damage(path, offset, format!("line {number}: {what}"));
        if len > LINE_BYTES_MAX {
            return Err(wrong(&format!("it is longer than {LINE_BYTES_MAX} bytes")));
        }
        if !line.trim_ascii().is_empty() {
            let node = parse(&line).map_err(|what| wrong(&what))?;
            if nodes.insert(Place(node.path.clone()), (node, number, offset)).is_some() {
                return Err(wrong("its key was on a line before"));
            }
        }
        offset += len;
    }
    check_parents(path, &nodes)?;
    finish(path, nodes.into_values().map(|(node, ..)| node).collect())
}

/// A path in the order of a walk.
#[derive(PartialEq, Eq)]
struct Place(String);

impl Ord for Place {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        path_order(&self.0, &other.0)
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

fn parse(line: &[u8]) -> Result<Node, String> {
    let line: Line =
        serde_json::from_slice(line).map_err(|error| format!("it is not a node: {error}"))?;
    let content = match (line.value, line.dir) {
        (Some(value), false) => Content::File(value),
        (None, true) => Content::Dir,
        _ => return Err("it has neither a value nor \"dir\": true, or both".to_owned()),
    };
    let names = line.key.strip_prefix('/').map(|rest| rest.split('/'));
    let is_clean =
        names.is_some_and(|mut names| names.all(|name| !matches!(name, "" | "." | "..")));
    if !is_clean || depth(line.key.as_bytes()) > DEPTH_MAX {
        return Err("its key is none that a node can have".to_owned());
    }
    if line.created_index > line.modified_index {
        return Err("its createdIndex is greater than its modifiedIndex".to_owned());
    }
    let expiration =
        Moment::parse(&line.expiration).map_err(|_| "its expiration is not a time".to_owned())?;
    let state = NodeState {
        content,
        created: line.created_index,
        modified: line.modified_index,
        expiration: expiration.map(|moment| WallTime(moment.saturate())),
    };
    Ok(Node { path: line.key, state })
}

/// Each node is in a directory that has a line of its own.
fn check_parents(path: &Path, nodes: &BTreeMap<Place, (Node, u64, u64)>) -> Result<(), Error> {
    for (node, number, offset) in nodes.values() {
        let (parent, _) = node.path.rsplit_once('/').unwrap_or_default();
        let found = nodes.get(&Place(parent.to_owned()));
        if !parent.is_empty() && !found.is_some_and(|(parent, ..)| parent.is_dir()) {
            let what = format!("line {number}: no line says that there is its directory");
            return Err(Error::damage(path, *offset, what));
        }
    }
    Ok(())
}

fn finish(path: &Path, nodes: Vec<Node>) -> Result<Imported, Error> {
    let Some(index) = nodes.iter().map(|node| node.state.modified).max() else {
        return Err(Error::NoData { path: path.to_owned(), why: NoData::NoKeys { older: None } });
    };
    let source = SourceInfo::bare(path.to_owned(), Family::Stead, Extent::Snapshot);
    Ok(Imported::without_history(source, nodes, index))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(line: &str) -> String {
        parse(line.as_bytes()).expect_err(line)
    }

    #[test]
    fn a_line_is_told_from_the_json_of_a_store() {
        assert!(begins(b"{\"createdIndex\":4,\"dir\":true"));
        assert!(begins(b" { \"key\":\"/a\""));
        assert!(!begins(b"{\"Root\":{\"Path\":\"/\""));
        assert!(!begins(b"{}") && !begins(b"") && !begins(b"x{\"key\""));
    }

    #[test]
    fn a_line_is_a_node() {
        let line = br#"{"createdIndex":2,"expiration":"1970-01-01T00:00:04Z","ttl":3,"key":"/a\n",
            "modifiedIndex":9,"value":"\u0001"}"#;
        let state = NodeState {
            content: Content::File("\u{1}".to_owned()),
            created: 2,
            modified: 9,
            expiration: Some(WallTime(4_000_000_000)),
        };
        assert_eq!(parse(line), Ok(Node { path: "/a\n".to_owned(), state }));
    }

    #[test]
    fn what_is_no_node_is_refused() {
        let with = |members: &str| format!("{{\"createdIndex\":1,\"modifiedIndex\":1,{members}}}");
        let newer = "{\"createdIndex\":2,\"modifiedIndex\":1,\"key\":\"/a\",\"dir\":true}";
        for (line, want) in [
            ("{".to_owned(), "it is not a node: EOF"),
            (with("\"key\":\"/a\",\"dir\":true,\"nodes\":[]"), "it is not a node: unknown field"),
            ("{\"key\":\"/a\",\"value\":\"\"}".to_owned(), "it is not a node: missing field"),
            (with("\"key\":\"/a\",\"value\":\"\",\"dir\":true"), "it has neither"),
            (with("\"key\":\"/a\""), "it has neither"),
            (with("\"key\":\"/\",\"dir\":true"), "its key is none"),
            (with("\"key\":\"a\",\"dir\":true"), "its key is none"),
            (with("\"key\":\"/a/../b\",\"dir\":true"), "its key is none"),
            (with(&format!("\"key\":\"{}\",\"dir\":true", "/a".repeat(1001))), "its key is none"),
            (with("\"key\":\"/a\",\"dir\":true,\"expiration\":\"soon\""), "its expiration is not"),
            (newer.to_owned(), "its createdIndex is greater"),
        ] {
            let error = error(&line);
            assert!(error.starts_with(want), "{line}: {error}");
        }
    }
}
