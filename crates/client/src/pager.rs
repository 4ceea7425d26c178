//! Long output on a terminal goes through a pager, as that of git does.

use crate::failure::Failure;
use std::io::{self, BufWriter, Write};
use std::process::{Child, Command, Stdio};

/// Bytes that are gathered before they are written: the first page is there soon.
const BUFFER_BYTES: usize = 8 << 10;

/// Where long output goes.
pub(crate) struct Pager {
    child: Option<Child>,
    out: Option<BufWriter<Box<dyn Write>>>,
}

impl Pager {
    /// Starts `$PAGER`, or `less`, if one is wanted and there; else the output goes straight out.
    pub(crate) fn start(is_wanted: bool) -> Self {
        let child = if is_wanted { spawn() } else { None };
        let (child, sink): (_, Box<dyn Write>) = match child {
            Some(mut child) => match child.stdin.take() {
                Some(stdin) => (Some(child), Box::new(stdin)),
                None => (Some(child), Box::new(io::stdout())),
            },
            None => (None, Box::new(io::stdout())),
        };
        Self { child, out: Some(BufWriter::with_capacity(BUFFER_BYTES, sink)) }
    }

    pub(crate) fn output(&mut self) -> &mut dyn Write {
        match &mut self.out {
            Some(out) => out,
            None => unreachable!("it is taken at the end only"),
        }
    }

    /// Waits for the reader's end.
    ///
    /// # Errors
    /// [`Failure`] if what was written could not be; a reader who has seen enough is none.
    pub(crate) fn finish(mut self, written: io::Result<()>) -> Result<(), Failure> {
        let flushed = self.out.take().map_or(Ok(()), |mut out| out.flush());
        let written = written.and(flushed);
        let Some(mut child) = self.child.take() else {
            return written.map_err(|error| Failure::of_output(&error));
        };
        // However a pager ends, the output was shown.
        let _ = child.wait();
        match written {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::of_output(&error))
            }
            _ => Ok(()),
        }
    }
}

fn spawn() -> Option<Child> {
    let named = std::env::var("PAGER").ok();
    let mut command = match named.as_deref().map(str::trim) {
        Some("" | "cat") => return None,
        Some(words) => {
            let mut command = Command::new("sh");
            command.args(["-c", words]);
            command
        }
        None => {
            let mut command = Command::new("less");
            command.arg("-R");
            command
        }
    };
    if std::env::var_os("LESS").is_none() {
        // It ends by itself if all fits on the screen, keeps colours, and leaves the text there.
        command.env("LESS", "FRX");
    }
    command.stdin(Stdio::piped()).spawn().ok()
}
