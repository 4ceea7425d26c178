//! `stead import --from`: a running server as the source, from Stead to Stead.
//!
//! `old` has recorded servers of etcd as the source, `hostile` a source that lies, `follow` what
//! changes meanwhile. packaging/test/import-etcd does the same with a real etcd.

mod fake;
mod follow;
mod hostile;
mod old;

use super::{Run, assert_same, import, listed};
use crate::testkit::{Request, Server, Site, ask};
use crate::tls::client::{Authority, Client};
use std::net::SocketAddr;

fn put(addr: SocketAddr, key: &str, form: &str) {
    let answer = ask(addr, &Request::put(&format!("/v2/keys{key}"), form));
    assert!(matches!(answer.status(), 200 | 201), "{key}: {}", answer.text());
}

/// A key as a queue gets it.
fn post(addr: SocketAddr, key: &str) -> String {
    let answer = ask(addr, &Request::post(&format!("/v2/keys{key}"), "value=job"));
    answer.json()["node"]["key"].as_str().unwrap().to_owned()
}

fn get(addr: SocketAddr, key: &str) -> Option<String> {
    let answer = ask(addr, &Request::get(&format!("/v2/keys{key}")));
    (answer.status() == 200).then(|| answer.json()["node"]["value"].as_str().unwrap().to_owned())
}

fn index(addr: SocketAddr) -> u64 {
    ask(addr, &Request::get("/v2/keys/")).index()
}

/// Nodes of every kind.
fn fill(addr: SocketAddr) {
    put(addr, "/plain", "value=hello+world");
    put(addr, "/empty/value", "value=");
    put(addr, "/empty/dir", "dir=true");
    put(addr, "/ttl/dir", "dir=true&ttl=5000");
    put(addr, "/ttl/dir/in", "value=x");
    put(addr, "/ttl/empty", "dir=true&ttl=900");
    put(addr, "/ttl/long", "value=x&ttl=3000");
    put(addr, "/odd/a%20b%25%3F%23%F0%9F%A6%80", "value=%00%0A%22%5C%F0%9F%A6%80");
    put(addr, "/vis/_secret/in", "value=hidden");
    put(addr, "/_top/_deeper/x", "value=hidden");
    put(addr, "/_etcd/registry/token/1", "value=discovery");
    put(addr, "/big", &format!("value={}", "0123456789".repeat(40_000)));
    (0..5).for_each(|_| _ = post(addr, "/queue"));
}

fn filled() -> (Site, Server) {
    let (site, server) = Server::start("import-source");
    fill(server.addr());
    (site, server)
}

fn run(source: &Server, target: &Server, flags: &[&str]) -> Run {
    import(&[&["--from", &source.url(), "--to", &target.url()], flags].concat())
}

#[test]
fn all_kinds_of_nodes_arrive_and_a_second_run_finds_them() {
    let ((_a, source), (_b, target)) = (filled(), Server::start("import-target"));
    let report = run(&source, &target, &["--verify", "--json"]).json();
    let want = listed(&source, "/");
    assert_same(&listed(&target, "/"), &want);
    assert_eq!(get(target.addr(), "/_etcd/registry/token/1").as_deref(), Some("discovery"));
    assert_eq!(report["verified"]["differences"], 0, "{report}");
    assert_eq!((&report["indexRaised"], &report["present"]), (&true.into(), &0.into()));
    // New in-order keys sort behind those that were imported, and old indexes are error 401.
    let last = want.keys().rfind(|key| key.starts_with("/queue/")).unwrap().clone();
    let number = |key: &str| key["/queue/".len()..].parse::<u64>().unwrap();
    assert!(number(&post(target.addr(), "/queue")) > number(&last));
    let old = format!("/v2/keys/?wait=true&recursive=true&waitIndex={}", index(source.addr()) + 1);
    assert_eq!(ask(target.addr(), &Request::get(&old)).json()["errorCode"], 401);

    let before = index(target.addr());
    let report = run(&source, &target, &["--merge", "--json"]).json();
    let nodes = report["files"].as_u64().unwrap() + report["directories"].as_u64().unwrap();
    assert_eq!(report["present"].as_u64(), Some(nodes), "{report}");
    assert_eq!(index(target.addr()), before);
}

#[test]
fn a_time_to_live_that_has_changed_is_carried_over_by_a_second_run() {
    let site = Site::new("import-source").with_v2();
    let (source, (_b, target)) = (site.start(), Server::start("import-target"));
    fill(source.addr());
    assert_eq!(run(&source, &target, &[]).code, Some(0));
    put(source.addr(), "/ttl/long", "value=x&ttl=9000");
    put(source.addr(), "/ttl/dir", "dir=true&ttl=8000&prevExist=true");
    put(source.addr(), "/plain", "value=hello+world&ttl=7000");
    let second = run(&source, &target, &["--verify"]);
    assert_eq!(second.code, Some(0), "{second:?}");
    assert_same(&listed(&target, "/"), &listed(&source, "/"));
    // Only the dialect of 2.x makes a directory permanent; in that of 0.4 it lasts for centuries.
    put(source.v2_addr(), "/ttl/empty", "dir=true&prevExist=true");
    let third = run(&source, &target, &["--verify"]);
    assert_eq!(third.code, Some(0), "{third:?}");
    let expiration = listed(&target, "/")["/ttl/empty"].1.clone().unwrap();
    assert!(expiration.as_str() > "2300", "{expiration}");
}

