//! Flags as Go's `flag` package and urfave/cli 1.22 take them.
//!
//! One dash or two, `--flag value` or `--flag=value`, several names for one flag, and errors in the
//! words that scripts may look for. Behind a command its flags may stand anywhere: they are moved
//! to the front before they are read, by rules of urfave/cli that show. A word behind any flag goes
//! with it; what looks like a flag and is none of the command's stays where it is, so that
//! `set /a -1` sets the value `-1`; and a `--` moves to the front too.

use std::time::Duration;

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing, or `=true` and `=false`.
    Switch,
    Text,
    /// A text that may be given several times.
    Texts,
    Number,
    Time,
}

/// A flag: its names, the first of which is the one that it is asked for by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flag {
    pub(super) names: &'static [&'static str],
    pub(super) kind: Kind,
    pub(super) help: &'static str,
}

impl Flag {
    pub(super) const fn new(
        names: &'static [&'static str],
        kind: Kind,
        help: &'static str,
    ) -> Self {
        Self { names, kind, help }
    }
}

/// What was given: flags with their values, and the words behind them.
#[derive(Debug, Default)]
pub(super) struct Given {
    values: Vec<(&'static Flag, &'static str, String)>,
    pub(super) args: Vec<String>,
}

impl Given {
    /// The value of a text; the last one counts.
    pub(super) fn text(&self, name: &str) -> &str {
        let mut values = self.values.iter().rev();
        values.find(|(flag, ..)| flag.names[0] == name).map_or("", |(.., value)| value.as_str())
    }

    pub(super) fn texts(&self, name: &str) -> Vec<&str> {
        let values = self.values.iter().filter(|(flag, ..)| flag.names[0] == name);
        values.map(|(.., value)| value.as_str()).collect()
    }

    pub(super) fn is_set(&self, name: &str) -> bool {
        switch(self.text(name)) == Some(true)
    }

    /// The value of a number; 0 without the flag.
    pub(super) fn number(&self, name: &str) -> i64 {
        number(self.text(name)).unwrap_or(0)
    }

    /// The value of a time, if the flag was given. What is below nothing is nothing.
    pub(super) fn time(&self, name: &str) -> Option<Duration> {
        time(self.text(name))
    }

    /// The argument at a place, if there is one.
    pub(super) fn arg(&self, at: usize) -> Option<&str> {
        self.args.get(at).map(String::as_str)
    }
}

/// Moves the flags of a command to the front of what is behind its name.
pub(super) fn reorder(flags: &[Flag], args: &[String]) -> Vec<String> {
    let (mut front, mut rest) = (Vec::new(), Vec::new());
    let mut may_be_value = false;
    for (at, arg) in args.iter().enumerate() {
        if may_be_value && !is_flag(flags, arg) {
            may_be_value = false;
            front.push(arg.clone());
        } else if arg == "--" {
            front.push(arg.clone());
            rest.extend(args.iter().skip(at + 1).cloned());
            break;
        } else if is_flag(flags, arg) {
            front.push(arg.clone());
            may_be_value = !arg.contains('=');
        } else {
            rest.push(arg.clone());
        }
    }
    front.extend(rest);
    front
}

fn is_flag(flags: &[Flag], arg: &str) -> bool {
    let Some(name) = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-')) else { return false };
    let name = name.split('=').next().unwrap_or_default();
    !name.is_empty() && find(flags, name).is_some()
}

fn find<'a>(flags: &'a [Flag], name: &str) -> Option<(&'a Flag, &'static str)> {
    flags.iter().find_map(|flag| {
        let known = flag.names.iter().find(|known| **known == name)?;
        Some((flag, *known))
    })
}

/// Reads flags up to the first word that is none.
///
/// # Errors
/// What is wrong, in the words of Go's `flag` package.
pub(super) fn parse(flags: &'static [Flag], args: &[String]) -> Result<Given, String> {
    let mut given = Given::default();
    let mut rest = args.iter();
    while let Some(arg) = rest.as_slice().first() {
        if arg == "--" {
            rest.next();
            break;
        }
        let Some(word) = arg.strip_prefix('-').filter(|word| !word.is_empty()) else { break };
        rest.next();
        let word = word.strip_prefix('-').unwrap_or(word);
        if word.is_empty() || word.starts_with(['-', '=']) {
            return Err(format!("bad flag syntax: {arg}"));
        }
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word, None),
        };
        let Some((flag, name)) = find(flags, name) else {
            return Err(format!("flag provided but not defined: -{name}"));
        };
        let value = match (value, flag.kind) {
            (Some(value), _) => value,
            (None, Kind::Switch) => "true".to_owned(),
            (None, _) => match rest.next() {
                Some(value) => value.clone(),
                None => return Err(format!("flag needs an argument: -{name}")),
            },
        };
        check(flag.kind, name, &value)?;
        given.values.push((flag, name, value));
    }
    given.args = rest.cloned().collect();
    refuse_two_forms(flags, &given)?;
    Ok(given)
}

fn check(kind: Kind, name: &str, value: &str) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("invalid value {value:?} for flag -{name}: {why}"));
    match kind {
        Kind::Switch if switch(value).is_none() => {
            Err(format!("invalid boolean value {value:?} for -{name}: parse error"))
        }
        Kind::Number => match number(value) {
            Ok(_) => Ok(()),
            Err(NotANumber::TooLarge) => wrong("value out of range"),
            Err(NotANumber::Malformed) => wrong("parse error"),
        },
        Kind::Time if time(value).is_none() => wrong("parse error"),
        _ => Ok(()),
    }
}

