//! Is a lock of the lock module held by one at a time, in the order of the queue?
//!
//! A place in the queue is named by its number. It is alive from the answer that gave it until its
//! client asks to give it up, or until its lease is over: counted from when the client asked for
//! it, less what a clock may be slow by. It holds from the first answer that says so.
//!
//! - Two places do not hold at a time.
//! - One does not hold after one with a higher number did.
//! - No number is given twice. That numbers grow with time is judged with all other indexes
//!   (`order.rs`).
//! - One that was given up or is gone does not come back.
//! - None is lost while its lease runs.

use super::{Verdict, ttl};
use crate::Nanos;
use crate::history::{History, Kind, Op, OpId, Outcome, Place, Step};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of a place.
#[derive(Clone, Debug)]
struct Entry {
    /// It is alive until then at the least.
    until: Nanos,
    /// The shortest lease, in seconds, that was asked for without an answer: it may come at any
    /// time.
    shortest: Option<u64>,
    /// When it was first said to hold.
    held_from: Option<Nanos>,
    /// When it was last asked whether it holds, and it did.
    held_at: Nanos,
    /// Its client may have given it up, from then on.
    left_from: Option<Nanos>,
    /// It was known to be gone at that time.
    gone_at: Option<Nanos>,
}

type Entries = BTreeMap<u64, Entry>;

/// Judges all queues of a run.
pub fn check(history: &History) -> Verdict {
    let mut locks: BTreeMap<&str, Entries> = BTreeMap::new();
    // What was asked for without an answer, by the value that it would have.
    let mut asked: BTreeMap<OpId, u64> = BTreeMap::new();
    for (id, op) in history.iter() {
        let Kind::Queue(step) = op.kind else { continue };
        let entries = locks.entry(&op.key).or_default();
        let result = match step {
            Step::Join { again, .. } => join(entries, &mut asked, again.unwrap_or(id), op),
            Step::Refresh(index) | Step::Renew(index) => {
                keep(entries, index, op, matches!(step, Step::Renew(_)))
            }
            Step::Release(index) | Step::Leave(index) => {
                give_up(entries, index, op);
                Ok(())
            }
        };
        result.map_err(|detail| format!("{}: op {id}: {detail}", op.key))?;
    }
    locks.iter().try_for_each(|(key, entries)| {
        check_turns(entries).map_err(|detail| format!("{key}: {detail}"))
    })
}

/// How many places of a run's queues came to hold.
pub fn turns(history: &History) -> u64 {
    let mut held = BTreeSet::new();
    for (_, op) in history.iter() {
        if let Outcome::Queued { index, place: Place::Holds, .. } = op.outcome {
            held.insert((op.key.as_str(), index));
        }
    }
    held.len() as u64
}

fn lease(op: &Op, shortest: Option<u64>) -> Nanos {
    let seconds = op.ttl.unwrap_or(0);
    op.invoked + ttl::least(shortest.map_or(seconds, |shortest| shortest.min(seconds)))
}

