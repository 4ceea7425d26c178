//! What the log holds: the deterministic content of a client's mutation.

use crate::auth::{Access, AuthChange, Right};
use crate::codec::{self, DecodeError};
use crate::lock::LockAction;
use crate::path::KeyPath;
use crate::stats::Refused;

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
/// once. `refresh` keeps the value, sets the TTL and wakes no watcher. Strings are borrowed
/// from the request or from the log entry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
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
    /// Change a file if its value and its modified index are as given. An absent condition, an
    /// index of zero and an empty value all mean "no condition". With `or_create` a missing key is
    /// set instead (COMPAT.md).
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
    /// Go on at this index, or where the store is if that is more, up to [`INDEX_RAISED_MAX`].
    /// Changes no key. Events up to there are forgotten, as in [`crate::Store::begin_anew`].
    RaiseIndex { at_least: u64 },
    /// Users or roles change, or whether they count. Takes one index and is no event.
    Auth(Box<AuthChange>),
    /// Count operations that failed at a look, without a place of their own in the log
    /// ([`crate::Store::refuse`]). Changes no key.
    CountRefused(Refused),
    /// Something asked of the lock whose directory, below [`crate::LOCK_ROOT`], is `dir`.
    Lock { dir: KeyPath<'a>, action: LockAction<'a> },
}

// The batch that commands travel in carries the version byte of this format: a tag, a byte of
// flags, and the fields in the order of their declaration. Numbers are LEB128, strings have their
// length in front.

const SET: u8 = 1;
const CREATE: u8 = 2;
const UPDATE: u8 = 3;
const COMPARE_AND_SWAP: u8 = 4;
const DELETE: u8 = 5;
const COMPARE_AND_DELETE: u8 = 6;
const EXPIRE: u8 = 7;
const INTERNAL: u8 = 8;
const LOCK: u8 = 9;
const RAISE_INDEX: u8 = 10;
const COUNT_REFUSED: u8 = 11;
const AUTH: u8 = 12;

/// The highest index that can be asked for: 2^52. There is room for as many changes above it, and
/// clients that read numbers as floating-point ones still tell one index from the next.
pub const INDEX_RAISED_MAX: u64 = 1 << 52;

/// Flags. Which of them mean anything depends on the tag.
const DIR: u8 = 1;
const HAS_TTL: u8 = 2;
const REFRESH: u8 = 4;
const RECURSIVE: u8 = 8;
const HAS_PREV_VALUE: u8 = 16;
const HAS_PREV_INDEX: u8 = 32;
const OR_CREATE: u8 = 64;
const IN_ORDER: u8 = 64;
const PADDED: u8 = 128;

fn flag(is_set: bool, flag: u8) -> u8 {
    if is_set { flag } else { 0 }
}

fn put_ttl(out: &mut Vec<u8>, ttl: Option<i64>) {
    if let Some(ttl) = ttl {
        codec::put_number(out, codec::zigzag(ttl));
    }
}

fn put_conditions(out: &mut Vec<u8>, prev_value: Option<&str>, prev_index: Option<u64>) {
    if let Some(value) = prev_value {
        codec::put_text(out, value);
    }
    if let Some(index) = prev_index {
        codec::put_number(out, index);
    }
}

fn take_path<'a>(bytes: &mut &'a [u8]) -> Result<KeyPath<'a>, DecodeError> {
    KeyPath::parse(codec::take_text(bytes)?).map_err(|_| DecodeError)
}

fn take_ttl(bytes: &mut &[u8], flags: u8) -> Result<Option<i64>, DecodeError> {
    if flags & HAS_TTL == 0 {
        return Ok(None);
    }
    Ok(Some(codec::unzigzag(codec::take_number(bytes)?)))
}

type Conditions<'a> = (Option<&'a str>, Option<u64>);

fn take_conditions<'a>(bytes: &mut &'a [u8], flags: u8) -> Result<Conditions<'a>, DecodeError> {
    let value = (flags & HAS_PREV_VALUE != 0).then(|| codec::take_text(bytes)).transpose()?;
    let index = (flags & HAS_PREV_INDEX != 0).then(|| codec::take_number(bytes)).transpose()?;
    Ok((value, index))
}

