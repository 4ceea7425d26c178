//! The pieces that a snapshot's stream is made of, read one by one and checked.

use crate::codec;
use crate::node::{Dir, File};
use crate::snapshot::{PIECE_BYTES, STRING_BYTES_MAX};
use crate::stats::{Counter, StoreStats};
use crate::time::{Lease, Stamp, Timestamp, WallOffset};
use std::io::{self, Read};

impl crate::auth::Read for Source<'_> {
    type Error = io::Error;

    fn number(&mut self) -> io::Result<u64> {
        Source::number(self)
    }

    fn text(&mut self) -> io::Result<String> {
        self.string()
    }
}

/// The longest LEB128 number.
const NUMBER_BYTES_MAX: usize = 10;

/// Reads the stream piece by piece.
pub(super) struct Source<'a> {
    input: &'a mut dyn Read,
    buf: Vec<u8>,
    at: usize,
    /// Bytes before those in `buf`.
    passed: u64,
    /// The store's index: no index in the stream is larger.
    index: u64,
    /// The wall offset of deadlines that come without one, as they did up to version 2.
    shown_with: Option<WallOffset>,
}

impl<'a> Source<'a> {
    pub(super) fn new(input: &'a mut dyn Read) -> Self {
        Self { input, buf: Vec::new(), at: 0, passed: 0, index: u64::MAX, shown_with: None }
    }

    /// From here on no index may be larger.
    pub(super) fn set_index(&mut self, index: u64) {
        self.index = index;
    }

    /// From here on deadlines have no wall offset in the stream, but this one.
    pub(super) fn set_shown_with(&mut self, wall_offset: Option<WallOffset>) {
        self.shown_with = wall_offset;
    }

    /// Refuses what goes on.
    pub(super) fn finish(mut self) -> io::Result<()> {
        if self.at < self.buf.len() || self.refill()? {
            return Err(self.wrong("it goes on where it should end"));
        }
        Ok(())
    }

    pub(super) fn wrong(&self, detail: &str) -> io::Error {
        let at = self.passed + self.at as u64;
        let message = format!("the store's snapshot is wrong at byte {at}: {detail}");
        io::Error::new(io::ErrorKind::InvalidData, message)
    }

    /// Reads the next piece; says whether there was one.
    fn refill(&mut self) -> io::Result<bool> {
        self.passed += self.buf.len() as u64;
        self.at = 0;
        self.buf.resize(PIECE_BYTES, 0);
        let read = loop {
            match self.input.read(&mut self.buf) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        self.buf.truncate(*read.as_ref().unwrap_or(&0));
        Ok(read? > 0)
    }

    fn need_bytes(&mut self) -> io::Result<()> {
        if self.at == self.buf.len() && !self.refill()? {
            return Err(self.wrong("it ends too early"));
        }
        Ok(())
    }

    pub(super) fn byte(&mut self) -> io::Result<u8> {
        self.need_bytes()?;
        let byte = self.buf.get(self.at).copied().unwrap_or_default();
        self.at += 1;
        Ok(byte)
    }

    pub(super) fn number(&mut self) -> io::Result<u64> {
        let ready = self.buf.get(self.at..).unwrap_or_default();
        let mut bytes = [0; NUMBER_BYTES_MAX];
        if let Some(mut rest) = ready.get(..NUMBER_BYTES_MAX) {
            let number = codec::take_number(&mut rest);
            self.at += NUMBER_BYTES_MAX - rest.len();
            return number.map_err(|_| self.wrong("a number is malformed"));
        }
        let mut len = 0;
        for slot in &mut bytes {
            *slot = self.byte()?;
            len += 1;
            if *slot & 0x80 == 0 {
                break;
            }
        }
        let mut bytes = bytes.get(..len).unwrap_or_default();
        codec::take_number(&mut bytes).map_err(|_| self.wrong("a number is malformed"))
    }

    pub(super) fn string<T: for<'t> From<&'t str>>(&mut self) -> io::Result<T> {
        let len = self.number()?;
        if len > STRING_BYTES_MAX {
            return Err(self.wrong("a string is too long"));
        }
        let len = usize::try_from(len).map_err(io::Error::other)?;
        if let Some(bytes) = self.buf.get(self.at..self.at + len) {
            let text = str::from_utf8(bytes).map(T::from);
            self.at += len;
            return text.map_err(|_| self.wrong("a string is not UTF-8"));
        }
        let mut bytes = Vec::new();
        while bytes.len() < len {
            self.need_bytes()?;
            let ready = self.buf.get(self.at..).unwrap_or_default();
            let taken = ready.get(..len - bytes.len()).unwrap_or(ready);
            bytes.extend_from_slice(taken);
            self.at += taken.len();
        }
        let text = str::from_utf8(&bytes).map_err(|_| self.wrong("a string is not UTF-8"))?;
        Ok(T::from(text))
    }

    pub(super) fn index(&mut self) -> io::Result<u64> {
        let index = self.number()?;
        if index > self.index {
            return Err(self.wrong("an index is larger than the store's"));
        }
        Ok(index)
    }

    pub(super) fn stamp(&mut self) -> io::Result<Stamp> {
        let time = Timestamp(self.number()?);
        Ok(Stamp { time, wall_offset: self.wall_offset()? })
    }

    fn wall_offset(&mut self) -> io::Result<WallOffset> {
        Ok(WallOffset(codec::unzigzag(self.number()?)))
    }

    fn fields(&mut self) -> io::Result<(u64, u64, Option<Lease>)> {
        let (created, modified, deadline) = (self.index()?, self.index()?, self.number()?);
        if created > modified {
            return Err(self.wrong("a node was changed before it was made"));
        }
        let Some(deadline) = deadline.checked_sub(1).map(Timestamp) else {
            return Ok((created, modified, None));
        };
        let wall_offset = self.shown_with.map_or_else(|| self.wall_offset(), Ok)?;
        Ok((created, modified, Some(Lease { deadline, wall_offset })))
    }

    pub(super) fn file(&mut self) -> io::Result<File> {
        let file = self.file_without_value()?;
        let value: Box<str> = self.string()?;
        Ok(file.with_value(value))
    }

    pub(super) fn file_without_value(&mut self) -> io::Result<File> {
        let (created, modified, lease) = self.fields()?;
        Ok(File::new(created, modified, lease, ""))
    }

    pub(super) fn dir(&mut self) -> io::Result<Dir> {
        let (created, modified, lease) = self.fields()?;
        Ok(Dir::new(created, modified, lease))
    }

    pub(super) fn stats(&mut self) -> io::Result<StoreStats> {
        let mut pair = || -> io::Result<Counter> {
            Ok(Counter { success: self.number()?, fail: self.number()? })
        };
        let mut stats = StoreStats {
            sets: pair()?,
            deletes: pair()?,
            updates: pair()?,
            creates: pair()?,
            compare_and_swaps: pair()?,
            compare_and_deletes: pair()?,
            ..StoreStats::default()
        };
        stats.expire_count = self.number()?;
        Ok(stats)
    }
}
