//! What etcd 3.4.23 answered about users, roles and rights, sent again to a new server.
//!
//! `v3.4.23-auth.jsonl` is the recording, and `packaging/record-auth` makes it. Requests that were
//! left waiting stand behind those that were sent meanwhile; they are opened at their number and
//! read where they stand. What is answered otherwise on purpose is in `differences.tsv`.
//!
//! The recorded server took indexes for directories of its own: four when the first user came, and
//! one for the role of guests. A hidden key takes them here.

use super::{Fields, HEADERS, PENDING, RAFT_HEADERS, folder, load_differences, read};
use crate::testkit::record::Record;
use crate::testkit::text::without_expirations;
use crate::testkit::{Connection, Request, Site, ask};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;

const RECORDING: &str = "v3.4.23-auth.jsonl";

/// Where the recorded server began.
const FIRST_INDEX: u64 = 3;

/// The credentials of the recorded root.
const ROOT: &str = "Basic cm9vdDp0b29y";

/// A line of the recording.
#[derive(Debug)]
struct Recorded {
    number: usize,
    request: Request,
    is_waiting: bool,
    wanted: Fields,
}

impl Recorded {
    fn of(value: Value) -> Self {
        let mut record = Record::new(value);
        let number = record.number("n").and_then(|n| usize::try_from(n).ok());
        let method = record.text("method").expect("a recording has a method");
        let path = record.text("path").expect("a recording has a path");
        let mut request = Request::new(&method, &path);
        for (name, text) in record.optional_texts("sent") {
            request = request.header(&name, &text.unwrap_or_default());
        }
        if let Some(body) = record.text("form") {
            request = request.body(body.as_bytes());
        } else if matches!(&*method, "PUT" | "POST" | "PATCH") {
            request = request.body(b"");
        }
        let mut wanted = Fields::new();
        if record.flag("closed") {
            wanted.insert("closed".into(), "true".into());
        }
        if let Some(status) = record.number("status") {
            wanted.insert("status".into(), status.to_string());
        }
        for (name, text) in record.optional_texts("headers") {
            let is_compared = HEADERS.contains(&&*name) || name == "x-etcd-cluster-id";
            if is_compared {
                wanted.insert(name, text.unwrap_or_default());
            } else if RAFT_HEADERS.contains(&&*name) {
                wanted.insert(name, "(present)".into());
            }
        }
        if let Some(body) = record.text("body") {
            wanted.insert("body".into(), plain(&body));
        }
        let is_waiting = record.flag("timeout");
        if is_waiting {
            wanted.insert("waits".into(), "true".into());
        }
        record.finish();
        let number = number.expect("a recording has the number of its line");
        Self { number, request, is_waiting, wanted }
    }
}

/// A body without what is another one in each run.
fn plain(body: &str) -> String {
    let mut plain = without_expirations(body);
    for name in ["id", "leader"] {
        let mark = format!("\"{name}\":\"");
        let mut from = 0;
        while let Some(at) = plain.get(from..).and_then(|rest| rest.find(&mark)) {
            let start = from + at + mark.len();
            let end = start + plain.get(start..).and_then(|rest| rest.find('"')).unwrap_or(0);
            plain.replace_range(start..end, "*");
            from = start;
        }
    }
    plain.replace('\n', "\\n")
}

/// An answer so far. `waits` is whether it may not end.
fn answer(connection: &mut Connection, request: &Request, waits: bool) -> std::io::Result<Fields> {
    let head = connection.head()?;
    let mut fields = Fields::new();
    fields.insert("status".into(), head.status.to_string());
    for name in HEADERS {
        fields.extend(head.header(name).map(|value| (name.to_owned(), value)));
    }
    for name in RAFT_HEADERS {
        fields.extend(head.header(name).map(|_| (name.to_owned(), "(present)".to_owned())));
    }
    if head.header("x-etcd-cluster-id").is_some() {
        fields.insert("x-etcd-cluster-id".into(), "*".into());
    }
    if waits {
        connection.within(PENDING);
    }
    let mut body = Vec::new();
    let whole = connection.body(&request.method, &head, &mut |part| body.extend_from_slice(part));
    match whole {
        Err(error) if waits && error.kind() == std::io::ErrorKind::TimedOut => {
            fields.insert("waits".into(), "true".into());
        }
        outcome => outcome?,
    }
    fields.insert("body".into(), plain(&String::from_utf8_lossy(&body)));
    Ok(fields)
}

