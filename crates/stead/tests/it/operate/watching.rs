//! Watches and time: what a client sees when the server goes and comes back.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::testkit::{Connection, Request, Server, Site, Watch, ask, send, wait_until};

fn put(addr: SocketAddr, path: &str, value: &str) -> Value {
    let answer = ask(addr, &Request::put(path, &format!("value={value}")));
    assert!(answer.status() < 300, "{}", answer.text());
    answer.json()
}

#[test]
fn events_from_before_a_restart_can_still_be_read() {
    // Once from the log alone, once across snapshots that have replaced most of it.
    for flags in ["", "-snapshot-count 25"] {
        let site = Site::new("old-events").flags(flags);
        let server = site.start();
        let events: Vec<Value> = (0..120)
            .map(|n| put(server.addr(), &format!("/v2/keys/e/{}", n % 7), &n.to_string()))
            .collect();
        server.kill();
        let server = site.start();
        for event in [&events[0], &events[60], &events[119]] {
            let index = event["node"]["modifiedIndex"].as_u64().unwrap();
            let path = format!("/v2/keys/e?wait=true&recursive=true&waitIndex={index}");
            assert_eq!(&Watch::open(server.addr(), &path).event(), event, "{flags:?}");
        }
        let first = events[0]["node"]["modifiedIndex"].as_u64().unwrap();
        let path = format!("/v2/keys/e?wait=true&recursive=true&stream=true&waitIndex={first}");
        let mut stream = Watch::open(server.addr(), &path);
        for event in &events {
            assert_eq!(&stream.event(), event, "{flags:?}");
        }
        let live = put(server.addr(), "/v2/keys/e/live", "1");
        assert_eq!(stream.event(), live, "{flags:?}");
    }
}

/// What starts a cluster is one command with several events, all at index 1.
#[test]
fn a_stream_gets_every_event_of_an_index() {
    let site = Site::new("one-index");
    let server = site.start();
    let path = "/v2/keys/_etcd?wait=true&recursive=true&stream=true&waitIndex=1";
    let mut stream = Watch::open(server.addr(), path);
    let mut keys = Vec::new();
    while keys.len() < 2 {
        let event = stream.event();
        assert_eq!(event["node"]["modifiedIndex"], 1, "{event}");
        keys.push(event["node"]["key"].as_str().unwrap().to_owned());
    }
    keys.sort();
    let machine = keys.pop().unwrap();
    assert!(machine.starts_with("/_etcd/machines/"), "{machine}");
    assert_eq!(keys, ["/_etcd/config"]);
    // And nothing twice.
    let config = r#"{"activeSize":5}"#;
    let request = Request::put("/v2/admin/config", "").body(config.as_bytes());
    assert_eq!(ask(server.peer_addr(), &request).status(), 200);
    let live = stream.event();
    assert_eq!(live["node"]["key"], "/_etcd/config");
    assert_ne!(live["node"]["modifiedIndex"], 1);
}

/// A head that waits for the writes of its turn must still come where there are none.
#[test]
fn the_head_of_a_watch_comes_before_any_event() {
    let site = Site::new("head");
    let server = site.start();
    let index = put(server.addr(), "/v2/keys/h", "1")["node"]["modifiedIndex"].clone();
    for _ in 0..3 {
        let mut poll = Watch::open(server.addr(), "/v2/keys/h?wait=true");
        let header = poll.head().header("X-Etcd-Index").unwrap();
        assert_eq!(header, index.to_string());
        assert!(poll.is_silent(Duration::from_millis(20)));
    }
}

#[test]
fn a_watcher_that_comes_back_misses_nothing() {
    let site = Site::new("resume").flags("-snapshot-count 100");
    let mut server = site.start();
    let done = AtomicBool::new(false);
    let last = AtomicU64::new(0);
    let addr = server.addr();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| write_until(addr, &done, &last));
        let watcher = scope.spawn(|| follow(addr, &done, &last));
        for _ in 0..4 {
            let seen = last.load(Ordering::Relaxed);
            wait_until("more is written", Duration::from_secs(20), || {
                last.load(Ordering::Relaxed) > seen + 100
            });
            server.kill();
            server = site.start();
        }
        done.store(true, Ordering::Relaxed);
        writer.join().unwrap();
        let indexes = watcher.join().unwrap();
        let gaps = indexes.windows(2).filter(|pair| pair[0] + 1 != pair[1]).count();
        assert_eq!(gaps, 0, "of {} events", indexes.len());
        println!("{} events over four restarts", indexes.len());
    });
}

/// Writes one key, and over again when the server is back, until told to end.
fn write_until(addr: SocketAddr, done: &AtomicBool, last: &AtomicU64) {
    let request = Request::put("/v2/keys/r/k", "value=1");
    while !done.load(Ordering::Relaxed) {
        let Ok(mut connection) = Connection::open(addr) else { continue };
        while let Ok(answer) = connection.exchange(&request) {
            if answer.status() < 300 {
                let index = answer.json()["node"]["modifiedIndex"].as_u64().unwrap();
                last.fetch_max(index, Ordering::Relaxed);
            }
            if done.load(Ordering::Relaxed) {
                return;
            }
        }
    }
}

