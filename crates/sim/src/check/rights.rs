//! Was everything done by those who had the right to it, and is every change of rights kept?
//!
//! The rights of a user are a line of changes: it is made, its password is set, the role is granted
//! and revoked, it is removed. A change that was acknowledged has its store index, or a window of
//! indexes where the answer came without one; a change with unknown outcome may be at any index
//! behind that at which it was asked for, or nowhere. So there is what a user may have had at an
//! index, and what it must have had: nothing is done beyond the first, and nothing is refused that
//! is within the second.
//!
//! A write is judged where it is in the log, a read at the index that it shows. What began after a
//! change was acknowledged is judged behind it, whatever index it shows.

use super::Verdict;
use crate::Nanos;
use crate::history::{Changes, History, Kind, Op, OpId, Outcome, UserStep};
use std::collections::BTreeMap;

/// The code of those who have no right to what they ask.
pub const UNAUTHORIZED: u16 = 110;

/// The code of a change of users that is there already.
pub(crate) const CONFLICT: u16 = 1409;

/// Whom a client has proven to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// What the user is called.
    pub name: String,
    /// The index of the change that made it.
    pub id: u64,
    /// The index at which its password was set.
    pub password: u64,
}

/// What is known of operations beside their history.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Who asked; nobody in particular if it is not said.
    pub shown: BTreeMap<OpId, Shown>,
    /// The store index of the asked member when a change of users was asked for.
    pub asked_at: BTreeMap<OpId, u64>,
    /// The store index of that member when it was answered.
    pub told_at: BTreeMap<OpId, u64>,
    /// Whether a refusal shows the index of the member that told of it, which may have applied more
    /// since it was judged.
    pub refuses_late: bool,
}

/// A user as a member has it in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Name, number and the index of its password.
    pub user: Shown,
    /// Whether it has the role.
    pub has_role: bool,
}

/// Whether only users with the role may do something with a key.
pub fn is_guarded(key: &str) -> bool {
    ["/r/", "/q/", "/d/"].iter().any(|dir| key.starts_with(dir)) || key == "/q"
}

/// One change: between which indexes it is, if it is anywhere.
#[derive(Clone, Copy, Debug)]
struct Turn {
    low: u64,
    high: u64,
    is_definite: bool,
    finished: Nanos,
}

/// Where something was judged, and when it was asked for, where that matters.
#[derive(Clone, Copy, Debug)]
struct Moment {
    index: u64,
    invoked: Nanos,
    /// Nothing that was told from then on is certain to come before it.
    told_before: Nanos,
}

/// After everything.
const END: Moment = Moment::at(u64::MAX - 1);

impl Moment {
    const fn at(index: u64) -> Self {
        Self { index, invoked: 0, told_before: Nanos::MAX }
    }

    fn is_behind(self, turn: &Turn) -> bool {
        turn.is_definite && (turn.high <= self.index || turn.finished < self.invoked)
    }

    fn may_be_behind(self, turn: &Turn) -> bool {
        turn.low <= self.index
    }
}

/// Whether something may be so that begins with one of `on` and ends with one of `off`.
fn may(on: &[Turn], off: &[Turn], at: Moment) -> bool {
    let is_over = |on: &Turn| off.iter().any(|off| at.is_behind(off) && off.low > on.high);
    on.iter().any(|on| at.may_be_behind(on) && !is_over(on))
}

/// Whether it must be so.
fn must(on: &[Turn], off: &[Turn], at: Moment) -> bool {
    let may_be_over = |on: &Turn| off.iter().any(|off| at.may_be_behind(off) && off.high >= on.low);
    let is_on = |on: &Turn| at.is_behind(on) && on.finished < at.told_before;
    on.iter().any(|on| is_on(on) && !may_be_over(on))
}

/// All changes of one user.
#[derive(Clone, Debug, Default)]
struct Line {
    made: Vec<Turn>,
    passwords: Vec<Turn>,
    grants: Vec<Turn>,
    /// With every removal: a user that is made anew has no role.
    revocations: Vec<Turn>,
    removals: Vec<Turn>,
}

impl Line {
    /// Why a client that has proven this cannot have had the right.
    fn objection(&self, who: &Shown, at: Moment) -> Option<&'static str> {
        if self.removals.iter().any(|turn| at.is_behind(turn) && turn.low > who.id) {
            return Some("was removed");
        }
        if self.passwords.iter().any(|turn| at.is_behind(turn) && turn.low > who.password) {
            return Some("had another password");
        }
        (!may(&self.grants, &self.revocations, at)).then_some("did not have the role")
    }

    /// Whether it must have had the right.
    fn is_certain(&self, who: &Shown, at: Moment) -> bool {
        let may_be_gone = self.removals.iter().any(|it| at.may_be_behind(it) && it.high > who.id);
        let is_newer = |it: &Turn| at.may_be_behind(it) && it.high > who.password;
        let may_be_other = self.passwords.iter().any(is_newer);
        // A member that is behind may not know the user yet.
        let is_known = who.id.max(who.password) <= at.index;
        is_known && !may_be_gone && !may_be_other && must(&self.grants, &self.revocations, at)
    }
}

/// All changes of users and of whether they count.
#[derive(Clone, Debug, Default)]
struct Lines<'a> {
    users: BTreeMap<&'a str, Line>,
    enabled: Vec<Turn>,
}

