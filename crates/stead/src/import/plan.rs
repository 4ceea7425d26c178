//! What is to be written: the nodes of the source as requests to the target.

use super::args::Existing;
use super::key::{encode_form, is_reserved, key_path};
use super::target::Listing;
use legacy::{Imported, WallTime};

/// The longest body that a server takes by default (`-max-body-bytes`).
pub(super) const BODY_BYTES_MAX: usize = 10 << 20;

/// The longest path in a request: half of what `-max-head-bytes` is by default, with room for the
/// rest of the line.
pub(super) const TARGET_BYTES_MAX: usize = (64 << 10) - 128;

/// The longest TTL that the API takes, in seconds.
pub(super) const TTL_MAX: u64 = 9_223_372_036;

/// A node that takes a request of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) key: String,
    /// The value of a file; a directory has none.
    pub(super) value: Option<String>,
    pub(super) deadline: Option<WallTime>,
    /// Whether the target has another value, which is replaced.
    pub(super) replaces: bool,
}

/// All that is to be written.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Directories with a deadline, each before those in it: they must be there before anything in
    /// them makes them permanent.
    pub(super) dirs: Vec<Item>,
    /// Files, and empty directories.
    pub(super) items: Vec<Item>,
    pub(super) counts: Counts,
}

/// What a source comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) files: u64,
    pub(super) dirs: u64,
    /// Of values.
    pub(super) bytes: u64,
    /// Nodes that the target has already.
    pub(super) present: u64,
    /// Nodes where the target keeps data of its own.
    pub(super) reserved: u64,
}

impl Plan {
    /// Makes requests of what was read, for a target that has `listing`.
    ///
    /// # Errors
    /// Why nothing can be written: a sentence.
    pub(super) fn make(
        imported: &Imported,
        prefix: &str,
        listing: &Listing,
        existing: Existing,
    ) -> Result<Self, String> {
        let mut plan = Self::default();
        let mut conflicts = Vec::new();
        for node in &imported.nodes {
            let key = format!("{prefix}{}", node.path);
            if is_reserved(&key) {
                plan.counts.reserved += 1;
                continue;
            }
            let value = node.state.content.clone().into_value();
            plan.counts.add(value.as_deref());
            let item = Item { key, value, deadline: node.state.expiration, replaces: false };
            match item.compare(listing, existing) {
                Found::Absent => plan.add(item, imported.has_below(&node.path))?,
                Found::Same => plan.counts.present += 1,
                Found::Replaced => plan.add(Item { replaces: true, ..item }, true)?,
                Found::Conflict => conflicts.push(item.key),
            }
        }
        check_conflicts(&conflicts)?;
        if existing == Existing::Refuse {
            check_others(imported, prefix, listing)?;
        }
        Ok(plan)
    }

    /// Adds a request. A directory that holds something and never expires needs none.
    fn add(&mut self, item: Item, has_below: bool) -> Result<(), String> {
        item.check_size()?;
        match (&item.value, item.deadline) {
            (None, Some(_)) => self.dirs.push(item),
            (None, None) if has_below => {}
            _ => self.items.push(item),
        }
        Ok(())
    }
}

impl Counts {
    pub(super) fn add(&mut self, value: Option<&str>) {
        match value {
            Some(value) => {
                self.files += 1;
                self.bytes += value.len() as u64;
            }
            None => self.dirs += 1,
        }
    }
}

/// What the target has at a key.
enum Found {
    Absent,
    Same,
    /// Another value, which is to be replaced.
    Replaced,
    Conflict,
}

fn check_conflicts(conflicts: &[String]) -> Result<(), String> {
    let Some(first) = conflicts.first() else { return Ok(()) };
    Err(format!(
        "the target has other values (or kinds of nodes) at {} of the keys, such as {first}: \
         nothing was written. --force replaces values; --prefix imports beside them",
        conflicts.len()
    ))
}

