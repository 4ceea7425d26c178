//! Checked streams: the chunks of `snapshot.rs` for what is not a file of the data directory, such
//! as a backup on its way over the network.
//!
//! ```text
//! header, 16 bytes:  magic, 8 bytes | version u8, 3 zeros | CRC-32C u32 of the 12 bytes before
//! chunk:             length u32 (1 to 65536) | CRC-32C u32 of (chunk number u64, bytes) | bytes
//! footer:            0 u32 | CRC-32C u32 of the rest | chunks u64 | bytes u64
//! ```
//! A stream is written and read in one go, from front to back. So a reader learns only at the
//! footer that nothing is missing: what it made of the bytes must not be used before.

use crate::chunk::{
    CHUNK_BYTES_MAX, CHUNK_HEADER_LEN, FOOTER_LEN, chunk_checksum, encode_footer, hand_out,
    seal_chunk,
};
use crate::segment::{u32_at, u64_at};
use std::io::{self, Read, Write};

const HEADER_LEN: usize = 16;

fn encode_header(magic: [u8; 8], version: u8) -> Vec<u8> {
    let mut header = magic.to_vec();
    header.extend_from_slice(&[version, 0, 0, 0]);
    header.extend_from_slice(&crc32c::crc32c(&header).to_le_bytes());
    header
}

/// Writes a checked stream into `out`. What was written is of no use before
/// [`CheckedWriter::finish`].
#[derive(Debug)]
pub struct CheckedWriter<W: Write> {
    out: W,
    chunks: u64,
    bytes: u64,
    /// The chunk that is being gathered, behind room for its header.
    chunk: Vec<u8>,
}

impl<W: Write> CheckedWriter<W> {
    /// Begins a stream: `magic` says of what kind it is, and `version` how its content is written.
    ///
    /// # Errors
    /// What `out` gave.
    pub fn create(mut out: W, magic: [u8; 8], version: u8) -> io::Result<Self> {
        out.write_all(&encode_header(magic, version))?;
        let mut chunk = Vec::with_capacity(CHUNK_HEADER_LEN + CHUNK_BYTES_MAX);
        chunk.resize(CHUNK_HEADER_LEN, 0);
        Ok(Self { out, chunks: 0, bytes: 0, chunk })
    }

    fn write_chunk(&mut self) -> io::Result<()> {
        let len = self.chunk.len() - CHUNK_HEADER_LEN;
        if len == 0 {
            return Ok(());
        }
        seal_chunk(self.chunks, &mut self.chunk);
        self.out.write_all(&self.chunk)?;
        self.chunks += 1;
        self.bytes += len as u64;
        self.chunk.truncate(CHUNK_HEADER_LEN);
        Ok(())
    }

    /// Writes the footer. Gives back `out`.
    ///
    /// # Errors
    /// What `out` gave.
    pub fn finish(mut self) -> io::Result<W> {
        self.write_chunk()?;
        self.out.write_all(&encode_footer(self.chunks, self.bytes))?;
        self.out.flush()?;
        Ok(self.out)
    }
}

impl<W: Write> Write for CheckedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = CHUNK_HEADER_LEN + CHUNK_BYTES_MAX - self.chunk.len();
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

/// Reads a checked stream. No byte is handed out before its chunk's checksum was found to be right;
/// that none is missing shows at the end only.
#[derive(Debug)]
pub struct CheckedReader<R: Read> {
    input: R,
    at: u64,
    chunks: u64,
    bytes: u64,
    chunk: Vec<u8>,
    taken: usize,
    has_ended: bool,
}

impl<R: Read> CheckedReader<R> {
    /// Reads the header. `versions` are those that the caller understands; gives the one that was
    /// found.
    ///
    /// # Errors
    /// `InvalidData` with what is wrong and where; or what `input` gave.
    pub fn open(input: R, magic: [u8; 8], versions: &[u8]) -> io::Result<(Self, u8)> {
        let (at, chunks, bytes, chunk) = (0, 0, 0, Vec::new());
        let mut reader = Self { input, at, chunks, bytes, chunk, taken: 0, has_ended: false };
        let mut header = [0; HEADER_LEN];
        reader.fill(&mut header)?;
        let version = header[8];
        if !header.starts_with(&magic) {
            return Err(damaged(0, "it begins with something else"));
        }
        if encode_header(magic, version) != header {
            return Err(damaged(0, "the checksum of its header is wrong"));
        }
        if !versions.contains(&version) {
            let detail = format!("its format version {version} is unknown to this release");
            return Err(damaged(8, &detail));
        }
        Ok((reader, version))
    }

    /// Reads on to the end: the footer has to be there, and nothing behind it. Gives the bytes of
    /// content.
    ///
    /// # Errors
    /// As [`CheckedReader::open`].
    pub fn finish(mut self) -> io::Result<u64> {
        while self.next_chunk()? {}
        if read_full(&mut self.input, &mut [0])? > 0 {
            return Err(damaged(self.at, "bytes follow its end"));
        }
        Ok(self.bytes)
    }

