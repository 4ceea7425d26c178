//! What requests to `/v2/auth` wait for.

use crate::api::asker::Asker;
use store::{AuthChange, Principal};

/// What is read.
#[derive(Debug)]
pub(super) enum Wanted {
    Enabled,
    Users,
    User(String),
    Roles,
    Role(String),
}

/// A read that waits for its read index.
#[derive(Debug)]
pub(crate) struct AuthRead {
    pub(super) wanted: Wanted,
    pub(super) asker: Asker,
}

/// A change that waits for the hash of a password.
#[derive(Debug)]
pub(crate) struct AuthWish {
    pub(super) change: AuthChange,
    pub(super) name: String,
    pub(super) who: Principal,
}
