//! Percent-encoding, forms and clean paths (spec keys.md sections 1 to 3).

use std::borrow::Cow;

/// An escape that is none: the text from its percent sign on, at most three characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadEscape(pub(crate) String);

/// Decodes escapes, and `+` as a space where it means one. Bytes that are not UTF-8 become U+FFFD.
pub(crate) fn decode(text: &str, plus_is_space: bool) -> Result<Cow<'_, str>, BadEscape> {
    let is_plain = |byte: u8| byte != b'%' && !(plus_is_space && byte == b'+');
    if text.bytes().all(is_plain) {
        return Ok(Cow::Borrowed(text));
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'%' => {
                let digit =
                    |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
                let (Some(high), Some(low)) = (digit(at + 1), digit(at + 2)) else {
                    let end = bytes.len().min(at + 3);
                    let shown = bytes.get(at..end).unwrap_or_default();
                    return Err(BadEscape(String::from_utf8_lossy(shown).into_owned()));
                };
                out.push(u8::try_from(high * 16 + low).unwrap_or_default());
                at += 3;
            }
            b'+' if plus_is_space => {
                out.push(b' ');
                at += 1;
            }
            byte => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    let text = String::from_utf8(out)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    Ok(Cow::Owned(text))
}

/// A path for a `Location` header: everything but what may stand in a path as it is, escaped.
pub(crate) fn encode_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The lexically clean form of a path, or nothing if it is clean: no empty, `.` or `..` components;
/// a trailing slash stays.
pub(crate) fn clean(path: &str) -> Option<String> {
    let rest = path.strip_prefix('/').unwrap_or(path);
    let inner = rest.strip_suffix('/').unwrap_or(rest);
    let is_clean = path.starts_with('/')
        && (rest.is_empty() || inner.split('/').all(|part| !matches!(part, "" | "." | "..")));
    if is_clean {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let mut out = format!("/{}", parts.join("/"));
    if path.ends_with('/') && out.len() > 1 {
        out.push('/');
    }
    Some(out)
}

/// Why a form cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BadForm {
    /// An escape that is none.
    Escape(BadEscape),
    /// A semicolon, where the dialect does not take it for data.
    Semicolon,
}

/// Calls `field` for each pair of a form or a query.
pub(crate) fn each_field<'a>(
    text: &'a str,
    refuse_semicolons: bool,
    mut field: impl FnMut(&str, Cow<'a, str>),
) -> Result<(), BadForm> {
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        if refuse_semicolons && pair.contains(';') {
            return Err(BadForm::Semicolon);
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(name, true).map_err(BadForm::Escape)?;
        field(&name, decode(value, true).map_err(BadForm::Escape)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_decode_once_and_bad_ones_are_shown() {
        for (text, plus, want) in [
            ("a%20b", false, "a b"),
            ("a+b", false, "a+b"),
            ("a+b", true, "a b"),
            ("%2525", true, "%25"),
            ("%E4%BD%A0", false, "\u{4f60}"),
            ("%ff%fe", false, "\u{fffd}\u{fffd}"),
            ("a%00b", false, "a\0b"),
        ] {
            assert_eq!(decode(text, plus).as_deref(), Ok(want), "{text}");
        }
        for (text, shown) in [("%zz", "%zz"), ("a%", "%"), ("a%1", "%1"), ("%1x%20", "%1x")] {
            assert_eq!(decode(text, true), Err(BadEscape(shown.to_owned())));
        }
    }

    #[test]
    fn paths_are_cleaned_as_the_specification_says() {
        for (path, want) in [
            ("/v2/keys//a", "/v2/keys/a"),
            ("/v2/keys/a/./b", "/v2/keys/a/b"),
            ("/v2/keys/../b", "/v2/b"),
            ("/v2/keys/.", "/v2/keys"),
            ("/v2/keys/..", "/v2"),
            ("/v2/keys/a//", "/v2/keys/a/"),
            ("/../../x", "/x"),
            ("//", "/"),
            ("x", "/x"),
        ] {
            assert_eq!(clean(path).as_deref(), Some(want), "{path}");
        }
        for path in ["/", "/v2/keys/", "/v2/keys/a/", "/v2/keys/...", "/v2/keys/a.b"] {
            assert_eq!(clean(path), None, "{path}");
        }
        assert_eq!(encode_path("/a b?c\u{4f60};"), "/a%20b%3Fc%E4%BD%A0;");
    }
}
