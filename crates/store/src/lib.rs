//! The key space: a pure, synchronous, deterministic state machine.
//!
//! [`Store::apply`] turns a [`Command`] into an [`Event`] or a [`StoreError`]. It reads no clock,
//! does no I/O and knows nothing of terms, sockets or HTTP: time arrives inside a [`Stamp`], so
//! that two members that apply the same commands hold the same bytes.

// clippy.toml says which: no clocks, threads, files, sockets or randomness.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod apply;
mod auth;
mod bloom;
mod change;
mod codec;
mod command;
mod error;
mod event;
mod expiry;
mod given;
mod growth;
mod hash;
mod history;
mod limits;
mod load;
mod lock;
mod name;
mod node;
mod path;
mod queue;
mod reserved;
mod snapshot;
mod stats;
mod store;
mod time;
mod tree;
mod watch;

pub use auth::{
    AUTH_BYTES_MAX, Access, Auth, AuthChange, AuthDone, Author, GUEST, GivenUser, Principal, ROOT,
    Right, Rights, User, UserId,
};
pub use codec::DecodeError;
pub use command::{Command, INDEX_RAISED_MAX, InOrder, InternalWrite};
pub use error::{ErrorCode, StoreError};
pub use event::{Action, Event};
pub use given::{GivenError, GivenEvent, GivenNode, StoreBuilder};
pub use limits::Limits;
pub use lock::{LOCK_ANONYMOUS, LOCK_ROOT, LockAction, LockEntry, LockOutcome, LockState};
pub use node::{Children, Dir, File, Node, Totals, is_hidden};
pub use path::{DEPTH_MAX, KeyPath, PathError};
pub use stats::{Counter, Refused, StoreStats};
pub use store::{Applied, Store, StoreSnapshot};
pub use time::{Lease, Stamp, StoreIndex, Timestamp, WallOffset};
pub use watch::{Wake, WatchFilter, WatcherId};
