//! Commands of 0.2 to 0.4: what they are in the log, and what they do to the store. See
//! docs/spec/migration.md sections 2.2 and 2.3.

use crate::model::{Condition, DEPTH_MAX, InOrder, Refused, Tree, Write};
use crate::moment::Moment;
use serde::{Deserialize, Serialize};

/// The members of all commands. Times are RFC 3339; members that are not known are ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Command {
    key: String,
    value: String,
    expire_time: String,
    dir: bool,
    unique: bool,
    recursive: bool,
    prev_value: String,
    prev_index: u64,
    time: String,
    name: String,
    #[serde(rename = "raftURL")]
    raft_url: String,
    #[serde(rename = "etcdURL")]
    etcd_url: String,
    config: Config,
}

/// The configuration of a cluster.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    active_size: f64,
    remove_delay: f64,
    sync_interval: f64,
}

impl Config {
    /// The JSON that the server stores, after raising each number to its minimum.
    fn to_json(&self) -> Vec<u8> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Stored {
            active_size: serde_json::Number,
            remove_delay: serde_json::Number,
            sync_interval: serde_json::Number,
        }
        let stored = Stored {
            active_size: number(self.active_size.max(3.0)),
            remove_delay: number(self.remove_delay.max(2.0)),
            sync_interval: number(self.sync_interval.max(1.0)),
        };
        serde_json::to_vec(&stored).expect("numbers become JSON")
    }
}

/// A number as Go prints it: without a fraction if it is whole.
fn number(number: f64) -> serde_json::Number {
    let whole = number.trunc();
    if whole == number && (0.0..9e15).contains(&whole) {
        // It is below 2^53, so that nothing is cut.
        return serde_json::Number::from(whole as u64);
    }
    serde_json::Number::from_f64(number).unwrap_or_else(|| 0.into())
}

const MACHINES: &str = "/_etcd/machines";
const CONFIG: &[u8] = b"/_etcd/config";

/// How many members a cluster has at most, unless it is configured.
const ACTIVE_SIZE: f64 = 9.0;

/// Why an entry cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rejected {
    /// Its command is not JSON, or a time in it is none.
    Invalid(String),
    /// It is not supported.
    Unsupported(String),
}

/// Applies the command of an entry. One that fails is in the log all the same, and changes nothing.
pub(super) fn apply(tree: &mut Tree, name: &str, json: &[u8]) -> Result<(), Rejected> {
    match name {
        "raft:nop" | "raft:join" | "raft:leave" | "etcd:get" => return Ok(()),
        _ if !name.starts_with("etcd:") => return Err(unknown(name)),
        _ => {}
    }
    let invalid = |error| Rejected::Invalid(format!("invalid JSON of a command: {error}"));
    let command: Command = serde_json::from_slice(json).map_err(invalid)?;
    let expiration = time(&command.expire_time)?;
    let (path, dir) = (command.key.as_bytes(), command.dir);
    let write =
        Write { value: command.value.clone().into_bytes(), dir, expiration, refresh: false };
    let prev_value = command.prev_value.as_bytes();
    let condition = Condition { prev_value, prev_index: command.prev_index };
    let done = match name {
        "etcd:set" => tree.set(path, write),
        "etcd:create" if command.unique => tree.create_in_order(path, write, InOrder::Plain),
        "etcd:create" => tree.create(path, write),
        "etcd:update" => tree.update(path, write),
        "etcd:compareAndSwap" => tree.compare_and_swap(path, condition, write),
        "etcd:compareAndDelete" => tree.compare_and_delete(path, condition),
        "etcd:delete" => tree.delete(path, dir, command.recursive),
        "etcd:sync" => {
            if let Some(until) = time(&command.time)? {
                tree.expire(until);
            }
            Ok(())
        }
        "etcd:join" => join(tree, &command),
        "etcd:remove" => tree.delete(machine(&command.name).as_bytes(), false, false),
        "etcd:setClusterConfig" => {
            tree.set(CONFIG, Write { value: command.config.to_json(), ..Write::default() })
        }
        _ => return Err(unknown(name)),
    };
    match done {
        Err(Refused::TooDeep) => Err(Rejected::Unsupported(format!(
            "writes a key with more than {DEPTH_MAX} components"
        ))),
        Ok(()) | Err(Refused::ByRules) => Ok(()),
    }
}

