//! The flat map of keys, and the answers of the v2 API.
use std::collections::HashMap;
use std::io::Write;

pub(crate) struct Node {
    value: Vec<u8>,
    created: u64,
    pub(crate) modified: u64,
}

pub(crate) struct Keys {
    map: HashMap<Vec<u8>, Node>,
    pub(crate) index: u64,
}

impl Keys {
    pub(crate) fn new() -> Keys {
        Keys { map: HashMap::new(), index: 1 }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&Node> {
        self.map.get(key)
    }

    /// Sets a key, and writes the event into `body`.
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8], body: &mut Vec<u8>) {
        self.index += 1;
        let index = self.index;
        body.clear();
        body.extend_from_slice(b"{\"action\":\"set\",\"node\":");
        let old = self.map.get_mut(key);
        node_json(body, key, value, index, old.as_ref().map_or(index, |o| o.created));
        if let Some(o) = &old {
            body.extend_from_slice(b",\"prevNode\":");
            node_json(body, key, &o.value, o.modified, o.created);
        }
        body.extend_from_slice(b"}");
        match old {
            Some(o) => {
                o.value.clear();
                o.value.extend_from_slice(value);
                o.modified = index;
            }
            None => {
                let node = Node { value: value.to_vec(), created: index, modified: index };
                self.map.insert(key.to_vec(), node);
            }
        }
    }
}

/// An event about a key as it is.
pub(crate) fn event_json(body: &mut Vec<u8>, action: &str, key: &[u8], n: &Node) {
    body.clear();
    body.extend_from_slice(b"{\"action\":\"");
    body.extend_from_slice(action.as_bytes());
    body.extend_from_slice(b"\",\"node\":");
    node_json(body, key, &n.value, n.modified, n.created);
    body.extend_from_slice(b"}");
}

fn node_json(out: &mut Vec<u8>, key: &[u8], value: &[u8], m: u64, c: u64) {
    out.extend_from_slice(b"{\"key\":\"");
    out.extend_from_slice(key);
    out.extend_from_slice(b"\",\"value\":\"");
    out.extend_from_slice(value);
    let _ = write!(out, "\",\"modifiedIndex\":{m},\"createdIndex\":{c}}}");
}

pub(crate) fn respond(out: &mut Vec<u8>, status: &str, index: u64, body: &[u8]) {
    let _ = write!(
        out,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nX-Etcd-Index: {index}\r\n\
         X-Raft-Index: {index}\r\nX-Raft-Term: 1\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    out.extend_from_slice(body);
}
