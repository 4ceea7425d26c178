//! Commands about keys, against one machine.

use super::kit::{Run, command, good, json, run, told};
use crate::testkit::{Request, Server, Site, TempDir, ask};
use std::io::Write;
use std::process::Stdio;

/// What commands print and how they end, in order; `N` stands for an index.
const TRANSCRIPT: &str = "\
$ set /app/colour blue
blue
$ get /app/colour
blue
$ get --quorum app//colour/
blue
$ get -o extended /app/colour
Key: /app/colour
Created-Index: N
Modified-Index: N
TTL: 0
Index: N

blue
$ set /app/colour red --swap-with-value blue
red
$ set /app/colour green --swap-with-value blue
Error:  101: Compare failed ([blue != red]) [N]
Next: the key has changed: read it again, and decide anew
= 4
$ set /app/colour green --swap-with-index 1
Error:  101: Compare failed ([1 != N]) [N]
Next: the key has changed: read it again, and decide anew
= 4
$ set /app/number -5
-5
$ mk /app/colour white
Error:  105: Key already exists (/app/colour) [N]
Next: `stead set` overwrites a key, `stead update` changes one that is there
= 4
$ mk /app/owner m1 --ttl 1h
m1
$ update /app/owner m2 --ttl 2h
m2
$ update /nope 1
Error:  100: Key not found (/nope) [N]
= 4
$ get /nope
Error:  100: Key not found (/nope) [N]
= 4
$ get /app
Error:  /app: is a directory: `stead ls /app` lists it
= 1
$ get /app/../x
Error:  \"/app/../x\": no part of a key is called \"..\"
= 1
$ mkdir /dir
$ mkdir /dir
Error:  105: Key already exists (/dir) [N]
Next: `stead set` overwrites a key, `stead update` changes one that is there
= 4
$ updatedir /dir --ttl 1h
$ setdir /other --ttl 60
$ rmdir /other
$ rm /app
Error:  102: Not a file (/app) [N]
Next: it is a directory: `stead ls` lists it, `stead rm --recursive` removes it
= 4
$ rmdir /app
Error:  108: Directory not empty (/app) [N]
Next: `stead rm --recursive` removes a directory with all that is in it
= 4
$ ls
/app
/dir
$ ls -p --recursive /
/app/
/app/colour
/app/number
/app/owner
/dir/
$ cat /app/colour /app/number
red-5
$ tree /app
/app/ (3)
  colour
  number
  owner  ttl 7200s
0 directories, 3 keys
$ cp /app/colour /app/old
1 key and 0 directories copied
$ cp /app/colour /app/old
Error:  105: Key already exists (/app/old) [N]
Next: `stead set` overwrites a key, `stead update` changes one that is there
= 4
$ cp --force /app/number /app/old
1 key and 0 directories copied
$ cp /app /backup
Error:  /app is a directory: --recursive takes all that is in it
= 1
$ cp --recursive /app /app/x
Error:  the target is within the source
= 1
$ cp --recursive /app /backup
4 keys and 1 directory copied
$ mv --recursive /backup /moved/
4 keys and 1 directory copied, 5 removed
$ tree --filter o*
/ (4)
  app/ (2)
    old
    owner  ttl 7200s
  moved/ (2)
    backup/ (2)
      old
      owner  ttl 7200s
3 directories, 4 keys
$ rm /app/colour --with-value blue
Error:  101: Compare failed ([blue != red]) [N]
Next: the key has changed: read it again, and decide anew
= 4
$ rm /app/colour --with-value red
PrevNode.Value: red
$ rm --recursive /moved
$ rm --recursive /
Error:  107: Root is read only (/) [N]
Next: name a key below /
= 4
";

/// A piece of a transcript: a command, what it prints, and its exit code.
pub(super) fn pieces(transcript: &str) -> Vec<(Vec<&str>, String, i32)> {
    let mut pieces: Vec<(Vec<&str>, String, i32)> = Vec::new();
    for line in transcript.lines() {
        if let Some(words) = line.strip_prefix("$ ") {
            pieces.push((words.split(' ').collect(), String::new(), 0));
        } else if let Some(code) = line.strip_prefix("= ") {
            pieces.last_mut().expect("a command").2 = code.parse().expect("a number");
        } else {
            let piece = pieces.last_mut().expect("a command");
            piece.1.push_str(line);
            piece.1.push('\n');
        }
    }
    pieces
}

/// Indexes and seconds of a TTL vary.
pub(super) fn masked(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let mut line = line.to_owned();
        if line.contains("-Index: ") || line.starts_with("Index: ") {
            line.truncate(line.find(": ").expect("it is there") + 2);
            line.push('N');
        }
        if line.starts_with("Error: ") && line.ends_with(']') {
            line.truncate(line.rfind('[').expect("it is there") + 1);
            line.push_str("N]");
        }
        if let Some(at) = line.find("([1 != ") {
            let end = line[at..].find("])").expect("it is there") + at;
            line.replace_range(at + 7..end, "N");
        }
        // A second may have passed.
        out.push_str(&line.replace("7199s", "7200s"));
        out.push('\n');
    }
    out
}

