//! Who belongs to the cluster, and how the cluster is configured.
//!
//! The table is part of the replicated state. It is shown to clients as the keys that 0.4 kept:
//! `/_etcd/machines/NAME` and `/_etcd/config` (docs/spec/keys.md section 12).

pub(crate) mod change;
pub(crate) mod configuration;
pub(crate) mod removal;
pub(crate) mod urls;

use crate::identity::{self, Identity};
use crate::membership::urls::{ClientUrls, escape};
use crate::types::MemberId;
use crate::wire::codec::{self, Malformed};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use store::{KeyPath, Store};

/// How many of those that left are remembered. Who was forgotten is unknown here: a machine that
/// asks about such an id is told so, and goes on to wait with all that it has.
const REMOVED_MAX: usize = 1024;

/// How many machines may be expected at a time.
const EXPECTED_MAX: usize = 64;

/// Where the members' keys are, with the slash in front of their names.
const MACHINES: &str = "/_etcd/machines/";

/// Flags in the encoded table.
const IS_CONFIGURED: u8 = 1;
/// The ids of those that left for good follow those of all that left.
const HAS_EXPELLED: u8 = 2;

/// How a member left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Its machine may ask for another place.
    Plain,
    /// Its machine is to stay out until its operator starts it again.
    Final,
}

/// One member as it announced itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// What raft calls it.
    pub id: MemberId,
    /// What people call it; unique in the cluster.
    pub name: String,
    /// Where clients reach it, with scheme: `http://127.0.0.1:4001`.
    pub client_url: String,
    /// Where other members reach it, with scheme.
    pub peer_url: String,
    /// All addresses for clients, where there are others than `client_url`. They are in the
    /// member's key in the registry, and not in the bytes of this record (`urls.rs`).
    pub urls: ClientUrls,
}

impl Member {
    /// The value of its key: `etcd=CLIENT_URL&raft=PEER_URL`, percent-encoded as forms are, and the
    /// other addresses for clients behind that.
    pub(crate) fn registry_value(&self) -> String {
        let mut value =
            format!("etcd={}&raft={}", escape(&self.client_url), escape(&self.peer_url));
        self.urls.push_to(&mut value);
        value
    }

    /// Its key.
    pub(crate) fn registry_key(&self) -> String {
        format!("{MACHINES}{}", self.name)
    }

    /// Where clients of 0.4's dialect reach it; where others do if it has no port of that dialect,
    /// and nothing if it has not said so yet.
    pub fn v04_urls(&self) -> Vec<&str> {
        self.urls_of(self.urls.v04(), self.urls.v2())
    }

    /// The same for the 2.x dialect.
    pub fn v2_urls(&self) -> Vec<&str> {
        self.urls_of(self.urls.v2(), self.urls.v04())
    }

    fn urls_of<'a>(&'a self, wanted: &'a [String], other: &'a [String]) -> Vec<&'a str> {
        let listed = if wanted.is_empty() { other } else { wanted };
        if listed.is_empty() {
            return Some(self.client_url.as_str())
                .filter(|url| !url.is_empty())
                .into_iter()
                .collect();
        }
        listed.iter().map(String::as_str).collect()
    }

    /// Whether the record of another one says the same: names and addresses, but for those that are
    /// in the registry alone.
    pub(crate) fn has_record_of(&self, other: &Self) -> bool {
        let record =
            |one: &Self| (one.id, one.name.clone(), one.client_url.clone(), one.peer_url.clone());
        record(self) == record(other)
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        codec::put_u64(out, self.id.0);
        codec::put_bytes(out, self.name.as_bytes());
        codec::put_bytes(out, self.client_url.as_bytes());
        codec::put_bytes(out, self.peer_url.as_bytes());
    }

    pub(crate) fn decode(input: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(Self {
            id: MemberId(codec::take_u64(input)?),
            name: codec::take_text(input)?.to_owned(),
            client_url: codec::take_text(input)?.to_owned(),
            peer_url: codec::take_text(input)?.to_owned(),
            urls: ClientUrls::default(),
        })
    }
}

/// The cluster configuration of the admin API (API document of 0.4, "Cluster Config";
/// docs/spec/cluster.md section
/// 2.1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClusterConfig {
    /// How many members take part in consensus; at least 3.
    pub active_size: u64,
    /// Seconds without a sign of life after which a member is removed; at least 2.
    pub remove_delay: f64,
    /// Seconds between two looks of a standby at the cluster; at least 1.
    pub sync_interval: f64,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self { active_size: 9, remove_delay: 1800.0, sync_interval: 5.0 }
    }
}

