//! The answers of the API before v2: one flat object for a file, an array for a directory
//! (docs/spec/keys.md section 15).

use super::listing::{Portion, Print};
use crate::api::json;
use crate::config::Dialect;
use crate::http::response::TEXT;
use crate::net::{Body, Response};
use store::{Action, Event, KeyPath, Node, Stamp, StoreIndex};

/// What `/v1` says of itself.
const DIALECT: Dialect = Dialect::V04;

/// An event as the answer to a write or to a watch. `index` is what it shows: that of the event for
/// the former, that of the store for the latter.
pub(super) fn event(event: &Event, index: StoreIndex) -> Response {
    let is_deleted_dir =
        event.action == Action::Delete && event.prev.as_ref().is_some_and(Node::is_dir);
    if is_deleted_dir || event.node.as_ref().is_some_and(Node::is_dir) {
        // The children of a directory, and a directory that changed has none to show.
        return Response::new(200, TEXT, Body::Static(b"[]"));
    }
    let mut out = Vec::with_capacity(128);
    let action = match event.action {
        Action::CompareAndSwap | Action::Create => "testAndSet",
        other => other.as_str(),
    };
    put_head(&mut out, action, &json::escaped(&event.key, DIALECT), "");
    let prev = event.prev.as_ref().and_then(Node::value);
    if let Some(value) = prev {
        put_text(&mut out, "prevValue", value);
    }
    if let Some(value) = event.node.as_ref().and_then(Node::value) {
        put_text(&mut out, "value", value);
    }
    if event.action == Action::Set && prev.is_none() {
        out.extend_from_slice(b",\"newKey\":true");
    }
    put_end(&mut out, event.node.as_ref(), event.stamp, index);
    Response::new(200, TEXT, Body::Owned(out))
}

/// Prints the answer to a read of a file.
pub(super) fn put_file(
    out: &mut Vec<u8>,
    path: KeyPath<'_>,
    node: &Node,
    now: Stamp,
    index: StoreIndex,
) {
    put_head(out, "get", &json::escaped(path.as_str(), DIALECT), "");
    put_text(out, "value", node.value().unwrap_or_default());
    put_end(out, Some(node), now, index);
}

fn put_head(out: &mut Vec<u8>, action: &str, prefix: &[u8], name: &str) {
    out.extend_from_slice(b"{\"action\":\"");
    out.extend_from_slice(action.as_bytes());
    out.extend_from_slice(b"\",\"key\":\"");
    out.extend_from_slice(prefix);
    out.extend_from_slice(&json::escaped(name, DIALECT));
    out.push(b'"');
}

fn put_text(out: &mut Vec<u8>, name: &str, text: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    json::put_string(out, text, false);
}

fn put_end(out: &mut Vec<u8>, node: Option<&Node>, now: Stamp, index: StoreIndex) {
    if let Some(node) = node {
        json::put_expiration(out, node, now);
    }
    put_index(out, index);
}

fn put_index(out: &mut Vec<u8>, index: StoreIndex) {
    out.extend_from_slice(b",\"index\":");
    json::put_number(out, index.0);
    out.push(b'}');
}

/// The answer to a read of a directory, printed piece by piece as that of v2 is.
#[derive(Debug)]
pub(super) struct Array {
    dir: Node,
    /// The escaped path of the directory, with its trailing slash.
    prefix: Vec<u8>,
    index: StoreIndex,
    /// The name of the last child that was looked at; where to go on.
    last: Option<Box<str>>,
    has_printed: bool,
    is_done: bool,
}

impl Array {
    pub(super) fn start(
        out: &mut Vec<u8>,
        path: KeyPath<'_>,
        dir: Node,
        index: StoreIndex,
    ) -> Self {
        let mut prefix = json::escaped(path.as_str(), DIALECT);
        if !path.is_root() {
            prefix.push(b'/');
        }
        out.push(b'[');
        Self { dir, prefix, index, last: None, has_printed: false, is_done: false }
    }
}

impl Print for Array {
    fn fill(&mut self, out: &mut Vec<u8>, portion: Portion) {
        let dir = self.dir.clone();
        let children = match &self.last {
            Some(name) => dir.children_after(name),
            None => dir.children(),
        };
        for (visited, (name, node)) in children.enumerate() {
            if visited >= portion.visits || out.len() >= portion.bytes {
                return;
            }
            self.last = Some(name.into());
            if name.starts_with('_') {
                continue;
            }
            if self.has_printed {
                out.push(b',');
            }
            self.has_printed = true;
            put_head(out, "get", &self.prefix, name);
            match node.value() {
                Some(value) => put_text(out, "value", value),
                None => out.extend_from_slice(b",\"dir\":true"),
            }
            put_index(out, self.index);
        }
        out.push(b']');
        self.is_done = true;
    }

    fn is_done(&self) -> bool {
        self.is_done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::{Command, Limits, Store, Timestamp, WallOffset};

    const STAMP: Stamp = Stamp { time: Timestamp(0), wall_offset: WallOffset(1_000_000_000) };

    fn made(commands: &[(&str, &str, Option<i64>)]) -> Store {
        let mut store = Store::new(Limits::default());
        for (key, value, ttl) in commands {
            let path = KeyPath::parse(key).expect("clean");
            let set = Command::Set { path, value, dir: false, ttl: *ttl, refresh: false };
            store.apply(&set, STAMP, &mut Vec::new()).expect("nothing is in the way");
        }
        store
    }

    fn root(key: &str) -> KeyPath<'_> {
        KeyPath::parse(key).expect("clean")
    }

    #[test]
    fn a_file_is_one_object() {
        let store = made(&[("/a\"", "<1>", Some(3))]);
        let node = store.get(root("/a\"")).expect("it is there");
        let mut out = Vec::new();
        put_file(&mut out, root("/a\""), &node, STAMP, StoreIndex(9));
        assert_eq!(
            String::from_utf8(out).expect("UTF-8"),
            "{\"action\":\"get\",\"key\":\"/a\\\"\",\"value\":\"\\u003c1\\u003e\",\
             \"expiration\":\"1970-01-01T00:00:04Z\",\"ttl\":3,\"index\":9}"
        );
    }

    /// Pieces of any size come to the same array, which leaves out hidden children.
    #[test]
    fn a_directory_is_an_array_in_pieces_of_any_size() {
        let store = made(&[("/d/a", "1", None), ("/d/_h", "2", None), ("/d/e/f", "3", None)]);
        let want = "[{\"action\":\"get\",\"key\":\"/d/a\",\"value\":\"1\",\"index\":7},\
                    {\"action\":\"get\",\"key\":\"/d/e\",\"dir\":true,\"index\":7}]";
        for portion in 1..20 {
            let dir = store.get(root("/d")).expect("it is there");
            let mut out = Vec::new();
            let mut array = Array::start(&mut out, root("/d"), dir, StoreIndex(7));
            for _ in 0..10 {
                let bytes = out.len() + portion * 10;
                let visits = 1 + portion % 3;
                if !array.is_done() {
                    array.fill(&mut out, Portion { bytes, visits });
                }
            }
            assert!(array.is_done(), "{portion}");
            assert_eq!(String::from_utf8(out).expect("UTF-8"), want, "{portion}");
        }
        let mut out = Vec::new();
        let dir = made(&[]).get(root("/")).expect("there is a root");
        let mut array = Array::start(&mut out, root("/"), dir, StoreIndex(0));
        array.fill(&mut out, Portion { bytes: 100, visits: 10 });
        assert_eq!(out, b"[]");
    }
}
