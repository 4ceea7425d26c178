//! The bytes of commands and snapshots: that they stay as they are, and that others do no harm.

mod testkit;

use proptest::prelude::*;
use std::io::{self, Read};
use std::path::PathBuf;
use store::{
    Command, DecodeError, ErrorCode, InOrder, InternalWrite, KeyPath, Limits, LockAction,
    LockEntry, Stamp, Store, Timestamp, WallOffset,
};
use testkit::{SECOND, START, path, snapshot_bytes, stats_text, store_lines};

/// One of each kind, with every field at its place.
fn commands() -> Vec<(Command<'static>, &'static str)> {
    let (key, value) = (KeyPath::parse("/a/b").expect("it is clean"), "v");
    let root = KeyPath::ROOT;
    let writes = vec![
        InternalWrite { path: key, value: Some("v") },
        InternalWrite { path: root, value: None },
    ];
    vec![
        (
            Command::Set { path: key, value, dir: false, ttl: None, refresh: false },
            "0100042f612f620176",
        ),
        (
            Command::Set { path: root, value: "", dir: true, ttl: Some(-1), refresh: true },
            "0107012f0001",
        ),
        (
            Command::Create { path: key, value, dir: true, ttl: Some(100), in_order: None },
            "0203042f612f620176c801",
        ),
        (
            Command::Create {
                path: key,
                value,
                dir: false,
                ttl: None,
                in_order: Some(InOrder::Plain),
            },
            "0240042f612f620176",
        ),
        (
            Command::Create {
                path: key,
                value,
                dir: false,
                ttl: None,
                in_order: Some(InOrder::Padded),
            },
            "02c0042f612f620176",
        ),
        (
            Command::Update { path: key, value, ttl: Some(i64::MAX), refresh: true },
            "0306042f612f620176feffffffffffffffff01",
        ),
        (
            Command::CompareAndSwap {
                path: key,
                value,
                ttl: Some(5),
                refresh: true,
                prev_value: Some("p"),
                prev_index: Some(300),
                or_create: true,
            },
            "0476042f612f6201760a0170ac02",
        ),
        (Command::Delete { path: key, dir: true, recursive: false }, "0501042f612f62"),
        (Command::Delete { path: key, dir: false, recursive: true }, "0508042f612f62"),
        (
            Command::CompareAndDelete { path: key, prev_value: None, prev_index: Some(u64::MAX) },
            "0620042f612f62ffffffffffffffffff01",
        ),
        (
            Command::CompareAndDelete { path: key, prev_value: Some(""), prev_index: None },
            "0610042f612f6200",
        ),
        (Command::Expire { limit: u32::MAX }, "0700ffffffff0f"),
        (Command::Internal { writes }, "08000201042f612f62017600012f"),
        (Command::Internal { writes: Vec::new() }, "080000"),
    ]
    .into_iter()
    .chain(lock_commands())
    .collect()
}

fn lock_commands() -> impl Iterator<Item = (Command<'static>, &'static str)> {
    let dir = KeyPath::parse("/_etcd/mod/lock/a").expect("it is clean");
    // The path as text, with its length in front, stands behind the first two bytes.
    let actions = [
        (LockAction::Acquire { value: "v", ttl: 5, waits: true }, "0909P01760a"),
        (LockAction::Acquire { value: "", ttl: -1, waits: false }, "0901P0001"),
        (LockAction::Refresh { index: 300, ttl: 5 }, "0902Pac020a"),
        (
            LockAction::Renew { entry: LockEntry::Index(7), value: Some("w"), ttl: 5 },
            "0933P0701770a",
        ),
        (LockAction::Renew { entry: LockEntry::Value("v"), value: None, ttl: 5 }, "0903P01760a"),
        (LockAction::Release { entry: LockEntry::Index(7) }, "0914P07"),
        (LockAction::Release { entry: LockEntry::Value("") }, "0904P00"),
        (LockAction::Leave { index: 7, touched: Some(9), keep: Some(5) }, "09c5P07090a"),
        (LockAction::Leave { index: 7, touched: None, keep: None }, "0905P07"),
    ];
    let path = format!("{:02x}{}", dir.as_str().len(), hex(dir.as_str().as_bytes()));
    actions.into_iter().map(move |(action, bytes)| {
        let bytes: &str = bytes.replace('P', &path).leak();
        (Command::Lock { dir, action }, bytes)
    })
}

