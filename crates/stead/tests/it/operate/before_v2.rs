//! The API before v2, as scripts of 2013 ask it.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use crate::testkit::{Request, Response, Server, ask, wait_until};

/// Asks in a thread; what came is passed on.
fn ask_aside(addr: SocketAddr, request: Request) -> Receiver<Response> {
    let (tell, told) = channel();
    thread::spawn(move || tell.send(ask(addr, &request)));
    told
}

fn watchers(server: &Server) -> i64 {
    let stats = ask(server.addr(), &Request::get("/v2/stats/store")).json();
    stats["watchers"].as_i64().expect("a number")
}

const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn a_watch_of_v1_waits_or_goes_back_in_the_history() {
    let (_site, server) = Server::start("v1-watch");
    let addr = server.addr();
    let first = ask(addr, &Request::post("/v1/keys/w", "value=1")).json();
    let index = first["index"].as_u64().expect("a number");
    assert_eq!((&first["action"], &first["newKey"]), (&"set".into(), &true.into()), "{first}");

    let told = ask_aside(addr, Request::get("/v1/watch/w"));
    wait_until("the watch is registered", LIMIT, || watchers(&server) == 1);
    let set = ask(addr, &Request::post("/v1/keys/w", "value=2&prevValue=1"));
    assert_eq!(set.json()["action"], "testAndSet", "{}", set.text());
    let news = told.recv_timeout(LIMIT).expect("the event came");
    assert_eq!(news.head.header("Content-Type").as_deref(), Some("text/plain; charset=utf-8"));
    let want = format!(
        "{{\"action\":\"testAndSet\",\"key\":\"/w\",\"prevValue\":\"1\",\"value\":\"2\",\
         \"index\":{}}}",
        index + 1
    );
    assert_eq!(news.text(), want);

    ask(addr, &Request::delete("/v1/keys/w"));
    let past = ask(addr, &Request::post("/v1/watch/w", &format!("index={}", index + 2)));
    let past = past.json();
    assert_eq!((&past["action"], &past["prevValue"]), (&"delete".into(), &"2".into()), "{past}");
    let wrong = ask(addr, &Request::post("/v1/watch/w", "index=x"));
    assert_eq!((wrong.status(), wrong.json()["errorCode"].as_i64()), (400, Some(203)));
}

#[test]
fn a_watch_of_v1_ends_with_the_server() {
    let (_site, server) = Server::start("v1-stop");
    let told = ask_aside(server.addr(), Request::get("/v1/watch/w"));
    wait_until("the watch is registered", LIMIT, || watchers(&server) == 1);
    drop(server);
    assert!(told.recv_timeout(LIMIT).is_err(), "the connection ends without an answer");
}

#[test]
fn forms_of_v1_that_are_wrong_change_nothing() {
    let (_site, server) = Server::start("v1-wrong");
    let addr = server.addr();
    ask(addr, &Request::post("/v1/keys/k", "value=1"));
    for (request, status, code) in [
        (Request::post("/v1/keys/k", "value="), 400, 200),
        (Request::post("/v1/keys/k", "value=2&ttl=x"), 400, 202),
        (Request::post("/v1/keys/k", "value=2&prevValue="), 412, 105),
        (Request::post("/v1/keys/k", "value=2&prevValue=9"), 412, 101),
        (Request::post("/v1/keys/k", "value=%zz"), 400, 210),
        (
            Request::new("PUT", "/v1/keys/k").header("Content-Type", "text/plain").body(b"2"),
            400,
            210,
        ),
        (Request::post("/v1/keys/_etcd/machines/x", "value=2"), 400, 106),
        (Request::delete("/v1/keys/none"), 404, 100),
    ] {
        let answer = ask(addr, &request);
        let got = (answer.status(), answer.json()["errorCode"].as_i64());
        assert_eq!(got, (status, Some(code)), "{}", answer.text());
    }
    let now = ask(addr, &Request::get("/v1/keys/k"));
    assert_eq!(now.json()["value"], "1", "{}", now.text());
    // A TTL is shown, and parameters of v2 mean nothing.
    let body = "value=3&ttl=100&prevExist=true&dir=true&prevIndex=9";
    let set = ask(addr, &Request::post("/v1/keys/t", body)).json();
    assert_eq!((&set["ttl"], &set["value"]), (&100.into(), &"3".into()), "{set}");
    assert!(set["expiration"].is_string(), "{set}");
}

/// A directory that is larger than a piece comes whole, and hidden keys are left out.
#[test]
fn a_large_directory_of_v1_comes_in_pieces() {
    let (_site, server) = Server::start("v1-large");
    let addr = server.addr();
    let value = "x".repeat(100_000);
    for number in 0..8 {
        ask(addr, &Request::post(&format!("/v1/keys/big/{number}"), &format!("value={value}")));
    }
    ask(addr, &Request::post("/v1/keys/big/_hidden", "value=1"));
    let listed = ask(addr, &Request::get("/v1/keys/big")).json();
    let listed = listed.as_array().expect("an array");
    assert_eq!(listed.len(), 8);
    assert!(listed.iter().all(|one| one["value"].as_str() == Some(value.as_str())));
}
