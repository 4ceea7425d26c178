//! What a Rust file says of other modules: `mod`, `use`, and paths in expressions and types.

use super::lexer::{Token, closing};

/// One file, read.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) modules: Vec<Declared>,
    pub(crate) uses: Vec<Use>,
    pub(crate) paths: Vec<Used>,
}

/// `mod name;`
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Declared {
    /// The modules written out in this file around it.
    pub(crate) inside: Vec<String>,
    pub(crate) name: String,
    /// What `#[path]` says.
    pub(crate) path: Option<String>,
}

/// One name that a `use` brings.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) used: Used,
    /// The name here; `*` for all that there is.
    pub(crate) name: String,
    /// Whether the name is given on to others.
    pub(crate) is_public: bool,
}

/// A path, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) inside: Vec<String>,
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
}

/// Reads a file.
pub(crate) fn read(tokens: &[Token<'_>]) -> Names {
    let mut reader = Reader { tokens, names: Names::default(), inside: Vec::new(), ends: vec![] };
    let mut at = 0;
    while at < tokens.len() {
        while reader.ends.last().is_some_and(|end| *end <= at) {
            reader.ends.pop();
            reader.inside.pop();
        }
        at = reader.step(at);
    }
    reader.names
}

struct Reader<'a> {
    tokens: &'a [Token<'a>],
    names: Names,
    /// The modules that are written out around this place, and where they end.
    inside: Vec<String>,
    ends: Vec<usize>,
}

impl Reader<'_> {
    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.text)
    }

    /// Reads what begins here; gives where to go on.
    fn step(&mut self, at: usize) -> usize {
        let before = at.checked_sub(1).map_or("", |before| self.text(before));
        match self.text(at) {
            "mod" if is_word(self.text(at + 1)) => self.module(at),
            "use" => {
                let is_public = matches!(before, "pub" | ")");
                let mut at = at + 1;
                // It may begin with `::`, a crate's name behind it.
                let is_foreign = self.text(at) == "::";
                at += usize::from(is_foreign);
                let kept = self.names.uses.len();
                let end = self.tree(at, &[], is_public);
                if is_foreign {
                    self.names.uses.truncate(kept);
                }
                end
            }
            // `pub(in crate::x)` uses nothing.
            "in" if before == "(" => at + 2,
            word if is_word(word) && self.text(at + 1) == "::" && !matches!(before, "::" | ".") => {
                self.path(at)
            }
            _ => at + 1,
        }
    }

    fn module(&mut self, at: usize) -> usize {
        let name = self.text(at + 1).to_owned();
        match self.text(at + 2) {
            ";" => {
                let path = self.path_attribute(at);
                let inside = self.inside.clone();
                self.names.modules.push(Declared { inside, name, path });
            }
            "{" => {
                self.inside.push(name);
                self.ends.push(closing(self.tokens, at + 2) - 1);
            }
            _ => {}
        }
        at + 3
    }

    /// `#[path = "..."]` before the `mod` at this place.
    fn path_attribute(&self, at: usize) -> Option<String> {
        let from = at.saturating_sub(12);
        let before = self.tokens.get(from..at)?;
        let start = before.iter().rposition(|token| matches!(token.text, ";" | "}"));
        let before = before.get(start.map_or(0, |start| start + 1)..)?;
        let place = before.iter().position(|token| token.text == "path")?;
        before.get(place + 2).map(|token| token.text.trim_matches('"').to_owned())
    }

    /// Reads a tree of names; gives what stands behind it.
    fn tree(&mut self, start: usize, prefix: &[String], is_public: bool) -> usize {
        let mut path = prefix.to_vec();
        let mut at = start;
        loop {
            match self.text(at) {
                "{" => {
                    let end = closing(self.tokens, at) - 1;
                    at += 1;
                    while at < end {
                        at = self.tree(at, &path, is_public).max(at + 1);
                    }
                    return end + 1;
                }
                "*" => {
                    self.leaf(path, "*", is_public, at);
                    return at + 1;
                }
                "::" => at += 1,
                word if is_word(word) => {
                    path.push(word.to_owned());
                    at += 1;
                    if self.text(at) == "::" {
                        continue;
                    }
                    // `a::{self}` is `a`.
                    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
                        path.pop();
                    }
                    let own = path.last().cloned().unwrap_or_default();
                    if self.text(at) == "as" {
                        let name = self.text(at + 1).to_owned();
                        self.leaf(path, &name, is_public, at - 1);
                        return at + 2;
                    }
                    self.leaf(path, &own, is_public, at - 1);
                    return at;
                }
                _ => return at + 1,
            }
        }
    }

    fn leaf(&mut self, path: Vec<String>, name: &str, is_public: bool, at: usize) {
        let used = self.used(path, at);
        self.names.uses.push(Use { used, name: name.to_owned(), is_public });
    }

    fn used(&self, path: Vec<String>, at: usize) -> Used {
        let line = self.tokens.get(at).map_or(0, |token| token.line);
        Used { inside: self.inside.clone(), path, line }
    }

    fn path(&mut self, start: usize) -> usize {
        let mut path = vec![self.text(start).to_owned()];
        let mut at = start + 1;
        while self.text(at) == "::" && is_word(self.text(at + 1)) {
            path.push(self.text(at + 1).to_owned());
            at += 2;
        }
        let used = self.used(path, start);
        self.names.paths.push(used);
        at
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_')
        && !text.ends_with(['"', '\''])
}

