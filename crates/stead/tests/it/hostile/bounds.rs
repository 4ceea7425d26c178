//! Each row of "Memory at most" in docs/operating.md that no other test drives a server to: how
//! much it holds there is at least about what the row says, and no more.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::clients::{HANDLES_SPARE, raise_handle_limit};
use super::share::fill;
use crate::cluster::kit::{Cluster, metric};
use crate::testkit::{Connection, Request, Server, Site, Watch, ask, wait_until};

/// How long a server may take for all that a test asks for.
const PATIENCE: Duration = Duration::from_secs(60);

const MIB: usize = 1 << 20;

/// Writes `count` values of `len` bytes to `keys` keys in turn, over one connection.
fn write_values(addr: SocketAddr, count: usize, keys: usize, len: usize) {
    let mut writer = Connection::open(addr).unwrap();
    let value = "v".repeat(len);
    for number in 0..count {
        let path = format!("/v2/keys/bound/{}", number % keys);
        let answer = writer.exchange(&Request::put(&path, &format!("value={value}"))).unwrap();
        assert!(matches!(answer.status(), 200 | 201), "{}", answer.status());
    }
}

/// Megabytes by which the resident size has grown.
fn grown_mib(server: &Server, before_kb: u64) -> u64 {
    server.memory_kb("VmRSS").saturating_sub(before_kb) >> 10
}

#[test]
fn keys_cost_some_hundred_bytes_each() {
    const KEYS: usize = 10_000;
    let (_site, server) = Server::start("bound-keys");
    let before = server.memory_kb("VmRSS");
    fill(server.addr(), "/v2/keys/k/", KEYS);
    let each = server.memory_kb("VmRSS").saturating_sub(before) * 1024 / KEYS as u64;
    println!("{KEYS} keys: {each} bytes each, past events and buffers of the log included");
    assert!((100..1500).contains(&each), "{each} bytes for a key");
}

#[test]
fn past_events_hold_eight_times_what_is_asked_for() {
    // 150 events of 1 MiB each, of which 64 or 8 MiB are kept.
    for (flags, least, most) in [("", 56, 110), ("-history-bytes 1048576", 0, 54)] {
        let site = Site::new("bound-history").flags(flags);
        let server = site.start();
        let before = server.memory_kb("VmRSS");
        write_values(server.addr(), 150, 1, MIB);
        let grown = grown_mib(&server, before);
        println!("150 past events of 1 MiB, {flags:?}: {grown} MiB");
        assert!((least..=most).contains(&grown), "the server grew by {grown} MiB");
        let old = ask(server.addr(), &Request::get("/v2/keys/bound/0?wait=true&waitIndex=3"));
        assert_eq!(old.json()["errorCode"], 401, "what is not kept is gone");
    }
}

#[test]
fn members_keep_a_bounded_log_for_those_that_lag() {
    let cluster = Cluster::start("bound-log", 3, "-history-bytes 1048576");
    let held = |at: usize| cluster.machines[at].server().memory_kb("VmRSS");
    let before: Vec<u64> = (0..3).map(held).collect();
    write_values(cluster.machines[cluster.leader()].addr(), 150, 1, MIB);
    cluster.wait_equal();
    for (at, before) in before.into_iter().enumerate() {
        let grown = grown_mib(cluster.machines[at].server(), before);
        println!("machine {at}, 150 MiB of log: {grown} MiB");
        // 32 MiB of log, 8 of past events, and buffers of the log and of messages.
        assert!((30..100).contains(&grown), "machine {at} grew by {grown} MiB");
    }
}

#[test]
fn writes_without_an_outcome_hold_a_bounded_amount() {
    const WRITES: usize = 240;
    let mut cluster = Cluster::start("bound-waiting", 3, "-request-timeout 20000");
    let left = cluster.leader();
    (0..3).filter(|at| *at != left).for_each(|at| cluster.machines[at].kill());
    let server = cluster.machines[left].server();
    let before = server.memory_kb("VmRSS");
    let value = format!("value={}", "w".repeat(MIB));
    let put = Request::put("/v2/keys/waits", &value);
    let mut writers: Vec<Connection> =
        (0..WRITES).map(|_| Connection::open(server.addr()).unwrap()).collect();
    writers.iter_mut().for_each(|writer| writer.send(&put).unwrap());
    let mut answers = Vec::new();
    for _ in 0..8 {
        writers.retain_mut(|writer| {
            match writer.within(Duration::from_millis(4)).response("PUT") {
                Err(error) if error.kind() == io::ErrorKind::TimedOut => true,
                answer => {
                    answers.push(answer.map(|answer| (answer.status(), answer.text())));
                    false
                }
            }
        });
    }
    for answer in &answers {
        let (status, text) = answer.as_ref().expect("it is answered");
        assert!(*status == 503 && text.contains("too many requests are waiting"), "{text}");
    }
    let grown = grown_mib(server, before);
    let waiting = writers.len();
    println!("{waiting} of {WRITES} writes of 1 MiB wait: {grown} MiB");
    assert!((60..=66).contains(&waiting), "{waiting} writes of 1 MiB wait");
    assert!((60..=200).contains(&grown), "the server grew by {grown} MiB");
}

