//! The program under the name of etcdctl: what it prints, on both streams and with which exit code,
//! is what Debian's etcdctl printed for the same command lines.
//!
//! The lines, and what was recorded, are in packaging/test/etcdctl-lines.txt;
//! packaging/test/etcdctl-by-name records them, and runs both programs side by side.

use super::kit::{Fake, Run, Running, answer, command, told};
use crate::testkit::{Server, Site, TempDir};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

const RECORD: &str = include_str!("../../../../../packaging/test/etcdctl-lines.txt");

/// A command line, and what it has to print: lines marked by their stream, and the exit code.
struct Line {
    command: String,
    wanted: Vec<String>,
}

/// The lines of a part of the record. Where the two programs differ, ours counts.
fn lines(part: &str) -> Vec<Line> {
    let head = format!("== {part}\n");
    let (_, rest) = RECORD.split_once(&head).expect("the part is recorded");
    let mut found: Vec<Line> = Vec::new();
    for line in rest.lines().take_while(|line| !line.starts_with("== ")) {
        match (line.split_at_checked(2), found.last_mut()) {
            (Some(("$ ", command)), _) => {
                found.push(Line { command: command.to_owned(), wanted: Vec::new() });
            }
            (Some(("> " | "! " | "= ", _)), Some(last)) => last.wanted.push(line.to_owned()),
            _ if line == "stead:" => found.last_mut().expect("of a line").wanted.clear(),
            _ => assert!(line.is_empty() || line.starts_with("~ "), "{line}"),
        }
    }
    found
}

/// A server, and a directory with the program under its other name.
struct Lab {
    server: Server,
    /// It outlives the server.
    site: Site,
    dir: TempDir,
}

impl Lab {
    fn start(label: &str) -> Self {
        let site = Site::new(label).named("n1").with_v2().flags("-open-membership");
        let server = site.start();
        let dir = TempDir::new(label);
        link(dir.path());
        Self { server, site, dir }
    }

    /// A shell that knows the program, and where the server is.
    fn shell(&self, command: &str) -> Command {
        let mut shell = shell(self.dir.path(), command);
        shell.env("ETCDCTL_ENDPOINTS", format!("http://{}", self.server.v2_addr()));
        shell.env("URL_04", self.server.url());
        shell
    }

    fn run(&self, command: &str) -> Run {
        told(self.shell(command).output().expect("a shell runs"))
    }

    /// What a command prints, as the record has it.
    fn printed(&self, command: &str) -> Vec<String> {
        let Run { code, out, err } = self.run(command);
        let mut lines = self.marked(">", &out);
        lines.extend(self.marked("!", &err));
        if code != 0 {
            lines.push(format!("= {code}"));
        }
        lines
    }

    fn marked(&self, mark: &str, text: &str) -> Vec<String> {
        let text = self.normal(text);
        let (whole, rest) = text.rsplit_once('\n').unwrap_or(("", &text));
        let mut lines: Vec<String> = match text.contains('\n') {
            true => whole.split('\n').map(|line| format!("{mark} {line}")).collect(),
            false => Vec::new(),
        };
        if !rest.is_empty() {
            lines.push(format!("{mark} {rest}<no newline>"));
        }
        lines
    }

    /// The text without what differs from run to run.
    fn normal(&self, text: &str) -> String {
        let (site, server) = (&self.site, &self.server);
        let ports = [
            (server.addr().port(), "CLIENT"),
            (site.peer_addr().port(), "PEER"),
            (server.v2_addr().port(), "V2"),
        ];
        let mut text = text.to_owned();
        for (port, name) in ports {
            text = text.replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:{name}"));
        }
        text = text.replace(env!("CARGO_PKG_VERSION"), "<version>").replace("2.3.8", "<version>");
        if let Some((before, _)) = text.split_once("NAME:\n") {
            text = format!("{before}<help>\n");
        }
        while let Some((before, rest)) = text.split_once("\"expiration\":\"2") {
            let (_, behind) = rest.split_once('"').expect("it ends");
            text = format!("{before}\"expiration\":\"<time>\"{behind}");
        }
        let text = with_rounded(&with_rounded(&text, "TTL: "), "\"ttl\":");
        without_ids(&text)
    }
}

/// TTLs without the seconds that have gone by.
fn with_rounded(text: &str, before: &str) -> String {
    let mut pieces = text.split(before);
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece.find(|c: char| !c.is_ascii_digit()).unwrap_or(piece.len());
        let (number, behind) = piece.split_at(end);
        let hundreds = number.parse::<u64>().expect("it is a number").div_ceil(100);
        out.push_str(&format!("{before}{}{behind}", hundreds * 100));
    }
    out
}

