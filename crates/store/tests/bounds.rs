//! What the largest inputs do: to the stack, to memory, and to the commands that come after them.

mod testkit;

use std::thread;
use store::{
    Applied, Command, DEPTH_MAX, InOrder, KeyPath, Limits, Node, PathError, Stamp, Store,
    StoreIndex, Timestamp, WallOffset, WatchFilter,
};
use testkit::{SECOND, START, error_text, path, reloaded, snapshot_bytes, store_lines};

fn stamp(seconds: u64) -> Stamp {
    Stamp { time: Timestamp(START + seconds * SECOND), wall_offset: WallOffset(0) }
}

fn apply(store: &mut Store, seconds: u64, command: &Command<'_>) -> Applied {
    store
        .apply(command, stamp(seconds), &mut Vec::new())
        .unwrap_or_else(|error| panic!("{command:?}: {}", error_text(&error)))
}

fn set<'a>(key: &'a str, value: &'a str, ttl: Option<i64>) -> Command<'a> {
    Command::Set { path: path(key), value, dir: false, ttl, refresh: false }
}

fn delete(key: &str) -> Command<'_> {
    Command::Delete { path: path(key), dir: true, recursive: true }
}

/// Numbers without a pattern, the same in every run.
fn numbers() -> impl Iterator<Item = u64> {
    let next = |n: &u64| {
        Some(n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
    };
    std::iter::successors(Some(1), next).map(|n| n >> 33)
}

#[test]
fn paths_are_checked_component_by_component() {
    for text in ["/", "/a", "/a/b", "/...", "/.a", "/a.", "/ ", "/a b", "/\0", "/_", "/\u{4f60}"] {
        assert_eq!(KeyPath::parse(text).map(KeyPath::as_str), Ok(text));
    }
    for text in
        ["", "a", "a/b", "//", "/a/", "/a//b", "//a", "/.", "/..", "/a/./b", "/a/..", "./a", " /a"]
    {
        assert_eq!(KeyPath::parse(text), Err(PathError::NotClean), "{text:?}");
    }
    let deepest = "/x".repeat(DEPTH_MAX);
    assert!(KeyPath::parse(&deepest).is_ok());
    assert_eq!(KeyPath::parse(&format!("{deepest}/x")), Err(PathError::TooDeep));
    assert_eq!(KeyPath::parse(&format!("{deepest}//")), Err(PathError::NotClean));
    assert!(path("/").is_root() && !path("/a").is_root());
    assert_eq!(path("/a/b").components().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(path("/").components().count(), 0);
}

/// The deepest tree that commands can make, with everything that walks over it, on a small stack.
#[test]
fn the_deepest_tree_fits_on_a_small_stack() {
    let work = || {
        let mut store = Store::new(Limits::default());
        let deepest = "/x".repeat(DEPTH_MAX);
        let dir =
            Command::Set { path: path(&deepest), value: "", dir: true, ttl: None, refresh: false };
        apply(&mut store, 0, &dir);
        // An in-order key is one deeper than a client may ask for.
        let post = Command::Create {
            path: path(&deepest),
            value: "v",
            dir: false,
            ttl: Some(10),
            in_order: Some(InOrder::Padded),
        };
        apply(&mut store, 0, &post);
        assert_eq!(store_lines(&store).len(), DEPTH_MAX + 1);

        let mut loaded = reloaded(&store, Limits::default());
        assert_eq!(store_lines(&loaded), store_lines(&store));
        assert_eq!(loaded.next_deadline(), store.next_deadline());
        // Through the tree while a snapshot holds it, so that the whole way is copied.
        let snapshot = loaded.snapshot();
        apply(&mut loaded, 0, &set(&format!("{}/y", "/x".repeat(DEPTH_MAX - 1)), "v", None));
        assert!(matches!(
            apply(&mut loaded, 11, &Command::Expire { limit: 9 }),
            Applied::Expired(1)
        ));
        drop(snapshot);
        let filter = WatchFilter { path: deepest.as_str().into(), recursive: true, hidden: false };
        store.watch(&filter, StoreIndex(0), false, 1);
        let mut wakes = Vec::new();
        store.apply(&delete("/x"), stamp(0), &mut wakes).expect("it is there");
        assert_eq!(wakes.len(), 1);
        let garbage = store.take_garbage();
        assert_eq!(garbage.len(), 1);
        drop(garbage);
        assert!(store.take_garbage().is_empty());
        drop(loaded);
    };
    let thread = thread::Builder::new().stack_size(1 << 20).spawn(work);
    thread.expect("a thread can be started").join().expect("it fits");
}

#[test]
fn a_snapshot_holds_what_was_there_when_it_was_taken() {
    let mut store = Store::new(Limits::default());
    for number in 0..3000 {
        apply(&mut store, 0, &set(&format!("/d{}/k{number}", number % 7), "old", None));
    }
    let lines = store_lines(&store);
    let snapshot = store.snapshot();
    let written = thread::spawn(move || snapshot_bytes(&snapshot));
    for number in 0..3000 {
        let key = format!("/d{}/k{number}", number % 7);
        apply(&mut store, 0, &if number % 3 == 0 { delete(&key) } else { set(&key, "new", None) });
        apply(&mut store, 0, &set(&format!("/d{}/n{number}", number % 5), "new", None));
    }
    apply(&mut store, 0, &delete("/d6"));
    let bytes = written.join().expect("writing does not panic");
    let loaded = Store::load(&mut bytes.as_slice(), Limits::default()).expect("it is a snapshot");
    assert_eq!(store_lines(&loaded), lines);
    assert_eq!(loaded.index(), StoreIndex(3000));
    let all = WatchFilter { path: "/".into(), recursive: true, hidden: false };
    assert_eq!(loaded.next_event(&all, StoreIndex(3001)).map(|event| event.is_some()), Ok(false));
}

/// How many events are kept.
fn kept(store: &Store) -> u64 {
    store.index().0 + 1 - store.oldest_event().map_or(0, |index| index.0)
}

#[test]
fn the_history_is_bounded_by_bytes_but_keeps_the_least_number_of_events() {
    let limits = Limits { history_bytes_max: 2 << 20, history_events_min: 1000, watchers_max: 1 };
    let mut store = Store::new(limits);
    let large = "v".repeat(10_000);
    for _ in 0..3000 {
        apply(&mut store, 0, &set("/k", &large, None));
        assert!(kept(&store) < 1000 + 256 + 1);
    }
    assert!(kept(&store) >= 1000);
    // Small events: as many as fit.
    for _ in 0..60_000 {
        apply(&mut store, 0, &set("/k", "v", None));
    }
    let kept = kept(&store);
    assert!((4000..9000).contains(&kept), "{kept} events of some 300 bytes are not 2 MiB");
}

/// What the history holds of values longer than a kilobyte, each allocation once.
fn history_value_bytes(store: &Store) -> usize {
    let all = WatchFilter { path: "/".into(), recursive: true, hidden: false };
    let from = store.oldest_event().expect("some are kept");
    let mut next = store.next_event(&all, from).expect("they are kept");
    let mut values = std::collections::BTreeMap::new();
    while let Some(event) = next {
        for value in [&event.node, &event.prev].into_iter().flatten().filter_map(Node::value) {
            values.insert(value.as_ptr(), value.len());
        }
        next = store.next_event_after(&all, &event).expect("they are kept");
    }
    values.values().filter(|len| **len >= 1024).sum()
}

#[test]
fn events_of_any_size_stay_below_the_ceiling_of_the_history() {
    let limits = Limits::default();
    let ceiling = limits.history_bytes_ceiling();
    assert_eq!(ceiling, 64 << 20);
    let value = "v".repeat(9 << 20);
    let mut store = Store::new(limits);
    for _ in 0..100 {
        apply(&mut store, 0, &set("/k", &value, None));
    }
    println!("100 PUTs of 9 MiB: {} bytes in {} events", history_value_bytes(&store), kept(&store));
    // One value more than there are events: that of before the oldest of them.
    assert_eq!(kept(&store), 6);
    assert_eq!(history_value_bytes(&store), 7 * value.len());
    let loaded = reloaded(&store, limits);
    assert_eq!((kept(&loaded), history_value_bytes(&loaded)), (6, 7 * value.len()));
    let behind = store.next_event(
        &WatchFilter { path: "/k".into(), recursive: false, hidden: false },
        StoreIndex(94),
    );
    assert_eq!(
        behind.map(drop).map_err(|error| error_text(&error)),
        Err("! 401 cause=the requested history has been cleared [95/94] index=100".to_owned())
    );
    // One that is larger than all that may be kept is kept as long as it is the newest.
    let huge = "v".repeat(ceiling + 1);
    apply(&mut store, 0, &set("/k", &huge, None));
    assert_eq!(kept(&store), 1);
    apply(&mut store, 0, &set("/k", "", None));
    assert_eq!(kept(&store), 1);
    // What it was is no longer there to be shown, either.
    apply(&mut store, 0, &set("/k", "", None));
    assert_eq!((kept(&store), history_value_bytes(&store)), (1, 0));
}

/// Directories that go take files along which no event names again.
#[test]
fn values_that_went_with_their_directory_count_as_long_as_they_are_kept() {
    let limits = Limits { history_bytes_max: 1 << 20, ..Limits::default() };
    let mut store = Store::new(limits);
    let mut random = numbers();
    let mut next = |below: u64| random.next().expect("they do not end") % below;
    let mut most = 0;
    for _ in 0..3000 {
        let key = format!("/d{}/k{}", next(3), next(5));
        if next(10) == 0 {
            let _ = store.apply(&delete(&key[..3]), stamp(0), &mut Vec::new());
        } else {
            let len = usize::try_from(next(60_000)).expect("it is small");
            apply(&mut store, 0, &set(&key, &"v".repeat(len), None));
        }
        store.take_garbage();
        most = most.max(history_value_bytes(&store));
    }
    let ceiling = limits.history_bytes_ceiling();
    assert!((ceiling / 2..=ceiling).contains(&most), "{most} of {ceiling} bytes");
    let reloaded = reloaded(&store, limits);
    assert_eq!(kept(&reloaded), kept(&store));
    assert_eq!(history_value_bytes(&reloaded), history_value_bytes(&store));
}

/// Whole runs of events are passed over; none of those that a watcher wants may be among them.
#[test]
fn a_watcher_finds_its_events_in_a_long_history() {
    let mut store = Store::new(Limits::default());
    let mut random = numbers();
    let mut next = |below: u64| random.next().expect("they do not end") % below;
    for number in 0..5000 {
        // Most of them far from the others, so that there are runs without any of a directory.
        let key = match next(300) {
            0 => format!("/rare/{}", next(3)),
            1 => format!("/rare/dir/{}", next(3)),
            2 => "/rare/dir".to_owned(),
            _ => format!("/often/{}/{}", number / 300, next(50)),
        };
        if key == "/rare/dir" {
            let _ = store.apply(&delete(&key), stamp(0), &mut Vec::new());
        } else {
            apply(&mut store, 0, &set(&key, "v", None));
        }
    }
    let filter =
        |path: &str, recursive| WatchFilter { path: path.into(), recursive, hidden: false };
    let collect = |filter: &WatchFilter, from: u64| {
        let mut found = Vec::new();
        let mut event = store.next_event(filter, StoreIndex(from)).expect("all are kept");
        while let Some(known) = event {
            event = store.next_event_after(filter, &known).expect("all are kept");
            assert!(found.len() < 10_000, "the past has no end");
            found.push((known.index.0, known.key.to_string(), known.action.is_removal()));
        }
        found
    };
    let all = collect(&filter("/", true), 1);
    assert_eq!(all.len() as u64, store.index().0);
    for (path, recursive) in [
        ("/rare", true),
        ("/rare", false),
        ("/rare/1", false),
        ("/rare/dir", false),
        ("/rare/dir/2", false),
        ("/rare/dir/2", true),
        ("/often/7/7", false),
        ("/often/7", true),
        ("/often", true),
        ("/never", true),
    ] {
        let below = format!("{path}/");
        let wants = |(_, key, is_removal): &&(u64, String, bool)| {
            key == path
                || recursive && key.starts_with(&below)
                || *is_removal && path.starts_with(&format!("{key}/"))
        };
        let wanted: Vec<_> = all.iter().filter(wants).cloned().collect();
        assert_eq!(wanted.is_empty(), path == "/never" || (path, recursive) == ("/rare", false));
        let filter = filter(path, recursive);
        assert_eq!(collect(&filter, 1), wanted, "{path}");
        for from in (1..5000).step_by(77) {
            let wanted = wanted.iter().find(|event| event.0 >= from).map(|event| event.0);
            let found = store.next_event(&filter, StoreIndex(from)).expect("all are kept");
            assert_eq!(found.map(|event| event.index.0), wanted, "{path} from {from}");
        }
    }
}

#[test]
fn deadlines_of_a_removed_directory_are_forgotten_in_small_steps() {
    let mut store = Store::new(Limits::default());
    for number in 0..2000 {
        apply(&mut store, 0, &set(&format!("/d/{number}"), "v", Some(100)));
    }
    apply(&mut store, 0, &delete("/d"));
    // The first of them come back, as others.
    for number in 0..10 {
        apply(&mut store, 0, &set(&format!("/d/{number}"), "v", Some(50)));
    }
    // One of the last comes back to stay.
    apply(&mut store, 0, &set("/d/999", "v", None));
    let mut same = reloaded(&store, Limits::default());
    for seconds in [49, 50, 99, 101] {
        let expire = Command::Expire { limit: 4 };
        // Whether the old deadlines are still known makes no difference to what expires.
        let (one, other) =
            (apply(&mut store, seconds, &expire), apply(&mut same, seconds, &expire));
        match (one, other) {
            (Applied::Expired(one), Applied::Expired(other)) => assert_eq!(one, other),
            other => panic!("{other:?}"),
        }
        assert_eq!(store_lines(&store), store_lines(&same));
        assert!(snapshot_bytes(&store.snapshot()) == snapshot_bytes(&same.snapshot()));
    }
    for _ in 0..40 {
        apply(&mut store, 101, &Command::Expire { limit: 4 });
    }
    assert_eq!(store.next_deadline(), None);
    assert_eq!(store_lines(&store), ["/d dir @2002", "/d/999 \"v\" @2012"]);
}

#[test]
fn ids_of_watchers_that_are_gone_do_no_harm() {
    let mut store = Store::new(Limits { watchers_max: 3, ..Limits::default() });
    let filter = |recursive| WatchFilter { path: "/k".into(), recursive, hidden: false };
    let add =
        |store: &mut Store, owner| store.watch(&filter(owner % 2 == 0), StoreIndex(0), true, owner);
    let ids: Vec<_> = (0..3).map(|owner| add(&mut store, owner).expect("there is room")).collect();
    assert_eq!(add(&mut store, 9), None);
    assert_eq!(store.unwatch_all(), [0, 1, 2]);
    let new: Vec<_> = (3..6).map(|owner| add(&mut store, owner).expect("there is room")).collect();
    ids.iter().for_each(|id| store.unwatch(*id));
    assert_eq!(store.stats().watchers, 3);
    store.unwatch(new[0]);
    store.unwatch(new[0]);
    assert_eq!(store.stats().watchers, 2);
    let mut wakes = Vec::new();
    store.apply(&set("/k", "v", None), stamp(0), &mut wakes).expect("nothing is in the way");
    let mut owners: Vec<_> = wakes.iter().map(|wake| wake.owner).collect();
    owners.sort_unstable();
    assert_eq!(owners, [4, 5]);
}

/// Takes watchers out of the middle of long lists, in an order without a pattern.
#[test]
fn many_watchers_of_one_path_come_and_go() {
    let mut store = Store::new(Limits::default());
    let filter = WatchFilter { path: "/k".into(), recursive: false, hidden: false };
    let mut known = std::collections::BTreeMap::new();
    let mut random = numbers();
    let mut next = || random.next().expect("they do not end");
    for owner in 0..20_000_u64 {
        let id =
            store.watch(&filter, StoreIndex(0), next() % 2 == 0, owner).expect("there is room");
        known.insert(id, owner);
        if next() % 3 == 0 {
            let at = usize::try_from(next()).expect("it is small") % known.len();
            let id = *known.keys().nth(at).expect("it is one of them");
            known.remove(&id);
            store.unwatch(id);
        }
        if owner % 500 == 499 {
            let mut wakes = Vec::new();
            store
                .apply(&set("/k", "v", None), stamp(0), &mut wakes)
                .expect("nothing is in the way");
            let got: Vec<_> = wakes.iter().map(|wake| (wake.watcher, wake.owner)).collect();
            assert_eq!(got.len(), known.len());
            assert!(got.iter().all(|(id, owner)| known.get(id) == Some(owner)));
            // Only streams are still there; the others were told once.
            let before = known.len();
            wakes.clear();
            store
                .apply(&set("/k", "v", None), stamp(0), &mut wakes)
                .expect("nothing is in the way");
            known = wakes.iter().map(|wake| (wake.watcher, wake.owner)).collect();
            assert!(known.len() < before);
            assert_eq!(store.stats().watchers, known.len() as u64);
        }
    }
}

#[test]
fn a_listing_goes_on_behind_any_name() {
    let mut store = Store::new(Limits::default());
    for number in 0..5000 {
        apply(&mut store, 0, &set(&format!("/d/{number:04}"), "v", None));
    }
    let dir = store.get(path("/d")).expect("it is there");
    let mut names = Vec::new();
    let mut after = String::new();
    loop {
        let some: Vec<String> =
            dir.children_after(&after).take(7).map(|(name, _)| name.to_owned()).collect();
        let Some(last) = some.last() else { break };
        after.clone_from(last);
        names.extend(some);
    }
    let wanted: Vec<String> = (0..5000).map(|number| format!("{number:04}")).collect();
    assert_eq!(names, wanted);
    assert_eq!(dir.children_after("0003x").next().map(|(name, _)| name), Some("0004"));
    assert_eq!(dir.children_after("9").count(), 0);
    let file = store.get(path("/d/0001")).expect("it is there");
    assert_eq!(file.children().count() + file.children_after("").count(), 0);
}
