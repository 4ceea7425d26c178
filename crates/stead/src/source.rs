//! Where values come from: files, the environment, the command line (docs/spec/cli.md section 1).

use crate::setting::{self, Fate, Flag, Kind, Known, SETTINGS, nearest};
use crate::value;
use crate::yaml;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// The file that is read if it exists.
const SYSTEM_FILE: &str = "/etc/etcd/etcd.conf";

/// The longest configuration file; all settings together take some kilobytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where a value was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Default,
    File(String),
    Env(String),
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File(path) => write!(f, "file {path}"),
            Source::Env(name) => write!(f, "environment {name}"),
            Source::Flag => f.write_str("flag"),
        }
    }
}

/// A mistake of the caller: one sentence, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the command line asks for beside settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Invocation {
    pub(crate) help: bool,
    pub(crate) version: bool,
    /// Whether JSON is wanted, of a command that has it.
    pub(crate) json: bool,
    /// The words before the first flag: the subcommand.
    pub(crate) command: Vec<String>,
}

impl Invocation {
    /// Whether the command looks at a data directory and at nothing else: when it is named, what is
    /// wrong with the server's settings must not prevent a check.
    fn needs_directory_alone(&self) -> bool {
        self.command == ["check"]
    }

    /// Whether the answer is the same whatever the settings are: nothing in files or in the
    /// environment may stand in its way then.
    fn needs_no_settings(&self) -> bool {
        let command: Vec<&str> = self.command.iter().map(String::as_str).collect();
        let is_text = matches!(command.as_slice(), ["help"] | ["config", "docs"]);
        self.help || self.version || is_text
    }
}

/// All values with their sources, and the notes about them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values {
    found: BTreeMap<Flag, (String, Source)>,
    pub(crate) notes: Vec<String>,
    /// Names that are probably misspelt: warnings at a start, errors of `config check`.
    pub(crate) misspelt: Vec<String>,
}

/// What the outside environment holds; tests make their own.
pub(crate) struct Environment<'a> {
    pub(crate) args: &'a [String],
    pub(crate) env: &'a [(OsString, OsString)],
    pub(crate) read_file: &'a dyn Fn(&Path) -> io::Result<String>,
}

/// Reads a configuration file: a regular one, since a device or a pipe may have no end.
pub(crate) fn read_file(path: &Path) -> io::Result<String> {
    let metadata = std::fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::Error::other("it is a directory"));
    }
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = String::new();
    // The length is asked of what is read: a file may grow meanwhile, or not tell its length.
    std::fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("it is longer than {FILE_BYTES_MAX} bytes")));
    }
    Ok(text)
}

impl Values {
    /// Gathers values from everywhere, in the order of precedence.
    pub(crate) fn gather(environment: &Environment<'_>) -> Result<(Self, Invocation), Usage> {
        let mut flags = Self::default();
        let invocation = flags.read_flags(environment.args)?;
        let mut values = Self::default();
        if invocation.needs_no_settings() {
            return Ok((values, invocation));
        }
        if invocation.needs_directory_alone() && flags.found.contains_key(&Flag::DataDir) {
            return Ok((flags, invocation));
        }
        let cannot_read = |path: &str, error: io::Error| {
            Usage(format!("cannot read the configuration file {path}: {error}"))
        };
        match (environment.read_file)(Path::new(SYSTEM_FILE)) {
            Ok(text) => values.read_toml(&text, SYSTEM_FILE)?,
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => return Err(cannot_read(SYSTEM_FILE, error)),
        }
        let mut env = Self::default();
        env.read_env(environment.env)?;
        let config = flags.found.get(&Flag::Config).or_else(|| env.found.get(&Flag::Config));
        if let Some((path, _)) = config {
            let text =
                (environment.read_file)(Path::new(path)).map_err(|e| cannot_read(path, e))?;
            values.read_toml(&text, path)?;
        }
        let config = flags.found.get(&Flag::ConfigFile);
        if let Some((path, _)) = config.or_else(|| env.found.get(&Flag::ConfigFile)) {
            let text =
                (environment.read_file)(Path::new(path)).map_err(|e| cannot_read(path, e))?;
            values.read_yaml(&text, path)?;
        }
        for later in [env, flags] {
            values.found.extend(later.found);
            values.notes.extend(later.notes);
            values.misspelt.extend(later.misspelt);
        }
        Ok((values, invocation))
    }

    /// The value of a setting and where it is from.
    pub(crate) fn get(&self, flag: Flag) -> (&str, Source) {
        match self.found.get(&flag) {
            Some((value, source)) => (value, source.clone()),
            None => (flag.setting().default, Source::Default),
        }
    }

    pub(crate) fn is_set(&self, flag: Flag) -> bool {
        self.get(flag).0 == "true"
    }

    pub(crate) fn number(&self, flag: Flag) -> u64 {
        self.get(flag).0.parse().expect("a number was checked when it was read")
    }

    /// As [`Values::number`]; a number beyond the memory of this machine means no limit.
    pub(crate) fn size(&self, flag: Flag) -> usize {
        usize::try_from(self.number(flag)).unwrap_or(usize::MAX)
    }

