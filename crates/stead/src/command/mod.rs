//! Commands that are no server: each has its own flags and its own help.

mod args;
mod backup;
mod content;
mod restore;

use crate::import;
use crate::source::Usage;
use std::process::ExitCode;

/// A command: its name, and what it does with the words behind it.
type Command = (&'static str, fn(&[String]) -> Result<ExitCode, Usage>);

const COMMANDS: [Command; 4] = [
    ("backup", backup::run),
    ("restore", restore::run),
    ("recover", restore::recover),
    ("import", import::run),
];

/// Runs the command that the arguments begin with; nothing if they begin with none of these.
pub(crate) fn run(args: &[String]) -> Option<Result<ExitCode, Usage>> {
    let (name, rest) = args.split_first()?;
    let (_, run) = COMMANDS.iter().find(|(known, _)| known == name)?;
    Some(run(rest))
}

pub(crate) use restore::force_new_cluster;
