//! Help, in the order and with the headings of etcdctl 2.

use super::flags::{Flag, Kind};
use super::table::{COMMANDS, Command, GLOBAL};
use std::fmt::Write as _;

/// The version that is claimed: scripts may look for one that has what they need.
pub(super) const VERSION: &str = "2.3.8";

/// What the program says of itself.
pub(super) fn version() -> String {
    let own = env!("CARGO_PKG_VERSION");
    format!("etcdctl version: {VERSION}\nAPI version: 2\nstead version: {own}\n")
}

/// The help of all.
pub(super) fn all() -> String {
    let mut out = format!(
        "NAME:\n   etcdctl - read, write and watch the keys of a Stead or an etcd (API version \
         2).\n\nUSAGE:\n   etcdctl [global options] command [command options] [arguments...]\n\n\
         VERSION:\n   {VERSION} (stead {})\n\n",
        env!("CARGO_PKG_VERSION")
    );
    list(&mut out, COMMANDS);
    options(&mut out, "GLOBAL OPTIONS", GLOBAL);
    out
}

/// The help of a command.
pub(super) fn one(group: Option<&Command>, command: &Command) -> String {
    let group = group.map_or(String::new(), |group| format!(" {}", group.name));
    let Command { name, args, about, flags, .. } = command;
    let mut out = format!(
        "NAME:\n   etcdctl{group} {name} - {about}\n\nUSAGE:\n   etcdctl{group} {name} [command \
         options] {args}\n\n"
    );
    options(&mut out, "OPTIONS", flags);
    out
}

/// The help of a command that has others.
pub(super) fn group(command: &Command, commands: &[Command]) -> String {
    let Command { name, args, about, flags, .. } = command;
    let mut out =
        format!("NAME:\n   etcdctl {name} - {about}\n\nUSAGE:\n   etcdctl {name} {args}\n\n");
    list(&mut out, commands);
    options(&mut out, "OPTIONS", flags);
    out
}

fn list(out: &mut String, commands: &[Command]) {
    out.push_str("COMMANDS:\n");
    let width = commands.iter().map(|command| command.name.len()).max().unwrap_or(0);
    for Command { name, about, .. } in commands {
        let _ = writeln!(out, "   {name:width$}  {about}");
    }
    out.push('\n');
}

fn options(out: &mut String, head: &str, flags: &[Flag]) {
    let spelled = |flag: &Flag| {
        let dashed = |name: &&str| {
            let dashes = if name.len() == 1 { "-" } else { "--" };
            let value = if flag.kind == Kind::Switch { "" } else { " value" };
            format!("{dashes}{name}{value}")
        };
        flag.names.iter().map(dashed).collect::<Vec<_>>().join(", ")
    };
    let width = flags.iter().map(|flag| spelled(flag).len()).max().unwrap_or(0);
    let _ = writeln!(out, "{head}:");
    for flag in flags {
        let _ = writeln!(out, "   {:width$}  {}", spelled(flag), flag.help);
    }
}
