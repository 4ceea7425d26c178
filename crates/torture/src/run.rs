//! A run: windows of faults, a quiet moment after each, and the judgement.

use crate::Args;
use crate::admin;
use crate::fault::{self, Fault};
use crate::http::{self, Answer};
use crate::judge;
use crate::lab::Lab;
use crate::login::Login;
use crate::record::{self, Shared, What, Window};
use crate::report::Report;
use crate::watch::Watcher;
use crate::work::{self, Client};
use serde_json::Value;
use sim::history::{Kind, Outcome};
use sim::rng::Rng;
use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Clients that read and write, clients of locks made of keys, clients of the lock module.
const WORKERS: usize = 8;
const LOCKERS: usize = 3;
const MODULERS: usize = 3;

/// Watchers that move from member to member.
const MOVERS: usize = 4;

/// How long faults are made in one window. Histories are judged as a whole, so it is bounded.
const WINDOW: Duration = Duration::from_secs(40);

/// How long the quiet moment may take: the longest time to live, and a second for each step.
const QUIET: Duration = Duration::from_secs(20);

/// Runs until the time is over, a violation is found or a signal comes; says whether all was well.
pub(crate) fn run(args: &Args) -> Result<bool, String> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [2, 15] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(|e| e.to_string())?;
    }
    let seed = args.seed;
    println!("torture: seed {seed}, {} members, {:?}", args.members, args.duration);
    let mut lab = Lab::make(&args.binary, args.members, args.is_loopback, args.with_tls)?;
    let ground = if lab.net.is_some() { "network namespaces" } else { "loopback" };
    println!("torture: on {ground}, in {}", lab.dir().display());
    let mut possible = Vec::new();
    for fault in &args.faults {
        match fault.missing(&lab) {
            None => possible.push(*fault),
            Some(what) => println!("torture: {} left out: it needs {what}", fault.name()),
        }
    }
    let shared = Shared::new(lab.addrs());
    let mut report = Report::new();
    if let Err(text) = lab.start() {
        lab.keep();
        return Err(format!("{text}; logs and data are in {}", lab.dir().display()));
    }
    println!("torture: whole after {:?}", report.began.elapsed());
    let mut rng = Rng::new(seed);
    thread::scope(|scope| {
        start_clients(scope, &shared, &mut rng);
        let path = lab.dir().join("gauge");
        let shared = &shared;
        scope.spawn(move || gauge(shared, &path));
        let began = Instant::now();
        let mut nemesis = Nemesis { args, possible, lab: &mut lab, shared, rng, queue: vec![] };
        while began.elapsed() < args.duration
            && report.violations.is_empty()
            && !stop.load(Ordering::Relaxed)
        {
            let left = args.duration.saturating_sub(began.elapsed()).min(WINDOW);
            if let Err(text) = nemesis.window(left, &stop, &mut report) {
                report.violations.push(text);
            }
            report.violations.extend(shared.violations());
        }
        shared.is_over.store(true, Ordering::Relaxed);
    });
    if !report.violations.is_empty() {
        report.keep(&mut lab, &shared);
    }
    report.print(stop.load(Ordering::Relaxed));
    Ok(report.violations.is_empty())
}

fn start_clients<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    shared: &'scope Shared,
    rng: &mut Rng,
) {
    for id in 0..WORKERS + LOCKERS + MODULERS + 1 {
        let client = Client::new(shared, id, rng.fork());
        scope.spawn(move || match id {
            id if id < WORKERS => work::run(client),
            id if id < WORKERS + LOCKERS => work::run_lock(client),
            id if id < WORKERS + LOCKERS + MODULERS => work::run_module(client),
            _ => admin::run(client),
        });
    }
    for (id, member) in watchers(shared).into_iter().enumerate() {
        let watcher = Watcher::new(shared, id, member, rng.fork());
        scope.spawn(move || watcher.run());
    }
}

/// The member of each watcher; none for those that move.
fn watchers(shared: &Shared) -> Vec<Option<usize>> {
    let staying = (0..shared.addrs.len()).map(Some);
    staying.chain(std::iter::repeat_n(None, MOVERS)).collect()
}

/// How long the machine itself may take for a small write and its sync, before what members took
/// meanwhile says nothing about them.
const STALL_MAX: Duration = Duration::from_millis(250);

