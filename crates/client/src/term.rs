//! What is printed, and how: colours and tables on a terminal only, and nothing of a server's that
//! a terminal would take for a command.

use crate::failure::Failure;
use crate::text::{clean, clean_value};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

/// What a text is, for its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Dir,
    Faint,
    Good,
    Bad,
    Note,
}

impl Tone {
    fn number(self) -> &'static str {
        match self {
            Self::Dir => "1;34",
            Self::Faint => "2",
            Self::Good => "32",
            Self::Bad => "1;31",
            Self::Note => "33",
        }
    }
}

fn allows_colour() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Where the output goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    pub(crate) is_terminal: bool,
    is_coloured: bool,
}

impl Screen {
    pub(crate) fn of_stdout() -> Self {
        let is_terminal = io::stdout().is_terminal();
        Self { is_terminal, is_coloured: is_terminal && allows_colour() }
    }

    pub(crate) fn of_stderr() -> Self {
        let is_terminal = io::stderr().is_terminal();
        Self { is_terminal, is_coloured: is_terminal && allows_colour() }
    }

    #[cfg(test)]
    pub(crate) fn fixed(is_terminal: bool, is_coloured: bool) -> Self {
        Self { is_terminal, is_coloured }
    }

    /// The text in its colour, where there are colours.
    pub(crate) fn paint<'a>(self, tone: Tone, text: impl Into<Cow<'a, str>>) -> Cow<'a, str> {
        let text = text.into();
        match self.is_coloured {
            true => Cow::Owned(format!("\x1b[{}m{text}\x1b[0m", tone.number())),
            false => text,
        }
    }

    /// A value of a key: as it is for programs, and harmless for a terminal.
    pub(crate) fn value(self, text: &str) -> Cow<'_, str> {
        if self.is_terminal { clean_value(text) } else { Cow::Borrowed(text) }
    }

    /// The name of a key, which is one line.
    pub(crate) fn name(self, text: &str) -> Cow<'_, str> {
        if self.is_terminal { clean(text) } else { Cow::Borrowed(text) }
    }
}

/// Writes to standard output.
///
/// # Errors
/// [`Failure`] if nobody reads it, or it cannot be written.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

/// The same for bytes.
///
/// # Errors
/// As [`print`].
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = out.write_all(bytes).and_then(|()| out.flush());
    written.map_err(|error| Failure::of_output(&error))
}

/// Writes a line to standard error.
pub(crate) fn say(line: &str) {
    // Nobody is left to tell if this fails.
    let _ = writeln!(io::stderr(), "{line}");
}

/// Rows with columns of the same width on a terminal, and with tabs between them elsewhere.
pub(crate) fn table(screen: Screen, head: &[&str], rows: &[Vec<String>]) -> String {
    let mut out = String::new();
    if !screen.is_terminal {
        for row in rows {
            let _ = writeln!(out, "{}", row.join("\t"));
        }
        return out;
    }
    let rows: Vec<Vec<Cow<'_, str>>> =
        rows.iter().map(|row| row.iter().map(|cell| clean(cell)).collect()).collect();
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count());
        cells.chain([head[at].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let first = line(&mut head.iter().copied());
    let _ = writeln!(out, "{}", screen.paint(Tone::Faint, first));
    for row in &rows {
        let _ = writeln!(out, "{}", line(&mut row.iter().map(AsRef::as_ref)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_no_commands_of_others_and_programs_get_all_bytes() {
        let (terminal, pipe) = (Screen::fixed(true, false), Screen::fixed(false, false));
        assert_eq!(terminal.value("a\x1b[2J\n\tb\u{9b}"), "a\\u{1b}[2J\n\tb\\u{9b}");
        assert_eq!(terminal.name("a\nb"), "a\\nb");
        assert_eq!(pipe.value("a\x1b[2J"), "a\x1b[2J");
        assert_eq!(pipe.paint(Tone::Dir, "d"), "d");
        assert_eq!(Screen::fixed(true, true).paint(Tone::Dir, "d"), "\x1b[1;34md\x1b[0m");
    }

    #[test]
    fn tables_are_aligned_for_people_and_have_tabs_for_programs() {
        let rows = [vec!["a".to_owned(), "long".to_owned()], vec!["bcd".to_owned(), String::new()]];
        let of = |is_terminal| table(Screen::fixed(is_terminal, false), &["N", "VALUE"], &rows);
        assert_eq!(of(true), "N    VALUE\na    long\nbcd\n");
        assert_eq!(of(false), "a\tlong\nbcd\t\n");
    }
}
