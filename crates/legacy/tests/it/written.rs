//! Logs of 2.x and 3.x that the tests write themselves, for what the archives do not have.

use crate::archive::{Archive, Scratch};
use legacy::{Action, Content, Error, Extent, Imported, NoData, Options, SkipReason, Warning};
use std::fs;

const NAME: &str = "member/wal/0000000000000000-0000000000000000.wal";

/// Nanoseconds of a time in 2036.
const LATER: i64 = 2_100_000_000_000_000_000;

/// A log in the making. Its only member has the id 1.
struct Log {
    bytes: Vec<u8>,
    running: u32,
    index: u64,
}

impl Log {
    fn new() -> Self {
        let mut log = Log { bytes: Vec::new(), running: 0, index: 0 };
        log.record(4, &[]);
        log.record(1, &message(&[(1, Field::Number(1)), (2, Field::Number(7))]));
        log.record(5, &message(&[(1, Field::Number(0)), (2, Field::Number(0))]));
        let context = br#"{"id":1,"peerURLs":["http://a"]}"#;
        log.conf_change(0, 1, context);
        log
    }

    fn record(&mut self, kind: u64, data: &[u8]) {
        self.running = crc32c::crc32c_append(self.running, data);
        let mut fields = vec![(1, Field::Number(kind)), (2, Field::Number(self.running.into()))];
        if !data.is_empty() {
            fields.push((3, Field::Bytes(data)));
        }
        let record = message(&fields);
        self.bytes.extend_from_slice(&(record.len() as u64).to_le_bytes());
        self.bytes.extend_from_slice(&record);
    }

    fn entry(&mut self, kind: u64, data: &[u8]) {
        self.index += 1;
        self.entry_at(self.index, kind, data);
    }

    fn entry_at(&mut self, index: u64, kind: u64, data: &[u8]) {
        let fields = [
            (1, Field::Number(kind)),
            (2, Field::Number(2)),
            (3, Field::Number(index)),
            (4, Field::Bytes(data)),
        ];
        self.record(2, &message(&fields));
    }

    fn conf_change(&mut self, kind: u64, id: u64, context: &[u8]) {
        let fields = [(2, Field::Number(kind)), (3, Field::Number(id)), (4, Field::Bytes(context))];
        self.entry(1, &message(&fields));
    }

