//! The bytes of a log segment.
//!
//! ```text
//! header, 64 bytes:  magic "STEADLOG" | version u8, 7 zeros | cluster u64 | first seq u64
//!                    | salt u64 | CRC-32C u32 of the 40 bytes before | zeros
//! record:            payload length u32 | CRC-32C u32 | seq u64 | mark u64 | synced u64 | payload
//! ```
//! Integers are little-endian. A record's checksum covers the segment's salt, the rest of the
//! header and the payload. A recycled segment still holds old records that are valid by themselves;
//! the salt, which is drawn from the first sequence number, and the sequence number tell them
//! apart.
//!
//! `synced` is the highest sequence number that was durable when the record was written. It is what
//! tells a torn tail from damage: a bad record behind which a valid one says that it was durable is
//! damage, and must not be cut.
//!
//! Records are not aligned: the page cache writes whole pages anyway, and a sync costs the same.

use crate::error::Error;

pub(crate) const MAGIC: [u8; 8] = *b"STEADLOG";
pub(crate) const VERSION: u8 = 1;
pub(crate) const HEADER_LEN: usize = 64;
pub(crate) const RECORD_HEADER_LEN: usize = 32;

/// The largest payload of a record.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 64 << 20;

pub(crate) fn name(first_seq: u64) -> String {
    format!("log-{first_seq:016x}.wal")
}

pub(crate) fn parse_name(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("log-")?.strip_suffix(".wal")?;
    (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok())?
}

pub(crate) fn spare_name(number: u64) -> String {
    format!("spare-{number}.wal")
}

pub(crate) fn parse_spare_name(name: &str) -> Option<u64> {
    name.strip_prefix("spare-")?.strip_suffix(".wal")?.parse().ok()
}

/// Drawn from what never repeats within a cluster.
pub(crate) fn salt(cluster: u64, first_seq: u64) -> u64 {
    let mixed = (cluster ^ first_seq.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 31
}

pub(crate) fn encode_header(cluster: u64, first_seq: u64) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    let mut bytes = Vec::with_capacity(HEADER_LEN);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&[VERSION, 0, 0, 0, 0, 0, 0, 0]);
    for number in [cluster, first_seq, salt(cluster, first_seq)] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    for (to, from) in header.iter_mut().zip(bytes) {
        *to = from;
    }
    header
}

/// What a segment's first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// A header of this version.
    Valid { cluster: u64, first_seq: u64, salt: u64 },
    /// Another version.
    Unknown(u8),
    /// No header: never written, torn or overwritten.
    Bad,
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let slice = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(slice.try_into().ok()?))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let slice = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(slice.try_into().ok()?))
}

pub(crate) fn decode_header(bytes: &[u8]) -> Header {
    let parse = || {
        let version = *bytes.get(8)?;
        if bytes.get(..8)? != MAGIC {
            return None;
        }
        if version != VERSION {
            return Some(Header::Unknown(version));
        }
        if crc32c::crc32c(bytes.get(..40)?) != u32_at(bytes, 40)? {
            return None;
        }
        Some(Header::Valid {
            cluster: u64_at(bytes, 16)?,
            first_seq: u64_at(bytes, 24)?,
            salt: u64_at(bytes, 32)?,
        })
    };
    parse().unwrap_or(Header::Bad)
}

/// A record where it lies in its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) seq: u64,
    pub(crate) mark: u64,
    pub(crate) synced: u64,
    /// Where its payload begins.
    pub(crate) payload_at: usize,
    pub(crate) payload_len: usize,
}

impl Record {
    pub(crate) fn end(&self) -> usize {
        self.payload_at + self.payload_len
    }
}

fn checksum<'a>(salt: u64, fields: &[u8], payload: impl IntoIterator<Item = &'a [u8]>) -> u32 {
    let crc = crc32c::crc32c(&salt.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, fields);
    payload.into_iter().fold(crc, crc32c::crc32c_append)
}

/// Appends a record to `out`.
pub(crate) fn encode_record(
    out: &mut Vec<u8>,
    salt: u64,
    seq: u64,
    mark: u64,
    synced: u64,
    parts: &[&[u8]],
) {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let len = u32::try_from(len).expect("payloads are bounded far below 4 GiB");
    let mut fields = [0; 28];
    let (len_field, rest) = fields.split_at_mut(4);
    len_field.copy_from_slice(&len.to_le_bytes());
    for (field, number) in rest.chunks_exact_mut(8).zip([seq, mark, synced]) {
        field.copy_from_slice(&number.to_le_bytes());
    }
    let crc = checksum(salt, &fields, parts.iter().copied());
    let (len_field, rest) = fields.split_at(4);
    out.extend_from_slice(len_field);
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(rest);
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// The record at `at`, if there is a valid one of this segment. `wanted` decides by the sequence
/// number alone whether the checksum is worth computing.
pub(crate) fn decode_record(
    bytes: &[u8],
    at: usize,
    salt: u64,
    wanted: impl FnOnce(u64) -> bool,
) -> Option<Record> {
    let header = bytes.get(at..at.checked_add(RECORD_HEADER_LEN)?)?;
    let seq = u64_at(header, 8)?;
    let payload_len = usize::try_from(u32_at(header, 0)?).ok()?;
    if payload_len > PAYLOAD_BYTES_MAX || !wanted(seq) {
        return None;
    }
    let payload_at = at + RECORD_HEADER_LEN;
    let payload = bytes.get(payload_at..payload_at.checked_add(payload_len)?)?;
    let mut fields = [0; 28];
    let (len_field, rest) = fields.split_at_mut(4);
    len_field.copy_from_slice(header.get(..4)?);
    rest.copy_from_slice(header.get(8..)?);
    if checksum(salt, &fields, [payload]) != u32_at(header, 4)? {
        return None;
    }
    Some(Record {
        seq,
        mark: u64_at(header, 16)?,
        synced: u64_at(header, 24)?,
        payload_at,
        payload_len,
    })
}

/// How far behind a bad record the sequence number of a valid one may be to be believed.
const SEQ_REACH: u64 = 1 << 24;

/// The highest `synced` that valid records of this segment behind `at` name, if there are any.
pub(crate) fn scan_behind(bytes: &[u8], at: usize, salt: u64, seq: u64) -> Option<u64> {
    let mut highest = None;
    let mut at = at + 1;
    while at + RECORD_HEADER_LEN <= bytes.len() {
        let found = decode_record(bytes, at, salt, |found| found > seq && found - seq < SEQ_REACH);
        match found {
            Some(record) => {
                highest = highest.max(Some(record.synced));
                at = record.end();
            }
            None => at += 1,
        }
    }
    highest
}

/// Says what is wrong with a header that should have been there.
pub(crate) fn header_error(file: &str, header: Header) -> Error {
    match header {
        Header::Unknown(version) => Error::UnknownVersion { file: file.to_owned(), version },
        _ => Error::Damaged {
            file: file.to_owned(),
            offset: 0,
            detail: "its header cannot be read".to_owned(),
        },
    }
}
