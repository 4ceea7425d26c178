//! Machines that were away while much was written.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::failures::finish;
use super::kit::{Cluster, Promised, Writer, metric};
use crate::testkit::{Connection, Request, ask, wait_until};

/// By how many log entries the machine is behind; a million when a figure is wanted.
fn entries() -> u64 {
    std::env::var("STEAD_BEHIND").ok().and_then(|text| text.parse().ok()).unwrap_or(6_000)
}

/// More than the log that is kept in memory for others, and some.
const WRITTEN_BYTES: u64 = 40 << 20;

const CLIENTS: u64 = 8;

fn applied(addr: SocketAddr) -> u64 {
    metric(addr, "stead_raft_applied_index").unwrap_or(0)
}

/// Writes keys one after the other over some connections, until the log has grown by so much.
fn grow_log(addr: SocketAddr, entries: u64) -> u64 {
    let until = applied(addr) + entries;
    let number = Arc::new(AtomicU64::new(0));
    let is_over = Arc::new(AtomicBool::new(false));
    let len = usize::try_from((WRITTEN_BYTES / entries).max(64)).expect("a small number");
    let value = "v".repeat(len);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (number, is_over) = (Arc::clone(&number), Arc::clone(&is_over));
            let value = value.clone();
            std::thread::spawn(move || {
                let mut connection = Connection::open(addr).expect("it listens");
                while !is_over.load(Ordering::Relaxed) {
                    let number = number.fetch_add(1, Ordering::Relaxed);
                    let key = format!("/v2/keys/many/{}/{number}", number / 1000);
                    let put = Request::put(&key, &format!("value={value}"));
                    let answer = connection.exchange(&put).expect("it answers");
                    assert_eq!(answer.status(), 201);
                }
            })
        })
        .collect();
    wait_until("the log has grown", Duration::from_secs(20 + entries / 500), || {
        applied(addr) >= until
    });
    is_over.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().expect("a client does not panic"));
    number.load(Ordering::Relaxed)
}

/// Asks a machine for one key again and again; gives the longest time that an answer took.
fn read_on(addr: SocketAddr, is_over: Arc<AtomicBool>) -> std::thread::JoinHandle<Duration> {
    std::thread::spawn(move || {
        let mut connection = Connection::open(addr).expect("it listens");
        let mut longest = Duration::ZERO;
        while !is_over.load(Ordering::Relaxed) {
            let start = Instant::now();
            let answer = connection.exchange(&Request::get("/v2/keys/formed"));
            let answer = answer.expect("it answers");
            assert_eq!(answer.status(), 200, "{}", answer.text());
            longest = longest.max(start.elapsed());
            std::thread::sleep(Duration::from_millis(2));
        }
        longest
    })
}

#[test]
fn a_machine_many_entries_behind_gets_a_snapshot_and_goes_on_answering() {
    let entries = entries();
    let patience = Duration::from_secs(30 + entries / 2000);
    let mut cluster = Cluster::start("behind-many", 3, "");
    let behind = (cluster.leader() + 1) % 3;
    cluster.machines[behind].kill();
    let leader = cluster.leader_but(behind);
    let addr = cluster.machines[leader].addr();
    let keys = grow_log(addr, entries);
    let term = metric(addr, "stead_raft_term");

    let others = (0..3).filter(|at| *at != behind);
    let writer = Writer::start(0, others.map(|at| cluster.machines[at].addr()).collect());
    let start = Instant::now();
    cluster.machines[behind].spawn();
    let own = cluster.machines[behind].addr();
    wait_until("it listens", patience, || Connection::open(own).is_ok());
    let is_over = Arc::new(AtomicBool::new(false));
    let reader = read_on(own, Arc::clone(&is_over));
    let goal = applied(addr);
    wait_until("it has what was written", patience, || applied(own) >= goal);
    let took = start.elapsed();
    is_over.store(true, Ordering::Relaxed);
    let longest_read = reader.join().expect("it was answered all the time");
    let promised: Promised = writer.finish();

    cluster.machines[behind].server().log_with("installed the leader's snapshot");
    assert_eq!(metric(addr, "stead_raft_term"), term, "nobody lost the leader");
    assert!(promised.acknowledged > 0 && promised.unknown == 0);
    wait_until("all have applied the same", patience, || {
        cluster.running().all(|machine| applied(machine.addr()) == applied(addr))
    });
    // Hashes are told once a second.
    std::thread::sleep(Duration::from_millis(1500));
    for machine in cluster.running() {
        assert_eq!(metric(machine.addr(), "stead_members_diverged"), Some(0));
        promised.check(machine.addr());
    }
    let key = format!("/v2/keys/many/{}/{}", (keys - 1) / 1000, keys - 1);
    assert_eq!(ask(own, &Request::get(&key)).status(), 200);
    println!(
        "{entries} entries, {keys} keys behind: there after {took:?}; meanwhile {} writes, longest \
         time without one {:?}; longest read at the machine itself {longest_read:?}; memory of the \
         leader {} MiB, of the machine {} MiB at most",
        promised.acknowledged,
        promised.longest_gap,
        cluster.machines[leader].server().memory_kb("VmHWM") / 1024,
        cluster.machines[behind].server().memory_kb("VmHWM") / 1024,
    );
}

#[test]
fn a_machine_a_little_behind_gets_the_log_itself() {
    let mut cluster = Cluster::start("behind-little", 3, "");
    let behind = (cluster.leader() + 1) % 3;
    cluster.machines[behind].kill();
    let addr = cluster.machines[cluster.leader_but(behind)].addr();
    for number in 0..500 {
        let put = Request::put("/v2/keys/few", &format!("value={number}"));
        assert!(ask(addr, &put).status() < 300);
    }
    cluster.machines[behind].spawn();
    cluster.wait_formed(3);
    cluster.wait_equal();
    let log = cluster.machines[behind].server().log_text();
    assert!(!log.contains("installed the leader's snapshot"), "{log}");
}

#[test]
fn a_machine_far_behind_is_brought_up_while_writes_go_on() {
    let mut cluster = Cluster::start("behind-large", 3, "");
    let behind = (cluster.leader() + 1) % 3;
    cluster.machines[behind].kill();
    let leader = cluster.machines[cluster.leader_but(behind)].addr();
    // More than the log that is kept in memory for others.
    let value = "v".repeat(1 << 20);
    for number in 0..48 {
        let put = Request::put(&format!("/v2/keys/big/{number}"), &format!("value={value}"));
        assert_eq!(ask(leader, &put).status(), 201);
    }
    let others = (0..3).filter(|at| *at != behind);
    let addrs = others.map(|at| cluster.machines[at].addr()).collect();
    let writers = vec![Writer::start(0, addrs)];
    cluster.machines[behind].spawn();
    cluster.wait_formed(3);
    finish(writers, &cluster);
    cluster.machines[behind].kill();
    cluster.machines[behind].spawn();
    cluster.wait_formed(3);
    cluster.wait_equal();
}