fn encoded(command: &Command<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    command.encode(&mut bytes);
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Decodes what may be anything; what is a command has to be the one way to write it.
fn check_decode(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    let Ok(command) = Command::decode(&mut rest) else { return false };
    let taken = &bytes[..bytes.len() - rest.len()];
    assert_eq!(hex(&encoded(&command)), hex(taken), "{command:?}");
    true
}

#[test]
fn commands_are_written_as_they_always_were() {
    for (command, wanted) in commands() {
        let bytes = encoded(&command);
        assert_eq!(hex(&bytes), wanted, "{command:?}");
        assert_eq!(Command::decode(&mut bytes.as_slice()), Ok(command));
    }
}

#[test]
fn a_part_of_a_command_is_no_command() {
    for (command, _) in commands() {
        let bytes = encoded(&command);
        for len in 0..bytes.len() {
            let result = Command::decode(&mut &bytes[..len]);
            assert_eq!(result, Err(DecodeError), "{len} bytes of {command:?}");
        }
    }
}

#[test]
fn every_changed_byte_is_refused_or_another_command() {
    let mut accepted = 0;
    for (command, _) in commands() {
        let bytes = encoded(&command);
        for at in 0..bytes.len() {
            for byte in 0..=255 {
                let mut changed = bytes.clone();
                changed[at] = byte;
                accepted += u32::from(check_decode(&changed));
            }
        }
    }
    assert!(accepted > 1000);
}

#[test]
fn commands_with_wrong_fields_are_refused() {
    for (text, why) in [
        ("", "nothing at all"),
        ("00", "an unknown tag"),
        ("0a00012f", "an unknown tag with a path"),
        ("0902012f010a", "a lock that is no lock's directory"),
        ("09020f2f5f657463642f6d6f642f6c6f636b010a", "the directory of all locks"),
        ("0900112f5f657463642f6d6f642f6c6f636b2f61", "no action"),
        ("0906112f5f657463642f6d6f642f6c6f636b2f61010a", "an unknown action"),
        ("090a112f5f657463642f6d6f642f6c6f636b2f61010a", "a flag of another action"),
        ("0180012f00", "an unknown flag"),
        ("0280012f00", "the naming of a key that is not in order"),
        ("07010a", "a flag where there is none"),
        ("0500022f2f", "an empty component"),
        ("0500032f612f", "a slash at the end"),
        ("05000161", "no slash in front"),
        ("0500032f2e2e", "two dots"),
        ("050000", "no path"),
        ("0500022fff", "no UTF-8"),
        ("0500818080808080808080807f", "a length beyond 64 bits"),
        ("050081002f", "a number longer than it has to be"),
        ("0700ffffffff1f", "a limit beyond 32 bits"),
        ("08000102012f", "neither write nor delete"),
        ("0800ffffffff7f", "more writes than bytes"),
        ("0100042f612f62ffffffffff7f76", "a value longer than the input"),
    ] {
        let bytes: Vec<u8> = (0..text.len() / 2)
            .map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).expect("it is hex"))
            .collect();
        assert_eq!(Command::decode(&mut bytes.as_slice()), Err(DecodeError), "{why}");
    }
    // One component too many.
    let deep = "/a".repeat(store::DEPTH_MAX + 1);
    let mut bytes = vec![5, 0, 0xd2, 0x0f];
    bytes.extend_from_slice(deep.as_bytes());
    assert_eq!(deep.len(), 0x52 + (0x0f << 7));
    assert_eq!(Command::decode(&mut bytes.as_slice()), Err(DecodeError));
}

/// So many cases, and no file for those that failed: a script or a test is made of them.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(20_000))]

    #[test]
    fn garbage_is_no_command_or_a_proper_one(
        tag in 0..11_u8,
        flags in any::<u8>(),
        rest in prop::collection::vec(prop_oneof![0..6_u8, any::<u8>(), Just(b'/')], 0..40),
    ) {
        let mut bytes = vec![tag, flags];
        bytes.extend(rest);
        check_decode(&bytes);
    }
}

fn limits() -> Limits {
    Limits::default()
}

