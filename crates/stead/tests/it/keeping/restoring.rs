//! New clusters from backups.

use super::{fails, must};
use crate::cluster::kit::{Cluster, Machine};
use crate::testkit::{Request, Server, Site, ask};

/// Keys without what only this cluster has.
fn listing(addr: std::net::SocketAddr) -> String {
    ask(addr, &Request::get("/v2/keys/?recursive=true&sorted=true")).text()
}

#[test]
fn a_backup_becomes_a_cluster_with_the_same_keys_and_higher_indexes() {
    let (old, server) = Server::start("restore-old");
    for (path, form) in [
        ("/v2/keys/a/b", "value=1"),
        ("/v2/keys/a/b", "value=2"),
        ("/v2/keys/_hidden/x", "value=3"),
        ("/v2/keys/empty", "dir=true"),
        ("/v2/keys/short", "value=4&ttl=1"),
        ("/v2/keys/long", "value=5&ttl=5000"),
    ] {
        assert!(ask(server.addr(), &Request::put(path, form)).status() < 300, "{path}");
    }
    let url = format!("http://{}", server.addr());
    let folder = old.folder().to_owned();
    must(&folder, &["backup", "--endpoint", &url, "b"]);
    let backed_up = listing(server.addr());
    let index = ask(server.addr(), &Request::get("/v2/keys/a")).index();
    assert!(ask(server.addr(), &Request::put("/v2/keys/later", "value=6")).status() < 300);
    std::thread::sleep(std::time::Duration::from_millis(1100));

    let running = old.data_dir().display().to_string();
    let refused = fails(&folder, &["restore", "b", "-data-dir", &running, "-name", "m0"]);
    assert!(refused.contains("in use by another process"), "{refused}");
    server.terminate();
    let refused = fails(&folder, &["restore", "b", "-data-dir", &running, "-name", "m0"]);
    assert!(refused.contains("holds a member already"), "{refused}");

    let site = Site::new("restore-new").named("n1");
    let target = site.data_dir().display().to_string();
    let told = must(&folder, &["restore", "b", "-data-dir", &target, "-name", "n1"]);
    assert!(told.contains("a new cluster of one"), "{told}");
    let restored = site.start();
    let read = |path: &str| ask(restored.addr(), &Request::get(path));
    assert_eq!(read("/v2/keys/short").status(), 404, "its time has passed meanwhile");
    assert_eq!(read("/v2/keys/_hidden/x").json()["node"]["value"], "3");
    assert_eq!(read("/v2/keys/later").status(), 404);
    let keys = |text: &str| {
        let tree: serde_json::Value = serde_json::from_str(text).expect("JSON");
        let nodes = tree["node"]["nodes"].as_array().expect("a directory").clone();
        let kept = nodes.into_iter().filter(|node| node["key"] != "/short");
        let timeless = kept.map(|mut node| {
            node.as_object_mut().expect("a node").remove("ttl");
            node
        });
        timeless.collect::<Vec<_>>()
    };
    assert_eq!(keys(&listing(restored.addr())), keys(&backed_up));
    let watch = format!("/v2/keys/a?wait=true&waitIndex={}", index + 1);
    let old_watch = ask(restored.addr(), &Request::get(&watch));
    assert_eq!((old_watch.status(), old_watch.json()["errorCode"].as_u64()), (400, Some(401)));
    let written = ask(restored.addr(), &Request::put("/v2/keys/new", "value=7"));
    assert!(written.json()["node"]["modifiedIndex"].as_u64() > Some(index + 1_000_000));
    restored.terminate();
    let again = site.start();
    let kept = ask(again.addr(), &Request::get("/v2/keys/new"));
    assert_eq!(kept.json()["node"]["value"], "7", "the directory is one like any other");
}

#[test]
fn the_index_can_be_raised_and_never_goes_back() {
    let cluster = Cluster::start("raise-index", 3, "");
    let follower = (cluster.leader() + 1) % 3;
    let addr = cluster.machines[follower].addr();
    let before = ask(addr, &Request::put("/v2/keys/a", "value=1")).index();
    let raise = |body: &str| {
        let put = Request::new("PUT", "/v2/admin/index").body(body.as_bytes());
        ask(addr, &put.header("Content-Type", "application/json"))
    };
    let raised = raise("{\"atLeast\":500000}");
    assert_eq!((raised.status(), raised.json()["index"].as_u64()), (200, Some(500_000)));
    assert_eq!(raise("{\"atLeast\":7}").json()["index"].as_u64(), Some(500_000));
    let job = ask(addr, &Request::post("/v2/keys/queue", "value=1")).json();
    assert_eq!(job["node"]["createdIndex"].as_u64(), Some(500_001));
    let late = format!("/v2/keys/a?wait=true&waitIndex={}", before + 1);
    assert_eq!(ask(addr, &Request::get(&late)).json()["errorCode"].as_u64(), Some(401));
    for wrong in ["", "{}", "{\"atLeast\":-1}", "{\"atLeast\":18446744073709551615}"] {
        assert_eq!(raise(wrong).status(), 400, "{wrong}");
    }
    cluster.wait_equal();
}

#[test]
fn others_join_a_restored_cluster_and_old_members_are_refused() {
    let (old, server) = Server::start("restore-join-old");
    let put = Request::put("/v2/keys/kept", "value=1&ttl=1");
    assert!(ask(server.addr(), &put).status() < 300);
    let url = format!("http://{}", server.addr());
    must(old.folder(), &["backup", "--endpoint", &url, "b"]);
    server.terminate();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let file = old.folder().join("b").display().to_string();

    let site = Site::new("restore-join").named("m0");
    let target = site.data_dir().display().to_string();
    let restore = ["restore", &file, "-data-dir", &target, "-name", "m0", "--extend-ttl"];
    must(old.folder(), &restore);
    let founder = Machine { server: Some(site.start()), site };
    let read = Request::get("/v2/keys/kept");
    assert_eq!(ask(founder.addr(), &read).status(), 200, "it had a second left");
    let contact = founder.site.peer_addr();
    let mut cluster = Cluster { machines: vec![founder] };
    for name in ["m1", "m2"] {
        let site = Site::new("restore-join").named(name).flags(&format!("-peers {contact}"));
        cluster.machines.push(Machine { server: Some(site.spawn()), site });
        cluster.wait_formed(cluster.machines.len());
    }
    cluster.wait_equal();
    let mut old = old;
    old.set_flags(&format!("-peers {contact}"));
    let stranger = old.start();
    assert_eq!(
        ask(stranger.addr(), &Request::get("/v2/machines")).text(),
        format!("http://{}", stranger.addr())
    );
    assert_eq!(
        ask(cluster.machines[0].addr(), &Request::get("/v2/machines")).text().split(',').count(),
        3
    );
}
