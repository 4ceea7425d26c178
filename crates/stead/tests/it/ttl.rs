//! Ten thousand keys expire in the same second, and a watcher sees each of them go, in order.

use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::testkit::{Connection, Request, Server, Watch};

const KEYS: usize = 10_000;
const WRITERS: usize = 4;

/// Requests that a writer sends before it reads the first answer to them.
const PIPELINE: usize = 50;

/// When the keys are to expire, from the start of the test: late enough for all to be written.
const LIFE: Duration = Duration::from_secs(8);

/// Within this time after its moment every key must be gone. Far above what is normal, since the
/// machine may be busy with other things.
const LAG_MAX: Duration = Duration::from_secs(5);

/// One event as the watcher got it.
struct Seen {
    action: String,
    index: u64,
    key: String,
    /// Seconds between the printed expiration and the arrival of the event.
    lag: f64,
}

#[test]
fn a_mass_expiry_reaches_a_watcher_complete_and_in_order() {
    let (_site, server) = Server::start("ttl");
    let watcher = watch_all(server.addr());
    let due = Instant::now() + LIFE;
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let addr = server.addr();
            scope.spawn(move || write(addr, writer, due));
        }
    });
    assert!(Instant::now() < due, "writing took longer than the keys live");
    let seen = watcher.join().expect("the watcher does not panic");
    assert!(seen.windows(2).all(|pair| pair[0].index + 1 == pair[1].index), "a gap in the events");
    let sets = seen.iter().filter(|event| event.action == "set").count();
    assert_eq!(sets, KEYS);
    let expired: Vec<&Seen> = seen.iter().filter(|event| event.action == "expire").collect();
    let mut keys: Vec<&str> = expired.iter().map(|event| event.key.as_str()).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!((expired.len(), keys.len()), (KEYS, KEYS));
    report(expired.iter().map(|event| event.lag).collect());
}

fn report(mut lags: Vec<f64>) {
    lags.sort_by(f64::total_cmp);
    let at = |share: usize| lags[(lags.len() - 1) * share / 100];
    println!("expiry lag: p50 {:.3} s, p99 {:.3} s, last {:.3} s", at(50), at(99), at(100));
    assert!(at(0) >= 0.0, "a key went {:.3} s before its time", -at(0));
    assert!(at(100) < LAG_MAX.as_secs_f64(), "the last key went {:.3} s late", at(100));
}

/// Writes one share of the keys, each with the time to live that is left until `due`.
fn write(addr: SocketAddr, writer: usize, due: Instant) {
    let mut connection = Connection::open(addr).unwrap();
    let mut number = writer;
    while number < KEYS {
        let mut batch = Vec::new();
        let mut sent = 0;
        let ttl = due.saturating_duration_since(Instant::now()).as_secs().max(1);
        while sent < PIPELINE && number < KEYS {
            let form = format!("value={number}&ttl={ttl}");
            let path = format!("/v2/keys/ttl/{}/{number}", number % 100);
            batch.extend(Request::put(&path, &form).to_bytes(addr));
            sent += 1;
            number += WRITERS;
        }
        connection.within(Duration::from_secs(20));
        connection.write(&batch).unwrap();
        for _ in 0..sent {
            let answer = connection.response("PUT").unwrap();
            assert_eq!(answer.status(), 201, "{answer:?}");
        }
    }
}

/// Collects every event in a thread until each key has come and gone.
fn watch_all(addr: SocketAddr) -> JoinHandle<Vec<Seen>> {
    let mut watch = Watch::open(addr, "/v2/keys/ttl?wait=true&recursive=true&stream=true");
    std::thread::spawn(move || {
        let mut seen = Vec::with_capacity(2 * KEYS);
        while seen.len() < 2 * KEYS {
            let limit = LIFE + LAG_MAX;
            let event = watch.next(limit);
            let event = event.unwrap_or_else(|e| panic!("after {} events: {e}", seen.len()));
            let event = event.unwrap_or_else(|| panic!("ended after {} events", seen.len()));
            seen.push(read(&event));
        }
        seen
    })
}

fn read(event: &Value) -> Seen {
    let action = event["action"].as_str().expect("an event has an action").to_owned();
    let node = &event["node"];
    let lag = if action == "expire" {
        let printed = event["prevNode"]["expiration"].as_str().expect("it had a time to live");
        let due = crate::testkit::time::parse_time(printed).expect("an RFC 3339 time");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
        now.as_secs_f64() - due
    } else {
        0.0
    };
    Seen {
        action,
        index: node["modifiedIndex"].as_u64().expect("an event has an index"),
        key: node["key"].as_str().expect("an event has a key").to_owned(),
        lag,
    }
}
