//! Which crates each crate may use, and that each file belongs to one.

use super::modules::{Tests, Tree};
use super::text;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use toml::Table;

/// Which crates of ours each may use, as ARCHITECTURE.md draws them: dependencies point one way.
const LAYERS: [(&str, &[&str]); 11] = [
    ("store", &[]),
    ("wal", &[]),
    ("replica", &["store", "wal"]),
    ("server", &["replica", "store", "wal"]),
    ("legacy", &[]),
    ("client", &[]),
    // Its commands read backups without a server.
    ("stead", &["client", "legacy", "replica", "server", "store"]),
    ("sim", &["replica", "store", "wal"]),
    ("torture", &["sim", "store"]),
    ("dist", &[]),
    ("fuzzed", &["legacy", "replica", "server", "store", "wal"]),
];

/// Crates of others that only these of ours may use.
const ONLY: [(&str, &[&str]); 11] = [
    ("httparse", &["server"]),
    ("listenfd", &["server"]),
    ("mio", &["server"]),
    ("raft", &["replica"]),
    ("ring", &["dist", "server"]),
    ("rustix", &["client", "legacy", "server", "stead", "torture"]),
    ("rustls", &["client", "server"]),
    ("sd-notify", &["stead"]),
    ("signal-hook", &["client", "server", "torture"]),
    ("socket2", &["server"]),
    ("ureq", &["client", "server", "stead"]),
];

/// Crates that use no other but these.
const SPARE: [(&str, &[&str]); 2] = [("store", &[]), ("wal", &["crc32c"])];

/// Crates that must do the same again, given the same: clippy keeps clocks, threads and randomness
/// out of them.
const PURE: [&str; 3] = ["store", "wal", "replica"];

/// What their lib.rs says, so that their own clippy.toml holds for it.
const DENIED: &str = "#![deny(clippy::disallowed_methods, clippy::disallowed_types)]";

/// Checks the dependencies, and that each Rust file is one of a crate.
pub(crate) fn check(problems: &mut Vec<String>) {
    for (name, allowed) in LAYERS {
        let path = format!("crates/{name}/Cargo.toml");
        let manifest = fs::read_to_string(&path).ok().and_then(|text| text.parse().ok());
        match manifest {
            Some(manifest) => check_manifest(name, allowed, &manifest, problems),
            None => problems.push(format!("cannot read {path}")),
        }
    }
    for folder in folders("crates") {
        if !LAYERS.iter().any(|(name, _)| folder.ends_with(name)) {
            problems.push(format!("{}: not listed in xtask/src/tidy/crates.rs", folder.display()));
        }
    }
    check_pure(problems);
    check_files(problems);
}

fn check_pure(problems: &mut Vec<String>) {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let shared = text("crates/store/clippy.toml");
    for name in PURE {
        let config = format!("crates/{name}/clippy.toml");
        if text(&config) != shared || !shared.contains("disallowed-methods") {
            problems.push(format!("{config} is not identical to that of store"));
        }
        let lib = format!("crates/{name}/src/lib.rs");
        if !text(&lib).lines().any(|line| line == DENIED) {
            problems.push(format!("{lib} lacks {DENIED}"));
        }
    }
}

fn check_manifest(name: &str, allowed: &[&str], manifest: &Table, problems: &mut Vec<String>) {
    let path = format!("crates/{name}/Cargo.toml");
    let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
    if lints.and_then(toml::Value::as_bool) != Some(true) {
        problems.push(format!("{path}: does not inherit the workspace's lints"));
    }
    let tables = ["dependencies", "build-dependencies"];
    let used = tables.iter().filter_map(|table| manifest.get(*table)?.as_table());
    for other in used.flat_map(Table::keys).map(String::as_str) {
        let is_own = LAYERS.iter().any(|(own, _)| *own == other);
        let only = ONLY.iter().find(|(foreign, _)| *foreign == other);
        let spare = SPARE.iter().find(|(own, _)| *own == name);
        if is_own && !allowed.contains(&other)
            || only.is_some_and(|(_, users)| !users.contains(&name))
            || spare.is_some_and(|(_, kept)| !kept.contains(&other))
        {
            problems.push(format!("{path}: {name} must not depend on {other}"));
        }
    }
}

/// Each file in Rust is a root of a crate, or a `mod` names it.
fn check_files(problems: &mut Vec<String>) {
    let mut packages = folders("crates");
    packages.extend(["bench", "fuzz", "xtask"].map(PathBuf::from));
    let mut reached = BTreeSet::new();
    for root in packages.iter().flat_map(|package| roots(package)) {
        let tree = Tree::read(&root, Tests::Counted);
        reached.extend(tree.files().into_iter().map(plain));
    }
    for file in text::files(&["rs"]) {
        if !reached.contains(&file) {
            problems.push(format!("{}: not declared by any `mod`", file.display()));
        }
    }
}

/// A path without steps back.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

fn folders(dir: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.is_dir()).collect()
}

/// Where cargo begins to read: the library, the programs, each test.
fn roots(package: &Path) -> Vec<PathBuf> {
    let mut roots = vec![package.join("build.rs")];
    roots.extend(["lib.rs", "main.rs"].map(|name| package.join("src").join(name)));
    for folder in ["benches", "examples", "fuzz_targets", "src/bin", "tests"] {
        let entries = fs::read_dir(package.join(folder)).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            let is_rust = path.extension().is_some_and(|extension| extension == "rs");
            roots.push(if is_rust { path } else { path.join("main.rs") });
        }
    }
    roots.retain(|root| root.is_file());
    roots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_point_one_way() {
        let problems = |name: &str, dependencies: &str| {
            let text = format!("[lints]\nworkspace = true\n[dependencies]\n{dependencies}");
            let manifest: Table = text.parse().expect("TOML");
            let allowed = LAYERS.iter().find(|(own, _)| *own == name).expect("it is drawn").1;
            let mut problems = Vec::new();
            check_manifest(name, allowed, &manifest, &mut problems);
            problems.len()
        };
        assert_eq!(problems("store", ""), 0);
        assert_eq!(problems("store", "bytes.workspace = true"), 1);
        assert_eq!(problems("replica", "store.workspace = true\nraft.workspace = true"), 0);
        assert_eq!(problems("replica", "server = { workspace = true }"), 1);
        assert_eq!(problems("replica", "mio.workspace = true\n[dev-dependencies]\nsim = \"1\""), 1);
        assert_eq!(problems("server", "raft.workspace = true"), 1);
        let mut found = Vec::new();
        check_manifest("store", &[], &Table::new(), &mut found);
        assert_eq!(found.len(), 1);
    }
}
