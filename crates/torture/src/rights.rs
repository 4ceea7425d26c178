//! Who may do what: what the administrator asked for, and what it was told.
//!
//! Each user has a role of its own with patterns for some of three areas: registers that are read,
//! registers that are written, the queue. A user has an area when it has its role and the role has
//! the pattern, whichever of the two came last. The simulator's checker knows one right of a user,
//! so that each area of a user is a user of its own there: what changes an area is a change of it,
//! and what makes or removes the user, or sets its password, is one of all three.
//!
//! The answers of `/v2/auth` show no index. A change that was acknowledged is behind every index
//! that anybody had been told before it was asked for, and not behind that of a proven read after
//! its acknowledgement. With one change at a time these do not overlap.

use crate::record::Window;
use serde_json::{Value, json};
use sim::Nanos;
use sim::check::Verdict;
use sim::check::rights::{self, Ledger, Shown, UNAUTHORIZED};
use sim::history::{Kind, Op, OpId, Outcome, UserStep};
use sim::rng::Rng;
use std::collections::{BTreeMap, BTreeSet};

/// The keys that a right is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Area {
    Read,
    Write,
    Queue,
}

pub(crate) const AREAS: [Area; 3] = [Area::Read, Area::Write, Area::Queue];

impl Area {
    /// The area of what a client does; nothing for what guests may do.
    pub(crate) fn of(key: &str, kind: Kind) -> Option<Self> {
        match key {
            _ if !rights::is_guarded(key) => None,
            _ if kind.is_read() => Some(Area::Read),
            _ if key.starts_with("/q") => Some(Area::Queue),
            _ => Some(Area::Write),
        }
    }

    /// What the user is called for the checker, as far as this area is concerned.
    fn user(self, name: &str) -> String {
        format!("{name}@{self:?}")
    }
}

/// The patterns for some areas, as a role has them.
pub(crate) fn patterns<'a>(window: u64, areas: impl IntoIterator<Item = &'a Area>) -> Value {
    let dir = crate::record::dir(window);
    let (mut read, mut write) = (Vec::new(), Vec::new());
    for area in areas {
        match area {
            Area::Read => read.push(format!("{dir}/r/*")),
            Area::Write => write.push(format!("{dir}/r/*")),
            Area::Queue => write.push(format!("{dir}/q")),
        }
    }
    write.sort();
    json!({ "kv": { "read": read, "write": write } })
}

/// What is done to a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is made, with its role.
    Make,
    Password,
    Remove,
    /// It gets its role.
    Give,
    /// It loses its role.
    Take,
    /// Its role gets the pattern for an area.
    Grant(Area),
    /// Its role loses the pattern.
    Revoke(Area),
}

impl Step {
    /// Whether somebody may do less afterwards.
    pub(crate) fn takes(self) -> bool {
        matches!(self, Step::Password | Step::Remove | Step::Take | Step::Revoke(_))
    }
}

/// A user as it is if all that was acknowledged was done and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) is_made: bool,
    pub(crate) has_role: bool,
    /// The areas of its role.
    pub(crate) areas: BTreeSet<Area>,
    /// The upper end of where it was made.
    pub(crate) made: u64,
}

impl Person {
    /// Somebody who is not made yet, with a role for everything.
    pub(crate) fn new(name: String) -> Self {
        Self { name, areas: AREAS.into(), ..Self::default() }
    }

    /// What may be done to it next: more is given than taken, so that there is something to lose.
    pub(crate) fn draw(&self, rng: &mut Rng) -> Step {
        let missing = AREAS.into_iter().find(|area| !self.areas.contains(area));
        match (rng.below(100), missing) {
            _ if !self.is_made => Step::Make,
            (0..14, _) => Step::Password,
            (14..24, _) => Step::Remove,
            (24..80, _) if !self.has_role => Step::Give,
            (24..70, Some(area)) => Step::Grant(area),
            (70..80, _) => Step::Take,
            _ => {
                let area = rng.pick(&AREAS);
                if self.areas.contains(&area) { Step::Revoke(area) } else { Step::Grant(area) }
            }
        }
    }

    /// What a step means for the areas of this user.
    fn effects(&self, step: Step) -> Vec<(Area, UserStep)> {
        let all = |step| AREAS.map(|area| (area, step)).to_vec();
        let own = |step| self.areas.iter().map(|area| (*area, step)).collect::<Vec<_>>();
        let is_effective = self.is_made && self.has_role;
        match step {
            Step::Make => [all(UserStep::Make), own(UserStep::Grant)].concat(),
            Step::Password => all(UserStep::Password),
            Step::Remove => all(UserStep::Remove),
            Step::Give => own(UserStep::Grant),
            Step::Take => own(UserStep::Revoke),
            Step::Grant(area) if is_effective => vec![(area, UserStep::Grant)],
            Step::Revoke(area) if is_effective => vec![(area, UserStep::Revoke)],
            Step::Grant(_) | Step::Revoke(_) => Vec::new(),
        }
    }

    /// Takes note of a step that was acknowledged.
    fn take(&mut self, step: Step, told: u64) {
        match step {
            Step::Make => (self.is_made, self.has_role, self.made) = (true, true, told),
            Step::Password => {}
            Step::Remove => (self.is_made, self.has_role) = (false, false),
            Step::Give => self.has_role = true,
            Step::Take => self.has_role = false,
            Step::Grant(area) => {
                self.areas.insert(area);
            }
            Step::Revoke(area) => {
                self.areas.remove(&area);
            }
        }
    }
}

/// A change that was asked for, and was done or may have been.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) name: String,
    pub(crate) step: Step,
    effects: Vec<(Area, UserStep)>,
    /// It is behind this index.
    pub(crate) asked_at: u64,
    /// It is not behind this one; not known where the outcome is not.
    pub(crate) told_at: Option<u64>,
    pub(crate) invoked: Nanos,
    pub(crate) finished: Nanos,
}

