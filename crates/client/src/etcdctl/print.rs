//! Answers about keys, as etcdctl 2 prints them.

use super::stop::Stop;
use crate::event::{Event, Node};
use crate::show;
use crate::term::{Screen, print, say};
use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter};
use std::fmt::Write as _;
use std::io;

/// Prints a text, which a terminal takes for no command of its own.
///
/// # Errors
/// [`Stop`] if it cannot be printed.
pub(super) fn put(text: &str) -> Result<u8, Stop> {
    let printed = print(&Screen::of_stdout().value(text));
    printed.map(|()| 0).map_err(|failure| Stop::of_server(&failure))
}

/// Prints an event in the format that was asked for.
///
/// # Errors
/// [`Stop`] if it cannot be printed.
pub(super) fn event(screen: Screen, format: &str, event: &Event, index: u64) -> Result<u8, Stop> {
    match format {
        "simple" => put(&simple(screen, event)),
        "extended" => put(&show::extended(screen, &event.node.key, event, index)),
        "json" => put(&format!("{}\n", json(event)?)),
        other => {
            say(&format!("Unsupported output format: {other}"));
            Ok(0)
        }
    }
}

fn simple(screen: Screen, event: &Event) -> String {
    match event.action.as_str() {
        "delete" => {
            let before = event.prev_node.as_ref().map(Node::value).unwrap_or_default();
            format!("PrevNode.Value: {}\n", screen.value(before))
        }
        _ => format!("{}\n", screen.value(event.node.value())),
    }
}

/// A node in the order, and with the gaps, of Go's client.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonNode<'a> {
    key: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dir: bool,
    value: &'a str,
    nodes: Option<Vec<JsonNode<'a>>>,
    created_index: u64,
    modified_index: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<i64>,
}

impl<'a> JsonNode<'a> {
    fn of(node: &'a Node) -> Self {
        Self {
            key: &node.key,
            dir: node.dir,
            value: node.value(),
            nodes: Some(node.nodes.iter().map(Self::of).collect())
                .filter(|all: &Vec<_>| !all.is_empty()),
            created_index: node.created_index,
            modified_index: node.modified_index,
            expiration: node.expiration.as_deref(),
            ttl: node.ttl.filter(|ttl| *ttl != 0),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonEvent<'a> {
    action: &'a str,
    node: JsonNode<'a>,
    prev_node: Option<JsonNode<'a>>,
}

fn json(event: &Event) -> Result<String, Stop> {
    let event = JsonEvent {
        action: &event.action,
        node: JsonNode::of(&event.node),
        prev_node: event.prev_node.as_ref().map(JsonNode::of),
    };
    let mut out = Vec::new();
    let written = event.serialize(&mut serde_json::Serializer::with_formatter(&mut out, Go));
    written.map_err(|error| Stop::plain(format!("the answer cannot be printed: {error}")))?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// JSON as Go writes it, harmless in HTML.
struct Go;

impl Formatter for Go {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let is_special = |c: char| matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}');
        for piece in fragment.split_inclusive(is_special) {
            match piece.chars().next_back().filter(|c| is_special(*c)) {
                Some(last) => {
                    let plain = piece.strip_suffix(last).unwrap_or(piece);
                    write!(writer, "{plain}\\u{:04x}", u32::from(last))?;
                }
                None => writer.write_all(piece.as_bytes())?,
            }
        }
        Ok(())
    }

    fn write_char_escape<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        match escape {
            CharEscape::Quote => writer.write_all(b"\\\""),
            CharEscape::ReverseSolidus => writer.write_all(b"\\\\"),
            CharEscape::Solidus => writer.write_all(b"/"),
            CharEscape::LineFeed => writer.write_all(b"\\n"),
            CharEscape::CarriageReturn => writer.write_all(b"\\r"),
            CharEscape::Tab => writer.write_all(b"\\t"),
            CharEscape::Backspace => writer.write_all(b"\\u0008"),
            CharEscape::FormFeed => writer.write_all(b"\\u000c"),
            CharEscape::AsciiControl(byte) => write!(writer, "\\u{byte:04x}"),
        }
    }
}

/// The names of what is in a directory, one in each line.
pub(super) fn names(screen: Screen, node: &Node, has_slashes: bool) -> String {
    let mut out = String::new();
    if !node.dir {
        let _ = writeln!(out, "{}", screen.name(&node.key));
    }
    node.nodes.iter().for_each(|child| name(screen, child, has_slashes, &mut out));
    out
}

fn name(screen: Screen, node: &Node, has_slashes: bool, out: &mut String) {
    let slash = if node.dir && has_slashes { "/" } else { "" };
    let _ = writeln!(out, "{}{slash}", screen.name(&node.key));
    node.nodes.iter().for_each(|child| name(screen, child, has_slashes, out));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::parse;

    #[test]
    fn answers_look_as_those_of_etcdctl_2() {
        let event = parse(
            br#"{"action":"set","node":{"key":"/a","value":"<\u2028&\b\u007f>","ttl":9,
            "expiration":"2026-12-01T11:50:58.393Z","modifiedIndex":5,"createdIndex":5},
            "prevNode":{"key":"/a","value":"1","modifiedIndex":4,"createdIndex":4}}"#,
        );
        let event = event.expect("it is one");
        assert_eq!(
            json(&event).expect("it can be written"),
            "{\"action\":\"set\",\"node\":{\"key\":\"/a\",\"value\":\
             \"\\u003c\\u2028\\u0026\\u0008\u{7f}\\u003e\",\"nodes\":null,\"createdIndex\":5,\
             \"modifiedIndex\":5,\"expiration\":\"2026-12-01T11:50:58.393Z\",\"ttl\":9},\
             \"prevNode\":{\"key\":\"/a\",\"value\":\"1\",\"nodes\":null,\"createdIndex\":4,\
             \"modifiedIndex\":4}}"
        );
        let screen = Screen::fixed(false, false);
        let removed = Event { action: "delete".to_owned(), ..event };
        assert_eq!(simple(screen, &removed), "PrevNode.Value: 1\n");
        assert!(
            show::extended(screen, &removed.node.key, &removed, 7).ends_with("TTL: 9\nIndex: 7\n")
        );
        // Its value is gone, and the one before is not shown.
        let event = Event { action: "compareAndDelete".to_owned(), ..Event::default() };
        assert_eq!(simple(screen, &event), "\n");
    }

    #[test]
    fn directories_are_listed_by_name() {
        let root = parse(
            br#"{"action":"get","node":{"dir":true,"nodes":[{"key":"/a"},{"key":"/d","dir":true,
            "nodes":[{"key":"/d/x"}]}]}}"#,
        );
        let root = root.expect("it is one").node;
        let screen = Screen::fixed(false, false);
        assert_eq!(names(screen, &root, true), "/a\n/d/\n/d/x\n");
        assert_eq!(names(screen, &root.nodes[0], true), "/a\n");
    }
}
