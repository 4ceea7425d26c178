//! Keeps this machine's registration with its discovery service alive.
//!
//! A registration ends after seven days unless it is repeated. 0.4.9 repeated it at each start and
//! every 21 hours, and so does this: else a cluster that runs for a week could not be found any
//! more, and the failure would show only when a machine joins.

use super::caller::HttpCaller;
use super::discovery;
use crate::config::{Config, Finding};
use crate::notice::notice;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// How often a registration is repeated: 75,600 s, an eighth of the time that it lasts.
const INTERVAL: Duration = Duration::from_secs(75_600);

/// The shortest and the longest pause after a registration that failed.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(3600);

/// When a machine repeats its registration that has just registered itself: 1 min.
const SOON: Duration = Duration::from_secs(60);

/// Milliseconds between two registrations, for tests, which cannot wait for 21 hours.
const INTERVAL_VARIABLE: &str = "_STEAD_DISCOVERY_INTERVAL_MS";

/// The thread that repeats the registration; it ends when this is dropped.
pub(crate) struct Registrar {
    over: Sender<()>,
}

struct RegistrationLoop {
    url: String,
    name: String,
    peer_url: String,
    interval: Duration,
    finding: Finding,
}

impl Registrar {
    /// Starts the thread, if there is a discovery service. A machine that has just asked it for
    /// others is registered already.
    pub(crate) fn start(config: &Config, is_registered: bool) -> Option<Self> {
        let url = config.finding.discovery.clone()?;
        let shortened = std::env::var(INTERVAL_VARIABLE).ok().and_then(|text| text.parse().ok());
        let interval = shortened.map_or(INTERVAL, |ms: u64| Duration::from_millis(ms.max(10)));
        let first = if is_registered { SOON.min(interval) } else { Duration::ZERO };
        let (name, peer_url) = (config.name.clone(), config.peer_url());
        let finding = config.finding.clone();
        let rounds = RegistrationLoop { url, name, peer_url, interval, finding };
        let (over, is_over) = channel();
        let builder = thread::Builder::new().name("stead-registrar".into());
        match builder.spawn(move || rounds.run(first, &is_over)) {
            Ok(_) => Some(Self { over }),
            Err(error) => {
                notice!(RegistrationFailed, "", "{error}; other machines will not find it there");
                None
            }
        }
    }
}

impl Registrar {
    /// Registers this machine no more.
    pub(crate) fn stop(&self) {
        // A thread that has ended has no queue.
        let _ = self.over.send(());
    }
}

impl RegistrationLoop {
    fn run(&self, first: Duration, is_over: &Receiver<()>) {
        let caller = HttpCaller::for_discovery(&self.finding);
        let (mut wait, mut pause) = (first, RETRY_MIN);
        while is_over.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
            match discovery::register(&caller, &self.url, &self.name, &self.peer_url) {
                Ok(()) => {
                    notice!(Registered, "", [url = self.url,], "");
                    (wait, pause) = (self.interval, RETRY_MIN);
                }
                Err(detail) => {
                    wait = pause.min(self.interval);
                    pause = (pause * 2).min(RETRY_MAX);
                    notice!(
                        RegistrationFailed,
                        "",
                        "trying again in {} s: {detail}",
                        wait.as_secs_f64()
                    );
                }
            }
        }
    }
}