impl<'a> Command<'a> {
    /// Appends the command to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Command::Set { path, value, dir, ttl, refresh } => {
                let flags = flag(dir, DIR) | flag(refresh, REFRESH) | flag(ttl.is_some(), HAS_TTL);
                put_write(out, SET, flags, path, value, ttl);
            }
            Command::Create { path, value, dir, ttl, in_order } => {
                let flags = flag(dir, DIR)
                    | flag(ttl.is_some(), HAS_TTL)
                    | flag(in_order.is_some(), IN_ORDER)
                    | flag(in_order == Some(InOrder::Padded), PADDED);
                put_write(out, CREATE, flags, path, value, ttl);
            }
            Command::Update { path, value, ttl, refresh } => {
                let flags = flag(refresh, REFRESH) | flag(ttl.is_some(), HAS_TTL);
                put_write(out, UPDATE, flags, path, value, ttl);
            }
            Command::CompareAndSwap {
                path,
                value,
                ttl,
                refresh,
                prev_value,
                prev_index,
                or_create,
            } => {
                let flags = flag(refresh, REFRESH)
                    | flag(ttl.is_some(), HAS_TTL)
                    | flag(prev_value.is_some(), HAS_PREV_VALUE)
                    | flag(prev_index.is_some(), HAS_PREV_INDEX)
                    | flag(or_create, OR_CREATE);
                put_write(out, COMPARE_AND_SWAP, flags, path, value, ttl);
                put_conditions(out, prev_value, prev_index);
            }
            Command::Delete { path, dir, recursive } => {
                out.extend_from_slice(&[DELETE, flag(dir, DIR) | flag(recursive, RECURSIVE)]);
                codec::put_text(out, path.as_str());
            }
            Command::CompareAndDelete { path, prev_value, prev_index } => {
                let flags = flag(prev_value.is_some(), HAS_PREV_VALUE)
                    | flag(prev_index.is_some(), HAS_PREV_INDEX);
                out.extend_from_slice(&[COMPARE_AND_DELETE, flags]);
                codec::put_text(out, path.as_str());
                put_conditions(out, prev_value, prev_index);
            }
            Command::Expire { limit } => {
                out.extend_from_slice(&[EXPIRE, 0]);
                codec::put_number(out, u64::from(limit));
            }
            Command::RaiseIndex { at_least } => {
                out.extend_from_slice(&[RAISE_INDEX, 0]);
                codec::put_number(out, at_least);
            }
            Command::CountRefused(refused) => put_refused(out, refused),
            Command::Internal { ref writes } => put_internal(out, writes),
            Command::Lock { dir, action } => action.encode(dir, LOCK, out),
            Command::Auth(ref change) => {
                out.extend_from_slice(&[AUTH, 0]);
                change.encode(out);
            }
        }
    }

    /// The right that a client needs for it; nothing where that is not a matter of keys.
    pub fn access(&self) -> Option<Access<'a>> {
        let (path, recursive) = match *self {
            Command::Set { path, .. }
            | Command::Create { path, .. }
            | Command::Update { path, .. }
            | Command::CompareAndSwap { path, .. }
            | Command::CompareAndDelete { path, .. } => (path, false),
            Command::Delete { path, recursive, .. } => (path, recursive),
            Command::Lock { dir, action } if action.is_of_client() => (dir, false),
            // What is left of these was allowed when the client came, or is the server's own.
            Command::Lock { .. }
            | Command::Expire { .. }
            | Command::Internal { .. }
            | Command::RaiseIndex { .. }
            | Command::CountRefused(_)
            | Command::Auth(_) => return None,
        };
        Some(Access { recursive, ..Access::new(path, Right::Write) })
    }

    /// Whether only those may give it who may do everything.
    pub fn is_for_root(&self) -> bool {
        matches!(self, Command::RaiseIndex { .. } | Command::Auth(_))
    }

    /// Reads one command from the front of `bytes`, which it moves past it.
    ///
    /// # Errors
    /// [`DecodeError`] on anything that [`Command::encode`] does not write. Never panics.
    pub fn decode(bytes: &mut &'a [u8]) -> Result<Self, DecodeError> {
        let tag = codec::take_byte(bytes)?;
        let flags = codec::take_byte(bytes)?;
        if tag == LOCK {
            let (dir, action) = LockAction::decode(bytes, flags)?;
            return Ok(Command::Lock { dir, action });
        }
        let known = match tag {
            SET => DIR | HAS_TTL | REFRESH,
            CREATE if flags & IN_ORDER != 0 => DIR | HAS_TTL | IN_ORDER | PADDED,
            CREATE => DIR | HAS_TTL,
            UPDATE => HAS_TTL | REFRESH,
            COMPARE_AND_SWAP => HAS_TTL | REFRESH | HAS_PREV_VALUE | HAS_PREV_INDEX | OR_CREATE,
            DELETE => DIR | RECURSIVE,
            COMPARE_AND_DELETE => HAS_PREV_VALUE | HAS_PREV_INDEX,
            _ => 0,
        };
        if flags & !known != 0 {
            return Err(DecodeError);
        }
        match tag {
            EXPIRE => {
                let limit = u32::try_from(codec::take_number(bytes)?).map_err(|_| DecodeError)?;
                return Ok(Command::Expire { limit });
            }
            RAISE_INDEX => {
                return Ok(Command::RaiseIndex { at_least: codec::take_number(bytes)? });
            }
            COUNT_REFUSED => return take_refused(bytes),
            INTERNAL => return take_internal(bytes),
            AUTH => return Ok(Command::Auth(Box::new(AuthChange::decode(bytes)?))),
            _ => {}
        }
        let path = take_path(bytes)?;
        if tag == DELETE {
            let (dir, recursive) = (flags & DIR != 0, flags & RECURSIVE != 0);
            return Ok(Command::Delete { path, dir, recursive });
        }
        if tag == COMPARE_AND_DELETE {
            let (prev_value, prev_index) = take_conditions(bytes, flags)?;
            return Ok(Command::CompareAndDelete { path, prev_value, prev_index });
        }
        let value = codec::take_text(bytes)?;
        let ttl = take_ttl(bytes, flags)?;
        let (dir, refresh) = (flags & DIR != 0, flags & REFRESH != 0);
        match tag {
            SET => Ok(Command::Set { path, value, dir, ttl, refresh }),
            CREATE => {
                let naming = if flags & PADDED != 0 { InOrder::Padded } else { InOrder::Plain };
                let in_order = (flags & IN_ORDER != 0).then_some(naming);
                Ok(Command::Create { path, value, dir, ttl, in_order })
            }
            UPDATE => Ok(Command::Update { path, value, ttl, refresh }),
            COMPARE_AND_SWAP => {
                let (prev_value, prev_index) = take_conditions(bytes, flags)?;
                let or_create = flags & OR_CREATE != 0;
                Ok(Command::CompareAndSwap {
                    path,
                    value,
                    ttl,
                    refresh,
                    prev_value,
                    prev_index,
                    or_create,
                })
            }
            _ => Err(DecodeError),
        }
    }
}

