//! Is the history of one register linearizable?
//!
//! The search is that of Wing and Gong with the memory of Lowe: from the left, each operation that
//! no finished one precedes is tried next; a set of operations done together with the register's
//! value is never looked at twice. An operation with an unknown outcome may have had its effect at
//! any time after it was asked for, or never.
//!
//! It looks at answers only. That the indexes tell the same order is the business of `order.rs`.

use super::rights::UNAUTHORIZED;
use crate::Nanos;
use crate::history::{History, Kind, Op, OpId, Outcome, Seen};
use std::collections::{BTreeMap, HashSet};

/// How many states the search looks at before it gives up.
const STATES_MAX: usize = 400_000;

/// What the search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Linearizable,
    /// The numbers of the operations that could not be put in order are in the text.
    Wrong(String),
    /// There were too many possibilities.
    Undecided,
}

type Value = Option<OpId>;

struct Call<'a> {
    id: OpId,
    op: &'a Op,
    /// Known outcomes must be explained.
    is_known: bool,
}

impl Call<'_> {
    fn finished(&self) -> Nanos {
        if self.is_known { self.op.finished } else { Nanos::MAX }
    }

    /// The value afterwards, if the operation can have had its outcome with this value before.
    fn step(&self, before: Value) -> Option<Value> {
        let after = self.effect(before);
        match &self.op.outcome {
            Outcome::Written { prev, .. } => {
                let is_prev = prev.map(|prev: Seen| prev.value) == before;
                after.filter(|_| is_prev)
            }
            Outcome::Read { found, .. } => {
                (found.map(|found| found.value) == before).then_some(before)
            }
            Outcome::Refused { code, .. } => {
                let is_right = match code {
                    100 => before.is_none(),
                    101 => before.is_some() && after.is_none(),
                    105 => before.is_some() && self.op.kind == Kind::Create,
                    _ => false,
                };
                is_right.then_some(before)
            }
            // An effect that changes nothing need not be tried.
            Outcome::Unknown | Outcome::Open => after.filter(|after| *after != before),
            // A lock of the lock module is no register.
            Outcome::NotDone | Outcome::Queued { .. } => None,
        }
    }

    /// The value afterwards if the operation succeeds; nothing if it cannot.
    fn effect(&self, before: Value) -> Option<Value> {
        match self.op.kind {
            Kind::Set => Some(Some(self.id)),
            Kind::Create => before.is_none().then_some(Some(self.id)),
            Kind::Update => before.is_some().then_some(Some(self.id)),
            Kind::Swap(prev) => (before == Some(prev.value())).then_some(Some(self.id)),
            Kind::Delete => before.is_some().then_some(None),
            Kind::CompareDelete(prev) => (before == Some(prev.value())).then_some(None),
            _ => None,
        }
    }
}

/// Judges all registers of a run. Gives the number of those that were not decided.
pub fn check(history: &History) -> Result<u64, String> {
    let mut keys: BTreeMap<&str, Vec<Call<'_>>> = BTreeMap::new();
    for (id, op) in history.iter() {
        // Whoever has no right learns nothing of the key.
        let is_turned_away = matches!(op.outcome, Outcome::Refused { code: UNAUTHORIZED, .. });
        let is_void =
            op.outcome == Outcome::NotDone || is_turned_away || op.kind == Kind::PlainRead;
        let is_read = op.kind == Kind::QuorumRead;
        let is_known = !matches!(op.outcome, Outcome::Unknown | Outcome::Open);
        if op.key.starts_with("/r/") && !is_void && (is_known || !is_read) {
            keys.entry(&op.key).or_default().push(Call { id, op, is_known });
        }
    }
    let mut undecided = 0;
    for (key, calls) in keys {
        match search(&calls) {
            Found::Linearizable => {}
            Found::Wrong(detail) => return Err(format!("{key} is not linearizable: {detail}")),
            Found::Undecided => undecided += 1,
        }
    }
    Ok(undecided)
}

