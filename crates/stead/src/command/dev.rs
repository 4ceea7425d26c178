//! `stead dev`: a server in memory, on a free port, for as long as somebody wants it.
//!
//! It is the server itself, which founds a cluster of one: only where its files are differs. Flags,
//! variables and files of a server do not count, so that it is the same one everywhere.

use crate::args::{Args, Flags};
use crate::console::{FAILED, print, say};
use crate::source::{Environment, Usage, Values};
use crate::{logging, resolve};
use rustix::process::{Pid, Signal, getpid, kill_process};
use server::StartError;
use std::io::{ErrorKind, IsTerminal, Read, Write, stdout};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

pub(super) const HELP: &str = "\
stead dev: a server in memory, for trying things out and for tests

Usage:
  stead dev [flags]
  stead dev [flags] -- COMMAND [ARGUMENT...]

Serves on a free port of 127.0.0.1 and prints its URL; ends on Ctrl-C or SIGTERM. Everything is
kept in memory and gone with the process: nothing is read from or written to a disk.

With a COMMAND that runs, with STEAD_ENDPOINTS and ETCDCTL_ENDPOINTS set, as soon as the server
is ready; the server ends when it does, with its exit code (128 and its number for a signal).

Flags:
  --port NUMBER      the port (a free one)
  --compat v04|v2    the dialect of the API: that of etcd 0.4, or of 2.x (v04)
  --verbose          log as a server does, on standard error; otherwise only warnings

Examples:
  stead dev
  stead dev --port 4001
  stead dev -- make test
  stead dev -- sh -c 'stead set /a 1 && stead get /a'
";

pub(super) const FLAGS: Flags = Flags {
    command: "dev",
    valued: &["port", "compat"],
    repeated: &[],
    plain: &["verbose"],
    has_words: true,
};

/// Free ports are looked for so often: another process may take one before the server has it.
const TRIES: usize = 5;

/// How long the server may take until it serves.
const START_TIME: Duration = Duration::from_secs(10);

/// How long a command may take to end that is told to, because the server ends.
const GRACE: Duration = Duration::from_secs(10);

/// How often a look is taken at whether something has come about.
const STEP: Duration = Duration::from_millis(2);

/// The exit code for a command that cannot be run, as shells have it.
const NOT_RUN: u8 = 127;

/// Runs the command.
pub(super) fn run(args: &[String]) -> Result<ExitCode, Usage> {
    let split = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    let (own, command) = args.split_at(split);
    let args = Args::parse(FLAGS, own)?;
    if args.help {
        return Ok(print(HELP));
    }
    let command = match command {
        [] => None,
        [_] => return Err(Usage("a command is missing after --".to_owned())),
        [_, command @ ..] => Some(command.to_vec()),
    };
    if let Some(word) = args.words.first() {
        let hint = "a command to run goes behind two dashes, as in `stead dev -- make test`";
        return Err(Usage(format!("unknown argument {word:?}: {hint}")));
    }
    let port = match args.number("port")?.map(u16::try_from) {
        Some(Err(_)) => return Err(Usage("--port: a number up to 65535 is wanted".to_owned())),
        Some(Ok(port)) if port > 0 => Some(port),
        _ => None,
    };
    serve(&args, port, command.as_deref())
}

fn serve(args: &Args, port: Option<u16>, command: Option<&[String]>) -> Result<ExitCode, Usage> {
    let wish = |port| values(args, port);
    let no_thread = |error| Usage(format!("cannot start a thread: {error}"));
    let (first, mut values) = wish(port)?;
    let (log, _) = logging::start(&values, "dev").map_err(no_thread)?;
    let mut addr = first;
    let mut tries = 0;
    loop {
        tries += 1;
        let config = resolve::config(&mut values)?;
        let running = Running::default();
        let mut waiter = None;
        let ended = server::run_in_memory(config, || {
            let (running, command) = (running.clone(), command.map(<[String]>::to_vec));
            waiter = Some(thread::spawn(move || wait_and_act(addr, command.as_deref(), &running)));
        });
        running.tell_to_end();
        let code = waiter.and_then(|waiter| waiter.join().ok()).flatten();
        log.flush();
        match ended {
            Err(StartError::Listen { source, .. })
                if source.kind() == ErrorKind::AddrInUse && port.is_none() && tries < TRIES =>
            {
                (addr, values) = wish(None)?;
            }
            Err(error) => {
                say(&format!("stead: {error}"));
                return Ok(ExitCode::from(FAILED));
            }
            Ok(()) => return Ok(code.map_or(ExitCode::SUCCESS, ExitCode::from)),
        }
    }
}

