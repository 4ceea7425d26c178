//! raft's configuration: who votes, and who learns.

use crate::types::MemberId;
use raft::eraftpb::ConfState;

/// Those who vote by a configuration; one that changes has some of them twice.
pub(crate) fn voters(conf: &ConfState) -> impl Iterator<Item = MemberId> + '_ {
    conf.voters.iter().chain(&conf.voters_outgoing).map(|id| MemberId(*id))
}

/// Whether a configuration holds a member: one that votes, or one that learns.
pub(crate) fn holds(conf: &ConfState, id: MemberId) -> bool {
    voters(conf).any(|voter| voter == id) || conf.learners.contains(&id.0)
}