/// A store with something of everything that a snapshot can hold. The file in `tests/data` was
/// written from exactly these commands.
fn sample() -> Store {
    let mut store = Store::new(limits());
    let mut now = START;
    let mut apply = |seconds: u64, command: Command<'_>| {
        now += seconds * SECOND;
        let stamp = Stamp { time: Timestamp(now), wall_offset: WallOffset(-5) };
        let _ = store.apply(&command, stamp, &mut Vec::new());
    };
    let set =
        |key, value, ttl| Command::Set { path: path(key), value, dir: false, ttl, refresh: false };
    let config = InternalWrite { path: path("/_etcd/config"), value: Some("{}") };
    let machine = InternalWrite { path: path("/_etcd/machines/m0"), value: Some("etcd=1") };
    apply(0, Command::Internal { writes: vec![machine, config] });
    apply(1, set("/a/b/c", "one", None));
    apply(1, set("/a/b/c", "two", Some(1000)));
    apply(
        0,
        Command::Update { path: path("/a/b/c"), value: "three", ttl: Some(900), refresh: false },
    );
    apply(0, Command::Update { path: path("/a/b"), value: "", ttl: Some(5000), refresh: false });
    let (dir, queue) = (path("/dir"), path("/queue"));
    apply(1, Command::Set { path: dir, value: "", dir: true, ttl: None, refresh: false });
    for naming in [InOrder::Plain, InOrder::Padded] {
        let in_order = Some(naming);
        apply(0, Command::Create { path: queue, value: "q", dir: false, ttl: None, in_order });
    }
    apply(0, set("/gone", "", Some(2)));
    apply(0, set("/deleted/x", "1", None));
    apply(0, Command::Delete { path: path("/deleted"), dir: false, recursive: true });
    apply(2, Command::Expire { limit: 10 });
    apply(1, Command::Update { path: path("/a/b/c"), value: "", ttl: Some(800), refresh: true });
    let swap = |value, prev_value, prev_index| Command::CompareAndSwap {
        path: path("/queue/7"),
        value,
        ttl: None,
        refresh: false,
        prev_value,
        prev_index,
        or_create: false,
    };
    apply(0, swap("q2", Some("q"), Some(7)));
    apply(0, swap("q3", Some("q"), None));
    let unconditional =
        |key| Command::CompareAndDelete { path: path(key), prev_value: None, prev_index: None };
    apply(0, unconditional("/queue/00000000000000000008"));
    apply(0, unconditional("/dir"));
    apply(0, set("/_hidden/\u{4f60}", "\u{597d}\n\0", None));
    for key in ["/nope", "/a/b/c/d"] {
        apply(0, Command::Update { path: path(key), value: "x", ttl: None, refresh: false });
        apply(0, Command::Delete { path: path(key), dir: false, recursive: false });
        apply(
            0,
            Command::Create { path: path("/dir"), value: "", dir: true, ttl: None, in_order: None },
        );
    }
    store
}

fn data_file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn load(bytes: &[u8]) -> io::Result<Store> {
    let mut rest = bytes;
    Store::load(&mut rest, limits())
}

/// Why bytes are no snapshot.
fn load_error(bytes: &[u8]) -> String {
    let error = load(bytes).expect_err("it is not a snapshot");
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    error.to_string()
}

/// `UPDATE_DATA=1` writes the file anew, which is right only when the format gets a new version;
/// the files of older versions stay.
#[test]
fn a_snapshot_of_version_1_stays_readable() {
    let store = sample();
    let file = data_file("snapshot-v1.bin");
    if std::env::var_os("UPDATE_DATA").is_some() {
        std::fs::write(&file, snapshot_bytes(&store.snapshot()))
            .expect("the source can be written");
    }
    assert_eq!(
        stats_text(&store),
        "sets=6/0 creates=2/2 updates=3/2 cas=1/1 deletes=1/2 cad=1/1 expired=1 watchers=0",
        "the sample has something of everything"
    );
    let bytes = std::fs::read(&file).expect("the file is part of the source");
    let loaded = load(&bytes).expect("it is a snapshot");
    assert_eq!(store_lines(&loaded), store_lines(&store));
    assert_eq!(stats_text(&loaded), stats_text(&store));
    assert_eq!((loaded.index(), loaded.stamp()), (store.index(), store.stamp()));
    assert_eq!(loaded.next_deadline(), store.next_deadline());
    assert_eq!(hex(&snapshot_bytes(&loaded.snapshot())), hex(&bytes), "loaded and written again");
    assert_eq!(hex(&snapshot_bytes(&store.snapshot())), hex(&bytes), "written now");
}

#[test]
fn a_part_of_a_snapshot_is_no_snapshot() {
    let bytes = snapshot_bytes(&sample().snapshot());
    for len in 0..bytes.len() {
        let error = load_error(&bytes[..len]);
        assert_eq!(
            error,
            format!("the store's snapshot is wrong at byte {len}: it ends too early")
        );
    }
    let mut longer = bytes.clone();
    longer.push(0);
    let end = bytes.len();
    let wanted =
        format!("the store's snapshot is wrong at byte {end}: it goes on where it should end");
    assert_eq!(load_error(&longer), wanted);
}

