//! What one record of the durable log carries: raft's hard state, this machine's clocks and the new
//! entries, so that one sync is enough for all of them.
//!
//! ```text
//! version u8 | term u64 | vote u64 | commit u64
//! | time u64 | wall offset i64 | boot u64 | monotonic u64 | wall u64 | cut u64
//! | entries u32 | entry, ...        entry: term u64, index u64, type u8, data (length u32)
//! ```
//! Version 2 is written once at each start: before the entries it has the identity of the start
//! (18 u64), the index of an entry that this member lost, or zero, and the snapshot file's
//! origin.
//!
//! The clocks beside the last stamp let a restart tell how long the process was away. Entries above
//! `cut` that were written before are void: a snapshot of the leader contradicts them.

use crate::clock::Now;
use crate::identity::Identity;
use crate::types::LogIndex;
use crate::wire::codec::{self, Malformed};
use crate::wire::raft_types::{decode_entry, encode_entry};
use raft::eraftpb::{Entry, HardState};
use store::{Stamp, Timestamp, WallOffset};

const VERSION: u8 = 1;
const VERSION_START: u8 = 2;

/// A record read back from the log.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) hard_state: HardState,
    pub(crate) stamp: Stamp,
    pub(crate) seen: Now,
    pub(crate) cut: u64,
    /// Who this directory is from here on, if the record was written at a start.
    pub(crate) start: Option<Start>,
    pub(crate) entries: Vec<Entry>,
}

/// What is written down at a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) identity: Identity,
    /// An entry that this member acknowledged and lost.
    pub(crate) lost: Option<LogIndex>,
    /// What tells the file that the snapshot was in from a copy of it; zero where the disk does not
    /// know, and for a copy that nobody has confirmed.
    pub(crate) origin: u64,
}

/// The `cut` of a record that voids nothing.
pub(crate) const NO_CUT: u64 = u64::MAX;

/// Writes a record into `out`, which it empties first.
pub(crate) fn encode(
    out: &mut Vec<u8>,
    hard_state: &HardState,
    stamp: Stamp,
    seen: Now,
    cut: u64,
    entries: &[Entry],
) {
    put_front(out, VERSION, hard_state, stamp, seen, cut);
    codec::put_u32(out, entries.len());
    for entry in entries {
        encode_entry(out, entry);
    }
}

/// Writes the record of a start into `out`, which it empties first.
pub(crate) fn encode_start(
    out: &mut Vec<u8>,
    hard_state: &HardState,
    stamp: Stamp,
    seen: Now,
    start: Start,
) {
    put_front(out, VERSION_START, hard_state, stamp, seen, NO_CUT);
    start.identity.encode(out);
    codec::put_u64(out, start.lost.map_or(0, |index| index.0));
    codec::put_u64(out, start.origin);
    codec::put_u32(out, 0);
}

fn put_front(
    out: &mut Vec<u8>,
    version: u8,
    hard_state: &HardState,
    stamp: Stamp,
    seen: Now,
    cut: u64,
) {
    out.clear();
    out.push(version);
    codec::put_u64(out, hard_state.term);
    codec::put_u64(out, hard_state.vote);
    codec::put_u64(out, hard_state.commit);
    encode_clocks(out, stamp, seen);
    codec::put_u64(out, cut);
}

pub(crate) fn encode_clocks(out: &mut Vec<u8>, stamp: Stamp, seen: Now) {
    codec::put_u64(out, stamp.time.0);
    codec::put_u64(out, stamp.wall_offset.0.cast_unsigned());
    codec::put_u64(out, seen.boot);
    codec::put_u64(out, seen.monotonic);
    codec::put_u64(out, seen.wall);
}

pub(crate) fn decode_clocks(input: &mut &[u8]) -> Result<(Stamp, Now), Malformed> {
    let time = Timestamp(codec::take_u64(input)?);
    let wall_offset = WallOffset(codec::take_u64(input)?.cast_signed());
    let seen = Now {
        boot: codec::take_u64(input)?,
        monotonic: codec::take_u64(input)?,
        wall: codec::take_u64(input)?,
    };
    Ok((Stamp { time, wall_offset }, seen))
}

/// Reads a record; all of `input` must belong to it.
pub(crate) fn decode(mut input: &[u8]) -> Result<Record, Malformed> {
    let input = &mut input;
    let version = codec::take_u8(input)?;
    if !matches!(version, VERSION | VERSION_START) {
        return Err(Malformed);
    }
    let mut hard_state = HardState::default();
    hard_state.term = codec::take_u64(input)?;
    hard_state.vote = codec::take_u64(input)?;
    hard_state.commit = codec::take_u64(input)?;
    let (stamp, seen) = decode_clocks(input)?;
    let cut = codec::take_u64(input)?;
    let start = if version == VERSION_START {
        let identity = Identity::decode(input)?;
        let lost = codec::take_u64(input)?;
        let lost = (lost != 0).then_some(LogIndex(lost));
        Some(Start { identity, lost, origin: codec::take_u64(input)? })
    } else {
        None
    };
    let count = codec::take_u32(input)?;
    let mut entries = Vec::new();
    for _ in 0..count {
        entries.push(decode_entry(input)?);
    }
    if !input.is_empty() {
        return Err(Malformed);
    }
    Ok(Record { hard_state, stamp, seen, cut, start, entries })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_round_trips_and_every_truncation_is_noticed() {
        let mut hard_state = HardState::default();
        (hard_state.term, hard_state.vote, hard_state.commit) = (3, 1, 41);
        let mut entry = Entry::default();
        (entry.term, entry.index) = (3, 42);
        entry.data = b"payload".to_vec().into();
        let stamp = Stamp { time: Timestamp(5), wall_offset: WallOffset(-6) };
        let seen = Now { boot: 7, monotonic: 8, wall: 9 };
        let mut bytes = Vec::new();
        encode(&mut bytes, &hard_state, stamp, seen, 41, std::slice::from_ref(&entry));

        let record = decode(&bytes).expect("just written");
        assert_eq!(record.hard_state, hard_state);
        assert_eq!((record.stamp, record.seen, record.cut), (stamp, seen, 41));
        assert_eq!(record.entries, vec![entry]);
        for len in 0..bytes.len() {
            assert!(decode(bytes.get(..len).expect("shorter")).is_err(), "cut at {len}");
        }
        assert_eq!(record.start, None);
        let identity = Identity { incarnation: 1, start: 2, ..Identity::default() };
        for lost in [None, Some(LogIndex(9))] {
            let start = Start { identity, lost, origin: 4 };
            let mut bytes = Vec::new();
            encode_start(&mut bytes, &hard_state, stamp, seen, start);
            let record = decode(&bytes).expect("just written");
            assert_eq!((record.start, record.entries.len()), (Some(start), 0));
            for len in 0..bytes.len() {
                assert!(decode(bytes.get(..len).expect("shorter")).is_err(), "cut at {len}");
            }
        }
        bytes.push(0);
        assert!(decode(&bytes).is_err(), "bytes too many");
        bytes[0] = 9;
        assert!(decode(&bytes).is_err(), "unknown version");
    }
}
