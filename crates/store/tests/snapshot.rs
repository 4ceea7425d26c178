//! The bytes of snapshots: that those of every version can be read, what they take up, and that
//! others do no harm.

mod testkit;

use proptest::prelude::*;
use std::io::{self, Read};
use std::path::PathBuf;
use store::{
    Command, InOrder, InternalWrite, Lease, Limits, Node, Stamp, Store, StoreIndex, Timestamp,
    WallOffset, WatchFilter,
};
use testkit::{
    SECOND, START, cases, event_text, hex, path, snapshot_bytes, stats_text, store_lines,
};

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

/// `UPDATE_DATA=1` writes the newest file again, which is right only when the format gets a new
/// version; the files of older versions stay.
#[test]
fn snapshots_of_all_versions_stay_readable() {
    let store = sample();
    if std::env::var_os("UPDATE_DATA").is_some() {
        std::fs::write(data_file("snapshot-v3.bin"), snapshot_bytes(&store.snapshot()))
            .expect("the source can be written");
    }
    assert_eq!(
        stats_text(&store),
        "sets=6/0 creates=2/2 updates=3/2 cas=1/1 deletes=1/2 cad=1/1 expired=1 watchers=0",
        "the sample has something of everything"
    );
    let read = |name| std::fs::read(data_file(name)).expect("the file is part of the source");
    let newest = read("snapshot-v3.bin");
    for name in ["snapshot-v1.bin", "snapshot-v2.bin", "snapshot-v3.bin"] {
        let loaded = load(&read(name)).expect("it is a snapshot");
        assert_eq!(store_lines(&loaded), store_lines(&store), "{name}");
        assert_eq!(event_lines(&loaded), event_lines(&store), "{name}");
        assert_eq!(stats_text(&loaded), stats_text(&store), "{name}");
        assert_eq!((loaded.index(), loaded.stamp()), (store.index(), store.stamp()));
        assert_eq!(loaded.next_deadline(), store.next_deadline());
        assert_eq!(hex(&snapshot_bytes(&loaded.snapshot())), hex(&newest), "{name} written again");
    }
    assert_eq!(hex(&snapshot_bytes(&store.snapshot())), hex(&newest), "written now");
}

/// All events that are kept.
fn event_lines(store: &Store) -> Vec<String> {
    let all = WatchFilter { path: "/".into(), recursive: true, hidden: false };
    let mut lines = Vec::new();
    let from = store.oldest_event().unwrap_or(StoreIndex(1));
    let mut next = store.next_event(&all, from).expect("all are kept");
    while let Some(event) = next {
        lines.push(event_text(&event));
        next = store.next_event_after(&all, &event).expect("all are kept");
    }
    lines
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

/// Up to version 2 a deadline was shown with the offset of the stream, or of its event. What is
/// read from there stays so.
#[test]
fn deadlines_of_older_versions_are_shown_as_they_were() {
    // The last byte of the head's stamp, and of the event's, is the offset: 3 and -2, zigzag.
    let mut head = head_of(2);
    head[3] = 6;
    let file = [1, 1, b'a', 4, 4, 101, 1, b'v', 0];
    let event = [0, 1, 0, 1, 2, b'/', b'b', 4, 4, 50, 3, 1, 4, 4, 101, 1, b'w'];
    let store = load(&[&*head, &file, &event].concat()).expect("it is a snapshot");
    let again = load(&snapshot_bytes(&store.snapshot())).expect("it is one of today");
    for store in [store, again] {
        let shown = store.peek(path("/a")).and_then(|node| node.lease()).map(Lease::shown);
        assert_eq!(shown, Some(103));
        let event = store.event(StoreIndex(4)).expect("it is kept");
        let lease = event.node.as_ref().and_then(Node::lease);
        assert_eq!(lease.map(Lease::shown), Some(98));
    }
}

/// The moment that is shown is fixed when the lease is made: in the tree, in every event, over
/// restarts. A new lease has one of its own.
#[test]
fn one_lease_is_one_moment_however_the_wall_clock_goes_on() {
    let mut store = Store::new(limits());
    let mut apply = |at: u64, offset: i64, command: Command<'_>| {
        let stamp = Stamp { time: Timestamp(at * SECOND), wall_offset: WallOffset(offset) };
        store.apply(&command, stamp, &mut Vec::new()).expect("nothing is in the way");
    };
    let set =
        |key, ttl| Command::Set { path: path(key), value: "", dir: false, ttl, refresh: false };
    apply(1, 700, set("/k", Some(100)));
    apply(1, 700, Command::Update { path: path("/k"), value: "2", ttl: Some(50), refresh: true });
    apply(
        2,
        -9,
        Command::Set { path: path("/d"), value: "", dir: true, ttl: Some(9), refresh: false },
    );
    apply(3, 5, set("/other", None));
    apply(4, 6, Command::Update { path: path("/d"), value: "", ttl: Some(20), refresh: false });
    apply(60, 80, Command::Expire { limit: 9 });
    let shown = |node: &Option<Node>| node.as_ref().and_then(Node::lease).map(Lease::shown);
    let again = load(&snapshot_bytes(&store.snapshot())).expect("it is a snapshot");
    for store in [store, again] {
        let moments = |index| {
            let event = store.event(StoreIndex(index)).expect("it is kept");
            (shown(&event.node), shown(&event.prev))
        };
        let (first, second) = (Some(101 * SECOND + 700), Some(51 * SECOND + 700));
        let (third, fourth) = (Some(11 * SECOND - 9), Some(24 * SECOND + 6));
        assert_eq!(moments(1), (first, None));
        assert_eq!(moments(2), (second, first));
        assert_eq!(moments(3), (third, None));
        assert_eq!(moments(5), (fourth, third));
        assert_eq!((moments(6), moments(7)), ((None, fourth), (None, second)));
    }
}

