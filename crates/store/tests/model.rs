//! Random commands, applied to the store and to a model that is too simple to be wrong.

#[path = "testkit/model.rs"]
mod naive;
mod testkit;

use naive::Model;
use proptest::prelude::*;
use std::collections::BTreeMap;
use store::{
    Command, InOrder, InternalWrite, KeyPath, Limits, Node, Stamp, Store, StoreIndex,
    StoreSnapshot, Timestamp, Totals, Wake, WallOffset, WatchFilter, WatcherId,
};
use testkit::{
    SECOND, START, outcome_text, path, reloaded, snapshot_bytes, stats_text, store_lines,
};

/// What a condition on the previous value or index is to be.
#[derive(Clone, Debug)]
enum Condition {
    Absent,
    None,
    Actual,
    Wrong,
}

#[derive(Clone, Debug)]
struct Write {
    key: String,
    value: String,
    dir: bool,
    ttl: Option<i64>,
    refresh: bool,
    flag: bool,
    prev_value: Condition,
    prev_index: Condition,
}

#[derive(Clone, Debug)]
enum Step {
    Set(Write),
    Create(Write),
    Post(Write),
    Update(Write),
    CompareAndSwap(Write),
    Delete(Write),
    CompareAndDelete(Write),
    Internal(Vec<(String, Option<String>)>),
    /// The index is to be so much more, or less.
    RaiseIndex(i64),
    /// The clock moves, maybe backwards, and so many nodes may expire.
    Expire {
        seconds: i64,
        limit: u32,
    },
    Watch {
        filter: WatchFilter,
        stream: bool,
        ahead: u64,
    },
    Unwatch(usize),
    NextEvent {
        filter: WatchFilter,
        from: u64,
    },
    Snapshot,
    Reload,
}

fn key() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        6 => Just("a"), 6 => Just("b"), 2 => Just("_h"), 1 => Just("a.b"), 1 => Just("ab"),
        1 => Just("\u{4f60}"), 1 => Just("_etcd"), 1 => Just("12"),
    ];
    prop_oneof![
        40 => prop::collection::vec(name, 1..5).prop_map(|names| format!("/{}", names.join("/"))),
        1 => Just("/".to_owned()),
    ]
}

fn filter() -> impl Strategy<Value = WatchFilter> {
    (key(), any::<bool>(), any::<bool>()).prop_map(|(key, recursive, hidden)| WatchFilter {
        path: key.into(),
        recursive,
        hidden,
    })
}

fn condition() -> impl Strategy<Value = Condition> {
    use Condition::{Absent, Actual, None, Wrong};
    prop_oneof![3 => Just(Absent), 1 => Just(None), 4 => Just(Actual), 1 => Just(Wrong)]
}

