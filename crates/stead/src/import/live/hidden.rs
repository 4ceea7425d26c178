//! Keys that no listing of an etcd shows: those with a name that begins with `_`, and all below.
//! They have to be known by name. Names come from the operator, from habit, from 0.4.9's dump for
//! its migration, and from past events, which etcd shows whether hidden or not.

use super::event::Event;
use super::reader::{Bounds, Kind, LARGE, Reader};
use crate::import::bounds::HIDDEN_MAX;
use crate::import::key::is_reserved;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

/// What programs that were written for etcd keep in hidden directories.
const KNOWN: [&str; 2] = ["/_coreos.com", "/_etcd"];

/// How many past events are looked at, and for how long. An etcd keeps 1000.
const EVENTS_MAX: usize = 2000;
const SCAN_TIMEOUT: Duration = Duration::from_secs(15);

/// How long an event of the past may take.
const EVENT_TIMEOUT: Duration = Duration::from_secs(2);

/// The hidden directory (or file) that a key is in, seen from the directory `root`: the path up to
/// the first name that begins with `_`.
pub(super) fn root_of<'a>(root: &str, key: &'a str) -> Option<&'a str> {
    let rest = key.strip_prefix(root).filter(|rest| rest.starts_with('/'))?;
    let at = rest.find("/_")?;
    let end = rest[at + 1..].find('/').map_or(rest.len(), |len| at + 1 + len);
    key.get(..root.len() + end)
}

/// Hidden keys by name, each before those in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Hidden {
    roots: BTreeSet<String>,
    /// Whether there were more than are looked at.
    pub(super) has_more: bool,
}

impl Hidden {
    /// Takes in a key with all hidden directories that it is in.
    pub(super) fn add(&mut self, key: &str) {
        let mut root = "";
        while let Some(next) = root_of(root, key) {
            if !is_reserved(next) && !self.roots.contains(next) {
                if self.roots.len() >= HIDDEN_MAX {
                    self.has_more = true;
                    return;
                }
                self.roots.insert(next.to_owned());
            }
            root = next;
        }
    }

    pub(super) fn contains(&self, root: &str) -> bool {
        self.roots.contains(root)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.roots.iter().map(String::as_str)
    }
}

/// Finds what can be found before anything is listed.
///
/// # Errors
/// Why the source cannot be read, in a sentence.
pub(super) fn find(reader: &mut Reader, named: &[String]) -> Result<Hidden, String> {
    let mut hidden = Hidden::default();
    // What the operator names comes first, if there are too many.
    named.iter().for_each(|key| hidden.add(key));
    if reader.kind == Kind::Stead {
        // It lists them itself.
        return Ok(hidden);
    }
    KNOWN.iter().for_each(|key| hidden.add(key));
    if reader.kind == Kind::V04 {
        from_dump(reader, &mut hidden);
    }
    from_history(reader, &mut hidden)?;
    Ok(hidden)
}

/// 0.4.9 alone dumps everything for whoever moves away from it.
fn from_dump(reader: &mut Reader, hidden: &mut Hidden) {
    let Ok((answer, _)) = reader.get("/v2/migration/snapshot", LARGE) else { return };
    let origin = Path::new("/v2/migration/snapshot");
    let Ok(dump) = legacy::read_migration(origin, &answer.body) else { return };
    dump.nodes.iter().for_each(|node| hidden.add(&node.path));
}

/// Looks at the past events.
fn from_history(reader: &mut Reader, hidden: &mut Hidden) -> Result<(), String> {
    let begun = Instant::now();
    let bounds = Bounds { patience: EVENT_TIMEOUT, ..LARGE };
    let (mut next, end) = (1, reader.index()?);
    for _ in 0..EVENTS_MAX {
        if next > end || begun.elapsed() > SCAN_TIMEOUT {
            break;
        }
        let path = format!("/v2/keys/?wait=true&recursive=true&waitIndex={next}");
        // A wait that ends without an answer: no event is left.
        let Ok((answer, _)) = reader.try_get(&path, bounds) else { break };
        match (answer.status, answer.error_code()) {
            (200, _) => {
                let Ok(event) = Event::parse(&answer.body) else { break };
                hidden.add(event.key());
                next = event.index().max(next) + 1;
            }
            (_, 401) => match first_kept(&answer.cause()).filter(|first| *first > next) {
                Some(first) => next = first,
                None => break,
            },
            _ => break,
        }
    }
    Ok(())
}

/// The first index of the history, from `the requested history has been cleared [FIRST/ASKED]`.
fn first_kept(cause: &str) -> Option<u64> {
    cause.rsplit_once('[')?.1.split_once('/')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_key_is_known_by_its_first_hidden_name() {
        assert_eq!(root_of("", "/a/_b/c/_d"), Some("/a/_b"));
        assert_eq!(root_of("/a/_b", "/a/_b/c/_d"), Some("/a/_b/c/_d"));
        assert_eq!(root_of("", "/_b"), Some("/_b"));
        assert_eq!(root_of("", "/a/b_/c"), None);
        assert_eq!(root_of("/a", "/ab/_c"), None);
        assert_eq!(root_of("/a/_b", "/a/_b"), None);
    }

    #[test]
    fn all_hidden_directories_around_a_key_are_taken_and_no_more_than_a_few() {
        let mut hidden = Hidden::default();
        hidden.add("/a/_b/c/_d/e");
        hidden.add("/_etcd/machines/m1");
        assert_eq!(hidden.iter().collect::<Vec<_>>(), ["/_etcd", "/a/_b", "/a/_b/c/_d"]);
        (0..HIDDEN_MAX).for_each(|number| hidden.add(&format!("/_{number}")));
        assert!(hidden.has_more && hidden.iter().count() == HIDDEN_MAX);
    }

    #[test]
    fn the_first_index_is_read_from_the_error() {
        let cause = "the requested history has been cleared [253/5]";
        assert_eq!(first_kept(cause), Some(253));
        assert_eq!(first_kept("nonsense"), None);
    }
}
