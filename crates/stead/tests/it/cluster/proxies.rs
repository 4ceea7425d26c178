//! `-proxy on` and `-proxy readonly`: what the end-to-end tests of 2.3.8 claim of its proxy (writes and
//! reads, with and without TLS; watches of clients that look members up first and of those that do
//! not), and what a proxy keeps.

use std::time::Duration;

use super::kit::{Cluster, Machine, PATIENCE, sites};
use crate::testkit::http::send;
use crate::testkit::{Connection, Request, Server, Site, Watch, ask, wait_until};
use crate::tls::client::{Authority, Client};
use crate::tls::is_other;

/// Starts a proxy of some machines.
fn proxy(label: &str, mode: &str, machines: &[Machine]) -> (Site, Server) {
    let list: Vec<String> = machines
        .iter()
        .map(|machine| format!("{}=http://{}", machine.site.name(), machine.site.peer_addr()))
        .collect();
    let flags = format!("-proxy {mode} -initial-cluster {}", list.join(","));
    let site = Site::new(label).named("p").flags(&flags);
    let server = site.spawn();
    wait_ready(&site);
    (site, server)
}

fn wait_ready(site: &Site) {
    wait_until("the proxy knows a leader", PATIENCE, || {
        send(site.addr(), &Request::get("/readyz")).is_ok_and(|answer| answer.status() == 200)
    });
}

#[test]
fn a_proxy_relays_everything_and_outlives_the_members_that_it_was_told_of() {
    if is_other() {
        return;
    }
    let mut cluster = Cluster::start("proxy-on", 3, "");
    // It is told of one member, and finds the others.
    let (site, server) = proxy("proxy-on-p", "on", &cluster.machines[..1]);
    let addr = site.addr();
    assert_eq!(ask(addr, &Request::put("/v2/keys/a", "value=1")).status(), 201);
    assert_eq!(ask(addr, &Request::get("/v2/keys/a?quorum=true")).json()["node"]["value"], "1");
    // A client that looks members up first goes on at one of them.
    let machines = ask(addr, &Request::get("/v2/machines")).text();
    assert_eq!(machines.split(',').count(), 3, "{machines}");
    let members = ask(addr, &Request::get("/v2/members")).json();
    assert_eq!(members["members"].as_array().map(Vec::len), Some(3), "{members}");
    let endpoints = ask(addr, &Request::get("/v2/config/local/proxy")).json();
    assert_eq!(endpoints["endpoints"].as_array().map(Vec::len), Some(3), "{endpoints}");
    // One that does not watches here.
    let mut watch = Watch::open(addr, "/v2/keys/a?wait=true&stream=true");
    assert_eq!(ask(addr, &Request::put("/v2/keys/a", "value=2")).status(), 200);
    assert_eq!(watch.event()["node"]["value"], "2");
    // It is no member and no standby, and nobody joins by it.
    assert!(send(site.peer_addr(), &Request::get("/v2/peer/identity")).is_err());
    let leader = cluster.machines[cluster.leader()].addr();
    let machines = ask(leader, &Request::get("/v2/stats/cluster")).text();
    assert!(!machines.contains("\"name\":\"p\""), "{machines}");
    let metrics = ask(leader, &Request::get("/v2/admin/machines"));
    assert!(!metrics.text().contains("\"p\""), "{}", metrics.text());

    // The member that it was told of goes, and the proxy restarts: it has kept the others.
    assert_eq!(server.terminate().code(), Some(0));
    cluster.kill_and_wait(0);
    let _server = site.spawn();
    wait_ready(&site);
    wait_until("writes go on", PATIENCE, || {
        let put = Request::put("/v2/keys/b", "value=1");
        send(addr, &put).is_ok_and(|answer| answer.status() < 300)
    });
    // A leader that dies is followed by another, and reads need none.
    let leader = cluster.leader_but(0);
    cluster.kill_and_wait(leader);
    wait_until("reads go on without a majority", PATIENCE, || {
        let get = Request::get("/v2/keys/b");
        send(addr, &get).is_ok_and(|answer| answer.status() == 200)
    });
}

impl Cluster {
    fn kill_and_wait(&mut self, at: usize) {
        self.machines[at].kill();
    }
}

