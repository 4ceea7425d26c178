//! What clients are told of their writes when machines stop and come back: a write that was done is
//! never told to be unknown, none is lost, and none is done twice.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::kit::{Cluster, PATIENCE, sites};
use crate::testkit::http::send;
use crate::testkit::{Connection, Request, ask, wait_until};

/// How often each is done; more when a figure is wanted.
fn rounds(default: usize) -> usize {
    std::env::var("STEAD_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// How many clients write at the machine that lags.
const CLIENTS: usize = 4;

/// What became of one write.
#[derive(Debug)]
struct Told {
    /// What it wrote, found nowhere else.
    value: String,
    /// The status, and the body where it is no success; nothing if no answer came.
    answer: Option<(u16, String)>,
    took: Duration,
}

impl Told {
    fn is_done(&self) -> bool {
        self.answer.as_ref().is_some_and(|(status, _)| *status < 300)
    }

    /// Whether nobody can know whether it was done, as the client was told.
    fn is_unknown(&self) -> bool {
        let text = self.answer.as_ref().map(|(_, text)| text.as_str());
        !self.is_done() && !text.is_some_and(|text| text.contains("nothing was done"))
    }
}

/// Posts one job to a queue and waits for the answer.
fn post(addr: SocketAddr, queue: &str, value: String) -> Told {
    let start = Instant::now();
    let request = Request::post(&format!("/v2/keys/{queue}"), &format!("value={value}"));
    let answer = send(addr, &request).ok().map(|answer| (answer.status(), answer.text()));
    Told { value, answer, took: start.elapsed() }
}

/// Posts jobs at a machine from several clients at once, each as soon as it listens.
fn post_many(addr: SocketAddr, queue: &str, clients: usize) -> Vec<JoinHandle<Told>> {
    (0..clients)
        .map(|number| {
            let (queue, value) = (queue.to_owned(), format!("{queue}.{number}"));
            std::thread::spawn(move || {
                wait_until("it listens", PATIENCE, || Connection::open(addr).is_ok());
                post(addr, &queue, value)
            })
        })
        .collect()
}

/// How often each value is in a queue, as a machine proves.
fn jobs(addr: SocketAddr, queue: &str) -> BTreeMap<String, usize> {
    let answer = ask(addr, &Request::get(&format!("/v2/keys/{queue}?quorum=true")));
    let mut found = BTreeMap::new();
    for node in answer.json()["node"]["nodes"].as_array().into_iter().flatten() {
        let value = node["value"].as_str().expect("a job has a value").to_owned();
        *found.entry(value).or_default() += 1;
    }
    found
}

/// Holds what clients were told against what is there.
fn judge(all: &[Told], found: &BTreeMap<String, usize>) {
    for told in all {
        let count = found.get(&told.value).copied().unwrap_or(0);
        assert!(count < 2, "done {count} times: {told:?}");
        assert!(!told.is_done() || count == 1, "lost: {told:?}");
        assert!(!told.is_unknown() || count == 0, "it is there, and nobody said so: {told:?}");
        assert!(told.is_done() || told.is_unknown() || count == 0, "refused, and done: {told:?}");
    }
}

/// A cluster whose machines all vote from the beginning.
fn founded(label: &str, count: usize) -> Cluster {
    let sites = sites(label, count, "");
    let all: Vec<String> =
        sites.iter().map(|site| format!("{}=http://{}", site.name(), site.peer_addr())).collect();
    let flags = format!("-initial-cluster {}", all.join(","));
    let order: Vec<usize> = (0..count).collect();
    Cluster::of(sites.into_iter().map(|site| site.flags(&flags)).collect(), &order)
}

/// One machine lags, all of them are restarted, and clients write at once where it lags.
fn restart_with_one_behind(label: &str, count: usize, is_killed: bool) {
    let mut cluster = founded(label, count);
    let mut waited = 0;
    for round in 0..rounds(4) {
        // One that leads is not behind when all stop at the same time.
        let behind = (0..count).find(|at| *at != cluster.leader()).expect("there are others");
        if is_killed {
            cluster.machines[behind].kill();
        } else {
            let server = cluster.machines[behind].server.take().expect("it runs");
            assert!(server.terminate().success());
        }
        let other = cluster.machines[cluster.leader_but(behind)].addr();
        for number in 0..6 {
            let put = Request::put("/v2/keys/meanwhile", &format!("value={round}.{number}"));
            wait_until("it is written", PATIENCE, || {
                send(other, &put).is_ok_and(|answer| answer.status() < 300)
            });
        }
        for at in (0..count).filter(|at| *at != behind) {
            if is_killed {
                cluster.machines[at].kill();
            } else {
                let server = cluster.machines[at].server.take().expect("it runs");
                assert!(server.terminate().success());
            }
        }
        cluster.machines.iter_mut().for_each(super::kit::Machine::spawn);
        let queue = format!("queue{round}");
        let clients = post_many(cluster.machines[behind].addr(), &queue, CLIENTS);
        let told: Vec<Told> =
            clients.into_iter().map(|client| client.join().expect("no panic")).collect();
        cluster.wait_formed(count);
        waited += told.iter().filter(|told| told.is_done()).count();
        for machine in cluster.running() {
            judge(&told, &jobs(machine.addr(), &queue));
        }
        let unknown = told.iter().filter(|told| told.is_unknown()).count();
        assert_eq!(unknown, 0, "{told:?}");
    }
    assert!(waited > 0, "clients were served");
    cluster.wait_equal();
}

#[test]
fn writes_at_a_machine_that_lagged_are_answered_after_a_stop_of_all() {
    restart_with_one_behind("outcome-stop", 3, false);
}

#[test]
fn writes_at_a_machine_that_lagged_are_answered_after_a_kill_of_all() {
    restart_with_one_behind("outcome-kill", 3, true);
}

#[test]
#[ignore = "by hand: STEAD_ROUNDS=50"]
fn writes_at_a_machine_of_five_that_lagged_are_answered_after_a_restart_of_all() {
    restart_with_one_behind("outcome-five-stop", 5, false);
    restart_with_one_behind("outcome-five-kill", 5, true);
}

/// Clients post jobs without pause until `until`.
fn post_on(addr: SocketAddr, label: String, until: Instant) -> JoinHandle<Vec<Told>> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        while Instant::now() < until {
            all.push(post(addr, "load", format!("{label}.{}", all.len())));
        }
        all
    })
}

