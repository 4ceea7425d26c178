//! What a copy of a running member asks the others before it votes again.
//!
//! A copy that was taken while its member ran has the latest start of it, so nobody can refuse it,
//! and lacks what that member promised afterwards: entries that it acknowledged, terms in which it
//! voted. Others know of both. What was committed with its acknowledgement is in the log of some
//! other voter, and whoever had its vote, or leads with it, is in that term. So each other voter
//! says how far its log goes and in which term it is, after it has met this start of the directory
//! and takes nothing from an earlier one any more. With the word of so many that one of them is in
//! any majority the copy acknowledges entries again, in no earlier term than theirs; with that of
//! all it votes again, for nobody whose log ends before what it heard of.
//!
//! The configuration of the copy may be an old one. Each change of it was committed by a majority
//! of the one before, so one of those that are asked has it in its log: each names the voters that
//! it knows, and they are asked as well.

use crate::membership::configuration::voters;
use crate::types::{LogPosition, MemberId, Term};
use raft::eraftpb::ConfState;
use std::collections::{BTreeMap, BTreeSet};

/// What a member says of its log to one that may have forgotten what it promised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) term: Term,
    /// The last entry of its log.
    pub(crate) last: LogPosition,
    /// All that vote as far as its log says, applied or not.
    pub(crate) voters: Vec<MemberId>,
}

/// The latest report of each other member.
#[derive(Debug, Default)]
pub(crate) struct Reports(BTreeMap<MemberId, Report>);

impl Reports {
    /// Takes a report, if its sender votes as far as anybody knows.
    pub(crate) fn note(&mut self, from: MemberId, report: Report, conf: &ConfState) -> bool {
        let counts = self.known_voters(conf).contains(&from);
        if counts {
            self.0.insert(from, report);
        }
        counts
    }

    /// A member does not let this one speak any more.
    pub(crate) fn take_back(&mut self, from: MemberId) {
        self.0.remove(&from);
    }

    /// All that vote by a configuration and by what was reported.
    pub(crate) fn known_voters(&self, conf: &ConfState) -> BTreeSet<MemberId> {
        let named = self.0.values().flat_map(|report| &report.voters).copied();
        voters(conf).chain(named).collect()
    }

    /// Who has reported.
    pub(crate) fn members(&self) -> impl Iterator<Item = MemberId> + '_ {
        self.0.keys().copied()
    }

    /// Whether every other voter has reported.
    pub(crate) fn are_complete(&self, own: MemberId, conf: &ConfState) -> bool {
        let known = self.known_voters(conf);
        known.into_iter().all(|id| id == own || self.0.contains_key(&id))
    }

    /// Whether a log that ends there holds all that was committed, as far as the reports say: no
    /// other one is more up-to-date, in the Raft paper's words (section 5.4.1).
    pub(crate) fn are_covered_by(&self, last: LogPosition) -> bool {
        self.0.values().all(|report| last.is_as_up_to_date_as(report.last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(index: u64, term: u64, voters: &[u64]) -> Report {
        let voters = voters.iter().copied().map(MemberId).collect();
        Report { term: Term(term), last: LogPosition::new(index, term), voters }
    }

    fn conf(voters: &[u64]) -> ConfState {
        let mut conf = ConfState::default();
        conf.voters = voters.to_vec();
        conf
    }

    #[test]
    fn whom_a_reporter_knows_is_asked_as_well() {
        let (own, conf) = (MemberId(1), conf(&[1, 2, 3]));
        let mut reports = Reports::default();
        assert!(!reports.note(MemberId(4), report(9, 2, &[]), &conf), "nobody knows it");
        assert!(reports.note(MemberId(2), report(9, 2, &[1, 2, 3]), &conf));
        assert!(!reports.are_complete(own, &conf));
        assert!(reports.note(MemberId(3), report(9, 2, &[1, 2, 3, 4]), &conf));
        assert!(!reports.are_complete(own, &conf), "the third knows of a fourth");
        assert!(reports.note(MemberId(4), report(9, 2, &[1, 2, 3, 4]), &conf));
        assert!(reports.are_complete(own, &conf));
        reports.take_back(MemberId(2));
        assert!(!reports.are_complete(own, &conf));
    }

    #[test]
    fn a_log_covers_what_is_not_more_up_to_date() {
        let conf = conf(&[1, 2, 3]);
        let mut reports = Reports::default();
        assert!(reports.are_covered_by(LogPosition::default()));
        reports.note(MemberId(2), report(9, 2, &[]), &conf);
        reports.note(MemberId(3), report(5, 3, &[]), &conf);
        for (index, term, covers) in [(9, 2, false), (5, 3, true), (4, 3, false), (1, 4, true)] {
            assert_eq!(reports.are_covered_by(LogPosition::new(index, term)), covers);
        }
    }
}
