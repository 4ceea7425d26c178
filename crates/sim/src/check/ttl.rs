//! Does no key go before its time?
//!
//! The members' clocks may be fast by as much as they drift, and by nothing else: not by a wall
//! clock that was set, not by a change of the leader, not by a restart.

use super::Verdict;
use crate::Nanos;
use crate::clock::DRIFT_PERMILLE_MAX;
use crate::history::{Changes, History, OpId, Outcome};
use crate::plan::SECOND;
use std::collections::BTreeMap;
use store::Action;

/// The least time that a TTL lasts, by the world's clock. Clocks are read in whole microseconds of
/// it, and a restart within one boot may lose a few of them.
pub fn least(ttl: u64) -> Nanos {
    (ttl * SECOND / (1000 + DRIFT_PERMILLE_MAX) * 1000).saturating_sub(100_000)
}

/// The most that a TTL lasts by the world's clock when one leader is there all the time.
pub fn most(ttl: u64) -> Nanos {
    ttl * SECOND / (1000 - DRIFT_PERMILLE_MAX) * 1000 + SECOND
}

/// Judges all expiries of a run.
pub fn check(history: &History, changes: &Changes) -> Verdict {
    let mut written: BTreeMap<u64, OpId> = BTreeMap::new();
    for (id, op) in history.iter() {
        if let Outcome::Written { index, .. } = op.outcome {
            written.insert(index, id);
        }
    }
    // What gave each key its present life, if it is known.
    let mut lives: BTreeMap<&str, Option<OpId>> = BTreeMap::new();
    for (index, change, seen_at) in changes.iter() {
        if change.action != Action::Expire {
            // The value names its write; a directory has none and is known by its answer.
            let by = change.value.or_else(|| written.get(&index).copied());
            lives.insert(&change.key, by);
            continue;
        }
        let Some(Some(id)) = lives.remove(change.key.as_str()) else { continue };
        let Some(op) = history.get(id) else { continue };
        let Some(ttl) = op.ttl else {
            return Err(format!("{} expired at index {index} without a TTL", change.key));
        };
        let due = op.invoked + least(ttl);
        if seen_at < due {
            return Err(format!(
                "{} expired at index {index}, {} us too early: op {id} gave it {ttl} s",
                change.key,
                (due - seen_at) / 1000
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::testkit::{change, op, written};
    use crate::history::{Kind, Op};

    fn judge(ttl: Option<u64>, expired_at: Nanos) -> Verdict {
        let set =
            Op { ttl, ..op(Kind::Set, "/t/0", (SECOND, 2 * SECOND), written(5, "/t/0", None)) };
        let mut changes = Changes::default();
        changes.note(5, change(Action::Set, "/t/0", Some(0)), SECOND).unwrap();
        changes.note(6, change(Action::Expire, "/t/0", None), expired_at).unwrap();
        check(&History { ops: vec![set] }, &changes)
    }

    #[test]
    fn on_time_and_late_are_right_and_early_is_wrong() {
        assert_eq!(judge(Some(2), 3 * SECOND), Ok(()));
        assert_eq!(judge(Some(2), 30 * SECOND), Ok(()));
        assert_eq!(judge(Some(2), SECOND + least(2)), Ok(()));
        assert!(judge(Some(2), SECOND + least(2) - 1).is_err());
        assert!(judge(Some(2), SECOND + 1).is_err());
    }

    #[test]
    fn a_key_without_a_ttl_must_not_expire() {
        assert!(judge(None, 99 * SECOND).is_err());
    }

    #[test]
    fn a_new_life_counts_from_its_own_write() {
        let set = |times, index| Op {
            ttl: Some(3),
            ..op(Kind::Set, "/t/0", times, written(index, "/t/0", None))
        };
        let history = History { ops: vec![set((0, 1), 5), set((2 * SECOND, 2 * SECOND + 1), 6)] };
        let mut changes = Changes::default();
        changes.note(5, change(Action::Set, "/t/0", Some(0)), 1).unwrap();
        changes.note(6, change(Action::Set, "/t/0", Some(1)), 1).unwrap();
        changes.note(7, change(Action::Expire, "/t/0", None), 4 * SECOND).unwrap();
        assert!(check(&history, &changes).is_err(), "the first life does not count");
    }
}
