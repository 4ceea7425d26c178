//! Who was removed, who only was told so, and what becomes of the files.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::kit::{Cluster, Machine, PATIENCE, members, state};
use crate::testkit::http::send;
use crate::testkit::{Request, Server, Site, ask, port, wait_until};

/// How long a machine is watched after somebody told it that it was removed. It asks within a
/// second, if it is to ask at all.
const WATCHED: Duration = Duration::from_secs(4);

/// A server that answers 410 to everything.
struct Gone {
    addr: SocketAddr,
    calls: Arc<AtomicUsize>,
}

impl Gone {
    fn start() -> Self {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port::free()));
        let listener = TcpListener::bind(addr).expect("the port is free");
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        // The thread ends with the test process; nothing waits for it.
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let Ok(mut socket) = socket else { continue };
                let mut bytes = [0; 4096];
                // Whoever goes away early is not answered.
                let _ = socket.set_read_timeout(Some(Duration::from_secs(2)));
                let read = socket.read(&mut bytes).unwrap_or(0);
                let answer = b"HTTP/1.1 410 Gone\r\nContent-Length: 5\r\n\r\ngone\n";
                if read > 0 && socket.write_all(answer).is_ok() {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Self { addr, calls }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

/// Directories with files that were set aside.
fn set_aside(site: &Site) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(site.data_dir()).expect("the data directory is there");
    let paths = entries.map(|entry| entry.expect("it can be read").path());
    let is_aside = |path: &PathBuf| {
        path.is_dir()
            && path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"removed-"))
    };
    paths.filter(is_aside).collect()
}

/// A machine goes on to serve what it holds, and nothing of it is moved.
fn assert_serves_on(site: &Site, key: &str, for_time: Duration) {
    let until = Instant::now() + for_time;
    while Instant::now() < until {
        let answer = ask(site.addr(), &Request::get(&format!("/v2/keys{key}")));
        assert_eq!(answer.status(), 200, "{}", answer.text());
        assert_eq!(answer.json()["node"]["value"], "kept", "{}", answer.text());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(set_aside(site), Vec::<PathBuf>::new());
    assert!(!site.data_dir().join("standby").exists(), "it stands by");
}

fn put(addr: SocketAddr, key: &str) {
    let answer = ask(addr, &Request::put(&format!("/v2/keys{key}"), "value=kept"));
    assert_eq!(answer.status(), 201, "{}", answer.text());
}

fn view(peer: SocketAddr, query: &str) -> serde_json::Value {
    ask(peer, &Request::get(&format!("/v2/peer/members{query}"))).json()
}

fn id_of(cluster: &Cluster, at: usize) -> String {
    let site = &cluster.machines[at].site;
    let view = view(site.peer_addr(), "");
    let members = view["members"].as_array().expect("a list");
    let own = members.iter().find(|member| member["name"] == site.name()).expect("it is there");
    own["id"].as_str().expect("text").to_owned()
}

#[test]
fn a_machine_keeps_its_data_when_a_stranger_makes_it_dial_and_says_gone() {
    let (site, server) = Server::start("gone-hello");
    put(site.addr(), "/a");
    let fake = Gone::start();
    let view = view(server.peer_addr(), "");
    let (cluster, id) = (view["cluster"].as_str(), view["members"][0]["id"].as_str());
    let path = format!(
        "/v2/peer/stream?version=2&cluster={}&from=abcdef&to={}&at={}\
         &incarnation=1&start=1&nonce=1&earlier=0.0.0.0.0.0.0.0.0.0.0.0.0.0.0&term=1&index=1&lastterm=1&doubtful=0",
        cluster.expect("text"),
        id.expect("text"),
        fake.addr
    );
    let mut connection = crate::testkit::Connection::open(server.peer_addr()).expect("it listens");
    let hello = Request::get(&path).header("Connection", "Upgrade").header("Upgrade", "stead-peer");
    connection.send(&hello).expect("it takes bytes");
    let status = connection.any_head().expect("it answers").status;
    assert!(status == 101 || status >= 400, "{status}");
    assert_serves_on(&site, "/a", WATCHED);
    println!("hello answered {status}, the stranger was dialled {} times", fake.calls());
    put(site.addr(), "/b");
}

#[test]
fn a_machine_keeps_its_data_when_one_that_joined_says_gone() {
    let (site, server) = Server::start("gone-join");
    put(site.addr(), "/a");
    let fake = Gone::start();
    let body = format!(
        "{{\"id\":\"77\",\"name\":\"ghost\",\"clientURL\":\"http://127.0.0.1:9\",\
         \"peerURL\":\"http://{}\"}}",
        fake.addr
    );
    for content_type in ["application/json", "text/plain"] {
        let join = Request::new("POST", "/v2/peer/join")
            .header("Content-Type", content_type)
            .header("Origin", "http://evil.example")
            .body(body.as_bytes());
        let answer = ask(server.peer_addr(), &join);
        println!("{content_type}: {}", answer.status());
    }
    let join = Request::new("POST", "/v2/peer/join")
        .header("Content-Type", "application/json")
        .body(body.as_bytes());
    let answer = ask(server.peer_addr(), &join);
    println!("without an origin: {}", answer.status());
    assert_serves_on(&site, "/a", WATCHED);
    println!("the ghost was dialled {} times", fake.calls());
    put(site.addr(), "/b");
}

#[test]
fn members_keep_their_data_when_whoever_has_a_moved_members_address_says_gone() {
    let cluster = Cluster::start("gone-moved", 2, "");
    put(cluster.machines[0].addr(), "/a");
    cluster.wait_equal();
    let leader = cluster.leader();
    let fake = Gone::start();
    // The leader dials the stranger in the place of the other one.
    let id = id_of(&cluster, 1 - leader);
    let body = format!("{{\"peerURLs\":[\"http://{}\"]}}", fake.addr);
    let moved = Request::new("PUT", &format!("/v2/members/{id}"))
        .header("Content-Type", "application/json")
        .body(body.as_bytes());
    let answer = ask(cluster.machines[leader].addr(), &moved);
    assert_eq!(answer.status(), 204, "{}", answer.text());
    wait_until("the stranger is dialled", PATIENCE, || fake.calls() > 0);
    for machine in &cluster.machines {
        assert_serves_on(&machine.site, "/a", WATCHED);
    }
}

#[test]
fn a_removed_machine_keeps_its_files_aside_and_waits_before_it_asks_for_a_place() {
    let cluster = Cluster::start("removed-aside", 3, "-cluster-sync-interval 3");
    put(cluster.machines[0].addr(), "/a");
    cluster.wait_equal();
    let leader = cluster.leader();
    let removed = (leader + 1) % 3;
    let id = id_of(&cluster, removed);
    let (site, name) = (&cluster.machines[removed].site, format!("m{removed}"));
    let leads = cluster.machines[leader].site.peer_addr();
    assert_eq!(view(leads, &format!("?about={id}"))["about"], "member");
    let begun = Instant::now();
    let delete = Request::delete(&format!("/v2/admin/machines/{name}"));
    assert_eq!(ask(leads, &delete).status(), 200);
    wait_until("it stands by", PATIENCE, || state(site.addr()) == "standby");
    assert_eq!(view(leads, &format!("?about={id}"))["about"], "removed");
    let aside = set_aside(site);
    assert_eq!(aside.len(), 1, "{aside:?}");
    let kept: Vec<String> = std::fs::read_dir(&aside[0])
        .expect("it is there")
        .map(|entry| entry.expect("it can be read").file_name().to_string_lossy().into_owned())
        .collect();
    for suffix in [".snap", ".wal"] {
        assert!(kept.iter().any(|name| name.ends_with(suffix)), "{kept:?}");
    }
    cluster.machines[removed].server().log_with(&aside[0].display().to_string());
    // It sends clients on from the first moment, since it knew the leader.
    let answer = ask(site.addr(), &Request::get("/v2/keys/a"));
    assert_eq!(answer.status(), 307, "{}", answer.text());
    wait_until("it has a place again", PATIENCE, || {
        members(cluster.machines[leader].addr()).iter().any(|(member, _)| *member == name)
    });
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_secs(3), "it asked after {waited:?}");
    cluster.wait_formed(3);
    cluster.wait_equal();
    assert_eq!(set_aside(site), aside, "nothing is tidied up");
}

