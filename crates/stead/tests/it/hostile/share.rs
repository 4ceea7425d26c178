//! One client that asks for much does not hold up the others: inputs of the audit, made small.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::cluster::kit::Cluster;
use crate::testkit::bystander::Bystander;
use crate::testkit::{Connection, Request, Server, ask, wait_until};

/// How long a connection may take for all of its answers.
const PATIENCE: Duration = Duration::from_secs(120);

fn term(addr: SocketAddr) -> Option<String> {
    ask(addr, &Request::get("/v2/keys/")).head.header("X-Raft-Term")
}

/// Writes many keys, over some connections at once, each with all of its requests ahead.
pub(super) fn fill(addr: SocketAddr, prefix: &str, count: usize) {
    const CONNECTIONS: usize = 25;
    let numbers: Vec<usize> = (0..count).collect();
    let fill_part = |part: &[usize]| {
        let mut connection = Connection::open(addr).unwrap();
        connection.within(PATIENCE);
        let requests = part.iter().map(|at| Request::put(&format!("{prefix}{at}"), "value=v"));
        let bytes: Vec<u8> = requests.flat_map(|request| request.to_bytes(addr)).collect();
        connection.write(&bytes).unwrap();
        for _ in part {
            assert_eq!(connection.within(PATIENCE).response("PUT").unwrap().status(), 201);
        }
    };
    std::thread::scope(|scope| {
        for part in numbers.chunks(count.div_ceil(CONNECTIONS)) {
            scope.spawn(move || fill_part(part));
        }
    });
}

/// The same request many times on one connection, all at once.
fn ahead(addr: SocketAddr, path: &str, count: usize) -> Vec<u8> {
    Request::get(path).to_bytes(addr).repeat(count)
}

/// Audit 9: 300 listings of a directory whose children are all hidden stood the loop of the leader
/// still until it was deposed: such a listing printed nothing, and so was never cut.
#[test]
fn listings_of_hidden_children_depose_no_leader() {
    const LISTINGS: usize = 300;
    let cluster = Cluster::start("share-hidden", 3, "");
    let leader = cluster.machines[cluster.leader()].addr();
    fill(leader, "/v2/keys/h/_k", 10_000);
    let before = term(leader);
    let bystander = Bystander::start(leader);
    let mut greedy = Connection::open(leader).unwrap();
    greedy.within(PATIENCE).write(&ahead(leader, "/v2/keys/h", LISTINGS)).unwrap();
    for _ in 0..LISTINGS {
        let listing = greedy.within(PATIENCE).response("GET").unwrap();
        assert!(!listing.text().contains("_k"), "they are hidden");
    }
    bystander.finish();
    assert_eq!(term(leader), before, "the leader was never silent");
    cluster.wait_equal();
}

/// Audit 10: recursive listings of many keys, each cut into pieces, and all printed before members
/// were heard.
#[test]
fn many_long_listings_depose_no_leader() {
    const READERS: usize = 40;
    let cluster = Cluster::start("share-listings", 3, "");
    let leader = cluster.machines[cluster.leader()].addr();
    fill(leader, "/v2/keys/big/k", 20_000);
    let before = term(leader);
    let bystander = Bystander::start(leader);
    let request = Request::get("/v2/keys/big?recursive=true");
    let mut readers: Vec<Connection> =
        (0..READERS).map(|_| Connection::open(leader).unwrap()).collect();
    readers.iter_mut().for_each(|reader| reader.within(PATIENCE).send(&request).unwrap());
    for reader in &mut readers {
        let listing = reader.within(PATIENCE).response("GET").unwrap().json();
        assert_eq!(listing["node"]["nodes"].as_array().map(Vec::len), Some(20_000));
    }
    bystander.finish();
    assert_eq!(term(leader), before, "the leader was never silent");
    cluster.wait_equal();
}

