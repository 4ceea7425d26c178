//! Who makes users and changes what they may; one change at a time, and another user where nobody
//! knows what became of a change.

use crate::check::rights::CONFLICT;
use crate::history::{Kind, Op, Outcome, UserStep};
use crate::request::Request;
use crate::rng::Rng;
use store::{AuthChange, GUEST, LOCK_ROOT, ROOT, Rights};

/// The role that users need for the keys that only they may use.
pub(crate) const ROLE: &str = "worker";

/// How many users there are at once.
const USERS: usize = 3;

/// The code of a user that is not there.
const UNKNOWN: u16 = 1404;

const SETUP: [UserStep; 4] =
    [UserStep::GuestRole, UserStep::Role, UserStep::Root, UserStep::Enable];

/// A user as the administrator believes it to be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct User {
    name: String,
    is_made: bool,
    has_role: bool,
    /// What is asked for again, because nobody knows whether it was done.
    again: Option<UserStep>,
    is_dubious: bool,
}

impl User {
    fn new(number: u64) -> Self {
        let name = format!("u{number}");
        Self { name, is_made: false, has_role: false, again: None, is_dubious: false }
    }

    fn take(&mut self, step: UserStep) {
        match step {
            UserStep::Make => (self.is_made, self.has_role) = (true, false),
            UserStep::Grant => self.has_role = true,
            UserStep::Revoke => self.has_role = false,
            UserStep::Remove => (self.is_made, self.has_role) = (false, false),
            _ => {}
        }
    }
}

/// Who makes users and changes what they may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Admin {
    /// How much of what is needed first is done.
    is_set: usize,
    users: Vec<User>,
    named: u64,
}

impl Admin {
    pub(crate) fn draw(&mut self, rng: &mut Rng) -> Request {
        if let Some(step) = SETUP.get(self.is_set) {
            return Request::new(ROOT, Kind::Users(*step));
        }
        while self.users.len() < USERS {
            self.users.push(User::new(self.named));
            self.named += 1;
        }
        let at = rng.index(self.users.len());
        let Some(user) = self.users.get(at) else { return Request::new(ROOT, Kind::QuorumRead) };
        let step = match (user.again, rng.below(100)) {
            (Some(step), _) => step,
            _ if !user.is_made => UserStep::Make,
            (_, 0..20) => UserStep::Password,
            (_, 20..30) => UserStep::Remove,
            _ if user.has_role => UserStep::Revoke,
            _ => UserStep::Grant,
        };
        Request::new(user.name.clone(), Kind::Users(step))
    }

    pub(crate) fn learn(&mut self, op: &Op) {
        let Kind::Users(step) = op.kind else { return };
        let is_there = match op.outcome {
            Outcome::Written { .. } => true,
            Outcome::Refused { code: CONFLICT, .. } => true,
            Outcome::Refused { code: UNKNOWN, .. } => step == UserStep::Remove,
            _ => false,
        };
        if self.is_set < SETUP.len() {
            self.is_set += usize::from(is_there);
            return;
        }
        let Some(at) = self.users.iter().position(|user| user.name == op.key) else { return };
        let Some(user) = self.users.get_mut(at) else { return };
        if is_there {
            user.take(step);
        }
        match op.outcome {
            Outcome::Unknown => (user.again, user.is_dubious) = (Some(step), true),
            // What may yet happen to it would make all that follows uncertain: another takes its
            // place, and clients go on with both.
            Outcome::Written { .. } | Outcome::Refused { .. } if user.is_dubious => {
                self.users.remove(at);
            }
            _ => {}
        }
    }
}

/// The change for a step; `hash` stands for that of a password.
pub(crate) fn change(step: UserStep, name: &str, hash: &str) -> AuthChange {
    let name = name.to_owned();
    let hash = Some(hash.to_owned());
    let list = |patterns: &[&str]| Some(patterns.iter().map(|&one| one.to_owned()).collect());
    let role = || vec![ROLE.to_owned()];
    match step {
        UserStep::GuestRole => {
            let locks = format!("{LOCK_ROOT}/*");
            let write = list(&["/t/*", "/l/*", "/p/*", &locks]);
            AuthChange::CreateRole { name: GUEST.into(), rights: Rights { read: None, write } }
        }
        UserStep::Role => {
            let (read, write) = (list(&["/r/*"]), list(&["/r/*", "/q", "/d/*"]));
            AuthChange::CreateRole { name: ROLE.into(), rights: Rights { read, write } }
        }
        UserStep::Root | UserStep::Make => {
            AuthChange::CreateUser { name, password_hash: hash, roles: None }
        }
        UserStep::Enable => AuthChange::Enable { opens_guest: false },
        UserStep::Password | UserStep::Grant | UserStep::Revoke => AuthChange::UpdateUser {
            name,
            password_hash: hash.filter(|_| step == UserStep::Password),
            grant: if step == UserStep::Grant { role() } else { Vec::new() },
            revoke: if step == UserStep::Revoke { role() } else { Vec::new() },
        },
        UserStep::Remove => AuthChange::DeleteUser { name },
    }
}
