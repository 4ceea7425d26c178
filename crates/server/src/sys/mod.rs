//! What the system gives: files, clocks, and the limits of the process.

pub(crate) mod backup_file;
pub(crate) mod clock;
pub(crate) mod disk;
pub(crate) mod inherited;
pub(crate) mod ports;
pub(crate) mod process;
pub(crate) mod pulse;
pub(crate) mod raft_log;
pub(crate) mod reload;
pub(crate) mod signal;
