//! Snapshot files: written in one go under a temporary name, checked as they are read.
//!
//! ```text
//! header, 40 bytes:  magic "STEADSNP" | version u8, 7 zeros | index u64 | log seq u64
//!                    | CRC-32C u32 of the 32 bytes before | zeros
//! chunk:             length u32 (1 to 65536) | CRC-32C u32 of (chunk number u64, bytes) | bytes
//! footer:            0 u32 | CRC-32C u32 of the rest | chunks u64 | bytes u64
//! ```
//! Integers are little-endian. A file without its footer was never finished, whatever its name.
//!
//! `log seq` is the highest record of the log that was durable when the snapshot was begun: a log
//! that does not reach it is not the one that the snapshot goes with. Version 1 had a header of 32
//! bytes without it, with the checksum in its place.
//!
//! Writing and reading need nothing of the log, so that other threads can do both.

use crate::chunk::{
    CHUNK_BYTES_MAX, CHUNK_HEADER_LEN, FOOTER_LEN, chunk_checksum, encode_footer, hand_out,
    seal_chunk,
};
use crate::disk::{Disk, DiskFile};
use crate::error::Named;
use crate::scan::read_full_at;
use crate::segment::{u32_at, u64_at};
use crate::seq::Seq;
use std::io::{self, Read, Write};

const MAGIC: [u8; 8] = *b"STEADSNP";
const VERSION: u8 = 2;
const HEADER_LEN: usize = 40;
const VERSION_1: u8 = 1;
const HEADER_1_LEN: usize = 32;

/// After this much the file is synced, so that its end is not one long sync behind which the log
/// waits.
const SYNC_BYTES: u64 = 4 << 20;

/// The file that a snapshot of another member is gathered in. It is never started from.
pub const INCOMING_NAME: &str = "incoming.tmp";

/// The name of the snapshot that covers the log up to `index`.
pub fn snapshot_name(index: u64) -> String {
    name(index)
}

fn name(index: u64) -> String {
    format!("snapshot-{index:016x}.snap")
}

fn temporary_name(index: u64) -> String {
    format!("snapshot-{index:016x}.tmp")
}

fn parse(found: &str, suffix: &str, name: fn(u64) -> String) -> Option<u64> {
    let digits = found.strip_prefix("snapshot-")?.strip_suffix(suffix)?;
    let index = u64::from_str_radix(digits, 16).ok()?;
    (name(index) == found).then_some(index)
}

/// The index that a snapshot's name says. Only names that [`name`] gives are ours.
pub(crate) fn parse_name(found: &str) -> Option<u64> {
    parse(found, ".snap", name)
}

pub(crate) fn is_temporary_name(found: &str) -> bool {
    found == INCOMING_NAME || parse(found, ".tmp", temporary_name).is_some()
}

/// The names of all snapshots, the oldest first.
///
/// # Errors
/// What the disk gave.
pub fn list_snapshots<D: Disk>(disk: &D) -> io::Result<Vec<String>> {
    let mut names = disk.list().named("list", "the data directory")?;
    names.retain(|name| parse_name(name).is_some());
    names.sort();
    Ok(names)
}

/// Removes the snapshots below `index`.
///
/// # Errors
/// What the disk gave.
pub fn remove_older_snapshots<D: Disk>(disk: &D, index: u64) -> io::Result<()> {
    for name in disk.list().named("list", "the data directory")? {
        if parse_name(&name).is_some_and(|found| found < index) {
            disk.remove(&name).named("remove", &name)?;
        }
    }
    Ok(())
}

fn encode_header(index: u64, log_seq: Seq) -> Vec<u8> {
    encode_header_of(VERSION, &[index, log_seq.0], HEADER_LEN)
}

fn encode_header_of(version: u8, numbers: &[u64], len: usize) -> Vec<u8> {
    let mut header = Vec::with_capacity(len);
    header.extend_from_slice(&MAGIC);
    header.extend_from_slice(&[version, 0, 0, 0, 0, 0, 0, 0]);
    numbers.iter().for_each(|number| header.extend_from_slice(&number.to_le_bytes()));
    header.extend_from_slice(&crc32c::crc32c(&header).to_le_bytes());
    header.resize(len, 0);
    header
}

