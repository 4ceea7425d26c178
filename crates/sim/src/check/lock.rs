//! Is there one holder of a lock at a time?
//!
//! A lock is a key with a TTL that only its holder knows the value of. A client holds it from the
//! answer that gave it until it asks to give it back, or until the TTL of its last refresh is over,
//! counted from when it asked for that refresh; less what its clock may be slow by. Each holder's
//! index is higher than that of the one before, so that it can be used to fence.

use super::{Verdict, ttl};
use crate::Nanos;
use crate::history::{History, Kind, OpId, Outcome};
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
struct Holding {
    client: usize,
    from: Nanos,
    until: Nanos,
    index: u64,
    op: OpId,
}

/// Judges all locks of a run.
pub fn check(history: &History) -> Verdict {
    let mut locks: BTreeMap<&str, Vec<Holding>> = BTreeMap::new();
    let mut held: BTreeMap<(&str, usize), Holding> = BTreeMap::new();
    for (id, op) in history.iter().filter(|(_, op)| op.key.starts_with("/l/")) {
        let slot = (op.key.as_str(), op.client);
        let lease = op.invoked + op.ttl.map_or(0, ttl::least);
        match (op.kind, &op.outcome) {
            (Kind::Create, Outcome::Written { index, .. }) => {
                let (client, from) = (op.client, op.finished);
                let index = *index;
                let new = Holding { client, from, until: lease, index, op: id };
                if let Some(old) = held.insert(slot, new) {
                    locks.entry(&op.key).or_default().push(old);
                }
            }
            (Kind::Swap(_), Outcome::Written { .. }) => {
                if let Some(holding) = held.get_mut(&slot) {
                    holding.until = lease;
                }
            }
            (Kind::Swap(_), Outcome::Unknown | Outcome::Open) => {
                // If it happened, the lease may have become shorter.
                if let Some(holding) = held.get_mut(&slot) {
                    holding.until = holding.until.min(lease);
                }
            }
            (Kind::CompareDelete(_), _) => {
                if let Some(mut old) = held.remove(&slot) {
                    old.until = old.until.min(op.invoked);
                    locks.entry(&op.key).or_default().push(old);
                }
            }
            _ => {}
        }
    }
    for ((key, _), holding) in held {
        locks.entry(key).or_default().push(holding);
    }
    locks.iter_mut().try_for_each(|(key, holdings)| check_lock(key, holdings))
}

fn check_lock(key: &str, holdings: &mut [Holding]) -> Verdict {
    // One whose lease was over before the answer came never held it.
    let mut held: Vec<&Holding> = holdings.iter().filter(|one| one.until > one.from).collect();
    held.sort_by_key(|one| (one.from, one.index));
    for pair in held.windows(2) {
        let [one, next] = pair else { continue };
        if one.until > next.from && one.client != next.client {
            return Err(format!(
                "{key} had two holders: client {} by op {} until {} us, client {} by op {} from \
                 {} us",
                one.client,
                one.op,
                one.until / 1000,
                next.client,
                next.op,
                next.from / 1000
            ));
        }
        if one.index >= next.index {
            return Err(format!(
                "{key}: the index {} of op {} does not fence op {} with {}",
                next.index, next.op, one.op, one.index
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::testkit::{op, written};
    use crate::history::{Op, Prev};
    use crate::plan::SECOND;

    fn step(client: usize, kind: Kind, times: (Nanos, Nanos), index: u64) -> Op {
        let ttl = (!matches!(kind, Kind::CompareDelete(_))).then_some(2);
        let times = (times.0 * SECOND / 10, times.1 * SECOND / 10);
        Op { client, ttl, ..op(kind, "/l/0", times, written(index, "/l/0", None)) }
    }

    fn judge(ops: &[Op]) -> Verdict {
        check(&History { ops: ops.to_vec() })
    }

    const REFRESH: Kind = Kind::Swap(Prev::Value(0));
    const RELEASE: Kind = Kind::CompareDelete(Prev::Value(0));

    #[test]
    fn one_after_the_other_is_right() {
        let released = [
            step(1, Kind::Create, (0, 1), 5),
            step(1, RELEASE, (5, 6), 6),
            step(2, Kind::Create, (6, 7), 7),
        ];
        assert_eq!(judge(&released), Ok(()));
        let expired = [step(1, Kind::Create, (0, 1), 5), step(2, Kind::Create, (20, 21), 7)];
        assert_eq!(judge(&expired), Ok(()));
    }

    #[test]
    fn a_refresh_that_is_unknown_may_have_made_the_lease_shorter() {
        let unknown =
            |ttl| Op { ttl: Some(ttl), outcome: Outcome::Unknown, ..step(1, REFRESH, (1, 2), 0) };
        let first = Op { ttl: Some(4), ..step(1, Kind::Create, (0, 1), 5) };
        let next = step(2, Kind::Create, (25, 26), 7);
        assert_eq!(judge(&[first.clone(), unknown(1), next.clone()]), Ok(()));
        assert!(judge(&[first, unknown(8), next]).is_err(), "or not longer");
    }

    #[test]
    fn two_at_a_time_are_wrong() {
        let ops = [step(1, Kind::Create, (0, 1), 5), step(2, Kind::Create, (2, 3), 7)];
        assert!(judge(&ops).is_err());
        let refreshed = [
            step(1, Kind::Create, (0, 1), 5),
            step(1, REFRESH, (15, 16), 6),
            step(2, Kind::Create, (20, 21), 7),
        ];
        assert!(judge(&refreshed).is_err(), "the refresh counts");
    }

    #[test]
    fn an_index_that_does_not_grow_is_wrong() {
        let ops = [step(1, Kind::Create, (0, 1), 9), step(2, Kind::Create, (30, 31), 7)];
        assert!(judge(&ops).is_err());
    }

    #[test]
    fn an_answer_that_comes_after_the_lease_gives_nothing() {
        let ops = [step(1, Kind::Create, (0, 40), 5), step(2, Kind::Create, (35, 36), 7)];
        assert_eq!(judge(&ops), Ok(()));
    }
}
