//! Clients that behave badly: slow, silent, gone, or far too many.

use std::io;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::testkit::bystander::Bystander;
use crate::testkit::{Connection, Random, Request, Server, Site, ask, wait_until};

/// Connections that do nothing; `STEAD_IDLE_CONNECTIONS` asks for more.
const IDLE: usize = 2_000;

/// File handles of this process that other tests may need at the same time.
pub(super) const HANDLES_SPARE: usize = 600;

#[test]
fn a_slow_sender_is_cut_and_holds_up_nobody() {
    const SLOW: usize = 100;
    const LIMIT: Duration = Duration::from_secs(20);
    let site = Site::new("slow-senders").flags("-http-read-timeout 1");
    let mut server = site.start();
    let bystander = Bystander::start(server.addr());
    let request = Request::put("/v2/keys/slow", "value=1").to_bytes(server.addr());
    let mut senders: Vec<Option<Connection>> =
        (0..SLOW).map(|_| Some(Connection::open(server.addr()).unwrap())).collect();
    let began = Instant::now();
    let mut at = 0;
    while senders.iter().any(Option::is_some) {
        assert!(began.elapsed() < LIMIT, "slow senders are still connected");
        // One byte each, in turn, so slowly that the request would take a minute.
        for sender in &mut senders {
            let byte = &request[at % request.len()..][..1];
            let is_gone = match sender {
                Some(connection) => {
                    connection.write(byte).is_err()
                        || connection.within(Duration::from_millis(1)).is_closed()
                }
                None => false,
            };
            if is_gone {
                *sender = None;
            }
        }
        at = (at + 1).min(request.len() - 2);
        std::thread::sleep(Duration::from_millis(100));
    }
    bystander.finish();
    assert!(server.is_running());
}

#[test]
fn idle_connections_cost_little_and_disturb_nobody() {
    let wanted = std::env::var("STEAD_IDLE_CONNECTIONS").ok().and_then(|text| text.parse().ok());
    let wanted = wanted.unwrap_or(IDLE);
    let count =
        raise_handle_limit(wanted + HANDLES_SPARE).saturating_sub(HANDLES_SPARE).min(wanted);
    if count < wanted {
        println!("only {count} of {wanted} connections: the limit of open files allows no more");
    }
    let (_site, mut server) = Server::start("idle");
    let bystander = Bystander::start(server.addr());
    let before = server.memory_kb("VmRSS");
    let mut idle: Vec<Connection> =
        (0..count).map(|_| Connection::open(server.addr()).unwrap()).collect();
    // Each has been served once, so that the server has accepted it and holds what it holds.
    for connection in &mut idle {
        let answer = connection.exchange(&Request::get("/v2/keys/bystander")).unwrap();
        assert!(matches!(answer.status(), 200 | 404));
    }
    let grown = server.memory_kb("VmRSS").saturating_sub(before);
    println!("{count} idle connections: {grown} kB");
    let allowed = 8192 + u64::try_from(count).unwrap() * 16;
    assert!(grown < allowed, "{count} idle connections cost {grown} kB");
    // All of them are still usable.
    for connection in idle.iter_mut().step_by(97) {
        let answer = connection.exchange(&Request::get("/v2/keys/bystander")).unwrap();
        assert_eq!(answer.status(), 200);
    }
    bystander.finish();
    drop(idle);
    assert!(server.is_running());
}

#[test]
fn abrupt_resets_leave_nothing_behind() {
    let mut random = Random::from_env("STEAD_RESET_SEED");
    let (_site, mut server) = Server::start("resets");
    let bystander = Bystander::start(server.addr());
    let addr = server.addr();
    let requests = [
        Request::put("/v2/keys/reset", "value=1").to_bytes(addr),
        Request::get("/v2/keys/?recursive=true").to_bytes(addr),
        Request::get("/v2/keys/reset?wait=true").to_bytes(addr),
        Request::get("/v2/keys/?wait=true&recursive=true&stream=true").to_bytes(addr),
    ];
    for round in 0..400 {
        let request = &requests[round % requests.len()];
        let mut connection = Connection::open(addr).unwrap();
        let all = request.len();
        let len = if random.below(2) == 0 { all } else { 1 + round % all };
        // The server may answer and be done before we hang up; both orders are wanted.
        let _ = connection.write(&request[..len]);
        let socket = connection.socket().unwrap();
        set_socket_linger(&socket, Some(Duration::ZERO)).unwrap();
    }
    bystander.finish();
    wait_until("the watchers of reset connections are gone", Duration::from_secs(10), || {
        ask(addr, &Request::get("/v2/stats/store")).json()["watchers"] == 0
    });
    assert!(server.is_running());
}

/// Lets this process open at least `wanted` files, as far as the system allows; says how many.
/// A server that is started afterwards inherits the limit.
pub(super) fn raise_handle_limit(wanted: usize) -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = u64::try_from(wanted).expect("a count of files is small");
    let current = limit.current.unwrap_or(u64::MAX);
    if current < wanted {
        limit.current = Some(limit.maximum.map_or(wanted, |maximum| maximum.min(wanted)));
        let raised: io::Result<()> = setrlimit(Resource::Nofile, limit).map_err(io::Error::from);
        if raised.is_err() {
            return usize::try_from(current).unwrap_or(usize::MAX);
        }
    }
    let now = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(now).unwrap_or(usize::MAX)
}
