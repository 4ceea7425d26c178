//! `lock`: a program that runs while a lock is held.
//!
//! The lock is that of `/mod/v2/lock`, whose queue is fair and whose index grows with each holder:
//! a fencing token for what the program writes elsewhere. The lock is renewed while the program
//! runs. A renewal that fails is tried again for as long as the lock can still be held, counted
//! from when the last good one was sent; then the program is told to end, and killed if it does
//! not.

use crate::client::{Client, Method, Request};
use crate::context::Context;
use crate::failure::{Failure, code};
use crate::key::{self, Pairs};
use crate::options::ttl;
use crate::term::say;
use crate::watch::exit_code;
use clap::Args;
use rustix::process::{Pid, Signal, getpgrp, kill_process};
use rustix::termios::tcgetpgrp;
use serde_json::json;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;
use std::hash::{BuildHasher, RandomState};
use std::process::{Child, Command};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// `stead lock`.
#[derive(Args, Debug)]
pub(crate) struct Lock {
    /// The lock's name
    name: String,
    /// How long the lock outlives this program if that is killed
    #[arg(long, value_name = "TTL", value_parser = ttl, default_value = "30")]
    ttl: u64,
    /// Give up if the lock is not there after so many seconds; 0 for one try
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
    /// Who holds it, as others see it; by default the host's name and this process
    #[arg(long, value_name = "TEXT")]
    value: Option<String>,
    /// The program, and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    program: Vec<String>,
}

/// The exit code after the lock was lost.
const LOST: u8 = 7;

/// How long a program that was told to end may take.
const GRACE: Duration = Duration::from_secs(10);

/// The longest pause between two attempts to renew.
const RETRY: Duration = Duration::from_secs(1);

/// How long a waiting call may take: longer than anybody waits.
const FOREVER: Duration = Duration::from_secs(366 * 86400);

/// A lock that is held.
struct Held {
    path: String,
    index: String,
    ttl: u64,
    /// It holds for the TTL from here on.
    since: Instant,
}

impl Held {
    fn ends(&self) -> Instant {
        self.since + Duration::from_secs(self.ttl)
    }

    /// Makes it hold for another TTL.
    fn renew(&mut self, client: &mut Client) -> Result<(), Failure> {
        let sent = Instant::now();
        let mut form = Pairs::default();
        form.add("ttl", &self.ttl.to_string()).add("index", &self.index);
        // One attempt never takes the time of all.
        let patience = (self.ends() - sent).min(RETRY * 2).max(Duration::from_millis(100));
        let request = Request::write(Method::PUT, self.path.clone(), String::new());
        client.call(&request.form(form.form()).patience(patience))?;
        self.since = sent;
        Ok(())
    }

    fn release(&self, client: &mut Client) -> Result<(), Failure> {
        let mut query = Pairs::default();
        query.add("index", &self.index);
        let request = Request::write(Method::DELETE, query.behind(&self.path), String::new());
        client.call(&request).map(|_| ())
    }
}

pub(crate) fn lock(args: &Lock, cx: &mut Context) -> Result<u8, Failure> {
    let name = key::normal(&args.name)?;
    if name == "/" || !(1..=FOREVER.as_secs()).contains(&args.ttl) {
        let why = "a lock has a name, and a TTL between a second and a year";
        return Err(Failure::Usage(why.to_owned()));
    }
    let Some((program, rest)) = args.program.split_first() else {
        return Err(Failure::Usage("name a program behind `--`".to_owned()));
    };
    // Until here a signal ends this process, and the server gives its place to the next one.
    let mut held = acquire(args, &name, &mut cx.client)?;
    let signals = Signals::new([SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2])
        .map_err(|error| Failure::Local(format!("no signals: {error}")))?;
    let name = name.trim_start_matches('/');
    if cx.is_json() {
        say(&json!({ "event": "acquired", "lock": name, "index": held.index }).to_string());
    }
    let mut command = Command::new(program);
    command.args(rest).env("STEAD_LOCK_NAME", name).env("STEAD_LOCK_INDEX", &held.index);
    let outcome = match command.spawn() {
        Ok(child) => watch_over(child, listen(signals), &mut held, &mut cx.client),
        Err(error) => Err(Failure::Local(format!("cannot run {program}: {error}"))),
    };
    if !matches!(outcome, Ok(LOST))
        && let Err(failure) = held.release(&mut cx.client)
    {
        say(&format!("the lock was not released, and expires within {} s: {failure}", held.ttl));
    }
    outcome
}