/// What the administrator of a window knows.
#[derive(Debug, Default)]
pub(crate) struct Rights {
    /// Whether users count in this window.
    pub(crate) counts: bool,
    /// Those of whom it is known what they may.
    pub(crate) people: Vec<Person>,
    pub(crate) changes: Vec<Change>,
    /// How many users were thought of.
    pub(crate) named: u64,
}

impl Rights {
    /// Takes note of what came of a step: it was acknowledged, or may have been done.
    pub(crate) fn note(&mut self, mut change: Change) {
        let Some(at) = self.people.iter().position(|one| one.name == change.name) else { return };
        let Some(person) = self.people.get_mut(at) else { return };
        change.effects = person.effects(change.step);
        match change.told_at {
            Some(told) => person.take(change.step, told),
            // What may yet happen to it would make all that follows uncertain.
            None => {
                self.people.remove(at);
            }
        }
        self.changes.push(change);
    }
}

impl Change {
    pub(crate) fn new(name: &str, step: Step, asked_at: u64, invoked: Nanos) -> Self {
        let (effects, told_at, finished) = (Vec::new(), None, Nanos::MAX);
        Self { name: name.to_owned(), step, effects, asked_at, told_at, invoked, finished }
    }
}

fn op(user: String, step: UserStep, times: (Nanos, Nanos), outcome: Outcome) -> Op {
    Op {
        client: 0,
        machine: (0, 0),
        invoked: times.0,
        finished: times.1,
        key: user,
        kind: Kind::Users(step),
        ttl: None,
        outcome,
    }
}

fn written(index: u64) -> Outcome {
    Outcome::Written { index, key: String::new(), prev: None }
}

/// Judges what clients of a window were told by what they had the right to.
pub(crate) fn judge(window: &Window) -> Verdict {
    if !window.rights.counts {
        let first = window.missed.keys().next();
        return first.map_or(Ok(()), |id| Err(format!("op {id} was refused, and users count not")));
    }
    let mut history = window.history.clone();
    let mut ledger = Ledger { refuses_late: true, ..Ledger::default() };
    for (id, op) in window.history.iter() {
        let area = Area::of(&op.key, op.kind);
        if let (Some(area), Some(shown)) = (area, window.shown.get(&id)) {
            let name = area.user(&shown.name);
            ledger.shown.insert(id, Shown { name, ..shown.clone() });
        }
    }
    for (id, index) in &window.missed {
        if let Some(op) = history.get_mut(*id) {
            op.outcome = Outcome::Refused { code: UNAUTHORIZED, index: *index };
        }
    }
    let root = AREAS.map(|area| area.user(crate::login::ROOT));
    for step in [UserStep::Make, UserStep::Grant] {
        for user in &root {
            history.begin(op(user.clone(), step, (0, 0), written(1)));
        }
    }
    history.begin(op(crate::login::ROOT.into(), UserStep::Enable, (0, 0), written(1)));
    for change in &window.rights.changes {
        let times = (change.invoked, change.finished);
        for (area, step) in &change.effects {
            let user = area.user(&change.name);
            // Without an index of its own it is between the two that the ledger has.
            let outcome = change.told_at.map_or(Outcome::Unknown, |_| written(0));
            let id = history.begin(op(user, *step, times, outcome));
            ledger.asked_at.insert(id, change.asked_at);
            ledger.told_at.extend(change.told_at.map(|told| (id, told)));
        }
    }
    rights::check(&history, &window.changes, &ledger)
}

/// Whether a member has all that was acknowledged, by its listings of users and roles.
pub(crate) fn check_listing(
    window: u64,
    people: &[Person],
    (users, roles): (&str, &str),
) -> Verdict {
    let read = |text: &str, list: &str, name: &str| {
        let all: Value = serde_json::from_str(text).unwrap_or_default();
        let items = all[list].as_array().cloned().unwrap_or_default();
        let named = |item: Value| Some((item[name].as_str()?.to_owned(), item));
        items.into_iter().filter_map(named).collect::<BTreeMap<String, Value>>()
    };
    let (users, roles) = (read(users, "users", "user"), read(roles, "roles", "role"));
    if !users.contains_key(crate::login::ROOT) {
        return Err("root is gone".to_owned());
    }
    for person in people {
        let name = &person.name;
        let role = json!({ "role": name, "permissions": patterns(window, &person.areas) });
        if roles.get(name) != Some(&role) {
            return Err(format!(
                "the role {name} is {:?}, and was acknowledged {role}",
                roles.get(name)
            ));
        }
        let user = match person.has_role {
            true => json!({ "user": name, "roles": [role] }),
            false => json!({ "user": name }),
        };
        if users.get(name) != Some(&user).filter(|_| person.is_made) {
            return Err(format!(
                "{name} is {:?}, and was acknowledged {person:?}",
                users.get(name)
            ));
        }
    }
    Ok(())
}

/// What of a window tells of rights, for those who look into a violation.
pub(crate) fn print(window: &Window) -> String {
    let change = |change: &Change| format!("{change:?}\n");
    let shown = |(id, shown): (&OpId, &Shown)| format!("{id} {shown:?}\n");
    let missed = |(id, index): (&OpId, &u64)| format!("{id} at {index}\n");
    format!(
        "\nchanges of users\n{}\nas whom\n{}\nrefused for lack of rights\n{}",
        window.rights.changes.iter().map(change).collect::<String>(),
        window.shown.iter().map(shown).collect::<String>(),
        window.missed.iter().map(missed).collect::<String>()
    )
}

#[cfg(test)]
mod tests;
