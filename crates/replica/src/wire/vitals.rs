//! How a member is, as it tells the others once a second for whoever asks any of them.
//!
//! ```text
//! count u8 | that many u64 | names of failing checks, a comma between two
//! ```
//!
//! A release may send more numbers than another one knows, or fewer: what is behind those that are
//! known is passed over, and what is not sent is not known.

use super::codec::{self, Malformed};

/// Stands for a number that is not known.
const NOTHING: u64 = u64::MAX;

/// How many numbers are taken at most, known or not.
const NUMBERS_MAX: u8 = 64;

/// Bytes of all names together.
const FAILING_BYTES_MAX: usize = 512;

/// How a member is, as it says itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vitals {
    /// Its term.
    pub term: Option<u64>,
    /// The highest entry that it knows to be committed.
    pub commit: Option<u64>,
    /// For how many nanoseconds it has led in that term; nothing unless it leads.
    pub leads_ns: Option<u64>,
    /// Nanoseconds within which 99 of 100 syncs of its log were done in the last minute; nothing
    /// if there was none.
    pub sync_ns: Option<u64>,
    /// Bytes of its process that are in RAM.
    pub memory: Option<u64>,
    /// Bytes of all values of its key space.
    pub store_bytes: Option<u64>,
    /// How many keys have a value.
    pub keys: Option<u64>,
    /// How many watchers wait at it.
    pub watchers: Option<u64>,
    /// How many connections it holds.
    pub connections: Option<u64>,
    /// The names of its checks of readiness that fail.
    pub failing: Vec<String>,
}

impl Vitals {
    fn numbers(&self) -> [Option<u64>; 9] {
        let Self { term, commit, leads_ns, sync_ns, memory, store_bytes, .. } = *self;
        let Self { keys, watchers, connections, .. } = *self;
        [term, commit, leads_ns, sync_ns, memory, store_bytes, keys, watchers, connections]
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let numbers = self.numbers();
        out.push(u8::try_from(numbers.len()).expect("there are a few"));
        numbers.iter().for_each(|number| codec::put_u64(out, number.unwrap_or(NOTHING)));
        out.extend_from_slice(self.failing.join(",").as_bytes());
    }

    pub(super) fn decode(input: &mut &[u8]) -> Result<Self, Malformed> {
        let count = codec::take_u8(input)?;
        if count > NUMBERS_MAX {
            return Err(Malformed);
        }
        let mut numbers = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            numbers.push(Some(codec::take_u64(input)?).filter(|number| *number != NOTHING));
        }
        let names = std::str::from_utf8(input).map_err(|_| Malformed)?;
        if names.len() > FAILING_BYTES_MAX {
            return Err(Malformed);
        }
        *input = &[];
        let mut numbers = numbers.into_iter();
        let mut next = || numbers.next().flatten();
        Ok(Self {
            term: next(),
            commit: next(),
            leads_ns: next(),
            sync_ns: next(),
            memory: next(),
            store_bytes: next(),
            keys: next(),
            watchers: next(),
            connections: next(),
            failing: names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> Result<Vitals, Malformed> {
        let mut input = bytes;
        Vitals::decode(&mut input)
    }

    #[test]
    fn more_and_fewer_numbers_than_are_known_are_taken() {
        let vitals = Vitals {
            term: Some(3),
            connections: Some(9),
            failing: vec!["disk".into(), "leader".into()],
            ..Vitals::default()
        };
        let mut bytes = Vec::new();
        vitals.encode(&mut bytes);
        assert_eq!(decoded(&bytes), Ok(vitals.clone()));
        // A release to come.
        let at = 1 + 8 * usize::from(bytes[0]);
        bytes.splice(at..at, [7; 8]);
        bytes[0] += 1;
        assert_eq!(decoded(&bytes), Ok(vitals));
        let fewer = decoded(&[1, 4, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(fewer, Ok(Vitals { term: Some(4), ..Vitals::default() }));
        assert_eq!(decoded(&[0]), Ok(Vitals::default()));
    }

    #[test]
    fn what_has_no_bound_is_dropped() {
        assert_eq!(decoded(&[]), Err(Malformed));
        assert_eq!(decoded(&[NUMBERS_MAX + 1]), Err(Malformed));
        assert_eq!(decoded(&[1, 0]), Err(Malformed));
        assert_eq!(decoded(&[0, 0xff]), Err(Malformed));
        let names = [&[0][..], &vec![b'a'; FAILING_BYTES_MAX + 1]].concat();
        assert_eq!(decoded(&names), Err(Malformed));
        assert!(decoded(&names[..names.len() - 1]).is_ok());
    }
}
