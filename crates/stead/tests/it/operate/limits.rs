//! Bounds on what clients may do: whoever meets one is told so.

use std::time::Duration;

use crate::testkit::{Connection, Request, Site, Watch, ask, wait_until};

#[test]
fn one_watch_too_many_is_told_so() {
    let site = Site::new("watchers").flags("-max-watchers 2");
    let server = site.start();
    let addr = server.addr();
    let first = Watch::open(addr, "/v2/keys/a?wait=true");
    let _second = Watch::open(addr, "/v2/keys/a?wait=true&stream=true");
    let refused = ask(addr, &Request::get("/v2/keys/a?wait=true"));
    assert_eq!(refused.status(), 503, "{}", refused.text());
    assert!(refused.json()["errorCode"].is_u64(), "{}", refused.text());
    // Everything else goes on, and room that becomes free is used.
    assert_eq!(ask(addr, &Request::put("/v2/keys/b", "value=1")).status(), 201);
    first.hang_up();
    wait_until("a new watch fits", Duration::from_secs(10), || {
        let watch = Watch::try_open(addr, "/v2/keys/a?wait=true");
        watch.is_ok_and(|watch| watch.head().status == 200)
    });
}

#[test]
fn one_connection_too_many_is_told_so() {
    let site = Site::new("connections").flags("-max-connections 4");
    let server = site.start();
    let addr = server.addr();
    let mut held = Vec::new();
    let mut refused = None;
    // Connections of the start itself may still be closing, so the fifth or a later one meets it.
    for _ in 0..8 {
        let mut connection = Connection::open(addr).unwrap();
        connection.send(&Request::get("/v2/keys/")).unwrap();
        let answer = connection.response("GET").unwrap();
        if answer.status() != 200 {
            refused = Some(answer);
            break;
        }
        held.push(connection);
    }
    assert!(held.len() <= 4, "{} connections", held.len());
    let refused = refused.expect("the limit is 4");
    assert_eq!(refused.status(), 503, "{}", refused.text());
    let json = refused.json();
    assert!(json["message"].is_string(), "{json}");
    assert_eq!(refused.head.header("Connection").as_deref(), Some("close"));
    // Those who are in stay in; who leaves makes room.
    for connection in &mut held {
        assert_eq!(connection.exchange(&Request::get("/v2/keys/")).unwrap().status(), 200);
    }
    drop(held.pop());
    wait_until("a new connection fits", Duration::from_secs(10), || {
        let answer = Connection::open(addr).unwrap().exchange(&Request::get("/v2/keys/"));
        answer.is_ok_and(|answer| answer.status() == 200)
    });
}

#[test]
fn the_limit_of_a_body_can_be_set() {
    let site = Site::new("body-limit").flags("-max-body-bytes 2048");
    let server = site.start();
    let put = |len: usize| {
        let form = format!("value={}", "v".repeat(len));
        ask(server.addr(), &Request::put("/v2/keys/a", &form))
    };
    assert_eq!(put(1500).status(), 201);
    let refused = put(20_000);
    assert!(matches!(refused.status(), 400 | 413), "{}", refused.text());
    assert!(refused.json()["message"].is_string(), "{}", refused.text());
    let kept = ask(server.addr(), &Request::get("/v2/keys/a"));
    assert_eq!(kept.json()["node"]["value"].as_str().map(str::len), Some(1500));
}