fn unknown(name: &str) -> Rejected {
    Rejected::Unsupported(format!("has the unknown command {name:?} (0.1 is not supported)"))
}

fn time(text: &str) -> Result<Option<Moment>, Rejected> {
    Moment::parse(text).map_err(|_| Rejected::Invalid(format!("invalid time {text:?}")))
}

fn machine(name: &str) -> String {
    format!("{MACHINES}/{name}")
}

/// `JoinCommand.Apply` of 0.4.9: a machine enters the registry, or its peer URL changes.
fn join(tree: &mut Tree, command: &Command) -> Result<(), Refused> {
    let path = machine(&command.name);
    if let Some(registered) = registered(tree, &command.name) {
        if registered.raft == command.raft_url {
            return Ok(());
        }
        let value = registry_value(&registered.etcd, &command.raft_url);
        return tree.update(path.as_bytes(), value);
    }
    let names = machines(tree);
    let is_used = |name: &String| {
        registered(tree, name).is_some_and(|machine| machine.raft == command.raft_url)
    };
    let is_full = !names.is_empty() && names.len() as f64 >= active_size(tree);
    if is_full || names.iter().any(is_used) {
        return Err(Refused::ByRules);
    }
    tree.create(path.as_bytes(), registry_value(&command.etcd_url, &command.raft_url))
}

/// The names in the registry.
pub(super) fn machines(tree: &Tree) -> Vec<String> {
    let names = tree.names(MACHINES.as_bytes());
    names.map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

fn active_size(tree: &Tree) -> f64 {
    let value = tree.get(CONFIG).and_then(|node| node.value.as_deref());
    let config: Option<Config> = value.and_then(|value| serde_json::from_slice(value).ok());
    config.map_or(ACTIVE_SIZE, |config| config.active_size)
}

/// The URLs of a machine.
struct Machine {
    etcd: String,
    raft: String,
}

fn registered(tree: &Tree, name: &str) -> Option<Machine> {
    let value = tree.get(machine(name).as_bytes())?.value.as_deref()?;
    let mut found = Machine { etcd: String::new(), raft: String::new() };
    for pair in std::str::from_utf8(value).ok()?.split('&') {
        match pair.split_once('=') {
            Some(("etcd", url)) => found.etcd = unescape(url),
            Some(("raft", url)) => found.raft = unescape(url),
            _ => {}
        }
    }
    Some(found)
}

fn registry_value(etcd: &str, raft: &str) -> Write {
    let value = format!("etcd={}&raft={}", escape(etcd), escape(raft));
    Write { value: value.into_bytes(), ..Write::default() }
}

/// Percent-encodes as `url.QueryEscape` of Go does.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(char::from(byte));
            }
            b' ' => escaped.push('+'),
            byte => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

fn unescape(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((byte, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| *byte == b'%');
        let escaped = escaped.and_then(|digits| std::str::from_utf8(digits).ok());
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(escaped) => {
                bytes.push(escaped);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(if *byte == b'+' { b' ' } else { *byte });
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_are_stored_as_the_server_does() {
        let config = Config { active_size: 1.0, remove_delay: 1800.0, sync_interval: 1.5 };
        let want = br#"{"activeSize":3,"removeDelay":1800,"syncInterval":1.5}"#;
        assert_eq!(config.to_json(), want);
    }

    #[test]
    fn addresses_survive_the_registry() {
        let url = "http://127.0.0.1:30012/a b+c%";
        assert_eq!(escape(url), "http%3A%2F%2F127.0.0.1%3A30012%2Fa+b%2Bc%25");
        assert_eq!(unescape(&escape(url)), url);
    }

    #[test]
    fn joins_move_the_index_only_if_the_registry_changes() {
        let mut tree = Tree::of_v04();
        let mut join = |name: &str, raft: &str| {
            let json = format!(r#"{{"name":"{name}","raftURL":"{raft}","etcdURL":"http://e"}}"#);
            apply(&mut tree, "etcd:join", json.as_bytes()).expect("known");
            tree.index
        };
        assert_eq!(join("a", "http://a"), 1);
        assert_eq!(join("a", "http://a"), 1);
        assert_eq!(join("a", "http://b"), 2);
        // The address is taken.
        assert_eq!(join("c", "http://b"), 2);
        assert_eq!(join("c", "http://c"), 3);
    }
}
