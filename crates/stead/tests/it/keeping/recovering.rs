//! Clusters that have lost their majority for good.

use super::{fails, must};
use crate::cluster::kit::{Cluster, Machine, PATIENCE};
use crate::testkit::{Request, Site, ask, send, wait_until};

const KEPT: &str = "/v2/keys/kept?recursive=true&sorted=true";

/// Writes until all members have it, and kills all but the last machine.
fn left_alone(label: &str, count: usize) -> (Cluster, String) {
    let mut cluster = Cluster::start(label, count, "");
    for at in 0..20 {
        let put = Request::put(&format!("/v2/keys/kept/{at}"), "value=1");
        assert_eq!(ask(cluster.machines[at % count].addr(), &put).status(), 201);
    }
    cluster.wait_equal();
    let all = ask(cluster.machines[0].addr(), &Request::get(KEPT)).text();
    let seen = cluster.machines[count - 1].site.data_dir().join("peers-seen");
    wait_until("the last one has noted what it saw of the others", PATIENCE, || {
        let text = std::fs::read_to_string(&seen).unwrap_or_default();
        text.lines().count() == count + 2
    });
    for machine in &mut cluster.machines {
        machine.kill();
    }
    (cluster, all)
}

fn recovers(count: usize, label: &str) {
    let (mut cluster, before) = left_alone(label, count);
    let survivor = cluster.machines.pop().expect("it has machines");
    let (folder, name) = (survivor.site.folder(), survivor.site.name().to_owned());
    let data_dir = survivor.site.data_dir().display().to_string();
    let recover = ["recover", "-data-dir", &data_dir, "-name", &name];
    let unasked = fails(folder, &recover);
    assert!(unasked.contains("--yes") && unasked.contains("nothing was changed"), "{unasked}");
    assert!(unasked.contains("other member    m0"), "{unasked}");
    let heard = unasked.lines().filter(|line| line.contains("last heard    at 2")).count();
    assert_eq!(heard, count - 1, "{unasked}");
    assert!(unasked.contains(" applied: "), "{unasked}");
    let seen = survivor.site.data_dir().join("peers-seen");
    let mut bytes = std::fs::read(&seen).expect("it is there");
    bytes[30] ^= 1;
    std::fs::write(&seen, bytes).expect("the disk works");
    let unknown = fails(folder, &recover);
    assert_eq!(unknown.matches("last heard    not known").count(), count - 1, "{unknown}");
    std::fs::remove_file(&seen).expect("it is there");
    assert_eq!(fails(folder, &recover), unknown, "damaged or missing is the same");
    let wrong = fails(folder, &["recover", "-data-dir", &data_dir, "-name", "x", "--yes"]);
    assert!(wrong.contains(&format!("{name:?}")), "{wrong}");
    let told = must(folder, &["recover", "-data-dir", &data_dir, "-name", &name, "--yes"]);
    assert!(told.contains("the old files are in"), "{told}");

    let mut site = survivor.site;
    site.set_flags("");
    let recovered = Machine { server: Some(site.start()), site };
    let after = ask(recovered.addr(), &Request::get(KEPT)).text();
    assert_eq!(after, before, "values and indexes are as they were");
    let put = Request::put("/v2/keys/after", "value=1");
    assert_eq!(ask(recovered.addr(), &put).status(), 201);

    // An old member comes back, and is told of the recovered one.
    let contact = recovered.site.peer_addr();
    let old = &mut cluster.machines[0];
    old.site.set_flags(&format!("-peers {contact}"));
    old.spawn();
    let health = Request::get("/health");
    wait_until("it waits for the others of its own cluster", PATIENCE, || {
        send(old.addr(), &health).is_ok_and(|answer| answer.text().contains("false"))
    });
    let machines = ask(recovered.addr(), &Request::get("/v2/machines")).text();
    assert_eq!(machines, format!("http://{}", recovered.addr()), "it was not let in");
    old.kill();

    // Others make it a cluster again.
    let mut formed = Cluster { machines: vec![recovered] };
    let new = Site::new(label).named("new").flags(&format!("-peers {contact}"));
    formed.machines.push(Machine { server: Some(new.spawn()), site: new });
    formed.wait_formed(2);
    formed.wait_equal();
}

#[test]
fn one_of_three_becomes_a_cluster_with_all_keys() {
    recovers(3, "recover-three");
}

#[test]
fn one_of_five_becomes_a_cluster_with_all_keys() {
    recovers(5, "recover-five");
}

#[test]
fn the_flag_of_2x_does_the_same_and_may_stay() {
    let (mut cluster, _) = left_alone("recover-flag", 3);
    let mut survivor = cluster.machines.pop().expect("it has machines");
    survivor.site.set_flags("-force-new-cluster");
    for _ in 0..2 {
        survivor.server = Some(survivor.site.start());
        let read = Request::get("/v2/keys/kept/7?quorum=true");
        assert_eq!(ask(survivor.addr(), &read).status(), 200);
        survivor.server.take().expect("it runs").terminate();
    }
    let log = std::fs::read_to_string(survivor.site.log_path()).expect("it logs");
    assert_eq!(log.matches("this machine is a new cluster of one").count(), 1, "{log}");
    assert_eq!(log.matches("is alone already").count(), 1, "{log}");
}