    pub(crate) fn seconds(&self, flag: Flag) -> f64 {
        self.get(flag).0.parse().expect("a number was checked when it was read")
    }

    /// The items of a list.
    pub(crate) fn list(&self, flag: Flag) -> Vec<String> {
        let items = self.get(flag).0.split(',').map(str::trim);
        items.filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    /// Gives a setting the value of another one, and that one's source.
    pub(crate) fn set_default_from(&mut self, flag: Flag, value: String, source: Source) {
        self.found.insert(flag, (value, source));
    }

    /// Takes the value of what a name means. `shown` is the name, for messages.
    fn put(&mut self, known: Known, value: &str, source: Source, shown: &str) -> Result<(), Usage> {
        let setting = match known {
            Known::Setting(setting, _) => setting,
            Known::Former(former) => {
                return match former.fate {
                    Fate::Ignored(why) => {
                        self.notes.push(format!("{shown} is ignored: {why}"));
                        Ok(())
                    }
                    Fate::Refused(instead) => {
                        Err(Usage(format!("{shown} is not supported by this version: {instead}")))
                    }
                };
            }
        };
        let synonym = setting.synonyms.iter().find(|(theirs, _)| *theirs == value);
        let value = synonym.map_or(value, |(_, ours)| ours);
        let value = value::normal(setting.kind, value)
            .map_err(|wanted| Usage(format!("invalid value {value:?} for {shown}: {wanted}")))?;
        self.found.insert(setting.flag, (value, source));
        Ok(())
    }

    /// Flags as Go's flag package takes them: one dash or two, `-name value` or `-name=value`;
    /// booleans only with an equals sign.
    fn read_flags(&mut self, args: &[String]) -> Result<Invocation, Usage> {
        let mut invocation = Invocation::default();
        let mut last: Option<String> = None;
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let Some(flag) = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-')) else {
                if let Some(last) = &last {
                    return Err(Usage(unexpected(arg, last)));
                }
                invocation.command.push(arg.clone());
                continue;
            };
            let (name, given) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (flag, None),
            };
            match name {
                "h" | "help" => invocation.help = true,
                "version" => invocation.version = true,
                "json" if invocation.command == ["config", "show"] => invocation.json = true,
                _ => self.read_flag(name, given, &mut args)?,
            }
            last = Some(name.to_owned());
        }
        Ok(invocation)
    }

    fn read_flag(
        &mut self,
        name: &str,
        given: Option<String>,
        rest: &mut std::slice::Iter<'_, String>,
    ) -> Result<(), Usage> {
        let Some(known) = setting::by_name(name) else {
            let hint = nearest(name, setting::known_names()).map_or_else(
                || "run `stead --help` for all flags".to_owned(),
                |near| format!("did you mean -{near}?"),
            );
            return Err(Usage(format!("unknown flag -{name}: {hint}")));
        };
        let (shown, is_switch) = match known {
            Known::Setting(setting, is_other) => {
                if is_other {
                    self.notes.push(format!("[deprecated] use -{}, not -{name}", setting.name));
                }
                (setting.name, setting.kind == Kind::Bool)
            }
            Known::Former(former) => (name, former.is_switch),
        };
        let value = match given {
            Some(value) => value,
            None if is_switch => "true".to_owned(),
            None => match (rest.next(), known) {
                (Some(value), _) => value.clone(),
                // What has no effect has none without a value either.
                (None, Known::Former(_)) => String::new(),
                (None, _) => return Err(Usage(format!("flag -{name} needs a value"))),
            },
        };
        self.put(known, &value, Source::Flag, &format!("-{shown}"))
    }

    /// Variables by another name than the table's go first: that of the table goes before it.
    fn read_env(&mut self, env: &[(OsString, OsString)]) -> Result<(), Usage> {
        let is_own = |name: &str| SETTINGS.iter().any(|setting| setting.env == name);
        for wants_own in [false, true] {
            for (name, value) in env {
                let Some(name) = name.to_str() else { continue };
                let is_ours = name.starts_with("ETCD_") || name.starts_with("STEAD_");
                if is_ours && !name.starts_with("STEAD_TEST_") && is_own(name) == wants_own {
                    self.read_variable(name, value)?;
                }
            }
        }
        Ok(())
    }

    fn read_variable(&mut self, name: &str, value: &OsStr) -> Result<(), Usage> {
        let refuse = || Usage(format!("the value {value:?} of {name} is not UTF-8"));
        let value = value.to_str().ok_or_else(refuse)?.trim();
        if value.is_empty() {
            return Ok(());
        }
        let Some(known) = setting::by_env(name) else {
            // Others may use the prefix too: client settings have it.
            let made: Vec<String> = setting::known_names().map(setting::env_of).collect();
            let names = SETTINGS.iter().map(|setting| setting.env);
            let names = names.chain(made.iter().map(String::as_str));
            // What all have in common makes none of them near.
            let (prefix, rest) = name.split_once('_').unwrap_or((name, ""));
            let rests = names.filter_map(|known| known.strip_prefix(prefix)?.strip_prefix('_'));
            if let Some(near) = nearest(rest, rests) {
                let hint = format!("did you mean {prefix}_{near}?");
                self.misspelt.push(format!("unknown variable {name}: {hint}"));
            }
            return Ok(());
        };
        let value = match known {
            // Everything but these two is true (docs/spec/cli.md section 2).
            Known::Setting(setting, _) if setting.kind == Kind::Bool => match value {
                "0" | "false" => "false",
                _ => "true",
            },
            _ => value,
        };
        self.put(known, value, Source::Env(name.to_owned()), name)
    }

    fn read_toml(&mut self, text: &str, path: &str) -> Result<(), Usage> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            Usage(format!("{path}: {}", error.to_string().trim_end()))
        })?;
        for (key, value) in &table {
            match value {
                toml::Value::Table(inner) => {
                    for (name, value) in inner {
                        self.read_key(&format!("{key}.{name}"), value, path)?;
                    }
                }
                value => self.read_key(key, value, path)?,
            }
        }
        Ok(())
    }

    /// A file of 3.x. Its keys are names of flags.
    fn read_yaml(&mut self, text: &str, path: &str) -> Result<(), Usage> {
        let entries = yaml::read(text).map_err(|why| Usage(format!("{path}: {why}")))?;
        for (key, value) in entries {
            let Some(known) = setting::by_name(&key) else {
                self.unknown_key(&key, path, setting::known_names());
                continue;
            };
            let is_switch =
                matches!(known, Known::Setting(setting, _) if setting.kind == Kind::Bool);
            let value = if is_switch { value.to_ascii_lowercase() } else { value };
            // Where 3.x writes what is not set.
            if value.is_empty() {
                continue;
            }
            let shown = format!("{key} in {path}");
            self.put(known, &value, Source::File(path.to_owned()), &shown)?;
        }
        Ok(())
    }

    /// Notes a key that means nothing.
    fn unknown_key(&mut self, key: &str, path: &str, known: impl Iterator<Item = &'static str>) {
        match nearest(key, known) {
            Some(near) => self
                .misspelt
                .push(format!("{path}: unknown key {key} ignored: did you mean {near}?")),
            None => self.notes.push(format!("{path}: unknown key {key} ignored")),
        }
    }

    fn read_key(&mut self, key: &str, value: &toml::Value, path: &str) -> Result<(), Usage> {
        let Some(known) = setting::by_key(key) else {
            self.unknown_key(key, path, SETTINGS.iter().map(|setting| setting.toml));
            return Ok(());
        };
        let text = match known {
            // What is refused or passed over is so whatever its value.
            Known::Former(_) => String::new(),
            Known::Setting(setting, _) => plain_value(setting.kind, value).map_err(|wanted| {
                Usage(format!("{path}: invalid value for the key {key}: expected {wanted}"))
            })?,
        };
        self.put(known, &text, Source::File(path.to_owned()), &format!("{key} in {path}"))
    }
}