#[test]
fn every_changed_byte_is_refused_or_gives_a_store_that_works() {
    let bytes = snapshot_bytes(&sample().snapshot());
    let (mut accepted, mut refused) = (0, 0);
    for at in 0..bytes.len() {
        for byte in (0..=255).step_by(3).chain([bytes[at] ^ 1, bytes[at] ^ 0x80]) {
            let mut changed = bytes.clone();
            changed[at] = byte;
            let Ok(mut store) = load(&changed) else {
                refused += 1;
                continue;
            };
            accepted += 1;
            let all = Command::Expire { limit: u32::MAX };
            let stamp = Stamp { time: Timestamp(u64::MAX), wall_offset: WallOffset(0) };
            store.apply(&all, stamp, &mut Vec::new()).expect("an expiry cannot fail");
            assert!(load(&snapshot_bytes(&store.snapshot())).is_ok(), "byte {at} as {byte}");
        }
    }
    assert!(accepted > 1000 && refused > 10_000, "{accepted} accepted, {refused} refused");
}

/// A snapshot of nothing, up to the tree: version, index 9, no time, no counts.
fn head() -> Vec<u8> {
    let mut bytes = vec![1, 9, 0, 0];
    bytes.extend([0; 13]);
    bytes
}

#[test]
fn an_error_says_what_is_wrong() {
    let wrong = |tail: &[u8]| {
        let mut bytes = head();
        bytes.extend_from_slice(tail);
        load_error(&bytes)
    };
    assert!(load(&[head(), vec![0, 0, 0]].concat()).is_ok(), "an empty store is one");
    let file = |name: &[u8]| [&[1, name.len() as u8], name, &[1, 2, 0, 0]].concat();
    let files = |names: [&[u8]; 2]| [file(names[0]), file(names[1]), vec![0, 0, 0]].concat();
    assert!(load(&[head(), files([b"a", b"b"])].concat()).is_ok());
    for (tail, wanted) in [
        (vec![7], "a node is of an unknown kind"),
        (files([b"b", b"a"]), "names are not in order"),
        (files([b"a", b"a"]), "names are not in order"),
        (file(b""), "a name is not one"),
        (file(b".."), "a name is not one"),
        (file(b"a/b"), "a name is not one"),
        (file(b"\xff"), "a text is not UTF-8"),
        (vec![1, 1, b'a', 10, 10, 0, 0], "an index is larger than the store's"),
        (vec![1, 1, b'a', 3, 2, 0, 0], "a node was changed before it was made"),
        (vec![1, 0xff, 0xff, 0xff, 0xff, 0x7f], "a text is too long"),
        (vec![1, 0x80, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "a number is not one"),
        (vec![1, 0xff, 0xff, 0xff, 0x7f], "it ends too early"),
        (vec![0, 0, 1, 9], "an event's action is unknown"),
        (vec![0, 0, 1, 0, 8], "an event has unknown flags"),
        (vec![0, 0, 1, 0, 0, 1, b'a'], "an event's key is not a clean path"),
        (vec![0, 0, 1, 0, 0, 1, b'/'], "an event's key is not a clean path"),
        (vec![0, 0, 1, 0, 0, 2, b'/', b'a', 4, 5], "an event changes a node before it was made"),
        (
            vec![0, 0, 1, 0, 0, 2, b'/', b'a', 4, 4, 0, 0],
            "an event's node does not go with its action",
        ),
        (vec![0, 0, 1, 4, 1, 2, b'/', b'a', 4, 4, 0, 0, 2, 1, 1, 0], "does not go with its action"),
        (
            vec![0, 0, 1, 0, 1, 2, b'/', b'a', 4, 4, 0, 0, 9],
            "an event's node is of an unknown kind",
        ),
        (
            vec![0, 0, 1, 0, 1, 2, b'/', b'a', 4, 4, 0, 0, 3],
            "an event names a file that is not there",
        ),
        (vec![0, 0, 0, 0], "it goes on where it should end"),
    ] {
        let error = wrong(&tail);
        assert!(error.contains(wanted), "{tail:?}: {error}");
    }
    let event = |index| vec![0, 1, 2, b'/', b'a', index, index, 0, 0, 2, 1, 1, 0];
    let events = |one, other| [vec![0, 0, 2], event(one), event(other)].concat();
    assert!(load(&[head(), events(4, 4)].concat()).is_ok());
    let after_gap = |cleared| [vec![0, cleared, 1], event(4)].concat();
    assert!(load(&[head(), after_gap(4)].concat()).is_ok());
    assert!(wrong(&after_gap(5)).contains("events are not in order"));
    assert!(wrong(&after_gap(10)).contains("an index is larger than the store's"));
    assert!(wrong(&events(4, 3)).contains("events are not in order"));
    assert!(wrong(&events(0, 1)).contains("events are not in order"));
    assert!(load_error(&[2]).contains("its version 2 is unknown"));
}

/// Gives one byte at a time, now and then with an interruption.
struct Drops<'a>(&'a [u8], bool);

