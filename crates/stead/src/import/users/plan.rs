//! What is to be done at a running target, and doing it.

use super::found::{Accounts, Bare};
use super::request::{self, Request};
use super::there;
use crate::import::answer::Answer;
use crate::import::args::Existing;
use crate::import::target::Target;
use legacy::{Auth, Role, User};
use std::collections::{BTreeMap, BTreeSet};
use store::{GUEST, ROOT, Rights};

/// How many are named in a message.
const NAMED_MAX: usize = 5;

/// What is to be done, and what there is to say of it.
#[derive(Debug, Default)]
pub(in crate::import) struct Plan {
    pub(in crate::import) accounts: Accounts,
    /// Each makes or changes a role or a user; roles come first.
    requests: Vec<(Goal, Request)>,
    /// How many users and roles are made or changed.
    pub(in crate::import) made: (usize, usize),
    /// What the target had, the same: its users and its roles.
    pub(in crate::import) present: (Vec<String>, Vec<String>),
    /// Whether users count at the target; nothing if there is none that runs.
    pub(in crate::import) counts_there: Option<bool>,
    /// Why the target takes none of them.
    pub(in crate::import) refused: Option<String>,
    /// Why it is not known what the source has.
    pub(in crate::import) unknown: Option<String>,
}

/// What has to be there behind a request.
#[derive(Clone, Debug)]
enum Goal {
    Role(Role),
    User(String, BTreeSet<String>),
}

/// What a target has.
#[derive(Debug, Default)]
struct There {
    roles: BTreeMap<String, Rights>,
    users: BTreeMap<String, BTreeSet<String>>,
}

impl There {
    fn of(auth: Auth) -> Self {
        let rights =
            |role: Role| (role.name, Rights { read: Some(role.read), write: Some(role.write) });
        let roles = auth.roles.into_iter().filter(|role| role.name != ROOT).map(rights);
        let users = auth.users.into_iter();
        let users = users.map(|user| (user.name, user.roles.into_iter().collect()));
        Self { roles: roles.collect(), users: users.collect() }
    }
}

impl Plan {
    /// What comes of accounts where there is no target that runs.
    pub(in crate::import) fn alone(accounts: Accounts) -> Self {
        let made = (accounts.users.len(), accounts.roles.len());
        Self { accounts, made, ..Self::default() }
    }

    /// What there is to say where the source does not show its users.
    pub(in crate::import) fn unread(why: String) -> Self {
        Self { unknown: Some(why), ..Self::default() }
    }

    /// Compares accounts with what a target has.
    ///
    /// # Errors
    /// Why nothing can be written, in a sentence.
    pub(in crate::import) fn make(
        accounts: Accounts,
        target: &mut Target,
        existing: Existing,
    ) -> Result<Self, String> {
        if accounts.is_empty() {
            return Ok(Self::default());
        }
        let Some(auth) = read(target)? else {
            let refused = Some("the target knows no users".to_owned());
            return Ok(Self { accounts, refused, ..Self::default() });
        };
        let mut plan = Self { counts_there: Some(auth.is_enabled), ..Self::default() };
        let (there, mut accounts) = (There::of(auth), accounts);
        if !target.is_stead()? {
            let why = "only a Stead takes the hash of a password".to_owned();
            let users = std::mem::take(&mut accounts.users).into_iter();
            accounts.bare.extend(users.map(|user| Bare { user, why: why.clone() }));
        }
        let mut conflicts = Vec::new();
        for role in &accounts.roles {
            plan.add_role(role, &there, existing, &mut conflicts);
        }
        let all = accounts.users.iter().map(|user| (user, true));
        for (user, has_hash) in all.chain(accounts.bare.iter().map(|bare| (&bare.user, false))) {
            let roles = shown_roles(user, &accounts, &there);
            match there.users.get(&user.name) {
                None if !has_hash => {}
                have => plan.add_user(user, roles, have, existing, &mut conflicts),
            }
        }
        if let Some(first) = conflicts.first() {
            return Err(format!(
                "the target has {} of the users and roles already, with other rights, such as \
                 {first}: nothing was written. --force replaces rights; --no-users leaves them out",
                conflicts.len()
            ));
        }
        if existing == Existing::Refuse {
            check_others(&accounts, &there)?;
        }
        accounts.bare.retain(|bare| !there.users.contains_key(&bare.user.name));
        plan.accounts = accounts;
        Ok(plan)
    }

    fn add_role(
        &mut self,
        role: &Role,
        there: &There,
        existing: Existing,
        conflicts: &mut Vec<String>,
    ) {
        let goal = Goal::Role(role.clone());
        let request = match there.roles.get(&role.name) {
            None => request::make_role(role),
            Some(rights) if is_same(role, rights) => {
                return self.present.1.push(role.name.clone());
            }
            Some(rights) if existing == Existing::Overwrite => request::change_role(role, rights),
            Some(_) => return conflicts.push(format!("the role {:?}", role.name)),
        };
        self.made.1 += 1;
        self.requests.push((goal, request));
    }

