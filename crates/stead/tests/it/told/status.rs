//! `stead status`: what one command says of a cluster, from any machine.

use super::{Logs, others};
use crate::cluster::kit::{Cluster, Machine, PATIENCE, sites};
use crate::testkit::server::template;
use crate::testkit::{Request, ask, wait_until};
use rustix::process::Signal;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// More than the rounds of calls may take together.
const CALLS_MAX: Duration = Duration::from_secs(20);

/// Runs the command against endpoints; gives its exit code and what it printed.
fn status(endpoints: &str, more: &[&str]) -> (i32, String) {
    assert_eq!(template(), None, "only this program has this command");
    let mut command = Command::new(env!("CARGO_BIN_EXE_stead"));
    let began = Instant::now();
    let output = command.args(["status", "--endpoint", endpoints]).args(more).output();
    let Output { status, stdout, stderr } = output.expect("the program runs");
    assert!(began.elapsed() < CALLS_MAX, "it took {:?}", began.elapsed());
    let text = String::from_utf8([stdout, stderr].concat()).expect("the output is UTF-8");
    (status.code().expect("it ends by itself"), text)
}

fn json(endpoints: &str) -> (i32, Value) {
    let (code, text) = status(endpoints, &["--json"]);
    let value = serde_json::from_str(&text);
    (code, value.unwrap_or_else(|error| panic!("{error}: {text}")))
}

fn endpoint(machine: &Machine) -> String {
    machine.addr().to_string()
}

/// The machine with a name in a report.
fn named<'a>(report: &'a Value, name: &str) -> &'a Value {
    let machines = report["machines"].as_array().expect("a list");
    let found = machines.iter().find(|machine| machine["name"] == name);
    found.unwrap_or_else(|| panic!("no {name}: {report}"))
}

#[test]
fn every_machine_tells_of_all_and_the_exit_code_says_how_they_are() {
    let mut cluster = Cluster::start("status-three", 3, "");
    let leader = cluster.leader();
    for machine in &cluster.machines {
        wait_until("all is well", PATIENCE, || json(&endpoint(machine)).0 == 0);
        let (_, report) = json(&endpoint(machine));
        assert_eq!(report["status"], "healthy", "{report}");
        assert_eq!(report["leader"], format!("m{leader}"), "{report}");
        assert_eq!((&report["voters"], &report["votersAnswering"]), (&3.into(), &3.into()));
        for name in ["m0", "m1", "m2"] {
            let one = named(&report, name);
            assert_eq!((&one["ready"], &one["sameState"]), (&true.into(), &true.into()), "{one}");
            assert!(one["appliedIndex"].as_u64() > Some(0), "{one}");
        }
    }
    let follower = others(&cluster, leader)[0];
    cluster.machines[follower].kill();
    let dead = endpoint(&cluster.machines[follower]);
    let left = endpoint(&cluster.machines[leader]);
    wait_until("the leader misses it", PATIENCE, || {
        json(&left).1["problems"].to_string().contains("no machine that answers hears it")
    });
    let (code, text) = status(&format!("{dead},{left}"), &[]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains(" is degraded: 2 of 3 voters answer\n"), "{text}");
    let problem = format!("  m{follower}: does not answer at http://{dead}: ");
    assert_eq!(text.matches(&problem).count(), 1, "{text}");
    let (code, report) = json(&left);
    assert_eq!((code, &report["status"]), (1, &"degraded".into()));
    assert_eq!(named(&report, &format!("m{follower}"))["state"], "unreachable");
}

#[test]
fn a_standby_tells_of_all_too() {
    let mut sites = sites("status-standby", 4, "-cluster-active-size 3");
    let founder = sites[0].peer_addr().to_string();
    for site in sites.iter_mut().skip(1) {
        site.set_flags(&format!("-peers {founder} -cluster-active-size 3"));
    }
    let standby = sites.pop().expect("there are four");
    let cluster = Cluster::of(sites, &[0, 1, 2]);
    let standby = Machine { server: Some(standby.spawn()), site: standby };
    wait_until("it stands by", PATIENCE, || {
        let (code, report) = json(&endpoint(&standby));
        let machines = report["machines"].as_array().map_or(0, Vec::len);
        code == 0 && machines == 4 && named(&report, "m3")["state"] == "standby"
    });
    wait_until("a member tells of the standby, once that has asked the leader", PATIENCE, || {
        let (_, report) = json(&endpoint(&cluster.machines[1]));
        let machines = report["machines"].as_array().map_or(0, Vec::len);
        machines == 4 && named(&report, "m3")["state"] == "standby" && report["voters"] == 3
    });
}

