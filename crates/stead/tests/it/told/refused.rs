//! Machines that are refused: a wrong secret, another cluster.

use super::{Logs, others};
use crate::cluster::kit::{Cluster, Machine};
use crate::testkit::{Request, Site, ask};
use std::time::Duration;

#[test]
fn a_wrong_secret_is_told_by_both_sides_and_not_each_second() {
    let flag = |secret: &str| format!("-peer-token {secret}-secret-of-this-test-cluster");
    let mut cluster = Cluster::start("told-secret", 3, &flag("first"));
    let wrong = others(&cluster, cluster.leader())[0];
    let contact = cluster.machines[cluster.leader()].site.peer_addr();
    cluster.machines[wrong].server.take().unwrap().terminate();
    let logs = Logs::from_now(&cluster);
    let flags = format!("{} -peers {contact}", flag("other"));
    cluster.machines[wrong].site.set_flags(&flags);
    cluster.machines[wrong].spawn();
    let at_it = ["WARN no connection to a member: ", "does not prove", "-peer-token"];
    logs.wait(&cluster, wrong, &at_it);
    for at in others(&cluster, wrong) {
        logs.wait(&cluster, at, &["WARN refused a peer connection: 401 ", "-peer-token"]);
    }
    logs.wait(&cluster, wrong, &["ERROR majority lost: ", "1 of 3 voters"]);
    std::thread::sleep(Duration::from_secs(3));
    let all: String = (0..3).map(|at| logs.lines(&cluster, at).join("\n")).collect();
    assert!(!all.contains("first-secret") && !all.contains("other-secret"), "{all}");
    logs.check_few(&cluster);
}

#[test]
fn a_machine_of_another_cluster_at_the_address_of_a_member_is_named() {
    let mut cluster = Cluster::start("told-foreign", 3, "");
    let gone = others(&cluster, cluster.leader())[0];
    cluster.machines[gone].server.take().unwrap().terminate();
    let logs = Logs::from_now(&cluster);
    // It founds a cluster of its own with an empty directory at the same addresses.
    let dir = cluster.machines[gone].site.folder().join("foreign");
    let (addr, peer) =
        (cluster.machines[gone].site.addr(), cluster.machines[gone].site.peer_addr());
    let flags = format!("-name x -addr {addr} -peer-addr {peer}");
    let site = Site::new("told-foreign").unaddressed().with_data_dir(dir).flags(&flags);
    let mut stranger = Machine { site, server: None };
    stranger.spawn();
    for at in others(&cluster, gone) {
        let place = format!("WARN no connection to a member: m{gone} at {peer}: ");
        logs.wait(&cluster, at, &[&place, "another cluster"]);
        let put = Request::put("/v2/keys/goes-on", "value=1");
        assert!(ask(cluster.machines[at].addr(), &put).status() < 300);
    }
    let log = || std::fs::read_to_string(stranger.site.log_path()).unwrap_or_default();
    crate::testkit::wait_until("it says who calls", super::PATIENCE, || {
        log().contains("WARN refused a peer connection: 403 for 127.0.0.1:")
    });
    logs.check_few(&cluster);
}
