//! The tree against a sorted map, and what every page promises.

use super::*;
use std::collections::BTreeMap;

/// Checks what every page promises, from its bounds on; gives the depth.
fn check(page: &Page<u64>, lower: Option<&str>, upper: Option<&str>) -> usize {
    assert!(page.len() > 0, "no page is empty");
    assert!(page.len() <= PAGE_MAX);
    match page {
        Page::Leaf(entries) => {
            assert!(entries.is_sorted_by(|one, other| one.name.as_str() < other.name.as_str()));
            for entry in entries {
                assert!(lower.is_none_or(|lower| lower <= entry.name.as_str()));
                assert!(upper.is_none_or(|upper| entry.name.as_str() < upper));
            }
            1
        }
        Page::Inner(children) => {
            let mut depths = Vec::new();
            for (at, child) in children.iter().enumerate() {
                let lower = if at == 0 { lower } else { Some(child.first.as_str()) };
                let upper = children.get(at + 1).map(|next| next.first.as_str()).or(upper);
                assert_eq!(child.count, child.page.count(), "counts follow what is below");
                depths.push(check(&child.page, lower, upper));
            }
            assert!(depths.windows(2).all(|pair| pair[0] == pair[1]), "{depths:?}");
            depths[0] + 1
        }
    }
}

fn names(tree: &Tree<u64>) -> Vec<&str> {
    tree.iter().map(|entry| entry.name.as_str()).collect()
}

/// A sequence of numbers without a pattern, the same in every run.
fn numbers(seed: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(seed), |n| {
        Some(n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
    })
    .map(|n| n >> 33)
}

#[test]
fn it_equals_a_sorted_map_through_insertions_and_removals() {
    let mut tree = Tree::default();
    let mut model = BTreeMap::new();
    let mut deepest = 0;
    // Grows and shrinks twice, through four levels of pages.
    for (round, number) in numbers(7).take(400_000).enumerate() {
        let name = format!("k{}", number % 90_000);
        if number / 90_000 % 100 < [15, 85, 30, 70][round / 100_000] {
            let removed = tree.remove(&name);
            assert_eq!(removed, model.remove(&name));
        } else {
            let old = tree.insert(&name, round as u64);
            assert_eq!(old, model.insert(name, round as u64));
        }
        if round % 9973 == 0 {
            assert_eq!(names(&tree), model.keys().collect::<Vec<_>>());
            assert_eq!(tree.len(), model.len());
            deepest = deepest.max(tree.root.as_ref().map_or(0, |root| check(root, None, None)));
        }
    }
    assert_eq!(deepest, 4);
    for (rank, (name, index)) in model.iter().enumerate() {
        assert_eq!(tree.get(name), Some(index));
        assert_eq!(tree.rank(name), rank);
        let found = tree.iter_from(rank).next().map(|entry| entry.name.as_str());
        assert_eq!(found, Some(name.as_str()));
    }
    for name in model.keys() {
        assert!(tree.remove(name).is_some());
    }
    assert!(tree.is_empty());
}

#[test]
fn names_that_only_move_upwards_keep_their_places() {
    // A window over growing names empties pages at the front, and gaps are filled in behind it.
    let mut tree = Tree::default();
    let mut model = BTreeMap::new();
    for number in 0..20_000_u64 {
        let (name, gap) = (format!("{number:06}"), format!("{:06}x", number / 2 + number / 4));
        for name in [name, gap] {
            tree.insert(&name, number);
            model.insert(name, number);
        }
        let gone = format!("{:06}", number.saturating_sub(3000));
        assert_eq!(tree.remove(&gone), model.remove(&gone));
    }
    let root = tree.root.as_deref().expect("it is not empty");
    check(root, None, None);
    for (name, number) in &model {
        assert_eq!(tree.get(name), Some(number), "{name}");
    }
}

#[test]
fn an_older_version_does_not_see_later_changes() {
    let mut tree = Tree::default();
    for number in 0..500 {
        tree.insert(&format!("{number:03}"), number);
    }
    let older = tree.clone();
    for number in 0..500 {
        tree.insert(&format!("{number:03}"), 1000 + number);
        tree.remove(&format!("{:03}", number / 2));
    }
    let kept: Vec<u64> = older.iter().map(|entry| entry.value).collect();
    assert_eq!(kept, (0..500).collect::<Vec<_>>());
}

#[test]
fn a_tree_of_sorted_entries_is_the_same_tree() {
    for len in [0, 1, 31, 32, 33, 1024, 1025, 5000] {
        let mut builder = Builder::default();
        (0..len).for_each(|n| builder.push(format!("{n:05}").as_str().into(), n));
        let tree = builder.finish();
        tree.root.iter().for_each(|root| assert!(check(root, None, None) <= 4));
        assert_eq!(tree.iter().count() as u64, len);
        assert_eq!(tree.is_empty(), len == 0);
        for n in 0..len {
            assert!(tree.get(&format!("{n:05}")).is_some(), "{n} of {len}");
        }
    }
}

#[test]
fn a_listing_resumes_behind_any_name() {
    let mut tree = Tree::default();
    for number in 0..300 {
        tree.insert(&format!("{:03}", number * 2), number);
    }
    for number in 0..600 {
        let after = format!("{number:03}");
        let want: Vec<&str> = names(&tree).into_iter().filter(|name| *name > &*after).collect();
        let got: Vec<&str> = tree.iter_after(&after).map(|entry| entry.name.as_str()).collect();
        assert_eq!(got, want, "after {after}");
    }
    assert_eq!(tree.iter_after("").count(), 300);
}

#[test]
fn a_listing_begins_at_any_place() {
    let mut tree = Tree::default();
    for number in 0..2000 {
        tree.insert(&format!("{:04}", number * 2), number);
        tree.remove(&format!("{:04}", number / 3));
    }
    let all = names(&tree);
    assert_eq!(tree.len(), all.len());
    for skipped in 0..all.len() + 2 {
        let got = tree.iter_from(skipped).map(|entry| entry.name.as_str());
        assert!(got.eq(all.iter().skip(skipped).copied()), "from {skipped}");
    }
    for number in 0..4100 {
        let name = format!("{number:04}");
        let want = all.iter().filter(|other| **other < &*name).count();
        assert_eq!(tree.rank(&name), want, "{name}");
    }
    assert_eq!((Tree::<u64>::default().len(), Tree::<u64>::default().rank("x")), (0, 0));
}
