//! Users and roles: from files with the hashes of their passwords, from a running server without.
//!
//! They follow the rules of keys. What the target has already is left alone if it is the same, and
//! refused before anything is written if it differs, unless `--force` replaces it; a second run
//! continues one that was interrupted. The password of a user that is there is never changed: what
//! it is cannot be seen. Users never begin to count at a target that runs.

pub(super) mod found;
pub(super) mod plan;
mod request;
pub(super) mod there;
pub(super) mod told;
