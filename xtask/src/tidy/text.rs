//! Rules for each file by itself: length, width, words.

use super::lexer::{self, Token};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a source file at most, tests at its end not counted.
const LINES_MAX: usize = 500;

/// Lines of a file of tests at most.
const TEST_LINES_MAX: usize = 800;

/// Lines of a function's body at most, comments and empty ones not counted.
const FUNCTION_LINES_MAX: usize = 70;

/// Columns of a line at most; texts that must not be broken are in tables.
const COLUMNS_MAX: usize = 100;

/// A file with lines that are longer on purpose: a table whose texts are printed as they are.
const TABLE: &str = "crates/stead/src/setting/table.rs";

/// Folders with files that these rules are for.
const FOLDERS: [&str; 5] = ["bench", "crates", "dashboard", "fuzz", "xtask"];

/// Marks of unfinished work, written so that this file does not hold them.
fn marks() -> [String; 5] {
    ["TO_DO", "FIX_ME", "XX_X", "todo_!(", "dbg_!("].map(|mark| mark.replace('_', ""))
}

/// Looks at every file in Rust, Python, JavaScript and CSS.
pub(crate) fn check(problems: &mut Vec<String>) {
    let files = files(&["rs", "py", "js", "jsx", "mjs", "css"]);
    for file in &files {
        match fs::read_to_string(file) {
            Ok(text) => check_file(&file.display().to_string(), &text, problems),
            Err(error) => problems.push(format!("{}: {error}", file.display())),
        }
    }
}

/// Folders of what is built or fetched, by their last names.
const FOREIGN: [&str; 3] = ["target", "node_modules", "dist"];

/// The files of these kinds that are the project's own, in order.
pub(crate) fn files(kinds: &[&str]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in FOLDERS {
        collect(Path::new(folder), kinds, &mut files);
    }
    files.sort();
    files
}

fn collect(dir: &Path, kinds: &[&str], files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            // A crate has the name of a folder that is built.
            let is_foreign = FOREIGN.iter().any(|name| path.ends_with(name));
            if !is_foreign || path.join("Cargo.toml").exists() {
                collect(&path, kinds, files);
            }
        } else if path.extension().is_some_and(|own| kinds.iter().any(|kind| *kind == own)) {
            files.push(path);
        }
    }
}

fn check_file(name: &str, text: &str, problems: &mut Vec<String>) {
    let is_rust = name.ends_with(".rs");
    let is_test = name.split('/').any(|part| matches!(part, "tests" | "tests.rs"));
    if is_rust {
        check_length(name, text, if is_test { TEST_LINES_MAX } else { LINES_MAX }, problems);
        check_functions(name, text, problems);
        if !text.starts_with("//!") && !text.starts_with("#!") {
            problems.push(format!("{name}: missing module documentation"));
        }
    }
    // Answers of servers stand in tests as they came.
    if !(is_rust && is_test) && name != TABLE {
        check_width(name, text, problems);
    }
    let marks = marks();
    for (at, line) in text.lines().enumerate() {
        let at = at + 1;
        if is_rust && !line.is_ascii() {
            problems.push(format!("{name}:{at}: not ASCII"));
        }
        if let Some(mark) = marks.iter().find(|mark| line.contains(mark.as_str())) {
            problems.push(format!("{name}:{at}: {mark} marks unfinished work"));
        }
    }
}

fn check_length(name: &str, text: &str, most: usize, problems: &mut Vec<String>) {
    let body = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    let lines = body.lines().count();
    if lines > most {
        problems.push(format!("{name}: {lines} lines, more than {most}"));
    }
}

/// Clippy has such a lint too, but does not see `bench`, which is a workspace of its own.
fn check_functions(name: &str, text: &str, problems: &mut Vec<String>) {
    for (function, at, lines) in functions(&lexer::tokens(text)) {
        if lines > FUNCTION_LINES_MAX {
            let most = FUNCTION_LINES_MAX;
            problems.push(format!("{name}:{at}: {function} has {lines} lines, more than {most}"));
        }
    }
}

