//! `get`, `ls`, `set`, `mk`, `update`, `rm`, and what does the same with directories.

use super::call::{Call, Session};
use super::print;
use super::stop::Stop;
use crate::client::{Method, Reply, Request};
use crate::event::{self, Event};
use crate::failure::code;
use crate::key::{self, Pairs};
use crate::write::value_of_stdin;

type Ended = Result<u8, Stop>;

/// A key in its plain form. `.` and `..` mean what they mean in paths.
///
/// # Errors
/// [`Stop`] if the key would be none.
pub(super) fn plain(key: &str) -> Result<String, Stop> {
    let mut parts: Vec<&str> = Vec::new();
    for part in key.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match part {
            ".." => {
                let why = || Stop::bad_args(&format!("{key:?} leads out of the keys"));
                parts.pop().ok_or_else(why)?;
            }
            part => parts.push(part),
        }
    }
    Ok(format!("/{}", parts.join("/")))
}

/// The path of a key's URL.
fn path(key: &str) -> Result<String, Stop> {
    Ok(match plain(key)?.as_str() {
        "/" => "/v2/keys/".to_owned(),
        key => key::path(key),
    })
}

/// The event of an answer.
///
/// # Errors
/// [`Stop`] if it is none.
fn read(reply: &Reply) -> Result<Event, Stop> {
    let why = "client: response is invalid json. The endpoint is probably not valid etcd cluster \
               endpoint";
    event::parse(&reply.body)
        .map_err(|_| Stop { code: code::SERVER, text: format!("Error:  {why}") })
}

/// Calls, and gives what happened with the index of the server.
fn ask(session: &mut Session, request: &Request) -> Result<(Event, u64), Stop> {
    let reply = session.call(request).map_err(|failure| Stop::of_server(&failure))?;
    Ok((read(&reply)?, reply.index))
}

fn show(session: &Session, event: &Event, index: u64) -> Ended {
    print::event(session.screen, &session.format, event, index)
}

/// Reads a key: the one that was given, or else `other`.
fn look(
    call: &Call,
    other: Option<&str>,
    is_recursive: bool,
) -> Result<(Session, Event, u64), Stop> {
    let mut session = call.synced()?;
    let key = call.key().or_else(|missing| other.ok_or(missing))?;
    let word = |is_set: bool| if is_set { "true" } else { "false" };
    let mut query = Pairs::default();
    query.add("quorum", word(call.own.is_set("quorum"))).add("recursive", word(is_recursive));
    query.add("sorted", word(call.own.is_set("sort")));
    let (event, index) = ask(&mut session, &Request::list(query.behind(&path(key)?)))?;
    Ok((session, event, index))
}

pub(super) fn get(call: &Call) -> Ended {
    let (session, event, index) = look(call, None, false)?;
    match event.node.dir {
        true => Err(Stop::plain(format!("{}: is a directory", event.node.key))),
        false => show(&session, &event, index),
    }
}

pub(super) fn ls(call: &Call) -> Ended {
    let (session, event, index) = look(call, Some("/"), call.own.is_set("recursive"))?;
    match session.is_simple() {
        true => {
            let names = print::names(session.screen, &event.node, call.own.is_set("p"));
            print::put(&names)
        }
        false => show(&session, &event, index),
    }
}

/// The value of the command line, or else of standard input.
fn value(call: &Call) -> Result<String, Stop> {
    if let Some(value) = call.own.arg(1) {
        return Ok(value.to_owned());
    }
    match value_of_stdin() {
        Ok(value) if value.is_empty() => Err(Stop::bad_args("value required")),
        Ok(value) => Ok(value),
        Err(failure) => Err(Stop::bad_args(&failure.to_string())),
    }
}

/// The TTL as it is sent: nothing for none.
fn ttl(call: &Call) -> Option<String> {
    Some(call.own.number("ttl")).filter(|ttl| *ttl > 0).map(|ttl| ttl.to_string())
}

/// What the key has to be before. As there, 0 and an empty value stand for nothing.
fn compare(query: &mut Pairs, call: &Call, index: &str, value: &str) {
    let index = Some(call.own.number(index)).filter(|index| *index != 0);
    query.option("prevIndex", index.map(|index| index.cast_unsigned().to_string()).as_deref());
    query.option("prevValue", Some(call.own.text(value)).filter(|value| !value.is_empty()));
}

/// Writes a value.
fn put(call: &Call, method: Method, query: &Pairs) -> Ended {
    let mut session = call.synced()?;
    let key = call.key()?;
    let value = value(call)?;
    let mut form = Pairs::default();
    form.option("ttl", ttl(call).as_deref()).add("value", &value);
    let request = Request::write(method, query.behind(&path(key)?), String::new());
    let (event, index) = ask(&mut session, &request.form(form.form()))?;
    show(&session, &event, index)
}

pub(super) fn set(call: &Call) -> Ended {
    let mut query = Pairs::default();
    compare(&mut query, call, "swap-with-index", "swap-with-value");
    put(call, Method::PUT, &query)
}

pub(super) fn mk(call: &Call) -> Ended {
    let mut query = Pairs::default();
    if call.own.is_set("in-order") {
        return put(call, Method::POST, &query);
    }
    query.add("prevExist", "false");
    put(call, Method::PUT, &query)
}

pub(super) fn update(call: &Call) -> Ended {
    let mut query = Pairs::default();
    query.add("prevExist", "true");
    put(call, Method::PUT, &query)
}

fn dir(call: &Call, prev_exist: Option<&str>) -> Ended {
    let mut session = call.synced()?;
    let key = call.key()?;
    let (mut query, mut form) = (Pairs::default(), Pairs::default());
    query.add("dir", "true").option("prevExist", prev_exist);
    form.option("ttl", ttl(call).as_deref());
    let request = Request::write(Method::PUT, query.behind(&path(key)?), String::new());
    let (event, index) = ask(&mut session, &request.form(form.form()))?;
    if session.is_simple() { Ok(0) } else { show(&session, &event, index) }
}

pub(super) fn mkdir(call: &Call) -> Ended {
    dir(call, Some("false"))
}

pub(super) fn setdir(call: &Call) -> Ended {
    dir(call, None)
}

pub(super) fn updatedir(call: &Call) -> Ended {
    dir(call, Some("true"))
}

fn remove(call: &Call, is_dir: bool) -> Ended {
    let mut session = call.synced()?;
    let key = call.key()?;
    let mut query = Pairs::default();
    query.flag("dir", is_dir);
    compare(&mut query, call, "with-index", "with-value");
    query.flag("recursive", call.own.is_set("recursive"));
    let request = Request::write(Method::DELETE, query.behind(&path(key)?), String::new());
    let (event, index) = ask(&mut session, &request)?;
    let is_silent = event.node.dir && session.is_simple();
    if is_silent { Ok(0) } else { show(&session, &event, index) }
}

pub(super) fn rm(call: &Call) -> Ended {
    remove(call, call.own.is_set("dir"))
}

pub(super) fn rmdir(call: &Call) -> Ended {
    remove(call, true)
}

#[test]
fn keys_are_paths() {
    for (key, want) in [
        ("a", "/v2/keys/a"),
        ("//a//b/", "/v2/keys/a/b"),
        ("", "/v2/keys/"),
        ("/", "/v2/keys/"),
        ("/a/../b/./c d", "/v2/keys/b/c%20d"),
    ] {
        assert_eq!(path(key).as_deref(), Ok(want), "{key}");
    }
    assert!(path("../a").is_err());
}