fn put_write(
    out: &mut Vec<u8>,
    tag: u8,
    flags: u8,
    path: KeyPath<'_>,
    value: &str,
    ttl: Option<i64>,
) {
    out.extend_from_slice(&[tag, flags]);
    codec::put_text(out, path.as_str());
    codec::put_text(out, value);
    put_ttl(out, ttl);
}

fn put_refused(out: &mut Vec<u8>, refused: Refused) {
    out.extend_from_slice(&[COUNT_REFUSED, 0]);
    let Refused { creates, compare_and_swaps, compare_and_deletes } = refused;
    for count in [creates, compare_and_swaps, compare_and_deletes] {
        codec::put_number(out, count);
    }
}

fn take_refused<'a>(bytes: &mut &'a [u8]) -> Result<Command<'a>, DecodeError> {
    Ok(Command::CountRefused(Refused {
        creates: codec::take_number(bytes)?,
        compare_and_swaps: codec::take_number(bytes)?,
        compare_and_deletes: codec::take_number(bytes)?,
    }))
}

fn put_internal(out: &mut Vec<u8>, writes: &[InternalWrite<'_>]) {
    out.extend_from_slice(&[INTERNAL, 0]);
    codec::put_number(out, writes.len() as u64);
    for write in writes {
        out.push(u8::from(write.value.is_some()));
        codec::put_text(out, write.path.as_str());
        if let Some(value) = write.value {
            codec::put_text(out, value);
        }
    }
}

fn take_internal<'a>(bytes: &mut &'a [u8]) -> Result<Command<'a>, DecodeError> {
    let count = codec::take_number(bytes)?;
    let mut writes = Vec::new();
    for _ in 0..count {
        let has_value = codec::take_byte(bytes)?;
        let path = take_path(bytes)?;
        let value = match has_value {
            0 => None,
            1 => Some(codec::take_text(bytes)?),
            _ => return Err(DecodeError),
        };
        writes.push(InternalWrite { path, value });
    }
    Ok(Command::Internal { writes })
}
