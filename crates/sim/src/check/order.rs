//! Is the order of indexes the order of what happened, and does it hold what was acknowledged?
//!
//! The members' changes, put together, are the truth. Every acknowledged write must be in it, at
//! the index that its client was told; nothing that was refused may be; nothing may be twice. What
//! finished before something else began has the lower index. Every read shows the key as it was at
//! the index that came with it.

use super::Verdict;
use crate::Nanos;
use crate::history::{Change, Changes, History, Kind, Op, OpId, Outcome, Seen};
use std::collections::BTreeMap;
use store::Action;

fn action(kind: Kind) -> Option<Action> {
    Some(match kind {
        Kind::Set => Action::Set,
        Kind::Create | Kind::InOrder | Kind::MakeDir => Action::Create,
        Kind::Update => Action::Update,
        Kind::Swap(_) => Action::CompareAndSwap,
        Kind::Delete | Kind::DeleteDir => Action::Delete,
        Kind::CompareDelete(_) => Action::CompareAndDelete,
        Kind::QuorumRead | Kind::PlainRead | Kind::Queue(_) | Kind::Membership | Kind::Users(_) => {
            return None;
        }
    })
}

/// Every acknowledged write is where its client was told that it is.
pub fn check_acknowledged(history: &History, changes: &Changes) -> Verdict {
    for (id, op) in history.iter() {
        let Outcome::Written { index, key, prev } = &op.outcome else { continue };
        let Some(action) = action(op.kind) else { continue };
        let Some(change) = changes.get(*index) else {
            return Err(format!("op {id} was acknowledged at index {index}, where nothing is"));
        };
        let value = op.kind.writes_value().then_some(id);
        let is_it = change.action == action && change.key == *key && change.value == value;
        if !is_it || change.prev != *prev {
            return Err(format!(
                "op {id} {:?} was acknowledged at index {index}, where {change:?} is",
                op.kind
            ));
        }
    }
    Ok(())
}

/// Nothing is there twice, and nothing that was refused.
pub fn check_once(history: &History, changes: &Changes) -> Verdict {
    let mut places: BTreeMap<OpId, u64> = BTreeMap::new();
    for (index, change, _) in changes.iter() {
        let Some(value) = change.value else { continue };
        let Some(op) = history.get(value) else {
            return Err(format!("index {index} holds {value}, which nobody wrote"));
        };
        if op.is_void() {
            return Err(format!("op {value} was {:?} and is at index {index}", op.outcome));
        }
        if let Some(first) = places.insert(value, index) {
            return Err(format!("op {value} is at index {first} and again at index {index}"));
        }
    }
    Ok(())
}

/// What finished before something else began has the lower index.
pub fn check_real_time(history: &History) -> Verdict {
    // At the same moment, what begins comes first: then the two overlap.
    let mut moments: Vec<(Nanos, bool, OpId)> = Vec::new();
    for (id, op) in history.iter() {
        if index_of(op).is_some() {
            moments.push((op.invoked, false, id));
            moments.push((op.finished, true, id));
        }
    }
    moments.sort_unstable();
    let mut floor = (0, OpId::MAX);
    let mut floors: BTreeMap<OpId, (u64, OpId)> = BTreeMap::new();
    for (_, is_end, id) in moments {
        let Some(op) = history.get(id) else { continue };
        let Some((index, is_write)) = index_of(op) else { continue };
        if !is_end {
            floors.insert(id, floor);
            continue;
        }
        let (least, earlier) = floors.remove(&id).unwrap_or(floor);
        if op.kind != Kind::PlainRead && (index < least || (is_write && index == least)) {
            return Err(format!(
                "op {id} {:?} is at index {index}, but op {earlier} was at {least} and had \
                 finished before it began",
                op.kind
            ));
        }
        if index > floor.0 {
            floor = (index, id);
        }
    }
    Ok(())
}

/// The index that a client was told, and whether it was that of its own write.
fn index_of(op: &Op) -> Option<(u64, bool)> {
    match &op.outcome {
        _ if op.kind == Kind::Membership => None,
        // It was carried out where the asked member could not see it.
        Outcome::Written { index: 0, .. } if matches!(op.kind, Kind::Users(_)) => None,
        Outcome::Written { index, .. } | Outcome::Queued { index, is_new: true, .. } => {
            Some((*index, true))
        }
        Outcome::Read { index, .. } | Outcome::Refused { index, .. } => Some((*index, false)),
        _ => None,
    }
}

