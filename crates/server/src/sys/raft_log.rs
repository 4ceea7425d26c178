//! raft's own log lines, which go where all others go.

use crate::notice::notice;
use slog::{Drain, KV, Level, Logger, Never, OwnedKVList, Record, Serializer};
use std::fmt::{Arguments, Write};

/// Where raft logs to. What it finds worth telling at each election is for those who look closer.
pub(crate) fn logger() -> Logger {
    Logger::root(ToTracing, slog::o!())
}

struct ToTracing;

impl Drain for ToTracing {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        let is_wanted = match record.level() {
            Level::Critical | Level::Error | Level::Warning => true,
            Level::Info => tracing::enabled!(tracing::Level::DEBUG),
            Level::Debug | Level::Trace => tracing::enabled!(tracing::Level::TRACE),
        };
        if !is_wanted {
            return Ok(());
        }
        let mut line = Line(record.msg().to_string());
        // Writing to a string does not fail.
        let _ = record.kv().serialize(record, &mut line);
        let _ = values.serialize(record, &mut line);
        let Line(line) = line;
        // This is told as the loss of the leadership, with the members that are missing.
        if line.starts_with("stepped down to follower since quorum is not active") {
            tracing::debug!("raft: {line}");
            return Ok(());
        }
        match record.level() {
            Level::Critical | Level::Error => notice!(RaftError, "", "{line}"),
            Level::Warning => notice!(RaftWarning, "", "{line}"),
            Level::Info => tracing::debug!("raft: {line}"),
            Level::Debug | Level::Trace => tracing::trace!("raft: {line}"),
        }
        Ok(())
    }
}

/// A message with its values behind it.
struct Line(String);

impl Serializer for Line {
    fn emit_arguments(&mut self, key: slog::Key, value: &Arguments<'_>) -> slog::Result {
        write!(self.0, " {key}={value}").map_err(slog::Error::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_behind_the_message() {
        let mut line = Line("became leader".to_owned());
        let (term, id) = (3, "m1");
        line.emit_arguments("term", &format_args!("{term}")).expect("a string takes it");
        line.emit_arguments("id", &format_args!("{id}")).expect("a string takes it");
        assert_eq!(line.0, "became leader term=3 id=m1");
        slog::warn!(logger(), "nobody listens in a test"; "term" => 3);
    }
}
