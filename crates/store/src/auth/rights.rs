//! What a role may do: patterns of keys for reading and for writing.

use super::refusal::Refusal;
use crate::path::KeyPath;

/// What is done with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// It is read or watched.
    Read,
    /// It is changed.
    Write,
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access<'a> {
    /// The key.
    pub path: KeyPath<'a>,
    /// What is done with it.
    pub right: Right,
    /// Whether that is done with all that is below it as well.
    pub recursive: bool,
    /// Whether the key was named with a slash behind it: `/dir/*` covers `/dir/` and not `/dir`.
    pub has_slash: bool,
}

impl<'a> Access<'a> {
    /// To one key, as it stands.
    pub fn new(path: KeyPath<'a>, right: Right) -> Self {
        Self { path, right, recursive: false, has_slash: false }
    }
}

/// The patterns of a role, as they were given. One that ends in `*` means all keys that begin with
/// what is before it; every other one a single key. An absent list is empty, and shown as absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// For reading and watching.
    pub read: Option<Vec<String>>,
    /// For every kind of change.
    pub write: Option<Vec<String>>,
}

impl Rights {
    /// Those of everybody for everything.
    pub fn all() -> Self {
        let all = || Some(vec!["/*".to_owned()]);
        Self { read: all(), write: all() }
    }

    /// Whether there is no pattern.
    pub fn is_empty(&self) -> bool {
        self.read.iter().chain(&self.write).all(Vec::is_empty)
    }

    /// Whether a pattern covers what is wanted.
    pub fn allow(&self, access: Access<'_>) -> bool {
        let patterns = match access.right {
            Right::Read => &self.read,
            Right::Write => &self.write,
        };
        let key = access.path.as_str();
        let is_dir = |text: &str| access.has_slash && text.strip_suffix('/') == Some(key);
        patterns.iter().flatten().any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => key.starts_with(prefix) || is_dir(prefix),
            None => !access.recursive && (key == pattern || is_dir(pattern)),
        })
    }

    /// These and others, sorted.
    pub(super) fn with(&self, granted: &Rights) -> Result<Rights, Refusal> {
        Ok(Rights {
            read: Some(grown(&self.read, &granted.read, "read")?),
            write: Some(grown(&self.write, &granted.write, "write")?),
        })
    }

    /// These without others, sorted.
    pub(super) fn without(&self, revoked: &Rights) -> Rights {
        let left = |have: &Option<Vec<String>>, revoked: &Option<Vec<String>>| {
            let is_revoked = |pattern: &&String| revoked.iter().flatten().any(|it| it == *pattern);
            let left = have.iter().flatten().filter(|pattern| !is_revoked(pattern)).cloned();
            Some(sorted(left.collect()))
        };
        Rights { read: left(&self.read, &revoked.read), write: left(&self.write, &revoked.write) }
    }

    pub(super) fn bytes(&self) -> usize {
        self.read.iter().chain(&self.write).flatten().map(|pattern| pattern.len() + 32).sum()
    }
}

pub(super) fn sorted(mut list: Vec<String>) -> Vec<String> {
    list.sort_unstable();
    list.dedup();
    list
}

fn grown(
    have: &Option<Vec<String>>,
    granted: &Option<Vec<String>>,
    what: &str,
) -> Result<Vec<String>, Refusal> {
    let mut all = sorted(have.iter().flatten().cloned().collect());
    for pattern in granted.iter().flatten() {
        match all.binary_search(pattern) {
            Ok(_) => {
                let text = format!("Granting duplicate {what} permission {pattern}");
                return Err(Refusal::Conflict(text));
            }
            Err(at) => all.insert(at, pattern.clone()),
        }
    }
    Ok(all)
}
