//! Handing leadership over: to the member that is furthest, or to the one that is named.
//!
//! raft waits until the next leader has the whole log, tells it to call an election at once, and
//! gives up after an election time-out. Until then this leader decides nothing.

use super::Replica;
use crate::clock::Now;
use crate::types::MemberId;

/// A member that lacks more entries than this one is not waited for: it would not have them within
/// an election time-out, and nothing is decided meanwhile.
const ENTRIES_BEHIND_MAX: u64 = 5000;

/// Why leadership is not handed over. Nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandOverRefused {
    /// This member does not lead.
    NotLeader,
    /// It is being handed over to another one already.
    UnderWay(MemberId),
    /// No other member that votes is heard.
    Nobody,
    /// The member does not vote.
    NotVoter,
    /// The member is not heard.
    Silent,
    /// The member lacks so many entries of the log.
    Behind(u64),
}

impl Replica {
    /// Transfers leadership to the follower that is furthest, if there is one that is active.
    pub(crate) fn transfer_leadership(&mut self) {
        if !self.is_leader() || self.raw.raft.lead_transferee.is_some() {
            return;
        }
        let own = self.id.0;
        let conf = self.raw.store().conf_state();
        let best = self
            .raw
            .raft
            .prs()
            .iter()
            .filter(|(id, progress)| {
                **id != own && progress.recent_active && conf.voters.contains(id)
            })
            .max_by_key(|(id, progress)| (progress.matched, **id))
            .map(|(id, _)| *id);
        if let Some(best) = best {
            self.raw.transfer_leader(best);
        }
    }

    /// The member that leadership is being handed over to.
    pub(crate) fn handing_over_to(&self) -> Option<MemberId> {
        self.raw.raft.lead_transferee.filter(|_| self.is_leader()).map(MemberId)
    }

    /// Begins to hand leadership over to a member, or to the one that is furthest; gives which one
    /// that is. To hand it to itself a leader has nothing to do.
    ///
    /// # Errors
    /// [`HandOverRefused`]; nothing was done.
    pub(crate) fn hand_over(
        &mut self,
        target: Option<MemberId>,
        now: Now,
    ) -> Result<MemberId, HandOverRefused> {
        if !self.is_leader() {
            return Err(HandOverRefused::NotLeader);
        }
        if target == Some(self.id) {
            return Ok(self.id);
        }
        if let Some(id) = self.handing_over_to() {
            return match target.is_none_or(|target| target == id) {
                true => Ok(id),
                false => Err(HandOverRefused::UnderWay(id)),
            };
        }
        let standings = self.standings(now);
        let others = standings.members.iter().filter(|one| one.id != self.id);
        let chosen = match target {
            Some(id) => others.clone().find(|one| one.id == id),
            None => others
                .clone()
                .filter(|one| one.is_voter && one.is_active)
                .max_by_key(|one| (one.matched, one.id)),
        };
        let behind = |matched: u64| standings.last_index.saturating_sub(matched);
        match chosen {
            None if target.is_none() => Err(HandOverRefused::Nobody),
            None => Err(HandOverRefused::NotVoter),
            Some(one) if !one.is_voter => Err(HandOverRefused::NotVoter),
            Some(one) if !one.is_active => Err(HandOverRefused::Silent),
            Some(one) if behind(one.matched) > ENTRIES_BEHIND_MAX => {
                Err(HandOverRefused::Behind(behind(one.matched)))
            }
            Some(one) => {
                let id = one.id;
                self.raw.transfer_leader(id.0);
                Ok(id)
            }
        }
    }
}
