//! The arguments of the commands about data: flags with one dash or two, their values after a space
//! or an equals sign, and what is neither. The flags of the server are in `source.rs`, since they
//! are those of etcd and of the Go library that it read them with.

use crate::setting::Kind;
use crate::source::Usage;
use crate::value;
use clap::builder::NonEmptyStringValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command};

/// The id of what is no flag. A flag cannot have it.
const WORDS: &str = "WORD";
const HELP: &str = "help";

/// The flags of a command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flags {
    /// The command, for messages: `backup`.
    pub(crate) command: &'static str,
    /// Flags that have a value.
    pub(crate) valued: &'static [&'static str],
    /// Flags that have a value and can be given several times.
    pub(crate) repeated: &'static [&'static str],
    /// Flags that have none.
    pub(crate) plain: &'static [&'static str],
    /// Whether there is anything that is no flag.
    pub(crate) has_words: bool,
}

/// What was given.
#[derive(Debug)]
pub(crate) struct Args {
    matches: ArgMatches,
    /// What is no flag, in order.
    pub(crate) words: Vec<String>,
    /// Whether help was asked for.
    pub(crate) help: bool,
}

impl Flags {
    fn names(self) -> impl Iterator<Item = &'static str> {
        self.valued.iter().chain(self.repeated).chain(self.plain).copied().chain([HELP])
    }

    /// The command as others see it, with the text of its help: for the manual and for shells.
    /// Of the flags that the client's commands have in `common` it shows those that it takes.
    pub(crate) fn described(self, help: &'static str, common: &[Arg]) -> Command {
        let (head, text) = help.split_once("\n\n").unwrap_or((help, ""));
        let about = head.split_once(": ").map_or(head, |(_, about)| about).replace('\n', " ");
        let is_common = |name: &str| {
            // `--endpoint` is the `--endpoints` of the client.
            let name = if name == "endpoint" { "endpoints" } else { name };
            common.iter().any(|arg| all_names(arg).any(|one| one == name))
        };
        let own = self.table();
        let own: Vec<&str> = own.get_arguments().flat_map(all_names).collect();
        let takes = |arg: &Arg| all_names(arg).any(|name| own.contains(&name));
        let others = common.iter().filter(|arg| !takes(arg)).map(|arg| arg.clone().hide(true));
        let whole = self.table_of(|name| !is_common(name)).args(others);
        whole.about(about).after_long_help(text)
    }

    fn table(self) -> Command {
        self.table_of(|_| true)
    }

    /// The table without the flags that are not wanted.
    fn table_of(self, is_wanted: impl Fn(&str) -> bool) -> Command {
        let valued = |name: &&'static str, action: ArgAction| {
            let arg = Arg::new(*name).long(*name).action(action);
            let arg = arg.value_name("VALUE").value_parser(NonEmptyStringValueParser::new());
            // As the client's commands call them.
            match *name {
                "endpoint" => arg.alias("endpoints"),
                "ca-file" => arg.alias("cacert"),
                "cert-file" => arg.alias("cert"),
                "key-file" => arg.alias("key"),
                "output" => arg.short('o'),
                _ => arg,
            }
        };
        let plain = |name: &&'static str| {
            Arg::new(*name).long(*name).action(ArgAction::SetTrue).overrides_with(*name)
        };
        let help = Arg::new(HELP).long(HELP).short('h').action(ArgAction::SetTrue);
        let wanted = |names: &'static [&'static str]| names.iter().filter(|name| is_wanted(name));
        let command = Command::new(self.command)
            .disable_help_flag(true)
            .no_binary_name(true)
            .args(wanted(self.valued).map(|name| valued(name, ArgAction::Set)))
            .args(wanted(self.repeated).map(|name| valued(name, ArgAction::Append)))
            .args(wanted(self.plain).map(plain))
            .arg(help);
        match self.has_words {
            true => command.arg(Arg::new(WORDS).action(ArgAction::Append).num_args(0..)),
            false => command,
        }
    }

    /// A flag of one dash as one of two, which are the same here.
    fn with_two_dashes(self, arg: &str) -> String {
        let name = arg.strip_prefix('-').unwrap_or_default();
        let name = name.split_once('=').map_or(name, |(name, _)| name);
        match self.names().any(|known| known == name) {
            true => format!("-{arg}"),
            false => arg.to_owned(),
        }
    }
}

/// All names of a flag, without dashes.
pub(crate) fn all_names(arg: &Arg) -> impl Iterator<Item = &str> {
    arg.get_all_aliases().unwrap_or_default().into_iter().chain(arg.get_long())
}

impl Args {
    /// # Errors
    /// [`Usage`] with the flag that is unknown, lacks its value, or was given twice.
    pub(crate) fn parse(flags: Flags, args: &[String]) -> Result<Self, Usage> {
        let args = args.iter().map(|arg| flags.with_two_dashes(arg));
        let matches = flags.table().try_get_matches_from(args).map_err(|error| {
            Usage(format!("{}; run `stead {} --help`", sentence(&error), flags.command))
        })?;
        let words = match flags.has_words {
            true => matches.get_many::<String>(WORDS).unwrap_or_default().cloned().collect(),
            false => Vec::new(),
        };
        let help = matches.get_flag(HELP);
        Ok(Self { matches, words, help })
    }

