//! Random actions on a lock, applied to the store and to a queue that is too simple to be wrong.

mod testkit;

use proptest::prelude::*;
use store::{
    Applied, Command, ErrorCode, LOCK_ROOT, Limits, LockAction, LockEntry, LockOutcome, LockState,
    Node, Stamp, Store, Timestamp, WallOffset,
};
use testkit::{SECOND, START, path, reloaded};

#[derive(Clone, Debug)]
enum Step {
    Acquire {
        value: usize,
        ttl: i64,
        waits: bool,
    },
    Refresh {
        entry: usize,
        ttl: i64,
    },
    Renew {
        entry: usize,
        by_value: bool,
        value: Option<usize>,
        ttl: i64,
    },
    Release {
        entry: usize,
        by_value: bool,
    },
    Leave {
        entry: usize,
        is_untouched: Option<bool>,
        keep: Option<i64>,
    },
    Pass {
        seconds: u64,
    },
    /// Other clients write other keys.
    Noise,
    Reload,
}

/// Values that clients give; the first two are nobody's name.
const VALUES: [&str; 5] = ["", "-", "a", "b", "c"];

fn step() -> impl Strategy<Value = Step> {
    let (value, entry) = (0..VALUES.len(), 0..6_usize);
    let ttl = 1..9_i64;
    prop_oneof![
        6 => (value.clone(), ttl.clone(), prop::bool::weighted(0.8))
            .prop_map(|(value, ttl, waits)| Step::Acquire { value, ttl, waits }),
        4 => (entry.clone(), ttl.clone()).prop_map(|(entry, ttl)| Step::Refresh { entry, ttl }),
        2 => (entry.clone(), any::<bool>(), prop::option::of(1..VALUES.len()), ttl.clone()).prop_map(
            |(entry, by_value, value, ttl)| Step::Renew { entry, by_value, value, ttl }
        ),
        2 => (entry.clone(), any::<bool>())
            .prop_map(|(entry, by_value)| Step::Release { entry, by_value }),
        3 => (entry, prop::option::of(any::<bool>()), prop::option::of(ttl)).prop_map(
            |(entry, is_untouched, keep)| Step::Leave { entry, is_untouched, keep }
        ),
        2 => (0..5_u64).prop_map(|seconds| Step::Pass { seconds }),
        1 => Just(Step::Noise),
        1 => Just(Step::Reload),
    ]
}

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    index: u64,
    value: String,
    deadline: u64,
    touched: u64,
}

/// The entries in the order in which they came, which is all there is to a lock.
#[derive(Debug, Default)]
struct Queue(Vec<Entry>);

struct World {
    store: Store,
    queue: Queue,
    now: u64,
    exists: bool,
    newest: u64,
}

impl World {
    fn new() -> Self {
        let store = Store::new(Limits::default());
        Self { store, queue: Queue::default(), now: START, exists: false, newest: 0 }
    }

    fn apply(&mut self, command: &Command<'_>) -> Result<Applied, (ErrorCode, String)> {
        let stamp = Stamp { time: Timestamp(self.now), wall_offset: WallOffset(0) };
        let applied = self.store.apply(command, stamp, &mut Vec::new());
        applied.map_err(|error| (error.code, error.cause))
    }

    fn lock(&mut self, action: LockAction<'_>) -> Result<LockOutcome, (ErrorCode, String)> {
        let dir = format!("{LOCK_ROOT}/some/lock");
        match self.apply(&Command::Lock { dir: path(&dir), action })? {
            Applied::Lock(outcome) => Ok(outcome),
            other => panic!("no outcome of a lock: {other:?}"),
        }
    }

    fn after(&self, ttl: i64) -> u64 {
        self.now + ttl.unsigned_abs() * SECOND
    }

    /// The number of an entry, or one that is none.
    fn index(&self, entry: usize) -> u64 {
        self.queue.0.get(entry).map_or(1_000_000, |entry| entry.index)
    }

    fn place(&self, index: u64) -> Option<usize> {
        self.queue.0.iter().position(|entry| entry.index == index)
    }

    fn named(&self, value: &str) -> Option<usize> {
        let is_name = !value.is_empty() && value != "-";
        is_name.then(|| self.queue.0.iter().position(|entry| entry.value == value))?
    }

    /// What the entry at a place answers to a touch; `change` is made to it.
    fn touched(&mut self, at: usize, change: impl FnOnce(&mut Entry)) -> LockOutcome {
        let state = if at == 0 { LockState::Held } else { LockState::Waiting };
        let entry = &mut self.queue.0[at];
        let before = entry.touched;
        entry.touched = self.store.index().0;
        change(entry);
        LockOutcome { index: entry.index, state, before, touched: entry.touched }
    }

    fn removed(&mut self, at: usize) -> LockOutcome {
        let Entry { index, touched: before, .. } = self.queue.0.remove(at);
        LockOutcome { index, state: LockState::Gone, before, touched: self.store.index().0 }
    }

    fn acquire(&mut self, value: &str, ttl: i64, waits: bool) {
        let outcome = self.lock(LockAction::Acquire { value, ttl, waits });
        let deadline = self.after(ttl);
        let known = self.named(value);
        if !waits && known != Some(0) && !self.queue.0.is_empty() {
            return assert_eq!(outcome, Err((ErrorCode::CompareFailed, String::new())));
        }
        let wanted = match known {
            Some(0) => self.touched(0, |entry| entry.deadline = deadline),
            Some(at) => self.touched(at, |entry| entry.deadline = entry.deadline.max(deadline)),
            None => {
                let index = self.store.index().0;
                assert!(index > self.newest, "a number came twice");
                self.newest = index;
                self.exists = true;
                let value = if value.is_empty() { "-" } else { value }.to_owned();
                self.queue.0.push(Entry { index, value, deadline, touched: index });
                let is_first = self.queue.0.len() == 1;
                let state = if is_first { LockState::Held } else { LockState::Waiting };
                LockOutcome { index, state, before: 0, touched: index }
            }
        };
        assert_eq!(outcome, Ok(wanted));
    }

