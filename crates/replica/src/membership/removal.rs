//! Whether a member believes that it was removed.
//!
//! Its own log may say so; that is certain, and none of this is needed then. But a member that
//! leaves often hears nothing more: the others stop to speak to it with the entry that removes it,
//! and in a change from two members to one nobody is left to send that entry. All that it notices
//! is that another member turns it away. That is a hint and no more, since whoever answers at an
//! address can say it. It is believed when a majority of those say so who could have decided it:
//! the other voters of the configuration that this member has applied, each asked at the address
//! that its applied table names.
//!
//! A majority cannot be had by one liar, and not by one member with a wrong table. One member
//! that has not applied the removal yet only makes the machine ask again.
//!
//! No clock, no socket: who is asked, and how often, is the business of whoever drives this.

use crate::types::{MemberId, Role};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What a member says of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// It is a member, or is expected to become one.
    Member,
    /// It was one and left; its machine may ask for another place.
    Removed,
    /// It was one and left; its machine is to stay out until its operator starts it again.
    RemovedFinally,
    /// Nothing is known of it: it was never there, or left so long ago that it is forgotten.
    Unknown,
}

/// Why a member believes nobody who says that it was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knows {
    /// It leads. A leader that has lost its quorum leads no longer within an election time-out, so
    /// a majority has listened to this one lately.
    ItLeads,
    /// A leader speaks to it, which it does to members alone.
    ItsLeader,
    /// There is nobody else who could have decided it.
    ItIsAlone,
}

impl fmt::Display for Knows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Knows::ItLeads => "it leads the cluster with a majority behind it",
            Knows::ItsLeader => "the leader goes on to speak to it",
            Knows::ItIsAlone => "no other member votes, so that nobody else can decide it",
        })
    }
}

/// From where a member sees the claim that it was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlook {
    leads: bool,
    hears_leader: bool,
    /// The voters of the applied configuration but this member.
    others: BTreeSet<MemberId>,
}

/// What is to be believed of the claim that a member was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing, whoever says it: this member knows better.
    Unbelievable(Knows),
    /// Nothing yet: those who could know have not said so.
    Unproven,
    /// It was removed.
    Removed {
        /// Whether its machine is to stay out until its operator starts it again.
        is_final: bool,
    },
}

impl Outlook {
    /// Of the member `own` in this role, by the voters of its applied configuration, both halves
    /// of a change that is under way. `hears_leader` says whether another member that leads was
    /// heard of lately.
    pub fn new(
        own: MemberId,
        role: Role,
        hears_leader: bool,
        voters: impl IntoIterator<Item = MemberId>,
    ) -> Self {
        let others = voters.into_iter().filter(|id| *id != own).collect();
        Self { leads: role == Role::Leader, hears_leader, others }
    }

    /// Why nobody is believed and nobody needs to be asked; nothing if others may know better.
    pub fn knows(&self) -> Option<Knows> {
        match self {
            _ if self.others.is_empty() => Some(Knows::ItIsAlone),
            Self { leads: true, .. } => Some(Knows::ItLeads),
            Self { hears_leader: true, .. } => Some(Knows::ItsLeader),
            _ => None,
        }
    }

