//! Machines that speak TLS to one another.

use super::client::{Authority, Client};
use super::{is_other, talk};
use crate::cluster::kit::{Cluster, PATIENCE, members, sites, state};
use crate::testkit::http::send;
use crate::testkit::{Request, Site, ask, wait_until};
use std::net::SocketAddr;

const FILES: &str = "-peer-cert-file=cert.pem -peer-key-file=key.pem";
const GUARDED: &str = "-peer-cert-file=cert.pem -peer-key-file=key.pem -peer-ca-file=ca.pem";

/// Sites with certificates of `authority`, all but the first of which are told of the first.
pub(super) fn secured(label: &str, count: usize, authority: &Authority, flags: &str) -> Vec<Site> {
    let mut sites = sites(label, count, flags);
    let founder = sites[0].peer_addr();
    for (at, site) in sites.iter_mut().enumerate() {
        authority.write_files(site.folder());
        let peers = if at > 0 { format!("-peers {founder}") } else { String::new() };
        site.set_flags(&format!("{flags} {GUARDED} {peers}"));
    }
    sites
}

pub(super) fn form(sites: Vec<Site>) -> Cluster {
    let order: Vec<usize> = (0..sites.len()).collect();
    Cluster::of(sites, &order)
}

/// Asks a peer port over TLS.
fn ask_peer(addr: SocketAddr, config: rustls::ClientConfig) -> std::io::Result<(u16, String)> {
    Client::try_open(addr, config)?.try_ask("GET", "/v2/admin/machines", "")
}

#[test]
fn a_cluster_speaks_tls_and_hears_nobody_else() {
    if is_other() {
        return;
    }
    let authority = Authority::new();
    let cluster = form(secured("tls-cluster", 3, &authority, ""));
    for machine in &cluster.machines {
        let put = Request::put(&format!("/v2/keys/{}", machine.site.name()), "value=1");
        assert_eq!(ask(machine.addr(), &put).status(), 201);
        let leader = ask(machine.addr(), &Request::get("/v2/leader")).text();
        assert!(leader.starts_with("https://127.0.0.1:"), "{leader}");
    }
    for machine in &cluster.machines {
        let peer = machine.site.peer_addr();
        let (status, text) = ask_peer(peer, authority.client(true)).unwrap();
        assert_eq!(status, 200);
        assert_eq!(text.matches("\"peerURL\":\"https://").count(), 3, "{text}");
        assert!(ask_peer(peer, authority.client(false)).is_err());
        assert!(ask_peer(peer, authority.client_of(&Authority::new())).is_err());
        let told = talk(peer, b"GET /v2/peer/stream?version=1 HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(told.ends_with("Client sent an HTTP request to an HTTPS server.\n"), "{told}");
        assert_eq!(talk(peer, &[0; 100]), "");
        talk(peer, &[22, 3, 1, 0, 4, 9, 9, 9, 9]);
    }
    // A large value crosses in many records.
    let big = format!("value={}", "x".repeat(4 << 20));
    let answer = ask(cluster.machines[1].addr(), &Request::put("/v2/keys/big", &big));
    assert_eq!(answer.status(), 201, "{}", answer.text().get(..300).unwrap_or(&answer.text()));
    cluster.wait_equal();
}

#[test]
fn a_machine_without_a_certificate_or_with_a_stranger_s_does_not_join() {
    if is_other() {
        return;
    }
    let (authority, other) = (Authority::new(), Authority::new());
    let cluster = form(secured("tls-join", 1, &authority, ""));
    let founder = cluster.machines[0].site.peer_addr();
    let attempt = "-max-retry-attempts 1 -retry-interval 0.3";
    // Whom it trusts, whose certificate it has, its flags, and what it says.
    for (trusted, own, flags, want) in [
        (&other, &other, GUARDED, "UnknownIssuer"),
        (&authority, &other, GUARDED, "alert"),
        (&authority, &authority, "", "HTTP request to an HTTPS server"),
    ] {
        let site = Site::new("tls-join-one")
            .named("m1")
            .flags(&format!("{flags} -peers {founder} {attempt}"));
        own.write_files(site.folder());
        Authority::write_trust(site.folder(), &[trusted]);
        let (status, text) = site.run_to_end();
        assert_eq!(status.code(), Some(1), "{text}");
        assert!(text.contains(want), "{want}: {text}");
    }
    assert_eq!(members(cluster.machines[0].addr()).len(), 1);
}

#[test]
fn without_an_authority_of_their_own_machines_believe_the_system_s() {
    if is_other() {
        return;
    }
    let authority = Authority::new();
    let founder = Site::new("tls-system").flags(FILES);
    authority.write_files(founder.folder());
    let server = founder.spawn();
    let is_answering = || send(founder.addr(), &Request::get("/v2/keys/")).is_ok();
    let mut ended = false;
    wait_until("a start or an end", PATIENCE, || {
        ended = server.log_text().contains("-peer-ca-file");
        ended || is_answering()
    });
    if ended {
        // There are no authorities on this system, and the line says what to do.
        return;
    }
    // Nobody is asked for a certificate.
    assert_eq!(ask_peer(founder.peer_addr(), authority.client(false)).unwrap().0, 200);
    let flags =
        format!("{FILES} -peers {} -max-retry-attempts 1 -retry-interval 0.3", founder.peer_addr());
    let site = Site::new("tls-system-one").named("m1").flags(&flags);
    authority.write_files(site.folder());
    let (status, text) = site.run_to_end();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.contains("UnknownIssuer"), "{text}");
    assert!(text.contains("neither a certificate nor -peer-token is required"), "{text}");
}

