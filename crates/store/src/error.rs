//! What a client asked for that cannot be: the replicated, deterministic errors of the key space.

use crate::time::StoreIndex;
use std::fmt;

/// Error codes that [`crate::Store`] itself gives (docs/spec/keys.md section 11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum ErrorCode {
    /// 100: a component of the path does not exist; the cause is the first missing one.
    KeyNotFound = 100,
    /// 101: a condition of compare-and-swap or compare-and-delete does not hold.
    CompareFailed = 101,
    /// 102: a file is wanted and a directory is there.
    NotAFile = 102,
    /// 104: a directory is wanted and a file is there.
    NotADirectory = 104,
    /// 105: the node exists already.
    KeyAlreadyExists = 105,
    /// 106: the key is one that the server keeps under `/_etcd`, which clients may only read.
    Reserved = 106,
    /// 107: the root cannot be written.
    RootReadOnly = 107,
    /// 108: a directory that is to be deleted has children.
    DirectoryNotEmpty = 108,
    /// 110: whoever asked has no right to, or is not who it was any more.
    Unauthorized = 110,
    /// 401: the wanted `waitIndex` is older than the oldest event kept.
    EventIndexCleared = 401,
    /// A change of users or roles that makes no sense, with the sentence for it as its cause. These
    /// four have no number in the protocol.
    AuthInvalid = 1400,
    /// One that nobody may make.
    AuthForbidden = 1403,
    /// One of a user or a role that is not there.
    AuthUnknown = 1404,
    /// One that another stands against.
    AuthConflict = 1409,
}

/// An error of the key space: part of the outcome of a command or a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError {
    /// What went wrong.
    pub code: ErrorCode,
    /// What it went wrong with: a path, or the conditions that failed. May be empty.
    pub cause: String,
    /// The store index when it happened.
    pub index: StoreIndex,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} [{}]", self.code as u16, self.cause, self.index.0)
    }
}

impl std::error::Error for StoreError {}
