//! Which watchers does an event wake?
//!
//! The hub keeps watchers in a map from watched path to a list, so that an event at `/a/b/c` costs four
//! look-ups (`/`, `/a`, `/a/b`, `/a/b/c`) however many clients wait elsewhere. It decides only *who* is
//! woken; delivering bytes, and giving up on a slow reader, is the server's job.
//!
//! Two rules of the protocol shape the code (spec keys.md 9.3): a recursive watcher never sees hidden
//! nodes below the path it watches, and removing a directory wakes watchers of everything inside it.

use crate::node::Dir;
use crate::{Event, StoreIndex};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// Names a watcher for as long as it is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatcherId(pub u64);

/// What a watcher wants to hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchFilter {
    /// The watched path, clean; it need not exist.
    pub path: Box<str>,
    /// Whether it wants to hear of what happens below the path too.
    pub recursive: bool,
}

/// One watcher is to be told of one event.
#[derive(Clone, Debug)]
pub struct Wake {
    /// Whom to tell.
    pub watcher: WatcherId,
    /// What `owner` was at [`crate::Store::watch`].
    pub owner: u64,
    /// What happened.
    pub event: Arc<Event>,
}

/// How an event's key lies to a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// The filter wants it.
    Yes,
    /// The key is a directory above the watched path.
    Ancestor,
    /// The filter does not want it.
    No,
}

/// What is left of `path` below `dir`, with its leading slash.
fn strip<'a>(path: &'a str, dir: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(dir.trim_end_matches('/'))?;
    rest.starts_with('/').then_some(rest)
}

pub(crate) fn matches(filter: &WatchFilter, key: &str) -> Match {
    if *filter.path == *key {
        return Match::Yes;
    }
    if let Some(below) = strip(key, &filter.path) {
        let visible = filter.recursive && !below.contains("/_");
        return if visible { Match::Yes } else { Match::No };
    }
    if strip(&filter.path, key).is_some() { Match::Ancestor } else { Match::No }
}

#[derive(Debug)]
struct Watcher {
    path: Arc<str>,
    owner: u64,
    from: StoreIndex,
    recursive: bool,
    stream: bool,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    watcher: Option<Watcher>,
}

/// All watchers that wait.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    by_path: BTreeMap<Arc<str>, Vec<u32>>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    len: usize,
}

