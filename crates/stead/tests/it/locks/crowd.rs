//! Many clients compete for one lock.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::{Waiter, held, queue, wait_for_values};
use crate::testkit::{Connection, Random, Request, Server, ask};

pub(super) const CLIENTS: usize = 50;

/// How often each client wants the lock.
const ROUNDS: usize = 4;

/// Nobody waits longer for one turn. Far above what is normal, since the machine may be busy with
/// other things.
const TURN_MAX: Duration = Duration::from_secs(60);

/// What the clients saw, in the order in which they held the lock.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) holder: Option<u64>,
    pub(super) held: Vec<u64>,
    longest: Duration,
}

/// A client at one member: holds the lock a few times, for a moment each.
fn compete(addr: SocketAddr, name: &str, client: usize, record: &Mutex<Record>) {
    let mut connection = Connection::open(addr).unwrap();
    let path = format!("/mod/v2/lock/{name}");
    for round in 0..ROUNDS {
        // Every other client says who it is.
        let form = match client % 2 {
            0 => format!("ttl=30&value=client-{client}-{round}"),
            _ => "ttl=30".to_owned(),
        };
        let asked = Instant::now();
        connection.within(TURN_MAX).send(&Request::post(&path, &form)).unwrap();
        let index = held(&connection.response("POST").unwrap());
        {
            let mut record = record.lock().unwrap();
            assert_eq!(record.holder, None, "{index} was given while another holds it");
            record.holder = Some(index);
            record.held.push(index);
            record.longest = record.longest.max(asked.elapsed());
        }
        // The lock is held over another request, as it is used.
        let read = connection.exchange(&Request::get(&format!("{path}?field=index"))).unwrap();
        assert_eq!(read.text(), index.to_string(), "another one holds it by the server's word");
        record.lock().unwrap().holder = None;
        let release = Request::delete(&format!("{path}?index={index}"));
        assert_eq!(connection.exchange(&release).unwrap().status(), 200);
    }
}

/// Clients at the given members, the one after the other, compete for one lock: one holds it at a
/// time, in the order of their indexes, and each gets its turns.
pub(super) fn crowd(addrs: &[SocketAddr], name: &str) {
    let record = Mutex::new(Record::default());
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (addr, record) = (addrs[client % addrs.len()], &record);
            scope.spawn(move || compete(addr, name, client, record));
        }
    });
    let record = record.into_inner().unwrap();
    assert_eq!(record.held.len(), CLIENTS * ROUNDS);
    assert!(record.held.is_sorted_by(|one, next| one < next), "out of turn: {:?}", record.held);
    assert!(record.longest < TURN_MAX);
    println!("{} turns, the longest wait {:?}", record.held.len(), record.longest);
}

#[test]
fn fifty_clients_take_turns() {
    let (_site, server) = Server::start("lock-crowd");
    crowd(&[server.addr()], "popular");
    assert_eq!(queue(server.addr(), "popular"), [], "somebody is left in the queue");
}

#[test]
fn turns_go_on_while_others_come_and_hang_up() {
    let (_site, server) = Server::start("lock-churn");
    let addr = server.addr();
    std::thread::scope(|scope| {
        scope.spawn(|| crowd(&[addr], "busy"));
        for seed in 0..4 {
            scope.spawn(move || come_and_go(addr, "busy", seed));
        }
    });
    wait_for_values(addr, "busy", &[]);
}

/// Clients that hang up before they are answered, most of them. One that is given the lock in that
/// very moment leaves it to its TTL.
fn come_and_go(addr: SocketAddr, name: &str, seed: u64) {
    let mut random = Random::new(seed);
    for number in 0..25 {
        let _waiter = Waiter::post(addr, name, &format!("ttl=1&value=fickle-{seed}-{number}"));
        // Some stay until a few answers to somebody else are there.
        for _ in 0..random.below(3) {
            ask(addr, &Request::get("/v2/keys/"));
        }
    }
}