#[test]
fn a_standby_asks_and_is_asked_over_tls() {
    if is_other() {
        return;
    }
    let authority = Authority::new();
    let mut sites = secured("tls-standby", 4, &authority, "-cluster-active-size 3");
    let last = sites.pop().expect("four");
    let cluster = form(sites);
    let _standby = last.spawn();
    wait_until("it stands by", PATIENCE, || state(last.addr()) == "standby");
    let client = || authority.client(true);
    let mut peer = Client::open(last.peer_addr(), client());
    assert_eq!(peer.ask("GET", "/livez", "").0, 200);
    assert!(ask_peer(last.peer_addr(), authority.client(false)).is_err());
    // There is room for it: the place is asked for over TLS too.
    let mut leader = Client::open(cluster.machines[0].site.peer_addr(), client());
    let config = "{\"activeSize\":4,\"removeDelay\":1800,\"syncInterval\":1}";
    assert_eq!(leader.ask("PUT", "/v2/admin/config", config).0, 200);
    cluster.wait_formed(4);
    wait_until("it has a place", PATIENCE, || state(last.addr()) == "follower");
}

#[test]
fn a_standby_passes_connections_on_over_tls() {
    if is_other() {
        return;
    }
    let authority = Authority::new();
    let mut sites = sites("tls-pass-on", 4, "");
    let founder = sites[0].peer_addr();
    for (at, site) in sites.iter_mut().enumerate() {
        authority.write_files(site.folder());
        let peers = if at > 0 { format!("-peers {founder}") } else { String::new() };
        site.set_flags(&format!(
            "-cert-file=cert.pem -key-file=key.pem -ca-file=ca.pem -cluster-active-size 3 \
             -cluster-sync-interval 1 -standby-mode proxy {peers}"
        ));
    }
    let standby = sites.pop().expect("four");
    let _servers: Vec<_> = sites.iter().map(Site::spawn).collect();
    wait_until("three are members", PATIENCE, || members(founder).len() == 3);
    let _standby = standby.spawn();
    // A connection that was passed on is answered by the leader alone.
    wait_until("it stands by and knows the leader", PATIENCE, || {
        let Ok(mut client) = Client::try_open(standby.addr(), authority.client(true)) else {
            return false;
        };
        let is_standby = client.try_ask("GET", "/v2/stats/self", "");
        is_standby.is_ok_and(|(_, text)| text.contains("standby"))
            && client.try_ask("GET", "/health", "").is_ok_and(|(status, _)| status == 200)
    });
    let mut client = Client::open(standby.addr(), authority.client(true));
    for number in 0..20 {
        let path = format!("/v2/keys/a/{number}");
        assert_eq!(client.ask("PUT", &path, "value=1").0, 201);
    }
    let (status, text) = client.ask("GET", "/v2/keys/a?recursive=true&quorum=true", "");
    assert_eq!((status, text.matches("\"value\"").count()), (200, 20), "{text}");
}

