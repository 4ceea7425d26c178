//! An ordered map from names that shares structure between versions.
//!
//! A B+tree whose pages are reference-counted: cloning the map copies one pointer, and a change
//! copies only the pages on its way, and those only while another version holds them. Names are
//! kept in byte order, so sorted listings cost nothing. Pages are as large as what is in them: a
//! directory with one child costs one small allocation.

use crate::name::Name;
use std::sync::Arc;

/// Entries of a page at most.
const PAGE_MAX: usize = 32;

/// A page with fewer entries is merged with a neighbour when both fit into one.
const PAGE_MIN: usize = 8;

#[derive(Clone, Debug)]
pub(crate) struct Entry<V> {
    pub(crate) name: Name,
    pub(crate) value: V,
}

#[derive(Clone, Debug)]
struct Child<V> {
    /// No name in the page is smaller; names between two pages belong to the earlier one. That of a
    /// page's first child is never looked at and may be anything: the page above
    /// has the bound that holds.
    first: Name,
    /// How many entries are in the page and below it.
    count: usize,
    page: Arc<Page<V>>,
}

#[derive(Clone, Debug)]
enum Page<V> {
    Leaf(Vec<Entry<V>>),
    Inner(Vec<Child<V>>),
}

/// The children of a directory.
#[derive(Clone, Debug)]
pub(crate) struct Tree<V> {
    root: Option<Arc<Page<V>>>,
}

fn find<V>(entries: &[Entry<V>], name: &str) -> Result<usize, usize> {
    entries.binary_search_by(|entry| entry.name.cmp_text(name))
}

/// The child whose page a name belongs to.
fn route<V>(children: &[Child<V>], name: &str) -> usize {
    children.partition_point(|child| child.first.cmp_text(name).is_le()).saturating_sub(1)
}

/// Inserts with room for a few more: half again as much, but never the four that a vector starts
/// with.
fn insert_tight<T>(items: &mut Vec<T>, at: usize, item: T) {
    if items.len() == items.capacity() {
        items.reserve_exact(items.len() / 2 + 1);
    }
    items.insert(at, item);
}

impl<V> Page<V> {
    fn len(&self) -> usize {
        match self {
            Page::Leaf(entries) => entries.len(),
            Page::Inner(children) => children.len(),
        }
    }

    /// How many entries are in it and below it.
    fn count(&self) -> usize {
        match self {
            Page::Leaf(entries) => entries.len(),
            Page::Inner(children) => children.iter().map(|child| child.count).sum(),
        }
    }
}

impl<V> Child<V> {
    fn new(first: Name, page: Page<V>) -> Self {
        Self { first, count: page.count(), page: Arc::new(page) }
    }
}

impl<V: Clone> Page<V> {
    /// Inserts or replaces. A page that overflows gives its upper part.
    fn insert(&mut self, name: &str, value: V) -> (Option<V>, Option<Child<V>>) {
        match self {
            Page::Leaf(entries) => match find(entries, name) {
                Ok(at) => {
                    let old = entries.get_mut(at).map(|e| std::mem::replace(&mut e.value, value));
                    (old, None)
                }
                Err(at) => {
                    insert_tight(entries, at, Entry { name: name.into(), value });
                    let upper = split(entries, at).map(|upper| {
                        let first = upper.first().map_or_else(Name::default, |e| e.name.clone());
                        Child::new(first, Page::Leaf(upper))
                    });
                    (None, upper)
                }
            },
            Page::Inner(children) => {
                let at = route(children, name);
                let Some(child) = children.get_mut(at) else { return (None, None) };
                let (old, upper) = Arc::make_mut(&mut child.page).insert(name, value);
                let Some(upper) = upper else {
                    child.count += usize::from(old.is_none());
                    return (old, None);
                };
                child.count = child.page.count();
                insert_tight(children, at + 1, upper);
                let upper = split(children, at + 1).map(|upper| {
                    let first = upper.first().map_or_else(Name::default, |c| c.first.clone());
                    Child::new(first, Page::Inner(upper))
                });
                (old, upper)
            }
        }
    }

    fn remove(&mut self, name: &str) -> Option<V> {
        match self {
            Page::Leaf(entries) => {
                let at = find(entries, name).ok()?;
                let value = entries.remove(at).value;
                if entries.capacity() > PAGE_MIN && entries.len() * 2 < entries.capacity() {
                    entries.shrink_to(entries.len() + entries.len() / 4);
                }
                Some(value)
            }
            Page::Inner(children) => {
                let at = route(children, name);
                let child = children.get_mut(at)?;
                let value = Arc::make_mut(&mut child.page).remove(name)?;
                child.count -= 1;
                settle(children, at);
                Some(value)
            }
        }
    }
}

