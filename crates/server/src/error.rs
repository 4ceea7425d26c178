//! Why a server does not start, or does not go on.

use replica::Fatal;
use std::fmt;
use std::io;
use std::path::Path;

/// A sentence for the operator.
#[derive(Debug)]
pub enum StartError {
    /// The data directory cannot be used.
    DataDir(String),
    /// A port cannot be listened on.
    Listen {
        /// The address.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// The process was started with a socket at an address where it is not to listen.
    Inherited(String),
    /// The machine could not become a member of its cluster.
    Join(String),
    /// The member cannot go on.
    Member(Fatal),
    /// The system gives this process too little to work with.
    Limit(String),
    /// A certificate or a key cannot be used.
    Tls(String),
    /// The audit log cannot be opened.
    Audit(io::Error),
    /// The operating system refused something that a server needs.
    System(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::DataDir(detail)
            | StartError::Join(detail)
            | StartError::Limit(detail)
            | StartError::Tls(detail) => f.write_str(detail),
            StartError::Listen { address, source } if source.kind() == io::ErrorKind::AddrInUse => {
                write!(
                    f,
                    "cannot listen on {address}: the address is in use: stop the process that \
                     listens there, or choose another address"
                )
            }
            StartError::Listen { address, source } => {
                write!(f, "cannot listen on {address}: {source}")
            }
            StartError::Inherited(at) => write!(
                f,
                "the service manager passed a socket at {at}, and no flag names that address: add \
                 it to -bind-addr or -peer-bind-addr, or remove it from the socket unit"
            ),
            StartError::Member(fatal) => fatal.fmt(f),
            StartError::Audit(source) => write!(f, "cannot open the audit log: {source}"),
            StartError::System(source) => write!(f, "the operating system refused: {source}"),
        }
    }
}

impl StartError {
    /// Says on which data directory a member failed; a machine may have several.
    pub(crate) fn on(self, data_dir: &Path) -> Self {
        let StartError::Member(fatal) = &self else { return self };
        let (name, text) = (data_dir.display().to_string(), fatal.to_string());
        if text.contains(&name) { self } else { StartError::DataDir(format!("{name}: {text}")) }
    }
}

impl std::error::Error for StartError {}

impl From<io::Error> for StartError {
    fn from(source: io::Error) -> Self {
        StartError::System(source)
    }
}

impl From<Fatal> for StartError {
    fn from(fatal: Fatal) -> Self {
        StartError::Member(fatal)
    }
}
