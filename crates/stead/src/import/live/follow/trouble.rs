//! What does not work at the moment, for the status and for the report.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Troubles by who has them: since when, and what.
#[derive(Debug, Default)]
pub(super) struct Troubles(Mutex<BTreeMap<String, (Instant, String)>>);

impl Troubles {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, (Instant, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tell(&self, who: &str, what: &str) {
        // What strangers say goes to the terminal.
        let what = what.chars().filter(|c| !c.is_control()).take(300).collect();
        let mut troubles = self.lock();
        troubles.entry(who.to_owned()).or_insert((Instant::now(), String::new())).1 = what;
    }

    pub(super) fn settle(&self, who: &str) {
        self.lock().remove(who);
    }

    pub(super) fn has(&self, who: &str) -> bool {
        self.lock().contains_key(who)
    }

    /// The oldest one: for how long, and what.
    pub(super) fn worst(&self) -> Option<(Duration, String)> {
        let troubles = self.lock();
        let (since, what) = troubles.values().min_by_key(|(since, _)| *since)?;
        Some((since.elapsed(), what.clone()))
    }
}
