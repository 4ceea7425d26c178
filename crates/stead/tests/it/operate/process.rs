//! What a server does with the little that the system lets it have.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::testkit::{Connection, Request, Server, Site, ask, wait_until};

/// The server's command line behind limits that the shell sets.
fn limited(site: &Site, limits: &str) -> Command {
    let own = site.command();
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{limits} && exec \"$0\" \"$@\""));
    command.arg(own.get_program()).args(own.get_args()).current_dir(site.folder());
    let log = fs::File::create(site.log_path()).unwrap();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command
}

/// Starts the server, which must end with code 1 and a line that holds all of `want`.
fn assert_refused(limits: &str, want: &[&str]) {
    let site = Site::new("limited");
    let mut child = limited(&site, limits).spawn().unwrap();
    let mut status = None;
    wait_until("the server ends", Duration::from_secs(20), || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    let text = fs::read_to_string(site.log_path()).unwrap();
    assert_eq!(status.and_then(|status| status.code()), Some(1), "{text}");
    for word in want {
        assert!(text.lines().last().unwrap_or_default().contains(word), "{word:?}: {text}");
    }
    assert!(!site.data_dir().exists(), "nothing is made before the limits are known to do");
}

#[test]
fn too_few_descriptors_are_said_at_the_start() {
    for limit in [12, 40, 79] {
        let said = format!("only {limit} files may be open at once");
        assert_refused(&format!("ulimit -n {limit}"), &[&said, "needs 80", "ulimit -n"]);
    }
}

#[test]
fn a_file_size_below_that_of_a_segment_is_said_at_the_start() {
    // Shells count in blocks of 512 or 1024 bytes.
    assert_refused("ulimit -f 2048", &["no file may be larger than", "ulimit -f"]);
}

#[test]
fn connections_are_fewer_than_descriptors_and_the_rest_are_told() {
    let site = Site::new("clamped");
    let mut child = limited(&site, "ulimit -n 100").spawn().unwrap();
    let mut held = Vec::new();
    wait_until("the server answers", Duration::from_secs(20), || {
        std::net::TcpStream::connect(site.addr()).is_ok() || child.try_wait().unwrap().is_some()
    });
    for _ in 0..60 {
        let mut connection = Connection::open(site.addr()).unwrap();
        connection.within(Duration::from_secs(10));
        let answer = connection.exchange(&Request::get("/v2/keys/")).unwrap();
        held.push((answer.status(), connection));
    }
    let served = held.iter().filter(|(status, _)| *status == 200).count();
    let refused = held.iter().filter(|(status, _)| *status == 503).count();
    // One or the other of the start may still be closing.
    assert!((34..=36).contains(&served), "{served} served, {refused} refused");
    assert_eq!(served + refused, 60);
    child.kill().unwrap();
    child.wait().unwrap();
    let text = fs::read_to_string(site.log_path()).unwrap();
    assert!(text.contains("36 connections are accepted instead of 65536"), "{text}");
}

/// Lets a process that runs open so many files.
fn set_file_limit(server: &Server, limit: u64) {
    let pid = i32::try_from(server.pid()).ok().and_then(Pid::from_raw);
    let new = Rlimit { current: Some(limit), maximum: prlimit_maximum(pid) };
    prlimit(pid, Resource::Nofile, new).unwrap();
}

fn prlimit_maximum(pid: Option<Pid>) -> Option<u64> {
    // Raising to what is there already changes nothing and tells what it is.
    let own = rustix::process::getrlimit(Resource::Nofile);
    let same = Rlimit { current: own.maximum, maximum: own.maximum };
    prlimit(pid, Resource::Nofile, same).map_or(own.maximum, |old| old.maximum)
}

#[test]
fn whoever_waits_for_a_descriptor_is_served_as_soon_as_there_is_one() {
    let (_site, server) = Server::start("descriptors");
    let in_use = fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count();
    set_file_limit(&server, in_use as u64 + 4);
    let open = || {
        let mut connection = Connection::open(server.addr()).unwrap();
        connection.within(Duration::from_millis(300));
        connection.send(&Request::get("/v2/keys/")).unwrap();
        connection
    };
    let mut waiting = Vec::new();
    let mut served = Vec::new();
    for _ in 0..12 {
        let mut connection = open();
        match connection.response("GET") {
            Ok(answer) if answer.status() == 200 => served.push(connection),
            _ => waiting.push(connection),
        }
    }
    assert!(!served.is_empty() && waiting.len() > 2, "{} wait", waiting.len());
    // Room is made by connections that end; nobody new comes.
    let mut last = waiting.pop().unwrap();
    drop((served, waiting));
    last.within(Duration::from_secs(5));
    assert_eq!(last.response("GET").unwrap().status(), 200);
    // And the log was told once.
    let text = server.log_with("cannot accept connections");
    assert_eq!(text.matches("cannot accept connections").count(), 1, "{text}");
    drop(last);
    assert_eq!(ask(server.addr(), &Request::put("/v2/keys/a", "value=1")).status(), 201);
}

#[test]
fn whoever_waits_for_a_descriptor_is_served_when_the_limit_is_raised() {
    let (_site, server) = Server::start("raised");
    // Fewer than it has: not one more can be opened.
    set_file_limit(&server, 3);
    let mut connection = Connection::open(server.addr()).unwrap();
    connection.within(Duration::from_millis(300));
    connection.send(&Request::get("/v2/keys/")).unwrap();
    assert!(connection.response("GET").is_err());
    set_file_limit(&server, 1000);
    connection.within(Duration::from_secs(5));
    assert_eq!(connection.response("GET").unwrap().status(), 200);
}

/// Audit 15b: whoever reads the log could end the server by going away, and hold it up by not
/// reading.
#[test]
fn a_log_that_nobody_reads_ends_nothing_and_holds_up_nobody() {
    for reader_goes in [true, false] {
        let site = Site::new("log-reader").flags("-log-level debug");
        let mut command = site.command();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let reader = child.stderr.take().unwrap();
        wait_until("it serves", Duration::from_secs(20), || {
            crate::testkit::send(site.addr(), &Request::get("/readyz"))
                .is_ok_and(|answer| answer.status() == 200)
        });
        let held = if reader_goes { None } else { Some(reader) };
        let pid = Pid::from_child(&child);
        // Each says a line or two; a pipe that nobody reads takes some hundred.
        for _ in 0..2000 {
            rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
            std::thread::sleep(Duration::from_micros(200));
        }
        for number in 0..50 {
            let put = Request::put("/v2/keys/a", &format!("value={number}"));
            assert!(ask(site.addr(), &put).status() < 300);
        }
        assert!(child.try_wait().unwrap().is_none(), "it runs");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let mut status = None;
        wait_until("it ends", Duration::from_secs(20), || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
        assert_eq!(status.and_then(|status| status.code()), Some(0));
        drop(held);
    }
}
