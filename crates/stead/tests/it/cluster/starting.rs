//! Every way to start where there is a cluster already, or was.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::kit::{Cluster, Machine, PATIENCE, identity, members, sites};
use crate::testkit::http::send;
use crate::testkit::{Request, Site, ask, port, wait_until};

/// `-initial-cluster` for these machines.
fn list(sites: &[Site]) -> String {
    let all: Vec<String> =
        sites.iter().map(|site| format!("{}=http://{}", site.name(), site.peer_addr())).collect();
    format!("-initial-cluster {}", all.join(","))
}

/// Machines that begin together by a list, and the flag for it.
fn together(label: &str, count: usize) -> (Cluster, String) {
    let mut sites = sites(label, count, "");
    let flags = list(&sites);
    sites.iter_mut().for_each(|site| site.set_flags(&flags));
    let order: Vec<usize> = (0..count).collect();
    (Cluster::of(sites, &order), flags)
}

fn write(machine: &Machine, key: &str) {
    let put = Request::put(&format!("/v2/keys/{key}"), "value=1");
    let answer = ask(machine.addr(), &put);
    assert_eq!(answer.status(), 201, "{}", answer.text());
}

/// Whether a proven read finds a key.
fn has(machine: &Machine, key: &str) -> bool {
    let get = Request::get(&format!("/v2/keys/{key}?quorum=true"));
    send(machine.addr(), &get).is_ok_and(|answer| answer.status() == 200)
}

/// The directories in which earlier files were put away.
fn put_away(site: &Site) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(site.data_dir()).expect("it is there");
    let paths = entries.map(|entry| entry.expect("it can be read").path());
    paths.filter(|path| path.is_dir() && path.to_string_lossy().contains("replaced-")).collect()
}

fn lose_disk(machine: &Machine) {
    std::fs::remove_dir_all(machine.site.data_dir()).expect("it is ours");
}

#[test]
fn a_lost_disk_under_the_line_that_founded_the_cluster_costs_no_write() {
    let (mut cluster, flags) = together("start-lost", 3);
    // The one that leads and two others, in the part that each has in the report of this fault.
    let m1 = cluster.leader();
    let (m2, m3) = ((m1 + 1) % 3, (m1 + 2) % 3);
    cluster.machines[m3].kill();
    for number in 11..=15 {
        write(&cluster.machines[m1], &format!("k{number}"));
    }
    cluster.machines[m2].kill();
    lose_disk(&cluster.machines[m2]);
    cluster.machines[m1].kill();
    cluster.machines[m3].spawn();
    wait_until("it answers", PATIENCE, || {
        send(cluster.machines[m3].addr(), &Request::get("/livez")).is_ok()
    });
    // Nobody can say yet whether the empty one took part: the two elect nobody.
    cluster.machines[m2].spawn();
    wait_until("it asks who leads, or ends", PATIENCE, || {
        let answer = send(cluster.machines[m2].addr(), &Request::get("/readyz"));
        answer.is_ok_and(|answer| answer.text().contains("no leader answers"))
            || !cluster.machines[m2].server.as_mut().expect("spawned").is_running()
    });
    // What the lost disk had confirmed is still with the one that led.
    cluster.machines[m1].spawn();
    let mut refused = cluster.machines[m2].server.take().expect("spawned");
    wait_until("it is refused", PATIENCE, || !refused.is_running());
    assert_eq!(refused.wait_end().code(), Some(1));
    let text = refused.log_text();
    assert!(text.contains("already been a member") && text.contains("-force-rejoin"), "{text}");
    wait_until("the writes are there", PATIENCE, || has(&cluster.machines[m3], "k11"));
    for number in 11..=15 {
        assert!(has(&cluster.machines[m3], &format!("k{number}")), "k{number}");
    }
    // The remedy works, with the same list and without another word.
    cluster.machines[m2].site.set_flags(&format!("{flags} -force-rejoin"));
    cluster.machines[m2].spawn();
    cluster.wait_formed(3);
    cluster.wait_equal();
    // And at the next start, with the line as it was.
    cluster.machines[m2].kill();
    cluster.machines[m2].site.set_flags(&flags);
    cluster.machines[m2].spawn();
    cluster.wait_formed(3);
}

