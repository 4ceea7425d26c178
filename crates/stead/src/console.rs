//! What the program prints, and its exit codes.

use std::io::Write;
use std::process::ExitCode;

/// Exit codes (docs/spec/cli.md section 3).
pub(crate) const FAILED: u8 = 1;
pub(crate) const USAGE: u8 = 2;

/// Writes a line to standard error.
pub(crate) fn say(line: &str) {
    // Nobody is left to tell if this fails.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Writes a string to standard output.
pub(crate) fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(FAILED),
    }
}
