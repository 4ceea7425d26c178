//! Entries of 2.x and 3.x, applied as `applyRequest` and `applyConfChange` of the servers do: see
//! docs/spec/migration.md section 3.4.

use super::frame::Entry;
use super::members;
use super::request::{self, ConfChange, Content, Request};
use crate::model::{Condition, DEPTH_MAX, InOrder, Refused, Tree, Write};
use crate::moment::Moment;
use crate::proto::Malformed;
use std::collections::BTreeSet;

/// The first version that refuses to change the TTL of a directory.
const REFUSES_DIR_UPDATES: (u64, u64) = (3, 5);

/// The first version that pads the names of in-order keys.
const PADS_NAMES: (u64, u64) = (2, 2);

/// The state of a member's store and membership.
#[derive(Debug)]
pub(super) struct Replay {
    pub(super) tree: Tree,
    pub(super) voters: BTreeSet<u64>,
    /// Requests of the v3 API that were passed over.
    pub(super) v3_requests: u64,
    /// The raft index of the first change of a directory's TTL.
    pub(super) dir_update: Option<u64>,
    /// Whether the cluster came to 3.5 by one of the entries.
    pub(super) is_upgraded: bool,
    /// Whether in-order keys were named before a cluster version was known.
    pub(super) is_padding_assumed: bool,
}

impl Replay {
    pub(super) fn new(tree: Tree, voters: BTreeSet<u64>) -> Self {
        Self {
            tree,
            voters,
            v3_requests: 0,
            dir_update: None,
            is_upgraded: false,
            is_padding_assumed: false,
        }
    }

    /// Applies an entry, or says why that is not possible.
    pub(super) fn apply(&mut self, entry: &Entry) -> Result<(), String> {
        let invalid = |_: Malformed| "cannot be decoded".to_owned();
        match entry.kind {
            Entry::CONF_CHANGE => {
                let change = ConfChange::decode(&entry.data).map_err(invalid)?;
                members::apply(&mut self.tree, &mut self.voters, change);
            }
            Entry::NORMAL if entry.data.is_empty() => {}
            Entry::NORMAL => match request::decode(&entry.data).map_err(invalid)? {
                Content::V2(request) => return self.apply_request(&request, entry.index),
                Content::ClusterVersion(version) => self.set_version(version),
                Content::MemberAttributes { id, name, client_urls } => {
                    members::set_attributes(&mut self.tree, id, name, &client_urls);
                }
                Content::V3 => self.v3_requests += 1,
            },
            kind => return Err(format!("is of the unknown type {kind}")),
        }
        Ok(())
    }

    /// The cluster version that the store holds.
    pub(super) fn version(&self) -> Option<&str> {
        let value = self.tree.get(b"/0/version")?.value.as_deref()?;
        std::str::from_utf8(value).ok()
    }

    fn version_numbers(&self) -> Option<(u64, u64)> {
        let mut parts = self.version()?.split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    }

    fn refuses_dir_updates(&self) -> bool {
        self.version_numbers().is_some_and(|version| version >= REFUSES_DIR_UPDATES)
    }

    fn set_version(&mut self, version: &[u8]) {
        let was_older = self.version().is_some() && !self.refuses_dir_updates();
        let write = Write { value: version.to_vec(), ..Write::default() };
        // The servers ignore errors here as well.
        let _ = self.tree.set(b"/0/version", write);
        self.is_upgraded |= was_older && self.refuses_dir_updates();
    }

    /// Carries out a request. One that fails is in the log all the same, and changes nothing.
    fn apply_request(&mut self, request: &Request<'_>, index: u64) -> Result<(), String> {
        let done = match request.method {
            b"PUT" => self.put(request, index),
            b"POST" => self.post(request),
            b"DELETE" => self.delete(request),
            b"SYNC" => {
                self.tree.expire(Moment(i128::from(request.time)));
                Ok(())
            }
            _ => Ok(()),
        };
        match done {
            Err(Refused::TooDeep) => {
                Err(format!("writes a key with more than {DEPTH_MAX} components"))
            }
            Ok(()) | Err(Refused::ByRules) => Ok(()),
        }
    }

    fn put(&mut self, request: &Request<'_>, index: u64) -> Result<(), Refused> {
        let (path, write, condition) = (request.path, write(request), condition(request));
        let is_conditional = request.prev_index > 0 || !request.prev_value.is_empty();
        match request.prev_exist {
            Some(true) if !is_conditional => self.update(path, write, index),
            Some(false) => self.tree.create(path, write),
            Some(true) | None if is_conditional => {
                self.tree.compare_and_swap(path, condition, write)
            }
            _ => match members::id_in_attributes_path(path) {
                Some(id) if !members::is_known(&self.tree, id) => Ok(()),
                _ if path == b"/0/version" => {
                    self.set_version(request.value);
                    Ok(())
                }
                _ => self.tree.set(path, write),
            },
        }
    }

    fn update(&mut self, path: &[u8], write: Write, index: u64) -> Result<(), Refused> {
        let cleaned = crate::model::clean(path);
        if self.tree.get(&cleaned).is_some_and(|node| node.is_dir()) {
            self.dir_update.get_or_insert(index);
            if self.refuses_dir_updates() {
                return Err(Refused::ByRules);
            }
        }
        self.tree.update(path, write)
    }

    fn post(&mut self, request: &Request<'_>) -> Result<(), Refused> {
        let version = self.version_numbers();
        self.is_padding_assumed |= version.is_none();
        let is_plain = version.is_some_and(|version| version < PADS_NAMES);
        let naming = if is_plain { InOrder::Plain } else { InOrder::Padded };
        self.tree.create_in_order(request.path, write(request), naming)
    }

    fn delete(&mut self, request: &Request<'_>) -> Result<(), Refused> {
        if request.prev_index > 0 || !request.prev_value.is_empty() {
            return self.tree.compare_and_delete(request.path, condition(request));
        }
        self.tree.delete(request.path, request.dir, request.recursive)
    }
}

fn write(request: &Request<'_>) -> Write {
    Write {
        value: request.value.to_vec(),
        dir: request.dir,
        expiration: Moment::from_nanos(request.expiration),
        refresh: request.refresh,
    }
}

fn condition<'a>(request: &Request<'a>) -> Condition<'a> {
    Condition { prev_value: request.prev_value, prev_index: request.prev_index }
}