    fn request(&mut self, method: &str, path: &[u8], value: &[u8], more: &[(u64, Field<'_>)]) {
        let mut fields = vec![
            (2, Field::Bytes(method.as_bytes())),
            (3, Field::Bytes(path)),
            (4, Field::Bytes(value)),
        ];
        fields.extend_from_slice(more);
        self.entry(0, &message(&fields));
    }

    fn put(&mut self, path: &str, value: &str) {
        self.request("PUT", path.as_bytes(), value.as_bytes(), &[]);
    }

    fn state(&mut self, commit: u64) {
        let fields = [(1, Field::Number(2)), (2, Field::Number(1)), (3, Field::Number(commit))];
        self.record(3, &message(&fields));
    }

    fn write(&self) -> Scratch {
        let scratch = Scratch::new();
        fs::create_dir_all(scratch.path().join("member/wal")).unwrap();
        fs::create_dir_all(scratch.path().join("member/snap")).unwrap();
        fs::write(scratch.path().join(NAME), &self.bytes).unwrap();
        scratch
    }

    fn read(&self) -> Result<Imported, Error> {
        legacy::read(&[self.write().path().to_owned()], &Options::default())
    }
}

#[derive(Clone, Copy)]
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn message(fields: &[(u64, Field<'_>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, field) in fields {
        match field {
            Field::Number(value) => {
                put_varint(&mut out, number << 3);
                put_varint(&mut out, *value);
            }
            Field::Bytes(bytes) => {
                put_varint(&mut out, number << 3 | 2);
                put_varint(&mut out, bytes.len() as u64);
                out.extend_from_slice(bytes);
            }
        }
    }
    out
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn paths(imported: &Imported) -> Vec<&str> {
    imported.nodes.iter().map(|node| node.path.as_str()).collect()
}

fn value<'a>(imported: &'a Imported, path: &str) -> &'a str {
    let node = imported.nodes.iter().find(|node| node.path == path).unwrap();
    match &node.state.content {
        Content::File(value) => value,
        Content::Dir => panic!("{path} is a directory"),
    }
}

#[test]
fn in_order_keys_are_named_by_the_version_of_the_cluster() {
    for (version, name) in [("2.1.0", "/q/3"), ("2.2.0", "/q/00000000000000000003")] {
        let mut log = Log::new();
        log.put("/0/version", version);
        log.request("POST", b"/1/q", b"job", &[]);
        let imported = log.read().unwrap();
        assert_eq!((paths(&imported), &imported.warnings[..]), (vec!["/q", name], &[][..]));
    }
    let mut log = Log::new();
    log.request("POST", b"/1/q", b"job", &[]);
    let imported = log.read().unwrap();
    assert_eq!(paths(&imported), ["/q", "/q/00000000000000000002"]);
    assert_eq!(imported.warnings, [Warning::AssumedPadding]);
}

#[test]
fn a_refresh_keeps_the_value_and_moves_the_indexes() {
    let refresh = [(9, Field::Number(LATER.cast_unsigned())), (17, Field::Number(1))];
    let mut log = Log::new();
    log.request("PUT", b"/1/missing", b"", &refresh);
    log.put("/1/a", "kept");
    log.request("PUT", b"/1/a", b"", &refresh);
    log.request("PUT", b"/1/a", b"", &[(8, Field::Number(1)), refresh[0], refresh[1]]);
    let imported = log.read().unwrap();
    assert_eq!((paths(&imported), value(&imported, "/a")), (vec!["/a"], "kept"));
    let state = &imported.nodes[0].state;
    // The set made the node anew, the update did not.
    assert_eq!((state.created, state.modified, imported.index), (3, 4, 4));
    assert_eq!(state.expiration, Some(legacy::WallTime(LATER.cast_unsigned())));
    let told: Vec<(Action, bool)> =
        imported.history.iter().map(|event| (event.action, event.refresh)).collect();
    assert_eq!(told, [(Action::Set, false), (Action::Set, true), (Action::Update, true)]);
}

#[test]
fn deadlines_before_2000_count_only_where_the_servers_count_them() {
    let old = Field::Number(1);
    let mut log = Log::new();
    log.request("PUT", b"/1/set", b"x", &[(9, old)]);
    log.put("/1/updated", "x");
    log.request("PUT", b"/1/updated", b"y", &[(8, Field::Number(1)), (9, old)]);
    let imported = log.read().unwrap();
    assert_eq!(paths(&imported), ["/set", "/updated"]);
    log.request("SYNC", b"", b"", &[(15, Field::Number(2))]);
    let imported = log.read().unwrap();
    assert_eq!((paths(&imported), imported.index), (vec!["/set"], 5));
}

#[test]
fn bytes_that_are_not_utf8_are_replaced_with_a_warning() {
    let mut log = Log::new();
    log.request("PUT", b"/1/a", b"\xe4\xbd.", &[]);
    log.request("PUT", b"/1/\xff", b"first", &[]);
    log.request("PUT", b"/1/\xfe", b"second", &[]);
    log.request("PUT", b"/1/\xfd/below", b"third", &[]);
    let imported = log.read().unwrap();
    // One U+FFFD for each byte, as the servers do it.
    assert_eq!(value(&imported, "/a"), "\u{fffd}\u{fffd}.");
    assert_eq!(imported.nodes.iter().filter(|node| node.path == "/\u{fffd}").count(), 1);
    assert!(imported.warnings.contains(&Warning::InvalidUtf8(5)), "{:?}", imported.warnings);
    let lost = |skip: &&legacy::Skipped| skip.reason == SkipReason::SameKey;
    assert_eq!(imported.skipped.iter().find(lost).unwrap().count, 2);
    for node in &imported.nodes {
        let parent = node.path.rsplit_once('/').unwrap().0;
        let is_dir = |node: &legacy::Node| node.path == parent && node.is_dir();
        assert!(parent.is_empty() || imported.nodes.iter().any(is_dir), "{}", node.path);
    }
}

#[test]
fn members_are_followed_through_all_changes() {
    let mut log = Log::new();
    // The address is in use, and then it is not.
    log.conf_change(0, 2, br#"{"id":2,"peerURLs":["http://a"]}"#);
    log.conf_change(3, 2, br#"{"id":2,"peerURLs":["http://b"],"isLearner":true}"#);
    log.put("/0/members/2/attributes", r#"{"name":"b","clientURLs":["http://b:2379"]}"#);
    log.put("/0/members/3/attributes", r#"{"name":"nobody"}"#);
    log.put("/1/a", "x");
    let imported = log.read().unwrap();
    assert_eq!((imported.index, imported.source.extent), (4, Extent::SoleMember));
    assert_eq!(imported.source.members, ["1", "b"]);
    log.conf_change(0, 2, br#"{"id":2,"peerURLs":["http://b"],"isPromote":true}"#);
    log.state(log.index);
    let imported = log.read().unwrap();
    assert_eq!((imported.index, imported.source.extent), (5, Extent::Recorded));
    let raft = imported.internal.iter().find(|node| node.path.ends_with("/2/raftAttributes"));
    let content = Content::File(r#"{"peerURLs":["http://b"]}"#.to_owned());
    assert_eq!(raft.unwrap().state.content, content);
    // Removed, and never again.
    log.conf_change(1, 2, b"");
    log.conf_change(0, 2, br#"{"id":2,"peerURLs":["http://c"]}"#);
    log.state(log.index);
    let imported = log.read().unwrap();
    assert_eq!((imported.index, imported.source.extent), (7, Extent::SoleMember));
    assert_eq!(imported.source.members, ["1"]);
}

#[test]
fn requests_of_the_v3_api_are_counted_and_those_of_35_about_members_are_applied() {
    let mut log = Log::new();
    log.put("/1/a", "x");
    log.entry(0, &message(&[(1, Field::Number(9)), (4, Field::Bytes(b"\x0a\x01k"))]));
    let version = message(&[(1, Field::Bytes(b"3.5.0"))]);
    log.entry(0, &message(&[(1, Field::Number(9)), (1300, Field::Bytes(&version))]));
    let attributes = message(&[(1, Field::Bytes(b"one")), (2, Field::Bytes(b"http://a:2379"))]);
    let set = message(&[(1, Field::Number(1)), (2, Field::Bytes(&attributes))]);
    log.entry(0, &message(&[(1301, Field::Bytes(&set))]));
    // A request within a request of the v3 API.
    let inner =
        message(&[(2, Field::Bytes(b"PUT")), (3, Field::Bytes(b"/1/b")), (4, Field::Bytes(b"y"))]);
    log.entry(0, &message(&[(1, Field::Number(9)), (2, Field::Bytes(&inner))]));
    let imported = log.read().unwrap();
    assert_eq!((paths(&imported), imported.index), (vec!["/a", "/b"], 5));
    assert_eq!(imported.source.members, ["one"]);
    assert_eq!(imported.source.cluster_version.as_deref(), Some("3.5.0"));
    let counted = |skip: &legacy::Skipped| (skip.reason, skip.count) == (SkipReason::V3Request, 1);
    assert!(imported.skipped.iter().any(counted), "{:?}", imported.skipped);
}

#[test]
fn a_ttl_of_a_directory_changed_before_an_upgrade_to_35_is_told() {
    let mut log = Log::new();
    log.put("/0/version", "3.4.0");
    log.request("PUT", b"/1/d", b"", &[(5, Field::Number(1))]);
    let ttl = [(8, Field::Number(1)), (9, Field::Number(LATER.cast_unsigned()))];
    log.request("PUT", b"/1/d", b"", &ttl);
    log.put("/0/version", "3.5.0");
    log.request("PUT", b"/1/d", b"", &[(8, Field::Number(1))]);
    let imported = log.read().unwrap();
    // 3.5 refuses to take the TTL away.
    assert_eq!(imported.nodes[0].state.expiration.unwrap().0, LATER.cast_unsigned());
    assert_eq!((imported.index, imported.nodes[0].state.modified), (5, 3));
    assert_eq!(imported.warnings, [Warning::DirUpdateAndUpgrade { index: 4 }]);
}

#[test]
fn what_20_converted_from_04_comes_without_its_registry() {
    let mut log = Log::new();
    log.entry_at(0, 0, b"");
    log.put("/1/_etcd/machines/m1", "etcd=x&raft=y");
    log.put("/1/a", "x");
    let imported = log.read().unwrap();
    assert_eq!(paths(&imported), ["/a"]);
    log.put("/1/_etcd/registry/token/x", "y");
    let imported = log.read().unwrap();
    let want = ["/_etcd", "/_etcd/registry", "/_etcd/registry/token", "/_etcd/registry/token/x"];
    assert_eq!(paths(&imported), [&want[..], &["/a"]].concat());
}

#[test]
fn unknown_records_are_counted() {
    let mut log = Log::new();
    log.put("/1/a", "x");
    log.record(6, b"what is this");
    log.put("/1/b", "y");
    let imported = log.read().unwrap();
    assert_eq!(
        (paths(&imported), imported.warnings.clone()),
        (vec!["/a", "/b"], vec![Warning::UnknownRecords(1)])
    );
}

#[test]
fn missing_entries_and_unknown_ones_are_refused() {
    let mut log = Log::new();
    log.put("/1/a", "x");
    log.entry_at(5, 0, b"");
    let error = log.read().unwrap_err().to_string();
    assert!(error.contains("from raft index 3 to 4 are missing"), "{error}");
    let mut log = Log::new();
    log.put("/1/a", "x");
    log.state(7);
    let error = log.read().unwrap_err().to_string();
    assert!(error.contains("commit index is 7, but the log ends with raft index 2"), "{error}");
    let mut log = Log::new();
    log.entry(2, b"joint");
    let error = log.read().unwrap_err();
    assert!(matches!(error, Error::Unsupported { index: 2, .. }), "{error}");
    let mut log = Log::new();
    log.put(&format!("/1{}", "/d".repeat(1001)), "deep");
    let error = log.read().unwrap_err();
    assert!(matches!(error, Error::Unsupported { index: 2, .. }), "{error}");
}

/// 3.6 leaves the snapshots of its predecessors beside its own, which hold members only.
#[test]
fn an_older_snapshot_with_keys_is_offered_if_the_newest_has_none() {
    let mut log = Log::new();
    log.state(1);
    let archive = Archive::unpack("etcd-2.3.8-snap");
    let snapshots = archive.all("member/snap", "snap");
    for index in [204, 255] {
        log.state(index);
        log.record(5, &message(&[(1, Field::Number(index)), (2, Field::Number(2))]));
    }
    let dir = log.write();
    let place = |from: usize| {
        let name = snapshots[from].file_name().unwrap();
        (fs::read(&snapshots[from]).unwrap(), dir.path().join("member/snap").join(name))
    };
    let ((older, older_path), (newest, newest_path)) = (place(3), place(4));
    fs::write(&older_path, older).unwrap();
    fs::write(&newest_path, without_keys(&newest)).unwrap();
    match legacy::read(&[dir.path().to_owned()], &Options::default()) {
        Err(Error::NoData { why: NoData::NoKeys { older }, .. }) => {
            assert_eq!(older, Some(older_path));
        }
        other => panic!("{other:?}"),
    }
}

/// A `.snap` file whose `/1` was emptied.
fn without_keys(file: &[u8]) -> Vec<u8> {
    // The data is field 2, behind a checksum of at most six bytes.
    let json_at = file.windows(8).position(|bytes| bytes == b"{\"Root\":").unwrap();
    let metadata_len = 20;
    let (json, metadata) = file[json_at..].split_at(file.len() - json_at - metadata_len);
    let mut store: serde_json::Value = serde_json::from_slice(json).unwrap();
    store["Root"]["Children"]["1"]["Children"] = serde_json::json!({});
    let json = serde_json::to_vec(&store).unwrap();
    let mut data = vec![0x0a];
    put_varint(&mut data, json.len() as u64);
    data.extend_from_slice(&json);
    data.extend_from_slice(metadata);
    let mut file = vec![0x08];
    put_varint(&mut file, u64::from(crc32c::crc32c(&data)));
    file.push(0x12);
    put_varint(&mut file, data.len() as u64);
    file.extend_from_slice(&data);
    file
}

#[test]
fn users_that_are_not_as_a_server_writes_them_are_all_unusable() {
    let good = r#"{"user":"ann","password":"$2a$10$x","roles":null}"#;
    let read = |entries: &[(&str, &str)]| {
        let mut log = Log::new();
        log.put("/1/a", "1");
        log.put("/2/users/ann", good);
        entries.iter().for_each(|(path, value)| log.put(path, value));
        let options = Options { with_auth: true, ..Options::default() };
        legacy::read(&[log.write().path().to_owned()], &options).unwrap()
    };
    let found = read(&[("/2/enabled", "true"), ("/2/roles/r", r#"{"role":"r"}"#)]);
    let auth = found.auth.expect("there are some");
    assert!(auth.is_enabled && auth.roles[0].read.is_empty());
    assert_eq!(auth.users[0].password_hash, "$2a$10$x");
    for (path, value, why) in [
        ("/2/enabled", "yes", "neither true nor false: yes"),
        ("/2/users/bob", "{", "/2/users/bob is invalid"),
        ("/2/users/bob", r#"{"user":"root"}"#, "/2/users/bob is about another name: root"),
        ("/2/users/bob", r#"{"user":"bob","roles":"r"}"#, "/2/users/bob is invalid"),
        ("/2/roles/r", r#"{"role":"s"}"#, "/2/roles/r is about another name: s"),
        ("/2/roles/r", r#"{"role":"r","permissions":{"kv":[]}}"#, "/2/roles/r is invalid"),
    ] {
        let found = read(&[(path, value)]);
        assert_eq!(found.auth, None, "{path}");
        let told: Vec<String> = found.warnings.iter().map(Warning::to_string).collect();
        assert!(told.iter().any(|warning| warning.contains(why)), "{path}: {told:?}");
        assert!(found.skipped.iter().any(|skipped| skipped.reason == SkipReason::Auth), "{path}");
    }
}
