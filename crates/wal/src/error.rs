//! What can go wrong with the files.

use crate::seq::Seq;
use std::fmt;
use std::io;

/// The log cannot be used, or not any more.
#[derive(Debug)]
pub enum Error {
    /// A read, write or sync failed. After a failed write or sync the log refuses everything: what
    /// reached the disk is unknown until it is read again at the next start.
    Io {
        /// What was being done, and to which file.
        context: String,
        /// What the disk gave.
        source: io::Error,
    },
    /// There is no room for the record; nothing was written.
    Full,
    /// A record that was durable once cannot be read, and records behind it can.
    Damaged {
        /// The file, relative to the data directory.
        file: String,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        detail: String,
    },
    /// A file is of a version that this program does not know.
    UnknownVersion {
        /// The file, relative to the data directory.
        file: String,
        /// The version that it names.
        version: u8,
    },
    /// A file belongs to the log of another data directory.
    WrongCluster {
        /// The file, relative to the data directory.
        file: String,
    },
    /// The log ends before a record that the snapshot knows to have been durable.
    TooShort {
        /// The last file of the log, relative to the data directory; nothing if there is none.
        file: Option<String>,
        /// The last record that is there.
        found: Seq,
        /// The record that must be.
        reach: Seq,
    },
    /// A record is larger than any may be.
    TooLarge(usize),
    /// An earlier write or sync failed.
    Failed,
}

/// What to do with a directory that cannot be used any more.
pub const REMEDY: &str = "A member of a cluster is started with -force-rejoin: its files are set \
                          aside, and it joins again with what the others have. A machine that is \
                          alone needs a backup (stead restore), or a copy of its whole data \
                          directory";

impl Error {
    /// Whether it only says that there is no room: on the disk, or in the largest file that this
    /// process may have.
    pub fn is_full(&self) -> bool {
        match self {
            Error::Full => true,
            Error::Io { source, .. } => is_full(source),
            _ => false,
        }
    }
}

/// As [`Error::is_full`], for an error of the disk.
pub(crate) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io { context, source } => write!(f, "{context}: {source}"),
            Error::Full => f.write_str("the disk is full: free some room, nothing was written"),
            Error::Damaged { file, offset, detail } => write!(
                f,
                "{file} is damaged at offset {offset}: {detail}. Run `stead check` on \
                  the data directory to see what else is. {REMEDY}"
            ),
            Error::UnknownVersion { file, version } => write!(
                f,
                "{file} is of format version {version}, which this program does not know: start it \
                 with the program that wrote it"
            ),
            Error::WrongCluster { file } => {
                write!(
                    f,
                    "{file} belongs to another data directory: it was written in another cluster \
                     or by another member. Nothing was changed. {REMEDY}"
                )
            }
            Error::TooShort { file: None, reach, .. } => write!(
                f,
                "the log is missing: there is no log-*.wal with record {}, which was durable when \
                 the snapshot was written. Nothing was changed. Put the files back if they are \
                 somewhere. {REMEDY}",
                reach.0
            ),
            Error::TooShort { file: Some(file), found, reach } => write!(
                f,
                "the log is incomplete: {file} ends with record {}, and record {} was durable when \
                 the snapshot was written: files of the log are missing, cut short or older ones. \
                 Nothing was changed. Put the right ones back if they are somewhere. {REMEDY}",
                found.0, reach.0
            ),
            Error::TooLarge(len) => write!(f, "a record of {len} bytes is too large for the log"),
            Error::Failed => f.write_str("the log is closed since an earlier write or sync failed"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<io::Error> for Error {
    fn from(source: io::Error) -> Self {
        Error::Io { context: "data directory".to_owned(), source }
    }
}

/// Says what was being done when the disk gave an error.
pub(crate) trait Context<T> {
    fn context(self, doing: &str, file: &str) -> Result<T, Error>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, doing: &str, file: &str) -> Result<T, Error> {
        self.map_err(|source| Error::Io { context: format!("cannot {doing} {file}"), source })
    }
}

/// Says what was being done where an error of the disk is handed on as such. Its kind is kept.
pub(crate) trait Named<T> {
    fn named(self, doing: &str, file: &str) -> io::Result<T>;
}

impl<T> Named<T> for io::Result<T> {
    fn named(self, doing: &str, file: &str) -> io::Result<T> {
        self.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot {doing} {file}: {error}"))
        })
    }
}
