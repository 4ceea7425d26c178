//! Text of others, made harmless for a terminal.

use std::borrow::Cow;

/// Text with its control characters spelled out, and those that are not seen and change how others
/// are shown: a name must not look like another one.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c.is_control() || is_invisible(c))
}

/// The same, but for line ends and tabs, which a value may have.
pub(crate) fn clean_value(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c.is_control() && !matches!(c, '\n' | '\t') || turns(c))
}

/// Marks of direction, line and paragraph separators, characters without width.
fn is_invisible(c: char) -> bool {
    turns(c) || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Characters that change the direction or the line of what follows.
fn turns(c: char) -> bool {
    matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_does_not_look_like_another_one() {
        assert_eq!(clean("a\u{202e}b\u{200b}\x1b[2J"), "a\\u{202e}b\\u{200b}\\u{1b}[2J");
        assert_eq!(clean("gr\u{f6}\u{df}e \u{540d}"), "gr\u{f6}\u{df}e \u{540d}");
        // A value may have lines, and what joins the parts of a picture.
        assert_eq!(clean_value("a\n\tb\u{200d}c\x07\u{2066}"), "a\n\tb\u{200d}c\\u{7}\\u{2066}");
    }
}
