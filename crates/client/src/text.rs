//! Text of others, made harmless for a terminal.

use std::borrow::Cow;

/// Text with its control characters spelled out.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c.is_control())
}

/// The same, but for line ends and tabs, which a value may have.
pub(crate) fn clean_value(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c.is_control() && !matches!(c, '\n' | '\t'))
}

fn escaped(text: &str, is_unsafe: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_unsafe(c) {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    Cow::Owned(out)
}
