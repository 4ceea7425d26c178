//! Into a new data directory: each key keeps its indexes, and the server goes on where the old one
//! stopped.

use super::{Run, Source, data, import, listings, recorded};
use crate::cluster::kit::{Cluster, Machine};
use crate::testkit::{Request, Server, Site, ask, send};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;

/// A node: its value unless it is a directory, modifiedIndex, createdIndex, expiration.
pub(super) type Kept = (Option<String>, u64, u64, Option<String>);

/// The nodes of a listing, but for those that servers keep about themselves.
fn collect(node: &Value, nodes: &mut BTreeMap<String, Kept>) {
    let text = |name: &str| node[name].as_str().map(str::to_owned);
    let number = |name: &str| node[name].as_u64().unwrap_or(0);
    if let Some(key) = text("key").filter(|key| key != "/" && !key.starts_with("/_etcd")) {
        let kept =
            (text("value"), number("modifiedIndex"), number("createdIndex"), text("expiration"));
        nodes.insert(key, kept);
    }
    for child in node["nodes"].as_array().into_iter().flatten() {
        collect(child, nodes);
    }
}

/// What the old server listed, and its index.
pub(super) fn expected(name: &str) -> (BTreeMap<String, Kept>, u64) {
    let (answers, mut nodes) = (recorded(name), BTreeMap::new());
    listings(&answers).for_each(|listing| collect(listing, &mut nodes));
    (nodes, answers["x-etcd-index"].as_u64().unwrap())
}

/// What a server has.
pub(super) fn kept(addr: SocketAddr) -> BTreeMap<String, Kept> {
    let mut nodes = BTreeMap::new();
    let all = Request::get("/v2/keys/?recursive=true&hidden=true");
    collect(&ask(addr, &all).json()["node"], &mut nodes);
    nodes
}

/// The arguments that make `data_dir` that of the machine of a site.
pub(super) fn target(site: &Site) -> [String; 2] {
    [format!("--data-dir={}", site.data_dir().display()), format!("--name={}", site.name())]
}

pub(super) fn into(site: &Site, args: &[&str]) -> Run {
    let target = target(site);
    import(&[args, &[&target[0], &target[1]]].concat())
}

/// The answer to a watch that is answered at once.
pub(super) fn past(addr: SocketAddr, key: &str, index: u64) -> Value {
    let path = format!("/v2/keys{}?wait=true&waitIndex={index}", escaped(key));
    ask(addr, &Request::get(&path)).json()
}

fn escaped(key: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte);
    let escape = |byte: u8| match is_plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    key.bytes().map(escape).collect()
}

/// Asserts that the next change gets the index after those that are there, and gives it.
fn assert_goes_on(addr: SocketAddr) -> u64 {
    let before = ask(addr, &Request::get("/v2/keys/")).index();
    let job = ask(addr, &Request::post("/v2/keys/new/queue", "value=job")).json();
    let index = job["node"]["createdIndex"].as_u64().unwrap();
    assert_eq!(index, before + 1);
    let name: u64 = job["node"]["key"].as_str().unwrap()["/new/queue/".len()..].parse().unwrap();
    assert_eq!(name, index);
    index
}

/// Imports a directory, or those of members, into a new one, starts a server on it and compares.
fn check(name: &'static str, answers: &str, members: &[&str]) {
    let (source, site) = (Source::unpack(name), Site::new("import-dir").named("n1"));
    let dirs = match members {
        [] => vec![source.arg()],
        members => {
            let dir = |member| format!("--from-dir={}", source.path().join(member).display());
            members.iter().map(dir).collect()
        }
    };
    // Keys are asked for by nobody in particular.
    let flags = ["--json", "--no-users"];
    let args: Vec<&str> = dirs.iter().map(String::as_str).chain(flags).collect();
    let report = into(&site, &args).json();
    let (want, index) = expected(answers);
    let directory = &report["directory"];
    assert_eq!(directory["goesOnAbove"].as_u64(), Some(index), "{report}");
    assert_eq!((&directory["indexMargin"], &directory["eventsFrom"]), (&0.into(), &1.into()));
    assert_eq!(report["warnings"].as_array().map(Vec::len), Some(0), "{report}");
    assert_eq!(report["expired"].as_u64(), Some(0), "{report}");

    let server = site.start();
    let found = kept(server.addr());
    for (key, node) in &want {
        assert_eq!(found.get(key), Some(node), "{name} {key}");
    }
    assert_eq!(found.len(), want.len(), "{name}");
    let files = want.iter().filter(|(_, node)| node.0.is_some());
    assert_eq!(report["files"].as_u64(), Some(files.clone().count() as u64));
    // The last change of each file is among the past events, as the old server would tell it.
    for (key, (value, modified, created, _)) in files {
        if key == "/ttl/refreshed" && !name.starts_with("etcd-0.4") {
            // Watchers are not told of a refresh, which was its last change.
            let event = past(server.addr(), key, 1);
            assert!(event["node"]["modifiedIndex"].as_u64() < Some(*modified), "{event}");
            assert_eq!(event["node"]["value"].as_str(), value.as_deref(), "{event}");
            continue;
        }
        let event = past(server.addr(), key, *modified);
        let node = &event["node"];
        assert_eq!(node["modifiedIndex"].as_u64(), Some(*modified), "{name} {key}: {event}");
        assert_eq!(node["createdIndex"].as_u64(), Some(*created), "{name} {key}: {event}");
        assert_eq!(node["value"].as_str(), value.as_deref(), "{name} {key}: {event}");
    }
    // What the server wrote about itself took indexes that the old one never gave.
    let machine = ask(server.addr(), &Request::get("/v2/keys/_etcd/machines/n1")).json();
    assert!(machine["node"]["modifiedIndex"].as_u64() > Some(index), "{machine}");
    assert!(assert_goes_on(server.addr()) > index);
    server.terminate();
    let again = site.start();
    assert!(want.iter().all(|(key, node)| kept(again.addr()).get(key) == Some(node)));
}

