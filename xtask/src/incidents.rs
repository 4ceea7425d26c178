//! Incidents that no test can bring about by itself: a disk that is slow to sync (`strace` delays
//! the calls of one process) and a wall clock that is set (`libfaketime` for one process). The
//! machine that has it says so in its log, the others do not, and nobody writes many lines.

use crate::machine::{self, Machine, Started, put};
use crate::place;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Where Debian and others keep the library.
const LIBRARIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// Lines that a machine may write in a minute of any incident.
const LINES_MAX: usize = 12;

/// How long a line may take to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// The same of one that repeats another: those are told once a minute.
const REPEAT: Duration = Duration::from_secs(75);

/// How long the slow disk is written to. Each sync of it takes more than half a second, so that
/// there are far more of them than lines.
const WRITING: Duration = Duration::from_secs(20);
const DELAY_US: u32 = 600_000;

/// Runs it; gives what went wrong. `args` may name a binary.
pub(crate) fn check(args: &[String]) -> Vec<String> {
    place::install(&["strace", "libfaketime"]);
    let library = LIBRARIES.iter().copied().find(|path| Path::new(path).exists());
    let Some(library) = library else {
        println!("skipped: no libfaketime: {}", place::advice("libfaketime"));
        return Vec::new();
    };
    if let Err(error) = place::run("strace", &["-o", "/dev/null", "true"]) {
        println!("skipped: {error}: {}", place::advice("strace"));
        return Vec::new();
    }
    let named = args.iter().position(|arg| arg == "--binary").and_then(|at| args.get(at + 1));
    let root = machine::target_dir().join("incidents");
    // What an earlier run left.
    let _ = fs::remove_dir_all(&root);
    let done = machine::binary(named.map(String::as_str)).and_then(|binary| {
        fs::create_dir_all(&root).map_err(|error| format!("{}: {error}", root.display()))?;
        let trio = Trio::start(&binary, &root, library)?;
        let marks = trio.marks();
        trio.clock(&marks)?;
        trio.slow_sync(&marks)?;
        // It was told a moment before that the clock had been set, so this waits a minute.
        let has_told = || trio.has_line(&marks, CLOCK, "WARN the clock jumped: back by");
        trio.wait("the clock is back", REPEAT, has_told)?;
        trio.judge(&marks, "the clock jumped", CLOCK)?;
        trio.judge(&marks, "slow sync", DISK)
    });
    done.err().into_iter().collect()
}

/// Three machines, whose logs are read. The second has a wall clock of its own.
struct Trio {
    machines: Vec<Machine>,
    clock: PathBuf,
}

/// Which of them has it.
const CLOCK: usize = 1;
const DISK: usize = 2;

impl Trio {
    fn start(binary: &Path, root: &Path, library: &str) -> Result<Self, String> {
        let root = fs::canonicalize(root).map_err(|error| error.to_string())?;
        let mut trio = Self { machines: Vec::new(), clock: root.join("clock") };
        trio.set_clock("+0")?;
        for at in 0..3 {
            let mut before = Vec::new();
            if at == CLOCK {
                before.push("env".to_owned());
                before.push(format!("LD_PRELOAD={library}"));
                before.push(format!("FAKETIME_TIMESTAMP_FILE={}", trio.clock.display()));
                before.extend(
                    ["FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"].map(Into::into),
                );
            }
            let founder = trio.machines.first().map(|one| format!("127.0.0.1:{}", one.peer_port()));
            let peers: Vec<&str> = founder.iter().flat_map(|peer| ["-peers", peer]).collect();
            let data_dir = root.join(format!("m{at}"));
            match Machine::start_named(&format!("m{at}"), binary, &data_dir, &before, &peers)? {
                Started::Serving(machine) => trio.machines.push(machine),
                Started::Ended(code, said) => {
                    return Err(format!("m{at} ended ({code:?}): {said}"));
                }
            }
        }
        trio.wait("all are voters", PATIENCE, || {
            let votes = |machine: &Machine| machine.metric("stead_raft_is_voter") == Some(1);
            trio.machines.iter().all(votes)
        })?;
        // What a start writes does not count, nor does what follows it.
        thread::sleep(Duration::from_secs(2));
        Ok(trio)
    }

