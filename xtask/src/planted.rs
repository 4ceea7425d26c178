//! Plants classic mistakes, one at a time, and looks whether the simulator finds them.
//!
//! Each patch in `crates/sim/planted` begins with what the mistake is and which checkers may tell
//! of it, and is applied to a copy of what is committed. A suite that finds none of them would be
//! worth nothing, however often it is green. A mistake that takes more luck than some thousand
//! seeds have names a test of `replica` that finds it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PATCHES: &str = "crates/sim/planted";
const TREE: &str = "target/planted/tree";
const BUILD: &str = "target/planted/build";

/// How many seeds a mistake may hide from.
const SEEDS: u64 = 20_000;

/// One planted mistake.
struct Planted {
    name: String,
    path: PathBuf,
    /// The checkers that may tell of it.
    checkers: Vec<String>,
    /// The test that finds what the simulator meets too rarely.
    test: Option<String>,
}

/// Plants all, or those whose names are given. Says in a table who found them after how many seeds;
/// gives what was not found.
pub(crate) fn check(names: &[String]) -> Vec<String> {
    let planted = match read_all(names) {
        Ok(planted) if planted.is_empty() => return vec![format!("{PATCHES}: no such patch")],
        Ok(planted) => planted,
        Err(error) => return vec![format!("{PATCHES}: {error}")],
    };
    if !make_tree() {
        return vec![format!("cannot copy the committed tree to {TREE}")];
    }
    let mut problems = Vec::new();
    for mistake in planted {
        match try_one(&mistake) {
            Ok(found) => println!("{:30} found by {found}", mistake.name),
            Err(problem) => problems.push(format!("{}: {problem}", mistake.name)),
        }
    }
    problems
}

/// Which patches no longer apply to what is there.
pub(crate) fn check_patches() -> Vec<String> {
    let planted = match read_all(&[]) {
        Ok(planted) => planted,
        Err(error) => return vec![format!("{PATCHES}: {error}")],
    };
    let stale = planted.iter().filter(|mistake| {
        let patch = mistake.path.to_string_lossy();
        !git(Path::new("."), &["apply", "--check", &patch])
    });
    stale
        .map(|mistake| format!("{}: the patch does not apply: regenerate it", mistake.name))
        .collect()
}

fn read_all(names: &[String]) -> std::io::Result<Vec<Planted>> {
    let mut planted = Vec::new();
    for entry in fs::read_dir(PATCHES)? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if path.extension().is_none_or(|extension| extension != "patch")
            || !(names.is_empty() || names.contains(&name))
        {
            continue;
        }
        let text = fs::read_to_string(&path)?;
        let listed = text.lines().find_map(|line| line.strip_prefix("caught by: "));
        let checkers = listed.unwrap_or_default().split(", ").map(str::to_owned).collect();
        let test = text.lines().find_map(|line| line.strip_prefix("test: ")).map(str::to_owned);
        planted.push(Planted { name, path: fs::canonicalize(path)?, checkers, test });
    }
    planted.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(planted)
}

fn git(dir: &Path, args: &[&str]) -> bool {
    let status = Command::new("git").arg("-C").arg(dir).args(args).status();
    status.is_ok_and(|status| status.success())
}

/// A copy of what is committed, beside the build.
fn make_tree() -> bool {
    let tree = Path::new(TREE);
    if !tree.exists() && !git(Path::new("."), &["worktree", "add", "--detach", TREE]) {
        return false;
    }
    let head = Command::new("git").args(["rev-parse", "HEAD"]).output();
    let Ok(head) = head else { return false };
    let head = String::from_utf8_lossy(&head.stdout).trim().to_owned();
    git(tree, &["checkout", "--quiet", "--force", "--detach", &head])
}

/// Plants one mistake; gives in words what told of it.
fn try_one(mistake: &Planted) -> Result<String, String> {
    let tree = Path::new(TREE);
    let patch = mistake.path.to_string_lossy();
    if !git(tree, &["checkout", "--quiet", "--force", "."]) || !git(tree, &["apply", &patch]) {
        return Err("the patch does not apply: regenerate it".to_owned());
    }
    let found = match &mistake.test {
        Some(test) => run_test(tree, test),
        None => run_seeds(tree, &mistake.checkers),
    };
    if !git(tree, &["checkout", "--quiet", "--force", "."]) {
        return Err(format!("cannot restore {TREE}"));
    }
    found
}

/// Runs one test of `replica`, which should fail.
fn run_test(tree: &Path, test: &str) -> Result<String, String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(tree)
        .args(["test", "-p", "stead-replica", "--target-dir"])
        .arg(build_dir()?)
        .args(["--", test])
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let is_it = |line: &str| line.starts_with("test ") && line.contains(test);
    if text.lines().any(|line| is_it(line) && line.ends_with("FAILED")) {
        Ok(format!("the test {test}"))
    } else if text.lines().any(is_it) {
        Err(format!("the test {test} does not fail"))
    } else {
        Err(format!("the test {test} did not run: does the mistake compile?"))
    }
}

fn build_dir() -> Result<PathBuf, String> {
    let target = fs::canonicalize("target").map_err(|error| error.to_string())?;
    Ok(target.join(Path::new(BUILD).strip_prefix("target").unwrap_or(Path::new(BUILD))))
}

/// Runs the simulator, of which one of these checkers should complain.
fn run_seeds(tree: &Path, checkers: &[String]) -> Result<String, String> {
    let seeds = SEEDS.to_string();
    let output = Command::new(env!("CARGO"))
        .current_dir(tree)
        .args(["run", "--quiet", "--profile", "sim", "-p", "stead-sim", "--target-dir"])
        .arg(build_dir()?)
        .args(["--", "--seed", "1", "--seeds", &seeds])
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let failed = text.lines().find_map(|line| line.strip_prefix("FAILED seed "));
    let Some((seed, rest)) = failed.and_then(|line| line.split_once(": ")) else {
        let errors = String::from_utf8_lossy(&output.stderr);
        let last = errors.lines().last().unwrap_or("and the simulator reported nothing");
        return Err(format!("not found in {SEEDS} seeds: {last}"));
    };
    let checker = rest.split_once(": ").map_or(rest, |(checker, _)| checker);
    if !checkers.iter().any(|one| one == checker) {
        return Err(format!("found by {checker:?}, but expected one of {checkers:?}"));
    }
    Ok(format!("{checker:16} after {seed} seeds"))
}
