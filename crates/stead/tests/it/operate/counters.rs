//! The counters of the key space are part of it: they outlive a restart, those of what failed at a
//! machine that is alone included.

use crate::testkit::{Request, Server, Site, ask, wait_until};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;

/// How long a server may take to write what it counted: it waits for a second.
const COUNTED: Duration = Duration::from_secs(20);

/// Those that a restart must not change; reads and watchers belong to the process.
fn counters(addr: SocketAddr) -> Vec<(String, Value)> {
    let all = ask(addr, &Request::get("/v2/stats/store")).json();
    let all = all.as_object().expect("an object").clone();
    let is_kept = |name: &str| !name.starts_with("gets") && name != "watchers";
    all.into_iter().filter(|(name, _)| is_kept(name)).collect()
}

fn count(addr: SocketAddr, name: &str) -> u64 {
    let found = counters(addr).into_iter().find(|(counter, _)| counter == name);
    found.and_then(|(_, value)| value.as_u64()).expect("it is counted")
}

/// One success of each kind and three failures, and nothing that is written at the end.
fn work(addr: SocketAddr) {
    ask(addr, &Request::put("/v2/keys/k", "value=1"));
    ask(addr, &Request::put("/v2/keys/d", "dir=true"));
    for _ in 0..3 {
        ask(addr, &Request::put("/v2/keys/d", "value=1"));
        ask(addr, &Request::put("/v2/keys/none?prevExist=true", "value=1"));
        ask(addr, &Request::delete("/v2/keys/none"));
        ask(addr, &Request::put("/v2/keys/k?prevValue=no", "value=2"));
        ask(addr, &Request::put("/v2/keys/k?prevExist=false", "value=2"));
        ask(addr, &Request::delete("/v2/keys/k?prevValue=no"));
    }
    for name in ["compareAndSwapFail", "createFail", "compareAndDeleteFail"] {
        assert_eq!(count(addr, name), 3, "{name}");
    }
}

#[test]
fn counters_outlive_a_clean_stop() {
    let site = Site::new("counters-stop");
    let server = site.start();
    work(site.addr());
    let before = counters(site.addr());
    assert!(server.terminate().success());
    let _server = site.start();
    assert_eq!(counters(site.addr()), before);
}

/// What came after the last record may be lost, which is written after a second.
#[test]
fn counters_outlive_a_kill() {
    let site = Site::new("counters-kill");
    let server = site.start();
    let size = |server: &Server| {
        let text = ask(server.addr(), &Request::get("/metrics")).text();
        let name = "etcd_disk_wal_write_bytes_total ";
        let line = text.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        line.and_then(|number| number.parse::<f64>().ok()).expect("it is measured")
    };
    work(site.addr());
    let (before, written) = (counters(site.addr()), size(&server));
    wait_until("what failed is written", COUNTED, || size(&server) > written);
    server.kill();
    let _server = site.start();
    assert_eq!(counters(site.addr()), before);
}