impl ClusterConfig {
    /// The value of `/_etcd/config`.
    pub(crate) fn registry_value(&self) -> String {
        format!(
            "{{\"activeSize\":{},\"removeDelay\":{},\"syncInterval\":{}}}",
            self.active_size, self.remove_delay, self.sync_interval
        )
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        codec::put_u64(out, self.active_size);
        codec::put_u64(out, self.remove_delay.to_bits());
        codec::put_u64(out, self.sync_interval.to_bits());
    }

    pub(crate) fn decode(input: &mut &[u8]) -> Result<Self, Malformed> {
        let config = Self {
            active_size: codec::take_u64(input)?,
            remove_delay: f64::from_bits(codec::take_u64(input)?),
            sync_interval: f64::from_bits(codec::take_u64(input)?),
        };
        if config.remove_delay.is_finite() && config.sync_interval.is_finite() {
            Ok(config)
        } else {
            Err(Malformed)
        }
    }
}

/// The replicated table of members and their common configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Membership {
    /// Those without a name are expected; they are no members yet.
    members: BTreeMap<MemberId, Member>,
    config: ClusterConfig,
    /// Whether a configuration was ever set, or this is still the default.
    is_configured: bool,
    /// Who voted at the very beginning of the log.
    founders: Vec<MemberId>,
    /// Those that left, the latest last: their ids never come back.
    removed: VecDeque<MemberId>,
    /// Those of them whose machines are to stay out.
    expelled: BTreeSet<MemberId>,
    /// The latest start of each member's directory.
    identities: BTreeMap<MemberId, Identity>,
}

