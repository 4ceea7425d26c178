//! Texts of others, before they stand in a log line or in an answer.

use std::fmt::Write;
use std::time::Duration;

/// Longest text of another machine that is shown, in characters.
const SHOWN_MAX: usize = 400;

/// A text of another machine for people: control characters are escaped, so that it can neither
/// forge a line nor speak to a terminal, and what is too long is cut.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(SHOWN_MAX));
    let mut rest = text.trim().chars();
    rest.by_ref().take(SHOWN_MAX).for_each(|char| push_escaped(&mut out, char));
    if rest.next().is_some() {
        out.push_str("...");
    }
    out
}

/// The same of a text of any length.
pub fn one_line(text: String) -> String {
    if !text.chars().any(|char| char.is_control() || is_invisible(char)) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    text.chars().for_each(|char| push_escaped(&mut out, char));
    out
}

fn push_escaped(out: &mut String, char: char) {
    if char.is_control() || is_invisible(char) {
        // Writing into a text cannot fail.
        let _ = write!(out, "{}", char.escape_default());
    } else {
        out.push(char);
    }
}

/// Whether a character changes how others are shown and is itself not seen: marks of direction,
/// line and paragraph separators, characters without width.
fn is_invisible(char: char) -> bool {
    let is_mark = matches!(char, '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    is_mark || matches!(char, '\u{2028}'..='\u{202e}')
}

/// A number of bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    let units = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000)];
    match units.into_iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} bytes"),
    }
}

/// A time span for people, of nanoseconds.
pub(crate) fn span(nanos: u64) -> String {
    let ms = nanos / 1_000_000;
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..120_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        120_000..7_200_000 => format!("{} min", ms / 60_000),
        7_200_000..172_800_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} days", ms / 86_400_000),
    }
}

/// The same of a measured time.
pub(crate) fn span_of(took: Duration) -> String {
    span(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_spans_are_for_people() {
        let sizes = [0, 999, 1000, 128_456, 12_900_000, 3_000_000_000].map(size);
        assert_eq!(sizes, ["0 bytes", "999 bytes", "1.0 kB", "128.4 kB", "12.9 MB", "3.0 GB"]);
        let ms = [0, 5, 999, 1000, 61_250, 120_000, 7_200_000, 172_800_000];
        let spans = ms.map(|ms| span(ms * 1_000_000));
        assert_eq!(spans, ["0 ms", "5 ms", "999 ms", "1.0 s", "61.2 s", "2 min", "2 h", "2 days"]);
    }

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
        assert_eq!(one_line("a b".to_owned()), "a b");
        assert_eq!(one_line("a\nERROR b\u{1b}[2J".to_owned()), "a\\nERROR b\\u{1b}[2J");
    }
}
