//! What is asked of a lock, and what comes of it.
//!
//! A lock is a queue: a directory below [`LOCK_ROOT`] with a file for each client that holds the
//! lock or waits for it, named after the store index at which it came (docs/spec/modules.md section
//! 1). The smallest number holds. Each [`LockAction`] looks and changes at one place of the log, so
//! that no two members can see the queue differently; waiting is not done here.

use crate::codec::{self, DecodeError};
use crate::path::KeyPath;

/// The directory that all locks are in.
pub const LOCK_ROOT: &str = "/_etcd/mod/lock";

/// The value of an entry whose client gave none. It is nobody's name: two clients that give it are
/// not one client.
pub const LOCK_ANONYMOUS: &str = "-";

/// Which entry of a queue is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockEntry<'a> {
    /// The one with this index.
    Index(u64),
    /// The first one with this value.
    Value(&'a str),
}

/// What is asked of one lock. `ttl` is in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockAction<'a> {
    /// Join the queue, or find the entry with the same value that is in it already. Without `waits`
    /// only if that means to hold the lock at once; it is error 101 otherwise.
    Acquire {
        /// Who asks; empty for nobody in particular.
        value: &'a str,
        /// How long the entry lives unless it is prolonged.
        ttl: i64,
        /// Whether a place in the queue is wanted when somebody else holds the lock.
        waits: bool,
    },
    /// The member at which a client waits keeps its entry alive and asks whether its turn has come.
    /// Never shortens what is left to the entry.
    Refresh {
        /// The entry.
        index: u64,
        /// How long it lives from now on at the least.
        ttl: i64,
    },
    /// A client prolongs its entry.
    Renew {
        /// The entry.
        entry: LockEntry<'a>,
        /// Its new value, if it is to have one.
        value: Option<&'a str>,
        /// How long it lives from now on.
        ttl: i64,
    },
    /// A client gives its entry up.
    Release {
        /// The entry.
        entry: LockEntry<'a>,
    },
    /// The member at which a client waited takes its entry out of the queue.
    Leave {
        /// The entry.
        index: u64,
        /// Do so only if nobody has touched the entry since this index: another request of the same
        /// client may wait for it elsewhere.
        touched: Option<u64>,
        /// If its turn has come meanwhile, leave it there and let it live so long at the least.
        keep: Option<i64>,
    },
}

/// Where an entry of a queue is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockState {
    /// First: it holds the lock.
    Held,
    /// Behind others.
    Waiting,
    /// No longer in the queue.
    Gone,
}

/// What came of a [`LockAction`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockOutcome {
    /// The entry's number, larger than that of every entry before it: a fencing token.
    pub index: u64,
    /// Where the entry is now.
    pub state: LockState,
    /// The index of the change before this one; zero if the entry is new.
    pub before: u64,
    /// The index of the entry's last change.
    pub touched: u64,
}

// A kind in the low bits of the flags; the path and the fields in the order of their declaration
// follow, an entry as its number or its value.

const KIND: u8 = 7;
const ACQUIRE: u8 = 1;
const REFRESH: u8 = 2;
const RENEW: u8 = 3;
const RELEASE: u8 = 4;
const LEAVE: u8 = 5;

const WAITS: u8 = 8;
const BY_INDEX: u8 = 16;
const HAS_VALUE: u8 = 32;
const HAS_TOUCHED: u8 = 64;
const HAS_KEEP: u8 = 128;

fn flag(is_set: bool, flag: u8) -> u8 {
    if is_set { flag } else { 0 }
}

fn put_seconds(out: &mut Vec<u8>, seconds: i64) {
    codec::put_number(out, codec::zigzag(seconds));
}

fn take_seconds(bytes: &mut &[u8]) -> Result<i64, DecodeError> {
    codec::take_number(bytes).map(codec::unzigzag)
}

impl<'a> LockEntry<'a> {
    fn flag(self) -> u8 {
        flag(matches!(self, LockEntry::Index(_)), BY_INDEX)
    }

    fn encode(self, out: &mut Vec<u8>) {
        match self {
            LockEntry::Index(index) => codec::put_number(out, index),
            LockEntry::Value(value) => codec::put_text(out, value),
        }
    }

    fn decode(bytes: &mut &'a [u8], flags: u8) -> Result<Self, DecodeError> {
        if flags & BY_INDEX != 0 {
            codec::take_number(bytes).map(LockEntry::Index)
        } else {
            codec::take_text(bytes).map(LockEntry::Value)
        }
    }
}

