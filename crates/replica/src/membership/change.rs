//! Changes of the membership: what may be asked for, and what is worth proposing by oneself.
//!
//! Everything here is a pure function of what the leader knows. A change is checked right before it
//! is proposed, when all earlier ones are applied, so that two that are asked for at the same time
//! cannot both pass a check that only one of them would.

use crate::error::EngineError;
use crate::membership::{Member, Membership};
use crate::types::MemberId;
use crate::wire::codec::{self, Malformed};
use raft::eraftpb::{ConfChangeSingle, ConfChangeType, ConfChangeV2};

/// One change of the membership.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    /// A machine joins; it learns until it has caught up.
    Join(Member),
    /// A member that has caught up takes part in decisions.
    Promote(MemberId),
    /// A member leaves; it may ask for a place under another id.
    Remove(MemberId),
    /// A member leaves, and stays out until its operator starts it again.
    Expel(MemberId),
}

const JOIN: u8 = 0;
const PROMOTE: u8 = 1;
const REMOVE: u8 = 2;
const EXPEL: u8 = 3;

impl Change {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Change::Join(member) => {
                out.push(JOIN);
                member.encode(out);
            }
            Change::Promote(id) => {
                out.push(PROMOTE);
                codec::put_u64(out, id.0);
            }
            Change::Remove(id) => {
                out.push(REMOVE);
                codec::put_u64(out, id.0);
            }
            Change::Expel(id) => {
                out.push(EXPEL);
                codec::put_u64(out, id.0);
            }
        }
    }

    pub(crate) fn decode(input: &mut &[u8]) -> Result<Self, Malformed> {
        Ok(match codec::take_u8(input)? {
            JOIN => Change::Join(Member::decode(input)?),
            PROMOTE => Change::Promote(MemberId(codec::take_u64(input)?)),
            REMOVE => Change::Remove(MemberId(codec::take_u64(input)?)),
            EXPEL => Change::Expel(MemberId(codec::take_u64(input)?)),
            _ => return Err(Malformed),
        })
    }

    /// The member that leaves by it, if one does.
    pub(crate) fn leaver(&self) -> Option<MemberId> {
        match self {
            Change::Remove(id) | Change::Expel(id) => Some(*id),
            Change::Join(_) | Change::Promote(_) => None,
        }
    }

    /// The same for raft; `context` is applied together with it.
    pub(crate) fn to_raft(&self, context: Vec<u8>) -> ConfChangeV2 {
        let (kind, id) = match self {
            Change::Join(member) => (ConfChangeType::AddLearnerNode, member.id),
            Change::Promote(id) => (ConfChangeType::AddNode, *id),
            Change::Remove(id) | Change::Expel(id) => (ConfChangeType::RemoveNode, *id),
        };
        let mut single = ConfChangeSingle::default();
        single.set_change_type(kind);
        single.node_id = id.0;
        let mut change = ConfChangeV2::default();
        change.mut_changes().push(single);
        change.context = context.into();
        change
    }
}

/// What the leader knows of one member.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) id: MemberId,
    pub(crate) is_voter: bool,
    /// Whether it was heard of lately; the leader itself always is.
    pub(crate) is_active: bool,
    /// Nanoseconds since it was heard of.
    pub(crate) silent_ns: u64,
    /// The last log entry that it is known to have.
    pub(crate) matched: u64,
}

/// How many entries a learner may be behind when it becomes a voter.
const LAG_MAX: u64 = 256;

/// What the leader knows of all members.
#[derive(Clone, Debug)]
pub(crate) struct Standings {
    pub(crate) own: MemberId,
    pub(crate) last_index: u64,
    pub(crate) members: Vec<Standing>,
}

impl Standings {
    fn get(&self, id: MemberId) -> Option<&Standing> {
        self.members.iter().find(|member| member.id == id)
    }

    /// Whether a majority of the voters would be active without `id`.
    fn is_safe_without(&self, id: MemberId) -> bool {
        let rest = self.members.iter().filter(|member| member.is_voter && member.id != id);
        has_majority(rest.map(|member| member.is_active))
    }

    /// Whether a majority of the voters would be active with `id` among them.
    fn is_safe_with(&self, id: MemberId) -> bool {
        let voters = self.members.iter().filter(|member| member.is_voter || member.id == id);
        has_majority(voters.map(|member| member.is_active))
    }

