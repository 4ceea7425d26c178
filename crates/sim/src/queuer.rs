//! A client of the lock module: it joins a queue, waits, holds, gives up, or falls silent.

use crate::history::{Kind, Op, OpId, Outcome, Place, Step};
use crate::request::Request;
use crate::rng::Rng;
use store::{LOCK_ROOT, LockAction, LockEntry};

const LOCKS: u64 = 2;

/// The longest lease that is asked for, in seconds.
const TTL_MAX: u64 = 3;

/// A place in a queue, or the wish for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    key: String,
    /// The operation that joined; its number is the value of the entry.
    value: OpId,
    /// Not known while the answer is not.
    index: Option<u64>,
    place: Place,
}

fn lock(number: u64) -> String {
    format!("{LOCK_ROOT}/k{number}")
}

/// The key of each lock.
pub(crate) fn locks() -> impl Iterator<Item = String> {
    (0..LOCKS).map(lock)
}

/// What a client asks next that is where `entry` says.
pub(crate) fn draw(rng: &mut Rng, entry: &mut Option<Entry>) -> Request {
    if rng.permille(50) {
        // It is never heard of again, and what it has runs out.
        *entry = None;
    }
    let ttl = Some(rng.range(1, TTL_MAX));
    let waits = rng.permille(850);
    let number = rng.below(LOCKS);
    let is_patient = rng.permille(900);
    let Some(Entry { key, value, index, place }) = entry.clone() else {
        return Request {
            key: lock(number),
            kind: Kind::Queue(Step::Join { waits, again: None }),
            ttl,
        };
    };
    let step = match (index, place) {
        (None, _) => Step::Join { waits: true, again: Some(value) },
        (Some(index), Place::Waits) if is_patient => Step::Refresh(index),
        (Some(index), Place::Waits) => Step::Leave(index),
        (Some(index), Place::Holds) if waits && is_patient && rng.permille(300) => {
            Step::Refresh(index)
        }
        (Some(index), Place::Holds) if rng.permille(400) => Step::Renew(index),
        (Some(index), Place::Holds) => Step::Release(index),
        // It cannot come back.
        (Some(index), Place::Gone) => Step::Refresh(index),
    };
    let ttl = ttl.filter(|_| !matches!(step, Step::Release(_) | Step::Leave(_)));
    Request { key, kind: Kind::Queue(step), ttl }
}

/// Where a client is after an operation.
pub(crate) fn learn(rng: &mut Rng, entry: &mut Option<Entry>, id: OpId, op: &Op) {
    let Kind::Queue(step) = op.kind else { return };
    let before = entry.take();
    *entry = match (step, &op.outcome) {
        (Step::Join { again, .. }, Outcome::Queued { index, place, .. }) => {
            let value = again.unwrap_or(id);
            Some(Entry { key: op.key.clone(), value, index: Some(*index), place: *place })
        }
        (Step::Join { again, .. }, Outcome::Unknown) => {
            let (value, place) = (again.unwrap_or(id), Place::Waits);
            Some(Entry { key: op.key.clone(), value, index: None, place })
        }
        (Step::Refresh(_) | Step::Renew(_), Outcome::Queued { place, .. })
            if *place != Place::Gone =>
        {
            before.map(|before| Entry { place: *place, ..before })
        }
        (Step::Refresh(_), Outcome::Unknown | Outcome::NotDone)
        | (Step::Renew(_) | Step::Release(_) | Step::Leave(_), Outcome::NotDone) => before,
        // Sometimes a member still asks for one who has gone.
        (Step::Release(_) | Step::Leave(_), Outcome::Queued { .. }) if rng.permille(200) => {
            before.map(|before| Entry { place: Place::Gone, ..before })
        }
        _ => None,
    };
}

/// The command for a step; `value` and `again` are texts of the numbers of operations.
pub(crate) fn action<'a>(
    step: Step,
    ttl: Option<u64>,
    value: &'a str,
    again: &'a str,
) -> LockAction<'a> {
    let ttl = ttl.map_or(0, u64::cast_signed);
    match step {
        Step::Join { waits, again: None } => LockAction::Acquire { value, ttl, waits },
        Step::Join { waits, again: Some(_) } => LockAction::Acquire { value: again, ttl, waits },
        Step::Refresh(index) => LockAction::Refresh { index, ttl },
        Step::Renew(index) => {
            LockAction::Renew { entry: LockEntry::Index(index), value: None, ttl }
        }
        Step::Release(index) => LockAction::Release { entry: LockEntry::Index(index) },
        Step::Leave(index) => LockAction::Leave { index, touched: None, keep: None },
    }
}
