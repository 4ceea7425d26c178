//! Restarts, kills and power losses on real file systems: what was acknowledged is there
//! afterwards, byte for byte, whatever the file system can and cannot do.
//!
//! A power loss is a file system that from one moment on writes nothing to its device any more
//! (`xfs_io -x -c shutdown`); or, on `lossy`, what the server's own syncs had made durable, at the
//! strictest that POSIX allows.

use crate::machine::{self, Machine, Started, Written, put, value};
use crate::place::{self, Place};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// Clean restarts, and as many kills, unless a number is given.
const ROUNDS: u32 = 3;

/// Keys before the first restart, and after each one.
const KEYS: u64 = 200;
const KEYS_MORE: u64 = 8;

/// How long a server writes before it is killed, in steps.
const KILL_STEP: Duration = Duration::from_millis(13);

/// Little enough for snapshots to be written all the time.
const FLAGS: [&str; 4] = ["-snapshot-count", "150", "-log-level", "warn"];

/// What a run is asked to do.
struct Plan {
    rounds: u32,
    binary: PathBuf,
    kinds: Vec<String>,
}

/// Runs the cycle on each file system that can be had here; gives what went wrong.
///
/// `args` are `--rounds N`, `--binary PATH` and names of file systems.
pub(crate) fn check(args: &[String]) -> Vec<String> {
    if !place::is_root() {
        println!("skipped: only root can mount file systems");
        return Vec::new();
    }
    place::install(&place::packages());
    let plan = match parse(args) {
        Ok(plan) => plan,
        Err(error) => return vec![error],
    };
    let root = machine::target_dir().join("filesystems");
    let mut problems = Vec::new();
    for kind in &plan.kinds {
        let mut place = match Place::mount(kind, &root) {
            Ok(place) => place,
            Err(error) => {
                println!("{kind}: skipped: {error}");
                if let Some((_, _, packages)) =
                    place::KINDS.iter().find(|(name, _, _)| name == kind)
                {
                    println!("    if a program is missing: {}", place::advice(packages));
                }
                continue;
            }
        };
        let since = Instant::now();
        match Cycle::new(&plan, &mut place).run() {
            Ok(said) => println!("{kind}: {said}, {:.1} s", since.elapsed().as_secs_f64()),
            Err(error) => problems.push(format!("{kind}: {error}")),
        }
    }
    problems
}

fn parse(args: &[String]) -> Result<Plan, String> {
    let (mut rounds, mut named, mut kinds) = (ROUNDS, None, Vec::new());
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut next = || args.next().ok_or_else(|| format!("{arg} requires a value"));
        match arg.as_str() {
            "--rounds" => {
                let text = next()?;
                rounds = text.parse().map_err(|error| format!("--rounds {text}: {error}"))?;
            }
            "--binary" => named = Some(next()?.clone()),
            kind if place::KINDS.iter().any(|(name, _, _)| *name == kind) => {
                kinds.push(kind.to_owned());
            }
            other => return Err(format!("unknown file system {other}")),
        }
    }
    if kinds.is_empty() {
        kinds = place::KINDS.iter().map(|(name, _, _)| (*name).to_owned()).collect();
    }
    Ok(Plan { rounds, binary: machine::binary(named.as_deref())?, kinds })
}

/// One file system's cycle.
struct Cycle<'a> {
    plan: &'a Plan,
    place: &'a mut Place,
    data_dir: PathBuf,
    written: Written,
    next: u64,
}

impl<'a> Cycle<'a> {
    fn new(plan: &'a Plan, place: &'a mut Place) -> Self {
        let data_dir = place.path().join("deep/data");
        Self { plan, place, data_dir, written: Written::new(), next: 0 }
    }

