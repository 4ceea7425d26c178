//! `set`, `mk`, `update`, and what does the same with directories.

use crate::client::{Method, Request};
use crate::context::Context;
use crate::event;
use crate::failure::Failure;
use crate::key::{self, Pairs};
use crate::options::{Format, ttl};
use crate::show;
use crate::term::print;
use clap::Args;
use std::io::{self, IsTerminal, Read};

/// Bytes of a value that are read from standard input.
const VALUE_MAX: u64 = 64 << 20;

/// `stead set`.
#[derive(Args, Debug)]
pub(crate) struct Set {
    /// The key
    key: String,
    /// The value; `-`, or nothing, for standard input
    #[arg(allow_negative_numbers = true)]
    value: Option<String>,
    /// Seconds to live, or a time such as 90s, 5m or 12h
    #[arg(long, value_name = "TTL", value_parser = ttl)]
    ttl: Option<u64>,
    /// Set it only if this is its value
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    swap_with_value: Option<String>,
    /// Set it only if this is its modified index
    #[arg(long, value_name = "INDEX")]
    swap_with_index: Option<u64>,
}

/// `stead mk`.
#[derive(Args, Debug)]
pub(crate) struct Mk {
    /// The key; with --in-order the directory
    key: String,
    /// The value; `-`, or nothing, for standard input
    #[arg(allow_negative_numbers = true)]
    value: Option<String>,
    /// Seconds to live, or a time such as 90s, 5m or 12h
    #[arg(long, value_name = "TTL", value_parser = ttl)]
    ttl: Option<u64>,
    /// Make a key in the directory, named after the index, and print its name
    #[arg(long)]
    in_order: bool,
}

/// `stead update`.
#[derive(Args, Debug)]
pub(crate) struct Update {
    /// The key, which has to be there
    key: String,
    /// The value; `-`, or nothing, for standard input
    #[arg(allow_negative_numbers = true)]
    value: Option<String>,
    /// Seconds to live from now on; without it the key lives on without end
    #[arg(long, value_name = "TTL", value_parser = ttl)]
    ttl: Option<u64>,
}

/// `stead mkdir`, `setdir` and `updatedir`.
#[derive(Args, Debug)]
pub(crate) struct Dir {
    /// The directory
    key: String,
    /// Seconds to live, or a time such as 90s, 5m or 12h; all that is in it expires with it
    #[arg(long, value_name = "TTL", value_parser = ttl)]
    ttl: Option<u64>,
}

/// What has to be there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    Anything,
    Nothing,
    Something,
}

impl Before {
    fn prev_exist(self) -> Option<&'static str> {
        match self {
            Self::Anything => None,
            Self::Nothing => Some("false"),
            Self::Something => Some("true"),
        }
    }
}

/// The command that tells whether a write of a key was done.
pub(crate) fn check(key: &str) -> String {
    format!("stead get --quorum {}", quoted(key))
}

/// A word of a command line.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-_.,:@%+=".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

pub(crate) fn set(args: &Set, cx: &mut Context) -> Result<(), Failure> {
    let key = key::normal(&args.key)?;
    let mut query = Pairs::default();
    query.option("prevValue", args.swap_with_value.as_deref());
    let index = args.swap_with_index.map(|index| index.to_string());
    query.option("prevIndex", index.as_deref());
    put(cx, &key, query, args.value.as_deref(), args.ttl)
}

pub(crate) fn update(args: &Update, cx: &mut Context) -> Result<(), Failure> {
    let key = key::normal(&args.key)?;
    let mut query = Pairs::default();
    query.option("prevExist", Before::Something.prev_exist());
    put(cx, &key, query, args.value.as_deref(), args.ttl)
}

pub(crate) fn mk(args: &Mk, cx: &mut Context) -> Result<(), Failure> {
    let key = key::normal(&args.key)?;
    if !args.in_order {
        let mut query = Pairs::default();
        query.option("prevExist", Before::Nothing.prev_exist());
        return put(cx, &key, query, args.value.as_deref(), args.ttl);
    }
    let form = form(&value(args.value.as_deref())?, args.ttl);
    let check = format!("stead ls {}", quoted(&key));
    let request = Request::write(Method::POST, key::path(&key), check).form(form);
    let reply = cx.client.call(&request)?;
    match cx.format {
        // The name is what whoever made it does not know.
        Format::Simple => {
            print(&format!("{}\n", cx.screen.name(event::parse(&reply.body)?.node.key())))
        }
        _ => show::reply(cx, &reply),
    }
}

