//! The modules of a crate and the files that define them, and which file uses which.

use super::lexer;
use super::paths::{self, Names, Used};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A module's path from the root of its crate.
type Module = Vec<String>;

/// How many names may stand for one another in a row.
const ALIASES_MAX: usize = 16;

/// All that is reached by `mod` from one root.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// Which file a module is in. One that is written out in its parent's file is there too.
    files: BTreeMap<Module, PathBuf>,
    names: BTreeMap<Module, Names>,
    /// What `use` calls something, in each module.
    aliases: BTreeMap<Module, BTreeMap<String, Vec<String>>>,
}

/// One file uses another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edge {
    pub(crate) from: PathBuf,
    pub(crate) to: PathBuf,
    pub(crate) line: usize,
    /// As it is written.
    pub(crate) path: String,
}

/// Whether code that only tests have counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tests {
    Counted,
    LeftOut,
}

impl Tree {
    /// Reads a crate from its root on.
    pub(crate) fn read(root: &Path, tests: Tests) -> Self {
        Self::with(root, tests, &|path| fs::read_to_string(path).ok())
    }

    fn with(root: &Path, tests: Tests, text: &dyn Fn(&Path) -> Option<String>) -> Self {
        let mut tree = Self::default();
        tree.add(Vec::new(), root, true, tests, text);
        for (module, names) in &tree.names {
            for one in &names.uses {
                let path = [&one.used.inside[..], &one.used.path].concat();
                // From the module that it is written in.
                let own = [&module[..], &one.used.inside].concat();
                let target = path[one.used.inside.len()..].to_vec();
                tree.aliases.entry(own).or_default().insert(one.name.clone(), target);
            }
        }
        tree
    }

    /// The files that were read.
    pub(crate) fn files(&self) -> BTreeSet<&Path> {
        self.files.values().map(PathBuf::as_path).collect()
    }

    /// Reads a file, and those that its `mod`s name. `owns_folder` is whether these are beside it.
    fn add(
        &mut self,
        module: Module,
        file: &Path,
        owns_folder: bool,
        tests: Tests,
        text: &dyn Fn(&Path) -> Option<String>,
    ) {
        // That a file is missing is for the compiler to say.
        let Some(source) = text(file) else { return };
        let tokens = lexer::tokens(&source);
        let names = match tests {
            Tests::Counted => paths::read(&tokens),
            Tests::LeftOut => paths::read(&lexer::without_tests(&tokens)),
        };
        self.files.insert(module.clone(), file.to_owned());
        let beside = file.parent().unwrap_or(Path::new(""));
        let folder = if owns_folder { beside.to_owned() } else { file.with_extension("") };
        for one in &names.modules {
            let mut inner = module.clone();
            inner.extend(one.inside.iter().cloned());
            // A module that is written out has no file of its own.
            for depth in module.len() + 1..=inner.len() {
                self.files.insert(inner[..depth].to_vec(), file.to_owned());
            }
            inner.push(one.name.clone());
            if let Some(path) = &one.path {
                self.add(inner, &beside.join(path), true, tests, text);
                continue;
            }
            let folder = one.inside.iter().fold(folder.clone(), |folder, name| folder.join(name));
            let flat = folder.join(format!("{}.rs", one.name));
            let nested = folder.join(&one.name).join("mod.rs");
            let is_flat = text(&flat).is_some();
            self.add(inner, if is_flat { &flat } else { &nested }, !is_flat, tests, text);
        }
        self.names.insert(module, names);
    }

    /// Which file uses which, in order, each line once.
    pub(crate) fn edges(&self) -> Vec<Edge> {
        let mut edges = BTreeSet::new();
        for (module, names) in &self.names {
            for one in &names.uses {
                let (file, is_module) = self.find(module, &one.used);
                // What is given on is not used here, and the name of a module is used by the paths
                // that begin with it.
                let is_glob = one.name == "*";
                if !one.is_public && (is_glob || !is_module) {
                    edges.extend(self.edge(module, file, &one.used));
                }
            }
            for used in &names.paths {
                edges.extend(self.edge(module, self.find(module, used).0, used));
            }
        }
        edges.into_iter().collect()
    }

    fn edge(&self, module: &Module, to: Option<&Path>, used: &Used) -> Option<Edge> {
        let from = self.files.get(module)?.clone();
        let to = to.filter(|to| *to != from)?.to_owned();
        Some(Edge { from, to, line: used.line, path: used.path.join("::") })
    }

    /// The file where what is used is defined, if that is in this crate; and whether it is a
    /// module.
    fn find(&self, module: &Module, used: &Used) -> (Option<&Path>, bool) {
        let own = [&module[..], &used.inside].concat();
        let Some((module, is_module)) = self.resolve(&own, &used.path, ALIASES_MAX) else {
            return (None, false);
        };
        (self.files.get(&module).map(PathBuf::as_path), is_module)
    }

