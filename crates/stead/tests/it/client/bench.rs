//! `stead bench`: what it measures, what it leaves, and how it ends.

use super::kit::{PATIENCE, Running, command, good, json, run, told};
use crate::cluster::kit::Cluster;
use crate::testkit::wait::holds_within;
use crate::testkit::{Server, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::process::Stdio;
use std::time::{Duration, Instant};

const SHORT: [&str; 6] = ["--for", "300ms", "--connections", "4", "--keys", "50"];

/// The directories of measurements that are there.
fn dirs(at: &str) -> Vec<String> {
    let all = good(at, &["ls", "--hidden", "/"]);
    all.lines().filter(|line| line.starts_with("/_bench-")).map(str::to_owned).collect()
}

fn interrupt(running: &Running) {
    let pid = i32::try_from(running.child.id()).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("a process id is positive"), Signal::INT).expect("it is ours");
}

/// The requests of one kind, whose times are in order.
fn checked(report: &Value, kind: &str) -> u64 {
    let told = &report["operations"][kind];
    let of = |name: &str| told[name].as_f64().unwrap_or_else(|| panic!("no {name}: {report}"));
    let times = ["p50Ms", "p90Ms", "p99Ms", "maxMs"].map(of);
    assert!(times[0] > 0.0 && times.is_sorted(), "{report}");
    assert!(of("perSecond") > 0.0 && told["errors"] == 0, "{report}");
    told["requests"].as_u64().expect("a count")
}

#[test]
fn each_load_is_measured_and_nothing_is_left() {
    let (_site, server) = Server::start("client-bench");
    let at = &server.url();
    let begun = Instant::now();
    let text = good(at, &[&["bench"], &SHORT[..]].concat());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let lines: Vec<&str> = text.lines().collect();
    let head = format!("mixed at {at}: 4 connections, values of 64 bytes, 50 keys, 0.");
    assert!(lines[0].starts_with(&head), "{text}");
    assert!(lines[1].trim_start().starts_with("requests") && lines.len() == 4, "{text}");
    assert!(lines[2].starts_with("put") && lines[3].starts_with("get"), "{text}");
    for (load, kinds) in [
        ("put", &["put"][..]),
        ("get", &["get"]),
        ("mixed", &["put", "get"]),
        ("watch", &["put", "event"]),
    ] {
        let report = json(at, &[&["bench", load, "--quorum"], &SHORT[..]].concat());
        let counts: Vec<u64> = kinds.iter().map(|kind| checked(&report, kind)).collect();
        assert!(counts.iter().all(|count| *count > 0), "{report}");
        assert_eq!(report["operations"].as_object().map(serde_json::Map::len), Some(kinds.len()));
        assert_eq!((&report["errors"], &report["load"]), (&Value::Array(Vec::new()), &load.into()));
        match counts[..] {
            [puts, gets] if load == "mixed" => assert!(puts < gets, "{report}"),
            [puts, events] if load == "watch" => assert_eq!(puts, events, "{report}"),
            _ => {}
        }
    }
    assert!(dirs(at).is_empty());
    // Values are as long as was said.
    let args = ["bench", "put", "--for", "60s", "--value-size", "1000", "--keys", "1"];
    let running = Running::start(command(at, &args));
    wait_until("it writes", PATIENCE, || {
        dirs(at).first().is_some_and(|dir| {
            let key = run(at, &["get", &format!("{dir}/0")]);
            let shown = run(at, &["ls", "-o", "json", "--hidden", dir]);
            key.out.len() == 1001 && shown.out.contains("\"ttl\":")
        })
    });
    interrupt(&running);
    let mut running = running;
    let lines = [running.line(), running.line(), running.line()];
    assert!(lines[0].contains(", interrupted") && lines[2].starts_with("put"), "{lines:?}");
    assert!(holds_within(PATIENCE, || matches!(running.child.try_wait(), Ok(Some(_)))));
    assert_eq!(running.child.wait().expect("it has ended").code(), Some(130));
    assert!(dirs(at).is_empty(), "{lines:?}");
}

#[test]
fn errors_are_counted_and_told() {
    let (_site, server) = Server::start("client-bench-errors");
    let at = server.url();
    let args = ["bench", "put", "--for", "2s", "--connections", "3", "--keys", "1"];
    let mut command = command(&at, &args);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.expect("the program runs");
    wait_until("it measures", PATIENCE, || {
        dirs(&at).first().is_some_and(|dir| run(&at, &["get", &format!("{dir}/0")]).code == 0)
    });
    server.kill();
    let ended = told(child.wait_with_output().expect("it ends"));
    assert_eq!(ended.code, 2, "{ended:?}");
    let table =
        ended.out.lines().find(|line| line.starts_with("put  ")).expect("the table is there");
    let errors: u64 = table.rsplit(' ').next().and_then(|n| n.parse().ok()).expect("a count");
    let counted = |line: &str| line.strip_prefix("error, ")?.split(' ').next()?.parse::<u64>().ok();
    assert_eq!(ended.out.lines().filter_map(counted).sum::<u64>(), errors, "{ended:?}");
    assert!(errors > 3 && ended.out.contains(" times: no endpoint answers: "), "{ended:?}");
    assert!(ended.err.contains("could not be removed, and expires by itself, then: "), "{ended:?}");
}

#[test]
fn it_goes_on_while_one_of_three_is_dead() {
    let mut cluster = Cluster::start("client-bench-three", 3, "");
    let leader = cluster.leader();
    cluster.machines[(leader + 1) % 3].kill();
    let all: Vec<String> = cluster.addrs().iter().map(ToString::to_string).collect();
    for load in ["mixed", "watch"] {
        let report = json(&all.join(","), &[&["bench", load], &SHORT[..]].concat());
        assert!(checked(&report, "put") > 0, "{report}");
    }
    assert!(dirs(&cluster.machines[leader].addr().to_string()).is_empty());
}

#[test]
fn a_cluster_elsewhere_is_not_written_to_without_a_word() {
    // An address of documentation: nobody is there.
    let elsewhere = "http://192.0.2.1:4001,http://127.0.0.1:4001";
    let refused = run(elsewhere, &["bench"]);
    assert_eq!((refused.code, refused.out.as_str()), (1, ""), "{refused:?}");
    let want = "this writes to http://192.0.2.1:4001,http://127.0.0.1:4001 for 5 s: say --yes";
    assert!(refused.err.contains(want), "{refused:?}");
    for (args, want) in [
        (&["--connections", "257"][..], "257 is not in 1..=256"),
        (&["--connections", "0"], "0 is not in 1..=256"),
        (&["--for", "11m"], "at most 10m"),
        (&["--value-size", "1000001"], "is not in 1..=1000000"),
        (&["--keys", "0"], "0 is not in 1..=100000"),
        (&["gte"], "invalid value 'gte'"),
    ] {
        let refused = run(elsewhere, &[&["bench", "--yes"], args].concat());
        assert!(refused.code == 1 && refused.err.contains(want), "{refused:?}");
    }
}
