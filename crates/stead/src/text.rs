//! What the program says about itself: help, the settings in force, their documentation.

use crate::setting::{Flag, Kind, SETTINGS, Setting, Support};
use crate::source::Values;
use std::fmt::Write as _;

const WIDTH: usize = 96;
const INDENT: &str = "      ";

const HEAD: &str = "\
stead: a durable key-value store that speaks the etcd v2 API

Usage:
  stead [flags]                  serve
  stead config show [flags]      print every setting, its value and where it is from
  stead config check [flags]     check the settings and stop
  stead config docs              print the documentation of all settings (Markdown)
  stead check -data-dir DIR      check a data directory (read-only)
  stead version                  print the version

Flags take one dash or two, and their value behind a space or an equals sign; booleans only
behind an equals sign. Each can be set by its environment variable or in a file (-config) too.
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
        Kind::Seconds => " SECONDS".to_owned(),
        Kind::List => " A,B,...".to_owned(),
        Kind::Choice(words) => format!(" {}", words.join("|")),
    }
}

fn working() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(|setting| setting.support == Support::Works)
}

/// The groups in the order of the table.
fn groups() -> Vec<&'static str> {
    let mut groups: Vec<&'static str> = Vec::new();
    for setting in working() {
        if !groups.contains(&setting.group) {
            groups.push(setting.group);
        }
    }
    groups
}

/// The text of `--help`.
pub(crate) fn help() -> String {
    let mut out = HEAD.to_owned();
    for group in groups() {
        let _ = writeln!(out, "\n{group}:");
        for setting in working().filter(|setting| setting.group == group) {
            let _ = writeln!(out, "  -{}{}", setting.name, placeholder(setting.kind));
            let mut help = setting.help.to_owned();
            if !setting.default.is_empty() {
                let _ = write!(help, " Default: {}.", setting.default);
            }
            if !setting.env.is_empty() {
                let _ = write!(help, " [{}]", setting.env);
            }
            out.push_str(&wrap(&help, INDENT));
        }
    }
    out
}

/// The text of `stead config show`.
pub(crate) fn show(values: &Values) -> String {
    let mut out = String::new();
    for setting in working() {
        let (value, source) = values.get(setting.flag);
        let is_secret = setting.flag == Flag::PeerToken && !value.is_empty();
        let value = if is_secret { "(hidden)" } else { value };
        let _ = writeln!(out, "{:<26} {:<30} {source}", setting.name, format!("{value:?}"));
    }
    out
}

/// docs/configuration.md.
pub(crate) fn docs() -> String {
    let mut out = String::from(
        "# Configuration\n\nMade by `stead config docs`; a test keeps it up to date.\n\n\
         A value comes from, in rising precedence: the default, `/etc/etcd/etcd.conf`\n\
         if it exists, the file named by `-config`, the environment, the command line.\n\
         `stead config show` prints each setting with its value and its source.\n",
    );
    for group in groups() {
        let _ = writeln!(out, "\n## {group}\n\n| flag | environment | file | default | |");
        out.push_str("| --- | --- | --- | --- | --- |\n");
        for setting in working().filter(|setting| setting.group == group) {
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
                code(setting.default),
                setting.help.replace('|', "\\|"),
            );
        }
    }
    out.push_str("\n## Accepted and ignored\n\n");
    for setting in SETTINGS {
        if let Support::Ignored(why) = setting.support {
            let _ = writeln!(out, "- `-{}`: {why}", setting.name);
        }
    }
    out.push_str("\n## Refused\n\n");
    for setting in SETTINGS {
        if let Support::Refused(why) = setting.support {
            let _ = writeln!(out, "- `-{}`: {why}", setting.name);
        }
    }
    out
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
        for setting in working() {
            assert!(help.contains(&format!("  -{}", setting.name)), "{}", setting.name);
        }
        let longest = help.lines().map(str::len).max().unwrap_or(0);
        assert!(longest <= 100, "a line of {longest} columns");
    }
}