/// Where the search has gone.
struct Search<'a> {
    calls: &'a [Call<'a>],
    done: Vec<u64>,
    value: Value,
    left: usize,
    /// All before it are done.
    low: usize,
    /// The calls that were taken, and the value before each.
    path: Vec<(usize, Value)>,
    seen: HashSet<(Vec<u64>, Value)>,
    /// The most that was done, and what stood in the way there.
    best: (usize, String),
}

/// `calls` are in the order in which they were asked for.
fn search(calls: &[Call<'_>]) -> Found {
    let mut search = Search {
        calls,
        done: vec![0; calls.len() / 64 + 1],
        value: None,
        left: calls.iter().filter(|call| call.is_known).count(),
        low: 0,
        path: Vec::new(),
        seen: HashSet::new(),
        best: (0, String::new()),
    };
    let mut from = 0;
    while search.left > 0 {
        if search.seen.len() > STATES_MAX {
            return Found::Undecided;
        }
        match search.next(from) {
            Some((at, after)) => {
                search.take(at, after);
                from = search.low;
            }
            None => match search.undo() {
                Some(at) => from = at + 1,
                None => return Found::Wrong(search.best.1),
            },
        }
    }
    Found::Linearizable
}

impl Search<'_> {
    fn is_done(&self, at: usize) -> bool {
        self.done.get(at / 64).is_some_and(|word| word & (1 << (at % 64)) != 0)
    }

    fn flip(&mut self, at: usize) {
        if let Some(word) = self.done.get_mut(at / 64) {
            *word ^= 1 << (at % 64);
        }
        if let Some(call) = self.calls.get(at)
            && call.is_known
        {
            if self.is_done(at) { self.left -= 1 } else { self.left += 1 }
        }
    }

    /// The end of the first to finish of those that are not done: what was asked for later cannot
    /// come next.
    fn horizon(&self) -> Nanos {
        let mut horizon = Nanos::MAX;
        for (at, call) in self.calls.iter().enumerate().skip(self.low) {
            if call.op.invoked > horizon {
                break;
            }
            if !self.is_done(at) {
                horizon = horizon.min(call.finished());
            }
        }
        horizon
    }

    /// The first call at `from` or behind it that can come next and leads somewhere new.
    fn next(&mut self, from: usize) -> Option<(usize, Value)> {
        let horizon = self.horizon();
        for (at, call) in self.calls.iter().enumerate().skip(from) {
            if call.op.invoked > horizon {
                break;
            }
            if self.is_done(at) {
                continue;
            }
            let Some(after) = call.step(self.value) else { continue };
            self.flip(at);
            let is_new = self.seen.insert((self.done.clone(), after));
            self.flip(at);
            if is_new {
                return Some((at, after));
            }
        }
        if self.path.len() >= self.best.0 {
            self.best = (self.path.len(), self.describe(horizon));
        }
        None
    }

    /// What could not come next, in words.
    fn describe(&self, horizon: Nanos) -> String {
        let stuck =
            self.calls.iter().enumerate().filter(|(at, call)| {
                !self.is_done(*at) && call.is_known && call.op.invoked <= horizon
            });
        let stuck: Vec<String> = stuck
            .take(6)
            .map(|(_, call)| format!("op {} {:?} {:?}", call.id, call.op.kind, call.op.outcome))
            .collect();
        let value = self.value;
        format!(
            "after {} operations it holds {value:?}, and nothing fits of {stuck:?}",
            self.path.len()
        )
    }

    fn take(&mut self, at: usize, after: Value) {
        self.path.push((at, self.value));
        self.flip(at);
        self.value = after;
        while self.low < self.calls.len() && self.is_done(self.low) {
            self.low += 1;
        }
    }

    /// Takes the last call back; says which it was.
    fn undo(&mut self) -> Option<usize> {
        let (at, before) = self.path.pop()?;
        self.flip(at);
        self.value = before;
        self.low = self.low.min(at);
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Prev;
    use crate::history::testkit::{op, read, written};

    fn judge(ops: &[Op]) -> Result<u64, String> {
        check(&History { ops: ops.to_vec() })
    }

    fn set(times: (Nanos, Nanos), prev: Option<(OpId, u64)>) -> Op {
        op(Kind::Set, "/r/0", times, written(1, "/r/0", prev))
    }

    fn get(times: (Nanos, Nanos), value: Option<OpId>) -> Op {
        op(Kind::QuorumRead, "/r/0", times, read(1, value.map(|value| (value, 1))))
    }

    fn unknown(kind: Kind, times: (Nanos, Nanos)) -> Op {
        op(kind, "/r/0", (times.0, Nanos::MAX), Outcome::Unknown)
    }

    #[test]
    fn one_after_another_is_right() {
        let ops = [set((0, 1), None), get((2, 3), Some(0)), set((4, 5), Some((0, 1)))];
        assert_eq!(judge(&ops), Ok(0));
        assert_eq!(judge(&[]), Ok(0));
    }

    #[test]
    fn a_stale_read_is_wrong() {
        let ops = [set((0, 1), None), set((2, 3), Some((0, 1))), get((4, 5), Some(0))];
        assert!(judge(&ops).is_err());
        let ops = [set((0, 1), None), get((2, 3), None)];
        assert!(judge(&ops).is_err());
    }

    #[test]
    fn reads_that_overlap_a_write_may_see_either_but_not_turn_back() {
        let ops = [set((0, 10), None), get((1, 2), None), get((3, 4), Some(0))];
        assert_eq!(judge(&ops), Ok(0));
        let ops = [set((0, 10), None), get((1, 2), Some(0)), get((3, 4), None)];
        assert!(judge(&ops).is_err());
    }

    #[test]
    fn an_unknown_write_may_happen_late_or_never_but_only_once() {
        let late = [unknown(Kind::Set, (0, 1)), get((5, 6), None), get((7, 8), Some(0))];
        assert_eq!(judge(&late), Ok(0));
        let never = [unknown(Kind::Set, (0, 1)), get((5, 6), None)];
        assert_eq!(judge(&never), Ok(0));
        let twice = [
            unknown(Kind::Set, (0, 1)),
            get((2, 3), Some(0)),
            set((4, 5), Some((0, 1))),
            get((6, 7), Some(0)),
        ];
        assert!(judge(&twice).is_err());
        let before = [get((0, 1), Some(1)), unknown(Kind::Set, (2, 3))];
        assert!(judge(&before).is_err(), "seen before it was asked for");
    }

    #[test]
    fn two_swaps_of_one_value_cannot_both_succeed() {
        let swap = |times| {
            let kind = Kind::Swap(Prev::Value(0));
            op(kind, "/r/0", times, written(1, "/r/0", Some((0, 1))))
        };
        assert_eq!(judge(&[set((0, 1), None), swap((2, 9))]), Ok(0));
        assert!(judge(&[set((0, 1), None), swap((2, 9)), swap((3, 8))]).is_err());
    }

    #[test]
    fn refusals_must_have_a_reason() {
        let refused = |kind, code| op(kind, "/r/0", (2, 3), Outcome::Refused { code, index: 1 });
        assert_eq!(judge(&[set((0, 1), None), refused(Kind::Create, 105)]), Ok(0));
        assert!(judge(&[set((0, 1), None), refused(Kind::Delete, 100)]).is_err());
        assert_eq!(judge(&[refused(Kind::Delete, 100)]), Ok(0));
        let swap = Kind::Swap(Prev::Value(0));
        assert!(judge(&[set((0, 1), None), refused(swap, 101)]).is_err());
        assert!(judge(&[refused(Kind::Create, 105)]).is_err());
    }

    #[test]
    fn a_write_that_was_not_done_must_not_be_seen() {
        let not_done = op(Kind::Set, "/r/0", (0, 1), Outcome::NotDone);
        assert_eq!(judge(&[not_done.clone(), get((2, 3), None)]), Ok(0));
        assert!(judge(&[not_done, get((2, 3), Some(0))]).is_err());
    }
}
