//! Runs a script against a store, and gives what there is to see.
//!
//! A script is a sequence of blocks with an empty line between them. A block has comments,
//! commands, a line of dashes, and what the commands printed. What is in quotes is one word. The
//! commands:
//!
//! ```text
//! set /p [value=v] [dir] [ttl=n] [refresh]      create /p ...    post /p ... [padded]
//! update /p [value=v] [ttl=n] [refresh]         cas /p ... [prevValue=v] [prevIndex=n] [orCreate]
//! delete /p [dir] [recursive]                   cad /p [prevValue=v] [prevIndex=n]
//! internal /p=v !/p ...       the server's own writes and deletes
//! acquire NAME ttl=n [value=v] [now]            renew NAME [index=n] [value=v] ttl=n
//! release NAME [index=n] [value=v]              refresh NAME n ttl=n
//! leave NAME n [touched=n] [keep=n]             queue NAME      (of a lock)
//! advance n                   n seconds pass, and what is due expires
//! clock n                     n seconds pass; they may be negative
//! expire [limit=n]
//! get /p     ls /p     tree   stats   next   (the next deadline)
//! watch /p [recursive] [showHidden] [stream] [from=n] -> name      unwatch name
//! count /p                    children and nodes below, with hidden ones and without, last change
//! reload                      the store goes through a snapshot; its watchers are gone
//! repeat n command            prints what the last one printed
//! limits [events=n] [bytes=n] [watchers=n]   a new store
//! ```
//! In the place of `value=v`, `size=n` stands for a value of so many letters.

use crate::testkit::*;
use std::collections::BTreeMap;
use store::{
    Command, InOrder, InternalWrite, LOCK_ROOT, Limits, LockAction, LockEntry, Stamp, Store,
    StoreIndex, Timestamp, Wake, WallOffset, WatchFilter, WatcherId,
};

/// No script makes more events.
const EVENTS_MAX: usize = 10_000;

pub(crate) struct Runner {
    store: Store,
    limits: Limits,
    now: u64,
    watchers: BTreeMap<String, (WatcherId, u64)>,
    owners: u64,
}

/// A command's words.
struct Line<'a> {
    text: &'a str,
    words: Vec<String>,
    /// The value that `size` stands for.
    long: Option<String>,
}

impl<'a> Line<'a> {
    fn parse(text: &'a str) -> Self {
        let (mut words, mut word) = (Vec::new(), String::new());
        let mut is_quoted = false;
        for char in text.chars() {
            match char {
                '"' => is_quoted = !is_quoted,
                ' ' if !is_quoted => words.push(std::mem::take(&mut word)),
                _ => word.push(char),
            }
        }
        assert!(!is_quoted, "a quote is left open: {text}");
        words.push(word);
        words.retain(|word| !word.is_empty());
        let mut line = Self { text, words, long: None };
        line.long = line.number("size").map(|len| "v".repeat(len));
        line
    }

    fn has(&self, flag: &str) -> bool {
        self.words.iter().any(|word| word == flag)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    fn number<N: std::str::FromStr>(&self, name: &str) -> Option<N> {
        let text = self.text(name)?;
        Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {}", self.text)))
    }

    fn word(&self, at: usize) -> &str {
        self.words.get(at).unwrap_or_else(|| panic!("a word is missing: {}", self.text))
    }

    fn client_command(&self) -> Option<Command<'_>> {
        let path = || path(self.word(1));
        let value = self.long.as_deref().or(self.text("value")).unwrap_or_default();
        let (dir, refresh) = (self.has("dir"), self.has("refresh"));
        let ttl = self.number("ttl");
        let naming = if self.has("padded") { InOrder::Padded } else { InOrder::Plain };
        let (prev_value, prev_index) = (self.text("prevValue"), self.number("prevIndex"));
        Some(match self.word(0) {
            "set" => Command::Set { path: path(), value, dir, ttl, refresh },
            "create" => Command::Create { path: path(), value, dir, ttl, in_order: None },
            "post" => Command::Create { path: path(), value, dir, ttl, in_order: Some(naming) },
            "update" => Command::Update { path: path(), value, ttl, refresh },
            "cas" => Command::CompareAndSwap {
                path: path(),
                value,
                ttl,
                refresh,
                prev_value,
                prev_index,
                or_create: self.has("orCreate"),
            },
            "delete" => Command::Delete { path: path(), dir, recursive: self.has("recursive") },
            "cad" => Command::CompareAndDelete { path: path(), prev_value, prev_index },
            _ => return None,
        })
    }

    /// As the API has it, an index and a value together mean the entry and its new value.
    fn lock_entry(&self) -> (LockEntry<'_>, Option<&str>) {
        match (self.number("index"), self.text("value")) {
            (Some(index), value) => (LockEntry::Index(index), value),
            (None, value) => (LockEntry::Value(value.unwrap_or_default()), None),
        }
    }

