//! The process is killed under load, again and again, and must never forget what it promised.
//!
//! Several writers each remember what was acknowledged. The server dies at a random moment, is
//! started again on what it left behind, and then every acknowledged write must be there with its
//! index and its expiration; an unanswered one may be there or not. `STEAD_CRASH_ROUNDS` gives
//! the number of rounds, `STEAD_CRASH_SEED` repeats a run as far as the machine lets it.
//!
//! A kill of the process loses nothing that the kernel holds, so this finds wrong order, torn
//! recovery and forgotten state, but not a missing sync; that is the simulated disk's job.

mod listing;
mod writer;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use listing::{entries, stable_listing};
use writer::Writer;

use crate::testkit::server::template;
use crate::testkit::text::assert_same;
use crate::testkit::{Random, Request, Server, Site, ask};

const WRITERS: usize = 6;
const ROUNDS: u64 = 8;

/// So few that snapshots and the recycling of the log happen within every round.
const FLAGS: &str = "-snapshot-count 150";

#[test]
fn acknowledged_writes_survive_a_kill_at_any_moment() {
    let rounds = std::env::var("STEAD_CRASH_ROUNDS").ok().and_then(|text| text.parse().ok());
    let mut random = Random::from_env("STEAD_CRASH_SEED");
    let mut writers: Vec<Writer> =
        (0..WRITERS).map(|id| Writer::new(id, Random::new(random.draw()))).collect();
    let mut seen = HashSet::new();
    let site = Site::new("crash").flags(FLAGS);
    let mut server = site.start();
    let mut index = 0;
    for round in 0..rounds.unwrap_or(ROUNDS) {
        load_and_kill(&mut writers, server, &mut random);
        if random.below(3) == 0 {
            die_while_starting(&site, &mut random);
        }
        server = site.start();
        let after = check(&mut writers, &server, &mut seen, round);
        assert!(after >= index, "round {round}: the store index went back from {index} to {after}");
        index = after;
        // Another server may take commands of its own whenever it starts.
        if template().is_none() {
            server = restart_idle(&site, server, round);
            index = write_next(&server, after, &mut seen);
        }
    }
    let acknowledged: u64 = writers.iter().map(Writer::acknowledged).sum();
    println!("{acknowledged} writes acknowledged, index {index}");
    assert!(acknowledged > 0, "nothing was written");
}

/// Lets the writers work, and kills the server while they do.
fn load_and_kill(writers: &mut [Writer], server: Server, random: &mut Random) {
    let stop = AtomicBool::new(false);
    let addr = server.addr();
    let load = Duration::from_millis(20 + random.below(500));
    std::thread::scope(|scope| {
        for writer in writers {
            let stop = &stop;
            scope.spawn(move || writer.work(addr, stop));
        }
        // Not a wait for anything: the random moment is the test.
        std::thread::sleep(load);
        server.kill();
        stop.store(true, Ordering::Relaxed);
    });
}

/// Starts the server and kills it before, while or after it reads its log.
fn die_while_starting(site: &Site, random: &mut Random) {
    let server = site.spawn();
    std::thread::sleep(Duration::from_millis(random.below(60)));
    server.kill();
}

/// Holds what is there against what the writers know; gives the store index.
fn check(writers: &mut [Writer], server: &Server, seen: &mut HashSet<u64>, round: u64) -> u64 {
    let answer = ask(server.addr(), &Request::get("/v2/keys/crash?recursive=true"));
    let index = answer.index();
    let mut found = entries(&answer);
    let mut wrong = Vec::new();
    for writer in writers {
        writer.settle(&mut found, &mut wrong);
        for acknowledged in writer.take_indexes() {
            if acknowledged > index {
                wrong.push(format!("{acknowledged} was acknowledged, the store is at {index}"));
            }
            if !seen.insert(acknowledged) {
                wrong.push(format!("{acknowledged} was given out twice"));
            }
        }
    }
    wrong.extend(found.keys().map(|key| format!("{key} came from nowhere")));
    let shown: Vec<String> = wrong.iter().take(20).map(|w| w.chars().take(300).collect()).collect();
    assert!(wrong.is_empty(), "round {round}: {} wrong\n{}", wrong.len(), shown.join("\n"));
    index
}

/// Ends the server while nobody writes, by a kill or by request in turn: everything must then be
/// as it was, to the byte.
fn restart_idle(site: &Site, server: Server, round: u64) -> Server {
    let before = stable_listing(server.addr());
    if round.is_multiple_of(2) {
        server.kill();
    } else {
        let status = server.terminate();
        assert!(status.success(), "asked to end, it answered {status}");
    }
    let server = site.start();
    let after = stable_listing(server.addr());
    assert_eq!(before.0, after.0, "round {round}: the store index after a restart");
    assert_same(&format!("round {round}: the store after a restart"), &before.1, &after.1);
    server
}

/// The next write must get the next index: a restart takes none.
fn write_next(server: &Server, index: u64, seen: &mut HashSet<u64>) -> u64 {
    let answer = ask(server.addr(), &Request::put("/v2/keys/next", "value=1"));
    assert_eq!(answer.json()["node"]["modifiedIndex"], index + 1, "{answer:?}");
    seen.insert(index + 1);
    index + 1
}
