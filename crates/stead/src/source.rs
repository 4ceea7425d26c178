//! Where values come from: files, the environment, the command line (spec cli.md section 1).

use crate::setting::{Kind, SETTINGS, Setting, Support, by_flag, nearest};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// The file that is read if it exists.
const SYSTEM_FILE: &str = "/etc/etcd/etcd.conf";

/// Names that older documents used.
const ENV_ALIASES: [(&str, &str); 2] =
    [("ETCD_CORS_ORIGINS", "ETCD_CORS"), ("ETCD_MAX_CLUSTER_SIZE", "ETCD_CLUSTER_ACTIVE_SIZE")];

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

/// What the command line asked for beside settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) help: bool,
    pub(crate) version: bool,
    /// The words before the first flag: a command of ours.
    pub(crate) command: Vec<String>,
}

/// All values with their sources, and what should be said about them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values {
    found: BTreeMap<&'static str, (String, Source)>,
    pub(crate) notes: Vec<String>,
}

/// What the outside world holds; tests make their own.
pub(crate) struct World<'a> {
    pub(crate) args: &'a [String],
    pub(crate) env: &'a [(String, String)],
    pub(crate) read_file: &'a dyn Fn(&Path) -> std::io::Result<String>,
}

impl Values {
    /// Gathers values from everywhere, in the order of precedence.
    pub(crate) fn gather(world: &World<'_>) -> Result<(Self, Words), Usage> {
        let mut flags = Self::default();
        let words = flags.read_flags(world.args)?;
        let mut values = Self::default();
        if words.help || words.version {
            return Ok((values, words));
        }
        if let Ok(text) = (world.read_file)(Path::new(SYSTEM_FILE)) {
            values.read_toml(&text, SYSTEM_FILE)?;
        }
        let mut env = Self::default();
        env.read_env(world.env)?;
        let config = flags.found.get("config").or_else(|| env.found.get("config"));
        if let Some((path, _)) = config {
            let text = (world.read_file)(Path::new(path)).map_err(|error| {
                Usage(format!("cannot read the configuration file {path}: {error}"))
            })?;
            values.read_toml(&text, path)?;
        }
        for later in [env, flags] {
            values.found.extend(later.found);
            values.notes.extend(later.notes);
        }
        Ok((values, words))
    }

    /// The value of a setting and where it is from.
    pub(crate) fn get(&self, flag: &str) -> (&str, Source) {
        match self.found.get(flag) {
            Some((value, source)) => (value, source.clone()),
            None => (by_flag(flag).map_or("", |(s, _)| s.default), Source::Default),
        }
    }

    fn put(&mut self, setting: &'static Setting, value: &str, source: Source) -> Result<(), Usage> {
        let shown = match &source {
            Source::Flag | Source::Default => format!("-{}", setting.flag),
            Source::Env(name) => name.clone(),
            Source::File(path) => format!("{} in {path}", setting.toml),
        };
        match setting.support {
            Support::Works => {}
            Support::Ignored(why) => {
                self.notes.push(format!("{shown} is ignored: {why}"));
                return Ok(());
            }
            Support::Refused(why) => {
                return Err(Usage(format!("{shown} is not supported by this version ({why})")));
            }
        }
        check(setting.kind, value)
            .map_err(|wanted| Usage(format!("invalid value {value:?} for {shown}: {wanted}")))?;
        self.found.insert(setting.flag, (value.to_owned(), source));
        Ok(())
    }