#[test]
fn directories_of_04_keep_their_indexes() {
    check("etcd-0.4.9-wal", "etcd-0.4.9-wal", &[]);
    check("etcd-0.4.9-snap", "etcd-0.4.9-snap-live", &[]);
    check("etcd-0.4.9-cluster", "etcd-0.4.9-cluster-live", &["m1", "m2", "m3"]);
}

#[test]
fn directories_of_2_keep_their_indexes() {
    for name in ["etcd-2.3.8-wal", "etcd-2.3.8-snap", "etcd-2.3.8-auth", "etcd-2.3.8-segments"] {
        check(name, name, &[]);
    }
    for name in ["etcd-2.3.8-cluster", "etcd-2.3.8-overwrite"] {
        check(name, name, &["m1", "m2", "m3"]);
    }
}

#[test]
fn directories_of_34_keep_their_indexes() {
    for name in ["etcd-3.4.23-wal", "etcd-3.4.23-snap", "etcd-3.4.23-auth", "etcd-3.4.23-segments"]
    {
        check(name, name, &[]);
    }
    check("etcd-3.4.23-cluster", "etcd-3.4.23-cluster", &["m1", "m2", "m3"]);
}

#[test]
fn directories_of_35_keep_their_indexes() {
    for name in ["etcd-3.5.1-wal", "etcd-3.5.1-snap", "etcd-3.5.1-auth"] {
        check(name, name, &[]);
    }
    check("etcd-3.5.1-cluster", "etcd-3.5.1-cluster", &["m1", "m2", "m3"]);
}

/// Makes a directory of a source that may lack the last writes, and starts a server on it.
fn found_above(source: &str, margin: &[&str]) -> (Site, Server, Value) {
    let site = Site::new("import-above").named("n1");
    let report = into(&site, &[&[source, "--json"], margin].concat()).json();
    let server = site.start();
    (site, server, report)
}

/// One directory of a cluster, and a snapshot alone: the old servers may have given more indexes.
#[test]
fn indexes_that_the_source_may_lack_are_passed_over() {
    let cluster = Source::unpack("etcd-2.3.8-cluster");
    let snapshot = Source::unpack("etcd-3.5.1-snap");
    let migration = snapshot.dir.path().join("migration");
    let mut json = Vec::new();
    data("etcd-0.4.9-migration.snap.gz").read_to_end(&mut json).unwrap();
    std::fs::write(&migration, json).unwrap();
    let file = |path: &Path| format!("--from-snapshot={}", path.display());
    let snap = snapshot.path().join("member/snap/0000000000000002-00000000000000ff.snap");
    for (source, index) in [
        (format!("--from-dir={}", cluster.path().join("m3").display()), 175),
        (file(&migration), 166),
        (file(&snap), 240),
    ] {
        let (_site, server, report) = found_above(&source, &[]);
        assert_eq!(report["source"]["storeIndex"].as_u64(), Some(index), "{source}");
        let above = index + 1_000_000;
        assert_eq!(report["directory"]["goesOnAbove"].as_u64(), Some(above), "{source}");
        assert_eq!(report["directory"]["eventsFrom"], Value::Null, "{source}");
        let nodes = kept(server.addr());
        assert!(nodes.values().all(|(_, modified, ..)| *modified <= index), "{source}");
        assert!(assert_goes_on(server.addr()) > above);
        for wait in [1, index, index + 1, above] {
            assert_eq!(past(server.addr(), "/plain", wait)["errorCode"], 401, "{source} {wait}");
        }
        // Who knows better may say so.
        let (_site, server, report) = found_above(&source, &["--index-margin=0"]);
        assert_eq!(report["directory"]["goesOnAbove"].as_u64(), Some(index), "{source}");
        assert_eq!(kept(server.addr()), nodes, "{source}");
        let (_, modified, ..) = nodes["/plain"];
        let event = past(server.addr(), "/plain", modified);
        assert_eq!(event["node"]["modifiedIndex"].as_u64(), Some(modified), "{event}");
    }
    let (expected, _) = expected("etcd-0.4.9-migration");
    let (_site, server, _) = found_above(&file(&migration), &["--index-margin=7"]);
    assert_eq!(kept(server.addr()), expected);
    assert_eq!(past(server.addr(), "/plain", 166 + 7)["errorCode"], 401);
}

