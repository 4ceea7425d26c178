//! Where values come from: files, the environment, the command line (spec cli.md section 1).

use crate::setting::{Kind, SETTINGS, Setting, Support, by_flag, nearest};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// The file that is read if it exists.
const SYSTEM_FILE: &str = "/etc/etcd/etcd.conf";

/// The longest configuration file; all settings together take some kilobytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

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

impl Words {
    /// Whether the command looks at a data directory and at nothing else: when it is named, what is
    /// wrong with the server's settings must not keep anybody from looking.
    fn needs_directory_alone(&self) -> bool {
        self.command == ["check"]
    }

    /// Whether the answer is the same whatever the settings are: nothing in files or in the
    /// environment may stand in its way then.
    fn need_no_settings(&self) -> bool {
        let command: Vec<&str> = self.command.iter().map(String::as_str).collect();
        let is_text = matches!(command.as_slice(), ["version"] | ["help"] | ["config", "docs"]);
        self.help || self.version || is_text
    }
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
        return Err(io::Error::other("it is no regular file"));
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
    pub(crate) fn gather(world: &World<'_>) -> Result<(Self, Words), Usage> {
        let mut flags = Self::default();
        let words = flags.read_flags(world.args)?;
        let mut values = Self::default();
        if words.need_no_settings() {
            return Ok((values, words));
        }
        if words.needs_directory_alone() && flags.found.contains_key("data-dir") {
            return Ok((flags, words));
        }
        let cannot_read = |path: &str, error: io::Error| {
            Usage(format!("cannot read the configuration file {path}: {error}"))
        };
        match (world.read_file)(Path::new(SYSTEM_FILE)) {
            Ok(text) => values.read_toml(&text, SYSTEM_FILE)?,
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => return Err(cannot_read(SYSTEM_FILE, error)),
        }
        let mut env = Self::default();
        env.read_env(world.env)?;
        let config = flags.found.get("config").or_else(|| env.found.get("config"));
        if let Some((path, _)) = config {
            let text = (world.read_file)(Path::new(path)).map_err(|e| cannot_read(path, e))?;
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

    /// Gives a setting the value that another one stands for.
    pub(crate) fn stand_in(&mut self, flag: &str, value: String, source: Source) {
        if let Some((setting, _)) = by_flag(flag) {
            self.found.insert(setting.flag, (value, source));
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

    fn read_env(&mut self, env: &[(OsString, OsString)]) -> Result<(), Usage> {
        for (name, value) in env {
            let Some(name) = name.to_str() else { continue };
            let is_ours = name.starts_with("ETCD_") || name.starts_with("STEAD_");
            if !is_ours || name.starts_with("STEAD_TEST_") {
                continue;
            }
            let refuse = || Usage(format!("the value {value:?} of {name} is not UTF-8"));
            let value = value.to_str().ok_or_else(refuse)?.trim();
            if value.is_empty() {
                continue;
            }
            let alias = ENV_ALIASES.iter().find(|(old, _)| *old == name);
            let known = alias.map_or(name, |(_, new)| new);
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
            self.put(setting, value, Source::Env(name.to_owned()))?;
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
            // What is refused or passed over is so whatever its value.
            _ if setting.support != Support::Works => String::new(),
            value => plain_text(setting.kind, value)
                .map_err(|wanted| Usage(format!("{path}: the key {key} wants {wanted}")))?,
        };
        self.put(setting, &text, Source::File(path.to_owned()))
    }
}

/// The value of a key as a flag would have it, or what is wanted in its place.
fn plain_text(kind: Kind, value: &toml::Value) -> Result<String, &'static str> {
    use toml::Value::{Array, Boolean, Float, Integer, String};
    match (kind, value) {
        // A text is checked as that of a flag is.
        (_, String(text)) => Ok(text.clone()),
        (Kind::Bool, Boolean(is_set)) => Ok(is_set.to_string()),
        (Kind::Number(..) | Kind::Seconds, Integer(number)) => Ok(number.to_string()),
        (Kind::Seconds, Float(number)) => Ok(number.to_string()),
        (Kind::List, Array(items)) => {
            let texts: Option<Vec<&str>> = items.iter().map(toml::Value::as_str).collect();
            Ok(texts.ok_or("an array of texts")?.join(","))
        }
        (Kind::Text | Kind::Choice(_), _) => Err("one text, in quotes"),
        (Kind::Bool, _) => Err("true or false"),
        (Kind::Number(..), _) => Err("a whole number"),
        (Kind::Seconds, _) => Err("a number of seconds"),
        (Kind::List, _) => Err("an array of texts"),
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
        let env: Vec<(OsString, OsString)> =
            env.iter().map(|(name, value)| (name.into(), value.into())).collect();
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
            (vec!["-trace", "*"], "-trace is not supported by this version"),
            (vec!["-config", "none.toml"], "cannot read the configuration file none.toml"),
        ] {
            let error = gather(&args, &[], "").expect_err("a mistake").0;
            assert!(error.contains(want), "{args:?}: {error}");
        }
        let error = gather(&[], &[("ETCD_GRAPHITE_HOST", "http://x")], "").expect_err("refused").0;
        assert!(error.contains("ETCD_GRAPHITE_HOST is not supported"), "{error}");
        let error =
            gather(&["-config=given.toml"], &[], "graphite_host = \"a\"").expect_err("refused").0;
        assert!(error.contains("graphite_host in given.toml is not supported"), "{error}");
        assert!(gather(&["-config=given.toml"], &[], "name = ").is_err());
    }

    #[test]
    fn what_needs_no_settings_reads_none() {
        let env = [("ETCD_PEERS", "a:1"), ("ETCD_CONFIG", "none.toml")];
        let lines: [&[&str]; 5] =
            [&["version"], &["help"], &["config", "docs"], &["--version"], &["-h"]];
        for args in lines {
            let found = gather(args, &env, "").map(|(values, _)| values.found.len());
            assert_eq!(found, Ok(0), "{args:?}");
        }
        assert!(gather(&["config", "show"], &env, "").is_err());
    }

    #[test]
    fn a_value_in_a_file_has_the_type_of_its_key() {
        for (file, want) in [
            ("name = [\"a\"]", "given.toml: the key name wants one text, in quotes"),
            ("name = 5", "the key name wants one text, in quotes"),
            ("compat = [\"v2\"]", "the key compat wants one text, in quotes"),
            ("snapshot = [true]", "the key snapshot wants true or false"),
            ("snapshot_count = [1]", "the key snapshot_count wants a whole number"),
            ("snapshot_count = 1.5", "the key snapshot_count wants a whole number"),
            ("http_read_timeout = true", "the key http_read_timeout wants a number of seconds"),
            ("cors = [1]", "the key cors wants an array of texts"),
            ("cors = 1", "the key cors wants an array of texts"),
            ("[peer]\naddr = [\"a:1\", \"b:2\"]", "the key peer.addr wants one text, in quotes"),
            ("[peer.addr]\nx = 1", "the key peer.addr wants one text, in quotes"),
            ("discovery = [\"x\"]", "the key discovery wants one text, in quotes"),
        ] {
            let error = gather(&["-config=given.toml"], &[], file).expect_err("a mistake").0;
            assert!(error.contains(want), "{file}: {error}");
        }
        let file = "snapshot_count = \"7\"\nhttp_read_timeout = 1.5\ncors = \"*\"";
        let (values, _) = gather(&["-config=given.toml"], &[], file).expect("sound");
        let got = ["snapshot-count", "http-read-timeout", "cors"].map(|flag| values.get(flag).0);
        assert_eq!(got, ["7", "1.5", "*"]);
    }

    #[test]
    fn the_file_of_the_system_may_be_missing_but_not_unreadable() {
        let with = |kind: ErrorKind| {
            let read_file = move |_: &Path| Err(kind.into());
            Values::gather(&World { args: &[], env: &[], read_file: &read_file })
        };
        assert!(with(ErrorKind::NotFound).is_ok());
        assert!(with(ErrorKind::NotADirectory).is_ok());
        let error = with(ErrorKind::PermissionDenied).expect_err("it is there").0;
        let want = "cannot read the configuration file /etc/etcd/etcd.conf: permission denied";
        assert_eq!(error, want);
    }

    #[test]
    fn only_short_regular_files_are_read() {
        let refusal = |path: &str| read_file(Path::new(path)).expect_err("no file").to_string();
        assert_eq!(refusal("/dev/zero"), "it is no regular file");
        assert_eq!(refusal("/"), "it is a directory");
        let dir = std::env::temp_dir().join(format!("stead-source-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a place for files");
        let path = dir.join("stead.toml");
        let length = usize::try_from(FILE_BYTES_MAX).expect("small");
        std::fs::write(&path, "#".repeat(length)).expect("a place for files");
        assert_eq!(read_file(&path).expect("just short enough").len(), length);
        std::fs::write(&path, "#".repeat(length + 1)).expect("a place for files");
        let error = read_file(&path).expect_err("too long").to_string();
        assert_eq!(error, "it is longer than 1048576 bytes");
        std::fs::remove_dir_all(&dir).expect("it is ours");
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
