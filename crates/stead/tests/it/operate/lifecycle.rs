//! Starting and ending.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::time::Duration;

use rustix::process::Signal;

use crate::testkit::http::{EXCHANGE_TIMEOUT, is_hang_up};
use crate::testkit::{Connection, Request, Server, Site, Watch, ask};

/// A refusal to start is one line, and a hint at the most; the log may say a little before it.
const LINES_MAX: usize = 6;

fn assert_refused(site: &Site, status: i32, mentions: &[&str]) {
    let (ended, text) = site.run_to_end();
    assert_eq!(ended.code(), Some(status), "{text}");
    for word in mentions {
        assert!(text.contains(word), "no word of {word}: {text}");
    }
    assert!(!text.contains("panicked"), "{text}");
    let lines = text.lines().filter(|line| !line.is_empty()).count();
    assert!((1..=LINES_MAX).contains(&lines), "{lines} lines: {text}");
}

#[test]
fn a_request_to_end_is_followed_with_status_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let (_site, mut server) = Server::start("end");
        let addr = server.addr();
        let mut poll = Watch::open(addr, "/v2/keys/a?wait=true");
        let mut stream = Watch::open(addr, "/v2/keys/?wait=true&stream=true&recursive=true");
        let mut idle = Connection::open(addr).unwrap();
        assert_eq!(idle.exchange(&Request::get("/v2/keys/")).unwrap().status(), 200);
        assert_eq!(ask(addr, &Request::put("/v2/keys/b", "value=1")).status(), 201);
        assert_eq!(stream.event()["node"]["key"], "/b");
        server.signal(signal);
        // A watch that nothing happened to ends as HTTP ends, or with an error that says why.
        for watch in [&mut poll, &mut stream] {
            while let Some(last) = watch.next(Duration::from_secs(10)).unwrap() {
                assert!(last.get("errorCode").is_some(), "an event out of nowhere: {last}");
            }
        }
        assert!(idle.within(Duration::from_secs(10)).is_closed());
        assert_eq!(server.wait_end().code(), Some(0), "{}", server.log_text());
    }
}

#[test]
fn what_was_under_way_at_the_end_is_answered_or_cut() {
    let (site, mut server) = Server::start("end-busy");
    let mut connections: Vec<Connection> =
        (0..50).map(|_| Connection::open(server.addr()).unwrap()).collect();
    for (number, connection) in connections.iter_mut().enumerate() {
        let path = format!("/v2/keys/busy/{number}");
        connection.send(&Request::put(&path, "value=1")).unwrap();
    }
    server.signal(Signal::TERM);
    let mut acknowledged = Vec::new();
    for (number, connection) in connections.iter_mut().enumerate() {
        match connection.within(EXCHANGE_TIMEOUT).response("PUT") {
            Ok(answer) if answer.status() == 201 => acknowledged.push(number),
            Ok(answer) => assert!(answer.status() >= 500, "{answer:?}"),
            Err(e) => assert!(is_hang_up(&e), "{e}"),
        }
    }
    assert_eq!(server.wait_end().code(), Some(0), "{}", server.log_text());
    drop(server);
    let server = site.start();
    for number in acknowledged {
        let answer = ask(server.addr(), &Request::get(&format!("/v2/keys/busy/{number}")));
        assert_eq!(answer.status(), 200, "write {number} was acknowledged and is gone");
    }
}

#[test]
fn a_port_in_use_is_named() {
    let site = Site::new("port");
    let _holder = TcpListener::bind(site.addr()).unwrap();
    assert_refused(&site, 1, &[&site.addr().to_string(), "in use"]);
    let site = Site::new("peer-port");
    let _holder = TcpListener::bind(site.peer_addr()).unwrap();
    assert_refused(&site, 1, &[&site.peer_addr().to_string(), "in use"]);
}

#[test]
fn a_second_process_on_the_same_data_is_refused() {
    let (site, mut server) = Server::start("first");
    let second = Site::new("second").with_data_dir(site.data_dir());
    assert_refused(&second, 1, &["data"]);
    assert!(server.is_running());
    assert_eq!(ask(server.addr(), &Request::put("/v2/keys/a", "value=1")).status(), 201);
    // A process that was killed leaves nothing that would have to be cleared away.
    server.kill();
    let third = second.start();
    assert_eq!(ask(third.addr(), &Request::get("/v2/keys/a")).status(), 200);
}

#[test]
fn a_data_directory_that_is_none_is_named() {
    let site = Site::new("no-dir");
    std::fs::write(site.data_dir(), "a file").unwrap();
    assert_refused(&site, 1, &["data"]);
    let site = Site::new("below-file");
    std::fs::write(site.folder().join("file"), "a file").unwrap();
    let below = site.folder().join("file/data");
    assert_refused(&site.with_data_dir(below), 1, &["file/data"]);
}

#[test]
fn a_server_that_was_ended_can_be_started_on_other_ports() {
    let (site, server) = Server::start("moved");
    assert_eq!(ask(server.addr(), &Request::put("/v2/keys/a", "value=1")).status(), 201);
    assert!(server.terminate().success());
    let moved = Site::new("moved-to").with_data_dir(site.data_dir());
    let server = moved.start();
    assert_eq!(ask(server.addr(), &Request::get("/v2/keys/a")).status(), 200);
    let machines = ask(server.addr(), &Request::get("/v2/machines")).text();
    assert_eq!(machines, server.url());
    let old = Connection::open(site.addr());
    assert!(matches!(old, Err(e) if e.kind() == ErrorKind::ConnectionRefused));
}

#[test]
fn a_forced_start_throws_the_old_data_away() {
    let (site, server) = Server::start("forced");
    assert_eq!(ask(server.addr(), &Request::put("/v2/keys/a", "value=1")).status(), 201);
    assert!(server.terminate().success());
    let forced = Site::new("force").with_data_dir(site.data_dir()).flags("-f");
    let server = forced.start();
    let answer = ask(server.addr(), &Request::get("/v2/keys/a"));
    assert_eq!(answer.status(), 404);
    assert_eq!(answer.index(), 1);
}