/// A store as 0.4 saves it, whose history has no event with index 7.
const WITH_A_GAP: &str = r#"{"Root":{"Path":"/","CreatedIndex":0,"ModifiedIndex":0,"ExpireTime":
"0001-01-01T00:00:00Z","ACL":"","Value":"","Children":{"a":{"Path":"/a","CreatedIndex":5,
"ModifiedIndex":9,"ExpireTime":"0001-01-01T00:00:00Z","ACL":"","Value":"nine","Children":null},
"old":{"Path":"/old","CreatedIndex":6,"ModifiedIndex":6,"ExpireTime":"2011-01-01T00:00:00Z","ACL":
"","Value":"x","Children":null}}},"WatcherHub":{"EventHistory":{"Queue":{"Events":[
{"action":"set","node":{"key":"/a","value":"five","modifiedIndex":5,"createdIndex":5}},
{"action":"set","node":{"key":"/old","value":"x","modifiedIndex":6,"createdIndex":6}},
{"action":"update","node":{"key":"/a","value":"eight","modifiedIndex":8,"createdIndex":5}},
{"action":"update","node":{"key":"/a","value":"nine","modifiedIndex":9,"createdIndex":5},
"prevNode":{"key":"/a","value":"eight","modifiedIndex":8,"createdIndex":5}}],
"Size":4,"Front":0,"Back":0,"Capacity":1000},"StartIndex":5,"LastIndex":9}},"CurrentIndex":9}"#;

#[test]
fn a_watch_from_before_the_kept_events_is_told_so_and_what_expired_has_an_event() {
    let site = Site::new("import-gap").named("n1");
    let file = site.folder().join("store");
    std::fs::write(&file, WITH_A_GAP).unwrap();
    let from = format!("--from-snapshot={}", file.display());
    let report = into(&site, &[&from, "--index-margin=0", "--json"]).json();
    let directory = &report["directory"];
    assert_eq!((&directory["eventsFrom"], &directory["goesOnAbove"]), (&8.into(), &10.into()));
    assert_eq!((&report["files"], &report["expired"]), (&1.into(), &1.into()), "{report}");
    let server = site.start();
    for index in [1, 5, 7] {
        assert_eq!(past(server.addr(), "/a", index)["errorCode"], 401, "{index}");
    }
    for (index, value) in [(8, "eight"), (9, "nine")] {
        let event = past(server.addr(), "/a", index);
        assert_eq!(event["node"]["value"], value, "{event}");
    }
    assert_eq!(past(server.addr(), "/a", 9)["prevNode"]["value"], "eight");
    let event = past(server.addr(), "/old", 9);
    assert_eq!((&event["action"], &event["node"]["modifiedIndex"]), (&"expire".into(), &10.into()));
    assert_eq!(ask(server.addr(), &Request::get("/v2/keys/old")).status(), 404);
}

/// What one member was made of is what all have: nodes, indexes and past events.
#[test]
fn others_join_and_have_the_same_indexes() {
    let (source, site) = (Source::unpack("etcd-2.3.8-wal"), Site::new("import-join").named("m0"));
    assert_eq!(into(&site, &[&source.arg()]).code, Some(0));
    let (want, index) = expected("etcd-2.3.8-wal");
    let founder = Machine { server: Some(site.start()), site };
    let contact = founder.site.peer_addr();
    let mut cluster = Cluster { machines: vec![founder] };
    for name in ["m1", "m2"] {
        let site = Site::new("import-join").named(name).flags(&format!("-peers {contact}"));
        cluster.machines.push(Machine { server: Some(site.spawn()), site });
        cluster.wait_formed(cluster.machines.len());
    }
    cluster.wait_equal();
    let (_, modified, ..) = want["/plain"];
    for machine in cluster.running() {
        let mut found = kept(machine.addr());
        assert!(found.remove("/formed").is_some_and(|(_, made, ..)| made > index));
        assert_eq!(found, want, "{}", machine.site.name());
        let event = past(machine.addr(), "/plain", modified);
        assert_eq!(event["node"]["value"], "hello world", "{event}");
    }
    // The machine that was imported into is not needed for that.
    cluster.machines[0].kill();
    cluster.leader_but(0);
    for machine in cluster.running() {
        let read = Request::get("/v2/keys/plain?quorum=true");
        let answer = send(machine.addr(), &read).unwrap().json();
        assert_eq!(answer["node"]["modifiedIndex"].as_u64(), Some(modified), "{answer}");
    }
}