/// The value of a key as a flag would have it, or what is wanted in its place.
fn plain_value(kind: Kind, value: &toml::Value) -> Result<String, &'static str> {
    use toml::Value::{Array, Boolean, Float, Integer, String};
    match (kind, value) {
        // A string is checked as that of a flag is.
        (_, String(text)) => Ok(text.clone()),
        (Kind::Bool, Boolean(is_set)) => Ok(is_set.to_string()),
        (
            Kind::Number(..)
            | Kind::Bytes(..)
            | Kind::Micros(..)
            | Kind::Millis(..)
            | Kind::Seconds,
            Integer(number),
        ) => Ok(number.to_string()),
        (Kind::Seconds, Float(number)) => Ok(number.to_string()),
        (Kind::List, Array(items)) => {
            let strings: Option<Vec<&str>> = items.iter().map(toml::Value::as_str).collect();
            Ok(strings.ok_or("an array of strings")?.join(","))
        }
        (Kind::Text | Kind::Choice(_), _) => Err("one string, in quotes"),
        (Kind::Bool, _) => Err("true or false"),
        (Kind::Number(..), _) => Err("a whole number"),
        (Kind::Bytes(..), _) => Err("a number of bytes, or a size in quotes, as in \"64KiB\""),
        (Kind::Micros(..), _) => Err("a number of microseconds, or a time in quotes"),
        (Kind::Millis(..), _) => Err("a number of milliseconds, or a time in quotes"),
        (Kind::Seconds, _) => Err("a number of seconds, or a time in quotes, as in \"1m30s\""),
        (Kind::List, _) => Err("an array of strings"),
    }
}

/// What is said to a word behind a flag that takes none.
fn unexpected(word: &str, flag: &str) -> String {
    let is_switch =
        matches!(setting::by_name(flag), Some(Known::Setting(one, _)) if one.kind == Kind::Bool);
    match is_switch {
        true => format!("unexpected argument {word:?}: did you mean -{flag}={word}?"),
        false => format!(
            "unexpected argument {word:?}: commands go before flags, and a flag has one value, as \
             in -name=value"
        ),
    }
}

#[cfg(test)]
mod tests;
