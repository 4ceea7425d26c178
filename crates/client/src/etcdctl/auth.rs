//! `auth`, and what users and roles have in common.

use super::call::{Call, Session};
use super::print::put;
use super::stop::Stop;
use crate::client::{Method, Request};
use crate::key;
use serde_json::Value;

pub(super) type Ended = Result<u8, Stop>;

const ENABLE: &str = "/v2/auth/enable";

/// The only argument, which is a name.
pub(super) fn name_of<'a>(call: &'a Call, missing: &str) -> Result<&'a str, Stop> {
    match call.own.args.as_slice() {
        [name] => Ok(name),
        _ => Err(Stop::plain(missing)),
    }
}

pub(super) fn path_of(kind: &str, name: &str) -> String {
    key::named(&format!("{kind}/"), name)
}

/// Calls, and gives the document of the answer; nothing where it is empty.
pub(super) fn ask(session: &mut Session, request: Request) -> Result<Value, Stop> {
    let reply = session.call(&request).map_err(|failure| Stop::of_admin(&failure))?;
    if reply.body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&reply.body)
        .map_err(|error| Stop::plain(format!("the answer is not one of the auth API: {error}")))
}

fn no_arguments(call: &Call) -> Result<(), Stop> {
    match call.own.args.is_empty() {
        true => Ok(()),
        false => Err(Stop::plain("No arguments accepted")),
    }
}

/// Prints names, one in each line. Servers of 2.1 give names, later ones what bears them.
pub(super) fn list_names(call: &Call, path: &str, all: &str, one: &str) -> Ended {
    no_arguments(call)?;
    let mut session = call.admin()?;
    let answer = ask(&mut session, Request::get(path.to_owned()))?;
    let found = answer[all].as_array().map(Vec::as_slice).unwrap_or_default();
    let line = |found: &Value| {
        let name = found[one].as_str().or(found.as_str()).unwrap_or_default();
        format!("{name}\n")
    };
    put(&found.iter().map(line).collect::<String>())
}

pub(super) fn enable(call: &Call) -> Ended {
    no_arguments(call)?;
    let request = Request::write(Method::PUT, ENABLE.to_owned(), String::new());
    ask(&mut call.admin()?, request)?;
    put("Authentication Enabled\n")
}

pub(super) fn disable(call: &Call) -> Ended {
    no_arguments(call)?;
    let request = Request::write(Method::DELETE, ENABLE.to_owned(), String::new());
    ask(&mut call.admin()?, request)?;
    put("Authentication Disabled\n")
}