#[test]
fn answers_that_many_do_not_read_hold_a_bounded_amount() {
    const READERS: usize = 120;
    let (_site, server) = Server::start("bound-answers");
    let value = format!("value={}", "x".repeat(9 * MIB));
    assert_eq!(ask(server.addr(), &Request::put("/v2/keys/big", &value)).status(), 201);
    let before = server.memory_kb("VmRSS");
    let mut readers: Vec<Connection> =
        (0..READERS).map(|_| Connection::open(server.addr()).unwrap()).collect();
    let get = Request::get("/v2/keys/big");
    readers.iter_mut().for_each(|reader| reader.send(&get).unwrap());
    // Nobody is served while too much waits, not even who asks for it: the process says how much.
    let end = Instant::now() + Duration::from_secs(4);
    let mut most = 0;
    while Instant::now() < end {
        most = most.max(grown_mib(&server, before));
        std::thread::sleep(Duration::from_millis(50));
    }
    println!("{READERS} answers of 9 MiB, not read: {most} MiB");
    // 256 MiB are still to be sent; what the kernels have taken is held with the rest of its answer.
    assert!((180..=560).contains(&most), "the server grew by {most} MiB");
    drop(readers);
    wait_until("others are served", PATIENCE, || {
        metric(server.addr(), "stead_http_output_bytes").is_some_and(|bytes| bytes < 1 << 20)
    });
}

#[test]
fn each_stream_holds_what_its_flag_says() {
    const READERS: usize = 100;
    const BUFFER: usize = 64 << 10;
    const EVENT: usize = 32 << 10;
    let site = Site::new("bound-streams").flags(&format!("-stream-buffer-bytes {BUFFER}"));
    let server = site.start();
    let path = "/v2/keys/bound?wait=true&recursive=true&stream=true";
    let readers: Vec<Watch> = (0..READERS).map(|_| Watch::open(server.addr(), path)).collect();
    let before = server.memory_kb("VmRSS");
    let mut most = 0;
    // The kernels of both sides take some megabytes before anything waits.
    for _ in 0..10 {
        write_values(server.addr(), 30, 1, EVENT);
        most = most.max(metric(server.addr(), "stead_http_output_bytes").expect("a gauge"));
    }
    let (each, grown) = (most / READERS as u64, grown_mib(&server, before));
    println!("{READERS} streams that nobody reads: {each} bytes each, {grown} MiB in all");
    let buffer = BUFFER as u64;
    // An event goes over the mark, and has the key's last value in it too.
    assert!((buffer / 2..=buffer + 3 * EVENT as u64).contains(&each), "{each} bytes for each");
    assert!(grown <= 64, "the server grew by {grown} MiB");
    drop(readers);
}

#[test]
fn watchers_and_connections_that_wait_cost_little() {
    // Memory grows by MiB at a time: few of them would be judged by luck.
    const WANTED: usize = 8000;
    let count =
        raise_handle_limit(WANTED + HANDLES_SPARE).saturating_sub(HANDLES_SPARE).min(WANTED);
    for is_watching in [false, true] {
        let (_site, server) = Server::start("bound-watchers");
        let before = server.memory_kb("VmRSS");
        let mut waiting = Vec::new();
        for number in 0..count {
            let mut connection = Connection::open(server.addr()).unwrap();
            let query = if is_watching { "?wait=true" } else { "" };
            connection.send(&Request::get(&format!("/v2/keys/never/{number}{query}"))).unwrap();
            waiting.push(connection);
        }
        // The head of a long poll waits a moment for its event.
        for connection in &mut waiting {
            assert!(matches!(connection.head().unwrap().status, 200 | 404));
        }
        let grown = server.memory_kb("VmRSS").saturating_sub(before) * 1024;
        let each = grown / count as u64;
        println!("{count} connections that wait, watching: {is_watching}: {each} bytes each");
        assert!((100..=6000).contains(&each), "{each} bytes for each");
    }
}

#[test]
fn a_snapshot_of_the_leader_is_the_store_once_more() {
    const KEYS: usize = 32;
    let mut cluster = Cluster::start("bound-install", 3, "-history-bytes 1048576");
    let leader = cluster.leader();
    let behind = (0..3).find(|at| *at != leader).expect("there are three");
    write_values(cluster.machines[leader].addr(), KEYS, KEYS, MIB);
    cluster.wait_equal();
    cluster.machines[behind].kill();
    // More than what is kept for it: it gets a snapshot.
    write_values(cluster.machines[cluster.leader_but(behind)].addr(), 3 * KEYS, KEYS, MIB);
    cluster.machines[behind].spawn();
    cluster.wait_equal();
    let server = cluster.machines[behind].server();
    server.log_with("installed the leader's snapshot");
    let most = server.memory_kb("VmHWM") >> 10;
    println!("a store of {KEYS} MiB takes the place of another one: {most} MiB at most");
    // Two stores of 32 MiB, 32 MiB of log, past events, and 20 MiB for the process.
    assert!((56..=160).contains(&most), "the machine had {most} MiB");
}
