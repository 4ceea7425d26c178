//! `get`, `cat` and `ls`.

use crate::client::{Reply, Request};
use crate::context::Context;
use crate::event::{self, Node};
use crate::failure::Failure;
use crate::key::{self, Pairs};
use crate::options::Format;
use crate::show;
use crate::term::{Tone, print, print_bytes};
use clap::Args;
use std::fmt::Write as _;

/// `stead get`.
#[derive(Args, Debug)]
pub(crate) struct Get {
    /// The key
    key: String,
    /// Ask a majority, so that every write acknowledged before is seen
    #[arg(long, short)]
    quorum: bool,
    /// Sort what is in a directory (Stead always does; for scripts of etcdctl)
    #[arg(long)]
    sort: bool,
}

/// `stead cat`.
#[derive(Args, Debug)]
pub(crate) struct Cat {
    /// The keys
    #[arg(required = true)]
    keys: Vec<String>,
    /// Ask a majority, so that every write acknowledged before is seen
    #[arg(long, short)]
    quorum: bool,
}

/// `stead ls`.
#[derive(Args, Debug)]
pub(crate) struct Ls {
    /// The directory
    #[arg(default_value = "/")]
    key: String,
    /// List what is in directories below as well
    #[arg(long, short)]
    recursive: bool,
    /// Append a slash to directories
    #[arg(short)]
    p: bool,
    /// Sort (Stead always does; for scripts of etcdctl)
    #[arg(long)]
    sort: bool,
    /// Ask a majority, so that every write acknowledged before is seen
    #[arg(long, short)]
    quorum: bool,
    /// List hidden keys too (not on etcd)
    #[arg(long)]
    hidden: bool,
}

fn is_dir(key: &str) -> Failure {
    Failure::Usage(format!("{key}: is a directory: `stead ls {key}` lists it"))
}

pub(crate) fn get(args: &Get, cx: &mut Context) -> Result<(), Failure> {
    let key = key::normal(&args.key)?;
    let reply = look(cx, &key, args.quorum)?;
    if event::parse(&reply.body)?.node.dir && !cx.is_json() {
        return Err(is_dir(&key));
    }
    show::reply(cx, &reply)
}

pub(crate) fn cat(args: &Cat, cx: &mut Context) -> Result<(), Failure> {
    for key in &args.keys {
        let key = key::normal(key)?;
        let reply = look(cx, &key, args.quorum)?;
        if cx.is_json() {
            print(&show::json(&reply.body))?;
            continue;
        }
        let event = event::parse(&reply.body)?;
        if event.node.dir {
            return Err(is_dir(&key));
        }
        print_bytes(event.node.value().as_bytes())?;
    }
    Ok(())
}

/// Reads one key.
///
/// # Errors
/// [`Failure`] of the call.
pub(crate) fn look(cx: &mut Context, key: &str, is_quorum: bool) -> Result<Reply, Failure> {
    let mut query = Pairs::default();
    query.flag("quorum", is_quorum);
    cx.client.call(&Request::list(query.behind(&key::path(key))))
}

pub(crate) fn ls(args: &Ls, cx: &mut Context) -> Result<(), Failure> {
    let key = key::normal(&args.key)?;
    let mut query = Pairs::default();
    query.flag("recursive", args.recursive).add("sorted", "true");
    query.flag("quorum", args.quorum).flag("hidden", args.hidden);
    let reply = cx.client.call(&Request::list(query.behind(&key::path(&key))))?;
    if cx.is_json() {
        return print(&show::json(&reply.body));
    }
    let node = event::parse(&reply.body)?.node;
    let mut out = String::new();
    match node.dir {
        true => node.nodes.iter().for_each(|child| list(cx, args, child, &mut out)),
        false => list(cx, args, &node, &mut out),
    }
    print(&out)
}

fn list(cx: &Context, args: &Ls, node: &Node, out: &mut String) {
    let name = cx.screen.name(node.key());
    let slash = if node.dir && args.p { "/" } else { "" };
    let name = match node.dir {
        true => cx.screen.paint(Tone::Dir, name),
        false => name,
    };
    let _ = match (cx.format, node.ttl) {
        (Format::Extended, ttl) => {
            writeln!(out, "{name}{slash}\t{}\t{}", node.modified_index, ttl.unwrap_or(0))
        }
        _ => writeln!(out, "{name}{slash}"),
    };
    node.nodes.iter().for_each(|child| list(cx, args, child, out));
}
