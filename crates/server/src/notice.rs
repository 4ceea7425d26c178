//! What the log tells an operator.
//!
//! Each line of the levels error, warn and info is a [`Notice`]: its first words are fixed, and
//! docs/messages.md explains them and says what to do. What follows the words is in the terms of
//! the cluster: names of machines, terms, addresses. Keys, values and secrets are never part of it.
//! `limit.rs` counts repeats instead of writing them.
//!
//! Debug lines are for developers, and are written with `tracing` as anywhere else.

mod kinds;
mod limit;

use crate::text::one_line;
pub use kinds::{Level, Notice};
use limit::Limiter;
use std::fmt::Arguments;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

static LIMITER: Mutex<Limiter> = Mutex::new(Limiter::new());
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fn limiter() -> MutexGuard<'static, Limiter> {
    // What a thread left behind that panicked is as good as before.
    LIMITER.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now() -> u64 {
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

impl Notice {
    /// The line, if it is to be written now. `about` is what tells it from others of its kind: a
    /// member, an address.
    pub(crate) fn line(self, about: &str, text: Arguments<'_>) -> Option<String> {
        let is_wanted = match self.level() {
            Level::Error => tracing::enabled!(tracing::Level::ERROR),
            Level::Warn => tracing::enabled!(tracing::Level::WARN),
            Level::Info => tracing::enabled!(tracing::Level::INFO),
        };
        if !is_wanted {
            return None;
        }
        // Most of what others say was escaped where it came in; no line is forged by the rest.
        let text = one_line(text.to_string());
        limiter().admit(self, about, &text, now()).then(|| self.with(&text))
    }

    /// The fixed words, and what follows them.
    fn with(self, text: &str) -> String {
        let words = self.words();
        if text.is_empty() { words.to_owned() } else { format!("{words}: {text}") }
    }

    /// Writes a line without fields.
    pub fn tell(self, about: &str, text: Arguments<'_>) {
        if let Some(line) = self.line(about, text) {
            write(self.level(), &line);
        }
    }
}

fn write(level: Level, line: &str) {
    match level {
        Level::Error => tracing::error!("{line}"),
        Level::Warn => tracing::warn!("{line}"),
        Level::Info => tracing::info!("{line}"),
    }
}

/// Writes the lines that waited for their minute to end. Called once a second.
pub(crate) fn tell_waiting() {
    let mut limiter = limiter();
    if !limiter.has_waiting() {
        return;
    }
    while let Some(due) = limiter.next_due(now()) {
        write(due.kind.level(), &due.kind.with(&due.text));
    }
}

/// Writes a line with fields: `notice!(SnapshotWritten, "", [bytes, ms], "up to entry {index}")`.
/// A [`Notice`], what it is about, fields as `tracing` takes them, and what follows the words.
macro_rules! notice {
    ($kind:ident, $about:expr, [$($field:tt)*], $($text:tt)+) => {{
        let kind = $crate::notice::Notice::$kind;
        if let Some(line) = kind.line($about, format_args!($($text)+)) {
            match kind.level() {
                $crate::notice::Level::Error => tracing::error!($($field)* "{line}"),
                $crate::notice::Level::Warn => tracing::warn!($($field)* "{line}"),
                $crate::notice::Level::Info => tracing::info!($($field)* "{line}"),
            }
        }
    }};
    ($kind:ident, $about:expr, $($text:tt)+) => {
        $crate::notice::Notice::$kind.tell($about, format_args!($($text)+))
    };
}
pub(crate) use notice;
