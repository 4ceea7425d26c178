//! Forms and queries of the lock and leader modules: what is asked can be read from the log again.

use server::fuzzing::lock_command;
use store::Command;

/// See the module. The first byte says method, module and dialect; the body goes up to the first
/// question mark, the query follows.
pub(crate) fn check(data: &[u8]) {
    let Some((first, data)) = data.split_first() else { return };
    let at = data.iter().position(|byte| *byte == b'?').unwrap_or(data.len());
    let (body, query) = data.split_at(at);
    let query = str::from_utf8(query.get(1..).unwrap_or_default()).unwrap_or_default();
    let Some(bytes) = lock_command(first >> 2, first & 1 == 1, first & 2 == 2, query, body) else {
        return;
    };
    let mut rest = bytes.as_slice();
    let read = Command::decode(&mut rest).expect("what is logged can be read");
    assert!(rest.is_empty());
    let mut again = Vec::new();
    read.encode(&mut again);
    assert_eq!(again, bytes);
}
