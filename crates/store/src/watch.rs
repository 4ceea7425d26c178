//! Which watchers does an event wake?
//!
//! The hub keeps watchers in a map from watched path to a list, so that an event at `/a/b/c` costs
//! four look-ups (`/`, `/a`, `/a/b`, `/a/b/c`) however many clients wait elsewhere. It decides only
//! *who* is woken; delivering bytes, and giving up on a slow reader, is the server's job.
//!
//! Two rules of the protocol shape the code (docs/spec/keys.md 9.3): a recursive watcher does not
//! see hidden nodes below the path it watches, unless it asks for them, and removing a directory
//! wakes watchers of everything inside it.

use crate::event::Event;
use crate::node::Dir;
use crate::time::StoreIndex;
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
    /// Whether it wants to hear of hidden nodes below the path as well.
    pub hidden: bool,
}

/// One event wakes one watcher.
#[derive(Clone, Debug)]
pub struct Wake {
    /// The watcher.
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
        let visible = filter.recursive && (filter.hidden || !below.contains("/_"));
        return if visible { Match::Yes } else { Match::No };
    }
    if strip(&filter.path, key).is_some() { Match::Ancestor } else { Match::No }
}

#[derive(Debug)]
struct Watcher {
    path: Arc<str>,
    owner: u64,
    from: StoreIndex,
    /// Its place in the list of its path, so that taking it out does not search the list.
    at: u32,
    scope: Scope,
    stream: bool,
}

/// How far a watcher sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// The path itself.
    Plain,
    /// What is below as well, but for hidden nodes.
    Recursive,
    /// All that is below.
    Hidden,
}

impl Scope {
    const ALL: [Scope; 3] = [Scope::Plain, Scope::Recursive, Scope::Hidden];

    fn of(filter: &WatchFilter) -> Self {
        match (filter.recursive, filter.hidden) {
            (false, _) => Scope::Plain,
            (true, false) => Scope::Recursive,
            (true, true) => Scope::Hidden,
        }
    }
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    watcher: Option<Watcher>,
}

impl Slot {
    fn id(&self, slot: u32) -> WatcherId {
        WatcherId(u64::from(self.generation) << 32 | u64::from(slot))
    }

    /// Takes the watcher out; the next one in this slot has another id.
    fn vacate(&mut self) -> Option<Watcher> {
        let watcher = self.watcher.take()?;
        self.generation = self.generation.wrapping_add(1);
        Some(watcher)
    }
}

/// A place in a list of watchers.
fn place(at: usize) -> u32 {
    u32::try_from(at).expect("watchers are bounded far below 2^32")
}

/// The watchers of each path.
type Lists = BTreeMap<Arc<str>, Vec<u32>>;

/// All watchers that wait.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    /// Those who want to hear of the path itself only. Apart from the others, so that an event
    /// further down does not pass them.
    plain: Lists,
    recursive: Lists,
    hidden: Lists,
    slots: Vec<Slot>,
    free: Vec<u32>,
    len: usize,
}

impl Hub {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    fn lists(&mut self, scope: Scope) -> &mut Lists {
        match scope {
            Scope::Plain => &mut self.plain,
            Scope::Recursive => &mut self.recursive,
            Scope::Hidden => &mut self.hidden,
        }
    }

