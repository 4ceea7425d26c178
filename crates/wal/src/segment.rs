//! The bytes of a log segment.
//!
//! ```text
//! header, 64 bytes:  magic "STEADLOG" | version u8 | flags u8 | 6 zeros | log id u64
//!                    | first seq u64 | salt u64 | CRC-32C u32 of the 40 bytes before | 20 zeros
//! record, 40 bytes:  CRC-32C u32 of the 36 bytes behind it | CRC-32C u32 of the payload
//!                    | payload length u32 | kind u32 | seq u64 | mark u64 | synced u64
//!                    then the payload, and zeros up to a multiple of 8
//! kind: 0 record | 1 the log goes on: `seq` is durable, in a segment that begins with it
//! ```
//! Integers are little-endian. Magic, version and the header's checksum keep their places in every
//! version, so that a damaged version byte is not taken for a newer program's.
//!
//! The log id is the caller's and the same in all segments of a log. It tells the files of one
//! directory from those of another.
//!
//! Both checksums of a record start from the segment's salt. A recycled segment still holds old
//! records that are valid by themselves; the salt, which is drawn from the first sequence number,
//! and the sequence number tell them apart. The head of a record has a checksum of its own so that
//! its length can be believed before the payload is read, and so that a search for heads costs the
//! same whatever bytes are searched: values that clients chose are among them.
//!
//! `synced` is the highest sequence number that was durable when the record was written. It is what
//! tells a torn tail from damage: writes that were never synced may reach the disk in any order, so
//! a valid record behind a bad one proves nothing by itself; one that says that the bad one was
//! durable does.
//!
//! Records begin at multiples of 8, which makes the search eight times as fast. They are not
//! aligned to blocks: the page cache writes whole pages anyway, and a sync costs the same.

pub(crate) const MAGIC: [u8; 8] = *b"STEADLOG";

/// Version 1 had one checksum for head and payload. It was never released, and is refused by name
/// rather than read as an empty log.
pub(crate) const VERSION: u8 = 2;

pub(crate) const HEADER_LEN: u64 = 64;
pub(crate) const RECORD_HEADER_LEN: u64 = 40;

/// The largest payload of a record, in bytes.
pub const RECORD_BYTES_MAX: usize = 64 << 20;

/// The longest file that is read as a segment: reading must have an end, and a file with a hole can
/// claim any length.
pub(crate) const SEGMENT_BYTES_MAX: u64 = 1 << 30;

/// What records begin at multiples of.
const ALIGNMENT: u64 = 8;

const KIND_RECORD: u32 = 0;
const KIND_LEADS_ON: u32 = 1;

/// Header flag: all blocks of the file were written before it became a segment.
const FLAG_FILLED: u8 = 1;

/// Sequence numbers start at one and stay below this; a name beyond it is not ours.
const SEQ_MAX: u64 = 1 << 62;

pub(crate) fn name(first_seq: u64) -> String {
    format!("log-{first_seq:016x}.wal")
}

/// The first sequence number that a segment's name says. Only names that [`name`] gives are ours.
pub(crate) fn parse_name(found: &str) -> Option<u64> {
    let digits = found.strip_prefix("log-")?.strip_suffix(".wal")?;
    let first_seq = u64::from_str_radix(digits, 16).ok()?;
    ((1..SEQ_MAX).contains(&first_seq) && name(first_seq) == found).then_some(first_seq)
}

pub(crate) fn spare_name(number: u64) -> String {
    format!("spare-{number}.wal")
}

pub(crate) fn spare_temporary_name(number: u64) -> String {
    format!("spare-{number}.tmp")
}

/// Whether the file is a spare segment, finished or not.
pub(crate) fn is_spare_name(found: &str) -> bool {
    let parse = |suffix| found.strip_prefix("spare-")?.strip_suffix(suffix)?.parse().ok();
    parse(".wal").is_some_and(|number| spare_name(number) == found)
        || parse(".tmp").is_some_and(|number| spare_temporary_name(number) == found)
}

