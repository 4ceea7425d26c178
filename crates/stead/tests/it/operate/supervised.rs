//! A service manager: what it is told, and the sockets that it passes.

use crate::cluster::kit::sites;
use crate::testkit::http::send;
use crate::testkit::{Connection, Request, Server, Site, ask, wait_until};
use rustix::process::Signal;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// Whoever listens at a `NOTIFY_SOCKET`.
struct Manager {
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Manager {
    /// One in the folder of a site, whose server will speak to it.
    fn of(site: Site) -> (Self, Site) {
        let path = site.folder().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let site = site.variable("NOTIFY_SOCKET", path.to_str().unwrap());
        (Self { socket, heard: Vec::new() }, site)
    }

    /// Takes what is there, and gives all that was told so far.
    fn listen(&mut self) -> &[String] {
        let mut buffer = [0; 4096];
        while let Ok(len) = self.socket.recv(&mut buffer) {
            let text = String::from_utf8(buffer[..len].to_vec()).unwrap();
            self.heard.extend(text.lines().map(str::to_owned));
        }
        &self.heard
    }

    fn wait_for(&mut self, what: &str, is_it: impl Fn(&str) -> bool) {
        wait_until(what, PATIENCE, || self.listen().iter().any(|line| is_it(line)));
    }

    fn count(&mut self, line: &str) -> usize {
        self.listen().iter().filter(|told| *told == line).count()
    }
}

#[test]
fn a_manager_is_told_when_it_serves_what_it_does_and_when_it_stops() {
    let (mut manager, site) = Manager::of(Site::new("supervised"));
    let server = site.spawn();
    manager.wait_for("it is ready", |line| line == "READY=1");
    assert_eq!(ask(server.addr(), &Request::get("/health")).status(), 200, "ready means ready");
    manager.wait_for("its role", |line| line.starts_with("STATUS=leads in term"));
    let index = ask(server.addr(), &Request::put("/v2/keys/a", "value=1")).json();
    let index = format!(", 1 member, index {}", index["node"]["modifiedIndex"]);
    manager.wait_for("its index", |line| line.starts_with("STATUS=") && line.ends_with(&index));
    assert_eq!(manager.count("WATCHDOG=1"), 0, "nobody asked for it");
    server.terminate();
    assert_eq!((manager.count("READY=1"), manager.count("STOPPING=1")), (1, 1));
}

#[test]
fn a_member_without_a_majority_says_what_it_waits_for() {
    let all = sites("supervised-trio", 3, "");
    let list: Vec<String> =
        all.iter().map(|site| format!("{}=http://{}", site.name(), site.peer_addr())).collect();
    let list = format!("-initial-cluster {}", list.join(","));
    let mut all = all.into_iter().map(|site| site.flags(&list));
    let (mut manager, first) = Manager::of(all.next().unwrap());
    let _first = first.spawn();
    manager.wait_for("it waits", |line| line.starts_with("STATUS=not ready: "));
    wait_until("its port is open", PATIENCE, || {
        send(first.addr(), &Request::get("/livez")).is_ok()
    });
    assert_eq!(manager.count("READY=1"), 0, "it cannot write yet");
    let _second = all.next().unwrap().spawn();
    manager.wait_for("both are a majority", |line| line == "READY=1");
}

#[test]
fn a_watchdog_hears_of_a_loop_that_goes_round_and_of_no_other() {
    let (mut manager, site) = Manager::of(Site::new("supervised-watchdog"));
    let site = site.variable("WATCHDOG_USEC", "600000");
    let server = site.spawn();
    let signs = |manager: &mut Manager| manager.count("WATCHDOG=1");
    wait_until("it lives", PATIENCE, || signs(&mut manager) >= 5);
    server.signal(Signal::STOP);
    // What was on its way has come by then.
    manager.wait_for("the latest", |line| line == "WATCHDOG=1");
    let before = signs(&mut manager);
    let since = Instant::now();
    wait_until("the time is over", PATIENCE, || since.elapsed() > Duration::from_millis(700));
    assert!(signs(&mut manager) <= before + 1, "a process that stands still says nothing");
    server.signal(Signal::CONT);
    wait_until("it goes on", PATIENCE, || signs(&mut manager) > before + 1);
}

#[test]
fn a_server_that_cannot_start_tells_why() {
    let (mut manager, site) = Manager::of(Site::new("supervised-refused"));
    let _taken = TcpListener::bind(site.addr()).unwrap();
    let (status, _) = site.run_to_end();
    assert_eq!(status.code(), Some(1));
    let at = site.addr().to_string();
    manager
        .wait_for("why", |line| line.starts_with("STATUS=cannot listen on") && line.contains(&at));
    assert_eq!((manager.count("READY=1"), manager.count("STOPPING=1")), (0, 1));
}

/// Starts a site's server with sockets that it gets as systemd passes them: descriptors from 3 on.
/// One of them is enough here, since a shell gets it as its standard input.
fn start_with(site: &Site, socket: OwnedFd) -> Server {
    let mut server = site.spawn_by(with_socket(site, socket));
    wait_until("it serves", PATIENCE, || {
        assert!(server.is_running(), "it ended");
        send(site.addr(), &Request::get("/health")).is_ok_and(|answer| answer.status() == 200)
    });
    server
}

fn with_socket(site: &Site, socket: OwnedFd) -> Command {
    let own = site.command();
    let mut command = Command::new("sh");
    let script = "exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$@\"";
    command.args(["-c", script, "sh"]).arg(own.get_program()).args(own.get_args());
    let variables = own.get_envs().filter_map(|(name, value)| Some((name, value?)));
    command.envs(variables).current_dir(site.folder()).stdin(Stdio::from(socket));
    command
}

#[test]
fn clients_wait_at_a_passed_socket_while_the_server_restarts() {
    let site = Site::new("supervised-sockets");
    let socket = TcpListener::bind(site.addr()).unwrap();
    let pass = || OwnedFd::from(socket.try_clone().unwrap());
    for round in 1..=2 {
        let mut early = Connection::open(site.addr()).expect("the manager listens");
        let put = Request::put("/v2/keys/a", &format!("value={round}"));
        early.send(&put).unwrap();
        let server = start_with(&site, pass());
        let answer = early.within(PATIENCE).response("PUT").unwrap().json();
        assert_eq!(answer["node"]["value"], round.to_string(), "who came before is served");
        server.terminate();
    }
}

#[test]
fn a_unix_socket_is_passed_too_and_its_file_stays() {
    let site = Site::new("supervised-unix");
    let path = site.folder().join("clients");
    let socket = UnixListener::bind(&path).unwrap();
    let flags = format!("-listen-client-urls unix://{},http://{}", path.display(), site.addr());
    let site = site.flags(&flags);
    let server = start_with(&site, OwnedFd::from(socket.try_clone().unwrap()));
    server.terminate();
    assert!(UnixStream::connect(&path).is_ok(), "the manager still listens");
}

#[test]
fn a_socket_that_no_flag_names_is_refused() {
    let site = Site::new("supervised-stranger");
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap();
    let mut server = site.spawn_by(with_socket(&site, socket.into()));
    assert_eq!(server.wait_end().code(), Some(1));
    let log = std::fs::read_to_string(site.log_path()).unwrap();
    assert!(log.contains(&format!("passed a socket at {at}, and no flag names")), "{log}");
}
