//! Users and roles as JSON: what clients send, and what they are shown.
//!
//! Go reads JSON with rules of its own, and 2.x clients rely on them: names in any case, unknown
//! ones passed over, `null` for nothing, and whatever follows the first value ignored.

use crate::api::json;
use crate::auth::hash::{HashFault, check_hash};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use store::{Auth, AuthChange, GUEST, Principal, ROOT, Rights, User};

const NO_JSON: &str = "Invalid JSON in request body.";

/// A change, and the password whose hash goes into it.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) change: AuthChange,
    pub(super) password: Option<String>,
}

impl From<AuthChange> for Wish {
    fn from(change: AuthChange) -> Self {
        Self { change, password: None }
    }
}

/// The fields of a JSON object.
#[derive(Debug, Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn read(body: &[u8]) -> Result<Self, &'static str> {
        let first = serde_json::Deserializer::from_slice(body).into_iter::<Value>().next();
        Self::of(first.and_then(Result::ok).ok_or(NO_JSON)?)
    }

    fn of(value: Value) -> Result<Self, &'static str> {
        match value {
            Value::Object(fields) => Ok(Self(fields)),
            Value::Null => Ok(Self::default()),
            _ => Err(NO_JSON),
        }
    }

    /// The value of a field; null is none.
    fn take(&mut self, name: &str) -> Option<Value> {
        let exact = self.0.remove(name);
        let found = exact.or_else(|| {
            let similar = self.0.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned();
            similar.and_then(|key| self.0.remove(&key))
        });
        found.filter(|value| !value.is_null())
    }

    fn text(&mut self, name: &str) -> Result<String, &'static str> {
        match self.take(name) {
            None => Ok(String::new()),
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(NO_JSON),
        }
    }

    fn list(&mut self, name: &str) -> Result<Option<Vec<String>>, &'static str> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let Value::Array(items) = value else { return Err(NO_JSON) };
        let text = |item| match item {
            Value::String(text) => Ok(text),
            Value::Null => Ok(String::new()),
            _ => Err(NO_JSON),
        };
        items.into_iter().map(text).collect::<Result<_, _>>().map(Some)
    }

    fn object(&mut self, name: &str) -> Result<Fields, &'static str> {
        self.take(name).map_or_else(|| Ok(Fields::default()), Fields::of)
    }

    fn rights(&mut self, name: &str) -> Result<Rights, &'static str> {
        let mut kv = self.object(name)?.object("kv")?;
        Ok(Rights { read: kv.list("read")?, write: kv.list("write")? })
    }
}

/// What `PUT /v2/auth/users/NAME` asks for.
pub(super) fn put_user(name: &str, body: &[u8]) -> Result<Wish, &'static str> {
    let mut fields = Fields::read(body)?;
    let (named, password) = (fields.text("user")?, fields.text("password")?);
    let hash = fields.text("passwordHash")?;
    let (roles, grant, revoke) =
        (fields.list("roles")?, fields.list("grant")?, fields.list("revoke")?);
    if named != name {
        return Err("User JSON name does not match the name in the URL");
    }
    let has = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    let password = Some(password).filter(|password| !password.is_empty());
    let (name, password_hash) = (named, given_hash(hash, password.is_some())?);
    let change = match (has(&roles), has(&grant) || has(&revoke)) {
        (true, true) => return Err("User JSON contains both roles and grant/revoke"),
        (false, true) => AuthChange::UpdateUser {
            name,
            password_hash,
            grant: grant.unwrap_or_default(),
            revoke: revoke.unwrap_or_default(),
        },
        (true, false) => AuthChange::CreateUser { name, password_hash, roles },
        (false, false) => AuthChange::PutUser { name, password_hash, roles },
    };
    Ok(Wish { change, password })
}

/// The hash of a password that was hashed elsewhere, if there is one.
fn given_hash(hash: String, has_password: bool) -> Result<Option<String>, &'static str> {
    match check_hash(&hash) {
        _ if hash.is_empty() => Ok(None),
        _ if has_password => Err("User JSON contains both password and passwordHash"),
        Ok(()) => Ok(Some(hash)),
        Err(HashFault::Form) => Err("passwordHash is no bcrypt hash ($2a$, $2b$ or $2y$)"),
        Err(HashFault::Cost(_)) => Err("passwordHash has a cost that is not between 4 and 14"),
    }
}

