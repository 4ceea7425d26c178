//! The users and roles that a source has: what of them can be taken, and what not and why.

use crate::import::plan::{BODY_BYTES_MAX, TARGET_BYTES_MAX};
use crate::import::users::request;
use legacy::{Auth, Role, User};
use std::collections::BTreeSet;
use store::ROOT;

/// A user without a hash that could be taken: somebody has to give it a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::import) struct Bare {
    pub(in crate::import) user: User,
    pub(in crate::import) why: String,
}

/// Users and roles of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::import) struct Accounts {
    /// Whether they count there.
    pub(in crate::import) is_enabled: bool,
    /// How many users and roles there are, taken or not. `root` is no role that anybody made.
    pub(in crate::import) seen: (usize, usize),
    pub(in crate::import) roles: Vec<Role>,
    /// Those whose passwords come along.
    pub(in crate::import) users: Vec<User>,
    pub(in crate::import) bare: Vec<Bare>,
    /// What has no place here, and why.
    pub(in crate::import) left: Vec<String>,
}

impl Accounts {
    /// Sorts out what a source has. Patterns are moved below a prefix, as the keys are that they
    /// are about.
    pub(in crate::import) fn of(auth: Auth, prefix: &str) -> Self {
        let Auth { is_enabled, users, mut roles } = auth;
        roles.retain(|role| role.name != ROOT);
        let seen = (users.len(), roles.len());
        let mut accounts = Self { is_enabled, seen, ..Self::default() };
        let mut names = BTreeSet::new();
        for mut role in roles {
            let patterns = role.read.iter_mut().chain(&mut role.write);
            patterns.for_each(|pattern| *pattern = moved(pattern, prefix));
            let size = request::make_role(&role).body.len();
            let fits = size <= BODY_BYTES_MAX;
            match check(&role.name, fits, names.insert(role.name.clone())) {
                Ok(()) => accounts.roles.push(role),
                Err(why) => accounts.left.push(named("role", &role.name, why)),
            }
        }
        names.clear();
        for user in users {
            let size = request::make_user(&user).body.len();
            let fits = size <= server::USER_BYTES_MAX;
            if let Err(why) = check(&user.name, fits, names.insert(user.name.clone())) {
                accounts.left.push(named("user", &user.name, why));
                continue;
            }
            match server::check_hash(&user.password_hash) {
                Ok(()) => accounts.users.push(user),
                Err(_) if user.password_hash.is_empty() => {
                    let why = "the source does not show its password".to_owned();
                    accounts.bare.push(Bare { user, why });
                }
                Err(fault) => accounts.bare.push(Bare { user, why: fault.to_string() }),
            }
        }
        accounts
    }

    /// Whether there is nothing to say of them.
    pub(in crate::import) fn is_empty(&self) -> bool {
        self.seen == (0, 0) && !self.is_enabled
    }

    /// All users that have a place here, with passwords and without.
    pub(in crate::import) fn all_users(&self) -> impl Iterator<Item = &User> {
        self.users.iter().chain(self.bare.iter().map(|bare| &bare.user))
    }
}

fn named(what: &str, name: &str, why: &str) -> String {
    let shown: String = name.chars().take(60).collect();
    format!("{what} {shown:?}: {why}")
}

/// Whether a user or a role can be asked for by its name, and made by one request.
fn check(name: &str, fits: bool, is_new: bool) -> Result<(), &'static str> {
    if matches!(name, "" | "." | "..") || name.contains('/') {
        return Err("no request can name it");
    }
    if !is_new {
        return Err("it comes twice");
    }
    if request::path("users", name).len() > TARGET_BYTES_MAX || !fits {
        return Err("it is too long for a request");
    }
    Ok(())
}

/// A pattern of keys whose keys are moved below a prefix.
fn moved(pattern: &str, prefix: &str) -> String {
    match pattern {
        // All keys of the source are below the prefix, and keys beside it are none of them.
        "*" if !prefix.is_empty() => format!("{prefix}/*"),
        // Patterns without a slash in front fit nothing.
        pattern if pattern.starts_with('/') => format!("{prefix}{pattern}"),
        pattern => pattern.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, hash: &str) -> User {
        User { name: name.to_owned(), password_hash: hash.to_owned(), roles: Vec::new() }
    }

    #[test]
    fn what_cannot_be_taken_is_named() {
        let hash = |cost: &str| format!("$2a${cost}${}", ".".repeat(53));
        let users = vec![
            user("ann", &hash("14")),
            user("a b'\"\u{e9}", &hash("04")),
            user("slow", &hash("15")),
            user("shown", ""),
            user("plain", "pw"),
            user("", &hash("10")),
            user("..", &hash("10")),
            user("a/b", &hash("10")),
            user("ann", &hash("10")),
            user(&"x".repeat(70_000), &hash("10")),
        ];
        let role = |name: &str, pattern: String| {
            let (name, read, write) = (name.to_owned(), vec![pattern], Vec::new());
            Role { name, read, write }
        };
        let long = role("long", "x".repeat(11 << 20));
        let roles = vec![role("r", "/a*".into()), role("r/s", "/".into()), role(ROOT, "".into())];
        let roles = [roles, vec![long]].concat();
        let found = Accounts::of(Auth { is_enabled: true, users, roles }, "");
        assert_eq!(found.seen, (10, 3));
        let names = |users: &[User]| {
            users.iter().map(|user| user.name.clone()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(&found.users), "ann a b'\"\u{e9}");
        let bare: Vec<&str> = found.bare.iter().map(|bare| bare.why.as_str()).collect();
        assert_eq!(bare.len(), 3);
        assert!(bare[0].contains("cost is 15") && bare[1].contains("does not show"), "{bare:?}");
        assert!(bare[2].contains("no bcrypt hash"), "{bare:?}");
        assert_eq!(found.roles.len(), 1);
        let left = found.left.join("\n");
        for text in [
            "role \"r/s\": no request can name it",
            "role \"long\": it is too long",
            "user \"\": no request",
            "user \"..\": no request",
            "user \"a/b\": no request",
            "user \"ann\": it comes twice",
            "x\": it is too long",
        ] {
            assert!(left.contains(text), "no {text:?} in {left}");
        }
        assert_eq!(found.left.len(), 7);
    }

    #[test]
    fn rights_move_with_the_keys() {
        for (pattern, want) in
            [("/a/*", "/p/q/a/*"), ("/*", "/p/q/*"), ("*", "/p/q/*"), ("a", "a"), ("", "")]
        {
            assert_eq!(moved(pattern, "/p/q"), want, "{pattern}");
            assert_eq!(moved(pattern, ""), pattern);
        }
    }
}