/// The upper part of a page that is too full. Names that only ever grow leave full pages behind.
fn split<T>(items: &mut Vec<T>, inserted_at: usize) -> Option<Vec<T>> {
    if items.len() <= PAGE_MAX {
        return None;
    }
    let at = if inserted_at + 1 == items.len() { inserted_at } else { items.len() / 2 };
    let mut upper = Vec::with_capacity(items.len() - at);
    upper.extend(items.drain(at..));
    items.shrink_to_fit();
    Some(upper)
}

/// Removes an empty child, and merges a small one with a neighbour.
fn settle<V: Clone>(children: &mut Vec<Child<V>>, at: usize) {
    let len = children.get(at).map_or(0, |child| child.page.len());
    if len == 0 {
        children.remove(at);
        return;
    }
    if len >= PAGE_MIN {
        return;
    }
    let fits = |other: usize| {
        children.get(other).is_some_and(|child| child.page.len() + len <= PAGE_MAX - PAGE_MIN)
    };
    if fits(at + 1) {
        merge(children, at);
    } else if at > 0 && fits(at - 1) {
        merge(children, at - 1);
    }
}

/// Moves everything of the page behind `at` into the page at `at`.
fn merge<V: Clone>(children: &mut Vec<Child<V>>, at: usize) {
    let right = children.remove(at + 1);
    let Some(left) = children.get_mut(at) else { return };
    left.count += right.count;
    match (Arc::make_mut(&mut left.page), Arc::unwrap_or_clone(right.page)) {
        (Page::Leaf(left), Page::Leaf(mut moved)) => left.append(&mut moved),
        (Page::Inner(left), Page::Inner(mut moved)) => {
            // No longer the first of its page, so from now on it is looked at.
            if let Some(child) = moved.first_mut() {
                child.first = right.first;
            }
            left.append(&mut moved);
        }
        _ => unreachable!("all leaves of a tree are equally deep"),
    }
}

impl<V> Default for Tree<V> {
    fn default() -> Self {
        Self { root: None }
    }
}

impl<V: Clone> Tree<V> {
    pub(crate) fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.root.as_deref().map_or(0, Page::count)
    }

    /// How many names sort before `name`.
    pub(crate) fn rank(&self, name: &str) -> usize {
        let Some(mut page) = self.root.as_deref() else { return 0 };
        let mut before = 0;
        loop {
            match page {
                Page::Leaf(entries) => {
                    return before + find(entries, name).unwrap_or_else(|at| at);
                }
                Page::Inner(children) => {
                    let (passed, rest) = children.split_at(route(children, name));
                    before += passed.iter().map(|child| child.count).sum::<usize>();
                    let Some(child) = rest.first() else { return before };
                    page = &child.page;
                }
            }
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&V> {
        let mut page = self.root.as_deref()?;
        loop {
            match page {
                Page::Leaf(entries) => {
                    return entries.get(find(entries, name).ok()?).map(|entry| &entry.value);
                }
                Page::Inner(children) => page = &children.get(route(children, name))?.page,
            }
        }
    }

    /// The value under a name, to be changed in place. The pages on the way become this version's
    /// own.
    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut V> {
        let mut page = Arc::make_mut(self.root.as_mut()?);
        loop {
            match page {
                Page::Leaf(entries) => {
                    let at = find(entries, name).ok()?;
                    return entries.get_mut(at).map(|entry| &mut entry.value);
                }
                Page::Inner(children) => {
                    let at = route(children, name);
                    page = Arc::make_mut(&mut children.get_mut(at)?.page);
                }
            }
        }
    }

    /// Inserts or replaces; gives what was there.
    pub(crate) fn insert(&mut self, name: &str, value: V) -> Option<V> {
        let Some(root) = &mut self.root else {
            let entry = Entry { name: name.into(), value };
            self.root = Some(Arc::new(Page::Leaf(vec![entry])));
            return None;
        };
        let (old, upper) = Arc::make_mut(root).insert(name, value);
        if let Some(upper) = upper {
            // The first child's name is never compared, so any will do that is not larger.
            let lower =
                Child { first: Name::default(), count: root.count(), page: Arc::clone(root) };
            *root = Arc::new(Page::Inner(vec![lower, upper]));
        }
        old
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<V> {
        let root = self.root.as_mut()?;
        let value = Arc::make_mut(root).remove(name)?;
        while let Page::Inner(children) = &**root
            && let [only] = children.as_slice()
        {
            *root = Arc::clone(&only.page);
        }
        if root.len() == 0 {
            self.root = None;
        }
        Some(value)
    }

    pub(crate) fn iter(&self) -> Iter<'_, V> {
        let mut iter = Iter::default();
        if let Some(root) = self.root.as_deref() {
            iter.descend(root, None);
        }
        iter
    }

    /// The entries but for the first `skipped`.
    pub(crate) fn iter_from(&self, skipped: usize) -> Iter<'_, V> {
        let mut iter = Iter::default();
        if let Some(root) = self.root.as_deref() {
            iter.descend_to(root, skipped);
        }
        iter
    }

    /// The entries whose names sort after `name`.
    pub(crate) fn iter_after(&self, name: &str) -> Iter<'_, V> {
        let mut iter = Iter::default();
        if let Some(root) = self.root.as_deref() {
            iter.descend(root, Some(name));
        }
        iter
    }
}

