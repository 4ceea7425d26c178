//! Commands that are no server: each has its own flags and its own help.

mod backup;
mod content;
mod dev;
mod disk;
mod restore;
mod status;
mod version;
mod whole;

use crate::import;
use crate::source::Usage;
use std::process::ExitCode;

/// A command: its name, and what it does with the words behind it.
type Command = (&'static str, fn(&[String]) -> Result<ExitCode, Usage>);

const COMMANDS: [Command; 8] = [
    ("dev", dev::run),
    ("backup", backup::run),
    ("restore", restore::run),
    ("recover", restore::recover),
    ("status", status::run),
    ("doctor", status::run_doctor),
    ("import", import::run),
    ("version", version::run),
];

/// All words of commands but the client's, for suggestions.
pub(crate) const NAMES: [&str; 13] = [
    "dev",
    "backup",
    "restore",
    "recover",
    "status",
    "doctor",
    "import",
    "check",
    "config show",
    "config check",
    "config docs",
    "version",
    "help",
];

fn split(args: &[String]) -> Option<(&str, &[String])> {
    args.split_first().map(|(first, rest)| (first.as_str(), rest))
}

/// Runs the command that the arguments begin with; nothing if they begin with none of these.
pub(crate) fn run(args: &[String]) -> Option<Result<ExitCode, Usage>> {
    let (name, rest) = args.split_first()?;
    if name == "help" && !rest.is_empty() {
        return run(&[rest, &["--help".to_owned()]].concat());
    }
    // `stead check` alone is about a data directory, and takes the server's flags.
    if let ("check", Some(("disk", rest))) = (name.as_str(), split(rest)) {
        return Some(disk::run(rest));
    }
    let (_, run) = COMMANDS.iter().find(|(known, _)| known == name)?;
    Some(run(rest))
}

pub(crate) use restore::force_new_cluster;
pub(crate) use version::text as version;
pub(crate) use whole::whole;
