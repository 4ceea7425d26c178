//! Old servers as they were recorded, played by a server of the test.

use super::super::{Shown, data, expected, import, listed, recorded};
use super::fake::{Answer, Fake, between, cleared, missing};
use crate::testkit::Server;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read;

fn unpacked(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    data(name).read_to_end(&mut bytes).unwrap();
    bytes
}

/// What the recorded server answers about keys. Its hidden keys are in no listing.
fn keys(recorded: &Value, path: &str) -> Answer {
    let index = recorded["x-etcd-index"].as_u64().unwrap();
    let key = between(path, "/v2/keys", "?").unwrap_or_default();
    let found = match key {
        "/" => Some(&recorded["keys"]),
        key => recorded["hidden"].get(key),
    };
    found.map_or_else(|| missing(index), |body| (200, index, body.to_string().into_bytes()))
}

/// Asserts that two listings are the same. The recorded TTLs are of another day than their answers,
/// and what counts is the TTL: all are of years.
fn assert_same(found: &BTreeMap<String, Shown>, want: &BTreeMap<String, Shown>) {
    let bare = |nodes: &BTreeMap<String, Shown>| -> Vec<_> {
        let year = |time: &String| time[..4].to_owned();
        let nodes = nodes.iter();
        let shown = |(key, (value, time)): (&String, &Shown)| {
            (key.clone(), value.clone(), time.as_ref().map(year))
        };
        nodes.map(shown).collect()
    };
    assert_eq!(bare(found), bare(want));
}

#[test]
fn an_04_that_runs_tells_its_hidden_keys_by_its_dump() {
    let recorded = recorded("etcd-0.4.9-wal");
    let dump = unpacked("etcd-0.4.9-migration.snap.gz");
    let fake = Fake::start(move |path| match path {
        "/version" => (200, 0, b"etcd 0.4.9".to_vec()),
        "/v2/migration/snapshot" => (200, 0, dump.clone()),
        path if path.contains("wait=true") => cleared(166),
        path => keys(&recorded, path),
    });
    let (_site, server) = Server::start("import-live");
    let report = import(&["--from", &fake.url(), "--to", &server.url(), "--verify", "--json"]);
    let report = report.json();
    assert_same(&listed(&server, "/"), &expected("etcd-0.4.9-wal"));
    assert_eq!(report["source"]["version"], "etcd 0.4.9", "{report}");
    assert_eq!(report["source"]["storeIndex"], 166, "{report}");
    assert_eq!(report["verified"]["differences"], 0, "{report}");
    let hidden = report["hidden"]["lookedAt"].to_string();
    assert!(hidden.contains("/_hidden/sub/_deeper") && hidden.contains("/vis/_dir"), "{report}");
}

#[test]
fn hidden_keys_of_a_23_are_found_in_past_events_or_named() {
    let recorded = recorded("etcd-2.3.8-wal");
    // The history has one event of a hidden key, the last of all; the first that is kept is 160.
    let event = br#"{"action":"set","node":{"key":"/vis/_dir/inner","value":"x",
        "modifiedIndex":168,"createdIndex":168}}"#;
    let fake = Fake::start(move |path| match path {
        "/version" => (200, 0, br#"{"etcdserver":"2.3.8","etcdcluster":"2.3.0"}"#.to_vec()),
        "/v2/auth/users" => (200, 0, br#"{"users":[{"user":"root"},{"user":"al"}]}"#.to_vec()),
        "/v2/auth/roles" => {
            (200, 0, br#"{"roles":[{"role":"root"},{"role":"guest"},{"role":"rw"}]}"#.to_vec())
        }
        path if path.contains("wait=true") => match between(path, "waitIndex=", "&") {
            Some("1") => cleared(160),
            _ => (200, 168, event.to_vec()),
        },
        path => keys(&recorded, path),
    });
    let (_site, server) = Server::start("import-live");
    let (from, to) = (fake.url(), server.url());
    let args = ["--from", &from, "--to", &to, "--verify"];
    let run = import(&args);
    assert_eq!(run.code, Some(0), "{run:?}");
    for text in [
        "looked at /_coreos.com, /_etcd, /vis/_dir; others may exist: no etcd lists them",
        "users: 2, roles: 2; 0 users with their passwords and 2 roles were imported",
        "not made: \"al\": the source does not show its password. Give it one:",
        "etcd 2.3.8; index 168",
    ] {
        assert!(run.out.contains(text), "no {text:?} in {}", run.out);
    }
    let mut want = expected("etcd-2.3.8-wal");
    let mut unseen = want.clone();
    want.retain(|key, _| !key.starts_with("/_hidden") && !key.starts_with("/vis/_secret"));
    assert_same(&listed(&server, "/"), &want);
    // The rest has to be named; what is there already is taken for what it is.
    let named = ["--hidden", "/_hidden/sub/_deeper,/vis/_secret"];
    let run = import(&[&args[..], &named].concat());
    assert_eq!(run.code, Some(0), "{run:?}");
    unseen.retain(|key, _| key != "/_etcd");
    assert_same(&listed(&server, "/"), &unseen);
}
