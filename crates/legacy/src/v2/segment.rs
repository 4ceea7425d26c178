//! One segment of a write-ahead log, record by record.

use super::frame::{HEADER_LEN, Header, RECORD_BYTES_MAX, Record};
use crate::Error;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// A segment's file, as its name describes it: `SEQ-FIRSTINDEX.wal`, 16 hexadecimal digits each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) seq: u64,
    /// The raft index of the first entry that may be in it.
    pub(super) first: u64,
}

impl Segment {
    /// Reads a name; other files are not segments.
    pub(super) fn parse(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_suffix(".wal")?;
        let (seq, first) = super::two_hex(name)?;
        Some(Self { path: path.to_owned(), seq, first })
    }
}

/// Why a record cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// The file ends within it.
    Cut,
    /// It is no record.
    Malformed,
    /// Its checksum is wrong.
    Checksum,
    /// It is longer than [`RECORD_BYTES_MAX`].
    TooLong,
    /// A length of zero, behind which the file is not empty.
    Gap,
}

impl Flaw {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Flaw::Cut => "the file ends within a record",
            Flaw::Malformed => "invalid record",
            Flaw::Checksum => "checksum mismatch",
            Flaw::TooLong => "the length of the record is over 10 MiB",
            Flaw::Gap => "zeros, and more data behind them",
        }
    }
}

/// What comes next in a segment.
#[derive(Debug)]
pub(super) enum Step<'a> {
    Record(Record<'a>),
    End,
    Flawed(Flaw),
}

/// Reads a segment from its beginning. The running checksum goes in and out.
#[derive(Debug)]
pub(super) struct SegmentReader {
    path: PathBuf,
    file: BufReader<File>,
    /// The length of the file when it was opened, in bytes.
    len: u64,
    /// Where the record begins that was read last.
    pub(super) offset: u64,
    next: u64,
    /// The checksum of all records before, unknown at the head of the first segment that is read.
    pub(super) running: Option<u32>,
    buf: Vec<u8>,
}

impl SegmentReader {
    pub(super) fn open(path: &Path, running: Option<u32>) -> Result<Self, Error> {
        let file = File::open(path).map_err(|error| Error::io(path, error))?;
        let len = file.metadata().map_err(|error| Error::io(path, error))?.len();
        let file = BufReader::with_capacity(64 << 10, file);
        Ok(Self { path: path.to_owned(), file, len, offset: 0, next: 0, running, buf: Vec::new() })
    }

    /// The bytes behind the last record's header, if it was read.
    pub(super) fn body(&self) -> &[u8] {
        &self.buf
    }

    /// Reads the next record. Nothing follows a flaw or the end.
    pub(super) fn step(&mut self) -> Result<Step<'_>, Error> {
        self.offset = self.next;
        self.buf.clear();
        let left = self.len - self.offset;
        if left == 0 {
            return Ok(Step::End);
        }
        if left < HEADER_LEN {
            return Ok(if self.rest_is_zero()? { Step::End } else { Step::Flawed(Flaw::Cut) });
        }
        let mut header = [0; 8];
        self.fill(&mut header)?;
        let header = Header::decode(header);
        if header.len == 0 {
            return Ok(if self.rest_is_zero()? { Step::End } else { Step::Flawed(Flaw::Gap) });
        }
        if header.body_len() > left - HEADER_LEN {
            return Ok(Step::Flawed(Flaw::Cut));
        }
        if header.len > RECORD_BYTES_MAX {
            return Ok(Step::Flawed(Flaw::TooLong));
        }
        let body_len = usize::try_from(header.body_len()).expect("10 MiB fit");
        let mut buf = std::mem::take(&mut self.buf);
        buf.resize(body_len, 0);
        self.fill(&mut buf)?;
        self.buf = buf;
        self.next = self.offset + HEADER_LEN + header.body_len();
        self.check(header)
    }

    fn check(&mut self, header: Header) -> Result<Step<'_>, Error> {
        let len = usize::try_from(header.len).expect("10 MiB fit");
        let Ok(record) = Record::decode(self.buf.get(..len).unwrap_or_default()) else {
            return Ok(Step::Flawed(Flaw::Malformed));
        };
        match record.checksum(self.running) {
            Some(running) => self.running = Some(running),
            None => return Ok(Step::Flawed(Flaw::Checksum)),
        }
        Ok(Step::Record(record))
    }

    fn fill(&mut self, buf: &mut [u8]) -> Result<(), Error> {
        self.file.read_exact(buf).map_err(|error| Error::io(&self.path, error))
    }

    /// Whether only zeros follow in the file.
    fn rest_is_zero(&mut self) -> Result<bool, Error> {
        let mut buf = vec![0; 64 << 10];
        loop {
            match self.file.read(&mut buf) {
                Ok(0) => return Ok(true),
                Ok(len) if buf.get(..len).unwrap_or_default().iter().any(|byte| *byte != 0) => {
                    return Ok(false);
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io(&self.path, error)),
            }
        }
    }
}