/// Makes a tree of entries that come in the order of their names, full page by full page.
#[derive(Debug)]
pub(crate) struct Builder<V> {
    leaf: Vec<Entry<V>>,
    leaves: Vec<Child<V>>,
}

impl<V> Default for Builder<V> {
    fn default() -> Self {
        Self { leaf: Vec::new(), leaves: Vec::new() }
    }
}

impl<V: Clone> Builder<V> {
    /// The name that came last.
    pub(crate) fn last(&self) -> Option<&Name> {
        self.leaf.last().map(|entry| &entry.name)
    }

    pub(crate) fn push(&mut self, name: Name, value: V) {
        if self.leaf.len() == PAGE_MAX {
            self.end_leaf();
        }
        let end = self.leaf.len();
        insert_tight(&mut self.leaf, end, Entry { name, value });
    }

    fn end_leaf(&mut self) {
        let mut leaf = std::mem::take(&mut self.leaf);
        leaf.shrink_to_fit();
        if let Some(first) = leaf.first().map(|entry| entry.name.clone()) {
            self.leaves.push(Child::new(first, Page::Leaf(leaf)));
        }
    }

    pub(crate) fn finish(mut self) -> Tree<V> {
        self.end_leaf();
        let mut pages = self.leaves;
        while pages.len() > 1 {
            let mut above = Vec::with_capacity(pages.len() / PAGE_MAX + 1);
            let mut below = pages.into_iter().peekable();
            while let Some(first) = below.peek().map(|child| child.first.clone()) {
                let children: Vec<Child<V>> = below.by_ref().take(PAGE_MAX).collect();
                above.push(Child::new(first, Page::Inner(children)));
            }
            pages = above;
        }
        Tree { root: pages.pop().map(|child| child.page) }
    }
}

/// Goes over a tree in the order of names.
#[derive(Clone, Debug)]
pub(crate) struct Iter<'a, V> {
    leaf: std::slice::Iter<'a, Entry<V>>,
    above: Vec<std::slice::Iter<'a, Child<V>>>,
}

impl<V> Default for Iter<'_, V> {
    fn default() -> Self {
        Self { leaf: [].iter(), above: Vec::new() }
    }
}

impl<'a, V> Iter<'a, V> {
    fn descend(&mut self, mut page: &'a Page<V>, after: Option<&str>) {
        loop {
            match page {
                Page::Leaf(entries) => {
                    let skip = after.map_or(0, |name| match find(entries, name) {
                        Ok(at) => at + 1,
                        Err(at) => at,
                    });
                    self.leaf = entries.get(skip..).unwrap_or_default().iter();
                    return;
                }
                Page::Inner(children) => {
                    let skip = after.map_or(0, |name| route(children, name));
                    let mut rest = children.get(skip..).unwrap_or_default().iter();
                    let Some(child) = rest.next() else { return };
                    self.above.push(rest);
                    page = &child.page;
                }
            }
        }
    }
}

impl<'a, V> Iter<'a, V> {
    /// As [`Iter::descend`], to a place.
    fn descend_to(&mut self, mut page: &'a Page<V>, mut skipped: usize) {
        loop {
            match page {
                Page::Leaf(entries) => {
                    self.leaf = entries.get(skipped..).unwrap_or_default().iter();
                    return;
                }
                Page::Inner(children) => {
                    let mut rest = children.iter();
                    let child = loop {
                        match rest.next() {
                            Some(child) if child.count <= skipped => skipped -= child.count,
                            Some(child) => break child,
                            None => return,
                        }
                    };
                    self.above.push(rest);
                    page = &child.page;
                }
            }
        }
    }
}

impl<'a, V> Iterator for Iter<'a, V> {
    type Item = &'a Entry<V>;

    fn next(&mut self) -> Option<&'a Entry<V>> {
        loop {
            if let Some(entry) = self.leaf.next() {
                return Some(entry);
            }
            let above = self.above.last_mut()?;
            match above.next() {
                Some(child) => self.descend(&child.page, None),
                None => {
                    self.above.pop();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
