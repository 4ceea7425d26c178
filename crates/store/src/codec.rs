//! Numbers and strings in our own formats: LEB128 numbers, strings with their length in front.

use std::fmt;

/// Bytes that are not a command of a version that this program knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError;

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a command of a known version")
    }
}

impl std::error::Error for DecodeError {}

pub(crate) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Small for numbers near zero, whichever their sign.
pub(crate) fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63).cast_unsigned()
}

pub(crate) fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

pub(crate) fn take_byte(bytes: &mut &[u8]) -> Result<u8, DecodeError> {
    let (first, rest) = bytes.split_first().ok_or(DecodeError)?;
    *bytes = rest;
    Ok(*first)
}

pub(crate) fn take_number(bytes: &mut &[u8]) -> Result<u64, DecodeError> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = take_byte(bytes)?;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return Err(DecodeError);
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            // One way to write each number: a last byte of zero would only be padding.
            return if byte == 0 && shift > 0 { Err(DecodeError) } else { Ok(number) };
        }
    }
    Err(DecodeError)
}

pub(crate) fn take_text<'a>(bytes: &mut &'a [u8]) -> Result<&'a str, DecodeError> {
    let len = usize::try_from(take_number(bytes)?).map_err(|_| DecodeError)?;
    let (text, rest) = bytes.split_at_checked(len).ok_or(DecodeError)?;
    *bytes = rest;
    std::str::from_utf8(text).map_err(|_| DecodeError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip_and_overlong_ones_are_refused() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut out = Vec::new();
            put_number(&mut out, number);
            assert_eq!(take_number(&mut out.as_slice()), Ok(number));
        }
        for number in [0, 1, -1, i64::MAX, i64::MIN] {
            assert_eq!(unzigzag(zigzag(number)), number);
        }
        assert_eq!(take_number(&mut [0xff; 11].as_slice()), Err(DecodeError));
        assert_eq!(take_number(&mut [0x81, 0x00].as_slice()), Err(DecodeError));
        assert_eq!(take_text(&mut [5, b'a'].as_slice()), Err(DecodeError));
        assert_eq!(take_text(&mut [1, 0xff].as_slice()), Err(DecodeError));
    }
}
