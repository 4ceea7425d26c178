//! Keeping what is there: backups, restoring them, and clusters that have lost their majority.

mod backups;
mod disks;
mod recovering;
mod restoring;
mod scheduled;

use crate::testkit::server::template;
use std::path::Path;
use std::process::{Command, Output};

/// Runs a command of the program; gives whether it succeeded, and all that it printed.
fn run(folder: &Path, args: &[&str]) -> (bool, String) {
    assert_eq!(template(), None, "only this program has these commands");
    let mut command = Command::new(env!("CARGO_BIN_EXE_stead"));
    let output = command.args(args).current_dir(folder).output();
    let Output { status, stdout, stderr } = output.expect("the program runs");
    let text = [stdout, stderr].concat();
    (status.success(), String::from_utf8(text).expect("the output is UTF-8"))
}

/// As [`run`], for a command that has to succeed.
fn must(folder: &Path, args: &[&str]) -> String {
    let (succeeded, text) = run(folder, args);
    assert!(succeeded, "{args:?}: {text}");
    text
}

/// As [`run`], for a command that has to fail.
fn fails(folder: &Path, args: &[&str]) -> String {
    let (succeeded, text) = run(folder, args);
    assert!(!succeeded, "{args:?}: {text}");
    text
}
