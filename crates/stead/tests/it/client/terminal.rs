//! What commands show on a terminal: tables, colours, boxes, and a password that is not shown.

use super::keys::{masked, pieces};
use super::kit::{Fake, PATIENCE, answer, command, good};
use crate::testkit::wait::holds_within;
use crate::testkit::{Server, TempDir};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};

/// A terminal, and a program in it.
struct Terminal {
    child: Child,
    master: File,
    shown: Receiver<Vec<u8>>,
}

impl Terminal {
    fn start(mut command: Command) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).expect("there are terminals");
        grantpt(&master).expect("it is ours");
        unlockpt(&master).expect("it is ours");
        let name = ptsname(&master, Vec::new()).expect("it has a name");
        let name = name.to_str().expect("it is text");
        let open = || OpenOptions::new().read(true).write(true).open(name).expect("it is there");
        command.stdin(open()).stdout(open()).stderr(open());
        let child = command.spawn().expect("the program runs");
        drop(command);
        let master = File::from(master);
        let mut reader = master.try_clone().expect("a handle can be cloned");
        let (sender, shown) = channel();
        std::thread::spawn(move || {
            let mut buf = [0; 4096];
            // The end of the program is an error of its terminal.
            while let Ok(read @ 1..) = reader.read(&mut buf) {
                if sender.send(buf[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, master, shown }
    }

    /// All that is shown until a text is.
    fn until(&self, want: &str) -> String {
        let mut all = Vec::new();
        while !String::from_utf8_lossy(&all).contains(want) {
            all.extend(self.shown.recv_timeout(PATIENCE).expect("it is shown in time"));
        }
        String::from_utf8(all).expect("it is text")
    }

    /// All that is shown to the end, and the exit code.
    fn end(mut self) -> (String, Option<i32>) {
        let mut all = Vec::new();
        while let Ok(more) = self.shown.recv_timeout(PATIENCE) {
            all.extend(more);
        }
        // By now it has ended, or hangs and is not waited for.
        let ended = holds_within(PATIENCE, || matches!(self.child.try_wait(), Ok(Some(_))));
        if !ended {
            let _ = self.child.kill();
        }
        let status = self.child.wait().expect("it ends");
        let text = String::from_utf8(all).expect("it is text").replace("\r\n", "\n");
        (text, status.code())
    }
}

pub(super) fn shown(
    endpoints: &str,
    args: &[&str],
    variables: &[(&str, &str)],
) -> (String, Option<i32>) {
    let mut command = command(endpoints, args);
    command.env("TERM", "xterm").envs(variables.iter().copied());
    Terminal::start(command).end()
}

/// What commands show on a terminal without colours, whichever machines are there as long as most
/// are. A pager is not started by what is short.
const TRANSCRIPT: &str = "\
$ set /u/a 1
1
$ get --quorum /u/a
1
$ mk /u/a 1
Error:  105: Key already exists (/u/a) [N]
Next: `stead set` overwrites a key, `stead update` changes one that is there
= 4
$ set /u/a 2 --swap-with-value 1
2
$ update /u/a 1
1
$ cat /u/a
1
$ mkdir /u/e
$ updatedir /u/e --ttl 500
$ rmdir /u/e
$ setdir /u/d --ttl 500
$ ls --quorum -p /u
/u/a
/u/d/
$ cp -r /u /v
1 key and 2 directories copied
$ tree --quorum --no-pager /v
/v/ (1)
\u{251c}\u{2500}\u{2500} a
\u{2514}\u{2500}\u{2500} d/ (0)  ttl 500s

1 directory, 1 key
$ watch /v/a --after-index 1
1
$ mv /v/a /v/b
1 key and 0 directories copied, 1 removed
$ config get activeSize
9
$ lock l -- echo held
held
$ rmdir /v/d
$ rm -r /v
$ rm -r /u
$ get /u/a
Error:  100: Key not found (/u) [N]
= 4
";

/// Types them at a terminal.
pub(super) fn type_at_terminal(endpoints: &str) {
    for (words, want, code) in pieces(TRANSCRIPT) {
        let (text, got) = shown(endpoints, &words, &[("NO_COLOR", "1")]);
        // Seconds may have passed.
        let text = masked(&text).replace("ttl 499s", "ttl 500s").replace("ttl 498s", "ttl 500s");
        assert_eq!((text.as_str(), got), (want.as_str(), Some(code)), "{words:?}");
    }
}

#[test]
fn commands_show_on_a_terminal_what_their_transcript_says() {
    let (_site, server) = Server::start("client-terminal-typed");
    type_at_terminal(&server.url());
}

#[test]
fn an_edit_that_somebody_was_faster_than_asks_what_to_do() {
    let (_site, server) = Server::start("client-terminal-edit");
    let at = &server.url();
    good(at, &["set", "/a", "first"]);
    let dir = TempDir::new("client-terminal-editor");
    let editor = dir.path().join("editor");
    // Another one is faster than this editor, the first time.
    let once = dir.path().join("once");
    let script = format!(
        "#!/bin/sh\n[ -e {once} ] || {{ touch {once}; {stead} set /a theirs >/dev/null; }}\n\
         echo ours > \"$1\"\n",
        once = once.display(),
        stead = env!("CARGO_BIN_EXE_stead"),
    );
    std::fs::write(&editor, script).unwrap();
    std::fs::set_permissions(&editor, std::fs::Permissions::from_mode(0o700)).unwrap();
    let edit = || {
        let mut command = command(at, &["edit", "/a"]);
        command.env("EDITOR", &editor).env("NO_COLOR", "1");
        Terminal::start(command)
    };
    let mut terminal = edit();
    let shown = terminal.until("Edit your text again, to be saved over theirs? [y/N]");
    assert!(shown.contains("-theirs") && shown.contains("+ours"), "{shown:?}");
    assert_eq!(good(at, &["get", "/a"]), "theirs\n", "nothing is saved unasked");
    terminal.master.write_all(b"y\n").unwrap();
    assert_eq!(terminal.end().1, Some(0));
    assert_eq!(good(at, &["get", "/a"]), "ours\n");
}

#[test]
fn a_terminal_gets_boxes_tables_and_colours() {
    let (_site, server) = Server::start("client-terminal");
    let at = &server.url();
    good(at, &["set", "/app/a", "1"]);
    good(at, &["set", "/app/b", "evil\x1b[2J", "--ttl", "500"]);
    let (tree, code) = shown(at, &["tree", "--no-pager"], &[]);
    assert_eq!(code, Some(0));
    for want in [
        "\x1b[1;34m/\x1b[0m \x1b[2m(2)\x1b[0m\n",
        "\u{2514}\u{2500}\u{2500} \x1b[1;34mapp/\x1b[0m",
        "    \u{251c}\u{2500}\u{2500} a\n",
        "\x1b[33mttl ",
        "\n\n1 directory, 2 keys\n",
    ] {
        assert!(tree.contains(want), "no {want:?}: {tree:?}");
    }
    let (plain, _) = shown(at, &["tree", "--no-pager"], &[("NO_COLOR", "1")]);
    assert!(!plain.contains('\x1b') && plain.contains('\u{2514}'), "{plain:?}");
    let (dumb, _) = shown(at, &["ls", "/"], &[("TERM", "dumb")]);
    assert_eq!(dumb, "/app\n");
    assert_eq!(shown(at, &["ls", "/"], &[]).0, "\x1b[1;34m/app\x1b[0m\n");
    // A value is no command for the terminal.
    assert_eq!(shown(at, &["get", "/app/b"], &[]).0, "evil\\u{1b}[2J\n");
    assert_eq!(good(at, &["get", "/app/b"]), "evil\x1b[2J\n");
    let (members, _) = shown(at, &["members"], &[("NO_COLOR", "1")]);
    assert!(members.starts_with("NAME  ID") && members.contains("leader"), "{members:?}");
    let (config, _) = shown(at, &["config", "get"], &[("NO_COLOR", "1")]);
    assert!(config.contains("activeSize    9\n"), "{config:?}");
    let (error, code) = shown(at, &["get", "/nope"], &[]);
    assert_eq!(code, Some(4));
    assert!(error.starts_with("\x1b[1;31mError:\x1b[0m  100: Key not found (/nope)"), "{error:?}");
    let (health, _) = shown(at, &["health"], &[]);
    assert!(health.ends_with("cluster is \x1b[32mhealthy\x1b[0m\n"), "{health:?}");
    // JSON is the same everywhere.
    let (json, _) = shown(at, &["ls", "-o", "json"], &[]);
    assert_eq!(json, good(at, &["ls", "-o", "json"]));
}

#[test]
fn long_output_goes_through_the_pager_of_the_user() {
    let (_site, server) = Server::start("client-pager");
    let at = &server.url();
    good(at, &["set", "/a", "1"]);
    let (paged, code) = shown(at, &["tree"], &[("PAGER", "sed s/^/paged:/"), ("NO_COLOR", "1")]);
    assert_eq!((code, paged.lines().next()), (Some(0), Some("paged:/ (1)")), "{paged:?}");
    let (ended, code) = shown(at, &["tree"], &[("PAGER", "true")]);
    assert_eq!((code, ended.as_str()), (Some(0), ""));
}

#[test]
fn a_password_is_asked_for_and_not_shown() {
    let (_site, server) = Server::start("client-password");
    let at = &server.url();
    good(at, &["set", "/a", "the value"]);
    let mut terminal = Terminal::start(command(at, &["get", "/a", "--user", "ann"]));
    terminal.until("Password of ann: ");
    terminal.master.write_all(b"se:cret\n").expect("it takes it");
    let (rest, code) = terminal.end();
    assert_eq!((rest.trim(), code), ("the value", Some(0)));
}

#[test]
fn under_the_name_of_etcdctl_a_terminal_takes_no_commands_either() {
    let evil = "[2J\\u001b[2J\\u009b";
    let members = format!(
        r#"{{"members":[{{"id":"1","name":"{evil}","peerURLs":[],"clientURLs":["{evil}"]}}]}}"#
    );
    let key = format!(r#"{{"action":"get","node":{{"key":"/a","value":"{evil}"}}}}"#);
    let error = format!(r#"{{"errorCode":100,"message":"{evil}","cause":"{evil}","index":7}}"#);
    for (args, answers) in [
        (&["member", "list"][..], vec![answer(200, "", &members), answer(200, "", "{}")]),
        (&["get", "/a"], vec![answer(200, "", &key)]),
        (&["-o", "json", "get", "/a"], vec![answer(200, "", &key)]),
        (&["get", "/a"], vec![answer(404, "", &error)]),
        (&["user", "list"], vec![answer(200, "", &format!(r#"{{"users":["{evil}"]}}"#))]),
        (&["user", "list"], vec![answer(403, "", &error)]),
    ] {
        let fake = Fake::start(answers);
        let mut program = command("", &[&["--no-sync"], args].concat());
        program.arg0("etcdctl").env("ETCDCTL_ENDPOINTS", &fake.url);
        let (shown, _) = Terminal::start(program).end();
        assert!(shown.contains("[2J"), "{args:?}: {shown:?}");
        assert!(!shown.contains(['\u{1b}', '\u{9b}']), "{args:?}: {shown:?}");
    }
}

#[test]
fn under_the_name_of_etcdctl_a_password_is_asked_for_and_not_shown() {
    let fake = Fake::start(vec![answer(404, "", "{}"), answer(201, "", r#"{"user":"ann"}"#)]);
    let mut program = command("", &["--no-sync", "user", "add", "ann"]);
    program.arg0("etcdctl").env("ETCDCTL_ENDPOINTS", &fake.url);
    let mut terminal = Terminal::start(program);
    terminal.until("New password: ");
    terminal.master.write_all(b"secret\n").expect("it is open");
    let (shown, code) = terminal.end();
    assert_eq!((shown.as_str(), code), ("\nUser ann created\n", Some(0)));
    assert!(fake.requests()[1].ends_with(r#"{"password":"secret","user":"ann"}"#));
}

#[test]
fn a_measurement_shows_how_far_it_is() {
    let (_site, server) = Server::start("terminal-bench");
    let args = ["bench", "put", "--for", "500ms", "--connections", "2", "--keys", "5"];
    let (shown, code) = Terminal::start(command(&server.url(), &args)).end();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.starts_with("this writes to http://127.0.0.1:"), "{shown}");
    assert!(
        shown.contains("\r\u{1b}[Kmeasuring: ") && shown.contains("\r\u{1b}[Kput at "),
        "{shown}"
    );
    // Elsewhere it asks first.
    let elsewhere = Terminal::start(command("http://192.0.2.1:4001", &["bench"]));
    elsewhere.until("go on? [y/N] ");
    (&elsewhere.master).write_all(b"\n").expect("it is open");
    let (shown, code) = elsewhere.end();
    assert_eq!(code, Some(1), "{shown}");
    assert!(shown.contains("nothing was done"), "{shown}");
}
