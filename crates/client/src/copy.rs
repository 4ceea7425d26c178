//! `cp` and `mv`: of one key, or of a directory with all that is in it.
//!
//! Nothing is overwritten unless that is asked for: each key is made by `prevExist=false`. A move
//! is a copy, after which each key of the source is removed if it is still what was copied. There
//! are no transactions in the v2 API, so that what stops in the middle says how far it came.

use crate::client::{Method, Request};
use crate::context::Context;
use crate::event::{self, Node};
use crate::failure::Failure;
use crate::key::{self, Pairs};
use crate::term::{Screen, print};
use crate::write::{Before, check, dir_request, key_request};
use clap::Args;
use serde_json::json;
use std::io::Write;

/// `stead cp` and `stead mv`.
#[derive(Args, Debug)]
pub(crate) struct Copy {
    /// The key, or with --recursive the directory
    source: String,
    /// The new key; with a slash at its end the directory to put it in
    target: String,
    /// Take a directory with all that is in it
    #[arg(long, short)]
    recursive: bool,
    /// Overwrite keys that are there
    #[arg(long)]
    force: bool,
}

/// How far it came.
#[derive(Debug, Default)]
struct Progress {
    keys: usize,
    dirs: usize,
    removed: usize,
}

impl Progress {
    fn told(&self, is_move: bool) -> String {
        let Self { keys, dirs, removed } = self;
        let (key, dir) = (plural(*keys, "key", "keys"), plural(*dirs, "directory", "directories"));
        match is_move {
            false => format!("{key} and {dir} copied"),
            true => format!("{key} and {dir} copied, {removed} removed"),
        }
    }
}