    /// Who is to be asked; nobody if nothing that they say would be believed.
    pub fn witnesses(&self) -> impl Iterator<Item = MemberId> + '_ {
        self.others.iter().copied().filter(|_| self.knows().is_none())
    }

    /// Judges what was answered. Answers of others than the witnesses count for nothing.
    pub fn judge(&self, answers: &BTreeMap<MemberId, About>) -> Verdict {
        if let Some(knows) = self.knows() {
            return Verdict::Unbelievable(knows);
        }
        let said =
            |what: About| self.others.iter().filter(move |id| answers.get(id) == Some(&what));
        let (plain, finally) = (said(About::Removed).count(), said(About::RemovedFinally).count());
        if (plain + finally) * 2 <= self.others.len() {
            return Verdict::Unproven;
        }
        // There is one removal of an id. Where they differ, more of them are right.
        Verdict::Removed { is_final: finally > plain }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: MemberId = MemberId(1);

    fn outlook(role: Role, voters: &[u64]) -> Outlook {
        Outlook::new(OWN, role, false, voters.iter().map(|id| MemberId(*id)))
    }

    fn judge(outlook: &Outlook, answers: &[(u64, About)]) -> Verdict {
        outlook.judge(&answers.iter().map(|(id, about)| (MemberId(*id), *about)).collect())
    }

    const PLAIN: Verdict = Verdict::Removed { is_final: false };
    const FINAL: Verdict = Verdict::Removed { is_final: true };

    #[test]
    fn who_leads_is_led_or_decides_alone_believes_nobody_and_asks_nobody() {
        let all = [(1, About::Removed), (2, About::Removed), (3, About::Removed)];
        let leader = outlook(Role::Leader, &[1, 2, 3]);
        assert_eq!(leader.witnesses().count(), 0);
        assert_eq!(judge(&leader, &all), Verdict::Unbelievable(Knows::ItLeads));
        for role in [Role::Leader, Role::Follower, Role::Candidate] {
            let alone = outlook(role, &[1]);
            assert_eq!(alone.witnesses().count(), 0);
            assert_eq!(judge(&alone, &all), Verdict::Unbelievable(Knows::ItIsAlone));
        }
        let led = Outlook::new(OWN, Role::Follower, true, [OWN, MemberId(2), MemberId(3)]);
        assert_eq!(led.witnesses().count(), 0);
        assert_eq!(judge(&led, &all), Verdict::Unbelievable(Knows::ItsLeader));
    }

    #[test]
    fn a_majority_of_the_other_voters_is_believed_and_nobody_else() {
        use About::{Member, Removed, RemovedFinally, Unknown};
        let five = outlook(Role::Follower, &[1, 2, 3, 4, 5]);
        let witnesses: Vec<u64> = five.witnesses().map(|id| id.0).collect();
        assert_eq!(witnesses, [2, 3, 4, 5]);
        for (answers, want) in [
            (&[][..], Verdict::Unproven),
            (&[(2, Removed)][..], Verdict::Unproven),
            (&[(2, Removed), (3, Removed)][..], Verdict::Unproven),
            (&[(2, Removed), (3, Removed), (4, Removed)][..], PLAIN),
            (&[(2, Removed), (3, Removed), (4, Removed), (5, Member)][..], PLAIN),
            (&[(2, Removed), (3, Removed), (4, Member), (5, Unknown)][..], Verdict::Unproven),
            (&[(2, Unknown), (3, Unknown), (4, Unknown), (5, Unknown)][..], Verdict::Unproven),
            (&[(2, RemovedFinally), (3, RemovedFinally), (4, Removed)][..], FINAL),
            (&[(2, RemovedFinally), (3, Removed), (4, Removed)][..], PLAIN),
            // A learner, a stranger and the member itself have no say.
            (&[(2, Removed), (3, Removed), (9, Removed), (1, Removed)][..], Verdict::Unproven),
        ] {
            assert_eq!(judge(&five, answers), want, "{answers:?}");
        }
    }

    #[test]
    fn of_three_both_others_are_needed_and_of_two_the_other_one() {
        for role in [Role::Follower, Role::Candidate] {
            let three = outlook(role, &[1, 2, 3]);
            assert_eq!(judge(&three, &[(2, About::Removed)]), Verdict::Unproven);
            assert_eq!(judge(&three, &[(2, About::Removed), (3, About::Removed)]), PLAIN);
            let two = outlook(role, &[1, 2]);
            assert_eq!(judge(&two, &[(2, About::RemovedFinally)]), FINAL);
            assert_eq!(judge(&two, &[(2, About::Unknown)]), Verdict::Unproven);
        }
        // A learner asks all voters.
        let learner = outlook(Role::Follower, &[2, 3]);
        assert_eq!(judge(&learner, &[(2, About::Removed)]), Verdict::Unproven);
        assert_eq!(judge(&learner, &[(2, About::Removed), (3, About::Removed)]), PLAIN);
    }
}
