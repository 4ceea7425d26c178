//! Checks of the project's own rules, and the one command that CI runs.

// Printing is what this program is for.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod coverage;
mod deps;
mod filesystems;
mod incidents;
mod inject;
mod machine;
mod place;
mod planted;
// One text for both who cut the power.
#[path = "../../crates/torture/src/shadow.rs"]
mod shadow;
mod tidy;

use std::fmt;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const USAGE: &str = "\
cargo xtask ci      everything that CI checks
cargo xtask coverage lines of replica, store and wal that no test runs
cargo xtask deps    licences, sources and versions of the dependencies, against deny.toml
cargo xtask dist    the packages of a release: --out DIR, --help for more
cargo xtask filesystems  restarts and kills on ext2, ext3, XFS, FAT, FUSE ...: --rounds N, names
cargo xtask incidents  slow syncs and clocks that are set, as the logs of three machines tell them
cargo xtask inject  every call on files with every error: --show, names of calls and errors
cargo xtask planted classic mistakes, planted one at a time: does the simulator find them?
cargo xtask sim     clusters in the simulator: --seeds N, --seed S, --help for more
cargo xtask torture real processes under real faults: --minutes N, --members N, --help for more
cargo xtask tidy    the project's own rules for files and words; --circles prints import cycles
";

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("ci") => ci(),
        Some("coverage") => report("coverage", &coverage::check()),
        Some("deps") => report("deps", &deps::check()),
        Some("dist") => dist(std::env::args().skip(2)),
        Some("filesystems") => {
            let args: Vec<String> = std::env::args().skip(2).collect();
            report("filesystems", &filesystems::check(&args))
        }
        Some("incidents") => {
            let args: Vec<String> = std::env::args().skip(2).collect();
            report("incidents", &incidents::check(&args))
        }
        Some("inject") => {
            let args: Vec<String> = std::env::args().skip(2).collect();
            report("inject", &inject::check(&args))
        }
        Some("planted") => {
            let names: Vec<String> = std::env::args().skip(2).collect();
            report("planted", &planted::check(&names))
        }
        Some("sim") => sim(std::env::args().skip(2)),
        Some("torture") => torture(std::env::args().skip(2)),
        Some("tidy") if std::env::args().nth(2).as_deref() == Some("--circles") => {
            tidy::print_circles();
            ExitCode::SUCCESS
        }
        // A change under a planted mistake shows before the commit, as the rest of it does.
        Some("tidy") => report("tidy", &[tidy::check(), planted::check_patches()].concat()),
        _ => {
            eprint!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn report(what: &str, problems: &[String]) -> ExitCode {
    for problem in problems {
        eprintln!("{what}: {problem}");
    }
    if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs cargo; says whether it succeeded.
fn cargo(args: &[&str]) -> bool {
    eprintln!("==> cargo {}", args.join(" "));
    Command::new(env!("CARGO")).args(args).status().is_ok_and(|status| status.success())
}

/// Builds a program of the project, chosen by flags of cargo, and runs it to its end.
fn run(package: &[&str], args: &[String]) -> ExitCode {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let words = [&["run", "--quiet"], package, &["--"], &args].concat();
    if cargo(&words) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Good,
    Failed,
    /// Something that it takes is not installed; it said what.
    Skipped,
}

impl From<bool> for Outcome {
    fn from(is_good: bool) -> Self {
        if is_good { Self::Good } else { Self::Failed }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Good => "good",
            Self::Failed => "FAILED",
            Self::Skipped => "skipped",
        })
    }
}