/// Replaces ids of members: hexadecimal numbers of some length, and no parts of keys.
fn without_ids(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '/';
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len()).max(1);
        let end = (end..=rest.len()).find(|at| rest.is_char_boundary(*at)).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        let is_hex = |c: char| c.is_ascii_digit() || matches!(c, 'a'..='f');
        match (12..=16).contains(&word.len()) && word.chars().all(is_hex) {
            true => out.push_str("<id>"),
            false => out.push_str(word),
        }
        rest = behind;
    }
    out
}

fn link(dir: &Path) {
    symlink(env!("CARGO_BIN_EXE_stead"), dir.join("etcdctl")).expect("a link can be made");
}

/// A shell that ends in time, whose only variables of etcdctl are those that are set later.
fn shell(dir: &Path, command: &str) -> Command {
    let mut shell = Command::new("timeout");
    shell.args(["60", "sh", "-c", command]).stdin(Stdio::null()).current_dir(dir);
    let names = std::env::vars().map(|(name, _)| name);
    for name in names.filter(|name| name.starts_with("ETCD") || name.starts_with("STEAD")) {
        shell.env_remove(name);
    }
    let path = std::env::var("PATH").unwrap_or_default();
    shell.env("PATH", format!("{}:{path}", dir.display()));
    shell
}

/// Plays a part, and compares.
fn play(part: &str, label: &str, lines_min: usize) {
    let lab = Lab::start(label);
    let lines = lines(part);
    assert!(lines.len() >= lines_min, "{part}: {} lines", lines.len());
    for Line { command, wanted } in lines {
        let printed = lab.printed(&command);
        assert_eq!(printed, wanted, "$ {command}");
    }
}

#[test]
fn keys_are_those_of_etcdctl_2() {
    play("keys", "by-name-keys", 50);
}

#[test]
fn directories_are_those_of_etcdctl_2() {
    play("directories", "by-name-dirs", 35);
}

#[test]
fn wrong_usage_is_told_as_etcdctl_2_does() {
    play("usage", "by-name-usage", 30);
}

#[test]
fn endpoints_are_found_and_missed_as_by_etcdctl_2() {
    play("endpoints", "by-name-endpoints", 30);
}

#[test]
fn a_port_of_0_4_is_served_too() {
    play("a port of 0.4", "by-name-04", 8);
}

#[test]
fn watches_are_those_of_etcdctl_2() {
    play("watches", "by-name-watches", 18);
}

#[test]
fn members_are_those_of_etcdctl_2() {
    play("members", "by-name-members", 20);
}

#[test]
fn users_are_those_of_etcdctl_2() {
    play("users", "by-name-users", 60);
}

/// Runs a command line against servers that are none.
fn run_against(endpoints: &str, command: &str) -> Run {
    let dir = TempDir::new("by-name-fake");
    link(dir.path());
    let mut shell = shell(dir.path(), command);
    told(shell.env("ETCDCTL_ENDPOINTS", endpoints).output().expect("a shell runs"))
}

const NO_MEMBERS: &str = "404 page not found\n";
const KEY: &str =
    r#"{"action":"get","node":{"key":"/a","value":"1","modifiedIndex":3,"createdIndex":3}}"#;

#[test]
fn a_server_that_knows_no_members_is_asked_for_keys() {
    let fake = Fake::start(vec![answer(404, "", NO_MEMBERS), answer(200, "", KEY)]);
    let got = run_against(&fake.url, "etcdctl get /a");
    assert_eq!((got.code, got.out.as_str(), got.err.as_str()), (0, "1\n", ""));
    assert!(
        fake.requests()[1].starts_with("GET /v2/keys/a?quorum=false&"),
        "{fake:?}",
        fake = fake.requests()
    );
}