/// A majority that is gone for a minute: this test waits for that minute.
#[test]
fn a_majority_that_stays_away_is_told_with_what_to_do_wherever_one_looks() {
    let cluster = Cluster::start("status-majority", 3, "");
    let leader = cluster.leader();
    let gone = others(&cluster, leader);
    let logs = Logs::from_now(&cluster);
    // Stopped, they hold their ports and answer nothing.
    gone.iter().for_each(|at| cluster.machines[*at].server().signal(Signal::STOP));
    let left = &cluster.machines[leader];
    wait_until("no leader is left", PATIENCE, || json(&endpoint(left)).0 == 2);
    let (code, text) = status(&endpoint(left), &[]);
    assert_eq!(code, 2, "{text}");
    for words in
        [" is down: 1 of 3 voters answer\n", "No majority is left: 1 of 3", "`stead recover`"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    for at in &gone {
        let site = &cluster.machines[*at].site;
        let place = format!("{} (http://{})", site.name(), site.peer_addr());
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(&place), "{place}: {flat}");
    }
    let put = Request::put("/v2/keys/a", "value=1");
    let early = ask(left.addr(), &put).text();
    assert!(early.contains("unreachable: ") && !early.contains("stead recover"), "{early}");

    let minute = Duration::from_secs(60) + PATIENCE;
    wait_until("the minute is over", minute, || {
        ask(left.addr(), &Request::get("/readyz?verbose")).text().contains("stead recover")
    });
    let ready = ask(left.addr(), &Request::get("/readyz?verbose")).text();
    assert!(ready.contains("[-]majority failed: 1 of 3 voters"), "{ready}");
    let put = ask(left.addr(), &put).text();
    let quorum = ask(left.addr(), &Request::get("/v2/keys/a?quorum=true")).text();
    let add = Request::new("POST", "/v2/members").header("Content-Type", "application/json");
    let add = add.body(b"{\"peerURLs\":[\"http://127.0.0.1:9\"]}");
    let added = ask(left.addr(), &add).text();
    for text in [ready, put, quorum, added] {
        assert!(
            text.contains("no majority since 20") && text.contains("`stead recover`"),
            "{text}"
        );
    }
    logs.wait(&cluster, leader, &["ERROR majority still lost: no majority since ", "recover"]);
    gone.iter().for_each(|at| cluster.machines[*at].server().signal(Signal::CONT));
    wait_until("all is well again", PATIENCE, || json(&endpoint(left)).0 == 0);
}

/// A server that answers every connection with the same bytes, and then does not close it.
fn stranger(answer: &'static [u8], times: usize) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, crate::testkit::port::free()));
    let listener = listener.expect("the port is free");
    let addr = listener.local_addr().expect("it has one");
    std::thread::spawn(move || {
        let mut open = Vec::new();
        // The test ends with the process, and this with it.
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.read(&mut [0; 4096]);
            for _ in 0..times {
                if stream.write_all(answer).is_err() {
                    break;
                }
            }
            open.push(stream);
        }
    });
    addr.to_string()
}

#[test]
fn other_servers_are_named_and_hold_nothing_up() {
    let etcd = b"HTTP/1.1 200 OK\r\nContent-Length: 27\r\n\r\n{\"etcdserver\":\"2.3.8\",\"a\":1}";
    let endless = b"HTTP/1.1 200 OK\r\n\r\n{\"stead\":\"\x1b[2J";
    let rude = b"HTTP/1.1 200 \x1b[2J\r\nContent-Length: 4\r\n\r\n\x1b[2J";
    for (answer, times, want) in [
        (&etcd[..], 1, "is not Stead"),
        (&endless[..], 100_000, "is longer than 1048576 bytes"),
        (&endless[..], 1, "no answer within 3 s"),
        (&rude[..], 1, "does not answer"),
        (&b""[..], 0, "no answer within 3 s"),
    ] {
        let (code, text) = status(&stranger(answer, times), &[]);
        assert_eq!(code, 2, "{text}");
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(want) && !text.contains('\x1b'), "{want}: {text}");
    }
}

/// Answers as Stead does, with as much as it may say and nothing that is true.
fn liar() -> String {
    let unused = crate::testkit::port::free();
    let members: Vec<Value> = (0..1000)
        .map(|at| {
            serde_json::json!({
                "name": format!("m{at}\u{1b}[2J"),
                "clientURL": format!("http://127.1.{}.{}:{unused}", at / 200, at % 200 + 1),
                "voter": true,
                "reachable": true,
                "lagEntries": u64::MAX,
            })
        })
        .collect();
    let view =
        serde_json::json!({"leader": "l\u{1b}[2J", "seenBy": "l\u{1b}[2J", "members": members});
    let answers = [
        ("/version", "{\"stead\":\"\\u001b[2J\"}".to_owned()),
        ("/readyz", "[-]disk failed: \u{1b}[2J\n".repeat(30_000)),
        ("/v2/stats/self", "{\"state\":\"leader\",\"name\":\"x\"}".to_owned()),
        ("/v2/stats/cluster", view.to_string()),
        ("/metrics", format!("stead_store_keys {}\n", "9".repeat(100_000))),
    ];
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, crate::testkit::port::free()));
    let listener = listener.expect("the port is free");
    let addr = listener.local_addr().expect("it has one");
    std::thread::spawn(move || {
        // The test ends with the process, and this with it.
        while let Ok((mut stream, _)) = listener.accept() {
            let mut asked = [0; 4096];
            let len = stream.read(&mut asked).unwrap_or(0);
            let asked = String::from_utf8_lossy(&asked[..len]).into_owned();
            let found = answers.iter().find(|(path, _)| asked.contains(&format!("GET {path}")));
            let body = found.map_or("", |(_, body)| body.as_str());
            let head =
                format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}", body.len());
            // The caller may have had enough.
            let _ = stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes());
        }
    });
    addr.to_string()
}

#[test]
fn a_server_that_lies_is_told_within_bounds() {
    let liar = liar();
    let (code, text) = status(&liar, &[]);
    assert_eq!(code, 1, "{}", &text[..2000]);
    assert!(!text.contains('\x1b'), "it speaks to the terminal");
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("not asked, since more than 64 machines were named"));
    assert!(text.len() < 2 << 20, "{} bytes", text.len());
    let (code, report) = json(&liar);
    assert_eq!((code, report["machines"].as_array().map(Vec::len)), (1, Some(1001)));
}

#[test]
fn mistakes_on_the_command_line_are_named() {
    for (args, want) in [
        (&["--endpoint", "ftp://a"][..], "invalid URL"),
        (&["m1"], "unexpected argument 'm1'"),
        (&["--cert-file", "a"], "belong together"),
        (&["--tokn-file", "a"], "a similar argument exists: '--token-file'"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stead"));
        let output = command.arg("status").args(args).output().expect("the program runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(want), "{want}: {text}");
    }
}
