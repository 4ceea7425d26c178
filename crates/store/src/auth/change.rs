//! How users and roles change. Each change is one command, so that no two of them are mixed; what
//! it says when it cannot be is what etcd says (recorded from 3.4.23).

use super::refusal::Refusal;
use super::rights::{Rights, sorted};
use super::{AUTH_BYTES_MAX, Auth, GUEST, ROOT, User, UserId};
use crate::error::ErrorCode;
use crate::time::StoreIndex;
use std::sync::Arc;

/// A change of users, roles, or whether they count. A password comes as its bcrypt hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthChange {
    /// Users count from now on. If there is no role `guest` it is made: with all rights, or with
    /// none.
    Enable {
        /// Whether clients that are nobody may do everything with keys.
        opens_guest: bool,
    },
    /// Users do not count any more.
    Disable,
    /// Make a user that is not there yet.
    CreateUser {
        /// Its name.
        name: String,
        /// The hash of its password.
        password_hash: Option<String>,
        /// Its roles.
        roles: Option<Vec<String>>,
    },
    /// Make a user, or give one that is there this password if there is one.
    PutUser {
        /// Its name.
        name: String,
        /// The hash of its password.
        password_hash: Option<String>,
        /// Its roles if it is made: none, as an empty list or as no list.
        roles: Option<Vec<String>>,
    },
    /// Change a user that is there.
    UpdateUser {
        /// Its name.
        name: String,
        /// The hash of its new password, if it gets one.
        password_hash: Option<String>,
        /// Roles that it gets.
        grant: Vec<String>,
        /// Roles that it loses.
        revoke: Vec<String>,
    },
    /// Remove a user.
    DeleteUser {
        /// Its name.
        name: String,
    },
    /// Make a role that is not there yet.
    CreateRole {
        /// Its name.
        name: String,
        /// Its rights.
        rights: Rights,
    },
    /// Change a role that is there.
    UpdateRole {
        /// Its name.
        name: String,
        /// Rights that it gets.
        grant: Rights,
        /// Rights that it loses.
        revoke: Rights,
    },
    /// Remove a role. Users keep its name.
    DeleteRole {
        /// Its name.
        name: String,
    },
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthDone {
    /// A user was made or changed.
    User {
        /// The user as it is now.
        user: Arc<User>,
        /// Whether a request to put it made it.
        created: bool,
    },
    /// A role was made or changed.
    Role {
        /// Its name.
        name: Arc<str>,
        /// Its rights as they are now.
        rights: Arc<Rights>,
        /// Whether it was made.
        created: bool,
    },
    /// Something was removed, or users count or do not count any more.
    Done,
}

type Outcome = Result<AuthDone, Refusal>;

const USER_BYTES: usize = 200;

fn user_bytes(user: &User) -> usize {
    let roles: usize = user.roles.iter().flatten().map(|role| role.len() + 32).sum();
    USER_BYTES + user.name.len() + user.password_hash.len() + roles
}

fn role_bytes(name: &str, rights: &Rights) -> usize {
    USER_BYTES + name.len() + rights.bytes()
}

impl Auth {
    /// Makes a change that takes the index `index`.
    ///
    /// # Errors
    /// What speaks against it; nothing has changed then.
    pub(crate) fn change(
        &mut self,
        change: &AuthChange,
        index: StoreIndex,
    ) -> Result<AuthDone, (ErrorCode, String)> {
        let done = self.try_change(change, index).map_err(Refusal::into_error)?;
        self.revision = index;
        Ok(done)
    }

    fn try_change(&mut self, change: &AuthChange, index: StoreIndex) -> Outcome {
        match change {
            AuthChange::Enable { opens_guest } => self.enable(*opens_guest),
            AuthChange::Disable if !self.is_enabled => {
                Err(Refusal::Conflict("already disabled".into()))
            }
            AuthChange::Disable => {
                self.is_enabled = false;
                Ok(AuthDone::Done)
            }
            AuthChange::CreateUser { name, password_hash, roles } => {
                let roles = roles.clone();
                self.create_user(name, password_hash.as_deref(), roles, index, false)
            }
            AuthChange::PutUser { name, password_hash, roles } if self.user(name).is_none() => {
                self.create_user(name, password_hash.as_deref(), roles.clone(), index, true)
            }
            AuthChange::PutUser { name, password_hash, .. } => {
                self.update_user(name, password_hash.as_deref(), (&[], &[]), index)
            }
            AuthChange::UpdateUser { name, password_hash, grant, revoke } => {
                self.update_user(name, password_hash.as_deref(), (grant, revoke), index)
            }
            AuthChange::DeleteUser { name } => self.delete_user(name),
            AuthChange::CreateRole { name, rights } => self.create_role(name, rights),
            AuthChange::UpdateRole { name, grant, revoke } => self.update_role(name, grant, revoke),
            AuthChange::DeleteRole { name } => self.delete_role(name),
        }
    }

    fn enable(&mut self, opens_guest: bool) -> Outcome {
        if self.is_enabled {
            return Err(Refusal::Conflict("already enabled".into()));
        }
        if self.user(ROOT).is_none() {
            let text = "No root user available, please create one";
            return Err(Refusal::Conflict(text.into()));
        }
        if self.role(GUEST).is_none() {
            let none = Rights { read: Some(Vec::new()), write: Some(Vec::new()) };
            self.put_role(GUEST, if opens_guest { Rights::all() } else { none }, true)?;
        }
        self.is_enabled = true;
        Ok(AuthDone::Done)
    }