fn acquire(args: &Lock, name: &str, client: &mut Client) -> Result<Held, Failure> {
    let path = key::named("/mod/v2/lock", name);
    // A call that broke off is made again with the same value, which keeps the place in the queue.
    let value = args.value.clone().unwrap_or_else(own_value);
    let mut form = Pairs::default();
    form.add("ttl", &args.ttl.to_string()).add("value", &value);
    form.option("timeout", args.wait.map(|wait| wait.to_string()).as_deref());
    let patience = args.wait.map_or(FOREVER, |wait| Duration::from_secs(wait.saturating_add(10)));
    let patience = patience.min(FOREVER);
    let check = format!("stead ls /_etcd/mod/lock{name}");
    let request = Request::write(Method::POST, path.clone(), check).form(form.form());
    let request = request.patience(patience);
    let begun = Instant::now();
    loop {
        let since = Instant::now();
        let refused = match client.call_for(&request, patience) {
            Ok(reply) => {
                let index = String::from_utf8_lossy(&reply.body).trim().to_owned();
                if index.parse::<u64>().is_err() {
                    let why = "the answer is no index of a lock: does this server have locks?";
                    return Err(Failure::Local(why.to_owned()));
                }
                // It holds from when the answer was sent, which is later than this: a waiting call
                // may have taken hours, so it is renewed at once.
                let mut held = Held { path, index, ttl: args.ttl, since };
                if since.elapsed() > Duration::from_secs(1) {
                    held.since = Instant::now();
                    held.renew(client)?;
                }
                return Ok(held);
            }
            Err(failure) => failure,
        };
        let is_lost = matches!(refused, Failure::Unknown { .. });
        if matches!(refused.api_code(), Some(0)) {
            let why = "this server has no locks: it is an etcd, or was started with -modules=off";
            return Err(Failure::Local(why.to_owned()));
        }
        if !is_lost || args.value.is_some() || begun.elapsed() >= patience {
            return Err(refused);
        }
        say(&format!("still waiting for the lock: {refused}; asking again with the same value"));
        thread::sleep(RETRY);
    }
}

/// Host, process and a random number: a value that nobody else has.
fn own_value() -> String {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy().into_owned();
    let random = RandomState::new().hash_one(Instant::now());
    format!("{host}:{}:{random:016x}", std::process::id())
}

/// Signals as they come, from a thread that waits for them.
fn listen(mut signals: Signals) -> Receiver<i32> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for signal in signals.forever() {
            if sender.send(signal).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Waits for the program's end. Renews the lock, and passes signals on.
fn watch_over(
    mut child: Child,
    signals: Receiver<i32>,
    held: &mut Held,
    client: &mut Client,
) -> Result<u8, Failure> {
    let mut next = renewal(held);
    // When the lock is lost: until when the program may run.
    let mut killed_at: Option<Instant> = None;
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Ok(if killed_at.is_some() { LOST } else { exit_code(status) });
        }
        let until = killed_at.unwrap_or(next);
        match signals.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(SIGCHLD) => continue,
            Ok(signal) => {
                pass_on(&child, signal);
                continue;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => thread::sleep(Duration::from_millis(50)),
        }
        if killed_at.is_some() {
            // It was told, and had its time.
            let _ = child.kill();
            killed_at = Some(Instant::now() + GRACE);
        } else if Instant::now() >= next {
            match held.renew(client) {
                Ok(()) => next = renewal(held),
                Err(failure) if is_gone(&failure) || Instant::now() >= held.ends() => {
                    say(&format!("the lock is lost: {failure}; the program is told to end"));
                    send(&child, Signal::TERM);
                    killed_at = Some(Instant::now() + GRACE);
                }
                Err(_) => next = Instant::now() + RETRY.min(Duration::from_secs(held.ttl) / 6),
            }
        }
    }
}

/// When the lock is to be renewed: after a third of its time.
fn renewal(held: &Held) -> Instant {
    held.since + Duration::from_secs(held.ttl) / 3
}

/// Whether the server says that the lock is not held any more.
fn is_gone(failure: &Failure) -> bool {
    failure.api_code() == Some(100) || failure.exit_code() == code::BAD_AUTH
}

fn pass_on(child: &Child, signal: i32) {
    // What is typed at a terminal goes to all programs in its foreground, so the program has it.
    let is_typed = matches!(signal, SIGINT | SIGQUIT)
        && tcgetpgrp(rustix::stdio::stdin()).is_ok_and(|group| group == getpgrp());
    if !is_typed && let Some(signal) = Signal::from_named_raw(signal) {
        send(child, signal);
    }
}

fn send(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended meanwhile.
        let _ = kill_process(pid, signal);
    }
}
