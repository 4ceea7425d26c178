//! `user`: whoever may do something.

use super::auth::{Ended, ask, list_names, name_of, path_of};
use super::call::{Call, password, with_password};
use super::print::put;
use super::stop::Stop;
use crate::client::{Method, Request};
use serde_json::{Value, json};

const USERS: &str = "/v2/auth/users";
const NO_NAME: &str = "Please provide a username";

pub(super) fn list(call: &Call) -> Ended {
    list_names(call, USERS, "users", "user")
}

pub(super) fn get(call: &Call) -> Ended {
    let name = name_of(call, NO_NAME)?;
    let mut session = call.admin()?;
    let user = ask(&mut session, Request::get(path_of(USERS, name)))?;
    let roles = user["roles"].as_array().map(Vec::as_slice).unwrap_or_default();
    let role =
        |role: &Value| role["role"].as_str().or(role.as_str()).unwrap_or_default().to_owned();
    let names: Vec<String> = roles.iter().map(role).collect();
    let name = user["user"].as_str().unwrap_or_default();
    // One blank more for each role, as there.
    let blanks = " ".repeat(names.len());
    put(&format!("User: {name}\nRoles: {blanks}{}\n", names.join(" ")))
}

pub(super) fn add(call: &Call) -> Ended {
    let given = name_of(call, NO_NAME)?;
    let mut session = call.admin()?;
    let name = given.split_once(':').map_or(given, |(name, _)| name);
    if ask(&mut session, Request::get(path_of(USERS, name))).is_ok() {
        return Err(Stop::plain(format!("User {name} already exists")));
    }
    let [name, password] = with_password(given, "New password: ")?;
    let body = json!({ "user": name, "password": password });
    let request = Request::write(Method::PUT, path_of(USERS, &name), String::new());
    ask(&mut session, request.json(body.to_string()))?;
    put(&format!("User {name} created\n"))
}

pub(super) fn remove(call: &Call) -> Ended {
    let name = name_of(call, NO_NAME)?;
    let mut session = call.admin()?;
    ask(&mut session, Request::write(Method::DELETE, path_of(USERS, name), String::new()))?;
    put(&format!("User {name} removed\n"))
}

/// Changes a user that is there: a request of its own would make one that is not.
fn change(
    call: &Call,
    part: &str,
    value: impl FnOnce() -> Result<Value, Stop>,
) -> Result<(), Stop> {
    let name = name_of(call, NO_NAME)?;
    let mut session = call.admin()?;
    ask(&mut session, Request::get(path_of(USERS, name)))?;
    let body = json!({ "user": name, part: value()? });
    let request = Request::write(Method::PUT, path_of(USERS, name), String::new());
    ask(&mut session, request.json(body.to_string())).map(|_| ())
}

pub(super) fn passwd(call: &Call) -> Ended {
    change(call, "password", || password("New password: ").map(Value::from))?;
    put("Password updated\n")
}

fn change_roles(call: &Call, part: &str) -> Ended {
    let roles = call.own.texts("roles");
    if roles.is_empty() {
        return Err(Stop::plain("No roles specified; please use `--roles`"));
    }
    change(call, part, || Ok(json!(roles)))?;
    put(&format!("User {} updated\n", call.own.arg(0).unwrap_or_default()))
}

pub(super) fn grant(call: &Call) -> Ended {
    change_roles(call, "grant")
}

pub(super) fn revoke(call: &Call) -> Ended {
    change_roles(call, "revoke")
}
