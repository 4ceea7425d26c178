//! SIGHUP: flags, environment and files are read again. Of what they say the log level takes effect
//! at once, and all else at the next start; the server reads its certificates again by itself.

use crate::logging::{LevelHandle, level_of};
use crate::setting::Flag;
use crate::source::{Usage, Values};
use server::notice::Notice;
use std::io;
use tracing::Level;
use tracing_subscriber::filter::LevelFilter;

/// Listens to the signal from now on. `gather` reads all settings.
///
/// # Errors
/// What the system gave.
pub(crate) fn start(
    level: Level,
    handle: LevelHandle,
    gather: impl Fn() -> Result<Values, Usage> + Send + 'static,
) -> io::Result<()> {
    let mut level = level;
    server::on_hangup(move || level = reload(level, &handle, gather()))
}

/// Sets the level that the settings have now; gives the one in force.
fn reload(before: Level, handle: &LevelHandle, gathered: Result<Values, Usage>) -> Level {
    let values = match gathered {
        Ok(values) => values,
        Err(usage) => {
            Notice::HangupFailed.tell("", format_args!("{usage}; the log level stays {before}"));
            return before;
        }
    };
    let level = level_of(&values);
    let (_, source) = values.get(Flag::LogLevel);
    // What is told at the lower of the two levels is seen in either case.
    if level > before {
        set(handle, level);
    }
    if level == before {
        let of = format_args!("the log level stays {level} (from: {source})");
        Notice::Hangup.tell("", of);
    } else {
        Notice::Hangup.tell("", format_args!("the log level is {level} now, and was {before}"));
    }
    if level < before {
        set(handle, level);
    }
    level
}

fn set(handle: &LevelHandle, level: Level) {
    // The subscriber lives as long as the process.
    let _ = handle.modify(|filter| *filter = LevelFilter::from_level(level));
}
