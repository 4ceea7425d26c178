//! A Bloom filter over the paths that a run of events concerns.
//!
//! A watcher that comes back after a while asks for events from far back, mostly of a key that has
//! not changed since, and thousands may come back at once. Passing over all events for each of them
//! would take seconds. The filter holds a bit for each path that an event concerns, by its hash, so
//! that whole runs of events are passed over at the cost of one look-up.

use crate::hash::Fnv;

/// Bits of a filter: 1 KiB of them for a run of 256 events.
///
/// Such a run concerns some 400 paths, so that one bit of twenty is set: the false-positive rate is
/// about 5 %, with one hash function. There are no false negatives. More bits would be memory for
/// every chunk of the history; more hash functions would be misses of the cache for every event.
const BITS: usize = 1 << 13;

const WORD_BITS: usize = u64::BITS as usize;

/// A set of paths that may hold more than was put in, and never less.
#[derive(Clone, Debug)]
pub(crate) struct BloomFilter {
    words: Box<[u64; BITS / WORD_BITS]>,
}

/// The hashes of a path and of the directories above it, but for the root.
fn hashes(path: &str) -> impl Iterator<Item = u64> {
    let mut hash = Fnv::new();
    let bytes = path.as_bytes();
    bytes.iter().enumerate().filter_map(move |(at, byte)| {
        hash.push(*byte);
        let is_end = bytes.get(at + 1).is_none_or(|next| *next == b'/');
        (is_end && *byte != b'/').then_some(hash.0)
    })
}

/// The word and the bit of a hash.
fn position(hash: u64) -> (usize, u64) {
    // The upper bits of FNV are mixed best.
    let at = usize::try_from(hash >> (u64::BITS - BITS.ilog2())).expect("it is below BITS");
    (at / WORD_BITS, 1 << (at % WORD_BITS))
}

impl BloomFilter {
    pub(crate) fn new() -> Self {
        Self { words: Box::new([0; BITS / WORD_BITS]) }
    }

    /// Puts in a path and the directories above it.
    pub(crate) fn add(&mut self, path: &str) {
        for hash in hashes(path) {
            let (word, bit) = position(hash);
            *self.words.get_mut(word).expect("a position is below BITS") |= bit;
        }
    }

    /// Whether a path may have been put in, or something below it. The root always has.
    pub(crate) fn may_hold(&self, path: &str) -> bool {
        hashes(path).last().is_none_or(|hash| {
            let (word, bit) = position(hash);
            self.words.get(word).expect("a position is below BITS") & bit != 0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_held_and_hardly_anything_else() {
        let mut filter = BloomFilter::new();
        for number in 0..256 {
            filter.add(&format!("/app/service-{}/instance-{number}", number % 16));
        }
        for number in 0..256 {
            for path in [
                "/".to_owned(),
                "/app".to_owned(),
                format!("/app/service-{}", number % 16),
                format!("/app/service-{}/instance-{number}", number % 16),
            ] {
                assert!(filter.may_hold(&path), "{path}");
            }
        }
        let others = (0..10_000).filter(|number| filter.may_hold(&format!("/other/{number}")));
        let false_positives = others.count();
        assert!(false_positives < 700, "{false_positives} of 10000 are not about 5 %");
        assert_eq!(hashes("/a/bc").count(), 2);
        assert_eq!(hashes("/").count(), 0);
    }
}
