//! Texts of others, before they stand in a log line or in an answer.

use std::fmt::Write;

/// Longest text of another machine that is shown, in characters.
const SHOWN_MAX: usize = 400;

/// A text of another machine for people: control characters are escaped, so that it can neither
/// forge a line nor speak to a terminal, and what is too long is cut.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(SHOWN_MAX));
    let mut rest = text.trim().chars();
    for char in rest.by_ref().take(SHOWN_MAX) {
        if char.is_control() || is_invisible(char) {
            // Writing into a text cannot fail.
            let _ = write!(out, "{}", char.escape_default());
        } else {
            out.push(char);
        }
    }
    if rest.next().is_some() {
        out.push_str("...");
    }
    out
}

/// Whether a character changes how others are shown and is itself not seen: marks of direction,
/// line and paragraph separators, characters without width.
fn is_invisible(char: char) -> bool {
    let is_mark = matches!(char, '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    is_mark || matches!(char, '\u{2028}'..='\u{202e}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_forges_a_line_or_speaks_to_a_terminal() {
        assert_eq!(
            printable(" no\n2026 INFO all is well\u{1b}[2J\r\n"),
            "no\\n2026 INFO all is well\\u{1b}[2J"
        );
        assert_eq!(printable("a\u{202e}b\u{9b}\u{0}\tc"), "a\\u{202e}b\\u{9b}\\u{0}\\tc");
        assert_eq!(printable("gr\u{f6}\u{df}er als \"1\""), "gr\u{f6}\u{df}er als \"1\"");
        let long = printable(&"\u{1}".repeat(100_000));
        assert_eq!((long.len(), long.ends_with("...")), (SHOWN_MAX * 5 + 3, true));
        assert_eq!(printable(""), "");
    }
}