    fn run(&mut self) -> Result<String, String> {
        let parent = self.data_dir.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(parent).map_err(|error| format!("{}: {error}", parent.display()))?;
        let mut machine = self.start()?;
        self.write(&machine, KEYS)?;
        for round in 1..=self.plan.rounds {
            let failed = |error: String| format!("clean restart {round}: {error}");
            machine.ask_to_end().map_err(failed)?;
            let code = machine.wait_end().map_err(failed)?;
            if code != Some(0) {
                return Err(failed(format!("it ended with {code:?}: {}", machine.said())));
            }
            machine = self.restart(&[]).map_err(failed)?;
        }
        for round in 1..=self.plan.rounds {
            let failed = |error: String| format!("kill {round}: {error}");
            let unknown = self.write_until_killed(&mut machine, round).map_err(failed)?;
            machine = self.restart(&unknown).map_err(failed)?;
        }
        let mut cuts = 0;
        for round in 1..=self.plan.rounds {
            let failed = |error: String| format!("power loss {round}: {error}");
            let unknown = self.write_until_killed(&mut machine, round).map_err(failed)?;
            if !self.place.cut_power().map_err(failed)? {
                break;
            }
            cuts += 1;
            machine = self.restart(&unknown).map_err(failed)?;
        }
        let rounds = self.plan.rounds;
        let keys = self.written.len();
        Ok(format!(
            "{rounds} clean restarts, {rounds} kills, {cuts} power losses, {keys} keys, none lost"
        ))
    }

    fn start(&self) -> Result<Machine, String> {
        match Machine::start(&self.plan.binary, &self.data_dir, &self.place.prefix(), &FLAGS)? {
            Started::Serving(machine) => Ok(machine),
            Started::Ended(code, said) => Err(format!("it does not start ({code:?}): {said}")),
        }
    }

    /// Checks the directory, starts a server on it, compares, and writes some more.
    fn restart(&mut self, unknown: &[(String, String)]) -> Result<Machine, String> {
        let mut check = Command::new(&self.plan.binary);
        let output = check.arg("check").arg("-data-dir").arg(&self.data_dir).output();
        let output = output.map_err(|error| format!("stead check: {error}"))?;
        if !output.status.success() {
            let said = [output.stdout, output.stderr].concat();
            return Err(format!("stead check: {}", String::from_utf8_lossy(&said)));
        }
        let machine = self.start()?;
        machine.compare(&mut self.written, unknown)?;
        self.write(&machine, KEYS_MORE)?;
        Ok(machine)
    }

    /// Values of all sizes from nothing to 200 KiB; every eighth write replaces an earlier one.
    fn next_write(&mut self) -> (String, String) {
        let number = self.next;
        self.next += 1;
        let len = match number % 20 {
            0 => 0,
            7 => 200 << 10,
            13 => 65_536,
            _ => usize::try_from(number * 37 % 3_000).unwrap_or(0),
        };
        let key = if number % 8 == 5 { number / 2 } else { number };
        (format!("k{key}"), value(len, number))
    }

    fn write(&mut self, machine: &Machine, count: u64) -> Result<(), String> {
        for _ in 0..count {
            let (key, value) = self.next_write();
            match put(machine.port(), &key, &value) {
                Ok((200 | 201, _)) => self.written.insert(key, value),
                answer => return Err(format!("{key} came to {answer:?}: {}", machine.said())),
            };
        }
        Ok(())
    }

    /// Writes while another thread waits to kill the server; gives the write that was cut off.
    fn write_until_killed(
        &mut self,
        machine: &mut Machine,
        round: u32,
    ) -> Result<Vec<(String, String)>, String> {
        let port = machine.port();
        let cut = thread::scope(|scope| {
            let writer = scope.spawn(|| {
                loop {
                    let (key, value) = self.next_write();
                    match put(port, &key, &value) {
                        Ok((200 | 201, _)) => self.written.insert(key, value),
                        _ => return (key, value),
                    };
                }
            });
            thread::sleep(KILL_STEP * (1 + round % 20));
            machine.kill();
            writer.join()
        });
        cut.map(|cut| vec![cut]).map_err(|_| "the writer broke".to_owned())
    }
}
