//! Who is listened to, and what this member may promise itself.

use crate::clock::Clock;
use crate::driver::{Driver, Network, durable_hard_state};
use crate::error::{EngineError, Fatal};
use crate::identity::confirm::Origin;
use crate::identity::{self, ClaimRefused, Identity, PeerClaim};
use crate::replica::{Replica, holds, voters};
use crate::types::{LogIndex, MemberId, Term};
use crate::wire::record::{self, Start};
use raft::eraftpb::{Message, MessageType};
use std::collections::{BTreeMap, BTreeSet};
use wal::Disk;

/// How many election time-outs a member whose log was cut at the start leaves others to find a
/// leader, before it takes part in an election itself.
const ABSTENTION_TIMEOUTS: u64 = 3;

/// What a member knows of itself and of those that spoke to it, beside the replicated state.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    pub(crate) identity: Identity,
    /// Whether the directory is where it was.
    pub(crate) origin: Origin,
    /// Whether the log may end before what this member acknowledged: this start cut off its end, or
    /// the directory was copied from a running machine.
    pub(crate) is_doubtful: bool,
    abstention: Abstention,
    /// An entry that others know this member to have acknowledged, and that its log does not hold.
    pub(crate) lost: Option<LogIndex>,
    /// The latest identity under which each member spoke to this process.
    met: BTreeMap<MemberId, Identity>,
    /// Who refuses to let this member speak.
    pub(crate) disowned_by: BTreeSet<MemberId>,
    /// Whom each member says to be one.
    vouched: BTreeMap<MemberId, Vec<MemberId>>,
}

/// How long a member keeps out of elections after its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Abstention {
    #[default]
    Over,
    /// Until then by the monotonic clock, if it has heard no leader by then.
    Until(u64),
    /// Until it has all that a leader had committed when it first sent entries, or until `patience`
    /// nanoseconds after all others have let it speak.
    UntilBroughtUp { commit: Option<LogIndex>, known_since: Option<u64>, patience: u64 },
}

impl Claims {
    pub(crate) fn new(identity: Identity, lost: Option<LogIndex>) -> Self {
        Self { identity, lost, ..Self::default() }
    }

    /// A leader sent something; with entries it says what is committed.
    fn note_leader(&mut self, commit: Option<LogIndex>) {
        match &mut self.abstention {
            Abstention::Until(_) => self.abstention = Abstention::Over,
            Abstention::UntilBroughtUp { commit: known @ None, .. } => *known = commit,
            _ => {}
        }
    }
}

impl<D: Disk, N: Network, C: Clock> Driver<D, N, C> {
    /// Which directory, and which start of it, this member speaks for.
    pub fn identity(&self) -> Identity {
        self.claims.identity
    }

    /// What this member says of itself to those that it calls.
    pub fn own_claim(&self) -> PeerClaim {
        let raft = &self.replica.raw.raft;
        let last_index = raft.raft_log.persisted.max(self.replica.state.applied.0);
        PeerClaim {
            id: self.replica.id,
            identity: self.claims.identity,
            term: Term(raft.term),
            last_index: LogIndex(last_index),
            last_term: Term(raft.raft_log.term(last_index).unwrap_or_default()),
            is_doubtful: self.claims.is_doubtful,
        }
    }

    /// An entry that others know this member to have acknowledged and that it does not have: it
    /// takes part in nothing until it has joined anew.
    pub fn lost_promise(&self) -> Option<LogIndex> {
        self.claims.lost
    }

    /// Whether a machine that calls may speak as the member that it says it is. One that was cut
    /// off at its start is brought up from where it is.
    ///
    /// # Errors
    /// [`ClaimRefused`] with what tells that it has forgotten what that member promised.
    pub fn meet(&mut self, claim: &PeerClaim) -> Result<(), ClaimRefused> {
        let membership = self.membership_ahead();
        let known = [membership.identity(claim.id), self.claims.met.get(&claim.id).copied()];
        for known in known.into_iter().flatten() {
            identity::check(known, claim.identity)?;
        }
        if let Some(acknowledged) = self.replica.forgotten(claim) {
            if !claim.is_doubtful {
                let has = claim.last_index;
                return Err(ClaimRefused::LostPromise { has, acknowledged });
            }
            self.replica.bring_up_from(claim.id, claim.last_index);
        }
        // A stranger is not worth remembering, and there is no end of them.
        if self.replica.is_in_configuration(claim.id) {
            self.claims.met.insert(claim.id, claim.identity);
            // Who comes back is told soon who is a member now.
            self.last_beacon = 0;
        }
        Ok(())
    }

    /// A member says who is a member by its configuration.
    pub(crate) fn note_vouched(&mut self, from: MemberId, members: Vec<MemberId>) {
        if self.replica.is_in_configuration(from) {
            self.claims.vouched.insert(from, members);
            let replica = &self.replica;
            self.claims.vouched.retain(|from, _| replica.is_in_configuration(*from));
        }
    }

