//! `bench`: a load test for people.
//!
//! It writes below a hidden directory of its own, which is removed at the end. If that fails, or
//! this process is killed, the directory expires. A signal ends the measurement, not the removal.

mod report;
mod tally;
mod worker;

use crate::client::{Client, Method, Request};
use crate::context::Context;
use crate::failure::Failure;
use crate::key::{self, Pairs};
use crate::options::time;
use crate::prompt;
use crate::term::{Screen, print, say};
use clap::{Args, ValueEnum};
use report::Report;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tally::Tally;
use worker::Worker;

/// How long a measurement may take.
const TIME_MAX: Duration = Duration::from_secs(600);

/// How long the directory lives beyond the measurement.
const SPARE_TIME: Duration = Duration::from_secs(120);

/// How often progress is shown.
const STEP: Duration = Duration::from_millis(200);

/// The exit code after a signal, as a shell has it.
const INTERRUPTED: u8 = 130;

/// What is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Load {
    /// Write keys.
    Put,
    /// Read keys that were written before.
    Get,
    /// Read three times for each write.
    #[default]
    Mixed,
    /// Write, and wait for the event.
    Watch,
}

/// `stead bench`.
#[derive(Args, Debug)]
pub(crate) struct Bench {
    /// What is done
    #[arg(value_enum, default_value = "mixed", value_name = "LOAD")]
    load: Load,
    /// How long: up to 10m
    #[arg(long = "for", value_name = "TIME", value_parser = bounded_time, default_value = "5s")]
    duration: Duration,
    /// Connections, each with one request at a time: up to 256
    #[arg(long, value_name = "NUMBER", default_value_t = 16)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=256))]
    connections: u16,
    /// Bytes of a value: up to 1000000
    #[arg(long, value_name = "BYTES", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    value_size: u32,
    /// Keys that are written and read: up to 100000
    #[arg(long = "keys", value_name = "NUMBER", default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    key_count: u32,
    /// Read what a majority has
    #[arg(long)]
    quorum: bool,
    /// Do not ask before writing to a cluster elsewhere
    #[arg(long, short)]
    yes: bool,
}

fn bounded_time(text: &str) -> Result<Duration, String> {
    match time(text)? {
        time if time > TIME_MAX => Err("at most 10m".to_owned()),
        time => Ok(time),
    }
}

/// What all connections share.
struct Shared<'a> {
    args: &'a Bench,
    /// The directory.
    dir: String,
    /// Whether a signal came.
    is_stopped: Arc<AtomicBool>,
    /// Requests that were answered without an error.
    done: AtomicU64,
}

impl Shared<'_> {
    fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }

    /// The key with a number.
    fn key(&self, number: u64) -> String {
        format!("{}/{number}", self.dir)
    }
}

pub(crate) fn bench(args: &Bench, cx: &mut Context) -> Result<u8, Failure> {
    agree(args, &cx.client)?;
    let is_stopped = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let failed = |error| Failure::Local(format!("cannot listen to signals: {error}"));
        // The second one ends the process at once.
        let flag = Arc::clone(&is_stopped);
        signal_hook::flag::register_conditional_shutdown(signal, INTERRUPTED.into(), flag)
            .map_err(failed)?;
        signal_hook::flag::register(signal, Arc::clone(&is_stopped)).map_err(failed)?;
    }
    let random = RandomState::new().hash_one(Instant::now());
    let dir = format!("/_bench-{random:016x}");
    let shared = Shared { args, dir, is_stopped, done: AtomicU64::new(0) };
    make_dir(&shared, &mut cx.client)?;
    let measured = run(&shared, &cx.client);
    let removed = remove_dir(&shared, &mut cx.client);
    let report = measured?;
    print(&if cx.is_json() { report.json() } else { report.text() })?;
    removed?;
    match report.first_failure() {
        Some(failure) => Ok(failure.exit_code()),
        None if shared.is_stopped() => Ok(INTERRUPTED),
        None => Ok(0),
    }
}

