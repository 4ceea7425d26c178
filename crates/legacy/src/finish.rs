//! From a replayed tree to what the caller gets: keys of clients apart from all else, as strings.

use crate::auth;
use crate::imported::{
    Content, Event, Imported, Node, NodeState, SkipReason, Skipped, SourceInfo, WallTime, Warning,
    path_order,
};
use crate::model::{self, Tree};
use crate::{Error, NoData, Options};
use std::collections::{BTreeMap, BTreeSet};

/// What was noted on the way.
#[derive(Debug, Default)]
pub(crate) struct Finish {
    pub(crate) warnings: Vec<Warning>,
    skipped: BTreeMap<SkipReason, u64>,
    /// Keys and values that are not UTF-8.
    invalid_utf8: u64,
}

impl Finish {
    pub(crate) fn skip(&mut self, reason: SkipReason, count: u64) {
        if count > 0 {
            *self.skipped.entry(reason).or_default() += count;
        }
    }

    /// U+FFFD for each invalid byte, which is what the servers print and save.
    fn text(&mut self, bytes: &[u8]) -> String {
        let (mut text, mut is_changed) = (String::with_capacity(bytes.len()), false);
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
            is_changed |= !chunk.invalid().is_empty();
        }
        self.invalid_utf8 += u64::from(is_changed);
        text
    }

    fn state(&mut self, node: &model::Node) -> NodeState {
        NodeState {
            content: match &node.value {
                Some(value) => Content::File(self.text(value)),
                None => Content::Dir,
            },
            created: node.created,
            modified: node.modified,
            expiration: node.expiration.map(|moment| WallTime(moment.saturate())),
        }
    }

    fn node(&mut self, path: &[u8], node: &model::Node) -> Node {
        Node { path: self.text(path), state: self.state(node) }
    }
}

/// Where the keys of clients are in a tree, and what else is there.
#[derive(Clone, Copy, Debug)]
struct Layout {
    prefix: &'static [u8],
    /// Parts of the tree that are not keys of clients, the most special first.
    apart: &'static [(&'static [u8], Option<SkipReason>)],
    /// Directories that are one of clients only if they hold something of clients.
    shells: &'static [&'static [u8]],
}

const OF_V2: Layout = Layout {
    prefix: b"/1",
    apart: &[
        // Directories that 2.0 converted have these of 0.4.
        (b"/1/_etcd/machines", Some(SkipReason::Internal)),
        (b"/1/_etcd/config", Some(SkipReason::Internal)),
        (b"/1", None),
        (b"/0", Some(SkipReason::Internal)),
        (b"/2", Some(SkipReason::Auth)),
        (b"", Some(SkipReason::Foreign)),
    ],
    shells: &[b"/1/_etcd"],
};

const OF_V04: Layout = Layout {
    prefix: b"",
    apart: &[
        // The data of a discovery service are those of its users.
        (b"/_etcd/registry", None),
        (b"/_etcd/mod", Some(SkipReason::Module)),
        (b"/_etcd", Some(SkipReason::Internal)),
        (b"/_mod/leader", Some(SkipReason::Module)),
        (b"", None),
    ],
    shells: &[b"/_etcd", b"/_mod"],
};

impl Layout {
    /// Why a node is not one of clients; nothing if it is.
    fn reason_in(&self, tree: &Tree, path: &[u8]) -> Option<SkipReason> {
        let is_shell = self.shells.contains(&path);
        if is_shell && tree.below(path).all(|(path, _)| self.reason(path).is_some()) {
            return Some(SkipReason::Internal);
        }
        self.reason(path).filter(|_| !is_shell)
    }

    /// The same, by the path alone.
    fn reason(&self, path: &[u8]) -> Option<SkipReason> {
        let is_in = |dir: &[u8]| {
            path.strip_prefix(dir).is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
        };
        self.apart.iter().find(|(dir, _)| is_in(dir)).and_then(|(_, reason)| *reason)
    }
}