/// Where a cluster is made anew with a clock that was set, all is shown by that one.
#[test]
fn deadlines_can_be_shown_anew() {
    let mut store = sample();
    let keys = ["/a/b", "/a/b/c"];
    let lease = |store: &Store, key| store.peek(path(key)).and_then(|node| node.lease());
    let before = keys.map(|key| lease(&store, key).expect("it has one"));
    let totals = store.totals();
    store.show_leases_with(WallOffset(1000));
    for (key, before) in keys.iter().zip(before) {
        let wanted = Lease { wall_offset: WallOffset(1000), ..before };
        assert_eq!(lease(&store, key), Some(wanted));
    }
    assert_eq!((store.totals(), store.next_deadline()), (totals, sample().next_deadline()));
    assert!(store.peek(path("/a/b/c")).is_some(), "what is below stays");
}

/// A snapshot of nothing, up to the tree: version, index 9, no time, no counts.
fn head() -> Vec<u8> {
    head_of(2)
}

fn head_of(version: u8) -> Vec<u8> {
    let mut bytes = vec![version, 9, 0, 0];
    bytes.extend([0; 13]);
    bytes
}

/// What is wrong with a snapshot that ends like this.
fn wrong(tail: &[u8]) -> String {
    load_error(&[&head(), tail].concat())
}

