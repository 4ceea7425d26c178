//! Histories that are right, and histories that are wrong.

use super::*;
use crate::history::testkit::{change, op, read, written};
use store::Action;

/// A history in which users count from index 3 on, `u0` is made at 4 and has the role from 5 on.
struct Case {
    history: History,
    changes: Changes,
    ledger: Ledger,
}

fn done(step: UserStep, name: &str, index: u64) -> Op {
    op(Kind::Users(step), name, (10 * index, 10 * index + 5), written(index, "", None))
}

fn shown() -> Shown {
    Shown { name: "u0".into(), id: 4, password: 4 }
}

impl Case {
    fn new() -> Self {
        let mut case = Self {
            history: History::default(),
            changes: Changes::default(),
            ledger: Ledger::default(),
        };
        case.add(done(UserStep::Enable, "root", 3));
        case.add(done(UserStep::Make, "u0", 4));
        case.add(done(UserStep::Grant, "u0", 5));
        case
    }

    fn add(&mut self, op: Op) -> OpId {
        self.history.begin(op)
    }

    fn with(mut self, op: Op) -> Self {
        self.add(op);
        self
    }

    /// A change that is somewhere behind an index, or nowhere.
    fn perhaps(mut self, step: UserStep, after: u64) -> Self {
        let times = (10 * after, Nanos::MAX);
        let id = self.add(op(Kind::Users(step), "u0", times, Outcome::Unknown));
        self.ledger.asked_at.insert(id, after);
        self
    }

    /// A change that was acknowledged without its index.
    fn between(mut self, step: UserStep, after: u64, told: u64) -> Self {
        let mut op = done(step, "u0", told);
        op.outcome = written(0, "", None);
        let id = self.add(op);
        self.ledger.asked_at.insert(id, after);
        self.ledger.told_at.insert(id, told);
        self
    }

    fn asked(mut self, who: Option<Shown>, op: Op) -> Self {
        let id = self.add(op);
        if let Some(who) = who {
            self.ledger.shown.insert(id, who);
        }
        self
    }

    fn write(self, index: u64) -> Self {
        self.write_as(Some(shown()), index)
    }

    fn write_as(self, who: Option<Shown>, index: u64) -> Self {
        let outcome = written(index, "/r/0", None);
        self.asked(who, op(Kind::Set, "/r/0", (0, Nanos::MAX - 1), outcome))
    }

    fn refused(self, index: u64) -> Self {
        let outcome = Outcome::Refused { code: UNAUTHORIZED, index };
        self.asked(Some(shown()), op(Kind::Set, "/r/0", (0, 1), outcome))
    }

    fn judge(&self) -> Verdict {
        check(&self.history, &self.changes, &self.ledger)
    }

    fn judge_end(&self, accounts: &[Account]) -> Verdict {
        check_end(&self.history, &self.ledger, true, accounts)
    }
}

#[test]
fn a_write_needs_the_right_at_its_index() {
    assert_eq!(Case::new().write(6).judge(), Ok(()));
    assert!(Case::new().write(5).judge().is_err(), "before the role was granted");
    assert!(Case::new().write_as(None, 6).judge().is_err(), "nobody in particular");
    assert_eq!(Case::new().write_as(None, 3).judge(), Ok(()), "users did not count yet");
    for step in [UserStep::Revoke, UserStep::Password, UserStep::Remove] {
        let case = || Case::new().with(done(step, "u0", 7));
        assert_eq!(case().write(7).judge(), Ok(()), "{step:?} came later");
        assert!(case().write(8).judge().is_err(), "{step:?}");
        let other = Case::new().with(done(step, "u1", 7));
        assert_eq!(other.write(8).judge(), Ok(()), "{step:?} of another user");
        let refused = Outcome::Refused { code: 1404, index: 7 };
        let not_done = op(Kind::Users(step), "u0", (0, 1), refused);
        assert_eq!(Case::new().with(not_done).write(8).judge(), Ok(()), "{step:?} failed");
    }
    let anew =
        Case::new().with(done(UserStep::Remove, "u0", 7)).with(done(UserStep::Make, "u0", 8));
    let anew = anew.with(done(UserStep::Grant, "u0", 9));
    assert!(anew.write(11).judge().is_err(), "that is another u0");
}

#[test]
fn a_write_that_nobody_was_told_of_needs_it_as_well() {
    let unknown = op(Kind::Set, "/r/0", (0, Nanos::MAX), Outcome::Unknown);
    let mut case = Case::new().with(done(UserStep::Revoke, "u0", 7)).asked(Some(shown()), unknown);
    let id = case.history.ops.len() as u64 - 1;
    assert_eq!(case.judge(), Ok(()), "it is nowhere");
    case.changes.note(9, change(Action::Set, "/r/0", Some(id)), 0).unwrap();
    assert!(case.judge().is_err());
}

