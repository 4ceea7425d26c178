//! Which nodes expire when.
//!
//! Ordered by (deadline, key), so that members expire the same nodes in the same order, and by key,
//! so that what a removed directory held is found without walking its nodes. Only nodes with a
//! deadline are in here.
//!
//! A directory that goes may take a million deadlines along. They are forgotten little by little, a
//! few with each command, so for a while there are entries without a node; the caller that takes
//! the first entry has to look whether its node still has that deadline.

use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

/// How many entries one command looks at to forget those without a node.
///
/// An entry takes a command to come in, so any number above one keeps up; this one costs some 20
/// microseconds.
const SWEEP_LEN: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Expiry {
    by_deadline: BTreeSet<(Timestamp, Arc<str>)>,
    by_key: BTreeMap<Arc<str>, Timestamp>,
    gone: VecDeque<Gone>,
}

/// The keys from `from` to `to`, both excluded: their directory went, though some may be there
/// again.
#[derive(Debug)]
struct Gone {
    from: Arc<str>,
    to: Box<str>,
}

impl Gone {
    fn below(key: &str) -> Self {
        // '0' is the character that follows '/'.
        Self { from: format!("{key}/").into(), to: format!("{key}0").into() }
    }

    fn range(&self) -> (Bound<&str>, Bound<&str>) {
        (Bound::Excluded(&*self.from), Bound::Excluded(&*self.to))
    }
}

fn only(key: &str) -> (Bound<&str>, Bound<&str>) {
    (Bound::Included(key), Bound::Included(key))
}

impl Expiry {
    /// Sets or takes away the deadline of a key.
    pub(crate) fn set(&mut self, key: &str, deadline: Option<Timestamp>) {
        let Some(deadline) = deadline else {
            if let Some((shared, old)) = self.by_key.remove_entry(key) {
                self.by_deadline.remove(&(old, shared));
            }
            return;
        };
        if let Some((shared, old)) = self.by_key.range_mut::<str, _>(only(key)).next() {
            let shared = Arc::clone(shared);
            let old = std::mem::replace(old, deadline);
            self.by_deadline.remove(&(old, Arc::clone(&shared)));
            self.by_deadline.insert((deadline, shared));
        } else {
            let key: Arc<str> = key.into();
            self.by_deadline.insert((deadline, Arc::clone(&key)));
            self.by_key.insert(key, deadline);
        }
        debug_assert!(self.counts_agree(), "a key has one deadline");
    }

    /// Both orders hold the same entries. Looked at after each change, in debug builds.
    fn counts_agree(&self) -> bool {
        self.by_key.len() == self.by_deadline.len()
    }

    /// Forgets everything below a key, in part at once and in part with the commands to come.
    pub(crate) fn forget_below(&mut self, key: &str) {
        self.gone.push_back(Gone::below(key));
        if self.gone.len() == 1 {
            self.sweep(|_, _| false);
        }
    }

    /// Goes on forgetting. `is_live` says whether a node has that deadline.
    pub(crate) fn sweep(&mut self, is_live: impl Fn(&str, Timestamp) -> bool) {
        let mut left = SWEEP_LEN;
        while left > 0
            && let Some(gone) = self.gone.front_mut()
        {
            let range = self.by_key.range::<str, _>(gone.range()).take(left);
            let seen: Vec<_> = range.map(|(key, at)| (Arc::clone(key), *at)).collect();
            left -= seen.len();
            match seen.last() {
                Some((last, _)) if left == 0 => gone.from = Arc::clone(last),
                _ => {
                    self.gone.pop_front();
                    left = left.saturating_sub(1);
                }
            }
            for (key, deadline) in seen {
                if !is_live(&key, deadline) {
                    self.by_key.remove(&key);
                    self.by_deadline.remove(&(deadline, key));
                }
            }
        }
        debug_assert!(self.counts_agree(), "a key has one deadline");
    }

    /// Whether there is something left to forget.
    pub(crate) fn needs_sweep(&self) -> bool {
        !self.gone.is_empty()
    }

    /// The earliest deadline and its key. The node may be gone, or have another deadline.
    pub(crate) fn first(&self) -> Option<(Timestamp, &Arc<str>)> {
        self.by_deadline.first().map(|(deadline, key)| (*deadline, key))
    }

    /// All keys with a deadline, in order.
    pub(crate) fn keys(&self) -> Vec<Arc<str>> {
        self.by_key.keys().map(Arc::clone).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(expiry: &Expiry) -> Vec<&str> {
        assert_eq!(expiry.by_key.len(), expiry.by_deadline.len());
        expiry.by_key.keys().map(|key| &**key).collect()
    }

    #[test]
    fn ties_go_by_key_and_a_refresh_moves_a_key() {
        let mut expiry = Expiry::default();
        expiry.set("/b", Some(Timestamp(5)));
        expiry.set("/a", Some(Timestamp(5)));
        assert_eq!(expiry.first().map(|(_, key)| &**key), Some("/a"));
        expiry.set("/a", Some(Timestamp(9)));
        assert_eq!(expiry.first().map(|(_, key)| &**key), Some("/b"));
        assert_eq!(keys(&expiry), ["/a", "/b"]);
        expiry.set("/b", None);
        expiry.set("/a", None);
        assert!(expiry.is_empty());
        assert!(expiry.first().is_none());
    }

    #[test]
    fn only_what_is_below_goes_with_a_directory() {
        let mut expiry = Expiry::default();
        for key in ["/d", "/d/a", "/d/a/b", "/d.x", "/da", "/d0"] {
            expiry.set(key, Some(Timestamp(1)));
        }
        expiry.forget_below("/d");
        assert!(!expiry.needs_sweep());
        assert_eq!(keys(&expiry), ["/d", "/d.x", "/d0", "/da"]);
    }

    #[test]
    fn a_large_directory_is_forgotten_little_by_little_and_what_came_back_stays() {
        let mut expiry = Expiry::default();
        for number in 0..1000 {
            expiry.set(&format!("/d/{number:03}"), Some(Timestamp(number)));
            expiry.set(&format!("/e/{number:03}"), Some(Timestamp(number)));
        }
        expiry.forget_below("/d");
        expiry.forget_below("/e");
        assert_eq!(expiry.by_key.len(), 2000 - SWEEP_LEN);
        expiry.set("/d/500", Some(Timestamp(9999)));
        let is_live = |key: &str, at: Timestamp| key == "/d/500" && at.0 == 9999;
        let mut sweeps = 0;
        while expiry.needs_sweep() {
            expiry.sweep(is_live);
            sweeps += 1;
            assert!(sweeps <= 2000 / SWEEP_LEN + 2, "each of them has to get on");
        }
        assert_eq!(keys(&expiry), ["/d/500"]);
    }
}