/// Drawn from what never repeats in a log: no two segments begin with the same record.
fn salt(log_id: u64, first_seq: u64) -> u64 {
    let mixed = (log_id ^ first_seq.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 31
}

/// What every checksum of a segment's records starts from.
pub(crate) fn seed(log_id: u64, first_seq: u64) -> u32 {
    crc32c::crc32c(&salt(log_id, first_seq).to_le_bytes())
}

pub(crate) fn is_aligned(at: u64) -> bool {
    at.is_multiple_of(ALIGNMENT)
}

/// The room that a record takes.
pub(crate) fn record_len(payload_len: usize) -> u64 {
    (RECORD_HEADER_LEN + payload_len as u64).next_multiple_of(ALIGNMENT)
}

pub(crate) fn encode_header(out: &mut Vec<u8>, log_id: u64, first_seq: u64, is_filled: bool) {
    let start = out.len();
    let flags = if is_filled { FLAG_FILLED } else { 0 };
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[VERSION, flags, 0, 0, 0, 0, 0, 0]);
    for number in [log_id, first_seq, salt(log_id, first_seq)] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    let (_, header) = out.split_at(start);
    let sum = crc32c::crc32c(header);
    out.extend_from_slice(&sum.to_le_bytes());
    out.resize(start + HEADER_LEN as usize, 0);
}

/// What a segment's first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// A header of this version.
    Valid { log_id: u64, first_seq: u64, is_filled: bool },
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
        if bytes.get(..8)? != MAGIC || crc32c::crc32c(bytes.get(..40)?) != u32_at(bytes, 40)? {
            return None;
        }
        if version != VERSION {
            return Some(Header::Unknown(version));
        }
        let (log_id, first_seq) = (u64_at(bytes, 16)?, u64_at(bytes, 24)?);
        let is_filled = bytes.get(9)? & FLAG_FILLED != 0;
        (u64_at(bytes, 32)? == salt(log_id, first_seq)).then_some(Header::Valid {
            log_id,
            first_seq,
            is_filled,
        })
    };
    parse().unwrap_or(Header::Bad)
}

/// What the head of a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) seq: u64,
    pub(crate) mark: u64,
    pub(crate) synced: u64,
    pub(crate) payload_len: usize,
    payload_sum: u32,
    /// A mark and not a record: the log goes on with `seq` in a segment of its own.
    pub(crate) leads_on: bool,
}

impl Head {
    /// Where the sequence number is, for a quick look.
    pub(crate) const SEQ_AT: usize = 16;
    const KIND_AT: usize = 12;

    /// Reads a head that was written with this seed. Anything else gives nothing.
    pub(crate) fn decode(bytes: &[u8], seed: u32) -> Option<Self> {
        let behind_sum = bytes.get(4..RECORD_HEADER_LEN as usize)?;
        if crc32c::crc32c_append(seed, behind_sum) != u32_at(bytes, 0)? {
            return None;
        }
        let payload_len = usize::try_from(u32_at(bytes, 8)?).ok()?;
        let leads_on = match u32_at(bytes, Self::KIND_AT)? {
            KIND_RECORD => false,
            KIND_LEADS_ON => true,
            _ => return None,
        };
        (payload_len <= RECORD_BYTES_MAX).then_some(Self {
            leads_on,
            seq: u64_at(bytes, Self::SEQ_AT)?,
            mark: u64_at(bytes, 24)?,
            synced: u64_at(bytes, 32)?,
            payload_len,
            payload_sum: u32_at(bytes, 4)?,
        })
    }

    /// Whether `payload` is the one that was written behind this head.
    pub(crate) fn is_head_of(&self, payload: &[u8], seed: u32) -> bool {
        payload.len() == self.payload_len
            && crc32c::crc32c_append(seed, payload) == self.payload_sum
    }

    /// The room that the whole record takes.
    pub(crate) fn record_len(&self) -> u64 {
        record_len(self.payload_len)
    }
}

/// What a record says beside its payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Label {
    pub(crate) seq: u64,
    pub(crate) mark: u64,
    pub(crate) synced: u64,
}

/// Appends a record to `out`, whose length must be a multiple of 8.
pub(crate) fn encode_record(out: &mut Vec<u8>, seed: u32, label: Label, parts: &[&[u8]]) {
    encode_head(out, seed, label, KIND_RECORD, parts);
}

/// Appends the mark that the log goes on with `seq`, which is durable, in a segment of its own.
pub(crate) fn encode_lead_on(out: &mut Vec<u8>, seed: u32, seq: u64) {
    let label = Label { seq, mark: 0, synced: seq };
    encode_head(out, seed, label, KIND_LEADS_ON, &[]);
}

