//! The users and roles that a running server shows: a source, or the target.

use legacy::{Auth, Role, User};
use serde_json::Value;

/// How many users, and how many roles, are taken. More would not fit into a Stead.
const EACH_MAX: usize = 100_000;

/// Gives the status and the body of the answer for a path.
type Get<'a> = &'a mut dyn FnMut(&str) -> Result<(u16, Vec<u8>), String>;

/// Reads all of them. Nothing where the server has no users at all; hashes are never shown.
///
/// # Errors
/// Why they cannot be read, in a sentence.
pub(in crate::import) fn read(get: Get<'_>) -> Result<Option<Auth>, String> {
    let Some(users) = list(get, "users")? else { return Ok(None) };
    let Some(roles) = list(get, "roles")? else { return Ok(None) };
    let is_enabled = get_json(get, "/v2/auth/enable")?
        .is_some_and(|answer| answer["enabled"] == Value::Bool(true));
    let users = users.iter().map(user).collect::<Result<_, _>>()?;
    let roles = roles.iter().map(role).collect::<Result<_, _>>()?;
    Ok(Some(Auth { is_enabled, users, roles }))
}

fn get_json(get: Get<'_>, path: &str) -> Result<Option<Value>, String> {
    let (status, body) = get(path)?;
    match status {
        200 => serde_json::from_slice(&body).map(Some).map_err(|error| format!("{path}: {error}")),
        404 => Ok(None),
        401 | 403 => Err(format!("{path} is shown to root alone (status {status})")),
        _ => Err(format!("{path}: status {status}")),
    }
}

/// All of a kind. Before 2.3 names alone were listed, so that each has to be asked for.
fn list(get: Get<'_>, kind: &str) -> Result<Option<Vec<Value>>, String> {
    let Some(mut answer) = get_json(get, &format!("/v2/auth/{kind}"))? else { return Ok(None) };
    let items = match answer.get_mut(kind).map(Value::take) {
        Some(Value::Array(items)) => items,
        Some(Value::Null) => Vec::new(),
        _ => return Err(format!("/v2/auth/{kind} shows no list")),
    };
    if items.len() > EACH_MAX {
        return Err(format!("there are more than {EACH_MAX} {kind}"));
    }
    let mut found = Vec::new();
    for item in items {
        match item {
            Value::String(name) => {
                found.extend(get_json(get, &super::request::path(kind, &name))?);
            }
            item => found.push(item),
        }
    }
    Ok(Some(found))
}

fn user(item: &Value) -> Result<User, String> {
    let name = text(&item["user"])?;
    // Roles come by their names, or as a whole.
    let roles = items(&item["roles"])?;
    let roles = roles.iter().map(|role| text(role.get("role").unwrap_or(role)));
    let roles = roles.collect::<Result<_, _>>()?;
    Ok(User { name, password_hash: String::new(), roles })
}

fn role(item: &Value) -> Result<Role, String> {
    let kv = &item["permissions"]["kv"];
    let patterns =
        |list: &Value| items(list)?.iter().map(text).collect::<Result<Vec<String>, String>>();
    let (read, write) = (patterns(&kv["read"])?, patterns(&kv["write"])?);
    Ok(Role { name: text(&item["role"])?, read, write })
}

fn items(list: &Value) -> Result<&[Value], String> {
    match list {
        Value::Array(items) => Ok(items),
        Value::Null => Ok(&[]),
        _ => Err("a list of users or roles is none".to_owned()),
    }
}

fn text(value: &Value) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| "a name of a user or role is none".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(answers: &[(&str, u16, &str)]) -> Result<Option<Auth>, String> {
        read(&mut |path| {
            let found = answers.iter().find(|(of, ..)| *of == path);
            Ok(found
                .map_or((404, Vec::new()), |(_, status, body)| (*status, body.as_bytes().into())))
        })
    }

    #[test]
    fn users_and_roles_are_read_as_each_series_lists_them() {
        let whole = [
            ("/v2/auth/enable", 200, r#"{"enabled":true}"#),
            (
                "/v2/auth/users",
                200,
                r#"{"users":[{"user":"al","roles":[{"role":"rw"}]},{"user":"b"}]}"#,
            ),
            (
                "/v2/auth/roles",
                200,
                r#"{"roles":[{"role":"rw","permissions":{"kv":{"read":["/a"],"write":null}}}]}"#,
            ),
        ];
        let by_name = [
            ("/v2/auth/enable", 200, r#"{"enabled":true}"#),
            ("/v2/auth/users", 200, r#"{"users":["al","b"]}"#),
            ("/v2/auth/users/al", 200, r#"{"user":"al","roles":["rw"]}"#),
            ("/v2/auth/users/b", 200, r#"{"user":"b","roles":null}"#),
            ("/v2/auth/roles", 200, r#"{"roles":["rw"]}"#),
            (
                "/v2/auth/roles/rw",
                200,
                r#"{"role":"rw","permissions":{"kv":{"read":["/a"],"write":[]}}}"#,
            ),
        ];
        let found = shown(&whole).expect("it is right").expect("there are some");
        assert!(found.is_enabled);
        assert_eq!((found.users[0].name.as_str(), &found.users[0].roles[0][..]), ("al", "rw"));
        assert_eq!((found.roles[0].read.len(), found.roles[0].write.len()), (1, 0));
        assert_eq!(shown(&by_name), Ok(Some(found)));
    }

    #[test]
    fn a_server_without_users_has_none_and_one_that_lies_is_refused() {
        assert_eq!(shown(&[]), Ok(None));
        let none = [
            ("/v2/auth/users", 200, r#"{"users":null}"#),
            ("/v2/auth/roles", 200, r#"{"roles":[]}"#),
        ];
        let empty = Auth { is_enabled: false, users: Vec::new(), roles: Vec::new() };
        assert_eq!(shown(&none), Ok(Some(empty)));
        for (users, why) in [
            (r#"{"users":7}"#, "no list"),
            ("[]", "no list"),
            (r#"{"users":[7]}"#, "name"),
            (r#"{"users":[{"user":"a","roles":"r"}]}"#, "list"),
            (r#"{"users":[{"user":"a","roles":[7]}]}"#, "name"),
            ("[", "/v2/auth/users"),
        ] {
            let answers = [("/v2/auth/users", 200, users), none[1]];
            let error = shown(&answers).expect_err(users);
            assert!(error.contains(why), "{users}: {error}");
        }
        let error = shown(&[("/v2/auth/users", 401, "{}")]).expect_err("it is refused");
        assert!(error.contains("root alone"), "{error}");
    }
}