fn refuse_two_forms(flags: &[Flag], given: &Given) -> Result<(), String> {
    let is_given = |name: &&&str| given.values.iter().any(|(_, known, _)| known == *name);
    for flag in flags {
        let mut forms = flag.names.iter().filter(is_given);
        if let (Some(first), Some(second)) = (forms.next(), forms.next()) {
            return Err(format!("Cannot use two forms of the same flag: {second} {first}"));
        }
    }
    Ok(())
}

/// A truth value as Go reads it.
fn switch(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[derive(Debug, PartialEq, Eq)]
enum NotANumber {
    Malformed,
    TooLarge,
}

/// A number as Go reads it: with a sign, `0x`, `0b`, `0o` or `0` before it, and `_` between digits.
fn number(text: &str) -> Result<i64, NotANumber> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match (lower.get(..2), lower.strip_prefix('0')) {
        (Some("0x"), _) => (16, &lower[2..]),
        (Some("0b"), _) => (2, &lower[2..]),
        (Some("0o"), _) => (8, &lower[2..]),
        (_, Some(octal)) if !octal.is_empty() => (8, octal),
        _ => (10, lower.as_str()),
    };
    if digits.starts_with(['+', '-']) || digits.ends_with('_') || digits.contains("__") {
        return Err(NotANumber::Malformed);
    }
    let plain = digits.replace('_', "");
    if plain.is_empty() || !plain.chars().all(|digit| digit.is_digit(radix)) {
        return Err(NotANumber::Malformed);
    }
    let sign = if is_negative { "-" } else { "" };
    i64::from_str_radix(&format!("{sign}{plain}"), radix).map_err(|_| NotANumber::TooLarge)
}

/// Longest time that is taken for one, in seconds: what Go's has room for.
const SECONDS_MAX: f64 = 9.2e9;

/// A time as Go reads it: numbers, each with its unit.
fn time(text: &str) -> Option<Duration> {
    let (is_negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut seconds = 0.0;
    while !rest.is_empty() || text.is_empty() {
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        let (number, behind) = rest.split_at(rest.find(|c| !is_number(c))?);
        let (unit, behind) = behind.split_at(behind.find(is_number).unwrap_or(behind.len()));
        let unit = match unit {
            "ns" => 1e-9,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * unit;
        rest = behind;
    }
    match seconds {
        _ if text.len() <= 1 || seconds > SECONDS_MAX => None,
        _ if is_negative => Some(Duration::ZERO),
        seconds => Duration::try_from_secs_f64(seconds).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: &[Flag] = &[
        Flag::new(&["recursive", "r"], Kind::Switch, ""),
        Flag::new(&["ttl"], Kind::Number, ""),
        Flag::new(&["roles"], Kind::Texts, ""),
        Flag::new(&["timeout"], Kind::Time, ""),
    ];

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn flags_behind_a_command_may_stand_anywhere() {
        for (line, want) in [
            ("/a 1 --ttl 5 x", "--ttl 5 /a 1 x"),
            ("/a -1", "/a -1"),
            ("/a --ttl -5", "--ttl -5 /a"),
            ("-r /d -- sh -c x", "-r /d -- sh -c x"),
            ("--ttl 3 /d -- sh", "--ttl 3 -- /d sh"),
            ("/d -r -- sh", "-r -- /d sh"),
            ("-- --ttl 5", "-- --ttl 5"),
            ("/a --ttl=3 -x", "--ttl=3 /a -x"),
        ] {
            assert_eq!(reorder(FLAGS, &words(line)).join(" "), want, "{line}");
        }
    }

    #[test]
    fn flags_are_read_as_go_reads_them() {
        let given = parse(FLAGS, &words("-r --ttl=0x10 -roles a --roles b,c /d -r")).expect("good");
        assert!(given.is_set("recursive"));
        assert_eq!((given.number("ttl"), given.texts("roles")), (16, vec!["a", "b,c"]));
        assert_eq!(given.args, ["/d", "-r"]);
        assert!(!parse(FLAGS, &words("-r=false")).expect("good").is_set("recursive"));
        for (line, want) in [
            ("--foo", "flag provided but not defined: -foo"),
            ("---x", "bad flag syntax: ---x"),
            ("-=5", "bad flag syntax: -=5"),
            ("--ttl", "flag needs an argument: -ttl"),
            ("--ttl x", "invalid value \"x\" for flag -ttl: parse error"),
            (
                "--ttl 99999999999999999999",
                "invalid value \"99999999999999999999\" for flag -ttl: value out of range",
            ),
            ("-r=maybe", "invalid boolean value \"maybe\" for -r: parse error"),
            ("-r --recursive", "Cannot use two forms of the same flag: r recursive"),
            ("--timeout 5", "invalid value \"5\" for flag -timeout: parse error"),
        ] {
            assert_eq!(parse(FLAGS, &words(line)).expect_err("it is wrong"), want, "{line}");
        }
    }

    #[test]
    fn numbers_and_times_are_those_of_go() {
        for (text, want) in [("010", 8), ("1_0", 10), ("+5", 5), ("-0x1F", -31), ("0", 0)] {
            assert_eq!(number(text), Ok(want), "{text}");
        }
        for text in ["", "-", "x", "1__0", "08", "0x", "--1", "1_", "\u{e4}"] {
            assert_eq!(number(text), Err(NotANumber::Malformed), "{text}");
        }
        assert_eq!(time("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(time("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!((time("0"), time("-1s")), (Some(Duration::ZERO), Some(Duration::ZERO)));
        for text in ["", "5", "s", "1x", "-", ".", "1s2", "9999999999h", "\u{e4}"] {
            assert_eq!(time(text), None, "{text}");
        }
    }
}