/// Asks whether a cluster elsewhere may be written to, and says so on a terminal in any case.
fn agree(args: &Bench, client: &Client) -> Result<(), Failure> {
    let places = client.endpoints().join(",");
    let seconds = args.duration.as_secs_f64();
    let text = format!("this writes to {places} for {seconds} s");
    if args.yes || client.is_local() {
        if Screen::of_stderr().is_terminal {
            say(&text);
        }
        return Ok(());
    }
    match prompt::ask(&format!("{text}: go on? [y/N]")).as_deref() {
        Some("y" | "Y" | "yes") => Ok(()),
        Some(_) => Err(Failure::Local("nothing was done".to_owned())),
        None => Err(Failure::Usage(format!("{text}: say --yes if it may"))),
    }
}

fn make_dir(shared: &Shared<'_>, client: &mut Client) -> Result<(), Failure> {
    let lives = (shared.args.duration + SPARE_TIME).as_secs();
    let mut form = Pairs::default();
    form.add("dir", "true").add("prevExist", "false").add("ttl", &lives.to_string());
    let check = format!("stead ls {}", shared.dir);
    let request = Request::write(Method::PUT, key::path(&shared.dir), check);
    client.call(&request.form(form.form())).map(drop)
}

fn remove_dir(shared: &Shared<'_>, client: &mut Client) -> Result<(), Failure> {
    let dir = &shared.dir;
    let path = format!("{}?recursive=true", key::path(dir));
    let request = Request::write(Method::DELETE, path, format!("stead ls {dir}"));
    client.call(&request).map(drop).map_err(|why| Failure::Stopped {
        done: format!("measured; {dir} could not be removed, and expires by itself"),
        why: Box::new(why),
    })
}

/// Prepares the keys and measures.
fn run<'a>(shared: &'a Shared<'a>, client: &Client) -> Result<Report<'a>, Failure> {
    let args = shared.args;
    let workers: Result<Vec<Worker<'_>>, Failure> =
        (0..args.connections).map(|number| Worker::new(shared, client, number.into())).collect();
    let mut workers = workers?;
    if matches!(args.load, Load::Get | Load::Mixed) {
        together(&mut workers, shared, "preparing", Worker::prepare)?
            .into_iter()
            .collect::<Result<(), Failure>>()?;
        shared.done.store(0, Ordering::Relaxed);
    }
    let begun = Instant::now();
    let end = begun + args.duration;
    let tallies = together(&mut workers, shared, "measuring", |worker| worker.work(end))?;
    let took = begun.elapsed();
    let mut all = Tally::default();
    tallies.into_iter().for_each(|one| all.add(one));
    let endpoints = client.endpoints().into_iter().map(str::to_owned).collect();
    Ok(Report { args, endpoints, took, is_interrupted: shared.is_stopped(), tally: all })
}

/// Has all workers do something at the same time, and shows on a terminal how far they are.
fn together<'a, T: Send>(
    workers: &mut [Worker<'a>],
    shared: &Shared<'_>,
    what: &str,
    act: impl Fn(&mut Worker<'a>) -> T + Sync,
) -> Result<Vec<T>, Failure> {
    let screen = Screen::of_stderr();
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for worker in workers {
            let act = &act;
            let started = thread::Builder::new().spawn_scoped(scope, move || act(worker));
            threads.push(started.map_err(|error| {
                shared.is_stopped.store(true, Ordering::Relaxed);
                Failure::Local(format!("cannot start a thread: {error}"))
            })?);
        }
        let begun = Instant::now();
        while screen.is_terminal && !threads.iter().all(thread::ScopedJoinHandle::is_finished) {
            let done = shared.done.load(Ordering::Relaxed);
            eprint_progress(&format!("{what}: {done}, {:.1} s", begun.elapsed().as_secs_f64()));
            thread::sleep(STEP);
        }
        if screen.is_terminal {
            eprint_progress("");
        }
        let panicked = |_| Failure::Local("a thread ended in the middle".to_owned());
        threads.into_iter().map(|thread| thread.join().map_err(panicked)).collect()
    })
}

/// Puts a line in the place of the last one, on standard error.
fn eprint_progress(line: &str) {
    use std::io::Write;
    // Nobody is left to tell if this fails.
    let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
}