#[test]
fn a_readonly_proxy_relays_reads_alone_however_they_are_sent() {
    if is_other() {
        return;
    }
    let cluster = Cluster::start("proxy-ro", 1, "");
    let (site, _server) = proxy("proxy-ro-p", "readonly", &cluster.machines);
    let (addr, member) = (site.addr(), cluster.machines[0].addr());
    assert_eq!(ask(member, &Request::put("/v2/keys/a", "value=1")).status(), 201);
    for request in [
        Request::put("/v2/keys/a", "value=2"),
        Request::post("/v2/keys/a", "value=2"),
        Request::delete("/v2/keys/a"),
        Request::put("/v2/members/1", ""),
    ] {
        let answer = ask(addr, &request);
        // As 3.4.23 answers with --proxy readonly.
        assert_eq!((answer.status(), answer.text().as_str()), (501, ""));
    }
    assert_eq!(ask(addr, &Request::get("/v2/keys/a")).json()["node"]["value"], "1");
    // What follows a read on its connection is not passed on unseen.
    let hidden = "PUT /v2/keys/a HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n\r\nvalue=3";
    for head in [
        format!("GET /v2/keys/a HTTP/1.1\r\nHost: h\r\n\r\n{hidden}"),
        format!(
            "GET /v2/keys/a HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{hidden}",
            hidden.len()
        ),
        format!("GET /v2/keys/a?wait=true HTTP/1.1\r\nHost: h\r\n\r\n{hidden}"),
    ] {
        let mut connection = Connection::open(addr).unwrap();
        connection.write(head.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        connection.write(hidden.as_bytes()).unwrap_or_default();
        std::thread::sleep(Duration::from_millis(300));
    }
    assert_eq!(ask(member, &Request::get("/v2/keys/a")).json()["node"]["value"], "1");
    // Watches are reads.
    let mut watch = Watch::open(addr, "/v2/keys/a?wait=true&stream=true");
    assert_eq!(ask(member, &Request::put("/v2/keys/a", "value=4")).status(), 200);
    assert_eq!(watch.event()["node"]["value"], "4");
}

#[test]
fn a_proxy_speaks_tls_on_both_sides() {
    if is_other() {
        return;
    }
    let authority = Authority::new();
    let tls = "-cert-file=cert.pem -key-file=key.pem -ca-file=ca.pem \
               -peer-cert-file=cert.pem -peer-key-file=key.pem -peer-ca-file=ca.pem";
    let mut all = sites("proxy-tls", 2, tls);
    all.iter().for_each(|site| authority.write_files(site.folder()));
    let member = all.remove(0);
    let proxy = all.remove(0).flags(&format!("-proxy on -peers {}", member.peer_addr()));
    let (_one, _other) = (member.spawn(), proxy.spawn());
    let mut client = Client::ready_with(member.addr(), || authority.client(true));
    assert_eq!(client.ask("PUT", "/v2/keys/a", "value=1").0, 201);
    let ask_proxy = |method: &str, path: &str, body: &str| {
        Client::try_open(proxy.addr(), authority.client(true))?.try_ask(method, path, body)
    };
    wait_until("the proxy relays", PATIENCE, || {
        ask_proxy("PUT", "/v2/keys/a", "value=2").is_ok_and(|(status, _)| status == 200)
    });
    let (status, text) = ask_proxy("GET", "/v2/keys/a", "").unwrap();
    assert!(status == 200 && text.contains("\"value\":\"2\""), "{text}");
}

#[test]
fn a_directory_has_one_part() {
    if is_other() {
        return;
    }
    let cluster = Cluster::start("proxy-part", 1, "");
    let (mut site, server) = proxy("proxy-part-p", "on", &cluster.machines);
    assert_eq!(server.terminate().code(), Some(0));
    site.set_flags("");
    let (status, text) = site.run_to_end();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.contains("is the directory of a proxy: give -proxy"), "{text}");
    // The other way round.
    let member = Site::new("proxy-part-m");
    assert_eq!(member.start().terminate().code(), Some(0));
    let peer = cluster.machines[0].site.peer_addr();
    let member = member.flags(&format!("-proxy=readonly -peers {peer}"));
    let (status, text) = member.run_to_end();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.contains("directory of a member or of a standby"), "{text}");
    // With -force the directory is a new machine's.
    site.set_flags("-force");
    let server = site.start();
    assert_eq!(ask(server.addr(), &Request::put("/v2/keys/a", "value=1")).status(), 201);
    // A proxy that reaches nobody says so, and lives.
    let lonely = Site::new("proxy-lonely").flags("-proxy on -peers 127.0.0.1:1");
    let _lonely = lonely.spawn();
    wait_until("it answers", PATIENCE, || {
        send(lonely.addr(), &Request::get("/livez")).is_ok_and(|answer| answer.status() == 200)
    });
    assert_eq!(ask(lonely.addr(), &Request::get("/v2/keys/a")).status(), 503);
}
