//! Keys and values in requests to the API.

use std::io::Write as _;

/// What the server keeps for itself; nobody else may write there.
const RESERVED: [&str; 3] = ["/_etcd/config", "/_etcd/machines", "/_etcd/mod"];

/// Whether a key is the server's own. Its directory `/_etcd` exists on every server.
pub(super) fn is_reserved(key: &str) -> bool {
    let is_in = |dir: &&str| {
        key.strip_prefix(*dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    RESERVED.iter().any(is_in)
}

/// The path of a request about a key.
pub(super) fn key_path(key: &str) -> String {
    let mut path = b"/v2/keys".to_vec();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    encode(key, &mut path, is_plain);
    String::from_utf8(path).expect("what is not plain is escaped")
}

/// One segment of a path: a slash in it is escaped too.
pub(super) fn encode_segment(text: &str) -> String {
    let mut out = Vec::new();
    encode(text, &mut out, |byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte));
    String::from_utf8(out).expect("what is not plain is escaped")
}

/// Appends a value as it is in a form. Only bytes that mean something there are escaped: a value of
/// megabytes must not become three times as long.
pub(super) fn encode_form(value: &str, out: &mut Vec<u8>) {
    encode(value, out, |byte| !is_special_in_form(byte));
}

/// Bytes that mean something in a form, or that a proxy may not pass.
fn is_special_in_form(byte: u8) -> bool {
    matches!(byte, b'%' | b'&' | b'+' | b';' | b'=' | b'#' | 0..=b' ' | 0x7f)
}

fn encode(text: &str, out: &mut Vec<u8>, is_plain: impl Fn(u8) -> bool) {
    for byte in text.bytes() {
        if is_plain(byte) {
            out.push(byte);
        } else {
            // Writing to memory does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_keeps_is_reserved() {
        assert!(is_reserved("/_etcd/machines") && is_reserved("/_etcd/mod/lock/x"));
        assert!(!is_reserved("/_etcd/registry/x") && !is_reserved("/_etcd/configs"));
    }
}
