//! Certificates that change while machines run.

use super::client::Authority;
use super::is_other;
use super::peers::{form, secured};
use crate::cluster::kit::{Cluster, PATIENCE, Writer};
use crate::testkit::http::send;
use crate::testkit::{Request, Server, ask, wait_until};
use rustix::process::Signal;

/// How often a machine has read its certificates again.
fn times_read(server: &Server) -> usize {
    server.log_text().matches("reloaded the certificate").count()
}

/// Changes the files of all machines and waits until each has read them.
fn change(cluster: &Cluster, write: impl Fn(&std::path::Path)) {
    for machine in cluster.running() {
        let before = times_read(machine.server());
        write(machine.site.folder());
        machine.server().signal(Signal::HUP);
        wait_until("the files are read again", PATIENCE, || times_read(machine.server()) > before);
    }
}

#[test]
fn authorities_change_under_traffic() {
    if is_other() {
        return;
    }
    let (old, new) = (Authority::new(), Authority::new());
    let mut cluster = form(secured("tls-change", 3, &old, ""));
    let writers: Vec<Writer> = (0..3).map(|id| Writer::start(id, cluster.addrs())).collect();
    change(&cluster, |folder| Authority::write_trust(folder, &[&old, &new]));
    change(&cluster, |folder| new.write_pair(folder));
    change(&cluster, |folder| Authority::write_trust(folder, &[&new]));
    let promised: Vec<_> = writers.into_iter().map(Writer::finish).collect();
    for one in &promised {
        assert!(one.acknowledged > 0);
        assert_eq!((one.unknown, one.refused), (0, 0), "nobody was interrupted");
    }
    // Connections of before go on with what they began with, so they are made anew.
    for at in 0..3 {
        cluster.machines[at].kill();
        cluster.machines[at].spawn();
        cluster.wait_formed(3);
    }
    cluster.wait_equal();
    promised.iter().for_each(|one| one.check(cluster.machines[2].addr()));
}

#[test]
fn a_member_with_a_stranger_s_certificate_is_not_heard_until_it_has_a_right_one() {
    if is_other() {
        return;
    }
    let (authority, other) = (Authority::new(), Authority::new());
    let mut cluster = form(secured("tls-stranger", 3, &authority, ""));
    cluster.machines[2].kill();
    let folder = cluster.machines[2].site.folder().to_owned();
    other.write_pair(&folder);
    cluster.machines[2].spawn();
    wait_until("it says that it is not believed", PATIENCE, || {
        cluster.machines[2].server().log_text().contains("no connection to a member over TLS")
    });
    wait_until("the others say that they do not believe it", PATIENCE, || {
        let log = |at: usize| cluster.machines[at].server().log_text();
        (0..2).all(|at| log(at).contains("no connection to a member over TLS"))
    });
    // The others go on; it has no majority, and learns nothing.
    for at in 0..2 {
        let put = Request::put(&format!("/v2/keys/{at}"), "value=1");
        assert_eq!(ask(cluster.machines[at].addr(), &put).status(), 201);
    }
    let alone = cluster.machines[2].addr();
    let answer = ask(alone, &Request::put("/v2/keys/alone", "value=1"));
    assert!(answer.status() >= 400, "{}", answer.text());
    assert_eq!(ask(alone, &Request::get("/v2/keys/1")).status(), 404);
    // No restart is needed to put it right.
    authority.write_pair(&folder);
    wait_until("it is heard again", PATIENCE, || {
        send(alone, &Request::get("/v2/keys/1?quorum=true")).is_ok_and(|one| one.status() == 200)
    });
    cluster.wait_formed(3);
    cluster.wait_equal();
}

#[test]
fn sighup_ends_no_server() {
    if is_other() {
        return;
    }
    let (_site, mut server) = Server::start("tls-hangup");
    server.signal(Signal::HUP);
    wait_until("the signal is noticed", PATIENCE, || server.log_text().contains("SIGHUP"));
    assert!(server.is_running());
    assert_eq!(ask(server.addr(), &Request::put("/v2/keys/a", "value=1")).status(), 201);
    assert!(server.terminate().success());
}
