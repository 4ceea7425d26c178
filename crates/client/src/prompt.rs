//! Questions on the terminal: a password, which is not shown, and a choice.

use crate::failure::Failure;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};

/// Bytes of an answer that are read.
const ANSWER_MAX: u64 = 4096;

/// The terminal at standard input, or else the one of this process, whatever its input is.
fn terminal() -> Option<File> {
    let is_input = std::io::stdin().is_terminal();
    let path = if is_input { "/dev/stdin" } else { "/dev/tty" };
    let open = OpenOptions::new().read(true).write(true).open(path).ok()?;
    open.is_terminal().then_some(open)
}

/// Asks for a password, which the terminal does not show.
///
/// # Errors
/// [`Failure::Local`] if there is no terminal, or it gives none.
pub(crate) fn password(user: &str) -> Result<String, Failure> {
    let Some(mut tty) = terminal() else {
        return Err(Failure::Local(format!(
            "no password for {user:?}, and no terminal to ask for it: give --user-file FILE, or \
             NAME:PASSWORD in STEAD_USER"
        )));
    };
    let failed = |error: std::io::Error| Failure::Local(format!("cannot ask: {error}"));
    let before = tcgetattr(&tty).map_err(|error| failed(error.into()))?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    silent.local_modes.insert(LocalModes::ECHONL);
    // What is typed before the question is no answer; behind it nothing is thrown away.
    tcsetattr(&tty, OptionalActions::Flush, &silent).map_err(|error| failed(error.into()))?;
    let asked = write!(tty, "Password of {}: ", user.escape_debug());
    let line = asked.is_ok().then(|| read_line(&tty)).flatten();
    let restored = tcsetattr(&tty, OptionalActions::Now, &before);
    restored.map_err(|error| failed(error.into()))?;
    asked.map_err(failed)?;
    match line {
        Some(line) => Ok(line),
        None => Err(Failure::Local("no password was given".to_owned())),
    }
}

fn read_line(tty: &File) -> Option<String> {
    let mut line = String::new();
    let read = BufReader::new(tty.take(ANSWER_MAX)).read_line(&mut line).ok()?;
    (read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Asks a question, and gives the answer without blanks around it; nothing if the input is no
/// terminal.
pub(crate) fn ask(question: &str) -> Option<String> {
    let mut tty = terminal().filter(|_| std::io::stdin().is_terminal())?;
    write!(tty, "{question} ").ok()?;
    read_line(&tty).map(|line| line.trim().to_owned())
}
