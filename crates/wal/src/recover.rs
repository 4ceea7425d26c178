//! Opening a log: what is kept, what is cut, what is refused.
//!
//! Reading stops at the first bad record. Usually nothing valid lies behind it: the process died
//! while it wrote, nobody was told of the record, and the tail is cut. But when a valid record
//! behind it says that it was durable, the disk has lost what it promised to keep; then nothing is
//! changed and the log is not opened.

use crate::disk::{Disk, DiskFile, read_all};
use crate::error::{Context, Error};
use crate::log::{Active, Closed, Options, Spare, Wal};
use crate::segment::{self, HEADER_LEN, Header, Record};
use std::collections::VecDeque;
use std::fmt;

/// What was cut off the end of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The segment, relative to the data directory.
    pub file: String,
    /// Where the cut is.
    pub offset: u64,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was cut at offset {}: a record was never finished", self.file, self.offset)
    }
}

/// What a log held when it was opened.
pub struct Recovered<D: Disk> {
    /// The payloads of all records in order.
    pub records: Records<D>,
    /// What was cut off the end; nothing if it ended cleanly.
    pub cut: Option<Cut>,
}

/// Reads payloads one segment at a time.
pub struct Records<D: Disk> {
    disk: D,
    segments: VecDeque<(String, VecDeque<Record>)>,
    current: Vec<u8>,
    records: VecDeque<Record>,
}

impl<D: Disk> Iterator for Records<D> {
    type Item = Result<Vec<u8>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.records.is_empty() {
            let (name, records) = self.segments.pop_front()?;
            let bytes = self.disk.open(&name).and_then(|file| read_all(&file));
            match bytes.context("read", &name) {
                Ok(bytes) => (self.current, self.records) = (bytes, records),
                Err(error) => return Some(Err(error)),
            }
        }
        let record = self.records.pop_front()?;
        let payload = self.current.get(record.payload_at..record.end());
        Some(Ok(payload.unwrap_or_default().to_vec()))
    }
}

/// One segment as it was found.
#[derive(Debug)]
pub(crate) struct Scanned {
    pub(crate) name: String,
    pub(crate) first_seq: u64,
    pub(crate) len: u64,
    pub(crate) records: VecDeque<Record>,
    /// Where the first bad record begins.
    pub(crate) end: usize,
    /// The highest `synced` of valid records behind `end`.
    pub(crate) synced_behind: Option<u64>,
    pub(crate) header: Header,
}

impl Scanned {
    fn next_seq(&self) -> u64 {
        self.records.back().map_or(self.first_seq, |record| record.seq + 1)
    }

    fn synced(&self) -> u64 {
        let records = self.records.iter().map(|record| record.synced).max();
        records.max(self.synced_behind).unwrap_or(0)
    }
}

