//! What the system lets this process have, looked at once before anything is opened.
//!
//! Who gives a process little should hear of it at its start, in words, and not at the first busy
//! hour by a connection without an answer.

use crate::config::Config;
use crate::error::StartError;
use crate::notice::notice;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Descriptors that are not for clients: files, ports, connections between members, and some to
/// refuse clients with.
const FILES_RESERVED: u64 = 64;

/// Descriptors for one client of a standby that passes it on: its own, and one towards a member.
const FILES_PROXIED: u64 = 2;

/// Connections below which nothing would work.
const CONNECTIONS_MIN: u64 = 16;

/// Address space below which warnings are due, in bytes: a snapshot of a store of some size, its
/// threads and what an allocator keeps.
const MEMORY_BYTES: u64 = 1 << 30;

/// Stack below which warnings are due, in bytes.
const STACK_BYTES: u64 = 1 << 20;

/// What a limit leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum LimitVerdict {
    Fine,
    /// The server starts, and says this.
    Warn(String),
    /// The server does not start, and says this.
    Refuse(String),
}

/// Raises what can be raised, and adapts `config` to what is left.
///
/// # Errors
/// [`StartError::Limit`] when a server could not work within the limits.
pub(crate) fn adapt(config: &mut Config) -> Result<(), StartError> {
    // With a handler a file that would grow too large gives an error; without one it is the end.
    let signal = signal_hook::consts::SIGXFSZ;
    signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    let files = raise_file_limit();
    let each = if config.proxies_standby { FILES_PROXIED } else { 1 };
    let (connections, verdict) = judge_files(files, config.limits.connections, each);
    config.limits.connections = connections;
    act(verdict)?;
    let limit = |resource| getrlimit(resource).current;
    act(judge_file_size(limit(Resource::Fsize), wal::Options::default().segment_bytes))?;
    act(judge_memory("address space (ulimit -v)", limit(Resource::As)))?;
    act(judge_memory("data (ulimit -d)", limit(Resource::Data)))?;
    act(judge_stack(limit(Resource::Stack)))
}

/// So many connections as are wanted, or as the limit on open files leaves room for.
pub(crate) fn fit_connections(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    judge_files(limit, wanted, 1).0
}

fn act(verdict: LimitVerdict) -> Result<(), StartError> {
    match verdict {
        LimitVerdict::Fine => Ok(()),
        LimitVerdict::Warn(sentence) => {
            notice!(ProcessLimits, "", "{sentence}");
            Ok(())
        }
        LimitVerdict::Refuse(sentence) => Err(StartError::Limit(sentence)),
    }
}

/// Raises the limit on open files as far as the system lets us: each client is one. Gives the limit
/// that holds then.
fn raise_file_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(errno) => {
            let error = io::Error::from(errno);
            notice!(ProcessLimits, "", "cannot raise the limit on open files: {error}");
            limit.current
        }
    }
}

/// How many connections may be taken where so many files may be open, and `each` takes some.
fn judge_files(limit: Option<u64>, wanted: usize, each: u64) -> (usize, LimitVerdict) {
    let Some(limit) = limit else { return (wanted, LimitVerdict::Fine) };
    let left = limit.saturating_sub(FILES_RESERVED) / each;
    if left < CONNECTIONS_MIN {
        let sentence = format!(
            "only {limit} files may be open at once, and a server needs {} at least: raise the \
             limit (ulimit -n, LimitNOFILE)",
            FILES_RESERVED + CONNECTIONS_MIN * each
        );
        return (wanted, LimitVerdict::Refuse(sentence));
    }
    let left = usize::try_from(left).unwrap_or(usize::MAX);
    if wanted <= left {
        return (wanted, LimitVerdict::Fine);
    }
    let sentence = format!(
        "only {limit} files may be open at once: {left} connections are accepted instead of \
         {wanted} (-max-connections); raise the limit (ulimit -n, LimitNOFILE) for more"
    );
    (left, LimitVerdict::Warn(sentence))
}

fn judge_file_size(limit: Option<u64>, segment: u64) -> LimitVerdict {
    match limit {
        None => LimitVerdict::Fine,
        Some(limit) if limit < segment => LimitVerdict::Refuse(format!(
            "no file may be larger than {limit} bytes, and a segment of the log takes {segment}: \
             raise the limit (ulimit -f, LimitFSIZE)"
        )),
        Some(limit) => LimitVerdict::Warn(format!(
            "no file may be larger than {limit} bytes: values that need a larger segment of the \
             log are refused, a snapshot that would be larger fails, and the log then grows until \
             the disk is full; raise the limit (ulimit -f, LimitFSIZE)"
        )),
    }
}

fn judge_memory(what: &str, limit: Option<u64>) -> LimitVerdict {
    match limit {
        Some(limit) if limit < MEMORY_BYTES => LimitVerdict::Warn(format!(
            "this process may have {limit} bytes of {what} at most, and ends when it needs more: \
             raise the limit"
        )),
        _ => LimitVerdict::Fine,
    }
}

fn judge_stack(limit: Option<u64>) -> LimitVerdict {
    match limit {
        Some(limit) if limit < STACK_BYTES => LimitVerdict::Warn(format!(
            "the stack of this process may have {limit} bytes at most, which may end it at any \
             time: raise the limit (ulimit -s, LimitSTACK) to {STACK_BYTES} bytes at least"
        )),
        _ => LimitVerdict::Fine,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_rest() {
        assert_eq!(judge_files(None, 65_536, 1), (65_536, LimitVerdict::Fine));
        assert_eq!(judge_files(Some(65_600), 65_536, 1), (65_536, LimitVerdict::Fine));
        for (limit, want) in [(65_599, 65_535), (256, 192), (80, 16)] {
            let (connections, verdict) = judge_files(Some(limit), 65_536, 1);
            let LimitVerdict::Warn(sentence) = verdict else { panic!("{limit}: {verdict:?}") };
            assert_eq!(connections, want);
            assert!(sentence.contains(&format!("{want} connections")), "{sentence}");
        }
        // Limits that suffice cause no message.
        assert_eq!(judge_files(Some(256), 192, 1), (192, LimitVerdict::Fine));
        // A standby needs two for each.
        assert_eq!(judge_files(Some(1024), 65_536, FILES_PROXIED).0, 480);
        for limit in [0, 10, 64, 79] {
            let (_, verdict) = judge_files(Some(limit), 4, 1);
            let LimitVerdict::Refuse(sentence) = verdict else { panic!("{limit}: {verdict:?}") };
            assert!(sentence.contains("needs 80") && sentence.contains("ulimit -n"), "{sentence}");
        }
    }

    #[test]
    fn a_segment_must_fit_into_a_file() {
        let segment = 16 << 20;
        assert_eq!(judge_file_size(None, segment), LimitVerdict::Fine);
        assert!(matches!(judge_file_size(Some(segment - 1), segment), LimitVerdict::Refuse(_)));
        assert!(matches!(judge_file_size(Some(segment), segment), LimitVerdict::Warn(_)));
    }

    #[test]
    fn little_memory_is_said() {
        assert_eq!(judge_memory("data", None), LimitVerdict::Fine);
        assert_eq!(judge_memory("data", Some(MEMORY_BYTES)), LimitVerdict::Fine);
        assert!(matches!(judge_memory("data", Some(150_000_000)), LimitVerdict::Warn(_)));
        assert_eq!(judge_stack(None), LimitVerdict::Fine);
        assert_eq!(judge_stack(Some(8 << 20)), LimitVerdict::Fine);
        assert!(matches!(judge_stack(Some(65_536)), LimitVerdict::Warn(_)));
    }
}
