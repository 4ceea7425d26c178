//! Why a source is refused.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Bytes that are not what a server wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// Where in it the record, entry or field begins that cannot be read, in bytes.
    pub offset: u64,
    /// What is wrong there.
    pub what: String,
    /// The raft index of the last entry before it; nothing if the damage is in a snapshot.
    pub last_good: Option<u64>,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: damaged at offset {}: {}", self.file.display(), self.offset, self.what)?;
        match self.last_good {
            Some(0) => f.write_str("; no entry before it"),
            Some(index) => write!(f, "; the last good entry has raft index {index}"),
            None => Ok(()),
        }
    }
}

/// Why a source holds no keys of the v2 API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoData {
    /// A standby of 0.4, which holds no data; the client URLs of the members that do.
    Standby(Vec<String>),
    /// A proxy of 2.x or 3.x.
    Proxy,
    /// The backend of the v3 API (`snap/db`, or what the v3 `snapshot save` wrote).
    V3Backend,
    /// A store without keys of clients. An older snapshot may have some.
    NoKeys {
        /// The newest of the older snapshots in the directory that has keys.
        older: Option<PathBuf>,
    },
}

/// Why nothing was read. Each message says what to do.
#[derive(Debug)]
pub enum Error {
    /// The system refused an operation.
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// The directory is none of an etcd 0.2 to 3.5.
    UnknownDir(PathBuf),
    /// The file is none of those that can be read.
    UnknownFile {
        /// The file.
        path: PathBuf,
        /// What it seems to be, and what to do.
        what: String,
    },
    /// The source belongs to a server that has no keys, or is empty.
    NoData {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        why: NoData,
    },
    /// A server has the directory open.
    InUse(PathBuf),
    /// There are snapshots, but no write-ahead log: the server had it elsewhere.
    WalElsewhere(PathBuf),
    /// A file is damaged.
    Damage {
        /// Where.
        damage: Damage,
        /// Whether `accept_damage` would import what comes before it.
        can_be_accepted: bool,
    },
    /// Entries or files are missing, so that the rest would give wrong keys.
    Missing {
        /// The directory.
        path: PathBuf,
        /// What is missing, and how that is known.
        what: String,
        /// A snapshot that can be imported alone, without what came after it.
        snapshot: Option<PathBuf>,
    },
    /// The entry is of a kind that is not supported.
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The raft index of the entry.
        index: u64,
        /// What it is.
        what: String,
    },
    /// The directories that were given together do not belong together.
    Mismatch {
        /// Two of them.
        paths: (PathBuf, PathBuf),
        /// How that is known.
        what: String,
    },
    /// The options do not fit the source.
    Options(String),
}

impl Error {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Error::Io { path: path.to_owned(), source }
    }

    /// Damage that leaves nothing to import.
    pub(crate) fn damage(path: &Path, offset: u64, what: impl Into<String>) -> Self {
        let file = path.to_owned();
        let damage = Damage { file, offset, what: what.into(), last_good: None };
        Error::Damage { damage, can_be_accepted: false }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io { path, source } => write!(f, "cannot read {}: {source}", path.display()),
            Error::UnknownDir(path) => write!(
                f,
                "{} is not a data directory of etcd 0.2 to 3.5: it has none of member/wal, \
                 member/snap, wal, snap, log, snapshot and standby_info",
                path.display()
            ),
            Error::UnknownFile { path, what } => write!(f, "{}: {what}", path.display()),
            Error::NoData { path, why } => no_data(f, path, why),
            Error::InUse(path) => write!(
                f,
                "{} is in use by a running server: stop it first, or read it with --live and \
                 accept that the last writes may be missing",
                path.display()
            ),
            Error::WalElsewhere(path) => write!(
                f,
                "{} has a folder of snapshots but no write-ahead log: if the server had --wal-dir, \
                 name that directory with --wal-dir; otherwise import the newest snapshot in it \
                 alone with --from-snapshot, without what was written after it",
                path.display()
            ),
            Error::Damage { damage, can_be_accepted: true } => {
                write!(f, "{damage}. --accept-damage imports what comes before it")
            }
            Error::Damage { damage, can_be_accepted: false } => {
                write!(f, "{damage}. Use the directory of another member, or a backup of this file")
            }
            Error::Missing { path, what, snapshot } => {
                write!(f, "{}: {what}. Nothing was imported. ", path.display())?;
                match snapshot {
                    Some(file) => write!(
                        f,
                        "Restore what is missing, or import the snapshot alone with \
                         --from-snapshot {}, without what was written after it",
                        file.display()
                    ),
                    None => f.write_str(
                        "Restore what is missing, or use the directory of another member",
                    ),
                }
            }
            Error::Unsupported { path, index, what } => {
                write!(f, "{}: the entry with raft index {index} {what}", path.display())
            }
            Error::Mismatch { paths: (one, other), what } => write!(
                f,
                "{} and {} are not of the same cluster: {what}",
                one.display(),
                other.display()
            ),
            Error::Options(what) => f.write_str(what),
        }
    }
}

fn no_data(f: &mut fmt::Formatter<'_>, path: &Path, why: &NoData) -> fmt::Result {
    write!(f, "{} ", path.display())?;
    match why {
        NoData::Standby(members) => {
            f.write_str("belongs to a standby of etcd 0.4, which holds no keys: ")?;
            match members.as_slice() {
                [] => f.write_str("use the directory of a member of its cluster"),
                members => {
                    write!(f, "use the directory of a member ({})", members.join(", "))
                }
            }
        }
        NoData::Proxy => f.write_str(
            "belongs to a proxy of etcd 2.x or 3.x, which holds no keys: use the directory of a \
             member",
        ),
        NoData::V3Backend => f.write_str(
            "is a backend of the v3 API, which holds no keys of the v2 API: those are in \
             member/wal and in member/snap/*.snap",
        ),
        NoData::NoKeys { older } => {
            f.write_str("has no keys of the v2 API in it")?;
            match older {
                Some(file) => write!(
                    f,
                    ", but an older snapshot has: import it with --from-snapshot {}",
                    file.display()
                ),
                None => Ok(()),
            }
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
