//! Windows that are right, and windows that are wrong.

use super::*;
use crate::login::Login;
use crate::record::{Shared, What};
use sim::history::Outcome;

/// A window in which `ann` was made between the indexes 10 and 12, by the time 20.
struct Case {
    window: Window,
}

fn shown() -> Shown {
    Shown { name: "ann".into(), id: 12, password: 12 }
}

impl Case {
    fn new() -> Self {
        let mut window = Window { number: 1, ..Window::default() };
        window.rights.counts = true;
        window.rights.people.push(Person::new("ann".into()));
        Self { window }.then(Step::Make, (10, Some(12)), (10, 20))
    }

    fn then(mut self, step: Step, places: (u64, Option<u64>), times: (u64, u64)) -> Self {
        let change = Change::new("ann", step, places.0, times.0);
        self.window.rights.note(Change { told_at: places.1, finished: times.1, ..change });
        self
    }

    /// Loses the right to write registers between 30 and 32, by the time 40.
    fn revoked(self) -> Self {
        self.then(Step::Revoke(Area::Write), (30, Some(32)), (30, 40))
    }

    fn asked(
        mut self,
        who: Option<Shown>,
        kind: Kind,
        times: (u64, u64),
        outcome: Outcome,
    ) -> Self {
        let key = if kind == Kind::InOrder { "/q" } else { "/r/0" };
        let mut op = op(key.into(), UserStep::Make, times, outcome);
        op.kind = kind;
        let id = self.window.history.begin(op);
        self.window.shown.extend(who.map(|who| (id, who)));
        self
    }

    fn write(self, times: (u64, u64), index: u64) -> Self {
        self.asked(Some(shown()), Kind::Set, times, written(index))
    }

    fn read(self, times: (u64, u64), index: u64) -> Self {
        let outcome = Outcome::Read { index, found: None };
        self.asked(Some(shown()), Kind::QuorumRead, times, outcome)
    }

    fn refused(mut self, kind: Kind, invoked: u64, index: u64) -> Self {
        self = self.asked(Some(shown()), kind, (invoked, invoked + 1), Outcome::NotDone);
        self.window.missed.insert(self.window.history.ops.len() as u64 - 1, index);
        self
    }

    fn judge(&self) -> Verdict {
        judge(&self.window)
    }
}

#[test]
fn a_write_behind_a_revocation_is_wrong_by_its_index_or_by_the_time() {
    assert_eq!(Case::new().write((21, 22), 14).judge(), Ok(()));
    assert_eq!(Case::new().revoked().write((21, 22), 14).judge(), Ok(()));
    assert_eq!(Case::new().revoked().write((31, 39), 32).judge(), Ok(()), "perhaps before");
    assert!(Case::new().revoked().write((31, 99), 34).judge().is_err(), "begun before, done after");
    assert!(Case::new().revoked().write((41, 50), 31).judge().is_err(), "begun after");
    for step in [Step::Take, Step::Remove, Step::Password] {
        let case = Case::new().then(step, (30, Some(32)), (30, 40));
        assert!(case.write((31, 99), 34).judge().is_err(), "{step:?}");
    }
    let late = Case::new().revoked().asked(None, Kind::Set, (41, 42), written(40));
    assert!(late.judge().is_err(), "guests may not");
    let queue = Case::new().revoked().asked(Some(shown()), Kind::InOrder, (41, 42), written(40));
    assert_eq!(queue.judge(), Ok(()), "another area");
}

#[test]
fn a_proven_read_behind_a_revocation_is_wrong() {
    let revoked = || Case::new().then(Step::Revoke(Area::Read), (30, Some(32)), (30, 40));
    assert_eq!(revoked().read((31, 50), 31).judge(), Ok(()));
    assert!(revoked().read((31, 50), 32).judge().is_err(), "it shows the revocation");
    assert!(revoked().read((41, 50), 31).judge().is_err(), "begun after");
    assert_eq!(Case::new().revoked().read((41, 50), 40).judge(), Ok(()), "another area");
}

#[test]
fn a_right_that_was_acknowledged_is_not_refused() {
    assert!(Case::new().refused(Kind::Set, 21, 13).judge().is_err());
    assert_eq!(Case::new().refused(Kind::Set, 19, 13).judge(), Ok(()), "not acknowledged yet");
    assert_eq!(Case::new().refused(Kind::Set, 21, 11).judge(), Ok(()), "that member is behind");
    assert_eq!(Case::new().revoked().refused(Kind::Set, 29, 31).judge(), Ok(()));
    assert!(Case::new().revoked().refused(Kind::Set, 29, 30).judge().is_err(), "before it");
    assert!(Case::new().revoked().refused(Kind::InOrder, 41, 40).judge().is_err());
    let again = Case::new().revoked().then(Step::Grant(Area::Write), (50, Some(52)), (50, 60));
    assert!(again.refused(Kind::Set, 61, 53).judge().is_err());
    let perhaps = Case::new().then(Step::Take, (30, None), (30, u64::MAX));
    assert_eq!(perhaps.refused(Kind::Set, 41, 40).write((41, 42), 40).judge(), Ok(()));
}

