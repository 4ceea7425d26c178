//! Users and their rights: on every member, over restarts, and at every door.

mod doors;
mod flood;
mod hashes;
mod joining;
mod lost;
mod whoami;

use base64::Engine;
use std::net::SocketAddr;
use std::time::Duration;

use crate::cluster::kit::Cluster;
use crate::testkit::http::send;
use crate::testkit::{Connection, Request, Response, Server, Site, ask, wait_until};

/// How long something may take that should happen at once.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A request with a name and a password.
pub(crate) fn of(user: &str, request: Request) -> Request {
    let encoded = base64::engine::general_purpose::STANDARD.encode(user);
    request.header("Authorization", &format!("Basic {encoded}"))
}

/// A request to `/v2/auth`.
pub(crate) fn auth(method: &str, path: &str, body: &str) -> Request {
    Request::new(method, &format!("/v2/auth/{path}")).body(body.as_bytes())
}

pub(crate) fn done(answer: &Response) {
    assert!(answer.status() < 300, "{} {}", answer.status(), answer.text());
}

/// Makes `root:top` and `ann:pw`, who may read and write below `/a`, and lets users count.
pub(crate) fn count_users(addr: SocketAddr) {
    let rights = r#"{"role":"a","permissions":{"kv":{"read":["/a*"],"write":["/a*"]}}}"#;
    for (path, body) in [
        ("users/root", r#"{"user":"root","password":"top"}"#),
        ("roles/a", rights),
        ("users/ann", r#"{"user":"ann","password":"pw","roles":["a"]}"#),
        ("enable", ""),
    ] {
        done(&ask(addr, &auth("PUT", path, body)));
    }
}

/// Starts a server where users count. It is asked for its health: keys are not for everybody.
pub(crate) fn spawn(site: &Site) -> Server {
    let server = site.spawn();
    wait_until("it serves", SOON, || {
        send(server.addr(), &Request::get("/health")).is_ok_and(|answer| answer.status() == 200)
    });
    server
}

fn write(addr: SocketAddr, user: &str, value: &str) -> u16 {
    ask(addr, &of(user, Request::put("/v2/keys/a/x", &format!("value={value}")))).status()
}

fn proven_read(addr: SocketAddr, user: &str) -> u16 {
    ask(addr, &of(user, Request::get("/v2/keys/a/x?quorum=true"))).status()
}

#[test]
fn a_right_that_is_taken_is_gone_at_once_on_every_member() {
    let cluster = Cluster::start("rights-revoke", 3, "");
    let addrs = cluster.addrs();
    count_users(addrs[0]);
    let change = |addr, what: &str| {
        let body = format!(r#"{{"user":"ann","{what}":["a"]}}"#);
        done(&ask(addr, &of("root:top", auth("PUT", "users/ann", &body))));
    };
    for round in 0..6 {
        let by = addrs[round % 3];
        for addr in &addrs {
            assert!(matches!(write(*addr, "ann:pw", "1"), 200 | 201), "round {round}");
            assert_eq!(proven_read(*addr, "ann:pw"), 200, "round {round}");
        }
        change(by, "revoke");
        for addr in &addrs {
            assert_eq!(write(*addr, "ann:pw", "late"), 401, "round {round}");
            assert_eq!(proven_read(*addr, "ann:pw"), 401, "round {round}");
        }
        change(addrs[(round + 1) % 3], "grant");
    }
    let body = r#"{"user":"ann","password":"new"}"#;
    done(&ask(addrs[1], &of("root:top", auth("PUT", "users/ann", body))));
    for addr in &addrs {
        assert_eq!(write(*addr, "ann:pw", "late"), 401, "the old password");
        assert_eq!(write(*addr, "ann:new", "2"), 200);
    }
    let read = ask(addrs[2], &of("root:top", Request::get("/v2/keys/a/x?quorum=true")));
    assert_eq!(read.json()["node"]["value"], "2", "nothing came too late");
    cluster.wait_equal();
}

#[test]
fn users_outlive_a_crash() {
    let site = Site::new("rights-crash").flags("-snapshot-count=50");
    let server = site.start();
    count_users(server.addr());
    for _ in 0..200 {
        done(&ask(server.addr(), &of("ann:pw", Request::put("/v2/keys/a/x", "value=1"))));
    }
    server.kill();
    let server = spawn(&site);
    assert_eq!(write(server.addr(), "ann:pw", "2"), 200);
    assert_eq!(write(server.addr(), "ann:wrong", "3"), 401);
    assert_eq!(ask(server.addr(), &Request::get("/v2/keys/a/x")).status(), 401);
    done(&ask(server.addr(), &of("root:top", auth("DELETE", "enable", ""))));
    assert_eq!(ask(server.addr(), &Request::get("/v2/keys/a/x")).status(), 200);
}

#[test]
fn who_watches_or_waits_for_a_lock_without_the_right_is_let_go() {
    let site = Site::new("rights-watch");
    let server = site.start();
    let addr = server.addr();
    count_users(addr);
    let locks = r#"{"role":"a","grant":{"kv":{"write":["/_etcd/mod/lock/*"]}}}"#;
    done(&ask(addr, &of("root:top", auth("PUT", "roles/a", locks))));
    done(&ask(addr, &of("root:top", Request::post("/mod/v2/lock/l", "ttl=60"))));
    let begin = |request: Request| {
        let mut connection = Connection::open(addr).unwrap();
        connection.within(SOON).send(&of("ann:pw", request)).unwrap();
        connection
    };
    let mut stream = begin(Request::get("/v2/keys/a?wait=true&recursive=true&stream=true"));
    assert_eq!(stream.head().unwrap().status, 200);
    let mut lock = begin(Request::post("/mod/v2/lock/l", "ttl=60"));
    wait_until("ann waits for the lock", SOON, || {
        let queue = ask(addr, &of("root:top", Request::get("/v2/keys/_etcd/mod/lock/l")));
        queue.json()["node"]["nodes"].as_array().is_some_and(|nodes| nodes.len() == 2)
    });
    done(&ask(addr, &of("root:top", auth("DELETE", "users/ann", ""))));
    let last = String::from_utf8(stream.rest().unwrap()).unwrap();
    assert!(last.contains("\"errorCode\":110"), "{last}");
    assert_eq!(lock.response("POST").unwrap().status(), 401);
    wait_until("her place in the queue is free", SOON, || {
        let queue = ask(addr, &of("root:top", Request::get("/v2/keys/_etcd/mod/lock/l")));
        queue.json()["node"]["nodes"].as_array().is_some_and(|nodes| nodes.len() == 1)
    });
}

#[test]
fn a_removed_user_is_another_one_when_it_comes_back() {
    let site = Site::new("rights-again");
    let server = site.start();
    let addr = server.addr();
    count_users(addr);
    assert_eq!(write(addr, "ann:pw", "1"), 201);
    done(&ask(addr, &of("root:top", auth("DELETE", "users/ann", ""))));
    assert_eq!(write(addr, "ann:pw", "2"), 401);
    let body = r#"{"user":"ann","password":"other","roles":["a"]}"#;
    done(&ask(addr, &of("root:top", auth("PUT", "users/ann", body))));
    assert_eq!(write(addr, "ann:pw", "3"), 401);
    assert_eq!(write(addr, "ann:other", "4"), 200);
}