/// Audit 9: 5 kB of requests for one large value held the memory of all their answers.
#[test]
fn answers_that_nobody_reads_hold_a_bounded_amount() {
    const REQUESTS: usize = 150;
    let (_site, mut server) = Server::start("share-values");
    let value = format!("value={}", "x".repeat(4 << 20));
    assert_eq!(ask(server.addr(), &Request::put("/v2/keys/big", &value)).status(), 201);
    let before = server.memory_kb("VmRSS");
    let bystander = Bystander::start(server.addr());
    let mut greedy = Connection::open(server.addr()).unwrap();
    greedy.within(PATIENCE).write(&ahead(server.addr(), "/v2/keys/big", REQUESTS)).unwrap();
    let end = Instant::now() + Duration::from_secs(3);
    let mut grown = 0;
    while Instant::now() < end {
        grown = grown.max(server.memory_kb("VmRSS").saturating_sub(before));
        std::thread::sleep(Duration::from_millis(50));
    }
    println!("{REQUESTS} answers of 4 MiB, not read: {grown} kB");
    // All of them are 600 MiB.
    assert!(grown < 100 << 10, "the server grew by {grown} kB");
    for _ in 0..REQUESTS {
        assert_eq!(greedy.within(PATIENCE).response("GET").unwrap().status(), 200);
    }
    bystander.finish();
    assert!(server.is_running());
}

/// Audit 11: bodies that never end held a gigabyte. Beyond a bound the largest are refused.
#[test]
fn bodies_that_do_not_end_hold_a_bounded_amount() {
    const BODIES: usize = 60;
    let (_site, server) = Server::start("share-bodies");
    let before = server.memory_kb("VmRSS");
    let bystander = Bystander::start(server.addr());
    let head = "PUT /v2/keys/body HTTP/1.1\r\nHost: localhost\r\n\
                Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 10000000\r\n\r\n";
    let most = [format!("{head}value=").as_bytes(), &vec![b'b'; 9_900_000]].concat();
    let mut open: Vec<Connection> =
        (0..BODIES).map(|_| Connection::open(server.addr()).unwrap()).collect();
    for connection in &mut open {
        // One that is refused in the middle may be closed before all is sent.
        let _ = connection.write(&most);
    }
    let held = || {
        let text = ask(server.addr(), &Request::get("/metrics")).text();
        let line = text.lines().find(|line| line.starts_with("stead_http_input_bytes "));
        line.and_then(|line| line.split(' ').nth(1)?.parse::<f64>().ok()).expect("a gauge")
    };
    wait_until("all have arrived", PATIENCE, || held() > 200e6);
    assert!(held() <= 256.0 * 1024.0 * 1024.0, "{}", held());
    let refused = open.iter_mut().filter_map(|connection| {
        connection.within(Duration::from_millis(100));
        connection.any_head().ok()
    });
    let statuses: Vec<u16> = refused.map(|head| head.status).collect();
    assert!(statuses.len() >= BODIES / 2 && statuses.iter().all(|it| *it == 503), "{statuses:?}");
    drop(open);
    wait_until("their memory is given back", PATIENCE, || held() < 1e6);
    let grown = server.memory_kb("VmHWM").saturating_sub(before);
    println!("{BODIES} bodies of 9.9 MB: {grown} kB at most");
    assert!(grown < 450 << 10, "the server grew by {grown} kB");
    bystander.finish();
}

/// Audit 11: what is sent ahead of a long poll's event was kept for as long as it lasted.
#[test]
fn what_is_sent_ahead_of_an_event_holds_a_bounded_amount() {
    const POLLS: usize = 300;
    let (_site, mut server) = Server::start("share-ahead");
    let before = server.memory_kb("VmRSS");
    let poll = Request::get("/v2/keys/never?wait=true").to_bytes(server.addr());
    let ahead = [poll, vec![b'x'; 1_000_000]].concat();
    let mut polls: Vec<Connection> =
        (0..POLLS).map(|_| Connection::open(server.addr()).unwrap()).collect();
    for connection in &mut polls {
        let socket = connection.socket().unwrap();
        socket.set_nonblocking(true).unwrap();
        // As much as the kernels of both sides take.
        let _ = connection.write(&ahead);
    }
    std::thread::sleep(Duration::from_secs(2));
    let grown = server.memory_kb("VmRSS").saturating_sub(before);
    println!("{POLLS} long polls that sent 1 MB ahead: {grown} kB");
    assert!(grown < 32 << 10, "the server grew by {grown} kB");
    let event = Request::put("/v2/keys/never", "value=now");
    assert_eq!(ask(server.addr(), &event).status(), 201);
    assert!(server.is_running());
}