/// What `PUT /v2/auth/roles/NAME` asks for.
pub(super) fn put_role(name: &str, body: &[u8]) -> Result<Wish, &'static str> {
    let mut fields = Fields::read(body)?;
    let named = fields.text("role")?;
    let rights = fields.rights("permissions")?;
    let (grant, revoke) = (fields.rights("grant")?, fields.rights("revoke")?);
    if named != name {
        return Err("Role JSON name does not match the name in the URL");
    }
    if grant.is_empty() && revoke.is_empty() {
        return Ok(AuthChange::CreateRole { name: named, rights }.into());
    }
    if !rights.is_empty() {
        return Err("Role JSON contains both permissions and grant/revoke");
    }
    Ok(AuthChange::UpdateRole { name: named, grant, revoke }.into())
}

#[derive(Serialize)]
struct Kv<'a> {
    read: &'a Option<Vec<String>>,
    write: &'a Option<Vec<String>>,
}

#[derive(Serialize)]
struct Permissions<'a> {
    kv: Kv<'a>,
}

#[derive(Serialize)]
struct RoleBody<'a> {
    role: &'a str,
    permissions: Permissions<'a>,
}

impl<'a> RoleBody<'a> {
    fn of(role: &'a str, rights: &'a Rights) -> Self {
        let kv = Kv { read: &rights.read, write: &rights.write };
        Self { role, permissions: Permissions { kv } }
    }
}

#[derive(Serialize)]
struct ChangedUser<'a> {
    user: &'a str,
    roles: &'a Option<Vec<String>>,
}

#[derive(Serialize)]
struct UserBody<'a> {
    user: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    roles: Vec<RoleBody<'a>>,
}

#[derive(Serialize)]
struct Users<'a> {
    users: Option<Vec<UserBody<'a>>>,
}

#[derive(Serialize)]
struct Roles<'a> {
    roles: Vec<RoleBody<'a>>,
}

#[derive(Serialize)]
struct Enabled {
    enabled: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WhoAmI<'a> {
    enabled: bool,
    /// Nothing for a guest.
    user: Option<&'a str>,
    is_root: bool,
    roles: Vec<&'a str>,
    read: BTreeSet<&'a str>,
    write: BTreeSet<&'a str>,
}

/// Who somebody is, and what it may do by all its roles together; nothing if it is not who it was
/// any more.
pub(super) fn who_am_i(users: &Auth, who: Principal) -> Option<Vec<u8>> {
    let (enabled, is_root) = (users.is_enabled(), users.is_root(who));
    let user = match who {
        Principal::Guest => None,
        Principal::User { .. } => Some(users.proven(who)?),
    };
    let roles: Vec<&str> = match user {
        Some(user) => user.roles().collect(),
        None if enabled => vec![GUEST],
        None => Vec::new(),
    };
    let all = Rights::all();
    let granted = roles.iter().filter_map(|role| users.role(role)).map(|rights| &**rights);
    let granted: Vec<&Rights> = if is_root { vec![&all] } else { granted.collect() };
    let patterns = |list: fn(&Rights) -> &Option<Vec<String>>| {
        granted.iter().flat_map(move |rights| list(rights).iter().flatten()).map(String::as_str)
    };
    Some(json::line(&WhoAmI {
        enabled,
        user: user.map(|user| &*user.name),
        is_root,
        read: patterns(|rights| &rights.read).collect(),
        write: patterns(|rights| &rights.write).collect(),
        roles,
    }))
}

pub(super) fn enabled(users: &Auth) -> Vec<u8> {
    json::line(&Enabled { enabled: users.is_enabled() })
}

/// A user as the answer to its change shows it.
pub(super) fn changed_user(user: &User) -> Vec<u8> {
    json::line(&ChangedUser { user: &user.name, roles: &user.roles })
}

pub(super) fn role(name: &str, rights: &Rights) -> Vec<u8> {
    json::line(&RoleBody::of(name, rights))
}

/// The rights of a role; those of `root` are for everything.
fn rights<'a>(users: &'a Auth, name: &str, root: &'a Rights) -> Option<&'a Rights> {
    if name == ROOT { Some(root) } else { users.role(name).map(|rights| &**rights) }
}

/// All users, each with those of its roles that are there.
pub(super) fn all_users(users: &Auth) -> Vec<u8> {
    let root = Rights::all();
    let shown = users.users().map(|user| UserBody {
        user: &user.name,
        roles: user
            .roles()
            .filter_map(|role| Some(RoleBody::of(role, rights(users, role, &root)?)))
            .collect(),
    });
    let shown: Vec<UserBody<'_>> = shown.collect();
    json::line(&Users { users: (!shown.is_empty()).then_some(shown) })
}