#[cfg(test)]
mod tests {
    use super::super::lexer::tokens;
    use super::*;

    /// What the uses bring, as `path` or `path as name`; what is given on has a plus.
    fn uses(source: &str) -> Vec<String> {
        let say = |one: &Use| {
            let path = one.used.path.join("::");
            let plus = if one.is_public { "+" } else { "" };
            let is_own = one.used.path.last() == Some(&one.name);
            if is_own { format!("{plus}{path}") } else { format!("{plus}{path} as {}", one.name) }
        };
        read(&tokens(source)).uses.iter().map(say).collect()
    }

    fn paths(source: &str) -> Vec<String> {
        read(&tokens(source)).paths.iter().map(|used| used.path.join("::")).collect()
    }

    #[test]
    fn groups_and_aliases_are_taken_apart() {
        assert_eq!(uses("use crate::a::B;"), ["crate::a::B"]);
        assert_eq!(
            uses("use crate::{a::{self, B as C, d::*}, e};\nuse f;"),
            ["crate::a", "crate::a::B as C", "crate::a::d as *", "crate::e", "f"]
        );
        assert_eq!(uses("use crate::{\n    a::B,\n    c,\n};"), ["crate::a::B", "crate::c"]);
        assert_eq!(uses("pub(crate) use a::B; pub use c::*;"), ["+a::B", "+c as *"]);
        assert_eq!(uses("use ::std::fs; use super::super::a as _;"), ["super::super::a as _"]);
    }

    #[test]
    fn paths_in_code_are_found() {
        let source = "pub(in crate::a) fn b(c: crate::d::E<f::G>) -> Vec<u8> {\n\
                      x.map(super::h); i::j::<K>(m!(crate::n::O)); std::p::q() }";
        assert_eq!(
            paths(source),
            ["crate::d::E", "f::G", "super::h", "i::j", "crate::n::O", "std::p::q"]
        );
    }

    #[test]
    fn modules_and_what_stands_in_them() {
        let names = read(&tokens(
            "mod a;\n#[path = \"../x.rs\"]\npub(crate) mod b;\n\
             mod c { mod d; use super::e; }\nuse f;",
        ));
        let modules: Vec<_> = names
            .modules
            .iter()
            .map(|one| (one.inside.join("::"), one.name.as_str(), one.path.as_deref()))
            .collect();
        assert_eq!(
            modules,
            [
                (String::new(), "a", None),
                (String::new(), "b", Some("../x.rs")),
                ("c".to_owned(), "d", None)
            ]
        );
        let inside: Vec<usize> = names.uses.iter().map(|one| one.used.inside.len()).collect();
        assert_eq!(inside, [1, 0]);
    }
}
