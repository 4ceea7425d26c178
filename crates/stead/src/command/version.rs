//! What this program is: version, commit, target.
//!
//! The commit is known where packages are built (`cargo xtask dist`), and nowhere else: a build
//! that looked it up by itself would be another one after each commit, whatever is in it.

use crate::args::{Args, Flags};
use crate::console::print;
use crate::source::Usage;
use serde_json::json;
use std::process::ExitCode;

pub(super) const HELP: &str = "\
stead version: what this program is

Usage:
  stead version [flags]

With --json also the commit and when it was made, the target, and the dialects of the API that
are served. The commit is known to programs of a release, and null in one that you have built.

Flags:
  --json             print JSON; also --output json (-o json)

Examples:
  stead version
  stead version --json
";

pub(super) const FLAGS: Flags = Flags {
    command: "version",
    valued: &["output"],
    repeated: &[],
    plain: &["json"],
    has_words: true,
};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit, and when it was made, in UTC by RFC 3339.
const COMMIT: Option<&str> = option_env!("STEAD_BUILD_COMMIT");
const DATE: Option<&str> = option_env!("STEAD_BUILD_DATE");

/// What it was built for, as rustc names it.
const TARGET: Option<&str> = option_env!("STEAD_BUILD_TARGET");

/// The shapes of the API that are served, as `-compat` has them, with the servers that spoke them.
const DIALECTS: [(&str, &str); 2] = [("v04", "etcd 0.4"), ("v2", "etcd 2.x")];

/// Runs the command.
pub(super) fn run(args: &[String]) -> Result<ExitCode, Usage> {
    let args = Args::parse(FLAGS, args)?;
    if args.help {
        return Ok(print(HELP));
    }
    if !args.words.is_empty() {
        let given = format!("version {}", args.words.join(" "));
        return Err(Usage(format!("unknown command {given:?}: run `stead version --help`")));
    }
    Ok(print(&if args.wants_json()? { json() } else { text() }))
}

/// One line for people.
pub(crate) fn text() -> String {
    format!("stead version {VERSION}\n")
}

/// One line for programs; null for what the build did not know.
fn json() -> String {
    let machine = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    let dialects: Vec<_> =
        DIALECTS.iter().map(|(name, of)| json!({ "name": name, "of": of })).collect();
    let told = json!({
        "version": VERSION,
        "commit": COMMIT,
        "date": DATE,
        "target": TARGET.unwrap_or(&machine),
        "dialects": dialects,
    });
    format!("{told}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::{Flag, Kind};

    #[test]
    fn help_fits_the_terminal() {
        assert!(HELP.lines().all(|line| line.len() <= 100));
    }

    #[test]
    fn the_dialects_are_those_that_can_be_chosen() {
        let names: Vec<&str> = DIALECTS.iter().map(|(name, _)| *name).collect();
        assert_eq!(Flag::Compat.setting().kind, Kind::Choice(&["v04", "v2"]));
        assert_eq!(names, ["v04", "v2"]);
    }
}