    /// Whether a change may be proposed now.
    ///
    /// # Errors
    /// [`EngineError`] with what speaks against it.
    pub(crate) fn check(
        &self,
        change: &Change,
        membership: &Membership,
    ) -> Result<(), EngineError> {
        match change {
            Change::Join(member) => self.check_join(member, membership),
            Change::Promote(id) => match self.get(*id) {
                None => Err(EngineError::NoSuchMember),
                Some(_) if !self.is_safe_with(*id) => Err(EngineError::QuorumAtRisk),
                Some(_) => Ok(()),
            },
            Change::Remove(id) | Change::Expel(id) => match self.get(*id) {
                None => Err(EngineError::NoSuchMember),
                // A learner has no vote to be missed.
                Some(standing) if !standing.is_voter || self.is_safe_without(*id) => Ok(()),
                Some(_) => Err(EngineError::QuorumAtRisk),
            },
        }
    }

    fn check_join(&self, member: &Member, membership: &Membership) -> Result<(), EngineError> {
        if membership.was_removed(member.id) {
            return Err(EngineError::Removed);
        }
        for other in membership.members().filter(|other| other.id != member.id) {
            if other.name == member.name {
                return Err(EngineError::NameTaken);
            }
            if other.peer_url == member.peer_url {
                return Err(EngineError::AddressTaken);
            }
        }
        // raft would make a learner of a voter that joins, and who votes is not asked for here.
        if self.get(member.id).is_some_and(|known| known.is_voter) {
            return Err(EngineError::AlreadyMember);
        }
        let is_known = self.get(member.id).is_some();
        let is_another = |known: &Member| known.name != member.name;
        if is_known && membership.member(member.id).is_some_and(is_another) {
            return Err(EngineError::AlreadyMember);
        }
        if !is_known && self.members.len() as u64 >= membership.config().active_size {
            return Err(EngineError::ClusterFull);
        }
        Ok(())
    }

    /// The change that the leader makes by itself, if one is due: a learner that has caught up is
    /// promoted; a member that was silent for `removeDelay` leaves, and so does the one that lags
    /// most when there are more members than `activeSize` (docs/spec/cluster.md section 6). The
    /// leader never removes itself, and never what would cost the majority.
    pub(crate) fn due(&self, membership: &Membership) -> Option<Change> {
        self.due_promotion().or_else(|| self.due_removal(membership))
    }

    fn due_promotion(&self) -> Option<Change> {
        let ready = |member: &&Standing| {
            !member.is_voter
                && member.is_active
                && member.matched > 0
                && member.matched + LAG_MAX >= self.last_index
                && self.is_safe_with(member.id)
        };
        self.members.iter().find(ready).map(|member| Change::Promote(member.id))
    }

    fn due_removal(&self, membership: &Membership) -> Option<Change> {
        let config = membership.config();
        let delay_ns = (config.remove_delay * 1e9) as u64;
        let others = || self.members.iter().filter(|member| member.id != self.own);
        let silent = others().filter(|member| member.silent_ns > delay_ns);
        let worst = silent.max_by_key(|member| (member.silent_ns, member.id)).or_else(|| {
            let excess = self.members.len() as u64 > config.active_size;
            let lag = |member: &&Standing| {
                (!member.is_voter, !member.is_active, u64::MAX - member.matched, member.id)
            };
            others().filter(|_| excess).max_by_key(lag)
        })?;
        let is_safe = !worst.is_voter || self.is_safe_without(worst.id);
        is_safe.then_some(Change::Remove(worst.id))
    }
}

