//! Judges one window when everything is quiet: the simulator's checkers, on what real clients saw.

use crate::record::Window;
use crate::rights;
use serde_json::Value;
use sim::check::{linear, lock, order, sequence, state, ttl, watch};
use sim::history::{OpId, Outcome};
use store::WatchFilter;

/// What a window held.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    pub(crate) operations: u64,
    pub(crate) acknowledged: u64,
    pub(crate) refused: u64,
    pub(crate) not_done: u64,
    pub(crate) unknown: u64,
    pub(crate) events: u64,
    /// Locks of the lock module that were taken.
    pub(crate) locks: u64,
    /// Registers whose history had too many possible orders.
    pub(crate) undecided: u64,
    pub(crate) cleared: u64,
    /// Changes of users that were acknowledged, and what was refused for lack of rights.
    pub(crate) changes: u64,
    pub(crate) missed: u64,
}

impl Sums {
    pub(crate) fn add(&mut self, other: Self) {
        self.operations += other.operations;
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.not_done += other.not_done;
        self.unknown += other.unknown;
        self.events += other.events;
        self.locks += other.locks;
        self.undecided += other.undecided;
        self.cleared += other.cleared;
        self.changes += other.changes;
        self.missed += other.missed;
    }
}

/// Judges a window; `listing` is what the members hold in the directory of in-order keys.
pub(crate) fn judge(window: &Window, listing: &[(String, OpId)]) -> (Sums, Vec<String>) {
    let (history, changes) = (&window.history, &window.changes);
    let mut verdicts = vec![
        ("acknowledged", order::check_acknowledged(history, changes)),
        ("once", order::check_once(history, changes)),
        ("real time", order::check_real_time(history)),
        ("reads", order::check_reads(history, changes)),
        ("in-order keys", sequence::check(history, changes, listing)),
        ("time to live", ttl::check(history, changes)),
        ("locks of keys", lock::check(history)),
        ("lock module", lock::check(&window.locks)),
        ("rights", rights::judge(window)),
    ];
    for told in &window.watchers {
        let filter = WatchFilter {
            path: told.path.as_str().into(),
            recursive: told.recursive,
            hidden: false,
        };
        let verdict = watch::check(&filter, &told.stretches, changes);
        verdicts.push(("watch", verdict.map_err(|text| format!("{}: {text}", told.name))));
    }
    let mut sums = count(window);
    let linear = linear::check(history).map(|undecided| sums.undecided = undecided);
    verdicts.push(("registers", linear));
    let wrong = verdicts.into_iter().filter_map(|(what, verdict)| Some((what, verdict.err()?)));
    (sums, wrong.map(|(what, text)| format!("window {}: {what}: {text}", window.number)).collect())
}

fn count(window: &Window) -> Sums {
    let mut sums = Sums::default();
    for (_, op) in window.history.iter() {
        sums.operations += 1;
        match op.outcome {
            Outcome::Written { .. } | Outcome::Read { .. } | Outcome::Queued { .. } => {
                sums.acknowledged += 1;
            }
            Outcome::Refused { .. } => sums.refused += 1,
            Outcome::NotDone => sums.not_done += 1,
            Outcome::Unknown | Outcome::Open => sums.unknown += 1,
        }
    }
    let taken = |outcome: &Outcome| matches!(outcome, Outcome::Written { .. });
    sums.locks = window.locks.iter().filter(|(_, op)| taken(&op.outcome)).count() as u64;
    let is_known = |change: &&rights::Change| change.told_at.is_some();
    sums.changes = window.rights.changes.iter().filter(is_known).count() as u64;
    sums.missed = window.missed.len() as u64;
    sums.events = window.changes.iter().count() as u64;
    let stretches = window.watchers.iter().flat_map(|told| &told.stretches);
    sums.cleared = stretches.filter(|stretch| stretch.was_cleared).count() as u64;
    sums
}

/// Whether all members hold the same at the same index.
pub(crate) fn equal(members: &[(String, u64, String)]) -> Result<(), String> {
    let holds: Vec<state::Holds> = members
        .iter()
        .map(|(name, index, body)| state::Holds {
            name: name.clone(),
            applied: *index,
            hash: 0,
            contents: body.as_bytes().to_vec(),
        })
        .collect();
    state::check(&holds)
}

