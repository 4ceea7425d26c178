//! `tree`: all that is below a key, drawn.

use crate::client::Request;
use crate::context::Context;
use crate::event::{self, Node};
use crate::failure::Failure;
use crate::glob;
use crate::key::{self, Pairs};
use crate::pager::Pager;
use crate::term::{Screen, Tone, print};
use clap::Args;
use serde_json::{Value, json};
use std::io::{self, Write};

/// `stead tree`.
#[derive(Args, Debug)]
pub(crate) struct Tree {
    /// The directory to begin with
    #[arg(default_value = "/")]
    key: String,
    /// Directories to go down; what is deeper is counted only
    #[arg(long, short = 'd', value_name = "N")]
    depth: Option<usize>,
    /// Draw only what this pattern fits, and the way to it
    ///
    /// `*` stands for any characters, `?` for one, `[a-z]` for one of these. A pattern with a
    /// slash is held against whole keys, one without against their last part.
    #[arg(long, short = 'f', value_name = "GLOB")]
    filter: Option<String>,
    /// Draw so many of each directory at most, and count the others
    #[arg(long, short = 'n', value_name = "N")]
    limit: Option<usize>,
    /// Draw hidden keys too (not on etcd)
    #[arg(long)]
    hidden: bool,
    /// Ask a majority, so that every write acknowledged before is seen
    #[arg(long, short)]
    quorum: bool,
    /// Print at once, without a pager on a terminal
    #[arg(long)]
    no_pager: bool,
}

/// How many there are below a node, and the node itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    keys: usize,
    dirs: usize,
}

/// A node with what is counted below it.
#[derive(Debug)]
struct Branch {
    node: Node,
    below: Count,
    branches: Vec<Branch>,
}

pub(crate) fn tree(args: &Tree, cx: &mut Context) -> Result<(), Failure> {
    let key = key::normal(&args.key)?;
    let mut query = Pairs::default();
    query.add("recursive", "true").add("sorted", "true");
    query.flag("hidden", args.hidden).flag("quorum", args.quorum);
    let reply = cx.client.call(&Request::list(query.behind(&key::path(&key))))?;
    let node = event::parse(&reply.body)?.node;
    let wants = |node: &Node| args.filter.as_ref().is_none_or(|filter| is_wanted(filter, node));
    let root = grown(node, &wants, true);
    let Some(root) = root else { return Ok(()) };
    if cx.is_json() {
        return print(&format!("{}\n", to_json(&root, args.depth)));
    }
    let screen = cx.screen;
    let mut pager = Pager::start(screen.is_terminal && !args.no_pager);
    let drawn = Drawing { args, screen, out: pager.output() }.whole(&root);
    pager.finish(drawn)
}

fn is_wanted(filter: &str, node: &Node) -> bool {
    let text = if filter.contains('/') { node.key() } else { key::name(node.key()) };
    glob::matches(filter, text)
}

/// Counts, and leaves out what is not wanted. The root is always there.
fn grown(mut node: Node, wants: &impl Fn(&Node) -> bool, is_root: bool) -> Option<Branch> {
    let nodes = std::mem::take(&mut node.nodes);
    let branches: Vec<Branch> =
        nodes.into_iter().filter_map(|child| grown(child, wants, false)).collect();
    let mut below = Count::default();
    for branch in &branches {
        below.keys += branch.below.keys + usize::from(!branch.node.dir);
        below.dirs += branch.below.dirs + usize::from(branch.node.dir);
    }
    let is_kept = is_root || !branches.is_empty() || wants(&node);
    is_kept.then_some(Branch { node, below, branches })
}

fn to_json(branch: &Branch, depth: Option<usize>) -> Value {
    let Branch { node, below, branches } = branch;
    let mut value = json!({ "key": node.key(), "dir": node.dir });
    let Some(fields) = value.as_object_mut() else { return value };
    if let Some(ttl) = node.ttl {
        fields.insert("ttl".to_owned(), ttl.into());
    }
    if node.dir {
        fields.insert("keys".to_owned(), below.keys.into());
        fields.insert("dirs".to_owned(), below.dirs.into());
    } else {
        fields.insert("value".to_owned(), node.value().into());
    }
    if node.dir && depth != Some(0) {
        let deeper = depth.map(|depth| depth - 1);
        let all: Vec<Value> = branches.iter().map(|one| to_json(one, deeper)).collect();
        fields.insert("nodes".to_owned(), all.into());
    }
    value
}

struct Drawing<'a> {
    args: &'a Tree,
    screen: Screen,
    out: &'a mut dyn Write,
}

