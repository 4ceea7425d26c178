//! What the program says about itself: help, the settings in force, their documentation.

use crate::setting::{FORMER, Fate, Flag, Kind, SETTINGS};
use crate::source::{Source, Values};
use crate::value;
use serde_json::json;
use std::fmt::Write as _;

const WIDTH: usize = 96;
const INDENT: &str = "      ";

/// The commands; what `stead help` prints.
pub(crate) const HEAD: &str = "\
stead: a durable key-value store that speaks the etcd v2 API

Usage:
  stead [flags]                  serve
  stead COMMAND [flags]
  stead dev                      serve in memory, on a free port: to try things out, for tests

Keys:
  get, set, mk, update, rm       read, write, make, change, remove a key
  ls, tree, mkdir, rmdir         list and make directories; setdir, updatedir for their TTL
  cat, cp, mv, edit              print raw values, copy, move, change in an editor
  watch, exec-watch              wait for changes, and run a program for each
  lock NAME -- PROGRAM           run a program while holding a lock

Cluster:
  status                         how a cluster is: members, leader, lag, what is wrong
  doctor                         what is wrong with a cluster, and what mends it
  bench                          measure how much a cluster does, and how quickly
  health                         whether each member and the cluster are healthy
  members, member                list, add, remove, update members
  move-leader [MEMBER]           let another member lead
  config get, config set         the configuration of a cluster

Data:
  backup FILE                    back up a running cluster; inspect, verify, compare backups
  restore FILE ...               make a new cluster of one from a backup
  recover ...                    make a new cluster of one from a member that is left
  import ...                     copy the keys of an etcd 0.2 to 3.5 into a running server
  check -data-dir DIR            check a data directory (read-only)
  check disk DIR                 measure how fast a disk syncs what the log writes

This program:
  config show [flags]            print every setting, its value and its source; --json
  config check [flags]           check the settings and exit
  config docs                    print the documentation of all settings (Markdown)
  completion bash|zsh|fish       completion for a shell
  man [DIR]                      manual pages of all commands
  version [--json]               print the version; with the commit, target and dialects

`stead get --help`, and so on, has the flags of a command, with examples; `stead --help` lists
every flag of the server.
";

pub(crate) const CHECK: &str = "\
stead check: look a data directory over, without changing it

Usage:
  stead check -data-dir DIR      its log and its snapshots
  stead check disk DIR           how fast a disk syncs: see `stead check disk --help`

It says which files are sound, where the log ends, and what the next start would cut off. The
exit code is 0 where a server would start from it, and 1 where not. The server must be stopped;
a backup of a running one is checked by `stead backup verify`.

Examples:
  stead check -data-dir /var/lib/stead
";

pub(crate) const CONFIG_SHOW: &str = "\
stead config show: every setting of the server, its value, and where that comes from

Usage:
  stead config show [--json] [flags of the server]

The flags are those of the start line, so that what a server would be told can be seen before.
The secret of -peer-token is not shown.

Examples:
  stead config show -config /etc/stead.toml
  ETCD_NAME=m1 stead config show --json
";

pub(crate) const CONFIG_CHECK: &str = "\
stead config check: whether a server would take its settings

Usage:
  stead config check [flags of the server]

It reads flags, variables and the file as a start does, and starts nothing. The exit code is 2
for a mistake, and for a name that is close to a known one, which a start only warns of.

Examples:
  stead config check -config /etc/stead.toml
  stead config check -name m1 -addr 10.0.0.1:4001 -peers 10.0.0.2:7001
";

pub(crate) const CONFIG_DOCS: &str = "\
stead config docs: the documentation of all settings, in Markdown

Usage:
  stead config docs

Examples:
  stead config docs > configuration.md
";

/// The help of one command, or of the server.
pub(crate) fn help_of(command: &[&str]) -> String {
    match command {
        ["check", ..] => CHECK.to_owned(),
        ["config", "show"] => CONFIG_SHOW.to_owned(),
        ["config", "check"] => CONFIG_CHECK.to_owned(),
        ["config", "docs"] => CONFIG_DOCS.to_owned(),
        ["config", ..] | ["help", ..] => HEAD.to_owned(),
        _ => help(),
    }
}

const FLAGS: &str = "
Flags take one dash or two, and their value after a space or an equals sign; booleans only
after an equals sign. Each can also be set by its environment variable or in a file (-config).
A TIME is a number with a unit, or several, as in 250ms or 1m30s; a SIZE as in 64KiB or 10MB.
Flags of etcd 0.4, 2.x and 3.4 that are not listed here are accepted with a warning.
";

fn wrap(text: &str, indent: &str) -> String {
    let mut out = String::new();
    let mut line = indent.to_owned();
    for word in text.split_whitespace() {
        if line.len() + word.len() + 1 > WIDTH && line.len() > indent.len() {
            out.push_str(line.trim_end());
            out.push('\n');
            line = indent.to_owned();
        }
        line.push_str(word);
        line.push(' ');
    }
    out.push_str(line.trim_end());
    out.push('\n');
    out
}

fn placeholder(kind: Kind) -> String {
    match kind {
        Kind::Text => " VALUE".to_owned(),
        Kind::Bool => "[=true|false]".to_owned(),
        Kind::Number(..) => " NUMBER".to_owned(),
        Kind::Bytes(..) => " SIZE".to_owned(),
        Kind::Micros(..) | Kind::Millis(..) | Kind::Seconds => " TIME".to_owned(),
        Kind::List => " A,B,...".to_owned(),
        Kind::Choice(words) => format!(" {}", words.join("|")),
    }
}

