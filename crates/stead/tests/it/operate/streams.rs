//! What a watcher may ask for beside events: hidden nodes, and how far its stream is.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cluster::kit::Cluster;
use crate::testkit::{Connection, Request, Site, Watch, ask};

/// Lines come every 5 s at the latest.
const LINE_TIMEOUT: Duration = Duration::from_secs(12);

fn put(addr: SocketAddr, key: &str) -> u64 {
    let answer = ask(addr, &Request::put(&format!("/v2/keys{key}"), "value=1"));
    assert!(answer.status() < 300, "{key}: {}", answer.text());
    answer.json()["node"]["modifiedIndex"].as_u64().expect("it has one")
}

fn key_of(event: &Value) -> &str {
    event["node"]["key"].as_str().unwrap_or_else(|| panic!("no key: {event}"))
}

/// The index of the next line, which is no event.
fn progress(stream: &mut Watch) -> u64 {
    let line = stream.next(LINE_TIMEOUT).expect("it comes").expect("the stream goes on");
    assert_eq!(line["action"], "progress", "{line}");
    assert_eq!(line.as_object().expect("an object").len(), 2, "{line}");
    line["index"].as_u64().expect("a number")
}

/// Machines that speak both dialects, and all their addresses.
fn cluster(label: &str, count: usize) -> (Cluster, Vec<SocketAddr>) {
    let site = |at: usize| Site::new(label).named(&format!("m{at}")).with_v2();
    let mut sites: Vec<Site> = (0..count).map(site).collect();
    let founder = sites[0].peer_addr();
    for site in sites.iter_mut().skip(1) {
        site.set_flags(&format!("-peers {founder}"));
    }
    let cluster = Cluster::of(sites, &(0..count).collect::<Vec<_>>());
    let both = |at: usize| {
        let machine = &cluster.machines[at];
        [machine.addr(), machine.server().v2_addr()]
    };
    let addrs = (0..count).flat_map(both).collect();
    (cluster, addrs)
}

#[test]
fn hidden_nodes_are_told_to_those_who_ask() {
    for count in [1, 3] {
        let (cluster, addrs) = cluster(&format!("streams-hidden-{count}"), count);
        let writer = cluster.machines[0].addr();
        let first = put(writer, "/h/_a/x");
        cluster.wait_equal();
        let path = "/v2/keys/h?wait=true&recursive=true&stream=true";
        let mut all: Vec<Watch> =
            addrs.iter().map(|addr| Watch::open(*addr, &format!("{path}&hidden=true"))).collect();
        let mut shown: Vec<Watch> = addrs.iter().map(|addr| Watch::open(*addr, path)).collect();
        let keys = ["/h/_b", "/h/a/_c/d", "/h/e"];
        for key in keys {
            put(writer, key);
        }
        for stream in &mut all {
            for key in keys {
                assert_eq!(key_of(&stream.event()), key);
            }
        }
        for stream in &mut shown {
            assert_eq!(key_of(&stream.event()), "/h/e");
        }
        for addr in addrs {
            // What is past, in a poll; without asking it is passed over.
            let poll = format!("/v2/keys/h?wait=true&recursive=true&waitIndex={first}");
            let event = Watch::open(addr, &format!("{poll}&hidden=true")).event();
            assert_eq!(key_of(&event), "/h/_a/x");
            assert_eq!(key_of(&Watch::open(addr, &poll).event()), "/h/e");
            // It changes nothing about what lies outside.
            let mut plain = Watch::open(addr, "/v2/keys/h?wait=true&stream=true&hidden=true");
            assert!(plain.is_silent(Duration::from_millis(50)));
        }
    }
}

