//! What audit lines are written to.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// The socket of systemd's journal.
const JOURNAL: &str = "/run/systemd/journal/socket";

/// Where audit lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditTarget {
    /// Appended to a file, which is opened again at SIGHUP.
    File(PathBuf),
    /// Standard error, between the lines of the log.
    Stderr,
    /// systemd's journal, with the identifier `stead-audit`.
    Journald,
}

/// An open target.
pub(super) enum Sink {
    File { path: PathBuf, file: io::BufWriter<File> },
    Stderr,
    Journald(Journal),
}

/// A journal that lines are sent to, in its native protocol.
pub(super) struct Journal {
    path: PathBuf,
    socket: UnixDatagram,
}

impl Journal {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let (socket, path) = (UnixDatagram::unbound()?, path.to_owned());
        let journal = Self { path, socket };
        journal.connect()?;
        Ok(journal)
    }

    fn connect(&self) -> io::Result<()> {
        self.socket.connect(&self.path).map_err(|error| {
            io::Error::new(error.kind(), format!("the journal at {}: {error}", self.path.display()))
        })
    }

    fn send(&self, line: &str) -> io::Result<()> {
        let text = format!("MESSAGE={line}\nPRIORITY=6\nSYSLOG_IDENTIFIER=stead-audit\n");
        let sent = self.socket.send(text.as_bytes());
        // A journal that was restarted may listen on a socket of its own.
        let sent =
            sent.or_else(|_| self.connect().and_then(|()| self.socket.send(text.as_bytes())));
        sent.map(drop)
    }
}

fn open(path: &Path) -> io::Result<io::BufWriter<File>> {
    let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    opened.map(io::BufWriter::new).map_err(named)
}

impl Sink {
    /// # Errors
    /// What the system gave, with the name of the file or the socket.
    pub(super) fn open(target: &AuditTarget) -> io::Result<Self> {
        match target {
            AuditTarget::File(path) => Ok(Sink::File { path: path.clone(), file: open(path)? }),
            AuditTarget::Stderr => Ok(Sink::Stderr),
            AuditTarget::Journald => Ok(Sink::Journald(Journal::open(Path::new(JOURNAL))?)),
        }
    }

    /// Writes one line. It may reach a file with the next [`Sink::flush`] only.
    ///
    /// # Errors
    /// What the system gave.
    pub(super) fn write(&mut self, line: &str) -> io::Result<()> {
        match self {
            Sink::File { path, file } => {
                let written = file.write_all(line.as_bytes()).and_then(|()| file.write_all(b"\n"));
                written.map_err(|error| {
                    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
                })
            }
            Sink::Stderr => writeln!(io::stderr().lock(), "{line}"),
            Sink::Journald(journal) => journal.send(line),
        }
    }

    /// Writes that lines were lost, if any were.
    ///
    /// # Errors
    /// What the system gave.
    pub(super) fn tell_lost(&mut self, lost: u64, machine: &str) -> io::Result<()> {
        if lost == 0 {
            return Ok(());
        }
        let machine = serde_json::Value::from(machine);
        self.write(&format!("{{\"machine\":{machine},\"lost\":{lost}}}"))
    }

    /// Lets all lines reach the system.
    ///
    /// # Errors
    /// What the system gave.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Sink::File { file, .. } => file.flush(),
            Sink::Stderr | Sink::Journald(_) => Ok(()),
        }
    }

    /// Opens a file anew: somebody has moved the old one away.
    ///
    /// # Errors
    /// What the system gave; the old file is still written to then.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        self.flush()?;
        if let Sink::File { path, file } = self {
            *file = open(path)?;
        }
        Ok(())
    }

    /// The process ends.
    pub(super) fn finish(&mut self) {
        // There is nobody left to tell.
        let _ = self.flush();
    }
}