fn open(addr: SocketAddr, request: &Request) -> Connection {
    let mut connection = Connection::open(addr).expect("the server accepts");
    connection.send(request).expect("the server takes the request");
    connection
}

/// Takes indexes that the recorded server took for itself.
fn pass(addr: SocketAddr, count: usize) {
    for _ in 0..count {
        let request = Request::put("/v2/keys/_index", "value=").header("Authorization", ROOT);
        assert!(ask(addr, &request).status() < 300);
    }
}

type Differences = BTreeMap<(usize, String), (String, String)>;

fn compare(one: &Recorded, found: &Fields, differences: &mut Differences) -> String {
    let mut out = String::new();
    let fields = one.wanted.keys().chain(found.keys()).collect::<std::collections::BTreeSet<_>>();
    for field in fields {
        let want = one.wanted.get(field).map_or("(absent)", String::as_str);
        let got = found.get(field).map_or("(absent)", String::as_str);
        if want == got || want == "*" {
            continue;
        }
        let excepted = differences.remove(&(one.number, field.clone()));
        if excepted.is_none_or(|(other, _)| other != "*" && other != got) {
            out.push_str(&format!("  {field}\n    want {want}\n    got  {got}\n"));
        }
    }
    let text = format!("{} {}", one.request.method, one.request.path);
    if out.is_empty() { out } else { format!("{}: {text}\n{out}", one.number) }
}

#[test]
fn users_roles_and_rights_are_as_in_etcd() {
    let site = Site::new("corpus-auth").named("node1").with_v2().flags("-auth-guest=open");
    let server = site.start();
    let addr = server.v2_addr();
    let text = read(&folder().join(RECORDING));
    let all: Vec<Recorded> = text
        .lines()
        .map(|line| Recorded::of(serde_json::from_str(line).expect("a line is JSON")))
        .collect();
    assert!(all.len() >= 150);
    let mut differences = load_differences(RECORDING);
    let mut report = String::new();
    let mut left: BTreeMap<usize, Connection> = BTreeMap::new();
    let (mut has_users, mut has_guest) = (false, false);
    super::raise_index(addr, FIRST_INDEX);
    let late = |number: usize| {
        all.iter().take_while(|one| one.number != number).any(|one| one.number > number)
    };
    let opened: Vec<&Recorded> = all.iter().filter(|one| late(one.number)).collect();
    let mut last = 0;
    for one in &all {
        for late in opened.iter().filter(|late| (last..one.number).contains(&late.number)) {
            left.entry(late.number).or_insert_with(|| {
                let connection = open(addr, &late.request);
                std::thread::sleep(PENDING);
                connection
            });
        }
        last = last.max(one.number);
        let is_late = left.contains_key(&one.number);
        let mut connection = left.remove(&one.number).unwrap_or_else(|| open(addr, &one.request));
        let waits = one.is_waiting || is_late;
        let found = answer(&mut connection, &one.request, waits);
        let mut found = found.unwrap_or_else(|error| panic!("{one:?}: {error}"));
        if let Some(body) = found.get_mut("body") {
            let with_client = body.replace(&addr.to_string(), "127.0.0.1:2379");
            *body = with_client.replace(&server.peer_addr().to_string(), "127.0.0.1:2380");
        }
        let is_done = found.get("status").is_some_and(|status| status.starts_with('2'));
        let is = |method: &str, path: &str| {
            is_done && one.request.method == method && one.request.path.starts_with(path)
        };
        if is("PUT", "/v2/auth/users/") && !std::mem::replace(&mut has_users, true) {
            pass(addr, 4);
        }
        if is("PUT", "/v2/auth/enable") && !std::mem::replace(&mut has_guest, true) {
            pass(addr, 1);
        }
        report.push_str(&compare(one, &found, &mut differences));
    }
    for ((number, field), (_, reason)) in differences {
        report.push_str(&format!("{number}: {field} is excepted without need ({reason})\n"));
    }
    assert!(report.is_empty(), "{report}");
}
