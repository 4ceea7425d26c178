//! What a watch tells: one JSON document after the other, with or without line ends between them.

use crate::import::bounds::{INDEX_MAX, SMALL_BYTES_MAX};
use crate::import::tree::Printed;
use serde::Deserialize;

/// Brackets within brackets in an event; the servers print three at most.
const NESTING_MAX: usize = 32;

/// A change at the source.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Event {
    pub(super) action: String,
    pub(super) node: Printed,
    pub(super) prev_node: Option<Printed>,
}

impl Event {
    /// # Errors
    /// What is wrong with it, in a few words.
    pub(super) fn parse(json: &[u8]) -> Result<Self, String> {
        let event: Self = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let key = event.key();
        let is_clean = key.split('/').skip(1).all(|name| !matches!(name, "" | "." | ".."));
        if !key.starts_with('/') || !is_clean {
            let start: String = key.chars().take(100).collect();
            return Err(format!("an event has the key {start:?}"));
        }
        match event.index() {
            1..=INDEX_MAX => Ok(event),
            index => Err(format!("an event has the index {index}")),
        }
    }

    pub(super) fn key(&self) -> &str {
        self.node.key.as_deref().unwrap_or_default()
    }

    /// The index of the change.
    pub(super) fn index(&self) -> u64 {
        self.node.modified_index
    }

    /// Whether it is about a directory.
    pub(super) fn is_dir(&self) -> bool {
        self.node.dir || (self.is_removal() && self.prev_node.as_ref().is_some_and(|old| old.dir))
    }

    pub(super) fn is_removal(&self) -> bool {
        matches!(self.action.as_str(), "delete" | "expire" | "compareAndDelete")
    }
}

/// Cuts a stream of bytes into documents.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    bytes: Vec<u8>,
    /// How much of them was looked at.
    at: usize,
    depth: usize,
    in_string: bool,
    is_escaped: bool,
}

impl Splitter {
    /// Adds bytes as they come.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole document; nothing if more bytes are needed.
    ///
    /// # Errors
    /// That the document cannot be an event.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        while let Some(byte) = self.bytes.get(self.at).copied() {
            self.at += 1;
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' if self.in_string => self.is_escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        let rest = self.bytes.split_off(self.at);
                        self.at = 0;
                        return Ok(Some(std::mem::replace(&mut self.bytes, rest)));
                    }
                }
                _ => {}
            }
            if self.depth > NESTING_MAX {
                return Err("an event is nested too deeply".to_owned());
            }
        }
        if self.bytes.len() as u64 > SMALL_BYTES_MAX {
            return Err(format!("an event has more than {SMALL_BYTES_MAX} bytes"));
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_found_with_and_without_line_ends_and_in_pieces() {
        let text = br#"{"a":"}\"{"}{"b":[{}]}
{"c":1}"#;
        for size in 1..text.len() {
            let (mut splitter, mut found) = (Splitter::default(), Vec::new());
            for piece in text.chunks(size) {
                splitter.feed(piece);
                while let Some(document) = splitter.next().expect("it is right") {
                    found.push(String::from_utf8(document).expect("UTF-8").trim().to_owned());
                }
            }
            assert_eq!(found, [r#"{"a":"}\"{"}"#, r#"{"b":[{}]}"#, r#"{"c":1}"#]);
        }
    }

    #[test]
    fn a_stream_without_an_end_is_refused() {
        let mut splitter = Splitter::default();
        splitter.feed("{\"a\":[".repeat(40).as_bytes());
        assert!(splitter.next().is_err());
    }

    #[test]
    fn an_event_that_lies_is_refused() {
        for (json, want) in [
            (r#"{"node":{"key":"/a/../b","modifiedIndex":1}}"#, "/a/../b"),
            (r#"{"node":{"key":"a","modifiedIndex":1}}"#, "\"a\""),
            (r#"{"node":{"key":"/","modifiedIndex":1}}"#, "\"/\""),
            (r#"{"node":{"key":"/a","modifiedIndex":0}}"#, "index 0"),
            (r#"{"node":{"key":"/a","modifiedIndex":18446744073709551615}}"#, "index 1844"),
            ("{}", "the key \"\""),
        ] {
            let error = Event::parse(json.as_bytes()).expect_err(json);
            assert!(error.contains(want), "{error}");
        }
    }

    #[test]
    fn a_damaged_event_is_refused_or_has_a_clean_key() {
        let json = br#"{"action":"delete","node":{"key":"/a/b","dir":true,"modifiedIndex":7},
            "prevNode":{"key":"/a/b","value":"\"}","ttl":5}}"#;
        for at in 0..json.len() {
            for byte in *b"\"{}/.9\0" {
                let mut changed = json.to_vec();
                changed[at] = byte;
                let mut splitter = Splitter::default();
                splitter.feed(&changed);
                while let Ok(Some(document)) = splitter.next() {
                    let Ok(event) = Event::parse(&document) else { continue };
                    assert!(event.key().starts_with('/') && !event.key().contains("/../"));
                    assert!(event.index() > 0);
                }
            }
        }
    }
}