fn plural(count: usize, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

pub(crate) fn cp(args: &Copy, cx: &mut Context) -> Result<(), Failure> {
    run(args, false, cx)
}

pub(crate) fn mv(args: &Copy, cx: &mut Context) -> Result<(), Failure> {
    run(args, true, cx)
}

fn run(args: &Copy, is_move: bool, cx: &mut Context) -> Result<(), Failure> {
    let (source, target) = paths(args)?;
    let mut query = Pairs::default();
    query.add("quorum", "true").flag("recursive", args.recursive).flag("hidden", args.recursive);
    let reply = cx.client.call(&Request::list(query.behind(&key::path(&source))))?;
    let node = event::parse(&reply.body)?.node;
    if node.dir && !args.recursive {
        let why = format!("{source} is a directory: --recursive takes all that is in it");
        return Err(Failure::Usage(why));
    }
    let mut nodes = Vec::new();
    flatten(&source, node, &mut nodes)?;
    let mut progress = Progress::default();
    let mut done = copy(cx, &nodes, (&source, &target), args.force, &mut progress);
    if is_move && done.is_ok() {
        done = remove(cx, &nodes, &mut progress);
    }
    let told = progress.told(is_move);
    match done {
        Ok(()) if cx.is_json() => {
            let Progress { keys, dirs, removed } = progress;
            let done = json!({
                "source": source, "target": target, "keys": keys, "directories": dirs,
                "removed": removed,
            });
            print(&format!("{done}\n"))
        }
        Ok(()) => print(&format!("{told}\n")),
        // Without a word about it one would believe that nothing was done.
        Err(why) if progress.keys + progress.dirs > 0 => {
            Err(Failure::Stopped { done: told, why: Box::new(why) })
        }
        Err(why) => Err(why),
    }
}

fn paths(args: &Copy) -> Result<(String, String), Failure> {
    let source = key::normal(&args.source)?;
    let mut target = key::normal(&args.target)?;
    if args.target.ends_with('/') {
        target = format!("{}/{}", target.trim_end_matches('/'), key::name(&source));
    }
    let wrong = match (source.as_str(), target.as_str()) {
        ("/", _) => "the root cannot be copied as a whole: name what is in it",
        (_, "/") => "the root is no key: name one",
        (source, target) if source == target => "source and target are the same",
        (source, target) if is_below(target, source) => "the target is within the source",
        (source, target) if is_below(source, target) => "the source is within the target",
        _ => return Ok((source, target)),
    };
    Err(Failure::Usage(wrong.to_owned()))
}

fn is_below(key: &str, dir: &str) -> bool {
    key.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
}

/// All nodes, directories before what is in them.
fn flatten(source: &str, node: Node, out: &mut Vec<Node>) -> Result<(), Failure> {
    let mut open = vec![node];
    while let Some(mut node) = open.pop() {
        if node.key() != source && !is_below(node.key(), source) {
            let why = format!("the server lists {:?} in {source:?}: nothing was done", node.key());
            return Err(Failure::Local(why));
        }
        open.extend(std::mem::take(&mut node.nodes).into_iter().rev());
        out.push(node);
    }
    Ok(())
}

fn copy(
    cx: &mut Context,
    nodes: &[Node],
    (source, target): (&str, &str),
    is_forced: bool,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let before = if is_forced { Before::Anything } else { Before::Nothing };
    let meter = Meter::new(nodes.len());
    for node in nodes {
        let rest = node.key().strip_prefix(source).unwrap_or_default();
        let key = format!("{target}{rest}");
        let ttl = node.ttl.and_then(|ttl| u64::try_from(ttl).ok()).filter(|ttl| *ttl > 0);
        if node.dir {
            let made = cx.client.call(&dir_request(&key, before, ttl));
            match made {
                // It is there; that is as good, but for its TTL.
                Err(failure) if is_forced && failure.api_code() == Some(102) => {
                    if ttl.is_some() {
                        cx.client.call(&dir_request(&key, Before::Something, ttl))?;
                    }
                }
                made => {
                    made?;
                }
            }
            progress.dirs += 1;
        } else {
            cx.client.call(&key_request(&key, node.value(), before, ttl))?;
            progress.keys += 1;
        }
        meter.show(progress.keys + progress.dirs);
    }
    meter.clear();
    Ok(())
}

/// Removes what was copied and is still the same; directories when they are empty.
fn remove(cx: &mut Context, nodes: &[Node], progress: &mut Progress) -> Result<(), Failure> {
    for node in nodes.iter().rev() {
        let mut query = Pairs::default();
        match node.dir {
            true => query.add("dir", "true"),
            false => query.add("prevIndex", &node.modified_index.to_string()),
        };
        let path = query.behind(&key::path(node.key()));
        cx.client.call(&Request::write(Method::DELETE, path, check(node.key())))?;
        progress.removed += 1;
    }
    Ok(())
}

/// Nodes from which on a terminal shows how far it is.
const METER_MIN: usize = 200;

/// How far it is, on a terminal.
struct Meter {
    total: usize,
    is_shown: bool,
}

impl Meter {
    fn new(total: usize) -> Self {
        Self { total, is_shown: total >= METER_MIN && Screen::of_stderr().is_terminal }
    }

    fn show(&self, done: usize) {
        if self.is_shown && done.is_multiple_of(METER_MIN / 4) {
            // Nobody misses it if it cannot be shown.
            let _ = write!(std::io::stderr(), "\r{done} of {}", self.total);
        }
    }

    fn clear(&self) {
        if self.is_shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths_of(source: &str, target: &str) -> Result<(String, String), String> {
        let (source, target) = (source.to_owned(), target.to_owned());
        let args = Copy { source, target, recursive: true, force: false };
        paths(&args).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_slash_puts_the_key_into_a_directory() {
        assert_eq!(paths_of("/a/b", "c"), Ok(("/a/b".to_owned(), "/c".to_owned())));
        assert_eq!(paths_of("/a/b", "/c/"), Ok(("/a/b".to_owned(), "/c/b".to_owned())));
        assert_eq!(paths_of("/a/b", "/"), Ok(("/a/b".to_owned(), "/b".to_owned())));
        for (source, target) in [("/", "/b"), ("/a", "/a"), ("/a", "/a/b"), ("/a/b", "/a")] {
            assert!(paths_of(source, target).is_err(), "{source} {target}");
        }
    }

    #[test]
    fn a_listing_of_other_keys_is_refused() {
        let node = |key: &str| Node { key: key.to_owned(), ..Node::default() };
        let dir = |nodes| Node { dir: true, nodes, ..node("/a") };
        let mut out = Vec::new();
        assert_eq!(flatten("/a", dir(vec![node("/a/x"), node("/a/y")]), &mut out), Ok(()));
        let keys: Vec<&str> = out.iter().map(Node::key).collect();
        assert_eq!(keys, ["/a", "/a/x", "/a/y"]);
        assert!(flatten("/a", dir(vec![node("/b")]), &mut Vec::new()).is_err());
    }
}
