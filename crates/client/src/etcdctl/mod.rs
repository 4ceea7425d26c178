//! The commands of etcdctl 2, for a program that is called by that name.
//!
//! Scripts see what Debian's etcdctl 3.4 with `ETCDCTL_API=2` gives: the same words, streams and
//! exit codes. COMPAT.md lists what differs, and packaging/test/etcdctl-by-name compares. Only the
//! command line and what is printed are here; the calls are those of the client.
//!
//! The command line is read by a table of our own, not by clap: flags stand before the command as
//! well as behind it and have one dash or two, errors are those of Go's `flag` package, and words
//! that look like flags and are none are arguments. clap can be taught none of these.

mod auth;
mod call;
mod flags;
mod help;
mod keys;
mod member;
mod print;
mod role;
mod stop;
mod table;
mod user;
mod watch;

use crate::term::{Screen, say};
use call::Call;
use flags::{Given, parse, reorder};
use std::process::ExitCode;
use stop::Stop;
use table::{Act, COMMANDS, Command, GLOBAL};

/// The exit code for a command that is none.
const UNKNOWN_COMMAND: u8 = 3;

/// Runs a command line of etcdctl 2, the words behind the program's name.
pub fn run(args: &[String]) -> ExitCode {
    let ended = match std::env::var("ETCDCTL_API").as_deref() {
        Ok("3") => Err(Stop::plain(
            "ETCDCTL_API=3: this etcdctl and its servers have API version 2 alone: unset the \
             variable, or set ETCDCTL_API=2",
        )),
        _ => start(args),
    };
    ExitCode::from(ended.unwrap_or_else(|Stop { code, text }| {
        if !text.is_empty() {
            say(&Screen::of_stderr().value(&text));
        }
        code
    }))
}

fn show(text: &str) -> Result<u8, Stop> {
    print::put(text)
}

/// The end of a command line that cannot be read: help on standard output, and why on both.
fn misused(head: &str, why: &str, help: &str) -> Result<u8, Stop> {
    show(&format!("{head}{why}\n{help}"))?;
    Err(Stop::plain(why))
}

fn unknown(name: &str) -> Stop {
    Stop { code: UNKNOWN_COMMAND, text: format!("No help topic for '{name}'") }
}

fn start(args: &[String]) -> Result<u8, Stop> {
    let global = match parse(GLOBAL, args) {
        Ok(global) => global,
        Err(why) if why.starts_with("Cannot use two forms") => {
            return misused("", &why, &help::all());
        }
        Err(why) => return misused("Incorrect Usage. ", &why, &format!("\n{}", help::all())),
    };
    if global.is_set("help") {
        return show(&help::all());
    }
    if global.is_set("version") {
        return show(&help::version());
    }
    let Some((name, rest)) = global.args.split_first() else { return show(&help::all()) };
    let Some(command) = find(COMMANDS, name) else { return Err(unknown(name)) };
    let rest = rest.to_vec();
    match command.act {
        Act::Help => explain(COMMANDS, None, &rest),
        Act::Run(act) => take(None, command, act, global, &rest),
        Act::Group(commands) => in_group(command, commands, global, &rest),
    }
}

fn find(commands: &'static [Command], name: &str) -> Option<&'static Command> {
    let is_meant = |command: &&Command| {
        command.name == name || (name == "h" && matches!(command.act, Act::Help))
    };
    commands.iter().find(is_meant)
}

/// The help of a command of several.
fn explain(
    commands: &'static [Command],
    group: Option<&Command>,
    args: &[String],
) -> Result<u8, Stop> {
    let Some(name) = args.first() else {
        return show(&group.map_or_else(help::all, |group| help::group(group, commands)));
    };
    let command = find(commands, name).ok_or_else(|| unknown(name))?;
    match command.act {
        Act::Group(inner) => show(&help::group(command, inner)),
        _ => show(&help::one(group, command)),
    }
}

/// Runs a command.
fn take(
    group: Option<&Command>,
    command: &Command,
    act: fn(&Call) -> Result<u8, Stop>,
    global: Given,
    args: &[String],
) -> Result<u8, Stop> {
    match parse(command.flags, &reorder(command.flags, args)) {
        Err(why) => misused("Incorrect Usage: ", &why, &format!("\n{}", help::one(group, command))),
        Ok(own) if own.is_set("help") => show(&help::one(group, command)),
        Ok(own) => act(&Call { global, own }),
    }
}

/// Runs a command of a group.
fn in_group(
    group: &Command,
    commands: &'static [Command],
    global: Given,
    args: &[String],
) -> Result<u8, Stop> {
    let given = match parse(group.flags, args) {
        Ok(given) => given,
        Err(why) => {
            return misused(
                "Incorrect Usage. ",
                &why,
                &format!("\n{}", help::group(group, commands)),
            );
        }
    };
    let Some((name, rest)) = given.args.split_first().filter(|_| !given.is_set("help")) else {
        return show(&help::group(group, commands));
    };
    let command = find(commands, name).ok_or_else(|| unknown(name))?;
    match command.act {
        Act::Run(act) => take(Some(group), command, act, global, rest),
        _ => explain(commands, Some(group), rest),
    }
}
