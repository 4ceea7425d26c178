//! What users of etcd have reported over the years, each as it should be. The numbers are those of
//! the reports in etcd-io/etcd.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::testkit::{Connection, Request, Site, Watch, ask, wait_until};

/// How long what must not happen is waited for.
const QUIET: Duration = Duration::from_millis(150);

/// How long something may take that takes a moment.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server with ports of both dialects, and both addresses.
fn with_both(label: &str, check: impl Fn(SocketAddr)) {
    let site = Site::new(label).with_v2();
    let server = site.start();
    check(server.addr());
    assert_eq!(ask(server.addr(), &Request::delete("/v2/keys/r?recursive=true")).status(), 200);
    check(server.v2_addr());
}

fn put(addr: SocketAddr, key: &str, form: &str) -> Value {
    let answer = ask(addr, &Request::put(&format!("/v2/keys/{key}"), form));
    assert!(answer.status() < 300, "{key} {form}: {}", answer.text());
    answer.json()
}

fn index(event: &Value) -> u64 {
    event["node"]["modifiedIndex"].as_u64().expect("an event has an index")
}

fn code(addr: SocketAddr, key: &str, form: &str) -> (u16, u64) {
    let answer = ask(addr, &Request::put(&format!("/v2/keys/{key}"), form));
    (answer.status(), answer.json()["errorCode"].as_u64().unwrap_or(0))
}

/// #6328: a recursive watch with an old index on a key that is a file.
#[test]
fn a_recursive_watch_of_a_file_finds_its_past() {
    with_both("report-6328", |addr| {
        let first = put(addr, "r/file", "value=1");
        let second = put(addr, "r/file", "value=2");
        for (from, want) in [(&first, &first), (&second, &second)] {
            for flags in ["recursive=true", "recursive=true&stream=true", "stream=true", "x=y"] {
                let at = index(from);
                let path = format!("/v2/keys/r/file?wait=true&waitIndex={at}&{flags}");
                assert_eq!(&Watch::open(addr, &path).event(), want, "{flags}");
            }
        }
    });
}

/// #1160: watches below a directory that has expired, the second with the same index too.
#[test]
fn what_expired_is_told_to_watches_below_it_as_often_as_they_ask() {
    with_both("report-1160", |addr| {
        let dir = put(addr, "r/dir", "dir=true&ttl=1");
        put(addr, "r/dir/child", "value=1");
        let from = index(&dir) + 2;
        let mut sibling = Watch::open(addr, &format!("/v2/keys/r/dirx?wait=true&waitIndex={from}"));
        for key in ["r/dir/child", "r/dir/child", "r/dir"] {
            let mut watch =
                Watch::open(addr, &format!("/v2/keys/{key}?wait=true&waitIndex={from}"));
            let event = watch.event();
            assert_eq!(
                (&event["action"], &event["node"]["key"]),
                (&json!("expire"), &json!("/r/dir"))
            );
        }
        assert!(sibling.is_silent(QUIET), "a name that only begins alike");
    });
}

/// #1074: keys that expire together are events of their own, in order.
#[test]
fn keys_that_expire_together_are_all_told() {
    with_both("report-1074", |addr| {
        let path = "/v2/keys/r?wait=true&recursive=true&stream=true";
        let mut stream = Watch::open(addr, path);
        for number in 0..5 {
            put(addr, &format!("r/k{number}"), "value=1&ttl=1");
        }
        let events: Vec<Value> = (0..10).map(|_| stream.event()).collect();
        let gone: Vec<&Value> = events.iter().filter(|one| one["action"] == "expire").collect();
        assert_eq!(gone.len(), 5);
        assert!(gone.windows(2).all(|pair| index(pair[0]) + 1 == index(pair[1])));
    });
}

/// #5988: a watch from the index of a refresh passes it over.
#[test]
fn a_watch_from_a_refresh_waits_for_the_next_change() {
    with_both("report-5988", |addr| {
        put(addr, "r/k", "value=1&ttl=100");
        let refresh = put(addr, "r/k", "refresh=true&ttl=200&prevExist=true");
        assert_eq!(refresh["node"]["value"], "1", "it keeps the value");
        let at = index(&refresh);
        let mut waiting: Vec<Watch> = [at, at + 1]
            .iter()
            .map(|from| Watch::open(addr, &format!("/v2/keys/r/k?wait=true&waitIndex={from}")))
            .collect();
        assert!(waiting.iter_mut().all(|watch| watch.is_silent(QUIET)));
        let next = put(addr, "r/k", "value=2");
        for watch in &mut waiting {
            assert_eq!(watch.event(), next);
        }
    });
}