impl<'a> Lines<'a> {
    fn of(history: &'a History, ledger: &Ledger) -> Self {
        let mut lines = Self::default();
        for (id, op) in history.iter() {
            let Kind::Users(step) = op.kind else { continue };
            let Some(turn) = turn(id, op, step, ledger) else { continue };
            let line = lines.users.entry(op.key.as_str()).or_default();
            match step {
                UserStep::Enable => lines.enabled.push(turn),
                UserStep::Make => line.made.push(turn),
                UserStep::Password => line.passwords.push(turn),
                UserStep::Grant => line.grants.push(turn),
                UserStep::Revoke => line.revocations.push(turn),
                UserStep::Remove => {
                    line.removals.push(turn);
                    line.revocations.push(turn);
                }
                // Of root nothing changes, nor of roles.
                UserStep::GuestRole | UserStep::Role | UserStep::Root => {}
            }
        }
        lines
    }

    fn users_count(&self, at: Moment) -> bool {
        self.enabled.iter().any(|turn| at.is_behind(turn))
    }

    /// Judges something that was done with a key.
    fn judge_done(&self, who: Option<&Shown>, at: Moment) -> Result<(), String> {
        if !self.users_count(at) {
            return Ok(());
        }
        let Some(who) = who else { return Err("was nobody in particular".to_owned()) };
        let objection = match self.users.get(who.name.as_str()) {
            Some(line) => line.objection(who, at),
            None => Some("was never made"),
        };
        objection.map_or(Ok(()), |objection| Err(format!("{who:?} {objection}")))
    }
}

/// Where a change is; nothing if it is certain that it is nowhere.
fn turn(id: OpId, op: &Op, step: UserStep, ledger: &Ledger) -> Option<Turn> {
    let low = ledger.asked_at.get(&id).map_or(1, |index| index + 1);
    let told = ledger.told_at.get(&id).copied().unwrap_or(u64::MAX);
    let (low, high, is_definite) = match op.outcome {
        Outcome::Written { index: 0, .. } => (low, told, true),
        Outcome::Written { index, .. } => (index, index, true),
        // An earlier request for the same had succeeded by then.
        Outcome::Refused { code: CONFLICT, index } if step == UserStep::Enable => (1, index, true),
        Outcome::Unknown | Outcome::Open => (low, u64::MAX, false),
        _ => return None,
    };
    Some(Turn { low, high, is_definite, finished: op.finished })
}

/// Everything that was done was done with a right, and nothing was refused that was certain to be
/// right.
pub fn check(history: &History, changes: &Changes, ledger: &Ledger) -> Verdict {
    let lines = Lines::of(history, ledger);
    let values = changes.iter().filter_map(|(index, change, _)| Some((change.value?, index)));
    let places: BTreeMap<OpId, u64> = values.collect();
    for (id, op) in history.iter() {
        let who = ledger.shown.get(&id);
        let is_write = !op.kind.is_read() && !matches!(op.kind, Kind::Queue(_));
        let invoked = if op.kind == Kind::PlainRead { 0 } else { op.invoked };
        let verdict = match op.outcome {
            _ if matches!(op.kind, Kind::Users(_)) => Ok(()),
            Outcome::Refused { code: UNAUTHORIZED, index } => {
                let told_before = if ledger.refuses_late { op.invoked } else { Nanos::MAX };
                check_refused(&lines, op, who, Moment { told_before, ..Moment::at(index) })
            }
            _ if !is_guarded(&op.key) => Ok(()),
            Outcome::Read { index, .. } => {
                lines.judge_done(who, Moment { invoked, ..Moment::at(index) })
            }
            Outcome::Written { index, .. } if is_write => {
                lines.judge_done(who, Moment { invoked, ..Moment::at(index.saturating_sub(1)) })
            }
            _ => match places.get(&id) {
                Some(index) if is_write => {
                    lines.judge_done(who, Moment { invoked, ..Moment::at(index.saturating_sub(1)) })
                }
                _ => Ok(()),
            },
        };
        verdict
            .map_err(|why| format!("op {id} {:?} {} {:?}: {why}", op.kind, op.key, op.outcome))?;
    }
    Ok(())
}

fn check_refused(lines: &Lines<'_>, op: &Op, who: Option<&Shown>, at: Moment) -> Verdict {
    match who {
        None if !is_guarded(&op.key) => Err("guests have the right to this key".to_owned()),
        Some(who) if is_guarded(&op.key) => match lines.users.get(who.name.as_str()) {
            Some(line) if line.is_certain(who, at) => Err(format!("{who:?} had the right")),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

/// What was acknowledged is there in the end, and nothing that was taken.
pub fn check_end(
    history: &History,
    ledger: &Ledger,
    users_count: bool,
    accounts: &[Account],
) -> Verdict {
    let lines = Lines::of(history, ledger);
    if lines.users_count(END) && !users_count {
        return Err("users do not count any more".to_owned());
    }
    for (name, line) in &lines.users {
        let found = accounts.iter().find(|account| account.user.name == *name);
        let Some(Account { user, has_role }) = found else {
            if must(&line.made, &line.removals, END) {
                return Err(format!("{name} is gone, and nobody removed it: {line:?}"));
            }
            continue;
        };
        if !may(&line.made, &line.removals, END) {
            return Err(format!("{name} is there in the end, although it was removed: {line:?}"));
        }
        let is_lost = |turn: &Turn| END.is_behind(turn) && turn.low > user.password;
        if line.passwords.iter().any(is_lost) {
            return Err(format!("{user:?} lost its latest password: {line:?}"));
        }
        if !has_role && must(&line.grants, &line.revocations, END) {
            return Err(format!("{user:?} lost its role, and nobody revoked it: {line:?}"));
        }
        if *has_role && !may(&line.grants, &line.revocations, END) {
            return Err(format!("{user:?} has a role that was revoked: {line:?}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