#[test]
fn a_stream_says_how_far_it_is() {
    for count in [1, 3] {
        let (cluster, addrs) = cluster(&format!("streams-progress-{count}"), count);
        let writer = cluster.machines[0].addr();
        let path = "/v2/keys/p?wait=true&recursive=true&stream=true";
        let mut streams: Vec<Watch> =
            addrs.iter().map(|addr| Watch::open(*addr, &format!("{path}&progress=true"))).collect();
        let mut quiet: Vec<Watch> = addrs.iter().map(|addr| Watch::open(*addr, path)).collect();
        let mut last = 0;
        for number in 0..20 {
            last = put(writer, &format!("/p/{number}"));
        }
        for stream in &mut streams {
            // Events are not passed over, and a line comes behind the last one.
            let mut seen = 0;
            while seen < 20 {
                let line = stream.event();
                if line["action"] == "progress" {
                    continue;
                }
                assert_eq!(key_of(&line), format!("/p/{seen}"));
                seen += 1;
            }
            assert!(progress(stream) >= last);
        }
        // What happens elsewhere moves it on, although there is no event.
        let mut elsewhere = 0;
        for number in 0..30 {
            elsewhere = put(writer, &format!("/elsewhere/{number}"));
        }
        let start = Instant::now();
        let mut reached = Vec::new();
        for stream in &mut streams {
            let mut upto = progress(stream);
            while upto < elsewhere {
                assert!(start.elapsed() < 3 * LINE_TIMEOUT);
                upto = progress(stream);
            }
            reached.push(upto);
        }
        let next = put(writer, "/p/next");
        for (upto, addr) in reached.into_iter().zip(&addrs) {
            let resumed = format!("{path}&waitIndex={}", upto + 1);
            let event = Watch::open(*addr, &resumed).event();
            assert_eq!(event["node"]["modifiedIndex"].as_u64(), Some(next), "from {upto}");
        }
        for stream in &mut quiet {
            for _ in 0..20 {
                assert_ne!(stream.event()["action"], "progress", "nobody asked for it");
            }
        }
    }
}

/// A quiet directory: without the lines, its watcher would fall out of the history.
#[test]
fn a_stream_that_was_told_goes_on_where_the_history_has_moved_on() {
    let site = Site::new("streams-history").flags("-history-bytes 1MiB");
    let server = site.start();
    let addr = server.addr();
    let before = put(addr, "/quiet/a");
    let path = "/v2/keys/quiet?wait=true&recursive=true&stream=true";
    let mut stream = Watch::open(addr, &format!("{path}&progress=true"));
    let mut connection = Connection::open(addr).expect("it listens");
    let value = format!("value={}", "x".repeat(4000));
    let mut last = 0;
    for _ in 0..3000 {
        let answer = connection.exchange(&Request::put("/v2/keys/loud", &value)).expect("it does");
        last = answer.json()["node"]["modifiedIndex"].as_u64().expect("it has one");
    }
    let mut upto = progress(&mut stream);
    while upto < last {
        upto = progress(&mut stream);
    }
    let old = ask(addr, &Request::get(&format!("{path}&waitIndex={}", before + 1))).json();
    assert_eq!(old["errorCode"], 401);
    // The cause says what is the first that can be had.
    let cause = old["cause"].as_str().expect("a text").to_owned();
    let first = cause.split(['[', '/']).nth(1).expect("it is there").to_owned();
    let loud = format!("/v2/keys/loud?wait=true&waitIndex={first}");
    let event = Watch::open(addr, &loud).event();
    assert_eq!(event["node"]["modifiedIndex"].to_string(), first);
    let mut resumed = Watch::open(addr, &format!("{path}&waitIndex={}", upto + 1));
    let next = put(addr, "/quiet/b");
    assert_eq!(resumed.event()["node"]["modifiedIndex"].as_u64(), Some(next));
    // A stream that begins later than now has everything up to there.
    let later = next + 1000;
    let path = format!("/v2/keys/x?wait=true&stream=true&progress=true&waitIndex={later}");
    assert_eq!(progress(&mut Watch::open(addr, &path)), later - 1);
}
