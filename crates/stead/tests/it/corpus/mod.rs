//! A long list of requests, sent in order to a new server and compared with what real servers
//! answered to the very same list.
//!
//! `requests.txt` is the list; `v0.4.9.jsonl` and `v2.3.8.jsonl` are the recordings, one line of
//! JSON for each request. The main listener is held against the former, the listener that speaks
//! as 2.x did against the latter. Status, content type, location, index and body are compared
//! exactly, bar the moments of expiration, which are other ones in each run; of the raft headers
//! only the presence, since their numbers are the server's own affair.
//!
//! The recorded servers had taken more internal commands when they were new. A few writes to a
//! hidden key come first, until the index is the recorded one.
//!
//! `differences.tsv` lists what this server answers otherwise on purpose, field by field:
//! recording, line of `requests.txt`, field, what is expected in its place (`*` for anything),
//! reason. An entry that is not needed fails the test.

mod auth;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::testkit::record::Record;
use crate::testkit::text::without_expirations;
use crate::testkit::{Connection, Request, Site, ask};

/// How long a watch that found nothing must stay open.
const PENDING: Duration = Duration::from_millis(300);

/// Header fields that are compared; the recordings hold no others.
const HEADERS: [&str; 4] = ["content-type", "location", "allow", "x-etcd-index"];
const RAFT_HEADERS: [&str; 2] = ["x-raft-index", "x-raft-term"];

#[test]
fn the_main_listener_answers_as_version_0_4() {
    let site = Site::new("corpus-v04");
    let server = site.start();
    replay("v0.4.9.jsonl", server.addr());
}

#[test]
fn the_second_listener_answers_as_version_2() {
    let site = Site::new("corpus-v2").with_v2();
    let server = site.start();
    replay("v2.3.8.jsonl", server.v2_addr());
}

/// A line of a recording.
#[derive(Debug)]
struct Recorded {
    number: usize,
    method: String,
    path: String,
    status: u64,
    headers: BTreeMap<String, String>,
    /// The body; nothing where it was still awaited when the recorder gave up.
    body: Option<String>,
}

impl Recorded {
    fn from_value(value: Value) -> Self {
        let mut record = Record::new(value);
        // What was sent is taken from the list of requests.
        record.text("form");
        let headers = record.optional_texts("headers").into_iter();
        let number = record.number("n").and_then(|n| usize::try_from(n).ok());
        let recorded = Self {
            number: number.expect("a recording has the number of its line"),
            method: record.text("method").expect("a recording has a method"),
            path: record.text("path").expect("a recording has a path"),
            status: record.number("status").expect("a recording has a status"),
            headers: headers.map(|(name, text)| (name, text.unwrap_or_default())).collect(),
            body: record.text("body"),
        };
        let is_waiting = record.flag("timeout");
        assert_eq!(is_waiting, recorded.body.is_none(), "line {}", recorded.number);
        record.finish();
        recorded
    }
}

/// A line of the list of requests.
enum Line {
    Request { method: String, path: String, form: Option<String>, is_watch: bool },
    Sleep(Duration),
    Nothing,
}

/// What is compared of one answer: field by field as text.
type Fields = BTreeMap<String, String>;

fn replay(name: &str, addr: SocketAddr) {
    let recordings = load_recordings(name);
    let mut differences = load_differences(name);
    let list = read(&folder().join("requests.txt"));
    let mut last = raise_index(addr, first_index(&recordings));
    let mut report = String::new();
    for (at, line) in list.lines().enumerate() {
        let number = at + 1;
        match parse_line(line) {
            Line::Nothing => {}
            Line::Sleep(time) => std::thread::sleep(time),
            Line::Request { method, path, form, is_watch } => {
                let path = fill(&path, last);
                let recorded = recordings.get(&number).expect("every request was recorded");
                assert_eq!((&recorded.method, recorded.number), (&method, number), "{line}");
                let request = request(&method, &path, form.as_deref());
                let answer = perform(addr, &request, is_watch);
                let index = answer.get("x-etcd-index").and_then(|text| text.parse().ok());
                last = index.filter(|index| *index > 0).unwrap_or(last);
                let found = compare(recorded, &path, &answer, &mut differences);
                if !found.is_empty() {
                    report.push_str(&format!("{number}: {line}\n{found}"));
                }
            }
        }
    }
    for ((number, field), (_, reason)) in differences {
        report.push_str(&format!("{number}: {field} is excepted without need ({reason})\n"));
    }
    assert!(report.is_empty(), "{name}\n{report}");
}

