//! What must hold of every parser that meets foreign bytes: one claim each, a function that takes
//! any bytes and panics where the claim does not hold.
//!
//! A test runs all of them on kept inputs and on changes of those; the targets under `fuzz/` are
//! these functions, driven by a fuzzer.

mod command;
mod form;
mod http_request;
mod join;
mod lock_request;
mod log_record;
mod old_server;
mod path;
mod peer_member;
mod peer_message;
mod peer_stream;
mod snapshot;

use store::Command;

/// A claim.
pub type Check = fn(&[u8]);

/// All claims by their names: those of the fuzz targets and of the folders of kept inputs.
pub const CHECKS: [(&str, Check); 12] = [
    ("command", command::check),
    ("form", form::check),
    ("http_request", http_request::check),
    ("join", join::check),
    ("lock_request", lock_request::check),
    ("log_record", log_record::check),
    ("old_server", old_server::check),
    ("path", path::check),
    ("peer_member", peer_member::check),
    ("peer_message", peer_message::check),
    ("peer_stream", peer_stream::check),
    ("snapshot", snapshot::check),
];

/// Parts bytes into a body, up to the first question mark, and the query behind it.
fn body_and_query(data: &[u8]) -> (&[u8], &str) {
    let at = data.iter().position(|byte| *byte == b'?').unwrap_or(data.len());
    let (body, query) = data.split_at(at);
    (body, str::from_utf8(query.get(1..).unwrap_or_default()).unwrap_or_default())
}

/// What is logged is one command, which is read from the log as it was written.
fn check_logged(bytes: &[u8]) {
    let mut rest = bytes;
    let read = Command::decode(&mut rest).expect("what is logged can be read");
    assert!(rest.is_empty());
    let mut again = Vec::new();
    read.encode(&mut again);
    assert_eq!(again, bytes);
}

/// Runs one claim.
///
/// # Panics
/// When the claim does not hold, or there is none of that name.
pub fn check(name: &str, data: &[u8]) {
    let (_, check) = CHECKS.iter().find(|(one, _)| *one == name).expect("a claim of that name");
    check(data);
}
