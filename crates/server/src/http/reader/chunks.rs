//! Bodies that come in chunks (RFC 9112 section 7.1), decoded as they arrive.
//!
//! Each byte is looked at once, however the chunks are cut, and what frames them takes no more room
//! than a body may. Extensions and trailer fields mean nothing here and are passed over.

use crate::http::request::{ReaderLimits, Refusal};

/// A chunk's size line, extensions included.
pub(super) const CHUNK_LINE_MAX: usize = 4096;

const MALFORMED: Refusal = Refusal::Malformed("malformed chunk");
const MALFORMED_SIZE: Refusal = Refusal::Malformed("malformed chunk size");

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChunkStage {
    /// A chunk.
    Chunk,
    /// A field of the trailer, which has had so many bytes so far, or the empty line that ends it.
    Trailer(usize),
    /// Nothing: the body is whole.
    Done,
}

/// A body, as far as it has come.
#[derive(Debug)]
pub(super) struct Chunks {
    /// Where the first chunk begins.
    start: usize,
    /// Where decoding goes on.
    at: usize,
    body: Vec<u8>,
    stage: ChunkStage,
}

impl Chunks {
    pub(super) fn new(start: usize) -> Self {
        Self { start, at: start, body: Vec::new(), stage: ChunkStage::Chunk }
    }

    /// What has been decoded.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Where the request ends, once it is whole.
    pub(super) fn end(&self) -> usize {
        self.at
    }

    /// Decodes what has arrived. Says whether the body is whole.
    pub(super) fn advance(&mut self, buf: &[u8], limits: &ReaderLimits) -> Result<bool, Refusal> {
        loop {
            let rest = buf.get(self.at..).unwrap_or_default();
            let goes_on = match self.stage {
                ChunkStage::Done => return Ok(true),
                ChunkStage::Chunk => self.take_chunk(rest, limits)?,
                ChunkStage::Trailer(len) => self.take_field(rest, len, limits)?,
            };
            if !goes_on {
                return Ok(false);
            }
        }
    }

    /// Takes one chunk if it is all there.
    fn take_chunk(&mut self, rest: &[u8], limits: &ReaderLimits) -> Result<bool, Refusal> {
        let start = rest.get(..CHUNK_LINE_MAX).unwrap_or(rest);
        let Some(line_end) = memchr::memchr(b'\n', start) else {
            return if start.len() < CHUNK_LINE_MAX { Ok(false) } else { Err(MALFORMED_SIZE) };
        };
        let line = start.get(..line_end).unwrap_or_default();
        let size = parse_size(line.strip_suffix(b"\r").ok_or(MALFORMED)?)?;
        let data_at = line_end + 1;
        if size == 0 {
            self.at += data_at;
            self.stage = ChunkStage::Trailer(0);
            return Ok(true);
        }
        let framing = self.at + data_at - self.start - self.body.len();
        if self.body.len() + size > limits.body_bytes || framing > limits.body_bytes {
            return Err(Refusal::BodyTooLarge);
        }
        let data_end = data_at + size;
        let Some(tail) = rest.get(data_end..data_end + 2) else { return Ok(false) };
        if tail != b"\r\n" {
            return Err(Refusal::Malformed("a chunk does not match its size"));
        }
        self.body.extend_from_slice(rest.get(data_at..data_end).unwrap_or_default());
        self.at += data_end + 2;
        Ok(true)
    }

    /// Passes over one field of the trailer, or ends it.
    fn take_field(
        &mut self,
        rest: &[u8],
        len: usize,
        limits: &ReaderLimits,
    ) -> Result<bool, Refusal> {
        let room = limits.head_bytes.saturating_sub(len);
        let Some(line_end) = memchr::memchr(b'\n', rest.get(..room).unwrap_or(rest)) else {
            return if rest.len() < room { Ok(false) } else { Err(Refusal::HeadTooLarge) };
        };
        let line = rest.get(..line_end).and_then(|line| line.strip_suffix(b"\r"));
        let line = line.ok_or(Refusal::Malformed("malformed trailer"))?;
        self.stage = match line {
            b"" => ChunkStage::Done,
            _ => ChunkStage::Trailer(len + line_end + 1),
        };
        self.at += line_end + 1;
        Ok(true)
    }
}

fn parse_size(line: &[u8]) -> Result<usize, Refusal> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let digits = digits.trim_ascii_end();
    let is_hex = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(digits).ok().filter(|_| is_hex).ok_or(MALFORMED_SIZE)?;
    match usize::from_str_radix(text, 16) {
        // A size near the top of the range would overflow sums; it is too large anyhow.
        Ok(size) if size <= usize::MAX / 4 => Ok(size),
        _ => Err(Refusal::BodyTooLarge),
    }
}