/// Compares field by field, and takes the differences that are met out of the list.
fn compare(
    recorded: &Recorded,
    path: &str,
    answer: &Fields,
    differences: &mut BTreeMap<(usize, String), (String, String)>,
) -> String {
    let mut out = String::new();
    let mut wanted = recorded_fields(recorded);
    if recorded.path != path {
        wanted.insert("path".to_owned(), recorded.path.clone());
    }
    let fields: Vec<&String> = wanted.keys().chain(answer.keys()).collect();
    for field in std::collections::BTreeSet::from_iter(fields) {
        let want = wanted.get(field).map_or("(absent)", String::as_str);
        let got = answer.get(field).map_or("(absent)", String::as_str);
        if want == got || (field == "body" && is_same_listing(want, got)) {
            continue;
        }
        let excepted = differences.remove(&(recorded.number, field.clone()));
        let want = match &excepted {
            Some((other, _)) if other == "*" || other == got => continue,
            Some((other, _)) => other,
            None => want,
        };
        out.push_str(&format!("  {field}\n    want {want}\n    got  {got}\n"));
    }
    out
}

fn recorded_fields(recorded: &Recorded) -> Fields {
    let mut fields = Fields::new();
    fields.insert("status".to_owned(), recorded.status.to_string());
    for name in HEADERS {
        if let Some(value) = recorded.headers.get(name) {
            fields.insert(name.to_owned(), value.clone());
        }
    }
    for name in RAFT_HEADERS {
        if recorded.headers.contains_key(name) {
            fields.insert(name.to_owned(), "(present)".to_owned());
        }
    }
    let body = recorded.body.as_deref().map_or("(waiting)".to_owned(), plain_body);
    fields.insert("body".to_owned(), body);
    fields
}

/// Sends one request and gives the fields of its answer.
fn perform(addr: SocketAddr, request: &Request, is_watch: bool) -> Fields {
    let text = format!("{} {}", request.method, request.path);
    let mut connection = Connection::open(addr).unwrap_or_else(|e| panic!("{text}: {e}"));
    connection.send(request).unwrap_or_else(|e| panic!("{text}: {e}"));
    let head = connection.head().unwrap_or_else(|e| panic!("{text}: {e}"));
    let mut fields = Fields::new();
    fields.insert("status".to_owned(), head.status.to_string());
    for name in HEADERS {
        if let Some(value) = head.header(name) {
            fields.insert(name.to_owned(), value);
        }
    }
    for name in RAFT_HEADERS {
        if head.header(name).is_some() {
            fields.insert(name.to_owned(), "(present)".to_owned());
        }
    }
    if is_watch {
        connection.within(PENDING);
    }
    let mut body = Vec::new();
    let whole = connection.body(&request.method, &head, &mut |part| body.extend_from_slice(part));
    let body = match whole {
        Ok(()) => plain_body(&String::from_utf8_lossy(&body)),
        Err(e) if is_watch && e.kind() == std::io::ErrorKind::TimedOut => "(waiting)".to_owned(),
        Err(e) => panic!("{text}: {e}"),
    };
    fields.insert("body".to_owned(), body);
    fields
}

fn request(method: &str, path: &str, form: Option<&str>) -> Request {
    let request = Request::new(method, path).header("Accept-Encoding", "identity");
    match form {
        Some(form) => request.form(form),
        None if matches!(method, "PUT" | "POST" | "PATCH") => request.body(b""),
        None => request,
    }
}