/// The leader is stopped for so long under load; gives what clients of another machine were told.
fn stop_leader(cluster: &Cluster, round: usize, pause: Duration) -> Vec<Told> {
    let leader = cluster.leader();
    let addr = cluster.machines[(leader + 1) % cluster.machines.len()].addr();
    let until = Instant::now() + pause + Duration::from_millis(1000);
    let clients: Vec<_> = (0..8).map(|id| post_on(addr, format!("{round}.{id}"), until)).collect();
    std::thread::sleep(Duration::from_millis(300));
    cluster.machines[leader].server().signal(Signal::STOP);
    std::thread::sleep(pause);
    cluster.machines[leader].server().signal(Signal::CONT);
    clients.into_iter().flat_map(|client| client.join().expect("no panic")).collect()
}

fn stop_leaders(label: &str, rounds: usize, pauses: &[u64]) {
    let cluster = Cluster::start(label, 3, "");
    for round in 0..rounds {
        let pause = Duration::from_millis(pauses[round % pauses.len()]);
        let told = stop_leader(&cluster, round, pause);
        cluster.wait_formed(3);
        let mut took: Vec<Duration> = told.iter().map(|told| told.took).collect();
        took.sort();
        let late = took[took.len() * 99 / 100];
        let worst = took[took.len() - 1];
        println!("stopped for {pause:?}: {} writes, p99 {late:?}, worst {worst:?}", took.len());
        assert!(worst < Duration::from_secs(1), "an election takes less: {worst:?}");
        assert!(told.iter().all(|told| told.is_done()), "{:?}", told.iter().find(|t| !t.is_done()));
        for machine in cluster.running() {
            judge(&told, &jobs(machine.addr(), "load"));
        }
    }
    cluster.wait_equal();
}

#[test]
fn a_leader_that_is_stopped_under_load_holds_up_nobody_for_long() {
    stop_leaders("outcome-pause", rounds(3), &[1000]);
}

#[test]
#[ignore = "by hand: takes minutes; STEAD_ROUNDS=20"]
fn a_leader_that_is_stopped_for_long_under_load_holds_up_nobody_for_long() {
    stop_leaders("outcome-pause-long", rounds(3), &[1000, 5000, 10_000]);
}

#[test]
fn large_writes_that_wait_for_the_next_leader_end_no_machine() {
    let mut cluster = Cluster::start("outcome-large", 3, "");
    let leader = cluster.leader();
    let addrs: Vec<_> =
        (0..3).filter(|at| *at != leader).map(|at| cluster.machines[at].addr()).collect();
    cluster.machines[leader].kill();
    let value = "v".repeat(800_000);
    let clients: Vec<_> = (0..120)
        .map(|number| {
            let (addr, value) = (addrs[number % 2], value.clone());
            std::thread::spawn(move || {
                let put =
                    Request::put(&format!("/v2/keys/large/{number}"), &format!("value={value}"));
                send(addr, &put).map(|answer| (answer.status(), answer.text()))
            })
        })
        .collect();
    for client in clients {
        let (status, text) = client.join().expect("no panic").expect("it answers");
        let is_refused = status == 503 && text.contains("too many requests are waiting");
        // A slow machine may need longer than a request may wait. It says so then.
        let is_late = ["its outcome is unknown", "nothing was done"].map(|it| text.contains(it));
        let is_late = status == 500 && is_late.contains(&true);
        assert!(status == 201 || is_refused || is_late, "{status}: {text}");
    }
    for machine in cluster.machines.iter_mut().filter(|machine| machine.server.is_some()) {
        assert!(machine.server.as_mut().is_some_and(|server| server.is_running()));
    }
    cluster.machines[leader].spawn();
    cluster.wait_formed(3);
    cluster.wait_equal();
}
