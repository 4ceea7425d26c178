//! Users and roles that another server gave.

use super::{Auth, ROOT, Rights, User, UserId};
use crate::time::StoreIndex;

/// A user as another server had it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUser {
    /// What it is called.
    pub name: String,
    /// The bcrypt hash of its password.
    pub password_hash: String,
    /// The names of its roles; nothing if none was ever given or taken.
    pub roles: Option<Vec<String>>,
}

impl Auth {
    /// Users and roles of a store whose index is `index`.
    ///
    /// # Errors
    /// A name, and why it cannot be.
    pub(crate) fn given(
        is_enabled: bool,
        users: Vec<GivenUser>,
        roles: Vec<(String, Rights)>,
        index: StoreIndex,
    ) -> Result<Self, (String, &'static str)> {
        let mut auth = Auth::default();
        let is_nothing = users.is_empty() && roles.is_empty() && !is_enabled;
        auth.revision = if is_nothing { StoreIndex(0) } else { index };
        for (id, GivenUser { name, password_hash, roles }) in (1..).zip(users) {
            if id > index.0 {
                return Err((name, "there are more users than indexes"));
            }
            if auth.user(&name).is_some() {
                return Err((name, "the user comes twice"));
            }
            let (id, password_since) = (UserId(id), StoreIndex(id));
            let user =
                User { id, name: name.as_str().into(), password_hash, password_since, roles };
            auth.put_user(user).map_err(|_| (name, "users and roles take too much room"))?;
        }
        for (name, rights) in roles {
            if name == ROOT || auth.role(&name).is_some() {
                return Err((name, "the role is there already"));
            }
            let put = auth.put_role(&name, rights, true);
            put.map_err(|_| (name, "users and roles take too much room"))?;
        }
        if is_enabled && auth.user(ROOT).is_none() {
            return Err((ROOT.to_owned(), "users cannot count without that user"));
        }
        auth.is_enabled = is_enabled;
        Ok(auth)
    }
}
