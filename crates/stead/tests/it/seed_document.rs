//! The API document, read aloud: its requests in its order on a new server, with exact answers.
//!
//! Requests are what `curl` sends for the document's command lines. The answers are the document's
//! as far as it agrees with itself: its examples were written down on different days, so that
//! indexes jump; here each is one above the last, from 2 on, as for one reader who types
//! everything into one new server. `T` stands for a moment of expiration.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use crate::testkit::text::without_expirations;
use crate::testkit::{Connection, Request, Server, Watch, ask};

/// A reader of the document at the terminal.
struct Walk {
    server: Server,
    /// The store's counters before the first request.
    counters: Value,
}

impl Walk {
    /// `curl -L URL [-X METHOD] [-d FORM]`.
    fn curl(method: &str, path: &str, form: &str) -> Request {
        let request = Request::new(method, path).header("User-Agent", "curl/7.88.1");
        let request = request.header("Accept", "*/*");
        if form.is_empty() { request } else { request.form(form) }
    }

    fn step(&self, method: &str, path: &str, form: &str, status: u16, body: &str) {
        let answer = ask(self.server.addr(), &Self::curl(method, path, form));
        let got = without_expirations(&answer.text());
        assert_eq!((answer.status(), got.as_str()), (status, body), "{method} {path} {form}");
    }

    fn put(&self, path: &str, form: &str, status: u16, body: &str) {
        self.step("PUT", path, form, status, body);
    }

    fn get(&self, path: &str, body: &str) {
        self.step("GET", path, "", 200, body);
    }

    fn delete(&self, path: &str, status: u16, body: &str) {
        self.step("DELETE", path, "", status, body);
    }

    /// Opens a watch, does something, and expects one event.
    fn watch(&self, path: &str, then: impl FnOnce(), event: &str) {
        let mut connection = Connection::open(self.server.addr()).unwrap();
        connection.send(&Self::curl("GET", path, "")).unwrap();
        let head = connection.head().unwrap();
        then();
        let mut body = Vec::new();
        connection.within(Duration::from_secs(10));
        connection.body("GET", &head, &mut |part| body.extend_from_slice(part)).unwrap();
        let got = without_expirations(&String::from_utf8(body).unwrap());
        assert_eq!((head.status, got.as_str()), (200, event), "{path}");
    }
}

#[test]
fn the_document_can_be_typed_in_from_first_to_last() {
    let (_site, server) = Server::start("seed");
    let counters = counters(server.addr());
    let walk = Walk { server, counters };
    setting_getting_changing_deleting(&walk);
    using_key_ttl(&walk);
    waiting_for_a_change(&walk);
    creating_in_order_keys(&walk);
    using_a_directory_ttl(&walk);
    comparing_and_swapping(&walk);
    comparing_and_deleting(&walk);
    creating_and_listing_directories(&walk);
    deleting_directories(&walk);
    creating_a_hidden_node(&walk);
    setting_a_key_from_a_file(&walk);
    reading_consistently(&walk);
    a_key_expires(&walk);
    reading_statistics(&walk);
}

