//! The client as a process, and servers that misbehave.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::testkit::port;

/// Variables that would change what the client does.
const VARIABLES: [&str; 12] = [
    "STEAD_ENDPOINTS",
    "STEAD_USER",
    "ETCDCTL_ENDPOINTS",
    "ETCDCTL_PEERS",
    "ETCDCTL_USERNAME",
    "ETCDCTL_CA_FILE",
    "ETCDCTL_CERT_FILE",
    "ETCDCTL_KEY_FILE",
    "EDITOR",
    "VISUAL",
    "PAGER",
    "NO_COLOR",
];

/// How long a line of a watch may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// What a command gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) code: i32,
    pub(super) out: String,
    pub(super) err: String,
}

/// The client with its endpoints.
pub(super) fn command(endpoints: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stead"));
    VARIABLES.iter().for_each(|name| {
        command.env_remove(name);
    });
    command.args(args).env("STEAD_ENDPOINTS", endpoints).stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub(super) fn run(endpoints: &str, args: &[&str]) -> Run {
    told(command(endpoints, args).output().expect("the program runs"))
}

pub(super) fn told(output: Output) -> Run {
    let Output { status, stdout, stderr } = output;
    let text = |bytes| String::from_utf8(bytes).expect("it prints text");
    Run { code: status.code().expect("it ends by itself"), out: text(stdout), err: text(stderr) }
}

/// Runs a command that has to succeed silently; gives what it prints.
pub(super) fn good(endpoints: &str, args: &[&str]) -> String {
    let run = run(endpoints, args);
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{args:?}: {run:?}");
    run.out
}

/// Runs a command with `-o json`; gives what it prints.
pub(super) fn json(endpoints: &str, args: &[&str]) -> serde_json::Value {
    let out = good(endpoints, &[args, &["-o", "json"]].concat());
    assert_eq!(out.lines().count(), 1, "{args:?}: one document in one line: {out}");
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{args:?}: {error}: {out}"))
}

/// A command that runs on, and its lines.
pub(super) struct Running {
    pub(super) child: Child,
    lines: Receiver<String>,
}

impl Running {
    pub(super) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program runs");
        let stdout = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let all = stdout.lines().map_while(Result::ok);
            all.take_while(|line| sender.send(line.clone()).is_ok()).count()
        });
        Self { child, lines }
    }

    pub(super) fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line comes in time")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It is ours, and may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that reads whole requests, answers each with the next of its answers, and remembers them.
/// An empty answer closes the connection without a word, and so does the end of the answers.
pub(super) struct Fake {
    pub(super) url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    pub(super) fn start(answers: Vec<String>) -> Self {
        let port = port::free();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is free");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            let mut answers = answers.into_iter();
            for stream in listener.incoming().map_while(Result::ok) {
                let Some(request) = read_request(&stream) else { continue };
                seen.lock().expect("nobody panics with it").push(request);
                let answer = answers.next().unwrap_or_default();
                let _ = (&stream).write_all(answer.as_bytes());
            }
        });
        Self { url: format!("http://127.0.0.1:{port}"), requests }
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("nobody panics with it").clone()
    }
}

/// An answer after which the connection is closed.
pub(super) fn answer(status: u16, headers: &str, body: &str) -> String {
    let len = body.len();
    format!(
        "HTTP/1.1 {status} Status\r\nConnection: close\r\nContent-Length: {len}\r\n{headers}\r\n{body}"
    )
}

fn read_request(mut stream: &TcpStream) -> Option<String> {
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    Some(head + &String::from_utf8(body).ok()?)
}
