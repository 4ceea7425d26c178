//! What can go wrong beside the errors of the key space.

use std::fmt;
use store::StoreError;

/// This member cannot serve a request now. The texts are shown to clients as the cause of error
/// 300.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineError {
    /// No leader is known; nothing was done.
    NoLeader,
    /// Another member leads; nothing was done.
    NotLeader,
    /// No outcome within the request time-out: the write may or may not happen.
    Timeout,
    /// Leadership was lost while the write was on its way; it did not happen.
    Superseded,
    /// Too many requests are waiting; nothing was done.
    Overloaded,
    /// The disk is full; nothing was done, reads go on.
    DiskFull,
    /// The member is shutting down; the write may or may not happen.
    Stopping,
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EngineError::NoLeader => "no leader is known; nothing was done, try again",
            EngineError::NotLeader => "this member is not the leader; nothing was done",
            EngineError::Timeout => "request timed out; its outcome is unknown",
            EngineError::Superseded => "the leader changed; nothing was done, try again",
            EngineError::Overloaded => "too many requests are waiting; nothing was done, try again",
            EngineError::DiskFull => "the disk is full; nothing was written, reads go on",
            EngineError::Stopping => "the server is stopping; the outcome is unknown",
        })
    }
}

impl std::error::Error for EngineError {}

/// Why a proposal did not end in an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The key space refused it: replicated, the same on every member.
    Store(StoreError),
    /// This member could not carry it out.
    Engine(EngineError),
}

/// This member is broken: the process must stop before it can lie.
#[derive(Debug)]
pub enum Fatal {
    /// The log or a snapshot cannot be read or written.
    Wal(wal::Error),
    /// A snapshot's content cannot be used.
    Snapshot {
        /// The file, relative to the data directory.
        file: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The log holds something that this version does not understand, or that contradicts itself.
    Log(String),
    /// The data directory belongs to somebody else.
    Identity(String),
    /// The consensus engine refused what it should not have refused.
    Raft(String),
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fatal::Wal(error) => error.fmt(f),
            Fatal::Snapshot { file, detail } => write!(
                f,
                "{file}: {detail}. The file is damaged: run `stead check` on the data directory \
                 and restore it from a backup"
            ),
            Fatal::Log(detail) => write!(f, "the log cannot be replayed: {detail}"),
            Fatal::Identity(detail) => f.write_str(detail),
            Fatal::Raft(detail) => write!(f, "consensus failed: {detail}"),
        }
    }
}

impl std::error::Error for Fatal {}

impl From<wal::Error> for Fatal {
    fn from(error: wal::Error) -> Self {
        Fatal::Wal(error)
    }
}

impl From<raft::Error> for Fatal {
    fn from(error: raft::Error) -> Self {
        Fatal::Raft(error.to_string())
    }
}