    /// Sets the clock of one machine by so much, as `faketime` writes it.
    fn set_clock(&self, offset: &str) -> Result<(), String> {
        let next = self.clock.with_extension("next");
        let written = fs::write(&next, offset).and_then(|()| fs::rename(&next, &self.clock));
        written.map_err(|error| format!("{}: {error}", self.clock.display()))
    }

    fn wait(
        &self,
        what: &str,
        patience: Duration,
        mut condition: impl FnMut() -> bool,
    ) -> Result<(), String> {
        let since = Instant::now();
        while !condition() {
            if since.elapsed() > patience {
                let logs: Vec<String> = self.machines.iter().map(Machine::said).collect();
                return Err(format!("{what}: not within {patience:?}\n{}", logs.join("\n---\n")));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn marks(&self) -> Vec<usize> {
        self.machines.iter().map(|machine| machine.said().len()).collect()
    }

    /// The lines that each machine has written since then.
    fn lines(&self, marks: &[usize]) -> Vec<Vec<String>> {
        let since = |(machine, mark): (&Machine, &usize)| {
            let text = machine.said().split_off(*mark);
            text.lines().map(str::to_owned).collect()
        };
        self.machines.iter().zip(marks).map(since).collect()
    }

    fn has_line(&self, marks: &[usize], at: usize, words: &str) -> bool {
        let lines = self.lines(marks);
        lines.get(at).is_some_and(|lines| lines.iter().any(|line| line.contains(words)))
    }

    /// Checks that one machine alone has said it, and that nobody has said much.
    fn judge(&self, marks: &[usize], words: &str, who: usize) -> Result<(), String> {
        for (at, lines) in self.lines(marks).into_iter().enumerate() {
            let says = lines.iter().any(|line| line.contains(words));
            let all = lines.join("\n");
            if says != (at == who) {
                return Err(format!("{words:?} is wrong in the log of m{at}:\n{all}"));
            }
            if lines.len() > LINES_MAX {
                return Err(format!("m{at} wrote {} lines:\n{all}", lines.len()));
            }
            println!("{words}: m{at} wrote {} lines", lines.len());
        }
        Ok(())
    }

    /// The wall clock of one machine is set an hour ahead, and back. No key expires by it.
    fn clock(&self, marks: &[usize]) -> Result<(), String> {
        let port = self.machines[CLOCK].port();
        let kept = put(port, "kept", "x&ttl=600").map_err(|error| error.to_string())?;
        self.set_clock("+3600")?;
        let has_told = || self.has_line(marks, CLOCK, "WARN the clock jumped: forward by");
        self.wait("the clock is ahead", PATIENCE, has_told)?;
        for machine in &self.machines {
            if machine.get("/v2/keys/kept").map(|(status, _)| status).ok() != Some(200) {
                return Err(format!("a key of 600 s is gone after an hour's step: {kept:?}"));
            }
        }
        self.set_clock("+0")
    }

    /// Each sync of one machine takes long, while all of them are written to.
    fn slow_sync(&self, marks: &[usize]) -> Result<(), String> {
        let slow = &self.machines[DISK];
        let mut tracer = delay(slow.pid())?;
        let since = Instant::now();
        let mut number = 0;
        while since.elapsed() < WRITING {
            number += 1;
            let port = self.machines[number % 3].port();
            // A write may fail while the leader changes: that is not what is looked at.
            let _ = put(port, "slow", &number.to_string());
        }
        // It has ended by itself where the process has.
        let _ = place::run("kill", &["-TERM", &tracer.id().to_string()]);
        let _ = tracer.wait();
        println!("{number} writes while the disk of m{DISK} was slow");
        if self.has_line(marks, DISK, "WARN slow sync: one in ") {
            return Ok(());
        }
        Err(format!("no slow sync is told: {:?}", self.lines(marks)))
    }
}

/// Delays each sync of a process from now on.
fn delay(pid: u32) -> Result<Child, String> {
    let mut tracer = Command::new("strace")
        .args(["-f", "-q", "-o", "/dev/null", "-e", "trace=fdatasync", "-e"])
        .arg(format!("inject=fdatasync:delay_enter={DELAY_US}"))
        .args(["-p", &pid.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("strace: {error}"))?;
    let since = Instant::now();
    while !machine::is_traced(pid) {
        if since.elapsed() > Duration::from_secs(10) {
            let _ = tracer.kill();
            let _ = tracer.wait();
            return Err("strace cannot attach".to_owned());
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok(tracer)
}
