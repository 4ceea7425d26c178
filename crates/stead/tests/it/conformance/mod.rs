//! The recorded conversations, replayed against the binary.
//!
//! `cases/` holds what real servers of the 0.4 series answered: requests, and the exact answers
//! with placeholders where they may vary. Every case must be answered as recorded, member order
//! and white space included. Where this server answers otherwise on purpose, `overrides.json`
//! says so step by step, with the answer that is expected and the reason; an entry that the
//! recording does not need fails the test.
//!
//! Cases need a server without other writers, since every index is checked. Several servers run
//! at the same time, each with one worker that takes the next case from the common list.
//!
//! `STEAD_CASES` limits a run to the cases whose name contains it.

mod case;
mod compare;
mod deviations;
mod exchange;
mod follower;
mod raw_json;
mod runner;
mod template;

use std::sync::atomic::{AtomicUsize, Ordering};

use case::{Case, Override};
use runner::{Outcome, Runner};

use crate::testkit::{Server, Site};

/// How many servers work on the list. Most of the time of a case is waiting, so this is more than
/// there are processors.
const WORKERS: usize = 6;

#[test]
fn recorded_conversations_are_answered_as_recorded() {
    let only = std::env::var("STEAD_CASES").unwrap_or_default();
    let overrides = case::load_overrides();
    let all = case::load_cases();
    for name in overrides.iter().map(|o| &o.case) {
        assert!(all.iter().any(|case| case.name == *name), "no such case: {name}");
    }
    let cases = choose(all, &only);
    assert!(!cases.is_empty(), "no case has {only:?} in its name");
    report(&run_all(&cases, &overrides));
}

/// The cases to run, the longest first, so that the end is not one worker waiting alone.
fn choose(all: Vec<Case>, only: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = all.into_iter().filter(|case| case.name.contains(only)).collect();
    cases.sort_by_key(|case| std::cmp::Reverse(case.weight_ms()));
    cases
}

/// Fails if one of the outcomes is a failure.
fn report(outcomes: &[Outcome]) {
    let failed: Vec<&Outcome> = outcomes.iter().filter(|o| !o.has_passed()).collect();
    let passed = outcomes.len() - failed.len();
    let checks: usize = outcomes.iter().map(|o| o.checks).sum();
    let summary = format!("{passed} passed, {} failed; {checks} checks", failed.len());
    println!("{summary}");
    let report: String = failed.iter().map(|outcome| outcome.report()).collect();
    assert!(failed.is_empty(), "{summary}\n{report}");
}

/// Runs every case, several servers at a time, and gives the outcomes in the order of the names.
fn run_all(cases: &[Case], overrides: &[Override]) -> Vec<Outcome> {
    share_out(cases, WORKERS, |worker, cases| {
        let (_site, server) = Server::start("conformance");
        let prefix = format!("cf{worker:x}{:03x}", std::process::id() % 0x1000);
        let mut runner = Runner::new(&server, overrides, prefix);
        let run = |case: &Case| {
            if case.has_tag("fresh") { run_fresh(case, overrides) } else { runner.run(case) }
        };
        cases.map(run).collect()
    })
}

/// Lets some workers take cases one after the other until none is left, and gives the outcomes of
/// all in the order of the names. `work` gets the worker's number and its cases.
fn share_out<'a>(
    cases: &'a [Case],
    workers: usize,
    work: impl Fn(usize, &mut dyn Iterator<Item = &'a Case>) -> Vec<Outcome> + Sync,
) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let (next, work) = (&next, &work);
    let mut outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let begin = |worker| {
            scope.spawn(move || {
                let take = || cases.get(next.fetch_add(1, Ordering::Relaxed));
                work(worker, &mut std::iter::from_fn(take))
            })
        };
        let workers: Vec<_> = (0..workers.min(cases.len())).map(begin).collect();
        workers.into_iter().flat_map(|one| one.join().expect("no worker panics")).collect()
    });
    outcomes.sort_by(|a, b| a.name.cmp(&b.name));
    outcomes
}

/// Runs a case that needs a new server, with the flags that it asks for.
fn run_fresh(case: &Case, overrides: &[Override]) -> Outcome {
    let site = Site::new("fresh").flags(case.server_flags.as_deref().unwrap_or(""));
    match site.try_start() {
        Ok(server) => Runner::new(&server, overrides, "cff".to_owned()).run(case),
        Err(e) => Outcome::broken(&case.name, "start the server", e),
    }
}
