//! Entity tags: what a client has already need not be sent again.
//!
//! A tag is the index of the last change of the node, or of anything below the directory, and the
//! cluster's number. It is weak: the seconds left of a TTL are not part of it, and it is the same
//! for a compressed answer.

use super::request::Get;
use crate::member::context::Context;
use store::{Access, KeyPath, Node, Right};

/// Whether an answer is to have a tag.
fn is_wanted(get: &Get) -> bool {
    let is_page = get.view.as_ref().is_some_and(|view| view.is_page);
    is_page || get.recursive || get.has.is_some()
}

/// Whether the client may know of all that is below a directory.
pub(super) fn may_read_below(cx: &Context, path: KeyPath<'_>) -> bool {
    let access = Access { recursive: true, has_slash: true, ..Access::new(path, Right::Read) };
    cx.driver.store().auth().allows(cx.who, access)
}

/// The tag of an answer, where one is wanted. Who may not know of what is below a directory gets
/// one that changes with every change of the store.
pub(super) fn tag(cx: &Context, path: KeyPath<'_>, node: &Node, get: &Get) -> Option<String> {
    if !is_wanted(get) {
        return None;
    }
    let (cluster, store) = (cx.driver.cluster().0, cx.driver.store());
    let is_shown = !node.is_dir() || may_read_below(cx, path);
    let (changed, part) =
        if is_shown { (store.changed(node), "") } else { (store.index(), "-part") };
    Some(format!("W/\"{cluster:x}-{}{part}\"", changed.0))
}

/// The header lines of an answer with a tag. The answer may be compressed.
pub(super) fn lines(tag: &str) -> String {
    format!("ETag: {tag}\r\nVary: Accept-Encoding\r\n")
}

/// Whether a tag is among those that a client has: `*`, or a list. Weak and strong ones compare
/// alike.
pub(super) fn is_known(tag: &str, has: &[u8]) -> bool {
    let opaque = tag.trim_start_matches("W/").as_bytes();
    has.split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .any(|known| known == b"*" || known.strip_prefix(b"W/").unwrap_or(known) == opaque)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_among_others() {
        for (has, want) in [
            ("W/\"2a-7\"", true),
            ("\"2a-7\"", true),
            ("*", true),
            ("\"x\", W/\"2a-7\"", true),
            ("\"2a-77\"", false),
            ("2a-7", false),
            ("", false),
        ] {
            assert_eq!(is_known("W/\"2a-7\"", has.as_bytes()), want, "{has}");
        }
    }
}
