//! The arguments of a command: flags with one dash or two, their values after a space or an equals
//! sign, and what is neither.

use crate::setting::Kind;
use crate::source::Usage;
use crate::value;

/// The flags of a command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flags {
    /// The command, for messages: `backup`.
    pub(super) command: &'static str,
    /// Flags that have a value.
    pub(super) valued: &'static [&'static str],
    /// Flags that have none.
    pub(super) plain: &'static [&'static str],
}

/// What was given.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Args {
    values: Vec<(&'static str, String)>,
    plain: Vec<&'static str>,
    /// What is no flag, in order.
    pub(super) words: Vec<String>,
    /// Whether help was asked for.
    pub(super) help: bool,
}

impl Args {
    /// # Errors
    /// [`Usage`] with the flag that is unknown, lacks its value, or was given twice.
    pub(super) fn parse(flags: Flags, args: &[String]) -> Result<Self, Usage> {
        let mut parsed = Self::default();
        let mut args = args.iter();
        let wrong = |detail: String| {
            Usage(format!("{detail}; run `stead {} --help` for its flags", flags.command))
        };
        while let Some(arg) = args.next() {
            let name = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-'));
            let Some(name) = name.filter(|name| !name.is_empty()) else {
                parsed.words.push(arg.clone());
                continue;
            };
            let (name, value) = match name.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (name, None),
            };
            if matches!(name, "help" | "h") {
                parsed.help = true;
            } else if let Some(known) = flags.plain.iter().find(|known| **known == name) {
                if value.is_some() {
                    return Err(wrong(format!("--{name} takes no value")));
                }
                parsed.plain.push(known);
            } else if let Some(known) = flags.valued.iter().find(|known| **known == name) {
                let value = value.or_else(|| args.next().cloned());
                let value = value.ok_or_else(|| wrong(format!("--{name} lacks its value")))?;
                if parsed.value(known).is_some() {
                    return Err(wrong(format!("--{name} was given twice")));
                }
                parsed.values.push((known, value));
            } else {
                return Err(wrong(format!("unknown flag --{name}")));
            }
        }
        Ok(parsed)
    }

    /// The value of a flag.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let found = self.values.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The value of a flag that has to be given.
    ///
    /// # Errors
    /// [`Usage`] if it is missing or empty.
    pub(super) fn needed(&self, name: &str) -> Result<&str, Usage> {
        let value = self.value(name).filter(|value| !value.is_empty());
        value.ok_or_else(|| Usage(format!("--{name} is missing")))
    }

    /// The number that a flag has, if it was given.
    ///
    /// # Errors
    /// [`Usage`] if it is none.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Usage> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let invalid = |_| Usage(format!("--{name}: invalid number {value:?}"));
        value.parse().map(Some).map_err(invalid)
    }

    /// The seconds that a flag has, if it was given: a number, or a time with a unit.
    ///
    /// # Errors
    /// [`Usage`] if it is none.
    pub(super) fn seconds(&self, name: &str) -> Result<Option<f64>, Usage> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let invalid = |wanted: String| Usage(format!("--{name}: {value:?}: {wanted}"));
        let seconds = value::normal(Kind::Seconds, value).map_err(invalid)?;
        Ok(seconds.parse().ok())
    }

    /// Whether a flag without a value was given.
    pub(super) fn has(&self, name: &str) -> bool {
        self.plain.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: Flags =
        Flags { command: "test", valued: &["data-dir", "name"], plain: &["force"] };

    fn parse(args: &[&str]) -> Result<Args, String> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        Args::parse(FLAGS, &args).map_err(|usage| usage.to_string())
    }

    #[test]
    fn flags_take_one_dash_or_two_and_values_in_both_ways() {
        let args = parse(&["a", "-data-dir", "d", "--name=n=1", "-force", "-", "b"]);
        let args = args.expect("all are known");
        assert_eq!((args.value("data-dir"), args.value("name")), (Some("d"), Some("n=1")));
        assert!(args.has("force") && !args.help);
        assert_eq!(args.words, ["a", "-", "b"]);
        assert!(parse(&["--help"]).expect("known").help);
        assert!(args.number("name").is_err() && args.number("other").is_ok());
    }

    #[test]
    fn mistakes_are_named() {
        for (args, want) in [
            (&["--forced"][..], "unknown flag --forced"),
            (&["--name"], "--name lacks its value"),
            (&["--name=a", "--name", "b"], "--name was given twice"),
            (&["--force=true"], "--force takes no value"),
        ] {
            let refused = parse(args).expect_err("it is wrong");
            assert!(refused.starts_with(want) && refused.contains("test --help"), "{refused}");
        }
        let timed = parse(&["--name=1m30s", "--data-dir=x"]).expect("known");
        assert_eq!(timed.seconds("name"), Ok(Some(90.0)));
        assert!(timed.seconds("data-dir").is_err());
        let none = parse(&["--name="]).expect("known");
        assert!(none.needed("name").is_err() && none.needed("data-dir").is_err());
    }
}
