//! Comparing the source with what is known of it, by listing it. Only what has changed at the
//! source since is changed at the target.

use super::Follower;
use super::known::Entry;
use crate::import::key::is_reserved;
use crate::import::live::change::What;
use crate::import::live::hidden::root_of;
use crate::import::live::read;
use crate::import::live::reader::Kind;
use crate::import::tree::Listing;
use legacy::{Content, Node};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// When a source that did not answer is asked again.
const AGAIN: Duration = Duration::from_secs(2);

impl Follower {
    /// Lists a root again, with a new watch if it has none; later if the source does not answer.
    pub(super) fn compare_again(&mut self, root: &str) {
        self.owed.remove(root);
        self.compared.insert(root.to_owned(), Instant::now());
        if let Err(why) = self.try_compare(root) {
            self.begun.troubles.tell("listing", &why);
            self.owed.insert(root.to_owned(), Instant::now() + AGAIN);
        } else if self.owed.is_empty() {
            self.begun.troubles.settle("listing");
        }
    }

    fn try_compare(&mut self, root: &str) -> Result<(), String> {
        if !self.begun.watched.iter().any(|watched| watched == root) {
            // The watch comes first, so that nothing falls between.
            let next = self.ends.reader.index()? + 1;
            self.begun.watch(&self.ends.reader, root, next)?;
            self.begun.watched.push(root.to_owned());
        }
        if self.ends.reader.kind == Kind::Stead && root.is_empty() {
            // One listing has all.
            return self.compare_all().map(|_| ());
        }
        match self.ends.reader.list(root)? {
            Some(listing) => _ = self.apply(root, listing),
            None => {
                let index = self.ends.reader.index()?;
                self.drop_missing(root, &BTreeSet::new(), index);
                self.roots.insert(root.to_owned(), index);
            }
        }
        Ok(())
    }

    /// Compares everything a last time.
    pub(super) fn compare_last(&mut self) {
        match self.compare_all() {
            Ok(found) => self.followed.found_last = found,
            Err(why) => {
                self.followed.incomplete =
                    Some(format!("the source could not be compared at the end: {why}"));
            }
        }
    }

    /// Lists all roots. Gives how many changes that showed.
    fn compare_all(&mut self) -> Result<u64, String> {
        let parts = read::list(&mut self.ends.reader, &mut self.ends.hidden)?;
        let mut found = 0;
        let listed: BTreeSet<String> = parts.iter().map(|(root, _)| root.clone()).collect();
        let index = parts.iter().map(|(_, listing)| listing.index).min().unwrap_or_default();
        for (root, listing) in parts {
            if !self.begun.watched.contains(&root) {
                self.begun.watch(&self.ends.reader, &root, listing.index + 1)?;
                self.begun.watched.push(root.clone());
            }
            found += self.apply(&root, listing);
        }
        let gone: Vec<String> =
            self.roots.keys().filter(|root| !listed.contains(*root)).cloned().collect();
        for root in gone {
            found += self.drop_missing(&root, &BTreeSet::new(), index);
        }
        Ok(found)
    }

    /// Carries out in what a listing differs from what is known. Gives the number of changes.
    fn apply(&mut self, root: &str, listing: Listing) -> u64 {
        self.clock = listing.clock;
        let keys: BTreeSet<&str> = listing.nodes.iter().map(|node| node.path.as_str()).collect();
        let dirs: BTreeSet<String> = keys
            .iter()
            .filter_map(|key| key.rsplit_once('/'))
            .map(|(dir, _)| dir.to_owned())
            .collect();
        let mut found = self.drop_missing(root, &keys, listing.index);
        self.roots.insert(root.to_owned(), listing.index);
        for node in listing.nodes {
            found += u64::from(self.update(node, &dirs));
        }
        found
    }

    /// Removes what is known below a root, and was not listed. What is hidden in it is a root of
    /// its own. Gives the number of changes.
    fn drop_missing(&mut self, root: &str, listed: &BTreeSet<&str>, index: u64) -> u64 {
        let mut keys = self.known.below(root);
        if !root.is_empty() && self.known.get(root).is_some() {
            keys.insert(0, root.to_owned());
        }
        let is_elsewhere = |key: &str| {
            let (mut at, mut part) = (root, root);
            while let Some(next) = root_of(at, key) {
                at = next;
                if self.roots.contains_key(next) {
                    part = next;
                }
            }
            part != root
        };
        keys.retain(|key| !listed.contains(key.as_str()) && !is_elsewhere(key));
        // What is in a directory goes before it.
        let mut dropped = 0;
        for key in keys.into_iter().rev() {
            let Some(entry) = self.known.get(&key).copied() else { continue };
            if entry.modified > index {
                continue;
            }
            self.known.remove(&key);
            let change = self.change(&key, None, None, What::Missed { is_dir: entry.is_dir });
            self.give(change, &key, index, Instant::now());
            dropped += 1;
        }
        dropped
    }

    /// Carries over what a node has got since it was known. Says whether there was anything.
    fn update(&mut self, node: Node, dirs: &BTreeSet<String>) -> bool {
        let (entry, path) = (Entry::of(&node), node.path);
        let is_own = path == "/_etcd" || is_reserved(&path);
        let known = self.known.get(&path).copied();
        // A directory keeps its index when its deadline changes.
        let has_other_time = entry.is_dir
            && known.is_some_and(|known| known.deadline.is_some() != entry.deadline.is_some());
        let is_news = known.is_none_or(|known| known.modified < entry.modified) || has_other_time;
        if is_own || !is_news {
            return false;
        }
        self.known.insert(&path, entry);
        // A directory comes with what is in it.
        let has_below = dirs.contains(&path) || self.known.has_below(&path);
        let value = match node.state.content {
            Content::Dir if entry.deadline.is_none() && !has_other_time && has_below => {
                return false;
            }
            content => content.into_value(),
        };
        let change = self.change(&path, value, entry.deadline, What::Set);
        self.give(change, &path, entry.modified, Instant::now());
        true
    }
}