/// Measures the machine: what a small write and its sync took at most, in microseconds.
fn gauge(shared: &Shared, path: &Path) {
    let Ok(mut file) = File::create(path) else { return };
    while !shared.is_over() {
        let start = Instant::now();
        thread::sleep(Duration::from_millis(20));
        if file.write_all(&[1; 4096]).and_then(|()| file.sync_data()).is_err() {
            return;
        }
        let took = start.elapsed().saturating_sub(Duration::from_millis(20));
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        shared.stall.fetch_max(took, Ordering::Relaxed);
        // The same blocks again and again: the file does not grow.
        if file.rewind().is_err() {
            return;
        }
    }
}

struct Nemesis<'a> {
    args: &'a Args,
    possible: Vec<Fault>,
    lab: &'a mut Lab,
    shared: &'a Shared,
    rng: Rng,
    /// Faults that come next: each kind comes once before any comes again.
    queue: Vec<Fault>,
}

impl Nemesis<'_> {
    fn window(
        &mut self,
        length: Duration,
        stop: &AtomicBool,
        report: &mut Report,
    ) -> Result<(), String> {
        let number = report.windows + 1;
        self.open(number)?;
        let began = Instant::now();
        while began.elapsed() < length && !stop.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(self.rng.range(300, 1200)));
            self.fault(number, report)?;
        }
        report.windows = number;
        self.close(number, report)
    }

    /// Clients begin with empty directories and an empty history.
    fn open(&mut self, number: u64) -> Result<(), String> {
        let put = ("PUT", "/v2/keys/window", &*format!("value={number}"));
        let answer = self.until_ok(put)?;
        let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let base = body["node"]["modifiedIndex"].as_u64().ok_or("a write has no index")?;
        let watchers = watchers(self.shared).into_iter().enumerate();
        *self.shared.window() = Window {
            number,
            watchers: watchers.map(|(id, member)| Watcher::told(id, member, base)).collect(),
            ..Window::default()
        };
        if self.args.users_from.is_some_and(|from| number >= from) {
            admin::prepare(self.shared, number)?;
        }
        self.shared.epoch.fetch_add(1, Ordering::SeqCst);
        self.shared.is_paused.store(false, Ordering::SeqCst);
        Ok(())
    }

    fn fault(&mut self, number: u64, report: &mut Report) -> Result<(), String> {
        let Some(fault) = self.next() else { return Ok(()) };
        let ended = fault
            .run(self.lab, self.shared, &mut self.rng)
            .map_err(|text| format!("{}: {text}", fault.name()))?;
        self.shared.stall.store(0, Ordering::Relaxed);
        let mut slowest = Duration::ZERO;
        let limit = Duration::from_secs(30);
        // All are asked at once: one must not wait for the answer of another.
        let times: Vec<Option<Duration>> = thread::scope(|scope| {
            let shared = self.shared;
            let ask =
                |at| scope.spawn(move || work::until_written(shared, at, number, ended, limit));
            let asked: Vec<_> = (0..self.shared.addrs.len()).map(ask).collect();
            asked.into_iter().map(|one| one.join().ok().flatten()).collect()
        });
        for (at, time) in times.into_iter().enumerate() {
            let time = time.ok_or_else(|| {
                format!("{}: m{at} takes no writes {limit:?} after its end", fault.name())
            })?;
            slowest = slowest.max(time);
        }
        let stall = Duration::from_micros(self.shared.stall.load(Ordering::Relaxed));
        let is_judged = slowest <= self.args.recovery || stall <= STALL_MAX;
        let entry = report.faults.entry(fault.name()).or_default();
        entry.0 += 1;
        let at = report.began.elapsed().as_secs_f64();
        println!("{at:>7.1} s  {}: writes after {slowest:.1?}", fault.name());
        if is_judged {
            entry.1 = entry.1.max(slowest);
        } else {
            report.not_judged += 1;
            println!("{at:>7.1} s  not judged: the machine itself stalled for {stall:.1?}");
        }
        if slowest > self.args.recovery && is_judged {
            return Err(format!("{}: writes only after {slowest:?}", fault.name()));
        }
        self.shared.epoch.fetch_add(1, Ordering::SeqCst);
        fault::settle(self.lab).map_err(|text| format!("{}: {text}", fault.name()))?;
        self.lab.wait_whole().map_err(|text| format!("{}: {text}", fault.name()))
    }

    fn next(&mut self) -> Option<Fault> {
        if self.queue.is_empty() {
            self.queue.clone_from(&self.possible);
            for at in (1..self.queue.len()).rev() {
                self.queue.swap(at, self.rng.index(at + 1));
            }
        }
        self.queue.pop()
    }

    /// Waits until everything is quiet, and judges.
    fn close(&mut self, number: u64, report: &mut Report) -> Result<(), String> {
        self.shared.is_paused.store(true, Ordering::SeqCst);
        wait("clients to pause", || self.shared.busy.load(Ordering::SeqCst) == 0)?;
        let dir = record::dir(number);
        wait("mortal keys to go", || {
            let target = format!("/v2/keys{dir}?recursive=true&quorum=true");
            let answer = self.get(0, &target);
            answer.is_some_and(|answer| {
                let has = |name: &str| answer.body.contains(&format!("\"{dir}/{name}/"));
                !has("t") && !has("l")
            })
        })?;
        self.last_writes(number)?;
        let listing = self.equal(number)?;
        let counts = self.shared.window().rights.counts;
        if counts {
            admin::verify(self.shared, number)?;
        }
        let window = std::mem::take(&mut *self.shared.window());
        let (sums, wrong) = judge::judge(&window, &judge::in_order(number, &listing));
        report.judged(number, sums, wrong.is_empty());
        let named = window.rights.named;
        let found = self.shared.violations();
        if !wrong.is_empty() || !found.is_empty() {
            *self.shared.window() = window;
            report.violations.extend(found.into_iter().chain(wrong));
            return Ok(());
        }
        if counts {
            admin::clear(self.shared, number, named)?;
        }
        let target = format!("/v2/keys{dir}?recursive=true");
        self.until_ok(("DELETE", &target, "")).map(|_| ())
    }

    /// One more event for every watcher, and all of them must be told of it.
    fn last_writes(&mut self, number: u64) -> Result<(), String> {
        let mut client =
            Client::new(self.shared, WORKERS + LOCKERS + MODULERS + 1, self.rng.fork());
        let (mut targets, root) = (Vec::new(), Some(&Login::root()));
        for (key, kind) in [("/q", Kind::InOrder), ("/r/0", Kind::Set)] {
            let what = What { key: key.into(), kind, ttl: None };
            let mut index = 0;
            wait("the last writes", || {
                if let (_, Outcome::Written { index: found, .. }) =
                    client.perform_as(number, &what, root)
                {
                    index = found;
                }
                index > 0
            })?;
            targets.push(index);
        }
        let mut late = String::new();
        wait("watchers to be told of everything", || {
            let window = self.shared.window();
            let missing = window.watchers.iter().find(|told| {
                let target = targets.get(usize::from(told.path != "/q"));
                target.is_some_and(|target| told.next <= *target)
            });
            late = missing.map(|told| told.name.clone()).unwrap_or_default();
            missing.is_none()
        })
        .map_err(|text| format!("{text}: {late}"))
    }

    /// Waits until all members hold the same at the same index; gives what they hold.
    fn equal(&mut self, number: u64) -> Result<String, String> {
        let target = format!("/v2/keys{}?recursive=true&sorted=true", record::dir(number));
        let mut verdict = Err("no member was asked".to_owned());
        let mut listing = String::new();
        let names: Vec<String> = self.lab.members.iter().map(|one| one.name.clone()).collect();
        let waited = wait("members to be equal", || {
            let mut held = Vec::new();
            for (at, name) in names.iter().enumerate() {
                let Some(answer) = self.get(at, &target) else { return false };
                held.push((name.clone(), answer.index(), answer.body));
            }
            verdict = judge::equal(&held);
            listing = held.pop().map(|(_, _, body)| body).unwrap_or_default();
            verdict.is_ok()
        });
        waited.map_err(|text| format!("{text}: {verdict:?}"))?;
        // Says as well whether the running hashes agree.
        self.lab.wait_whole()?;
        Ok(listing)
    }

    fn get(&self, at: usize, target: &str) -> Option<Answer> {
        let addr = *self.shared.addrs.get(at)?;
        http::as_root(addr, work::PATIENCE, ("GET", target, ""))
    }

    fn until_ok(&self, request: (&str, &str, &str)) -> Result<Answer, String> {
        let mut found = None;
        wait("a write", || {
            for addr in &self.shared.addrs {
                found = http::as_root(*addr, work::PATIENCE, request);
                if found.as_ref().is_some_and(|answer| answer.status < 300) {
                    return true;
                }
            }
            false
        })?;
        found.ok_or_else(|| "no answer".to_owned())
    }
}

fn wait(what: &str, mut holds: impl FnMut() -> bool) -> Result<(), String> {
    let start = Instant::now();
    while !holds() {
        if start.elapsed() > QUIET {
            return Err(format!("waited {QUIET:?} for {what}"));
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
