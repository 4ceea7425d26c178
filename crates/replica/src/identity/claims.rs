//! What a member may promise itself, and whom it listens to beside the members that it knows.
//!
//! All of it is decided here from what others say and from what this member's own directory shows;
//! `driver/admission.rs` asks before it lets anything reach raft.

use crate::clock::MonoTime;
use crate::error::EngineError;
use crate::identity::confirm::{Origin, words_needed};
use crate::identity::reports::{Report, Reports};
use crate::identity::{self, ClaimRefused, Identity, PeerClaim};
use crate::types::{LogIndex, LogPosition, MemberId};
use crate::wire::record::Start;
use raft::eraftpb::ConfState;
use std::collections::{BTreeMap, BTreeSet};

/// How many election time-outs a member whose log was cut at the start leaves others to find a
/// leader, before it takes part in an election itself.
const ABSTENTION_TIMEOUTS: u64 = 3;

/// What a member knows of itself and of those that spoke to it, beside the replicated state.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    identity: Identity,
    /// Whether the directory is where it was.
    origin: Origin,
    /// Whether the log may end before what this member acknowledged: this start cut off its end, or
    /// the directory was copied from a running machine.
    is_doubtful: bool,
    abstention: Abstention,
    /// An entry that others know this member to have acknowledged, and that its log does not hold.
    lost: Option<LogIndex>,
    /// What others say of their logs to a copy of a running machine.
    reports: Reports,
    /// The latest identity under which each member spoke to this process, and whether it may have
    /// forgotten what it promised.
    met: BTreeMap<MemberId, Met>,
    /// Who refuses to let this member speak.
    disowned_by: BTreeSet<MemberId>,
    /// Whom each member says to be one.
    vouched: BTreeMap<MemberId, Vec<MemberId>>,
    /// Whether something of this is to be written down that the log does not say yet.
    must_write: bool,
}

#[derive(Clone, Copy, Debug)]
struct Met {
    identity: Identity,
    is_doubtful: bool,
}

/// How long a member keeps out of elections after its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Abstention {
    #[default]
    Over,
    /// Until then by the monotonic clock, if it has heard no leader by then.
    Until(MonoTime),
    /// Until every other voter has reported, and the log holds all that was reported.
    UntilReported,
}

impl Claims {
    pub(crate) fn new(identity: Identity, lost: Option<LogIndex>, origin: Origin) -> Self {
        Self { identity, lost, origin, ..Self::default() }
    }

    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    /// The identity is durable.
    pub(crate) fn set_identity(&mut self, identity: Identity) {
        self.identity = identity;
    }

    /// What a start under this identity writes down.
    pub(crate) fn start(&self, identity: Identity) -> Start {
        Start { identity, lost: self.lost, origin: self.origin.to_write() }
    }

    /// What a snapshot says of its file before that exists.
    pub(crate) fn origin_for_snapshot(&self) -> u64 {
        self.origin.for_snapshot()
    }

    /// Whether something was learnt, since this was last asked, that is to be written down.
    pub(crate) fn take_must_write(&mut self) -> bool {
        std::mem::take(&mut self.must_write)
    }

    /// Whether there is something to be written down.
    pub(crate) fn must_write(&self) -> bool {
        self.must_write
    }

    pub(crate) fn lost(&self) -> Option<LogIndex> {
        self.lost
    }

    pub(crate) fn is_doubtful(&self) -> bool {
        self.is_doubtful
    }

    /// Whether the directory may be a copy of a running machine that was not brought up since.
    pub(crate) fn is_live_copy(&self) -> bool {
        self.origin.is_live
    }

    /// Whether a claim fits what is known of the claimant: by the `registered` identity, and by the
    /// one under which it spoke last.
    pub(crate) fn check(
        &self,
        claim: &PeerClaim,
        registered: Option<Identity>,
    ) -> Result<(), ClaimRefused> {
        let met = self.met.get(&claim.id).map(|met| met.identity);
        let known = [registered, met];
        for known in known.into_iter().flatten() {
            identity::check(known, claim.identity)?;
        }
        Ok(())
    }

    /// A member has spoken under an identity that was believed.
    pub(crate) fn note_met(&mut self, claim: &PeerClaim) {
        let PeerClaim { id, identity, is_doubtful, .. } = *claim;
        self.met.insert(id, Met { identity, is_doubtful });
    }

    /// The connection of a member is gone. What nobody has registered is forgotten with it: a
    /// stranger that used the id of a member whose directory is not known here keeps that one out
    /// for no longer than it is there itself.
    pub(crate) fn note_lost(&mut self, id: MemberId, registered: Option<Identity>) {
        let known = registered.map(|identity| identity.incarnation);
        let is_known = |met: &Met| Some(met.identity.incarnation) == known;
        if self.met.get(&id).is_some_and(|met| !is_known(met)) {
            self.met.remove(&id);
        }
    }

