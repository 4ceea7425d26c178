//! The key space as simply as it can be said: a sorted map from path to node, and lists. It is
//! slow, and holds no trick that the store holds too.

use crate::testkit::SECOND;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use store::{Command, InOrder, KeyPath, WatchFilter};

#[derive(Clone, Debug, PartialEq)]
struct Node {
    /// A directory has none.
    value: Option<String>,
    created: u64,
    modified: u64,
    deadline: Option<u64>,
}

#[derive(Clone, Debug)]
struct Event {
    action: &'static str,
    key: String,
    index: u64,
    created: u64,
    node: Option<Node>,
    prev: Option<Node>,
    time: u64,
    refresh: bool,
    /// The keys that were below a removed directory.
    removed: Vec<String>,
}

#[derive(Debug)]
struct Watcher {
    owner: u64,
    filter: WatchFilter,
    stream: bool,
    from: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    nodes: BTreeMap<String, Node>,
    pub(crate) index: u64,
    time: u64,
    events: Vec<Event>,
    /// Up to there no event is kept.
    pub(crate) cleared: u64,
    watchers: Vec<Watcher>,
    counts: BTreeMap<&'static str, (u64, u64)>,
    expired: u64,
    /// Who is woken by the command at hand: (owner, event).
    woken: Vec<(u64, String)>,
}

/// A refusal: code and cause.
type Refusal = (u16, String);

struct Content<'a> {
    value: &'a str,
    dir: bool,
    ttl: Option<i64>,
    refresh: bool,
}

fn ancestors(key: &str) -> Vec<String> {
    key.match_indices('/').skip(1).map(|(at, _)| key[..at].to_owned()).collect()
}

fn is_below(key: &str, dir: &str) -> bool {
    dir == "/" && key != "/" || key.starts_with(&format!("{dir}/"))
}

impl Event {
    fn is_removal(&self) -> bool {
        ["delete", "compareAndDelete", "expire"].contains(&self.action)
    }

    fn text(&self) -> String {
        let content = |node: &Node| node.value.as_ref().map_or("dir".into(), |v| format!("{v:?}"));
        let ttl = |node: &Node| match node.deadline {
            Some(at) => format!(" ttl={}", (at as f64 - self.time as f64) / SECOND as f64),
            None => String::new(),
        };
        let mut out = format!("{} {} {}", self.index, self.action, self.key);
        if let Some(node) = &self.node {
            let _ = write!(out, " {}{}", content(node), ttl(node));
        }
        if self.created != self.index {
            let _ = write!(out, " created={}", self.created);
        }
        if let Some(prev) = &self.prev {
            let _ = write!(out, " (was {}{} @{}", content(prev), ttl(prev), prev.modified);
            if prev.created != prev.modified {
                let _ = write!(out, " created={}", prev.created);
            }
            out.push(')');
        }
        if self.refresh {
            out.push_str(" refresh");
        }
        out
    }

    /// Whether somebody who watches hears of it (docs/spec/keys.md 9.3).
    fn wakes(&self, filter: &WatchFilter, is_past: bool) -> bool {
        if self.refresh {
            return false;
        }
        let path = &*filter.path;
        if self.key == path {
            return true;
        }
        if is_below(&self.key, path) {
            let rest = &self.key[path.trim_end_matches('/').len()..];
            let is_shown = filter.hidden || rest.split('/').all(|name| !name.starts_with('_'));
            return filter.recursive && is_shown;
        }
        let was_dir = self.prev.as_ref().is_some_and(|prev| prev.value.is_none());
        self.is_removal()
            && is_below(path, &self.key)
            && was_dir
            && (is_past || self.removed.iter().any(|key| key == path))
    }
}

