//! The membership as the servers keep it in their own store, under `/0`. Its writes move the store
//! index, so that they are repeated here (`membership/cluster.go` and `membership/store.go`;
//! docs/spec/migration.md section 3.5).

use super::request::ConfChange;
use crate::model::{Refused, Tree, Write};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The member that a change is about, as JSON.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Member {
    #[serde(rename = "peerURLs")]
    peer_urls: Option<Vec<String>>,
    is_learner: bool,
    is_promote: bool,
}

/// The value of `raftAttributes`.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct RaftAttributes {
    #[serde(rename = "peerURLs")]
    peer_urls: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_learner: bool,
}

/// The value of `attributes`.
#[derive(Serialize)]
struct Attributes<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(rename = "clientURLs", skip_serializing_if = "<[String]>::is_empty")]
    client_urls: &'a [String],
}

/// The directory of a member.
fn dir(id: u64) -> String {
    format!("/0/members/{id:x}")
}

pub(super) fn is_known(tree: &Tree, id: u64) -> bool {
    tree.get(dir(id).as_bytes()).is_some()
}

/// The id in `/0/members/ID/attributes`, if the path is of this form.
pub(super) fn id_in_attributes_path(path: &[u8]) -> Option<u64> {
    let path = std::str::from_utf8(path).ok()?;
    let id = path.strip_prefix("/0/members/")?.strip_suffix("/attributes")?;
    let is_hex = id.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(id, 16).ok().filter(|_| is_hex)
}

/// Sets name and client URLs of a member, as 3.5 replicates them.
pub(super) fn set_attributes(tree: &mut Tree, id: u64, name: &[u8], client_urls: &[&[u8]]) {
    if !is_known(tree, id) {
        return;
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let client_urls: Vec<String> = client_urls.iter().map(|url| text(url)).collect();
    let attributes = Attributes { name: &text(name), client_urls: &client_urls };
    let path = format!("{}/attributes", dir(id));
    write(tree, &path, &attributes, Tree::set);
}

type Operation = fn(&mut Tree, &[u8], Write) -> Result<(), Refused>;

fn write(tree: &mut Tree, path: &str, value: &impl Serialize, operation: Operation) {
    let value = serde_json::to_vec(value).expect("strings become JSON");
    // What the servers cannot write here changes nothing there either.
    let _ = operation(tree, path.as_bytes(), Write { value, ..Write::default() });
}

/// Applies a change, unless the cluster rejects it. `voters` follows raft's own configuration.
pub(super) fn apply(tree: &mut Tree, voters: &mut BTreeSet<u64>, change: ConfChange<'_>) {
    let member: Member = serde_json::from_slice(change.context).unwrap_or_default();
    if !is_allowed(tree, &change, &member) {
        return;
    }
    let id = change.id;
    match change.kind {
        ConfChange::REMOVE => voters.remove(&id),
        ConfChange::ADD_LEARNER => voters.remove(&id),
        ConfChange::ADD => voters.insert(id),
        _ => false,
    };
    let path = format!("{}/raftAttributes", dir(id));
    let is_learner = member.is_learner || change.kind == ConfChange::ADD_LEARNER;
    let peer_urls = member.peer_urls.unwrap_or_default();
    match change.kind {
        ConfChange::REMOVE => {
            let _ = tree.delete(dir(id).as_bytes(), true, true);
            let removed = format!("/0/removed_members/{id:x}");
            let _ = tree.create(removed.as_bytes(), Write::default());
        }
        ConfChange::UPDATE => {
            write(tree, &path, &RaftAttributes { peer_urls, is_learner }, Tree::update);
        }
        _ if member.is_promote => {
            let mut attributes = raft_attributes(tree, &path);
            attributes.is_learner = false;
            write(tree, &path, &attributes, Tree::update);
        }
        _ => write(tree, &path, &RaftAttributes { peer_urls, is_learner }, Tree::create),
    }
}

fn raft_attributes(tree: &Tree, path: &str) -> RaftAttributes {
    let value = tree.get(path.as_bytes()).and_then(|node| node.value.as_deref());
    value.and_then(|value| serde_json::from_slice(value).ok()).unwrap_or_default()
}

/// `ValidateConfigurationChange` of the servers.
fn is_allowed(tree: &Tree, change: &ConfChange<'_>, member: &Member) -> bool {
    let removed = format!("/0/removed_members/{:x}", change.id);
    let is_known = is_known(tree, change.id);
    if tree.get(removed.as_bytes()).is_some() {
        return false;
    }
    match change.kind {
        ConfChange::ADD | ConfChange::ADD_LEARNER if member.is_promote => is_known,
        ConfChange::ADD | ConfChange::ADD_LEARNER => {
            !is_known && has_free_urls(tree, change.id, member)
        }
        ConfChange::UPDATE => is_known && has_free_urls(tree, change.id, member),
        ConfChange::REMOVE => is_known,
        _ => false,
    }
}

/// Whether no other member has one of the peer URLs.
fn has_free_urls(tree: &Tree, id: u64, member: &Member) -> bool {
    let own = format!("{id:x}");
    let wanted = member.peer_urls.as_deref().unwrap_or_default();
    let others = tree.names(b"/0/members").filter(|name| *name != own.as_bytes());
    let paths = others.filter_map(|name| std::str::from_utf8(name).ok());
    let mut paths = paths.map(|name| format!("/0/members/{name}/raftAttributes"));
    !paths.any(|path| {
        let used = raft_attributes(tree, &path).peer_urls;
        used.iter().any(|url| wanted.contains(url))
    })
}

/// The names of the members, or their ids where no name is known.
pub(super) fn names(tree: &Tree) -> Vec<String> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    let ids = tree.names(b"/0/members").map(|id| String::from_utf8_lossy(id).into_owned());
    ids.map(|id| {
        let path = format!("/0/members/{id}/attributes");
        let value = tree.get(path.as_bytes()).and_then(|node| node.value.as_deref());
        let named: Option<Named> = value.and_then(|value| serde_json::from_slice(value).ok());
        named.map(|named| named.name).filter(|name| !name.is_empty()).unwrap_or(id)
    })
    .collect()
}
