//! The case files, and the list beside them that says where this server answers otherwise.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::testkit::record::Record;

/// One conversation.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) tags: Vec<String>,
    index_base: Option<String>,
    pub(crate) server_flags: Option<String>,
    pub(crate) steps: Vec<Step>,
}

impl Case {
    fn from_value(value: Value) -> Self {
        let mut record = Record::new(value);
        // What the case is about is for people.
        record.text("covers");
        let case = Self {
            name: record.text("name").expect("a case has a name"),
            tags: record.texts("tags"),
            index_base: record.text("index_base"),
            server_flags: record.text("server_flags"),
            steps: record.list("steps").into_iter().map(Step::from_value).collect(),
        };
        record.finish();
        case
    }

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
            let requests = s.repeat.unwrap_or(1) * 2;
            requests + s.sleep_ms.unwrap_or(0) + s.pending_ms.unwrap_or(0) + settle
        };
        self.steps.iter().map(waits).sum()
    }
}

/// One step: a request, or a wait, a hang-up, a sleep, an assertion.
#[derive(Clone, Debug, Default)]
pub(crate) struct Step {
    pub(crate) method: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Option<String>,
    pub(crate) chunked: bool,
    pub(crate) port: Option<String>,
    pub(crate) repeat: Option<u64>,
    pub(crate) background: Option<String>,
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
    fn from_value(value: Value) -> Self {
        let mut record = Record::new(value);
        let headers = record.optional_texts("headers").into_iter();
        let step = Self {
            method: record.text("method"),
            path: record.text("path"),
            headers: headers.map(|(name, text)| (name, text.unwrap_or_default())).collect(),
            body: record.text("body"),
            chunked: record.flag("chunked"),
            port: record.text("port"),
            repeat: record.number("repeat"),
            background: record.text("async"),
            awaited: record.text("await"),
            close: record.text("close"),
            assert: record.text("assert"),
            pending_ms: record.number("pending_ms"),
            sleep_ms: record.number("sleep_ms"),
            settle_ms: record.number("settle_ms"),
            timeout_ms: record.number("timeout_ms"),
            expect: record.value("expect").map(Expect::from_value),
        };
        record.finish();
        step
    }

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
#[derive(Clone, Debug, Default)]
pub(crate) struct Expect {
    pub(crate) status: Option<u64>,
    /// `null` means that the header must be absent.
    pub(crate) headers: BTreeMap<String, Option<String>>,
    pub(crate) kind: Kind,
    pub(crate) body: Option<String>,
    pub(crate) events: Vec<String>,
    pub(crate) chunks: Option<u64>,
    pub(crate) code: Option<u64>,
    pub(crate) unordered: bool,
    pub(crate) within_ms: Option<u64>,
    /// Other answers that are just as good.
    pub(crate) alt: Vec<Expect>,
}

impl Expect {
    fn from_value(value: Value) -> Self {
        let mut record = Record::new(value);
        let kind = record.text("kind");
        let expect = Self {
            status: record.number("status"),
            headers: record.optional_texts("headers"),
            kind: kind.map_or(Kind::Json, |name| Kind::from_name(&name)),
            body: record.text("body"),
            events: record.texts("events"),
            chunks: record.number("chunks"),
            code: record.number("code"),
            unordered: record.flag("unordered"),
            within_ms: record.number("within_ms"),
            alt: record.list("alt").into_iter().map(Self::from_value).collect(),
        };
        record.finish();
        expect
    }
}

/// How a body is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Json,
    Text,
    Empty,
    Stream,
    Error,
    Ignore,
}

impl Kind {
    fn from_name(name: &str) -> Self {
        match name {
            "json" => Self::Json,
            "text" => Self::Text,
            "empty" => Self::Empty,
            "stream" => Self::Stream,
            "error" => Self::Error,
            "ignore" => Self::Ignore,
            _ => panic!("no such kind of body: {name}"),
        }
    }
}

/// One step of one case where this server answers otherwise, on purpose.
#[derive(Clone, Debug)]
pub(crate) struct Override {
    pub(crate) case: String,
    /// Steps, counted from 1.
    pub(crate) steps: Vec<usize>,
    pub(crate) reason: String,
    pub(crate) change: Change,
}

/// In what way an answer is another one.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// These headers are other ones.
    Headers(BTreeMap<String, Option<String>>),
    /// The whole answer is another one.
    Answer(Expect),
    /// There is no answer yet: the watch goes on waiting.
    Pending,
}

impl Change {
    /// What is expected, given the recorded answer; nothing where it is still to come.
    pub(crate) fn apply(&self, recorded: &Expect) -> Option<Expect> {
        match self {
            Self::Headers(headers) => {
                let mut expect = recorded.clone();
                expect.headers.extend(headers.clone());
                Some(expect)
            }
            Self::Answer(expect) => Some(expect.clone()),
            Self::Pending => None,
        }
    }
}

impl Override {
    fn from_value(value: Value) -> Self {
        let mut record = Record::new(value);
        let steps = record.list("steps");
        let number = |step: &Value| step.as_u64().and_then(|n| usize::try_from(n).ok());
        let headers = record.optional_texts("headers");
        let answer = record.value("expect").map(Expect::from_value);
        let change = match (headers.is_empty(), answer, record.flag("pending")) {
            (false, None, false) => Change::Headers(headers),
            (true, Some(expect), false) => Change::Answer(expect),
            (true, None, true) => Change::Pending,
            _ => panic!("one change wanted: {record:?}"),
        };
        let replaced = Self {
            case: record.text("case").expect("an override names its case"),
            steps: steps.iter().map(|step| number(step).expect("steps are numbers")).collect(),
            reason: record.text("reason").expect("an override has a reason"),
            change,
        };
        record.finish();
        replaced
    }
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
    let cases = files.iter().flat_map(|file| Record::new(read_json(file)).list("cases"));
    cases.map(Case::from_value).collect()
}

/// Steps that are held against another answer than the recorded one.
pub(crate) fn load_overrides() -> Vec<Override> {
    let path = folder().join("overrides.json");
    let Value::Array(list) = read_json(&path) else {
        panic!("{} must be a list", path.display());
    };
    list.into_iter().map(Override::from_value).collect()
}

fn read_json(path: &Path) -> Value {
    let text = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
