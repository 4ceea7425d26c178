//! All commands of the program in one table, from which its manual and the completions of shells
//! are made. What each of them takes is in its own table.

use super::{backup, dev, disk, restore, status, version};
use crate::args::{Flags, all_names};
use crate::import::args as import;
use crate::setting::{Kind, SETTINGS};
use crate::text;
use clap::{Arg, ArgAction, Command};

/// Commands that take the flags of the server.
const OF_SERVER: Flags = Flags {
    command: "",
    valued: &["config", "data-dir", "name"],
    repeated: &[],
    plain: &[],
    has_words: false,
};

/// Adds what is no command of the client to the table of those that are.
pub(crate) fn whole(client: Command) -> Command {
    let common: &[Arg] = &client.get_arguments().cloned().collect::<Vec<_>>();
    let described = |flags: Flags, help| flags.described(help, common);
    let of_server = |name, help| described(Flags { command: name, ..OF_SERVER }, help);
    let all = [
        described(dev::FLAGS, dev::HELP),
        described(backup::FLAGS, backup::HELP),
        described(restore::RESTORE, restore::RESTORE_HELP),
        described(restore::RECOVER, restore::RECOVER_HELP),
        described(status::FLAGS, status::HELP),
        described(status::DOCTOR_FLAGS, status::DOCTOR_HELP),
        described(import::FLAGS, import::HELP),
        described(version::FLAGS, version::HELP),
        of_server("check", text::CHECK)
            .subcommand(described(Flags { command: "disk", ..disk::FLAGS }, disk::HELP)),
    ];
    let config = |config: Command| {
        let show = of_server("show", text::CONFIG_SHOW);
        config
            .subcommand(show.arg(Arg::new("json").long("json").action(ArgAction::SetTrue)))
            .subcommand(of_server("check", text::CONFIG_CHECK))
            .subcommand(of_server("docs", text::CONFIG_DOCS))
    };
    let client = client.subcommands(all).mut_subcommand("config", config);
    // A flag that the client has too is there once.
    let is_common = |name: &str| common.iter().any(|arg| all_names(arg).any(|one| one == name));
    let flags = SETTINGS.iter().filter(|one| !is_common(one.name));
    client.args(flags.map(|setting| {
        let arg = Arg::new(setting.name).long(setting.name).help(setting.help);
        let arg = arg.help_heading("Options of the server");
        match setting.kind {
            Kind::Bool => arg.action(ArgAction::SetTrue),
            Kind::Choice(words) => arg.value_parser(words.to_vec()),
            _ => arg.value_name("VALUE"),
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::NAMES;

    #[test]
    fn every_command_is_in_the_table() {
        let mut table = whole(Command::new("stead").subcommand(Command::new("config")));
        table.build();
        for name in NAMES.into_iter().filter(|name| *name != "help") {
            let find = |at: Option<&Command>, word| at?.find_subcommand(word).cloned();
            let mut at = Some(table.clone());
            for word in name.split(' ') {
                at = find(at.as_ref(), word);
            }
            let found = at.unwrap_or_else(|| panic!("{name} is missing"));
            let about = found.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(about.len() > 10 && !about.contains("stead"), "{name}: {about}");
            let text = found.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            assert!(text.contains("Examples:\n"), "{name}");
        }
        for setting in SETTINGS.iter() {
            let has = |arg: &Arg| arg.get_long() == Some(setting.name);
            assert!(table.get_arguments().any(has), "-{}", setting.name);
        }
    }
}