#[test]
fn a_dry_run_writes_nothing_and_a_prefix_moves_everything() {
    let ((_a, source), (_b, target)) = (filled(), Server::start("import-target"));
    let before = index(target.addr());
    let dry = run(&source, &target, &["--dry-run"]);
    assert!(dry.out.contains("these would be imported"), "{dry:?}");
    assert_eq!(index(target.addr()), before);
    put(target.addr(), "/mine", "value=stays");
    let run = run(&source, &target, &["--prefix", "/old/one", "--verify"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let moved = listed(&target, "/old/one");
    assert_eq!(moved["/old/one/vis/_secret/in"].0.as_deref(), Some("hidden"));
    assert_eq!(get(target.addr(), "/old/one/_etcd/registry/token/1").as_deref(), Some("discovery"));
    let none = ask(target.addr(), &Request::get("/v2/keys/old/one/_etcd/machines"));
    assert_eq!(none.status(), 404);
    assert_eq!(get(target.addr(), "/mine").as_deref(), Some("stays"));
}

#[test]
fn a_comparison_names_what_differs_and_writes_nothing() {
    let ((_a, source), (_b, target)) = (filled(), Server::start("import-target"));
    assert_eq!(run(&source, &target, &[]).code, Some(0));
    let addr = target.addr();
    put(addr, "/plain", "value=planted");
    put(addr, "/more", "value=planted");
    put(addr, "/ttl/long", "value=x&ttl=100");
    ask(addr, &Request::delete("/v2/keys/vis/_secret/in"));
    ask(addr, &Request::delete("/v2/keys/empty/dir?dir=true"));
    put(addr, "/empty/dir", "value=a+file");
    let before = index(addr);
    let run = run(&source, &target, &["--verify", "--dry-run"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    for text in [
        "DIFFERS  5 of ",
        "/plain: other values (11 bytes here, 7 at the target)",
        "/more: at the target alone",
        " s shorter at the target",
        "/vis/_secret/in: missing at the target",
        "/empty/dir: a file at the target",
    ] {
        assert!(run.out.contains(text), "no {text:?} in {}", run.out);
    }
    assert_eq!(index(addr), before);
}

#[test]
fn a_target_with_other_keys_is_refused_unless_it_is_to_be_merged() {
    let ((_a, source), (_b, target)) = (filled(), Server::start("import-target"));
    put(target.addr(), "/mine", "value=stays");
    run(&source, &target, &[]).assert_fails("1 other keys already, such as /mine");
    put(target.addr(), "/plain", "value=mine");
    run(&source, &target, &["--merge"]).assert_fails("other values (or kinds of nodes) at 1");
    assert_eq!(listed(&target, "/").len(), 2);
    let run = run(&source, &target, &["--force", "--verify"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.out.contains("the target has 1 others, such as /mine"), "{run:?}");
    assert_eq!(get(target.addr(), "/plain").as_deref(), Some("hello world"));
}

#[test]
fn a_cluster_is_not_copied_into_itself() {
    let (_site, server) = filled();
    let before = index(server.addr());
    // Under another name too.
    let same = server.url().replace("127.0.0.1", "localhost");
    for to in [server.url(), same] {
        let run = import(&["--from", &server.url(), "--to", &to, "--prefix=/copy", "--follow"]);
        run.assert_fails("source and target are the same cluster");
    }
    assert_eq!(index(server.addr()), before);
}

#[test]
fn a_source_that_asks_for_certificates_is_shown_one() {
    let authority = Authority::new();
    let site = Site::new("import-tls");
    authority.write_files(site.folder());
    let path = |name: &str| site.folder().join(name).display().to_string();
    let [cert, key, ca] = ["cert.pem", "key.pem", "ca.pem"].map(path);
    let site = site.flags(&format!("-cert-file={cert} -key-file={key} -ca-file={ca}"));
    let _source = site.spawn();
    let mut client = Client::ready_with(site.addr(), || authority.client(true));
    assert_eq!(client.ask("PUT", "/v2/keys/a", "value=x").0, 201);
    let ((_b, target), from) = (Server::start("import-target"), format!("https://{}", site.addr()));
    let to = target.url();
    let args = ["--from", &from, "--to", &to, "--verify", "--from-ca-file", &ca];
    import(&args).assert_fails(&from);
    let shown = ["--from-cert-file", &cert, "--from-key-file", &key];
    assert_eq!(import(&[&args[..], &shown].concat()).code, Some(0));
    assert_eq!(get(target.addr(), "/a").as_deref(), Some("x"));
}

#[test]
fn sides_that_do_not_answer_are_named_and_others_are_asked() {
    let ((_a, source), (_b, target)) = (filled(), Server::start("import-target"));
    let nobody = "http://127.0.0.1:1";
    import(&["--from", nobody, "--to", &target.url()]).assert_fails(nobody);
    import(&["--from", &source.url(), "--to", nobody]).assert_fails(nobody);
    let (from, to) = (format!("{nobody},{}", source.url()), format!("{nobody},{}", target.url()));
    assert_eq!(import(&["--from", &from, "--to", &to, "--verify"]).code, Some(0));
}