/// Sorts out a tree of 2.x or 3.x.
pub(crate) fn finish_v2(
    tree: Tree,
    source: SourceInfo,
    mut finish: Finish,
    options: &Options,
) -> Result<Imported, Error> {
    let mut found = None;
    if options.with_auth {
        match auth::read(&tree) {
            Ok(auth) => found = auth,
            Err(what) => finish.warnings.push(Warning::InvalidAuth(what)),
        }
    }
    let mut imported = sort_out(tree, OF_V2, source, finish, found.is_some())?;
    if found.is_some() {
        imported.skipped.retain(|skipped| skipped.reason != SkipReason::Auth);
    }
    imported.auth = found;
    Ok(imported)
}

/// Sorts out a tree of 0.2 to 0.4.
pub(crate) fn finish_v04(
    tree: Tree,
    source: SourceInfo,
    finish: Finish,
) -> Result<Imported, Error> {
    sort_out(tree, OF_V04, source, finish, false)
}

fn sort_out(
    tree: Tree,
    layout: Layout,
    source: SourceInfo,
    mut finish: Finish,
    may_be_empty: bool,
) -> Result<Imported, Error> {
    let (mut nodes, mut internal) = (Vec::new(), Vec::new());
    for (path, node) in tree.iter() {
        match layout.reason_in(&tree, path) {
            None => match path.strip_prefix(layout.prefix) {
                Some(path) if !path.is_empty() => nodes.push(finish.node(path, node)),
                _ => {}
            },
            Some(reason) => {
                internal.push(finish.node(path, node));
                finish.skip(reason, 1);
            }
        }
    }
    nodes.sort_by(|one, other| path_order(&one.path, &other.path));
    if finish.invalid_utf8 > 0 {
        let lost = drop_duplicates(&mut nodes);
        finish.skip(SkipReason::SameKey, lost);
    }
    if nodes.is_empty() && !may_be_empty {
        let why = NoData::NoKeys { older: None };
        return Err(Error::NoData { path: source.path, why });
    }
    let history = events(&tree, layout, &mut finish);
    if finish.invalid_utf8 > 0 {
        finish.warnings.push(Warning::InvalidUtf8(finish.invalid_utf8));
    }
    let skipped = finish.skipped.into_iter().map(|(reason, count)| Skipped { reason, count });
    Ok(Imported {
        source,
        nodes,
        internal,
        index: tree.index,
        history,
        history_start: tree.history.start,
        auth: None,
        warnings: finish.warnings,
        skipped: skipped.collect(),
    })
}

/// Keys that are the same once they are strings, in a sorted list: the first stays. What is below
/// a file, since its directory became one, goes too.
fn drop_duplicates(nodes: &mut Vec<Node>) -> u64 {
    let before = nodes.len();
    nodes.dedup_by(|one, other| one.path == other.path);
    let files: BTreeSet<String> =
        nodes.iter().filter(|node| !node.is_dir()).map(|node| node.path.clone()).collect();
    nodes.retain(|node| {
        let mut slashes = node.path.match_indices('/').filter(|(at, _)| *at > 0);
        !slashes.any(|(at, _)| node.path.get(..at).is_some_and(|above| files.contains(above)))
    });
    before.saturating_sub(nodes.len()) as u64
}

/// The events on keys of clients.
fn events(tree: &Tree, layout: Layout, finish: &mut Finish) -> Vec<Event> {
    // Values were counted with their nodes already.
    let counted = finish.invalid_utf8;
    let mut events = Vec::new();
    for event in &tree.history.events {
        let is_shell = layout.shells.contains(&event.path.as_slice());
        let is_of_clients = layout.reason(&event.path).is_none() && !is_shell;
        let path = event.path.strip_prefix(layout.prefix).filter(|path| !path.is_empty());
        if let Some(path) = path.filter(|_| is_of_clients) {
            events.push(Event {
                action: event.action,
                path: finish.text(path),
                index: event.index,
                node: finish.state(&event.node),
                prev: event.prev.as_ref().map(|prev| finish.state(prev)),
                refresh: event.refresh,
            });
        }
    }
    finish.invalid_utf8 = counted;
    events
}