fn readyz(machine: &Machine) -> (u16, String) {
    match send(machine.addr(), &Request::get("/readyz")) {
        Ok(answer) => (answer.status(), answer.text()),
        Err(error) => (0, error.to_string()),
    }
}

#[test]
fn a_removal_through_the_members_api_lasts_until_the_machine_is_started_again() {
    let mut cluster = Cluster::start("removed-final", 3, "-cluster-sync-interval 1");
    put(cluster.machines[0].addr(), "/a");
    let leader = cluster.leader();
    let removed = (leader + 1) % 3;
    let id = id_of(&cluster, removed);
    let leads = cluster.machines[leader].addr();
    let delete = Request::delete(&format!("/v2/members/{id}"));
    // Asked of the machine itself: it answers when it is out.
    let answer = ask(cluster.machines[removed].addr(), &delete);
    assert_eq!((answer.status(), answer.text().as_str()), (204, ""));
    let asked = cluster.machines[leader].site.peer_addr();
    assert_eq!(view(asked, &format!("?about={id}"))["about"], "removed-final");
    wait_until("it says why it is not ready", PATIENCE, || {
        let (status, text) = readyz(&cluster.machines[removed]);
        status == 503 && text.contains("removed") && text.contains("until it is restarted")
    });
    // Several times as long as it takes to ask.
    let until = Instant::now() + Duration::from_secs(5);
    while Instant::now() < until {
        assert_eq!(members(leads).len(), 2, "it is a member again");
        let answer = ask(cluster.machines[removed].addr(), &Request::get("/v2/keys/a"));
        assert_eq!(answer.status(), 307, "it goes on to send clients on: {}", answer.text());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(set_aside(&cluster.machines[removed].site).len(), 1);
    cluster.machines[removed].server().log_with("it stays out until it is restarted");
    cluster.machines[removed].kill();
    cluster.machines[removed].spawn();
    cluster.wait_formed(3);
    cluster.wait_equal();
    assert_ne!(id_of(&cluster, removed), id, "an id never comes back");
}

#[test]
fn of_two_the_removed_one_hears_of_it_and_the_other_goes_on_alone() {
    let mut cluster = Cluster::start("removed-of-two", 2, "");
    put(cluster.machines[0].addr(), "/a");
    let leader = cluster.leader();
    let (alone, removed) = (leader, 1 - leader);
    let id = id_of(&cluster, removed);
    let delete = Request::delete(&format!("/v2/members/{id}"));
    assert_eq!(ask(cluster.machines[alone].addr(), &delete).status(), 204);
    wait_until("the removed one knows", PATIENCE, || {
        let (status, text) = readyz(&cluster.machines[removed]);
        status == 503 && text.contains("removed")
    });
    put(cluster.machines[alone].addr(), "/b");
    // Without its leader it says why it serves nobody.
    cluster.machines[alone].kill();
    wait_until("the reason is in the answer", PATIENCE, || {
        let answer = send(cluster.machines[removed].addr(), &Request::get("/v2/keys/a"));
        answer.is_ok_and(|answer| answer.status() == 503 && answer.text().contains("removed"))
    });
}
