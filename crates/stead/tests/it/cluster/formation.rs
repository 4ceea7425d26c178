//! Clusters form, whoever comes first, and find themselves again.

use super::kit::{Cluster, Machine, PATIENCE, members, peers, sites, state};
use crate::testkit::http::send;
use crate::testkit::{Random, Request, Server, Site, ask, wait_until};

fn shuffled(count: usize, seed: u64) -> Vec<usize> {
    let mut random = Random::new(seed);
    let mut order: Vec<usize> = (0..count).collect();
    for at in (1..count).rev() {
        let other = usize::try_from(random.below(at as u64 + 1)).expect("small");
        order.swap(at, other);
    }
    order
}

#[test]
fn machines_that_are_told_of_a_founder_join_in_any_order() {
    for (count, seed) in [(2, 1), (3, 2), (5, 3)] {
        let mut sites = sites("form-peers", count, "");
        let founder = sites[0].peer_addr().to_string();
        for site in sites.iter_mut().skip(1) {
            site.set_flags(&format!("-peers {founder}"));
        }
        let cluster = Cluster::of(sites, &shuffled(count, seed));
        let put = Request::put("/v2/keys/a", "value=1");
        assert_eq!(ask(cluster.machines[count - 1].addr(), &put).status(), 201);
        cluster.wait_equal();
    }
}

#[test]
fn nine_machines_of_one_list_begin_together() {
    let sites = sites("form-initial", 9, "");
    let list: Vec<String> =
        sites.iter().map(|site| format!("{}=http://{}", site.name(), site.peer_addr())).collect();
    let list = list.join(",");
    let sites: Vec<Site> =
        sites.into_iter().map(|site| site.flags(&format!("-initial-cluster {list}"))).collect();
    let cluster = Cluster::of(sites, &shuffled(9, 4));
    cluster.wait_equal();
}

#[test]
fn machines_meet_at_a_discovery_service() {
    let (_site, service) = Server::start("discovery");
    let url = format!("{}/v2/keys/meeting", service.url());
    let sites: Vec<Site> = sites("form-discovery", 3, &format!("-discovery {url}"));
    let cluster = Cluster::of(sites, &shuffled(3, 5));
    cluster.wait_equal();
    let listed = ask(service.addr(), &Request::get("/v2/keys/meeting")).json();
    assert_eq!(listed["node"]["nodes"].as_array().map(Vec::len), Some(3), "{listed}");
}

#[test]
fn all_machines_may_be_told_of_all_peers_by_a_file() {
    let sites = sites("form-file", 3, "");
    let file = sites[0].folder().join("peers");
    std::fs::write(&file, peers(&sites[..1])).unwrap();
    let sites: Vec<Site> = sites
        .into_iter()
        .map(|site| site.flags(&format!("-peers-file {}", file.display())))
        .collect();
    let cluster = Cluster::of(sites, &shuffled(3, 6));
    cluster.wait_equal();
}

#[test]
fn a_cluster_that_was_killed_as_a_whole_comes_back() {
    let mut cluster = Cluster::start("form-again", 3, "");
    for number in 0..50 {
        let put = Request::put(&format!("/v2/keys/k/{number}"), "value=1");
        assert_eq!(ask(cluster.machines[number % 3].addr(), &put).status(), 201);
    }
    let before =
        ask(cluster.machines[0].addr(), &Request::get("/v2/keys/k?quorum=true&sorted=true")).text();
    cluster.machines.iter_mut().for_each(Machine::kill);
    cluster.machines.iter_mut().for_each(Machine::spawn);
    cluster.wait_formed(3);
    let after =
        ask(cluster.machines[1].addr(), &Request::get("/v2/keys/k?quorum=true&sorted=true")).text();
    assert_eq!(before, after);
    cluster.wait_equal();
}

#[test]
fn a_machine_that_moves_tells_its_new_addresses() {
    let mut cluster = Cluster::start("form-move", 3, "");
    cluster.machines[2].kill();
    cluster.machines[2].site.move_ports();
    cluster.machines[2].spawn();
    let (new, peer) = (cluster.machines[2].addr(), cluster.machines[2].site.peer_addr());
    wait_until("the new addresses are known everywhere", PATIENCE, || {
        cluster.running().all(|machine| {
            let one = Request::get("/v2/admin/machines/m2");
            send(machine.addr(), &one).is_ok_and(|answer| {
                let text = answer.text();
                text.contains(&new.to_string()) && text.contains(&peer.to_string())
            })
        })
    });
    cluster.wait_formed(3);
}

#[test]
fn a_lost_disk_needs_an_explicit_word() {
    let mut cluster = Cluster::start("form-disk", 3, "");
    cluster.machines[2].kill();
    std::fs::remove_dir_all(cluster.machines[2].site.data_dir()).unwrap();
    let (status, text) = cluster.machines[2].site.run_to_end();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.contains("-force-rejoin"), "{text}");
    let founder = cluster.machines[0].site.peer_addr();
    cluster.machines[2].site.set_flags(&format!("-peers {founder} -force-rejoin"));
    cluster.machines[2].spawn();
    cluster.wait_formed(3);
    cluster.wait_equal();
}

#[test]
fn a_name_or_an_address_that_is_taken_and_a_wrong_secret_are_refused() {
    let cluster = Cluster::start("form-refused", 2, "-peer-token secret");
    let founder = cluster.machines[0].site.peer_addr();
    for (name, token, want) in
        [("m0", "secret", "is a member already"), ("m7", "wrong", "secret"), ("m7", "", "secret")]
    {
        let token = if token.is_empty() { String::new() } else { format!("-peer-token {token}") };
        // Who has another secret does not believe a refusal either, and tries again.
        let flags = format!("-peers {founder} -max-retry-attempts 1 {token}");
        let site = Site::new("form-refused-one").named(name).flags(&flags);
        let (status, text) = site.run_to_end();
        assert_eq!(status.code(), Some(1), "{text}");
        assert!(text.contains(want), "{text}");
    }
    assert_eq!(members(cluster.machines[0].addr()).len(), 2);
    assert_eq!(state(cluster.machines[0].addr()), "leader");
}