#[test]
fn a_cluster_begins_as_2_x_began() {
    if is_other() {
        return;
    }
    let authority = Authority::new();
    let mut sites = sites("tls-units", 3, "");
    let list: Vec<String> =
        sites.iter().map(|site| format!("{}=https://{}", site.name(), site.peer_addr())).collect();
    let list = list.join(",");
    for site in &mut sites {
        authority.write_files(site.folder());
        let (name, addr, peer) = (site.name().to_owned(), site.addr(), site.peer_addr());
        site.set_flags(&format!(
            "--name {name} --initial-cluster {list} --initial-cluster-state new \
             --initial-cluster-token t1 --initial-advertise-peer-urls https://{peer} \
             --listen-peer-urls https://{peer} --advertise-client-urls https://{addr} \
             --listen-client-urls https://{addr} --cert-file=cert.pem --key-file=key.pem \
             --trusted-ca-file=ca.pem --client-cert-auth --peer-cert-file=cert.pem \
             --peer-key-file=key.pem --peer-trusted-ca-file=ca.pem --peer-client-cert-auth"
        ));
    }
    let sites: Vec<Site> = sites.into_iter().map(Site::unaddressed).collect();
    let _servers: Vec<_> = sites.iter().map(Site::spawn).collect();
    let mut clients: Vec<Client> = sites
        .iter()
        .map(|site| Client::ready_with(site.addr(), || authority.client(true)))
        .collect();
    for (at, client) in clients.iter_mut().enumerate() {
        wait_until("it takes writes", PATIENCE, || {
            client.ask("PUT", &format!("/v2/keys/k{at}"), "value=1").0 < 300
        });
        assert_eq!(client.ask("GET", "/v2/keys/k0?quorum=true", "").0, 200);
    }
    wait_until("everybody is announced", PATIENCE, || {
        let (_, text) = clients[0].ask("GET", "/v2/members", "");
        text.matches("\"clientURLs\":[\"https://").count() == 3
    });
    for site in &sites {
        assert!(ask_peer(site.peer_addr(), authority.client(false)).is_err());
        let mut stranger = Client::open(site.addr(), authority.client(false));
        assert!(stranger.try_ask("GET", "/v2/keys/", "").is_err());
    }
}

#[test]
fn the_secret_is_wanted_for_changes_unless_there_are_certificates() {
    if is_other() {
        return;
    }
    let site = Site::new("tls-token").flags("-peer-token secret");
    let server = site.start();
    let config = "{\"activeSize\":5}";
    let put = || Request::new("PUT", "/v2/admin/config").body(config.as_bytes());
    for request in [
        put(),
        put().header("Stead-Token", "secre"),
        put().header("Stead-Token", ""),
        Request::delete("/v2/admin/machines/m0"),
        Request::delete("/v2/admin/machines/nobody").header("Stead-Token", "secret2"),
    ] {
        let answer = ask(server.peer_addr(), &request);
        assert_eq!(answer.status(), 401, "{}", answer.text());
        assert!(answer.text().contains("\"errorCode\":110"), "{}", answer.text());
    }
    let get = |path| ask(server.peer_addr(), &Request::get(path));
    assert_eq!(get("/v2/admin/machines").status(), 200);
    assert!(get("/v2/admin/config").text().contains("\"activeSize\":9"));
    let answer = ask(server.peer_addr(), &put().header("Stead-Token", "secret"));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let delete = Request::delete("/v2/admin/machines/nobody").header("Stead-Token", "secret");
    assert_eq!(ask(server.peer_addr(), &delete).status(), 404);

    let authority = Authority::new();
    let guarded = secured("tls-token-guarded", 1, &authority, "-peer-token secret");
    let _server = guarded[0].start();
    let mut client = Client::open(guarded[0].peer_addr(), authority.client(true));
    let (status, text) = client.ask("PUT", "/v2/admin/config", config);
    assert_eq!((status, text.contains("\"activeSize\":5")), (200, true), "{text}");
}
