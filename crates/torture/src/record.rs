//! What the clients did and what the members told of it, in the form that the checkers take.
//!
//! A run is cut into windows. The keys of a window are below a directory of its own, and its values
//! name it, so that a write that comes late from the window before is not taken for one of this.

use crate::login::{Login, Logins};
use crate::rights::Rights;
use serde_json::Value;
use sim::check::rights::{Shown, UNAUTHORIZED};
use sim::history::{Change, Changes, History, Kind, Op, OpId, Outcome, Seen};
use sim::{Nanos, Stretch};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use store::Action;

/// What all threads of a run share.
#[derive(Debug)]
pub(crate) struct Shared {
    start: Instant,
    pub(crate) addrs: Vec<SocketAddr>,
    /// Workers begin nothing new while it is set.
    pub(crate) is_paused: AtomicBool,
    pub(crate) is_over: AtomicBool,
    /// How many workers are in the middle of something.
    pub(crate) busy: AtomicU64,
    /// Grows when a fault ends: those who wait on an old connection ask anew.
    pub(crate) epoch: AtomicU64,
    /// Nothing that was asked for after this moment may fail. The end of time, if things may.
    pub(crate) gentle_from: AtomicU64,
    /// The longest time that the machine itself took for a write of its own, in microseconds.
    pub(crate) stall: AtomicU64,
    /// The highest index of the store that anybody was told.
    highest: AtomicU64,
    connections: AtomicU64,
    window: Mutex<Window>,
    logins: Mutex<Logins>,
    faults: Mutex<Vec<String>>,
}

/// The histories of one window.
#[derive(Debug, Default)]
pub(crate) struct Window {
    pub(crate) number: u64,
    pub(crate) history: History,
    pub(crate) changes: Changes,
    /// The lock module has a history of its own: its keys are hidden.
    pub(crate) locks: History,
    /// How far each watcher was told, and what.
    pub(crate) watchers: Vec<Told>,
    pub(crate) rights: Rights,
    /// As whom things were asked for; as nobody in particular if it is not said.
    pub(crate) shown: BTreeMap<OpId, Shown>,
    /// What was refused for lack of rights, with the index that the refusal shows. For other
    /// checkers it is not done: the index is that of the member, which may be behind.
    pub(crate) missed: BTreeMap<OpId, u64>,
}

/// What one watcher was told in this window.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) name: String,
    /// Below the window's directory.
    pub(crate) path: String,
    pub(crate) recursive: bool,
    pub(crate) next: u64,
    pub(crate) stretches: Vec<Stretch>,
}

impl Shared {
    pub(crate) fn new(addrs: Vec<SocketAddr>) -> Self {
        Self {
            start: Instant::now(),
            addrs,
            is_paused: AtomicBool::new(true),
            is_over: AtomicBool::new(false),
            busy: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
            gentle_from: AtomicU64::new(Nanos::MAX),
            stall: AtomicU64::new(0),
            highest: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            window: Mutex::new(Window::default()),
            logins: Mutex::new(Logins::default()),
            faults: Mutex::new(Vec::new()),
        }
    }