#[test]
fn requests_go_where_the_cluster_says_and_then_where_the_user_said() {
    let member = Fake::start(vec![answer(200, "", KEY)]);
    let list = |url: &str| {
        let member = format!(r#"{{"id":"1","name":"a","peerURLs":[],"clientURLs":["{url}"]}}"#);
        answer(200, "", &format!(r#"{{"members":[{member}]}}"#))
    };
    let named = Fake::start(vec![list(&member.url)]);
    assert_eq!(run_against(&named.url, "etcdctl get /a").out, "1\n");
    assert_eq!((named.requests().len(), member.requests().len()), (1, 1));
    // It names an address that cannot be reached from here.
    let named = Fake::start(vec![list("http://127.0.0.1:1"), answer(200, "", KEY)]);
    assert_eq!(run_against(&named.url, "etcdctl get /a").out, "1\n");
    // Nobody is ready for clients.
    let named = Fake::start(vec![answer(200, "", r#"{"members":[{"id":"1","clientURLs":[]}]}"#)]);
    let none = run_against(&named.url, "etcdctl get /a");
    assert_eq!(none.code, 4, "{none:?}");
    assert!(
        none.err.starts_with("etcd cluster has no published client endpoints.\nTry '--no-sync'")
    );
}

#[test]
fn a_write_is_not_sent_twice_under_this_name_either() {
    let second = Fake::start(vec![answer(200, "", KEY)]);
    for answers in [Vec::new(), vec![answer(503, "", "busy")]] {
        let first = Fake::start(answers);
        let both = format!("{},{}", first.url, second.url);
        let lost = run_against(&both, "etcdctl --no-sync set /a 1");
        assert_eq!((lost.code, lost.out.as_str()), (4, ""), "{lost:?}");
        assert!(lost.err.starts_with("Error:  client: etcd cluster is unavailable"), "{lost:?}");
        assert_eq!((first.requests().len(), second.requests().len()), (1, 0));
    }
    let first = Fake::start(vec![answer(503, "", "busy")]);
    let none = run_against(&first.url, "etcdctl --no-sync get /a");
    let url = &first.url;
    assert!(none.err.contains(&format!("client: etcd member {url} has no leader\n")), "{none:?}");
}

#[test]
fn a_watch_whose_past_is_gone_ends_with_the_error() {
    let gone = r#"{"errorCode":401,"message":"The event in requested index is outdated and cleared","cause":"the requested history has been cleared [9/1]","index":1008}"#;
    for command in ["watch --after-index 0x1 /a", "exec-watch --after-index 1 /a -- true"] {
        let fake = Fake::start(vec![answer(400, "", gone)]);
        let ended = run_against(&fake.url, &format!("etcdctl --no-sync {command}"));
        assert_eq!((ended.code, ended.out.as_str()), (4, ""), "{command}: {ended:?}");
        assert!(ended.err.starts_with("Error:  401: The event in requested index"), "{ended:?}");
        assert!(fake.requests()[0].contains("wait=true&waitIndex=2"), "{command}");
    }
}

#[test]
fn a_watch_that_breaks_goes_on_behind_the_last_event() {
    let event = |index: u64, value: &str| {
        let node = format!(r#"{{"key":"/a","value":"{value}","modifiedIndex":{index}}}"#);
        answer(200, "", &format!(r#"{{"action":"set","node":{node}}}"#))
    };
    let fake = Fake::start(vec![event(8, "one"), String::new(), event(9, "two")]);
    let mut program = command("", &["--no-sync", "watch", "-f", "--after-index", "7", "/a"]);
    program.arg0("etcdctl").env("ETCDCTL_ENDPOINTS", &fake.url);
    let running = Running::start(program);
    assert_eq!((running.line().as_str(), running.line().as_str()), ("one", "two"));
    drop(running);
    let asked: Vec<bool> = fake.requests()[..3]
        .iter()
        .zip([8, 9, 9])
        .map(|(request, index)| request.contains(&format!("waitIndex={index} HTTP")))
        .collect();
    assert_eq!(asked, [true; 3], "{:?}", fake.requests());
}

#[test]
fn api_version_3_is_refused() {
    let refused = run_against("http://127.0.0.1:1", "ETCDCTL_API=3 etcdctl get /a");
    assert_eq!(refused.code, 1);
    assert!(refused.err.starts_with("ETCDCTL_API=3: "), "{refused:?}");
}

#[test]
fn credentials_are_those_of_etcdctl_alone() {
    let authorized = |command: &str| {
        let fake = Fake::start(vec![answer(200, "", KEY)]);
        let got = run_against(&fake.url, command);
        assert_eq!((got.code, got.err.as_str()), (0, ""), "{command}");
        let request = fake.requests().remove(0).to_lowercase();
        request.lines().find(|line| line.starts_with("authorization:")).map(str::to_owned)
    };
    assert_eq!(authorized("STEAD_USER=ann:x etcdctl --no-sync get /a"), None);
    let ann = authorized("etcdctl -u ann:first --no-sync get /a").expect("it is sent");
    let typed = "echo first | ETCDCTL_USERNAME=ann etcdctl --no-sync get /a";
    assert_eq!(authorized(typed).as_ref(), Some(&ann));
}
