//! The second client port speaks as 2.x did; both show one store.

use std::net::SocketAddr;

use crate::testkit::{Request, Server, Site, Watch, ask};

/// A server with both ports: the first dialect's address, then the second's.
fn start(label: &str) -> (Site, Server, SocketAddr, SocketAddr) {
    let site = Site::new(label).with_v2();
    let server = site.start();
    let (first, second) = (server.addr(), server.v2_addr());
    (site, server, first, second)
}

#[test]
fn both_ports_show_one_store_each_in_its_way() {
    let (_site, _server, first, second) = start("v2-store");
    let set = ask(first, &Request::put("/v2/keys/a", "value=1"));
    let node = "{\"key\":\"/a\",\"value\":\"1\",\"modifiedIndex\":3,\"createdIndex\":3}";
    assert_eq!(set.text(), format!("{{\"action\":\"set\",\"node\":{node}}}"));
    let got = ask(second, &Request::get("/v2/keys/a"));
    assert_eq!(got.text(), format!("{{\"action\":\"get\",\"node\":{node}}}\n"));
    let roots = (
        ask(first, &Request::get("/v2/keys/")).text(),
        ask(second, &Request::get("/v2/keys/")).text(),
    );
    let root = format!("\"dir\":true,\"nodes\":[{node}]");
    assert_eq!(roots.0, format!("{{\"action\":\"get\",\"node\":{{\"key\":\"/\",{root}}}}}"));
    assert_eq!(roots.1, format!("{{\"action\":\"get\",\"node\":{{{root}}}}}\n"));
}

#[test]
fn in_order_keys_are_named_by_the_port_that_made_them() {
    let (_site, _server, first, second) = start("v2-post");
    let plain = ask(first, &Request::post("/v2/keys/q", "value=1")).json();
    let padded = ask(second, &Request::post("/v2/keys/q", "value=2")).json();
    assert_eq!(plain["node"]["key"], "/q/3");
    assert_eq!(padded["node"]["key"], "/q/00000000000000000004");
}

#[test]
fn the_second_port_refuses_what_2_x_refused() {
    let (_site, _server, first, second) = start("v2-errors");
    for (request, code) in [
        (Request::put("/v2/keys/a?dir=maybe", "value=1"), 209),
        (Request::get("/v2/keys/a?recursive=yes"), 209),
        (Request::put("/v2/keys/a", "value=1&ttl=-1"), 202),
        (Request::put("/v2/keys/a?wait=true", "value=1"), 209),
        (Request::put("/v2/keys/a?prevExist=true&refresh=true", "value=1&ttl=5"), 211),
    ] {
        let refused = ask(second, &request);
        let json = refused.json();
        assert_eq!((refused.status(), &json["errorCode"]), (400, &code.into()), "{request:?}");
        assert_eq!(json["index"], 0, "{request:?}");
    }
    // What the older dialect lets pass it still lets pass.
    assert_eq!(ask(first, &Request::put("/v2/keys/a?dir=maybe", "value=1")).status(), 201);
    assert_eq!(ask(first, &Request::get("/v2/leader")).status(), 200);
    assert_eq!(ask(second, &Request::get("/v2/leader")).status(), 404);
}

#[test]
fn an_update_without_value_differs() {
    let (_site, _server, first, second) = start("v2-update");
    assert_eq!(ask(first, &Request::put("/v2/keys/a", "value=1")).status(), 201);
    let update = Request::put("/v2/keys/a?prevExist=true", "");
    let refused = ask(first, &update);
    assert_eq!((refused.status(), &refused.json()["errorCode"]), (400, &204.into()));
    let taken = ask(second, &update);
    assert_eq!((taken.status(), &taken.json()["node"]["value"]), (200, &"".into()));
}

#[test]
fn an_event_reaches_watchers_of_both_ports_in_their_shape() {
    let (_site, _server, first, second) = start("v2-watch");
    let mut old = Watch::open(first, "/v2/keys/w?wait=true&recursive=true&stream=true");
    let mut new = Watch::open(second, "/v2/keys/w?wait=true&recursive=true&stream=true");
    for number in 0..20 {
        let addr = if number % 2 == 0 { first } else { second };
        let put = Request::put(&format!("/v2/keys/w/{number}"), "value=1");
        assert_eq!(ask(addr, &put).status(), 201);
    }
    for _ in 0..20 {
        assert_eq!(old.event(), new.event());
    }
}
