//! The case files, and the two lists beside them that say where this server answers otherwise.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// A file of cases.
#[derive(Debug, Deserialize)]
struct CaseFile {
    cases: Vec<Case>,
}

/// One conversation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    #[serde(default, rename = "covers")]
    _covers: String,
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    #[serde(default)]
    index_base: Option<String>,
    #[serde(default)]
    pub(crate) server_flags: Option<String>,
    pub(crate) steps: Vec<Step>,
}

impl Case {
    pub(crate) fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|t| t == tag)
    }

    /// Whether indexes are the server's own, not relative to where the case began.
    pub(crate) fn is_absolute(&self) -> bool {
        self.index_base.as_deref() == Some("absolute")
    }

    /// Roughly how long the case will take by its own words.
    pub(crate) fn weight_ms(&self) -> u64 {
        let waits = |s: &Step| {
            let settle = if s.background.is_some() { 300 } else { 0 };
            let requests = u64::from(s.repeat.unwrap_or(1)) * 2;
            requests + s.sleep_ms.unwrap_or(0) + s.pending_ms.unwrap_or(0) + settle
        };
        self.steps.iter().map(waits).sum()
    }
}

/// One step: a request, or a wait, a hang-up, a sleep, an assertion.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Step {
    pub(crate) method: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Option<String>,
    pub(crate) chunked: bool,
    pub(crate) port: Option<String>,
    pub(crate) repeat: Option<u32>,
    #[serde(rename = "async")]
    pub(crate) background: Option<String>,
    #[serde(rename = "await")]
    pub(crate) awaited: Option<String>,
    pub(crate) close: Option<String>,
    pub(crate) assert: Option<String>,
    pub(crate) pending_ms: Option<u64>,
    pub(crate) sleep_ms: Option<u64>,
    pub(crate) settle_ms: Option<u64>,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) expect: Option<Expect>,
}

impl Step {
    /// The step in a few words, for reports.
    pub(crate) fn describe(&self) -> String {
        if let (Some(method), Some(path)) = (&self.method, &self.path) {
            let body = self.body.as_ref().map_or(String::new(), |b| format!("  body: {b}"));
            let name = self.background.as_ref().map_or(String::new(), |n| format!("[{n}] "));
            return format!("{name}{method} {path}{body}");
        }
        let named = [("await", &self.awaited), ("close", &self.close), ("assert", &self.assert)];
        let named =
            named.iter().find_map(|(what, name)| Some(format!("{what} {}", name.as_ref()?)));
        named.unwrap_or_else(|| format!("sleep {} ms", self.sleep_ms.unwrap_or(0)))
    }
}

/// What a step's answer must be.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Expect {
    pub(crate) status: Option<u16>,
    /// `null` means that the header must be absent.
    pub(crate) headers: BTreeMap<String, Option<String>>,
    pub(crate) kind: Kind,
    pub(crate) body: Option<String>,
    pub(crate) events: Vec<String>,
    pub(crate) chunks: Option<usize>,
    pub(crate) code: Option<i64>,
    pub(crate) unordered: bool,
    pub(crate) within_ms: Option<u64>,
    /// Other answers that are just as good.
    pub(crate) alt: Vec<Expect>,
}

/// How a body is compared.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    #[default]
    Json,
    Text,
    Empty,
    Stream,
    Error,
    Ignore,
}

/// One step of one case where this server answers otherwise, on purpose.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Override {
    pub(crate) case: String,
    /// Steps, counted from 1.
    pub(crate) steps: Vec<usize>,
    /// Why; shown nowhere but needed everywhere.
    pub(crate) reason: String,
    /// What is expected in place of the recording; nothing for "sent but not compared".
    pub(crate) expect: Option<Expect>,
}

/// The folder with everything that this test reads.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/conformance")
}

/// All cases, in the order of their files.
pub(crate) fn load_cases() -> Vec<Case> {
    let mut files = Vec::new();
    for folder in [folder().join("cases"), folder().join("cases/random")] {
        let entries = std::fs::read_dir(&folder);
        let entries = entries.unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        let paths = entries.map(|entry| entry.expect("the folder can be listed").path());
        files.extend(paths.filter(|path| path.extension().is_some_and(|e| e == "json")));
    }
    files.sort();
    files.iter().flat_map(|file| read_json::<CaseFile>(file).cases).collect()
}

/// Steps that are held against another answer than the recorded one.
pub(crate) fn load_overrides() -> Vec<Override> {
    read_json(&folder().join("overrides.json"))
}

/// Cases that are not run, with the reason: `NAME<tab>REASON`, `#` begins a comment.
pub(crate) fn load_skips() -> BTreeMap<String, String> {
    let path = folder().join("skips.txt");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let entry = |line: &str| {
        let (name, reason) = line.split_once('\t').unwrap_or_else(|| panic!("no reason: {line}"));
        (name.to_owned(), reason.to_owned())
    };
    lines.map(entry).collect()
}

fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> T {
    let text = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
