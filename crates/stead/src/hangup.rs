//! SIGHUP: flags, environment and files are read again. Of what they say the log level and some
//! limits take effect at once, and all else at the next start; certificates are read again too.
//!
//! [`Live::take`] is the one place from where a reload fans out.

use crate::logging::{LevelHandle, level_of};
use crate::resolve;
use crate::setting::Flag;
use crate::source::{Usage, Values};
use crate::value;
use server::Reloads;
use server::notice::Notice;
use std::io;
use tracing::Level;
use tracing_subscriber::filter::LevelFilter;

/// Limits that can change while the server runs (docs/operating.md has the same list).
const LIMITS: [Flag; 6] = [
    Flag::MaxBodyBytes,
    Flag::MaxHeadBytes,
    Flag::MaxConnections,
    Flag::StreamBufferBytes,
    Flag::HttpReadTimeout,
    Flag::HttpWriteTimeout,
];

/// What is in force, and the ways to change it.
pub(crate) struct Live {
    pub(crate) values: Values,
    pub(crate) level: LevelHandle,
    pub(crate) reloads: Reloads,
}

/// Listens to the signal from now on. `gather` reads all settings.
///
/// # Errors
/// What the system gave.
pub(crate) fn start(
    mut live: Live,
    gather: impl Fn() -> Result<Values, Usage> + Send + 'static,
) -> io::Result<()> {
    server::on_hangup(move || {
        // A mistake in the settings is no reason to keep an old certificate.
        live.reloads.certificates();
        match gather() {
            Ok(values) => live.take(values),
            Err(usage) => {
                let level = level_of(&live.values);
                Notice::HangupFailed.tell("", format_args!("{usage}; the log level stays {level}"));
            }
        }
    })
}

impl Live {
    /// Has everything hold that can change now, and tells what did.
    fn take(&mut self, values: Values) {
        let changed = changed_limits(&self.values, &values);
        if !changed.is_empty() {
            self.reloads.limits(resolve::live_limits(&values));
        }
        let before = level_of(&std::mem::replace(&mut self.values, values));
        self.take_level(before, &changed);
    }

    fn take_level(&self, before: Level, changed: &str) {
        let level = level_of(&self.values);
        let (_, source) = self.values.get(Flag::LogLevel);
        // What is told at the lower of the two levels is seen in either case.
        if level > before {
            self.set_level(level);
        }
        if level == before {
            let of = format_args!("the log level stays {level} (from: {source}){changed}");
            Notice::Hangup.tell("", of);
        } else {
            let of = format_args!("the log level is {level} now, and was {before}{changed}");
            Notice::Hangup.tell("", of);
        }
        if level < before {
            self.set_level(level);
        }
    }

    fn set_level(&self, level: Level) {
        // The subscriber lives as long as the process.
        let _ = self.level.modify(|filter| *filter = LevelFilter::from_level(level));
    }
}

/// The limits that are others than before, for the end of a sentence.
fn changed_limits(before: &Values, now: &Values) -> String {
    let mut text = String::new();
    for flag in LIMITS {
        let (old, new) = (before.get(flag).0, now.get(flag).0);
        if old != new {
            let shown = |value| value::shown(flag.setting().kind, value);
            text += &format!("; -{flag} is {} now, and was {}", shown(new), shown(old));
        }
    }
    text
}
