//! Forms and queries of arbitrary bytes: pairs that are escaped and read again are the same, and
//! what is asked of a key can be read from the log again.

use crate::{body_and_query, check_logged};
use server::fuzzing::{command, form};

fn escaped(pairs: &[(String, String)]) -> String {
    let escape = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let pairs = pairs.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// See the module.
pub(crate) fn check(data: &[u8]) {
    let Some((first, data)) = data.split_first() else { return };
    let lenient = form(data, false);
    let strict = form(data, true);
    assert!(lenient.is_some() || data.contains(&b'%'), "only a broken escape is refused");
    match &strict {
        Some(pairs) => assert_eq!(lenient.as_ref(), Some(pairs)),
        None => assert!(lenient.is_none() || data.contains(&b';')),
    }
    if let Some(pairs) = lenient {
        let separators = data.iter().filter(|byte| **byte == b'&').count();
        assert!(pairs.len() <= separators + 1);
        assert_eq!(form(escaped(&pairs).as_bytes(), true), Some(pairs));
    }

    // The body goes up to the first question mark, the query follows.
    let (body, query) = body_and_query(data);
    for is_v2 in [false, true] {
        let Some(bytes) = command(first >> 1, is_v2, query, body) else { continue };
        check_logged(&bytes);
    }
}
