//! Events of the source as changes of the target.

use super::Follower;
use super::known::Entry;
use crate::import::clock::now;
use crate::import::key::is_reserved;
use crate::import::live::change::{Change, What};
use crate::import::live::event::Event;
use crate::import::plan::Item;
use crate::import::tree::Listing;
use legacy::{Content, WallTime};
use std::time::Instant;

impl Follower {
    /// Takes an event of a watch.
    pub(super) fn event(&mut self, root: &str, event: Event, at: Instant) {
        let (index, key) = (event.index(), event.key().to_owned());
        if self.roots.get(root).is_none_or(|listed| index <= *listed) {
            return;
        }
        if key == "/_etcd" || is_reserved(&key) || self.is_reserved_there(&key) {
            return;
        }
        // A directory above a hidden key went: its own watch sees the event, and what was created
        // after it.
        let is_above = root.strip_prefix(key.as_str()).is_some_and(|rest| rest.starts_with('/'));
        if is_above {
            if event.is_removal() {
                self.known.remove(root);
                let change = self.change(root, None, None, What::Gone { is_dir: true });
                self.give(change, root, index, at);
            }
            return;
        }
        if event.is_removal() {
            self.removal(root, &event, &key, at);
        } else {
            self.set(event, &key, at);
        }
    }

    fn set(&mut self, event: Event, key: &str, at: Instant) {
        let index = event.index();
        let deadline = self.clock.past_deadline(event.node.shown(), now());
        let is_dir = event.is_dir();
        self.known.insert(key, Entry { modified: index, deadline, is_dir });
        let value = (!is_dir).then(|| event.node.value.unwrap_or_default());
        let change = self.change(key, value, deadline, What::Set);
        self.give(change, key, index, at);
    }

    fn removal(&mut self, root: &str, event: &Event, key: &str, at: Instant) {
        let is_dir = event.is_dir() || self.known.get(key).is_some_and(|known| known.is_dir);
        let what = match event.action.as_str() {
            "expire" => What::Expired { is_dir },
            _ => What::Gone { is_dir },
        };
        self.known.remove(key);
        let value = event.prev_node.as_ref().and_then(|old| old.value.clone());
        let change = self.change(key, value.filter(|_| !is_dir), None, what);
        self.give(change, key, event.index(), at);
        if !is_dir || !root.is_empty() {
            return;
        }
        // What is hidden in it may have been created again before this was carried out.
        let dir = format!("{key}/");
        let hidden: Vec<String> =
            self.roots.keys().filter(|root| root.starts_with(&dir)).cloned().collect();
        hidden.iter().for_each(|root| self.compare_again(root));
    }

    /// A key that was about to end got more time, or not.
    pub(super) fn checked(&mut self, key: &str, mut found: Listing, at: Instant) {
        let Some(node) = found.nodes.pop() else { return };
        let (entry, state) = (Entry::of(&node), node.state);
        let is_news = self.known.get(key).is_some_and(|known| known.modified < entry.modified);
        if !is_news {
            return;
        }
        self.known.insert(key, entry);
        let (value, what) = match state.content {
            Content::Dir => (None, What::Set),
            // Others than a Stead would not keep the value, or not all of them.
            Content::File(value) if state.expiration.is_some() && self.target_refreshes() => {
                (Some(value), What::Refresh)
            }
            Content::File(value) => (Some(value), What::Set),
        };
        let change = self.change(key, value, state.expiration, what);
        self.give(change, key, entry.modified, at);
    }

    fn target_refreshes(&self) -> bool {
        self.ends.kind == crate::import::live::reader::Kind::Stead
    }

    fn is_reserved_there(&self, key: &str) -> bool {
        is_reserved(&format!("{}{key}", self.ends.prefix))
    }

    /// A change of a key of the source.
    pub(super) fn change(
        &self,
        key: &str,
        value: Option<String>,
        deadline: Option<WallTime>,
        what: What,
    ) -> Change {
        let key = format!("{}{key}", self.ends.prefix);
        Change { item: Item { key, value, deadline, replaces: true }, what }
    }
}