/// Types a transcript at endpoints.
pub(super) fn type_in(endpoints: &str, transcript: &str) {
    for (words, want, code) in pieces(transcript) {
        let run = run(endpoints, &words);
        let got = masked(&(run.out.clone() + &run.err));
        assert_eq!((got, run.code), (want, code), "{words:?}: {run:?}");
    }
}

#[test]
fn commands_print_in_a_pipe_what_their_transcript_says() {
    let (_site, server) = Server::start("client-keys");
    type_in(&server.url(), TRANSCRIPT);
}

/// Commands that print the server's answer as it is, with what was done.
const DOCUMENTS: [(&[&str], &str); 14] = [
    (&["set", "/a", "1"], "set"),
    (&["get", "/a"], "get"),
    (&["cat", "/a"], "get"),
    (&["update", "/a", "2"], "update"),
    (&["mk", "/b", "1"], "create"),
    (&["mk", "--in-order", "/q", "1"], "create"),
    (&["set", "/a", "3", "--swap-with-value", "2"], "compareAndSwap"),
    (&["mkdir", "/d"], "create"),
    (&["setdir", "/e"], "set"),
    (&["updatedir", "/d", "--ttl", "50"], "update"),
    (&["ls"], "get"),
    (&["rmdir", "/d"], "delete"),
    (&["rm", "/b"], "delete"),
    (&["watch", "/a", "--after-index", "1"], "set"),
];

/// Has each command print JSON, on keys that are removed again.
pub(super) fn ask_for_documents(at: &str) {
    for (args, action) in DOCUMENTS {
        let document = json(at, args);
        assert_eq!(document["action"], action, "{args:?}: {document}");
        assert!(document["node"].is_object(), "{args:?}: {document}");
    }
}

#[test]
fn every_command_has_one_document_of_json() {
    let (_site, server) = Server::start("client-json");
    let at = &server.url();
    ask_for_documents(at);
    let copied = json(at, &["cp", "/a", "/c"]);
    assert_eq!((&copied["keys"], &copied["target"]), (&1.into(), &"/c".into()), "{copied}");
    assert_eq!(json(at, &["mv", "/c", "/d/"])["removed"], 1);
    let tree = json(at, &["tree"]);
    assert_eq!((&tree["keys"], &tree["key"]), (&3.into(), &"/".into()), "{tree}");
    assert!(tree["nodes"].as_array().is_some_and(|nodes| nodes.len() == 4), "{tree}");
    let members = &json(at, &["members"])["members"][0];
    assert_eq!((&members["name"], &members["isLeader"]), (&"m0".into(), &true.into()));
    assert_eq!(json(at, &["member", "list"])["members"][0]["clientURLs"][0], server.url());
    assert_eq!(json(at, &["health"])["health"], "healthy");
    assert_eq!(json(at, &["config", "get"])["activeSize"], 9);
    assert_eq!(json(at, &["config", "set", "activeSize=5", "removeDelay=60.5"])["activeSize"], 5);
    assert_eq!(good(at, &["config", "get", "removeDelay"]), "60.5\n");

    let Run { code, out, err } = run(at, &["get", "/nope", "-o", "json"]);
    let error: serde_json::Value = serde_json::from_str(&err).expect("an error is JSON too");
    assert_eq!((code, out.as_str(), &error["errorCode"]), (4, "", &100.into()), "{error}");
    assert_eq!((&error["cause"], &error["exitCode"]), (&"/nope".into(), &4.into()));
}

#[test]
fn values_come_from_standard_input_and_are_taken_as_they_are() {
    let (site, server) = Server::start("client-stdin");
    let at = &server.url();
    let feed = |args: &[&str], bytes: &[u8]| {
        let mut command = command(at, args);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program runs");
        child.stdin.take().expect("a pipe").write_all(bytes).expect("it reads");
        told(child.wait_with_output().expect("it ends"))
    };
    let odd = "a=1&b=%20+\u{e4}\n\t\"\\ \n";
    for args in [&["set", "/odd", "-"][..], &["set", "/odd"]] {
        assert_eq!(feed(args, odd.as_bytes()).code, 0);
        assert_eq!(good(at, &["cat", "/odd"]), odd);
    }
    let refused = feed(&["set", "/odd", "-"], b"\xff");
    assert!(refused.code == 1 && refused.err.contains("not UTF-8"), "{refused:?}");
    assert_eq!(good(at, &["set", "/k a/\u{e4}?#%", "1"]), "1\n");
    assert_eq!(good(at, &["get", "/k a/\u{e4}?#%"]), "1\n");
    drop(site);
}