impl<'a> LockAction<'a> {
    /// Whether a client asks for it, and not the member at which a client waits.
    pub(crate) fn is_of_client(self) -> bool {
        match self {
            LockAction::Acquire { .. } | LockAction::Renew { .. } | LockAction::Release { .. } => {
                true
            }
            LockAction::Refresh { .. } | LockAction::Leave { .. } => false,
        }
    }

    fn flags(self) -> u8 {
        match self {
            LockAction::Acquire { waits, .. } => ACQUIRE | flag(waits, WAITS),
            LockAction::Refresh { .. } => REFRESH,
            LockAction::Renew { entry, value, .. } => {
                RENEW | entry.flag() | flag(value.is_some(), HAS_VALUE)
            }
            LockAction::Release { entry } => RELEASE | entry.flag(),
            LockAction::Leave { touched, keep, .. } => {
                LEAVE | flag(touched.is_some(), HAS_TOUCHED) | flag(keep.is_some(), HAS_KEEP)
            }
        }
    }

    pub(crate) fn encode(self, dir: KeyPath<'_>, tag: u8, out: &mut Vec<u8>) {
        out.extend_from_slice(&[tag, self.flags()]);
        codec::put_text(out, dir.as_str());
        match self {
            LockAction::Acquire { value, ttl, .. } => {
                codec::put_text(out, value);
                put_seconds(out, ttl);
            }
            LockAction::Refresh { index, ttl } => {
                codec::put_number(out, index);
                put_seconds(out, ttl);
            }
            LockAction::Renew { entry, value, ttl } => {
                entry.encode(out);
                if let Some(value) = value {
                    codec::put_text(out, value);
                }
                put_seconds(out, ttl);
            }
            LockAction::Release { entry } => entry.encode(out),
            LockAction::Leave { index, touched, keep } => {
                codec::put_number(out, index);
                if let Some(touched) = touched {
                    codec::put_number(out, touched);
                }
                if let Some(keep) = keep {
                    put_seconds(out, keep);
                }
            }
        }
    }

    /// Reads what follows the flags.
    pub(crate) fn decode(
        bytes: &mut &'a [u8],
        flags: u8,
    ) -> Result<(KeyPath<'a>, Self), DecodeError> {
        let known = match flags & KIND {
            ACQUIRE => WAITS,
            REFRESH => 0,
            RENEW => BY_INDEX | HAS_VALUE,
            RELEASE => BY_INDEX,
            LEAVE => HAS_TOUCHED | HAS_KEEP,
            _ => return Err(DecodeError),
        };
        if flags & !(KIND | known) != 0 {
            return Err(DecodeError);
        }
        let dir = KeyPath::parse(codec::take_text(bytes)?).map_err(|_| DecodeError)?;
        if !is_lock(dir) {
            return Err(DecodeError);
        }
        let has = |flag: u8| flags & flag != 0;
        let action = match flags & KIND {
            ACQUIRE => {
                let value = codec::take_text(bytes)?;
                LockAction::Acquire { value, ttl: take_seconds(bytes)?, waits: has(WAITS) }
            }
            REFRESH => {
                let index = codec::take_number(bytes)?;
                LockAction::Refresh { index, ttl: take_seconds(bytes)? }
            }
            RENEW => {
                let entry = LockEntry::decode(bytes, flags)?;
                let value = has(HAS_VALUE).then(|| codec::take_text(bytes)).transpose()?;
                LockAction::Renew { entry, value, ttl: take_seconds(bytes)? }
            }
            RELEASE => LockAction::Release { entry: LockEntry::decode(bytes, flags)? },
            _ => {
                let index = codec::take_number(bytes)?;
                let touched = has(HAS_TOUCHED).then(|| codec::take_number(bytes)).transpose()?;
                let keep = has(HAS_KEEP).then(|| take_seconds(bytes)).transpose()?;
                LockAction::Leave { index, touched, keep }
            }
        };
        Ok((dir, action))
    }
}

/// The number of a queue's entry by its name; nothing for a name that no entry has.
pub(crate) fn entry_number(name: &str) -> Option<u64> {
    let is_number = !name.starts_with('0') && name.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| name.parse().ok())?
}

/// Whether a path is that of a lock.
fn is_lock(dir: KeyPath<'_>) -> bool {
    dir.as_str().strip_prefix(LOCK_ROOT).is_some_and(|name| name.starts_with('/'))
}