fn join(entries: &mut Entries, asked: &mut BTreeMap<OpId, u64>, value: OpId, op: &Op) -> Verdict {
    match &op.outcome {
        Outcome::Queued { index, place, is_new } => {
            let shortest = asked.get(&value).copied();
            if *is_new && entries.contains_key(index) {
                return Err(format!("the number {index} is given a second time"));
            }
            let lease = lease(op, shortest);
            let entry = entries.entry(*index).or_insert(Entry {
                until: lease,
                shortest,
                held_from: None,
                held_at: 0,
                left_from: None,
                gone_at: None,
            });
            // A holder's lease is the one that it asked for last; that of others only grows.
            entry.until = if *place == Place::Holds { lease } else { entry.until.max(lease) };
            note_place(entry, *index, *place, op)
        }
        Outcome::Unknown | Outcome::Open => {
            let seconds = op.ttl.unwrap_or(0);
            asked.entry(value).and_modify(|old| *old = seconds.min(*old)).or_insert(seconds);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// A client wants to keep its place.
fn keep(entries: &mut Entries, index: u64, op: &Op, is_renewal: bool) -> Verdict {
    let Some(entry) = entries.get_mut(&index) else { return Ok(()) };
    match &op.outcome {
        Outcome::Queued { place: place @ (Place::Holds | Place::Waits), .. } => {
            let lease = lease(op, entry.shortest);
            entry.until = if is_renewal { lease } else { entry.until.max(lease) };
            note_place(entry, index, *place, op)
        }
        Outcome::Queued { place: Place::Gone, .. } | Outcome::Refused { .. } => {
            let was_left = entry.left_from.is_some();
            entry.gone_at.get_or_insert(op.finished);
            if op.finished < entry.until && !was_left {
                return Err(format!(
                    "place {index} was lost {} ms before its lease was over",
                    (entry.until - op.finished) / 1_000_000
                ));
            }
            Ok(())
        }
        Outcome::Unknown | Outcome::Open if is_renewal => {
            let seconds = op.ttl.unwrap_or(0);
            entry.shortest = Some(entry.shortest.map_or(seconds, |old| old.min(seconds)));
            entry.until = entry.until.min(lease(op, None));
            Ok(())
        }
        _ => Ok(()),
    }
}

fn note_place(entry: &mut Entry, index: u64, place: Place, op: &Op) -> Verdict {
    if entry.gone_at.is_some_and(|gone_at| gone_at < op.invoked) {
        return Err(format!("place {index} came back"));
    }
    if place == Place::Holds {
        entry.held_from.get_or_insert(op.finished);
        entry.held_at = op.invoked;
    } else if entry.held_from.is_some_and(|held_from| held_from < op.invoked) {
        return Err(format!("place {index} held the lock and waits again"));
    }
    Ok(())
}

fn give_up(entries: &mut Entries, index: u64, op: &Op) {
    let Some(entry) = entries.get_mut(&index) else { return };
    match op.outcome {
        Outcome::NotDone => {}
        Outcome::Queued { .. } | Outcome::Refused { .. } => {
            entry.left_from.get_or_insert(op.invoked);
            entry.gone_at.get_or_insert(op.finished);
        }
        _ => {
            entry.left_from.get_or_insert(op.invoked);
        }
    }
}

fn check_turns(entries: &Entries) -> Verdict {
    let held: Vec<(u64, Nanos, Nanos, Nanos)> = entries
        .iter()
        .filter_map(|(index, entry)| {
            let until = entry.left_from.map_or(entry.until, |left| entry.until.min(left));
            Some((*index, entry.held_from?, entry.held_at, until))
        })
        .collect();
    for (at, one) in held.iter().enumerate() {
        for next in held.iter().skip(at + 1) {
            if next.1 < one.2 {
                return Err(format!("place {} held before place {} did", next.0, one.0));
            }
            if one.1.max(next.1) < one.3.min(next.3) {
                return Err(format!("places {} and {} held at the same time", one.0, next.0));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::order::check_real_time;
    use crate::history::testkit::op;
    use crate::plan::SECOND;

    const JOIN: Step = Step::Join { waits: true, again: None };

    fn queued(index: u64, place: Place) -> Outcome {
        Outcome::Queued { index, place, is_new: false }
    }

    fn joined(index: u64, place: Place) -> Outcome {
        Outcome::Queued { index, place, is_new: true }
    }

    /// Times are tenths of a second, the lease is two seconds.
    fn step(step: Step, times: (Nanos, Nanos), outcome: Outcome) -> Op {
        let times = (times.0 * SECOND / 10, times.1 * SECOND / 10);
        Op { ttl: Some(2), ..op(Kind::Queue(step), "/lock", times, outcome) }
    }

    fn judge(ops: &[Op]) -> Verdict {
        check(&History { ops: ops.to_vec() })
    }

    #[test]
    fn one_after_the_other_is_right() {
        let ops = [
            step(JOIN, (0, 1), joined(5, Place::Holds)),
            step(JOIN, (2, 3), joined(6, Place::Waits)),
            step(Step::Release(5), (4, 5), queued(5, Place::Gone)),
            step(Step::Refresh(6), (5, 6), queued(6, Place::Holds)),
            step(Step::Refresh(5), (6, 7), queued(5, Place::Gone)),
        ];
        assert_eq!(judge(&ops), Ok(()));
        let expired = [
            step(JOIN, (0, 1), joined(5, Place::Holds)),
            step(JOIN, (21, 22), joined(6, Place::Holds)),
            step(Step::Refresh(5), (23, 24), queued(5, Place::Gone)),
        ];
        assert_eq!(judge(&expired), Ok(()));
    }

    #[test]
    fn two_at_a_time_are_wrong() {
        let ops = [
            step(JOIN, (0, 1), joined(5, Place::Holds)),
            step(JOIN, (2, 3), joined(6, Place::Holds)),
        ];
        assert!(judge(&ops).is_err());
        let renewed = [
            step(JOIN, (0, 1), joined(5, Place::Holds)),
            step(Step::Renew(5), (10, 11), queued(5, Place::Holds)),
            step(JOIN, (22, 23), joined(6, Place::Holds)),
        ];
        assert!(judge(&renewed).is_err(), "the renewal counts");
    }

    #[test]
    fn a_shorter_lease_that_may_have_come_counts() {
        let mut unknown = step(Step::Renew(5), (5, 6), Outcome::Unknown);
        unknown.ttl = Some(1);
        let ops = [
            step(JOIN, (0, 1), joined(5, Place::Holds)),
            unknown,
            step(JOIN, (18, 19), joined(6, Place::Holds)),
        ];
        assert_eq!(judge(&ops), Ok(()));
        let never = [ops[0].clone(), ops[2].clone()];
        assert!(judge(&never).is_err());
    }

    #[test]
    fn out_of_turn_is_wrong() {
        let ops = [
            step(JOIN, (0, 1), joined(5, Place::Waits)),
            step(JOIN, (2, 3), joined(6, Place::Holds)),
            step(Step::Release(6), (4, 5), queued(6, Place::Gone)),
            step(Step::Refresh(5), (6, 7), queued(5, Place::Holds)),
        ];
        assert!(judge(&ops).is_err());
    }

    #[test]
    fn a_number_is_given_once_and_numbers_grow() {
        let twice = [
            step(JOIN, (0, 1), joined(5, Place::Waits)),
            step(JOIN, (0, 1), joined(5, Place::Waits)),
        ];
        assert!(judge(&twice).is_err());
        let falling = [
            step(JOIN, (0, 1), joined(5, Place::Waits)),
            step(JOIN, (2, 3), joined(4, Place::Waits)),
        ];
        assert!(check_real_time(&History { ops: falling.to_vec() }).is_err());
    }

    #[test]
    fn what_is_gone_does_not_come_back_and_what_held_does_not_wait() {
        let back = [
            step(JOIN, (0, 1), joined(5, Place::Holds)),
            step(Step::Release(5), (2, 3), queued(5, Place::Gone)),
            step(Step::Refresh(5), (4, 5), queued(5, Place::Waits)),
        ];
        assert!(judge(&back).is_err());
        let waits = [
            step(JOIN, (0, 1), joined(5, Place::Holds)),
            step(Step::Refresh(5), (4, 5), queued(5, Place::Waits)),
        ];
        assert!(judge(&waits).is_err());
    }

    #[test]
    fn a_place_is_not_lost_early() {
        let gone = |outcome| {
            [step(JOIN, (0, 1), joined(5, Place::Waits)), step(Step::Refresh(5), (8, 9), outcome)]
        };
        assert!(judge(&gone(queued(5, Place::Gone))).is_err());
        assert!(judge(&gone(Outcome::Refused { code: 100, index: 7 })).is_err());
        assert_eq!(judge(&gone(Outcome::Unknown)), Ok(()));
    }
}
