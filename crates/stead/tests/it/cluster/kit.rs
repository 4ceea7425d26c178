//! Machines of a cluster, and clients that try the next one.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::testkit::http::send;
use crate::testkit::{Connection, Request, Response, Server, Site, wait_until};

/// How long anything in a cluster may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A machine, which may run or not.
pub(crate) struct Machine {
    pub(crate) site: Site,
    pub(crate) server: Option<Server>,
}

impl Machine {
    pub(crate) fn addr(&self) -> SocketAddr {
        self.site.addr()
    }

    pub(crate) fn server(&self) -> &Server {
        self.server.as_ref().expect("it runs")
    }

    pub(crate) fn kill(&mut self) {
        self.server.take().expect("it runs").kill();
    }

    pub(crate) fn spawn(&mut self) {
        self.server = Some(self.site.spawn());
    }
}

pub(crate) struct Cluster {
    pub(crate) machines: Vec<Machine>,
}

/// Machines with names and ports; `flags` are for all of them.
pub(crate) fn sites(label: &str, count: usize, flags: &str) -> Vec<Site> {
    let site = |at: usize| Site::new(label).named(&format!("m{at}")).flags(flags);
    (0..count).map(site).collect()
}

/// The peer addresses of machines, with commas between them.
pub(crate) fn peers(sites: &[Site]) -> String {
    let all: Vec<String> = sites.iter().map(|site| site.peer_addr().to_string()).collect();
    all.join(",")
}

impl Cluster {
    /// A cluster of `count` machines, the first of which founds it, all voting.
    pub(crate) fn start(label: &str, count: usize, flags: &str) -> Self {
        let mut sites = sites(label, count, flags);
        let founder = sites[0].peer_addr().to_string();
        for site in sites.iter_mut().skip(1) {
            site.set_flags(&format!("{flags} -peers {founder}"));
        }
        let order: Vec<usize> = (0..count).collect();
        Self::of(sites, &order)
    }

    /// Starts the machines in some order at once, and waits until all of them vote.
    pub(crate) fn of(sites: Vec<Site>, order: &[usize]) -> Self {
        let mut machines: Vec<Machine> =
            sites.into_iter().map(|site| Machine { site, server: None }).collect();
        for at in order {
            machines[*at].spawn();
        }
        let cluster = Self { machines };
        cluster.wait_formed(cluster.machines.len());
        cluster
    }

    /// Waits until `count` machines are members and every machine that runs knows a leader.
    pub(crate) fn wait_formed(&self, count: usize) {
        wait_until("the cluster is formed", PATIENCE, || {
            self.running().all(|machine| {
                let members = members(machine.addr());
                let leaders = members.iter().filter(|(_, state)| *state == "leader").count();
                members.len() == count && leaders == 1
            })
        });
        // A member that learns takes no part in decisions yet: each is asked for a proof.
        wait_until("every machine takes writes", PATIENCE, || {
            self.running().all(|machine| {
                let put = Request::put("/v2/keys/formed", "value=1");
                send(machine.addr(), &put).is_ok_and(|answer| answer.status() < 300)
            })
        });
        wait_until("every member votes", PATIENCE, || {
            self.running().all(|machine| metric(machine.addr(), "stead_raft_is_voter") == Some(1))
        });
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = &Machine> {
        self.machines.iter().filter(|machine| machine.server.is_some())
    }

    pub(crate) fn addrs(&self) -> Vec<SocketAddr> {
        self.machines.iter().map(Machine::addr).collect()
    }

    /// The machine that leads, as most others see it.
    pub(crate) fn leader(&self) -> usize {
        self.leader_but(usize::MAX)
    }

    /// The machine that leads, asked of machines other than `other`, and another one than it.
    pub(crate) fn leader_but(&self, other: usize) -> usize {
        let mut found = None;
        wait_until("there is a leader", PATIENCE, || {
            found = (0..self.machines.len()).find(|at| {
                let machine = &self.machines[*at];
                *at != other && machine.server.is_some() && state(machine.addr()) == "leader"
            });
            found.is_some()
        });
        found.expect("just found")
    }

    /// Waits until all machines that run answer the same bytes at the same index.
    pub(crate) fn wait_equal(&self) {
        let mut seen = Vec::new();
        let is_equal = || {
            seen = self
                .running()
                .map(|machine| {
                    let all = Request::get("/v2/keys/?recursive=true&sorted=true");
                    send(machine.addr(), &all).ok().map(|answer| (answer.index(), answer.text()))
                })
                .collect::<Vec<_>>();
            seen.iter().all(|one| one.is_some() && *one == seen[0])
        };
        wait_until("all members answer the same bytes", PATIENCE, is_equal);
        for machine in self.running() {
            let diverged = metric(machine.addr(), "stead_members_diverged");
            assert_eq!(diverged, Some(0), "{}", machine.site.name());
        }
    }
}

/// Names and states as a machine's admin API tells them; nothing if it does not answer.
pub(crate) fn members(addr: SocketAddr) -> Vec<(String, String)> {
    let Ok(answer) = send(addr, &Request::get("/v2/admin/machines")) else { return Vec::new() };
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let all = serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap_or_default();
    let all = all.as_array().cloned().unwrap_or_default();
    all.iter().map(|one| (text(&one["name"]), text(&one["state"]))).collect()
}

/// The part that a machine says it plays; nothing if it does not answer.
pub(crate) fn state(addr: SocketAddr) -> String {
    let Ok(answer) = send(addr, &Request::get("/v2/stats/self")) else { return String::new() };
    let all = serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap_or_default();
    all["state"].as_str().unwrap_or_default().to_owned()
}

/// The machine's id and the cluster's, as it says them.
pub(crate) fn identity(machine: &Machine) -> (String, String) {
    let view =
        crate::testkit::ask(machine.site.peer_addr(), &Request::get("/v2/peer/members")).json();
    let text = |name: &str| view[name].as_str().unwrap_or_default().to_owned();
    (text("self"), text("cluster"))
}

/// A number of `/metrics` without labels.
pub(crate) fn metric(addr: SocketAddr, name: &str) -> Option<u64> {
    let text = send(addr, &Request::get("/metrics")).ok()?.text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

/// A client that writes without pause, at one machine after the other when one fails, and remembers
/// what it was promised.
pub(crate) struct Writer {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<Promised>,
}

/// What a writer was promised.
#[derive(Default)]
pub(crate) struct Promised {
    /// The last acknowledged value of each key, with its index, and values that may be there.
    pub(crate) keys: BTreeMap<String, (String, u64, Vec<String>)>,
    pub(crate) acknowledged: u64,
    pub(crate) unknown: u64,
    pub(crate) refused: u64,
    /// The longest time without an acknowledgement.
    pub(crate) longest_gap: Duration,
}

const KEYS: u64 = 20;

impl Writer {
    pub(crate) fn start(id: usize, addrs: Vec<SocketAddr>) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || write_on(id, &addrs, &over));
        Self { is_over, thread }
    }