/// The in-order keys of a recursive listing of a window's directory, by their numbers.
pub(crate) fn in_order(window: u64, listing: &str) -> Vec<(String, OpId)> {
    let all: Value = serde_json::from_str(listing).unwrap_or_default();
    let dirs = all["node"]["nodes"].as_array().cloned().unwrap_or_default();
    let mut found = Vec::new();
    for node in dirs.iter().filter_map(|dir| dir["nodes"].as_array()).flatten() {
        let key = node["key"].as_str().and_then(|full| crate::record::key(window, full));
        let seen = crate::record::seen(window, node);
        if let (Some(key), Some(seen)) = (key.filter(|key| key.starts_with("/q/")), seen) {
            found.push((key, seen.value));
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{self, outcome};
    use crate::watch::Watcher;
    use sim::history::{Kind, Op};

    fn op(kind: Kind, key: &str, times: (u64, u64), body: &str) -> Op {
        let outcome = outcome(1, kind, 0, body);
        Op {
            client: 0,
            machine: (0, 0),
            invoked: times.0,
            finished: times.1,
            key: key.into(),
            kind,
            ttl: None,
            outcome,
        }
    }

    fn set(value: u64, index: u64) -> String {
        format!(
            r#"{{"action":"set","node":{{"key":"/w1/r/0","value":"1.{value}",
                "modifiedIndex":{index},"createdIndex":{index}}}}}"#
        )
    }

    fn post(value: u64, index: u64) -> String {
        set(value, index).replace("/w1/r/0", &format!("/w1/q/{index}")).replace("set", "create")
    }

    /// A set, an in-order key and a read of the first: what is right.
    fn window() -> Window {
        let mut window = Window { number: 1, ..Window::default() };
        window.watchers.push(Watcher::told(0, Some(0), 1));
        for (value, index, kind) in [(0, 2, Kind::Set), (1, 3, Kind::InOrder)] {
            let body = if kind == Kind::Set { set(value, index) } else { post(value, index) };
            let key = if kind == Kind::Set { "/r/0" } else { "/q" };
            window.history.begin(op(kind, key, (10 * value, 10 * value + 5), &body));
            tell(&mut window, &body);
        }
        let read = outcome(1, Kind::QuorumRead, 3, &set(0, 2));
        window.history.begin(Op { outcome: read, ..op(Kind::QuorumRead, "/r/0", (20, 25), "") });
        window
    }

    fn tell(window: &mut Window, event: &str) {
        let event: Value = serde_json::from_str(event).unwrap();
        let (index, change) = record::change(1, &event).unwrap();
        window.changes.note(index, change, 0).unwrap();
        window.watchers[0].stretches[0].told.push(index);
    }

    fn listing() -> Vec<(String, OpId)> {
        let dir = r#"{"node":{"nodes":[{"key":"/w1/q","dir":true,"nodes":[
            {"key":"/w1/q/3","value":"1.1","modifiedIndex":3}]}]}}"#;
        in_order(1, dir)
    }

    #[test]
    fn what_is_right_is_not_complained_of() {
        let (sums, wrong) = judge(&window(), &listing());
        assert_eq!(wrong, Vec::<String>::new());
        assert_eq!((sums.operations, sums.acknowledged, sums.events), (3, 3, 2));
    }

    #[test]
    fn each_kind_of_mistake_is_found_through_the_glue() {
        let complaints = |change: &dyn Fn(&mut Window)| {
            let mut window = window();
            change(&mut window);
            judge(&window, &listing()).1.join("; ")
        };
        let lost = complaints(&|window| {
            let body = set(3, 9);
            window.history.begin(op(Kind::Set, "/r/0", (30, 35), &body));
        });
        assert!(lost.contains("acknowledged"), "{lost}");
        let stale = complaints(&|window| {
            let read = outcome(1, Kind::QuorumRead, 3, r#"{"errorCode":100,"index":1}"#);
            let asked = op(Kind::QuorumRead, "/r/0", (30, 35), "");
            window.history.begin(Op { outcome: read, ..asked });
        });
        assert!(stale.contains("registers") && stale.contains("real time"), "{stale}");
        let strange = complaints(&|window| tell(window, &set(0, 8).replace("1.0", "0.7")));
        assert!(strange.contains("nobody wrote"), "{strange}");
        let gap = complaints(&|window| {
            window.watchers[0].stretches[0].told.remove(0);
        });
        assert!(gap.contains("watcher at m0"), "{gap}");
        let order = judge(&window(), &[]).1.join("; ");
        assert!(order.contains("in-order"), "{order}");
    }

    #[test]
    fn members_that_differ_are_named() {
        let member = |name: &str, body: &str| (name.to_owned(), 7, body.to_owned());
        assert_eq!(equal(&[member("a", "x"), member("b", "x")]), Ok(()));
        assert!(equal(&[member("a", "x"), member("b", "y")]).unwrap_err().contains("differ"));
    }
}
