//! Clients that ask and do not read: what waits for them must stay bounded.

use std::time::Duration;

use crate::testkit::bystander::Bystander;
use crate::testkit::{Connection, Request, Server, Watch, ask};

/// A value of 32 KiB; a thousand of them are far more than any client may keep waiting for it.
const VALUE_BYTES: usize = 32 << 10;

#[test]
fn readers_that_stop_reading_a_stream_cost_a_bounded_amount() {
    const READERS: usize = 20;
    const WRITES: u64 = 1_500;
    let (_site, mut server) = Server::start("slow-readers");
    let path = "/v2/keys/s?wait=true&recursive=true&stream=true";
    let mut readers: Vec<Watch> = (0..READERS).map(|_| Watch::open(server.addr(), path)).collect();
    let before = server.memory_kb("VmRSS");
    let bystander = Bystander::start(server.addr());
    let value = "s".repeat(VALUE_BYTES);
    let mut writer = Connection::open(server.addr()).unwrap();
    for number in 0..WRITES {
        let form = format!("value={number}-{value}");
        let answer = writer.exchange(&Request::put("/v2/keys/s/k", &form)).unwrap();
        assert!(matches!(answer.status(), 200 | 201), "{}", answer.status());
    }
    let grown = server.memory_kb("VmRSS").saturating_sub(before);
    println!("{READERS} stalled streams, {WRITES} events of 32 KiB: {grown} kB");
    // 48 MiB of events for each of 20 readers would be a gigabyte.
    assert!(grown < 200 << 10, "the server grew by {grown} kB");
    bystander.finish();
    for reader in readers.iter_mut().take(3) {
        check_what_was_delivered(reader);
    }
    assert!(server.is_running());
}

/// What a slow reader gets in the end is every event in order, or a clear word where it stops.
fn check_what_was_delivered(reader: &mut Watch) {
    let mut expected = 0;
    loop {
        match reader.next(Duration::from_secs(5)) {
            Ok(Some(event)) if event.get("errorCode").is_some() => {
                assert!(event["message"].is_string(), "{event}");
                break;
            }
            Ok(Some(event)) => {
                let value = event["node"]["value"].as_str().expect("a set has a value");
                let number: u64 = value.split('-').next().unwrap().parse().unwrap();
                assert_eq!(number, expected, "a gap");
                expected += 1;
            }
            Ok(None) => panic!("the stream ended after {expected} events without a word"),
            Err(e) if e.kind() == std::io::ErrorKind::TimedOut => break,
            Err(e) => panic!("the stream was cut after {expected} events: {e}"),
        }
    }
    println!("a stalled stream delivered {expected} events");
    assert!(expected > 0);
}

#[test]
fn readers_that_stop_reading_a_listing_cost_a_bounded_amount() {
    const READERS: usize = 30;
    const KEYS: usize = 600;
    let (_site, mut server) = Server::start("listings");
    let value = "l".repeat(VALUE_BYTES);
    let mut writer = Connection::open(server.addr()).unwrap();
    for number in 0..KEYS {
        let path = format!("/v2/keys/l/{number}");
        let answer = writer.exchange(&Request::put(&path, &format!("value={value}"))).unwrap();
        assert_eq!(answer.status(), 201);
    }
    let before = server.memory_kb("VmRSS");
    let bystander = Bystander::start(server.addr());
    let request = Request::get("/v2/keys/l?recursive=true");
    let mut readers: Vec<Connection> = Vec::new();
    for _ in 0..READERS {
        let mut reader = Connection::open(server.addr()).unwrap();
        reader.send(&request).unwrap();
        // The head has come, so the listing has begun; the rest is left lying.
        assert_eq!(reader.head().unwrap().status, 200);
        readers.push(reader);
    }
    let grown = server.memory_kb("VmRSS").saturating_sub(before);
    println!("{READERS} stalled listings of {} MiB: {grown} kB", (KEYS * VALUE_BYTES) >> 20);
    assert!(grown < 150 << 10, "the server grew by {grown} kB");
    bystander.finish();
    drop(readers);
    let whole = ask(server.addr(), &request);
    assert_eq!(whole.json()["node"]["nodes"].as_array().map(Vec::len), Some(KEYS));
    assert!(server.is_running());
}
