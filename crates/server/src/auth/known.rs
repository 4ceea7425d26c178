//! What is known of `Authorization` headers, by their keyed hash: neither a password nor anything
//! that helps to find one is kept, and how long a look-up takes says nothing of either.

use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use std::collections::{HashMap, VecDeque};
use std::io;
use store::{Principal, StoreIndex};

/// HMAC-SHA256 of a header, with a key that this process drew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Mac([u8; 32]);

/// How many right and how many wrong headers are kept. Of each kind the oldest goes first, so that
/// a flood of wrong ones drives out no right one.
const RIGHT_MAX: usize = 16_384;
const WRONG_MAX: usize = 4096;

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is this one, as long as that user has this password.
    Right(Principal),
    /// It was wrong when the state of all users was this one.
    Wrong(StoreIndex),
}

/// A check that is done.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(super) mac: Mac,
    /// Whether the password is right.
    pub(super) is_right: bool,
    /// Who it then is; nobody if there is no such user.
    pub(super) user: Option<Principal>,
    /// The state of all users that it was checked against.
    pub(super) revision: StoreIndex,
}

/// Verdicts of one kind.
#[derive(Debug)]
struct Kept<V> {
    by_mac: HashMap<Mac, V>,
    order: VecDeque<Mac>,
    max: usize,
}

impl<V> Kept<V> {
    fn new(max: usize) -> Self {
        Self { by_mac: HashMap::new(), order: VecDeque::new(), max }
    }

    fn put(&mut self, mac: Mac, verdict: V) {
        if self.by_mac.insert(mac, verdict).is_some() {
            return;
        }
        self.order.push_back(mac);
        if self.order.len() > self.max
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_mac.remove(&oldest);
        }
    }
}

/// All that is known.
#[derive(Debug)]
pub(super) struct Known {
    key: hmac::Key,
    right: Kept<Principal>,
    wrong: Kept<StoreIndex>,
}

impl Known {
    /// # Errors
    /// When the system gives no randomness.
    pub(super) fn new() -> io::Result<Self> {
        let mut key = [0; 32];
        let filled = SystemRandom::new().fill(&mut key);
        filled.map_err(|_| io::Error::other("the system gives no randomness"))?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        Ok(Self { key, right: Kept::new(RIGHT_MAX), wrong: Kept::new(WRONG_MAX) })
    }

    pub(super) fn mac(&self, header: &[u8]) -> Mac {
        let tag = hmac::sign(&self.key, header);
        Mac(tag.as_ref().try_into().expect("a SHA-256 has 32 bytes"))
    }

    pub(super) fn get(&self, mac: Mac) -> Option<Verdict> {
        let right = self.right.by_mac.get(&mac).copied().map(Verdict::Right);
        right.or_else(|| self.wrong.by_mac.get(&mac).copied().map(Verdict::Wrong))
    }

    pub(super) fn put(&mut self, mac: Mac, verdict: Verdict) {
        match verdict {
            Verdict::Right(who) => self.right.put(mac, who),
            Verdict::Wrong(revision) => {
                // What was right before would be found first.
                if self.right.by_mac.remove(&mac).is_some() {
                    self.right.order.retain(|other| *other != mac);
                }
                self.wrong.put(mac, revision);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::UserId;

    #[test]
    fn right_ones_outlast_a_flood_of_wrong_ones() {
        let mut known = Known::new().expect("randomness");
        let mac = |number: usize, known: &Known| known.mac(&number.to_le_bytes());
        let who = Principal::User { id: UserId(4), password: Some(StoreIndex(4)) };
        let right = mac(0, &known);
        known.put(right, Verdict::Right(who));
        for number in 1..=WRONG_MAX + 1 {
            known.put(mac(number, &known), Verdict::Wrong(StoreIndex(5)));
        }
        assert_eq!(known.get(right), Some(Verdict::Right(who)));
        assert_eq!(known.get(mac(1, &known)), None, "the oldest is gone");
        assert_eq!(known.get(mac(2, &known)), Some(Verdict::Wrong(StoreIndex(5))));
        assert_eq!(known.wrong.by_mac.len(), WRONG_MAX);
        known.put(right, Verdict::Wrong(StoreIndex(6)));
        assert_eq!(known.get(right), Some(Verdict::Wrong(StoreIndex(6))));
        assert!(known.right.order.is_empty());
    }

    #[test]
    fn each_process_has_hashes_of_its_own() {
        let (one, other) = (Known::new().expect("randomness"), Known::new().expect("randomness"));
        assert_eq!(one.mac(b"Basic YTpi"), one.mac(b"Basic YTpi"));
        assert_ne!(one.mac(b"Basic YTpi"), other.mac(b"Basic YTpi"));
    }
}
