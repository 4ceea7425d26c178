//! Users and roles of real servers: from their directories with the hashes of their passwords.
//!
//! The archives with `auth` have `root`, `alice` and `bob`, who have the roles `root`, `app-rw` and
//! `app-ro`, and a role `guest` without rights; users count.

use super::directory::into;
use super::{Run, Source, import, recorded};
use crate::cluster::kit::{Cluster, Machine, members, metric};
use crate::rights::{SOON, auth, done, of, spawn};
use crate::testkit::{Request, Response, Server, Site, ask, wait_until};
use serde_json::Value;
use std::net::SocketAddr;

const ROOT: &str = "root:root-Pass-1";
const ALICE: &str = "alice:alice-Pass-5";
const BOB: &str = "bob:bob-Pass-3";

/// A file with a name and a password, as an argument.
fn user_file(site: &Site, who: &str) -> String {
    let file = site.folder().join("user");
    std::fs::write(&file, who).unwrap();
    format!("--user-file={}", file.display())
}

fn status(addr: SocketAddr, who: &str, request: Request) -> u16 {
    let request = if who.is_empty() { request } else { of(who, request) };
    ask(addr, &request).status()
}

fn read(addr: SocketAddr, who: &str, key: &str) -> u16 {
    status(addr, who, Request::get(&format!("/v2/keys{key}?quorum=true")))
}

fn put(addr: SocketAddr, who: &str, key: &str) -> u16 {
    status(addr, who, Request::put(&format!("/v2/keys{key}"), "value=1"))
}

fn as_root(addr: SocketAddr, method: &str, path: &str, body: &str) -> Response {
    ask(addr, &of(ROOT, auth(method, path, body)))
}

/// Asserts that everybody may what it might at the old server, with its old password.
fn assert_rights(addr: SocketAddr) {
    for (who, key, want) in [
        (ALICE, "/app/one", 200),
        ("alice:alice-Pass-2", "/app/one", 401),
        ("alice:", "/app/one", 401),
        ("carol:x", "/app/one", 401),
        (ALICE, "/plain", 401),
        (BOB, "/plain", 200),
        (BOB, "/app/one", 200),
        (BOB, "/uni", 401),
        ("", "/plain", 401),
        (ROOT, "/plain", 200),
        (ROOT, "/?recursive=true", 200),
        ("root:root-Pass-2", "/plain", 401),
    ] {
        assert_eq!(read(addr, who, key), want, "{who} reads {key}");
    }
    assert!(matches!(put(addr, ALICE, "/app/new"), 200 | 201));
    assert_eq!((put(addr, BOB, "/app/new"), put(addr, ALICE, "/uni/x")), (401, 401));
    assert_eq!(put(addr, "", "/app/new"), 401);
    let users = auth("GET", "users", "");
    assert_eq!((status(addr, ALICE, users.clone()), status(addr, ROOT, users)), (401, 200));
}

/// What the old server answered of its users is what this one does.
fn assert_as_recorded(addr: SocketAddr, name: &str) {
    let answers = &recorded(name)["auth"];
    for kind in ["users", "roles"] {
        assert_eq!(as_root(addr, "GET", kind, "").json(), answers[kind], "{name}");
    }
    for (kind, each) in [("users", "user"), ("roles", "role")] {
        for (who, shown) in answers[each].as_object().unwrap() {
            assert_eq!(as_root(addr, "GET", &format!("{kind}/{who}"), "").json(), *shown);
        }
    }
}

fn imported(report: &Value, users: u64, roles: u64) {
    let found = &report["users"];
    assert_eq!(found["usersImported"].as_u64(), Some(users), "{report}");
    assert_eq!(found["rolesImported"].as_u64(), Some(roles), "{report}");
    for nothing in ["withoutPassword", "leftOut"] {
        assert_eq!(found[nothing].as_array().map(Vec::len), Some(0), "{report}");
    }
}