    fn refresh(&mut self, index: u64, ttl: i64) {
        let outcome = self.lock(LockAction::Refresh { index, ttl });
        let deadline = self.after(ttl);
        let wanted = match self.place(index) {
            Some(at) => Ok(self.touched(at, |entry| entry.deadline = entry.deadline.max(deadline))),
            None => Err((ErrorCode::KeyNotFound, String::new())),
        };
        assert_eq!(outcome, wanted);
    }

    /// The entry that is meant by a number, or by its value.
    fn meant(&self, entry: usize, by_value: bool) -> (Option<usize>, u64, String) {
        let index = self.index(entry);
        let value = self.queue.0.get(entry).map_or("nobody", |entry| &entry.value).to_owned();
        let at = if by_value { self.named(&value) } else { self.place(index) };
        (at, index, value)
    }

    fn not_found(&self, by_value: bool, operation: &str) -> (ErrorCode, String) {
        let cause = if by_value && self.exists { operation } else { "" };
        (ErrorCode::KeyNotFound, cause.to_owned())
    }

    fn renew(&mut self, entry: usize, by_value: bool, value: Option<&str>, ttl: i64) {
        let (at, index, old) = self.meant(entry, by_value);
        let entry = if by_value { LockEntry::Value(&old) } else { LockEntry::Index(index) };
        let outcome = self.lock(LockAction::Renew { entry, value, ttl });
        let deadline = self.after(ttl);
        let wanted = match at {
            Some(at) => Ok(self.touched(at, |entry| {
                entry.deadline = deadline;
                entry.value = value.unwrap_or(&old).to_owned();
            })),
            None => Err(self.not_found(by_value, "Renew")),
        };
        assert_eq!(outcome, wanted);
    }

    fn release(&mut self, entry: usize, by_value: bool) {
        let (at, index, old) = self.meant(entry, by_value);
        let entry = if by_value { LockEntry::Value(&old) } else { LockEntry::Index(index) };
        let outcome = self.lock(LockAction::Release { entry });
        let wanted = match at {
            Some(at) => Ok(self.removed(at)),
            None => Err(self.not_found(by_value, "Release")),
        };
        assert_eq!(outcome, wanted);
    }

    fn leave(&mut self, entry: usize, is_untouched: Option<bool>, keep: Option<i64>) {
        let index = self.index(entry);
        let last = self.queue.0.get(entry).map_or(0, |entry| entry.touched);
        let touched = is_untouched.map(|is| if is { last } else { last + 1 });
        let outcome = self.lock(LockAction::Leave { index, touched, keep });
        let wanted = match (self.place(index), keep) {
            (None, _) => Err((ErrorCode::KeyNotFound, String::new())),
            (Some(0), Some(ttl)) => {
                let deadline = self.after(ttl);
                Ok(self.touched(0, |entry| entry.deadline = entry.deadline.max(deadline)))
            }
            (Some(at), _) if is_untouched == Some(false) => {
                let state = if at == 0 { LockState::Held } else { LockState::Waiting };
                Ok(LockOutcome { index, state, before: last, touched: last })
            }
            (Some(at), _) => Ok(self.removed(at)),
        };
        assert_eq!(outcome, wanted);
    }

    fn pass(&mut self, seconds: u64) {
        self.now += seconds * SECOND;
        let before = self.queue.0.len();
        self.queue.0.retain(|entry| entry.deadline > self.now);
        let gone = before - self.queue.0.len();
        match self.apply(&Command::Expire { limit: 1000 }) {
            Ok(Applied::Expired(count)) => assert_eq!(count as usize, gone),
            other => panic!("{other:?}"),
        }
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Acquire { value, ttl, waits } => self.acquire(VALUES[value], ttl, waits),
            Step::Refresh { entry, ttl } => self.refresh(self.index(entry), ttl),
            Step::Renew { entry, by_value, value, ttl } => {
                // With a number alone the value stays as it is.
                let value = value.filter(|_| !by_value).map(|value| VALUES[value]);
                self.renew(entry, by_value, value, ttl);
            }
            Step::Release { entry, by_value } => self.release(entry, by_value),
            Step::Leave { entry, is_untouched, keep } => self.leave(entry, is_untouched, keep),
            Step::Pass { seconds } => self.pass(seconds),
            Step::Noise => {
                let (key, value) = (path("/k"), "v");
                let command =
                    Command::Set { path: key, value, dir: false, ttl: None, refresh: false };
                self.apply(&command).expect("a plain key can be set");
            }
            Step::Reload => self.store = reloaded(&self.store, Limits::default()),
        }
    }

    fn check(&self) {
        let dir = format!("{LOCK_ROOT}/some/lock");
        let node = self.store.peek(path(&dir));
        assert_eq!(node.is_some(), self.exists);
        let Some(node) = node else { return };
        let holder = node.lock_holder().map(|(index, _)| index);
        assert_eq!(holder, self.queue.0.first().map(|entry| entry.index));
        let mut found: Vec<Entry> = node.lock_entries().map(entry).collect();
        found.sort_by_key(|entry| entry.index);
        assert_eq!(found, self.queue.0);
    }
}

fn entry((index, node): (u64, &Node)) -> Entry {
    Entry {
        index,
        value: node.value().expect("entries are files").to_owned(),
        deadline: node.deadline().expect("entries expire").0,
        touched: node.modified().0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1000, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn a_lock_is_a_queue(steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        for step in &steps {
            world.run(step);
            world.check();
        }
    }
}