    fn lock_action(&self) -> Option<LockAction<'_>> {
        let ttl = self.number("ttl").unwrap_or(0);
        let index = || self.word(2).parse().unwrap_or_else(|_| panic!("no index: {}", self.text));
        let (entry, value) = self.lock_entry();
        Some(match self.word(0) {
            "acquire" => {
                let value = self.text("value").unwrap_or_default();
                LockAction::Acquire { value, ttl, waits: !self.has("now") }
            }
            "renew" => LockAction::Renew { entry, value, ttl },
            "release" => LockAction::Release { entry },
            "refresh" => LockAction::Refresh { index: index(), ttl },
            "leave" => {
                let (touched, keep) = (self.number("touched"), self.number("keep"));
                LockAction::Leave { index: index(), touched, keep }
            }
            _ => return None,
        })
    }
}

fn lock_dir(name: &str) -> String {
    format!("{LOCK_ROOT}/{name}")
}

impl Runner {
    pub(crate) fn new() -> Self {
        let limits = Limits::default();
        let (store, watchers) = (Store::new(limits), BTreeMap::new());
        Self { store, limits, now: START, watchers, owners: 0 }
    }

    fn stamp(&self) -> Stamp {
        Stamp { time: Timestamp(self.now), wall_offset: WallOffset(0) }
    }

    /// Applies a command as the log would bring it: through its encoding.
    fn apply(&mut self, command: &Command<'_>) -> Vec<String> {
        let mut bytes = Vec::new();
        command.encode(&mut bytes);
        let mut rest = bytes.as_slice();
        let decoded = Command::decode(&mut rest).expect("what was encoded can be decoded");
        assert!(rest.is_empty());
        assert_eq!(decoded, *command);
        let mut wakes = Vec::new();
        let outcome = self.store.apply(&decoded, self.stamp(), &mut wakes);
        let mut lines = vec![outcome_text(&outcome)];
        lines.extend(self.wake_lines(&wakes));
        lines
    }

    fn wake_lines(&self, wakes: &[Wake]) -> Vec<String> {
        let mut lines: Vec<(u64, String)> = Vec::new();
        for wake in wakes {
            let mut names = self.watchers.iter().filter(|(_, known)| known.0 == wake.watcher);
            let (name, known) = names.next().expect("only registered watchers are woken");
            assert_eq!(wake.owner, known.1);
            lines.push((wake.event.index.0, format!("{name} <- {}", event_text(&wake.event))));
        }
        assert!(lines.is_sorted_by_key(|(index, _)| *index), "wakes come in the order of indexes");
        // Among the watchers of one event there is no order.
        lines.sort();
        lines.into_iter().map(|(_, line)| line).collect()
    }

    fn expire(&mut self, limit: u32) -> Vec<String> {
        let before = self.store.index();
        let mut lines = self.apply(&Command::Expire { limit });
        let all = WatchFilter { path: "/".into(), recursive: true, hidden: false };
        let mut events = Vec::new();
        let mut next = self.store.next_event(&all, StoreIndex(before.0 + 1));
        while let Ok(Some(event)) = next {
            assert!(events.len() < EVENTS_MAX, "the past has no end");
            events.push(event_text(&event));
            next = self.store.next_event_after(&all, &event);
        }
        lines.splice(1..1, events);
        lines
    }

    fn watch(&mut self, line: &Line<'_>) -> Vec<String> {
        let name = line.words.last().expect("a line has words").clone();
        assert_eq!(line.word(line.words.len() - 2), "->", "{}", line.text);
        let path = path(line.word(1)).as_str().into();
        let (recursive, hidden) = (line.has("recursive"), line.has("showHidden"));
        let filter = WatchFilter { path, recursive, hidden };
        let stream = line.has("stream");
        let from = StoreIndex(line.number("from").unwrap_or(0));
        let mut lines = Vec::new();
        let mut next = Ok(None);
        if from.0 > 0 {
            next = self.store.next_event(&filter, from);
        }
        while let Ok(Some(event)) = next {
            assert!(lines.len() < EVENTS_MAX, "the past has no end");
            lines.push(format!("{name} <- {}", event_text(&event)));
            if !stream {
                return lines;
            }
            next = self.store.next_event_after(&filter, &event);
        }
        if let Err(error) = next {
            return vec![error_text(&error)];
        }
        self.owners += 1;
        match self.store.watch(&filter, from, stream, self.owners) {
            Some(watcher) => {
                let before = self.watchers.insert(name, (watcher, self.owners));
                assert!(before.is_none(), "the name is taken: {}", line.text);
            }
            None => lines.push("too many watchers".to_owned()),
        }
        lines
    }

