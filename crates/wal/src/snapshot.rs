//! Snapshot files: written in one go under a temporary name, checked as they are read.
//!
//! ```text
//! header, 32 bytes:  magic "STEADSNP" | version u8, 7 zeros | index u64 | CRC-32C u32 | zeros
//! chunk:             length u32 (1 to 65536) | CRC-32C u32 of (chunk number u64, bytes) | bytes
//! footer:            0 u32 | CRC-32C u32 of the rest | chunks u64 | bytes u64
//! ```
//! Integers are little-endian. A file without its footer was never finished, whatever its name.

use crate::disk::{Disk, DiskFile};
use crate::segment::{u32_at, u64_at};
use std::io::{self, Read, Write};

const MAGIC: [u8; 8] = *b"STEADSNP";
const VERSION: u8 = 1;
const HEADER_LEN: usize = 32;
const CHUNK_BYTES_MAX: usize = 64 << 10;
const CHUNK_HEADER_LEN: usize = 8;
const FOOTER_LEN: usize = 24;

/// After this much the file is synced, so that its end is not one long sync behind which the log
/// waits.
const SYNC_BYTES: u64 = 4 << 20;

fn name(index: u64) -> String {
    format!("snapshot-{index:016x}.snap")
}

pub(crate) fn parse_name(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("snapshot-")?.strip_suffix(".snap")?;
    (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok())?
}

/// The names of all snapshots, the oldest first.
///
/// # Errors
/// What the disk gave.
pub fn list_snapshots<D: Disk>(disk: &D) -> io::Result<Vec<String>> {
    let mut names = disk.list()?;
    names.retain(|name| parse_name(name).is_some());
    names.sort();
    Ok(names)
}

/// Removes the snapshots below `index`.
///
/// # Errors
/// What the disk gave.
pub fn remove_older_snapshots<D: Disk>(disk: &D, index: u64) -> io::Result<()> {
    for name in disk.list()? {
        if parse_name(&name).is_some_and(|found| found < index) {
            disk.remove(&name)?;
        }
    }
    Ok(())
}

fn encode_header(index: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER_LEN);
    header.extend_from_slice(&MAGIC);
    header.extend_from_slice(&[VERSION, 0, 0, 0, 0, 0, 0, 0]);
    header.extend_from_slice(&index.to_le_bytes());
    header.extend_from_slice(&crc32c::crc32c(&header).to_le_bytes());
    header.resize(HEADER_LEN, 0);
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
    is_finished: bool,
}

impl<D: Disk> SnapshotWriter<D> {
    /// Starts the snapshot that covers the log up to `index`.
    ///
    /// # Errors
    /// What the disk gave.
    pub fn create(disk: &D, index: u64) -> io::Result<Self> {
        let temporary = temporary_name(index);
        if disk.list()?.contains(&temporary) {
            disk.remove(&temporary)?;
        }
        let file = disk.create(&temporary)?;
        let mut writer = Self {
            disk: disk.clone(),
            index,
            file,
            at: HEADER_LEN as u64,
            synced_at: 0,
            chunks: 0,
            bytes: 0,
            chunk: vec![0; CHUNK_HEADER_LEN],
            is_finished: false,
        };
        writer.file.write_at(&encode_header(index), 0)?;
        writer.chunk.reserve(CHUNK_BYTES_MAX);
        Ok(writer)
    }

    fn write_chunk(&mut self) -> io::Result<()> {
        let len = self.chunk.len() - CHUNK_HEADER_LEN;
        if len == 0 {
            return Ok(());
        }
        let (header, bytes) = self.chunk.split_at_mut(CHUNK_HEADER_LEN);
        let crc = chunk_checksum(self.chunks, bytes);
        let (len_field, crc_field) = header.split_at_mut(4);
        len_field.copy_from_slice(&u32::try_from(len).map_err(io::Error::other)?.to_le_bytes());
        crc_field.copy_from_slice(&crc.to_le_bytes());
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
    /// What the disk gave; the file is removed then.
    pub fn finish(mut self) -> io::Result<u64> {
        self.write_chunk()?;
        let mut counts = Vec::with_capacity(16);
        counts.extend_from_slice(&self.chunks.to_le_bytes());
        counts.extend_from_slice(&self.bytes.to_le_bytes());
        let mut footer = vec![0; 4];
        footer.extend_from_slice(&crc32c::crc32c(&counts).to_le_bytes());
        footer.extend_from_slice(&counts);
        self.file.write_at(&footer, self.at)?;
        self.file.sync_all()?;
        self.disk.rename(&temporary_name(self.index), &name(self.index))?;
        self.is_finished = true;
        self.disk.sync_dir()?;
        Ok(self.at + FOOTER_LEN as u64)
    }
}

fn temporary_name(index: u64) -> String {
    format!("snapshot-{index:016x}.tmp")
}

fn chunk_checksum(number: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&number.to_le_bytes()), bytes)
}

