//! Reading one segment: which records are good, where they end, and what lies behind.
//!
//! A segment is read through a window, so that neither its length nor anything in it decides how
//! much memory is used: a record's length is believed only after its head's checksum.

use crate::disk::{Disk, DiskFile};
use crate::error::{Context, Error};
use crate::segment::{self, HEADER_LEN, Head, Header, RECORD_HEADER_LEN, SEGMENT_BYTES_MAX};
use std::io;
use std::ops::RangeInclusive;

/// How much is read at a time.
const WINDOW_BYTES: usize = 256 << 10;

/// A piece of a file in memory.
struct Window<F> {
    file: F,
    len: u64,
    start: u64,
    buf: Vec<u8>,
}

impl<F: DiskFile> Window<F> {
    fn new(file: F) -> io::Result<Self> {
        let len = file.len()?;
        Ok(Self { file, len, start: 0, buf: Vec::new() })
    }

    /// All bytes from `at` on that are in memory: `want` of them or more, unless the file ends.
    fn from(&mut self, at: u64, want: usize) -> io::Result<&[u8]> {
        let has = |start: u64, buf: &[u8]| {
            at >= start && at.saturating_add(want as u64) <= start.saturating_add(buf.len() as u64)
        };
        if !has(self.start, &self.buf) {
            self.load(at, want.max(WINDOW_BYTES))?;
        }
        // Where the file ends before `at` there is nothing to give.
        let (start, end) = (self.start, self.start + self.buf.len() as u64);
        let offset = usize::try_from(at.min(end) - start).expect("it lies in the buffer");
        Ok(self.buf.split_at(offset).1)
    }

    fn load(&mut self, at: u64, want: usize) -> io::Result<()> {
        let left = usize::try_from(self.len.saturating_sub(at)).unwrap_or(want);
        self.start = at;
        if self.buf.capacity() > want.max(WINDOW_BYTES) * 2 {
            // One large record must not cost its room until the whole log is read.
            self.buf = Vec::new();
        }
        self.buf.resize(left.min(want), 0);
        let filled = read_full_at(&self.file, &mut self.buf, at)?;
        self.buf.truncate(filled);
        Ok(())
    }

    /// Exactly `len` bytes at `at`; nothing if the file ends before.
    fn exactly(&mut self, at: u64, len: usize) -> io::Result<Option<&[u8]>> {
        if at.saturating_add(len as u64) > self.len {
            return Ok(None);
        }
        Ok(self.from(at, len)?.get(..len))
    }
}

/// Reads until `buf` is full or the file ends; gives the number of bytes.
pub(crate) fn read_full_at<F: DiskFile>(file: &F, buf: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at.saturating_add(filled as u64)) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Reads records of one segment.
pub(crate) struct SegmentReader<F> {
    window: Window<F>,
    seed: u32,
}

impl<F: DiskFile> SegmentReader<F> {
    pub(crate) fn new(file: F, seed: u32) -> io::Result<Self> {
        Ok(Self { window: Window::new(file)?, seed })
    }

    fn header(&mut self) -> io::Result<Header> {
        let bytes = self.window.exactly(0, HEADER_LEN as usize)?;
        Ok(bytes.map_or(Header::Bad, segment::decode_header))
    }

    /// The record `seq`, if it is whole at `at`.
    pub(crate) fn record(&mut self, at: u64, seq: u64) -> io::Result<Option<(Head, &[u8])>> {
        let seed = self.seed;
        let Some(head) = self.head(at)?.filter(|head| head.seq == seq) else { return Ok(None) };
        let payload_at = at.saturating_add(RECORD_HEADER_LEN);
        let payload = self.window.exactly(payload_at, head.payload_len)?;
        let valid = payload.filter(|payload| head.is_head_of(payload, seed));
        Ok(valid.map(|payload| (head, payload)))
    }

    fn head(&mut self, at: u64) -> io::Result<Option<Head>> {
        let seed = self.seed;
        let bytes = self.window.exactly(at, RECORD_HEADER_LEN as usize)?;
        Ok(bytes.and_then(|bytes| Head::decode(bytes, seed)))
    }

    /// The next head at `at` or behind whose sequence number is in `wanted`, and where it is.
    fn next_head(
        &mut self,
        mut at: u64,
        wanted: &RangeInclusive<u64>,
    ) -> io::Result<Option<(u64, Head)>> {
        const LEN: usize = RECORD_HEADER_LEN as usize;
        loop {
            let seed = self.seed;
            let bytes = self.window.from(at, LEN)?;
            let mut looked_at = 0;
            for candidate in bytes.windows(LEN).step_by(8) {
                let seq = segment::u64_at(candidate, Head::SEQ_AT).expect("a head is that long");
                if wanted.contains(&seq)
                    && let Some(head) = Head::decode(candidate, seed)
                {
                    return Ok(Some((at + looked_at, head)));
                }
                looked_at += 8;
            }
            if looked_at == 0 {
                return Ok(None);
            }
            at += looked_at;
        }
    }

    /// What valid heads at `at` and behind tell. The payloads are skipped: what clients chose must
    /// not be searched for heads where it can be helped.
    fn behind(&mut self, mut at: u64, wanted: &RangeInclusive<u64>) -> io::Result<Option<Behind>> {
        let mut found: Option<Behind> = None;
        while let Some((head_at, head)) = self.next_head(at, wanted)? {
            at = head_at.saturating_add(head.record_len());
            let synced = found.map_or(0, |behind| behind.synced).max(head.synced);
            found = Some(Behind { synced, end: at });
        }
        Ok(found)
    }
}

