//! Reads JSON records of data files, member by member, and refuses members that nobody asked for.
//!
//! A member that is spelled wrong in a data file would otherwise be an expectation that no test
//! checks.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// An object whose members are taken out one after the other.
#[derive(Debug)]
pub(crate) struct Record {
    members: Map<String, Value>,
    text: String,
}

impl Record {
    pub(crate) fn new(value: Value) -> Self {
        let text = value.to_string();
        match value {
            Value::Object(members) => Self { members, text },
            _ => panic!("not a record: {text}"),
        }
    }

    /// A member as it is; nothing where it is absent or `null`.
    pub(crate) fn value(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.value(name).map(|value| self.as_text(name, &value))
    }

    pub(crate) fn number(&mut self, name: &str) -> Option<u64> {
        let value = self.value(name)?;
        Some(value.as_u64().unwrap_or_else(|| self.fail(name, "a number")))
    }

    /// A flag; absent is false.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let value = self.value(name).unwrap_or(Value::Bool(false));
        value.as_bool().unwrap_or_else(|| self.fail(name, "true or false"))
    }

    /// A list; absent is empty.
    pub(crate) fn list(&mut self, name: &str) -> Vec<Value> {
        match self.value(name) {
            None => Vec::new(),
            Some(Value::Array(list)) => list,
            Some(_) => self.fail(name, "a list"),
        }
    }

    pub(crate) fn texts(&mut self, name: &str) -> Vec<String> {
        self.list(name).iter().map(|value| self.as_text(name, value)).collect()
    }

    /// An object of texts, in which `null` has a meaning; absent is empty.
    pub(crate) fn optional_texts(&mut self, name: &str) -> BTreeMap<String, Option<String>> {
        match self.value(name) {
            None => BTreeMap::new(),
            Some(Value::Object(members)) => {
                let text = |value: &Value| (!value.is_null()).then(|| self.as_text(name, value));
                members.iter().map(|(member, value)| (member.clone(), text(value))).collect()
            }
            Some(_) => self.fail(name, "an object"),
        }
    }

    /// Everything has been read: a member that is left over fails the test.
    pub(crate) fn finish(self) {
        let left: Vec<&String> = self.members.keys().collect();
        assert!(left.is_empty(), "unknown members {left:?} in {:.300}", self.text);
    }

    fn as_text(&self, name: &str, value: &Value) -> String {
        value.as_str().unwrap_or_else(|| self.fail(name, "a text")).to_owned()
    }

    fn fail<T>(&self, name: &str, wanted: &str) -> T {
        panic!("{name} must be {wanted} in {:.300}", self.text)
    }
}