impl Membership {
    /// All members in the order of their ids.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values().filter(|member| !member.name.is_empty())
    }

    /// The machines that an operator announced and that have not come yet: an id and a peer URL.
    pub fn expected(&self) -> impl Iterator<Item = &Member> {
        self.members.values().filter(|member| member.name.is_empty())
    }

    /// The member that raft calls `id`.
    pub fn member(&self, id: MemberId) -> Option<&Member> {
        self.members.get(&id).filter(|member| !member.name.is_empty())
    }

    /// The member that people call `name`.
    pub fn member_named(&self, name: &str) -> Option<&Member> {
        self.members().find(|member| member.name == name)
    }

    /// The cluster configuration.
    pub fn config(&self) -> ClusterConfig {
        self.config
    }

    /// Who voted at the very beginning of the log. A machine that joins starts from there.
    pub fn founders(&self) -> &[MemberId] {
        &self.founders
    }

    /// The table at the beginning of the log. The members are only known addresses: that they
    /// belong to the cluster is said by the log.
    pub(crate) fn founded_by(founders: Vec<MemberId>, known: Vec<Member>) -> Self {
        let members = known.into_iter().map(|member| (member.id, member)).collect();
        Self { members, founders, ..Self::default() }
    }

    pub(crate) fn is_configured(&self) -> bool {
        self.is_configured
    }

    /// Whether a member with this id was there and left.
    pub fn was_removed(&self, id: MemberId) -> bool {
        self.removed.contains(&id)
    }

    /// How the member with this id left; nothing if it did not, or long ago.
    pub fn removal(&self, id: MemberId) -> Option<Removal> {
        let removal = if self.expelled.contains(&id) { Removal::Final } else { Removal::Plain };
        self.was_removed(id).then_some(removal)
    }

    /// Takes a member's record in. What is known of its other addresses for clients stays until
    /// the registry says otherwise, so that nobody is sent elsewhere in between.
    pub(crate) fn register(&mut self, mut member: Member) {
        if let Some(known) = self.members.remove(&member.id) {
            member.urls = known.urls;
        }
        self.members.insert(member.id, member);
    }

    /// A key of the registry was written. Says whether it is that of a member.
    pub(crate) fn note_value(&mut self, path: &str, value: &str) -> bool {
        let name = path.strip_prefix(MACHINES).filter(|name| !name.is_empty());
        let named = name.and_then(|name| self.members.values_mut().find(|one| one.name == name));
        let is_member = named.is_some();
        if let Some(member) = named {
            member.urls = ClientUrls::parse(value);
        }
        is_member
    }

    /// Reads from the registry what the bytes of the table do not say.
    pub(crate) fn read_registry(&mut self, store: &Store) {
        for member in self.members.values_mut().filter(|member| !member.name.is_empty()) {
            let key = member.registry_key();
            let node = KeyPath::parse(&key).ok().and_then(|path| store.peek(path));
            if let Some(value) = node.as_ref().and_then(|node| node.value()) {
                member.urls = ClientUrls::parse(value);
            }
        }
    }

    /// A machine is expected, unless its address is somebody's or it is more than expected.
    pub(crate) fn expect(&mut self, machine: Member) {
        let is_other = |other: &Member| other.id != machine.id;
        let is_taken = self
            .members
            .values()
            .filter(|other| is_other(other))
            .any(|other| other.peer_url == machine.peer_url);
        let is_full = self.expected().filter(|other| is_other(other)).count() >= EXPECTED_MAX;
        if !is_taken
            && !is_full
            && !self.was_removed(machine.id)
            && self.member(machine.id).is_none()
        {
            self.members.insert(machine.id, machine);
        }
    }

    /// A machine is not expected any more. One that has come is a member and stays.
    pub(crate) fn forget(&mut self, id: MemberId) {
        if self.members.contains_key(&id) && self.member(id).is_none() {
            self.remove(id, false);
        }
    }

    pub(crate) fn remove(&mut self, id: MemberId, is_final: bool) -> Option<Member> {
        if !self.removed.contains(&id) {
            self.removed.push_back(id);
            if self.removed.len() > REMOVED_MAX
                && let Some(forgotten) = self.removed.pop_front()
            {
                self.expelled.remove(&forgotten);
            }
        }
        if is_final {
            self.expelled.insert(id);
        }
        self.identities.remove(&id);
        self.members.remove(&id)
    }

    /// The latest start of a member's directory that the cluster knows of.
    pub fn identity(&self, id: MemberId) -> Option<Identity> {
        self.identities.get(&id).copied()
    }

    /// A member was started. What may not follow the start that is known changes nothing.
    pub(crate) fn note_start(&mut self, id: MemberId, identity: Identity) {
        let known = self.identity(id).unwrap_or_default();
        if self.member(id).is_some() && identity::check(known, identity).is_ok() {
            self.identities.insert(id, identity);
        }
    }

    pub(crate) fn configure(&mut self, config: ClusterConfig) {
        self.config = config;
        self.is_configured = true;
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        self.config.encode(out);
        codec::put_u32(out, self.members.len());
        for member in self.members.values() {
            member.encode(out);
        }
        let mut flags = if self.is_configured { IS_CONFIGURED } else { 0 };
        if !self.expelled.is_empty() {
            flags |= HAS_EXPELLED;
        }
        out.push(flags);
        put_ids(out, self.founders.iter());
        put_ids(out, self.removed.iter());
        if !self.expelled.is_empty() {
            put_ids(out, self.expelled.iter());
        }
    }

    pub(crate) fn decode(input: &mut &[u8]) -> Result<Self, Malformed> {
        let config = ClusterConfig::decode(input)?;
        let count = codec::take_u32(input)?;
        let mut members = BTreeMap::new();
        for _ in 0..count {
            let member = Member::decode(input)?;
            members.insert(member.id, member);
        }
        let flags = codec::take_u8(input)?;
        if flags & !(IS_CONFIGURED | HAS_EXPELLED) != 0 {
            return Err(Malformed);
        }
        let is_configured = flags & IS_CONFIGURED != 0;
        let founders = take_ids(input)?;
        let removed: VecDeque<MemberId> = take_ids(input)?.into();
        let expelled: BTreeSet<MemberId> = match flags & HAS_EXPELLED {
            0 => BTreeSet::new(),
            _ => take_ids(input)?.into_iter().collect(),
        };
        if !expelled.iter().all(|id| removed.contains(id)) {
            return Err(Malformed);
        }
        let identities = BTreeMap::new();
        Ok(Self { members, config, is_configured, founders, removed, expelled, identities })
    }

    pub(crate) fn encode_identities(&self, out: &mut Vec<u8>) {
        codec::put_u32(out, self.identities.len());
        for (id, identity) in &self.identities {
            codec::put_u64(out, id.0);
            identity.encode(out);
        }
    }

    pub(crate) fn decode_identities(&mut self, input: &mut &[u8]) -> Result<(), Malformed> {
        for _ in 0..codec::take_u32(input)? {
            let id = MemberId(codec::take_u64(input)?);
            self.identities.insert(id, Identity::decode(input)?);
        }
        Ok(())
    }
}

fn put_ids<'a>(out: &mut Vec<u8>, ids: impl ExactSizeIterator<Item = &'a MemberId>) {
    codec::put_u32(out, ids.len());
    ids.for_each(|id| codec::put_u64(out, id.0));
}

fn take_ids(input: &mut &[u8]) -> Result<Vec<MemberId>, Malformed> {
    let count = codec::take_u32(input)?;
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(MemberId(codec::take_u64(input)?));
    }
    Ok(ids)
}

#[cfg(test)]
mod tests;
