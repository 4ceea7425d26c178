//! Which nodes expire when.
//!
//! Ordered by (deadline, key), so that members expire the same nodes in the same order, and by key, so
//! that a removed directory takes the deadlines below it along without walking its nodes. Only nodes
//! with a deadline are in here.

use crate::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

#[derive(Debug, Default)]
pub(crate) struct Expiry {
    by_deadline: BTreeSet<(Timestamp, Arc<str>)>,
    by_key: BTreeMap<Arc<str>, Timestamp>,
}

/// All keys below `key`: from `key/` up to the first text that does not begin so.
fn below(key: &str) -> (String, String) {
    let key = key.trim_end_matches('/');
    // '0' is the character that follows '/'.
    (format!("{key}/"), format!("{key}0"))
}

impl Expiry {
    /// Sets or takes away the deadline of a key.
    pub(crate) fn set(&mut self, key: &str, deadline: Option<Timestamp>) {
        if let Some((shared, old)) = self.by_key.remove_entry(key) {
            self.by_deadline.remove(&(old, shared));
        }
        if let Some(deadline) = deadline {
            let key: Arc<str> = key.into();
            self.by_deadline.insert((deadline, Arc::clone(&key)));
            self.by_key.insert(key, deadline);
        }
    }

    /// Forgets everything below a key.
    pub(crate) fn remove_below(&mut self, key: &str) {
        let (from, to) = below(key);
        let range = (Bound::Included(&*from), Bound::Excluded(&*to));
        let keys: Vec<Arc<str>> =
            self.by_key.range::<str, _>(range).map(|(key, _)| Arc::clone(key)).collect();
        for key in keys {
            self.set(&key, None);
        }
    }

    /// The earliest deadline and its key.
    pub(crate) fn first(&self) -> Option<(Timestamp, &Arc<str>)> {
        self.by_deadline.first().map(|(deadline, key)| (*deadline, key))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_by_key_and_a_refresh_moves_a_key() {
        let mut expiry = Expiry::default();
        expiry.set("/b", Some(Timestamp(5)));
        expiry.set("/a", Some(Timestamp(5)));
        assert_eq!(expiry.first().map(|(_, key)| &**key), Some("/a"));
        expiry.set("/a", Some(Timestamp(9)));
        assert_eq!(expiry.first().map(|(_, key)| &**key), Some("/b"));
        expiry.set("/b", None);
        expiry.set("/a", None);
        assert!(expiry.is_empty());
    }

    #[test]
    fn only_what_is_below_goes_with_a_directory() {
        let mut expiry = Expiry::default();
        for key in ["/d", "/d/a", "/d/a/b", "/d.x", "/da", "/d0"] {
            expiry.set(key, Some(Timestamp(1)));
        }
        expiry.remove_below("/d");
        let kept: Vec<_> = expiry.by_key.keys().map(|key| &**key).collect();
        assert_eq!(kept, ["/d", "/d.x", "/d0", "/da"]);
        assert_eq!(expiry.by_deadline.len(), 4);
        expiry.remove_below("/");
        assert!(expiry.is_empty());
    }
}
