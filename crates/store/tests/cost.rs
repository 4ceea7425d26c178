//! What keys and watchers cost in memory, measured on this process; and that no command gets slower
//! with what others have stored. One test, since measurements do not go together with other
//! threads.
#![cfg(target_os = "linux")]

mod testkit;

use std::time::{Duration, Instant};
use store::{Command, Limits, Stamp, Store, StoreIndex, Timestamp, WallOffset, WatchFilter};
use testkit::{START, path};

const KEYS: usize = 200_000;

fn resident_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").expect("there is /proc");
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).expect("it tells the size");
    let kib = line.split_whitespace().nth(1).expect("a number comes second");
    kib.parse::<usize>().expect("it is a number") * 1024
}

fn limits() -> Limits {
    // No history beyond the least, which would hide what the keys cost.
    Limits { history_bytes_max: 0, ..Limits::default() }
}

fn set(store: &mut Store, key: &str, value: &str, ttl: Option<i64>) {
    let stamp = Stamp { time: Timestamp(START), wall_offset: WallOffset(0) };
    let command = Command::Set { path: path(key), value, dir: false, ttl, refresh: false };
    store.apply(&command, stamp, &mut Vec::new()).expect("nothing is in the way");
}

/// Numbers in an order without a pattern, each once.
fn shuffled(count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |at| at * 7_919 % count)
}

fn bytes_per(count: usize, work: impl FnOnce()) -> usize {
    let before = resident_bytes();
    work();
    (resident_bytes() - before) / count
}

fn time(count: u32, mut work: impl FnMut(u32)) -> Duration {
    let start = Instant::now();
    (0..count).for_each(&mut work);
    start.elapsed() / count
}

#[test]
fn keys_and_watchers_cost_what_they_may() {
    let value = "v".repeat(64);
    let mut store = Store::new(limits());
    (0..2000).for_each(|_| set(&mut store, "/warm", &value, None));
    let in_order = bytes_per(KEYS, || {
        (0..KEYS).for_each(|at| set(&mut store, &format!("/in-order/{at:08}"), &value, None));
    });
    let random = bytes_per(KEYS, || {
        shuffled(KEYS).for_each(|at| set(&mut store, &format!("/random/{at:08}"), &value, None));
    });
    let small_dirs = bytes_per(KEYS, || {
        shuffled(KEYS).for_each(|at| set(&mut store, &format!("/dirs/{at:08}/k"), &value, None));
    });
    let watchers = bytes_per(KEYS, || {
        for at in shuffled(KEYS) {
            let filter = WatchFilter {
                path: format!("/in-order/{at:08}").into(),
                recursive: true,
                hidden: false,
            };
            store.watch(&filter, StoreIndex(0), false, 1).expect("there is room");
        }
    });
    let deadlines = bytes_per(KEYS, || {
        shuffled(KEYS).for_each(|at| set(&mut store, &format!("/random/{at:08}"), &value, Some(9)));
    });
    println!("bytes: {in_order} a key in order, {random} in random order, {small_dirs} with a");
    println!("directory of its own, {deadlines} for a deadline, {watchers} a watcher");
    assert!(in_order <= 230, "{in_order} bytes for a key");
    assert!(random <= 260, "{random} bytes for a key");
    assert!(small_dirs <= 600, "{small_dirs} bytes for a key in a directory of its own");
    assert!(watchers <= 250, "{watchers} bytes for a watcher");
    assert!(deadlines <= 250, "{deadlines} bytes for a deadline");

    let mut empty = Store::new(limits());
    set(&mut empty, "/small/00000000", &value, None);
    let few = time(20_000, |_| set(&mut empty, "/small/00000000", &value, Some(5)));
    let many = time(20_000, |at| {
        let at = at as usize * 7_919 % KEYS;
        set(&mut store, &format!("/random/{at:08}"), &value, Some(5));
    });
    println!("a set with a TTL: {few:?} alone, {many:?} among {KEYS} siblings");
    assert!(many < few * 40 + Duration::from_micros(5), "{few:?} alone, {many:?} among many");
}