    /// Flags as Go's flag package takes them: one dash or two, `-name value` or `-name=value`;
    /// booleans only with an equals sign.
    fn read_flags(&mut self, args: &[String]) -> Result<Words, Usage> {
        let mut words = Words::default();
        let mut has_flags = false;
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let Some(flag) = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-')) else {
                if has_flags {
                    return Err(Usage(format!(
                        "unexpected argument {arg:?}: a value goes with its flag, as -name=value"
                    )));
                }
                words.command.push(arg.clone());
                continue;
            };
            has_flags = true;
            let (name, given) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (flag, None),
            };
            match name {
                "h" | "help" => words.help = true,
                "version" => words.version = true,
                _ => self.read_flag(name, given, &mut args)?,
            }
        }
        Ok(words)
    }

    fn read_flag(
        &mut self,
        name: &str,
        given: Option<String>,
        rest: &mut std::slice::Iter<'_, String>,
    ) -> Result<(), Usage> {
        let Some((setting, is_old)) = by_flag(name) else {
            let known = SETTINGS.iter().map(|setting| setting.flag);
            let hint = nearest(name, known).map_or_else(
                || "run `stead --help` for all flags".to_owned(),
                |near| format!("did you mean -{near}?"),
            );
            return Err(Usage(format!("unknown flag -{name}: {hint}")));
        };
        if is_old {
            self.notes.push(format!("[deprecated] use -{}, not -{name}", setting.flag));
        }
        let value = match given {
            Some(value) => value,
            None if setting.kind == Kind::Bool => "true".to_owned(),
            None => match rest.next() {
                Some(value) => value.clone(),
                // A refused flag is refused whether or not it has a value.
                None if setting.support != Support::Works => String::new(),
                None => return Err(Usage(format!("flag -{name} needs a value"))),
            },
        };
        self.put(setting, &value, Source::Flag)
    }

    fn read_env(&mut self, env: &[(String, String)]) -> Result<(), Usage> {
        for (name, value) in env {
            let value = value.trim();
            let is_ours = name.starts_with("ETCD_") || name.starts_with("STEAD_");
            if !is_ours || value.is_empty() || name.starts_with("STEAD_TEST_") {
                continue;
            }
            let alias = ENV_ALIASES.iter().find(|(old, _)| old == name);
            let known = alias.map_or(name.as_str(), |(_, new)| new);
            let Some(setting) = SETTINGS.iter().find(|setting| setting.env == known) else {
                // Others may use the prefix too: client settings have it.
                let names = SETTINGS.iter().map(|setting| setting.env);
                if let Some(near) = nearest(name, names) {
                    self.notes.push(format!("{name} is unknown: did you mean {near}?"));
                }
                continue;
            };
            let value = match setting.kind {
                // Everything but these two is true (spec cli.md section 2).
                Kind::Bool if matches!(value, "0" | "false") => "false",
                Kind::Bool => "true",
                _ => value,
            };
            self.put(setting, value, Source::Env(name.clone()))?;
        }
        Ok(())
    }

    fn read_toml(&mut self, text: &str, path: &str) -> Result<(), Usage> {
        let table: toml::Table = text
            .parse()
            .map_err(|error: toml::de::Error| Usage(format!("{path}: {}", one_line(&error))))?;
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

    fn read_key(&mut self, key: &str, value: &toml::Value, path: &str) -> Result<(), Usage> {
        let Some(setting) = SETTINGS.iter().find(|s| !s.toml.is_empty() && s.toml == key) else {
            let known = SETTINGS.iter().map(|setting| setting.toml);
            let hint = nearest(key, known)
                .map_or_else(String::new, |near| format!(": did you mean {near}?"));
            self.notes.push(format!("{path}: the key {key} is unknown and ignored{hint}"));
            return Ok(());
        };
        let text = match value {
            toml::Value::String(text) => text.clone(),
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) => number.to_string(),
            toml::Value::Boolean(is_set) => is_set.to_string(),
            toml::Value::Array(items) => {
                let texts = items.iter().map(|item| item.as_str().map(str::to_owned));
                let texts: Option<Vec<String>> = texts.collect();
                let texts = texts.ok_or_else(|| {
                    Usage(format!("{path}: the key {key} wants an array of strings"))
                })?;
                texts.join(",")
            }
            _ => return Err(Usage(format!("{path}: the key {key} has a value of another type"))),
        };
        self.put(setting, &text, Source::File(path.to_owned()))
    }
}