    /// Who may have forgotten what it promised, and the nonce of its start.
    pub(crate) fn asking(&self) -> impl Iterator<Item = (MemberId, u64)> + '_ {
        let asking = self.met.iter().filter(|(_, met)| met.is_doubtful);
        asking.map(|(id, met)| (*id, met.identity.nonce))
    }

    /// A member says who is a member by its configuration. What those said is forgotten that
    /// `is_member` does not hold.
    pub(crate) fn note_vouched(
        &mut self,
        from: MemberId,
        members: Vec<MemberId>,
        is_member: impl Fn(MemberId) -> bool,
    ) {
        self.vouched.insert(from, members);
        self.vouched.retain(|from, _| is_member(*from));
    }

    /// Whether a member says that this one is a member.
    pub(crate) fn is_vouched_for(&self, id: MemberId) -> bool {
        self.vouched.values().any(|members| members.contains(&id))
    }

    /// A leader sent something.
    pub(crate) fn note_leader(&mut self) {
        if matches!(self.abstention, Abstention::Until(_)) {
            self.abstention = Abstention::Over;
        }
    }

    /// Another member says how far its log goes, to the start of this directory with a nonce. Says
    /// whether it counts.
    pub(crate) fn note_report(
        &mut self,
        from: MemberId,
        nonce: u64,
        report: Report,
        own: MemberId,
        conf: &ConfState,
    ) -> bool {
        let counts = self.awaits_reports()
            && nonce == self.identity.nonce
            && self.reports.note(from, report, conf);
        if counts {
            self.settle_copy(own, conf);
        }
        counts
    }

    /// Others may know more than this member. They are left some time to elect a leader, which
    /// brings this member up before it promises anything. A torn record was most likely never
    /// acknowledged; what a copy of a running machine lacks was, so that one waits for as long as
    /// it takes to hear it from all others.
    pub(crate) fn begin_abstention(
        &mut self,
        is_torn: bool,
        has_others: bool,
        timeout_ns: u64,
        now: MonoTime,
    ) {
        let patience = timeout_ns.saturating_mul(ABSTENTION_TIMEOUTS);
        let is_live = &mut self.origin.is_live;
        *is_live &= has_others;
        self.is_doubtful = is_torn || *is_live;
        self.abstention = match (*is_live, is_torn) {
            (true, _) => Abstention::UntilReported,
            (false, true) => Abstention::Until(now.after(patience)),
            (false, false) => Abstention::Over,
        };
    }

    /// Looks whether a copy of a running machine, whose durable log ends at `last`, has all that it
    /// may have promised.
    pub(crate) fn check_abstention(&mut self, own: MemberId, conf: &ConfState, last: LogPosition) {
        if self.awaits_reports()
            && self.reports.are_complete(own, conf)
            && self.reports.are_covered_by(last)
        {
            self.abstention = Abstention::Over;
            self.origin.is_live = false;
            self.must_write = true;
        }
    }

    /// Whether a member that keeps out of elections may give its vote all the same: a copy of a
    /// running machine that has heard from all others to one that lacks nothing of what they know.
    pub(crate) fn may_vote_for(
        &self,
        candidate: LogPosition,
        own: MemberId,
        conf: &ConfState,
    ) -> bool {
        self.awaits_reports()
            && self.reports.are_complete(own, conf)
            && self.reports.are_covered_by(candidate)
    }

    /// Whether this member keeps out of an election for now.
    pub(crate) fn abstains(&self, own: MemberId, conf: &ConfState, now: MonoTime) -> bool {
        let is_waiting = match self.abstention {
            Abstention::Over => false,
            Abstention::Until(until) => now < until,
            Abstention::UntilReported => true,
        };
        is_waiting || self.promises_nothing(own, conf)
    }

    /// Whether the directory was copied from a running machine and may lack what that promised.
    pub(crate) fn awaits_reports(&self) -> bool {
        self.abstention == Abstention::UntilReported
    }

    /// Whether nothing that this member says may be a promise: it lost one, or may have.
    pub(crate) fn promises_nothing(&self, own: MemberId, conf: &ConfState) -> bool {
        self.lost.is_some() || self.missing_words(own, conf).is_some()
    }

    /// A member that leads, or led lately, knows this one to have had a committed entry that it
    /// has not.
    pub(crate) fn note_forgotten(&mut self, acknowledged: LogIndex) {
        // What was cut off at the start is told in the hello, and the leader begins anew.
        if !self.is_doubtful {
            self.lost = Some(acknowledged);
            self.must_write = true;
        }
    }

    /// Another member does not let this one speak.
    pub(crate) fn note_disowned(&mut self, by: MemberId) {
        self.origin.take_back_word(by);
        self.reports.take_back(by);
        self.disowned_by.insert(by);
    }

    /// Another member has let this one speak.
    pub(crate) fn note_confirmed(&mut self, by: MemberId, own: MemberId, conf: &ConfState) {
        self.disowned_by.remove(&by);
        if self.origin.is_settled() {
            return;
        }
        self.origin.take_word(by);
        self.settle_copy(own, conf);
    }

    /// A copy is none any more as soon as so many have said what they know of it.
    fn settle_copy(&mut self, own: MemberId, conf: &ConfState) {
        if self.origin.is_copied && self.missing_words(own, conf).is_none() {
            self.origin.is_copied = false;
            self.must_write = true;
        }
    }

    /// Whether those that do not let this member speak are its leader, or so many that the others
    /// have no quorum. What it is asked for gets nowhere then. It does not matter to anybody else:
    /// the leader of the others still speaks to it.
    ///
    /// A member that decides alone believes nobody, unless it sees itself that its directory was
    /// copied: the copy may be from before the others joined, and decides for a cluster that has
    /// gone on without it.
    pub(crate) fn is_disowned(
        &self,
        is_alone: bool,
        leader: Option<MemberId>,
        conf: &ConfState,
    ) -> bool {
        let by = &self.disowned_by;
        if by.is_empty() {
            return false;
        }
        if is_alone {
            return self.origin.is_copied;
        }
        let refusing = conf.voters.iter().filter(|id| by.contains(&MemberId(**id))).count();
        let is_by_leader = leader.is_some_and(|leader| by.contains(&leader));
        is_by_leader || refusing * 2 >= conf.voters.len().max(1)
    }

    /// How many others have let this member speak, and how many have to before it promises
    /// anything; nothing if it may. To a copy of a running machine they have to say what they know
    /// of its promises too.
    pub(crate) fn missing_words(&self, own: MemberId, conf: &ConfState) -> Option<(usize, usize)> {
        // Asked before each write and each read: hardly any member is a copy.
        if !self.origin.is_copied {
            return None;
        }
        // It may vote by what is in its log and not applied yet.
        let mut known = self.reports.known_voters(conf);
        known.insert(own);
        let words = if self.awaits_reports() {
            self.reports.members().filter(|id| known.contains(id)).count()
        } else {
            known.iter().filter(|id| self.origin.has_word_of(**id)).count()
        };
        let needed = words_needed(known.len());
        (known.len() > 1 && words < needed).then_some((words, needed))
    }

    /// Why this member takes no writes and proves no reads, by what is known of its directory.
    ///
    /// # Errors
    /// [`EngineError`] with why, and what to do.
    pub(crate) fn check_fit(&self, own: MemberId, conf: &ConfState) -> Result<(), EngineError> {
        if self.lost.is_some() {
            Err(EngineError::LostPromise)
        } else if self.missing_words(own, conf).is_some() {
            Err(EngineError::Unconfirmed)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Term;

    fn claim(incarnation: u64, start: u64) -> PeerClaim {
        PeerClaim {
            id: MemberId(2),
            identity: Identity { incarnation, start, nonce: start, ..Identity::default() },
            term: Term(1),
            last_index: LogIndex(1),
            last_term: Term(1),
            is_doubtful: false,
        }
    }

    #[test]
    fn who_nobody_registered_is_forgotten_with_its_connection() {
        let mut claims = Claims::default();
        let (stranger, member) = (claim(7, 1), claim(8, 1));
        claims.note_met(&stranger);
        assert_eq!(claims.check(&member, None), Err(ClaimRefused::DirectoryReplaced));
        claims.note_lost(MemberId(2), None);
        assert_eq!(claims.check(&member, None), Ok(()));
    }

    #[test]
    fn a_copy_waits_for_words_where_only_its_log_says_that_it_votes() {
        let origin = Origin::new(1, Some(2), 0, false);
        let mut claims = Claims::new(Identity::default(), None, origin);
        claims.begin_abstention(false, true, 1, MonoTime::default());
        let (own, mut conf) = (MemberId(1), ConfState::default());
        conf.voters = vec![2];
        assert_eq!(claims.missing_words(own, &conf), Some((0, 1)));
        let voters = [1, 2, 3].map(MemberId).to_vec();
        let report = Report { term: Term(1), voters, ..Report::default() };
        claims.reports.note(MemberId(2), report, &conf);
        assert_eq!(claims.missing_words(own, &conf), Some((1, 2)), "it knows of a third");
    }

    #[test]
    fn a_later_start_is_remembered_until_it_is_registered() {
        let mut claims = Claims::default();
        let (first, later) = (claim(7, 1), claim(7, 2));
        claims.note_met(&later);
        claims.note_lost(MemberId(2), Some(first.identity));
        let refused = claims.check(&first, Some(first.identity));
        assert_eq!(refused, Err(ClaimRefused::OlderCopy { start: 1, known: 2 }));
    }
}