/// Writes one snapshot. Nothing has its final name before [`SnapshotWriter::finish`]; dropped
/// before that, the file is removed.
#[derive(Debug)]
pub struct SnapshotWriter<D: Disk> {
    disk: D,
    index: u64,
    file: D::File,
    at: u64,
    synced_at: u64,
    chunks: u64,
    bytes: u64,
    /// The chunk that is being gathered, behind room for its header.
    chunk: Vec<u8>,
    has_failed: bool,
    is_sealed: bool,
}

impl<D: Disk> SnapshotWriter<D> {
    /// Starts the snapshot that covers the log up to `index`. `log_seq` is the last record of the
    /// log that is durable now: a start refuses the snapshot with a log that does not reach it.
    /// There is always one.
    ///
    /// # Errors
    /// What the disk gave.
    pub fn create(disk: &D, index: u64, log_seq: Seq) -> io::Result<Self> {
        let log_seq = log_seq.max(Seq(1));
        let temporary = temporary_name(index);
        if disk.list().named("list", "the data directory")?.contains(&temporary) {
            disk.remove(&temporary).named("remove", &temporary)?;
        }
        let file = disk.create(&temporary).named("create", &temporary)?;
        let mut chunk = Vec::with_capacity(CHUNK_HEADER_LEN + CHUNK_BYTES_MAX);
        chunk.resize(CHUNK_HEADER_LEN, 0);
        let writer = Self {
            disk: disk.clone(),
            index,
            file,
            at: HEADER_LEN as u64,
            synced_at: 0,
            chunks: 0,
            bytes: 0,
            chunk,
            has_failed: false,
            is_sealed: false,
        };
        writer.file.write_at(&encode_header(index, log_seq), 0).named("write to", &temporary)?;
        Ok(writer)
    }

    /// What tells the file from a copy of it, where the disk knows.
    pub fn origin(&self) -> Option<u64> {
        self.file.origin().ok().flatten()
    }

    /// Writes what was gathered. After an error nothing is tried again: a second sync may claim
    /// what the first one lost.
    fn write_chunk(&mut self) -> io::Result<()> {
        if self.has_failed {
            return Err(io::Error::other("an earlier write of the snapshot failed"));
        }
        let name = temporary_name(self.index);
        let result = self.try_write_chunk().named("write to", &name);
        self.has_failed = result.is_err();
        result
    }

    fn try_write_chunk(&mut self) -> io::Result<()> {
        let len = self.chunk.len() - CHUNK_HEADER_LEN;
        if len == 0 {
            return Ok(());
        }
        seal_chunk(self.chunks, &mut self.chunk);
        self.file.write_at(&self.chunk, self.at)?;
        self.at += self.chunk.len() as u64;
        self.chunks += 1;
        self.bytes += len as u64;
        self.chunk.truncate(CHUNK_HEADER_LEN);
        if self.at - self.synced_at >= SYNC_BYTES {
            self.synced_at = self.at;
            self.file.sync_data()?;
        }
        Ok(())
    }

    /// Writes the footer, makes the file durable and gives it its name. Gives its size.
    ///
    /// # Errors
    /// As [`SnapshotWriter::seal`] and [`SealedSnapshot::publish`].
    pub fn finish(self) -> io::Result<u64> {
        let sealed = self.seal()?;
        let bytes = sealed.bytes();
        sealed.publish()?;
        Ok(bytes)
    }

    /// Writes the footer and makes the file durable. It has no name yet that anything would be
    /// started from.
    ///
    /// # Errors
    /// What the disk gave; the file is removed then.
    pub fn seal(mut self) -> io::Result<SealedSnapshot<D>> {
        self.write_chunk()?;
        let name = temporary_name(self.index);
        let footer = encode_footer(self.chunks, self.bytes);
        self.file.write_at(&footer, self.at).named("write to", &name)?;
        self.file.sync_all().named("sync", &name)?;
        self.is_sealed = true;
        Ok(SealedSnapshot {
            disk: self.disk.clone(),
            index: self.index,
            bytes: self.at + FOOTER_LEN as u64,
            has_name: false,
        })
    }
}