/// One user.
///
/// # Errors
/// The sentence that it, or one of its roles, is not there.
pub(super) fn one_user(users: &Auth, name: &str) -> Result<Vec<u8>, String> {
    let root = Rights::all();
    let Some(user) = users.user(name) else {
        return Err(format!("auth: User {name} does not exist."));
    };
    let mut roles = Vec::new();
    for role in user.roles() {
        match rights(users, role, &root) {
            Some(rights) => roles.push(RoleBody::of(role, rights)),
            None => return Err(unknown_role(role)),
        }
    }
    Ok(json::line(&UserBody { user: &user.name, roles }))
}

fn unknown_role(name: &str) -> String {
    format!("auth: Role {name} does not exist.")
}

/// All roles in the order of their names, `root` as the last one.
pub(super) fn all_roles(users: &Auth) -> Vec<u8> {
    let root = Rights::all();
    let made = users.roles().map(|(name, rights)| RoleBody::of(name, rights));
    let mut roles: Vec<RoleBody<'_>> = made.chain([RoleBody::of(ROOT, &root)]).collect();
    roles.sort_by_key(|one| one.role);
    json::line(&Roles { roles })
}

/// One role.
///
/// # Errors
/// The sentence that it is not there.
pub(super) fn one_role(users: &Auth, name: &str) -> Result<Vec<u8>, String> {
    let root = Rights::all();
    let rights = rights(users, name, &root).ok_or_else(|| unknown_role(name))?;
    Ok(role(name, rights))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_read_as_go_reads_them() {
        let put = |body: &str| put_user("ann", body.as_bytes());
        let wish = put(r#"{"USER":"ann","Password":"p","x":1,"roles":null} trailing"#);
        let Ok(Wish { change: AuthChange::PutUser { name, .. }, password }) = wish else {
            panic!("{wish:?}")
        };
        assert_eq!((name.as_str(), password.as_deref()), ("ann", Some("p")));
        for (body, why) in [
            ("", NO_JSON),
            ("{", NO_JSON),
            ("[]", NO_JSON),
            (r#"{"user":1}"#, NO_JSON),
            (r#"{"user":"ann","roles":"r"}"#, NO_JSON),
            ("null", "User JSON name does not match the name in the URL"),
            (r#"{"user":"bob"}"#, "User JSON name does not match the name in the URL"),
            (
                r#"{"user":"ann","roles":["r"],"grant":["g"]}"#,
                "User JSON contains both roles and grant/revoke",
            ),
        ] {
            assert_eq!(put(body).err(), Some(why), "{body}");
        }
        let hash = "$2a$04$......................................................";
        let hash = hash.get(..60).expect("it is as long");
        let hashed = put(&format!(r#"{{"user":"ann","passwordHash":"{hash}"}}"#));
        let Ok(Wish { change: AuthChange::PutUser { password_hash, .. }, password: None }) = hashed
        else {
            panic!("{hashed:?}")
        };
        assert_eq!(password_hash.as_deref(), Some(hash));
        for (fields, why) in [
            (r#""password":"p","#.to_owned() + &format!(r#""passwordHash":"{hash}""#), "both"),
            (format!(r#""passwordHash":"{}""#, hash.replace("04", "31")), "between 4 and 14"),
            (r#""passwordHash":"plain""#.to_owned(), "no bcrypt hash"),
            (r#""passwordHash":["x"]"#.to_owned(), NO_JSON),
        ] {
            let error = put(&format!(r#"{{"user":"ann",{fields}}}"#)).expect_err(&fields);
            assert!(error.contains(why), "{fields}: {error}");
        }
        let role = |body: &str| put_role("r", body.as_bytes()).map(|wish| wish.change);
        let rights = Rights { read: Some(vec!["/a".into()]), write: None };
        assert_eq!(
            role(r#"{"role":"r","permissions":{"kv":{"read":["/a"]}}}"#),
            Ok(AuthChange::CreateRole { name: "r".into(), rights: rights.clone() })
        );
        assert_eq!(
            role(r#"{"role":"r","grant":{"kv":{"read":["/a"]}}}"#),
            Ok(AuthChange::UpdateRole {
                name: "r".into(),
                grant: rights,
                revoke: Rights::default()
            })
        );
        let both =
            r#"{"role":"r","permissions":{"kv":{"read":["/a"]}},"revoke":{"kv":{"read":["/a"]}}}"#;
        assert_eq!(role(both), Err("Role JSON contains both permissions and grant/revoke"));
        assert!(put_user("ann", "[".repeat(100_000).as_bytes()).is_err(), "nesting is bounded");
    }
}
