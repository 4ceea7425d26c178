//! A client that remembers what it was promised.
//!
//! Each writer has keys of its own, so that what must be there after a crash follows from its own
//! history alone: the last acknowledged state of each key, or what the one request without an
//! answer would have made of it. Values are never used twice.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use super::listing::Entry;
use crate::testkit::{Connection, Random, Request, Response};

const KEYS: u64 = 12;

/// In-order keys that a writer keeps; above that it deletes one for each it makes.
const POSTS_MAX: usize = 20;

/// What was asked and not yet answered.
#[derive(Clone, Debug)]
enum Pending {
    /// The key gets this value.
    Write {
        key: String,
        value: String,
    },
    Delete {
        key: String,
    },
    /// Some in-order key gets this value.
    Post {
        value: String,
    },
}

pub(crate) struct Writer {
    id: usize,
    random: Random,
    /// The acknowledged state, in-order keys included.
    known: BTreeMap<String, Entry>,
    posts: Vec<String>,
    pending: Option<Pending>,
    /// Indexes that were acknowledged since they were last taken.
    indexes: Vec<u64>,
    last: u64,
    writes: u64,
    acknowledged: u64,
    wrong: Vec<String>,
}

impl Writer {
    pub(crate) fn new(id: usize, random: Random) -> Self {
        Self {
            id,
            random,
            known: BTreeMap::new(),
            posts: Vec::new(),
            pending: None,
            indexes: Vec::new(),
            last: 0,
            writes: 0,
            acknowledged: 0,
            wrong: Vec::new(),
        }
    }

    /// Writes until the server is gone or the test says stop.
    pub(crate) fn work(&mut self, addr: SocketAddr, stop: &AtomicBool) {
        let Ok(mut connection) = Connection::open(addr) else {
            return;
        };
        while !stop.load(Ordering::Relaxed) && self.wrong.is_empty() {
            let (request, pending) = self.choose();
            self.pending = Some(pending.clone());
            let Ok(answer) = connection.exchange(&request) else {
                return;
            };
            if answer.status() >= 500 {
                // The server could not say whether it was done: as good as no answer.
                return;
            }
            self.pending = None;
            if let Err(e) = self.acknowledge(&pending, &answer) {
                self.wrong.push(format!("{pending:?}: {e}: {} {}", answer.status(), answer.text()));
            }
        }
    }

    /// Compares what is found after a restart with what is known, takes it out of `found`, and
    /// learns how the unanswered request went.
    pub(crate) fn settle(&mut self, found: &mut BTreeMap<String, Entry>, wrong: &mut Vec<String>) {
        wrong.append(&mut self.wrong);
        match self.pending.take() {
            None => {}
            Some(Pending::Write { key, value }) => {
                if let Some(entry) = found.get(&key).filter(|entry| entry.value == value) {
                    self.adopt(key, entry.clone(), wrong);
                }
            }
            Some(Pending::Delete { key }) if !found.contains_key(&key) => self.forget(&key),
            Some(Pending::Delete { .. }) => {}
            Some(Pending::Post { value }) => {
                let made = found.iter().find(|(_, entry)| entry.value == value);
                if let Some((key, entry)) = made {
                    let (key, entry) = (key.clone(), entry.clone());
                    self.posts.push(key.clone());
                    self.adopt(key, entry, wrong);
                }
            }
        }
        for (key, entry) in &self.known {
            let there = found.remove(key);
            if there.as_ref() != Some(entry) {
                wrong.push(format!("{key}: acknowledged {entry:?}, found {there:?}"));
            }
        }
    }

    pub(crate) fn take_indexes(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.indexes)
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// An unanswered write was done after all; it must have come after the answered ones.
    fn adopt(&mut self, key: String, entry: Entry, wrong: &mut Vec<String>) {
        if entry.modified <= self.last {
            wrong.push(format!("{key}: {entry:?} is not after {}", self.last));
        }
        self.last = self.last.max(entry.modified);
        self.indexes.push(entry.modified);
        self.known.insert(key, entry);
    }

    fn forget(&mut self, key: &str) {
        self.known.remove(key);
        self.posts.retain(|post| post != key);
    }

