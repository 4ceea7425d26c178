//! A change of the source as requests to the target. Each can be made twice.

use crate::import::answer::Answer;
use crate::import::clock::now;
use crate::import::key::key_path;
use crate::import::plan::{Item, TTL_MAX};
use crate::import::target::Target;
use crate::import::tree::Printed;
use serde::Deserialize;

const FORM: &str = "application/x-www-form-urlencoded";

/// Errors of the API.
const NOT_FOUND: u64 = 100;
const COMPARE_FAILED: u64 = 101;
const NOT_A_FILE: u64 = 102;
const NOT_A_DIRECTORY: u64 = 104;
const NOT_EMPTY: u64 = 108;
const TTL_REQUIRED: u64 = 204;

/// A directory with so many seconds left, or less, is the one that has expired at the source: a TTL
/// is sent in whole seconds, rounded up.
const ABOUT_TO_END: i64 = 2;

/// Up to these lengths a key and a value are taken by every server, even if all is escaped.
const KEY_BYTES: usize = 20_000;
const VALUE_BYTES: usize = 3_000_000;

/// What is to be done to a key.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// A file or a directory gets value and deadline.
    Set,
    /// The deadline of a file, whose value is meant to be there.
    Refresh,
    /// A key, and all in it, was removed.
    Gone { is_dir: bool },
    /// A key that was not seen again after events were lost. What others have put into a directory
    /// stays.
    Missed { is_dir: bool },
    /// The time of a key was over. The target notices that itself, unless the key has another time
    /// there: then somebody has renewed it there already.
    Expired { is_dir: bool },
}

/// A change.
#[derive(Clone, Debug)]
pub(super) struct Change {
    /// The key at the target; value and deadline, where they are wanted.
    pub(super) item: Item,
    pub(super) what: What,
}

/// Why a change was not made.
#[derive(Clone, Debug)]
pub(super) enum Refusal {
    /// Nobody answered, or nobody could.
    Unreachable(String),
    /// Another change has to be made before, perhaps.
    Order(String),
    Final(String),
}

impl Change {
    /// Whether it is about a file alone, so that changes of other keys may be made at once.
    pub(super) fn is_of_file(&self) -> bool {
        match self.what {
            What::Set => self.item.value.is_some(),
            What::Refresh => true,
            What::Gone { is_dir } | What::Missed { is_dir } | What::Expired { is_dir } => !is_dir,
        }
    }

