//! What whoever supervises this process learns of it: whether its loop goes round, whether it
//! serves, and what it does. The loops write it, and a thread outside reads it at its own pace.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// What a server is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stage {
    /// Whether it has begun to serve clients. That is not taken back: what it does is in `status`.
    pub is_serving: bool,
    /// Whether it stops.
    pub is_stopping: bool,
    /// One line for people.
    pub status: String,
}

impl Stage {
    fn flags(&self) -> (bool, bool) {
        (self.is_serving, self.is_stopping)
    }
}

/// The way from a running server to who supervises it. Clones are the same one; the default is that
/// nobody does, and costs nothing.
#[derive(Clone, Debug, Default)]
pub struct Pulse(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    /// How long the loop may wait for an event.
    rest: Duration,
    /// Rounds of the loop. Only the loop writes it.
    rounds: AtomicU64,
    stage: Mutex<Stage>,
    changed: Condvar,
}

impl Pulse {
    /// One that somebody reads, who wants to see the loop go round at least once in a `period`.
    pub fn watched(period: Duration) -> Self {
        let (rounds, stage, changed) = Default::default();
        Self(Some(Arc::new(Shared { rest: period, rounds, stage, changed })))
    }

    /// How long the loop may wait for an event.
    pub(crate) fn rest(&self) -> Duration {
        self.0.as_ref().map_or(Duration::MAX, |shared| shared.rest)
    }

    /// A round of the loop begins.
    pub(crate) fn beat(&self) {
        if let Some(shared) = &self.0 {
            let rounds = shared.rounds.load(Ordering::Relaxed);
            shared.rounds.store(rounds.wrapping_add(1), Ordering::Relaxed);
        }
    }

    /// Says what the server does, and whether it serves clients; asks only if somebody reads it.
    pub(crate) fn tell(&self, look: impl FnOnce() -> (bool, String)) {
        if self.0.is_some() {
            let (is_serving, status) = look();
            self.change(|stage| {
                stage.is_serving |= is_serving;
                stage.status = status;
            });
        }
    }

    /// Says that the server stops, and why, unless it was asked to.
    pub fn stop(&self, why: Option<String>) {
        self.change(|stage| {
            stage.is_stopping = true;
            stage.status = why.unwrap_or_else(|| "stopping".to_owned());
        });
    }

    fn change(&self, change: impl FnOnce(&mut Stage)) {
        let Some(shared) = &self.0 else { return };
        let mut stage = shared.stage.lock().unwrap_or_else(PoisonError::into_inner);
        let before = stage.flags();
        change(&mut stage);
        if stage.flags() != before {
            shared.changed.notify_all();
        }
    }

    /// How many rounds the loop has begun.
    pub fn rounds(&self) -> u64 {
        self.0.as_ref().map_or(0, |shared| shared.rounds.load(Ordering::Relaxed))
    }

    /// What the server does, as soon as it serves or stops and `seen` does not say so, else after
    /// `limit`.
    pub fn wait(&self, seen: &Stage, limit: Duration) -> Stage {
        let Some(shared) = &self.0 else { return Stage::default() };
        let stage = shared.stage.lock().unwrap_or_else(PoisonError::into_inner);
        let is_seen = |stage: &mut Stage| stage.flags() == seen.flags();
        let waited = shared.changed.wait_timeout_while(stage, limit, is_seen);
        let (stage, _) = waited.unwrap_or_else(PoisonError::into_inner);
        stage.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_change_of_stage_wakes_who_waits_and_a_new_status_does_not() {
        let pulse = Pulse::watched(Duration::from_secs(1));
        pulse.tell(|| (false, "waits".to_owned()));
        let seen = pulse.wait(&Stage::default(), Duration::ZERO);
        assert_eq!(seen, Stage { status: "waits".to_owned(), ..Stage::default() });
        let other = pulse.clone();
        let teller = std::thread::spawn(move || {
            other.tell(|| (false, "waits on".to_owned()));
            other.tell(|| (true, "serves".to_owned()));
        });
        let begun = Instant::now();
        let told = pulse.wait(&seen, Duration::from_secs(60));
        assert!(begun.elapsed() < Duration::from_secs(30));
        assert!(told.is_serving && told.status == "serves", "{told:?}");
        teller.join().expect("it told");
        pulse.tell(|| (false, "has no leader".to_owned()));
        assert!(pulse.wait(&told, Duration::ZERO).is_serving, "that is not taken back");
        pulse.stop(None);
        assert!(pulse.wait(&told, Duration::from_secs(60)).is_stopping);
    }

    #[test]
    fn rounds_are_counted_only_for_somebody() {
        let (watched, alone) = (Pulse::watched(Duration::from_secs(1)), Pulse::default());
        for pulse in [&watched, &alone] {
            pulse.beat();
            pulse.beat();
        }
        assert_eq!((watched.rounds(), alone.rounds()), (2, 0));
        alone.tell(|| unreachable!("nobody reads it"));
    }
}