impl Hub {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn add(
        &mut self,
        filter: &WatchFilter,
        from: StoreIndex,
        stream: bool,
        owner: u64,
    ) -> WatcherId {
        let path = match self.by_path.get_key_value(&*filter.path) {
            Some((path, _)) => Arc::clone(path),
            None => filter.path.as_ref().into(),
        };
        let recursive = filter.recursive;
        let watcher = Watcher { path: Arc::clone(&path), owner, from, recursive, stream };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, watcher: None });
            u32::try_from(self.slots.len() - 1).expect("watchers are bounded far below 2^32")
        });
        let entry = self.slots.get_mut(slot as usize).expect("free slots are in the table");
        entry.watcher = Some(watcher);
        let generation = entry.generation;
        self.len += 1;
        let list = self.by_path.entry(path).or_default();
        if list.len() == list.capacity() {
            list.reserve_exact(list.len() / 2 + 1);
        }
        list.push(slot);
        WatcherId(u64::from(generation) << 32 | u64::from(slot))
    }

    pub(crate) fn remove(&mut self, id: WatcherId) {
        let slot = u32::try_from(id.0 & u64::from(u32::MAX)).expect("masked to 32 bits");
        let Some(entry) = self.slots.get_mut(slot as usize) else { return };
        if u64::from(entry.generation) != id.0 >> 32 {
            return;
        }
        let Some(watcher) = entry.watcher.take() else { return };
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(slot);
        self.len -= 1;
        if let Some(list) = self.by_path.get_mut(&watcher.path) {
            if let Some(at) = list.iter().position(|other| *other == slot) {
                list.swap_remove(at);
            }
            if list.is_empty() {
                self.by_path.remove(&watcher.path);
            }
        }
    }

    /// Forgets everybody, and gives their owners.
    pub(crate) fn clear(&mut self) -> Vec<u64> {
        let hub = std::mem::take(self);
        hub.slots.into_iter().filter_map(|slot| slot.watcher).map(|w| w.owner).collect()
    }

    /// Appends everybody whom the event wakes. `removed` is the directory that went, with its children.
    pub(crate) fn wake(
        &mut self,
        event: &Arc<Event>,
        removed: Option<&Dir>,
        wakes: &mut Vec<Wake>,
    ) {
        if self.len == 0 || event.refresh {
            return;
        }
        self.wake_path(&event.key, event, true, wakes);
        let mut path: &str = &event.key;
        while let Some(slash) = path.rfind('/') {
            // Once a component is hidden it is so for everybody further up.
            if path.len() == 1 || path.get(slash + 1..).is_some_and(|name| name.starts_with('_')) {
                break;
            }
            path = match path.get(..slash) {
                Some(parent) if !parent.is_empty() => parent,
                _ => "/",
            };
            self.wake_path(path, event, false, wakes);
        }
        if let Some(dir) = removed {
            self.wake_below(dir, event, wakes);
        }
    }

    fn wake_path(&mut self, path: &str, event: &Arc<Event>, exact: bool, wakes: &mut Vec<Wake>) {
        let Some(list) = self.by_path.get_mut(path) else { return };
        let (slots, free) = (&mut self.slots, &mut self.free);
        let before = list.len();
        let mut gone = 0;
        list.retain(|slot| {
            let Some(entry) = slots.get_mut(*slot as usize) else { return false };
            let Some(watcher) = &entry.watcher else { return false };
            if !(exact || watcher.recursive) || event.index < watcher.from {
                return true;
            }
            let id = WatcherId(u64::from(entry.generation) << 32 | u64::from(*slot));
            let owner = watcher.owner;
            wakes.push(Wake { watcher: id, owner, event: Arc::clone(event) });
            if !watcher.stream {
                entry.watcher = None;
                entry.generation = entry.generation.wrapping_add(1);
                free.push(*slot);
                gone += 1;
                return false;
            }
            true
        });
        self.len -= gone;
        if list.is_empty() {
            self.by_path.remove(path);
        } else if list.len() * 2 < before {
            list.shrink_to_fit();
        }
    }

    fn wake_below(&mut self, dir: &Dir, event: &Arc<Event>, wakes: &mut Vec<Wake>) {
        let (from, to) = (format!("{}/", event.key), format!("{}0", event.key));
        let range = (Bound::Included(&*from), Bound::Excluded(&*to));
        let existed =
            |path: &str| strip(path, &event.key).is_some_and(|rest| dir.descendant(rest).is_some());
        let paths: Vec<Arc<str>> = self
            .by_path
            .range::<str, _>(range)
            .filter(|(path, _)| existed(path))
            .map(|(path, _)| Arc::clone(path))
            .collect();
        for path in paths {
            self.wake_path(&path, event, true, wakes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_goes_by_components_and_not_by_letters() {
        let filter = |path: &str, recursive| WatchFilter { path: path.into(), recursive };
        for (path, recursive, key, want) in [
            ("/a", false, "/a", Match::Yes),
            ("/_a", true, "/_a", Match::Yes),
            ("/a", false, "/a/b", Match::No),
            ("/a", true, "/a/b", Match::Yes),
            ("/a", true, "/ab", Match::No),
            ("/", true, "/a/b", Match::Yes),
            ("/", true, "/a/_b/c", Match::No),
            ("/a/_b", true, "/a/_b/c", Match::Yes),
            ("/foobar", false, "/foo", Match::No),
            ("/foo/bar", false, "/foo", Match::Ancestor),
        ] {
            assert_eq!(matches(&filter(path, recursive), key), want, "{path} {key}");
        }
    }
}