fn write() -> impl Strategy<Value = Write> {
    let value = prop_oneof![Just(String::new()), "[a-c]", Just("long".repeat(40))];
    let ttl = prop_oneof![
        4 => Just(None), 4 => (0..12_i64).prop_map(Some), 1 => Just(Some(-1)),
    ];
    let flags = (prop::bool::weighted(0.3), prop::bool::weighted(0.2), any::<bool>());
    (key(), value, ttl, flags, condition(), condition()).prop_map(
        |(key, value, ttl, (dir, refresh, flag), prev_value, prev_index)| Write {
            key,
            value,
            dir,
            ttl,
            refresh,
            flag,
            prev_value,
            prev_index,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let internal_key = key().prop_map(|key| format!("/_etcd{}", key.trim_end_matches('/')));
    let internal = (internal_key, prop::option::weighted(0.7, "[a-c]"));
    prop_oneof![
        8 => write().prop_map(Step::Set),
        3 => write().prop_map(Step::Create),
        3 => write().prop_map(Step::Post),
        4 => write().prop_map(Step::Update),
        5 => write().prop_map(Step::CompareAndSwap),
        5 => write().prop_map(Step::Delete),
        3 => write().prop_map(Step::CompareAndDelete),
        1 => prop::collection::vec(internal, 0..4).prop_map(Step::Internal),
        1 => (-5..20_i64).prop_map(Step::RaiseIndex),
        4 => (-3..8_i64, 0..5_u32).prop_map(|(seconds, limit)| Step::Expire { seconds, limit }),
        5 => (filter(), any::<bool>(), 0..6_u64)
            .prop_map(|(filter, stream, ahead)| Step::Watch { filter, stream, ahead }),
        1 => (0..20_usize).prop_map(Step::Unwatch),
        2 => (filter(), 1..80_u64)
            .prop_map(|(filter, from)| Step::NextEvent { filter, from }),
        1 => Just(Step::Snapshot),
        1 => Just(Step::Reload),
    ]
}

fn limits() -> Limits {
    // Small enough to be reached, were the least number of events not in the way.
    Limits { history_bytes_max: 1000, ..Limits::default() }
}

struct World {
    store: Store,
    /// Never goes through a snapshot.
    steady: Store,
    /// Refuses at a look what it can, and never goes through a snapshot either.
    looking: Store,
    model: Model,
    now: u64,
    watchers: Vec<(u64, WatcherId)>,
    owners: u64,
    snapshots: Vec<(StoreSnapshot, Vec<String>, u64)>,
    /// What was seen of nodes, by path and the index of the last change.
    known: BTreeMap<(String, u64), Vec<String>>,
}

impl World {
    fn new() -> Self {
        Self {
            store: Store::new(limits()),
            steady: Store::new(limits()),
            looking: Store::new(limits()),
            model: Model::default(),
            now: START,
            watchers: Vec::new(),
            owners: 0,
            snapshots: Vec::new(),
            known: BTreeMap::new(),
        }
    }

    fn apply(&mut self, command: &Command<'_>) {
        let mut bytes = vec![];
        command.encode(&mut bytes);
        bytes.push(77);
        let mut rest = bytes.as_slice();
        let decoded = Command::decode(&mut rest).expect("what was encoded can be decoded");
        assert_eq!((&decoded, rest), (command, [77].as_slice()));

        let stamp = Stamp { time: Timestamp(self.now), wall_offset: WallOffset(-7) };
        let mut wakes = Vec::new();
        let got = outcome_text(&self.store.apply(&decoded, stamp, &mut wakes));
        let (want, mut want_woken) = self.model.apply(command, self.now);
        assert_eq!(got, want, "{command:?}");
        let _ = self.steady.apply(command, stamp, &mut Vec::new());
        self.look(command, stamp, &want);
        let mut got_woken: Vec<_> = wakes.iter().map(|wake| self.woken(wake)).collect();
        assert!(wakes.is_sorted_by_key(|wake| wake.event.index));
        got_woken.sort();
        want_woken.sort();
        assert_eq!(got_woken, want_woken, "{command:?}");
        assert_eq!(self.store.index().0, self.model.index);
    }

    /// What is refused at a look fails in the same way, and what is not is right.
    fn look(&mut self, command: &Command<'_>, stamp: Stamp, want: &str) {
        if let Some(error) = self.looking.refuse(command) {
            assert_eq!(outcome_text(&Err(error)), want, "{command:?}");
            // The clock goes on with what has a place in the log, and only with that.
            let _ = self.looking.apply(&Command::Expire { limit: 0 }, stamp, &mut Vec::new());
            return;
        }
        let applied = self.looking.apply(command, stamp, &mut Vec::new());
        let is_looked_at = matches!(
            command,
            Command::CompareAndSwap { or_create: false, .. }
                | Command::CompareAndDelete { .. }
                | Command::Create { in_order: None, .. }
        );
        assert!(!is_looked_at || applied.is_ok(), "{command:?} was not refused");
    }

    fn woken(&self, wake: &Wake) -> (u64, String) {
        assert!(self.watchers.contains(&(wake.owner, wake.watcher)));
        (wake.owner, testkit::event_text(&wake.event))
    }

    fn check(&mut self) {
        assert_eq!(store_lines(&self.store), self.model.lines());
        assert_eq!(stats_text(&self.store), self.model.stats());
        assert_eq!(store_lines(&self.looking), self.model.lines());
        // Nobody watches there.
        let counters = |text: String| text.split(" watchers=").next().map(str::to_owned);
        assert_eq!(counters(stats_text(&self.looking)), counters(self.model.stats()));
        let deadline = self.store.next_deadline().map(|deadline| deadline.0);
        assert_eq!(deadline, self.model.next_deadline());
        let root = self.store.peek(KeyPath::ROOT).expect("there is always a root");
        assert_eq!(totals(&root), self.store.totals());
        self.check_changed("/", &root);
        let bytes = snapshot_bytes(&self.store.snapshot());
        assert!(bytes == snapshot_bytes(&self.steady.snapshot()), "the same state, other bytes");
    }

    /// What was read of a node with the index of its last change, or a later one up to now, is what
    /// is there.
    fn check_changed(&mut self, path: &str, node: &Node) {
        let changed = self.store.changed(node).0;
        assert!(changed <= self.store.index().0);
        let text = testkit::tree_lines(path, node, Timestamp(0));
        let known = self.known.entry((path.to_owned(), changed)).or_insert_with(|| text.clone());
        assert_eq!(*known, text, "{path} at {changed}");
        for (name, child) in node.children() {
            self.check_changed(&format!("{}/{name}", path.trim_end_matches('/')), child);
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Internal(writes) => {
                let write =
                    |(key, value): &'_ (String, Option<String>)| (key.clone(), value.clone());
                let owned: Vec<_> = writes.iter().map(write).collect();
                let writes = owned
                    .iter()
                    .map(|(key, value)| InternalWrite { path: path(key), value: value.as_deref() })
                    .collect();
                self.apply(&Command::Internal { writes });
            }
            Step::RaiseIndex(by) => {
                let at_least = self.store.index().0.saturating_add_signed(*by);
                self.apply(&Command::RaiseIndex { at_least });
            }
            Step::Expire { seconds, limit } => {
                self.now = self.now.saturating_add_signed(seconds * SECOND as i64);
                self.apply(&Command::Expire { limit: *limit });
            }
            Step::Watch { filter, stream, ahead } => {
                self.owners += 1;
                let from = self.store.index().0 + ahead;
                let owner = self.owners;
                let id = self.store.watch(filter, StoreIndex(from), *stream, owner);
                self.watchers.push((owner, id.expect("there are few watchers")));
                self.model.watch(filter, *stream, from, owner);
            }
            Step::Unwatch(at) => {
                // A watcher that was woken already, or twice: neither is an error.
                if let Some((owner, id)) = self.watchers.get(*at).copied() {
                    self.store.unwatch(id);
                    self.model.unwatch(owner);
                }
            }
            Step::NextEvent { filter, from } => {
                let got = self.store.next_event(filter, StoreIndex(*from));
                if (1..=self.model.cleared).contains(&(*from).max(1)) {
                    let refused = got.expect_err("it is cleared");
                    assert_eq!(refused.code, store::ErrorCode::EventIndexCleared);
                    return;
                }
                let got =
                    got.expect("all events are kept").map(|event| testkit::event_text(&event));
                assert_eq!(got, self.model.next_event(filter, *from));
            }
            Step::Snapshot => {
                let (lines, now) = (store_lines(&self.store), self.store.index().0);
                self.snapshots.push((self.store.snapshot(), lines, now));
            }
            Step::Reload => {
                self.store = reloaded(&self.store, limits());
                self.model.unwatch_all();
                self.watchers.clear();
            }
            _ => self.client_step(step),
        }
    }

    fn client_step(&mut self, step: &Step) {
        let (Step::Set(write)
        | Step::Create(write)
        | Step::Post(write)
        | Step::Update(write)
        | Step::CompareAndSwap(write)
        | Step::Delete(write)
        | Step::CompareAndDelete(write)) = step
        else {
            panic!("handled before")
        };
        let Write { key, value, dir, ttl, refresh, flag, prev_value, prev_index } = write;
        let (path, value, dir, ttl, refresh) = (path(key), value.as_str(), *dir, *ttl, *refresh);
        let actual = self.model.value(key).unwrap_or("?").to_owned();
        let prev_value = match prev_value {
            Condition::Absent => None,
            Condition::None => Some(""),
            Condition::Actual => Some(actual.as_str()),
            Condition::Wrong => Some("wrong"),
        };
        let prev_index = match prev_index {
            Condition::Absent => None,
            Condition::None => Some(0),
            Condition::Actual => Some(self.model.modified(key).unwrap_or(3)),
            Condition::Wrong => Some(u64::MAX),
        };
        let naming = if *flag { InOrder::Plain } else { InOrder::Padded };
        let command = match step {
            Step::Set(_) => Command::Set { path, value, dir, ttl, refresh },
            Step::Create(_) => Command::Create { path, value, dir, ttl, in_order: None },
            Step::Post(_) => Command::Create { path, value, dir, ttl, in_order: Some(naming) },
            Step::Update(_) => Command::Update { path, value, ttl, refresh },
            Step::CompareAndSwap(_) => {
                let or_create = *flag;
                Command::CompareAndSwap {
                    path,
                    value,
                    ttl,
                    refresh,
                    prev_value,
                    prev_index,
                    or_create,
                }
            }
            Step::Delete(_) => Command::Delete { path, dir, recursive: *flag },
            _ => Command::CompareAndDelete { path, prev_value, prev_index },
        };
        self.apply(&command);
    }

    /// Snapshots hold what was there when they were taken.
    fn check_snapshots(&self) {
        for (snapshot, lines, index) in &self.snapshots {
            let bytes = snapshot_bytes(snapshot);
            let store = Store::load(&mut bytes.as_slice(), limits()).expect("it was just written");
            assert_eq!(store_lines(&store), *lines);
            assert_eq!(store.index().0, *index);
            assert_eq!(snapshot.index().0, *index);
        }
    }
}

/// What is in a node, found by going through all of it.
fn totals(node: &Node) -> Totals {
    let own = node.value().map(|value| (1, value.len() as u64)).unwrap_or_default();
    let own = Totals { keys: own.0, value_bytes: own.1, ..Totals::default() };
    let children: Vec<&str> = node.children().map(|(name, _)| name).collect();
    let shown: Vec<&str> = children.iter().copied().filter(|name| !name.starts_with('_')).collect();
    assert_eq!(node.children_len(true), children.len());
    assert_eq!(node.children_len(false), shown.len());
    for (place, name) in shown.iter().enumerate() {
        assert_eq!(node.children_from(place, false).next().map(|child| child.0), Some(*name));
        assert_eq!(node.children_upto(name, false), place + 1);
    }
    for (place, name) in children.iter().enumerate() {
        assert_eq!(node.children_from(place, true).next().map(|child| child.0), Some(*name));
        assert_eq!(node.children_upto(name, true), place + 1);
    }
    node.children().fold(own, |sum, (name, child)| {
        let below = totals(child);
        assert_eq!(below, child.totals());
        let is_shown = !name.starts_with('_');
        Totals {
            keys: sum.keys + below.keys,
            value_bytes: sum.value_bytes + below.value_bytes,
            nodes: sum.nodes + below.nodes + 1,
            shown: sum.shown + if is_shown { below.shown + 1 } else { 0 },
        }
    })
}

/// So many cases, and no file for those that failed: a script or a test is made of them.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(4000))]

    #[test]
    fn the_store_does_what_the_model_does(steps in prop::collection::vec(step(), 1..100)) {
        let mut world = World::new();
        for (at, step) in steps.iter().enumerate() {
            world.step(step);
            if at % 8 == 0 {
                world.check();
            }
        }
        world.check();
        world.check_snapshots();
        let root = KeyPath::ROOT;
        prop_assert!(world.store.peek(root).is_some());
    }
}
