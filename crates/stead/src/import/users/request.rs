//! Requests to `/v2/auth`.

use crate::import::key::encode_segment;
use legacy::{Role, User};
use serde_json::{Value, json};
use store::Rights;

/// A change of a user or a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) path: String,
    pub(super) body: String,
}

/// The path of a user or a role.
pub(super) fn path(kind: &str, name: &str) -> String {
    format!("/v2/auth/{kind}/{}", encode_segment(name))
}

fn put(kind: &str, name: &str, body: &Value) -> Request {
    Request { path: path(kind, name), body: body.to_string() }
}

fn kv(read: &[String], write: &[String]) -> Value {
    json!({"kv": {"read": read, "write": write}})
}

/// Makes a role.
pub(super) fn make_role(role: &Role) -> Request {
    let permissions = kv(&role.read, &role.write);
    put("roles", &role.name, &json!({"role": role.name, "permissions": permissions}))
}

/// Makes a role that is there what the source has.
pub(super) fn change_role(role: &Role, there: &Rights) -> Request {
    let more = |want: &[String], have: &Option<Vec<String>>| {
        let has = |pattern: &String| have.iter().flatten().any(|other| other == pattern);
        want.iter().filter(|pattern| !has(pattern)).cloned().collect::<Vec<_>>()
    };
    let less = |want: &[String], have: &Option<Vec<String>>| {
        let have = have.iter().flatten().filter(|pattern| !want.contains(pattern));
        have.cloned().collect::<Vec<_>>()
    };
    let grant = kv(&more(&role.read, &there.read), &more(&role.write, &there.write));
    let revoke = kv(&less(&role.read, &there.read), &less(&role.write, &there.write));
    put("roles", &role.name, &json!({"role": role.name, "grant": grant, "revoke": revoke}))
}

/// Makes a user with the hash of its password.
pub(super) fn make_user(user: &User) -> Request {
    let mut body = json!({"user": user.name, "passwordHash": user.password_hash});
    if !user.roles.is_empty() {
        body["roles"] = json!(user.roles);
    }
    put("users", &user.name, &body)
}

/// Gives a user that is there other roles.
pub(super) fn change_user(name: &str, grant: &[&str], revoke: &[&str]) -> Request {
    put("users", name, &json!({"user": name, "grant": grant, "revoke": revoke}))
}

/// What an operator types to make a user with a password of its own.
pub(super) fn command(base: &str, flags: &str, user: &User) -> String {
    let mut body = json!({"user": user.name, "password": "..."});
    if !user.roles.is_empty() {
        body["roles"] = json!(user.roles);
    }
    let url = format!("{base}{}", path("users", &user.name));
    format!("curl{flags} '{url}' -XPUT -d {}", quoted(&body.to_string()))
}

/// A text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_in_paths_and_for_a_shell() {
        let name = "a 'b\"%\u{e9}".to_owned();
        let user = User { name, password_hash: String::new(), roles: vec!["r".into()] };
        assert_eq!(
            command("http://h:1", " -u root", &user),
            "curl -u root 'http://h:1/v2/auth/users/a%20%27b%22%25%C3%A9' -XPUT -d \
             '{\"password\":\"...\",\"roles\":[\"r\"],\"user\":\"a '\\''b\\\"%\u{e9}\"}'"
        );
        assert_eq!(path("roles", "a?b#c;d"), "/v2/auth/roles/a%3Fb%23c%3Bd");
    }

    #[test]
    fn a_role_that_differs_gets_what_it_lacks_and_loses_what_it_has_too_much() {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let (read, write): (Vec<_>, Vec<_>) = (list(&["/a", "/b"]), list(&[]));
        let role = Role { name: "r".to_owned(), read, write };
        let there = Rights { read: Some(list(&["/b", "/c"])), write: None };
        let body: Value = serde_json::from_str(&change_role(&role, &there).body).expect("JSON");
        assert_eq!(body["grant"], kv(&list(&["/a"]), &[]));
        assert_eq!(body["revoke"], kv(&list(&["/c"]), &[]));
    }
}