    fn internal(&mut self, line: &Line<'_>) -> Vec<String> {
        let mut writes = Vec::new();
        for word in line.words.iter().skip(1) {
            writes.push(match (word.strip_prefix('!'), word.split_once('=')) {
                (Some(gone), _) => InternalWrite { path: path(gone), value: None },
                (_, Some((key, value))) => InternalWrite { path: path(key), value: Some(value) },
                _ => panic!("neither a write nor a delete: {}", line.text),
            });
        }
        self.apply(&Command::Internal { writes })
    }

    fn queue(&self, line: &Line<'_>) -> Vec<String> {
        let dir = lock_dir(line.word(1));
        let Some(lock) = self.store.peek(path(&dir)) else { return vec!["no such lock".into()] };
        let holder = lock.lock_holder().map(|(index, _)| index);
        let mut entries: Vec<_> = lock.lock_entries().collect();
        entries.sort_by_key(|(index, _)| *index);
        assert_eq!(holder, entries.first().map(|(index, _)| *index));
        let now = self.stamp().time;
        entries.iter().map(|(index, node)| node_text(&index.to_string(), node, now)).collect()
    }

    fn pass(&mut self, seconds: &str) {
        let seconds: f64 = seconds.parse().expect("seconds are a number");
        self.now = (self.now as f64 + seconds * SECOND as f64) as u64;
    }

    fn listing(&mut self, line: &Line<'_>) -> Vec<String> {
        let key = path(line.word(1));
        match self.store.get(key) {
            Ok(node) if line.word(0) == "get" => {
                vec![node_text(key.as_str(), &node, self.stamp().time)]
            }
            Ok(node) => node.children().map(|(name, _)| name.to_owned()).collect(),
            Err(error) => vec![error_text(&error)],
        }
    }

    fn count(&self, line: &Line<'_>) -> Vec<String> {
        let Some(node) = self.store.peek(path(line.word(1))) else { return vec!["none".into()] };
        let (totals, changed) = (node.totals(), self.store.changed(&node));
        let children = [true, false].map(|hidden| node.children_len(hidden));
        vec![format!(
            "children {} shown {}, below {} shown {}, changed {}",
            children[0], children[1], totals.nodes, totals.shown, changed.0
        )]
    }

    fn run(&mut self, text: &str) -> Vec<String> {
        let line = Line::parse(text);
        if let Some(command) = line.client_command() {
            return self.apply(&command);
        }
        if let Some(action) = line.lock_action() {
            let dir = lock_dir(line.word(1));
            return self.apply(&Command::Lock { dir: path(&dir), action });
        }
        match line.word(0) {
            "queue" => return self.queue(&line),
            "count" => return self.count(&line),
            "internal" => return self.internal(&line),
            "advance" => {
                self.pass(line.word(1));
                return self.expire(1000);
            }
            "clock" => self.pass(line.word(1)),
            "expire" => return self.expire(line.number("limit").unwrap_or(1000)),
            "get" | "ls" => return self.listing(&line),
            "tree" => return store_lines(&self.store),
            "stats" => return vec![stats_text(&self.store)],
            "next" => {
                let deadline = self.store.next_deadline();
                let now = self.stamp().time;
                return vec![deadline.map_or("never".into(), |at| seconds_left(at, now))];
            }
            "watch" => return self.watch(&line),
            "unwatch" => {
                let known = self.watchers.remove(line.word(1)).expect("it was named before");
                self.store.unwatch(known.0);
            }
            "reload" => {
                self.store = reloaded(&self.store, self.limits);
                self.watchers.clear();
            }
            "repeat" => {
                let count: u32 = line.word(1).parse().expect("a count is a number");
                let (_, rest) = text.split_once(line.word(1)).expect("it is one of the words");
                let all = (0..count).map(|_| self.run(rest.trim()));
                return all.last().unwrap_or_default();
            }
            "limits" => {
                let known = Limits::default();
                self.limits = Limits {
                    history_bytes_max: line.number("bytes").unwrap_or(known.history_bytes_max),
                    history_events_min: line.number("events").unwrap_or(known.history_events_min),
                    watchers_max: line.number("watchers").unwrap_or(known.watchers_max),
                };
                self.store = Store::new(self.limits);
                self.watchers.clear();
            }
            other => panic!("no such command: {other}"),
        }
        Vec::new()
    }
}

/// The script with what its commands print now.
pub(crate) fn rewrite(script: &str) -> String {
    let mut runner = Runner::new();
    let mut out = Vec::new();
    for block in script.trim_end().split("\n\n") {
        let mut printed = Vec::new();
        let mut has_commands = false;
        for line in block.lines().take_while(|line| *line != "---") {
            out.push(line.to_owned());
            if !line.starts_with('#') {
                has_commands = true;
                printed.extend(runner.run(line));
            }
        }
        if has_commands {
            out.push("---".to_owned());
            out.extend(printed);
        }
        out.push(String::new());
    }
    out.join("\n")
}
