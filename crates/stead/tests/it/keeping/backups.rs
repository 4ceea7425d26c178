//! Backups of running clusters.

use super::{fails, must};
use crate::cluster::kit::{Cluster, PATIENCE, metric};
use crate::testkit::{Connection, Request, Server, Site, TempDir, ask, wait_until};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn endpoint(addr: SocketAddr) -> String {
    format!("http://{addr}")
}

/// The keys of a backup.
fn keys_in(dir: &TempDir, file: &str) -> BTreeSet<String> {
    let lines = must(dir.path(), &["backup", "inspect", "--json", file]);
    let key = |line: &str| {
        let node: serde_json::Value = serde_json::from_str(line).expect("each line is JSON");
        node["key"].as_str().expect("each node has a key").to_owned()
    };
    lines.lines().map(key).collect()
}

#[test]
fn a_backup_of_a_follower_has_all_that_was_acknowledged_before_it() {
    let dir = TempDir::new("backup-follower");
    let cluster = Cluster::start("backup-follower", 3, "");
    let leader = cluster.leader();
    let follower = cluster.machines[(leader + 1) % 3].addr();
    let leader = cluster.machines[leader].addr();
    let (acknowledged, is_over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let writer = std::thread::spawn({
        let (acknowledged, is_over) = (Arc::clone(&acknowledged), Arc::clone(&is_over));
        move || {
            let mut connection = Connection::open(leader).expect("it listens");
            for at in 1.. {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                let put = Request::put(&format!("/v2/keys/load/{at}"), "value=x");
                let answer = connection.exchange(&put).expect("it answers");
                assert_eq!(answer.status(), 201);
                acknowledged.store(at, Ordering::SeqCst);
            }
        }
    });
    for round in 0..8 {
        let before = acknowledged.load(Ordering::SeqCst);
        let file = format!("{round}.backup");
        must(dir.path(), &["backup", "--endpoint", &endpoint(follower), &file]);
        let keys = keys_in(&dir, &file);
        let missing: Vec<u64> =
            (1..=before).filter(|at| !keys.contains(&format!("/load/{at}"))).collect();
        assert!(missing.is_empty(), "acknowledged before backup {round} began: {missing:?}");
    }
    is_over.store(true, Ordering::Relaxed);
    writer.join().expect("the writer was served");
}

#[test]
fn a_backup_is_named_when_it_is_whole_and_damage_is_refused() {
    let dir = TempDir::new("backup-files");
    let (_site, server) = Server::start("backup-files");
    for at in 0..300 {
        let put = Request::put(&format!("/v2/keys/dir/{at}"), "value=some+value");
        assert_eq!(ask(server.addr(), &put).status(), 201);
    }
    let good = endpoint(server.addr());
    let nobody = "http://127.0.0.1:1";
    let refused = fails(dir.path(), &["backup", "--endpoint", nobody, "x.backup"]);
    assert!(refused.contains("127.0.0.1:1"), "{refused}");
    let left = std::fs::read_dir(dir.path()).expect("it is there").count();
    assert_eq!(left, 0, "nothing is left of a backup that failed");
    let made = must(dir.path(), &["backup", "--endpoint", &format!("{nobody},{good}"), "x.backup"]);
    assert!(made.contains("302 keys"), "{made}");
    let twice = fails(dir.path(), &["backup", "--endpoint", &good, "x.backup"]);
    assert!(twice.contains("--force"), "{twice}");
    must(dir.path(), &["backup", "verify", "x.backup"]);

    assert_eq!(ask(server.addr(), &Request::delete("/v2/keys/dir/7")).status(), 200);
    assert!(ask(server.addr(), &Request::put("/v2/keys/dir/8", "value=2")).status() == 200);
    must(dir.path(), &["backup", "--endpoint", &good, "y.backup"]);
    let diff = fails(dir.path(), &["backup", "diff", "x.backup", "y.backup"]);
    assert_eq!(diff, "- /dir/7\n~ /dir/8\n");
    must(dir.path(), &["backup", "diff", "x.backup", "x.backup"]);

    let whole = std::fs::read(dir.path().join("x.backup")).expect("it was made");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for (name, bytes) in [("flipped", &flipped[..]), ("cut", &whole[..whole.len() - 1])] {
        std::fs::write(dir.path().join(name), bytes).expect("the disk works");
        for args in
            [&["backup", "verify", name][..], &["restore", name, "-data-dir", "d", "-name", "m"]]
        {
            let refused = fails(dir.path(), args);
            assert!(refused.contains(&format!("{name}: damaged at offset")), "{refused}");
        }
    }
    assert!(!dir.path().join("d").exists(), "nothing is made of a damaged backup");
}

/// The thread that prints a backup waits for its client, and nothing else does.
#[test]
fn clients_that_read_no_backup_hold_nobody_up() {
    let site = Site::new("backup-slow").flags("-http-write-timeout 2");
    let server = site.start();
    let value = "v".repeat(512 << 10);
    for at in 0..40 {
        let put = Request::put(&format!("/v2/keys/large/{at}"), &format!("value={value}"));
        assert_eq!(ask(server.addr(), &put).status(), 201);
    }
    let ask_for_one = || {
        let mut connection = Connection::open(server.addr()).expect("it listens");
        connection.send(&Request::get("/v2/admin/backup")).expect("it reads");
        connection
    };
    let mut slow: Vec<Connection> = (0..2).map(|_| ask_for_one()).collect();
    for connection in &mut slow {
        assert_eq!(connection.any_head().expect("it answers").status, 200);
    }
    let third = ask(server.addr(), &Request::get("/v2/admin/backup"));
    assert_eq!(third.status(), 503, "{}", third.text());
    let before = server.memory_kb("VmRSS");
    for _ in 0..100 {
        assert!(ask(server.addr(), &Request::put("/v2/keys/a", "value=1")).status() < 300);
    }
    let grown = server.memory_kb("VmRSS").saturating_sub(before);
    // 40 MiB would be all of both.
    assert!(grown < 16 << 10, "{grown} KiB for two backups that nobody reads");
    // Clients that take nothing for long are disconnected; then there is room for another one.
    let taken = Mutex::new(None);
    wait_until("a backup can be made again", PATIENCE, || {
        std::thread::sleep(Duration::from_millis(100));
        let answer = ask(server.addr(), &Request::get("/v2/admin/backup"));
        let is_whole = answer.status() == 200;
        *taken.lock().expect("nobody panics with it") = is_whole.then_some(answer.body.len());
        is_whole
    });
    let bytes = taken.into_inner().expect("nobody panics with it").expect("it was made");
    assert!(bytes > 20 << 20, "all values are in it: {bytes} bytes");
    assert_eq!(metric(server.addr(), "stead_members_diverged"), Some(0));
}

#[test]
fn who_may_not_administer_gets_no_backup() {
    let dir = TempDir::new("backup-token");
    std::fs::write(dir.path().join("token"), "a secret of some length\n").expect("the disk works");
    let token = dir.path().join("token").display().to_string();
    let site = Site::new("backup-token").flags(&format!("-peer-token-file {token}"));
    let server = site.start();
    assert_eq!(ask(server.addr(), &Request::get("/v2/admin/backup")).status(), 401);
    let url = endpoint(server.addr());
    let refused = fails(dir.path(), &["backup", "--endpoint", &url, "x"]);
    assert!(refused.contains("401") && refused.contains("Stead-Token"), "{refused}");
    must(dir.path(), &["backup", "--endpoint", &url, "--token-file", "token", "x"]);
}
