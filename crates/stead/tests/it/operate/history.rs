//! `/v2/stats/history`: what a machine counted in the last hour.

use crate::testkit::{Request, Server, ask, wait_until};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;

/// More than a row of the finer kind takes.
const ROW: Duration = Duration::from_secs(20);

/// More than one of the coarser kind takes.
const COARSE_ROW: Duration = Duration::from_secs(80);

const STEP_MS: u64 = 5_000;

fn history(addr: SocketAddr, query: &str) -> Value {
    ask(addr, &Request::get(&format!("/v2/stats/history{query}"))).json()
}

fn column(seen: &Value, name: &str) -> usize {
    let columns = seen["columns"].as_array().expect("a list");
    columns.iter().position(|column| column == name).unwrap_or_else(|| panic!("no {name}: {seen}"))
}

/// The numbers of a column; what is not known is nothing.
fn numbers(seen: &Value, kind: &str, name: &str) -> Vec<Option<f64>> {
    let at = column(seen, name);
    let rows = seen[kind]["rows"].as_array().expect("a list");
    rows.iter().map(|row| row[at].as_f64()).collect()
}

fn end(seen: &Value, kind: &str) -> u64 {
    seen[kind]["end"].as_u64().expect("a time")
}

/// Waits until rows have ended after `end`, so many of them.
fn wait_rows(addr: SocketAddr, end_before: u64, count: u64) -> Value {
    let mut seen = Value::Null;
    wait_until("there are more rows", ROW, || {
        seen = history(addr, &format!("?since={end_before}"));
        end(&seen, "fine") >= end_before + count * STEP_MS
    });
    seen
}

#[test]
fn what_clients_did_is_in_rows_and_what_a_page_polls_is_not() {
    let (_site, server) = Server::start("history-rows");
    let addr = server.addr();
    let get = Request::get("/v2/keys/a");
    let first = history(addr, "");
    assert_eq!((&first["fine"]["step"], &first["coarse"]["step"]), (&5.into(), &60.into()));
    assert_eq!(end(&first, "fine") % STEP_MS, 0, "{first}");
    assert_eq!(first["columns"].as_array().map(Vec::len), Some(13), "{first}");

    let begun = end(&wait_rows(addr, end(&first, "fine"), 1), "fine");
    for name in ["poll", "POLL"] {
        for _ in 0..20 {
            ask(addr, &get.clone().header("X-Stead-Dashboard", name));
        }
    }
    let polled = wait_rows(addr, begun, 1);
    let mut rates = numbers(&polled, "fine", "reads").into_iter().flatten();
    assert!(rates.all(|rate| rate == 0.0), "{polled}");
    assert!(numbers(&polled, "fine", "writeSeconds").iter().all(Option::is_none), "{polled}");

    let begun = end(&polled, "fine");
    for at in 0..30 {
        assert_eq!(ask(addr, &Request::put(&format!("/v2/keys/k{at}"), "value=1")).status(), 201);
        // One that is there, and one that is not; another word than that of a poll counts.
        ask(addr, &Request::get(&format!("/v2/keys/k{at}")).header("X-Stead-Dashboard", "user"));
        assert_eq!(ask(addr, &get).status(), 404);
    }
    let count =
        |seen: &Value, name| numbers(seen, "fine", name).iter().flatten().sum::<f64>() * 5.0;
    let mut done = Value::Null;
    wait_until("all of them are in rows", ROW, || {
        done = history(addr, &format!("?since={begun}"));
        count(&done, "writes") > 15.0 && count(&done, "reads") > 30.0
    });
    // A row of a busy machine may be longer or shorter than five seconds.
    done = wait_rows(addr, begun, (end(&done, "fine") - begun) / STEP_MS + 1);
    assert!(count(&done, "writes") < 60.0 && count(&done, "reads") < 120.0, "{done}");
    for name in ["writeSeconds", "writeSecondsP99", "syncSeconds", "syncSecondsP99"] {
        let times = numbers(&done, "fine", name).into_iter().flatten();
        assert!(times.fold(0.0, f64::max) > 0.0, "{name}: {done}");
    }
    // And two of the cluster itself.
    assert_eq!(numbers(&done, "fine", "keys").last(), Some(&Some(32.0)), "{done}");
    assert!(numbers(&done, "fine", "memory").iter().flatten().all(|bytes| *bytes > 1e6));
    let whole = history(addr, "");
    assert_eq!(numbers(&whole, "fine", "leaderChanges").iter().flatten().sum::<f64>(), 1.0);
    assert_eq!(history(addr, "?since=9999999999999")["fine"]["rows"], serde_json::json!([]));
    for query in ["?since=x", "?since=-1", "?since="] {
        let answer = ask(addr, &Request::get(&format!("/v2/stats/history{query}")));
        assert_eq!((answer.status(), &answer.json()["errorCode"]), (400, &203.into()), "{query}");
    }
    // The minute that ended first may have ended before there was anything.
    wait_until("a minute with all keys is over", COARSE_ROW, || {
        numbers(&history(addr, ""), "coarse", "keys").last() == Some(&Some(32.0))
    });
    let whole = history(addr, "");
    assert_eq!(end(&whole, "coarse") % 60_000, 0, "{whole}");
}
