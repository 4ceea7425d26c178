//! Messages on the wire between members: `length u32 | crc32c u32 | payload`, little-endian.

/// Longest payload, in bytes. A log entry holds the commands of one turn, and the last of them may
/// carry the largest value that a client may send.
pub(crate) const PAYLOAD_MAX: usize = 64 << 20;

const HEADER_LEN: usize = 8;

/// An invalid frame: the connection cannot be used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidFrame;

/// Appends a frame.
pub(crate) fn put(out: &mut Vec<u8>, payload: &[u8]) {
    debug_assert!((1..=PAYLOAD_MAX).contains(&payload.len()), "a frame of this program's making");
    let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&crc32c::crc32c(payload).to_le_bytes());
    out.extend_from_slice(payload);
}

/// The payload at the front of `bytes` and the length of its frame; nothing if it is not whole yet.
///
/// # Errors
/// [`InvalidFrame`] when it will never be a frame.
pub(crate) fn take(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, InvalidFrame> {
    let Some((header, rest)) = bytes.split_at_checked(HEADER_LEN) else { return Ok(None) };
    let number = |at: usize| {
        let part = header.get(at..at + 4).and_then(|part| part.try_into().ok());
        part.map_or(0, u32::from_le_bytes)
    };
    let (len, sum) = (number(0) as usize, number(4));
    if len == 0 || len > PAYLOAD_MAX {
        return Err(InvalidFrame);
    }
    let Some(payload) = rest.get(..len) else { return Ok(None) };
    if crc32c::crc32c(payload) != sum {
        return Err(InvalidFrame);
    }
    Ok(Some((payload, HEADER_LEN + len)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_follow_one_another_and_may_come_in_any_pieces() {
        let mut bytes = Vec::new();
        put(&mut bytes, b"one");
        let first = bytes.len();
        put(&mut bytes, &[7; 1000]);
        for len in 0..first {
            assert_eq!(take(&bytes[..len]), Ok(None), "{len}");
        }
        assert_eq!(take(&bytes), Ok(Some((&b"one"[..], first))));
        let rest = &bytes[first..];
        for len in 0..rest.len() {
            assert_eq!(take(&rest[..len]), Ok(None), "{len}");
        }
        assert_eq!(take(rest), Ok(Some((&[7; 1000][..], rest.len()))));
    }

    #[test]
    fn lengths_that_cannot_be_and_wrong_sums_are_garbage() {
        let mut bytes = Vec::new();
        put(&mut bytes, b"payload");
        for at in 4..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert_eq!(take(&bad), Err(InvalidFrame), "byte {at}");
        }
        assert_eq!(take(&[0; 8]), Err(InvalidFrame));
        assert_eq!(take(&[0xff; 8]), Err(InvalidFrame));
        assert_eq!(take(b"GET / HTTP/1.1\r\n"), Err(InvalidFrame));
    }
}