    /// Whether what a machine says is taken: it is a member, or a member says that it is one. A
    /// member that was away while the cluster changed may be called by a leader of which it has
    /// never heard; a stranger's word alone is nothing.
    pub(crate) fn listens_to(&self, from: MemberId) -> bool {
        self.replica.is_in_configuration(from)
            || self.claims.vouched.values().any(|members| members.contains(&from))
    }

    /// Whether this member keeps out of an election for now.
    pub(crate) fn abstains(&self) -> bool {
        let is_waiting = match self.claims.abstention {
            Abstention::Over => false,
            Abstention::Until(until) => self.now.monotonic < until,
            Abstention::UntilBroughtUp { .. } => true,
        };
        is_waiting || self.promises_nothing()
    }

    /// Whether the directory was copied from a running machine and no leader has brought it up.
    pub fn awaits_leader(&self) -> bool {
        matches!(self.claims.abstention, Abstention::UntilBroughtUp { .. })
    }

    /// Looks whether a copy of a running machine was brought up.
    pub(crate) fn tend_abstention(&mut self) {
        let (now, is_known) = (self.now.monotonic, self.is_known_to_all());
        let committed = self.replica.raw.raft.raft_log.committed;
        let Abstention::UntilBroughtUp { commit, known_since, patience } =
            &mut self.claims.abstention
        else {
            return;
        };
        *known_since = known_since.or(Some(now)).filter(|_| is_known);
        let is_brought_up = commit.is_some_and(|commit| committed >= commit.0);
        let was_left_time = known_since.is_some_and(|since| now - since >= *patience);
        if is_brought_up || was_left_time {
            self.claims.abstention = Abstention::Over;
            self.claims.origin.is_live = false;
            self.keep_identity = true;
        }
    }

    /// Others may know more than this member. They are left some time to elect a leader, which
    /// brings this member up before it promises anything. A torn record was most likely never
    /// acknowledged; what a copy of a running machine lacks was, so that one waits for as long as
    /// it takes. Of two voters each has all that was ever committed, and does not vote for one that
    /// has less.
    pub(crate) fn begin_abstention(&mut self, is_torn: bool) {
        let has_many = voters(self.replica.conf_state()).count() > 2;
        let timeout_ns = self.options.election_timeout_ms.saturating_mul(1_000_000);
        let patience = timeout_ns.saturating_mul(ABSTENTION_TIMEOUTS);
        let is_live = &mut self.claims.origin.is_live;
        *is_live &= has_many;
        self.claims.is_doubtful = is_torn || *is_live;
        self.claims.abstention = match (*is_live, is_torn) {
            (true, _) => Abstention::UntilBroughtUp { commit: None, known_since: None, patience },
            (false, true) => Abstention::Until(self.now.monotonic.saturating_add(patience)),
            (false, false) => Abstention::Over,
        };
    }

    /// Whether nothing that this member says may be a promise: it lost one, or may have.
    fn promises_nothing(&self) -> bool {
        self.claims.lost.is_some() || self.awaits_words().is_some()
    }

    /// Whether a message of another member may reach raft: who lies, or forgets, must not end this
    /// process nor make it promise what it should not. What can be put right is.
    pub(crate) fn admit(&mut self, message: &mut Message) -> bool {
        if self.promises_nothing() || !self.replica.is_possible(message) {
            return false;
        }
        let from = MemberId(message.from);
        let kind = message.get_msg_type();
        let is_of_leader = matches!(kind, MessageType::MsgAppend | MessageType::MsgHeartbeat);
        let raft = &self.replica.raw.raft;
        if is_of_leader && message.term >= raft.term {
            let is_append = kind == MessageType::MsgAppend;
            self.claims.note_leader(is_append.then_some(LogIndex(message.commit)));
        }
        let is_vote = matches!(
            kind,
            MessageType::MsgRequestVote
                | MessageType::MsgRequestPreVote
                | MessageType::MsgTimeoutNow
        );
        if is_vote && self.abstains() {
            return false;
        }
        let last = self.replica.raw.raft.raft_log.last_index();
        if kind == MessageType::MsgHeartbeat && message.commit > last {
            let commit = std::mem::replace(&mut message.commit, last);
            self.note_forgotten(from, message.term, LogIndex(commit));
        }
        self.claims.lost.is_none()
    }

    /// A leader tells of a committed entry that it knows this member to have, and it has it not.
    fn note_forgotten(&mut self, from: MemberId, term: u64, acknowledged: LogIndex) {
        let is_known = self.replica.is_in_configuration(from);
        // What was cut off at the start is told in the hello, and the leader begins anew.
        if is_known && !self.claims.is_doubtful && term >= self.replica.raw.raft.term {
            self.claims.lost = Some(acknowledged);
            self.keep_identity = true;
        }
    }

