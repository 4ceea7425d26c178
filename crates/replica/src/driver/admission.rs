//! Who is listened to, and which messages may reach raft.

use crate::clock::{Clock, MonoTime};
use crate::driver::Driver;
use crate::driver::network::Network;
use crate::error::{EngineError, Fatal};
use crate::identity::reports::Report;
use crate::identity::{ClaimRefused, Identity, PeerClaim};
use crate::types::{LogIndex, LogPosition, MemberId};
use crate::wire::envelope::Envelope;
use crate::wire::record;
use raft::eraftpb::{Message, MessageType};
use wal::Disk;

impl<D: Disk, N: Network, C: Clock> Driver<D, N, C> {
    /// Which directory, and which start of it, this member speaks for.
    pub fn identity(&self) -> Identity {
        self.claims.identity()
    }

    /// What this member says of itself to those that it calls.
    pub fn own_claim(&self) -> PeerClaim {
        let last = self.replica.last_persisted();
        PeerClaim {
            id: self.replica.id(),
            identity: self.claims.identity(),
            term: self.replica.term(),
            last_index: last.index,
            last_term: last.term,
            is_doubtful: self.claims.is_doubtful(),
        }
    }

    /// An entry that others know this member to have acknowledged and that it does not have: it
    /// takes part in nothing until it has joined anew.
    pub fn lost_promise(&self) -> Option<LogIndex> {
        self.claims.lost()
    }

    /// Whether a machine that calls may speak as the member that it says it is. One that was cut
    /// off at its start is brought up from where it is.
    ///
    /// # Errors
    /// [`ClaimRefused`] with what tells that it has forgotten what that member promised.
    pub fn meet(&mut self, claim: &PeerClaim) -> Result<(), ClaimRefused> {
        self.claims.check(claim, self.registered(claim.id))?;
        if claim.is_doubtful {
            self.replica.bring_up_from(claim.id, claim.last_index);
        } else if let Some(acknowledged) = self.replica.forgotten(claim) {
            return Err(ClaimRefused::LostPromise { has: claim.last_index, acknowledged });
        }
        // A stranger is not worth remembering, and there is no end of them.
        if self.replica.is_in_configuration(claim.id) {
            self.claims.note_met(claim);
            // Who comes back is told soon who is a member now.
            self.last_beacon = MonoTime::default();
        }
        Ok(())
    }

    /// The directory that is known to speak for a member. As long as a removal is not committed,
    /// the member is one, and nobody else may speak in its place.
    pub(super) fn registered(&self, id: MemberId) -> Option<Identity> {
        let ahead = self.replica.membership_ahead().identity(id);
        ahead.or_else(|| self.replica.membership().identity(id))
    }

    /// A member says who is a member by its configuration.
    pub(super) fn note_vouched(&mut self, from: MemberId, members: Vec<MemberId>) {
        if self.replica.is_in_configuration(from) {
            let replica = &self.replica;
            self.claims.note_vouched(from, members, |id| replica.is_in_configuration(id));
        }
    }

    /// Whether what a machine says is taken: it is a member, or a member says that it is one. A
    /// member that was away while the cluster changed may be called by a leader of which it has
    /// never heard; a stranger's word alone is nothing.
    pub fn listens_to(&self, from: MemberId) -> bool {
        self.replica.is_in_configuration(from) || self.claims.is_vouched_for(from)
    }

    /// Whether this member keeps out of an election for now.
    pub(super) fn abstains(&self) -> bool {
        let (own, conf) = (self.replica.id(), self.replica.conf_state());
        self.claims.abstains(own, conf, self.now.mono())
    }

    /// Whether the directory was copied from a running machine, and what all others know of its
    /// promises has not been heard, or is not in its log yet.
    pub fn awaits_reports(&self) -> bool {
        self.claims.awaits_reports()
    }

    /// Looks whether a copy of a running machine has all that it may have promised.
    pub(super) fn check_abstention(&mut self) {
        let (own, conf) = (self.replica.id(), self.replica.conf_state());
        self.claims.check_abstention(own, conf, self.replica.last_persisted());
    }

