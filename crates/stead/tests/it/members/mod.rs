//! Three machines: their statistics, their metrics, and `/v2/members`.

mod changes;
mod config;
mod leading;
mod numbers;

use std::time::Duration;

use crate::testkit::{Request, Server, Site, ask, wait_until};

/// How long a cluster may take to agree on something.
const LIMIT: Duration = Duration::from_secs(30);

/// Machines n1, n2, ... of one cluster; the first one began it.
struct Trio {
    sites: Vec<Site>,
    servers: Vec<Server>,
}

impl Trio {
    fn start(label: &str) -> Self {
        let mut trio = Self { sites: Vec::new(), servers: Vec::new() };
        for name in ["n1", "n2", "n3"] {
            let site =
                Site::new(&format!("{label}-{name}")).with_v2().flags(&format!("-name {name}"));
            let site = match trio.sites.first() {
                None => site,
                Some(first) => site.flags(&format!("-peers {}", first.peer_addr())),
            };
            trio.servers.push(site.start());
            trio.sites.push(site);
        }
        wait_until("all have a name and an address everywhere", LIMIT, || {
            trio.servers.iter().all(|server| {
                let members = members(server);
                members.len() == 3 && members.iter().all(|one| one["clientURLs"][0].is_string())
            })
        });
        wait_until("all are heard", LIMIT, || {
            trio.leader().is_some_and(|at| trio.heard(at) == 3.0)
        });
        // Until it knows that it votes a machine does not say who may change the members.
        wait_until("all vote", LIMIT, || {
            trio.servers.iter().all(|one| sum(&metrics(one), "stead_raft_is_voter") == 1.0)
        });
        trio
    }

    /// The place of the machine that leads.
    fn leader(&self) -> Option<usize> {
        let leads = |server: &Server| {
            let own = ask(server.addr(), &Request::get("/v2/stats/self")).json();
            own["state"] == "leader"
        };
        self.servers.iter().position(leads)
    }

    /// The leader, and the others.
    fn roles(&self) -> (&Server, Vec<&Server>) {
        let at = self.leader().expect("there is a leader");
        let others = self.servers.iter().enumerate().filter(|(other, _)| *other != at);
        (&self.servers[at], others.map(|(_, server)| server).collect())
    }

    /// How many others the leader hears from, and itself.
    fn heard(&self, leader: usize) -> f64 {
        1.0 + sum(&metrics(&self.servers[leader]), "stead_peer_connected")
    }
}

fn members(server: &Server) -> Vec<serde_json::Value> {
    let answer = ask(server.v2_addr(), &Request::get("/v2/members"));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer.json()["members"].as_array().expect("a list").clone()
}

fn metrics(server: &Server) -> String {
    ask(server.addr(), &Request::get("/metrics")).text()
}

/// The sum of all lines of a metric.
fn sum(text: &str, name: &str) -> f64 {
    let is_it = |line: &&str| line.split(['{', ' ']).next() == Some(name);
    let value = |line: &str| line.rsplit_once(' ').and_then(|(_, value)| value.parse::<f64>().ok());
    text.lines().filter(is_it).filter_map(value).sum()
}
