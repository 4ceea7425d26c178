//! Connections that wait to be accepted.
//!
//! mio is edge-triggered: a client that waits when an accept fails is reported again only when
//! another one connects. So the kind of failure decides: that of a single connection is skipped,
//! and after any other the port is retried by a timer.

use super::listener::ListenerSocket;
use crate::notice::notice;
use mio::net::TcpStream;
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::io;

/// Failures of single connections that are passed over in one go.
const FAILURES_MAX: u32 = 256;

/// How often a port is tried again when nothing has become free: each second.
const RETRY_NS: u64 = 1_000_000_000;

/// The minimum interval between two warnings: one minute.
const WARN_NS: u64 = 60_000_000_000;

/// How an error of accept is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// Nobody waits.
    Nobody,
    /// Whoever waited is gone; the next one may be there.
    Gone,
    /// The system has no room for one more.
    NoRoom,
}

/// Ports whose callers must wait.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// The ports at which an accept failed, by their numbers.
    starved: BTreeSet<usize>,
    /// Whether something was closed since then.
    has_room: bool,
    tried_at: u64,
    warned_at: Option<u64>,
    /// Failures that were not logged yet.
    unsaid: u64,
}

impl Backlog {
    /// Accepts the next connection of the port with number `at`; nothing when no client waits, or
    /// when accepting must be retried later. `now` is monotonic, in nanoseconds.
    pub(crate) fn accept(
        &mut self,
        at: usize,
        listener: &ListenerSocket,
        now: u64,
    ) -> Option<TcpStream> {
        self.accept_by(at, now, || listener.accept())
    }

    fn accept_by<T>(
        &mut self,
        at: usize,
        now: u64,
        mut accept: impl FnMut() -> io::Result<T>,
    ) -> Option<T> {
        for _ in 0..FAILURES_MAX {
            let error = match accept() {
                Ok(socket) => return Some(socket),
                Err(error) => error,
            };
            match judge(&error) {
                Failure::Nobody => return None,
                Failure::Gone => {}
                Failure::NoRoom => {
                    self.warn(&error, now);
                    break;
                }
            }
        }
        self.starved.insert(at);
        (self.tried_at, self.has_room) = (now, false);
        None
    }

    fn warn(&mut self, error: &io::Error, now: u64) {
        self.unsaid += 1;
        if self.warned_at.is_some_and(|at| now.saturating_sub(at) < WARN_NS) {
            return;
        }
        let failures = self.unsaid;
        notice!(
            AcceptFailed,
            "",
            [failures,],
            "{error}; new clients wait until some are closed (limits: \
             ulimit -n, LimitNOFILE, fs.file-max)"
        );
        (self.warned_at, self.unsaid) = (Some(now), 0);
    }

    /// Something was closed, so that there may be room again.
    pub(crate) fn make_room(&mut self) {
        self.has_room = true;
    }

    /// The ports to retry now.
    pub(crate) fn take_due(&mut self, now: u64) -> BTreeSet<usize> {
        let is_due = self.has_room || now.saturating_sub(self.tried_at) >= RETRY_NS;
        if is_due { std::mem::take(&mut self.starved) } else { BTreeSet::new() }
    }
}

fn judge(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::WouldBlock {
        return Failure::Nobody;
    }
    // Linux hands on what already went wrong on the new connection; a firewall's refusal too.
    const GONE: [Errno; 11] = [
        Errno::CONNABORTED,
        Errno::INTR,
        Errno::PROTO,
        Errno::PERM,
        Errno::NETDOWN,
        Errno::NOPROTOOPT,
        Errno::HOSTDOWN,
        Errno::NONET,
        Errno::HOSTUNREACH,
        Errno::OPNOTSUPP,
        Errno::NETUNREACH,
    ];
    let is_gone = GONE.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()));
    if is_gone { Failure::Gone } else { Failure::NoRoom }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error<T>(errno: Errno) -> io::Result<T> {
        Err(errno.into())
    }

    #[test]
    fn a_connection_that_is_gone_hides_no_other() {
        for errno in [Errno::CONNABORTED, Errno::INTR, Errno::PROTO, Errno::HOSTUNREACH] {
            let mut answers = vec![Ok(7), error(errno), error(errno)];
            let mut backlog = Backlog::default();
            let taken = backlog.accept_by(0, 0, || answers.pop().expect("enough"));
            assert_eq!(taken, Some(7), "{errno}");
            assert!(backlog.starved.is_empty());
        }
        // One that always fails in this way does not block the loop.
        let mut backlog = Backlog::default();
        let taken: Option<u8> = backlog.accept_by(3, 0, || error(Errno::CONNABORTED));
        assert_eq!((taken, backlog.take_due(RETRY_NS)), (None, BTreeSet::from([3])));
    }

    #[test]
    fn a_port_without_room_is_tried_again() {
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::NOSYS] {
            let mut backlog = Backlog::default();
            let mut calls = 0;
            let taken: Option<u8> = backlog.accept_by(2, 5, || {
                calls += 1;
                error(errno)
            });
            assert_eq!((taken, calls), (None, 1), "{errno}");
            // At once when something was closed, and else after a while.
            assert!(backlog.take_due(6).is_empty());
            backlog.make_room();
            assert_eq!(backlog.take_due(6), BTreeSet::from([2]));
            let _: Option<u8> = backlog.accept_by(2, 6, || error(errno));
            assert!(backlog.take_due(RETRY_NS).is_empty());
            assert_eq!(backlog.take_due(RETRY_NS + 6), BTreeSet::from([2]));
            assert!(backlog.take_due(u64::MAX).is_empty());
        }
    }

    #[test]
    fn nobody_there_is_no_failure() {
        let mut backlog = Backlog::default();
        let taken: Option<u8> = backlog.accept_by(0, 0, || error(Errno::AGAIN));
        assert_eq!(taken, None);
        backlog.make_room();
        assert!(backlog.take_due(u64::MAX).is_empty());
    }

    #[test]
    fn the_log_is_told_once_a_minute() {
        let mut backlog = Backlog::default();
        for now in [0, 1, WARN_NS - 1] {
            let _: Option<u8> = backlog.accept_by(0, now, || error(Errno::MFILE));
        }
        assert_eq!((backlog.warned_at, backlog.unsaid), (Some(0), 2));
        let _: Option<u8> = backlog.accept_by(0, WARN_NS, || error(Errno::MFILE));
        assert_eq!((backlog.warned_at, backlog.unsaid), (Some(WARN_NS), 0));
    }
}