#[test]
fn guests_keep_their_keys_and_nobody_is_refused_where_users_do_not_count() {
    let refused = |counts| {
        let mut case = Case::new();
        case.window.rights.counts = counts;
        let mut op = op("/t/0".into(), UserStep::Make, (21, 22), Outcome::NotDone);
        op.kind = Kind::Set;
        let id = case.window.history.begin(op);
        case.window.missed.insert(id, 13);
        case.judge()
    };
    assert!(refused(true).is_err() && refused(false).is_err());
}

#[test]
fn what_is_refused_is_not_done_for_all_other_checkers() {
    let shared = Shared::new(Vec::new());
    let what = What { key: "/r/0".into(), kind: Kind::Set, ttl: None };
    let id = shared.begin(0, (0, 0), &what, Some(&Login::root()));
    shared.finish(id, Outcome::Refused { code: UNAUTHORIZED, index: 7 });
    let window = shared.window();
    assert_eq!(window.history.get(id).map(|op| &op.outcome), Some(&Outcome::NotDone));
    assert_eq!((window.missed.get(&id), window.shown.len()), (Some(&7), 1));
}

#[test]
fn a_person_has_an_area_by_its_role_and_the_pattern_of_that() {
    let mut rights = Case::new().then(Step::Take, (20, Some(21)), (21, 22)).window.rights;
    let mut last = |step| {
        rights.note(Change { told_at: Some(30), ..Change::new("ann", step, 29, 0) });
        rights.changes.last().map(|change| change.effects.clone()).unwrap_or_default()
    };
    assert_eq!(last(Step::Revoke(Area::Read)), [], "it has not got the role");
    let given = [(Area::Write, UserStep::Grant), (Area::Queue, UserStep::Grant)];
    assert_eq!(last(Step::Give), given);
    assert_eq!(last(Step::Grant(Area::Read)), [(Area::Read, UserStep::Grant)]);
    assert_eq!(last(Step::Remove).len(), 3);
    assert_eq!(last(Step::Revoke(Area::Queue)), [], "nobody has the role");
    assert_eq!(last(Step::Make).len(), 5);
    rights.note(Change::new("ann", Step::Take, 40, 0));
    assert!(rights.people.is_empty(), "nobody knows what it may");
}

#[test]
fn what_a_member_has_lost_or_has_too_much_is_named() {
    let mut person = Person { is_made: true, has_role: true, ..Person::new("ann".into()) };
    person.areas.remove(&Area::Queue);
    let role = json!({ "role": "ann", "permissions": patterns(1, &person.areas) });
    let root = json!({ "user": "root" });
    let users = |list: &[Value]| json!({ "users": list }).to_string();
    let roles = json!({ "roles": [role] }).to_string();
    let with_role = json!({ "user": "ann", "roles": [role] });
    let judge = |person: &Person, users: &str, roles: &str| {
        check_listing(1, std::slice::from_ref(person), (users, roles))
    };
    let all = users(&[root.clone(), with_role.clone()]);
    assert_eq!(judge(&person, &all, &roles), Ok(()));
    assert!(
        judge(&person, &users(std::slice::from_ref(&root)), &roles).is_err(),
        "the user is lost"
    );
    assert!(judge(&person, &users(&[with_role]), &roles).is_err(), "root is lost");
    let bare = users(&[root, json!({ "user": "ann" })]);
    assert!(judge(&person, &bare, &roles).is_err(), "the role is lost");
    assert!(judge(&person, &all, "{}").is_err(), "no roles");
    let taken = Person { has_role: false, ..person.clone() };
    assert!(judge(&taken, &all, &roles).is_err(), "it has a role that was taken");
    assert_eq!(judge(&taken, &bare, &roles), Ok(()));
    let gone = Person { is_made: false, ..person.clone() };
    assert!(judge(&gone, &all, &roles).is_err(), "it is there although it was removed");
    person.areas.insert(Area::Queue);
    assert!(judge(&person, &all, &roles).is_err(), "a pattern is missing");
}

#[test]
fn steps_are_drawn_that_can_be_done() {
    let mut rng = Rng::new(5);
    let mut rights = Rights { people: vec![Person::new("ann".into())], ..Rights::default() };
    let mut seen = BTreeSet::new();
    for at in 0..2000 {
        let person = rights.people[0].clone();
        let step = person.draw(&mut rng);
        let can_be = match step {
            Step::Make => !person.is_made,
            Step::Give => person.is_made && !person.has_role,
            Step::Grant(area) => !person.areas.contains(&area),
            Step::Revoke(area) => person.areas.contains(&area),
            Step::Password | Step::Remove => person.is_made,
            Step::Take => person.is_made && person.has_role,
        };
        assert!(can_be, "{step:?} of {person:?}");
        seen.insert(format!("{step:?}"));
        rights.note(Change { told_at: Some(at), ..Change::new("ann", step, at, 0) });
    }
    assert_eq!(seen.len(), 11, "{seen:?}");
}
