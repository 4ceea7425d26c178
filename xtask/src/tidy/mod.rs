//! What reviewers should not have to look for.

mod circles;
mod crates;
mod lexer;
mod markdown;
mod modules;
mod paths;
mod text;
mod walk;

use std::path::Path;

/// Prints the circles of files that use each other.
pub(crate) fn print_circles() {
    circles::print();
}

/// Everything that is against the rules, a sentence each.
pub(crate) fn check() -> Vec<String> {
    let mut problems = Vec::new();
    for name in ["README.md", "ARCHITECTURE.md", "COMPAT.md", "CHANGELOG.md", "CONTRIBUTING.md"] {
        if !Path::new(name).exists() {
            problems.push(format!("{name} is missing: run this from the root of the project"));
        }
    }
    text::check(&mut problems);
    crates::check(&mut problems);
    circles::check(&mut problems);
    markdown::check(&mut problems);
    walk::check(&mut problems);
    problems
}