#[test]
fn a_machine_that_was_lost_before_it_took_part_begins_again() {
    let mut sites = sites("start-first", 3, "");
    let flags = list(&sites);
    sites.iter_mut().for_each(|site| site.set_flags(&flags));
    let mut first = Machine { site: sites.remove(0), server: None };
    first.spawn();
    wait_until("it has begun", PATIENCE, || {
        send(first.site.peer_addr(), &Request::get("/v2/peer/members"))
            .is_ok_and(|answer| answer.status() == 200)
    });
    first.kill();
    lose_disk(&first);
    sites.insert(0, first.site);
    let cluster = Cluster::of(sites, &[1, 2, 0]);
    cluster.wait_equal();
}

#[test]
fn a_list_that_has_grown_does_not_begin_another_cluster() {
    let (mut cluster, _) = together("start-grown", 3);
    let mut all = sites("start-grown-one", 4, "");
    let mut fourth = all.remove(3);
    let old: Vec<String> = cluster
        .machines
        .iter()
        .map(|machine| format!("{}=http://{}", machine.site.name(), machine.site.peer_addr()))
        .collect();
    let flags = format!("-initial-cluster {},m3=http://{}", old.join(","), fourth.peer_addr());
    fourth.set_flags(&flags);
    let (status, text) = fourth.run_to_end();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.contains("-initial-cluster-state existing"), "{text}");
    fourth.set_flags(&format!("{flags} -initial-cluster-state existing"));
    let mut machine = Machine { site: fourth, server: None };
    machine.spawn();
    cluster.machines.push(machine);
    cluster.wait_formed(4);
}

#[test]
fn a_member_of_several_is_not_forced_into_a_cluster_of_its_own() {
    let mut cluster = Cluster::start("start-force", 2, "");
    write(&cluster.machines[1], "kept");
    // The founder's line, as it is in the three commands of the documentation, and a member's
    // without the others.
    for at in [0, 1] {
        cluster.machines[at].kill();
        cluster.machines[at].site.set_flags("-force");
        let (status, text) = cluster.machines[at].site.run_to_end();
        assert_eq!(status.code(), Some(1), "{text}");
        assert!(text.contains("second cluster") && text.contains("-force-rejoin"), "{text}");
        assert_eq!(put_away(&cluster.machines[at].site).len(), 0, "nothing was changed");
        cluster.machines[at].site.set_flags("");
        cluster.machines[at].spawn();
        cluster.wait_formed(2);
    }
    assert!(has(&cluster.machines[0], "kept"));
}

#[test]
fn a_member_comes_back_in_its_old_place_whatever_it_is_told() {
    let mut cluster = Cluster::start("start-rejoin", 3, "");
    write(&cluster.machines[0], "kept");
    let all = {
        let sites: Vec<String> =
            cluster.machines.iter().map(|m| m.site.peer_addr().to_string()).collect();
        sites.join(",")
    };
    // By what its own directory names, and by its line; founder and others alike.
    for (at, flags) in [(0, ""), (2, ""), (1, &*format!("-peers {all}"))] {
        let (id, of) = identity(&cluster.machines[at]);
        cluster.machines[at].kill();
        cluster.machines[at].site.set_flags(&format!("{flags} -force-rejoin"));
        cluster.machines[at].spawn();
        cluster.wait_formed(3);
        let (new, same) = identity(&cluster.machines[at]);
        assert!(new != id && same == of, "{id} of {of} became {new} of {same}");
        let away = put_away(&cluster.machines[at].site);
        assert_eq!(away.len(), 1, "{away:?}");
        let files = std::fs::read_dir(&away[0]).expect("it is there").count();
        assert!(files >= 2, "log and snapshot are kept");
        cluster.machines[at].kill();
        cluster.machines[at].site.set_flags("");
        cluster.machines[at].spawn();
        cluster.wait_formed(3);
        assert!(has(&cluster.machines[at], "kept"));
    }
    cluster.wait_equal();
}

#[test]
fn a_lost_disk_founds_nothing_when_it_is_to_come_back() {
    let site = Site::new("start-nobody").flags("-force-rejoin");
    let (status, text) = site.run_to_end();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.contains("-peers"), "{text}");
    // A list that names this machine alone, as a template for all of them does.
    let mut site = Site::new("start-itself");
    site.set_flags(&format!("-peers {}", site.peer_addr()));
    let server = site.start();
    assert_eq!(ask(server.addr(), &Request::put("/v2/keys/a", "value=1")).status(), 201);
}

