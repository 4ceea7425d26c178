//! Every call that the server makes on its files is given each error that it can have, at the first
//! start, at a restart, while serving and at the end (`strace -e inject`).
//!
//! What may come of it is service, a refusal in one line that names what it is about, or 503 for a
//! write. What was acknowledged must be there at the next start without errors.

use crate::machine::{self, Machine, Started, Written, put, value};
use crate::place::{self, Place};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const CALLS: [&str; 13] = [
    "openat",
    "mkdir",
    "rename",
    "unlink",
    "fsync",
    "fdatasync",
    "fallocate",
    "pwrite64",
    "pread64",
    "read",
    "flock",
    "getdents64",
    "statx",
];

const ERRORS: [&str; 8] =
    ["ENOSPC", "EIO", "EPERM", "EROFS", "EINTR", "EINVAL", "ENOSYS", "EDQUOT"];

/// Calls of a first start that a restart does not make in the same way.
const FIRST_CALLS: [&str; 7] =
    ["mkdir", "openat", "fsync", "fdatasync", "fallocate", "pwrite64", "rename"];

/// Little enough for snapshots and new segments to come at once.
const FLAGS: [&str; 6] = ["-snapshot-count", "5", "-log-level", "warn", "-request-timeout", "1000"];

/// Cases at the same time.
const THREADS: usize = 2;

/// When the errors come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    FirstStart,
    Restart,
    Serving,
    End,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    phase: Phase,
    call: &'static str,
    error: &'static str,
}

/// Runs the table; gives what went wrong. `args` are `--binary PATH`, `--show` to see what each
/// case came to, and words that a case must have (`Restart fsync EIO`).
pub(crate) fn check(args: &[String]) -> Vec<String> {
    if !place::is_root() {
        println!("skipped: only root can mount a file system for this");
        return Vec::new();
    }
    place::install(&["strace"]);
    if let Err(error) = place::run("strace", &["--version"]) {
        println!("skipped: {error}: {}", place::advice("strace"));
        return Vec::new();
    }
    let named = args.iter().position(|arg| arg == "--binary").and_then(|at| args.get(at + 1));
    let binary = match machine::binary(named.map(String::as_str)) {
        Ok(binary) => binary,
        Err(error) => return vec![error],
    };
    let root = machine::target_dir().join("inject");
    let place = match Place::mount("tmpfs", &root) {
        Ok(place) => place,
        Err(error) => {
            println!("skipped: {error}");
            return Vec::new();
        }
    };
    match Table::new(binary, place.path(), args) {
        Ok(table) => table.run(),
        Err(error) => vec![error],
    }
}

struct Table {
    binary: PathBuf,
    root: PathBuf,
    /// What the directory that the cases begin with holds.
    written: Written,
    cases: Vec<Case>,
    is_shown: bool,
    next: AtomicUsize,
    problems: Mutex<Vec<String>>,
}