    fn fill(&mut self, buf: &mut [u8]) -> io::Result<()> {
        let read = read_full(&mut self.input, buf)?;
        if read < buf.len() {
            return Err(damaged(self.at + read as u64, "it ends too early"));
        }
        self.at += read as u64;
        Ok(())
    }

    /// Reads the next chunk; says whether there was one.
    fn next_chunk(&mut self) -> io::Result<bool> {
        let mut chunk = std::mem::take(&mut self.chunk);
        self.taken = 0;
        if self.has_ended {
            return Ok(false);
        }
        let at = self.at;
        let mut header = [0; CHUNK_HEADER_LEN];
        self.fill(&mut header)?;
        let number = |at| u32_at(&header, at).expect("the field lies within the header");
        let (len, sum) = (number(0), number(4));
        let len = usize::try_from(len).expect("a pointer has 32 bits at least");
        if len == 0 {
            self.read_footer(at, header)?;
            return Ok(false);
        }
        if len > CHUNK_BYTES_MAX {
            return Err(damaged(at, "a chunk has an impossible length"));
        }
        chunk.resize(len, 0);
        self.fill(&mut chunk)?;
        if chunk_checksum(self.chunks, &chunk) != sum {
            return Err(damaged(at, "a chunk's checksum is wrong"));
        }
        self.chunk = chunk;
        self.chunks += 1;
        self.bytes += len as u64;
        Ok(true)
    }

    fn read_footer(&mut self, at: u64, front: [u8; CHUNK_HEADER_LEN]) -> io::Result<()> {
        let mut footer = [0; FOOTER_LEN];
        let (head, counts) = footer.split_at_mut(CHUNK_HEADER_LEN);
        head.copy_from_slice(&front);
        self.fill(counts)?;
        let number = |at| u64_at(&footer, at).expect("the field lies within the footer");
        let (chunks, bytes) = (number(8), number(16));
        if encode_footer(chunks, bytes) != footer {
            return Err(damaged(at, "the checksum of its end is wrong"));
        }
        if (chunks, bytes) != (self.chunks, self.bytes) {
            return Err(damaged(at, "its end says that another number of bytes came before"));
        }
        self.has_ended = true;
        Ok(())
    }
}

impl<R: Read> Read for CheckedReader<R> {
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

/// Reads until `buf` is full or nothing more comes. Gives how much came.
fn read_full(input: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while let Some(rest) = buf.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

fn damaged(at: u64, detail: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("damaged at offset {at}: {detail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAGIC: [u8; 8] = *b"STEADTST";

    fn written(content: &[u8]) -> Vec<u8> {
        let mut writer = CheckedWriter::create(Vec::new(), MAGIC, 3).expect("memory takes it");
        writer.write_all(content).expect("memory takes it");
        writer.finish().expect("memory takes it")
    }

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let (mut reader, version) = CheckedReader::open(bytes, MAGIC, &[3])?;
        assert_eq!(version, 3);
        let mut content = Vec::new();
        reader.read_to_end(&mut content)?;
        assert_eq!(reader.finish()?, content.len() as u64);
        Ok(content)
    }

    #[test]
    fn a_stream_comes_back_at_every_length() {
        for len in [0, 1, CHUNK_BYTES_MAX - 1, CHUNK_BYTES_MAX, CHUNK_BYTES_MAX + 1, 200_000] {
            let content: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
            assert_eq!(read(&written(&content)).expect("it is whole"), content);
        }
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_noticed() {
        let bytes = written(b"some content that is short enough to try each bit of it");
        for len in 0..bytes.len() {
            let error = read(&bytes[..len]).expect_err("it is cut");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "cut at {len}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&flipped).is_err(), "bit {bit} was flipped");
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(read(&longer).expect_err("a byte follows").to_string().contains("follow"));
    }

    #[test]
    fn chunks_that_were_swapped_are_noticed() {
        let content = [vec![1; CHUNK_BYTES_MAX], vec![2; CHUNK_BYTES_MAX]].concat();
        let mut bytes = written(&content);
        let whole = CHUNK_HEADER_LEN + CHUNK_BYTES_MAX;
        let (first, second) = bytes[HEADER_LEN..HEADER_LEN + 2 * whole].split_at_mut(whole);
        first.swap_with_slice(second);
        assert!(read(&bytes).expect_err("they are swapped").to_string().contains("checksum"));
    }

    #[test]
    fn another_kind_and_a_newer_version_are_refused_by_name() {
        let bytes = written(b"x");
        let open = |magic, versions: &[u8]| {
            CheckedReader::open(&bytes[..], magic, versions).expect_err("refused").to_string()
        };
        assert!(open(*b"STEADSNP", &[3]).contains("something else"));
        assert!(open(MAGIC, &[1, 2]).contains("version 3 is unknown"));
    }
}