    fn create_user(
        &mut self,
        name: &str,
        password_hash: Option<&str>,
        mut roles: Option<Vec<String>>,
        index: StoreIndex,
        created: bool,
    ) -> Outcome {
        let Some(password_hash) = password_hash else {
            let text = format!("Cannot create user {name} with an empty password");
            return Err(Refusal::Invalid(text));
        };
        if self.user(name).is_some() {
            return Err(Refusal::Conflict(format!("User {name} already exists.")));
        }
        if name == ROOT && !roles.iter().flatten().any(|role| role == ROOT) {
            roles.get_or_insert_default().push(ROOT.to_owned());
        }
        let user = self.put_user(User {
            id: UserId(index.0),
            name: name.into(),
            password_hash: password_hash.to_owned(),
            password_since: index,
            roles,
        })?;
        Ok(AuthDone::User { user, created })
    }

    fn update_user(
        &mut self,
        name: &str,
        password_hash: Option<&str>,
        (grant, revoke): (&[String], &[String]),
        index: StoreIndex,
    ) -> Outcome {
        let Some(old) = self.user(name) else {
            return Err(Refusal::Unknown(format!("User {name} does not exist.")));
        };
        let mut user = User::clone(old);
        if let Some(hash) = password_hash {
            user.password_hash = hash.to_owned();
            user.password_since = index;
        }
        let had = (old.roles.is_some() || old.is_root())
            .then(|| old.roles().map(str::to_owned).collect::<Vec<_>>());
        let mut roles = sorted(had.clone().unwrap_or_default());
        for role in grant {
            match roles.binary_search(role) {
                Ok(_) => {
                    let text = format!("Granting duplicate role {role} for user {name}");
                    return Err(Refusal::Conflict(text));
                }
                Err(at) => roles.insert(at, role.clone()),
            }
        }
        for role in revoke {
            match roles.binary_search(role) {
                Ok(at) => roles.remove(at),
                Err(_) => {
                    let text = format!("Revoking ungranted role {role} for user {name}");
                    return Err(Refusal::Conflict(text));
                }
            };
        }
        let roles = Some(roles);
        if password_hash.is_none() && roles == had {
            let text = "User not updated. Use grant/revoke/password to update the user.";
            return Err(Refusal::Invalid(text.into()));
        }
        user.roles = roles;
        let user = self.put_user(user)?;
        Ok(AuthDone::User { user, created: false })
    }

    fn delete_user(&mut self, name: &str) -> Outcome {
        if self.is_enabled && name == ROOT {
            let text = "Cannot delete root user while auth is enabled.";
            return Err(Refusal::Forbidden(text.into()));
        }
        let Some(user) = self.users.remove(name) else {
            return Err(Refusal::Unknown(format!("User {name} does not exist")));
        };
        self.names.remove(&user.id);
        self.bytes -= user_bytes(&user);
        Ok(AuthDone::Done)
    }

    fn create_role(&mut self, name: &str, rights: &Rights) -> Outcome {
        check_role(name)?;
        if self.role(name).is_some() {
            return Err(Refusal::Conflict(format!("Role {name} already exists.")));
        }
        self.put_role(name, rights.clone(), true)
    }

    fn update_role(&mut self, name: &str, grant: &Rights, revoke: &Rights) -> Outcome {
        check_role(name)?;
        let Some(old) = self.role(name) else {
            return Err(Refusal::Unknown(format!("Role {name} does not exist.")));
        };
        let rights = old.with(grant)?.without(revoke);
        if rights == **old {
            let text = "Role not updated. Use grant/revoke to update the role.";
            return Err(Refusal::Invalid(text.into()));
        }
        self.put_role(name, rights, false)
    }

    fn delete_role(&mut self, name: &str) -> Outcome {
        check_role(name)?;
        let Some(rights) = self.roles.remove(name) else {
            return Err(Refusal::Unknown(format!("Role {name} doesn't exist.")));
        };
        self.bytes -= role_bytes(name, &rights);
        Ok(AuthDone::Done)
    }

    fn has_room(&self, lost: usize, gained: usize) -> Result<(), Refusal> {
        if self.bytes - lost + gained <= AUTH_BYTES_MAX {
            return Ok(());
        }
        let text = format!("users and roles take more than {AUTH_BYTES_MAX} bytes");
        Err(Refusal::Invalid(text))
    }

    pub(super) fn put_user(&mut self, user: User) -> Result<Arc<User>, Refusal> {
        let lost = self.user(&user.name).map_or(0, |user| user_bytes(user));
        let gained = user_bytes(&user);
        self.has_room(lost, gained)?;
        self.bytes = self.bytes - lost + gained;
        let user = Arc::new(user);
        self.names.insert(user.id, Arc::clone(&user.name));
        self.users.insert(Arc::clone(&user.name), Arc::clone(&user));
        Ok(user)
    }

    pub(super) fn put_role(&mut self, name: &str, rights: Rights, created: bool) -> Outcome {
        let lost = self.role(name).map_or(0, |rights| role_bytes(name, rights));
        let gained = role_bytes(name, &rights);
        self.has_room(lost, gained)?;
        self.bytes = self.bytes - lost + gained;
        let (name, rights): (Arc<str>, _) = (name.into(), Arc::new(rights));
        self.roles.insert(Arc::clone(&name), Arc::clone(&rights));
        Ok(AuthDone::Role { name, rights, created })
    }
}

fn check_role(name: &str) -> Result<(), Refusal> {
    if name == ROOT {
        return Err(Refusal::Forbidden(format!("Cannot modify role {name}: is root role.")));
    }
    Ok(())
}
