//! Paths of arbitrary text, from their escapes to the key: a clean path names a clean key, and a
//! client that is sent elsewhere arrives.

use server::fuzzing::{location, path};
use store::PathError;

fn check_text(text: &str) {
    let Some(found) = path(text) else {
        assert!(text.contains('%'), "only a broken escape is refused");
        return;
    };
    assert!(found.encoded.bytes().all(|byte| byte.is_ascii_graphic()));
    let again = path(&found.encoded).expect("our own escapes are sound");
    assert_eq!(again, found);
    if let Some(clean) = &found.redirect {
        assert_ne!(*clean, found.decoded);
        let there = path(&location(clean)).expect("our own escapes are sound");
        assert_eq!(there.decoded, *clean);
        assert_eq!(there.redirect, None, "a redirect leads to another one");
    }
    match found.key {
        Some(Ok(key)) if key == "/" => {
            let rest = found.decoded.strip_prefix("/v2/keys").expect("that names the root");
            assert!(matches!(rest, "" | "/"));
        }
        Some(Ok(key)) => {
            let rest = found.decoded.strip_prefix("/v2/keys").expect("that names a key");
            assert_eq!(rest.strip_suffix('/').unwrap_or(rest), key);
        }
        Some(Err(error)) => assert_eq!(error, PathError::TooDeep, "a clean path, an unclean key"),
        None => {}
    }
}

/// See the module.
pub(crate) fn check(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    check_text(text);
    check_text(&format!("/v2/keys/{text}"));
}
