//! The part of the protobuf encoding that etcd's messages use.
//!
//! Every read is bounded by the bytes that are there, and nothing here panics. Groups, which none
//! of the messages has, are malformed.

/// The bytes are not a protobuf message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// Wire type 0. Signed numbers are two's complement in ten bytes.
    Varint(u64),
    /// Wire type 2: bytes, a string or a message.
    Bytes(&'a [u8]),
    /// Wire type 1 or 5, which no message here uses.
    Fixed,
}

impl<'a> Value<'a> {
    pub(crate) fn number(self) -> Result<u64, Malformed> {
        match self {
            Value::Varint(number) => Ok(number),
            _ => Err(Malformed),
        }
    }

    pub(crate) fn signed(self) -> Result<i64, Malformed> {
        self.number().map(u64::cast_signed)
    }

    pub(crate) fn is_true(self) -> Result<bool, Malformed> {
        self.number().map(|number| number != 0)
    }

    pub(crate) fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(Malformed),
        }
    }
}

/// The fields of a message in the order of its bytes. Ends after the first error.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn field(&mut self) -> Result<(u64, Value<'a>), Malformed> {
        let tag = take_varint(&mut self.rest)?;
        let number = tag >> 3;
        if number == 0 {
            return Err(Malformed);
        }
        let value = match tag & 7 {
            0 => Value::Varint(take_varint(&mut self.rest)?),
            1 => take(&mut self.rest, 8).map(|_| Value::Fixed)?,
            2 => {
                let len = take_varint(&mut self.rest)?;
                Value::Bytes(take(&mut self.rest, len)?)
            }
            5 => take(&mut self.rest, 4).map(|_| Value::Fixed)?,
            _ => return Err(Malformed),
        };
        Ok((number, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

fn take<'a>(bytes: &mut &'a [u8], len: u64) -> Result<&'a [u8], Malformed> {
    let len = usize::try_from(len).map_err(|_| Malformed)?;
    let (taken, rest) = bytes.split_at_checked(len).ok_or(Malformed)?;
    *bytes = rest;
    Ok(taken)
}

fn take_varint(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(Malformed)?;
        *bytes = rest;
        if shift == 63 && *byte > 1 {
            return Err(Malformed);
        }
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(bytes: &[u8]) -> Result<Vec<(u64, Value<'_>)>, Malformed> {
        Fields::new(bytes).collect()
    }

    #[test]
    fn numbers_and_bytes_are_read() {
        let minus_one = [0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1];
        let (_, value) = fields(&minus_one).expect("sound")[0];
        assert_eq!(value.signed(), Ok(-1));
        assert_eq!(
            fields(&[0x10, 0xac, 0x02, 0x1a, 2, b'h', b'i']),
            Ok(vec![(2, Value::Varint(300)), (3, Value::Bytes(b"hi"))])
        );
        // Field 1301 has a tag of two bytes.
        assert_eq!(fields(&[0xaa, 0x51, 0]), Ok(vec![(1301, Value::Bytes(b""))]));
        assert_eq!(fields(&[]), Ok(vec![]));
    }

    #[test]
    fn what_is_cut_or_unknown_is_malformed() {
        for bytes in [
            &[0x08][..],
            &[0x08, 0x80],
            &[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2],
            &[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
            &[0x12, 2, 0],
            &[0x12, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
            &[0x09, 0, 0, 0],
            &[0x0b],
            &[0x00, 0],
        ] {
            assert_eq!(fields(bytes), Err(Malformed), "{bytes:?}");
        }
    }
}