/// Every read shows what its index says, and no member's reads go back in time.
pub fn check_reads(history: &History, changes: &Changes) -> Verdict {
    let mut keys: BTreeMap<&str, BTreeMap<u64, Option<Seen>>> = BTreeMap::new();
    for (index, change, _) in changes.iter() {
        keys.entry(&change.key).or_default().insert(index, after(index, change));
    }
    let mut latest: BTreeMap<(usize, u64), (Nanos, u64, OpId)> = BTreeMap::new();
    let read = |(id, op): (OpId, _)| match op {
        &Op { outcome: Outcome::Read { index, found }, .. } => Some((op, index, found, id)),
        _ => None,
    };
    let mut reads: Vec<(&Op, u64, Option<Seen>, OpId)> = history.iter().filter_map(read).collect();
    // Of two that were answered at the same nanosecond nobody knows which came first.
    reads.sort_by_key(|(op, index, _, id)| (op.finished, *index, *id));
    for (op, index, found, id) in reads {
        let timeline = keys.get(op.key.as_str());
        let expected = timeline.and_then(|line| line.range(..=index).next_back());
        let expected = expected.and_then(|(_, seen)| *seen);
        if expected != found {
            return Err(format!(
                "op {id} read {found:?} from {} at index {index}, which holds {expected:?}",
                op.key
            ));
        }
        let before = latest.entry(op.machine).or_insert((op.finished, index, id));
        if before.1 > index {
            return Err(format!(
                "op {id} read at index {index} after op {} had read at {} at the same member",
                before.2, before.1
            ));
        }
        *before = (op.finished, index, id);
    }
    Ok(())
}

/// What a key holds after a change of it.
fn after(index: u64, change: &Change) -> Option<Seen> {
    change.value.map(|value| Seen { value, modified: index })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::testkit::{change, op, read, written};

    fn truth(list: &[(u64, Change)]) -> Changes {
        let mut changes = Changes::default();
        for (index, change) in list {
            changes.note(*index, change.clone(), 0).unwrap();
        }
        changes
    }

    fn set_change(value: OpId) -> Change {
        change(Action::Set, "/r/0", Some(value))
    }

    fn history(ops: &[Op]) -> History {
        History { ops: ops.to_vec() }
    }

    fn set(times: (Nanos, Nanos), index: u64) -> Op {
        op(Kind::Set, "/r/0", times, written(index, "/r/0", None))
    }

    #[test]
    fn an_acknowledged_write_must_be_there() {
        let ops = history(&[set((0, 1), 5)]);
        assert_eq!(check_acknowledged(&ops, &truth(&[(5, set_change(0))])), Ok(()));
        assert!(check_acknowledged(&ops, &truth(&[])).is_err(), "lost");
        assert!(check_acknowledged(&ops, &truth(&[(6, set_change(0))])).is_err(), "elsewhere");
        assert!(check_acknowledged(&ops, &truth(&[(5, set_change(1))])).is_err(), "another");
        let told = op(Kind::Set, "/r/0", (0, 1), written(5, "/r/0", Some((9, 4))));
        assert!(check_acknowledged(&history(&[told]), &truth(&[(5, set_change(0))])).is_err());
    }

    #[test]
    fn nothing_is_there_twice_or_without_reason() {
        let unknown = op(Kind::Set, "/r/0", (0, Nanos::MAX), Outcome::Unknown);
        let ops = history(std::slice::from_ref(&unknown));
        assert_eq!(check_once(&ops, &truth(&[(5, set_change(0))])), Ok(()));
        let twice = truth(&[(5, set_change(0)), (7, set_change(0))]);
        assert!(check_once(&ops, &twice).is_err());
        assert!(check_once(&ops, &truth(&[(5, set_change(3))])).is_err(), "nobody's");
        let not_done = history(&[Op { outcome: Outcome::NotDone, ..unknown }]);
        assert!(check_once(&not_done, &truth(&[(5, set_change(0))])).is_err(), "refused");
    }

    #[test]
    fn what_comes_later_has_the_higher_index() {
        assert_eq!(check_real_time(&history(&[set((0, 1), 5), set((2, 3), 6)])), Ok(()));
        assert!(check_real_time(&history(&[set((0, 1), 6), set((2, 3), 5)])).is_err());
        assert_eq!(check_real_time(&history(&[set((0, 3), 6), set((2, 4), 5)])), Ok(()), "overlap");
        let stale = op(Kind::QuorumRead, "/r/0", (2, 3), read(4, None));
        assert!(check_real_time(&history(&[set((0, 1), 5), stale.clone()])).is_err());
        let plain = Op { kind: Kind::PlainRead, ..stale };
        assert_eq!(check_real_time(&history(&[set((0, 1), 5), plain])), Ok(()));
    }

    #[test]
    fn a_read_shows_its_index_and_a_member_never_goes_back() {
        let changes = truth(&[(5, set_change(0)), (7, set_change(1))]);
        let get = |times, index, found| op(Kind::PlainRead, "/r/0", times, read(index, found));
        let right =
            [get((0, 1), 4, None), get((2, 3), 6, Some((0, 5))), get((4, 5), 7, Some((1, 7)))];
        assert_eq!(check_reads(&history(&right), &changes), Ok(()));
        assert!(check_reads(&history(&[get((0, 1), 6, None)]), &changes).is_err());
        assert!(check_reads(&history(&[get((0, 1), 6, Some((1, 7)))]), &changes).is_err());
        let at_once = [get((0, 3), 7, Some((1, 7))), get((1, 3), 6, Some((0, 5)))];
        assert_eq!(check_reads(&history(&at_once), &changes), Ok(()));
        let back = [get((0, 1), 7, Some((1, 7))), get((2, 3), 6, Some((0, 5)))];
        assert!(check_reads(&history(&back), &changes).is_err());
    }
}
