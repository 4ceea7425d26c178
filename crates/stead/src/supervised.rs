//! Who supervises this process: systemd, or whoever else speaks its protocol (sd_notify(3)). It is
//! told when the server serves, what it does, when it stops, and that its loop still goes round.

use sd_notify::NotifyState;
use server::{Pulse, Stage, one_line};
use std::env;
use std::io;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The variable that says where a supervisor listens.
const VARIABLE: &str = "NOTIFY_SOCKET";

/// How often it is told what has changed.
const PERIOD: Duration = Duration::from_secs(1);

/// The shortest period, whatever the supervisor wants.
const PERIOD_MIN: Duration = Duration::from_millis(10);

/// Signs of life in the time after which a supervisor gives a server up.
const SIGNS: u32 = 3;

/// The longest line of status, in characters.
const STATUS_CHARS_MAX: usize = 256;

/// The thread that tells a supervisor, if there is one.
pub(crate) struct Supervisor {
    pulse: Pulse,
    teller: Option<JoinHandle<()>>,
}

impl Supervisor {
    /// Starts to tell, if somebody listens.
    ///
    /// # Errors
    /// What the system gave for the thread.
    pub(crate) fn start() -> io::Result<Self> {
        if env::var_os(VARIABLE).is_none_or(|place| place.is_empty()) {
            return Ok(Self { pulse: Pulse::default(), teller: None });
        }
        let teller = Teller::new(sd_notify::watchdog_enabled());
        let (pulse, tell) = (teller.pulse.clone(), move || teller.run());
        let teller = thread::Builder::new().name("supervisor".to_owned()).spawn(tell)?;
        Ok(Self { pulse, teller: Some(teller) })
    }

    /// What the server tells.
    pub(crate) fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Tells that the process ends, and why if it was not asked to.
    pub(crate) fn finish(self, why: Option<String>) {
        self.pulse.stop(why);
        if let Some(teller) = self.teller {
            // What it has not told is lost, as it would be without it.
            let _ = teller.join();
        }
    }
}

struct Teller {
    pulse: Pulse,
    /// Whether signs of life are wanted.
    has_watchdog: bool,
    period: Duration,
    told: Stage,
    /// The rounds at the last sign of life.
    rounds: u64,
}

impl Teller {
    fn new(patience: Option<Duration>) -> Self {
        let period = patience.map_or(PERIOD, |patience| (patience / SIGNS).min(PERIOD));
        let (has_watchdog, period) = (patience.is_some(), period.max(PERIOD_MIN));
        // Each time that it looks there is a round that it has not seen, unless the loop hangs.
        let pulse = Pulse::watched(period / 2);
        Self { pulse, has_watchdog, period, told: Stage::default(), rounds: 0 }
    }

    /// Tells until the server stops.
    fn run(mut self) {
        while !self.told.is_stopping {
            let stage = self.pulse.wait(&self.told, self.period);
            let rounds = self.pulse.rounds();
            let status = status_line(&stage.status);
            let news = self.news(&stage, &status, rounds);
            if !news.is_empty()
                && let Err(error) = sd_notify::notify(&news)
            {
                tracing::debug!(%error, "cannot reach the supervisor");
            }
            (self.told, self.rounds) = (stage, rounds);
        }
    }

    /// What is to be told now.
    fn news<'a>(&self, stage: &Stage, status: &'a str, rounds: u64) -> Vec<NotifyState<'a>> {
        let mut news = Vec::new();
        if stage.is_serving && !self.told.is_serving {
            news.push(NotifyState::Ready);
        }
        if stage.is_stopping {
            news.push(NotifyState::Stopping);
        }
        if stage.status != self.told.status {
            news.push(NotifyState::Status(status));
        }
        // A loop that hangs is not to be kept alive by a thread that does not.
        if self.has_watchdog && rounds != self.rounds {
            news.push(NotifyState::Watchdog);
        }
        news
    }
}

/// A status as the protocol takes it: one line, not too long.
fn status_line(text: &str) -> String {
    one_line(text.to_owned()).chars().take(STATUS_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(news: &[NotifyState<'_>]) -> Vec<String> {
        news.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_thing_is_told_once_and_life_only_while_the_loop_goes_round() {
        let patience = Duration::from_secs(2);
        let mut teller = Teller::new(Some(patience));
        assert!(teller.period < patience / 2);
        let stage = Stage { is_serving: true, is_stopping: false, status: "leads".to_owned() };
        let news = names(&teller.news(&stage, &stage.status, 5));
        assert_eq!(news, ["READY=1", "STATUS=leads", "WATCHDOG=1"]);
        (teller.told, teller.rounds) = (stage.clone(), 5);
        assert_eq!(names(&teller.news(&stage, &stage.status, 5)), [""; 0], "a loop that hangs");
        assert_eq!(names(&teller.news(&stage, &stage.status, 6)), ["WATCHDOG=1"]);
        let stage = Stage { is_stopping: true, ..stage };
        assert_eq!(names(&teller.news(&stage, &stage.status, 6)), ["STOPPING=1", "WATCHDOG=1"]);
    }

    #[test]
    fn a_status_is_one_line() {
        let line = status_line(&format!("a\nREADY=1{}", "x".repeat(STATUS_CHARS_MAX)));
        assert!(!line.contains('\n') && line.chars().count() == STATUS_CHARS_MAX, "{line}");
    }
}