    pub(crate) fn add(
        &mut self,
        filter: &WatchFilter,
        from: StoreIndex,
        stream: bool,
        owner: u64,
    ) -> WatcherId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, watcher: None });
            place(self.slots.len() - 1)
        });
        let scope = Scope::of(filter);
        let lists = self.lists(scope);
        let path = match lists.get_key_value(&*filter.path) {
            Some((path, _)) => Arc::clone(path),
            None => filter.path.as_ref().into(),
        };
        let list = lists.entry(Arc::clone(&path)).or_default();
        if list.len() == list.capacity() {
            list.reserve_exact(list.len() / 2 + 1);
        }
        let at = place(list.len());
        list.push(slot);
        self.len += 1;
        let entry = self.slots.get_mut(slot as usize).expect("free slots are in the table");
        entry.watcher = Some(Watcher { path, owner, from, at, scope, stream });
        entry.id(slot)
    }

    pub(crate) fn remove(&mut self, id: WatcherId) {
        let slot = u32::try_from(id.0 & u64::from(u32::MAX)).expect("masked to 32 bits");
        let Some(entry) = self.slots.get_mut(slot as usize) else { return };
        if entry.id(slot) != id {
            return;
        }
        let Some(watcher) = entry.vacate() else { return };
        self.free.push(slot);
        self.len -= 1;
        let Some(list) = self.lists(watcher.scope).get_mut(&watcher.path) else { return };
        let removed = list.swap_remove(watcher.at as usize);
        debug_assert_eq!(removed, slot, "a watcher knows its place");
        let moved = list.get(watcher.at as usize).copied();
        if list.is_empty() {
            self.lists(watcher.scope).remove(&watcher.path);
        }
        if let Some(moved) = moved.and_then(|moved| self.slots.get_mut(moved as usize))
            && let Some(moved) = &mut moved.watcher
        {
            moved.at = watcher.at;
        }
    }

    /// Forgets everybody, and gives their owners. Their ids stay theirs.
    pub(crate) fn clear(&mut self) -> Vec<u64> {
        self.plain.clear();
        self.recursive.clear();
        self.hidden.clear();
        self.len = 0;
        let mut owners = Vec::new();
        for (slot, entry) in self.slots.iter_mut().enumerate() {
            if let Some(watcher) = entry.vacate() {
                owners.push(watcher.owner);
                self.free.push(place(slot));
            }
        }
        owners
    }

    /// Appends everybody whom the event wakes. `removed` is the directory that went, with its
    /// children.
    pub(crate) fn wake(
        &mut self,
        event: &Arc<Event>,
        removed: Option<&Dir>,
        wakes: &mut Vec<Wake>,
    ) {
        if self.len == 0 || event.refresh {
            return;
        }
        for scope in Scope::ALL {
            self.wake_path(&event.key, scope, event, wakes);
        }
        for scope in [Scope::Recursive, Scope::Hidden] {
            if !self.lists(scope).is_empty() {
                self.wake_above(scope, event, wakes);
            }
        }
        if let Some(dir) = removed {
            self.wake_below(dir, event, wakes);
        }
    }

    fn wake_above(&mut self, scope: Scope, event: &Arc<Event>, wakes: &mut Vec<Wake>) {
        let mut path: &str = &event.key;
        while let Some(slash) = path.rfind('/') {
            // Once a component is hidden it is so for everybody further up who does not ask for it.
            let is_hidden = scope == Scope::Recursive
                && path.get(slash + 1..).is_some_and(|name| name.starts_with('_'));
            if path.len() == 1 || is_hidden {
                break;
            }
            path = match path.get(..slash) {
                Some(parent) if !parent.is_empty() => parent,
                _ => "/",
            };
            self.wake_path(path, scope, event, wakes);
        }
    }

    /// Wakes the watchers of one path.
    fn wake_path(&mut self, path: &str, scope: Scope, event: &Arc<Event>, wakes: &mut Vec<Wake>) {
        let lists = match scope {
            Scope::Plain => &mut self.plain,
            Scope::Recursive => &mut self.recursive,
            Scope::Hidden => &mut self.hidden,
        };
        let Some(list) = lists.get_mut(path) else { return };
        let (slots, free) = (&mut self.slots, &mut self.free);
        let (before, mut kept) = (list.len(), 0);
        list.retain(|slot| {
            let Some(entry) = slots.get_mut(*slot as usize) else { return false };
            let id = entry.id(*slot);
            let Some(watcher) = &mut entry.watcher else { return false };
            let is_woken = event.index >= watcher.from;
            if is_woken {
                wakes.push(Wake { watcher: id, owner: watcher.owner, event: Arc::clone(event) });
            }
            if is_woken && !watcher.stream {
                entry.vacate();
                free.push(*slot);
                return false;
            }
            watcher.at = kept;
            kept += 1;
            true
        });
        self.len -= before - list.len();
        if list.is_empty() {
            lists.remove(path);
        } else if list.len() * 2 < before {
            list.shrink_to_fit();
        }
    }

    /// Wakes the watchers of all that was in a directory that went.
    fn wake_below(&mut self, dir: &Dir, event: &Arc<Event>, wakes: &mut Vec<Wake>) {
        let (from, to) = (format!("{}/", event.key), format!("{}0", event.key));
        let range = (Bound::Included(&*from), Bound::Excluded(&*to));
        let existed = |path: &Arc<str>| {
            strip(path, &event.key).is_some_and(|rest| dir.descendant(rest).is_some())
        };
        for scope in Scope::ALL {
            let paths = self.lists(scope).range::<str, _>(range).map(|(path, _)| path);
            let paths: Vec<Arc<str>> = paths.filter(|path| existed(path)).cloned().collect();
            for path in paths {
                self.wake_path(&path, scope, event, wakes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_goes_by_components_and_not_by_letters() {
        let filter = |path: &str, recursive| {
            let (path, hidden) = (path.into(), false);
            WatchFilter { path, recursive, hidden }
        };
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
        for (path, key, want) in [
            ("/", "/a/_b/c", Match::Yes),
            ("/a", "/a/_b", Match::Yes),
            ("/a", "/a_/_b", Match::No),
            ("/a/_b", "/a", Match::Ancestor),
        ] {
            let filter = WatchFilter { hidden: true, ..filter(path, true) };
            assert_eq!(matches(&filter, key), want, "{path} {key}");
        }
    }
}
