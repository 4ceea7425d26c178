//! The walk of one request in ARCHITECTURE.md: each step names a file and functions that are there,
//! and the sentence behind it says how many files and jumps that makes.

use std::collections::BTreeSet;
use std::fs;

const PAGE: &str = "ARCHITECTURE.md";
const HEADING: &str = "## One request";

/// One step: a file as the page names it, and the functions that are entered there.
#[derive(Debug, PartialEq, Eq)]
struct Step<'a> {
    line: usize,
    file: &'a str,
    functions: Vec<&'a str>,
}

/// Compares the walk with the sources.
pub(crate) fn check(problems: &mut Vec<String>) {
    let page = fs::read_to_string(PAGE).unwrap_or_default();
    check_page(&page, &|path| fs::read_to_string(path).ok(), problems);
}

fn check_page(page: &str, read: &dyn Fn(&str) -> Option<String>, problems: &mut Vec<String>) {
    let steps = steps(page);
    if steps.is_empty() {
        return problems.push(format!("{PAGE}: no walk below {HEADING:?}"));
    }
    for Step { line, file, functions } in &steps {
        let path = file.split_once('/').map(|(name, rest)| format!("crates/{name}/src/{rest}"));
        let Some(source) = path.and_then(|path| read(&path)) else {
            problems.push(format!("{PAGE}:{line}: {file} does not exist"));
            continue;
        };
        for name in functions.iter().filter(|name| !has_function(&source, name)) {
            problems.push(format!("{PAGE}:{line}: {file} has no function {name}"));
        }
    }
    let files = steps.iter().map(|step| step.file).collect::<BTreeSet<_>>().len();
    let pairs = steps.iter().zip(steps.iter().skip(1));
    let jumps = pairs.filter(|(one, next)| one.file != next.file).count();
    let count = format!("{files} files and {jumps} jumps");
    if !page.contains(&count) {
        problems.push(format!("{PAGE}: the walk is of {count}, and the page does not say so"));
    }
}

/// The numbered lines of the first block below the heading: a number, a file, functions with commas
/// between them, and behind two spaces what happens.
fn steps(page: &str) -> Vec<Step<'_>> {
    let lines = page.lines().enumerate().skip_while(|(_, line)| *line != HEADING);
    let block = lines.skip_while(|(_, line)| !line.starts_with("```")).skip(1);
    let block = block.take_while(|(_, line)| !line.starts_with("```"));
    block.filter_map(|(at, line)| read_step(at + 1, line)).collect()
}

fn read_step(line: usize, text: &str) -> Option<Step<'_>> {
    let (number, rest) = text.trim_start().split_once(' ')?;
    number.parse::<u32>().ok()?;
    let (file, rest) = rest.trim_start().split_once(' ')?;
    let names = rest.trim_start().split("  ").next().unwrap_or_default();
    Some(Step { line, file, functions: names.split(", ").map(str::trim).collect() })
}

/// Whether a source defines a function.
fn has_function(source: &str, name: &str) -> bool {
    let behind = source.match_indices("fn ").filter_map(|(at, mark)| source.get(at + mark.len()..));
    let mut behind = behind.filter_map(|text| text.strip_prefix(name));
    behind.any(|text| text.starts_with(['(', '<']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(walk: &str, said: &str) -> Vec<String> {
        let page =
            format!("## Other\n\n```\n1 x/y.rs z\n```\n\n{HEADING}\n\n```\n{walk}```\n{said}\n");
        let read = |path: &str| match path {
            "crates/a/src/b.rs" => Some("pub fn c<T>(d: T) {}\nfn dd() {}".to_owned()),
            "crates/a/src/e/f.rs" => Some("fn g() {}".to_owned()),
            _ => None,
        };
        let mut problems = Vec::new();
        check_page(&page, &read, &mut problems);
        problems
    }

    #[test]
    fn steps_name_functions_that_are_there() {
        let walk = " PUT /a\n 1  a/b.rs    c, dd  what happens\n 2  a/e/f.rs  g\n 3  a/b.rs  c\n";
        let said = "It is 2 files and 2 jumps.";
        assert!(problems(walk, said).is_empty());
        assert_eq!(problems(walk, "3 files and 2 jumps").len(), 1);
        let found = problems(" 1 a/b.rs d  x\n 2 a/h.rs g\n", "2 files and 1 jumps");
        let want = ["10: a/b.rs has no function d", "11: a/h.rs does not exist"];
        assert_eq!(found, want.map(|text| format!("{PAGE}:{text}")));
        assert_eq!(problems("", said).len(), 1, "a page without a walk");
    }
}
