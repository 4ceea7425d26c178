//! What the log holds: the deterministic content of a client's mutation.

use crate::KeyPath;
use std::fmt;

/// How an in-order key is named after the index that it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InOrder {
    /// Plain decimal, as 0.4 does: `/queue/6`.
    Plain,
    /// Padded to 20 digits, as 2.x does: `/queue/00000000000000000006`.
    Padded,
}

/// One write of [`Command::Internal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InternalWrite<'a> {
    /// A path under `/_etcd`.
    pub path: KeyPath<'a>,
    /// The new value, or nothing to delete the key.
    pub value: Option<&'a str>,
}

/// A mutation of the key space. `ttl` is in seconds, absent for permanent; zero and below expire at
/// once. Texts are borrowed from the request or from the log entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// Set a file, or make a directory.
    Set { path: KeyPath<'a>, value: &'a str, dir: bool, ttl: Option<i64>, refresh: bool },
    /// Make a node that must not exist; with `in_order`, a child of `path` named after the index.
    Create {
        path: KeyPath<'a>,
        value: &'a str,
        dir: bool,
        ttl: Option<i64>,
        in_order: Option<InOrder>,
    },
    /// Change a node that must exist.
    Update { path: KeyPath<'a>, value: &'a str, ttl: Option<i64>, refresh: bool },
    /// Change a file if its value and its modified index are as given. An absent condition, an index
    /// of zero and an empty value all mean "no condition". With `or_create` a missing key is set
    /// instead (architecture decision D14).
    CompareAndSwap {
        path: KeyPath<'a>,
        value: &'a str,
        ttl: Option<i64>,
        refresh: bool,
        prev_value: Option<&'a str>,
        prev_index: Option<u64>,
        or_create: bool,
    },
    /// Delete a file; a directory only with `dir` (empty) or `recursive`.
    Delete { path: KeyPath<'a>, dir: bool, recursive: bool },
    /// Delete a file if its value and its modified index are as given.
    CompareAndDelete { path: KeyPath<'a>, prev_value: Option<&'a str>, prev_index: Option<u64> },
    /// Remove the nodes whose deadline is not after the stamp's time, at most `limit` of them.
    Expire { limit: u32 },
    /// The server's own writes under `/_etcd`, all at one index.
    Internal { writes: Vec<InternalWrite<'a>> },
}

/// Bytes that are not a command of a version that this program knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError;

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a command of a known version")
    }
}

impl std::error::Error for DecodeError {}

impl<'a> Command<'a> {
    /// Appends the command to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let _ = out;
        todo!()
    }

    /// Reads one command from the front of `bytes`, which it moves past it.
    ///
    /// # Errors
    /// [`DecodeError`] on anything that [`Command::encode`] does not write. Never panics.
    pub fn decode(bytes: &mut &'a [u8]) -> Result<Self, DecodeError> {
        let _ = bytes;
        todo!()
    }
}