fn setting_getting_changing_deleting(walk: &Walk) {
    let node = r#"{"key":"/message","value":"Hello world","modifiedIndex":2,"createdIndex":2}"#;
    let set = format!(r#"{{"action":"set","node":{node}}}"#);
    let answer =
        ask(walk.server.addr(), &Walk::curl("PUT", "/v2/keys/message", "value=Hello world"));
    assert_eq!((answer.status(), answer.text()), (201, set));
    assert_eq!(answer.head.header("X-Etcd-Index").as_deref(), Some("2"));
    for name in ["X-Raft-Index", "X-Raft-Term"] {
        let number = answer.head.header(name).and_then(|text| text.parse::<u64>().ok());
        assert!(number.is_some(), "{name}: {answer:?}");
    }
    walk.get("/v2/keys/message", &format!(r#"{{"action":"get","node":{node}}}"#));
    let next = r#"{"key":"/message","value":"Hello etcd","modifiedIndex":3,"createdIndex":3}"#;
    let body = format!(r#"{{"action":"set","node":{next},"prevNode":{node}}}"#);
    walk.put("/v2/keys/message", "value=Hello etcd", 200, &body);
    let gone = r#"{"key":"/message","modifiedIndex":4,"createdIndex":3}"#;
    let body = format!(r#"{{"action":"delete","node":{gone},"prevNode":{next}}}"#);
    walk.delete("/v2/keys/message", 200, &body);
}

fn using_key_ttl(walk: &Walk) {
    walk.put(
        "/v2/keys/foo",
        "value=bar&ttl=5",
        201,
        r#"{"action":"set","node":{"key":"/foo","value":"bar","expiration":"T","ttl":5,"modifiedIndex":5,"createdIndex":5}}"#,
    );
    walk.put(
        "/v2/keys/foo",
        "value=bar&ttl=&prevExist=true",
        200,
        concat!(
            r#"{"action":"update","node":{"key":"/foo","value":"bar","modifiedIndex":6,"createdIndex":5},"#,
            r#""prevNode":{"key":"/foo","value":"bar","expiration":"T","ttl":5,"modifiedIndex":5,"createdIndex":5}}"#
        ),
    );
}

fn waiting_for_a_change(walk: &Walk) {
    let event = concat!(
        r#"{"action":"set","node":{"key":"/foo","value":"bar","modifiedIndex":7,"createdIndex":7},"#,
        r#""prevNode":{"key":"/foo","value":"bar","modifiedIndex":6,"createdIndex":5}}"#
    );
    let set = || walk.put("/v2/keys/foo", "value=bar", 200, event);
    walk.watch("/v2/keys/foo?wait=true", set, event);
    walk.watch("/v2/keys/foo?wait=true&waitIndex=7", || (), event);
}

fn creating_in_order_keys(walk: &Walk) {
    let one = r#"{"key":"/queue/8","value":"Job1","modifiedIndex":8,"createdIndex":8}"#;
    let two = r#"{"key":"/queue/9","value":"Job2","modifiedIndex":9,"createdIndex":9}"#;
    for (job, node) in [("value=Job1", one), ("value=Job2", two)] {
        let body = format!(r#"{{"action":"create","node":{node}}}"#);
        walk.step("POST", "/v2/keys/queue", job, 201, &body);
    }
    let listing = format!(
        r#"{{"action":"get","node":{{"key":"/queue","dir":true,"nodes":[{one},{two}],"modifiedIndex":8,"createdIndex":8}}}}"#
    );
    walk.get("/v2/keys/queue?recursive=true&sorted=true", &listing);
}

fn using_a_directory_ttl(walk: &Walk) {
    walk.put(
        "/v2/keys/dir",
        "ttl=30&dir=true",
        201,
        r#"{"action":"set","node":{"key":"/dir","dir":true,"expiration":"T","ttl":30,"modifiedIndex":10,"createdIndex":10}}"#,
    );
    let refreshed = |ttl: u32, index: u32| {
        format!(
            concat!(
                r#"{{"action":"update","node":{{"key":"/dir","dir":true,"expiration":"T","ttl":{},"#,
                r#""modifiedIndex":{},"createdIndex":10}},"prevNode":{{"key":"/dir","dir":true,"#,
                r#""expiration":"T","ttl":30,"modifiedIndex":10,"createdIndex":10}}}}"#
            ),
            ttl, index
        )
    };
    let dir = "/v2/keys/dir";
    walk.put(dir, "ttl=30&dir=true&prevExist=true", 200, &refreshed(30, 11));
    walk.put(
        "/v2/keys/dir/asdf",
        "value=1",
        201,
        r#"{"action":"set","node":{"key":"/dir/asdf","value":"1","modifiedIndex":12,"createdIndex":12}}"#,
    );
    // The document waits for thirty seconds here; this reader shortens the time first.
    let shorten = || walk.put(dir, "ttl=1&dir=true&prevExist=true", 200, &refreshed(1, 13));
    walk.watch(
        "/v2/keys/dir/asdf?consistent=true&wait=true",
        shorten,
        concat!(
            r#"{"action":"expire","node":{"key":"/dir","modifiedIndex":14,"createdIndex":10},"#,
            r#""prevNode":{"key":"/dir","dir":true,"expiration":"T","modifiedIndex":10,"createdIndex":10}}"#
        ),
    );
}

fn comparing_and_swapping(walk: &Walk) {
    let one = r#"{"key":"/foo","value":"one","modifiedIndex":15,"createdIndex":15}"#;
    let before = r#"{"key":"/foo","value":"bar","modifiedIndex":7,"createdIndex":7}"#;
    let body = format!(r#"{{"action":"set","node":{one},"prevNode":{before}}}"#);
    walk.put("/v2/keys/foo", "value=one", 200, &body);
    walk.put(
        "/v2/keys/foo?prevExist=false",
        "value=three",
        412,
        "{\"errorCode\":105,\"message\":\"Key already exists\",\"cause\":\"/foo\",\"index\":15}\n",
    );
    walk.put(
        "/v2/keys/foo?prevValue=two",
        "value=three",
        412,
        "{\"errorCode\":101,\"message\":\"Compare failed\",\"cause\":\"[two != one]\",\"index\":15}\n",
    );
    let two = r#"{"key":"/foo","value":"two","modifiedIndex":16,"createdIndex":15}"#;
    let body = format!(r#"{{"action":"compareAndSwap","node":{two},"prevNode":{one}}}"#);
    walk.put("/v2/keys/foo?prevValue=one", "value=two", 200, &body);
}

fn comparing_and_deleting(walk: &Walk) {
    let one = r#"{"key":"/foo","value":"one","modifiedIndex":17,"createdIndex":17}"#;
    let before = r#"{"key":"/foo","value":"two","modifiedIndex":16,"createdIndex":15}"#;
    let body = format!(r#"{{"action":"set","node":{one},"prevNode":{before}}}"#);
    walk.put("/v2/keys/foo", "value=one", 200, &body);
    for (condition, cause) in [("prevValue=two", "[two != one]"), ("prevIndex=1", "[1 != 17]")] {
        let body = format!(
            "{{\"errorCode\":101,\"message\":\"Compare failed\",\"cause\":\"{cause}\",\"index\":17}}\n"
        );
        walk.delete(&format!("/v2/keys/foo?{condition}"), 412, &body);
    }
    let gone = r#"{"key":"/foo","modifiedIndex":18,"createdIndex":17}"#;
    let body = format!(r#"{{"action":"compareAndDelete","node":{gone},"prevNode":{one}}}"#);
    walk.delete("/v2/keys/foo?prevValue=one", 200, &body);
}

const QUEUE_DIR: &str = r#"{"key":"/queue","dir":true,"modifiedIndex":8,"createdIndex":8}"#;
const FOO_TWO: &str = r#"{"key":"/foo","value":"two","modifiedIndex":20,"createdIndex":20}"#;

fn creating_and_listing_directories(walk: &Walk) {
    let dir = r#"{"key":"/dir","dir":true,"modifiedIndex":19,"createdIndex":19}"#;
    let body = format!(r#"{{"action":"set","node":{dir}}}"#);
    walk.put("/v2/keys/dir", "dir=true", 201, &body);
    let body = format!(r#"{{"action":"set","node":{FOO_TWO}}}"#);
    walk.put("/v2/keys/foo", "value=two", 201, &body);
    let inner = r#"{"key":"/foo_dir/foo","value":"bar","modifiedIndex":21,"createdIndex":21}"#;
    let body = format!(r#"{{"action":"set","node":{inner}}}"#);
    walk.put("/v2/keys/foo_dir/foo", "value=bar", 201, &body);
    let foo_dir = r#"{"key":"/foo_dir","dir":true,"modifiedIndex":21,"createdIndex":21}"#;
    let listing = format!(
        r#"{{"action":"get","node":{{"key":"/","dir":true,"nodes":[{dir},{FOO_TWO},{foo_dir},{QUEUE_DIR}]}}}}"#
    );
    walk.get("/v2/keys/", &listing);
    let listing = format!(
        concat!(
            r#"{{"action":"get","node":{{"key":"/","dir":true,"nodes":[{},{},"#,
            r#"{{"key":"/foo_dir","dir":true,"nodes":[{}],"modifiedIndex":21,"createdIndex":21}},"#,
            r#"{{"key":"/queue","dir":true,"nodes":["#,
            r#"{{"key":"/queue/8","value":"Job1","modifiedIndex":8,"createdIndex":8}},"#,
            r#"{{"key":"/queue/9","value":"Job2","modifiedIndex":9,"createdIndex":9}}"#,
            r#"],"modifiedIndex":8,"createdIndex":8}}]}}}}"#
        ),
        dir, FOO_TWO, inner
    );
    walk.get("/v2/keys/?recursive=true", &listing);
}

fn deleting_directories(walk: &Walk) {
    walk.delete(
        "/v2/keys/foo_dir?dir=true",
        403,
        "{\"errorCode\":108,\"message\":\"Directory not empty\",\"cause\":\"/foo_dir\",\"index\":21}\n",
    );
    walk.delete(
        "/v2/keys/foo_dir/foo",
        200,
        concat!(
            r#"{"action":"delete","node":{"key":"/foo_dir/foo","modifiedIndex":22,"createdIndex":21},"#,
            r#""prevNode":{"key":"/foo_dir/foo","value":"bar","modifiedIndex":21,"createdIndex":21}}"#
        ),
    );
    walk.delete(
        "/v2/keys/foo_dir?dir=true",
        200,
        concat!(
            r#"{"action":"delete","node":{"key":"/foo_dir","dir":true,"modifiedIndex":23,"createdIndex":21},"#,
            r#""prevNode":{"key":"/foo_dir","dir":true,"modifiedIndex":21,"createdIndex":21}}"#
        ),
    );
    walk.put(
        "/v2/keys/dir/inside",
        "value=1",
        201,
        r#"{"action":"set","node":{"key":"/dir/inside","value":"1","modifiedIndex":24,"createdIndex":24}}"#,
    );
    walk.delete(
        "/v2/keys/dir?recursive=true",
        200,
        concat!(
            r#"{"action":"delete","node":{"key":"/dir","dir":true,"modifiedIndex":25,"createdIndex":19},"#,
            r#""prevNode":{"key":"/dir","dir":true,"modifiedIndex":19,"createdIndex":19}}"#
        ),
    );
}

fn creating_a_hidden_node(walk: &Walk) {
    walk.put(
        "/v2/keys/_message",
        "value=Hello hidden world",
        201,
        r#"{"action":"set","node":{"key":"/_message","value":"Hello hidden world","modifiedIndex":26,"createdIndex":26}}"#,
    );
    let node = r#"{"key":"/message","value":"Hello world","modifiedIndex":27,"createdIndex":27}"#;
    let body = format!(r#"{{"action":"set","node":{node}}}"#);
    walk.put("/v2/keys/message", "value=Hello world", 201, &body);
    let listing = format!(
        r#"{{"action":"get","node":{{"key":"/","dir":true,"nodes":[{FOO_TWO},{node},{QUEUE_DIR}]}}}}"#
    );
    walk.get("/v2/keys/", &listing);
}

fn setting_a_key_from_a_file(walk: &Walk) {
    walk.put(
        "/v2/keys/afile",
        "value=Hello%0AWorld%0A",
        201,
        r#"{"action":"set","node":{"key":"/afile","value":"Hello\nWorld\n","modifiedIndex":28,"createdIndex":28}}"#,
    );
}

fn reading_consistently(walk: &Walk) {
    let body = format!(r#"{{"action":"get","node":{FOO_TWO}}}"#);
    walk.get("/v2/keys/foo?consistent=true", &body);
    walk.get("/v2/keys/foo?quorum=true", &body);
}

fn a_key_expires(walk: &Walk) {
    let mut watch = Watch::open(walk.server.addr(), "/v2/keys/foo?wait=true&waitIndex=30");
    let path = "/v2/keys/foo";
    let answer = ask(walk.server.addr(), &Walk::curl("PUT", path, "value=bar&ttl=1"));
    assert_eq!((answer.status(), answer.index()), (200, 29));
    let event = watch.event();
    assert_eq!(event["action"], "expire", "{event}");
    assert_eq!(event["node"]["modifiedIndex"], 30, "{event}");
    walk.step(
        "GET",
        path,
        "",
        404,
        "{\"errorCode\":100,\"message\":\"Key not found\",\"cause\":\"/foo\",\"index\":30}\n",
    );
}

fn reading_statistics(walk: &Walk) {
    walk.get("/v2/stats/leader", r#"{"leader":"m0","followers":{}}"#);
    let own = ask(walk.server.addr(), &Walk::curl("GET", "/v2/stats/self", "")).json();
    assert_eq!(own["name"], "m0", "{own}");
    assert_eq!(own["state"], "leader", "{own}");
    assert_eq!(own["leaderInfo"]["leader"], "m0", "{own}");
    for member in ["startTime", "recvAppendRequestCnt", "sendAppendRequestCnt"] {
        assert!(own.get(member).is_some(), "{member}: {own}");
    }
    let after = counters(walk.server.addr());
    let moved = [
        ("setsSuccess", 16),
        ("setsFail", 0),
        ("deleteSuccess", 4),
        ("deleteFail", 1),
        ("updateSuccess", 3),
        ("updateFail", 0),
        ("createSuccess", 2),
        ("createFail", 1),
        ("compareAndSwapSuccess", 1),
        ("compareAndSwapFail", 1),
        ("compareAndDeleteSuccess", 1),
        ("compareAndDeleteFail", 2),
        ("expireCount", 2),
        ("watchers", 0),
    ];
    let number = |counters: &Value, name: &str| {
        counters[name].as_i64().unwrap_or_else(|| panic!("no {name}: {counters}"))
    };
    for (name, by) in moved {
        let difference = number(&after, name) - number(&walk.counters, name);
        assert_eq!(difference, by, "{name}: {} then {after}", walk.counters);
    }
}

fn counters(addr: SocketAddr) -> Value {
    ask(addr, &Walk::curl("GET", "/v2/stats/store", "")).json()
}
