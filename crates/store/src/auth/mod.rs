//! Users, roles and rights: part of the replicated state, so that every member decides alike
//! whether a write may be (docs/security.md).
//!
//! Passwords come in as hashes and are never compared here. What a client has proven is a
//! [`Principal`], which travels in the log with its write: [`crate::Store::apply_as`] asks at that
//! place of the log whether the user is still there, with that password and with that right.

mod change;
mod codec;
mod given;
mod judge;
mod refusal;
mod rights;
#[cfg(test)]
mod tests;

pub use change::{AuthChange, AuthDone};
pub(crate) use codec::Read;
pub use given::GivenUser;
pub use rights::{Access, Right, Rights};

use crate::time::StoreIndex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The user and the role that may do everything.
pub const ROOT: &str = "root";

/// The role of clients that prove to be nobody.
pub const GUEST: &str = "guest";

/// Bytes of all users and roles together: 8 MiB. They are in memory, and copied as a whole where a
/// snapshot shares them.
pub const AUTH_BYTES_MAX: usize = 8 << 20;

/// Names a user for good: the index of the change that made it. A user of the same name that is
/// made later is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(pub u64);

/// Who a client has proven to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Principal {
    /// Nobody in particular: it has the rights of the role `guest`.
    #[default]
    Guest,
    /// A user.
    User {
        /// Which one.
        id: UserId,
        /// The index at which the password was set that it gave; nothing if it showed a
        /// certificate.
        password: Option<StoreIndex>,
    },
}

/// Who gives a command, and how they named its key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Author {
    /// Who it is.
    pub who: Principal,
    /// Whether the key was named with a slash behind it, which counts for rights alone: see
    /// [`Access::has_slash`].
    pub has_slash: bool,
}

impl From<Principal> for Author {
    fn from(who: Principal) -> Self {
        Self { who, has_slash: false }
    }
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its number.
    pub id: UserId,
    /// What it is called. No two users have the same name.
    pub name: Arc<str>,
    /// The bcrypt hash of its password, as in `$2a$10$...`.
    pub password_hash: String,
    /// The index at which that was set.
    pub password_since: StoreIndex,
    /// The names of its roles; nothing if none was ever given or taken. A role need not exist.
    pub roles: Option<Vec<String>>,
}

impl User {
    /// The roles that it has: `root` has the role `root` whatever was granted.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        let granted = self.roles.iter().flatten().map(String::as_str);
        let is_bare_root = &*self.name == ROOT && !granted.clone().any(|role| role == ROOT);
        granted.chain(is_bare_root.then_some(ROOT))
    }

    /// Whether it may do everything.
    pub fn is_root(&self) -> bool {
        self.roles().any(|role| role == ROOT)
    }
}

/// All users and roles, and whether they count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Auth {
    is_enabled: bool,
    users: BTreeMap<Arc<str>, Arc<User>>,
    names: BTreeMap<UserId, Arc<str>>,
    roles: BTreeMap<Arc<str>, Arc<Rights>>,
    /// The index of the latest change.
    revision: StoreIndex,
    /// About how many bytes users and roles take up.
    bytes: usize,
}

impl Auth {
    /// Whether clients have to have a right for what they do.
    pub fn is_enabled(&self) -> bool {
        self.is_enabled
    }

    /// The index of the latest change of a user, a role or whether they count.
    pub fn revision(&self) -> StoreIndex {
        self.revision
    }

    /// A user by its name.
    pub fn user(&self, name: &str) -> Option<&Arc<User>> {
        self.users.get(name)
    }

    /// All users in the order of their names.
    pub fn users(&self) -> impl Iterator<Item = &Arc<User>> {
        self.users.values()
    }

    /// The rights of a role that was made; `root` is none of these.
    pub fn role(&self, name: &str) -> Option<&Arc<Rights>> {
        self.roles.get(name)
    }

    /// All roles that were made, in the order of their names.
    pub fn roles(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<Rights>)> {
        self.roles.iter()
    }

    /// The user that a client has proven to be, if it still is that one.
    pub fn proven(&self, who: Principal) -> Option<&Arc<User>> {
        let Principal::User { id, password } = who else { return None };
        let user = self.users.get(self.names.get(&id)?)?;
        password.is_none_or(|since| since == user.password_since).then_some(user)
    }

    /// The user `root`, as the server itself acts for it; nobody if there is none.
    pub fn root(&self) -> Principal {
        let root = self.user(ROOT);
        root.map_or(Principal::Guest, |root| Principal::User { id: root.id, password: None })
    }

    /// Whether somebody may do everything; everybody may where users do not count.
    pub fn is_root(&self, who: Principal) -> bool {
        !self.is_enabled || self.proven(who).is_some_and(|user| user.is_root())
    }

    /// Whether somebody may do this with a key; everybody may where users do not count.
    pub fn allows(&self, who: Principal, access: Access<'_>) -> bool {
        if !self.is_enabled {
            return true;
        }
        let may = |role: &str| {
            role == ROOT || self.roles.get(role).is_some_and(|rights| rights.allow(access))
        };
        match who {
            Principal::Guest => may(GUEST),
            Principal::User { .. } => self.proven(who).is_some_and(|user| user.roles().any(may)),
        }
    }
}