/// Refuses a target with keys that are not of the source.
fn check_others(imported: &Imported, prefix: &str, listing: &Listing) -> Result<(), String> {
    let is_of_source = |key: &str| {
        key.strip_prefix(prefix).is_some_and(|path| imported.get(path).is_some())
            // The prefix itself, and what is above it.
            || prefix.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let mut others = listing.keys().filter(|key| !is_of_source(key));
    let Some(first) = others.next() else { return Ok(()) };
    Err(format!(
        "the target has {} other keys already, such as {first}: nothing was written. Use an empty \
         server, --merge to write beside them, or --prefix",
        others.count() + 1
    ))
}

impl Item {
    fn compare(&self, listing: &Listing, existing: Existing) -> Found {
        match listing.get(&self.key) {
            None => Found::Absent,
            Some(found) if *found == self.value => Found::Same,
            Some(Some(_)) if existing == Existing::Overwrite && self.value.is_some() => {
                Found::Replaced
            }
            Some(_) => Found::Conflict,
        }
    }

    /// Refuses what no server takes with its default limits, before anything is written.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub(super) fn check_size(&self) -> Result<(), String> {
        if self.path().len() > TARGET_BYTES_MAX {
            let start: String = self.key.chars().take(60).collect();
            let len = self.key.len();
            return Err(format!("the key {start}... of {len} bytes is too long for a request"));
        }
        let len = self.body(WallTime(0)).len();
        if len > BODY_BYTES_MAX {
            return Err(format!(
                "the value of {} takes {len} bytes in a request, more than {BODY_BYTES_MAX}",
                self.key
            ));
        }
        Ok(())
    }

    /// How long its value is.
    pub(super) fn value_len(&self) -> usize {
        self.value.as_ref().map_or(0, String::len)
    }

    /// The path of its request.
    pub(super) fn path(&self) -> String {
        key_path(&self.key)
    }

    /// The parameters that say what is wanted.
    pub(super) fn query(&self) -> &'static str {
        match self.replaces {
            true => "?noValueOnSuccess=true",
            false => "?noValueOnSuccess=true&prevExist=false",
        }
    }

    /// The form in the body of its request. Its TTL counts from `now`, in seconds, rounded up.
    pub(super) fn body(&self, now: WallTime) -> Vec<u8> {
        let mut body = Vec::new();
        match &self.value {
            Some(value) => {
                body.extend_from_slice(b"value=");
                encode_form(value, &mut body);
            }
            None => body.extend_from_slice(b"dir=true"),
        }
        if let Some(deadline) = self.deadline {
            let left = deadline.0.saturating_sub(now.0).div_ceil(1_000_000_000);
            body.extend_from_slice(format!("&ttl={}", left.clamp(1, TTL_MAX)).as_bytes());
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(key: &str, value: &str) -> Item {
        let (key, value) = (key.to_owned(), Some(value.to_owned()));
        Item { key, value, deadline: None, replaces: false }
    }

    #[test]
    fn keys_and_values_are_escaped() {
        let item = file("/a b/%25/\u{e9}?#+&;...", "a=b&c+%\n \u{e9}");
        assert_eq!(item.path(), "/v2/keys/a%20b/%2525/%C3%A9%3F%23%2B%26%3B...");
        let body = String::from_utf8(item.body(WallTime(0))).expect("UTF-8");
        assert_eq!(body, "value=a%3Db%26c%2B%25%0A%20\u{e9}");
    }

    #[test]
    fn deadlines_become_seconds_that_are_rounded_up() {
        let body = |deadline: u64, now: u64| {
            let item = Item { deadline: Some(WallTime(deadline)), ..file("/a", "") };
            String::from_utf8(item.body(WallTime(now))).expect("UTF-8")
        };
        assert_eq!(body(5_000_000_000, 0), "value=&ttl=5");
        assert_eq!(body(5_000_000_001, 0), "value=&ttl=6");
        assert_eq!(body(5, 5_000_000_000), "value=&ttl=1");
        assert_eq!(body(u64::MAX, 0), "value=&ttl=9223372036");
    }
}
