//! Chunks and the footer behind them, as snapshots (`snapshot.rs`) and checked streams
//! (`stream.rs`) have them.

pub(crate) const CHUNK_BYTES_MAX: usize = 64 << 10;
pub(crate) const CHUNK_HEADER_LEN: usize = 8;
pub(crate) const FOOTER_LEN: usize = 24;

pub(crate) fn chunk_checksum(number: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&number.to_le_bytes()), bytes)
}

/// Fills in the header in front of a chunk's bytes.
pub(crate) fn seal_chunk(number: u64, chunk: &mut [u8]) {
    let (header, bytes) = chunk.split_at_mut(CHUNK_HEADER_LEN);
    let len = u32::try_from(bytes.len()).expect("a chunk has 64 KiB at most");
    let (len_field, crc_field) = header.split_at_mut(4);
    len_field.copy_from_slice(&len.to_le_bytes());
    crc_field.copy_from_slice(&chunk_checksum(number, bytes).to_le_bytes());
}

/// Hands out what is left of a chunk, of which so much was taken already, as far as it fits.
pub(crate) fn hand_out(chunk: &[u8], taken: &mut usize, buf: &mut [u8]) -> usize {
    let (_, ready) = chunk.split_at(*taken);
    let len = ready.len().min(buf.len());
    let (to, _) = buf.split_at_mut(len);
    to.copy_from_slice(ready.split_at(len).0);
    *taken += len;
    len
}

pub(crate) fn encode_footer(chunks: u64, bytes: u64) -> Vec<u8> {
    let mut counts = Vec::with_capacity(16);
    counts.extend_from_slice(&chunks.to_le_bytes());
    counts.extend_from_slice(&bytes.to_le_bytes());
    let mut footer = vec![0; 4];
    footer.extend_from_slice(&crc32c::crc32c(&counts).to_le_bytes());
    footer.extend_from_slice(&counts);
    footer
}
