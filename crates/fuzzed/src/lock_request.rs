//! Forms and queries of the lock and leader modules: what is asked can be read from the log again.

use crate::{body_and_query, check_logged};
use server::fuzzing::lock_command;

/// See the module. The first byte says method, module and dialect; the body goes up to the first
/// question mark, the query follows.
pub(crate) fn check(data: &[u8]) {
    let Some((first, data)) = data.split_first() else { return };
    let (body, query) = body_and_query(data);
    if let Some(bytes) = lock_command(first >> 2, first & 1 == 1, first & 2 == 2, query, body) {
        check_logged(&bytes);
    }
}