impl Table {
    fn new(binary: PathBuf, root: PathBuf, args: &[String]) -> Result<Self, String> {
        let mut cases = Vec::new();
        for phase in [Phase::FirstStart, Phase::Restart, Phase::Serving, Phase::End] {
            let calls = if phase == Phase::FirstStart { &FIRST_CALLS[..] } else { &CALLS[..] };
            for call in calls {
                cases.extend(ERRORS.iter().map(|error| Case { phase, call, error }));
            }
        }
        let mut words = Vec::new();
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            match arg.as_str() {
                "--show" => {}
                "--binary" => drop(rest.next()),
                "FirstStart" | "Restart" | "Serving" | "End" => words.push(arg),
                word if CALLS.contains(&word) || ERRORS.contains(&word) => words.push(arg),
                other => {
                    return Err(format!("unknown call, error or phase {other}"));
                }
            }
        }
        cases.retain(|case| {
            let said = format!("{:?} {} {}", case.phase, case.call, case.error);
            words.iter().all(|word| said.split(' ').any(|own| own == word.as_str()))
        });
        let mut table = Self {
            binary,
            root,
            written: Written::new(),
            cases,
            is_shown: args.iter().any(|arg| arg == "--show"),
            next: AtomicUsize::new(0),
            problems: Mutex::default(),
        };
        table.prepare()?;
        Ok(table)
    }

    fn origin(&self) -> PathBuf {
        self.root.join("origin")
    }

    /// Makes the directory that the cases begin with: a snapshot, and a log of several segments.
    fn prepare(&mut self) -> Result<(), String> {
        let mut machine = self.start(&self.origin(), &[])?;
        let mut written = Written::new();
        for number in 0..12 {
            let (key, value) = (format!("k{number}"), value(20_000, number));
            match put(machine.port(), &key, &value) {
                Ok((201, _)) => written.insert(key, value),
                answer => return Err(format!("{key} came to {answer:?}")),
            };
        }
        machine.ask_to_end()?;
        machine.wait_end()?;
        self.written = written;
        Ok(())
    }

    fn start(&self, data_dir: &Path, before: &[String]) -> Result<Machine, String> {
        match Machine::start(&self.binary, data_dir, before, &FLAGS)? {
            Started::Serving(machine) => Ok(machine),
            Started::Ended(code, said) => Err(format!("it does not start ({code:?}): {said}")),
        }
    }

    fn run(self) -> Vec<String> {
        let since = Instant::now();
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    while let Some(case) = self.cases.get(self.next.fetch_add(1, Ordering::Relaxed))
                    {
                        self.take(*case);
                    }
                });
            }
        });
        println!("{} cases, {:.0} s", self.cases.len(), since.elapsed().as_secs_f64());
        self.problems.into_inner().unwrap_or_default()
    }

    fn take(&self, case: Case) {
        let Case { phase, call, error } = case;
        let folder = self.root.join(format!("{phase:?}-{call}-{error}"));
        let came = self.try_case(case, &folder.join("data"));
        let said = match &came {
            Ok(outcome) => format!("{phase:?} {call} {error}: {outcome}"),
            Err(problem) => format!("{phase:?} {call} {error}: FAILED: {problem}"),
        };
        if self.is_shown {
            println!("{said}");
        }
        if came.is_err()
            && let Ok(mut problems) = self.problems.lock()
        {
            problems.push(said);
        }
        // What is left behind goes with the file system.
        let _ = fs::remove_dir_all(folder);
    }

    fn try_case(&self, case: Case, data_dir: &Path) -> Result<String, String> {
        let folder = data_dir.parent().ok_or("no folder")?;
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let mut written = Written::new();
        if case.phase != Phase::FirstStart {
            let (from, to) = (self.origin(), data_dir.to_string_lossy().into_owned());
            place::run("cp", &["-r", "--sparse=always", &from.to_string_lossy(), &to])?;
            written.clone_from(&self.written);
        }
        let mut trial = Trial { table: self, case, data_dir, written, unknown: Vec::new() };
        let outcome = match case.phase {
            Phase::FirstStart | Phase::Restart => trial.start()?,
            Phase::Serving => trial.serve()?,
            Phase::End => trial.end()?,
        };
        let mut machine = self
            .start(data_dir, &[])
            .map_err(|error| format!("after {outcome:?} without errors: {error}"))?;
        machine
            .compare(&mut trial.written, &trial.unknown)
            .map_err(|error| format!("after {outcome:?}: {error}"))?;
        machine.kill();
        Ok(outcome)
    }
}

/// One case as it runs.
struct Trial<'a> {
    table: &'a Table,
    case: Case,
    data_dir: &'a Path,
    written: Written,
    /// Writes of which nobody knows what became.
    unknown: Vec<(String, String)>,
}