    pub(crate) fn finish(self) -> Promised {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().expect("a writer does not panic")
    }
}

fn write_on(id: usize, addrs: &[SocketAddr], over: &AtomicBool) -> Promised {
    let mut promised = Promised::default();
    let mut at = id % addrs.len();
    let mut connection = None;
    let (mut number, mut last) = (0_u64, Instant::now());
    while !over.load(Ordering::Relaxed) {
        number += 1;
        let key = format!("/w/{id}/{}", number % KEYS);
        let value = format!("{id}.{number}");
        let put = Request::put(&format!("/v2/keys{key}"), &format!("value={value}"));
        match exchange(&mut connection, addrs[at], &put) {
            Exchanged::Answer(answer) if answer.status() < 300 => {
                let index = answer.json()["node"]["modifiedIndex"].as_u64().expect("a number");
                promised.keys.insert(key, (value, index, Vec::new()));
                promised.acknowledged += 1;
                promised.longest_gap = promised.longest_gap.max(last.elapsed());
                last = Instant::now();
                continue;
            }
            Exchanged::Answer(answer) if answer.text().contains("nothing was done") => {
                promised.refused += 1;
            }
            Exchanged::NotSent => promised.refused += 1,
            // The outcome is not known: the value may be there, now or later.
            other => {
                promised.unknown += 1;
                let said = match other {
                    Exchanged::Answer(answer) => answer.text(),
                    _ => "the connection broke".to_owned(),
                };
                println!("unknown at {}: {said}", addrs[at]);
                let entry = promised.keys.entry(key).or_default();
                entry.2.push(value);
            }
        }
        connection = None;
        at = (at + 1) % addrs.len();
        std::thread::sleep(Duration::from_millis(2));
    }
    promised
}

enum Exchanged {
    Answer(Response),
    NotSent,
    Lost,
}

fn exchange(slot: &mut Option<Connection>, addr: SocketAddr, request: &Request) -> Exchanged {
    if slot.is_none() {
        match Connection::open(addr) {
            Ok(connection) => *slot = Some(connection),
            Err(_) => return Exchanged::NotSent,
        }
    }
    let connection = slot.as_mut().expect("just made");
    connection.within(Duration::from_secs(10));
    match connection.exchange(request) {
        Ok(answer) => {
            if answer.head.header("Connection").is_some_and(|word| word == "close") {
                *slot = None;
            }
            Exchanged::Answer(answer)
        }
        Err(_) => Exchanged::Lost,
    }
}

impl Promised {
    /// Holds the promises against a machine.
    pub(crate) fn check(&self, addr: SocketAddr) {
        for (key, (value, index, unknown)) in &self.keys {
            let answer = send(addr, &Request::get(&format!("/v2/keys{key}?quorum=true")));
            let answer = answer.expect("it answers");
            if answer.status() == 404 && *index == 0 {
                continue;
            }
            let node = &answer.json()["node"];
            let found = node["value"].as_str().unwrap_or_default();
            let is_kept = found == value && node["modifiedIndex"].as_u64() == Some(*index);
            let is_newer = unknown.iter().any(|one| one == found);
            assert!(
                is_kept || is_newer,
                "{key}: promised {value:?} at {index}, may be {unknown:?}, is {}",
                answer.text()
            );
        }
    }
}
