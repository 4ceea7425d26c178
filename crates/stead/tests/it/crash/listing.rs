//! The state of the store as a client sees it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::Value;

use crate::testkit::{Request, Response, ask};

/// What is known about one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) value: String,
    pub(crate) modified: u64,
    pub(crate) created: u64,
    pub(crate) expiration: Option<String>,
}

impl Entry {
    /// The entry that a node in an answer describes.
    pub(crate) fn from_node(node: &Value) -> Option<Self> {
        Some(Self {
            value: node.get("value")?.as_str()?.to_owned(),
            modified: node.get("modifiedIndex")?.as_u64()?,
            created: node.get("createdIndex")?.as_u64()?,
            expiration: node.get("expiration").and_then(Value::as_str).map(str::to_owned),
        })
    }
}

/// Every file below the listed directory, by key. A directory that does not exist has none.
pub(crate) fn entries(listing: &Response) -> BTreeMap<String, Entry> {
    let mut out = BTreeMap::new();
    if listing.status() == 404 {
        return out;
    }
    let json = listing.json();
    let mut open = vec![&json["node"]];
    while let Some(node) = open.pop() {
        if let Some(children) = node.get("nodes").and_then(Value::as_array) {
            open.extend(children);
        }
        if let (Some(key), Some(entry)) = (node["key"].as_str(), Entry::from_node(node)) {
            out.insert(key.to_owned(), entry);
        }
    }
    out
}

/// Index and whole tree as text, without the `ttl` members, which fall with the time.
pub(crate) fn stable_listing(addr: SocketAddr) -> (u64, String) {
    let answer = ask(addr, &Request::get("/v2/keys/?recursive=true&sorted=true"));
    assert_eq!(answer.status(), 200, "{answer:?}");
    let text = answer.text();
    let mut out = String::new();
    let mut rest = text.as_str();
    const MARK: &str = "\"ttl\":";
    while let Some(at) = rest.find(MARK) {
        out.push_str(&rest[..at]);
        rest = rest[at + MARK.len()..].split_once(',').map_or("", |(_, rest)| rest);
    }
    out.push_str(rest);
    (answer.index(), out)
}