/// #5651, #5003: a refresh with a condition keeps the value, and is refused by the right code.
#[test]
fn a_refresh_with_a_condition_never_empties_the_value() {
    with_both("report-5651", |addr| {
        put(addr, "r/k", "value=keep&ttl=100");
        assert_eq!(code(addr, "r/k?prevValue=no", "refresh=true&ttl=50"), (412, 101));
        assert_eq!(code(addr, "r/k", "refresh=true&ttl=50&value=x"), (400, 211));
        assert_eq!(code(addr, "r/k?prevExist=false", "refresh=true&ttl=50"), (412, 105));
        assert_eq!(code(addr, "r/none?prevExist=true", "refresh=true&ttl=50"), (404, 100));
        assert_eq!(code(addr, "r/k", "refresh=true"), (400, 212));
        let done = put(addr, "r/k?prevValue=keep", "refresh=true&ttl=50");
        assert_eq!((&done["node"]["value"], &done["node"]["ttl"]), (&json!("keep"), &json!(50)));
        let found = ask(addr, &Request::get("/v2/keys/r/k")).json();
        assert_eq!(found["node"]["value"], "keep");
        assert_eq!(found["node"]["expiration"], done["node"]["expiration"], "one lease, one time");
    });
}

/// #714, #1172, #758: a TTL of zero ends at once, none is shown as negative, and none comes back.
#[test]
fn a_time_to_live_is_never_shown_below_zero() {
    with_both("report-714", |addr| {
        put(addr, "r/zero", "value=1&ttl=0");
        wait_until("it is gone", PATIENCE, || {
            ask(addr, &Request::get("/v2/keys/r/zero")).status() == 404
        });
        put(addr, "r/k", "value=1&ttl=1");
        wait_until("it is gone", PATIENCE, || {
            let found = ask(addr, &Request::get("/v2/keys/r/k"));
            let ttl = found.json()["node"]["ttl"].as_i64();
            assert!(ttl.is_none_or(|ttl| ttl >= 0), "{ttl:?}");
            found.status() == 404
        });
        put(addr, "r/k", "value=1&ttl=100");
        let plain = put(addr, "r/k?prevExist=true", "value=2");
        assert!(plain["node"].get("ttl").is_none() && plain["node"].get("expiration").is_none());
    });
}

/// #4075, #3667: a directory is no file, whatever its index is.
#[test]
fn conditions_on_a_directory_are_refused_as_such() {
    with_both("report-4075", |addr| {
        let at = index(&put(addr, "r/dir", "dir=true"));
        for condition in
            [format!("prevIndex={at}"), "prevIndex=999999".into(), "prevValue=x".into()]
        {
            assert_eq!(code(addr, &format!("r/dir?{condition}"), "value=1"), (403, 102));
            let answer = ask(addr, &Request::delete(&format!("/v2/keys/r/dir?{condition}")));
            assert_eq!((answer.status(), &answer.json()["errorCode"]), (403, &json!(102)));
        }
    });
}

/// #2225, #328, #3010: watchers are counted, and forgotten however they end.
#[test]
fn watchers_that_are_gone_are_not_counted() {
    with_both("report-2225", |addr| {
        put(addr, "r/k", "value=1");
        let watchers = || ask(addr, &Request::get("/v2/stats/store")).json()["watchers"].as_u64();
        let flags = ["", "&recursive=true", "&stream=true", "&recursive=true&stream=true"];
        let open = |at: usize| {
            Watch::open(addr, &format!("/v2/keys/r/w{at}?wait=true{}", flags[at % flags.len()]))
        };
        let waiting: Vec<Watch> = (0..60).map(open).collect();
        assert_eq!(watchers(), Some(60));
        for (at, watch) in waiting.into_iter().enumerate() {
            if at % 2 == 0 { watch.hang_up() } else { drop(watch) }
        }
        wait_until("all are forgotten", PATIENCE, || watchers() == Some(0));
        let mut half = Connection::open(addr).expect("it listens");
        half.send(&Request::get("/v2/keys/r/half?wait=true")).expect("it reads");
        half.head().expect("it answers at once");
        assert_eq!(watchers(), Some(1));
        half.shutdown_write().expect("it is open");
        wait_until("who only stopped sending is too", PATIENCE, || watchers() == Some(0));
    });
}

/// #252: a page may ask for everything, and read errors too, where its origin is allowed.
#[test]
fn pages_read_errors_and_may_send_what_libraries_send() {
    let site = Site::new("report-252").with_v2().flags("-cors http://page.example");
    let server = site.start();
    for addr in [server.addr(), server.v2_addr()] {
        for (method, path) in [
            ("OPTIONS", "/v2/keys/k"),
            ("OPTIONS", "/v2/keys/k?recursive=true"),
            ("GET", "/v2/keys/none"),
            ("GET", "/v2/machines"),
            ("GET", "/no/such/path"),
        ] {
            let answer =
                ask(addr, &Request::new(method, path).header("Origin", "http://page.example"));
            let header = |name| answer.head.header(name).unwrap_or_default();
            let origin = header("Access-Control-Allow-Origin");
            assert_eq!(origin, "http://page.example", "{method} {path}");
            assert!(header("Access-Control-Allow-Methods").contains("DELETE"));
            let headers = header("Access-Control-Allow-Headers");
            for name in ["accept", "content-type", "authorization", "x-requested-with"] {
                assert!(headers.split(", ").any(|one| one == name), "{headers}");
            }
        }
    }
}