/// The steps of CI, what became of them, and how long they took.
#[derive(Default)]
struct Steps(Vec<(&'static str, Outcome, Duration)>);

impl Steps {
    fn take(&mut self, name: &'static str, step: impl FnOnce() -> Outcome) {
        let begin = Instant::now();
        let outcome = step();
        self.0.push((name, outcome, begin.elapsed()));
    }
}

/// How a script ends that lacks a program.
const SKIPPED: i32 = 77;

/// Runs a script of the project.
fn script(path: &str) -> Outcome {
    eprintln!("==> {path}");
    match Command::new(path).status().map(|status| status.code()) {
        Ok(Some(0)) => Outcome::Good,
        Ok(Some(SKIPPED)) => Outcome::Skipped,
        _ => Outcome::Failed,
    }
}

/// Builds the documentation of all crates; says whether there was nothing to complain of.
fn doc() -> bool {
    const ARGS: [&str; 3] = ["doc", "--no-deps", "--workspace"];
    eprintln!("==> cargo {}", ARGS.join(" "));
    let mut command = Command::new(env!("CARGO"));
    let status = command.args(ARGS).env("RUSTDOCFLAGS", "-D warnings").status();
    status.is_ok_and(|status| status.success())
}

/// What the simulator runs in CI: always the same, so that a change is judged and not luck.
const CI_SEEDS: [&str; 4] = ["--seeds", "2000", "--seed", "1"];

/// Runs the simulator, built to be quick and with all checks of a debug build.
fn sim(args: impl Iterator<Item = String>) -> ExitCode {
    run(&["--profile", "sim", "-p", "stead-sim"], &args.collect::<Vec<_>>())
}

/// Makes the packages of a release.
fn dist(args: impl Iterator<Item = String>) -> ExitCode {
    run(&["-p", "stead-dist"], &args.collect::<Vec<_>>())
}

/// What the torture runs in CI. A machine that does much else at the same time may take longer
/// than two seconds for something that takes a fifth of one. The first window is without users, and
/// they count in the others.
const CI_TORTURE: &str = "--seconds 90 --recovery-ms 15000 --seed 1 --tls --users-from 2";

/// Builds the server, if none is named, and tortures it. In a release build where
/// `STEAD_TORTURE_RELEASE` is set, as a long run should be.
fn torture(args: impl Iterator<Item = String>) -> ExitCode {
    let mut args: Vec<String> = args.collect();
    if !args.iter().any(|arg| arg == "--binary") {
        let is_release = std::env::var_os("STEAD_TORTURE_RELEASE").is_some();
        let (profile, dir) = if is_release { ("release", "release") } else { ("dev", "debug") };
        if !cargo(&["build", "--quiet", "--profile", profile, "-p", "stead"]) {
            return ExitCode::FAILURE;
        }
        let built = machine::target_dir().join(dir).join("stead");
        args.extend(["--binary".to_owned(), built.display().to_string()]);
    }
    run(&["-p", "stead-torture"], &args)
}

/// bench is no part of the workspace.
const BENCH_FMT: [&str; 4] = ["fmt", "--manifest-path", "bench/Cargo.toml", "--check"];

fn ci() -> ExitCode {
    let clippy = |args: &[&str]| cargo(&[&["clippy"], args, &["--", "-D", "warnings"]].concat());
    let reported = |problems: Vec<String>, name: &str| {
        Outcome::from(report(name, &problems) == ExitCode::SUCCESS)
    };
    let is_success = |code: ExitCode| Outcome::from(code == ExitCode::SUCCESS);
    let torture = || torture(CI_TORTURE.split(' ').map(str::to_owned));
    let simulator = || sim(CI_SEEDS.map(str::to_owned).into_iter());
    let mut steps = Steps::default();
    steps.take("tidy", || reported(tidy::check(), "tidy"));
    steps.take("deps", || reported(deps::check(), "deps"));
    steps.take("planted", || reported(planted::check_patches(), "planted"));
    steps.take("fmt", || (cargo(&["fmt", "--all", "--check"]) & cargo(&BENCH_FMT)).into());
    steps.take("clippy", || clippy(&["--workspace", "--all-targets"]).into());
    steps.take("doc", || doc().into());
    steps.take("torture", || is_success(torture()));
    steps.take("simulator", || is_success(simulator()));
    if is_ci_machine() {
        steps.take("filesystems", || reported(filesystems::check(&[]), "filesystems"));
        steps.take("inject", || reported(inject::check(&[]), "inject"));
        steps.take("incidents", || reported(incidents::check(&[]), "incidents"));
    }
    let (mut passed, mut failed, mut ignored) = (0, 0, 0);
    steps.take("tests", || {
        (passed, failed, ignored) = tests();
        (failed == 0 && passed > 0).into()
    });
    steps.take("dashboard", || script("dashboard/test/run"));
    steps.take("prometheus", || script("packaging/test/prometheus"));
    steps.take("import", || script("packaging/test/import-etcd"));
    steps.take("users", || script("packaging/test/import-users"));
    steps.take("etcdctl", || script("packaging/test/etcdctl"));
    steps.take("etcdctl-by-name", || script("packaging/test/etcdctl-by-name"));
    steps.take("patroni", || script("packaging/test/patroni"));
    steps.take("packages", || script("packaging/test/packages"));
    if place::is_ci() {
        // They fetch packages of Python.
        steps.take("manifests", || script("packaging/test/manifests"));
        steps.take("site", || script("packaging/site/build"));
    } else {
        println!("manifests, site: skipped: they require CI=true");
    }
    // Last, because thousands of lines of tests are between here and the step that failed.
    for (step, outcome, took) in &steps.0 {
        println!("{step}: {outcome} ({} s)", took.as_secs());
    }
    println!("{passed} passed, {failed} failed, {ignored} skipped");
    let is_good = steps.0.iter().all(|(_, outcome, _)| *outcome != Outcome::Failed);
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether this is a machine that does nothing else, where packages may be installed and file
/// systems be mounted.
fn is_ci_machine() -> bool {
    if !place::is_ci() || !place::is_root() {
        println!("filesystems, inject, incidents: skipped: they require CI=true and root");
        return false;
    }
    true
}

/// Runs all tests and adds up what the test runner says at the end of each target.
fn tests() -> (u64, u64, u64) {
    eprintln!("==> cargo test --workspace --no-fail-fast");
    let output = Command::new(env!("CARGO"))
        .args(["test", "--workspace", "--no-fail-fast"])
        .stderr(Stdio::inherit())
        .output();
    let Ok(output) = output else { return (0, 1, 0) };
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    let mut sums = (0, 0, 0);
    for line in text.lines().filter(|line| line.starts_with("test result: ")) {
        sums.0 += count(line, " passed");
        sums.1 += count(line, " failed");
        sums.2 += count(line, " ignored");
    }
    // A target that did not build, or died, has no line.
    if !output.status.success() && sums.1 == 0 {
        sums.1 = 1;
    }
    sums
}

fn count(line: &str, what: &str) -> u64 {
    let before = line.find(what).and_then(|at| line.get(..at)).unwrap_or_default();
    before.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}