#[test]
fn an_error_says_what_is_wrong() {
    assert!(load(&[head(), vec![0, 0, 0]].concat()).is_ok(), "an empty store is one");
    let file = |name: &[u8]| [&[1, name.len() as u8], name, &[1, 2, 0, 0]].concat();
    let files = |names: [&[u8]; 2]| [file(names[0]), file(names[1]), vec![0, 0, 0]].concat();
    assert!(load(&[head(), files([b"a", b"b"])].concat()).is_ok());
    for (tail, wanted) in [
        (vec![7], "a node is of an unknown kind"),
        (files([b"b", b"a"]), "names are not in order"),
        (files([b"a", b"a"]), "names are not in order"),
        (file(b""), "a name is malformed"),
        (file(b".."), "a name is malformed"),
        (file(b"a/b"), "a name is malformed"),
        (file(b"\xff"), "a string is not UTF-8"),
        (vec![1, 1, b'a', 10, 10, 0, 0], "an index is larger than the store's"),
        (vec![1, 1, b'a', 3, 2, 0, 0], "a node was changed before it was made"),
        (vec![1, 0xff, 0xff, 0xff, 0xff, 0x7f], "a string is too long"),
        (vec![1, 0x80, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "a number is malformed"),
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
        (
            vec![0, 0, 1, 0, 1, 2, b'/', b'a', 4, 4, 0, 0, 4, 1],
            "an event names a file that was not before it",
        ),
        (
            vec![0, 0, 1, 0, 1, 2, b'/', b'a', 4, 4, 0, 0, 5, 4, 4, 0, 1],
            "an event names a file that was not before it",
        ),
        (
            vec![0, 0, 1, 0, 1, 2, b'/', b'a', 4, 4, 0, 0, 5, 4, 4, 0, 0],
            "an event names a file that is not there",
        ),
        (vec![0, 0, 0, 0], "it goes on where it should end"),
    ] {
        let error = wrong(&tail);
        assert!(error.contains(wanted), "{tail:?}: {error}");
    }
}

#[test]
fn events_are_in_order_and_of_their_version() {
    let event = |index| vec![0, 1, 2, b'/', b'a', index, index, 0, 0, 2, 1, 1, 0];
    let events = |one, other| [vec![0, 0, 2], event(one), event(other)].concat();
    assert!(load(&[head(), events(4, 4)].concat()).is_ok());
    let after_gap = |cleared| [vec![0, cleared, 1], event(4)].concat();
    assert!(load(&[head(), after_gap(4)].concat()).is_ok());
    assert!(wrong(&after_gap(5)).contains("events are not in order"));
    assert!(wrong(&after_gap(10)).contains("an index is larger than the store's"));
    assert!(wrong(&events(4, 3)).contains("events are not in order"));
    assert!(wrong(&events(0, 1)).contains("events are not in order"));
    assert!(load_error(&[4]).contains("its version 4 is unknown"));
    let three = [head_of(3), vec![0, 0, 0]].concat();
    assert!(load_error(&three).contains("it ends too early"));
    assert!(load(&[&*three, &[0]].concat()).is_ok());
    assert!(load_error(&[&*three, &[2, 0]].concat()).contains("its section 2 is unknown"));
    for kind in [4, 5, 9] {
        let one = [head_of(1), vec![0, 0, 1, 0, 1, 2, b'/', b'a', 4, 4, 0, 0, kind]].concat();
        let error = load_error(&one);
        assert!(error.contains("an event's node is of an unknown kind"), "{kind}: {error}");
    }
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

/// Five keys of 200 kB, written 480 times, and what a snapshot of them takes up.
fn large_values(value: impl Fn(usize) -> String) -> (Store, Vec<u8>) {
    let mut store = Store::new(limits());
    for number in 0..480 {
        let (key, value) = (format!("/large/{}", number % 5), value(number));
        let command =
            Command::Set { path: path(&key), value: &value, dir: false, ttl: None, refresh: false };
        store.apply(&command, Stamp::default(), &mut Vec::new()).expect("nothing is in the way");
    }
    let bytes = snapshot_bytes(&store.snapshot());
    (store, bytes)
}

#[test]
fn a_snapshot_holds_each_value_of_the_history_once() {
    const LEN: usize = 200_000;
    // Each key is written with what it has, as by somebody who reports that all is well.
    let (store, bytes) = large_values(|number| format!("{}", number % 5).repeat(LEN));
    println!("equal values: {} bytes", bytes.len());
    assert!(bytes.len() < 5 * LEN + 100_000, "{} bytes for five values", bytes.len());
    let loaded = load(&bytes).expect("it is a snapshot");
    assert_eq!(event_lines(&loaded), event_lines(&store));
    assert!(bytes == snapshot_bytes(&loaded.snapshot()));

    // Each write has a value of its own: as many as the ceiling of the history lets stay.
    let (store, bytes) = large_values(|number| format!("{number:03}").repeat(LEN / 3));
    let kept = store.index().0 + 1 - store.oldest_event().expect("some are kept").0;
    println!("{kept} values: {} bytes", bytes.len());
    assert!(kept > 280, "{kept} events of 200 kB are less than seven eighths of 64 MiB");
    let values = usize::try_from(kept + 5).expect("it is small");
    assert!(bytes.len() < values * LEN + 100_000, "{} bytes for {values} values", bytes.len());
    let loaded = load(&bytes).expect("it is a snapshot");
    assert_eq!(loaded.oldest_event(), store.oldest_event(), "both count a shared value once");
    assert!(bytes == snapshot_bytes(&loaded.snapshot()));
}

#[test]
fn a_value_in_a_snapshot_is_found_wherever_it_is_again() {
    let long = "a value that is worth a reference".repeat(2);
    let mut store = Store::new(limits());
    let mut apply = |command: Command<'_>| {
        let _ = store.apply(&command, Stamp::default(), &mut Vec::new());
    };
    let set = |key, value, ttl, refresh| Command::Set {
        path: path(key),
        value,
        dir: false,
        ttl,
        refresh,
    };
    let delete = |key| Command::Delete { path: path(key), dir: false, recursive: true };
    apply(set("/a", &long, Some(9), false));
    apply(set("/a", "", Some(20), true));
    apply(set("/d/b", &long, None, false));
    apply(set("/d/b", &long, None, false));
    apply(delete("/d"));
    apply(set("/d", "a file now", None, false));
    apply(set("/c", &long, None, false));
    apply(delete("/c"));
    apply(set("/c", "short", None, false));
    let bytes = snapshot_bytes(&store.snapshot());
    let text = String::from_utf8_lossy(&bytes);
    assert_eq!(text.matches(&long).count(), 2, "in the tree, and for the keys that are gone");
    let loaded = load(&bytes).expect("it is a snapshot");
    assert_eq!(event_lines(&loaded), event_lines(&store));
    assert_eq!(store_lines(&loaded), store_lines(&store));
    assert!(bytes == snapshot_bytes(&loaded.snapshot()));
}

/// A stream of some kilobytes that names one value of a megabyte ten thousand times.
#[test]
fn a_short_stream_cannot_fill_the_memory() {
    let mut bytes = head();
    // The end of the tree, nothing cleared, 10,000 events.
    bytes.extend([0, 0, 0x90, 0x4e]);
    let event = |rest: &[u8]| [&[0, 1, 2, b'/', b'a', 4, 4, 0, 0][..], rest].concat();
    let mut first = event(&[1, 4, 4, 0]);
    first.extend([0x80, 0x80, 0x40]);
    first.extend(vec![b'v'; 1 << 20]);
    bytes.extend(first);
    for _ in 1..10_000 {
        bytes.extend(event(&[5, 4, 4, 0, 1]));
    }
    let store = load(&bytes).expect("it is a snapshot");
    let again = snapshot_bytes(&store.snapshot());
    assert!(again.len() < 2 << 20, "{} bytes", again.len());
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