/// The functions of a file: name, line, and lines of the body.
fn functions<'a>(tokens: &[Token<'a>]) -> Vec<(&'a str, usize, usize)> {
    let mut found = Vec::new();
    for (at, pair) in tokens.windows(2).enumerate() {
        let [word, name] = pair else { continue };
        if word.text != "fn" || !name.text.starts_with(|first: char| first.is_alphabetic()) {
            continue;
        }
        // A declaration without a body ends with a semicolon; `[u8; 4]` has one too.
        let mut open = at + 2;
        while let Some(token) = tokens.get(open) {
            match token.text {
                "{" | ";" => break,
                "(" | "[" => open = lexer::closing(tokens, open),
                _ => open += 1,
            }
        }
        if tokens.get(open).is_none_or(|token| token.text != "{") {
            continue;
        }
        let end = lexer::closing(tokens, open).saturating_sub(1);
        let body = tokens.get(open + 1..end).unwrap_or_default();
        let lines: BTreeSet<usize> =
            body.iter().flat_map(|token| token.line..=token.last_line()).collect();
        found.push((name.text, word.line, lines.len()));
    }
    found
}

/// Prettier formats the dashboard, and leaves texts that it cannot break: there only comments are
/// looked at.
fn check_width(name: &str, text: &str, problems: &mut Vec<String>) {
    let is_formatted = name.starts_with("dashboard/");
    let is_comment = |line: &str| line.trim_start().starts_with(['/', '*']);
    for (at, line) in text.lines().enumerate() {
        if line.chars().count() > COLUMNS_MAX && (!is_formatted || is_comment(line)) {
            problems.push(format!("{name}:{}: longer than {COLUMNS_MAX} columns", at + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(name: &str, text: &str) -> Vec<String> {
        let mut problems = Vec::new();
        check_file(name, text, &mut problems);
        problems
    }

    #[test]
    fn each_rule_finds_what_is_against_it() {
        let wide = "x".repeat(COLUMNS_MAX + 1);
        let long = format!("//! Doc.\n{}", "\n".repeat(LINES_MAX));
        let mark = &marks()[0];
        for (name, text, want) in [
            ("crates/a/src/b.rs", "//! Doc.\nfn a() {}", None),
            ("crates/a/src/b.rs", "fn a() {}", Some("missing module documentation")),
            ("crates/a/src/b.rs", &format!("//! Doc.\n// {wide}"), Some(":2: longer than 100")),
            ("crates/a/tests/b.rs", &format!("//! Doc.\n// {wide}"), None),
            ("bench/a.py", &wide, Some(":1: longer than 100")),
            ("crates/a/src/b.rs", &long, Some("501 lines, more than 500")),
            ("crates/a/src/b/tests.rs", &long, None),
            ("crates/a/src/b.rs", "//! D\u{e9}.", Some("not ASCII")),
            ("dashboard/a.js", "// D\u{e9}.", None),
            ("bench/a.py", &format!("# {mark}"), Some("unfinished work")),
        ] {
            let found = problems(name, text);
            match want {
                None => assert!(found.is_empty(), "{name}: {found:?}"),
                Some(want) => assert!(found.len() == 1 && found[0].contains(want), "{found:?}"),
            }
        }
    }

    #[test]
    fn lines_of_a_function_are_those_with_code() {
        let text = "fn a(b: [u8; 2]) -> C {\n    // d\n\n    e();\n    \"f\n    g\"\n}\n\
                    trait H { fn i(); fn j() { k } }\nfn l() {}\n";
        let want = [("a", 1, 3), ("j", 8, 1), ("l", 9, 0)];
        assert_eq!(functions(&lexer::tokens(text)), want);
        let long = format!("//! Doc.\nfn a() {{\n{}}}", "b();\n".repeat(FUNCTION_LINES_MAX));
        assert!(problems("xtask/src/a.rs", &long).is_empty());
        assert_eq!(problems("xtask/src/a.rs", &long.replace('}', "b();\n}")).len(), 1);
    }

    #[test]
    fn files_and_lines_have_their_bounds() {
        let lengths = |lines| {
            let mut problems = Vec::new();
            check_length("a.rs", &"\n".repeat(lines), LINES_MAX, &mut problems);
            problems
        };
        assert!(lengths(LINES_MAX).is_empty());
        assert_eq!(lengths(LINES_MAX + 1).len(), 1);
        let wide = "x".repeat(COLUMNS_MAX + 1);
        assert_eq!(problems("bench/a.py", &format!("a\n{wide}\n")).len(), 1);
        assert!(problems("dashboard/a.js", &wide).is_empty());
        assert_eq!(problems("dashboard/a.js", &format!("  // {wide}")).len(), 1);
    }
}
