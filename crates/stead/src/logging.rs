//! What is logged, and in which form. The level can be changed while the server runs (`hangup.rs`).

use crate::log::LogQueue;
use crate::setting::Flag;
use crate::source::Values;
use std::fmt::{self, Write};
use std::io;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::{Format, Json, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, reload};

/// Changes the level.
pub(crate) type LevelHandle = reload::Handle<LevelFilter, Registry>;

/// What is logged. The flags of the original ask for more, never for less.
pub(crate) fn level_of(values: &Values) -> Level {
    let given = values.get(Flag::LogLevel).0.parse().unwrap_or(Level::INFO);
    let asked = match (values.is_set(Flag::V) || values.is_set(Flag::Vv), values.is_set(Flag::Vvv))
    {
        (_, true) => Level::TRACE,
        (true, _) => Level::DEBUG,
        _ => Level::ERROR,
    };
    given.max(asked)
}

/// Starts to log on standard error.
///
/// # Errors
/// When the system has no thread left.
pub(crate) fn start(values: &Values, name: &str) -> io::Result<(LogQueue, LevelHandle)> {
    let queue = LogQueue::start(io::stderr())?;
    let (filter, handle) = reload::Layer::new(LevelFilter::from_level(level_of(values)));
    let logs = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer()
        .with_target(false)
        .with_ansi(false)
        .with_writer(queue.clone());
    if values.get(Flag::LogFormat).0 == "json" {
        let format = Named::new(name);
        logs.with(lines.event_format(format).fmt_fields(JsonFields::new())).init();
    } else {
        logs.with(lines).init();
    }
    // The cause of a panic is logged before it.
    let (panicked, say_panic) = (queue.clone(), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |panic| {
        panicked.flush();
        say_panic(panic);
    }));
    Ok((queue, handle))
}

/// Lines in JSON with the machine's name, so that a collector tells those of several machines
/// apart.
struct Named {
    /// How each line begins.
    head: String,
    rest: Format<Json>,
}

impl Named {
    fn new(name: &str) -> Self {
        let rest = tracing_subscriber::fmt::format().json().with_target(false);
        Self { head: format!("{{\"machine\":\"{}\",", escape(name)), rest }
    }
}

impl<S, N> FormatEvent<S, N> for Named
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.rest.format_event(context, Writer::new(&mut line), event)?;
        match line.strip_prefix('{') {
            Some(rest) => write!(writer, "{}{rest}", self.head),
            None => writer.write_str(&line),
        }
    }
}

/// A text between the quotes of JSON.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for char in text.chars() {
        // Writing into a text cannot fail.
        let _ = match char {
            '"' | '\\' => write!(out, "\\{char}"),
            char if char < ' ' => write!(out, "\\u{:04x}", u32::from(char)),
            char => write!(out, "{char}"),
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Environment;

    #[test]
    fn the_most_that_is_asked_for_is_logged() {
        for (args, want) in [
            (&[][..], Level::INFO),
            (&["-log-level=error"], Level::ERROR),
            (&["-log-level", "warn"], Level::WARN),
            (&["-v"], Level::DEBUG),
            (&["-vv"], Level::DEBUG),
            (&["-vvv"], Level::TRACE),
            (&["-log-level=trace", "-v"], Level::TRACE),
            (&["-log-level=error", "-v"], Level::DEBUG),
            (&["-log-level=error", "-v=false"], Level::ERROR),
        ] {
            let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
            let read_file = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
            let environment = Environment { args: &args, env: &[], read_file: &read_file };
            let (values, _) = Values::gather(&environment).expect("sound");
            assert_eq!(level_of(&values), want, "{args:?}");
        }
    }

    #[test]
    fn a_name_stands_between_quotes() {
        assert_eq!(escape("m1"), "m1");
        let escaped = format!("{{\"machine\":\"{}\"}}", escape("a\"b\\c\nd\u{e9}"));
        let read: serde_json::Value = serde_json::from_str(&escaped).expect("JSON");
        assert_eq!(read["machine"], "a\"b\\c\nd\u{e9}");
    }
}