#[test]
fn what_may_have_happened_excuses_both() {
    let revoked = || Case::new().with(done(UserStep::Revoke, "u0", 7));
    assert_eq!(revoked().perhaps(UserStep::Grant, 5).write(9).judge(), Ok(()));
    assert!(revoked().perhaps(UserStep::Grant, 8).write(9).judge().is_err(), "it came later");
    assert_eq!(Case::new().perhaps(UserStep::Revoke, 6).write(9).judge(), Ok(()));
    assert_eq!(Case::new().perhaps(UserStep::Revoke, 6).refused(9).judge(), Ok(()));
    let within = || Case::new().between(UserStep::Revoke, 6, 9);
    assert_eq!(within().write(9).judge(), Ok(()));
    assert!(within().write(10).judge().is_err());
    assert_eq!(within().refused(7).judge(), Ok(()));
}

#[test]
fn a_certain_right_is_not_refused() {
    assert!(Case::new().refused(5).judge().is_err());
    assert_eq!(Case::new().refused(4).judge(), Ok(()));
    for step in [UserStep::Revoke, UserStep::Password, UserStep::Remove] {
        assert_eq!(Case::new().with(done(step, "u0", 7)).refused(7).judge(), Ok(()), "{step:?}");
        assert!(Case::new().with(done(step, "u0", 7)).refused(6).judge().is_err(), "{step:?}");
    }
    let anew = Shown { id: 20, ..shown() };
    let outcome = Outcome::Refused { code: UNAUTHORIZED, index: 9 };
    let behind = op(Kind::PlainRead, "/r/0", (0, 1), outcome.clone());
    assert_eq!(Case::new().asked(Some(anew), behind).judge(), Ok(()), "not known there yet");
    let guest = op(Kind::Set, "/t/0", (0, 1), outcome);
    assert!(Case::new().with(guest).judge().is_err(), "guests may use this key");
}

#[test]
fn a_refusal_that_is_told_late_may_have_been_judged_before_the_right_was_there() {
    let judge = |is_late, invoked| {
        let outcome = Outcome::Refused { code: UNAUTHORIZED, index: 9 };
        let refused = op(Kind::Set, "/r/0", (invoked, 100), outcome);
        let mut case = Case::new().asked(Some(shown()), refused);
        case.ledger.refuses_late = is_late;
        case.judge()
    };
    assert_eq!(judge(true, 54), Ok(()), "the grant was acknowledged at 55");
    assert!(judge(true, 56).is_err());
    assert!(judge(false, 54).is_err(), "it shows where it was judged");
}

#[test]
fn what_begins_behind_an_acknowledged_revocation_is_judged_behind_it() {
    let get = |kind, times, index| {
        let case = Case::new().with(done(UserStep::Revoke, "u0", 7));
        case.asked(Some(shown()), op(kind, "/r/0", times, read(index, None))).judge()
    };
    assert_eq!(get(Kind::QuorumRead, (74, 90), 6), Ok(()), "the two overlap");
    assert!(get(Kind::QuorumRead, (76, 90), 6).is_err());
    assert!(get(Kind::QuorumRead, (74, 90), 7).is_err(), "it shows the revocation");
    assert_eq!(get(Kind::PlainRead, (76, 90), 6), Ok(()), "that member is behind");
    assert!(get(Kind::PlainRead, (76, 90), 7).is_err());
}

#[test]
fn what_was_acknowledged_is_there_in_the_end() {
    let is = |has_role, password| Account { user: Shown { password, ..shown() }, has_role };
    let case = Case::new();
    assert_eq!(case.judge_end(&[is(true, 4)]), Ok(()));
    assert!(case.judge_end(&[is(false, 4)]).is_err(), "the role was lost");
    assert!(case.judge_end(&[]).is_err(), "the user was lost");
    assert!(check_end(&case.history, &case.ledger, false, &[is(true, 4)]).is_err());
    let revoked = Case::new().with(done(UserStep::Revoke, "u0", 7));
    assert!(revoked.judge_end(&[is(true, 4)]).is_err());
    assert_eq!(revoked.judge_end(&[is(false, 4)]), Ok(()));
    let other = Case::new().with(done(UserStep::Password, "u0", 7));
    assert!(other.judge_end(&[is(true, 4)]).is_err());
    assert_eq!(other.judge_end(&[is(true, 7)]), Ok(()));
    let removed = Case::new().with(done(UserStep::Remove, "u0", 7));
    assert!(removed.judge_end(&[is(false, 4)]).is_err());
    assert_eq!(removed.judge_end(&[]), Ok(()));
    let perhaps = Case::new().perhaps(UserStep::Remove, 6);
    assert_eq!(perhaps.judge_end(&[]), Ok(()));
    assert_eq!(perhaps.judge_end(&[is(true, 4)]), Ok(()));
}