    /// Makes the change.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(super) fn make(&self, target: &mut Target) -> Result<(), Refusal> {
        if self.item.key.len() > KEY_BYTES || self.item.value_len() > VALUE_BYTES {
            // What cannot be sent would else be tried for ever.
            self.item.check_size().map_err(Refusal::Final)?;
        }
        match &self.what {
            What::Set if self.item.value.is_none() => self.set_dir(target),
            What::Set => self.put(target, "?noValueOnSuccess=true", &self.item.body(now())),
            What::Refresh => self.refresh(target),
            What::Gone { is_dir: true } => self.delete(target, "?dir=true&recursive=true"),
            What::Missed { is_dir: true } => self.delete(target, "?dir=true"),
            What::Gone { .. } | What::Missed { .. } => self.delete(target, ""),
            What::Expired { .. } => self.expire(target),
        }
    }

    fn call(
        &self,
        target: &mut Target,
        method: &str,
        query: &str,
        body: &[u8],
    ) -> Result<Answer, Refusal> {
        let kind = if body.is_empty() { "" } else { FORM };
        let path = format!("{}{query}", key_path(&self.item.key));
        target.call(method, &path, kind, body).map_err(Refusal::Unreachable)
    }

    fn put(&self, target: &mut Target, query: &str, body: &[u8]) -> Result<(), Refusal> {
        let answer = self.call(target, "PUT", query, body)?;
        match answer.status {
            200 | 201 => Ok(()),
            _ => Err(self.refusal(&answer)),
        }
    }

    fn set_dir(&self, target: &mut Target) -> Result<(), Refusal> {
        const UPDATE: &str = "?noValueOnSuccess=true&prevExist=true";
        let mut body = self.item.body(now());
        let answer = self.call(target, "PUT", "?noValueOnSuccess=true", &body)?;
        match (answer.status, answer.error_code()) {
            (200 | 201, _) => return Ok(()),
            // It is there: all that can change is its deadline.
            (_, NOT_A_FILE) => {}
            _ => return Err(self.refusal(&answer)),
        }
        if self.item.deadline.is_some() {
            return self.put(target, UPDATE, &body);
        }
        body.extend_from_slice(b"&ttl=");
        let answer = self.call(target, "PUT", UPDATE, &body)?;
        match (answer.status, answer.error_code()) {
            (200, _) => Ok(()),
            // The dialect of 0.4 has no way to make a directory permanent: 292 years will do.
            (_, TTL_REQUIRED) => {
                body.extend_from_slice(TTL_MAX.to_string().as_bytes());
                self.put(target, UPDATE, &body)
            }
            _ => Err(self.refusal(&answer)),
        }
    }

    /// Wakes nobody at the target, as it did not at the source.
    fn refresh(&self, target: &mut Target) -> Result<(), Refusal> {
        let bare = Item { value: Some(String::new()), ..self.item.clone() }.body(now());
        let ttl = bare.strip_prefix(b"value=&").unwrap_or_default();
        let answer = self.call(target, "PUT", "?refresh=true&prevExist=true", ttl)?;
        match (answer.status, answer.error_code()) {
            (200 | 201, _) => Ok(()),
            (_, NOT_FOUND) => self.put(target, "?noValueOnSuccess=true", &self.item.body(now())),
            _ => Err(self.refusal(&answer)),
        }
    }

    fn delete(&self, target: &mut Target, query: &str) -> Result<(), Refusal> {
        let answer = self.call(target, "DELETE", query, b"")?;
        match (answer.status, answer.error_code()) {
            (200, _) | (_, NOT_FOUND) => Ok(()),
            (_, NOT_EMPTY) if matches!(self.what, What::Missed { .. }) => Ok(()),
            _ => Err(self.refusal(&answer)),
        }
    }

    fn expire(&self, target: &mut Target) -> Result<(), Refusal> {
        #[derive(Deserialize)]
        struct Body {
            node: Printed,
        }
        let answer = self.call(target, "GET", "?quorum=true", b"")?;
        match (answer.status, answer.error_code()) {
            (200, _) => {}
            (_, NOT_FOUND | NOT_A_DIRECTORY) => return Ok(()),
            _ => return Err(self.refusal(&answer)),
        }
        let body: Body = serde_json::from_slice(&answer.body)
            .map_err(|error| Refusal::Final(format!("{}: {error}", self.item.key)))?;
        let (node, is_same) = (&body.node, body.node.value == self.item.value);
        if node.dir {
            // It goes at once where it is about to: what the source creates in it now must not go
            // with it. One that lasts is another one, or was renewed here.
            let left = node.shown().ttl.filter(|_| node.shown().expires());
            return match left {
                Some(i64::MIN..=ABOUT_TO_END) => self.delete(target, "?dir=true&recursive=true"),
                _ => Ok(()),
            };
        }
        if node.shown().expires() || !is_same {
            return Ok(());
        }
        let query = format!("?prevIndex={}", node.modified_index);
        let answer = self.call(target, "DELETE", &query, b"")?;
        match (answer.status, answer.error_code()) {
            // It was written by somebody else meanwhile.
            (200, _) | (_, NOT_FOUND | COMPARE_FAILED) => Ok(()),
            _ => Err(self.refusal(&answer)),
        }
    }

    fn refusal(&self, answer: &Answer) -> Refusal {
        let why = format!("{}: {}", self.item.key, answer.explain());
        match answer.error_code() {
            NOT_A_FILE | NOT_A_DIRECTORY | NOT_EMPTY => Refusal::Order(why),
            _ => Refusal::Final(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the source creates in it next must not be made before it is gone, nor go with it.
    #[test]
    fn changes_of_directories_wait_for_all_others_whatever_they_are() {
        let of = |value: Option<&str>, what| {
            let (key, value) = ("/a".to_owned(), value.map(str::to_owned));
            Change { item: Item { key, value, deadline: None, replaces: true }, what }.is_of_file()
        };
        for is_dir in [false, true] {
            assert_eq!(of(None, What::Expired { is_dir }), !is_dir);
            assert_eq!(of(None, What::Gone { is_dir }), !is_dir);
            assert_eq!(of(None, What::Missed { is_dir }), !is_dir);
        }
        assert!(of(Some("x"), What::Set) && of(Some("x"), What::Refresh));
        assert!(!of(None, What::Set));
    }
}