/// A snapshot that is complete and durable, and has no name yet. Dropped, it is removed.
#[derive(Debug)]
pub struct SealedSnapshot<D: Disk> {
    disk: D,
    index: u64,
    bytes: u64,
    has_name: bool,
}

impl<D: Disk> SealedSnapshot<D> {
    /// The size of the file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives the file its name: from now on a start finds it.
    ///
    /// # Errors
    /// What the disk gave; the file is removed then, unless only the last step failed, which makes
    /// its name durable.
    pub fn publish(mut self) -> io::Result<()> {
        let temporary = temporary_name(self.index);
        self.disk.rename(&temporary, &name(self.index)).named("rename", &temporary)?;
        self.has_name = true;
        self.disk.sync_dir().named("sync", "the data directory")
    }
}

impl<D: Disk> Drop for SealedSnapshot<D> {
    fn drop(&mut self) {
        if !self.has_name {
            // What cannot be removed now is removed at the next start.
            let _ = self.disk.remove(&temporary_name(self.index));
        }
    }
}

/// A number in a header or a footer that has been read as a whole: what it says may be wrong, and
/// that it is there cannot be.
fn field_u64(bytes: &[u8], at: usize) -> u64 {
    u64_at(bytes, at).expect("the field lies within what was read")
}

fn field_u32(bytes: &[u8], at: usize) -> u32 {
    u32_at(bytes, at).expect("the field lies within what was read")
}

