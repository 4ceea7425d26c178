//! What reviewers should not have to look for.

use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a source file at most, tests at its end not counted.
const LINES_MAX: usize = 800;

/// Columns of a line at most; texts that must not be broken are in tables.
const COLUMNS_MAX: usize = 100;

/// A file with lines that are longer on purpose.
const LONG_LINES: [&str; 1] = ["crates/stead/src/setting.rs"];

/// Which crates of ours each may use: dependencies point one way.
const LAYERS: [(&str, &[&str]); 8] = [
    ("store", &[]),
    ("wal", &[]),
    ("replica", &["store", "wal"]),
    ("server", &["replica", "store", "wal"]),
    ("stead", &["server"]),
    ("sim", &["replica", "store", "wal"]),
    ("torture", &["sim", "store"]),
    ("fuzzed", &["replica", "server", "store", "wal"]),
];

/// Marks of unfinished work, written so that this file does not hold them.
fn marks() -> [String; 5] {
    ["TO_DO", "FIX_ME", "XX_X", "todo_!(", "dbg_!("].map(|mark| mark.replace('_', ""))
}

/// Everything that is against the rules, a sentence each.
pub(crate) fn check() -> Vec<String> {
    let mut problems = Vec::new();
    let mut files = Vec::new();
    for root in ["crates", "xtask", "fuzz"] {
        collect(Path::new(root), &mut files);
    }
    files.sort();
    for file in &files {
        match fs::read_to_string(file) {
            Ok(text) => check_source(file, &text, &mut problems),
            Err(error) => problems.push(format!("{}: {error}", file.display())),
        }
    }
    for (name, allowed) in LAYERS {
        check_layer(name, allowed, &mut problems);
    }
    for name in ["README.md", "ARCHITECTURE.md", "COMPAT.md", "CHANGELOG.md", "CONTRIBUTING.md"] {
        if !Path::new(name).exists() {
            problems.push(format!("{name} is missing: run this from the root of the project"));
        }
    }
    problems
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn check_source(file: &Path, text: &str, problems: &mut Vec<String>) {
    let name = file.display();
    let body = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    let lines = body.lines().count();
    if lines > LINES_MAX {
        problems.push(format!("{name}: {lines} lines, more than {LINES_MAX}"));
    }
    if !text.starts_with("//!") && !text.starts_with("#!") {
        problems.push(format!("{name}: no module documentation"));
    }
    let marks = marks();
    // Answers of servers stand in tests as they came.
    let is_test = file.components().any(|part| part.as_os_str() == "tests");
    let may_be_long = is_test || LONG_LINES.iter().any(|long| file.ends_with(long));
    for (at, line) in text.lines().enumerate() {
        let at = at + 1;
        if line.chars().count() > COLUMNS_MAX && !may_be_long {
            problems.push(format!("{name}:{at}: longer than {COLUMNS_MAX} columns"));
        }
        if !line.is_ascii() {
            problems.push(format!("{name}:{at}: not ASCII"));
        }
        if let Some(mark) = marks.iter().find(|mark| line.contains(mark.as_str())) {
            problems.push(format!("{name}:{at}: {mark} marks unfinished work"));
        }
    }
}

fn check_layer(name: &str, allowed: &[&str], problems: &mut Vec<String>) {
    let path = format!("crates/{name}/Cargo.toml");
    let Ok(text) = fs::read_to_string(&path) else {
        problems.push(format!("{path} cannot be read"));
        return;
    };
    if !text.contains("[lints]\nworkspace = true") {
        problems.push(format!("{path}: the workspace's lints are not taken over"));
    }
    let own = text.split("[dev-dependencies]").next().unwrap_or(&text);
    for (other, _) in LAYERS {
        let uses = own.lines().any(|line| line.starts_with(&format!("{other}.workspace")));
        if uses && !allowed.contains(&other) {
            problems.push(format!("{path}: {name} must not depend on {other}"));
        }
    }
}