/// Reads one segment.
pub(crate) fn scan<D: Disk>(
    disk: &D,
    cluster: Option<u64>,
    name: &str,
    first_seq: u64,
) -> Result<Scanned, Error> {
    let bytes = disk.open(name).and_then(|file| read_all(&file)).context("read", name)?;
    let header = segment::decode_header(&bytes);
    let mut scanned = Scanned {
        name: name.to_owned(),
        first_seq,
        len: bytes.len() as u64,
        records: VecDeque::new(),
        end: 0,
        synced_behind: None,
        header,
    };
    let salt = match header {
        Header::Valid { salt, .. } => salt,
        Header::Unknown(_) => return Ok(scanned),
        Header::Bad => {
            // The salt follows from the name, so records can be found behind a header that is gone.
            // The header was written together with the first of them and before it: if that one
            // is whole, the header was too.
            let salt = segment::salt(cluster.unwrap_or(0), first_seq);
            let found = segment::scan_behind(&bytes, 0, salt, first_seq - 1);
            let first = segment::decode_record(&bytes, HEADER_LEN, salt, |seq| seq == first_seq);
            let whole = first.map(|_| first_seq);
            scanned.synced_behind = found.max(whole);
            return Ok(scanned);
        }
    };
    scanned.end = HEADER_LEN;
    let mut seq = first_seq;
    while let Some(record) = segment::decode_record(&bytes, scanned.end, salt, |s| s == seq) {
        scanned.end = record.end();
        scanned.records.push_back(record);
        seq += 1;
    }
    scanned.synced_behind = segment::scan_behind(&bytes, scanned.end, salt, seq);
    Ok(scanned)
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

/// Where the good part of a log ends: the segment's position and the offset in it.
pub(crate) struct End {
    pub(crate) segment: usize,
    pub(crate) offset: usize,
}

/// Decides what is good, what was never finished and what is damage.
pub(crate) fn judge(segments: &[Scanned], cluster: Option<u64>) -> Result<Option<End>, Error> {
    let mut end = None;
    for (at, segment) in segments.iter().enumerate() {
        let later_synced = segments.iter().skip(at).map(Scanned::synced).max().unwrap_or(0);
        let expected = match at.checked_sub(1).and_then(|before| segments.get(before)) {
            Some(before) => before.next_seq(),
            None => segment.first_seq,
        };
        match segment.header {
            Header::Valid { cluster: found, first_seq, .. } => {
                if cluster.is_some_and(|cluster| cluster != found) {
                    return Err(Error::WrongCluster { file: segment.name.clone() });
                }
                if first_seq != segment.first_seq {
                    return Err(segment::header_error(&segment.name, Header::Bad));
                }
            }
            Header::Unknown(_) => {
                return Err(segment::header_error(&segment.name, segment.header));
            }
            // Made, but the process died before anything in it was durable.
            Header::Bad if later_synced < segment.first_seq => {
                return Ok(end.or(Some(End { segment: at, offset: 0 })));
            }
            Header::Bad => return Err(segment::header_error(&segment.name, Header::Bad)),
        }
        if segment.first_seq != expected {
            // Records between the segments are missing; without them this one never counted, unless
            // they were durable.
            if later_synced >= expected {
                return Err(missing(segments, at, expected));
            }
            return Ok(end);
        }
        if segment.synced_behind.is_some_and(|synced| synced >= segment.next_seq()) {
            return Err(damage(segment));
        }
        end = Some(End { segment: at, offset: segment.end });
    }
    Ok(end)
}

fn damage(segment: &Scanned) -> Error {
    Error::Damaged {
        file: segment.name.clone(),
        offset: segment.end as u64,
        detail: format!("record {} cannot be read, later ones can", segment.next_seq()),
    }
}

fn missing(segments: &[Scanned], at: usize, expected: u64) -> Error {
    let before = at.checked_sub(1).and_then(|before| segments.get(before));
    Error::Damaged {
        file: before.map_or_else(String::new, |before| before.name.clone()),
        offset: before.map_or(0, |before| before.end as u64),
        detail: format!("record {expected} cannot be read, later segments can"),
    }
}

impl<D: Disk> Wal<D> {
    /// Opens the log of a directory; an empty directory gives an empty log.
    ///
    /// # Errors
    /// [`Error`] with the file and what to do; nothing was changed then.
    pub fn open(disk: D, cluster: u64, options: Options) -> Result<(Self, Recovered<D>), Error> {
        let mut segments = Vec::new();
        for (first_seq, name) in segment_names(&disk)? {
            segments.push(scan(&disk, Some(cluster), &name, first_seq)?);
        }
        let end = judge(&segments, Some(cluster))?;
        let cut = cut_tail(&disk, &mut segments, end.as_ref())?;
        let next_seq = segments.last().map_or(1, Scanned::next_seq);
        let mut wal = Wal::assemble(disk.clone(), cluster, options, next_seq);
        wal.adopt_spares()?;
        wal.adopt_segments(&segments)?;
        let segments =
            segments.into_iter().map(|segment| (segment.name, segment.records)).collect();
        let records = Records { disk, segments, current: Vec::new(), records: VecDeque::new() };
        Ok((wal, Recovered { records, cut }))
    }

    fn adopt_segments(&mut self, segments: &[Scanned]) -> Result<(), Error> {
        let mark_max =
            |segment: &Scanned| segment.records.iter().map(|record| record.mark).max().unwrap_or(0);
        let Some((last, closed)) = segments.split_last() else { return Ok(()) };
        for segment in closed {
            self.closed.push_back(Closed {
                name: segment.name.clone(),
                len: segment.len,
                mark_max: mark_max(segment),
            });
        }
        self.active = Some(Active {
            name: last.name.clone(),
            file: self.disk.open(&last.name).context("open", &last.name)?,
            salt: segment::salt(self.cluster, last.first_seq),
            at: last.end as u64,
            end: last.len,
            mark_max: mark_max(last),
            is_filled: true,
        });
        Ok(())
    }

    /// Takes over spares, and removes what was left unfinished.
    fn adopt_spares(&mut self) -> Result<(), Error> {
        for name in self.disk.list().context("list", "the data directory")? {
            if name.ends_with(".tmp") {
                self.disk.remove(&name).context("remove", &name)?;
            }
            let Some(number) = segment::parse_spare_name(&name) else { continue };
            self.next_spare = self.next_spare.max(number + 1);
            let len = self.disk.open(&name).and_then(|file| file.len()).context("open", &name)?;
            if len < self.options.segment_bytes || self.spares.len() >= self.options.spares_max {
                self.disk.remove(&name).context("remove", &name)?;
            } else {
                self.spares.push_back(Spare { name, len, is_filled: true });
            }
        }
        Ok(())
    }
}

/// Overwrites what lies behind the end with zeros, so that nothing of it can ever be taken for a
/// record again, and removes later segments.
fn cut_tail<D: Disk>(
    disk: &D,
    segments: &mut Vec<Scanned>,
    end: Option<&End>,
) -> Result<Option<Cut>, Error> {
    let keep = end.map_or(0, |end| end.segment + usize::from(end.offset > 0));
    let mut cut = None;
    for segment in segments.drain(keep..).collect::<Vec<_>>().iter().rev() {
        disk.remove(&segment.name).context("remove", &segment.name)?;
        cut = Some(Cut { file: segment.name.clone(), offset: 0 });
    }
    if let Some(last) = segments.last() {
        let file = disk.open(&last.name).context("open", &last.name)?;
        zero_behind(&file, last.end as u64, last.len).context("cut", &last.name)?;
        if last.synced_behind.is_some() {
            cut = Some(Cut { file: last.name.clone(), offset: last.end as u64 });
        }
    }
    // What was read may still be in the page cache alone; nobody may act on it before it is
    // durable.
    for segment in segments.iter() {
        let file = disk.open(&segment.name).context("open", &segment.name)?;
        file.sync_all().context("sync", &segment.name)?;
    }
    disk.sync_dir().context("sync", "the data directory")?;
    Ok(cut)
}

/// Zeroes what is not zero yet.
fn zero_behind<F: DiskFile>(file: &F, from: u64, len: u64) -> std::io::Result<()> {
    let mut buf = vec![0; 64 << 10];
    let mut at = from;
    while at < len {
        let read = file.read_at(&mut buf, at)?;
        let Some(bytes) = buf.get_mut(..read).filter(|bytes| !bytes.is_empty()) else { break };
        if bytes.iter().any(|byte| *byte != 0) {
            bytes.fill(0);
            file.write_at(bytes, at)?;
        }
        at += read as u64;
    }
    Ok(())
}
