//! The children of a page in another order than they are kept in.

use crate::api::keys::request::view::{OrderBy, View};
use store::Node;

/// What decides where a child comes: it is looked up again when it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Record {
    key: u64,
    place: usize,
}

/// The children of a page.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sorted {
    /// Their places among all children, or among those that are not hidden.
    pub(super) places: Vec<usize>,
    /// How many children passed the filter.
    pub(super) matching: u64,
}

fn key_of(node: &Node, by: OrderBy, place: usize) -> u64 {
    match by {
        OrderBy::Name => place as u64,
        OrderBy::Modified => node.modified().0,
        OrderBy::Created => node.created().0,
        OrderBy::Size => node.value().map_or(0, str::len) as u64,
        OrderBy::Expires => node.deadline().map_or(u64::MAX, |deadline| deadline.0),
    }
}

/// Whether the order is known without a look at each child.
pub(super) fn is_known(view: &View) -> bool {
    view.order.by == OrderBy::Name && view.filter.is_none()
}

/// The children of the page that `view` asks for. All children are looked at, unless only the names
/// descend: a record of 16 bytes is kept for each of them meanwhile.
pub(super) fn sorted(dir: &Node, view: &View, hidden: bool) -> Sorted {
    let offset = view.offset as usize;
    let limit = view.limit.map_or(usize::MAX, |limit| limit as usize);
    if is_known(view) && view.order.descends {
        let len = dir.children_len(hidden);
        let places = (0..len.saturating_sub(offset)).rev().take(limit).collect();
        return Sorted { places, matching: len as u64 };
    }
    let mut records = Vec::new();
    let shown = dir.children().filter(|(name, _)| hidden || !store::is_hidden(name));
    for (place, (name, node)) in shown.enumerate() {
        if view.filter.as_ref().is_none_or(|filter| filter.matches(name)) {
            let key = key_of(node, view.order.by, place);
            let key = if view.order.descends { !key } else { key };
            records.push(Record { key, place });
        }
    }
    let matching = records.len() as u64;
    if offset >= records.len() {
        return Sorted { places: Vec::new(), matching };
    }
    // Only the page itself is sorted.
    if offset > 0 {
        records.select_nth_unstable(offset);
    }
    let rest = records.get_mut(offset..).unwrap_or_default();
    if limit < rest.len() {
        rest.select_nth_unstable(limit);
    }
    let len = limit.min(rest.len());
    let page = rest.get_mut(..len).unwrap_or_default();
    page.sort_unstable();
    Sorted { places: page.iter().map(|record| record.place).collect(), matching }
}
