//! The files that an open log holds, by what they are for now.

use crate::segment::{self, HEADER_LEN};

/// The segment that takes records now.
#[derive(Debug)]
pub(crate) struct Active<F> {
    pub(crate) name: String,
    pub(crate) file: F,
    pub(crate) first_seq: u64,
    pub(crate) seed: u32,
    /// Where the next record goes; zero while not even the header is written.
    pub(crate) at: u64,
    /// How far it can be written without asking the disk for more room.
    pub(crate) end: u64,
    pub(crate) mark_max: u64,
    /// Whether its blocks have been written before, so that a sync costs no metadata.
    pub(crate) is_filled: bool,
}

impl<F> Active<F> {
    /// The bytes that a record with `payload_len` bytes of payload adds.
    pub(crate) fn need(&self, payload_len: usize) -> u64 {
        let header = if self.at == 0 { HEADER_LEN } else { 0 };
        header + segment::record_len(payload_len)
    }

    pub(crate) fn fits(&self, need: u64) -> bool {
        self.at.saturating_add(need) <= self.end
    }
}

/// A segment that only waits to be replaced by a snapshot.
#[derive(Debug)]
pub(crate) struct Closed {
    pub(crate) name: String,
    pub(crate) first_seq: u64,
    pub(crate) len: u64,
    pub(crate) mark_max: u64,
    pub(crate) is_filled: bool,
}

/// A file that can become a segment. It is open already, so that no limit on open files can be in
/// the way then.
#[derive(Debug)]
pub(crate) struct Spare<F> {
    pub(crate) name: String,
    pub(crate) file: F,
    pub(crate) len: u64,
    pub(crate) is_filled: bool,
    /// It may be used once this record is durable. See [`Wal::release`].
    pub(crate) usable_from: u64,
}

/// A segment that was left, and that does not say yet where the log goes on.
#[derive(Debug)]
pub(crate) struct Left<F> {
    pub(crate) name: String,
    pub(crate) file: F,
    pub(crate) first_seq: u64,
    pub(crate) seed: u32,
    /// Where its records end.
    pub(crate) at: u64,
    /// The first record of the next segment.
    pub(crate) next: u64,
}

/// A file that was written since it was last synced.
#[derive(Debug)]
pub(crate) struct Unsynced<F> {
    pub(crate) file: F,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
}
