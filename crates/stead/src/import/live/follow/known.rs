//! What the source had when it was last heard of: which keys, as of which change, and until when.

use crate::import::bounds::NODES_MAX;
use crate::import::clock::now;
use legacy::{Content, Node, WallTime};
use std::collections::{BTreeMap, BTreeSet};

/// How long before its deadline a key is looked at again: a refresh is not told to watches.
const LEAD_NS: u64 = 3_000_000_000;

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The index of its last change.
    pub(super) modified: u64,
    pub(super) deadline: Option<WallTime>,
    pub(super) is_dir: bool,
}

impl Entry {
    pub(super) fn of(node: &Node) -> Self {
        let state = &node.state;
        let is_dir = state.content == Content::Dir;
        Self { modified: state.modified, deadline: state.expiration, is_dir }
    }
}

/// All keys of the source, as many as a listing may have. What is beyond is followed as well, but
/// taken for new whenever both sides are compared.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// With each key the time when it is to be looked at.
    entries: BTreeMap<String, (Entry, Option<WallTime>)>,
    /// The same by that time.
    due: BTreeSet<(WallTime, String)>,
}

impl Known {
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key).map(|(entry, _)| entry)
    }

    pub(super) fn insert(&mut self, key: &str, entry: Entry) {
        self.forget(key);
        if self.entries.len() >= NODES_MAX {
            return;
        }
        let due = entry.deadline.map(|deadline| {
            let left = deadline.0.saturating_sub(now().0);
            WallTime(deadline.0.saturating_sub(LEAD_NS.min(left / 2)))
        });
        self.due.extend(due.map(|due| (due, key.to_owned())));
        self.entries.insert(key.to_owned(), (entry, due));
    }

    /// Forgets a key and all below it.
    pub(super) fn remove(&mut self, key: &str) {
        self.forget(key);
        self.below(key).iter().for_each(|below| self.forget(below));
    }

    fn forget(&mut self, key: &str) {
        if let Some((_, Some(due))) = self.entries.remove(key) {
            self.due.remove(&(due, key.to_owned()));
        }
    }

    /// All keys below one, the directories before what is in them.
    pub(super) fn below(&self, key: &str) -> Vec<String> {
        let dir = format!("{key}/");
        let from = self.entries.range(dir.clone()..);
        from.take_while(|(key, _)| key.starts_with(&dir)).map(|(key, _)| key.clone()).collect()
    }

    /// Whether a key is a directory that holds something.
    pub(super) fn has_below(&self, key: &str) -> bool {
        let dir = format!("{key}/");
        let mut from = self.entries.range(dir.clone()..);
        from.next().is_some_and(|(key, _)| key.starts_with(&dir))
    }

    /// A key that is to be looked at now. It is named once for each deadline.
    pub(super) fn next_due(&mut self) -> Option<String> {
        self.due.first().filter(|(due, _)| *due <= now())?;
        let (_, key) = self.due.pop_first()?;
        if let Some((_, due)) = self.entries.get_mut(&key) {
            *due = None;
        }
        Some(key)
    }

    /// Names a key again that could not be looked at.
    pub(super) fn defer(&mut self, key: String) {
        let Some((_, due)) = self.entries.get_mut(&key) else { return };
        let now = now();
        if let Some(before) = due.replace(now) {
            self.due.remove(&(before, key.clone()));
        }
        self.due.insert((now, key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: Entry = Entry { modified: 1, deadline: None, is_dir: false };

    #[test]
    fn a_directory_goes_with_all_that_is_in_it_and_nothing_else() {
        let mut known = Known::default();
        for key in ["/a", "/a/b", "/a/b/c", "/a-b", "/ab"] {
            known.insert(key, FILE);
        }
        assert_eq!(known.below("/a"), ["/a/b", "/a/b/c"]);
        assert!(known.has_below("/a/b") && !known.has_below("/a/b/c") && !known.has_below("/ab"));
        known.remove("/a");
        assert_eq!(known.below(""), ["/a-b", "/ab"]);
    }

    #[test]
    fn a_key_is_due_before_its_time_is_over_unless_it_got_more() {
        let (mut known, now) = (Known::default(), now().0);
        let ending = |nanos: u64| Entry { deadline: Some(WallTime(now + nanos)), ..FILE };
        known.insert("/soon", ending(1));
        known.insert("/renewed", ending(1));
        known.insert("/renewed", ending(60_000_000_000));
        known.insert("/later", ending(60_000_000_000));
        assert_eq!(known.next_due().as_deref(), Some("/soon"));
        assert_eq!(known.next_due(), None);
        known.defer("/soon".to_owned());
        assert_eq!(known.next_due().as_deref(), Some("/soon"));
        known.remove("/soon");
        known.defer("/soon".to_owned());
        assert_eq!(known.next_due(), None);
        // However often a key is renewed, it is kept once.
        (0..100).for_each(|_| known.insert("/later", ending(60_000_000_000)));
        assert_eq!(known.due.len(), 2);
    }
}