/// The groups in the order of the table.
fn groups() -> Vec<&'static str> {
    let mut groups: Vec<&'static str> = Vec::new();
    for setting in SETTINGS.iter() {
        if !groups.contains(&setting.group) {
            groups.push(setting.group);
        }
    }
    groups
}

/// The text of `--help`.
pub(crate) fn help() -> String {
    let mut out = format!("{HEAD}{FLAGS}");
    for group in groups() {
        let _ = writeln!(out, "\n{group}:");
        for setting in SETTINGS.iter().filter(|setting| setting.group == group) {
            let _ = writeln!(out, "  -{}{}", setting.name, placeholder(setting.kind));
            let mut help = setting.help.to_owned();
            if !setting.default.is_empty() {
                let default = value::shown(setting.kind, setting.default);
                let _ = write!(help, " Default: {default}.");
            }
            if !setting.env.is_empty() {
                let _ = write!(help, " [{}]", setting.env);
            }
            out.push_str(&wrap(&help, INDENT));
        }
    }
    out
}

/// Each setting as it is shown: its name, its value without secrets, its source.
fn shown(values: &Values) -> impl Iterator<Item = (&'static str, String, Source)> {
    SETTINGS.iter().map(|setting| {
        let (value, source) = values.get(setting.flag);
        let is_secret = setting.flag == Flag::PeerToken && !value.is_empty();
        let value = match is_secret {
            true => "(hidden)".to_owned(),
            false => value::shown(setting.kind, value),
        };
        (setting.name, value, source)
    })
}

/// The text of `stead config show`.
pub(crate) fn show(values: &Values) -> String {
    let mut out = String::new();
    for (name, value, source) in shown(values) {
        let _ = writeln!(out, "{name:<26} {:<30} {source}", format!("{value:?}"));
    }
    out
}

/// The same for programs: an object with the settings by their names.
pub(crate) fn show_json(values: &Values) -> String {
    let entry = |(name, value, source): (&str, String, Source)| {
        (name.to_owned(), json!({ "value": value, "source": source.to_string() }))
    };
    let all: serde_json::Map<_, _> = shown(values).map(entry).collect();
    format!("{:#}\n", serde_json::Value::Object(all))
}

/// docs/configuration.md.
pub(crate) fn docs() -> String {
    let mut out = String::from(
        "# Configuration\n\nGenerated by `stead config docs`; a test keeps it up to date.\n\n\
         Sources of a value, in rising precedence: the default, `/etc/etcd/etcd.conf`\n\
         if it exists, the file named by `-config`, the environment, the command line.\n\
         `stead config show` prints each setting with its value and its source.\n\n\
         A time is a number with a unit (`ns`, `us`, `ms`, `s`, `m`, `h`, `d`), or several, as \
         in `250ms` or `1m30s`.\nA size is a number with `B`, `KB`, `MB`, `GB` (of 1000), `KiB`, \
         `MiB` or `GiB` (of 1024).\nA bare number means what it has always meant: bytes, \
         microseconds for `-busy-poll`, milliseconds for\n`-peer-heartbeat-interval`, \
         `-peer-election-timeout` and `-request-timeout`, seconds otherwise.\n\n\
         Each setting also has the variable that etcd 2.x makes of its flag, as in \
         `ETCD_SNAPSHOT_COUNT`.\nA key or a variable that is unknown and close to a known one is \
         a warning at a start and an error of\n`stead config check`.\n",
    );
    for group in groups() {
        let _ = writeln!(out, "\n## {group}\n\n| flag | environment | file | default | |");
        out.push_str("| --- | --- | --- | --- | --- |\n");
        for setting in SETTINGS.iter().filter(|setting| setting.group == group) {
            let code = |text: &str| match text {
                "" => String::new(),
                text => format!("`{text}`"),
            };
            let aliases: String =
                setting.aliases.iter().map(|alias| format!(" (once `-{alias}`)")).collect();
            let _ = writeln!(
                out,
                "| `-{}`{aliases} | {} | {} | {} | {} |",
                setting.name,
                code(setting.env),
                code(setting.toml),
                code(&value::shown(setting.kind, setting.default)),
                setting.help.replace('|', "\\|"),
            );
        }
    }
    former(&mut out);
    out
}

/// What becomes of the flags that earlier servers had and this one has not.
fn former(out: &mut String) {
    out.push_str(
        "\n## Accepted and ignored\n\nEach costs one line in the log that says why, and so do the \
         variables and keys of the same names, as in `ETCD_MAX_WALS`\nand `max_wals`.\n\n\
         | flag | why |\n| --- | --- |\n",
    );
    for former in FORMER {
        if let Fate::Ignored(why) = former.fate {
            let _ = writeln!(out, "| `-{}` | {why} |", former.name);
        }
    }
    out.push_str(
        "\n## Refused\n\nWho gives one of these relies on something that would not be there.\n\n\
         | flag | why, and what to do instead |\n| --- | --- |\n",
    );
    for former in FORMER {
        if let Fate::Refused(instead) = former.fate {
            let _ = writeln!(out, "| `-{}` | {instead} |", former.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_of_the_settings_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
        let written = std::fs::read_to_string(path).expect("the file is part of the project");
        assert_eq!(written, docs(), "run `stead config docs > docs/configuration.md`");
    }

    #[test]
    fn help_names_every_flag_and_fits_the_terminal() {
        let help = help();
        for setting in SETTINGS.iter() {
            assert!(help.contains(&format!("  -{}", setting.name)), "{}", setting.name);
        }
        let longest = help.lines().map(str::len).max().unwrap_or(0);
        assert!(longest <= 100, "a line of {longest} columns");
    }
}
