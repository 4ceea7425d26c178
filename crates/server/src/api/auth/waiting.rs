//! What requests to `/v2/auth` wait for.

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
    pub(super) who: Principal,
    /// Whether the caller has shown what counts as root.
    pub(super) is_let_in: bool,
}

/// A change that waits for the hash of a password.
#[derive(Debug)]
pub(crate) struct AuthWish {
    pub(super) change: AuthChange,
    pub(super) name: String,
    pub(super) who: Principal,
}