impl Model {
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut nodes: Vec<_> = self.nodes.iter().collect();
        // A listing goes by names, not by letters: `/a/b` comes before `/a.b`.
        nodes.sort_by_key(|(key, _)| key.split('/').map(str::to_owned).collect::<Vec<_>>());
        let lines = nodes.into_iter().map(|(key, node)| {
            let mut line = match &node.value {
                Some(value) => format!("{key} {value:?}"),
                None => format!("{key} dir"),
            };
            if let Some(at) = node.deadline {
                let left = (at as f64 - self.time as f64) / SECOND as f64;
                let _ = write!(line, " ttl={left}");
            }
            let _ = write!(line, " @{}", node.modified);
            if node.created != node.modified {
                let _ = write!(line, " created={}", node.created);
            }
            line
        });
        lines.collect()
    }

    pub(crate) fn stats(&self) -> String {
        let mut out = String::new();
        for name in ["sets", "creates", "updates", "cas", "deletes", "cad"] {
            if let Some((success, fail)) = self.counts.get(name) {
                let _ = write!(out, "{name}={success}/{fail} ");
            }
        }
        let _ = write!(out, "expired={} watchers={}", self.expired, self.watchers.len());
        out
    }

    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.nodes.values().filter_map(|node| node.deadline).min()
    }

    pub(crate) fn modified(&self, key: &str) -> Option<u64> {
        self.nodes.get(key).map(|node| node.modified)
    }

    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        self.nodes.get(key).and_then(|node| node.value.as_deref())
    }

    pub(crate) fn watch(&mut self, filter: &WatchFilter, stream: bool, from: u64, owner: u64) {
        self.watchers.push(Watcher { owner, filter: filter.clone(), stream, from });
    }

    pub(crate) fn unwatch(&mut self, owner: u64) {
        self.watchers.retain(|watcher| watcher.owner != owner);
    }

    pub(crate) fn unwatch_all(&mut self) {
        self.watchers.clear();
    }

    /// The first event of the past from an index on.
    pub(crate) fn next_event(&self, filter: &WatchFilter, from: u64) -> Option<String> {
        let mut events = self.events.iter().filter(|event| event.index >= from);
        events.find(|event| event.wakes(filter, true)).map(Event::text)
    }

    /// What the command prints, and who is woken.
    pub(crate) fn apply(
        &mut self,
        command: &Command<'_>,
        time: u64,
    ) -> (String, Vec<(u64, String)>) {
        self.time = self.time.max(time);
        self.woken.clear();
        let text = match command {
            Command::Expire { limit } => format!("expired {}", self.expire(*limit)),
            Command::RaiseIndex { at_least } => {
                if *at_least > self.index {
                    self.index = *at_least;
                    self.events.clear();
                    self.cleared = *at_least;
                }
                "raised".to_owned()
            }
            Command::Internal { writes } => {
                let before = self.index;
                for write in writes {
                    self.index = before;
                    let key = write.path.as_str();
                    let is_dir = self.nodes.get(key).is_some_and(|node| node.value.is_none());
                    if self.file_in_way(key).is_some() || key == "/" {
                        continue;
                    }
                    match write.value {
                        Some(_) if is_dir => {}
                        Some(value) => {
                            let content = Content { value, dir: false, ttl: None, refresh: false };
                            self.put("set", key, &content);
                        }
                        None if self.nodes.contains_key(key) => self.remove("delete", key),
                        None => {}
                    }
                }
                self.index = before + 1;
                "internal".to_owned()
            }
            _ => self.apply_client(command),
        };
        (text, std::mem::take(&mut self.woken))
    }

    fn apply_client(&mut self, command: &Command<'_>) -> String {
        let (kind, result) = match *command {
            Command::Set { path, value, dir, ttl, refresh } => {
                ("sets", self.set(path, &Content { value, dir, ttl, refresh }))
            }
            Command::Create { path, value, dir, ttl, in_order } => {
                let content = Content { value, dir, ttl, refresh: false };
                ("creates", self.create(path, &content, in_order))
            }
            Command::Update { path, value, ttl, refresh } => {
                ("updates", self.update(path, &Content { value, dir: false, ttl, refresh }))
            }
            Command::CompareAndSwap {
                path,
                value,
                ttl,
                refresh,
                prev_value,
                prev_index,
                or_create,
            } => {
                let content = Content { value, dir: false, ttl, refresh };
                let key = path.as_str();
                let is_missing =
                    !self.nodes.contains_key(key) && self.file_in_way(key).is_none() && key != "/";
                if or_create && is_missing && !is_reserved(key) {
                    ("sets", self.set(path, &content))
                } else {
                    ("cas", self.compare_and_swap(path, &content, prev_value, prev_index))
                }
            }
            Command::Delete { path, dir, recursive } => {
                ("deletes", self.delete(path, dir, recursive))
            }
            Command::CompareAndDelete { path, prev_value, prev_index } => {
                ("cad", self.compare_and_delete(path, prev_value, prev_index))
            }
            Command::Expire { .. }
            | Command::Internal { .. }
            | Command::RaiseIndex { .. }
            | Command::Auth(_)
            | Command::CountRefused(_)
            | Command::Lock { .. } => {
                panic!("not about a client's key")
            }
        };
        let count = self.counts.entry(kind).or_default();
        match result {
            Ok(()) => {
                count.0 += 1;
                self.events.last().expect("a success is an event").text()
            }
            Err((code, cause)) => {
                count.1 += 1;
                format!("! {code} cause={cause} index={}", self.index)
            }
        }
    }

    fn file_in_way(&self, key: &str) -> Option<String> {
        let is_file = |dir: &String| self.nodes.get(dir).is_some_and(|node| node.value.is_some());
        ancestors(key).into_iter().find(is_file)
    }

    /// Reserved keys and files in the way.
    fn check(&self, key: &str) -> Result<(), Refusal> {
        if is_reserved(key) {
            return Err((106, key.to_owned()));
        }
        if key == "/" {
            return Err((107, key.to_owned()));
        }
        match self.file_in_way(key) {
            Some(file) => Err((104, file)),
            None => Ok(()),
        }
    }

    fn find(&self, key: &str) -> Result<Node, Refusal> {
        if let Some(missing) = ancestors(key).into_iter().find(|dir| !self.nodes.contains_key(dir))
        {
            return Err((100, missing));
        }
        self.nodes.get(key).cloned().ok_or((100, key.to_owned()))
    }

    fn set(&mut self, path: KeyPath<'_>, content: &Content<'_>) -> Result<(), Refusal> {
        let key = path.as_str();
        self.check(key)?;
        if content.refresh {
            self.find(key)?;
        }
        if self.nodes.get(key).is_some_and(|node| node.value.is_none()) {
            return Err((102, key.to_owned()));
        }
        self.put("set", key, content);
        Ok(())
    }

    fn create(
        &mut self,
        path: KeyPath<'_>,
        content: &Content<'_>,
        in_order: Option<InOrder>,
    ) -> Result<(), Refusal> {
        let next = self.index + 1;
        let dir = path.as_str().trim_end_matches('/');
        let key = match in_order {
            None => path.as_str().to_owned(),
            Some(InOrder::Plain) => format!("{dir}/{next}"),
            Some(InOrder::Padded) => format!("{dir}/{next:020}"),
        };
        if is_reserved(path.as_str()) {
            return Err((106, path.as_str().to_owned()));
        }
        self.check(&key)?;
        if self.nodes.contains_key(&key) {
            return Err((105, key));
        }
        self.put("create", &key, content);
        Ok(())
    }

    fn update(&mut self, path: KeyPath<'_>, content: &Content<'_>) -> Result<(), Refusal> {
        let key = path.as_str();
        self.check(key)?;
        let prev = self.find(key)?;
        if prev.value.is_some() {
            self.replace("update", key, content);
            return Ok(());
        }
        if !content.value.is_empty() {
            return Err((102, key.to_owned()));
        }
        self.index += 1;
        let deadline = self.deadline(content.ttl);
        let node = Node { deadline, ..prev.clone() };
        self.nodes.insert(key.to_owned(), node.clone());
        self.tell("update", key, node.created, Some(node), Some(prev), content.refresh, Vec::new());
        Ok(())
    }

    fn compare(
        &self,
        key: &str,
        prev_value: Option<&str>,
        prev_index: Option<u64>,
    ) -> Result<(), Refusal> {
        let node = self.find(key)?;
        let Some(value) = &node.value else { return Err((102, key.to_owned())) };
        let mut causes = Vec::new();
        if let Some(wanted) = prev_value
            && !wanted.is_empty()
            && wanted != value
        {
            causes.push(format!("[{wanted} != {value}]"));
        }
        if let Some(wanted) = prev_index
            && wanted > 0
            && wanted != node.modified
        {
            causes.push(format!("[{wanted} != {}]", node.modified));
        }
        if causes.is_empty() { Ok(()) } else { Err((101, causes.join(" "))) }
    }

    fn compare_and_swap(
        &mut self,
        path: KeyPath<'_>,
        content: &Content<'_>,
        prev_value: Option<&str>,
        prev_index: Option<u64>,
    ) -> Result<(), Refusal> {
        let key = path.as_str();
        self.check(key)?;
        self.compare(key, prev_value, prev_index)?;
        self.replace("compareAndSwap", key, content);
        Ok(())
    }

    fn delete(&mut self, path: KeyPath<'_>, dir: bool, recursive: bool) -> Result<(), Refusal> {
        let key = path.as_str();
        self.check(key)?;
        let node = self.find(key)?;
        if node.value.is_none() {
            if !dir && !recursive {
                return Err((102, key.to_owned()));
            }
            if !recursive && self.nodes.keys().any(|other| is_below(other, key)) {
                return Err((108, key.to_owned()));
            }
        }
        self.remove("delete", key);
        Ok(())
    }

    fn compare_and_delete(
        &mut self,
        path: KeyPath<'_>,
        prev_value: Option<&str>,
        prev_index: Option<u64>,
    ) -> Result<(), Refusal> {
        let key = path.as_str();
        if key == "/" {
            return Err((102, key.to_owned()));
        }
        self.check(key)?;
        self.compare(key, prev_value, prev_index)?;
        self.remove("compareAndDelete", key);
        Ok(())
    }

    fn deadline(&self, ttl: Option<i64>) -> Option<u64> {
        ttl.map(|ttl| self.time + u64::try_from(ttl).unwrap_or(0) * SECOND)
    }

    /// Makes a node, or replaces a file by a new one.
    fn put(&mut self, action: &'static str, key: &str, content: &Content<'_>) {
        self.index += 1;
        let index = self.index;
        for dir in ancestors(key) {
            let made = Node { value: None, created: index, modified: index, deadline: None };
            self.nodes.entry(dir).or_insert(made);
        }
        let prev = self.nodes.get(key).cloned();
        let value = match &prev {
            Some(prev) if content.refresh => prev.value.clone().unwrap_or_default(),
            _ => content.value.to_owned(),
        };
        let value = if content.dir { None } else { Some(value) };
        let deadline = self.deadline(content.ttl);
        let node = Node { value, created: index, modified: index, deadline };
        self.nodes.insert(key.to_owned(), node.clone());
        self.tell(action, key, index, Some(node), prev, content.refresh, Vec::new());
    }

    /// Changes a file, which keeps its createdIndex.
    fn replace(&mut self, action: &'static str, key: &str, content: &Content<'_>) {
        self.index += 1;
        let prev = self.nodes[key].clone();
        let value =
            if content.refresh { prev.value.clone() } else { Some(content.value.to_owned()) };
        let deadline = self.deadline(content.ttl);
        let node = Node { value, created: prev.created, modified: self.index, deadline };
        self.nodes.insert(key.to_owned(), node.clone());
        self.tell(action, key, prev.created, Some(node), Some(prev), content.refresh, Vec::new());
    }

    fn remove(&mut self, action: &'static str, key: &str) {
        self.index += 1;
        let prev = self.nodes.remove(key).expect("it was found before");
        let removed: Vec<String> =
            self.nodes.keys().filter(|other| is_below(other, key)).cloned().collect();
        for gone in &removed {
            self.nodes.remove(gone);
        }
        self.tell(action, key, prev.created, None, Some(prev.clone()), false, removed);
    }

    fn expire(&mut self, limit: u32) -> u32 {
        for expired in 0..limit {
            let due = self.nodes.iter().filter(|(_, node)| node.deadline <= Some(self.time));
            let due = due.filter_map(|(key, node)| Some((node.deadline?, key.clone())));
            let Some((_, key)) = due.min() else { return expired };
            self.remove("expire", &key);
            self.expired += 1;
        }
        limit
    }

    #[expect(clippy::too_many_arguments, reason = "they are the fields of an event")]
    fn tell(
        &mut self,
        action: &'static str,
        key: &str,
        created: u64,
        node: Option<Node>,
        prev: Option<Node>,
        refresh: bool,
        removed: Vec<String>,
    ) {
        let (key, index, time) = (key.to_owned(), self.index, self.time);
        let event = Event { action, key, index, created, node, prev, time, refresh, removed };
        let hears =
            |watcher: &Watcher| event.index >= watcher.from && event.wakes(&watcher.filter, false);
        for watcher in self.watchers.iter().filter(|watcher| hears(watcher)) {
            self.woken.push((watcher.owner, event.text()));
        }
        self.watchers.retain(|watcher| watcher.stream || !hears(watcher));
        self.events.push(event);
    }
}

fn is_reserved(key: &str) -> bool {
    let mut names = key.split('/').skip(1);
    names.next() == Some("_etcd")
        && names.next().is_none_or(|name| ["config", "machines", "mod"].contains(&name))
}
