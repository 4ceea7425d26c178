//! Snapshots: their format, their writing, their way to other members, and their installation.

pub(crate) mod backup;
pub(crate) mod format;
pub(crate) mod install;
pub(crate) mod job;
pub(crate) mod transfer;