    pub(crate) fn now(&self) -> Nanos {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// A thread that panicked leaves what it had noted.
    pub(crate) fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn logins(&self) -> MutexGuard<'_, Logins> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of an index that somebody was told.
    pub(crate) fn saw(&self, index: u64) {
        self.highest.fetch_max(index, Ordering::SeqCst);
    }

    /// What is asked for from now on comes behind this index.
    pub(crate) fn highest(&self) -> u64 {
        self.highest.load(Ordering::SeqCst)
    }

    /// A number of its own for each connection: what a member answers on one never goes back.
    pub(crate) fn connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Takes note of something that must not be.
    pub(crate) fn violation(&self, text: String) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        std::mem::take(&mut self.faults.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes note of a write or read that is about to be sent, and gives its number.
    pub(crate) fn begin(
        &self,
        client: usize,
        machine: (usize, u64),
        what: &What,
        who: Option<&Login>,
    ) -> OpId {
        let op = Op {
            client,
            machine,
            invoked: self.now(),
            finished: Nanos::MAX,
            key: what.key.clone(),
            kind: what.kind,
            ttl: what.ttl,
            outcome: Outcome::Open,
        };
        let mut window = self.window();
        let id = window.history.begin(op);
        window.shown.extend(who.map(|who| (id, who.shown.clone())));
        id
    }

    /// Takes note of what came of it.
    pub(crate) fn finish(&self, id: OpId, mut outcome: Outcome) {
        let now = self.now();
        let is_unknown = outcome == Outcome::Unknown;
        let mut window = self.window();
        if let Outcome::Refused { code: UNAUTHORIZED, index } = outcome {
            window.missed.insert(id, index);
            outcome = Outcome::NotDone;
        }
        let Some(op) = window.history.get_mut(id) else { return };
        op.outcome = outcome;
        op.finished = if is_unknown { Nanos::MAX } else { now };
        let from = self.gentle_from.load(Ordering::SeqCst);
        if is_unknown && op.invoked >= from {
            let text = format!("op {id} failed at {now} in a rolling restart from {from}: {op:?}");
            drop(window);
            self.violation(text);
        }
    }
}

/// What a client asks for.
#[derive(Clone, Debug)]
pub(crate) struct What {
    pub(crate) key: String,
    pub(crate) kind: Kind,
    pub(crate) ttl: Option<u64>,
}

/// The directory of a window.
pub(crate) fn dir(window: u64) -> String {
    format!("/w{window}")
}

/// The value that an operation writes.
pub(crate) fn value(window: u64, id: OpId) -> String {
    format!("{window}.{id}")
}

/// The operation that a value came from; none that there can be if it is of another window.
fn number(window: u64, text: &str) -> OpId {
    let of_window = text.split_once('.').filter(|(found, _)| *found == window.to_string());
    of_window.and_then(|(_, id)| id.parse().ok()).unwrap_or(OpId::MAX)
}

/// The key below the window's directory, with in-order names in one form; nothing if it is not
/// below it.
pub(crate) fn key(window: u64, full: &str) -> Option<String> {
    let key = full.strip_prefix(&dir(window)).filter(|rest| rest.starts_with('/'))?;
    Some(match key.strip_prefix("/q/").and_then(|name| name.parse::<u64>().ok()) {
        Some(name) => format!("/q/{name:020}"),
        None => key.to_owned(),
    })
}

/// The value of a node of an answer and the index of its write.
pub(crate) fn seen(window: u64, node: &Value) -> Option<Seen> {
    let value = number(window, node["value"].as_str()?);
    Some(Seen { value, modified: node["modifiedIndex"].as_u64()? })
}

/// An event of a stream; nothing if it is about a key of another window.
pub(crate) fn change(window: u64, event: &Value) -> Option<(u64, Change)> {
    let node = &event["node"];
    let key = key(window, node["key"].as_str()?)?;
    let index = node["modifiedIndex"].as_u64()?;
    let change = Change {
        action: action(event["action"].as_str()?)?,
        key,
        created: node["createdIndex"].as_u64()?,
        value: node["value"].as_str().map(|text| number(window, text)),
        is_dir: node["dir"].as_bool().unwrap_or(false),
        // Shown by each member's own wall clock, which the run sets.
        deadline: None,
        prev: seen(window, &event["prevNode"]),
        stamp: 0,
    };
    Some((index, change))
}

fn action(word: &str) -> Option<Action> {
    use Action::{CompareAndDelete, CompareAndSwap, Create, Delete, Expire, Set, Update};
    let all = [Set, Create, Update, CompareAndSwap, Delete, CompareAndDelete, Expire];
    all.into_iter().find(|action| action.as_str() == word)
}

/// Whether the cause of a refusal says that nothing was done, or that it was not even begun with.
pub(crate) fn is_nothing_done(cause: &str) -> bool {
    cause.contains("nothing was done") || cause.contains("too many passwords")
}

/// What an answer says of an operation.
pub(crate) fn outcome(window: u64, kind: Kind, index: u64, body: &str) -> Outcome {
    let Ok(body) = serde_json::from_str::<Value>(body) else { return Outcome::Unknown };
    if let Some(code) = body["errorCode"].as_u64() {
        let index = body["index"].as_u64().unwrap_or(index);
        return match (kind.is_read(), code) {
            (true, 100) => Outcome::Read { index, found: None },
            (_, 100 | 101 | 105 | 110) => {
                Outcome::Refused { code: u16::try_from(code).unwrap_or(u16::MAX), index }
            }
            _ if body["cause"].as_str().is_some_and(is_nothing_done) => Outcome::NotDone,
            _ => Outcome::Unknown,
        };
    }
    let node = &body["node"];
    if kind.is_read() {
        return Outcome::Read { index, found: seen(window, node) };
    }
    let full = node["key"].as_str().unwrap_or_default();
    let (Some(index), Some(key)) = (node["modifiedIndex"].as_u64(), key(window, full)) else {
        return Outcome::Unknown;
    };
    Outcome::Written { index, key, prev: seen(window, &body["prevNode"]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let set = r#"{"action":"set","node":{"key":"/w3/r/0","value":"3.7","modifiedIndex":9,
            "createdIndex":9},"prevNode":{"key":"/w3/r/0","value":"3.4","modifiedIndex":8,
            "createdIndex":8}}"#;
        let written = Outcome::Written {
            index: 9,
            key: "/r/0".into(),
            prev: Some(Seen { value: 4, modified: 8 }),
        };
        assert_eq!(outcome(3, Kind::Set, 9, set), written);
        let read = Outcome::Read { index: 12, found: Some(Seen { value: 7, modified: 9 }) };
        assert_eq!(outcome(3, Kind::QuorumRead, 12, set), read);
        let missing = r#"{"errorCode":100,"message":"Key not found","cause":"/w3/r/0","index":5}"#;
        assert_eq!(
            outcome(3, Kind::PlainRead, 6, missing),
            Outcome::Read { index: 5, found: None }
        );
        assert_eq!(outcome(3, Kind::Delete, 6, missing), Outcome::Refused { code: 100, index: 5 });
        let refused = r#"{"errorCode":300,"message":"Raft Internal Error",
            "cause":"the leader changed; nothing was done, try again","index":5}"#;
        assert_eq!(outcome(3, Kind::Set, 5, refused), Outcome::NotDone);
        let busy =
            r#"{"errorCode":300,"cause":"too many passwords are being checked; try again later"}"#;
        assert_eq!(outcome(3, Kind::Set, 5, busy), Outcome::NotDone);
        let missed = r#"{"errorCode":110,"cause":"Insufficient credentials","index":5}"#;
        let turned_away = Outcome::Refused { code: UNAUTHORIZED, index: 5 };
        assert_eq!(outcome(3, Kind::QuorumRead, 6, missed), turned_away);
        let unknown = refused.replace("nothing was done, try again", "the outcome is unknown");
        assert_eq!(outcome(3, Kind::Set, 5, &unknown), Outcome::Unknown);
        assert_eq!(outcome(3, Kind::Set, 5, "<html>"), Outcome::Unknown);
    }

    #[test]
    fn a_value_of_another_window_is_nobodys() {
        assert_eq!(number(3, &value(3, 12)), 12);
        assert_eq!(number(3, &value(2, 12)), OpId::MAX);
        assert_eq!(number(3, "x"), OpId::MAX);
        assert_eq!(key(3, "/w3/q/17"), Some("/q/00000000000000000017".into()));
        assert_eq!(key(3, "/w31/q/17"), None);
        assert_eq!(key(3, "/other"), None);
    }
}
