//! Are in-order keys neither lost, doubled nor out of order?
//!
//! Each is named after its index, and nobody deletes one here: what was created is there to the
//! end, once, in the order of the indexes.

use super::Verdict;
use crate::history::{Changes, History, Kind, OpId, Outcome};
use std::collections::BTreeMap;

/// The directory of in-order keys.
pub const DIR: &str = "/q";

/// `listing` is what one member holds in the directory at the end, in its own order.
pub fn check(history: &History, changes: &Changes, listing: &[(String, OpId)]) -> Verdict {
    let in_dir = changes.iter().filter(|(_, change, _)| change.key.starts_with("/q/"));
    let created: BTreeMap<u64, OpId> =
        in_dir.filter_map(|(index, change, _)| Some((index, change.value?))).collect();
    for (id, op) in history.iter().filter(|(_, op)| op.kind == Kind::InOrder) {
        let Outcome::Written { index, key, .. } = &op.outcome else { continue };
        if *key != name(*index) {
            return Err(format!("op {id} was named {key} at index {index}"));
        }
        if created.get(index) != Some(&id) {
            return Err(format!("op {id} made {key}, which is not there"));
        }
    }
    let expected: Vec<(String, OpId)> =
        created.iter().map(|(index, id)| (name(*index), *id)).collect();
    if expected.iter().map(|(key, _)| key).eq(listing.iter().map(|(key, _)| key))
        && expected == listing
    {
        return Ok(());
    }
    let differs = expected.iter().zip(listing).position(|(one, other)| one != other);
    let at = differs.unwrap_or(expected.len().min(listing.len()));
    Err(format!(
        "{} keys were made and {} are listed; number {at} should be {:?} and is {:?}",
        expected.len(),
        listing.len(),
        expected.get(at),
        listing.get(at)
    ))
}

fn name(index: u64) -> String {
    format!("{DIR}/{index:020}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::testkit::{change, op, written};
    use store::Action;

    fn case() -> (History, Changes, Vec<(String, OpId)>) {
        let mut history = History::default();
        let mut changes = Changes::default();
        let mut listing = Vec::new();
        for (id, index) in [5, 8, 9].into_iter().enumerate() {
            let (id, key) = (id as u64, name(index));
            history.ops.push(op(Kind::InOrder, DIR, (id, id), written(index, &key, None)));
            changes.note(index, change(Action::Create, &key, Some(id)), 0).unwrap();
            listing.push((key, id));
        }
        (history, changes, listing)
    }

    #[test]
    fn all_of_them_in_order_are_right() {
        let (history, changes, listing) = case();
        assert_eq!(check(&history, &changes, &listing), Ok(()));
    }

    #[test]
    fn lost_doubled_and_disordered_keys_are_wrong() {
        let (history, changes, listing) = case();
        assert!(check(&history, &changes, &listing[..2]).is_err(), "lost");
        let mut doubled = listing.clone();
        doubled.push(listing[0].clone());
        assert!(check(&history, &changes, &doubled).is_err(), "doubled");
        let mut swapped = listing.clone();
        swapped.swap(0, 1);
        assert!(check(&history, &changes, &swapped).is_err(), "out of order");
        let mut other = listing.clone();
        other[1].1 = 77;
        assert!(check(&history, &changes, &other).is_err(), "another's value");
    }

    #[test]
    fn a_name_that_is_not_the_index_is_wrong() {
        let (mut history, changes, listing) = case();
        history.ops[0].outcome = written(5, "/q/6", None);
        assert!(check(&history, &changes, &listing).is_err());
    }
}