    /// The value of a flag.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.matches.get_one::<String>(name).map(String::as_str)
    }

    /// The values of a flag that can be given several times, in order.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.matches.get_many::<String>(name).unwrap_or_default().map(String::as_str)
    }

    /// The endpoints that were named, by the flag or as the client's commands have them.
    pub(crate) fn endpoints(&self) -> String {
        let given = self.value("endpoint").map(str::to_owned);
        let named = given.or_else(client::endpoints_of_environment);
        named.unwrap_or_else(|| "http://127.0.0.1:4001".to_owned())
    }

    /// The value of a flag that has to be given.
    ///
    /// # Errors
    /// [`Usage`] if it is missing.
    pub(crate) fn needed(&self, name: &str) -> Result<&str, Usage> {
        self.value(name).ok_or_else(|| Usage(format!("--{name} is missing")))
    }

    /// The number that a flag has, if it was given.
    ///
    /// # Errors
    /// [`Usage`] if it is none.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Usage> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let invalid = |_| Usage(format!("--{name}: invalid number {value:?}"));
        value.parse().map(Some).map_err(invalid)
    }

    /// The seconds that a flag has, if it was given: a number, or a time with a unit.
    ///
    /// # Errors
    /// [`Usage`] if it is none.
    pub(crate) fn seconds(&self, name: &str) -> Result<Option<f64>, Usage> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let invalid = |wanted: String| Usage(format!("--{name}: {value:?}: {wanted}"));
        let seconds = value::normal(Kind::Seconds, value).map_err(invalid)?;
        Ok(seconds.parse().ok())
    }

    /// Whether JSON is wanted: `--json`, or `--output json` as the client's commands have it.
    ///
    /// # Errors
    /// [`Usage`] if the output is to be of another kind.
    pub(crate) fn wants_json(&self) -> Result<bool, Usage> {
        match self.value("output") {
            Some("json") => Ok(true),
            None | Some("simple") => Ok(self.has("json")),
            Some(other) => Err(Usage(format!("--output: {other:?} is neither simple nor json"))),
        }
    }

    /// Whether a flag without a value was given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.matches.get_flag(name)
    }
}

/// What is wrong, and what may have been meant, without the usage that follows.
fn sentence(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let text = text.split("\n\nUsage:").next().unwrap_or_default();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    // Nobody means that.
    let lines = lines.filter(|line| !line.starts_with("tip: to pass "));
    let all = lines.collect::<Vec<_>>().join("; ");
    all.strip_prefix("error: ").unwrap_or(&all).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: Flags = Flags {
        command: "test",
        valued: &["data-dir", "name"],
        repeated: &["from"],
        plain: &["force"],
        has_words: true,
    };

    fn parse(args: &[&str]) -> Result<Args, String> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        Args::parse(FLAGS, &args).map_err(|usage| usage.to_string())
    }

    #[test]
    fn the_table_is_consistent() {
        FLAGS.table().debug_assert();
    }

    #[test]
    fn flags_take_one_dash_or_two_and_values_in_both_ways() {
        let args = parse(&["a", "-data-dir", "d", "--name=n=1", "-force", "--force", "-", "b"]);
        let args = args.expect("all are known");
        assert_eq!((args.value("data-dir"), args.value("name")), (Some("d"), Some("n=1")));
        assert!(args.has("force") && !args.help);
        assert_eq!(args.words, ["a", "-", "b"]);
        for help in ["--help", "-help", "-h"] {
            assert!(parse(&[help]).expect("known").help, "{help}");
        }
        assert!(args.number("name").is_err());
        let args = parse(&["-from", "a", "--from=b", "--name=-n"]).expect("all are known");
        assert_eq!(args.values("from").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((args.value("name"), args.values("from").count()), (Some("-n"), 2));
    }

    #[test]
    fn mistakes_are_named() {
        for (args, want) in [
            (
                &["--forced"][..],
                "unexpected argument '--forced' found; tip: a similar argument exists: '--force'",
            ),
            (&["--name"], "a value is required for '--name <VALUE>' but none was supplied"),
            (&["--name", "--force"], "a value is required for '--name <VALUE>'"),
            (&["--name="], "a value is required for '--name <VALUE>'"),
            (
                &["--name=a", "--name", "b"],
                "the argument '--name <VALUE>' cannot be used multiple times",
            ),
            (&["--force=true"], "unexpected value 'true' for '--force' found"),
        ] {
            let refused = parse(args).expect_err("it is wrong");
            assert!(refused.starts_with(want) && refused.contains("test --help"), "{refused}");
            assert!(!refused.contains('\n'), "{refused}");
        }
        let timed = parse(&["--name=1m30s", "--data-dir=x"]).expect("known");
        assert_eq!(timed.seconds("name"), Ok(Some(90.0)));
        assert!(timed.seconds("data-dir").is_err());
        assert!(parse(&[]).expect("known").needed("name").is_err());
    }
}
