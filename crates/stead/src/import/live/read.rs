//! All that a running server shows, read before anything is written.

use super::hidden::{Hidden, root_of};
use super::reader::{Kind, Reader};
use crate::import::key::is_reserved;
use crate::import::ticks::Clock;
use crate::import::tree::Listing;
use legacy::{
    Content, Extent, Family, Imported, Node, SkipReason, Skipped, SourceInfo, Warning, path_order,
};
use std::collections::BTreeMap;

/// A part of the source that was read at one index: the whole without what is hidden, or something
/// hidden.
#[derive(Clone, Debug)]
pub(super) struct Root {
    /// `""` for the whole.
    pub(super) path: String,
    pub(super) index: u64,
}

/// What was read.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) imported: Imported,
    pub(super) roots: Vec<Root>,
    pub(super) clock: Clock,
}

/// What is not a key of clients at the source, whatever the target says.
fn is_of_the_server(path: &str) -> bool {
    path == "/_etcd" || is_reserved(path)
}

/// Reads everything.
///
/// # Errors
/// Why that cannot be, in a sentence.
pub(super) fn read(reader: &mut Reader, hidden: &mut Hidden) -> Result<Copy, String> {
    let mut parts = list(reader, hidden)?;
    let root = parts.first().map(|(_, listing)| listing.clock).unwrap_or_default();
    let index = parts.iter().map(|(_, listing)| listing.index).max().unwrap_or_default();
    let roots =
        parts.iter().map(|(path, listing)| Root { path: path.clone(), index: listing.index });
    let roots = roots.collect();
    let replaced = parts.iter().map(|(_, listing)| listing.replaced).sum();
    let nodes = join(parts.iter_mut().map(|(_, listing)| std::mem::take(&mut listing.nodes)));
    let (kept, own): (Vec<Node>, Vec<Node>) =
        nodes.into_iter().partition(|node| !is_of_the_server(&node.path));
    let own = own.iter().filter(|node| node.path != "/_etcd").count() as u64;
    let skipped = Skipped { reason: SkipReason::Internal, count: own };
    let warnings = if replaced > 0 { vec![Warning::InvalidUtf8(replaced)] } else { Vec::new() };
    let family = if reader.kind == Kind::V04 { Family::V04 } else { Family::V2 };
    let source = SourceInfo::bare(reader.base().into(), family, Extent::Listing);
    let skipped = if own > 0 { vec![skipped] } else { Vec::new() };
    let imported = Imported { warnings, skipped, ..Imported::without_history(source, kept, index) };
    Ok(Copy { imported, roots, clock: root })
}

/// Lists the whole and what is hidden, each at an index of its own. A Stead lists both in one, and
/// names what is hidden in doing so.
pub(super) fn list(
    reader: &mut Reader,
    hidden: &mut Hidden,
) -> Result<Vec<(String, Listing)>, String> {
    let whole = reader.list("")?.ok_or("the source has no root directory")?;
    if reader.kind == Kind::Stead {
        whole.nodes.iter().for_each(|node| hidden.add(&node.path));
        return Ok(split(whole, hidden));
    }
    let mut parts = vec![(String::new(), whole)];
    for path in hidden.iter() {
        if let Some(mut listing) = reader.list(path)? {
            // What is hidden in it is a part of its own, should the server show it.
            listing.nodes.retain(|node| root_of(path, &node.path).is_none());
            parts.push((path.to_owned(), listing));
        }
    }
    Ok(parts)
}

/// Makes parts of a listing that shows what is hidden. The parts beyond those that can be watched
/// stay with the whole.
fn split(mut whole: Listing, hidden: &Hidden) -> Vec<(String, Listing)> {
    let mut parts: BTreeMap<String, Vec<Node>> = BTreeMap::new();
    for node in std::mem::take(&mut whole.nodes) {
        let (mut root, mut part) = ("", "");
        while let Some(next) = root_of(root, &node.path) {
            root = next;
            if hidden.contains(next) {
                part = next;
            }
        }
        parts.entry(part.to_owned()).or_default().push(node);
    }
    parts.entry(String::new()).or_default();
    parts.into_iter().map(|(path, nodes)| (path, Listing { nodes, ..whole.clone() })).collect()
}

/// One list in order, with each key once.
fn join(parts: impl Iterator<Item = Vec<Node>>) -> Vec<Node> {
    let mut nodes: Vec<Node> = parts.flatten().collect();
    nodes.sort_by(|one, other| path_order(&one.path, &other.path));
    nodes.dedup_by(|later, earlier| later.path == earlier.path);
    nodes
}

/// How many bytes of values, files and directories there are.
pub(super) fn sums(nodes: &[Node]) -> (u64, u64, u64) {
    nodes.iter().fold((0, 0, 0), |(files, dirs, bytes), node| match &node.state.content {
        Content::File(value) => (files + 1, dirs, bytes + value.len() as u64),
        Content::Dir => (files, dirs + 1, bytes),
    })
}
