//! A server process, from its start to its end.
//!
//! A [`Site`] is where a server lives: ports, data directory, flags. It outlives the process, so
//! that a test can kill the server and start it again on what it left behind.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::dir::TempDir;
use super::http::{Connection, Request};
use super::port;
use super::wait::holds_within;

/// How long a server may take until it answers.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a server may take to end after it was asked to.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// How much of the end of a log is shown when a test fails.
const LOG_BYTES_SHOWN: u64 = 8 << 10;

/// The variable that names another server to test.
const OVERRIDE: &str = "STEAD_TEST_SERVER";

/// The command template of another server, if one is to be tested.
pub(crate) fn template() -> Option<String> {
    std::env::var(OVERRIDE).ok().filter(|t| !t.is_empty())
}

/// Ports, data directory and flags of one server.
pub(crate) struct Site {
    dir: TempDir,
    name: String,
    port: u16,
    peer_port: u16,
    v2_port: Option<u16>,
    data_dir: Option<PathBuf>,
    /// Whether the command line says name and addresses.
    is_addressed: bool,
    flags: Vec<String>,
    /// Variables of its environment beside those of this process.
    variables: Vec<(String, String)>,
}

impl Site {
    pub(crate) fn new(label: &str) -> Self {
        Self {
            dir: TempDir::new(label),
            name: "m0".to_owned(),
            port: port::free(),
            peer_port: port::free(),
            v2_port: None,
            data_dir: None,
            is_addressed: true,
            flags: Vec::new(),
            variables: Vec::new(),
        }
    }

    /// Sets a variable of the server's environment.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds flags, separated by blanks.
    pub(crate) fn flags(mut self, flags: &str) -> Self {
        self.flags.extend(flags.split_whitespace().map(str::to_owned));
        self
    }

    /// Gives the machine another name.
    pub(crate) fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Leaves name and addresses to the flags, which may know other words for them.
    pub(crate) fn unaddressed(mut self) -> Self {
        self.is_addressed = false;
        self
    }

    /// Takes new ports, as a machine that moves does.
    pub(crate) fn move_ports(&mut self) {
        (self.port, self.peer_port) = (port::free(), port::free());
    }

    /// Takes other ports for clients, as a machine whose addresses change does.
    pub(crate) fn move_client_ports(&mut self) {
        self.port = port::free();
        self.v2_port = self.v2_port.map(|_| port::free());
    }

    /// Closes the second client port from the next start on.
    pub(crate) fn close_v2(&mut self) {
        self.v2_port = None;
    }

    /// Takes other flags than before.
    pub(crate) fn set_flags(&mut self, flags: &str) {
        self.flags = flags.split_whitespace().map(str::to_owned).collect();
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Opens the second client port, which speaks as 2.x did.
    pub(crate) fn with_v2(mut self) -> Self {
        self.v2_port = Some(port::free());
        self
    }

    /// Puts the data somewhere else, where the test has prepared something.
    pub(crate) fn with_data_dir(mut self, path: PathBuf) -> Self {
        self.data_dir = Some(path);
        self
    }

    /// A directory of the site's own beside the data.
    pub(crate) fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// The data directory; it does not exist before the first start.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(|| self.dir.path().join("data"))
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        loopback(self.port)
    }

    pub(crate) fn peer_addr(&self) -> SocketAddr {
        loopback(self.peer_port)
    }

    /// The port that speaks as 2.x did. Another server under test has one dialect and one port.
    pub(crate) fn v2_addr(&self) -> SocketAddr {
        match self.v2_port {
            Some(port) if template().is_none() => loopback(port),
            _ => self.addr(),
        }
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.dir.path().join("server.log")
    }

    /// The whole command line.
    pub(crate) fn command(&self) -> Command {
        let mut command = match template() {
            Some(template) => self.fill(&template),
            None => self.own(),
        };
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.args(&self.flags).current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    /// Starts the server and waits until it answers.
    pub(crate) fn start(&self) -> Server {
        self.try_start().unwrap_or_else(|e| panic!("{e}"))
    }

    /// Starts the server and waits until it answers; says why where it does not.
    pub(crate) fn try_start(&self) -> Result<Server, String> {
        let mut server = self.spawn();
        server.wait_ready().map_err(|e| format!("{e}\n{}", tail(&server.log)))?;
        Ok(server)
    }

    /// Starts the server without waiting for it.
    pub(crate) fn spawn(&self) -> Server {
        self.spawn_by(self.command())
    }

    /// The same by a command of the test's own, which becomes the server.
    pub(crate) fn spawn_by(&self, mut command: Command) -> Server {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_path())
            .unwrap_or_else(|e| panic!("{}: {e}", self.log_path().display()));
        let other = log.try_clone().expect("a file handle can be cloned");
        let child = command
            .stdout(log)
            .stderr(other)
            .spawn()
            .unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
        Server {
            child,
            addr: self.addr(),
            peer_addr: self.peer_addr(),
            v2_addr: self.v2_addr(),
            log: self.log_path(),
            ended: None,
        }
    }