    /// The module with the longest path that defines a name, seen from a module. `left` is how many
    /// other names may stand for it.
    fn resolve(&self, own: &Module, path: &[String], left: usize) -> Option<(Module, bool)> {
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Module::new(),
            "self" => own.clone(),
            "super" => {
                let mut up = own.clone();
                up.pop()?;
                while let Some(("super", behind)) = rest.split_first().map(|(a, b)| (a.as_str(), b))
                {
                    up.pop()?;
                    rest = behind;
                }
                up
            }
            _ if self.child(own, first).is_some() => self.child(own, first)?,
            _ => {
                let target = self.aliases.get(own)?.get(first)?;
                // `use crate_name;` stands for itself.
                let is_other = left > 0 && target.first() != Some(first);
                let (at, is_module) =
                    is_other.then(|| self.resolve(own, target, left - 1)).flatten()?;
                if !is_module {
                    return Some((at, false));
                }
                at
            }
        };
        while let Some((next, behind)) = rest.split_first() {
            if let Some(child) = self.child(&at, next) {
                at = child;
                rest = behind;
                continue;
            }
            let target = self.aliases.get(&at).and_then(|names| names.get(next));
            let Some(target) = target.filter(|_| left > 0) else { return Some((at, false)) };
            // The name is given on: of another crate, or of a module of this one.
            let (found, is_module) = self.resolve(&at, target, left - 1)?;
            if !is_module {
                return Some((found, false));
            }
            at = found;
            rest = behind;
        }
        Some((at, true))
    }

    fn child(&self, module: &Module, name: &str) -> Option<Module> {
        let mut child = module.clone();
        child.push(name.to_owned());
        self.files.contains_key(&child).then_some(child)
    }
}

#[cfg(test)]
pub(crate) mod testkit {
    use super::*;

    /// A crate of these files below `src`, from `src/lib.rs` on.
    pub(crate) fn tree(files: &[(&str, &str)]) -> Tree {
        let text = |path: &Path| {
            let name = path.strip_prefix("src").ok()?.to_str()?;
            files.iter().find(|(file, _)| *file == name).map(|(_, text)| (*text).to_owned())
        };
        Tree::with(Path::new("src/lib.rs"), Tests::LeftOut, &text)
    }

    /// Who uses whom, without `src/` and `.rs`.
    pub(crate) fn edges(files: &[(&str, &str)]) -> Vec<String> {
        let name = |path: &Path| {
            let path = path.with_extension("").display().to_string();
            path.trim_start_matches("src/").to_owned()
        };
        let edges = tree(files).edges();
        edges
            .iter()
            .map(|edge| format!("{}:{} {}", name(&edge.from), edge.line, name(&edge.to)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::testkit::{edges, tree};

    #[test]
    fn a_path_leads_to_the_file_that_defines_it() {
        let root = ("lib.rs", "mod a;\nmod b;\nfn own() {}");
        let part = ("b/mod.rs", "mod c;\npub(crate) use c::Given;\npub(crate) struct Own;");
        let inner = ("b/c.rs", "pub(crate) struct Given;");
        for (source, want) in [
            ("use crate::b::Own;", vec!["a:1 b/mod"]),
            ("use crate::b::Given;", vec!["a:1 b/c"]),
            ("use crate::b::{self};\nfn x() { b::Given; b::Own }", vec!["a:2 b/c", "a:2 b/mod"]),
            ("use super::b as d;\nfn x(y: d::c::Given) {}", vec!["a:2 b/c"]),
            ("fn x() { crate::b::c::Given::new(); }", vec!["a:1 b/c"]),
            ("use crate::own;", vec!["a:1 lib"]),
            ("use std::fs;\nuse bytes::Bytes;\nfn x() { fs::read(); Vec::new() }", vec![]),
            ("#[cfg(test)]\nmod tests { use crate::b::Own; }", vec![]),
            ("mod inner { use super::super::b::Own; }", vec!["a:1 b/mod"]),
            ("use crate::b::*;", vec!["a:1 b/mod"]),
        ] {
            assert_eq!(edges(&[root, part, inner, ("a.rs", source)]), want, "{source}");
        }
    }

    #[test]
    fn what_a_folder_gives_on_is_not_used_by_it() {
        let root = ("lib.rs", "mod a;");
        let part = ("b.rs", "use super::Own;");
        let given = ("a/mod.rs", "mod b;\npub(crate) use b::Given;\nstruct Own;");
        assert!(edges(&[root, given]).is_empty());
        let used = ("a/mod.rs", "mod b;\nuse b::Given;\nstruct Own;");
        assert_eq!(edges(&[root, used, ("a/b.rs", part.1)]), ["a/b:1 a/mod", "a/mod:2 a/b"]);
    }

    #[test]
    fn files_are_reached_by_mod_alone() {
        let files = [("lib.rs", "mod a;\nmod gone;"), ("a.rs", ""), ("b.rs", "")];
        assert_eq!(tree(&files).files().len(), 2);
    }

    #[test]
    fn names_that_stand_for_themselves_end() {
        let one = ("lib.rs", "mod a;\nuse a::b;\nuse x as y;\nuse y as x;");
        let two = ("a.rs", "use super::x::z;");
        assert_eq!(edges(&[one, two]), ["lib:2 a"]);
    }
}