#[test]
fn a_machine_that_waits_for_a_place_says_so_and_lives() {
    let nobody = format!("127.0.0.1:{}", port::free());
    let site = Site::new("start-waits").flags(&format!("-peers {nobody} -retry-interval 20"));
    let server = site.spawn();
    wait_until("it lives", PATIENCE, || {
        send(site.addr(), &Request::get("/livez")).is_ok_and(|answer| answer.status() == 200)
    });
    let ready = |text: &str| text.contains("joining: ") && text.contains(&nobody);
    wait_until("it says why it waits", PATIENCE, || {
        ready(&ask(site.addr(), &Request::get("/readyz")).text())
    });
    for request in [
        Request::get("/readyz"),
        Request::get("/health"),
        Request::get("/v2/keys/a"),
        Request::put("/v2/keys/a", "value=1"),
        Request::get("/v2/machines"),
        Request::get("/v2/stats/self"),
    ] {
        let answer = ask(site.addr(), &request);
        assert_eq!(answer.status(), 503, "{}: {}", request.path, answer.text());
        assert!(request.path == "/health" || ready(&answer.text()), "{}", answer.text());
    }
    let metrics = ask(site.addr(), &Request::get("/metrics"));
    assert!(metrics.text().contains("stead_http_connections 1"), "its own: {}", metrics.text());
    let card = ask(site.peer_addr(), &Request::get("/v2/peer/identity")).json();
    assert_eq!(card["name"], "m0");
    assert_eq!(ask(site.peer_addr(), &Request::get("/v2/peer/members")).status(), 503);
    let since = Instant::now();
    server.signal(Signal::TERM);
    let mut server = server;
    assert_eq!(server.wait_end().code(), Some(0));
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
}

#[test]
fn attempts_are_counted_and_what_was_waited_for_is_said() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let at = silent.local_addr().expect("it is bound");
    let flags = format!("-peers {at} -max-retry-attempts 1 -retry-interval 0.1");
    let site = Site::new("start-silent").flags(&flags);
    let mut server = site.spawn();
    wait_until("it gives up", PATIENCE, || !server.is_running());
    assert_eq!(server.wait_end().code(), Some(1));
    let text = server.log_text();
    assert!(text.contains("after 1 attempt: no answer from http://"), "{text}");
    assert!(text.contains("within 8 s"), "{text}");
}

#[test]
fn a_machine_that_cannot_be_reached_where_it_says_gets_no_place() {
    let mut cluster = Cluster::start("start-reach", 2, "");
    let founder = cluster.machines[0].site.peer_addr();
    let elsewhere = format!("127.0.0.1:{}", port::free());
    let third = Site::new("start-reach-one").named("m2");
    let flags = format!("-peers {founder} -peer-bind-addr {elsewhere}");
    let third = third.flags(&flags);
    let (status, text) = third.run_to_end();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.contains("cannot reach") && text.contains("check -peer-addr"), "{text}");
    assert_eq!(members(cluster.machines[0].addr()).len(), 2);
    // Somebody else answers there.
    let mut third = Machine { site: third, server: None };
    third.site.set_flags(&format!("-peers {founder}"));
    let bind = format!("127.0.0.1:{}", port::free());
    let second = cluster.machines[1].site.peer_addr();
    let wrong = format!("-peers {second} -peer-bind-addr {bind} -peer-addr {founder}");
    let stranger = Site::new("start-reach-three").named("m4").flags(&wrong);
    let (status, text) = stranger.run_to_end();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.contains("m0 answers there"), "{text}");
    assert_eq!(members(cluster.machines[0].addr()).len(), 2);
    third.spawn();
    cluster.machines.push(third);
    cluster.wait_formed(3);
}

#[test]
fn all_interfaces_are_listened_on_and_never_advertised() {
    let site = Site::new("start-all").unaddressed();
    let (addr, peer) = (site.addr(), site.peer_addr());
    let flags =
        format!("-name m0 -addr 0.0.0.0:{} -peer-addr 0.0.0.0:{}", addr.port(), peer.port());
    let site = site.flags(&flags);
    let server = site.start();
    let members = ask(addr, &Request::get("/v2/members")).text();
    let machines = ask(addr, &Request::get("/v2/machines")).text();
    for text in [&members, &machines] {
        assert!(!text.contains("0.0.0.0") && text.contains(&addr.port().to_string()), "{text}");
    }
    server.log_with("means all interfaces");
    // Nor is it taken from others.
    let body = "{\"id\":\"5\",\"name\":\"x\",\"clientURL\":\"http://h:1\",\
                \"peerURL\":\"http://0.0.0.0:7002\"}";
    let join = Request::new("POST", "/v2/peer/join").body(body.as_bytes());
    let join = join.header("Content-Type", "application/json");
    let answer = ask(peer, &join);
    assert_eq!(answer.status(), 400, "{}", answer.text());
    assert!(answer.text().contains("0.0.0.0:7002"), "{}", answer.text());
}