impl<D: Disk> Write for SnapshotWriter<D> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = (CHUNK_HEADER_LEN + CHUNK_BYTES_MAX).saturating_sub(self.chunk.len());
        let (taken, _) = bytes.split_at(room.min(bytes.len()));
        self.chunk.extend_from_slice(taken);
        if self.chunk.len() == CHUNK_HEADER_LEN + CHUNK_BYTES_MAX {
            self.write_chunk()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<D: Disk> Drop for SnapshotWriter<D> {
    fn drop(&mut self) {
        if !self.is_sealed {
            // What cannot be removed now is removed at the next start.
            let _ = self.disk.remove(&temporary_name(self.index));
        }
    }
}

/// Reads a snapshot. No byte is handed out before the footer was found to fit the file, and the
/// checksum of the byte's chunk to be right.
#[derive(Debug)]
pub struct SnapshotReader<D: Disk> {
    file: D::File,
    name: String,
    index: u64,
    log_seq: Seq,
    /// How many chunks there are, by the footer.
    chunks: u64,
    /// How many bytes are in them, by the footer.
    bytes: u64,
    at: u64,
    chunks_read: u64,
    bytes_read: u64,
    chunk: Vec<u8>,
    taken: usize,
}

impl<D: Disk> SnapshotReader<D> {
    /// Opens a snapshot by its name.
    ///
    /// # Errors
    /// `InvalidData` with the file, what is wrong with it and where; or what the disk gave.
    pub fn open(disk: &D, name: &str) -> io::Result<Self> {
        let mut reader = Self {
            file: disk.open(name).named("open", name)?,
            name: name.to_owned(),
            index: 0,
            log_seq: Seq(1),
            chunks: 0,
            bytes: 0,
            at: 0,
            chunks_read: 0,
            bytes_read: 0,
            chunk: Vec::new(),
            taken: 0,
        };
        reader.read_header()?;
        reader.read_footer()?;
        Ok(reader)
    }

    fn read_header(&mut self) -> io::Result<()> {
        // The longer header of the two fits into the shortest file: there is a footer behind it.
        let mut header = [0; HEADER_LEN];
        self.read_exact_at(&mut header, 0)?;
        if header.get(..8) != Some(&MAGIC) {
            return Err(self.damaged("it is not a snapshot", 0));
        }
        self.index = field_u64(&header, 16);
        let expected = match header[8] {
            VERSION => {
                self.log_seq = Seq(field_u64(&header, 24)).max(Seq(1));
                encode_header(self.index, self.log_seq)
            }
            VERSION_1 => encode_header_of(VERSION_1, &[self.index], HEADER_1_LEN),
            version => {
                let detail = format!("its format version {version} is unknown");
                return Err(self.damaged(&detail, 8));
            }
        };
        self.at = expected.len() as u64;
        if !header.starts_with(&expected) {
            return Err(self.damaged("its header cannot be read", 0));
        }
        if self.name != INCOMING_NAME && parse_name(&self.name) != Some(self.index) {
            return Err(self.damaged("its header names another index than the file's name", 16));
        }
        Ok(())
    }

    fn read_footer(&mut self) -> io::Result<()> {
        let len = self.file.len().named("read the length of", &self.name)?;
        let at = len.saturating_sub(FOOTER_LEN as u64);
        let mut footer = [0; FOOTER_LEN];
        self.read_exact_at(&mut footer, at)?;
        self.chunks = field_u64(&footer, 8);
        self.bytes = field_u64(&footer, 16);
        let is_written = encode_footer(self.chunks, self.bytes) == footer;
        let headers = self.chunks.saturating_mul(CHUNK_HEADER_LEN as u64);
        let end = self.at.saturating_add(headers).saturating_add(self.bytes);
        if !is_written || end != at {
            return Err(self.damaged("its end is missing or cannot be read", at));
        }
        Ok(())
    }

    /// What tells the file from a copy of it, where the disk knows.
    pub fn origin(&self) -> Option<u64> {
        self.file.origin().ok().flatten()
    }

    /// The log index that the snapshot covers.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The record that the log must reach, at least the first: the highest one that was durable
    /// when the snapshot was begun. Version 1 did not say, and there always was one.
    pub fn log_seq(&self) -> Seq {
        self.log_seq
    }

    /// The bytes of content, by the footer.
    pub fn content_len(&self) -> u64 {
        self.bytes
    }

    /// Reads on to the end, to check the whole file, with one chunk of it in memory at a time.
    /// Gives the bytes of content.
    ///
    /// # Errors
    /// As [`SnapshotReader::open`].
    pub fn verify(mut self) -> io::Result<u64> {
        while self.next_chunk()? {}
        Ok(self.bytes)
    }

    /// Reads the next chunk; says whether there was one.
    fn next_chunk(&mut self) -> io::Result<bool> {
        // Nothing of the last chunk must be left to hand out when this one turns out bad.
        let mut chunk = std::mem::take(&mut self.chunk);
        self.taken = 0;
        if self.chunks_read == self.chunks {
            return if self.bytes_read == self.bytes {
                Ok(false)
            } else {
                Err(self
                    .damaged("its chunks hold another number of bytes than its end says", self.at))
            };
        }
        let mut header = [0; CHUNK_HEADER_LEN];
        self.read_exact_at(&mut header, self.at)?;
        let (len, sum) = (field_u32(&header, 0), field_u32(&header, 4));
        let len = usize::try_from(len).expect("a pointer has 32 bits at least");
        if len == 0 || len > CHUNK_BYTES_MAX {
            return Err(self.damaged("a chunk has an impossible length", self.at));
        }
        chunk.resize(len, 0);
        self.read_exact_at(&mut chunk, self.at + CHUNK_HEADER_LEN as u64)?;
        if chunk_checksum(self.chunks_read, &chunk) != sum {
            return Err(self.damaged("a chunk's checksum is wrong", self.at));
        }
        self.chunk = chunk;
        self.chunks_read += 1;
        self.bytes_read += len as u64;
        self.at += (CHUNK_HEADER_LEN + len) as u64;
        Ok(true)
    }

    fn read_exact_at(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        let read = read_full_at(&self.file, buf, at).named("read", &self.name)?;
        if read < buf.len() {
            return Err(self.damaged("it ends too early", at + read as u64));
        }
        Ok(())
    }

    fn damaged(&self, detail: &str, at: u64) -> io::Error {
        let message = format!("{} is damaged at offset {at}: {detail}", self.name);
        io::Error::new(io::ErrorKind::InvalidData, message)
    }
}

impl<D: Disk> Read for SnapshotReader<D> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        while self.taken == self.chunk.len() {
            if !self.next_chunk()? {
                return Ok(0);
            }
        }
        Ok(hand_out(&self.chunk, &mut self.taken, buf))
    }
}
