//! The frames of a write-ahead log of 2.x and 3.x.
//!
//! ```text
//! u64 LE: bits 0-55 length L | bits 56-58 padding P, if bit 63 is set | then L bytes, P zeros
//! record: 1 varint type | 2 varint crc | 3 bytes data
//! ```
//! 2.x never pads; 3.0 and later pad frames to multiples of 8 and fill files with zeros ahead of
//! time, so that a length of 0 ends a file. The checksum is CRC-32C, one running value over the
//! `data` of all records since the first segment; each record has the value that includes its own.
//!
//! See docs/spec/migration.md section 3.1.

use crate::proto::{Fields, Malformed};

/// Bytes of the length in front of a record.
pub(super) const HEADER_LEN: u64 = 8;

/// The largest record, in bytes. 3.5 has the same limit.
pub(super) const RECORD_BYTES_MAX: u64 = 10 << 20;

/// What the eight bytes in front of a record say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) len: u64,
    pub(super) padding: u64,
}

impl Header {
    pub(super) fn decode(bytes: [u8; 8]) -> Self {
        let number = u64::from_le_bytes(bytes);
        let padding = if number >> 63 == 1 { (number >> 56) & 7 } else { 0 };
        Self { len: number & ((1 << 56) - 1), padding }
    }

    /// Bytes behind the header. Neither part comes near the limit of the type.
    pub(super) fn body_len(self) -> u64 {
        self.len + self.padding
    }
}

/// The types of records.
pub(super) mod kind {
    pub(crate) const METADATA: u64 = 1;
    pub(crate) const ENTRY: u64 = 2;
    pub(crate) const STATE: u64 = 3;
    pub(crate) const CRC: u64 = 4;
    pub(crate) const SNAPSHOT: u64 = 5;
}

/// A record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) kind: u64,
    pub(super) crc: u32,
    pub(super) data: &'a [u8],
}

impl<'a> Record<'a> {
    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut record = Record::default();
        for field in Fields::new(bytes) {
            match field? {
                (1, value) => record.kind = value.number()?,
                (2, value) => record.crc = u32::try_from(value.number()?).map_err(|_| Malformed)?,
                (3, value) => record.data = value.bytes()?,
                _ => {}
            }
        }
        Ok(record)
    }

    /// The running checksum behind this record, if it is what the record says. A record of type
    /// [`kind::CRC`] states the value at the head of a segment, from which one may start.
    pub(super) fn checksum(&self, running: Option<u32>) -> Option<u32> {
        match (self.kind, running) {
            (kind::CRC, None) => Some(self.crc),
            (kind::CRC, Some(running)) => (running == self.crc).then_some(running),
            (_, running) => {
                let sum = crc32c::crc32c_append(running.unwrap_or(0), self.data);
                (sum == self.crc).then_some(sum)
            }
        }
    }
}

/// The state of a member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HardState {
    pub(super) term: u64,
    pub(super) commit: u64,
}

impl HardState {
    pub(super) fn decode(data: &[u8]) -> Result<Self, Malformed> {
        let (mut state, mut vote) = (HardState::default(), 0);
        for field in Fields::new(data) {
            match field? {
                (1, value) => state.term = value.number()?,
                (2, value) => vote = value.number()?,
                (3, value) => state.commit = value.number()?,
                // An entry has these fields, and data. Types have no checksum, so that a changed
                // one could make a state of it.
                _ => return Err(Malformed),
            }
        }
        // So could one without data, an election, whose type is 0 and whose term is not.
        if state.term == 0 && vote != 0 {
            return Err(Malformed);
        }
        Ok(state)
    }
}

/// Two numbers of a message, by their fields.
pub(super) fn two_numbers(data: &[u8], fields: (u64, u64)) -> Result<(u64, u64), Malformed> {
    let mut numbers = (0, 0);
    for field in Fields::new(data) {
        match field? {
            (field, value) if field == fields.0 => numbers.0 = value.number()?,
            (field, value) if field == fields.1 => numbers.1 = value.number()?,
            _ => {}
        }
    }
    Ok(numbers)
}

/// An entry of the raft log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) kind: u64,
    pub(super) term: u64,
    pub(super) index: u64,
    pub(super) data: Vec<u8>,
}

impl Entry {
    /// A request, empty for an election.
    pub(super) const NORMAL: u64 = 0;
    /// A change of the membership.
    pub(super) const CONF_CHANGE: u64 = 1;

    pub(super) fn decode(data: &[u8]) -> Result<Self, Malformed> {
        let mut entry = Entry::default();
        for field in Fields::new(data) {
            match field? {
                (1, value) => entry.kind = value.number()?,
                (2, value) => entry.term = value.number()?,
                (3, value) => entry.index = value.number()?,
                (4, value) => entry.data = value.bytes()?.to_vec(),
                _ => {}
            }
        }
        // A state record whose type was changed would pass for one, as types have no checksum.
        if entry.kind != Entry::NORMAL && entry.data.is_empty() {
            return Err(Malformed);
        }
        Ok(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_with_and_without_padding_are_read() {
        let decode = |bytes| {
            let header = Header::decode(bytes);
            (header.len, header.padding)
        };
        assert_eq!(decode([0x4f, 0, 0, 0, 0, 0, 0, 0]), (79, 0));
        assert_eq!(decode([0x4f, 0, 0, 0, 0, 0, 0, 0x81]), (79, 1));
        assert_eq!(decode([4, 0, 0, 0, 0, 0, 0, 0x84]), (4, 4));
        // Bits 56-58 count only with bit 63.
        assert_eq!(decode([4, 0, 0, 0, 0, 0, 0, 7]), (4, 0));
        assert_eq!(Header::decode([255; 8]).body_len(), (1 << 56) - 1 + 7);
    }

    #[test]
    fn the_checksum_runs_over_all_data() {
        // The head of a log that a 2.3.8 wrote: a CRC record, then the metadata.
        let metadata = [
            0x08, 0xb3, 0xac, 0xb8, 0xdf, 0xa0, 0xcf, 0xbb, 0x80, 0xc4, 0x01, 0x10, 0xf4, 0x99,
            0x99, 0x94, 0x8d, 0xe3, 0xff, 0x84, 0xb0, 0x01,
        ];
        let first = Record { kind: kind::CRC, crc: 0, data: &[] };
        let record = Record { kind: kind::METADATA, crc: 0x52fb_16fe, data: &metadata };
        let running = first.checksum(None);
        assert_eq!(running, Some(0));
        assert_eq!(record.checksum(running), Some(0x52fb_16fe));
        let next = Record { kind: kind::SNAPSHOT, crc: 0x88c4_ffbc, data: &[8, 0, 16, 0] };
        assert_eq!(next.checksum(Some(0x52fb_16fe)), Some(0x88c4_ffbc));
        assert_eq!(next.checksum(Some(1)), None);
        assert_eq!(
            two_numbers(&metadata, (1, 2)),
            Ok((0xc400_ee7a_0bee_1633, 0xb009_ff18_d286_4cf4))
        );
    }
}