/// Takes out what is another one in each run: moments of expiration and ports.
fn plain_body(body: &str) -> String {
    match body.strip_prefix("http://127.0.0.1:") {
        Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => {
            "http://127.0.0.1:PORT".to_owned()
        }
        _ => without_expirations(body).replace('\n', "\\n"),
    }
}

/// Whether two bodies differ only in the order of listed nodes, which is free without `sorted`.
fn is_same_listing(want: &str, got: &str) -> bool {
    let parse = |text: &str| -> Option<Value> {
        let mut value: Value = serde_json::from_str(text.trim_end_matches("\\n")).ok()?;
        sort_nodes(value.get_mut("node")?, 0);
        Some(value)
    };
    want.contains("\"nodes\"") && want.len() == got.len() && parse(want) == parse(got)
}

fn sort_nodes(node: &mut Value, depth: usize) {
    assert!(depth < 64, "a listing deeper than any of the requests makes");
    if let Some(nodes) = node.get_mut("nodes").and_then(Value::as_array_mut) {
        nodes.sort_by_key(|node| node["key"].to_string());
        nodes.iter_mut().for_each(|node| sort_nodes(node, depth + 1));
    }
}

/// The store index before the first recorded request.
fn first_index(recordings: &BTreeMap<usize, Recorded>) -> u64 {
    let first = recordings.values().find_map(|r| r.headers.get("x-etcd-index"));
    first.and_then(|text| text.parse().ok()).expect("the recording begins with a read")
}

/// Writes to a hidden key until the store index is `wanted`.
fn raise_index(addr: SocketAddr, wanted: u64) -> u64 {
    let mut index = ask(addr, &Request::get("/v2/keys/")).index();
    assert!(index <= wanted, "a new server stands at {index} already");
    while index < wanted {
        index = ask(addr, &Request::put("/v2/keys/_index", "value=")).index();
    }
    index
}

/// Replaces `{i}`, `{i+N}` and `{i-N}` by the last index and N.
fn fill(path: &str, last: u64) -> String {
    let Some((before, rest)) = path.split_once("{i") else {
        return path.to_owned();
    };
    let (offset, after) = rest.split_once('}').expect("a closed brace");
    let offset: i64 = if offset.is_empty() { 0 } else { offset.parse().expect("an offset") };
    let index = last.checked_add_signed(offset).expect("an index above the offset");
    fill(&format!("{before}{index}{after}"), last)
}

fn parse_line(line: &str) -> Line {
    if line.is_empty() || line.starts_with('#') {
        return Line::Nothing;
    }
    if let Some(seconds) = line.strip_prefix("sleep ") {
        return Line::Sleep(Duration::from_secs_f64(seconds.parse().expect("seconds")));
    }
    let mut words = line.splitn(3, ' ');
    let method = words.next().expect("a method");
    let path = words.next().expect("a path").to_owned();
    let form = words.next().map(str::to_owned);
    let is_watch = method.ends_with('!');
    Line::Request { method: method.trim_end_matches('!').to_owned(), path, form, is_watch }
}

fn load_recordings(name: &str) -> BTreeMap<usize, Recorded> {
    let text = read(&folder().join(name));
    let lines = text.lines().map(|line| {
        let value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{name}: {e}: {line}"));
        let recorded = Recorded::from_value(value);
        (recorded.number, recorded)
    });
    lines.collect()
}

/// By line and field: what is expected in place of the recording, and why.
fn load_differences(name: &str) -> BTreeMap<(usize, String), (String, String)> {
    let text = read(&folder().join("differences.tsv"));
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let entries = lines.map(|line| {
        let cells: Vec<&str> = line.split('\t').collect();
        let [file, number, field, want, reason] = cells.as_slice() else {
            panic!("five cells wanted: {line}");
        };
        let number: usize = number.parse().unwrap_or_else(|_| panic!("no line number: {line}"));
        let key = (number, (*field).to_owned());
        (*file, key, ((*want).to_owned(), (*reason).to_owned()))
    });
    entries.filter(|(file, ..)| *file == name).map(|(_, key, value)| (key, value)).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/corpus")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
