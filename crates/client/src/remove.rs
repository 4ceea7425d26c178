//! `rm` and `rmdir`.

use crate::client::{Method, Request};
use crate::context::Context;
use crate::event;
use crate::failure::Failure;
use crate::key::{self, Pairs};
use crate::options::Format;
use crate::show;
use crate::write::check;
use clap::Args;

/// `stead rm`.
#[derive(Args, Debug)]
pub(crate) struct Rm {
    /// The key
    key: String,
    /// Remove an empty directory
    #[arg(long)]
    dir: bool,
    /// Remove a directory and all that is in it
    #[arg(long, short)]
    recursive: bool,
    /// Remove it only if this is its value
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    with_value: Option<String>,
    /// Remove it only if this is its modified index
    #[arg(long, value_name = "INDEX")]
    with_index: Option<u64>,
}

/// `stead rmdir`.
#[derive(Args, Debug)]
pub(crate) struct Rmdir {
    /// The directory, which has to be empty
    key: String,
}

pub(crate) fn rm(args: &Rm, cx: &mut Context) -> Result<(), Failure> {
    let key = key::normal(&args.key)?;
    let mut query = Pairs::default();
    query.flag("dir", args.dir).flag("recursive", args.recursive);
    query.option("prevValue", args.with_value.as_deref());
    let index = args.with_index.map(|index| index.to_string());
    query.option("prevIndex", index.as_deref());
    remove(cx, &key, &query)
}

pub(crate) fn rmdir(args: &Rmdir, cx: &mut Context) -> Result<(), Failure> {
    let key = key::normal(&args.key)?;
    let mut query = Pairs::default();
    query.add("dir", "true");
    remove(cx, &key, &query)
}

fn remove(cx: &mut Context, key: &str, query: &Pairs) -> Result<(), Failure> {
    let path = query.behind(&key::path(key));
    let reply = cx.client.call(&Request::write(Method::DELETE, path, check(key)))?;
    match cx.format == Format::Simple && event::parse(&reply.body)?.node.dir {
        true => Ok(()),
        false => show::reply(cx, &reply),
    }
}
