//! Questions on the terminal: a password, which is not shown, and a choice.

use crate::failure::Failure;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::os::fd::AsFd;

/// Bytes of an answer that are read.
const ANSWER_MAX: u64 = 4096;

/// The terminal at standard input, or else the one of this process, whatever its input is.
fn terminal() -> Option<File> {
    let is_input = io::stdin().is_terminal();
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
    let failed = |error: io::Error| Failure::Local(format!("cannot ask: {error}"));
    let silence = Silence::begin(&tty, LocalModes::ECHONL).map_err(failed)?;
    let asked = write!(tty, "Password of {}: ", user.escape_debug());
    let line = asked.is_ok().then(|| read_line(&tty)).flatten();
    silence.end(&tty).map_err(failed)?;
    asked.map_err(failed)?;
    match line {
        Some(line) => Ok(line),
        None => Err(Failure::Local("no password was given".to_owned())),
    }
}

/// How a terminal was before it stopped to show what is typed.
struct Silence(Termios);

impl Silence {
    /// What is typed before the question is no answer; behind it nothing is thrown away: therefore
    /// this comes first.
    fn begin(tty: impl AsFd, shown: LocalModes) -> io::Result<Self> {
        let before = tcgetattr(&tty)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(shown);
        tcsetattr(&tty, OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }

    fn end(self, tty: impl AsFd) -> io::Result<()> {
        Ok(tcsetattr(tty, OptionalActions::Now, &self.0)?)
    }
}

/// Reads a line of standard input behind a question on standard output, as etcdctl 2 does. A
/// terminal does not show what is typed; the end of the input is an empty line.
///
/// # Errors
/// What reading or writing gave.
pub(crate) fn silent_line(question: &str) -> io::Result<String> {
    let stdin = io::stdin();
    let silence = Silence::begin(&stdin, LocalModes::empty()).ok();
    let mut line = String::new();
    let asked = print_now(question);
    let read = asked.and_then(|()| stdin.lock().take(ANSWER_MAX).read_line(&mut line));
    silence.map_or(Ok(()), |silence| silence.end(&stdin))?;
    read?;
    print_now("\n")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn print_now(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

fn read_line(tty: &File) -> Option<String> {
    let mut line = String::new();
    let read = BufReader::new(tty.take(ANSWER_MAX)).read_line(&mut line).ok()?;
    (read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Asks a question, and gives the answer without blanks around it; nothing if the input is no
/// terminal.
pub(crate) fn ask(question: &str) -> Option<String> {
    let mut tty = terminal().filter(|_| io::stdin().is_terminal())?;
    write!(tty, "{question} ").ok()?;
    read_line(&tty).map(|line| line.trim().to_owned())
}
