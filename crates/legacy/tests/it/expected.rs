//! What the servers answered.

use crate::archive::gunzip;
use legacy::{Content, Family, Imported, Node};
use serde_json::Value;
use std::collections::BTreeMap;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A node as a listing shows it: its value unless it is a directory, both indexes, its expiration.
pub(crate) type Shown = (Option<String>, u64, u64, Option<u64>);

/// The answers for one archive.
pub(crate) struct Expected {
    pub(crate) json: Value,
    pub(crate) nodes: BTreeMap<String, Shown>,
    pub(crate) index: u64,
}

impl Expected {
    pub(crate) fn of(name: &str) -> Self {
        let bytes = gunzip(&format!("expected-{name}.json.gz"));
        let json: Value = serde_json::from_slice(&bytes).unwrap();
        let mut nodes = BTreeMap::new();
        collect(&json["keys"]["node"], &mut nodes);
        for hidden in json["hidden"].as_object().unwrap().values() {
            collect(&hidden["node"], &mut nodes);
        }
        let index = json["x-etcd-index"].as_u64().unwrap();
        Self { json, nodes, index }
    }

    /// The names of the members.
    pub(crate) fn members(&self) -> Vec<String> {
        let members = self.json["members"]["members"].as_array().unwrap();
        let mut names: Vec<String> =
            members.iter().map(|member| member["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }
}

fn collect(node: &Value, nodes: &mut BTreeMap<String, Shown>) {
    let expiration = node["expiration"].as_str().map(|text| {
        let nanos = OffsetDateTime::parse(text, &Rfc3339).unwrap().unix_timestamp_nanos();
        u64::try_from(nanos).unwrap()
    });
    let number = |name: &str| node[name].as_u64().unwrap_or(0);
    // 2.x does not name the root.
    if let Some(key) = node["key"].as_str().filter(|key| *key != "/") {
        let value = node["value"].as_str().map(str::to_owned);
        assert_eq!(value.is_none(), node["dir"].as_bool() == Some(true), "{key}");
        let shown = (value, number("modifiedIndex"), number("createdIndex"), expiration);
        nodes.insert(key.to_owned(), shown);
    }
    for child in node["nodes"].as_array().into_iter().flatten() {
        collect(child, nodes);
    }
}

/// The imported nodes in the same form. Those of the registry of 0.4 are listed there too.
pub(crate) fn shown(imported: &Imported) -> BTreeMap<String, Shown> {
    let internal = match imported.source.family {
        Family::V04 => imported.internal.as_slice(),
        Family::V2 | Family::Stead => &[],
    };
    let show = |node: &Node| {
        let state = &node.state;
        let value = match &state.content {
            Content::File(value) => Some(value.clone()),
            Content::Dir => None,
        };
        let expiration = state.expiration.map(|time| time.0);
        (node.path.clone(), (value, state.modified, state.created, expiration))
    };
    imported.nodes.iter().chain(internal).map(show).collect()
}

/// Asserts that all that the server listed was imported, and nothing else.
pub(crate) fn assert_equal(imported: &Imported, expected: &Expected) {
    let shown = shown(imported);
    for (path, want) in &expected.nodes {
        assert_eq!(shown.get(path), Some(want), "{path}");
    }
    let more: Vec<&String> =
        shown.keys().filter(|path| !expected.nodes.contains_key(*path)).collect();
    assert!(more.is_empty(), "{more:?}");
    assert_eq!(imported.index, expected.index);
}

/// Files and directories among the nodes that are not hidden.
pub(crate) fn count(imported: &Imported) -> (usize, usize) {
    let visible = imported.nodes.iter().filter(|node| !node.path.contains("/_"));
    let (dirs, files): (Vec<&Node>, Vec<&Node>) = visible.partition(|node| node.is_dir());
    (files.len(), dirs.len())
}
