//! Whether the target has what the source has.

use super::hidden::Hidden;
use super::read::list;
use super::reader::Reader;
use crate::import::clock::now;
use crate::import::key::is_reserved;
use legacy::{Content, NodeState, WallTime};
use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;

/// By how much deadlines may differ: they are sent in whole seconds, rounded up.
const SLACK_NS: u64 = 2_000_000_000;

const CENTURIES_NS: u64 = 200 * 365 * 86_400 * 1_000_000_000;

/// How often keys that differ are looked at again, since the source may change meanwhile.
const ROUNDS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(500);

/// Up to so many keys are looked at one by one.
const SINGLY_MAX: usize = 2000;

/// How many differences are named.
const NAMED_MAX: usize = 10;

/// Nodes by their keys at the target.
pub(super) type Nodes = BTreeMap<String, NodeState>;

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Verdict {
    /// Nodes that were compared.
    pub(super) compared: u64,
    pub(super) differences: u64,
    /// The first of them.
    pub(super) named: Vec<String>,
    /// Keys that the target alone has, which is no difference where it may have others.
    pub(super) others: u64,
    pub(super) first_other: Option<String>,
}

/// The two sides, and how they belong together.
#[derive(Debug)]
pub(super) struct Sides<'a> {
    pub(super) source: &'a mut Reader,
    pub(super) target: &'a mut Reader,
    pub(super) hidden: &'a mut Hidden,
    pub(super) prefix: &'a str,
    /// Whether the target may have keys that the source has not.
    pub(super) others: bool,
}

impl Sides<'_> {
    /// Compares all nodes: kinds, values, and TTLs to two seconds.
    ///
    /// # Errors
    /// Why a side cannot be read, in a sentence.
    pub(super) fn verify(&mut self) -> Result<Verdict, String> {
        let mut verdict = Verdict::default();
        let mut doubtful = self.compare_all(&mut verdict)?;
        for _ in 1..ROUNDS {
            if doubtful.is_empty() {
                break;
            }
            thread::sleep(PAUSE);
            doubtful = match doubtful.len() {
                0..=SINGLY_MAX => self.compare_again(doubtful)?,
                _ => self.compare_all(&mut verdict)?,
            };
        }
        verdict.differences = doubtful.len() as u64;
        let named = doubtful.into_iter().take(NAMED_MAX);
        verdict.named = named.map(|(key, what)| format!("{key}: {what}")).collect();
        Ok(verdict)
    }

    fn compare_all(&mut self, verdict: &mut Verdict) -> Result<BTreeMap<String, String>, String> {
        let source = nodes(self.source, self.hidden, "", self.prefix)?;
        let target = nodes(self.target, self.hidden, self.prefix, "")?;
        let keys: BTreeSet<&String> = source.keys().chain(target.keys()).collect();
        let mut doubtful = BTreeMap::new();
        (verdict.compared, verdict.others, verdict.first_other) = (0, 0, None);
        for key in keys {
            let (one, other) = (source.get(key), target.get(key));
            let is_other = one.is_none() && self.others;
            let what = if is_other { None } else { difference(one, other) };
            verdict.others += u64::from(is_other);
            if is_other && verdict.first_other.is_none() {
                verdict.first_other = Some(key.clone());
            }
            verdict.compared += u64::from(!is_other);
            if let Some(what) = what {
                doubtful.insert(key.clone(), what);
            }
        }
        Ok(doubtful)
    }

    fn compare_again(
        &mut self,
        doubtful: BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, String> {
        let mut left = BTreeMap::new();
        for key in doubtful.into_keys() {
            let path = key.strip_prefix(self.prefix).unwrap_or(&key);
            let (one, other) = (state_of(self.source, path)?, state_of(self.target, &key)?);
            if let Some(what) = difference(one.as_ref(), other.as_ref()) {
                left.insert(key, what);
            }
        }
        Ok(left)
    }
}

fn state_of(reader: &mut Reader, key: &str) -> Result<Option<NodeState>, String> {
    let listing = reader.look(key)?;
    Ok(listing.and_then(|mut listing| listing.nodes.pop()).map(|node| node.state))
}