    /// Makes this start's identity durable, before it is told to anybody. On a full disk the last
    /// one goes on: nobody else can have it.
    ///
    /// # Errors
    /// [`Fatal`] when the log cannot be written.
    pub(crate) fn write_identity(&mut self, next: Identity) -> Result<(), Fatal> {
        let log = self.replica.raw.store();
        let hard_state = durable_hard_state(log.hard_state(), log.last_index());
        let stamp = self.replica.clock.reading(self.now);
        let origin = self.claims.origin.to_write();
        let start = Start { identity: next, lost: self.claims.lost, origin };
        record::encode_start(&mut self.record, &hard_state, stamp, self.now, start);
        if self.write_apart(0)? {
            self.claims.identity = next;
        }
        Ok(())
    }

    /// Committed entries that could not be applied and were skipped, since this process started.
    pub fn entries_skipped(&self) -> u64 {
        self.replica.state.entries_skipped
    }

    /// Whether this member takes writes and proves reads.
    ///
    /// # Errors
    /// [`EngineError`] with why it does not, and what to do.
    pub fn unfit(&self) -> Result<(), EngineError> {
        if self.claims.lost.is_some() {
            Err(EngineError::LostPromise)
        } else if self.awaits_words().is_some() {
            Err(EngineError::Unconfirmed)
        } else if self.is_disowned() {
            Err(EngineError::Disowned)
        } else if self.has_diverged() {
            Err(EngineError::Diverged)
        } else {
            Ok(())
        }
    }

    /// Whether this member's state differs from that of others, and no majority has the same as
    /// this one.
    pub fn has_diverged(&self) -> bool {
        let conf = self.replica.conf_state();
        let own = self.replica.id.0;
        let peers = conf.voters.iter().filter(|id| **id != own);
        let peers = peers.map(|id| self.replica.peers.get(MemberId(*id)));
        differs_from_majority(peers.map(|peer| peer.and_then(|peer| peer.agrees)))
    }
}

/// Whether somebody differs and no majority of the voters agrees with this one. `others` says of
/// each other voter whether it agrees, as far as that is known.
fn differs_from_majority(others: impl Iterator<Item = Option<bool>>) -> bool {
    let (mut voters, mut agreeing, mut is_disputed) = (1, 1, false);
    for agrees in others {
        voters += 1;
        agreeing += usize::from(agrees == Some(true));
        is_disputed |= agrees == Some(false);
    }
    is_disputed && agreeing * 2 <= voters
}

impl Replica {
    /// Whether raft's configuration or the registry holds a machine.
    pub(crate) fn is_in_configuration(&self, id: MemberId) -> bool {
        holds(self.conf_state(), id) || self.state.membership.member(id).is_some()
    }

    /// What a claimant acknowledged to this leader in its term, if its log ends before that.
    fn forgotten(&self, claim: &PeerClaim) -> Option<LogIndex> {
        let raft = &self.raw.raft;
        // A later term may have cut its log for good reason; this leader does not know it yet.
        if !self.is_leader() || claim.term.0 > raft.term {
            return None;
        }
        let matched = raft.prs().get(claim.id.0).filter(|_| claim.id != self.id)?.matched;
        (matched > claim.last_index.0).then_some(LogIndex(matched))
    }

    /// Sends a member again what it lost, from the end of its log on.
    fn bring_up_from(&mut self, id: MemberId, last: LogIndex) {
        if let Some(progress) = self.raw.raft.mut_prs().get_mut(id.0) {
            progress.matched = 0;
            progress.become_probe();
            progress.next_idx = last.0 + 1;
        }
    }

    /// Whether an honest member can have sent a message. raft ends the process on some that none
    /// can (raft-rs 0.7: `commit_to`, `maybe_commit`, `handle_append_entries`).
    fn is_possible(&self, message: &Message) -> bool {
        /// Terms grow by one with each election; a number beyond this is no term.
        const TERM_MAX: u64 = 1 << 62;
        let log = &self.raw.raft.raft_log;
        let last = log.last_index();
        let fits = match message.get_msg_type() {
            // An entry at or above the commit index was written in its term or later.
            MessageType::MsgAppend => {
                let committed = log.term(log.committed).unwrap_or_default();
                message.index < log.committed || message.log_term >= committed
            }
            // Nobody has what this member never sent.
            MessageType::MsgAppendResponse => message.reject || message.index <= last,
            _ => true,
        };
        fits && message.term <= TERM_MAX && message.index <= TERM_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_no_majority_with_it_in_a_dispute_stops() {
        let (same, other, unknown) = (Some(true), Some(false), None);
        for (others, stops) in [
            (&[][..], false),
            (&[same], false),
            (&[other], true),
            (&[unknown], false),
            (&[same, other], false),
            (&[other, other], true),
            (&[unknown, other], true),
            (&[unknown, unknown], false),
            (&[same, same, other, other], false),
            (&[same, other, other, unknown], true),
        ] {
            assert_eq!(differs_from_majority(others.iter().copied()), stops, "{others:?}");
        }
    }
}