    fn add_user(
        &mut self,
        user: &User,
        roles: BTreeSet<String>,
        have: Option<&BTreeSet<String>>,
        existing: Existing,
        conflicts: &mut Vec<String>,
    ) {
        let request = match have {
            None => request::make_user(user),
            Some(have) if *have == roles => return self.present.0.push(user.name.clone()),
            Some(have) if existing == Existing::Overwrite => {
                let grant: Vec<&str> = roles.difference(have).map(String::as_str).collect();
                let revoke: Vec<&str> = have.difference(&roles).map(String::as_str).collect();
                request::change_user(&user.name, &grant, &revoke)
            }
            Some(_) => return conflicts.push(format!("the user {:?}", user.name)),
        };
        self.made.0 += 1;
        self.requests.push((Goal::User(user.name.clone(), roles), request));
    }

    /// Makes them.
    ///
    /// # Errors
    /// Why it stopped, in a sentence.
    pub(in crate::import) fn write(&self, target: &mut Target) -> Result<(), String> {
        for (goal, request) in &self.requests {
            let answer = target.administer("PUT", &request.path, request.body.as_bytes())?;
            match answer.status {
                200 | 201 => {}
                // Its own first try may have made it, whose answer was lost.
                400 | 409 if is_reached(goal, target)? => {}
                _ => return Err(format!("the target refused {goal}: {}", explain(&answer))),
            }
        }
        Ok(())
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Goal::Role(role) => write!(f, "the role {:?}", role.name),
            Goal::User(name, _) => write!(f, "the user {name:?}"),
        }
    }
}

/// The roles of a user as a server shows them: those that are there.
fn shown_roles(user: &User, accounts: &Accounts, there: &There) -> BTreeSet<String> {
    let is_there = |name: &String| {
        name == ROOT
            || there.roles.contains_key(name)
            || accounts.roles.iter().any(|role| role.name == *name)
    };
    let root = (user.name == ROOT).then(|| ROOT.to_owned());
    user.roles.iter().filter(|role| is_there(role)).cloned().chain(root).collect()
}

fn is_same(role: &Role, rights: &Rights) -> bool {
    let set = |list: &[String]| list.iter().cloned().collect::<BTreeSet<String>>();
    let list = |list: &Option<Vec<String>>| set(list.as_deref().unwrap_or_default());
    set(&role.read) == list(&rights.read) && set(&role.write) == list(&rights.write)
}

fn is_reached(goal: &Goal, target: &mut Target) -> Result<bool, String> {
    let there = There::of(read(target)?.ok_or("the target's users are gone")?);
    Ok(match goal {
        Goal::Role(role) => there.roles.get(&role.name).is_some_and(|have| is_same(role, have)),
        Goal::User(name, roles) => there.users.get(name) == Some(roles),
    })
}

/// Refuses a target with users and roles of its own. One that was set up for clients has `root`,
/// and `guest` since users count.
fn check_others(accounts: &Accounts, there: &There) -> Result<(), String> {
    let users = accounts.all_users().map(|user| user.name.as_str());
    let users: BTreeSet<&str> = users.chain([ROOT]).collect();
    let roles = accounts.roles.iter().map(|role| role.name.as_str());
    let roles: BTreeSet<&str> = roles.chain([GUEST]).collect();
    let other_users = there.users.keys().filter(|name| !users.contains(name.as_str()));
    let other_roles = there.roles.keys().filter(|name| !roles.contains(name.as_str()));
    let named = other_users.map(|name| format!("the user {name:?}"));
    let named = named.chain(other_roles.map(|name| format!("the role {name:?}")));
    let mut others: Vec<String> = named.collect();
    let count = others.len();
    others.truncate(NAMED_MAX);
    match count {
        0 => Ok(()),
        _ => Err(format!(
            "the target has {count} other users and roles already, such as {}: nothing was \
             written. --merge writes beside them; --no-users leaves users and roles out",
            others.join(", ")
        )),
    }
}

fn read(target: &mut Target) -> Result<Option<Auth>, String> {
    let found = there::read(&mut |path| {
        let answer = target.administer("GET", path, b"")?;
        Ok((answer.status, answer.body))
    });
    found.map_err(|why| {
        format!(
            "cannot read the target's users: {why}; give its root with --user-file or its secret \
             with --token-file, or leave users out with --no-users"
        )
    })
}

/// Why a server refused a change of users: `{"message":...}`, in a few words.
fn explain(answer: &Answer) -> String {
    let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    match json["message"].as_str() {
        Some(message) => format!("{message} (status {})", answer.status),
        None => answer.explain(),
    }
}
