//! Was every watcher told of every event that it asked for, once, in order?
//!
//! A watcher goes from member to member, over restarts and changes of leader, and always asks for
//! what comes after the last that it was told. Nothing may be missing, unless error 401 said so.

use super::Verdict;
use crate::history::Changes;
use crate::watcher::Stretch;
use store::WatchFilter;

/// Whether a filter wants to hear of a key. No key of the simulator is hidden.
fn wants(filter: &WatchFilter, key: &str) -> bool {
    let below = |key: &str| {
        let dir = filter.path.trim_end_matches('/');
        key.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
    };
    *filter.path == *key || (filter.recursive && below(key))
}

/// Judges one watcher at the end of a run, when all members have told all that they know.
pub fn check(filter: &WatchFilter, stretches: &[Stretch], changes: &Changes) -> Verdict {
    for stretch in stretches {
        let wanted = changes.from(stretch.from);
        let wanted = wanted.filter(|(_, change)| wants(filter, &change.key));
        let mut wanted = wanted.map(|(index, _)| index);
        for told in &stretch.told {
            let expected = wanted.next();
            if expected != Some(*told) {
                return Err(format!(
                    "a watcher of {} from {} was told of {told} where {expected:?} comes next",
                    filter.path, stretch.from
                ));
            }
        }
        if let Some(missed) = wanted.next()
            && !stretch.was_cleared
        {
            return Err(format!("a watcher of {} was never told of index {missed}", filter.path));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::testkit::change;
    use store::Action;

    fn changes() -> Changes {
        let mut changes = Changes::default();
        for (index, key) in [(2, "/r/0"), (3, "/r/1"), (5, "/rx"), (6, "/r/0")] {
            changes.note(index, change(Action::Set, key, Some(index)), 0).unwrap();
        }
        changes
    }

    fn judge(path: &str, recursive: bool, from: u64, told: &[u64], was_cleared: bool) -> Verdict {
        let filter = WatchFilter { path: path.into(), recursive, hidden: false };
        check(&filter, &[Stretch { from, told: told.to_vec(), was_cleared }], &changes())
    }

    #[test]
    fn everything_once_and_in_order_is_right() {
        assert_eq!(judge("/r", true, 1, &[2, 3, 6], false), Ok(()));
        assert_eq!(judge("/", true, 3, &[3, 5, 6], false), Ok(()));
        assert_eq!(judge("/r/0", false, 1, &[2, 6], false), Ok(()));
        assert_eq!(judge("/r", false, 1, &[], false), Ok(()));
    }

    #[test]
    fn gaps_repetitions_and_strangers_are_wrong() {
        assert!(judge("/r", true, 1, &[2, 6], false).is_err(), "a gap");
        assert!(judge("/r", true, 1, &[2, 3], false).is_err(), "the last is missing");
        assert!(judge("/r", true, 1, &[2, 3, 3, 6], false).is_err(), "twice");
        assert!(judge("/r", true, 1, &[3, 2, 6], false).is_err(), "out of order");
        assert!(judge("/r", true, 1, &[2, 3, 5, 6], false).is_err(), "not asked for");
        assert!(judge("/r", true, 3, &[2, 3, 6], false).is_err(), "too old");
    }

    #[test]
    fn after_error_401_the_end_may_be_missing_but_nothing_before_it() {
        assert_eq!(judge("/r", true, 1, &[2], true), Ok(()));
        assert!(judge("/r", true, 1, &[3], true).is_err());
    }
}