fn put(
    cx: &mut Context,
    key: &str,
    query: Pairs,
    given: Option<&str>,
    ttl: Option<u64>,
) -> Result<(), Failure> {
    let form = form(&value(given)?, ttl);
    let request = Request::write(Method::PUT, query.behind(&key::path(key)), check(key)).form(form);
    let reply = cx.client.call(&request)?;
    show::reply(cx, &reply)
}

fn form(value: &str, ttl: Option<u64>) -> String {
    let mut form = Pairs::default();
    form.add("value", value);
    form.option("ttl", written(ttl).as_deref());
    form.form()
}

/// A TTL as etcdctl sends it: 0 means none.
fn written(ttl: Option<u64>) -> Option<String> {
    ttl.filter(|ttl| *ttl > 0).map(|ttl| ttl.to_string())
}

/// The value of the command line, or of standard input.
fn value(given: Option<&str>) -> Result<String, Failure> {
    match given {
        Some("-") => {}
        Some(value) => return Ok(value.to_owned()),
        None if io::stdin().is_terminal() => {
            let why = "a value is missing: give it behind the key, or `-` to type it";
            return Err(Failure::Usage(why.to_owned()));
        }
        None => {}
    }
    value_of_stdin()
}

/// The value that standard input has.
///
/// # Errors
/// [`Failure`] if it cannot be read, or is no value.
pub(crate) fn value_of_stdin() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(VALUE_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::Local(format!("cannot read standard input: {error}")))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > VALUE_MAX {
        return Err(Failure::Usage(format!("a value has {} MB at most", VALUE_MAX >> 20)));
    }
    String::from_utf8(bytes).map_err(|_| {
        let why = "the value is not UTF-8, and the v2 API could not give it back: encode it, for \
                   example with `base64`";
        Failure::Usage(why.to_owned())
    })
}

/// Makes a directory, or changes its TTL.
pub(crate) fn dir(args: &Dir, before: Before, cx: &mut Context) -> Result<(), Failure> {
    let key = key::normal(&args.key)?;
    let reply = cx.client.call(&dir_request(&key, before, args.ttl))?;
    show::quiet_reply(cx, &reply)
}

/// The write of a directory.
pub(crate) fn dir_request(key: &str, before: Before, ttl: Option<u64>) -> Request {
    let mut query = Pairs::default();
    query.add("dir", "true").option("prevExist", before.prev_exist());
    let mut form = Pairs::default();
    form.option("ttl", written(ttl).as_deref());
    let check = format!("stead ls --quorum {}", quoted(key));
    Request::write(Method::PUT, query.behind(&key::path(key)), check).form(form.form())
}

/// The write of a key.
pub(crate) fn key_request(key: &str, value: &str, before: Before, ttl: Option<u64>) -> Request {
    let mut query = Pairs::default();
    query.option("prevExist", before.prev_exist());
    let path = query.behind(&key::path(key));
    Request::write(Method::PUT, path, check(key)).form(form(value, ttl))
}

/// The write of a key that has to be as it was at an index.
pub(crate) fn swap_request(key: &str, value: &str, index: u64, ttl: Option<u64>) -> Request {
    let mut query = Pairs::default();
    query.add("prevIndex", &index.to_string());
    let path = query.behind(&key::path(key));
    Request::write(Method::PUT, path, check(key)).form(form(value, ttl))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(check("/a/b"), "stead get --quorum /a/b");
        assert_eq!(check("/a b'c"), "stead get --quorum '/a b'\\''c'");
    }

    #[test]
    fn a_ttl_of_nothing_is_none() {
        assert_eq!(form("1", Some(0)), "value=1");
        assert_eq!(form("a b", Some(5)), "value=a%20b&ttl=5");
    }
}