/// All nodes of a side below `below`, with `prefix` in front, without what servers keep for
/// themselves.
pub(super) fn nodes(
    reader: &mut Reader,
    hidden: &mut Hidden,
    below: &str,
    prefix: &str,
) -> Result<Nodes, String> {
    let mut found = Nodes::new();
    let parts = match below {
        "" => list(reader, hidden)?,
        _ => list_below(reader, hidden, below)?,
    };
    for node in parts.into_iter().flat_map(|(_, listing)| listing.nodes) {
        let is_own = node.path == "/_etcd" || is_reserved(&node.path);
        if !is_own && node.path != below {
            found.insert(format!("{prefix}{}", node.path), node.state);
        }
    }
    Ok(found)
}

fn list_below(
    reader: &mut Reader,
    hidden: &Hidden,
    below: &str,
) -> Result<Vec<(String, crate::import::tree::Listing)>, String> {
    let mut parts = Vec::new();
    let paths = hidden.iter().map(|path| format!("{below}{path}"));
    for path in std::iter::once(below.to_owned()).chain(paths) {
        parts.extend(reader.list(&path)?.map(|listing| (path, listing)));
    }
    Ok(parts)
}

/// In what two nodes differ, for people.
pub(super) fn difference(source: Option<&NodeState>, target: Option<&NodeState>) -> Option<String> {
    let (one, other) = match (source, target) {
        (None, None) => return None,
        (Some(_), None) => return Some("missing at the target".to_owned()),
        (None, Some(_)) => return Some("at the target alone".to_owned()),
        (Some(one), Some(other)) => (one, other),
    };
    match (&one.content, &other.content) {
        (Content::Dir, Content::File(_)) => return Some("a file at the target".to_owned()),
        (Content::File(_), Content::Dir) => return Some("a directory at the target".to_owned()),
        (Content::File(one), Content::File(other)) if one != other => {
            let (one, other) = (one.len(), other.len());
            return Some(format!("other values ({one} bytes here, {other} at the target)"));
        }
        _ => {}
    }
    differ_in_time(one.expiration, other.expiration)
}

/// In what two deadlines differ, for people. One in centuries is none: where the dialect has no
/// way to take the TTL from a directory it gets such a one.
pub(super) fn differ_in_time(one: Option<WallTime>, other: Option<WallTime>) -> Option<String> {
    let far = now().0.saturating_add(CENTURIES_NS);
    let near = |deadline: Option<WallTime>| deadline.filter(|deadline| deadline.0 < far);
    match (near(one), near(other)) {
        (None, None) => None,
        (Some(_), None) => Some("without its TTL at the target".to_owned()),
        (None, Some(_)) => Some("with a TTL at the target alone".to_owned()),
        (Some(one), Some(other)) if one.0.abs_diff(other.0) <= SLACK_NS => None,
        (Some(one), Some(other)) => {
            let seconds = one.0.abs_diff(other.0) / 1_000_000_000;
            let word = if other > one { "longer" } else { "shorter" };
            Some(format!("a TTL that is {seconds} s {word} at the target"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(value: &str, expiration: Option<u64>) -> NodeState {
        let expiration = expiration.map(|seconds| WallTime(seconds * 1_000_000_000));
        NodeState { content: Content::File(value.to_owned()), created: 1, modified: 1, expiration }
    }

    #[test]
    fn kinds_values_and_ttls_are_compared_and_indexes_are_not() {
        let dir = NodeState { content: Content::Dir, ..file("", None) };
        let one = file("a", Some(10));
        let moved = NodeState { created: 7, modified: 9, ..file("a", Some(12)) };
        assert_eq!(difference(Some(&one), Some(&moved)), None);
        for (other, want) in [
            (Some(dir), "a directory"),
            (Some(file("b", Some(10))), "other values"),
            (Some(file("a", None)), "without its TTL"),
            (Some(file("a", Some(13))), "3 s longer"),
            (Some(file("a", Some(5))), "5 s shorter"),
            (None, "missing"),
        ] {
            let found = difference(Some(&one), other.as_ref()).expect(want);
            assert!(found.contains(want), "{found}");
        }
        assert!(difference(None, Some(&one)).is_some());
    }
}
