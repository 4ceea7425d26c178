//! Runs seeds of the simulator and says what came of them: `cargo xtask sim --help`.

// Printing is what this program is for.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use sim::{Config, Faults, Report, run};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

const USAGE: &str = "\
usage: sim [--seeds N] [--seed S] [--ops N] [--members N] [--threads N] [--trace FILE]
           [--keep-going]

  --seeds N      how many seeds to run, from S on (1)
  --seed S       the first seed; drawn from the time if it is not said
  --ops N        operations that clients begin in each run (1000)
  --members N    members at first; drawn from the seed if it is not said
  --threads N    how many seeds run at once (2)
  --trace FILE   writes everything that happened in the first seed
  --keep-going   does not stop at the first seed that fails
";

/// After so many seeds a long run says how far it is.
const PROGRESS_SEEDS: u64 = 5000;

/// Lines of the trace that are shown of a seed that failed.
const LAST_LINES: usize = 60;

#[derive(Debug)]
struct Args {
    first: u64,
    count: u64,
    threads: usize,
    trace: Option<String>,
    keep_going: bool,
    config: Config,
}

fn parse() -> Option<Args> {
    let drawn = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let mut args = Args {
        first: drawn.map_or(1, |passed| passed.as_secs() * 1_000_000),
        count: 1,
        threads: 2,
        trace: None,
        keep_going: false,
        config: Config::default(),
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if word == "--keep-going" {
            args.keep_going = true;
            continue;
        }
        let value = words.next()?;
        match word.as_str() {
            "--seeds" => args.count = value.parse().ok()?,
            "--seed" => args.first = value.parse().ok()?,
            "--ops" => args.config.operations = value.parse().ok()?,
            "--members" => args.config.members = Some(value.parse().ok().filter(|n| *n > 0)?),
            "--threads" => args.threads = value.parse().ok().filter(|n| *n > 0)?,
            "--trace" => args.trace = Some(value),
            _ => return None,
        }
    }
    Some(args)
}

fn main() -> ExitCode {
    let Some(args) = parse() else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    println!("first seed {}, {} seeds, {:?}", args.first, args.count, args.config);
    // A panic is told of with its seed, below.
    std::panic::set_hook(Box::new(|_| {}));
    if let Some(file) = &args.trace {
        return write_trace(&args, file);
    }
    let started = Instant::now();
    let sums = run_all(&args);
    let seconds = started.elapsed().as_secs_f64();
    print!("{}", sums.faults);
    let idle = sums.faults.idle();
    if !idle.is_empty() {
        println!("never met: {}", idle.join(", "));
    }
    println!(
        "{} seeds, {} operations ({} with unknown outcome), {} changes, {} turns of locks, {:.1} \
         simulated hours in {seconds:.1} s; {} registers not decided; slowest recovery {} ms; \
         traces {:016x}",
        sums.seeds,
        sums.operations,
        sums.unknown,
        sums.changes,
        sums.turns,
        sums.simulated_ms as f64 / 3_600_000.0,
        sums.undecided,
        sums.recovery_ms,
        sums.traces,
    );
    if sums.failed.is_empty() {
        println!("no violation");
        return ExitCode::SUCCESS;
    }
    println!("{} seeds failed", sums.failed.len());
    if let Some(report) = sums.failed.iter().min_by_key(|report| report.seed) {
        explain(report.seed, args.config);
    }
    ExitCode::FAILURE
}

/// What all runs came to.
#[derive(Debug, Default)]
struct Sums {
    seeds: u64,
    operations: u64,
    unknown: u64,
    changes: u64,
    turns: u64,
    undecided: u64,
    simulated_ms: u64,
    recovery_ms: u64,
    traces: u64,
    faults: Faults,
    failed: Vec<Report>,
}

impl Sums {
    fn add(&mut self, report: Report) {
        self.seeds += 1;
        self.operations += report.operations;
        self.unknown += report.unknown;
        self.changes += report.changes;
        self.turns += report.turns;
        self.undecided += report.undecided;
        self.simulated_ms += report.simulated_ms;
        self.recovery_ms = self.recovery_ms.max(report.recovery_ms);
        self.faults.add(&report.faults);
        // The order in which threads finish must not matter.
        self.traces ^= report.trace_hash.rotate_left((report.seed % 64) as u32);
        if let Some(violation) = &report.violation {
            println!("FAILED seed {}: {}: {}", report.seed, violation.checker, violation.detail);
            self.failed.push(report);
        }
        if self.seeds.is_multiple_of(PROGRESS_SEEDS) {
            eprintln!("{} seeds so far, {} of them failed", self.seeds, self.failed.len());
        }
    }
}

fn run_all(args: &Args) -> Sums {
    let next = AtomicU64::new(0);
    let has_failed = AtomicBool::new(false);
    let sums = Mutex::new(Sums::default());
    std::thread::scope(|scope| {
        for _ in 0..args.threads {
            scope.spawn(|| {
                while args.keep_going || !has_failed.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= args.count {
                        break;
                    }
                    let report = run(args.first + number, &args.config);
                    has_failed.fetch_or(report.violation.is_some(), Ordering::Relaxed);
                    sums.lock().expect("nobody panics with the sums in hand").add(report);
                }
            });
        }
    });
    sums.into_inner().expect("nobody panics with the sums in hand")
}

/// Looks for the fewest operations with which a seed still fails, and shows its end.
fn explain(seed: u64, config: Config) {
    let mut best = Config { keeps_trace: true, ..config };
    for operations in [10, 25, 50, 100, 200, 350, 500, 700] {
        let fewer = Config { operations, ..best };
        if operations < best.operations && run(seed, &fewer).violation.is_some() {
            best = fewer;
            break;
        }
    }
    let report = run(seed, &best);
    let Some(violation) = &report.violation else {
        println!("seed {seed} does not fail again: the run is not deterministic");
        return;
    };
    let shown = report.trace.len().saturating_sub(LAST_LINES);
    println!("\nthe end of seed {seed} with {} operations:", best.operations);
    if let Some(first) = report.trace.first() {
        println!("{first}");
    }
    report.trace.iter().skip(shown).for_each(|line| println!("{line}"));
    println!("{}: {}", violation.checker, violation.detail);
    println!("again: cargo xtask sim --seed {seed} --ops {} --trace FILE", best.operations);
}

fn write_trace(args: &Args, file: &str) -> ExitCode {
    let report = run(args.first, &Config { keeps_trace: true, ..args.config });
    println!("seed {}: trace {:016x}", report.seed, report.trace_hash);
    if let Err(error) = std::fs::write(file, report.trace.join("\n") + "\n") {
        eprintln!("{file}: {error}");
        return ExitCode::FAILURE;
    }
    match report.violation {
        None => ExitCode::SUCCESS,
        Some(violation) => {
            println!("FAILED seed {}: {}: {}", report.seed, violation.checker, violation.detail);
            ExitCode::FAILURE
        }
    }
}
