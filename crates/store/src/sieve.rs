//! Which paths a run of events is surely not about.
//!
//! A watcher that comes back after a while asks for events from far back, mostly of a key that has
//! not changed since, and thousands may come back at once. Passing over all events for each of them
//! would take seconds. A sieve holds a bit for each path that an event concerns, by its hash, so
//! that whole runs of events are passed over at the cost of one look.

/// Bits of a sieve. A run of 256 events concerns some hundreds of paths, so a look at a path that
/// is in none of them finds a bit set in about one case of twenty.
const BITS: usize = 8192;

const WORDS: usize = BITS / 64;

/// A set of paths that may hold more than was put in, and never less.
#[derive(Clone, Debug)]
pub(crate) struct Sieve {
    words: Box<[u64; WORDS]>,
}

/// The hashes (FNV-1a) of a path and of the directories above it, but for the root.
fn hashes(path: &str) -> impl Iterator<Item = u64> {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let bytes = path.as_bytes();
    bytes.iter().enumerate().filter_map(move |(at, byte)| {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        let is_end = bytes.get(at + 1).is_none_or(|next| *next == b'/');
        (is_end && *byte != b'/').then_some(hash)
    })
}

/// The word and the bit of a hash. Its upper bits are the better ones.
fn place(hash: u64) -> (usize, u64) {
    let at = usize::try_from(hash >> 51).unwrap_or_default() % BITS;
    (at / 64, 1 << (at % 64))
}

impl Sieve {
    pub(crate) fn new() -> Self {
        Self { words: Box::new([0; WORDS]) }
    }

    /// Puts in a path and the directories above it.
    pub(crate) fn add(&mut self, path: &str) {
        for hash in hashes(path) {
            let (word, bit) = place(hash);
            if let Some(word) = self.words.get_mut(word) {
                *word |= bit;
            }
        }
    }

    /// Whether a path may have been put in, or something below it. The root always has.
    pub(crate) fn may_hold(&self, path: &str) -> bool {
        hashes(path).last().is_none_or(|hash| {
            let (word, bit) = place(hash);
            self.words.get(word).is_some_and(|word| word & bit != 0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_held_and_hardly_anything_else() {
        let mut sieve = Sieve::new();
        for number in 0..256 {
            sieve.add(&format!("/app/service-{}/instance-{number}", number % 16));
        }
        for number in 0..256 {
            for path in [
                "/".to_owned(),
                "/app".to_owned(),
                format!("/app/service-{}", number % 16),
                format!("/app/service-{}/instance-{number}", number % 16),
            ] {
                assert!(sieve.may_hold(&path), "{path}");
            }
        }
        let others = (0..10_000).filter(|number| sieve.may_hold(&format!("/other/{number}")));
        assert!(others.count() < 1000);
        assert_eq!(hashes("/a/bc").count(), 2);
        assert_eq!(hashes("/").count(), 0);
    }
}
