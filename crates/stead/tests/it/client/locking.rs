//! `lock` and `edit`.

use super::kit::{PATIENCE, Running, command, good, run, told};
use crate::testkit::wait::holds_within;
use crate::testkit::{Server, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

/// The entries of a lock's queue.
fn queue(at: &str, name: &str) -> usize {
    run(at, &["ls", &format!("/_etcd/mod/lock/{name}")]).out.lines().count()
}

fn signal(running: &Running, signal: Signal) {
    let pid = i32::try_from(running.child.id()).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("a process id is positive"), signal).expect("the process is ours");
}

#[test]
fn a_program_holds_the_lock_while_it_runs() {
    let (_site, server) = Server::start("client-lock");
    let at = &server.url();
    let script = "echo $STEAD_LOCK_NAME; echo $STEAD_LOCK_INDEX; exit 3";
    let first = run(at, &["lock", "a/b", "--", "sh", "-c", script]);
    assert_eq!((first.code, first.err.as_str()), (3, ""), "{first:?}");
    let second = run(at, &["lock", "a/b", "--", "sh", "-c", script]);
    let index = |run: &super::kit::Run| {
        assert!(run.out.starts_with("a/b\n"), "{run:?}");
        run.out.lines().nth(1).and_then(|index| index.parse::<u64>().ok()).expect("a number")
    };
    assert!(index(&first) < index(&second), "the index grows with each holder");
    assert_eq!(queue(at, "a/b"), 0);
    let missing = run(at, &["lock", "a/b", "--", "./nowhere"]);
    assert_eq!((missing.code, queue(at, "a/b")), (1, 0), "{missing:?}");

    // The lock outlives its TTL while the program runs, and others wait or give up.
    let args = ["lock", "c", "--ttl", "2", "--", "sh", "-c", "echo held; exec sleep 60"];
    let holder = Running::start(command(at, &args));
    assert_eq!(holder.line(), "held");
    let refused = run(at, &["lock", "c", "--wait", "0", "--", "true"]);
    assert!(refused.code == 4 && refused.err.contains("101: "), "{refused:?}");
    let late = run(at, &["lock", "c", "--wait", "4", "--", "true"]);
    assert!(late.code == 4 && late.err.contains("101: "), "{late:?}");
    assert_eq!(queue(at, "c"), 1, "it was renewed");
    // Signals reach the program, and the lock is given back at its end.
    let mut holder = holder;
    signal(&holder, Signal::TERM);
    assert_eq!(holder.child.wait().expect("it ends").code(), Some(128 + 15));
    assert_eq!(queue(at, "c"), 0);
}

#[test]
fn a_program_whose_lock_is_lost_is_told_to_end() {
    let (_site, server) = Server::start("client-lost");
    let at = &server.url();
    let script = "trap 'kill $!; echo told; exit 0' TERM; echo $STEAD_LOCK_INDEX; sleep 60 & wait";
    let mut command = command(at, &["lock", "a", "--ttl", "3", "--", "sh", "-c", script]);
    command.stderr(Stdio::null());
    let mut holder = Running::start(command);
    let index = holder.line();
    let request = crate::testkit::Request::delete(&format!("/mod/v2/lock/a?index={index}"));
    assert_eq!(crate::testkit::ask(server.addr(), &request).status(), 200);
    assert_eq!(holder.line(), "told");
    assert_eq!(holder.child.wait().expect("it ends").code(), Some(7));
}

#[test]
fn a_lock_without_a_server_of_locks_says_so() {
    let site = crate::testkit::Site::new("client-nolock").flags("-modules=off");
    let server = site.start();
    let none = run(&server.url(), &["lock", "a", "--", "true"]);
    assert!(none.code == 1 && none.err.contains("-modules=off"), "{none:?}");
}

#[test]
fn an_edited_value_is_saved_unless_somebody_was_faster() {
    let (site, server) = Server::start("client-edit");
    let at = &server.url();
    let edit = |editor: &str, key: &str| {
        let mut command = command(at, &["edit", key]);
        command.env("EDITOR", editor).env("STEAD", env!("CARGO_BIN_EXE_stead"));
        command.env("XDG_RUNTIME_DIR", site.folder());
        told(command.output().expect("it runs"))
    };
    let drafts = || {
        let names = std::fs::read_dir(site.folder()).expect("it is there");
        let names = names.map(|entry| entry.expect("a name").path());
        names.filter(|path| path.to_string_lossy().contains("/stead-")).collect::<Vec<_>>()
    };
    good(at, &["set", "/conf.json", "one", "--ttl", "1000"]);
    let saved = edit("sed -i s/one/two/", "/conf.json");
    assert_eq!((saved.code, saved.out.as_str()), (0, "/conf.json: saved\n"), "{saved:?}");
    assert_eq!(good(at, &["get", "/conf.json"]), "two\n");
    let long = good(at, &["get", "-o", "extended", "/conf.json"]);
    assert!(!long.contains("TTL: 0\n"), "the TTL is kept: {long}");
    assert_eq!(edit("true", "/conf.json").out, "/conf.json: unchanged\n");
    assert_eq!(edit("printf new >", "/fresh").out, "/fresh: saved\n");
    assert_eq!(good(at, &["get", "/fresh"]), "new\n");
    let failed = edit("false", "/conf.json");
    assert!(failed.code == 1 && failed.err.contains("nothing was saved"), "{failed:?}");
    assert!(drafts().is_empty(), "{:?}", drafts());

    let race = "sh -c '\"$STEAD\" set /conf.json theirs; echo mine > \"$1\"' sh";
    let lost = edit(race, "/conf.json");
    assert_eq!(lost.code, 4, "{lost:?}");
    for want in ["101: Compare failed", "-two\n", "+theirs\n", "+mine", "your text is in "] {
        assert!(lost.err.contains(want), "no {want:?}: {lost:?}");
    }
    assert_eq!(good(at, &["get", "/conf.json"]), "theirs\n");
    let kept = drafts();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(std::fs::read_to_string(&kept[0]).expect("it is there"), "mine\n");
    let mode = std::fs::metadata(&kept[0]).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(kept[0].to_string_lossy().ends_with("-conf.json"), "{kept:?}");
}

#[test]
fn a_holder_that_is_killed_frees_the_lock_after_its_ttl() {
    let (_site, server) = Server::start("client-killed");
    let at = &server.url();
    let args = ["lock", "a", "--ttl", "1", "--", "sh", "-c", "echo $$; exec sleep 60"];
    let mut holder = Running::start(command(at, &args));
    let program = Pid::from_raw(holder.line().parse().expect("a process id"));
    holder.child.kill().expect("it is ours");
    wait_until("the lock is free", PATIENCE, || queue(at, "a") == 0);
    assert!(holds_within(PATIENCE, || run(at, &["lock", "a", "--", "true"]).code == 0));
    // Nobody could tell the program; it ends with the test.
    kill_process(program.expect("it is positive"), Signal::KILL).expect("it still runs");
}
