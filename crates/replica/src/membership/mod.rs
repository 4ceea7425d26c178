//! Who belongs to the cluster, and how the cluster is configured.
//!
//! The table is part of the replicated state. It is shown to clients as the keys that 0.4 kept:
//! `/_etcd/machines/NAME` and `/_etcd/config` (docs/spec/keys.md section 12).

pub(crate) mod change;
pub(crate) mod configuration;
pub(crate) mod removal;

use crate::identity::{self, Identity};
use crate::types::MemberId;
use crate::wire::codec::{self, Malformed};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How many of those that left are remembered. Who was forgotten is unknown here: a machine that
/// asks about such an id is told so, and goes on to wait with all that it has.
const REMOVED_MAX: usize = 1024;

/// How many machines may be expected at a time.
const EXPECTED_MAX: usize = 64;

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What raft calls it.
    pub id: MemberId,
    /// What people call it; unique in the cluster.
    pub name: String,
    /// Where clients reach it, with scheme: `http://127.0.0.1:4001`.
    pub client_url: String,
    /// Where other members reach it, with scheme.
    pub peer_url: String,
}

impl Member {
    /// The value of its key: `etcd=CLIENT_URL&raft=PEER_URL`, percent-encoded as forms are.
    pub(crate) fn registry_value(&self) -> String {
        format!("etcd={}&raft={}", escape(&self.client_url), escape(&self.peer_url))
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
        })
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
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

    pub(crate) fn register(&mut self, member: Member) {
        self.members.insert(member.id, member);
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
mod tests {
    use super::*;

    #[test]
    fn keys_look_as_those_of_the_original() {
        let member = Member {
            id: MemberId(7),
            name: "m0".into(),
            client_url: "http://127.0.0.1:14001".into(),
            peer_url: "http://127.0.0.1:17001".into(),
        };
        assert_eq!(
            member.registry_value(),
            "etcd=http%3A%2F%2F127.0.0.1%3A14001&raft=http%3A%2F%2F127.0.0.1%3A17001"
        );
        let config = ClusterConfig { remove_delay: 2.5, ..ClusterConfig::default() };
        assert_eq!(
            config.registry_value(),
            "{\"activeSize\":9,\"removeDelay\":2.5,\"syncInterval\":5}"
        );
    }

    #[test]
    fn an_expected_machine_is_no_member_until_it_has_a_name() {
        let machine = |id, name: &str, at: &str| Member {
            id: MemberId(id),
            name: name.into(),
            client_url: String::new(),
            peer_url: format!("http://{at}:7001"),
        };
        let mut table = Membership::founded_by(vec![MemberId(1)], vec![machine(1, "a", "a")]);
        table.expect(machine(2, "", "b"));
        table.expect(machine(3, "", "b"));
        table.expect(machine(4, "", "a"));
        table.expect(machine(1, "", "c"));
        let expected: Vec<u64> = table.expected().map(|one| one.id.0).collect();
        assert_eq!(expected, [2], "addresses are unique and members stay members");
        assert_eq!((table.members().count(), table.member(MemberId(2))), (1, None));
        table.forget(MemberId(1));
        assert_eq!(table.members().count(), 1, "a member is not forgotten");
        table.register(machine(2, "b", "b"));
        table.forget(MemberId(2));
        assert_eq!((table.members().count(), table.expected().count()), (2, 0));
        for id in 10..200 {
            table.expect(machine(id, "", &format!("h{id}")));
        }
        assert_eq!(table.expected().count(), EXPECTED_MAX);
        table.forget(MemberId(10));
        table.expect(machine(10, "", "h10"));
        assert!(table.was_removed(MemberId(10)), "an id never comes back");
        assert_eq!(table.expected().count(), EXPECTED_MAX - 1);
    }

    #[test]
    fn the_table_round_trips_and_truncation_is_noticed() {
        let mut table = Membership::founded_by(vec![MemberId(1)], Vec::new());
        table.register(Member {
            id: MemberId(1),
            name: "a".into(),
            client_url: "http://a:4001".into(),
            peer_url: "http://a:7001".into(),
        });
        table.remove(MemberId(9), false);
        let whole = |table: &Membership| {
            let mut bytes = Vec::new();
            table.encode(&mut bytes);
            assert_eq!(Membership::decode(&mut bytes.as_slice()).as_ref(), Ok(table));
            for len in 0..bytes.len() {
                assert!(Membership::decode(&mut bytes.get(..len).expect("shorter")).is_err());
            }
            bytes
        };
        let old = whole(&table);
        table.remove(MemberId(10), true);
        assert_eq!(table.removal(MemberId(9)), Some(Removal::Plain));
        assert_eq!(table.removal(MemberId(10)), Some(Removal::Final));
        assert_eq!(table.removal(MemberId(11)), None);
        let new = whole(&table);
        // Two more ids, and one more list of one.
        assert_eq!(new.len(), old.len() + 8 + 4 + 8, "a table without them is as it always was");
        let mut unknown = old.clone();
        let flags = unknown.len() - (4 + 8) - (4 + 8) - 1;
        assert_eq!(unknown[flags], 0, "the place of the flags");
        unknown[flags] = 4;
        assert!(Membership::decode(&mut unknown.as_slice()).is_err(), "a flag of the future");
        let mut foreign = new;
        *foreign.last_mut().expect("an id") = 77;
        assert!(Membership::decode(&mut foreign.as_slice()).is_err(), "expelled and not removed");
    }

    #[test]
    fn those_that_left_are_remembered_up_to_a_bound() {
        let mut table = Membership::founded_by(vec![MemberId(1)], Vec::new());
        for id in 2..REMOVED_MAX as u64 + 3 {
            table.remove(MemberId(id), true);
        }
        assert_eq!((table.removed.len(), table.expelled.len()), (REMOVED_MAX, REMOVED_MAX));
        assert_eq!(table.removal(MemberId(2)), None, "forgotten");
        assert_eq!(table.removal(MemberId(3)), Some(Removal::Final));
    }
}