    /// A member says how far its log goes, to the start of this directory with a nonce.
    pub(super) fn note_report(&mut self, from: MemberId, nonce: u64, report: Report) {
        let (own, conf, term) = (self.replica.id(), self.replica.conf_state(), report.term);
        if self.claims.note_report(from, nonce, report, own, conf) {
            self.replica.forgo_votes_through(term);
        }
    }

    /// Says how far this member's log goes to those that may have forgotten what they promised.
    pub(super) fn send_reports(&mut self) {
        let asking: Vec<(MemberId, u64)> = self.claims.asking().collect();
        for (id, nonce) in asking {
            let report = Envelope::Report { nonce, report: self.replica.report() };
            self.network.send(id, report.encode());
        }
    }

    /// Whether a message of another member may reach raft: who lies, or forgets, must not end this
    /// process nor make it promise what it should not. What can be put right is.
    pub(super) fn admit(&mut self, message: &mut Message) -> bool {
        let (own, conf) = (self.replica.id(), self.replica.conf_state());
        if self.claims.promises_nothing(own, conf) || !self.replica.is_possible(message) {
            return false;
        }
        let from = MemberId(message.from);
        let kind = message.get_msg_type();
        let is_of_leader = matches!(kind, MessageType::MsgAppend | MessageType::MsgHeartbeat);
        let is_recent = message.term >= self.replica.term().0;
        if is_of_leader && is_recent {
            self.claims.note_leader();
            self.told_commit = self.told_commit.max(LogIndex(message.commit));
        }
        let may_proceed = match kind {
            MessageType::MsgRequestVote | MessageType::MsgRequestPreVote => {
                let candidate = LogPosition::new(message.index, message.log_term);
                !self.abstains() || self.claims.may_vote_for(candidate, own, conf)
            }
            MessageType::MsgTimeoutNow => !self.abstains(),
            _ => true,
        };
        if !may_proceed {
            return false;
        }
        let last = self.replica.last_index().0;
        if kind == MessageType::MsgHeartbeat && message.commit > last {
            let commit = std::mem::replace(&mut message.commit, last);
            // A leader tells of a committed entry that it knows this member to have.
            if is_recent && self.replica.is_in_configuration(from) {
                self.claims.note_forgotten(LogIndex(commit));
            }
        }
        self.claims.lost().is_none()
    }

    /// Makes this start's identity durable, before it is told to anybody. On a full disk the last
    /// one goes on: nobody else can have it.
    ///
    /// # Errors
    /// [`Fatal`] when the log cannot be written.
    pub(super) fn write_identity(&mut self, next: Identity) -> Result<(), Fatal> {
        let hard_state = self.replica.durable_hard_state();
        let stamp = self.replica.reading(self.now);
        let start = self.claims.start(next);
        record::encode_start(&mut self.record, &hard_state, stamp, self.now, start);
        if self.write_apart(0)? {
            self.claims.set_identity(next);
        }
        Ok(())
    }

    /// Whether this member takes writes and proves reads.
    ///
    /// # Errors
    /// [`EngineError`] with why it does not, and what to do.
    pub fn unfit(&self) -> Result<(), EngineError> {
        self.claims.check_fit(self.replica.id(), self.replica.conf_state())?;
        if self.is_disowned() {
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
        self.replica.has_diverged()
    }

    /// Another member does not let this one speak: it knows of a later start of its directory, or
    /// of another directory.
    pub fn disowned(&mut self, by: MemberId) {
        self.claims.note_disowned(by);
    }

    fn is_disowned(&self) -> bool {
        let replica = &self.replica;
        self.claims.is_disowned(replica.is_alone(), replica.leader(), replica.conf_state())
    }

    /// Another member has let this one speak: it knows of nothing that this one forgot.
    pub fn confirmed(&mut self, by: MemberId) {
        self.claims.note_confirmed(by, self.replica.id(), self.replica.conf_state());
    }

    /// How many others have let this copy of a member speak, and how many have to before it takes
    /// part; nothing if it takes part.
    pub fn awaits_words(&self) -> Option<(usize, usize)> {
        self.claims.missing_words(self.replica.id(), self.replica.conf_state())
    }
}
