//! What a member judges by its log and its configuration: whether another one has forgotten what
//! it acknowledged, whether a message can be an honest one, and whether the states differ.

use crate::identity::PeerClaim;
use crate::identity::reports::Report;
use crate::membership::configuration::holds;
use crate::replica::Replica;
use crate::types::{LogIndex, LogPosition, MemberId, Term};
use raft::eraftpb::{Message, MessageType};

impl Replica {
    /// Whether raft's configuration or the registry holds a machine.
    pub(crate) fn is_in_configuration(&self, id: MemberId) -> bool {
        holds(self.conf_state(), id) || self.state.membership.member(id).is_some()
    }

    /// What a claimant acknowledged to this leader in its term, if its log ends before that.
    pub(crate) fn forgotten(&self, claim: &PeerClaim) -> Option<LogIndex> {
        let raft = &self.raw.raft;
        // A later term may have cut its log for good reason; this leader does not know it yet.
        if !self.is_leader() || claim.term.0 > raft.term {
            return None;
        }
        let matched = raft.prs().get(claim.id.0).filter(|_| claim.id != self.id)?.matched;
        (matched > claim.last_index.0).then_some(LogIndex(matched))
    }

    /// Finds out anew what a member has, from the end of its log on, that says itself that it may
    /// have forgotten something: the entries behind what it forgot may be others than it says.
    pub(crate) fn bring_up_from(&mut self, id: MemberId, last: LogIndex) {
        let next = self.last_index().0.min(last.0) + 1;
        if let Some(progress) = self.raw.raft.mut_prs().get_mut(id.0) {
            progress.matched = 0;
            progress.become_probe();
            progress.next_idx = next;
        }
    }

    /// What this member says of its log to one that may have forgotten what it promised.
    pub(crate) fn report(&self) -> Report {
        let log = &self.raw.raft.raft_log;
        let last = LogPosition::new(log.last_index(), log.last_term());
        Report { term: self.term(), last, voters: self.voters_ahead() }
    }

    /// This member may have voted in any term up to this one, and does not know: it votes in none
    /// of them, nor acknowledges anything in an earlier one.
    pub(crate) fn forgo_votes_through(&mut self, term: Term) {
        let raft = &mut self.raw.raft;
        if term.0 > raft.term {
            raft.become_follower(term.0, raft::INVALID_ID);
        }
        if term.0 == raft.term && raft.vote == raft::INVALID_ID {
            raft.vote = self.id.0;
        }
    }

    /// Whether an honest member can have sent a message. raft ends the process on some that none
    /// can (raft-rs 0.7: `commit_to`, `maybe_commit`, `handle_append_entries`).
    pub(crate) fn is_possible(&self, message: &Message) -> bool {
        /// Terms grow by one with each election; a number beyond this is no term.
        const TERM_MAX: u64 = 1 << 62;
        let log = &self.raw.raft.raft_log;
        let last = log.last_index();
        let fits = match message.get_msg_type() {
            // An entry at or above the commit index was written in its term or later.
            MessageType::MsgAppend => {
                let committed = log.term(log.committed);
                let committed = committed.expect("the log keeps the last entry that is applied");
                message.index < log.committed || message.log_term >= committed
            }
            // Nobody has what this member never sent.
            MessageType::MsgAppendResponse => message.reject || message.index <= last,
            _ => true,
        };
        fits && message.term <= TERM_MAX && message.index <= TERM_MAX
    }

    /// Whether this member's state differs from that of others, and no majority has the same as
    /// this one.
    pub(crate) fn has_diverged(&self) -> bool {
        let conf = self.conf_state();
        let own = self.id.0;
        let peers = conf.voters.iter().filter(|id| **id != own);
        let peers = peers.map(|id| self.peers.get(MemberId(*id)));
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
