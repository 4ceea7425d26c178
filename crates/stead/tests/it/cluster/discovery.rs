//! The discovery protocol: as a machine that uses it, and as the service.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::kit::{Cluster, Machine, PATIENCE, sites};
use crate::testkit::http::send;
use crate::testkit::{Request, Server, Site, Watch, ask, port, wait_until};

/// A server that answers what `answer` says for the first line of a request.
fn fake(answer: impl Fn(&str) -> String + Send + 'static) -> SocketAddr {
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port::free()));
    let listener = TcpListener::bind(addr).expect("the port is free");
    // The thread ends with the test process; nothing waits for it.
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let Ok(mut socket) = socket else { continue };
            // Whoever goes away early is not answered.
            let _ = socket.set_read_timeout(Some(Duration::from_secs(2)));
            let text = whole_request(&mut socket);
            let _ = socket.write_all(answer(text.lines().next().unwrap_or("")).as_bytes());
        }
    });
    addr
}

/// Reads a request with its body: closing a socket with unread bytes could void the answer.
fn whole_request(socket: &mut impl Read) -> String {
    let (mut all, mut bytes) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = socket.read(&mut bytes) {
        all.extend_from_slice(&bytes[..read]);
        let text = String::from_utf8_lossy(&all).to_ascii_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        if body.len() >= length.and_then(|text| text.trim().parse().ok()).unwrap_or(0) {
            break;
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}

fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// The values that are registered in a directory, by the names of the machines.
fn registered(service: &Server, directory: &str) -> Vec<(String, String)> {
    let Ok(answer) = send(service.addr(), &Request::get(directory)) else { return Vec::new() };
    if answer.status() != 200 {
        return Vec::new();
    }
    let nodes = answer.json()["node"]["nodes"].as_array().cloned().unwrap_or_default();
    let text = |node: &serde_json::Value, name: &str| node[name].as_str().unwrap_or("").to_owned();
    nodes.iter().map(|node| (text(node, "key"), text(node, "value"))).collect()
}

/// A machine that is to refuse its start; gives what it says.
fn refuses(site: &Site) -> String {
    let (status, text) = site.run_to_end();
    assert_eq!(status.code(), Some(1), "{text}");
    let names = std::fs::read_dir(site.data_dir()).map(|entries| {
        entries.map(|entry| entry.expect("it can be read").file_name()).collect::<Vec<_>>()
    });
    let has_store = |name: &std::ffi::OsString| name.to_string_lossy().ends_with(".wal");
    assert!(!names.unwrap_or_default().iter().any(has_store), "it founded a cluster: {text}");
    text
}

#[test]
fn answers_that_are_not_the_protocol_found_no_cluster() {
    let own = "127.0.0.1:1";
    let registration = |value: &str| {
        format!("{{\"action\":\"set\",\"node\":{{\"key\":\"/reg/m0\",\"value\":\"{value}\"}}}}")
    };
    let mut site = Site::new("discovery-garbage");
    let peer = format!("http://{}", site.peer_addr());
    let good = registration(&peer);
    let other = registration(own);
    let cases: Vec<(&str, String, String)> = vec![
        // A parked domain, a captive portal.
        ("Hello, client", answer("200 OK", "Hello, client"), answer("200 OK", "Hello, client")),
        ("<html>", answer("201 Created", "<html>"), answer("201 Created", "<html>")),
        ("127.0.0.1:1", answer("200 OK", &other), answer("201 Created", &other)),
        ("Hello, state", answer("201 Created", &good), answer("200 OK", "Hello, state")),
        ("Hello, state", answer("201 Created", &good), answer("201 Created", "Hello, state")),
        ("/reg/m0", answer("201 Created", &good), answer("201 Created", &good)),
        ("nope", answer("201 Created", &good), answer("412 Precondition Failed", "nope")),
    ];
    for (shown, register, state) in cases {
        let service = fake(
            move |line| {
                if line.contains("_state") { state.clone() } else { register.clone() }
            },
        );
        let url = format!("http://{service}/v2/keys/reg");
        let text = refuses_with(&mut site, &url);
        assert!(text.contains(shown), "what came is said: {text}");
        assert!(text.contains("discovery protocol"), "{text}");
    }
}

/// The same for a machine with this discovery service. Its ports stay, so that a fake knows the
/// address that is registered.
fn refuses_with(site: &mut Site, url: &str) -> String {
    site.set_flags(&format!("-discovery {url}"));
    refuses(site)
}

#[test]
fn what_a_service_says_does_not_forge_lines_of_the_log() {
    let service = fake(|_| answer("200 OK", "x\n2026 INFO all is well\u{1b}[2J"));
    let mut site = Site::new("discovery-forged");
    let text = refuses_with(&mut site, &format!("http://{service}/v2/keys/reg"));
    assert!(!text.contains('\u{1b}'), "{text:?}");
    assert!(!text.lines().any(|line| line.starts_with("2026 INFO all")), "{text:?}");
}

#[test]
fn a_directory_with_the_own_address_under_another_name_founds_no_second_cluster() {
    let (_service_site, service) = Server::start("discovery-own");
    let url = format!("{}/v2/keys/reg", service.url());
    let first = Site::new("discovery-own-n1").named("n1").flags(&format!("-discovery {url}"));
    let server = first.start();
    assert_eq!(ask(first.addr(), &Request::put("/v2/keys/a", "value=1")).status(), 201);
    assert_eq!(server.terminate().code(), Some(0));
    // The same addresses, a new name and a new data directory, as after a change of the host name.
    let other = first.folder().join("other");
    let again = first.named("n9").with_data_dir(other);
    let text = refuses(&again);
    assert!(text.contains("n9 cannot connect to existing peers ["), "{text}");
    assert!(text.contains("-name"), "{text}");
}

#[test]
fn a_registration_is_renewed_while_the_machine_runs_and_at_each_start() {
    let (_service_site, service) = Server::start("discovery-renewed");
    let directory = "/v2/keys/reg";
    let url = format!("{}{directory}", service.url());
    let flags = format!("-discovery {url}");
    let site = Site::new("discovery-renewed-n1")
        .named("n1")
        .flags(&flags)
        .variable("_STEAD_DISCOVERY_INTERVAL_MS", "200");
    let server = site.start();
    let peer = server.peer_url();
    let want = vec![("/reg/n1".to_owned(), peer.clone())];
    wait_until("it is registered", PATIENCE, || registered(&service, directory) == want);
    // Seven days without a renewal would end as this does.
    let forget = Request::delete("/v2/keys/reg/n1");
    assert_eq!(ask(service.addr(), &forget).status(), 200);
    wait_until("it is registered again", PATIENCE, || registered(&service, directory) == want);
    let ttl = ask(service.addr(), &Request::get("/v2/keys/reg/n1")).json()["node"]["ttl"].as_i64();
    assert!(ttl.is_some_and(|ttl| (604_700..=604_800).contains(&ttl)), "{ttl:?}");
    server.kill();
    assert_eq!(ask(service.addr(), &forget).status(), 200);
    // With data, and without the short interval.
    let site = site.variable("_STEAD_DISCOVERY_INTERVAL_MS", "");
    let server = site.start();
    wait_until("a start registers it", PATIENCE, || registered(&service, directory) == want);
    let second = Site::new("discovery-renewed-n2").named("n2").flags(&flags);
    let mut machine = Machine { site: second, server: None };
    machine.spawn();
    let first = Machine { site, server: Some(server) };
    let cluster = Cluster { machines: vec![first, machine] };
    cluster.wait_formed(2);
}

#[test]
fn a_service_that_is_away_is_tried_again() {
    let service_site = Site::new("discovery-away");
    let service = service_site.start();
    let url = format!("{}/v2/keys/reg", service.url());
    let site = Site::new("discovery-away-n1").named("n1").flags(&format!("-discovery {url}"));
    site.start().kill();
    service.kill();
    // A machine with data starts without the service.
    let server = site.start();
    wait_until("the log says so", PATIENCE, || {
        server.log_text().contains("registering this machine for discovery failed")
    });
    let service = service_site.start();
    assert_eq!(ask(service.addr(), &Request::delete("/v2/keys/reg/n1")).status(), 200);
    wait_until("it is registered", PATIENCE, || registered(&service, "/v2/keys/reg").len() == 1);
}

/// An HTTP proxy that tunnels; gives its address, and the targets that it was asked for.
fn proxy() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port::free()));
    let listener = TcpListener::bind(addr).expect("the port is free");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&asked);
    // The threads end with the test process, or with their connections.
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            let head = whole_request(&mut socket);
            let target = head.split(' ').nth(1).unwrap_or("").to_owned();
            let method = head.split(' ').next().unwrap_or("").to_owned();
            told.lock().expect("nobody panics").push(format!("{method} {target}"));
            let Ok(mut service) = TcpStream::connect(&target) else { continue };
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            let (mut there, mut back) = (socket.try_clone().expect("one more"), socket);
            let mut far = service.try_clone().expect("one more");
            std::thread::spawn(move || std::io::copy(&mut there, &mut far));
            std::thread::spawn(move || std::io::copy(&mut service, &mut back));
        }
    });
    (addr, asked)
}