impl Trial<'_> {
    /// Errors from the beginning on.
    fn start(&mut self) -> Result<String, String> {
        let mut words = self.strace();
        words.extend(["--seccomp-bpf", "-D"].map(str::to_owned));
        match Machine::start(&self.table.binary, self.data_dir, &words, &FLAGS)? {
            Started::Ended(code, said) => self.judge_end(code, &said),
            Started::Serving(mut machine) => {
                let came = self.write(&mut machine, 3)?;
                let end = self.stop(&mut machine)?;
                Ok(format!("serves, {came}, {end}"))
            }
        }
    }

    /// Errors from some time on: for whatever a crowd of writes brings about.
    fn serve(&mut self) -> Result<String, String> {
        let mut machine = self.table.start(self.data_dir, &[])?;
        let mut tracer = self.attach(&machine)?;
        let came = self.write(&mut machine, 14);
        detach(&mut tracer);
        let came = came?;
        match machine.ended() {
            Some(code) => {
                let end = self.judge_end(code, &machine.said())?;
                Ok(format!("{came}, then {end}"))
            }
            None => {
                let end = self.stop(&mut machine)?;
                Ok(format!("{came}, {end}"))
            }
        }
    }

    /// Errors from the signal on.
    fn end(&mut self) -> Result<String, String> {
        let mut machine = self.table.start(self.data_dir, &[])?;
        let _ = self.write(&mut machine, 2)?;
        let mut tracer = self.attach(&machine)?;
        let end = self.stop(&mut machine);
        detach(&mut tracer);
        end
    }

    /// Writes keys, of which some are large enough for new segments.
    fn write(&mut self, machine: &mut Machine, count: u64) -> Result<String, String> {
        let (mut done, mut refused, mut open) = (0, 0, 0);
        for number in 100..100 + count {
            let len = if number % 4 == 3 { 6 << 20 } else { 300 };
            let (key, value) = (format!("k{number}"), value(len, number));
            match put(machine.port(), &key, &value) {
                Ok((201, _)) => {
                    done += 1;
                    self.written.insert(key, value);
                }
                Ok((503, _)) => refused += 1,
                // It was on its way to the log when the log had no room after all.
                Ok((500, body)) if body.contains("outcome is unknown") && open == 0 => {
                    open += 1;
                    self.unknown.push((key, value));
                }
                Ok((status, body)) => {
                    return Err(format!("a write got {status}, {body}: {}", machine.said()));
                }
                Err(_) => {
                    self.unknown.push((key, value));
                    // It has ended, or is about to.
                    let _ = machine.wait_end()?;
                    break;
                }
            }
        }
        Ok(format!("{done} written, {refused} refused, {open} unknown"))
    }

    fn stop(&self, machine: &mut Machine) -> Result<String, String> {
        if let Some(code) = machine.ended() {
            return self.judge_end(code, &machine.said());
        }
        machine.ask_to_end()?;
        let code = machine.wait_end()?;
        if code == Some(0) { Ok("ends".to_owned()) } else { self.judge_end(code, &machine.said()) }
    }

    /// An end by itself is one line that names what it is about.
    fn judge_end(&self, code: Option<i32>, said: &str) -> Result<String, String> {
        let last = said.lines().last().unwrap_or_default();
        let Some(sentence) = last.strip_prefix("stead: ").filter(|_| code == Some(1)) else {
            return Err(format!("it ended with {code:?}: {said}"));
        };
        let folder = self.data_dir.display().to_string();
        let sentence = sentence.replace(&folder, "DIR");
        let names_file = ["DIR", ".wal", ".snap", ".tmp", "data directory", "the log"];
        if !names_file.iter().any(|word| sentence.contains(word)) {
            return Err(format!("the refusal does not name a file: {sentence}"));
        }
        Ok(format!("refuses: {sentence}"))
    }

    fn strace(&self) -> Vec<String> {
        let Case { call, error, .. } = self.case;
        // A call that is interrupted is tried again for ever by the standard library.
        let when = if error == "EINTR" { ":when=1..3" } else { "" };
        let mut words: Vec<String> = vec!["strace".into(), "-f".into(), "-q".into(), "-o".into()];
        words.push(self.data_dir.with_extension("trace").to_string_lossy().into_owned());
        words.extend(["-e".into(), format!("trace={call}")]);
        words.extend(["-e".into(), format!("inject={call}:error={error}{when}")]);
        for path in self.paths() {
            words.extend(["-P".into(), path.to_string_lossy().into_owned()]);
        }
        words
    }

    /// The directory, and all files that can come to be in it.
    fn paths(&self) -> Vec<PathBuf> {
        let mut paths: Vec<PathBuf> =
            self.data_dir.ancestors().take(2).map(Path::to_owned).collect();
        let mut add = |name: String| paths.push(self.data_dir.join(name));
        for name in ["LOCK", "standby", "standby.tmp", "set-aside", "set-aside.tmp", "incoming.tmp"]
        {
            add(name.to_owned());
        }
        for number in 0..80 {
            add(format!("log-{number:016x}.wal"));
            add(format!("snapshot-{number:016x}.snap"));
            add(format!("snapshot-{number:016x}.tmp"));
        }
        for number in 0..20 {
            add(format!("spare-{number}.wal"));
            add(format!("spare-{number}.tmp"));
        }
        paths
    }

    fn attach(&self, machine: &Machine) -> Result<Child, String> {
        let words = self.strace();
        let (program, rest) = words.split_first().ok_or("no program")?;
        let mut tracer = Command::new(program)
            .args(rest)
            .args(["-p", &machine.pid().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{program}: {error}"))?;
        let since = Instant::now();
        while !machine::is_traced(machine.pid()) {
            if since.elapsed() > Duration::from_secs(10) {
                detach(&mut tracer);
                return Err("strace cannot attach".to_owned());
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(tracer)
    }
}

/// Lets go of what a tracer traces.
fn detach(tracer: &mut Child) {
    // It has ended by itself where the process has.
    let _ = place::run("kill", &["-TERM", &tracer.id().to_string()]);
    let _ = tracer.wait();
}
