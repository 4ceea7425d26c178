//! How much of the crates that keep data is run by their tests and by the simulator's, in lines.
//!
//! The compiler counts; `llvm-profdata` and `llvm-cov` of the compiler's LLVM version, or a newer
//! one, add up. They are found on the path, with or without a version behind their names, or named
//! by `LLVM_PROFDATA` and `LLVM_COV`. Lines of test modules are not counted.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

const CRATES: [&str; 3] = ["replica", "store", "wal"];
const TARGET: &str = "target/coverage";

/// The least share of lines, in percent.
const LEAST: f64 = 95.0;

/// Lines of one file: how many there are, and those that were never run.
#[derive(Debug, Default)]
struct Lines {
    count: usize,
    missed: Vec<usize>,
}

/// Measures, and prints a line for each file and each crate. Gives what is wrong.
pub(crate) fn check() -> Vec<String> {
    let tools = tool("LLVM_PROFDATA", "llvm-profdata").zip(tool("LLVM_COV", "llvm-cov"));
    let Some((profdata, cov)) = tools else {
        return vec!["llvm-profdata and llvm-cov are not in PATH".to_owned()];
    };
    let raw = format!("{TARGET}/raw");
    let _ = fs::remove_dir_all(&raw);
    let Some(binaries) = run_tests(&raw) else {
        return vec!["the tests do not pass".to_owned()];
    };
    let merged = format!("{TARGET}/all.profdata");
    let files = fs::read_dir(&raw).into_iter().flatten().flatten().map(|entry| entry.path());
    let merge =
        Command::new(&profdata).args(["merge", "-sparse", "-o", &merged]).args(files).status();
    if !merge.is_ok_and(|status| status.success()) {
        return vec![format!("{profdata} failed: does its version match the compiler's?")];
    }
    let mut export = Command::new(&cov);
    export.args(["export", "-format=lcov", &format!("-instr-profile={merged}")]);
    for binary in &binaries {
        export.args(["-object", binary]);
    }
    let Ok(output) = export.output() else { return vec![format!("cannot run {cov}")] };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return vec![format!("{cov} failed: does its version match the compiler's? {said}")];
    }
    judge(&parse(&String::from_utf8_lossy(&output.stdout)))
}

fn tool(variable: &str, name: &str) -> Option<String> {
    let versions = (20..40).rev().map(|version| format!("{name}-{version}"));
    std::env::var(variable).into_iter().chain(versions).chain([name.to_owned()]).find(|tool| {
        Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success())
    })
}

/// Runs the tests; gives the binaries that ran.
fn run_tests(raw: &str) -> Option<Vec<String>> {
    let cargo = |extra: &[&str]| {
        let mut command = Command::new(env!("CARGO"));
        command.args(["test", "-p", "stead-sim"]);
        for name in CRATES {
            command.args(["-p", &format!("stead-{name}")]);
        }
        let raw = fs::canonicalize(".").map(|root| root.join(raw)).unwrap_or_default();
        command
            .args(extra)
            .env("CARGO_TARGET_DIR", TARGET)
            .env("RUSTFLAGS", "-C instrument-coverage")
            .env("LLVM_PROFILE_FILE", raw.join("%p-%m.profraw"));
        command
    };
    let built = cargo(&["--no-run", "--message-format=json"]).output().ok()?;
    let text = String::from_utf8_lossy(&built.stdout);
    let executable = |line: &str| {
        let (_, behind) = line.split_once("\"executable\":\"")?;
        behind.split_once('"').map(|(path, _)| path.to_owned())
    };
    let binaries: Vec<String> = text.lines().filter_map(executable).collect();
    let status = cargo(&["--quiet"]).status().ok()?;
    (status.success() && !binaries.is_empty()).then_some(binaries)
}

/// Reads what `llvm-cov export` says: files with their lines and how often each was run.
fn parse(text: &str) -> BTreeMap<String, Lines> {
    let mut files: BTreeMap<String, Lines> = BTreeMap::new();
    let mut current = None;
    for line in text.lines() {
        if let Some(path) = line.strip_prefix("SF:") {
            current = own(path).map(|name| (name, tests_at(path)));
        } else if let Some((name, tests_at)) = &current
            && let Some((line, runs)) =
                line.strip_prefix("DA:").and_then(|rest| rest.split_once(','))
            && let Ok(line) = line.parse::<usize>()
            && line < *tests_at
        {
            let lines = files.entry(name.clone()).or_default();
            lines.count += 1;
            if runs == "0" {
                lines.missed.push(line);
            }
        }
    }
    files
}

/// The name of a source file of one of the crates.
fn own(path: &str) -> Option<String> {
    let (_, behind) = path.split_once("/crates/")?;
    let (name, file) = behind.split_once("/src/")?;
    CRATES.contains(&name).then(|| format!("{name}/{file}"))
}

/// The line where the test module of a file begins.
fn tests_at(path: &str) -> usize {
    let text = fs::read_to_string(Path::new(path)).unwrap_or_default();
    text.lines().position(|line| line == "#[cfg(test)]").map_or(usize::MAX, |at| at + 1)
}

fn judge(files: &BTreeMap<String, Lines>) -> Vec<String> {
    let mut problems = Vec::new();
    for name in CRATES {
        let (mut count, mut missed) = (0, 0);
        for (file, lines) in files.iter().filter(|(file, _)| file.starts_with(name)) {
            count += lines.count;
            missed += lines.missed.len();
            if !lines.missed.is_empty() {
                println!(
                    "{file:32} {:4} of {:4}: {:?}",
                    lines.missed.len(),
                    lines.count,
                    lines.missed
                );
            }
        }
        let share = 100.0 * (count - missed) as f64 / count.max(1) as f64;
        println!("{name:8} {count} lines, {missed} never run: {share:.1} %");
        if share < LEAST || count == 0 {
            problems.push(format!("{name}: line coverage is {share:.1} %, the minimum is {LEAST}"));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_crates_are_counted_and_no_others() {
        let text = "SF:/x/crates/wal/src/log.rs\nDA:1,7\nDA:2,0\nDA:3,1\nend_of_record\n\
                    SF:/x/crates/wal/tests/it.rs\nDA:1,0\nend_of_record\n\
                    SF:/other/src/lib.rs\nDA:1,0\n";
        let files = parse(text);
        assert_eq!(files.len(), 1);
        let lines = files.get("wal/log.rs").expect("it is there");
        assert_eq!((lines.count, lines.missed.as_slice()), (3, &[2][..]));
    }
}