#[test]
fn a_service_is_reached_by_a_proxy() {
    let (_site, service) = Server::start("discovery-proxied");
    let (proxy, asked) = proxy();
    let flags = format!("-discovery {}/v2/keys/reg -discovery-proxy http://{proxy}", service.url());
    let cluster = Cluster::of(sites("discovery-proxied-m", 2, &flags), &[0, 1]);
    cluster.wait_equal();
    assert_eq!(registered(&service, "/v2/keys/reg").len(), 2);
    let want = format!("CONNECT {}", service.addr());
    let asked = asked.lock().expect("nobody panics").clone();
    assert!(asked.len() >= 2 && asked.iter().all(|one| *one == want), "{asked:?}");
}

#[test]
fn a_machine_that_finds_no_place_ends_where_it_was_told_to() {
    let (_site, service) = Server::start("discovery-full");
    let flags = format!("-discovery {}/v2/keys/reg", service.url());
    let cluster = Cluster::of(sites("discovery-full-m", 3, &flags), &[0, 1, 2]);
    cluster.wait_equal();
    let config = Request::new("PUT", "/v2/admin/config").body(b"{\"activeSize\":3}");
    assert_eq!(ask(cluster.machines[0].site.peer_addr(), &config).status(), 200);
    let site = Site::new("discovery-full-m3").named("m3");
    let text = refuses(&site.flags(&format!("{flags} -discovery-fallback exit")));
    assert!(text.contains("as many members as its activeSize"), "{text}");
}

