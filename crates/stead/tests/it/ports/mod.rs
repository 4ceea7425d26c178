//! One dialect a port: whoever asks a port for addresses is told those where the same dialect is
//! spoken, so that a client that goes on at what it reads there never changes it.

mod kept;
mod moving;
mod several;
mod sockets;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::cluster::kit::{Cluster, Machine, PATIENCE, peers, sites};
use crate::testkit::http::send;
use crate::testkit::{Request, Site, ask, wait_until};

/// So that a leader is found soon.
const QUICK: &str = "-peer-heartbeat-interval=20 -peer-election-timeout=150";

/// The two ports of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    V04,
    V2,
}

const BOTH: [Dialect; 2] = [Dialect::V04, Dialect::V2];

impl Dialect {
    fn of(self, site: &Site) -> SocketAddr {
        match self {
            Dialect::V04 => site.addr(),
            Dialect::V2 => site.v2_addr(),
        }
    }

    /// Whether an in-order key was made in it.
    fn has_made(self, key: &str) -> bool {
        let len = key.rsplit('/').next().unwrap().len();
        if self == Dialect::V2 { len == 20 } else { len < 20 }
    }
}

/// Three machines with both ports each, when every port tells of all of them.
fn trio(label: &str, flags: &str) -> Cluster {
    let sites: Vec<Site> =
        sites(label, 3, &format!("{QUICK} {flags}")).into_iter().map(Site::with_v2).collect();
    let founder = sites[0].peer_addr();
    let sites = sites.into_iter().enumerate().map(|(at, site)| match at {
        0 => site,
        _ => site.flags(&format!("-peers {founder}")),
    });
    let mut machines: Vec<Machine> = sites.map(|site| Machine { site, server: None }).collect();
    machines.iter_mut().for_each(Machine::spawn);
    let cluster = Cluster { machines };
    wait_told(&cluster);
    cluster
}

fn url(addr: SocketAddr) -> String {
    format!("http://{addr}")
}

/// What a port says of machines, in its order; nothing if it does not answer.
fn machines(addr: SocketAddr, path: &str) -> Vec<String> {
    let Ok(answer) = send(addr, &Request::get(path)) else { return Vec::new() };
    let text = answer.text();
    text.split(", ").filter(|url| !url.is_empty()).map(str::to_owned).collect()
}

/// The client URLs of all members.
fn member_urls(addr: SocketAddr) -> BTreeSet<String> {
    let all = ask(addr, &Request::get("/v2/members")).json();
    let members = all["members"].as_array().expect("a list").clone();
    let urls = members.iter().flat_map(|one| one["clientURLs"].as_array().expect("a list"));
    urls.map(|url| url.as_str().expect("text").to_owned()).collect()
}

/// The addresses of one dialect of all machines, the leader's first, the others sorted.
fn expected(cluster: &Cluster, leader: usize, dialect: Dialect) -> Vec<String> {
    let sites = cluster.machines.iter().map(|machine| &machine.site).enumerate();
    let mut urls: Vec<(bool, String)> =
        sites.map(|(at, site)| (at != leader, url(dialect.of(site)))).collect();
    urls.sort();
    urls.into_iter().map(|(_, url)| url).collect()
}

/// Waits until every port tells all addresses of its dialect.
fn wait_told(cluster: &Cluster) {
    wait_until("every port tells the addresses of its dialect", PATIENCE, || {
        let leader = cluster.leader();
        cluster.running().all(|machine| {
            BOTH.iter().all(|dialect| {
                let told = machines(dialect.of(&machine.site), "/v2/machines");
                told == expected(cluster, leader, *dialect)
            })
        })
    });
}

