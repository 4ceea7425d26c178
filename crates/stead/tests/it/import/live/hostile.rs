//! A source that lies: an error in a line, nothing written, and no process that ends otherwise.

use super::super::{Source, import, listed};
use super::fake::{Answer, Fake, missing};
use super::get;
use crate::testkit::{Server, TempDir};
use std::fs;

fn json(body: &str) -> Answer {
    (200, 7, body.as_bytes().to_vec())
}

/// A source whose listing is `listing`.
fn source(listing: impl Fn() -> Answer + Send + Sync + 'static) -> Fake {
    Fake::start(move |path| match path {
        "/version" => json(r#"{"etcdserver":"3.4.23"}"#),
        path if path.contains("wait=true") => (404, 7, Vec::new()),
        path if path.starts_with("/v2/keys/?") => listing(),
        _ => missing(7),
    })
}

fn tree(nodes: &str) -> Answer {
    json(&format!(r#"{{"action":"get","node":{{"dir":true,"nodes":[{nodes}]}}}}"#))
}

#[test]
fn a_listing_that_lies_is_refused_before_anything_is_written() {
    type Lie = fn() -> Answer;
    let lies: [(Lie, &str); 13] = [
        (|| tree(r#"{"key":"/a/../b","value":""}"#), "/a/../b"),
        (|| tree(r#"{"key":"/..","value":""}"#), "the key \"/..\" in the directory \"\""),
        (|| tree(r#"{"key":"/b/x","value":""}"#), "the key \"/b/x\" in the directory \"\""),
        (|| tree(r#"{"key":"/a"},{"key":"/a"}"#), "twice"),
        (|| tree(r#"{"key":"/a","nodes":[{"key":"/a/b"}]}"#), "no directory"),
        (|| json("<html>hello</html>"), "cannot list /"),
        (|| json(r#"{"action":"get","node":{"dir":true"#), "EOF"),
        (|| json(&r#"{"node":{"nodes":["#.repeat(2_000_000)), "1000 deep"),
        (|| json(&"[".repeat(3_000_000)), "1000 deep"),
        (|| (200, u64::MAX, tree("").2), "which cannot be"),
        (|| (404, 0, b"404 page not found".to_vec()), "--enable-v2=true"),
        (
            || (401, 0, br#"{"errorCode":110,"message":"no","cause":"rights"}"#.to_vec()),
            "--source-user-file",
        ),
        (|| (500, 0, b"oops".to_vec()), "status 500"),
    ];
    let (_site, target) = Server::start("import-live");
    for (lie, want) in lies {
        let fake = source(lie);
        let run = import(&["--from", &fake.url(), "--to", &target.url()]);
        run.assert_fails(want);
        run.assert_fails(&fake.url());
        assert_eq!(listed(&target, "/").len(), 0, "{want}");
    }
}

/// It is listed before files are written into it, and is believed no more than a source is.
#[test]
fn a_target_that_lies_is_refused() {
    type Lie = fn() -> Answer;
    let lies: [(Lie, &str); 5] = [
        (|| json(&r#"{"node":{"nodes":["#.repeat(2_000_000)), "1000 deep"),
        (|| json(&"[".repeat(3_000_000)), "1000 deep"),
        (|| json("<html>hello</html>"), "cannot list the target's keys"),
        (|| tree(r#"{"key":"/b/x","value":""}"#), "the key \"/b/x\" in the directory \"\""),
        (|| tree(r#"{"key":"/a"},{"key":"/a"}"#), "twice"),
    ];
    let old = Source::unpack("etcd-0.4.9-wal");
    for (lie, want) in lies {
        let fake = source(lie);
        import(&[&old.arg(), "--to", &fake.url()]).assert_fails(want);
    }
}

#[test]
fn an_etcd_without_the_v2_api_is_told_how_to_have_it() {
    let fake = Fake::start(|path| match path {
        "/version" => json(r#"{"etcdserver":"3.5.1"}"#),
        _ => (404, 0, b"404 page not found\n".to_vec()),
    });
    let (_site, target) = Server::start("import-live");
    let run = import(&["--from", &fake.url(), "--to", &target.url()]);
    run.assert_fails("--enable-v2=true");
    assert_eq!(listed(&target, "/").len(), 0);
}

#[test]
fn what_the_target_does_not_take_is_refused_before_anything_is_written() {
    let fake = source(|| {
        let key = format!("/{}", "k".repeat(70_000));
        tree(&format!(r#"{{"key":"/a","value":"x"}},{{"key":"{key}","value":""}}"#))
    });
    let (_site, target) = Server::start("import-live");
    import(&["--from", &fake.url(), "--to", &target.url()]).assert_fails("too long for a request");
    assert_eq!(listed(&target, "/").len(), 0);
}

#[test]
fn strange_times_and_overdue_nodes_harm_only_themselves() {
    let fake = source(|| {
        tree(
            r#"{"key":"/good","value":"x","ttl":100,"expiration":"2001-01-01T00:00:00Z"},
            {"key":"/bad","value":"x","ttl":9223372036854775807,"expiration":"nonsense"},
            {"key":"/worse","value":"x","ttl":-9223372036854775808},
            {"key":"/over","value":"x","expiration":"2001-01-01T00:00:00Z"}"#,
        )
    });
    let (_site, target) = Server::start("import-live");
    let run = import(&["--from", &fake.url(), "--to", &target.url()]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.out.contains("dropped  expired keys and directories: 2"), "{run:?}");
    assert_eq!(get(target.addr(), "/good").as_deref(), Some("x"));
    assert_eq!(get(target.addr(), "/bad").as_deref(), Some("x"));
    assert_eq!(get(target.addr(), "/over"), None);
}

#[test]
fn a_password_goes_to_the_source_alone_and_its_file_is_checked() {
    let dir = TempDir::new("import-user");
    let file = dir.path().join("user").display().to_string();
    let (_site, target) = Server::start("import-live");
    let fake = source(|| tree(r#"{"key":"/a","value":"x"}"#));
    let (from, to) = (fake.url(), target.url());
    let args = ["--from", &from, "--to", &to, "--source-user-file", &file];
    import(&args).assert_fails("cannot read");
    fs::write(&file, "rootpassword\n").unwrap();
    import(&args).assert_fails("NAME:PASSWORD");
    fs::write(&file, "root:pass\n").unwrap();
    assert_eq!(import(&args).code, Some(0));
}