#[test]
fn machines_meet_at_the_documented_place_of_another_stead() {
    let (_site, service) = Server::start("discovery-registry");
    let directory = "/v2/keys/_etcd/registry/6c007a14875d";
    let flags = format!("-discovery {}{directory}", service.url());
    let cluster = Cluster::of(sites("discovery-registry-m", 3, &flags), &[1, 0, 2]);
    cluster.wait_equal();
    assert_eq!(registered(&service, directory).len(), 3);
    let root = ask(service.addr(), &Request::get("/v2/keys/?recursive=true")).text();
    assert!(!root.contains("registry"), "it is hidden: {root}");
}

#[test]
fn the_protocol_of_2_x_is_served_on_both_ports() {
    let site = Site::new("discovery-2x").with_v2();
    let server = site.start();
    for (addr, token) in [(server.addr(), "one"), (server.v2_addr(), "two")] {
        let base = format!("/v2/keys/_etcd/registry/{token}");
        // The operator makes the directory.
        let size = Request::put(&format!("{base}/_config/size"), "value=2");
        assert_eq!(ask(addr, &size).status(), 201);
        // Each member asks for the size, registers itself once, lists, and waits for the others.
        let size = ask(addr, &Request::get(&format!("{base}/_config/size"))).json();
        assert_eq!(size["node"]["value"], "2");
        let register = |id: &str, value: &str| {
            let path = format!("{base}/{id}?prevExist=false");
            ask(addr, &Request::put(&path, &format!("value={value}")))
        };
        assert_eq!(register("3cb1", "n1%3Dhttp%3A%2F%2Fa%3A2380").status(), 201);
        let again = register("3cb1", "n1%3Dhttp%3A%2F%2Fa%3A2380");
        assert_eq!((again.status(), &again.json()["errorCode"]), (412, &105.into()));
        let list = ask(addr, &Request::get(&base));
        let nodes = list.json()["node"]["nodes"].as_array().expect("a list").clone();
        assert_eq!(nodes.len(), 1, "the size is hidden: {}", list.text());
        assert_eq!(nodes[0]["value"], "n1=http://a:2380");
        let from = list.index() + 1;
        let mut watch =
            Watch::open(addr, &format!("{base}?wait=true&recursive=true&waitIndex={from}"));
        assert_eq!(register("77aa", "n2%3Dhttp%3A%2F%2Fb%3A2380").status(), 201);
        let event = watch.event();
        assert_eq!(event["node"]["key"], format!("/_etcd/registry/{token}/77aa"));
        let created = |node: &serde_json::Value| node["createdIndex"].as_u64();
        assert!(created(&event["node"]) > created(&nodes[0]));
    }
}