fn field(value: &serde_json::Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

#[test]
fn every_port_of_every_member_tells_the_addresses_of_its_dialect() {
    let cluster = trio("ports-told", "");
    let leader = cluster.leader();
    for machine in &cluster.machines {
        for dialect in BOTH {
            let (addr, want) = (dialect.of(&machine.site), expected(&cluster, leader, dialect));
            let all: BTreeSet<String> = want.iter().cloned().collect();
            assert_eq!(member_urls(addr), all, "{dialect:?}");
            let first = ask(addr, &Request::get("/v2/members/leader")).json();
            assert_eq!(first["clientURLs"], serde_json::json!([want[0]]), "{dialect:?}");
            let seen = ask(addr, &Request::get("/v2/stats/cluster")).json();
            let seen = seen["members"].as_array().expect("a list").clone();
            let seen = seen.iter().map(|one| field(one, "clientURL")).collect::<BTreeSet<_>>();
            assert_eq!(seen, all, "the dashboard's view, {dialect:?}");
            let admin = ask(addr, &Request::get("/v2/admin/machines")).json();
            let admin = admin.as_array().expect("a list").clone();
            let admin = admin.iter().map(|one| field(one, "clientURL")).collect::<BTreeSet<_>>();
            assert_eq!(admin, all, "{dialect:?}");
        }
        let (first, want) = (machine.addr(), expected(&cluster, leader, Dialect::V04));
        for path in ["/v1/machines", "/v2/peers", "/v1/peers"] {
            assert_eq!(machines(first, path), want, "{path}");
        }
        let peer = url(cluster.machines[leader].site.peer_addr());
        for path in ["/v1/leader", "/v2/leader"] {
            assert_eq!(ask(first, &Request::get(path)).text(), peer, "as 0.4.9: {path}");
        }
    }
    cluster.wait_equal();
}

/// Posts in-order keys at every address that a client learns at a port, and at those that it learns
/// there. All names have to be of the dialect of the first port.
fn sync_and_post(start: SocketAddr, dialect: Dialect, queue: &str) {
    let mut addresses = member_urls(start);
    addresses.extend(machines(start, "/v2/machines"));
    let learned = addresses.clone();
    for address in &learned {
        let addr = address.strip_prefix("http://").unwrap().parse().unwrap();
        addresses.extend(machines(addr, "/v2/machines"));
        addresses.extend(member_urls(addr));
    }
    for address in &addresses {
        let addr = address.strip_prefix("http://").unwrap().parse().unwrap();
        let made = ask(addr, &Request::post(&format!("/v2/keys/{queue}"), "value=1")).json();
        let key = field(&made["node"], "key");
        assert!(dialect.has_made(&key), "{dialect:?} at {address}: {key}");
    }
}

#[test]
fn a_client_that_syncs_stays_in_its_dialect() {
    let cluster = trio("ports-sync", "");
    for machine in &cluster.machines {
        sync_and_post(machine.site.v2_addr(), Dialect::V2, "padded");
        sync_and_post(machine.addr(), Dialect::V04, "plain");
    }
    let list = Request::get("/v2/keys/padded?sorted=true");
    let list = ask(cluster.machines[0].site.v2_addr(), &list).json();
    let nodes = list["node"]["nodes"].as_array().expect("a queue").clone();
    let made: Vec<u64> =
        nodes.iter().map(|node| node["createdIndex"].as_u64().expect("a number")).collect();
    assert_eq!(made.len(), 9);
    assert!(made.is_sorted(), "a queue is read in the order in which it was written: {made:?}");
}

#[test]
fn no_port_ever_tells_an_address_of_the_other_dialect() {
    // From the first answer of the first start on, for both ways to begin.
    for by_list in [false, true] {
        let mut sites: Vec<Site> =
            sites("ports-ever", 3, QUICK).into_iter().map(Site::with_v2).collect();
        let list: Vec<String> = sites
            .iter()
            .map(|site| format!("{}=http://{}", site.name(), site.peer_addr()))
            .collect();
        let (list, founder) = (list.join(","), peers(&sites[..1]));
        for (at, site) in sites.iter_mut().enumerate() {
            let flags = match (by_list, at) {
                (true, _) => format!("{QUICK} -initial-cluster {list}"),
                (false, 0) => QUICK.to_owned(),
                (false, _) => format!("{QUICK} -peers {founder}"),
            };
            site.set_flags(&flags);
        }
        let of = |dialect: Dialect| sites.iter().map(move |site| url(dialect.of(site)));
        let (v04, v2): (BTreeSet<String>, BTreeSet<String>) =
            (of(Dialect::V04).collect(), of(Dialect::V2).collect());
        let mut running: Vec<Machine> =
            sites.into_iter().map(|site| Machine { site, server: None }).collect();
        running.iter_mut().for_each(Machine::spawn);
        wait_until("all are told everywhere", PATIENCE, || {
            let mut is_whole = true;
            for Machine { site, .. } in &running {
                for (dialect, others) in [(Dialect::V2, &v04), (Dialect::V04, &v2)] {
                    let told = machines(dialect.of(site), "/v2/machines");
                    let strange = told.iter().find(|url| others.contains(*url));
                    assert_eq!(strange, None, "at the {dialect:?} port of {}", site.name());
                    is_whole &= told.len() == 3;
                }
            }
            is_whole
        });
    }
}

#[test]
fn clients_are_sent_on_in_their_dialect() {
    let mut cluster = trio("ports-sent", "-follower-mode=redirect");
    let leader = cluster.leader();
    let put = Request::put("/v2/keys/a", "value=1");
    for (at, machine) in cluster.machines.iter().enumerate().filter(|(at, _)| *at != leader) {
        let sent = ask(machine.addr(), &put);
        let want = format!("{}/v2/keys/a", url(cluster.machines[leader].addr()));
        assert_eq!((sent.status(), sent.head.header("Location")), (307, Some(want)), "m{at}");
        assert!(ask(machine.site.v2_addr(), &put).status() < 300, "2.x knows no redirects");
    }
    // A machine too many: by redirects, and as a relay.
    let config = Request::new("PUT", "/v2/admin/config").body(b"{\"activeSize\":3}");
    assert_eq!(ask(cluster.machines[leader].addr(), &config).status(), 200);
    let founder = cluster.machines[0].site.peer_addr();
    for mode in ["redirect", "proxy"] {
        let flags = format!("{QUICK} -peers {founder} -standby-mode={mode}");
        let site = Site::new(mode).named(mode).with_v2().flags(&flags);
        let server = Some(site.spawn());
        cluster.machines.push(Machine { site, server });
    }
    let [.., redirecting, relaying] = &cluster.machines[..] else { panic!("five machines") };
    for standby in [redirecting, relaying] {
        for dialect in BOTH {
            let addr = dialect.of(&standby.site);
            let mut want: Vec<String> = expected(&cluster, leader, dialect);
            want.retain(|one| {
                BOTH.iter().all(|dialect| {
                    *one != url(dialect.of(&redirecting.site))
                        && *one != url(dialect.of(&relaying.site))
                })
            });
            wait_until("the standby knows the members", PATIENCE, || {
                machines(addr, "/v2/machines") == want
            });
        }
    }
    for dialect in BOTH {
        let sent = ask(dialect.of(&redirecting.site), &put);
        let want = format!("{}/v2/keys/a", url(dialect.of(&cluster.machines[leader].site)));
        assert_eq!((sent.status(), sent.head.header("Location")), (307, Some(want)), "{dialect:?}");
        let post = Request::post("/v2/keys/relayed", "value=1");
        let made = ask(dialect.of(&relaying.site), &post).json();
        let key = field(&made["node"], "key");
        assert!(dialect.has_made(&key), "relayed in {dialect:?}: {key}");
        let want = BTreeSet::from([redirecting, relaying].map(|one| url(dialect.of(&one.site))));
        let lists = |machine: &Machine| {
            let seen = ask(dialect.of(&machine.site), &Request::get("/v2/stats/cluster")).json();
            let seen = seen["standbys"].as_array().cloned().unwrap_or_default();
            seen.iter().map(|one| field(one, "clientURL")).collect::<BTreeSet<_>>() == want
        };
        // The leader alone knows, and another one may lead by now.
        wait_until("the standbys are listed", PATIENCE, || {
            cluster.machines.iter().take(3).any(lists)
        });
    }
}
