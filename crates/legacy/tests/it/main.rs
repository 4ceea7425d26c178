//! Directories that real servers of 0.4.9, 2.3.8, 3.4.23 and 3.5.1 left, against what those servers
//! answered just before they were stopped; and the same directories with damage.
//!
//! `data/NAME.tar.gz` is a directory (logs of 3.x are sparse: 64 MB, mostly zeros), and
//! `data/expected-NAME.json.gz` the server's answers: `x-etcd-index`, `keys` (a recursive listing),
//! `hidden` (one for each hidden path), `members` or `machines`, `auth`.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod archive;
mod clusters;
mod damage;
mod expected;
mod layouts;
mod listings;
mod mutations;
mod written;