#[test]
fn users_of_a_directory_keep_their_passwords_and_rights() {
    for name in ["etcd-2.3.8-auth", "etcd-3.4.23-auth", "etcd-3.5.1-auth"] {
        let (source, site) = (Source::unpack(name), Site::new("import-users").named("n1"));
        let report = into(&site, &[&source.arg(), "--json"]).json();
        imported(&report, 3, 3);
        assert_eq!(report["users"]["countAtSource"], true, "{report}");
        let server = spawn(&site);
        assert_as_recorded(server.addr(), name);
        assert_rights(server.addr());
        // One that is made now has an id of its own.
        let addr = server.addr();
        done(&as_root(addr, "PUT", "users/dave", r#"{"user":"dave","password":"d"}"#));
        done(&as_root(addr, "PUT", "users/dave", r#"{"user":"dave","grant":["app-ro"]}"#));
        assert_eq!((read(addr, "dave:d", "/plain"), read(addr, ALICE, "/plain")), (200, 401));
        server.kill();
        let server = spawn(&site);
        assert_rights(server.addr());
        assert_eq!(read(server.addr(), "dave:d", "/plain"), 200);
    }
}

#[test]
fn a_directory_can_be_made_without_users_and_below_a_prefix() {
    let source = Source::unpack("etcd-2.3.8-auth");
    let site = Site::new("import-users").named("n1");
    let run = into(&site, &[&source.arg(), "--no-users"]);
    assert!(run.out.contains("skipped  nodes of users and roles: "), "{run:?}");
    assert!(!run.out.contains("users    "), "{run:?}");
    let server = site.start();
    assert_eq!(read(server.addr(), "", "/plain"), 200);
    assert_eq!(ask(server.addr(), &auth("GET", "users", "")).json()["users"], Value::Null);

    let site = Site::new("import-users").named("n1");
    let dry = into(&site, &[&source.arg(), "--prefix=/old/one", "--dry-run"]);
    let told = "users: 3, roles: 3; 3 users with their passwords and 3 roles would be imported";
    assert!(dry.out.contains(told) && !site.data_dir().exists(), "{dry:?}");
    let run = into(&site, &[&source.arg(), "--prefix=/old/one"]);
    assert!(run.out.contains("3 roles were imported\n"), "{run:?}");
    assert!(run.out.contains("users count as at the source"), "{run:?}");
    let server = spawn(&site);
    assert_eq!(read(server.addr(), ALICE, "/old/one/app/one"), 200);
    assert_eq!(read(server.addr(), ALICE, "/app/one"), 401);
    assert_eq!(read(server.addr(), ROOT, "/old/one/plain"), 200);
}

/// Machines that join get users by a snapshot: no log tells of them.
#[test]
fn others_join_and_know_the_users() {
    let source = Source::unpack("etcd-3.4.23-auth");
    let site = Site::new("import-users").named("m0");
    assert_eq!(into(&site, &[&source.arg()]).code, Some(0));
    let founder = Machine { server: Some(spawn(&site)), site };
    let contact = founder.site.peer_addr();
    let mut cluster = Cluster { machines: vec![founder] };
    for name in ["m1", "m2"] {
        let site = Site::new("import-users").named(name).flags(&format!("-peers {contact}"));
        cluster.machines.push(Machine { server: Some(site.spawn()), site });
    }
    wait_until("all vote", SOON, || {
        cluster.running().all(|machine| {
            members(machine.addr()).len() == 3
                && metric(machine.addr(), "stead_raft_is_voter") == Some(1)
        })
    });
    for machine in cluster.running() {
        assert_as_recorded(machine.addr(), "etcd-3.4.23-auth");
        assert_rights(machine.addr());
    }
    cluster.machines[0].kill();
    cluster.leader_but(0);
    let others: Vec<SocketAddr> = cluster.running().map(Machine::addr).collect();
    wait_until("one of the others leads", SOON, || put(others[0], ALICE, "/app/new") == 200);
    others.iter().for_each(|addr| assert_rights(*addr));
}

fn to(source: &Source, server: &Server, flags: &[&str]) -> Run {
    import(&[&[&source.arg()[..], "--to", &server.url()], flags].concat())
}

#[test]
fn a_running_server_gets_users_that_do_not_count_before_somebody_lets_them() {
    let name = "etcd-3.4.23-auth";
    let (source, (site, server)) = (Source::unpack(name), Server::start("import-users"));
    let addr = server.addr();
    let dry = to(&source, &server, &["--dry-run"]);
    assert!(dry.out.contains("3 users with their passwords and 3 roles would be"), "{dry:?}");
    assert_eq!(ask(addr, &auth("GET", "users", "")).json()["users"], Value::Null);
    let run = to(&source, &server, &[]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.out.contains("3 users with their passwords and 3 roles were imported"), "{run:?}");
    let command = format!("to let them: curl {}/v2/auth/enable -XPUT\n", server.url());
    assert!(run.out.contains(&command), "{run:?}");
    assert_eq!(read(addr, "", "/plain"), 200, "nothing changes for clients yet");
    done(&ask(addr, &auth("PUT", "enable", "")));
    assert_as_recorded(addr, name);
    assert_rights(addr);

    // Again: all is there, and asks for root now.
    let revision = read_index(addr);
    to(&source, &server, &[]).assert_fails("--user-file");
    let root = user_file(&site, ROOT);
    let again = to(&source, &server, &[&root, "--json", "--merge"]).json();
    imported(&again, 0, 0);
    assert_eq!(again["users"]["usersPresent"], serde_json::json!(["alice", "bob", "root"]));
    assert_eq!(again["users"]["countAtTarget"], true, "{again}");
    assert_eq!(read_index(addr), revision, "nothing was written");
}

fn read_index(addr: SocketAddr) -> u64 {
    ask(addr, &of(ROOT, Request::get("/v2/keys/"))).index()
}

#[test]
fn users_and_roles_of_the_target_are_not_overwritten_in_silence() {
    let (source, (site, server)) =
        (Source::unpack("etcd-2.3.8-auth"), Server::start("import-users"));
    let addr = server.addr();
    for (path, body) in [
        // The first half of an import that was interrupted, but for alice's password.
        (
            "roles/app-rw",
            r#"{"role":"app-rw","permissions":{"kv":{"read":["/app/*"],"write":["/app/*"]}}}"#,
        ),
        ("users/alice", r#"{"user":"alice","password":"mine","roles":["app-rw"]}"#),
        ("users/root", r#"{"user":"root","password":"top"}"#),
        ("roles/app-ro", r#"{"role":"app-ro","permissions":{"kv":{"read":["/other"]}}}"#),
        ("users/bob", r#"{"user":"bob","password":"his","roles":["app-rw"]}"#),
    ] {
        done(&ask(addr, &auth("PUT", path, body)));
    }
    let before = ask(addr, &Request::get("/v2/keys/")).index();
    for flags in [&[][..], &["--merge"]] {
        let run = to(&source, &server, flags);
        run.assert_fails(
            "has 2 of the users and roles already, with other rights, such as the role",
        );
    }
    assert_eq!(ask(addr, &Request::get("/v2/keys/")).index(), before, "nothing was written");
    done(&ask(addr, &auth("PUT", "users/eve", r#"{"user":"eve","password":"x"}"#)));
    let run = to(&source, &server, &["--force"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let kept = "users that were there keep their passwords: \"alice\", \"root\"";
    assert!(
        run.out.contains(kept) && run.out.contains("roles that were there: \"app-rw\""),
        "{run:?}"
    );
    done(&ask(addr, &auth("PUT", "enable", "")));
    // Rights are those of the source, passwords those of the target.
    assert_eq!((read(addr, "alice:mine", "/app/one"), read(addr, ALICE, "/app/one")), (200, 401));
    assert_eq!((read(addr, "bob:his", "/plain"), put(addr, "bob:his", "/app/x")), (200, 401));
    assert_eq!(read(addr, "root:top", "/plain"), 200);
    // Other users are in the way as other keys are.
    let root = user_file(&site, "root:top");
    let run = to(&source, &server, &[&root]);
    run.assert_fails("has 1 other users and roles already, such as the user \"eve\"");
    assert_eq!(to(&source, &server, &[&root, "--merge"]).code, Some(0));
    assert_eq!(to(&source, &server, &[&root, "--no-users"]).code, Some(0));
}

/// A backup has the users of a Stead; a Stead that runs shows no passwords.
#[test]
fn users_of_another_stead_come_with_its_backup_and_are_named_while_it_runs() {
    let source = Source::unpack("etcd-2.3.8-auth");
    let old = Site::new("import-users-old").named("n1");
    assert_eq!(into(&old, &[&source.arg()]).code, Some(0));
    let server = spawn(&old);
    let backup = ask(server.addr(), &of(ROOT, Request::get("/v2/admin/backup")));
    let file = old.folder().join("backup");
    std::fs::write(&file, &backup.body).unwrap();
    let from = format!("--from-snapshot={}", file.display());
    let copy = Site::new("import-users-copy").named("n2");
    imported(&into(&copy, &[&from, "--json"]).json(), 3, 3);
    let copied = spawn(&copy);
    assert_rights(copied.addr());

    let target = Site::new("import-users-live");
    let live = target.start();
    let user = user_file(&old, ROOT).replace("--user-file", "--source-user-file");
    let (from, to) = (server.url(), live.url());
    let args = ["--from", &from, "--to", &to, &user, "--verify"];
    let run = import(&args);
    assert_eq!(run.code, Some(0), "{run:?}");
    let command = format!(
        "curl '{to}/v2/auth/users/alice' -XPUT -d \
         '{{\"password\":\"...\",\"roles\":[\"app-rw\"],\"user\":\"alice\"}}'"
    );
    for text in [
        "users: 3, roles: 3; 0 users with their passwords and 3 roles were imported",
        "not made: \"bob\": the source does not show its password. Give it one:",
        &command,
        "they counted at the source and do not yet at the target",
    ] {
        assert!(run.out.contains(text), "no {text:?} in {}", run.out);
    }
    // As the report says.
    for (name, roles) in [("alice", "app-rw"), ("bob", "app-ro"), ("root", "root")] {
        let body = format!(r#"{{"password":"new","roles":["{roles}"],"user":"{name}"}}"#);
        done(&ask(live.addr(), &auth("PUT", &format!("users/{name}"), &body)));
    }
    done(&ask(live.addr(), &auth("PUT", "enable", "")));
    assert_eq!(read(live.addr(), "alice:new", "/app/one"), 200);
    assert_eq!(read(live.addr(), ALICE, "/app/one"), 401);
    // Where users count at both sides both are asked with a password.
    let root = user_file(&target, "root:new");
    let run = import(&[&args[..], &[&root, "--json"]].concat()).json();
    assert_eq!(run["users"]["usersPresent"].as_array().map(Vec::len), Some(3), "{run}");
    assert_eq!(run["users"]["withoutPassword"].as_array().map(Vec::len), Some(0), "{run}");
    let failed = import(&args);
    assert!(failed.code == Some(1) && failed.err.contains(" --user-file"), "{failed:?}");
}