/// The address of the server, and its settings.
fn values(args: &Args, port: Option<u16>) -> Result<(SocketAddr, Values), Usage> {
    let no_port = |error| Usage(format!("no port is free: {error}"));
    let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    // Both are open at once, so that they differ.
    let (for_clients, for_peers) = (free().map_err(no_port)?, free().map_err(no_port)?);
    let of = |socket: &TcpListener| socket.local_addr().map_err(no_port);
    let (mut addr, peer) = (of(&for_clients)?, of(&for_peers)?);
    addr.set_port(port.unwrap_or(addr.port()));
    let level = if args.has("verbose") { "info" } else { "warn" };
    let compat = args.value("compat").unwrap_or("v04");
    let args = [
        "-name=dev".to_owned(),
        format!("-data-dir={}", server::MEMORY),
        format!("-addr={addr}"),
        format!("-peer-addr={peer}"),
        format!("-compat={compat}"),
        format!("-log-level={level}"),
        "-hangup=end".to_owned(),
        // So many are always possible, without a word about the limits of the process.
        "-max-connections=500".to_owned(),
    ];
    let read_file = |_: &std::path::Path| Err(ErrorKind::NotFound.into());
    let environment = Environment { args: &args, env: &[], read_file: &read_file };
    Values::gather(&environment).map(|(values, _)| (addr, values))
}

/// Waits until the server serves, and tells so or runs the command; its exit code, if there is one.
fn wait_and_act(addr: SocketAddr, command: Option<&[String]>, running: &Running) -> Option<u8> {
    let end = Instant::now() + START_TIME;
    while !is_ready(addr) {
        if Instant::now() >= end || running.is_over() {
            return None;
        }
        thread::sleep(STEP);
    }
    let Some(command) = command else {
        tell(addr);
        return None;
    };
    let code = running.run(addr, command);
    // As the signal of a user would: the server finishes what it has begun.
    let _ = kill_process(getpid(), Signal::TERM);
    Some(code)
}

/// Whether the server says that it serves. It is listening, so that connecting is at once.
fn is_ready(addr: SocketAddr) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect_timeout(&addr, START_TIME)?;
        stream.set_read_timeout(Some(START_TIME))?;
        let request = format!("GET /readyz HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok::<_, std::io::Error>(status.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}

/// The URL on a line of its own, for whoever reads it by a pipe; what to do with it for people.
fn tell(addr: SocketAddr) {
    let mut text = format!("http://{addr}\n");
    if stdout().is_terminal() {
        text += &format!(
            "\nready; all of it is in memory, and gone when this ends (Ctrl-C)\n\n\
             \x20 export STEAD_ENDPOINTS=http://{addr}\n\
             \x20 stead set /hello world\n\
             \x20 curl http://{addr}/v2/keys/hello\n\n\
             dashboard: http://{addr}/mod/dashboard/\n"
        );
    }
    print(&text);
}

/// The command, while it runs.
#[derive(Clone, Default)]
struct Running(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    child: Option<Child>,
    /// Nothing is started any more.
    is_over: bool,
}

impl Running {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.state().is_over
    }

    /// Runs the command to its end; gives its exit code.
    fn run(&self, addr: SocketAddr, command: &[String]) -> u8 {
        if let Err(code) = self.start(addr, command) {
            return code;
        }
        loop {
            if let Some(child) = &mut self.state().child
                && let Ok(Some(status)) = child.try_wait()
            {
                return exit_code(status);
            }
            thread::sleep(STEP);
        }
    }

    fn start(&self, addr: SocketAddr, command: &[String]) -> Result<(), u8> {
        let mut state = self.state();
        let Some((program, arguments)) = command.split_first().filter(|_| !state.is_over) else {
            return Err(NOT_RUN);
        };
        let mut command = Command::new(program);
        command.args(arguments);
        for name in ["STEAD_ENDPOINTS", "ETCDCTL_ENDPOINTS"] {
            command.env(name, format!("http://{addr}"));
        }
        match command.spawn() {
            Ok(child) => state.child = Some(child),
            Err(error) => {
                say(&format!("stead: cannot run {program}: {error}"));
                return Err(NOT_RUN);
            }
        }
        Ok(())
    }

    /// The server has ended: a command that still runs is told to, and waited for.
    fn tell_to_end(&self) {
        self.state().is_over = true;
        let end = Instant::now() + GRACE;
        let mut is_told = false;
        loop {
            let mut state = self.state();
            let Some(child) = &mut state.child else { return };
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            if !is_told {
                let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
                // It has not been waited for, so that it is still this one.
                let _ = pid.map(|pid| kill_process(pid, Signal::TERM));
                is_told = true;
            } else if Instant::now() >= end {
                let _ = child.kill();
            }
            drop(state);
            thread::sleep(STEP);
        }
    }
}

/// The exit code of a program, as a shell gives it.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(FAILED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_fits_the_terminal() {
        assert!(HELP.lines().all(|line| line.len() <= 100));
    }

    #[test]
    fn no_setting_of_a_server_means_memory() {
        // The name in messages is a path below which nothing can be made.
        let made = std::fs::create_dir_all(server::MEMORY);
        assert!(made.is_err(), "{made:?}");
    }
}