fn encode_head(out: &mut Vec<u8>, seed: u32, label: Label, kind: u32, parts: &[&[u8]]) {
    let start = out.len();
    out.resize(start + RECORD_HEADER_LEN as usize, 0);
    parts.iter().for_each(|part| out.extend_from_slice(part));
    let (_, record) = out.split_at_mut(start);
    let (head, payload) = record.split_at_mut(RECORD_HEADER_LEN as usize);
    let len = u32::try_from(payload.len()).expect("payloads are bounded far below 4 GiB");
    let payload_sum = crc32c::crc32c_append(seed, payload);
    put(head, 4, &payload_sum.to_le_bytes());
    put(head, 8, &len.to_le_bytes());
    put(head, Head::KIND_AT, &kind.to_le_bytes());
    put(head, Head::SEQ_AT, &label.seq.to_le_bytes());
    put(head, 24, &label.mark.to_le_bytes());
    put(head, 32, &label.synced.to_le_bytes());
    let (sum, behind_sum) = head.split_at_mut(4);
    sum.copy_from_slice(&crc32c::crc32c_append(seed, behind_sum).to_le_bytes());
    out.resize(out.len().next_multiple_of(ALIGNMENT as usize), 0);
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    let field = out.get_mut(at..at + bytes.len()).expect("a field lies within its head");
    field.copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_it_gives_are_its_own() {
        assert_eq!(parse_name(&name(1)), Some(1));
        assert_eq!(parse_name("log-00000000000000ab.wal"), Some(0xab));
        for other in [
            "log-00000000000000AB.wal",
            "log-+0000000000000ab.wal",
            "log-0000000000000000.wal",
            "log-ffffffffffffffff.wal",
            "log-ab.wal",
            "log-00000000000000ab.wal.bak",
            "log-",
            "",
        ] {
            assert_eq!(parse_name(other), None, "{other}");
        }
        assert!(is_spare_name("spare-0.wal") && is_spare_name("spare-12.tmp"));
        for other in ["spare-01.wal", "spare-+1.tmp", "spare-.wal", "spare-x.wal", "spares-1.wal"] {
            assert!(!is_spare_name(other), "{other}");
        }
    }

    #[test]
    fn a_header_round_trips_and_each_flipped_bit_is_noticed() {
        let mut bytes = Vec::new();
        encode_header(&mut bytes, 7, 9, true);
        let header = Header::Valid { log_id: 7, first_seq: 9, is_filled: true };
        assert_eq!(bytes.len() as u64, HEADER_LEN);
        assert_eq!(decode_header(&bytes), header);
        for bit in 0..44 * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode_header(&flipped), Header::Bad, "bit {bit}");
        }
        for len in 0..44 {
            assert_eq!(decode_header(&bytes[..len]), Header::Bad, "cut at {len}");
        }
    }

    #[test]
    fn a_header_of_another_version_is_told_from_a_damaged_one() {
        let mut bytes = Vec::new();
        encode_header(&mut bytes, 7, 9, false);
        for version in [1, 3, 255] {
            bytes[8] = version;
            let sum = crc32c::crc32c(&bytes[..40]);
            bytes[40..44].copy_from_slice(&sum.to_le_bytes());
            assert_eq!(decode_header(&bytes), Header::Unknown(version));
        }
    }

    #[test]
    fn a_record_belongs_to_its_own_segment_only() {
        let label = Label { seq: 5, mark: 6, synced: 4 };
        let mut bytes = Vec::new();
        encode_record(&mut bytes, seed(1, 5), label, &[b"pay", b"load"]);
        assert_eq!(bytes.len() as u64, record_len(7));
        let head = Head::decode(&bytes, seed(1, 5)).expect("just written");
        assert_eq!((head.seq, head.mark, head.synced, head.payload_len), (5, 6, 4, 7));
        assert!(head.is_head_of(b"payload", seed(1, 5)));
        assert!(!head.is_head_of(b"payloaf", seed(1, 5)));
        assert_eq!(Head::decode(&bytes, seed(1, 6)), None, "the next segment's");
        assert_eq!(Head::decode(&bytes, seed(2, 5)), None, "another log's");
        for bit in 0..RECORD_HEADER_LEN as usize * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Head::decode(&flipped, seed(1, 5)), None, "bit {bit}");
        }
    }
}
