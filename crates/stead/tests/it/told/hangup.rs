//! SIGHUP: the end of a server in a terminal, and a reason to read settings again elsewhere.

use super::PATIENCE;
use crate::testkit::wait::holds_within;
use crate::testkit::{Request, Server, Site, ask, wait_until};
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

/// A terminal and its name.
fn terminal() -> (OwnedFd, String) {
    // The server must not hold the other end of its terminal.
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let terminal = openpt(flags).expect("there are terminals");
    grantpt(&terminal).expect("it is ours");
    unlockpt(&terminal).expect("it is ours");
    let name = ptsname(&terminal, Vec::new()).expect("it has a name");
    (terminal, name.into_string().expect("ASCII"))
}

/// Starts a server in a session of its own, by a script that ends in `exec \"$@\"`. A session
/// without a terminal gets the first that it opens.
fn start(site: &Site, script: &str, terminal: &str) -> Option<Child> {
    let server = site.command();
    let mut command = Command::new("setsid");
    command.args(["sh", "-c", script, "sh"]).arg(server.get_program()).args(server.get_args());
    command.args(["-hangup", "auto"]).env("TERMINAL", terminal).env_remove("STEAD_HANGUP");
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(std::fs::File::create(site.log_path()).unwrap());
    match command.current_dir(site.folder()).spawn() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("this machine has no setsid");
            None
        }
        spawned => Some(spawned.unwrap()),
    }
}

fn log(site: &Site) -> String {
    std::fs::read_to_string(site.log_path()).unwrap_or_default()
}

fn wait_ready(site: &Site) {
    wait_until("it serves", PATIENCE, || {
        let ready = crate::testkit::send(site.addr(), &Request::get("/readyz"));
        ready.is_ok_and(|answer| answer.status() == 200)
    });
}

/// What has a program not pass SIGHUP over though these tests do, as under nohup: a shell cannot
/// take that back.
fn heeding_hangups() -> &'static str {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    let mask = u64::from_str_radix(ignored.trim(), 16).unwrap();
    if mask & 1 == 1 { "env --default-signal=HUP" } else { "" }
}

/// What ends in any case, whatever a test finds.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_terminal_that_closes_ends_its_server() {
    let site = Site::new("told-terminal");
    let (terminal, name) = terminal();
    let script = format!("exec {} \"$@\" <\"$TERMINAL\"", heeding_hangups());
    let Some(child) = start(&site, &script, &name) else { return };
    let mut child = Ended(child);
    wait_ready(&site);
    assert_eq!(ask(site.addr(), &Request::put("/v2/keys/a", "value=1")).status(), 201);
    drop(terminal);
    let mut status = None;
    let has_ended = holds_within(PATIENCE, || {
        status = child.0.try_wait().unwrap();
        status.is_some()
    });
    // Field 7 is its terminal, which has to be there before and gone after.
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.0.id()));
    assert!(has_ended, "it outlives its terminal: {stat:?}\n{}", log(&site));
    assert_eq!(status.and_then(|status| status.code()), Some(0), "{}", log(&site));
    assert!(log(&site).contains("INFO stopping"), "{}", log(&site));
}

#[test]
fn without_a_terminal_or_with_nohup_the_signal_reads_settings_again() {
    for script in ["exec \"$@\"", "trap '' HUP; exec \"$@\" <\"$TERMINAL\""] {
        let site = Site::new("told-no-terminal");
        let (_terminal, name) = terminal();
        let Some(child) = start(&site, script, &name) else { return };
        let mut child = Ended(child);
        wait_ready(&site);
        let pid = rustix::process::Pid::from_child(&child.0);
        rustix::process::kill_process(pid, Signal::HUP).unwrap();
        let want = "SIGHUP: the log level stays INFO";
        wait_until(want, PATIENCE, || log(&site).contains(want));
        assert!(child.0.try_wait().unwrap().is_none(), "{script}");
        assert_eq!(ask(site.addr(), &Request::get("/readyz")).status(), 200);
    }
}

#[test]
fn limits_change_while_a_server_runs() {
    let site = Site::new("told-limits");
    let file = site.folder().join("stead.toml");
    let write = |text: &str| std::fs::write(&file, text).unwrap();
    write("");
    let site = site.flags(&format!("-config {}", file.display()));
    let server = site.start();
    let status = |server: &Server| {
        let value = format!("value={}", "x".repeat(4096));
        ask(server.addr(), &Request::put("/v2/keys/a", &value)).status()
    };
    assert_eq!(status(&server), 201);
    for (text, want, told) in [
        ("[limit]\nbody_bytes = \"2KiB\"\n", 400, "-max-body-bytes is 2KiB now, and was 10MiB"),
        ("[limit]\nbody_bytes = 65536\n", 200, "-max-body-bytes is 64KiB now, and was 2KiB"),
        ("http_read_timeout = \"1m\"\n", 200, "-http-read-timeout is 60s now, and was 300s"),
    ] {
        write(text);
        server.signal(Signal::HUP);
        wait_until(told, PATIENCE, || server.log_text().contains(told));
        wait_until("the limit holds", PATIENCE, || status(&server) == want);
    }
    // What changes at a start alone is passed over.
    write("[limit]\nrequest_timeout = 5\nhistory_bytes = 1\n");
    server.signal(Signal::HUP);
    let told = "SIGHUP: the configuration cannot be read";
    wait_until(told, PATIENCE, || server.log_text().contains(told));
    assert_eq!(status(&server), 200);
}