impl Read for Drops<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let len = buf.len().min(1);
        self.0.read(&mut buf[..len])
    }
}

#[test]
fn a_snapshot_may_come_in_drops() {
    let bytes = snapshot_bytes(&sample().snapshot());
    let store = Store::load(&mut Drops(&bytes, false), limits()).expect("it is a snapshot");
    assert_eq!(store_lines(&store), store_lines(&sample()));
    for len in 0..bytes.len() {
        assert!(Store::load(&mut Drops(&bytes[..len], false), limits()).is_err());
    }
}

/// Takes or gives so many bytes, and then fails.
struct Broken<'a>(usize, &'a [u8]);

impl io::Write for Broken<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(buf.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Broken<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.0.min(buf.len());
        self.0 -= len;
        if len == 0 { Err(io::ErrorKind::TimedOut.into()) } else { self.1.read(&mut buf[..len]) }
    }
}

#[test]
fn errors_of_the_disk_come_through() {
    let bytes = snapshot_bytes(&sample().snapshot());
    let error = sample().snapshot().write(&mut Broken(10, &[])).expect_err("there is no room");
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    let mut input = Broken(bytes.len() / 2, &bytes);
    let error = Store::load(&mut input, limits()).expect_err("half of it is missing");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

#[test]
fn long_values_and_names_pass_through_pieces_of_the_stream() {
    let mut store = Store::new(limits());
    let (name, value) = (format!("/{}", "n".repeat(70_000)), "v".repeat(3_000_000));
    for key in [name.as_str(), "/a", "/z"] {
        let value = value.as_str();
        let command =
            Command::Set { path: path(key), value, dir: false, ttl: Some(9), refresh: false };
        store.apply(&command, Stamp::default(), &mut Vec::new()).expect("nothing is in the way");
    }
    let bytes = snapshot_bytes(&store.snapshot());
    let loaded = load(&bytes).expect("it is a snapshot");
    assert_eq!(store_lines(&loaded), store_lines(&store));
    assert!(bytes == snapshot_bytes(&loaded.snapshot()));
}

/// Where, how many bytes go, and what comes in their place.
fn cut() -> impl Strategy<Value = (prop::sample::Index, usize, Vec<u8>)> {
    (any::<prop::sample::Index>(), 0..30_usize, prop::collection::vec(any::<u8>(), 0..12))
}

proptest! {
    #![proptest_config(cases(5000))]

    #[test]
    fn a_mangled_snapshot_does_no_harm(
        cuts in prop::collection::vec(cut(), 1..5),
    ) {
        let mut bytes = snapshot_bytes(&sample().snapshot());
        for (at, removed, inserted) in cuts {
            let at = at.index(bytes.len());
            let end = (at + removed).min(bytes.len());
            bytes.splice(at..end, inserted);
        }
        if let Ok(store) = load(&bytes) {
            prop_assert!(load(&snapshot_bytes(&store.snapshot())).is_ok());
        }
    }
}

#[test]
fn what_release_0_1_refused_is_refused_when_its_log_is_replayed() {
    let mut store = Store::new(Limits::default());
    let path = KeyPath::parse("/_etcd/registry/t/m1").expect("it is clean");
    let create = Command::Create { path, value: "v", dir: false, ttl: None, in_order: None };
    let apply = |store: &mut Store, reserves_all| {
        store.set_reserves_all(reserves_all);
        store.apply(&create, Stamp::default(), &mut Vec::new()).map_err(|error| error.code)
    };
    assert_eq!(apply(&mut store, true).map(|_| ()), Err(ErrorCode::Reserved));
    assert_eq!(store.index().0, 0, "later commands keep their indexes");
    assert!(apply(&mut store, false).is_ok());
}
