//! `stead import`: directories that real servers left, into a running server.
//!
//! The directories are those of `crates/legacy`, where every one of them is read; here it is about
//! the command, the requests that it makes and what is there afterwards. `live` has running servers
//! as the source.

mod damage;
mod directory;
mod guards;
mod lines;
mod live;
mod refusals;
mod users;

use crate::testkit::{Request, Server, TempDir, ask};
use flate2::read::GzDecoder;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The files of the tests of `crates/legacy`.
fn data(name: &str) -> GzDecoder<File> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../legacy/tests/data");
    GzDecoder::new(File::open(folder.join(name)).unwrap())
}

/// A data directory, unpacked.
struct Source {
    dir: TempDir,
    name: &'static str,
}

impl Source {
    fn unpack(name: &'static str) -> Self {
        let dir = TempDir::new("import");
        tar::Archive::new(data(&format!("{name}.tar.gz"))).unpack(dir.path()).unwrap();
        Self { dir, name }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join(self.name)
    }

    fn arg(&self) -> String {
        format!("--from-dir={}", self.path().display())
    }
}

/// How a run ended.
#[derive(Debug)]
struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Run {
    fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        serde_json::from_str(&self.out).unwrap()
    }

    /// Asserts that it failed, with a line that says why.
    fn assert_fails(&self, text: &str) {
        assert_eq!((self.code, self.out.as_str()), (Some(1), ""), "{self:?}");
        assert!(self.err.contains(text), "{self:?}");
        assert_eq!(self.err.lines().count(), 1, "{self:?}");
    }
}

fn import(args: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stead"));
    command.arg("import").args(args).env_clear().stdin(Stdio::null());
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// A node: its value unless it is a directory, and its expiration.
type Shown = (Option<String>, Option<String>);

fn collect(node: &Value, nodes: &mut BTreeMap<String, Shown>) {
    let text = |name: &str| node[name].as_str().map(str::to_owned);
    if let Some(key) = text("key").filter(|key| key != "/" && !key.starts_with("/_etcd")) {
        nodes.insert(key, (text("value"), text("expiration")));
    }
    for child in node["nodes"].as_array().into_iter().flatten() {
        collect(child, nodes);
    }
}

/// What the old server answered.
fn recorded(name: &str) -> Value {
    let mut json = Vec::new();
    data(&format!("expected-{name}.json.gz")).read_to_end(&mut json).unwrap();
    serde_json::from_slice(&json).unwrap()
}

/// The listing of the whole in such answers, and those of hidden directories.
fn listings(answers: &Value) -> impl Iterator<Item = &Value> {
    let hidden = answers["hidden"].as_object().unwrap().values();
    std::iter::once(&answers["keys"]).chain(hidden).map(|answer| &answer["node"])
}

/// What the old server listed.
fn expected(name: &str) -> BTreeMap<String, Shown> {
    let (answers, mut nodes) = (recorded(name), BTreeMap::new());
    listings(&answers).for_each(|listing| collect(listing, &mut nodes));
    nodes
}

/// What the server has below a key.
fn listed(server: &Server, key: &str) -> BTreeMap<String, Shown> {
    let path = format!("/v2/keys{key}?recursive=true&hidden=true");
    let mut nodes = BTreeMap::new();
    collect(&ask(server.addr(), &Request::get(&path)).json()["node"], &mut nodes);
    nodes
}

/// Asserts that two listings are the same. A TTL is sent in whole seconds, and counts from when the
/// server takes it.
fn assert_same(found: &BTreeMap<String, Shown>, want: &BTreeMap<String, Shown>) {
    let keys = |nodes: &BTreeMap<String, Shown>| nodes.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(found), keys(want));
    for (key, (value, expiration)) in want {
        let (found_value, found_expiration) = &found[key];
        assert_eq!(found_value, value, "{key}");
        assert_eq!(found_expiration.is_some(), expiration.is_some(), "{key}");
        // The minute is the same or the next one; ten years are left.
        if let (Some(found), Some(want)) = (found_expiration, expiration) {
            assert!((seconds(found) - seconds(want)).abs() <= 3, "{key}: {found} {want}");
        }
    }
}

/// Seconds within its month.
fn seconds(time: &str) -> i64 {
    let number = |range: std::ops::Range<usize>| time[range].parse::<i64>().unwrap();
    ((number(8..10) * 24 + number(11..13)) * 60 + number(14..16)) * 60 + number(17..19)
}