/// What is left behind the last good record of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Behind {
    /// The highest sequence number that heads there say was durable.
    pub(crate) synced: u64,
    /// Where the last of those records ends, or would.
    pub(crate) end: u64,
}

/// One segment as it was found.
#[derive(Debug)]
pub(crate) struct Scanned {
    pub(crate) name: String,
    /// As its name says.
    pub(crate) first_seq: u64,
    pub(crate) header: Header,
    pub(crate) len: u64,
    /// How many good records there are from the start on.
    pub(crate) records: u64,
    /// Where they end.
    pub(crate) end: u64,
    pub(crate) mark_max: u64,
    /// The highest sequence number that the good records say was durable.
    synced: u64,
    pub(crate) behind: Option<Behind>,
    /// Whether the last good record is an empty one.
    pub(crate) ends_empty: bool,
    /// It says that the log goes on in another segment, whose first record was durable.
    pub(crate) leads_on: bool,
    /// The header cannot be read, but once could: the first record's head, which was written with
    /// it and lies in the same sector of the disk, is there.
    pub(crate) has_lost_header: bool,
}

impl Scanned {
    /// The sequence number that should follow the good records.
    pub(crate) fn next_seq(&self) -> u64 {
        self.first_seq + self.records
    }

    /// The highest sequence number that anything in it says was durable.
    pub(crate) fn synced(&self) -> u64 {
        self.synced.max(self.behind.map_or(0, |behind| behind.synced))
    }

    /// Whether the header was written for this name, by this version.
    pub(crate) fn has_begun(&self) -> bool {
        matches!(self.header, Header::Valid { first_seq, .. } if first_seq == self.first_seq)
    }
}

/// Reads one segment. `log_id` finds records behind a header that is gone.
pub(crate) fn scan<D: Disk>(
    disk: &D,
    log_id: u64,
    name: &str,
    first_seq: u64,
) -> Result<Scanned, Error> {
    let file = disk.open(name).context("open", name)?;
    let scanned = scan_file(file, log_id, name, first_seq).context("read", name)?;
    scanned.ok_or_else(|| Error::Damaged {
        file: name.to_owned(),
        offset: SEGMENT_BYTES_MAX,
        detail: "it is longer than any segment".to_owned(),
    })
}

fn scan_file<F: DiskFile>(
    file: F,
    log_id: u64,
    name: &str,
    first_seq: u64,
) -> io::Result<Option<Scanned>> {
    let mut reader = SegmentReader::new(file, segment::seed(log_id, first_seq))?;
    let header = reader.header()?;
    let len = reader.window.len;
    if len > SEGMENT_BYTES_MAX {
        return Ok(None);
    }
    let mut scanned = Scanned {
        name: name.to_owned(),
        first_seq,
        header,
        len,
        records: 0,
        end: 0,
        mark_max: 0,
        synced: 0,
        behind: None,
        ends_empty: false,
        leads_on: false,
        has_lost_header: false,
    };
    // No more records than these fit, so no higher number can be in it.
    let seq_max = first_seq.saturating_add(len / RECORD_HEADER_LEN);
    if !scanned.has_begun() {
        scanned.behind = reader.behind(0, &(first_seq..=seq_max))?;
        scanned.has_lost_header =
            reader.head(HEADER_LEN)?.is_some_and(|head| head.seq == first_seq);
        return Ok(Some(scanned));
    }
    if let Header::Valid { log_id: own, .. } = header {
        reader.seed = segment::seed(own, first_seq);
    }
    scanned.end = HEADER_LEN;
    let mut searched = scanned.end;
    while let Some((head, _)) = reader.record(scanned.end, scanned.next_seq())? {
        searched = scanned.end + head.record_len();
        if head.leads_on {
            scanned.leads_on = true;
            break;
        }
        scanned.records += 1;
        scanned.ends_empty = head.payload_len == 0;
        scanned.mark_max = scanned.mark_max.max(head.mark);
        scanned.synced = scanned.synced.max(head.synced);
        scanned.end += head.record_len();
    }
    scanned.behind = reader.behind(searched, &(scanned.next_seq()..=seq_max))?;
    Ok(Some(scanned))
}

/// The log_id that the first readable header of a directory names.
pub(crate) fn log_id_of<D: Disk>(disk: &D, names: &[(u64, String)]) -> Option<u64> {
    names.iter().find_map(|(_, name)| {
        let file = disk.open(name).ok()?;
        match SegmentReader::new(file, 0).and_then(|mut reader| reader.header()).ok()? {
            Header::Valid { log_id, .. } => Some(log_id),
            _ => None,
        }
    })
}

/// Whether nothing but zeros is in a file.
pub(crate) fn is_blank<D: Disk>(disk: &D, name: &str) -> Result<bool, Error> {
    let read = |file: D::File| -> io::Result<bool> {
        let mut window = Window::new(file)?;
        let mut at = 0;
        loop {
            let bytes = window.from(at, 1)?;
            if bytes.is_empty() || bytes.iter().any(|byte| *byte != 0) {
                return Ok(bytes.is_empty());
            }
            at += bytes.len() as u64;
        }
    };
    disk.open(name).and_then(read).context("read", name)
}

/// The segments of a directory in the order of their sequence numbers.
pub(crate) fn segment_names<D: Disk>(disk: &D) -> Result<Vec<(u64, String)>, Error> {
    let names = disk.list().context("list", "the data directory")?;
    let mut segments: Vec<_> = names
        .into_iter()
        .filter_map(|name| segment::parse_name(&name).map(|first_seq| (first_seq, name)))
        .collect();
    segments.sort_unstable();
    Ok(segments)
}
