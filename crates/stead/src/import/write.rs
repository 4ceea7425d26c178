//! Carries a plan out, over several connections.

use super::answer::Answer;
use super::clock::now;
use super::plan::{Item, Plan};
use super::target::Target;
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Connections. The server writes what arrives together to its disk at once.
const CONNECTIONS: usize = 32;

/// How often the progress is shown, on a terminal and elsewhere.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);
const PROGRESS_INTERVAL_ELSEWHERE: Duration = Duration::from_secs(10);

/// How often is looked whether all have ended.
const LOOK: Duration = Duration::from_millis(20);

const FORM: &str = "application/x-www-form-urlencoded";

/// The error of the API for a key that exists.
const EXISTS: u64 = 105;

/// Writes everything.
///
/// # Errors
/// Why it stopped, and how to continue.
pub(super) fn write(plan: &Plan, target: &Target) -> Result<(), String> {
    let mut first = target.clone();
    for dir in &plan.dirs {
        put(&mut first, dir)?;
    }
    let work = Work {
        items: &plan.items,
        next: AtomicUsize::new(0),
        done: AtomicUsize::new(0),
        is_over: AtomicBool::new(false),
        failure: Mutex::new(None),
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..CONNECTIONS.min(plan.items.len()))
            .map(|at| {
                let work = &work;
                scope.spawn(move || work.run(target.beginning_with(at)))
            })
            .collect();
        work.show_progress(&workers);
    });
    match work.failure.into_inner() {
        Ok(None) => Ok(()),
        Ok(Some(why)) => Err(why),
        Err(_) => Err("a thread ended unexpectedly".to_owned()),
    }
}

struct Work<'a> {
    items: &'a [Item],
    next: AtomicUsize,
    done: AtomicUsize,
    is_over: AtomicBool,
    /// The first one.
    failure: Mutex<Option<String>>,
}

impl Work<'_> {
    fn run(&self, mut target: Target) {
        while !self.is_over.load(Ordering::Relaxed) {
            let Some(item) = self.items.get(self.next.fetch_add(1, Ordering::Relaxed)) else {
                return;
            };
            if let Err(why) = put(&mut target, item) {
                self.is_over.store(true, Ordering::Relaxed);
                if let Ok(mut failure) = self.failure.lock() {
                    failure.get_or_insert(why);
                }
                return;
            }
            self.done.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Shows how far it is until all have ended: often on a terminal, else now and then.
    fn show_progress(&self, workers: &[thread::ScopedJoinHandle<'_, ()>]) {
        let mut out = std::io::stderr();
        let is_watched = out.is_terminal();
        let interval = if is_watched { PROGRESS_INTERVAL } else { PROGRESS_INTERVAL_ELSEWHERE };
        let (begun, mut told) = (Instant::now(), Instant::now());
        while !workers.iter().all(thread::ScopedJoinHandle::is_finished) {
            thread::sleep(LOOK);
            if told.elapsed() < interval {
                continue;
            }
            told = Instant::now();
            let done = self.done.load(Ordering::Relaxed);
            let line = progress(done, self.items.len(), begun.elapsed());
            // Nobody is left to tell if this fails.
            let _ = match is_watched {
                true => write!(out, "\r\x1b[K{line}"),
                false => writeln!(out, "{line}"),
            };
            let _ = out.flush();
        }
        if is_watched {
            let _ = write!(out, "\r\x1b[K");
        }
    }
}

/// How far it is, how fast, and for how long.
fn progress(done: usize, all: usize, passed: Duration) -> String {
    let rate = done as f64 / passed.as_secs_f64().max(0.001);
    let left = match rate > 0.0 {
        true => format!("{:.0} s left", (all - done.min(all)) as f64 / rate),
        false => "no answer yet".to_owned(),
    };
    format!("{done} of {all} keys, {rate:.0}/s, {left}")
}

/// Writes one node. A node that came into being meanwhile, by this call's own first try above all,
/// is right if it is the same.
fn put(target: &mut Target, item: &Item) -> Result<(), String> {
    let path = format!("{}{}", item.path(), item.query());
    let answer = target.call("PUT", &path, FORM, &item.body(now()))?;
    match answer.status {
        200 | 201 => Ok(()),
        _ if answer.error_code() == EXISTS => match target.get(&item.key)? {
            found if found == item.value => Ok(()),
            _ => Err(format!("{} was written by somebody else meanwhile", item.key)),
        },
        _ => Err(refusal(item, &answer)),
    }
}

fn refusal(item: &Item, answer: &Answer) -> String {
    format!("the target refused {}: {}", item.key, answer.explain())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_progress_has_a_rate_and_the_time_left() {
        let line = progress(500, 2000, Duration::from_secs(1));
        assert_eq!(line, "500 of 2000 keys, 500/s, 3 s left");
        assert_eq!(progress(0, 9, Duration::ZERO), "0 of 9 keys, 0/s, no answer yet");
    }
}
