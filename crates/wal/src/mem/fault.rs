//! What a disk in memory can do wrong, or not at all.

use std::io;

/// What becomes of [`crate::DiskFile::reserve`]. It is a property of the disk: a restart finds it
/// as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reserving {
    /// Room is set aside, as `fallocate` does.
    #[default]
    Works,
    /// There is no such call: zeros are written behind the present end of the file.
    Missing,
    /// As missing, and zeros are written over what is there as well. No disk should, and the log
    /// must not depend on it.
    Overwrites,
    /// The call is refused.
    Refused(io::ErrorKind),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    pub(super) fail_syncs: bool,
    /// Only the next sync fails, as on Linux, which reports a failed write-back once.
    pub(super) fail_next_sync: bool,
    pub(super) fail_reads: bool,
    pub(super) refuse_writes: bool,
    /// Writes find the disk full once there were this many.
    pub(super) refuse_writes_after: Option<u64>,
    pub(super) refuse_dir_syncs: bool,
    pub(super) fail_after: Option<u64>,
    /// Which call fails, by its number, and how.
    pub(super) refused: Option<(u64, io::ErrorKind)>,
    /// Which read from now on finds the bytes of another place, and how far away that is.
    pub(super) misdirected: Option<(u64, u64)>,
}
