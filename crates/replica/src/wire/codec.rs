//! Reading and writing the primitive parts of our own bytes: little-endian integers and texts with
//! their length in front. Reads never panic and never allocate more than the input holds.

/// Bytes that do not say what they should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

pub(crate) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_u32(out: &mut Vec<u8>, value: usize) {
    let value = u32::try_from(value).expect("lengths are bounded far below 4 GiB");
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u32(out, bytes.len());
    out.extend_from_slice(bytes);
}

pub(crate) fn take<'a>(input: &mut &'a [u8], len: usize) -> Result<&'a [u8], Malformed> {
    let (head, rest) = input.split_at_checked(len).ok_or(Malformed)?;
    *input = rest;
    Ok(head)
}

pub(crate) fn take_u8(input: &mut &[u8]) -> Result<u8, Malformed> {
    take(input, 1)?.first().copied().ok_or(Malformed)
}

pub(crate) fn take_u64(input: &mut &[u8]) -> Result<u64, Malformed> {
    let bytes = take(input, 8)?.try_into().map_err(|_| Malformed)?;
    Ok(u64::from_le_bytes(bytes))
}

pub(crate) fn take_u32(input: &mut &[u8]) -> Result<usize, Malformed> {
    let bytes = take(input, 4)?.try_into().map_err(|_| Malformed)?;
    usize::try_from(u32::from_le_bytes(bytes)).map_err(|_| Malformed)
}

pub(crate) fn take_bytes<'a>(input: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let len = take_u32(input)?;
    take(input, len)
}

pub(crate) fn take_text<'a>(input: &mut &'a [u8]) -> Result<&'a str, Malformed> {
    std::str::from_utf8(take_bytes(input)?).map_err(|_| Malformed)
}