    fn choose(&mut self) -> (Request, Pending) {
        self.writes += 1;
        // Some values are long, so that records and batches have all sizes.
        let filler = "x".repeat(usize::try_from(self.random.below(600)).unwrap_or(0));
        let value = format!("w{}-{}-{filler}", self.id, self.writes);
        if self.posts.len() >= POSTS_MAX {
            let at = self.random.below(self.posts.len() as u64);
            let key = self.posts[usize::try_from(at).unwrap_or(0)].clone();
            return (Request::delete(&path(&key, "")), Pending::Delete { key });
        }
        let key = format!("/crash/w{}/k{}", self.id, self.random.below(KEYS));
        let current = self.known.get(&key).map(|entry| entry.modified);
        match (self.random.below(10), current) {
            (0 | 1, _) => {
                let form = format!("value={value}");
                let queue = format!("/v2/keys/crash/queue{}", self.id);
                (Request::post(&queue, &form), Pending::Post { value })
            }
            (2, Some(_)) => (Request::delete(&path(&key, "")), Pending::Delete { key }),
            (3, Some(index)) => {
                let request = Request::delete(&path(&key, &format!("?prevIndex={index}")));
                (request, Pending::Delete { key })
            }
            (4 | 5, Some(index)) => {
                let form = format!("value={value}&prevIndex={index}");
                (Request::put(&path(&key, ""), &form), Pending::Write { key, value })
            }
            (6, Some(_)) => {
                let form = format!("value={value}&prevExist=true&ttl=5000");
                (Request::put(&path(&key, ""), &form), Pending::Write { key, value })
            }
            (7, None) => {
                let form = format!("value={value}&prevExist=false");
                (Request::put(&path(&key, ""), &form), Pending::Write { key, value })
            }
            (_, _) => {
                let ttl = if self.random.below(4) == 0 { "&ttl=9000" } else { "" };
                let form = format!("value={value}{ttl}");
                (Request::put(&path(&key, ""), &form), Pending::Write { key, value })
            }
        }
    }

    /// Remembers an answer; says what is wrong with it.
    fn acknowledge(&mut self, pending: &Pending, answer: &Response) -> Result<(), String> {
        if !matches!(answer.status(), 200 | 201) {
            return Err("refused, although nobody else writes here".to_owned());
        }
        let json = answer.json();
        let node = &json["node"];
        let index = node["modifiedIndex"].as_u64().ok_or("no modifiedIndex")?;
        if index <= self.last || answer.index() < index {
            return Err(format!("index {index} after {} under {}", self.last, answer.index()));
        }
        match pending {
            Pending::Delete { key } => self.forget(key),
            Pending::Write { value, .. } | Pending::Post { value } => {
                let entry = Entry::from_node(node).ok_or("no entry")?;
                if entry.value != *value {
                    return Err("another value".to_owned());
                }
                let key = node["key"].as_str().ok_or("no key")?.to_owned();
                if matches!(pending, Pending::Post { .. }) {
                    self.posts.push(key.clone());
                }
                self.known.insert(key, entry);
            }
        }
        self.last = index;
        self.indexes.push(index);
        self.acknowledged += 1;
        Ok(())
    }
}

fn path(key: &str, query: &str) -> String {
    format!("/v2/keys{key}{query}")
}

/// A checker that always agrees looks just like a correct server, so this one is checked.
#[cfg(test)]
mod tests {
    use super::*;

    fn entry(value: &str, index: u64) -> Entry {
        Entry { value: value.to_owned(), modified: index, created: index, expiration: None }
    }

    /// A writer that was promised `/k` at index 7 and is unsure about `pending`.
    fn writer(pending: Option<Pending>) -> Writer {
        let mut writer = Writer::new(0, Random::new(1));
        writer.known.insert("/k".to_owned(), entry("a", 7));
        writer.last = 7;
        writer.pending = pending;
        writer
    }

    fn complaints(pending: Option<Pending>, found: &[(&str, Entry)]) -> (usize, usize) {
        let mut found =
            found.iter().map(|(key, entry)| ((*key).to_owned(), entry.clone())).collect();
        let mut wrong = Vec::new();
        writer(pending).settle(&mut found, &mut wrong);
        (wrong.len(), found.len())
    }

    #[test]
    fn what_was_acknowledged_must_be_there() {
        assert_eq!(complaints(None, &[("/k", entry("a", 7))]), (0, 0));
        assert_eq!(complaints(None, &[]), (1, 0));
        assert_eq!(complaints(None, &[("/k", entry("b", 7))]), (1, 0));
        assert_eq!(complaints(None, &[("/k", entry("a", 8))]), (1, 0));
    }

    #[test]
    fn what_was_not_answered_may_be_there_or_not() {
        let write = || Some(Pending::Write { key: "/k".to_owned(), value: "b".to_owned() });
        assert_eq!(complaints(write(), &[("/k", entry("a", 7))]), (0, 0));
        assert_eq!(complaints(write(), &[("/k", entry("b", 8))]), (0, 0));
        assert_eq!(complaints(write(), &[("/k", entry("b", 6))]), (1, 0));
        assert_eq!(complaints(write(), &[]), (1, 0));
        let delete = || Some(Pending::Delete { key: "/k".to_owned() });
        assert_eq!(complaints(delete(), &[]), (0, 0));
        assert_eq!(complaints(delete(), &[("/k", entry("a", 7))]), (0, 0));
        let post = || Some(Pending::Post { value: "p".to_owned() });
        let both = [("/k", entry("a", 7)), ("/q/8", entry("p", 8))];
        assert_eq!(complaints(post(), &both), (0, 0));
        assert_eq!(complaints(None, &both), (0, 1));
    }
}
