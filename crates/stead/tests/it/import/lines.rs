//! What Stead itself keeps as a source: backups, and nodes as lines of JSON.

use super::directory::{Kept, into, kept, past};
use super::import;
use crate::testkit::{Request, Server, Site, TempDir, ask};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs `stead backup`.
fn backup(args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stead"));
    let output = command.arg("backup").args(args).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn from(file: &Path) -> String {
    format!("--from-snapshot={}", file.display())
}

/// A server with a bit of everything; what it has, its index, and the two files of it.
struct Old {
    dir: TempDir,
    nodes: BTreeMap<String, Kept>,
    index: u64,
}

impl Old {
    fn new() -> Self {
        let (dir, (site, server)) = (TempDir::new("import-old"), Server::start("import-old"));
        let addr = server.addr();
        for (key, form) in [
            ("a/b", "value=1"),
            ("a/b", "value=two%0A%22lines%22"),
            ("a-b", "value=%E4%BD%A0"),
            ("_hidden/x", "value="),
            ("empty", "dir=true"),
            ("lives", "value=3&ttl=5000"),
            ("dies", "value=4&ttl=1"),
            ("dies-too", "dir=true&ttl=1"),
            ("_etcd/registry/token/m1", "value=registered"),
        ] {
            let put = Request::put(&format!("/v2/keys/{key}"), form);
            assert!(ask(addr, &put).status() < 300, "{key}");
        }
        assert_eq!(ask(addr, &Request::post("/mod/v2/lock/l?ttl=50", "")).status(), 200);
        let file = dir.path().join("backup").display().to_string();
        backup(&["--endpoint", &server.url(), &file]);
        let lines = backup(&["inspect", "--json", &file]);
        fs::write(dir.path().join("lines"), &lines).unwrap();
        let index = ask(addr, &Request::get("/v2/keys/")).index();
        let mut nodes = kept(addr);
        nodes.retain(|key, _| !key.starts_with("/dies"));
        // Both are gone by the clock before anything is imported.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        drop((site, server));
        Self { dir, nodes, index }
    }

    fn backup(&self) -> String {
        from(&self.dir.path().join("backup"))
    }

    fn lines(&self) -> String {
        from(&self.dir.path().join("lines"))
    }
}

#[test]
fn a_backup_and_its_lines_are_imported_into_a_directory() {
    let old = Old::new();
    for source in [old.backup(), old.lines()] {
        let site = Site::new("import-own").named("n1");
        let report = into(&site, &[&source, "--json"]).json();
        assert_eq!(report["source"]["family"], "Stead", "{report}");
        assert_eq!(report["expired"], 2, "{report}");
        let skipped = &report["skipped"][0];
        assert_eq!(skipped["reason"], "nodes where the target keeps data of its own", "{report}");
        let index = report["source"]["storeIndex"].as_u64().unwrap();
        let above = report["directory"]["goesOnAbove"].as_u64().unwrap();
        assert!((index + 1_000_000..index + 1_100_000).contains(&above), "{report}");
        let server = site.start();
        assert_eq!(kept(server.addr()), old.nodes);
        let registered = Request::get("/v2/keys/_etcd/registry/token/m1");
        assert_eq!(ask(server.addr(), &registered).json()["node"]["value"], "registered");
        let machines = ask(server.addr(), &Request::get("/v2/keys/_etcd/machines")).json();
        let machines = machines["node"]["nodes"].as_array().unwrap().len();
        assert_eq!(machines, 1, "the machine of the old cluster is none of this one");
        assert_eq!(past(server.addr(), "/a/b", old.index)["errorCode"], 401);
        let put = ask(server.addr(), &Request::put("/v2/keys/new", "value=5")).json();
        assert!(put["node"]["modifiedIndex"].as_u64() > Some(above), "{put}");
    }
}

#[test]
fn a_backup_and_its_lines_are_imported_into_a_running_server() {
    let old = Old::new();
    let shown = |nodes: &BTreeMap<String, Kept>| {
        let show = |(key, node): (&String, &Kept)| (key.clone(), node.0.clone(), node.3.is_some());
        nodes.iter().map(show).collect::<Vec<_>>()
    };
    for source in [old.backup(), old.lines()] {
        let (_site, server) = Server::start("import-own");
        let report = import(&[&source, "--to", &server.url(), "--json"]).json();
        assert_eq!((&report["expired"], &report["indexRaised"]), (&2.into(), &true.into()));
        assert_eq!(shown(&kept(server.addr())), shown(&old.nodes));
        // The same again has nothing to do.
        let again = import(&[&source, "--to", &server.url(), "--json"]).json();
        let nodes = again["files"].as_u64().unwrap() + again["directories"].as_u64().unwrap();
        // The directory of what the server keeps for itself is not looked at.
        assert_eq!(again["present"].as_u64(), Some(nodes - 1), "{again}");
    }
}

#[test]
fn a_damaged_backup_is_refused_and_nothing_is_made() {
    let old = Old::new();
    let file = old.dir.path().join("backup");
    let bytes = fs::read(&file).unwrap();
    for at in (8..bytes.len()).step_by(bytes.len() / 40 + 1) {
        let (mut changed, mut cut) = (bytes.clone(), bytes.clone());
        changed[at] ^= 1;
        cut.truncate(at);
        for damaged in [changed, cut] {
            fs::write(&file, damaged).unwrap();
            let site = Site::new("import-own");
            into(&site, &[&from(&file)]).assert_fails(&file.display().to_string());
            assert!(!site.data_dir().exists(), "{at}");
        }
    }
}

#[test]
fn lines_that_cannot_be_nodes_are_refused_by_number_and_nothing_is_made() {
    let (dir, site) = (TempDir::new("import-lines"), Site::new("import-lines"));
    let file = dir.path().join("lines");
    let node = |key: &str, more: &str| {
        format!("{{\"key\":\"{key}\",{more},\"modifiedIndex\":3,\"createdIndex\":2}}\n")
    };
    let large = format!("\"value\":\"{}\"", "x".repeat((10 << 20) + 1));
    let (parent, value) = (node("/a", "\"dir\":true"), "\"value\":\"x\"");
    for (second, text) in [
        ("{\"key\":\"/a/b\",\"val".to_owned(), "line 2: it is not a node: EOF"),
        ("zzz\n".to_owned(), "line 2: it is not a node: expected value"),
        (node("/a", value), "line 2: its key was on a line before"),
        (node("/a/b/c", value), "line 2: no line says that there is its directory"),
        (node("/a/../b", value), "line 2: its key is none that a node can have"),
        (node("/a/b", "\"dir\":false"), "line 2: it has neither a value nor"),
        (node("/a/b", value).replace(":3", ":1"), "line 2: its createdIndex is greater"),
        (node("/a/b", value).replace(":3", ":-1"), "line 2: it is not a node: invalid value"),
        (node("/a/b", value).replace(":3", ":9007199254740993"), "is above 4503599627370496"),
        (node("/a/b", "\"value\":\"x\",\"expiration\":\"soon\""), "line 2: its expiration is not"),
        (node("/a/b", &large), "bytes in a request, more than 10485760"),
        (node("/a/b", "\"value\":\"x\",\"nodes\":[]"), "line 2: it is not a node: unknown field"),
    ] {
        fs::write(&file, format!("{parent}{second}")).unwrap();
        into(&site, &[&from(&file)]).assert_fails(text);
        assert!(!site.data_dir().exists(), "{text}");
    }
    fs::write(&file, "").unwrap();
    into(&site, &[&from(&file)]).assert_fails("it is empty");
}

/// As after `sort`, or another tool.
#[test]
fn the_order_of_lines_does_not_matter_and_a_value_may_be_long() {
    let (dir, site) = (TempDir::new("import-lines"), Site::new("import-lines").named("n1"));
    let file = dir.path().join("lines");
    let long = "\\u0001".repeat(1 << 20);
    let lines = format!(
        "{{\"key\":\"/a/b\",\"value\":\"{long}\",\"modifiedIndex\":9,\"createdIndex\":4}}\r\n\n\
         {{\"key\":\"/a\",\"dir\":true,\"ttl\":5,\"modifiedIndex\":4,\"createdIndex\":4}}"
    );
    fs::write(&file, lines).unwrap();
    let report = into(&site, &[&from(&file), "--index-margin=0", "--json"]).json();
    assert_eq!((&report["files"], &report["bytes"]), (&1.into(), &(1 << 20).into()));
    let server = site.start();
    let want = [
        ("/a".to_owned(), (None, 4, 4, None)),
        ("/a/b".to_owned(), (Some("\u{1}".repeat(1 << 20)), 9, 4, None)),
    ];
    assert_eq!(kept(server.addr()), BTreeMap::from(want));
}