fn one_line(error: &toml::de::Error) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Says what is wanted when a value is not of its kind.
fn check(kind: Kind, value: &str) -> Result<(), String> {
    match kind {
        Kind::Text | Kind::List => Ok(()),
        Kind::Bool if matches!(value, "true" | "false") => Ok(()),
        Kind::Bool => Err("true or false is wanted".to_owned()),
        Kind::Number(min, max) => match value.parse::<u64>() {
            Ok(number) if (min..=max).contains(&number) => Ok(()),
            Ok(_) => Err(format!("a number from {min} to {max} is wanted")),
            Err(_) => Err("a whole number is wanted".to_owned()),
        },
        Kind::Seconds => match value.parse::<f64>() {
            Ok(seconds) if seconds.is_finite() && seconds >= 0.0 => Ok(()),
            _ => Err("a number of seconds is wanted".to_owned()),
        },
        Kind::Choice(words) if words.contains(&value) => Ok(()),
        Kind::Choice(words) => Err(format!("one of {} is wanted", words.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gather(args: &[&str], env: &[(&str, &str)], file: &str) -> Result<(Values, Words), Usage> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let env: Vec<(String, String)> =
            env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let read_file = |path: &Path| match path.to_str() {
            Some("given.toml") => Ok(file.to_owned()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        };
        Values::gather(&World { args: &args, env: &env, read_file: &read_file })
    }

    #[test]
    fn flags_go_before_the_environment_before_the_file_before_the_default() {
        let file = "snapshot_count = 30\ncors = [\"a\", \"b\"]\n[peer]\nheartbeat_interval = 70";
        let env = [("ETCD_SNAPSHOTCOUNT", "20"), ("ETCD_CORS", " c ")];
        let args = ["-config", "given.toml", "--snapshot-count=10"];
        let (values, _) = gather(&args, &env, file).expect("sound");
        assert_eq!(values.get("snapshot-count"), ("10", Source::Flag));
        assert_eq!(values.get("cors"), ("c", Source::Env("ETCD_CORS".into())));
        let file = Source::File("given.toml".into());
        assert_eq!(values.get("peer-heartbeat-interval"), ("70", file));
        assert_eq!(values.get("peer-election-timeout"), ("200", Source::Default));
    }

    #[test]
    fn flags_are_written_as_go_writes_them() {
        for args in [["-name", "x"], ["--name", "x"]] {
            assert_eq!(gather(&args, &[], "").expect("sound").0.get("name").0, "x");
        }
        for arg in ["-name=x", "--name=x", "-n=x"] {
            assert_eq!(gather(&[arg], &[], "").expect("sound").0.get("name").0, "x", "{arg}");
        }
        let (values, _) = gather(&["-force", "-name", "x"], &[], "").expect("sound");
        assert_eq!((values.get("force").0, values.get("name").0), ("true", "x"));
        let (values, _) = gather(&["-snapshot=false"], &[], "").expect("sound");
        assert_eq!(values.get("snapshot").0, "false");
    }

    #[test]
    fn mistakes_are_named_with_a_hint() {
        for (args, want) in [
            (vec!["-dta-dir", "x"], "unknown flag -dta-dir: did you mean -data-dir?"),
            (vec!["-name", "a", "b"], "unexpected argument \"b\""),
            (vec!["-name"], "flag -name needs a value"),
            (vec!["-snapshot-count", "abc"], "a whole number is wanted"),
            (vec!["-snapshot-count", "0"], "a number from 1"),
            (vec!["-force=maybe"], "true or false is wanted"),
            (vec!["-compat", "v3"], "one of v04, v2 is wanted"),
            (vec!["-peers", "a:1"], "-peers is not supported by this version"),
            (vec!["-peer-cert-file=x"], "-peer-cert-file is not supported by this version"),
            (vec!["-config", "none.toml"], "cannot read the configuration file none.toml"),
        ] {
            let error = gather(&args, &[], "").expect_err("a mistake").0;
            assert!(error.contains(want), "{args:?}: {error}");
        }
        let error = gather(&[], &[("ETCD_DISCOVERY", "http://x")], "").expect_err("refused").0;
        assert!(error.contains("ETCD_DISCOVERY is not supported"), "{error}");
        let error = gather(&["-config=given.toml"], &[], "peers = [\"a\"]").expect_err("refused").0;
        assert!(error.contains("peers in given.toml is not supported"), "{error}");
        assert!(gather(&["-config=given.toml"], &[], "name = ").is_err());
    }

    #[test]
    fn what_is_unknown_but_harmless_is_noted() {
        let args = ["-config=given.toml", "-max-result-buffer", "5", "-snapshotCount=9"];
        let env = [("ETCD_SNAPSHOT_COUNT", "3"), ("ETCD_UNIT_FILE_WORD", "x")];
        let (values, _) = gather(&args, &env, "nmae = \"x\"").expect("sound");
        let notes = values.notes.join("\n");
        assert!(
            notes.contains("the key nmae is unknown and ignored: did you mean name?"),
            "{notes}"
        );
        assert!(notes.contains("-max-result-buffer is ignored"), "{notes}");
        assert!(notes.contains("[deprecated] use -snapshot-count, not -snapshotCount"), "{notes}");
        assert!(notes.contains("did you mean ETCD_SNAPSHOTCOUNT?"), "{notes}");
        assert_eq!(values.get("snapshot-count"), ("9", Source::Flag));
    }
}
