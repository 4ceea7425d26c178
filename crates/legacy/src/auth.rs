//! Users and roles of 2.1 to 3.5, which the servers keep as keys under `/2`.
//!
//! See docs/spec/migration.md section 5.

use crate::model::Tree;
use serde::Deserialize;

/// Users and roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// Whether authentication is on.
    pub is_enabled: bool,
    /// In the order of their names.
    pub users: Vec<User>,
    /// In the order of their names. `root`, which has all rights, is never among them; without
    /// `guest`, requests without credentials have no rights.
    pub roles: Vec<Role>,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The bcrypt hash of the password (`$2a$...`), over its first 72 bytes.
    pub password_hash: String,
    /// The names of the roles. The user `root` has the role `root`, listed or not.
    pub roles: Vec<String>,
}

/// A role: patterns of keys. A pattern is a key, or a prefix if it ends in `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// The name.
    pub name: String,
    /// What may be read.
    pub read: Vec<String>,
    /// What may be written.
    pub write: Vec<String>,
}

// Lists may be absent or null.

#[derive(Deserialize)]
struct UserJson {
    user: String,
    #[serde(default)]
    password: Option<String>,
    roles: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct RoleJson {
    role: String,
    permissions: Option<PermissionsJson>,
}

#[derive(Deserialize)]
struct PermissionsJson {
    kv: Option<KvJson>,
}

#[derive(Default, Deserialize)]
struct KvJson {
    read: Option<Vec<String>>,
    write: Option<Vec<String>>,
}

/// Reads users and roles, if the store has any. Whatever is not as a server writes it is an error:
/// half of them would be other rights than there were.
pub(crate) fn read(tree: &Tree) -> Result<Option<Auth>, String> {
    if tree.get(b"/2").is_none() {
        return Ok(None);
    }
    let enabled = tree.get(b"/2/enabled").and_then(|node| node.value.as_deref());
    if let Some(flag) = enabled.filter(|flag| !matches!(*flag, b"" | b"true" | b"false")) {
        let shown = String::from_utf8_lossy(flag);
        return Err(format!("/2/enabled is neither true nor false: {:.40}", shown.escape_debug()));
    }
    let users = values(tree, "/2/users")
        .map(|(path, value)| {
            let json: UserJson = parse(&path, value)?;
            check_name(&path, "/2/users/", &json.user)?;
            let password_hash = json.password.unwrap_or_default();
            Ok(User { name: json.user, password_hash, roles: json.roles.unwrap_or_default() })
        })
        .collect::<Result<_, String>>()?;
    let roles = values(tree, "/2/roles")
        .map(|(path, value)| {
            let json: RoleJson = parse(&path, value)?;
            check_name(&path, "/2/roles/", &json.role)?;
            let kv = json.permissions.and_then(|permissions| permissions.kv).unwrap_or_default();
            let (read, write) = (kv.read.unwrap_or_default(), kv.write.unwrap_or_default());
            Ok(Role { name: json.role, read, write })
        })
        .collect::<Result<_, String>>()?;
    Ok(Some(Auth { is_enabled: enabled == Some(b"true"), users, roles }))
}

/// No two are then called the same.
fn check_name(path: &str, dir: &str, name: &str) -> Result<(), String> {
    match path.strip_prefix(dir) == Some(name) {
        true => Ok(()),
        false => Err(format!("{path} is about another name: {:.40}", name.escape_debug())),
    }
}

fn values<'a>(tree: &'a Tree, dir: &str) -> impl Iterator<Item = (String, &'a [u8])> {
    tree.below(dir.as_bytes()).filter_map(|(path, node)| {
        Some((String::from_utf8_lossy(path).into_owned(), node.value.as_deref()?))
    })
}

fn parse<'a, T: Deserialize<'a>>(path: &str, value: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(value).map_err(|error| format!("{path} is invalid: {error}"))
}
