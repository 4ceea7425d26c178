//! Percent-encoding, forms and clean paths (docs/spec/keys.md sections 1 to 3).

use std::borrow::Cow;

/// An escape that is none: the text from its percent sign on, at most three characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadEscape(pub(crate) String);

/// Decodes escapes, and `+` as a space where it means one. Bytes that are not UTF-8 become U+FFFD.
pub(crate) fn decode(text: &str, plus_is_space: bool) -> Result<Cow<'_, str>, BadEscape> {
    decode_bytes(text.as_bytes(), plus_is_space)
}

fn decode_bytes(bytes: &[u8], plus_is_space: bool) -> Result<Cow<'_, str>, BadEscape> {
    let is_plain = |byte: u8| byte != b'%' && !(plus_is_space && byte == b'+');
    if bytes.iter().all(|byte| is_plain(*byte)) {
        return Ok(match str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => Cow::Owned(repair(bytes)),
        });
    }
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
                    return Err(BadEscape(repair(shown)));
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
    Ok(Cow::Owned(String::from_utf8(out).unwrap_or_else(|error| repair(error.as_bytes()))))
}

/// Text with U+FFFD for each byte that is not UTF-8 (docs/spec/keys.md section 1).
fn repair(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    out
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
    form: &'a [u8],
    refuse_semicolons: bool,
    mut field: impl FnMut(&str, Cow<'a, str>),
) -> Result<(), BadForm> {
    for pair in form.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        if refuse_semicolons && pair.contains(&b';') {
            return Err(BadForm::Semicolon);
        }
        let (name, value) = match memchr::memchr(b'=', pair) {
            Some(at) => pair.split_at(at),
            None => (pair, &b"="[..]),
        };
        let name = decode_bytes(name, true).map_err(BadForm::Escape)?;
        let value = value.get(1..).unwrap_or_default();
        field(&name, decode_bytes(value, true).map_err(BadForm::Escape)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
