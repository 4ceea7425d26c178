//! `stead import --from --follow`: the source changes, and clients move one by one.

use super::fake::{Fake, missing};
use super::{assert_same, filled, get, index, listed, post, put};
use crate::testkit::{Request, Server, ask, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long something may take that takes a moment. The machine may be busy with other tests.
const SOON: Duration = Duration::from_secs(40);

/// A follower on its way. Dropping it kills it.
struct Follower {
    child: Child,
    told: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Follower {
    fn start(from: &str, to: &str, flags: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_stead"))
            .args(["import", "--from", from, "--to", to, "--follow", "--json"])
            .args(flags)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (told, errors) = (Arc::new(Mutex::new(String::new())), child.stderr.take().unwrap());
        let theirs = Arc::clone(&told);
        let reader = thread::spawn(move || {
            for line in BufReader::new(errors).lines() {
                theirs.lock().unwrap().push_str(&format!("{}\n", line.unwrap()));
            }
        });
        let follower = Self { child, told, reader: Some(reader) };
        follower.wait_told("following the changes");
        follower
    }

    fn told(&self) -> String {
        self.told.lock().unwrap().clone()
    }

    fn wait_told(&self, text: &str) {
        wait_until(text, SOON, || self.told().contains(text));
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.unwrap(), signal).unwrap();
    }

    /// Asks for the end. Gives exit code and report.
    fn end(mut self, signal: Signal) -> (Option<i32>, Value) {
        self.signal(signal);
        let mut status = None;
        wait_until("the follower ends", SOON, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let mut out = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        self.reader.take().unwrap().join().unwrap();
        let report = serde_json::from_str(&out);
        let report = report.unwrap_or_else(|error| panic!("{error}: {out:?} {}", self.told()));
        (status.unwrap().code(), report)
    }

    /// The same for a follower that has lost nothing.
    fn end_well(self, signal: Signal) -> Value {
        let (code, report) = self.end(signal);
        assert_eq!(code, Some(0), "{report}");
        assert_eq!(report["followed"]["refused"], 0, "{report}");
        assert_eq!(report["followed"]["incomplete"], Value::Null, "{report}");
        report
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn arrives(target: &Server, key: &str, value: Option<&str>) {
    let what = format!("{key} is {value:?}");
    wait_until(&what, SOON, || get(target.addr(), key).as_deref() == value);
}

#[test]
fn changes_of_every_kind_are_carried_over_until_a_signal() {
    let ((_a, source), (_b, target)) = (filled(), Server::start("import-target"));
    put(source.addr(), "/gone/a", "value=x");
    put(source.addr(), "/gone/_hidden/b", "value=x");
    let follower = Follower::start(&source.url(), &target.url(), &["--verify"]);
    let addr = source.addr();
    put(addr, "/plain", "value=changed");
    put(addr, "/plain?prevValue=changed", "value=swapped");
    put(addr, "/new/dir", "dir=true&ttl=4000");
    put(addr, "/new/dir", "dir=true&ttl=5000&prevExist=true");
    put(addr, "/new/ttl", "value=x&ttl=4000");
    put(addr, "/vis/_secret/more", "value=x");
    put(addr, "/a-file", "value=x");
    ask(addr, &Request::delete("/v2/keys/a-file"));
    put(addr, "/a-file/is/a/directory", "value=x");
    let jobs: Vec<String> = (0..50).map(|_| post(addr, "/queue")).collect();
    ask(addr, &Request::delete("/v2/keys/gone?recursive=true"));
    put(addr, "/gone/_hidden/c", "value=again");
    arrives(&target, "/a-file/is/a/directory", Some("x"));
    arrives(&target, "/gone/_hidden/c", Some("again"));
    arrives(&target, "/vis/_secret/more", Some("x"));
    wait_until("the last job", SOON, || get(target.addr(), &jobs[49]).is_some());
    arrives(&target, "/gone/a", None);
    arrives(&target, "/gone/_hidden/b", None);
    let report = follower.end_well(Signal::TERM);
    assert_eq!(report["verified"]["differences"], 0, "{report}");
    assert_eq!(report["followed"]["foundAtTheEnd"], 0, "{report}");
    assert_same(&listed(&target, "/"), &listed(&source, "/"));
    assert!(index(target.addr()) > index(source.addr()) + 100_000);
}

#[test]
fn nothing_is_lost_or_doubled_under_writes_while_all_is_copied() {
    let ((_a, source), (_b, target)) = (filled(), Server::start("import-target"));
    let (addr, end) = (source.addr(), Instant::now() + Duration::from_secs(4));
    let writers: Vec<_> = (0..4)
        .map(|lane| {
            thread::spawn(move || {
                let mut jobs = Vec::new();
                for n in 0.. {
                    if Instant::now() > end {
                        break;
                    }
                    put(addr, &format!("/load/{lane}/{}", n % 20), &format!("value={n}"));
                    jobs.push(post(addr, "/load/queue"));
                    ask(addr, &Request::delete(&format!("/v2/keys/load/{lane}/{}", n * 7 % 20)));
                }
                jobs
            })
        })
        .collect();
    let follower = Follower::start(&source.url(), &target.url(), &["--verify"]);
    let jobs: Vec<String> = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
    wait_until("all jobs", SOON, || listed(&target, "/load/queue").len() > jobs.len());
    let report = follower.end_well(Signal::INT);
    assert_eq!(report["verified"]["differences"], 0, "{report}");
    // The directory too.
    assert_eq!(listed(&target, "/load/queue").len(), jobs.len() + 1);
    assert_same(&listed(&target, "/load"), &listed(&source, "/load"));
}

#[test]
fn a_source_that_has_forgotten_events_is_compared_again() {
    let ((_a, source), (_b, target)) = (filled(), Server::start("import-target"));
    put(source.addr(), "/dir/in", "value=x");
    let follower = Follower::start(&source.url(), &target.url(), &["--verify"]);
    put(target.addr(), "/plain", "value=changed+here");
    put(target.addr(), "/dir/mine", "value=stays");
    follower.signal(Signal::STOP);
    ask(source.addr(), &Request::delete("/v2/keys/big"));
    ask(source.addr(), &Request::delete("/v2/keys/dir?recursive=true"));
    put(source.addr(), "/while", "value=away");
    // The events up to there are forgotten.
    let raised = Request::new("PUT", "/v2/admin/index").header("Content-Type", "application/json");
    let at_least = format!("{{\"atLeast\":{}}}", index(source.addr()) + 1000);
    assert_eq!(ask(source.addr(), &raised.body(at_least.as_bytes())).status(), 200);
    follower.signal(Signal::CONT);
    arrives(&target, "/while", Some("away"));
    arrives(&target, "/big", None);
    put(source.addr(), "/later", "value=x");
    arrives(&target, "/later", Some("x"));
    // What the source has not changed since stays as somebody has made it here.
    assert_eq!(get(target.addr(), "/plain").as_deref(), Some("changed here"));
    put(source.addr(), "/plain", "value=changed+there");
    arrives(&target, "/plain", Some("changed there"));
    ask(target.addr(), &Request::delete("/v2/keys/dir?recursive=true"));
    let report = follower.end_well(Signal::TERM);
    assert_eq!(report["verified"]["differences"], 0, "{report}");
}

#[test]
fn both_sides_may_be_away_for_a_while() {
    let ((a, source), (b, target)) = (filled(), Server::start("import-target"));
    let flags = ["--verify", "--prefix", "/old"];
    let follower = Follower::start(&source.url(), &target.url(), &flags);
    let url = source.url();
    source.kill();
    follower.wait_told(&url);
    let source = a.start();
    put(source.addr(), "/after/source", "value=x");
    arrives(&target, "/old/after/source", Some("x"));
    let url = target.url();
    target.kill();
    put(source.addr(), "/after/target", "value=x");
    follower.wait_told(&url);
    let target = b.start();
    arrives(&target, "/old/after/target", Some("x"));
    assert_eq!(get(target.addr(), "/after/target"), None);
    let report = follower.end_well(Signal::TERM);
    assert_eq!(report["verified"]["differences"], 0, "{report}");
}

#[test]
fn a_target_that_is_gone_at_the_end_is_told_with_a_report() {
    let ((_a, source), (_b, target)) = (filled(), Server::start("import-target"));
    let follower = Follower::start(&source.url(), &target.url(), &[]);
    target.kill();
    put(source.addr(), "/lost", "value=x");
    thread::sleep(Duration::from_millis(500));
    let (code, report) = follower.end(Signal::TERM);
    assert_eq!(code, Some(1), "{report}");
    assert!(report["followed"]["refused"].as_u64().unwrap() > 0, "{report}");
    assert!(report["followed"]["refusals"][0].as_str().unwrap().contains("/lost"), "{report}");
}

#[test]
fn a_key_that_lives_by_refreshes_lives_on_at_the_target() {
    let ((_a, source), (_b, target)) = (filled(), Server::start("import-target"));
    put(source.addr(), "/beat", "value=alive&ttl=4");
    put(source.addr(), "/moved", "value=alive&ttl=4");
    let follower = Follower::start(&source.url(), &target.url(), &[]);
    let end = Instant::now() + Duration::from_secs(9);
    while Instant::now() < end {
        put(source.addr(), "/beat", "refresh=true&prevExist=true&ttl=4");
        // Its client has moved, and renews it here alone.
        put(target.addr(), "/moved", "value=alive&ttl=60");
        assert_eq!(get(target.addr(), "/beat").as_deref(), Some("alive"));
        thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(get(source.addr(), "/moved"), None);
    assert_eq!(get(target.addr(), "/moved").as_deref(), Some("alive"));
    follower.end_well(Signal::TERM);
}

#[test]
fn what_is_created_in_a_directory_that_has_just_expired_stays() {
    let ((_a, source), (_b, target)) = (filled(), Server::start("import-target"));
    // It expires here before it does there, where its TTL was rounded up.
    put(source.addr(), "/brief", "dir=true&ttl=6");
    put(source.addr(), "/brief/in", "value=x");
    let follower = Follower::start(&source.url(), &target.url(), &["--verify"]);
    assert_eq!(get(target.addr(), "/brief/in").as_deref(), Some("x"));
    wait_until("it expires", SOON, || get(source.addr(), "/brief/in").is_none());
    put(source.addr(), "/brief/again", "value=x");
    arrives(&target, "/brief/again", Some("x"));
    // Longer than the rounding could have left it.
    thread::sleep(Duration::from_secs(3));
    assert_eq!(get(target.addr(), "/brief/again").as_deref(), Some("x"));
    let report = follower.end_well(Signal::TERM);
    assert_eq!(report["verified"]["differences"], 0, "{report}");
}

#[test]
fn events_that_lie_change_nothing_and_end_nothing() {
    let (_site, target) = Server::start("import-target");
    let asked = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&asked);
    let fake = Fake::start(move |path| match path {
        "/version" => (200, 5, br#"{"etcdserver":"3.4.23"}"#.to_vec()),
        path if path.contains("stream=true") => {
            let lies: [&[u8]; 5] = [
                br#"{"action":"delete","node":{"key":"/../a","modifiedIndex":9}}"#,
                br#"{"action":"delete","node":{"key":"/","modifiedIndex":9}}"#,
                br#"{"action":"set","node":{"key":"/a","value":"x","modifiedIndex":9999999999999999999}}"#,
                b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
                b"}}}}nonsense{\"a\":1}",
            ];
            let at = counted.fetch_add(1, Ordering::Relaxed) as usize % lies.len();
            (200, 5, lies[at].to_vec())
        }
        path if path.contains("wait=true") => (404, 5, Vec::new()),
        path if path.starts_with("/v2/keys/?") => {
            (200, 5, br#"{"node":{"dir":true,"nodes":[{"key":"/a","value":"x"}]}}"#.to_vec())
        }
        _ => missing(5),
    });
    let follower = Follower::start(&fake.url(), &target.url(), &[]);
    wait_until("all lies were told", SOON, || asked.load(Ordering::Relaxed) > 12);
    assert_eq!(get(target.addr(), "/a").as_deref(), Some("x"));
    let report = follower.end_well(Signal::TERM);
    assert_eq!(report["followed"]["changes"], 0, "{report}");
    assert_eq!(listed(&target, "/").len(), 1);
}