impl<D: Disk> Write for SnapshotWriter<D> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = CHUNK_BYTES_MAX + CHUNK_HEADER_LEN - self.chunk.len();
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.chunk.extend_from_slice(taken);
        if self.chunk.len() == CHUNK_BYTES_MAX + CHUNK_HEADER_LEN {
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
        if !self.is_finished {
            // What cannot be removed now is removed at the next start.
            let _ = self.disk.remove(&temporary_name(self.index));
        }
    }
}

/// Reads a snapshot. No byte is handed out before the checksum of its chunk has been found right.
#[derive(Debug)]
pub struct SnapshotReader<D: Disk> {
    file: D::File,
    index: u64,
    at: u64,
    chunks: u64,
    bytes: u64,
    chunk: Vec<u8>,
    taken: usize,
    is_at_end: bool,
}

impl<D: Disk> SnapshotReader<D> {
    /// Opens a snapshot by its name.
    ///
    /// # Errors
    /// `InvalidData` with what is wrong and where, or what the disk gave.
    pub fn open(disk: &D, name: &str) -> io::Result<Self> {
        let file = disk.open(name)?;
        let mut header = [0; HEADER_LEN];
        read_exact_at(&file, &mut header, 0)?;
        if header.get(..8) != Some(&MAGIC) {
            return Err(invalid("it is no snapshot", 0));
        }
        if header.get(8) != Some(&VERSION) {
            let version = header.get(8).copied().unwrap_or(0);
            return Err(invalid(&format!("snapshot of unknown version {version}"), 8));
        }
        let index = u64_at(&header, 16).unwrap_or(0);
        if encode_header(index) != header {
            return Err(invalid("its header cannot be read", 0));
        }
        if parse_name(name) != Some(index) {
            return Err(invalid("its header names another index than the file's name", 16));
        }
        Ok(Self {
            file,
            index,
            at: HEADER_LEN as u64,
            chunks: 0,
            bytes: 0,
            chunk: Vec::new(),
            taken: 0,
            is_at_end: false,
        })
    }

    /// The log index that the snapshot covers.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Reads on to the end, to check the whole file. Gives the bytes of content.
    ///
    /// # Errors
    /// As [`SnapshotReader::open`].
    pub fn verify(mut self) -> io::Result<u64> {
        while !self.is_at_end {
            self.next_chunk()?;
        }
        Ok(self.bytes)
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        let mut header = [0; CHUNK_HEADER_LEN];
        read_exact_at(&self.file, &mut header, self.at)?;
        let len = u32_at(&header, 0).unwrap_or(0) as usize;
        let crc = u32_at(&header, 4).unwrap_or(0);
        if len == 0 {
            return self.check_footer(crc);
        }
        if len > CHUNK_BYTES_MAX {
            return Err(invalid("a chunk is longer than any may be", self.at));
        }
        self.chunk.resize(len, 0);
        read_exact_at(&self.file, &mut self.chunk, self.at + CHUNK_HEADER_LEN as u64)?;
        if chunk_checksum(self.chunks, &self.chunk) != crc {
            return Err(invalid("a chunk's checksum is wrong", self.at));
        }
        self.taken = 0;
        self.chunks += 1;
        self.bytes += len as u64;
        self.at += (CHUNK_HEADER_LEN + len) as u64;
        Ok(())
    }

    fn check_footer(&mut self, crc: u32) -> io::Result<()> {
        let mut counts = [0; 16];
        read_exact_at(&self.file, &mut counts, self.at + CHUNK_HEADER_LEN as u64)?;
        let is_right = crc32c::crc32c(&counts) == crc
            && u64_at(&counts, 0) == Some(self.chunks)
            && u64_at(&counts, 8) == Some(self.bytes);
        if !is_right {
            return Err(invalid("its footer is wrong", self.at));
        }
        if self.file.len()? != self.at + FOOTER_LEN as u64 {
            return Err(invalid("there are bytes behind its footer", self.at + FOOTER_LEN as u64));
        }
        self.chunk.clear();
        self.taken = 0;
        self.is_at_end = true;
        Ok(())
    }
}

impl<D: Disk> Read for SnapshotReader<D> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.chunk.len() {
            if self.is_at_end {
                return Ok(0);
            }
            self.next_chunk()?;
        }
        let ready = self.chunk.get(self.taken..).unwrap_or_default();
        let len = ready.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..len), ready.get(..len)) {
            to.copy_from_slice(from);
        }
        self.taken += len;
        Ok(len)
    }
}

fn invalid(detail: &str, at: u64) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{detail} (offset {at})"))
}

fn read_exact_at<F: DiskFile>(file: &F, buf: &mut [u8], at: u64) -> io::Result<()> {
    let mut filled = 0;
    while let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at + filled as u64)? {
            0 => return Err(invalid("the file ends too early", at + filled as u64)),
            read => filled += read,
        }
    }
    Ok(())
}
