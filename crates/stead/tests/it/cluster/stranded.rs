//! A member that was away while all others were replaced.

use super::kit::{Cluster, Machine, PATIENCE};
use crate::testkit::{Request, Site, ask, wait_until};

#[test]
fn a_member_is_told_that_all_others_may_have_been_replaced() {
    let mut cluster = Cluster::start("stranded", 3, "");
    let write = Request::put("/v2/keys/kept", "value=1");
    assert_eq!(ask(cluster.machines[0].addr(), &write).status(), 201);
    cluster.wait_equal();
    cluster.machines[2].kill();
    let contact = cluster.machines[0].site.peer_addr();
    for name in ["m3", "m4"] {
        let site = Site::new("stranded").named(name).flags(&format!("-peers {contact}"));
        let server = Some(site.spawn());
        cluster.machines.push(Machine { site, server });
        cluster.wait_formed(cluster.machines.len());
    }
    for at in [0, 1] {
        let delete = Request::delete(&format!("/v2/admin/machines/m{at}"));
        let new = cluster.machines[3].addr();
        wait_until("it is removed", PATIENCE, || ask(new, &delete).status() == 200);
        cluster.machines[at].kill();
        cluster.leader_but(at);
    }

    cluster.machines[2].spawn();
    let log = || std::fs::read_to_string(cluster.machines[2].site.log_path()).unwrap_or_default();
    wait_until("its log says what may have happened", PATIENCE, || {
        let said = |line: &str| {
            ["ERROR", "may have been replaced", "-force-rejoin"].iter().all(|w| line.contains(w))
        };
        log().lines().any(said)
    });
    let ready = Request::get("/readyz");
    assert_eq!(ask(cluster.machines[2].addr(), &ready).status(), 503, "it knows nobody");

    cluster.machines[2].kill();
    let contact = cluster.machines[3].site.peer_addr();
    cluster.machines[2].site.set_flags(&format!("-peers {contact} -force-rejoin"));
    cluster.machines[2].spawn();
    cluster.wait_formed(3);
    cluster.wait_equal();
    let read = Request::get("/v2/keys/kept?quorum=true");
    assert_eq!(ask(cluster.machines[2].addr(), &read).status(), 200);
}