#[test]
fn a_move_that_stops_in_the_middle_says_what_was_done() {
    let (_site, server) = Server::start("client-mv");
    let at = &server.url();
    for key in ["/a/1", "/a/2", "/a/3", "/b/2"] {
        good(at, &["set", key, "x"]);
    }
    let stopped = run(at, &["cp", "--recursive", "--force", "/a", "/b"]);
    assert_eq!((stopped.code, stopped.out.as_str()), (0, "3 keys and 1 directory copied\n"));
    good(at, &["rm", "--recursive", "/b"]);
    // A hidden key is copied and removed with the rest.
    good(at, &["set", "/a/_hidden", "x"]);
    assert_eq!(
        good(at, &["mv", "--recursive", "/a", "/b"]),
        "4 keys and 1 directory copied, 5 removed\n"
    );
    assert_eq!(good(at, &["get", "/b/_hidden"]), "x\n");
    assert_eq!(run(at, &["ls", "/a"]).code, 4);
    // In the way of one key is a directory: what was copied before it is told.
    good(at, &["mkdir", "/c"]);
    good(at, &["set", "/c/2/x", "y"]);
    let stopped = run(at, &["mv", "--recursive", "--force", "/b", "/c"]);
    assert_eq!(stopped.code, 4, "{stopped:?}");
    assert!(
        stopped
            .err
            .starts_with("Error:  1 key and 1 directory copied, 0 removed, then: 102: Not a file"),
        "{stopped:?}"
    );
    assert_eq!(good(at, &["get", "/b/2"]), "x\n");
}

#[test]
fn users_are_named_by_flag_file_and_environment() {
    let site = Site::new("client-users");
    let server = site.start();
    let (at, addr) = (&server.url(), server.addr());
    let put = |path: &str, body: &str| {
        let request = Request::new("PUT", path).header("Content-Type", "application/json");
        let answer = ask(addr, &request.body(body.as_bytes()));
        assert!(answer.status() < 300, "{path}: {}", answer.text());
    };
    put("/v2/auth/users/root", r#"{"user":"root","password":"pw"}"#);
    put("/v2/auth/enable", "");
    let refused = run(at, &["get", "/a"]);
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.err.contains("110: ") && refused.err.contains("--user NAME"), "{refused:?}");
    assert_eq!(run(at, &["get", "/a", "--user", "root:wrong"]).code, 3);
    good(at, &["set", "/a", "1", "-u", "root:pw"]);
    let file = site.folder().join("user");
    std::fs::write(&file, "root:pw\n").expect("a file");
    let file = file.display().to_string();
    assert_eq!(good(at, &["get", "/a", "--user-file", &file]), "1\n");
    for name in ["STEAD_USER", "ETCDCTL_USERNAME"] {
        let output = command(at, &["get", "/a"]).env(name, "root:pw").output();
        assert_eq!(told(output.expect("it runs")).out, "1\n", "{name}");
    }
    let missing = run(at, &["get", "/a", "--user-file", "/nowhere"]);
    assert!(missing.code == 1 && missing.err.contains("cannot read /nowhere"), "{missing:?}");
}

#[test]
fn endpoints_may_be_sockets() {
    let site = Site::new("client-socket").unaddressed();
    let socket = site.folder().join("s");
    let (addr, peer) = (site.addr(), site.peer_addr());
    let flags = format!(
        "-name m0 -listen-client-urls unix://{},http://{addr} -listen-peer-urls http://{peer} \
         -initial-advertise-peer-urls http://{peer}",
        socket.display()
    );
    let site = site.flags(&flags);
    let server = site.start();
    let at = format!("unix://{}", socket.display());
    good(&at, &["set", "/a", "1"]);
    assert_eq!(good(&at, &["get", "/a"]), "1\n");
    drop(server);
    let gone = run(&at, &["get", "/a"]);
    assert!(gone.code == 2 && gone.err.contains(&at), "{gone:?}");
}

#[test]
fn mistakes_get_suggestions_and_help_has_examples() {
    for (args, want) in [
        (&["chek"][..], "did you mean \"check\"?"),
        (&["gett", "/a"], "unknown command \"gett /a\": did you mean \"get\"?"),
        (&["tre"], "did you mean \"tree\"?"),
        (&["config", "shw"], "did you mean \"config show\"?"),
    ] {
        let run = run("x", args);
        assert!(run.code == 2 && run.err.contains(want), "{args:?}: {run:?}");
    }
    let wrong = run("x", &["get", "--quorun", "/a"]);
    assert!(wrong.code == 1 && wrong.err.contains("'--quorum'"), "{wrong:?}");
    let none = run("x y", &["get", "/a"]);
    assert!(none.code == 1 && none.err.contains("STEAD_ENDPOINTS: \"x y\""), "{none:?}");
    let (short, long) = (good("x", &["get", "-h"]), good("x", &["get", "--help"]));
    assert!(long.contains("Examples:\n  stead get ") && !short.contains("Examples:"), "{short}");
    assert_eq!(good("x", &["help", "get"]), long);
    let all = good("x", &["help"]);
    assert!(all.lines().count() < 60 && all.contains("exec-watch"), "{all}");
    for shell in ["bash", "zsh", "fish"] {
        assert!(good("x", &["completion", shell]).contains("exec-watch"), "{shell}");
    }
    let dir = TempDir::new("client-man");
    good("x", &["man", &dir.path().display().to_string()]);
    let page = std::fs::read_to_string(dir.path().join("stead-get.1")).expect("it was written");
    assert!(page.starts_with(".ie") && page.contains("quorum"), "{page}");
    assert!(good("x", &["man"]).contains(".TH stead"));
}