impl Drawing<'_> {
    fn whole(mut self, root: &Branch) -> io::Result<()> {
        self.line("", "", root, root.node.key())?;
        let mut indent = String::new();
        self.below(root, &mut indent, 1)?;
        let Count { keys, dirs } = root.below;
        let (key, dir) = (if keys == 1 { "key" } else { "keys" }, "directory");
        let dir = if dirs == 1 { dir } else { "directories" };
        if self.screen.is_terminal {
            writeln!(self.out)?;
        }
        writeln!(self.out, "{dirs} {dir}, {keys} {key}")?;
        self.out.flush()
    }

    fn below(&mut self, branch: &Branch, indent: &mut String, depth: usize) -> io::Result<()> {
        if self.args.depth.is_some_and(|max| depth > max) {
            return Ok(());
        }
        let count = branch.branches.len();
        let limit = self.args.limit.unwrap_or(usize::MAX);
        for (at, one) in branch.branches.iter().take(limit).enumerate() {
            let is_last = at + 1 == count;
            let (arm, deeper) = self.arms(is_last);
            self.line(indent, arm, one, key::name(one.node.key()))?;
            indent.push_str(deeper);
            self.below(one, indent, depth + 1)?;
            indent.truncate(indent.len() - deeper.len());
        }
        if count > limit {
            let (arm, _) = self.arms(true);
            let more = self.screen.paint(Tone::Faint, format!("... and {} more", count - limit));
            writeln!(self.out, "{indent}{arm}{more}")?;
        }
        Ok(())
    }

    /// What stands before a node, and before what is below it.
    fn arms(&self, is_last: bool) -> (&'static str, &'static str) {
        match (self.screen.is_terminal, is_last) {
            (false, _) => ("  ", "  "),
            (true, false) => ("\u{251c}\u{2500}\u{2500} ", "\u{2502}   "),
            (true, true) => ("\u{2514}\u{2500}\u{2500} ", "    "),
        }
    }

    fn line(&mut self, indent: &str, arm: &str, branch: &Branch, name: &str) -> io::Result<()> {
        let Branch { node, below, .. } = branch;
        let name = self.screen.name(name);
        write!(self.out, "{indent}{arm}")?;
        if node.dir {
            let slash = if name.ends_with('/') { "" } else { "/" };
            let name = self.screen.paint(Tone::Dir, format!("{name}{slash}"));
            let count = self.screen.paint(Tone::Faint, format!("({})", below.keys));
            write!(self.out, "{name} {count}")?;
        } else {
            write!(self.out, "{name}")?;
        }
        if let Some(ttl) = node.ttl {
            let ttl = self.screen.paint(Tone::Note, format!("ttl {ttl}s"));
            write!(self.out, "  {ttl}")?;
        }
        writeln!(self.out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        tree: Tree,
    }

    fn drawn(flags: &[&str], is_terminal: bool) -> String {
        let args = Line::parse_from([&["tree"], flags].concat()).tree;
        let body = br#"{"action":"get","node":{"key":"/","dir":true,"nodes":[
            {"key":"/a","dir":true,"ttl":9,"nodes":[{"key":"/a/x","value":"1"},
                {"key":"/a/y.conf","value":"1","ttl":5}]},
            {"key":"/b","value":"2"},{"key":"/c","dir":true}]}}"#;
        let node = event::parse(body).expect("it is one").node;
        let wants = |node: &Node| args.filter.as_ref().is_none_or(|one| is_wanted(one, node));
        let root = grown(node, &wants, true).expect("there is a root");
        let mut out = Vec::new();
        let screen = Screen::fixed(is_terminal, false);
        Drawing { args: &args, screen, out: &mut out }.whole(&root).expect("memory takes it");
        String::from_utf8(out).expect("it is text")
    }

    #[test]
    fn a_tree_has_boxes_on_a_terminal_and_blanks_in_a_pipe() {
        assert_eq!(
            drawn(&[], true),
            "/ (3)\n\u{251c}\u{2500}\u{2500} a/ (2)  ttl 9s\n\
             \u{2502}   \u{251c}\u{2500}\u{2500} x\n\
             \u{2502}   \u{2514}\u{2500}\u{2500} y.conf  ttl 5s\n\
             \u{251c}\u{2500}\u{2500} b\n\u{2514}\u{2500}\u{2500} c/ (0)\n\n\
             2 directories, 3 keys\n"
        );
        let plain = "/ (3)\n  a/ (2)  ttl 9s\n    x\n    y.conf  ttl 5s\n  b\n  c/ (0)\n\
                     2 directories, 3 keys\n";
        assert_eq!(drawn(&[], false), plain);
    }

    #[test]
    fn depth_limit_and_filter_leave_out() {
        let short = "/ (3)\n  a/ (2)  ttl 9s\n  b\n  c/ (0)\n2 directories, 3 keys\n";
        assert_eq!(drawn(&["--depth", "1"], false), short);
        let few = "/ (3)\n  a/ (2)  ttl 9s\n    x\n    ... and 1 more\n  ... and 2 more\n\
                   2 directories, 3 keys\n";
        assert_eq!(drawn(&["--limit", "1"], false), few);
        let conf = "/ (1)\n  a/ (1)  ttl 9s\n    y.conf  ttl 5s\n1 directory, 1 key\n";
        assert_eq!(drawn(&["--filter", "*.conf"], false), conf);
        assert_eq!(drawn(&["--filter", "/a/y*"], false), conf);
    }
}
