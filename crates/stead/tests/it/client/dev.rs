//! `stead dev`: a server in memory, alone or around a program.

use super::kit::{PATIENCE, Run, Running, command, good, run, told};
use crate::testkit::wait::holds_within;
use crate::testkit::{TempDir, port};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Stdio;

fn signal(running: &Running, signal: Signal) {
    let pid = i32::try_from(running.child.id()).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("a process id is positive"), signal).expect("the process is ours");
}

fn end(running: &mut Running) -> Option<i32> {
    let mut code = None;
    assert!(
        holds_within(PATIENCE, || {
            code = running.child.try_wait().expect("it is ours");
            code.is_some()
        }),
        "it still runs"
    );
    code.and_then(|status| status.code())
}

#[test]
fn it_serves_from_memory_and_leaves_nothing_behind() {
    let dir = TempDir::new("client-dev");
    let start = |args: &[&str]| {
        let mut command = command("", &[&["dev"], args].concat());
        // What a server takes from its environment does not count.
        command.current_dir(dir.path()).env("ETCD_DATA_DIR", "data").env("STEAD_NO", "x");
        // That of the tests may be a file.
        command.stderr(Stdio::null());
        Running::start(command)
    };
    let (mut first, mut second) = (start(&[]), start(&["--compat", "v2"]));
    let (one, two) = (first.line(), second.line());
    assert_ne!(one, two);
    good(&one, &["set", "/a", "1"]);
    good(&two, &["set", "/a", "2"]);
    assert_eq!(
        (good(&one, &["get", "/a"]), good(&two, &["get", "/a"])),
        ("1\n".into(), "2\n".into())
    );
    // More than a segment of the log.
    let values = TempDir::new("client-dev-values");
    let value = values.path().join("value");
    std::fs::write(&value, "x".repeat(5 << 20)).expect("the disk works");
    for _ in 0..4 {
        let stdin = File::open(&value).expect("it is there");
        let set = command(&one, &["set", "/large", "-"]).stdin(stdin).output();
        assert_eq!(told(set.expect("the program runs")).code, 0);
    }
    assert_eq!(good(&one, &["health"]).lines().last(), Some("cluster is healthy"));

    let open = std::fs::read_dir(format!("/proc/{}/fd", first.child.id())).expect("it runs");
    let open: Vec<String> = open
        .filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok())
        .map(|target| target.display().to_string())
        .collect();
    assert!(open.iter().any(|target| target.starts_with("/memfd:")), "{open:?}");
    let on_disk = |target: &&String| target.starts_with('/') && !target.starts_with("/memfd:");
    let on_disk: Vec<_> = open.iter().filter(on_disk).collect();
    assert!(on_disk.iter().all(|target| target.starts_with("/dev/")), "{on_disk:?}");

    signal(&first, Signal::TERM);
    signal(&second, Signal::INT);
    assert_eq!((end(&mut first), end(&mut second)), (Some(0), Some(0)));
    assert_eq!(std::fs::read_dir(dir.path()).expect("it is ours").count(), 0);
    assert_eq!(run(&one, &["get", "/a"]).code, 2, "nobody serves any more");
}

#[test]
fn a_program_runs_with_it_and_gives_the_exit_code() {
    let script = "echo $STEAD_ENDPOINTS $ETCDCTL_ENDPOINTS; $0 set /a 1; $0 get /b";
    let stead = env!("CARGO_BIN_EXE_stead");
    let Run { code, out, err } = run("", &["dev", "--", "sh", "-c", script, stead]);
    let lines: Vec<&str> = out.lines().collect();
    let [urls, value] = lines[..] else { panic!("{out}{err}") };
    let (ours, theirs) = urls.split_once(' ').expect("there are two");
    assert!(ours == theirs && ours.starts_with("http://127.0.0.1:"), "{urls}");
    assert_eq!((value, code), ("1", 4), "{err}");
    assert!(err.starts_with("Error:  100: Key not found (/b)"), "{err}");
    assert_eq!(run("", &["dev", "--", "sh", "-c", "kill -9 $$"]).code, 128 + 9);
    let missing = run("", &["dev", "--", "./nowhere"]);
    assert_eq!(missing.code, 127, "{missing:?}");
    assert!(missing.err.contains("cannot run ./nowhere"), "{missing:?}");

    // A signal ends both.
    let script = "trap 'echo told; exit 9' TERM; echo here; while :; do sleep 0.05; done";
    let mut running = Running::start(command("", &["dev", "--", "sh", "-c", script]));
    assert_eq!(running.line(), "here");
    signal(&running, Signal::TERM);
    assert_eq!(running.line(), "told");
    assert_eq!(end(&mut running), Some(9));
}

#[test]
fn its_port_can_be_chosen_and_mistakes_are_named() {
    let port = port::free();
    let text = port.to_string();
    let mut running = Running::start(command("", &["dev", "--port", &text]));
    assert_eq!(running.line(), format!("http://127.0.0.1:{port}"));
    let taken = run("", &["dev", "--port", &text]);
    assert_eq!((taken.code, taken.out.as_str()), (1, ""), "{taken:?}");
    assert!(taken.err.contains(&format!("127.0.0.1:{port}: the address is in use")), "{taken:?}");
    signal(&running, Signal::TERM);
    assert_eq!(end(&mut running), Some(0));
    let _again = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("it is free again");
    for (args, want) in [
        (&["dev", "x"][..], "unknown argument \"x\": a command to run goes behind two dashes"),
        (&["dev", "--"], "a command is missing"),
        (&["dev", "--port", "65536"], "--port: a number up to 65535"),
        (&["dev", "--compat", "v3"], "v04"),
        (&["dev", "--data-dir", "x"], "unexpected argument '--data-dir' found; run"),
    ] {
        let mut command = command("", args);
        let refused = told(command.stdout(Stdio::piped()).output().expect("it runs"));
        assert_eq!((refused.code, refused.out.as_str()), (2, ""), "{refused:?}");
        assert!(refused.err.contains(want), "{refused:?}");
    }
}