    /// Runs the server to its end, which must come soon, and gives status and standard error.
    pub(crate) fn run_to_end(&self) -> (ExitStatus, String) {
        let path = self.dir.path().join("stderr");
        let file = File::create(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut command = self.command();
        let mut child = command
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
        let status = wait_for_end(&mut child, STOP_TIMEOUT);
        let text = std::fs::read_to_string(&path).expect("standard error is text");
        let Some(status) = status else {
            // The process is ours and hung; the test fails either way.
            let _ = child.kill();
            let _ = child.wait();
            panic!("the server still runs after {STOP_TIMEOUT:?}: {text}");
        };
        (status, text)
    }

    fn own(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stead"));
        command.arg("-data-dir").arg(self.data_dir());
        // Tests may run in a terminal, whose end is not that of a server of theirs.
        command.env("STEAD_HANGUP", "reload");
        if !self.is_addressed {
            return command;
        }
        command.args(["-name", &self.name]);
        command.args(["-addr", &self.addr().to_string()]);
        command.args(["-peer-addr", &self.peer_addr().to_string()]);
        if let Some(port) = self.v2_port {
            command.args(["-v2-addr", &loopback(port).to_string()]);
        }
        command
    }

    fn fill(&self, template: &str) -> Command {
        let text = template
            .replace("{port}", &self.port.to_string())
            .replace("{peerport}", &self.peer_port.to_string())
            .replace("{name}", &self.name)
            .replace("{dir}", &self.data_dir().display().to_string());
        let mut words = text.split_whitespace();
        let mut command = Command::new(words.next().expect("a template names a program"));
        command.args(words);
        command
    }
}

/// A running server. Dropping it kills it.
pub(crate) struct Server {
    child: Child,
    addr: SocketAddr,
    peer_addr: SocketAddr,
    v2_addr: SocketAddr,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Server {
    /// A server of its own for one test.
    pub(crate) fn start(label: &str) -> (Site, Self) {
        let site = Site::new(label);
        let server = site.start();
        (site, server)
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn peer_addr(&self) -> SocketAddr {
        self.peer_addr
    }

    pub(crate) fn v2_addr(&self) -> SocketAddr {
        self.v2_addr
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub(crate) fn peer_url(&self) -> String {
        format!("http://{}", self.peer_addr)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process is still there.
    pub(crate) fn is_running(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("a child can be waited for");
        }
        self.ended.is_none()
    }

    /// Ends the process as a power loss would: nothing is flushed, nobody is told.
    pub(crate) fn kill(mut self) {
        self.reap();
    }

    /// Asks for an end and waits for it.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait_end()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process id is positive"), signal).expect("the process is ours");
    }

    /// Waits for an end that something else has caused.
    pub(crate) fn wait_end(&mut self) -> ExitStatus {
        if let Some(status) = self.ended {
            return status;
        }
        let status = wait_for_end(&mut self.child, STOP_TIMEOUT)
            .unwrap_or_else(|| panic!("the server still runs after {STOP_TIMEOUT:?}"));
        self.ended = Some(status);
        status
    }

    /// A number of kilobytes from `/proc/PID/status`, such as `VmRSS`.
    pub(crate) fn memory_kb(&self, field: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))
            .expect("a running process has a status");
        text.lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
            .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
            .unwrap_or_else(|| panic!("no {field} in the process status"))
    }

    /// The log so far.
    /// The log when it has a text in it: a thread of its own writes it, which may be late.
    pub(crate) fn log_with(&self, want: &str) -> String {
        let mut text = String::new();
        let is_there = holds_within(READY_TIMEOUT, || {
            text = self.log_text();
            text.contains(want)
        });
        assert!(is_there, "no {want:?} in the log: {text}");
        text
    }

    pub(crate) fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn wait_ready(&mut self) -> Result<(), String> {
        let mut seen: Option<(String, Instant)> = None;
        let addr = self.addr;
        // Another server may still take internal commands when it first answers. Its index must
        // have stood still for a while, or the index base of a test would move.
        let settle = template().map_or(Duration::ZERO, |_| Duration::from_millis(400));
        let ready = holds_within(READY_TIMEOUT, || {
            if !self.is_running() {
                return true;
            }
            let Some(index) = index_now(addr) else { return false };
            match &seen {
                Some((last, since)) if *last == index => since.elapsed() >= settle,
                _ => {
                    seen = Some((index, Instant::now()));
                    settle.is_zero()
                }
            }
        });
        if !self.is_running() {
            return Err(format!("the server ended with {:?} while starting", self.ended));
        }
        if ready { Ok(()) } else { Err(format!("no answer after {READY_TIMEOUT:?}")) }
    }

    fn reap(&mut self) {
        if self.is_running() {
            // It may end by itself between the look and the kill, which is as good.
            let _ = self.child.kill();
            self.ended = self.child.wait().ok();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.reap();
        if std::thread::panicking() {
            eprintln!("--- end of the log of the server at {}", self.addr);
            eprintln!("{}", tail(&self.log));
            eprintln!("--- it ended with {:?}", self.ended);
        }
    }
}

fn index_now(addr: SocketAddr) -> Option<String> {
    let mut connection = Connection::open(addr).ok()?;
    connection.within(Duration::from_secs(2));
    connection.send(&Request::get("/v2/keys/")).ok()?;
    let response = connection.response("GET").ok()?;
    if response.status() != 200 {
        return None;
    }
    response.head.header("X-Etcd-Index")
}

fn wait_for_end(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let mut status = None;
    holds_within(limit, || {
        status = child.try_wait().expect("a child can be waited for");
        status.is_some()
    });
    status
}

fn tail(path: &Path) -> String {
    let Ok(mut file) = File::open(path) else {
        return String::new();
    };
    let len = file.metadata().map_or(0, |m| m.len());
    let mut bytes = Vec::new();
    // A log that cannot be read is shown as empty.
    let _ = file.seek(SeekFrom::Start(len.saturating_sub(LOG_BYTES_SHOWN)));
    let _ = file.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