/// Follows all events by a stream that is opened again where it was cut.
fn follow(addr: SocketAddr, done: &AtomicBool, last: &AtomicU64) -> Vec<u64> {
    let mut seen: Vec<u64> = Vec::new();
    let is_complete = |seen: &[u64]| {
        done.load(Ordering::Relaxed)
            && seen.last().is_some_and(|index| *index >= last.load(Ordering::Relaxed))
    };
    while !is_complete(&seen) {
        let next = seen.last().map_or(2, |index| index + 1);
        let path = format!("/v2/keys/r?wait=true&recursive=true&stream=true&waitIndex={next}");
        let Ok(mut stream) = Watch::try_open(addr, &path) else { continue };
        assert_eq!(stream.head().status, 200, "the history from {next} on is gone");
        while let Ok(Some(event)) = stream.next(Duration::from_millis(300)) {
            match event["node"]["modifiedIndex"].as_u64() {
                Some(index) => seen.push(index),
                None => break,
            }
        }
    }
    seen
}

#[test]
fn history_that_is_gone_is_told_so() {
    let site = Site::new("window").flags("-history-bytes 1048576");
    let server = site.start();
    let value = "h".repeat(2 << 10);
    let mut writer = Connection::open(server.addr()).unwrap();
    for number in 0..2_000 {
        let form = format!("value={number}-{value}");
        assert!(writer.exchange(&Request::put("/v2/keys/h", &form)).unwrap().status() < 300);
    }
    let gone = ask(server.addr(), &Request::get("/v2/keys/h?wait=true&waitIndex=2"));
    assert_eq!((gone.status(), &gone.json()["errorCode"]), (400, &401.into()));
    let cause = gone.json()["cause"].as_str().unwrap_or_default().to_owned();
    assert!(cause.starts_with("the requested history has been cleared ["), "{cause}");
    // A thousand events are kept whatever their size.
    let index = gone.index() - 999;
    let kept = Watch::open(server.addr(), &format!("/v2/keys/h?wait=true&waitIndex={index}"));
    assert_eq!(kept.head().status, 200);
}

#[test]
fn time_goes_on_while_the_server_is_away() {
    let (site, server) = Server::start("ttl-restart");
    let answer = ask(server.addr(), &Request::put("/v2/keys/short", "value=1&ttl=1"));
    assert_eq!(answer.status(), 201);
    assert_eq!(ask(server.addr(), &Request::put("/v2/keys/long", "value=1&ttl=600")).status(), 201);
    let before = ask(server.addr(), &Request::get("/v2/keys/long")).json();
    server.kill();
    let server = site.start();
    wait_until("the short one goes", Duration::from_secs(6), || {
        ask(server.addr(), &Request::get("/v2/keys/short")).status() == 404
    });
    let after = ask(server.addr(), &Request::get("/v2/keys/long")).json();
    assert_eq!(before["node"]["expiration"], after["node"]["expiration"]);
}

#[test]
fn a_restart_after_a_quiet_time_loses_no_time() {
    let (site, server) = Server::start("ttl-quiet");
    let due = Instant::now() + Duration::from_secs(4);
    let answer = ask(server.addr(), &Request::put("/v2/keys/k", "value=1&ttl=4"));
    let before = answer.json()["node"]["expiration"].clone();
    // Nothing happens for a while: the time of the last command is then an old one. Both what is
    // written next and the restart itself must know what time it is by now.
    std::thread::sleep(Duration::from_millis(1800));
    put(server.addr(), "/v2/keys/other", "1");
    server.kill();
    let server = site.start();
    let mut watch = Watch::open(server.addr(), "/v2/keys/k?wait=true");
    let after = ask(server.addr(), &Request::get("/v2/keys/k")).json();
    assert_eq!(before, after["node"]["expiration"], "{after}");
    assert_eq!(watch.event()["action"], "expire");
    let late = due.elapsed();
    assert!(Instant::now() >= due, "the key went early");
    assert!(late < Duration::from_millis(1200), "the key went {late:?} late");
}

#[test]
fn a_write_is_seen_by_every_reader_from_its_answer_on() {
    let (_site, server) = Server::start("fresh-reads");
    let addr = server.addr();
    let acknowledged = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for quorum in [false, true, false] {
            let (acknowledged, done) = (&acknowledged, &done);
            scope.spawn(move || {
                let path = format!("/v2/keys/fresh?quorum={quorum}");
                let mut connection = Connection::open(addr).unwrap();
                while !done.load(Ordering::Relaxed) {
                    let known = acknowledged.load(Ordering::SeqCst);
                    let answer = connection.exchange(&Request::get(&path)).unwrap();
                    if known > 0 {
                        let value = answer.json()["node"]["value"].as_str().unwrap().to_owned();
                        assert!(value.parse::<u64>().unwrap() >= known, "{value} after {known}");
                    }
                }
            });
        }
        for number in 1..=500 {
            put(addr, "/v2/keys/fresh", &number.to_string());
            acknowledged.store(number, Ordering::SeqCst);
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_server_that_is_away_refuses_and_comes_back() {
    let (site, server) = Server::start("away");
    put(server.addr(), "/v2/keys/a", "1");
    server.kill();
    assert!(send(site.addr(), &Request::get("/v2/keys/a")).is_err());
    let server = site.start();
    assert_eq!(ask(server.addr(), &Request::get("/v2/keys/a")).json()["node"]["value"], "1");
}