fn has_majority(active: impl Iterator<Item = bool>) -> bool {
    let (mut all, mut alive) = (0, 0);
    for is_active in active {
        all += 1;
        alive += usize::from(is_active);
    }
    alive * 2 > all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership::ClusterConfig;

    fn standing(id: u64, is_voter: bool, is_active: bool, matched: u64) -> Standing {
        let silent_ns = if is_active { 0 } else { 5_000_000_000 };
        Standing { id: MemberId(id), is_voter, is_active, silent_ns, matched }
    }

    fn standings(members: Vec<Standing>) -> Standings {
        Standings { own: MemberId(1), last_index: 1000, members }
    }

    fn member(id: u64, name: &str, peer_url: &str) -> Member {
        Member {
            id: MemberId(id),
            name: name.into(),
            client_url: format!("http://c{id}"),
            peer_url: peer_url.into(),
            ..Member::default()
        }
    }

    fn table(ids: &[u64], config: ClusterConfig) -> Membership {
        let mut table = Membership::default();
        for id in ids {
            table.register(member(*id, &format!("m{id}"), &format!("http://p{id}")));
        }
        table.configure(config);
        table
    }

    #[test]
    fn a_removal_that_would_cost_the_majority_is_refused() {
        let table = table(&[1, 2, 3], ClusterConfig::default());
        let mut view = standings(vec![
            standing(1, true, true, 1000),
            standing(2, true, true, 1000),
            standing(3, true, false, 10),
        ]);
        assert_eq!(view.check(&Change::Remove(MemberId(3)), &table), Ok(()));
        let refused = view.check(&Change::Remove(MemberId(2)), &table);
        assert_eq!(refused, Err(EngineError::QuorumAtRisk), "1 of 2 would be left");
        assert_eq!(
            view.check(&Change::Remove(MemberId(9)), &table),
            Err(EngineError::NoSuchMember)
        );
        view.members[2].is_active = true;
        assert_eq!(view.check(&Change::Remove(MemberId(2)), &table), Ok(()));
    }

    #[test]
    fn the_last_member_cannot_leave() {
        let table = table(&[1], ClusterConfig::default());
        let view = standings(vec![standing(1, true, true, 1000)]);
        let refused = view.check(&Change::Remove(MemberId(1)), &table);
        assert_eq!(refused, Err(EngineError::QuorumAtRisk));
    }

    #[test]
    fn names_and_addresses_are_unique_and_the_size_is_kept() {
        let config = ClusterConfig { active_size: 3, ..ClusterConfig::default() };
        let table = table(&[1, 2, 3], config);
        let mut members = vec![standing(1, true, true, 9), standing(2, true, true, 9)];
        let view = standings(members.clone());
        let join = |id, name, url| Change::Join(member(id, name, url));
        assert_eq!(view.check(&join(4, "m2", "http://x"), &table), Err(EngineError::NameTaken));
        assert_eq!(view.check(&join(4, "m4", "http://p2"), &table), Err(EngineError::AddressTaken));
        assert_eq!(view.check(&join(4, "m4", "http://p4"), &table), Ok(()));
        members.push(standing(3, true, true, 9));
        let view = standings(members);
        assert_eq!(view.check(&join(4, "m4", "http://p4"), &table), Err(EngineError::ClusterFull));
        assert_eq!(
            view.check(&join(3, "m3", "http://p3"), &table),
            Err(EngineError::AlreadyMember),
            "a voter would become a learner"
        );
        let learner = standings(vec![standing(1, true, true, 9), standing(3, false, true, 9)]);
        assert_eq!(learner.check(&join(3, "m3", "http://p3"), &table), Ok(()), "asks again");
        assert_eq!(
            learner.check(&join(3, "m5", "http://p5"), &table),
            Err(EngineError::AlreadyMember),
            "somebody else under a learner's id"
        );
    }

    #[test]
    fn a_learner_is_promoted_when_it_has_caught_up() {
        let table = table(&[1, 2], ClusterConfig::default());
        let view = |matched| {
            standings(vec![standing(1, true, true, 1000), standing(2, false, true, matched)])
        };
        assert_eq!(view(0).due(&table), None);
        assert_eq!(view(700).due(&table), None);
        assert_eq!(view(900).due(&table), Some(Change::Promote(MemberId(2))));
    }

    #[test]
    fn the_silent_and_then_the_lagging_leave_and_never_the_leader() {
        let config = ClusterConfig { active_size: 3, remove_delay: 2.0, sync_interval: 1.0 };
        let table = table(&[1, 2, 3, 4], config);
        let mut view = standings(vec![
            standing(1, true, true, 0),
            standing(2, true, true, 1000),
            standing(3, true, true, 500),
            standing(4, true, false, 999),
        ]);
        assert_eq!(view.due(&table), Some(Change::Remove(MemberId(4))));
        view.members[3] = standing(4, true, true, 999);
        assert_eq!(view.due(&table), Some(Change::Remove(MemberId(3))));
        view.members.pop();
        assert_eq!(view.due(&table), None);
        view.members[1] = standing(2, true, false, 1000);
        view.members[2] = standing(3, true, false, 500);
        assert_eq!(view.due(&table), None, "the majority is at stake");
    }

    #[test]
    fn changes_round_trip_and_every_truncation_is_noticed() {
        let member = member(4, "m4", "http://p:1");
        let (promote, remove) = (Change::Promote(MemberId(5)), Change::Remove(MemberId(6)));
        let expel = Change::Expel(MemberId(7));
        for change in [Change::Join(member), promote, remove, expel] {
            let mut bytes = Vec::new();
            change.encode(&mut bytes);
            assert_eq!(Change::decode(&mut bytes.as_slice()), Ok(change));
            for len in 0..bytes.len() {
                assert!(Change::decode(&mut bytes.get(..len).expect("shorter")).is_err());
            }
        }
        assert!(Change::decode(&mut [9; 20].as_slice()).is_err(), "an unknown kind");
    }
}
