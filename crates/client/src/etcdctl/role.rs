//! `role`: what those who have it may do.

use super::auth::{Ended, ask, list_names, name_of, path_of};
use super::call::Call;
use super::print::put;
use super::stop::Stop;
use crate::client::{Method, Request};
use serde_json::{Value, json};
use std::fmt::Write as _;

const ROLES: &str = "/v2/auth/roles";
const NO_NAME: &str = "Please provide a role name";

pub(super) fn list(call: &Call) -> Ended {
    list_names(call, ROLES, "roles", "role")
}

pub(super) fn get(call: &Call) -> Ended {
    let name = name_of(call, NO_NAME)?;
    let mut session = call.admin()?;
    let role = ask(&mut session, Request::get(path_of(ROLES, name)))?;
    let mut out = format!("Role: {}\n", role["role"].as_str().unwrap_or_default());
    for (head, right) in [("KV Read:", "read"), ("KV Write:", "write")] {
        let _ = writeln!(out, "{head}");
        let paths = role["permissions"]["kv"][right].as_array().map(Vec::as_slice);
        for path in paths.unwrap_or_default().iter().filter_map(Value::as_str) {
            let _ = writeln!(out, "\t{path}");
        }
    }
    put(&out)
}

pub(super) fn add(call: &Call) -> Ended {
    let name = name_of(call, NO_NAME)?;
    let mut session = call.admin()?;
    if ask(&mut session, Request::get(path_of(ROLES, name))).is_ok() {
        return Err(Stop::plain(format!("Role {name} already exists")));
    }
    let none = json!({ "kv": { "read": null, "write": null } });
    let body = json!({ "role": name, "permissions": none }).to_string();
    let request = Request::write(Method::PUT, path_of(ROLES, name), String::new());
    ask(&mut session, request.json(body))?;
    put(&format!("Role {name} created\n"))
}

pub(super) fn remove(call: &Call) -> Ended {
    let name = name_of(call, NO_NAME)?;
    let mut session = call.admin()?;
    ask(&mut session, Request::write(Method::DELETE, path_of(ROLES, name), String::new()))?;
    put(&format!("Role {name} removed\n"))
}

/// The path as it has to be given: from the root, and plain.
fn canonical(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match part {
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let slash = if path.ends_with('/') && !parts.is_empty() { "/" } else { "" };
    format!("/{}{slash}", parts.join("/"))
}

fn change(call: &Call, part: &str, unchanged: &str) -> Ended {
    let path = call.own.text("path");
    if path.is_empty() {
        return Err(Stop::plain("No path specified; please use `--path`"));
    }
    let wanted = canonical(path);
    if wanted != path {
        return Err(Stop::plain(format!("Not canonical path; please use `--path={wanted}`")));
    }
    let [read, write, both] = ["read", "write", "readwrite"].map(|name| call.own.is_set(name));
    if usize::from(read) + usize::from(write) + usize::from(both) != 1 {
        let why = "Please specify exactly one of --read, --write or --readwrite";
        return Err(Stop::plain(why));
    }
    let name = name_of(call, NO_NAME)?;
    let mut session = call.admin()?;
    let before = ask(&mut session, Request::get(path_of(ROLES, name)))?;
    let of = |is_meant: bool| if is_meant { json!([path]) } else { Value::Null };
    let rights = json!({ "kv": { "read": of(read || both), "write": of(write || both) } });
    let none = json!({ "kv": { "read": null, "write": null } });
    let body = json!({ "role": name, "permissions": none, part: rights }).to_string();
    let request = Request::write(Method::PUT, path_of(ROLES, name), String::new());
    let after = ask(&mut session, request.json(body))?;
    let told = if before == after { unchanged } else { "" };
    put(&format!("{told}Role {name} updated\n"))
}

pub(super) fn grant(call: &Call) -> Ended {
    change(call, "grant", "Role unchanged; already granted")
}

pub(super) fn revoke(call: &Call) -> Ended {
    change(call, "revoke", "Role unchanged; already revoked")
}

#[test]
fn paths_are_plain_and_from_the_root() {
    for (path, want) in
        [("/x/*", "/x/*"), ("x/", "/x/"), ("/", "/"), ("//a/../b", "/b"), ("/a/.", "/a")]
    {
        assert_eq!(canonical(path), want, "{path}");
    }
}
