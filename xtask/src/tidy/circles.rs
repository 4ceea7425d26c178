//! Files of one crate that use each other in a circle.

use super::modules::{Edge, Tests, Tree};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The crates whose files must not use each other in a circle.
const CRATES: [&str; 6] = ["replica", "server", "sim", "stead", "store", "wal"];

/// Files each of which can be reached from each other one, and how.
#[derive(Debug)]
pub(crate) struct Circle {
    pub(crate) files: BTreeSet<PathBuf>,
    edges: Vec<Edge>,
}

impl Circle {
    /// The files, and a line for each two of which one uses the other.
    fn print(&self) {
        let files: Vec<String> = self.files.iter().map(|file| name(file)).collect();
        println!("cycle of {}: {}", files.len(), files.join(", "));
        let mut pairs: BTreeMap<(&Path, &Path), Vec<String>> = BTreeMap::new();
        for Edge { from, to, line, path } in &self.edges {
            pairs.entry((from, to)).or_default().push(format!("{line} {path}"));
        }
        for ((from, to), uses) in pairs {
            println!("    {} -> {}: {}", name(from), name(to), uses.join(", "));
        }
    }
}

/// A path without what all have in common.
fn name(path: &Path) -> String {
    let path = path.display().to_string().replace("/src/", "/");
    path.trim_start_matches("crates/").to_owned()
}

/// Prints all circles.
pub(crate) fn print() {
    for circle in all() {
        circle.print();
    }
}

/// No circle is allowed.
pub(crate) fn check(problems: &mut Vec<String>) {
    problems.extend(all().iter().map(|circle| {
        let files: Vec<String> = circle.files.iter().map(|file| name(file)).collect();
        format!(
            "{} import each other in a cycle; run `cargo xtask tidy --circles` for the imports",
            files.join(", ")
        )
    }));
}

fn all() -> Vec<Circle> {
    let roots = CRATES.iter().flat_map(|name| {
        ["lib.rs", "main.rs"].map(|root| Path::new("crates").join(name).join("src").join(root))
    });
    let trees = roots.filter(|root| root.exists()).map(|root| Tree::read(&root, Tests::LeftOut));
    trees.flat_map(|tree| circles(&tree.edges())).collect()
}

/// The strongly connected components of more than one file.
fn circles(edges: &[Edge]) -> Vec<Circle> {
    let mut uses: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
    for edge in edges {
        uses.entry(&edge.from).or_default().insert(&edge.to);
    }
    let reached: BTreeMap<&Path, BTreeSet<&Path>> =
        uses.keys().map(|from| (*from, reach(&uses, from))).collect();
    let mut found: Vec<BTreeSet<PathBuf>> = Vec::new();
    for (from, reachable) in &reached {
        if !reachable.contains(from) || found.iter().any(|files| files.contains(*from)) {
            continue;
        }
        let back = |to: &&&Path| reached.get(**to).is_some_and(|others| others.contains(from));
        found.push(reachable.iter().filter(back).map(|file| file.to_path_buf()).collect());
    }
    let circle = |files: BTreeSet<PathBuf>| {
        let is_inside = |edge: &&Edge| files.contains(&edge.from) && files.contains(&edge.to);
        let edges = edges.iter().filter(is_inside).cloned().collect();
        Circle { files, edges }
    };
    found.into_iter().map(circle).collect()
}

/// All files that are used from this one on.
fn reach<'a>(uses: &BTreeMap<&'a Path, BTreeSet<&'a Path>>, from: &'a Path) -> BTreeSet<&'a Path> {
    let (mut reached, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(next) = open.pop() {
        for to in uses.get(next).into_iter().flatten() {
            if reached.insert(*to) {
                open.push(to);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::super::modules::testkit::tree;
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let name = |path: &PathBuf| path.file_stem().unwrap_or_default().display().to_string();
        let circles = circles(&tree(files).edges());
        circles.iter().map(|circle| circle.files.iter().map(name).collect()).collect()
    }

    #[test]
    fn circles_are_found_and_chains_are_not() {
        let root = ("lib.rs", "mod a; mod b; mod c; mod d;");
        let (a, b) = (("a.rs", "use crate::b::B;"), ("b.rs", "use crate::c::C;"));
        let d = ("d.rs", "use crate::a::A;");
        assert!(found(&[root, a, b, ("c.rs", "struct C;"), d]).is_empty());
        assert_eq!(found(&[root, a, b, ("c.rs", "fn c() { super::a::A }"), d]), [["a", "b", "c"]]);
    }

    #[test]
    fn a_root_that_gives_names_on_is_in_no_circle() {
        let root = ("lib.rs", "mod a; mod b; pub use a::A; pub use b::B;");
        assert!(found(&[root, ("a.rs", "use crate::B;"), ("b.rs", "struct B;")]).is_empty());
        let circle = [root, ("a.rs", "use crate::B;"), ("b.rs", "use crate::A;")];
        assert_eq!(found(&circle), [["a", "b"]]);
    }
}
