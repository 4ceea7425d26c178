//! Answers about keys: nodes and events.

use crate::failure::Failure;
use serde::Deserialize;
use std::thread;

/// A node as servers print it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Node {
    /// The root may have none.
    pub(crate) key: String,
    pub(crate) value: Option<String>,
    pub(crate) dir: bool,
    pub(crate) ttl: Option<i64>,
    /// The moment of the end, as RFC 3339 writes it.
    pub(crate) expiration: Option<String>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) modified_index: u64,
    pub(crate) created_index: u64,
}

impl Node {
    /// The key, which the root of 2.x does not have.
    pub(crate) fn key(&self) -> &str {
        if self.key.is_empty() { "/" } else { &self.key }
    }

    pub(crate) fn value(&self) -> &str {
        self.value.as_deref().unwrap_or_default()
    }
}

/// What happened, or what is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Event {
    pub(crate) action: String,
    pub(crate) node: Node,
    pub(crate) prev_node: Option<Node>,
}

/// Brackets around the deepest node that is taken: servers allow 1000 parts of a key.
const NESTING_MAX: usize = 2 * 1024;

/// As many are parsed on the stack that is there; deeper ones need more of it.
const NESTING_FLAT: usize = 128;

/// The stack for parsing the deepest answer that is taken.
const STACK_BYTES: usize = 64 << 20;

/// Parses an event.
///
/// # Errors
/// [`Failure::Local`] if the answer is none, or deeper than any key can be.
pub(crate) fn parse(body: &[u8]) -> Result<Event, Failure> {
    let none = |why: &dyn std::fmt::Display| {
        Failure::Local(format!("the answer is not one of the v2 API: {why}"))
    };
    let event = match depth(body) {
        0..NESTING_FLAT => deserialize(body),
        NESTING_FLAT..=NESTING_MAX => thread::scope(|scope| {
            let builder = thread::Builder::new().stack_size(STACK_BYTES);
            let thread = builder.spawn_scoped(scope, || deserialize(body));
            let parsed = thread.map_err(|error| error.to_string())?.join();
            parsed.unwrap_or_else(|_| Err("it cannot be parsed".to_owned()))
        }),
        _ => Err("its directories are too deep".to_owned()),
    };
    let event = event.map_err(|error| none(&error))?;
    match event.action.is_empty() {
        true => Err(none(&"it has no action")),
        false => Ok(event),
    }
}

fn deserialize(body: &[u8]) -> Result<Event, String> {
    let mut json = serde_json::Deserializer::from_slice(body);
    // The depth was looked at, and is one that the stack has room for.
    json.disable_recursion_limit();
    Event::deserialize(&mut json).map_err(|error| error.to_string())
}

/// How deep brackets are nested.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string) = (0_usize, 0, false);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => {
                bytes.next();
            }
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_both_dialects_are_read() {
        let event = parse(
            br#"{"action":"set","node":{"key":"/a","value":"1","ttl":5,"modifiedIndex":7,
            "createdIndex":7,"expiration":"x"},"prevNode":{"key":"/a","value":"0"}}"#,
        );
        let event = event.expect("it is one");
        assert_eq!((event.node.key(), event.node.value(), event.node.ttl), ("/a", "1", Some(5)));
        assert_eq!(event.prev_node.expect("it is there").value(), "0");
        let root = parse(br#"{"action":"get","node":{"dir":true,"nodes":[{"key":"/a"}]}}"#);
        let root = root.expect("it is one").node;
        assert_eq!((root.key(), root.nodes[0].key()), ("/", "/a"));
    }

    #[test]
    fn answers_that_lie_are_refused() {
        for wrong in ["", "[]", "{}", "{\"action\":3}", "<html>"] {
            assert!(parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
        let deep = |count: usize| {
            let open = "{\"nodes\":[".repeat(count);
            format!("{{\"action\":\"get\",\"node\":{open}{}}}", "]}".repeat(count))
        };
        assert!(parse(deep(1000).as_bytes()).is_ok());
        assert!(parse(deep(100_000).as_bytes()).is_err());
    }
}
