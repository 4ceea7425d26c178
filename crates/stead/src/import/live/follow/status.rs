//! Tells how far a follower is, on standard error: every second on a terminal, else every 10 s.

use super::crew::Gauge;
use super::queue::Queue;
use super::trouble::Troubles;
use crate::console::say;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

const ON_TERMINAL: Duration = Duration::from_secs(1);
const ELSEWHERE: Duration = Duration::from_secs(10);

/// How often is looked whether it is over.
const LOOK: Duration = Duration::from_millis(200);

/// What is known of the lag.
#[derive(Debug)]
pub(super) struct Status {
    pub(super) gauge: Gauge,
    pub(super) queue: Arc<Queue>,
    pub(super) troubles: Arc<Troubles>,
}

impl Status {
    /// How far the target is behind the source: for how long the oldest change that was not made
    /// is known, or, while a side does not answer, how long that lasts.
    pub(super) fn lag(&self) -> Duration {
        let trouble = self.troubles.worst().map_or(Duration::ZERO, |(since, _)| since);
        self.gauge.age().max(self.queue.age()).max(trouble)
    }

    /// Tells it until the queue is closed, on a thread of its own.
    ///
    /// # Errors
    /// What the system gave.
    pub(super) fn start(self) -> io::Result<()> {
        thread::Builder::new().name("stead-status".to_owned()).spawn(move || self.run())?;
        Ok(())
    }

    fn run(self) {
        let is_terminal = io::stderr().is_terminal();
        let interval = if is_terminal { ON_TERMINAL } else { ELSEWHERE };
        let (mut told, mut before) = (Instant::now(), self.gauge.done());
        while !self.queue.is_closed() {
            thread::sleep(LOOK);
            let passed = told.elapsed();
            if passed < interval {
                continue;
            }
            let done = self.gauge.done();
            let line = self.line(done, done.saturating_sub(before), passed);
            (told, before) = (Instant::now(), done);
            if is_terminal {
                // Nobody is left to tell if this fails.
                let _ = write!(io::stderr(), "\r\x1b[K{line}");
            } else {
                say(&line);
            }
        }
        if is_terminal {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }

    fn line(&self, done: u64, lately: u64, passed: Duration) -> String {
        let rate = u128::from(lately) * 1000 / passed.as_millis().max(1);
        let lag = self.lag().as_secs_f64();
        let (failed, _) = self.gauge.failures();
        let mut line = format!("following: {done} changes, {rate}/s, lag {lag:.2} s");
        if failed > 0 {
            line.push_str(&format!(", {failed} refused by the target"));
        }
        if let Some((_, what)) = self.troubles.worst() {
            line.push_str(&format!("; {what}"));
        }
        line
    }
}