#[test]
fn directories_of_04_and_2_give_what_the_old_server_listed() {
    for name in ["etcd-0.4.9-wal", "etcd-2.3.8-wal"] {
        let (source, (_site, server)) = (Source::unpack(name), Server::start("import"));
        let report = import(&[&source.arg(), "--to", &server.url(), "--json"]).json();
        let want = expected(name);
        assert_same(&listed(&server, "/"), &want);
        let files = want.values().filter(|(value, _)| value.is_some()).count();
        assert_eq!(report["files"].as_u64(), Some(files as u64), "{report}");
        assert_eq!(report["directories"].as_u64(), Some((want.len() - files) as u64), "{report}");
        assert_eq!((report["present"].as_u64(), report["expired"].as_u64()), (Some(0), Some(0)));
        let index = ask(server.addr(), &Request::get("/v2/keys/")).index();
        if report["indexRaised"] == true {
            assert!(index > report["source"]["storeIndex"].as_u64().unwrap());
        } else {
            assert!(report["warnings"][0].as_str().unwrap().contains("cannot raise its index"));
        }
    }
}

#[test]
fn the_report_for_people_says_what_was_taken_and_what_was_not() {
    let (source, (_site, server)) = (Source::unpack("etcd-2.3.8-cluster"), Server::start("import"));
    let member = format!("--from-dir={}", source.path().join("m1").display());
    let run = import(&[&member, "--to", &server.url()]);
    assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{run:?}");
    for text in [
        "etcd 2.0 to 3.5, cluster version 2.3.0, members ",
        "index 214, and was applied up to 213; store index 189",
        "files: 118, bytes: ",
        "nodes of the old server itself",
        "entries above the recorded commit index 213 were left out (1)",
    ] {
        assert!(run.out.contains(text), "no {text:?} in {}", run.out);
    }
}

#[test]
fn a_dry_run_writes_nothing() {
    let (source, (_site, server)) = (Source::unpack("etcd-2.3.8-wal"), Server::start("import"));
    let before = ask(server.addr(), &Request::get("/v2/keys/")).index();
    for to in [&["--to", &server.url()][..], &[]] {
        let from = source.arg();
        let run = import(&[&[from.as_str(), "--dry-run"], to].concat());
        assert_eq!(run.code, Some(0), "{run:?}");
        assert!(run.out.contains("these would be imported"), "{run:?}");
    }
    assert_eq!(ask(server.addr(), &Request::get("/v2/keys/")).index(), before);
}

#[test]
fn a_snapshot_can_be_imported_below_a_prefix() {
    let (source, (_site, server)) = (Source::unpack("etcd-0.4.9-snap"), Server::start("import"));
    ask(server.addr(), &Request::put("/v2/keys/mine", "value=stays"));
    let file = source.path().join("snapshot/0_250.ss").display().to_string();
    let run = import(&["--from-snapshot", &file, "--to", &server.url(), "--prefix", "/old/one"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.out.contains("everything written after raft index 250 is missing"), "{run:?}");
    let found = listed(&server, "/old/one");
    assert!(found.contains_key("/old/one/plain") && found.len() > 190, "{}", found.len());
    assert_eq!(listed(&server, "/mine").len(), 1);
}

#[test]
fn an_import_that_was_interrupted_continues() {
    let (source, (_site, server)) = (Source::unpack("etcd-2.3.8-wal"), Server::start("import"));
    let want = expected("etcd-2.3.8-wal");
    let written: Vec<&String> = want.keys().filter(|key| key.starts_with("/many/")).collect();
    for key in &written {
        let value = want[*key].0.as_deref().unwrap();
        ask(server.addr(), &Request::put(&format!("/v2/keys{key}"), &format!("value={value}")));
    }
    let run = import(&[&source.arg(), "--to", &server.url()]);
    assert_eq!(run.code, Some(0), "{run:?}");
    // The directory too.
    let before = format!("there before: {}\n", written.len() + 1);
    assert!(run.out.contains(&before), "{run:?}");
    assert_same(&listed(&server, "/"), &want);
    // Nothing is left to do.
    let index = ask(server.addr(), &Request::get("/v2/keys/")).index();
    let report = import(&[&source.arg(), "--to", &server.url(), "--json"]).json();
    let nodes = report["files"].as_u64().unwrap() + report["directories"].as_u64().unwrap();
    assert_eq!(report["present"].as_u64(), Some(nodes));
    assert_eq!(ask(server.addr(), &Request::get("/v2/keys/")).index(), index);
}

#[test]
fn a_member_that_does_not_answer_is_passed_over() {
    let (source, (_site, server)) = (Source::unpack("etcd-0.4.9-wal"), Server::start("import"));
    let to = format!("127.0.0.1:1,{}", server.url());
    let run = import(&[&source.arg(), "--to", &to]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_same(&listed(&server, "/"), &expected("etcd-0.4.9-wal"));
}
